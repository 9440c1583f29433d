"""Predictions of many sequences of one window that compute equal stretches once.

The layers before the last pooling make their output from short stretches of bases. At every
pooling the positions of all sequences are numbered by what they can see, and each number is
computed once: haplotypes of one window, with or without insertions and deletions, share them.
What comes after is computed once per distinct row of numbers. Equal numbers mean equal bases at
an equal offset within the pooling width, so nothing is approximated. Dropout with fixed masks
acts by position, so sharing ends before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch

from seqtrust.inference.local_graph import Interval, LocalGraph

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
    """

    positions: int = 0
    computed: int = 0
    sequences: int = 0
    rows: int = 0
    near: int = 0

    def __sub__(self, other: "Saved") -> "Saved":
        return Saved(
            self.positions - other.positions,
            self.computed - other.computed,
            self.sequences - other.sequences,
            self.rows - other.rows,
            self.near - other.near,
        )

    def __add__(self, other: "Saved") -> "Saved":
        return Saved(
            self.positions + other.positions,
            self.computed + other.computed,
            self.sequences + other.sequences,
            self.rows + other.rows,
            self.near + other.near,
        )


@dataclass
class SharedGraph:
    """A local graph cut at its poolings.

    Attributes:
        graph: the whole graph.
        budget: bytes of activations that one batch may hold, about.
        saved: what sharing saved so far.
    """

    graph: LocalGraph
    budget: int = 256_000_000
    saved: Saved = field(default_factory=Saved)

    def __post_init__(self) -> None:
        self._bounds = [0, *_cuts(self.graph)]
        self._levels = [_part(self.graph, *ends) for ends in pairwise(self._bounds)]
        self._rest = _part(self.graph, self._bounds[-1], len(self.graph.steps) - 1)

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
        spans = _differing(numbers, reference)
        near = {}
        for row, (first, stop) in enumerate(spans):
            if row != reference:
                span = first + needed[0][0], stop + needed[0][0]
                reached = self._rest.reached(span, needed, lengths)
                if self._rest.macs(reached) < _NEAR * whole:
                    near[row] = reached
        far = [row for row in range(len(rows)) if row not in near]
        index = torch.tensor(far, device=numbers.device)
        if not near:
            return self._run(self._rest, numbers, at.table, needed, lengths)
        shown = at.table[numbers[reference].long()].T[None]
        kept = self._rest.run({0: shown}, needed, lengths, keep=tuple(sorted(needed)))
        computed = self._run(self._rest, numbers[index], at.table, needed, lengths)
        outputs = computed.new_empty((len(rows), *computed.shape[1:]))
        outputs[index] = computed
        for row, reached in near.items():
            first, stop = (end - needed[0][0] for end in reached[0])
            values = at.table[numbers[row, first:stop].long()].T[None]
            outputs[row] = self._rest.run_changed(values, reached, kept, needed, lengths)[0]
        self.saved.near += len(near)
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
        foot = _Footprint.of_level(level, lengths)
        inner = foot.inside(lengths, want)
        dense = _dense(level, below.dense, have, want, lengths)
        rows = [dense]
        count = want[1] - want[0]
        numbers = torch.arange(count, dtype=torch.int32, device=dense.device)
        numbers = numbers.repeat(len(below.numbers), 1)
        size = count
        if inner[0] < inner[1]:
            changed = _changed(below.numbers, foot, inner, have[0])
            sequence, position = torch.nonzero(changed, as_tuple=True)
            begin = position * foot.strides[0] + (foot.first(inner[0]) - have[0])
            within = torch.arange(foot.widths[0], device=begin.device)
            seen = below.numbers[sequence[:, None], begin[:, None] + within]
            first, kind = unique_rows(seen)
            if len(first):
                spans = foot.absolute(inner[0])
                rows.append(self._run(level, seen[first], below.table, spans, lengths)[..., 0])
            numbers[sequence, position + (inner[0] - want[0])] = (size + kind).to(torch.int32)
            size += len(first)
        # windows that stick out of the sequence see padding, at a place of their own
        for at in (*range(want[0], inner[0]), *range(inner[1], want[1])):
            spans = level.needed({len(level.steps) - 1: (at, at + 1)}, lengths)
            low, high = spans[0]
            first, kind = unique_rows(below.numbers[:, low - have[0] : high - have[0]])
            seen = below.numbers[first, low - have[0] : high - have[0]]
            rows.append(self._run(level, seen, below.table, spans, lengths)[..., 0])
            numbers[:, at - want[0]] = (size + kind).to(torch.int32)
            size += len(first)
        self.saved.positions += count * len(numbers)
        self.saved.computed += size
        return _Numbered(numbers, dense, torch.cat(rows))

    def _run(
        self,
        graph: LocalGraph,
        numbers: torch.Tensor,
        table: torch.Tensor,
        needed: Mapping[int, Interval],
        lengths: Sequence[int],
    ) -> torch.Tensor:
        """The last step's output for rows of numbers (U, width): (U, channels, positions)."""
        row = _COPIES * table.element_size() * table.shape[1] * numbers.shape[1]
        parts = [
            graph.run({0: table[part.long()].transpose(1, 2)}, needed, lengths)[max(needed)]
            for part in numbers.split(max(1, self.budget // row))
        ]
        return torch.cat(parts)


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


@dataclass(frozen=True)
class _Footprint:
    """What one interior position of a level's output sees at every step, if it were position 0.

    Attributes:
        starts: first position, per step.
        widths: positions, per step.
        strides: positions per position of the output, per step.
    """

    starts: tuple[int, ...]
    widths: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of_level(cls, graph: LocalGraph, lengths: Sequence[int]) -> "_Footprint":
        """The footprint of a level whose steps have so many positions."""
        last = len(graph.steps) - 1
        spans: dict[int, Interval] = {last: (0, 1)}
        strides = {last: 1}
        for number in range(last, 0, -1):
            step = graph.steps[number]
            for source in step.inputs:
                first, stop = step.needs(spans[number], lengths[source])
                strides[source] = strides[number] * step.stride
                if source in spans:
                    first, stop = min(first, spans[source][0]), max(stop, spans[source][1])
                spans[source] = first, stop
        return cls(
            tuple(spans[number][0] for number in range(last + 1)),
            tuple(spans[number][1] - spans[number][0] for number in range(last + 1)),
            tuple(strides[number] for number in range(last + 1)),
        )

    def first(self, position: int) -> int:
        """The first input position that an output position sees."""
        return position * self.strides[0] + self.starts[0]

    def absolute(self, position: int) -> dict[int, Interval]:
        """The positions of every step for an output position."""
        steps = zip(self.starts, self.widths, self.strides, strict=True)
        return {
            number: (position * stride + start, position * stride + start + width)
            for number, (start, width, stride) in enumerate(steps)
        }

    def inside(self, lengths: Sequence[int], wanted: Interval) -> Interval:
        """The wanted positions whose windows lie within every step's positions."""
        low, high = wanted
        for start, width, stride, length in zip(
            self.starts, self.widths, self.strides, lengths, strict=True
        ):
            low = max(low, -(start // stride))
            high = min(high, (length - start - width) // stride + 1)
        low = min(low, wanted[1])
        return low, max(low, high)


def _differing(numbers: torch.Tensor, reference: int) -> list[Interval]:
    """For every row the positions [first, stop) that hold all differences from a reference."""
    differs = numbers != numbers[reference]
    width = numbers.shape[1]
    first = differs.int().argmax(dim=1)
    stop = width - differs.flip(1).int().argmax(dim=1)
    return list(zip(first.tolist(), stop.tolist(), strict=True))


def _changed(numbers: torch.Tensor, foot: _Footprint, inner: Interval, offset: int) -> torch.Tensor:
    """Whether an interior position sees other numbers than the first row's: bool (N, inner)."""
    shape = len(numbers), numbers.shape[1] + 1
    differing = torch.zeros(shape, dtype=torch.int32, device=numbers.device)
    torch.cumsum(numbers != numbers[0], dim=1, dtype=torch.int32, out=differing[:, 1:])
    stride, first = foot.strides[0], foot.first(inner[0]) - offset
    span = (inner[1] - inner[0] - 1) * stride + 1
    behind = first + foot.widths[0]
    before, after = slice(first, first + span, stride), slice(behind, behind + span, stride)
    return differing[:, after] != differing[:, before]


def unique_rows(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Kinds of equal rows of integers.

    Args:
        rows: (N, K).

    Returns:
        The first row of every kind, and the kind of every row.
    """
    if not len(rows):
        none = torch.zeros(0, dtype=torch.long, device=rows.device)
        return none, none
    for keys in (_fingerprints(rows), rows):
        _, kind = torch.unique(keys, dim=0, return_inverse=True)
        first = torch.full((int(kind.max()) + 1,), len(rows), device=rows.device)
        first.scatter_reduce_(0, kind, torch.arange(len(rows), device=rows.device), "amin")
        # unequal rows rarely have one fingerprint, but then the rows themselves decide
        if torch.equal(rows[first][kind], rows):
            break
    return first, kind


def _fingerprints(rows: torch.Tensor) -> torch.Tensor:
    """A 64-bit number per row, from random odd weights."""
    generator = torch.Generator().manual_seed(rows.shape[1])
    weights = torch.randint(-(2**62), 2**62, (rows.shape[1],), generator=generator) * 2 + 1
    total = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
    for some, their in zip(rows.split(4096, dim=1), weights.split(4096), strict=True):
        total += (some.long() * their.to(rows.device)).sum(dim=1)
    return total


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


def _dense(
    graph: LocalGraph, values: torch.Tensor, have: Interval, want: Interval, lengths: Sequence[int]
) -> torch.Tensor:
    """The output (positions, channels) for input values of the same form."""
    top = len(graph.steps) - 1
    needed = graph.needed({top: want}, lengths) | {0: have}
    return graph.run({0: values.T[None]}, needed, lengths)[top][0].T
