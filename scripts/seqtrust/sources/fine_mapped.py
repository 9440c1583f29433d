"""Fine-mapped eQTLs: tables in the columns of SuSiE, and which of their rows are used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqtrust.errors import InputError, at_line
from seqtrust.files import numbered_lines, read_input_table
from seqtrust.genes import Point
from seqtrust.genome import Genome
from seqtrust.sources.filter_counts import FilterCounts
from seqtrust.sources.skipped import Skipped
from seqtrust.sources.variant_records import ALLELE, SYMBOLIC_ALT, VARIANT_ID, Variant

NEEDED = ("variant", "gene", "beta_marginal", "pip")
_USED = (*NEEDED, "allele1", "allele2", "se_marginal", "z", "maf", "tissue")

FLIPPED = "alleles swapped against the id: beta negated"
SIGN_CONFLICT = "sign of beta is that of the variant's other genes"
READABLE = "alleles and the sign of beta can be read"
GENE_KNOWN = "gene has a position"
NEAREST = "gene is the nearest of the variant's"


@dataclass(frozen=True)
class Selection:
    """Which rows of a table are used; the order of the fields is that of the filters.

    Attributes:
        sign_conflicts: `keep`, or `drop` variants whose beta has another sign for another gene
            of the same tissue.
        pip_above: keep rows with a larger posterior inclusion probability.
        pip_below: keep rows with a smaller one instead: not causal.
        abs_z_above: keep rows with a larger |z|; all if None.
        points: TSS of every gene by name; keep each variant's nearest gene. None: keep all rows.
        within: keep variants nearer than this to the TSS, bp; only with `points`.
    """

    sign_conflicts: str = "keep"
    pip_above: float = 0.9
    pip_below: float | None = None
    abs_z_above: float | None = None
    points: Mapping[str, Point] | None = None
    within: int = 57_216

    @property
    def rule(self) -> str:
        """The rule on PIP and z in words."""
        pip = f"pip > {self.pip_above}" if self.pip_below is None else f"pip < {self.pip_below}"
        return pip if self.abs_z_above is None else f"{pip} and |z| > {self.abs_z_above}"

    def keeps(self, table: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Which rows pass the rule on PIP and z; NaN never does."""
        pip = table["pip"].to_numpy()
        kept = pip > self.pip_above if self.pip_below is None else pip < self.pip_below
        if self.abs_z_above is not None:
            kept &= np.abs(table["z"].to_numpy()) > self.abs_z_above
        return kept


def read_effect_tables(
    paths: Sequence[str | Path], genome: Genome, selection: Selection, context: str = ""
) -> tuple[list[Variant], list[Skipped], FilterCounts]:
    """Fine-mapped variants of tables in the columns of SuSiE.

    Needs `variant` (contig_position_ref_alt, 1-based, with or without `_b38`), `gene`,
    `beta_marginal` and `pip`; uses `allele1`, `allele2`, `z` (or `se_marginal`), `maf` and
    `tissue` if there. beta is that of `allele2`: where the alleles are those of the id swapped,
    beta and z are negated.

    Args:
        paths: tab-separated tables, may be gzipped.
        genome: assembly of the positions.
        selection: which rows are used.
        context: tissue where a table has no column `tissue`; empty: of several tables, the
            file's name up to the first dot.

    Returns:
        The variants, the records left out, and the counts of every filter.

    Raises:
        InputError: a needed column is missing, a variant cannot be read, or no row is kept.
    """
    variants: list[Variant] = []
    skipped: list[Skipped] = []
    counts, kept, largest = FilterCounts(), 0, -np.inf
    for path in map(Path, paths):
        tissue = context or (path.name.split(".")[0] if len(paths) > 1 else "")
        table = _read(path, selection, tissue)
        table = _without_conflicts(_alt_effects(table, counts), selection, counts)
        passed = table[selection.keeps(table)]
        counts.add(selection.rule, table["tissue"], passed["tissue"])
        kept, largest = kept + len(passed), max(largest, table["pip"].max())
        found, left_out = _variants(passed, path, genome)
        counts.add(READABLE, passed["tissue"], _tissues(found))
        variants, skipped = variants + found, skipped + left_out
    if not kept:
        raise InputError(
            f"{', '.join(map(str, paths))}: no row has {selection.rule} (largest: {largest:.3g}); "
            "the selection is empty"
        )
    if selection.points is None:
        return variants, skipped, counts
    variants, left_out = nearest_genes(variants, selection.points, selection.within, counts)
    return variants, skipped + left_out, counts


def _read(path: Path, selection: Selection, tissue: str) -> pd.DataFrame:
    if not path.exists():
        raise InputError(f"there is no eQTL table at {path}")
    header = next(numbered_lines(path), (1, ""))[1].rstrip("\r").split("\t")
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise InputError(
            f"{path} lacks the column {', '.join(missing)}; it has: {', '.join(header)}"
        )
    table = read_input_table(path, {"variant": str, "gene": str}, _USED)
    for name in ("beta_marginal", "pip", "se_marginal", "z", "maf"):
        if name in table:
            table[name] = _numbers(table[name], path)
    if "z" not in table and "se_marginal" in table:
        table["z"] = table["beta_marginal"] / table["se_marginal"]
    if "z" not in table and selection.abs_z_above is not None:
        raise InputError(
            f"{path} has neither z nor se_marginal, but abs_z_above is {selection.abs_z_above}: "
            "add one of the columns, or leave abs_z_above out"
        )
    for name in ("z", "maf"):
        table[name] = table.get(name, np.nan)
    table["tissue"] = table["tissue"].astype(str) if "tissue" in table else tissue
    return table


def _numbers(column: pd.Series, path: str | Path) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = np.flatnonzero(numbers.isna() & column.notna())
    if wrong.size:
        found = column.iloc[wrong[0]]
        raise InputError(f"{path}, line {wrong[0] + 2}: {column.name} is {found!r}, not a number")
    return numbers


def _alt_effects(table: pd.DataFrame, counts: FilterCounts) -> pd.DataFrame:
    """Beta and z of the id's ALT, and `flipped`: they were those of its REF."""
    alleles = table["variant"].astype(str).str.extract(VARIANT_ID)[["ref", "alt"]]
    flipped = np.zeros(len(table), dtype=bool)
    if {"allele1", "allele2"} <= set(table.columns):
        ref, alt = (alleles[name].str.upper() for name in ("ref", "alt"))
        first, second = (table[name].astype(str).str.upper() for name in ("allele1", "allele2"))
        flipped = ((first == alt) & (second == ref)).to_numpy()
    sign = np.where(flipped, -1.0, 1.0)
    counts.add(FLIPPED, table["tissue"], table["tissue"], table["tissue"][flipped])
    beta, z = table["beta_marginal"] * sign, table["z"] * sign
    return table.assign(beta_marginal=beta, z=z, flipped=flipped)


def _without_conflicts(
    table: pd.DataFrame, selection: Selection, counts: FilterCounts
) -> pd.DataFrame:
    if selection.sign_conflicts == "keep":
        return table
    signs = np.sign(table["beta_marginal"]).where(lambda sign: sign != 0)
    by_variant = signs.groupby([table["tissue"], table["variant"]])
    conflicting = by_variant.transform("min") < by_variant.transform("max")
    counts.add(SIGN_CONFLICT, table["tissue"], table["tissue"][~conflicting])
    return table[~conflicting]


def _variants(
    table: pd.DataFrame, path: Path, genome: Genome
) -> tuple[list[Variant], list[Skipped]]:
    """The variants of the rows of one file, and the rows that cannot be used."""
    variants: list[Variant] = []
    skipped: list[Skipped] = []
    for index, row in zip(table.index, table.to_dict("records"), strict=True):
        line = int(index) + 2
        with at_line(path, line, "a fine-mapped variant"):
            variant = _from_row(row, str(path), line, genome)
        reason = _unusable(variant, row)
        if reason:
            skipped.append(Skipped(str(path), line, variant.record, reason))
        else:
            variants.append(variant)
    return variants, skipped


def _unusable(variant: Variant, row: Mapping[Any, Any]) -> str:
    """Why a row cannot be used; empty if it can."""
    if not (ALLELE.match(variant.ref) and ALLELE.match(variant.alt)):
        return SYMBOLIC_ALT
    own = (variant.alt, variant.ref) if variant.flipped else (variant.ref, variant.alt)
    given = tuple(
        str(row.get(name, allele)).upper()
        for name, allele in zip(("allele1", "allele2"), own, strict=True)
    )
    if given != own:
        return f"alleles differ from the id: {given[0]}, {given[1]}"
    if not variant.truth_effect or np.isnan(variant.truth_effect):
        return f"beta_marginal has no sign: {variant.truth_effect}"
    return ""


def _from_row(row: Mapping[Any, Any], path: str, line: int, genome: Genome) -> Variant:
    found = VARIANT_ID.match(str(row["variant"]))
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
        str(row["tissue"]),
        float(row["beta_marginal"]),
        pip=float(row["pip"]),
        z=_known(row["z"]),
        maf=_known(row["maf"]),
        flipped=bool(row["flipped"]),
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def nearest_genes(
    variants: Sequence[Variant], points: Mapping[str, Point], within: int, counts: FilterCounts
) -> tuple[list[Variant], list[Skipped]]:
    """Variants with the nearest of their genes in each tissue, and the distance to its TSS.

    Args:
        variants: rows of a variant, a gene and a tissue.
        points: TSS of every gene by name.
        within: keep variants nearer than this, bp.
        counts: takes the counts of three steps.

    Returns:
        The variants with `distance` (positive downstream of the TSS), and the rows left out.

    Raises:
        InputError: no gene has a position.
    """
    skipped: list[Skipped] = []

    def leave_out(rows: Sequence[Variant], reason: str) -> None:
        skipped.extend(Skipped(row.file, row.line, row.record, reason) for row in rows)

    def has_position(variant: Variant) -> bool:
        return variant.gene in points and points[variant.gene].contig == variant.contig

    placed = [
        replace(variant, distance=_distance(variant, points[variant.gene]))
        for variant in variants
        if has_position(variant)
    ]
    if variants and not placed:
        raise InputError(
            f"{variants[0].file}: none of its genes, such as {variants[0].gene!r}, has a position; "
            f"the points are named like {next(iter(points), '')!r}"
        )
    leave_out([row for row in variants if not has_position(row)], f"not kept: {GENE_KNOWN}")
    counts.add(GENE_KNOWN, _tissues(variants), _tissues(placed))
    best: dict[tuple[str, str], Variant] = {}
    for row in placed:
        key = row.context, row.name
        best[key] = min(best.get(key, row), row, key=_nearness)
    nearest = list(best.values())
    leave_out(
        [row for row in placed if best[row.context, row.name] is not row], f"not kept: {NEAREST}"
    )
    counts.add(NEAREST, _tissues(placed), _tissues(nearest))
    near = [row for row in nearest if _nearness(row)[0] < within]
    step = f"TSS is nearer than {within:,} bp"
    leave_out([row for row in nearest if _nearness(row)[0] >= within], f"not kept: {step}")
    counts.add(step, _tissues(nearest), _tissues(near))
    return near, skipped


def _distance(variant: Variant, point: Point) -> int:
    return (variant.position - point.position) * (1 if point.strand == "+" else -1)


def _nearness(variant: Variant) -> tuple[int, str]:
    return abs(variant.distance or 0), variant.gene


def _tissues(variants: Sequence[Variant]) -> list[str]:
    return [variant.context for variant in variants]
