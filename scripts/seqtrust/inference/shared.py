"""Predictions of many sequences of one window that compute equal stretches once.

The layers before the last pooling make their output from short stretches of bases. At every
pooling the positions of all sequences are numbered by what they can see, and each number is
computed once: haplotypes of one window, with or without insertions and deletions, share them.
What comes after is computed once per distinct row of numbers. Equal numbers mean equal bases at
an equal offset within the pooling width, so nothing is approximated. Dropout with fixed masks
acts by position, so sharing ends before it.
"""

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from itertools import chain, pairwise

import torch

from seqtrust.inference.local_graph import Interval, LocalGraph
from seqtrust.inference.numbering import Footprint, changed, differing, unique_rows

_BASES = 4

# tensors of an input's size that a run holds at a time, about
_COPIES = 8

# share of the multiplications below which a row is computed only where it differs
_NEAR = 0.7


@dataclass
class Saved:
    """What sharing saved, counted over a run.

    Attributes:
        positions: positions at the poolings that full passes would have computed.
        computed: those that were.
        sequences: sequences.
        rows: distinct rows of numbers that the layers after the last pooling were run on.
        near: those of them that were computed only where they differ from a reference.
        macs: multiplications that were computed.
    """

    positions: int = 0
    computed: int = 0
    sequences: int = 0
    rows: int = 0
    near: int = 0
    macs: int = 0

    def __sub__(self, other: "Saved") -> "Saved":
        return Saved(*map(operator.sub, astuple(self), astuple(other)))

    def __add__(self, other: "Saved") -> "Saved":
        return Saved(*map(operator.add, astuple(self), astuple(other)))


@dataclass
class SharedGraph:
    """A local graph cut at its poolings.

    Attributes:
        graph: the whole graph.
        after: where given, the graph that the steps after the last pooling are those of; what
            its products make of changes is in lower precision.
        replicates: whose channels are side by side.
        budget: bytes of activations that one batch may hold, about.
        saved: what sharing saved so far.
    """

    graph: LocalGraph
    after: LocalGraph | None = None
    replicates: int = 1
    budget: int = 256_000_000
    saved: Saved = field(default_factory=Saved)

    def __post_init__(self) -> None:
        self._bounds = [0, *_cuts(self.graph)]
        self._levels = [_part(self.graph, *ends) for ends in pairwise(self._bounds)]
        last = self._bounds[-1], len(self.graph.steps) - 1
        self._rest = _part(self.after or self.graph, *last)

    def predict(self, codes: torch.Tensor, table: torch.Tensor, wanted: Interval) -> torch.Tensor:
        """Output positions of sequences that are alike.

        Args:
            codes: uint8 (N, L); the first one is what the others are compared with.
            table: what the network sees for every code, shape (codes, 4).
            wanted: positions [first, stop) of the output.

        Returns:
            (N, channels of the output, stop - first).
        """
        lengths = self.graph.lengths(codes.shape[1])
        needed = self.graph.needed({len(self.graph.steps) - 1: wanted}, lengths)
        start, stop = needed[0]
        at = _Numbered(
            codes[:, start:stop].to(torch.int32), table[codes[0, start:stop].long()], table
        )
        for level, (first, last) in zip(self._levels, pairwise(self._bounds), strict=True):
            ends = needed[first], needed[last]
            at = self._climb(level, at, ends, lengths[first : last + 1])
        rows, place = unique_rows(at.numbers)
        self.saved.sequences += len(codes)
        self.saved.rows += len(rows)
        last = self._bounds[-1]
        intervals = {number - last: span for number, span in needed.items() if number >= last}
        outputs = self._finish(at, rows, int(place[0]), intervals, lengths[last:])
        return outputs[place]

    def _finish(
        self,
        at: "_Numbered",
        rows: torch.Tensor,
        reference: int,
        needed: Mapping[int, Interval],
        lengths: Sequence[int],
    ) -> torch.Tensor:
        """The output of rows: where they differ little from the reference, only what changes.

        Args:
            at: the numbers at the last pooling.
            rows: the rows that are wanted.
            reference: place among the rows of the first sequence's.
            needed: positions of the steps after the last pooling.
            lengths: positions of these steps.
        """
        numbers = at.numbers[rows]
        whole = self._rest.macs(needed)
        spans = differing(numbers, reference)
        near = {}
        for row, (first, stop) in enumerate(spans):
            if row != reference:
                span = first + needed[0][0], stop + needed[0][0]
                reached = self._rest.reached(span, needed, lengths)
                if self._rest.macs(reached) < _NEAR * whole:
                    near[row] = reached
        self.saved.near += len(near)
        if not near and not self.after:
            return self._run(self._rest, numbers, at.table, needed, lengths)
        shown = at.table[numbers[reference].long()]
        kept = self._whole(self._rest, shown, needed, lengths, keep=tuple(sorted(needed)))
        outputs = kept[max(needed)].repeat(len(rows), 1, 1)
        far = [row for row in range(len(rows)) if row not in near and row != reference]
        if far:
            index = torch.tensor(far, device=numbers.device)
            if self.after:
                everywhere = self._rest.reached(needed[0], needed, lengths)
                computed = self._run_changed(
                    numbers[index], at.table, everywhere, kept, needed, lengths
                )
            else:
                computed = self._run(self._rest, numbers[index], at.table, needed, lengths)
            outputs[index] = computed
        for row, reached in near.items():
            first, stop = (end - needed[0][0] for end in reached[0])
            outputs[row] = self._run_changed(
                numbers[row : row + 1, first:stop], at.table, reached, kept, needed, lengths
            )[0]
        return outputs

    def _climb(
        self,
        level: LocalGraph,
        below: "_Numbered",
        ends: tuple[Interval, Interval],
        lengths: Sequence[int],
    ) -> "_Numbered":
        """The numbers at the next pooling.

        Args:
            level: the steps from one pooling to the next.
            below: the numbers at this one.
            ends: positions needed at this one and at the next.
            lengths: positions of the level's steps.
        """
        have, want = ends
        foot = Footprint.of_level(level, lengths)
        inner = foot.inside(lengths, want)
        size = count = want[1] - want[0]
        numbers = torch.arange(count, dtype=torch.int32, device=below.numbers.device)
        numbers = numbers.repeat(len(below.numbers), 1)
        several = []
        if inner[0] < inner[1]:
            differs = changed(below.numbers, foot, inner, have[0])
            sequence, position = torch.nonzero(differs, as_tuple=True)
            begin = position * foot.strides[0] + (foot.first(inner[0]) - have[0])
            within = torch.arange(foot.widths[0], device=begin.device)
            seen = below.numbers[sequence[:, None], begin[:, None] + within]
            position = position + (inner[0] - want[0])
            first, kind = unique_rows(seen)
            numbers[sequence, position] = (size + kind).to(torch.int32)
            size += len(first)
            spans = foot.absolute(inner[0])
            several.append(_Windows(seen[first], spans, sequence[first], position[first]))
        # windows that stick out of the sequence see padding, at a place of their own
        for at in (*range(want[0], inner[0]), *range(inner[1], want[1])):
            spans = level.needed({len(level.steps) - 1: (at, at + 1)}, lengths)
            low, high = spans[0]
            seen = below.numbers[:, low - have[0] : high - have[0]]
            first, kind = unique_rows(seen)
            numbers[:, at - want[0]] = (size + kind).to(torch.int32)
            size += len(first)
            place = torch.full_like(first, at - want[0])
            several.append(_Windows(seen[first], spans, first, place))
        self.saved.positions += count * len(numbers)
        self.saved.computed += size
        dense, made = self._values(level, below, several, ends, lengths)
        return _Numbered(numbers, dense, torch.cat([dense, *made]))

    def _values(
        self,
        level: LocalGraph,
        below: "_Numbered",
        several: Sequence["_Windows"],
        ends: tuple[Interval, Interval],
        lengths: Sequence[int],
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """What a level gives for the first sequence, and for windows of the others.

        Windows that overlap compute some things twice; where that is more than whole rows need,
        those are run.
        """
        top = len(level.steps) - 1
        whole = level.needed({top: ends[1]}, lengths) | {0: ends[0]}
        dense = self._whole(level, below.dense, whole, lengths)[top][0].T
        filled = [one for one in several if len(one.seen)]
        apart = sum(len(one.seen) * level.macs(one.spans) for one in filled)
        if apart <= (len(below.numbers) - 1) * level.macs(whole):
            runs = (self._run(level, w.seen, below.table, w.spans, lengths) for w in filled)
            return dense, [values[..., 0] for values in runs]
        made = [dense.new_empty((len(one.seen), dense.shape[1])) for one in filled]
        rows = self._runs(level, below.numbers[1:], below.table, whole, lengths)
        done = 0
        for values in chain([dense.T[None]], rows):
            for one, into in zip(filled, made, strict=True):
                mine = (one.sequence >= done) & (one.sequence < done + len(values))
                into[mine] = values[one.sequence[mine] - done, :, one.position[mine]]
            done += len(values)
        return dense, made

    def _whole(
        self,
        graph: LocalGraph,
        shown: torch.Tensor,
        needed: Mapping[int, Interval],
        lengths: Sequence[int],
        keep: Sequence[int] = (),
    ) -> dict[int, torch.Tensor]:
        """The last step and those to keep, for one sequence's values (positions, channels)."""
        self.saved.macs += graph.macs(needed)
        return graph.run({0: shown.T[None]}, needed, lengths, keep)

    def _run(
        self,
        graph: LocalGraph,
        numbers: torch.Tensor,
        table: torch.Tensor,
        needed: Mapping[int, Interval],
        lengths: Sequence[int],
    ) -> torch.Tensor:
        """The last step's output for rows of numbers (U, width): (U, channels, positions)."""
        return torch.cat(list(self._runs(graph, numbers, table, needed, lengths)))

    def _runs(
        self,
        graph: LocalGraph,
        numbers: torch.Tensor,
        table: torch.Tensor,
        needed: Mapping[int, Interval],
        lengths: Sequence[int],
    ) -> Iterator[torch.Tensor]:
        """The same, some rows at a time."""
        self.saved.macs += len(numbers) * graph.macs(needed)
        for part in self._batches(numbers, table):
            shown = table[part.long()].transpose(1, 2)
            yield graph.run({0: shown}, needed, lengths)[max(needed)]

    def _run_changed(
        self,
        numbers: torch.Tensor,
        table: torch.Tensor,
        reached: Mapping[int, Interval],
        kept: Mapping[int, torch.Tensor],
        needed: Mapping[int, Interval],
        lengths: Sequence[int],
    ) -> torch.Tensor:
        """The output after the last pooling, from what rows change of a kept one."""
        self.saved.macs += len(numbers) * self._rest.macs(reached)
        parts = [
            self._rest.run_changed(
                table[part.long()].transpose(1, 2), reached, kept, needed, lengths
            )
            for part in self._batches(numbers, table)
        ]
        return torch.cat(parts)

    def _batches(self, numbers: torch.Tensor, table: torch.Tensor) -> Sequence[torch.Tensor]:
        """Rows of numbers, so many at a time as fit into the budget."""
        # the bases are not side by side, but what is made of them is
        channels = max(table.shape[1], _BASES * self.replicates)
        row = _COPIES * table.element_size() * channels * numbers.shape[1]
        return numbers.split(max(1, self.budget // row))


@dataclass(frozen=True)
class _Windows:
    """Windows of a level that are computed, one per kind.

    Attributes:
        seen: the numbers in the first window of every kind, (kinds, positions).
        spans: positions of the level's steps that such a window needs.
        sequence: which sequence that window is of, (kinds,).
        position: its place among the positions that are wanted, (kinds,).
    """

    seen: torch.Tensor
    spans: Mapping[int, Interval]
    sequence: torch.Tensor
    position: torch.Tensor


@dataclass(frozen=True)
class _Numbered:
    """Positions of N sequences by number, and what the numbers stand for.

    Attributes:
        numbers: int32 (N, positions).
        dense: the first sequence's values, (positions, channels).
        table: values by number, (numbers, channels).
    """

    numbers: torch.Tensor
    dense: torch.Tensor
    table: torch.Tensor


def _cuts(graph: LocalGraph) -> list[int]:
    """Steps with a stride that everything later goes through, before masks by position."""
    placed = (number for number, step in enumerate(graph.steps) if step.placed)
    masked = next(placed, len(graph.steps))
    found = []
    lowest = len(graph.steps)
    for number in range(len(graph.steps) - 1, 0, -1):
        if graph.steps[number].stride > 1 and lowest >= number:
            found.append(number)
        lowest = min(lowest, *graph.steps[number].inputs)
    return [number for number in found[::-1] if number < masked]


def _part(graph: LocalGraph, first: int, last: int) -> LocalGraph:
    """The steps from `first`, which becomes the input, to `last`."""
    steps = [
        replace(step, inputs=tuple(source - first for source in step.inputs))
        for step in graph.steps[first + 1 : last + 1]
    ]
    return LocalGraph((graph.steps[0], *steps))
