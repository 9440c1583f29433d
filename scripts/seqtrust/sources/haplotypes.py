"""Personal genomes: the distinct haplotypes of phased people, per window.

What a haplotype is. A haplotype carries one allele of every record. Each ALT allele becomes an
edit: the bases that REF and ALT begin with are trimmed, the rest of REF is replaced by the rest
of ALT (`Variant.edit`). `*` is no edit, because the deletion that it speaks of is a record of its
own; symbolic alleles are left out and counted.

Overlaps. Two edits overlap if `edits.sorted_disjoint` refuses them: they replace a common base,
an insertion stands inside replaced bases, or two insertions stand before the same base. Of the
overlapping edits of one haplotype the first in the order of the file is kept, and every later
one that overlaps a kept one is left out and counted. So an insertion right before or right after
a replaced base is kept, and of two records with equal position, REF and ALT the second changes
only the haplotypes that do not carry the first.

Which edits. With `variants="all"` a window's haplotypes are cut from the whole edited contig:
the anchor stays at its index, a net deletion pulls in flank with that flank's edits, and the
stretch that is examined grows until every haplotype has enough bases. It is the same for every
run, and the rules for unphased and missing calls look at it and not beyond. With
`variants="snvs"` coordinates do not change. An edit that leaves the window's bytes as they are
is not written.

Ploidy. A sample whose calls in the stretch are haploid has haplotype 0 only; one with haploid and
diploid calls (a window over the end of a pseudo-autosomal region) is left out of the window and
counted. Where a stretch has no record, a sample is diploid.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from seqtrust import bases
from seqtrust.edits import edited_sequence
from seqtrust.errors import InputError
from seqtrust.files import whole_file, write_tsv
from seqtrust.genome import Genome, Window
from seqtrust.genotypes import ABSENT, UNKNOWN, GenotypeFile
from seqtrust.haplotype_edits import (
    Edits,
    Integers,
    Mask,
    Reaching,
    Scribe,
    distinct_columns,
    fingerprints,
    layout,
    reaching,
    without_overlaps,
)
from seqtrust.sequence_set import EditColumns, StoredWindow
from seqtrust.sources.reference import beyond_contig_reason
from seqtrust.sources.skipped import Skipped
from seqtrust.sources.variant_records import REF_DIFFERS
from seqtrust.tables import Column, TableSchema

SYMBOLIC = "ALT is symbolic or has other letters than A, C, G, T"
NO_CHANGE = "ALT equals REF"
DUPLICATE = "repeats an earlier record"
OVERLAPPING = "overlaps an earlier variant of the same haplotype"
MIXED_PLOIDY = "ploidy changes within the window"

_READ_AHEAD = 1024
_EARLY_RECORDS = 1000
_ROWS_AT_ONCE = 100_000
_SELF_CHECKED = 8
_PLAIN = frozenset("ACGT")

HAPLOTYPES = TableSchema(
    name="haplotypes",
    version=1,
    path="haplotypes/{set}.parquet",
    description=(
        "Which sequence each haplotype of each sample has in each window. Samples are numbers; "
        "their names are in a table of their own."
    ),
    columns=(
        Column("sample", pa.int32(), "number of the sample, from 0, in the order of the VCF"),
        Column("haplotype", pa.int8(), "0 or 1, as phased; haploid samples have 0 only"),
        Column("window", pa.dictionary(pa.int32(), pa.string()), "window_name of the set"),
        Column("sequence_id", pa.dictionary(pa.int32(), pa.string()), "sequence of the set"),
    ),
)

Sink = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class HaplotypeRules:
    """What is done with the calls of a file.

    Attributes:
        variants: `all`, or `snvs`: records of one REF base and one-base alleles only.
        unphased: heterozygous calls without phase: `error`, `reference` (both haplotypes take
            REF at that record) or `skip_sample` (the sample is left out of the window).
        missing: calls that lack an allele: `error`, `reference` (that allele is REF) or
            `skip_sample`.
        min_frequency: smallest frequency of an ALT allele among the called alleles of the chosen
            samples, inclusive.
        max_frequency: largest one, inclusive.
        max_ref_mismatch: largest fraction of records whose REF may differ from the FASTA.
        beyond_contig: windows, with the flank they need, over a contig's end: `error`, `skip`
            or `pad`.
    """

    variants: str = "all"
    unphased: str = "error"
    missing: str = "error"
    min_frequency: float = 0.0
    max_frequency: float = 1.0
    max_ref_mismatch: float = 0.01
    beyond_contig: str = "error"

    def __post_init__(self) -> None:
        _one_of("variants", self.variants, ("all", "snvs"))
        for name in ("unphased", "missing"):
            _one_of(name, getattr(self, name), ("error", "reference", "skip_sample"))
        _one_of("beyond_contig", self.beyond_contig, ("error", "skip", "pad"))
        if not 0 <= self.min_frequency <= self.max_frequency <= 1:
            raise InputError(
                f"min_frequency {self.min_frequency} and max_frequency {self.max_frequency}: "
                "expected 0 <= min_frequency <= max_frequency <= 1"
            )


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"{name} is {value!r}; expected one of {', '.join(allowed)}")


@dataclass
class WindowCounts:
    """One row of the table of windows.

    Attributes:
        window: name of the window.
        contig: contig, as the FASTA spells it.
        start: first base of the stretch examined, 0-based.
        end: end of the stretch, half-open.
        variants: distinct edits in the sequences of the window.
        not_snv: ALT alleles left out because only SNVs are wanted.
        symbolic: ALT alleles left out because they are symbolic.
        no_change: ALT alleles equal to REF.
        ref_differs: records left out because REF differs from the FASTA.
        frequency: ALT alleles left out by their frequency.
        duplicates: ALT alleles that repeat an earlier one.
        overlaps: alleles of haplotypes left out because an earlier one overlaps.
        missing_calls: calls of the used records that lack an allele.
        unphased_calls: calls of the used records without phase.
        samples: samples with haplotypes in this window.
        skipped_samples: samples left out for missing or unphased calls.
        mixed_ploidy: samples left out because their ploidy changes.
        haplotypes: haplotypes of those samples.
        distinct: distinct sequences among them, the reference included if it occurs.
        min_growth: smallest sum of bases gained (negative: lost) over the written edits.
        max_growth: largest one.
        deleted_anchors: haplotypes that lack the anchor base.
    """

    window: str
    contig: str
    start: int = 0
    end: int = 0
    variants: int = 0
    not_snv: int = 0
    symbolic: int = 0
    no_change: int = 0
    ref_differs: int = 0
    frequency: int = 0
    duplicates: int = 0
    overlaps: int = 0
    missing_calls: int = 0
    unphased_calls: int = 0
    samples: int = 0
    skipped_samples: int = 0
    mixed_ploidy: int = 0
    haplotypes: int = 0
    distinct: int = 0
    min_growth: int = 0
    max_growth: int = 0
    deleted_anchors: int = 0


@contextmanager
def streamed_table(
    path: str | Path, schema: TableSchema, metadata: Mapping[str, str]
) -> Iterator[Sink]:
    """A Parquet table written in parts; gives the function that adds rows.

    The file appears when the block ends without an error.
    """
    arrow = schema.arrow(metadata=metadata)
    waiting: list[pa.Table] = []
    with whole_file(path) as temporary, pq.ParquetWriter(temporary, arrow, compression="zstd") as w:

        def flush() -> None:
            if any(table.num_rows for table in waiting):
                table = pa.concat_tables(waiting).unify_dictionaries()
                w.write_table(table, row_group_size=table.num_rows)
            waiting.clear()

        def add(columns: Mapping[str, Any]) -> None:
            arrays = [pa.array(columns[name], type=arrow.field(name).type) for name in arrow.names]
            waiting.append(pa.Table.from_arrays(arrays, schema=arrow))
            if sum(table.num_rows for table in waiting) >= _ROWS_AT_ONCE:
                flush()

        yield add
        flush()


class HaplotypeSequences:
    """The distinct haplotypes of windows, written window by window.

    Iterate over `content` first: it fills `counts` and `skipped`. Windows come in the order of
    contigs and positions, so that what overlapping windows share is read once.
    """

    def __init__(
        self,
        genome: Genome,
        genotypes: GenotypeFile,
        windows: Sequence[tuple[str, Window]],
        rules: HaplotypeRules,
        source: str = "windows",
    ) -> None:
        """Start.

        Args:
            genome: assembly of the windows and of the VCF.
            genotypes: calls of the chosen samples.
            windows: names and windows; all on contigs that the VCF has.
            rules: what is done with the calls.
            source: where the windows come from, for messages.

        Raises:
            InputError: the VCF has no record on the contig of a window.
        """
        self.genome = genome
        self.genotypes = genotypes
        self.rules = rules
        self.source = source
        self.windows = sorted(windows, key=lambda row: (row[1].contig, row[1].start))
        self.counts: list[WindowCounts] = []
        self._skipped: dict[tuple[str, str], Skipped] = {}
        self._contigs = {c: genotypes.contig(c) for c in {w.contig for _, w in windows}}
        self._examined = 0
        self._differing = 0
        self._checked = False

    @property
    def skipped(self) -> list[Skipped]:
        """Records and windows left out, each once.

        What the settings ask for (SNVs only, frequencies) is counted per window and not listed.
        """
        return list(self._skipped.values())

    @property
    def haplotypes(self) -> int:
        """Haplotypes of all windows written so far."""
        return sum(row.haplotypes for row in self.counts)

    def content(
        self, haplotypes: Sink, contrasts: Sink
    ) -> Iterator[tuple[StoredWindow, EditColumns]]:
        """Windows with their sequences.

        Args:
            haplotypes: takes the rows of `HAPLOTYPES` of a window.
            contrasts: takes the rows of `CONTRASTS`: distinct haplotypes against the reference.

        Raises:
            InputError: what the rules refuse; the message names record and column, no sample.
        """
        for name, window in self.windows:
            counts = WindowCounts(name, window.contig)
            found = self._haplotypes(name, window, counts)
            if found is None:
                continue
            self.counts.append(counts)
            stored, columns, sample, haplotype, ids = found
            haplotypes(
                {
                    "sample": sample,
                    "haplotype": haplotype,
                    "window": _repeated(name, len(sample)),
                    "sequence_id": ids,
                }
            )
            contrasts(_contrasts(stored, columns.ids))
            yield stored, columns
        self._refuse_differing(0)

    def _haplotypes(
        self, name: str, window: Window, counts: WindowCounts
    ) -> tuple[StoredWindow, EditColumns, Integers, Integers, pa.DictionaryArray] | None:
        reason = beyond_contig_reason(
            self.genome, name, window, self.source, self.rules.beyond_contig
        )
        if reason:
            self._leave_out(self.source, name, reason)
            return None
        start, end = window.start, window.end
        while True:
            part = _Stretch(self, window, start, end)
            wider = part.needed()
            if wider == (start, end):
                break
            start, end = wider
            if not self._inside(name, window, start, end):
                return None
        part.count(counts, name)
        self._examined += part.examined
        self._differing += counts.ref_differs
        self._refuse_differing(_EARLY_RECORDS)
        return part.sequences(name, counts)

    def _inside(self, name: str, window: Window, start: int, end: int) -> bool:
        size = self.genome.contigs[window.contig]
        if self.rules.beyond_contig == "pad" or (start >= 0 and end <= size):
            return True
        if self.rules.beyond_contig == "error":
            raise InputError(
                f"{self.source}: window {name!r} at {window} (0-based): haplotypes with net "
                f"deletions need the bases {start}-{end}, over the end of contig "
                f"{window.contig!r} ({size:,} bp). Move or shorten the window, or set "
                "beyond_contig to 'skip' or 'pad'"
            )
        reason = f"flank beyond contig: {window} needs {start}-{end}, {size} bp"
        self._leave_out(self.source, name, reason)
        return False

    def _refuse_differing(self, at_least: int) -> None:
        """Refuse too many records whose REF differs, once enough have been seen."""
        allowed = self.rules.max_ref_mismatch * self._examined
        if self._examined >= at_least and self._differing > allowed:
            first = next(row for row in self.skipped if row.reason.startswith(REF_DIFFERS))
            raise InputError(
                f"{self.genotypes.path}: REF of {self._differing} of {self._examined} records "
                f"differs from assembly {self.genome.assembly!r}, more than "
                f"max_ref_mismatch={self.rules.max_ref_mismatch}. First: {first.record}, "
                f"{first.reason}. Is the VCF of build {self.genome.build!r}?"
            )

    def _leave_out(self, file: str, record: str, reason: str) -> None:
        self._skipped.setdefault((record, reason), Skipped(file, 0, record, reason))


class _Stretch:
    """The calls of [start, end) as edits, and what a window makes of them."""

    def __init__(self, source: HaplotypeSequences, window: Window, start: int, end: int) -> None:
        self.source, self.window, self.start, self.end = source, window, start, end
        self.rules = source.rules
        self.left_out: list[tuple[int, str]] = []
        self.tally = dict.fromkeys(
            ("not_snv", "symbolic", "no_change", "ref_differs", "frequency", "duplicates"), 0
        )
        contig = source._contigs[window.contig]
        ahead = 0 if self.rules.variants == "snvs" else _READ_AHEAD
        self.calls = source.genotypes.fetch(contig, start, end, ahead)
        self._fetch_bases()
        edits = self._within(self._edits())
        self.examined = len(np.unique(edits.record))
        edits = self._with_reference(edits)
        edits = self._by_frequency(edits)
        self._count_duplicates(edits)
        self._choose_haplotypes(edits)
        self.edits = self._carried(edits)

    # --- which edits -------------------------------------------------------------------------

    def _fetch_bases(self) -> None:
        """The reference of the stretch and of every REF that reaches into it."""
        calls, window = self.calls, self.window
        first = min(self.start, int(calls.positions.min(initial=self.start)))
        last = max(self.end, int(calls.ends.max(initial=self.end)))
        self._bases_start = first
        self._bases = self.source.genome.fetch(window.contig, first, last, pad=True)

    def _edits(self) -> Edits:
        """All ALT alleles that are bases, in the order of the file; nothing is carried yet."""
        snvs_only = self.rules.variants == "snvs"
        record, number, start, end, words = [], [], [], [], []
        calls = self.calls
        for row, (position, ref, alts) in enumerate(
            zip(calls.positions.tolist(), calls.refs, calls.alts, strict=True)
        ):
            for allele, alt in enumerate(alts.split(","), start=1):
                if alt in _PLAIN and len(ref) == 1 and alt != ref:
                    span = position, position + 1, alt
                elif alt in (".", "*"):
                    continue
                elif not _PLAIN.issuperset(alt := alt.upper()):
                    self._note(row, "symbolic", f"{SYMBOLIC}: {alt}")
                    continue
                elif alt == ref:
                    self._note(row, "no_change", NO_CHANGE)
                    continue
                elif snvs_only and not len(ref) == len(alt) == 1:
                    self._note(row, "not_snv", "")
                    continue
                else:
                    shared = _shared_start(ref, alt)
                    span = position + shared, position + len(ref), alt[shared:]
                record.append(row)
                number.append(allele)
                start.append(span[0])
                end.append(span[1])
                words.append(span[2])
        replacements = np.empty(len(words), dtype=object)
        replacements[:] = words
        return Edits(
            np.array(record, dtype=np.int64),
            np.array(number, dtype=np.int64),
            np.array(start, dtype=np.int64),
            np.array(end, dtype=np.int64),
            replacements,
            np.zeros((len(words), 0), dtype=bool),
        )

    def _note(self, row: int, kind: str, reason: str) -> None:
        inside = self.calls.positions[row] < self.end and self.calls.ends[row] > self.start
        if inside:
            self.tally[kind] += 1
            if reason:
                self.left_out.append((row, reason))

    def _within(self, edits: Edits) -> Edits:
        """Edits that replace a base of the stretch or insert beside one."""
        insertion = edits.start == edits.end
        touches = (edits.end > self.start) & (edits.start < self.end)
        beside = insertion & (edits.start >= self.start) & (edits.start <= self.end)
        return edits.select(touches | beside)

    def _with_reference(self, edits: Edits) -> Edits:
        """Leave out edits of records whose REF is not what the FASTA has."""
        rows = np.unique(edits.record)
        lengths = (self.calls.ends - self.calls.positions)[rows]
        text = "".join(self.calls.refs[rows])
        try:
            codes = bases.encode(text)
        except InputError as error:
            place = f"{self.source.genotypes.path}, REF of the records near {self.window}"
            raise InputError(f"{place}: {error}") from error
        offsets = np.cumsum(lengths) - lengths
        starts = self.calls.positions[rows] - self._bases_start
        places = np.repeat(starts - offsets, lengths) + np.arange(len(codes))
        differs = self._bases[places] != codes
        bad_rows = rows[np.logical_or.reduceat(differs, offsets)] if len(rows) else rows
        for row in bad_rows:
            found = bases.decode(self._bases[starts[rows == row][0] :][: lengths[rows == row][0]])
            self._note(int(row), "ref_differs", f"{REF_DIFFERS}: {found}")
        return edits.select(~np.isin(edits.record, bad_rows))

    def _by_frequency(self, edits: Edits) -> Edits:
        lowest, highest = self.rules.min_frequency, self.rules.max_frequency
        if (lowest, highest) == (0.0, 1.0):
            return edits
        alleles = self.calls.alleles
        called = np.maximum((alleles >= 0).sum(axis=1), 1)[edits.record]
        carriers = np.array(
            [
                np.count_nonzero(alleles[row] == number)
                for row, number in zip(edits.record, edits.number, strict=True)
            ],
            dtype=np.int64,
        )
        frequency = carriers / called
        kept = (frequency >= lowest) & (frequency <= highest)
        self.tally["frequency"] += int(np.count_nonzero(~kept))
        return edits.select(kept)

    def _count_duplicates(self, edits: Edits) -> None:
        positions = self.calls.positions[edits.record]
        repeated = np.flatnonzero(np.isin(positions, positions[1:][np.diff(positions) == 0]))
        seen: set[tuple[int, str, str]] = set()
        for row in repeated:
            record = int(edits.record[row])
            alt = self.calls.alts[record].split(",")[edits.number[row] - 1].upper()
            key = int(positions[row]), self.calls.refs[record], alt
            if key in seen:
                self._note(record, "duplicates", DUPLICATE)
            seen.add(key)

    # --- which haplotypes --------------------------------------------------------------------

    def _choose_haplotypes(self, edits: Edits) -> None:
        """Apply the rules for ploidy, missing and unphased calls."""
        calls = self.calls
        samples = calls.phased.shape[1]
        present = np.ones((samples, 2), dtype=bool)
        self._both_reference: Mask | None = None
        self.missing_calls = self.unphased_calls = 0
        irregular = np.flatnonzero(~calls.regular)
        self.mixed = np.zeros(samples, dtype=bool)
        self.dropped = np.zeros(samples, dtype=bool)
        if irregular.size:
            touching = (calls.positions < self.end) & (calls.ends > self.start)
            second = calls.alleles[touching, 1::2]
            haploid = (second == ABSENT).any(axis=0)
            self.mixed = haploid & ((second != ABSENT) & (second != UNKNOWN)).any(axis=0)
            present[haploid, 1] = False
            self._apply_policies(np.intersect1d(edits.record, irregular))
        present[self.mixed | self.dropped] = False
        self.columns = np.flatnonzero(present.reshape(-1))

    def _apply_policies(self, rows: Integers) -> None:
        used = np.zeros(len(self.calls), dtype=bool)
        used[rows] = True
        calls = self.calls.select(used)
        counted = ~self.mixed
        missing, unphased = calls.missing() & counted, calls.unphased() & counted
        self._refuse("missing", missing, rows)
        self._refuse("unphased", unphased, rows)
        self.missing_calls = int(np.count_nonzero(missing))
        self.unphased_calls = int(np.count_nonzero(unphased))
        if self.rules.missing == "skip_sample":
            self.dropped |= missing.any(axis=0)
        if self.rules.unphased == "skip_sample":
            self.dropped |= unphased.any(axis=0)
        elif self.unphased_calls:
            self._both_reference = np.zeros(self.calls.phased.shape, dtype=bool)
            self._both_reference[rows] = unphased

    def _refuse(self, kind: str, calls: Mask, rows: Integers) -> None:
        if getattr(self.rules, kind) != "error" or not calls.any():
            return
        row, sample = (int(index[0]) for index in np.nonzero(calls))
        genotypes = self.source.genotypes
        first, second = self.calls.alleles[rows[row], 2 * sample : 2 * sample + 2]
        separator = "|" if self.calls.phased[rows[row], sample] else "/"
        shown = ["." if allele < 0 else str(allele) for allele in (first, second)]
        call = shown[0] if second < -1 else separator.join(shown)
        cure = {
            "missing": "Impute the calls",
            "unphased": "Phase the file (for example with shapeit4 or beagle)",
        }[kind]
        raise InputError(
            f"{genotypes.path}: record {self._name(rows[row])}, column "
            f"{genotypes.column(sample)}: genotype {call} is {kind} "
            f"({np.count_nonzero(calls)} such calls near {self.window}). {cure}, or set {kind} "
            "to 'reference' or 'skip_sample'"
        )

    def _carried(self, edits: Edits) -> Edits:
        """The edits with their carriers among the haplotypes that are left."""
        alleles = self.calls.alleles
        if np.array_equal(edits.record, np.arange(len(alleles))) and (edits.number == 1).all():
            carried = alleles == 1
        else:
            carried = alleles[edits.record] == edits.number[:, None].astype(np.int8)
        if self._both_reference is not None:
            carried &= ~np.repeat(self._both_reference[edits.record], 2, axis=1)
        if len(self.columns) < carried.shape[1]:
            carried = carried[:, self.columns]
        edits = edits.carried_by(carried)
        return edits.select(carried.any(axis=1))

    # --- how much flank ----------------------------------------------------------------------

    def needed(self) -> tuple[int, int]:
        """The stretch that must be examined: this one once it is wide enough."""
        first = min(self.start, int(self.edits.start.min(initial=self.start)))
        last = max(self.end, int(self.edits.end.max(initial=self.end)))
        if (first, last) != (self.start, self.end):
            return first, last
        representatives, self.kind_of = distinct_columns(self.edits.carried)
        distinct = self.edits.carried_by(self.edits.carried[:, representatives])
        distinct, lost = without_overlaps(distinct)
        order = np.lexsort((distinct.end, distinct.start))
        self.distinct, self.lost = distinct.select(order), lost
        self.layout = layout(self.distinct, self.window, self.start, self.end)
        left, right = self.layout.lacking(self.window.length)
        return self.start - left, self.end + right

    # --- what is written ---------------------------------------------------------------------

    def count(self, counts: WindowCounts, name: str) -> None:
        """Add what was left out to the counts and to the skipped records."""
        source = self.source
        for kind, number in self.tally.items():
            setattr(counts, kind, number)
        file = str(source.genotypes.path)
        for row, reason in self.left_out:
            source._leave_out(file, self._name(row), reason)
        multiplicity = np.bincount(self.kind_of, minlength=self.lost.shape[1])
        counts.overlaps = int((self.lost @ multiplicity).sum())
        for row in np.flatnonzero(self.lost.any(axis=1)).tolist():
            source._leave_out(file, self._name(int(self.edits.record[row])), OVERLAPPING)
        counts.start, counts.end = self.start, self.end
        counts.missing_calls, counts.unphased_calls = self.missing_calls, self.unphased_calls
        counts.mixed_ploidy = int(np.count_nonzero(self.mixed))
        counts.skipped_samples = int(np.count_nonzero(self.dropped & ~self.mixed))
        counts.samples = len(np.unique(self.columns // 2))
        counts.haplotypes = len(self.columns)
        for kind in ("missing", "unphased"):
            if number := getattr(counts, f"{kind}_calls"):
                effect = {"reference": "set to REF", "skip_sample": "samples left out"}
                reason = f"{kind} calls: {number}, {effect[getattr(self.rules, kind)]}"
                source._leave_out(file, f"window {name}", reason)
        if counts.mixed_ploidy:
            reason = f"{MIXED_PLOIDY}: {counts.mixed_ploidy} samples left out"
            source._leave_out(file, f"window {name}", reason)

    def sequences(
        self, name: str, counts: WindowCounts
    ) -> tuple[StoredWindow, EditColumns, Integers, Integers, pa.DictionaryArray]:
        """The stored window, its distinct sequences, and who carries which."""
        window = self.window
        first = self.start - self._bases_start
        reference = self._bases[first : first + self.end - self.start]
        stored = StoredWindow(
            name,
            window.assembly,
            window.contig,
            window.anchor,
            window.anchor_index,
            window.length,
            window.strand,
            self.start,
            reference,
        )
        self.scribe = Scribe(reference, self.start, window, self.distinct)
        reach = reaching(self.distinct, self.layout, self.start, window.length)
        sequence_of, written = self._distinct_bases(stored, reach)
        ids = [f"{name}.ref", *(f"{name}.h{number}" for number in range(1, len(written) + 1))]
        taken = np.isin(reach.owner, written)
        sizes = np.diff(reach.bounds)[written]
        rows = reach.rows[taken]
        columns = EditColumns(
            ids,
            None,
            np.concatenate([[0, 0], np.cumsum(sizes)]),
            self.distinct.start[rows],
            self.distinct.end[rows],
            rows,
            self.distinct.words.tolist(),
        )
        self._check(stored, columns, written)
        growth = np.zeros(len(ids), dtype=np.int64)
        np.add.at(growth, np.repeat(np.arange(1, len(ids)), sizes), self.distinct.growth[rows])
        self._count_sequences(counts, sequence_of, growth, rows)
        haplotype_ids = pa.DictionaryArray.from_arrays(
            pa.array(sequence_of[self.kind_of], type=pa.int32()), pa.array(ids)
        )
        return stored, columns, self.columns // 2, self.columns % 2, haplotype_ids

    def _distinct_bases(self, stored: StoredWindow, reach: Reaching) -> tuple[Integers, list[int]]:
        """Number the kinds of haplotypes by their bases.

        Returns:
            The sequence of every kind, 0 for the reference, and the kinds that stand for
            sequences 1, 2, ...
        """
        marks = fingerprints(
            stored.bases, self.start, self.distinct, reach, self.scribe, self.layout
        )
        reference = self._mark_of_reference(stored.bases)
        sequence_of = np.zeros(len(marks), dtype=np.int64)
        written: list[int] = []
        alike: dict[int, list[tuple[int, int]]] = {reference: [(0, -1)]}
        plain = np.diff(reach.bounds) == 0
        for kind, mark in enumerate(marks.tolist()):
            if plain[kind]:
                continue
            candidates = alike.setdefault(mark, [])
            number = next(
                (number for number, other in candidates if self._same_bases(stored, kind, other)),
                None,
            )
            if number is None:
                written.append(kind)
                number = len(written)
                candidates.append((number, kind))
            sequence_of[kind] = number
        return sequence_of, written

    def _mark_of_reference(self, codes: bases.Codes) -> int:
        none = np.zeros(0, dtype=np.int64)
        first = np.array([self.window.start - self.start])
        reach = Reaching(none, none, none, np.zeros(2, dtype=np.int64), first)
        return int(
            fingerprints(codes, self.start, self.distinct, reach, self.scribe, self.layout)[0]
        )

    def _same_bases(self, stored: StoredWindow, kind: int, other: int) -> bool:
        """Whether two kinds of haplotypes, -1 for the reference, have equal bases."""
        return np.array_equal(self._bases_of(stored, kind), self._bases_of(stored, other))

    def _bases_of(self, stored: StoredWindow, kind: int) -> bases.Codes:
        if kind < 0:
            return stored.sequence(())
        return self.scribe.write(kind, int(self.layout.first[kind]))

    def _count_sequences(
        self, counts: WindowCounts, sequence_of: Integers, growth: Integers, rows: Integers
    ) -> None:
        carried = np.unique(sequence_of[self.kind_of])
        counts.distinct = len(carried)
        counts.variants = len(np.unique(rows))
        if carried.size:
            counts.min_growth = int(growth[carried].min())
            counts.max_growth = int(growth[carried].max())
        counts.deleted_anchors = int(np.count_nonzero(self.layout.deleted[self.kind_of]))

    def _check(self, stored: StoredWindow, columns: EditColumns, written: list[int]) -> None:
        """Compare the first haplotypes of a run with what their edit lists give."""
        if self.source._checked or not written:
            return
        self.source._checked = True
        for number, kind in list(enumerate(written, start=1))[:_SELF_CHECKED]:
            plain = edited_sequence(
                stored.bases, stored.flank_start, stored.window, columns.edits(number)
            )
            if not np.array_equal(self._bases_of(stored, kind), plain):
                raise RuntimeError(f"{columns.ids[number]}: bases and edit list do not agree")

    def _name(self, row: int) -> str:
        calls = self.calls
        contig = self.source._contigs[self.window.contig]
        return f"{contig}:{calls.positions[row] + 1} {calls.refs[row]}>{calls.alts[row]}"


def _shared_start(ref: str, alt: str) -> int:
    shared = 0
    while shared < min(len(ref), len(alt)) and ref[shared] == alt[shared]:
        shared += 1
    return shared


def _repeated(value: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, dtype=np.int32)), [value])


def _contrasts(stored: StoredWindow, ids: Sequence[str]) -> dict[str, Any]:
    """Rows of `CONTRASTS`: every haplotype of a window against its reference."""
    constant: dict[str, Any] = {
        "pair": "only",
        "reference_id": ids[0],
        "contig": stored.contig,
        "position": stored.anchor,
        "ref": "",
        "alt": "",
        "anchor": stored.name,
        "distance": 0,
        "context": "",
        "locus": stored.name,
        "truth_effect": None,
    }
    rows = {name: [value] * (len(ids) - 1) for name, value in constant.items()}
    return rows | {"contrast_id": list(ids[1:]), "alternative_id": list(ids[1:])}


def write_windows(path: str | Path, counts: Sequence[WindowCounts]) -> None:
    """Write the table of windows."""
    names = [column.name for column in fields(WindowCounts)]
    rows = [[getattr(row, name) for name in names] for row in counts]
    write_tsv(path, pd.DataFrame(rows, columns=names))


def write_samples(path: str | Path, names: Sequence[str]) -> None:
    """Write the names of the samples beside their numbers, the only place that has them."""
    write_tsv(path, pd.DataFrame({"index": range(len(names)), "name": list(names)}))
