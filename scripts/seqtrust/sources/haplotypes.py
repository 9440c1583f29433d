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
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from seqtrust import bases
from seqtrust.edits import Edit, edited_anchor
from seqtrust.errors import InputError
from seqtrust.files import whole_file, write_tsv
from seqtrust.genome import Genome, Window
from seqtrust.genotypes import ABSENT, UNKNOWN, Calls, GenotypeFile
from seqtrust.sequence_set import EditColumns, StoredWindow, sequence_hash
from seqtrust.sources.reference import beyond_contig_reason
from seqtrust.sources.skipped import Skipped
from seqtrust.sources.variants import CONTRASTS, REF_DIFFERS
from seqtrust.tables import Column, TableSchema

SYMBOLIC = "ALT is symbolic"
NO_CHANGE = "ALT equals REF"
DUPLICATE = "repeats an earlier record"
OVERLAPPING = "overlaps an earlier variant of the same haplotype"
MIXED_PLOIDY = "ploidy changes within the window"

_READ_AHEAD = 1024
_EARLY_RECORDS = 1000
_ROWS_AT_ONCE = 100_000
_SELF_CHECKED = 8
_PLAIN = frozenset("ACGT")

_Integers = npt.NDArray[np.int64]
_Mask = npt.NDArray[np.bool_]

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


@dataclass(frozen=True)
class Edits:
    """Edits of a stretch, A of them, and the haplotypes, H, that carry them.

    Attributes:
        record: row of the edit's record among the calls, shape (A,).
        number: number of the ALT allele, from 1, shape (A,).
        start: first base replaced, 0-based, shape (A,).
        end: end of what is replaced, half-open, shape (A,).
        words: replacements, shape (A,).
        carried: shape (A, H).
    """

    record: _Integers
    number: _Integers
    start: _Integers
    end: _Integers
    words: npt.NDArray[np.object_]
    carried: _Mask

    def __len__(self) -> int:
        return len(self.start)

    @property
    def growth(self) -> _Integers:
        """Bases gained (positive) or lost by every edit."""
        lengths = np.array([len(word) for word in self.words], dtype=np.int64)
        return lengths - (self.end - self.start)

    def select(self, rows: _Mask | _Integers) -> Self:
        """The edits of a mask or in an order."""
        arrays = (self.record, self.number, self.start, self.end, self.words, self.carried)
        return type(self)(*(array[rows] for array in arrays))

    def edit(self, row: int) -> Edit:
        """One edit."""
        return Edit(int(self.start[row]), int(self.end[row]), self.words[row])


def overlapping_earlier(start: _Integers, end: _Integers) -> dict[int, _Integers]:
    """For every edit that overlaps earlier ones, the rows of those.

    Args:
        start: first base replaced, in the order of the file, shape (A,).
        end: end of what is replaced, half-open, shape (A,).
    """
    # bases are even slots and the gaps before them odd ones, so that an insertion has a place
    insertion = start == end
    first = 2 * start - insertion
    last = np.where(insertion, 2 * start, 2 * end - 1)
    order = np.argsort(first, kind="stable")
    reached = np.searchsorted(first[order], last[order], side="left")
    counts = reached - np.arange(len(order)) - 1
    left = np.repeat(np.arange(len(order)), counts)
    offsets = np.arange(len(left)) - np.repeat(np.cumsum(counts) - counts, counts)
    pairs = np.stack([order[left], order[left + 1 + offsets]])
    earlier, later = pairs.min(axis=0), pairs.max(axis=0)
    return {int(row): earlier[later == row] for row in np.unique(later)}


def without_overlaps(edits: Edits) -> tuple[Edits, _Mask]:
    """Let the first of overlapping edits win on every haplotype.

    Args:
        edits: in the order of the file.

    Returns:
        The edits that are kept, and which were lost, shape (A, H).
    """
    carried = edits.carried.copy()
    for row, earlier in overlapping_earlier(edits.start, edits.end).items():
        carried[row] &= ~carried[earlier].any(axis=0)
    kept = Edits(edits.record, edits.number, edits.start, edits.end, edits.words, carried)
    return kept, edits.carried & ~carried


def distinct_columns(carried: _Mask) -> tuple[_Integers, _Integers]:
    """Distinct columns of a matrix of shape (A, H), numbered by first appearance.

    Returns:
        The first column of each kind, shape (D,), and the kind of every column, shape (H,).
    """
    packed = np.packbits(np.ascontiguousarray(carried.T), axis=1)
    width = packed.shape[1]
    raw = packed.tobytes()
    kinds: dict[bytes, int] = {}
    kind_of = np.empty(carried.shape[1], dtype=np.int64)
    first: list[int] = []
    for column in range(carried.shape[1]):
        key = raw[column * width : (column + 1) * width]
        kind_of[column] = kind = kinds.setdefault(key, len(kinds))
        if kind == len(first):
            first.append(column)
    return np.array(first, dtype=np.int64), kind_of


@dataclass(frozen=True)
class Layout:
    """Where the window lies on every edited haplotype of a stretch.

    Attributes:
        first: index of the window's first base on the edited stretch, shape (D,).
        available: bases of the edited stretch, shape (D,).
        deleted: whether the anchor is deleted, shape (D,).
        deletes_anchor: edits that delete the anchor, shape (A,).
    """

    first: _Integers
    available: _Integers
    deleted: _Mask
    deletes_anchor: _Mask

    def lacking(self, length: int) -> tuple[int, int]:
        """Bases of flank that some haplotype lacks on the left and on the right."""
        left = max(0, -int(self.first.min(initial=0)))
        right = max(0, int((self.first + length - self.available).max(initial=0)))
        return left, right


def layout(edits: Edits, window: Window, start: int, end: int) -> Layout:
    """Find the window on haplotypes with sorted disjoint edits of [start, end)."""
    growth = edits.growth
    shift = _weighted(np.where(edits.end <= window.anchor, growth, 0), edits.carried)
    total = _weighted(growth, edits.carried)
    replaced = np.array([len(word) for word in edits.words], dtype=np.int64)
    deletes = (edits.start <= window.anchor) & (window.anchor < edits.end)
    deletes &= window.anchor - edits.start >= replaced
    deleted = edits.carried[deletes].any(axis=0)
    for column in np.flatnonzero(deleted):
        own = [edits.edit(row) for row in np.flatnonzero(edits.carried[:, column])]
        anchor, _ = edited_anchor(window.anchor, own, window.strand)
        shift[column] = anchor - window.anchor
    first = window.start + shift - start
    return Layout(first, end - start + total, deleted, deletes)


def _weighted(weights: _Integers, carried: _Mask) -> _Integers:
    """Sum of the weights of the edits that every haplotype carries, shape (H,)."""
    rows = np.flatnonzero(weights)
    return weights[rows] @ carried[rows].astype(np.int64)


class Scribe:
    """Writes the bases of haplotypes of one stretch.

    Substitutions are scattered into a copy of the reference, then insertions and deletions are
    spliced. Everything is complemented beforehand on the minus strand.
    """

    def __init__(self, reference: bases.Codes, start: int, window: Window, edits: Edits) -> None:
        """Prepare the edits.

        Args:
            reference: codes of the stretch, forward strand.
            start: first position of the stretch, 0-based.
            window: strand and length.
            edits: sorted, disjoint on every haplotype, inside the stretch.
        """
        self.window = window
        self.edits = edits
        self._first = edits.start - start
        self._last = edits.end - start
        self._reference = self._oriented(reference)
        same_length = edits.growth == 0
        atoms: list[tuple[int, int, int]] = []
        for row in np.flatnonzero(same_length):
            word = self._oriented(bases.encode(edits.words[row]))
            atoms += [(int(row), int(self._first[row]) + i, int(c)) for i, c in enumerate(word)]
        table = np.array(atoms, dtype=np.int64).reshape(-1, 3)
        self._places, self._codes = table[:, 1], table[:, 2].astype(np.uint8)
        self._scattered = np.ascontiguousarray(edits.carried[table[:, 0]].T)
        self._indels = np.flatnonzero(~same_length)
        self._spliced = np.ascontiguousarray(edits.carried[self._indels].T)
        self._words = {
            int(row): self._oriented(bases.encode(edits.words[row])) for row in self._indels
        }

    def _oriented(self, codes: bases.Codes) -> bases.Codes:
        return codes if self.window.strand == "+" else bases.reverse_complement(codes)[::-1]

    def write(self, column: int, first: int) -> bases.Codes:
        """The model input of one haplotype, whose window begins at `first` of its bases."""
        codes = self._reference.copy()
        atoms = self._scattered[column]
        codes[self._places[atoms]] = self._codes[atoms]
        indels = self._indels[self._spliced[column]]
        if indels.size:
            pieces: list[bases.Codes] = []
            done = 0
            for row in indels:
                pieces += [codes[done : self._first[row]], self._words[int(row)]]
                done = int(self._last[row])
            codes = np.concatenate([*pieces, codes[done:]])
        codes = codes[first : first + self.window.length]
        return codes if self.window.strand == "+" else np.ascontiguousarray(codes[::-1])


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
            if waiting:
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
    ) -> tuple[StoredWindow, EditColumns, _Integers, _Integers, pa.DictionaryArray] | None:
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
        # an insertion before the first base belongs to the base before it
        self.calls = source.genotypes.fetch(contig, start - 1, end, ahead)
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
        integers = (np.array(column, dtype=np.int64) for column in (record, number, start, end))
        return Edits(*integers, replacements, np.zeros((len(words), 0), dtype=bool))

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
            bad = next(row for row in rows if not self.calls.refs[row].isalpha())
            raise InputError(f"{self.source.genotypes.path}: {self._name(bad)}: {error}") from error
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
        self._both_reference: _Mask | None = None
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

    def _apply_policies(self, rows: _Integers) -> None:
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
        else:
            self._both_reference = np.zeros(self.calls.phased.shape, dtype=bool)
            self._both_reference[rows] = unphased

    def _refuse(self, kind: str, calls: _Mask, rows: _Integers) -> None:
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
        edits = Edits(
            edits.record, edits.number, edits.start, edits.end, edits.words, carried
        )
        return edits.select(carried.any(axis=1))

    # --- how much flank ----------------------------------------------------------------------

    def needed(self) -> tuple[int, int]:
        """The stretch that must be examined: this one once it is wide enough."""
        first = min(self.start, int(self.edits.start.min(initial=self.start)))
        last = max(self.end, int(self.edits.end.max(initial=self.end)))
        if (first, last) != (self.start, self.end):
            return first, last
        representatives, self.kind_of = distinct_columns(self.edits.carried)
        distinct = self.edits.select(np.arange(len(self.edits)))
        distinct = Edits(
            distinct.record,
            distinct.number,
            distinct.start,
            distinct.end,
            distinct.words,
            self.edits.carried[:, representatives],
        )
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
        for row in np.flatnonzero(self.lost.any(axis=1)):
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
    ) -> tuple[StoredWindow, EditColumns, _Integers, _Integers, pa.DictionaryArray]:
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
        scribe = Scribe(reference, self.start, window, self.distinct)
        hashes = [sequence_hash(stored.sequence(()))]
        sequence_of_hash = {hashes[0]: 0}
        kinds = self.distinct.carried.shape[1]
        sequence_of = np.empty(kinds, dtype=np.int64)
        written: list[int] = []
        for kind in range(kinds):
            digest = sequence_hash(scribe.write(kind, int(self.layout.first[kind])))
            sequence_of[kind] = number = sequence_of_hash.setdefault(digest, len(hashes))
            if number == len(hashes):
                hashes.append(digest)
                written.append(kind)
        ids = [f"{name}.ref", *(f"{name}.h{number}" for number in range(1, len(hashes)))]
        owner, rows = self._reaching(np.array(written, dtype=np.int64))
        columns = EditColumns(
            ids,
            hashes,
            np.concatenate([[0], np.cumsum(np.bincount(owner + 1, minlength=len(ids)))]),
            self.distinct.start[rows],
            self.distinct.end[rows],
            rows,
            self.distinct.words.tolist(),
        )
        self._count_sequences(counts, sequence_of, owner, rows, len(ids))
        self._check(stored, columns, scribe, written)
        haplotype_ids = pa.DictionaryArray.from_arrays(
            pa.array(sequence_of[self.kind_of], type=pa.int32()), pa.array(ids)
        )
        return stored, columns, self.columns // 2, self.columns % 2, haplotype_ids

    def _reaching(self, kinds: _Integers) -> tuple[_Integers, _Integers]:
        """Edits of each kind that change the window's bytes: (index of the kind, row), sorted.

        An edit whose bases all lie before the window's first base, or behind its last, moves
        nothing inside it, unless it deletes the anchor.
        """
        edits = self.distinct
        owner, rows = np.nonzero(np.ascontiguousarray(edits.carried[:, kinds].T))
        growth = edits.growth[rows]
        before = np.cumsum(growth) - growth
        counts = np.bincount(owner, minlength=len(kinds))
        group_start = np.cumsum(counts) - counts
        before -= np.repeat(before[group_start[counts > 0]], counts[counts > 0])
        place = edits.start[rows] - self.start + before
        width = growth + edits.end[rows] - edits.start[rows]
        first = self.layout.first[kinds][owner]
        outside = (place + width <= first) | (place >= first + self.window.length)
        kept = ~outside | self.layout.deletes_anchor[rows]
        return owner[kept], rows[kept]

    def _count_sequences(
        self,
        counts: WindowCounts,
        sequence_of: _Integers,
        owner: _Integers,
        rows: _Integers,
        sequences: int,
    ) -> None:
        growth = np.bincount(owner + 1, self.distinct.growth[rows], minlength=sequences)
        carried = np.unique(sequence_of[self.kind_of])
        counts.distinct = len(carried)
        counts.variants = len(np.unique(rows))
        counts.min_growth = int(growth[carried].min(initial=0))
        counts.max_growth = int(growth[carried].max(initial=0))
        counts.deleted_anchors = int(np.count_nonzero(self.layout.deleted[self.kind_of]))

    def _check(
        self, stored: StoredWindow, columns: EditColumns, scribe: Scribe, written: list[int]
    ) -> None:
        """Compare the first sequences of a run with those that their edit lists give."""
        if self.source._checked or not written:
            return
        self.source._checked = True
        for number, kind in list(enumerate(written, start=1))[:_SELF_CHECKED]:
            fast = scribe.write(kind, int(self.layout.first[kind]))
            if not np.array_equal(fast, stored.sequence(columns.edits(number))):
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
