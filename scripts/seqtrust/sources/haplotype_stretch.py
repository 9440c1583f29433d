"""Phased calls around one window: what its haplotypes carry, and how much flank they need."""

from collections.abc import Iterator

import numpy as np

from seqtrust import bases
from seqtrust.edit_columns import EditColumns
from seqtrust.errors import InputError
from seqtrust.genome import Genome, Window
from seqtrust.genotype_files import Genotypes
from seqtrust.genotypes import ABSENT, UNKNOWN
from seqtrust.haplotype_edits import (
    Edits,
    Integers,
    Mask,
    distinct_columns,
    layout,
    reaching,
    without_overlaps,
)
from seqtrust.sequence_set import StoredWindow, sequence_hash
from seqtrust.sources.haplotype_rules import (
    DUPLICATE,
    MIXED_PLOIDY,
    NO_CHANGE,
    OVERLAPPING,
    SYMBOLIC,
    HaplotypeRules,
    WindowCounts,
)
from seqtrust.sources.variant_records import REF_DIFFERS

_READ_AHEAD = 1024
_SELF_CHECKED = 8
_PLAIN = frozenset("ACGT")


class Stretch:
    """The calls of [start, end) as edits, and what a window makes of them.

    `needed` says whether the stretch is wide enough; `count`, `sequences` and `columns` hold
    for one that is.
    """

    def __init__(
        self,
        genome: Genome,
        genotypes: Genotypes,
        rules: HaplotypeRules,
        window: Window,
        start: int,
        end: int,
    ) -> None:
        """Read the calls and apply the rules.

        Args:
            genome: assembly of the window.
            genotypes: calls of the chosen samples.
            rules: what is done with them.
            window: where the haplotypes are cut.
            start: first base examined, 0-based.
            end: end of what is examined, half-open.

        Raises:
            InputError: what the rules refuse.
        """
        self.genome, self.genotypes, self.rules = genome, genotypes, rules
        self.window, self.start, self.end = window, start, end
        self._contig = genotypes.contig(window.contig)
        self._left_out: list[tuple[int, str]] = []
        self.tally = dict.fromkeys(
            ("not_snv", "symbolic", "no_change", "ref_differs", "frequency", "duplicates"), 0
        )
        ahead = 0 if rules.variants == "snvs" else _READ_AHEAD
        self.calls = genotypes.fetch(self._contig, start, end, ahead)
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
        self._bases = self.genome.fetch(window.contig, first, last, pad=True)

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
                self._left_out.append((row, reason))

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
            place = f"{self.genotypes.path}, REF of the records near {self.window}"
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
        genotypes = self.genotypes
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

    def count(self, counts: WindowCounts) -> None:
        """Add what was left out to the counts."""
        for kind, number in self.tally.items():
            setattr(counts, kind, number)
        multiplicity = np.bincount(self.kind_of, minlength=self.lost.shape[1])
        counts.overlaps = int((self.lost @ multiplicity).sum())
        counts.start, counts.end = self.start, self.end
        counts.missing_calls, counts.unphased_calls = self.missing_calls, self.unphased_calls
        counts.mixed_ploidy = int(np.count_nonzero(self.mixed))
        counts.skipped_samples = int(np.count_nonzero(self.dropped & ~self.mixed))
        counts.samples = len(np.unique(self.columns // 2))
        counts.haplotypes = len(self.columns)

    def left_out(self, counts: WindowCounts) -> Iterator[tuple[str, str]]:
        """Records, or the window as a whole, with the reason why something was left out."""
        for row, reason in self._left_out:
            yield self._name(row), reason
        for row in np.flatnonzero(self.lost.any(axis=1)).tolist():
            yield self._name(int(self.edits.record[row])), OVERLAPPING
        for kind in ("missing", "unphased"):
            if number := getattr(counts, f"{kind}_calls"):
                effect = {"reference": "set to REF", "skip_sample": "samples left out"}
                done = effect[getattr(self.rules, kind)]
                yield f"window {counts.window}", f"{kind} calls: {number}, {done}"
        if counts.mixed_ploidy:
            reason = f"{MIXED_PLOIDY}: {counts.mixed_ploidy} samples left out"
            yield f"window {counts.window}", reason

    def sequences(
        self, name: str, counts: WindowCounts, check: bool
    ) -> tuple[StoredWindow, EditColumns, Integers]:
        """The stored window, its distinct sequences, and which one every haplotype has.

        Args:
            name: of the window.
            counts: what is found is added.
            check: compare some sequences with what `edits.edited_sequence` gives.

        Returns:
            The window, its distinct sequences with the reference first, and the index of the
            sequence of every haplotype of `columns`.
        """
        stored = self._stored(name)
        owner, rows = reaching(self.distinct, self.layout, self.start, self.window.length)
        sizes = np.bincount(owner, minlength=len(self.layout.first))
        kinds = EditColumns(
            [],
            np.concatenate([[0], np.cumsum(sizes)]),
            self.distinct.start[rows],
            self.distinct.end[rows],
            rows,
            self.distinct.words.tolist(),
        )
        sequence_of, written, hashes = _distinct(stored, kinds)
        ids = [f"{name}.ref", *(f"{name}.h{number}" for number in range(1, len(written) + 1))]
        taken = np.isin(owner, written)
        columns = EditColumns(
            ids,
            np.concatenate([[0, 0], np.cumsum(sizes[written])]),
            kinds.starts[taken],
            kinds.ends[taken],
            rows[taken],
            kinds.replacements,
            hashes,
        )
        if check:
            _check(stored, columns)
        growth = np.zeros(len(ids), dtype=np.int64)
        of_edits = np.repeat(np.arange(len(ids)), np.diff(columns.offsets))
        np.add.at(growth, of_edits, self.distinct.growth[rows[taken]])
        self._count_sequences(counts, sequence_of, growth, rows[taken])
        return stored, columns, sequence_of[self.kind_of]

    def _stored(self, name: str) -> StoredWindow:
        window = self.window
        first = self.start - self._bases_start
        return StoredWindow(
            name,
            window.assembly,
            window.contig,
            window.anchor,
            window.anchor_index,
            window.length,
            window.strand,
            self.start,
            self._bases[first : first + self.end - self.start],
        )

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

    def _name(self, row: int) -> str:
        calls = self.calls
        return f"{self._contig}:{calls.positions[row] + 1} {calls.refs[row]}>{calls.alts[row]}"


def _distinct(stored: StoredWindow, kinds: EditColumns) -> tuple[Integers, Integers, list[bytes]]:
    """Number the kinds of haplotypes by their bases.

    Returns:
        The sequence of every kind, 0 for the reference; the kinds that stand for sequences
        1, 2, ...; and the hashes of sequences 0, 1, ...
    """
    number = {sequence_hash(stored.sequence(())): 0}
    written: list[int] = []
    sequence_of: list[int] = []
    for block in stored.blocks(kinds):
        for codes in block:
            found = number.setdefault(sequence_hash(codes), len(number))
            if found > len(written):
                written.append(len(sequence_of))
            sequence_of.append(found)
    return np.array(sequence_of, dtype=np.int64), np.array(written, dtype=np.int64), list(number)


def _check(stored: StoredWindow, columns: EditColumns) -> None:
    """Compare the first haplotypes of a run with what their edit lists give."""
    for number, mark in enumerate((columns.hashes or ())[:_SELF_CHECKED]):
        if sequence_hash(stored.sequence(columns.edits(number))) != mark:
            raise RuntimeError(f"{columns.ids[number]}: bases and edit list do not agree")


def _shared_start(ref: str, alt: str) -> int:
    shared = 0
    while shared < min(len(ref), len(alt)) and ref[shared] == alt[shared]:
        shared += 1
    return shared
