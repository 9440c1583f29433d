"""Variants as pairs of sequences: the same window with REF and with ALT."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from seqtrust import bases
from seqtrust.edits import Edit, edited_anchor
from seqtrust.errors import InputError, at_line
from seqtrust.files import numbered_lines, read_input_table
from seqtrust.genes import Point
from seqtrust.genome import Genome, Window, parse_region, resolve_contig
from seqtrust.sequence_set import StoredWindow, store_window
from seqtrust.sources.reference import (
    beyond_contig_reason,
    centred_window,
    point_window,
)
from seqtrust.sources.skipped import Skipped, count_reasons
from seqtrust.tables import Column, TableSchema, write_table

SYMBOLIC_ALT = "ALT is symbolic, * or missing"
REF_DIFFERS = "REF differs from the FASTA"
TABLE_COLUMNS = ("variant", "gene", "beta_marginal", "pip")

CONTRASTS = TableSchema(
    name="contrasts",
    version=1,
    path="contrasts/{set}.parquet",
    description=(
        "Which two sequences of a set are compared. Rows with one `contrast_id` are averaged: "
        "an indel is scored with its left and with its right neighbour held in place."
    ),
    columns=(
        Column("contrast_id", pa.string(), "what is compared, such as a variant and a gene"),
        Column("pair", pa.string(), "`only`, or `left` and `right` for an indel's two anchors"),
        Column("reference_id", pa.string(), "sequence_id of the reference"),
        Column("alternative_id", pa.string(), "sequence_id of the alternative"),
        Column("contig", pa.string(), "contig, as the FASTA spells it"),
        Column("position", pa.int64(), "first base of REF", "bp, 0-based"),
        Column("ref", pa.string(), "reference allele, left-normalised"),
        Column("alt", pa.string(), "alternative allele, left-normalised"),
        Column(
            "anchor",
            pa.string(),
            "what the window is anchored at: a gene or site; empty: the variant",
        ),
        Column("distance", pa.int64(), "variant minus anchor, positive downstream of it", "bp"),
        Column("context", pa.string(), "tissue or cell type of the truth; may be empty"),
        Column("locus", pa.string(), "rows of one locus are not independent: gene, or position"),
        Column(
            "truth_effect",
            pa.float64(),
            "measured effect of ALT; only its sign is a truth",
            "",
            True,
        ),
    ),
)

_VARIANT_ID = re.compile(
    r"^(?P<contig>.+)_(?P<position>\d+)_(?P<ref>[^_]+)_(?P<alt>[^_]+?)(_b\d+)?$"
)
_ALLELE = re.compile(r"^[ACGTacgt]+$")


@dataclass(frozen=True)
class Variant:
    """One REF/ALT pair, with what a table says of it.

    Attributes:
        contig: contig, as the FASTA spells it.
        position: first base of REF, 0-based.
        ref: reference allele.
        alt: alternative allele.
        file: file that it comes from.
        line: line of that file, from 1; 0 if read through an index.
        record: how that file names it.
        gene: gene whose expression it changes, or empty.
        context: tissue of the measured effect, or empty.
        truth_effect: measured effect of ALT, or None.
    """

    contig: str
    position: int
    ref: str
    alt: str
    file: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)
    record: str = field(default="", compare=False)
    gene: str = ""
    context: str = ""
    truth_effect: float | None = None

    @property
    def name(self) -> str:
        """contig_position_ref_alt, with a 1-based position."""
        return f"{self.contig}_{self.position + 1}_{self.ref}_{self.alt}"

    @property
    def is_snv(self) -> bool:
        """Whether one base replaces one base."""
        return len(self.ref) == len(self.alt) == 1

    @property
    def edit(self) -> Edit:
        """The change without the bases that both alleles begin with."""
        shared = 0
        while shared < min(len(self.ref), len(self.alt)) and self.ref[shared] == self.alt[shared]:
            shared += 1
        return Edit(self.position + shared, self.position + len(self.ref), self.alt[shared:])


def left_normalise(variant: Variant, genome: Genome) -> Variant:
    """The leftmost, shortest form of a variant (Tan et al. 2015)."""
    position, ref, alt = variant.position, variant.ref, variant.alt
    while True:
        if ref and alt and ref[-1] == alt[-1] and ref != alt:
            ref, alt = ref[:-1], alt[:-1]
        if not (ref and alt):
            if position == 0:
                # nothing stands before the contig's first base: the base behind is the context
                base = bases.decode(genome.fetch(variant.contig, len(ref), len(ref) + 1, pad=True))
                ref, alt = ref + base, alt + base
                break
            position -= 1
            base = bases.decode(genome.fetch(variant.contig, position, position + 1))
            ref, alt = base + ref, base + alt
        elif ref[-1] != alt[-1] or ref == alt:
            break
    while len(ref) > 1 and len(alt) > 1 and ref[0] == alt[0]:
        position, ref, alt = position + 1, ref[1:], alt[1:]
    return replace(variant, position=position, ref=ref, alt=alt)


def read_vcf(
    path: str | Path, index: str | Path | None, region: str | None, genome: Genome, snvs_only: bool
) -> tuple[list[Variant], list[Skipped]]:
    """Variants of a VCF, plain or bgzipped; genotypes are not read.

    Args:
        path: the VCF.
        index: its tabix index, needed for a region.
        region: `contig:start-end`, 1-based inclusive; all records if None.
        genome: assembly; contig names are matched to it.
        snvs_only: leave out everything else, counted.

    Returns:
        One variant per ALT allele, and the records left out.

    Raises:
        InputError: the VCF is missing, or a row is not a record.
    """
    variants: list[Variant] = []
    skipped: list[Skipped] = []
    for line, text in _vcf_lines(Path(path), index, region, genome):
        with at_line(path, line, "a VCF record"):
            name, number, identifier, ref, alts = text.split("\t", 5)[:5]
            contig, position = genome.resolve(name), int(number) - 1
        record = _record_name(name, number, identifier, ref, alts)
        for alt in alts.split(","):
            if not _ALLELE.match(alt):
                skipped.append(Skipped(str(path), line, record, f"{SYMBOLIC_ALT}: {alt}"))
            elif alt.upper() == ref.upper():
                skipped.append(Skipped(str(path), line, record, "ALT equals REF"))
            elif snvs_only and not len(ref) == len(alt) == 1:
                skipped.append(Skipped(str(path), line, record, "not an SNV"))
            else:
                variants.append(
                    Variant(contig, position, ref.upper(), alt.upper(), str(path), line, record)
                )
    return variants, skipped


def _record_name(contig: str, position: str, _: str, ref: str, alts: str) -> str:
    return f"{contig}:{position} {ref}>{alts}"


def _vcf_lines(
    path: Path, index: str | Path | None, region: str | None, genome: Genome
) -> Iterator[tuple[int, str]]:
    if not path.exists():
        raise InputError(f"there is no VCF at {path}")
    if region is None:
        yield from ((number, text) for number, text in numbered_lines(path) if text[:1] != "#")
        return
    import pysam

    contig, start, end = parse_region(region, genome)
    with pysam.TabixFile(str(path), index=str(index)) as tabix:
        name = resolve_contig(contig, tabix.contigs, str(path))
        for text in tabix.fetch(name, start, end):
            # tabix also returns records that only reach into the region
            if start <= int(text.split("\t", 2)[1]) - 1 < end:
                yield 0, text


def read_effect_table(
    path: str | Path, genome: Genome, pip_above: float, context: str = ""
) -> tuple[list[Variant], list[Skipped]]:
    """Fine-mapped variants of a table in the columns of SuSiE.

    Needs `variant` (contig_position_ref_alt, 1-based, with or without `_b38`), `gene`,
    `beta_marginal` (per ALT allele) and `pip`; uses `allele1`, `allele2` and `tissue` if there.

    Args:
        path: tab-separated table, may be gzipped.
        genome: assembly of the positions.
        pip_above: keep rows with a larger posterior inclusion probability.
        context: tissue if the table has no column `tissue`.

    Raises:
        InputError: a needed column is missing, a variant cannot be read, or no row is kept.
    """
    if not Path(path).exists():
        raise InputError(f"there is no eQTL table at {path}")
    table = read_input_table(path)
    missing = [name for name in TABLE_COLUMNS if name not in table.columns]
    if missing:
        raise InputError(
            f"{path} lacks the column {', '.join(missing)}; it has: {', '.join(table.columns)}"
        )
    for name in ("beta_marginal", "pip"):
        table[name] = _numbers(table[name], path)
    kept = table[table["pip"] > pip_above]
    if kept.empty:
        raise InputError(
            f"{path}: no row has pip > {pip_above} (largest: {table['pip'].max():.3g}); "
            "the selection is empty"
        )
    variants: list[Variant] = []
    skipped: list[Skipped] = []
    for index, row in zip(kept.index, kept.to_dict("records"), strict=True):
        with at_line(path, int(index) + 2, "a fine-mapped variant"):
            variant = _from_table_row(row, str(path), int(index) + 2, genome, context)
        alleles = tuple(
            str(row.get(name, allele)).upper()
            for name, allele in (("allele1", variant.ref), ("allele2", variant.alt))
        )
        if not (_ALLELE.match(variant.ref) and _ALLELE.match(variant.alt)):
            skipped.append(Skipped(str(path), variant.line, variant.record, SYMBOLIC_ALT))
        elif alleles != (variant.ref, variant.alt):
            reason = f"alleles differ from the id: {alleles[0]}, {alleles[1]}"
            skipped.append(Skipped(str(path), variant.line, variant.record, reason))
        elif not variant.truth_effect or np.isnan(variant.truth_effect):
            reason = f"beta_marginal has no sign: {variant.truth_effect}"
            skipped.append(Skipped(str(path), variant.line, variant.record, reason))
        else:
            variants.append(variant)
    return variants, skipped


def _numbers(column: pd.Series, path: str | Path) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = np.flatnonzero(numbers.isna() & column.notna())
    if wrong.size:
        found = column.iloc[wrong[0]]
        raise InputError(f"{path}, line {wrong[0] + 2}: {column.name} is {found!r}, not a number")
    return numbers


def _from_table_row(
    row: Mapping[Any, Any], path: str, line: int, genome: Genome, context: str
) -> Variant:
    found = _VARIANT_ID.match(str(row["variant"]))
    if not found:
        raise InputError(f"variant {row['variant']!r} is not contig_position_ref_alt")
    return Variant(
        genome.resolve(found["contig"]),
        int(found["position"]) - 1,
        found["ref"].upper(),
        found["alt"].upper(),
        path,
        line,
        str(row["variant"]),
        str(row["gene"]),
        str(row.get("tissue", context)),
        float(row["beta_marginal"]),
    )


def check_reference(
    variants: Sequence[Variant], genome: Genome, allowed_fraction: float
) -> tuple[list[Variant], list[Skipped]]:
    """Leave out variants whose REF is not what the FASTA has.

    Args:
        variants: variants with positions on `genome`.
        genome: assembly.
        allowed_fraction: largest fraction that may differ; more says that the assembly is wrong.

    Raises:
        InputError: more than `allowed_fraction` differ.
    """
    good: list[Variant] = []
    skipped: list[Skipped] = []
    for variant in variants:
        end = min(variant.position + len(variant.ref), genome.contigs[variant.contig])
        start = min(max(variant.position, 0), end)
        found = bases.decode(genome.fetch(variant.contig, start, end))
        if found == variant.ref:
            good.append(variant)
        else:
            reason = f"{REF_DIFFERS}: FASTA has {found or 'nothing'}"
            skipped.append(Skipped(variant.file, variant.line, variant.record, reason))
    if len(skipped) > allowed_fraction * len(variants):
        (first,) = with_lines(skipped[:1])
        raise InputError(
            f"{first.file}: REF of {len(skipped)} of {len(variants)} variants differs from the "
            f"FASTA {genome.path} (allowed: {allowed_fraction:.1%}), first on line {first.line}: "
            f"{first.record}, {first.reason}. Is the table of build {genome.build!r}?"
        )
    return good, skipped


def read_variants(
    genome: Genome,
    path: str,
    index: str | None,
    chosen: Mapping[str, Any],
    max_ref_mismatch: float,
) -> tuple[list[Variant], list[Skipped]]:
    """The left-normalised variants of one `variants` entry of the config, and what is left out.

    Args:
        genome: assembly of the variants.
        path: the VCF or the table.
        index: the VCF's tabix index.
        chosen: `{"vcf": settings}` or `{"table": settings}`.
        max_ref_mismatch: as `allowed_fraction` in `check_reference`.

    Raises:
        InputError: no variant is left, or see the readers.
    """
    if "vcf" in chosen:
        settings = chosen["vcf"]
        variants, skipped = read_vcf(
            path, index, settings.get("region"), genome, settings["snvs_only"]
        )
    else:
        settings = chosen["table"]
        variants, skipped = read_effect_table(
            path, genome, settings["pip_above"], settings["context"]
        )
    variants, differing = check_reference(variants, genome, max_ref_mismatch)
    skipped += differing
    if not variants:
        raise InputError(f"{path}: no variant is left; skipped: {count_reasons(skipped)}")
    return [left_normalise(variant, genome) for variant in variants], skipped


def with_lines(skipped: Sequence[Skipped]) -> list[Skipped]:
    """Skipped records with the numbers of their lines, also those read through an index.

    An index gives records without line numbers; their file is read once more only if some
    record was left out.
    """
    lines: dict[tuple[str, str], int] = {}
    for file in {row.file for row in skipped if row.file and not row.line}:
        wanted = {row.record for row in skipped if row.file == file}
        for number, text in numbered_lines(file):
            if text.startswith("#"):
                continue
            record = _record_name(*text.split("\t", 5)[:5])
            if record in wanted:
                lines[file, record] = number
    return [replace(row, line=row.line or lines.get((row.file, row.record), 0)) for row in skipped]


def write_contrasts(path: str | Path, contrasts: Sequence[Mapping[str, Any]]) -> None:
    """Write the contrasts of a set."""
    columns = {column.name: [row[column.name] for row in contrasts] for column in CONTRASTS.columns}
    write_table(path, CONTRASTS, columns)


@dataclass(frozen=True)
class Contrast:
    """Two sequences of one window to be compared: what a row of the contrasts table holds."""

    variant: Variant
    pair: str
    reference_id: str
    alternative_id: str
    anchor: Point | None

    def row(self) -> dict[str, Any]:
        """The row of the contrasts table."""
        variant, anchor = self.variant, self.anchor
        about = variant.name, anchor.name if anchor else variant.gene, variant.context
        distance = 0
        if anchor:
            distance = variant.position - anchor.position
            distance = distance if anchor.strand == "+" else -distance
        return {
            "contrast_id": ":".join(part for part in about if part),
            "pair": self.pair,
            "reference_id": self.reference_id,
            "alternative_id": self.alternative_id,
            "contig": variant.contig,
            "position": variant.position,
            "ref": variant.ref,
            "alt": variant.alt,
            "anchor": anchor.name if anchor else "",
            "distance": distance,
            "context": variant.context,
            "locus": variant.gene or (anchor.name if anchor else variant.name),
            "truth_effect": variant.truth_effect,
        }


class VariantSequences:
    """Windows, sequences and contrasts of a list of variants.

    Iterate over `content` first: it fills `contrasts` and `skipped`.
    """

    def __init__(
        self,
        genome: Genome,
        length: int,
        beyond_contig: str = "error",
        skipped: Iterable[Skipped] = (),
    ) -> None:
        """Start an empty collection.

        Args:
            genome: assembly of the variants.
            length: bases of each sequence.
            beyond_contig: `error`, `skip` or `pad`, as in `reference_sequences`.
            skipped: records that were left out before.
        """
        self.genome = genome
        self.length = length
        self.beyond_contig = beyond_contig
        self.contrasts: list[dict[str, Any]] = []
        self.skipped: list[Skipped] = list(skipped)

    def choose_points(
        self, variants: Iterable[Variant], points: Sequence[Point], by: str, within: int
    ) -> list[tuple[Variant, Point]]:
        """Variants with the point that each is scored at; the others are skipped and counted.

        Args:
            variants: the variants.
            points: candidates.
            by: `nearest`, or `gene`: the point named like the variant's gene.
            within: largest distance, bp.

        Raises:
            InputError: no variant has a point.
        """
        named = {point.name: point for point in points}
        pairs: list[tuple[Variant, Point]] = []
        for variant in variants:
            if by == "nearest":
                point = nearest_point(variant, points, within)
                reason = f"no point within {within} bp"
            else:
                point = named.get(variant.gene)
                reason = f"no gene within {within} bp: {variant.gene}"
                if point and not _near(variant, point, within):
                    point = None
            if point:
                pairs.append((variant, point))
            else:
                self._skip([variant], reason)
        if not pairs:
            raise InputError(f"no variant has a point within {within} bp: the selection is empty")
        return pairs

    def around_variants(
        self, variants: Iterable[Variant], strand: str = "+"
    ) -> Iterator[tuple[StoredWindow, list[tuple[str, tuple[Edit, ...]]]]]:
        """A window per variant, its first base at index length // 2 of the forward strand.

        An SNV or MNV has one window. An indel has two, which hold the base before it and the
        base after it in place; their reference sequences are equal.
        """
        rows: dict[str, list[Variant]] = {}
        for variant in variants:
            rows.setdefault(variant.name, []).append(variant)
        for name, same in rows.items():
            yield from self._around_variant(name, same, strand)

    def _around_variant(
        self, name: str, rows: list[Variant], strand: str
    ) -> Iterator[tuple[StoredWindow, list[tuple[str, tuple[Edit, ...]]]]]:
        variant, edit = rows[0], rows[0].edit
        window = centred_window(self.genome, variant.contig, variant.position, strand, self.length)
        anchors = {"only": window.anchor}
        if edit.growth:
            anchors = {"left": edit.start - 1, "right": edit.end}
        if not self._keep(name, window, rows):
            return
        if not all(
            window.start <= place < window.end for place in (*anchors.values(), edit.end - 1)
        ):
            self._skip(rows, f"longer than the window: {window}")
            return
        places = {
            pair: replace(window, anchor=anchor, anchor_index=anchor - window.start)
            for pair, anchor in anchors.items()
        }
        if not all(self._has_flank(place, rows) for place in places.values()):
            return
        for pair, place in places.items():
            suffix = "" if pair == "only" else f".{pair}"
            ids = f"{name}.ref{suffix}", f"{name}.alt{suffix}"
            yield self._store(place, name, [edit]), [(ids[0], ()), (ids[1], (edit,))]
            self.contrasts += [Contrast(row, pair, *ids, None).row() for row in rows]

    def around_points(
        self, variants: Iterable[tuple[Variant, Point]], index: int | None = None
    ) -> Iterator[tuple[StoredWindow, list[tuple[str, tuple[Edit, ...]]]]]:
        """A window per point in its orientation, shared by the variants that belong to it.

        Args:
            variants: variants, each with the point (gene or site) that it is scored at.
            index: index of the point in the model's input, 0-based; length // 2 if None.
        """
        rows: dict[Point, list[Variant]] = {}
        for variant, point in variants:
            rows.setdefault(point, []).append(variant)
        for point, same in rows.items():
            window = point_window(
                self.genome, point, self.length, self.length // 2 if index is None else index
            )
            near = [
                variant
                for variant in same
                if self._inside(variant, window, point) and self._has_flank(window, [variant])
            ]
            if not near or not self._keep(point.name, window, near):
                continue
            reference = f"{point.name}.ref"
            named = {f"{point.name}.{variant.name}": (variant.edit,) for variant in near}
            edits = [edit for (edit,) in named.values()]
            yield self._store(window, point.name, edits), [(reference, ()), *named.items()]
            self.contrasts += [
                Contrast(variant, "only", reference, f"{point.name}.{variant.name}", point).row()
                for variant in near
            ]

    def _inside(self, variant: Variant, window: Window, point: Point) -> bool:
        if window.start <= variant.edit.start and variant.edit.end <= window.end:
            return True
        self._skip([variant], f"outside the window of {point.name}: {window}")
        return False

    def _has_flank(self, window: Window, variants: Sequence[Variant]) -> bool:
        """Whether the contig can restore the length after a deletion; else they are skipped."""
        edit, size = variants[0].edit, self.genome.contigs[window.contig]
        first = edited_anchor(window.anchor, [edit], window.strand)[0] - window.anchor_index
        if self.beyond_contig == "pad" or 0 <= first <= size + edit.growth - window.length:
            return True
        reason = f"window beyond contig: {window} after {variants[0].name}, {size} bp"
        if self.beyond_contig == "error":
            raise InputError(
                f"{variants[0].file}: {reason}. Shorten the window, or set beyond_contig to "
                "'skip' or 'pad'"
            )
        self._skip(variants, reason)
        return False

    def _skip(self, variants: Iterable[Variant], reason: str) -> None:
        self.skipped += [Skipped(v.file, v.line, v.record, reason) for v in variants]

    def _keep(self, name: str, window: Window, variants: Sequence[Variant]) -> bool:
        source = variants[0].file
        reason = beyond_contig_reason(self.genome, name, window, source, self.beyond_contig)
        if reason:
            self._skip(variants, reason)
        return not reason

    def _store(self, window: Window, name: str, edits: Sequence[Edit]) -> StoredWindow:
        flank = max((-edit.growth for edit in edits), default=0)
        flank = max(flank, 0)
        return store_window(
            self.genome, window, name, (flank, flank), pad=self.beyond_contig == "pad"
        )


def nearest_point(variant: Variant, points: Sequence[Point], within: int) -> Point | None:
    """The nearest point of the variant's contig, the one with the higher score where two tie.

    Args:
        variant: the variant; its first base counts.
        points: candidates.
        within: largest distance, bp.
    """
    near = [point for point in points if _near(variant, point, within)]
    return min(
        near,
        key=lambda point: (abs(point.position - variant.position), -point.score, point.name),
        default=None,
    )


def _near(variant: Variant, point: Point, within: int) -> bool:
    return point.contig == variant.contig and abs(point.position - variant.position) <= within
