"""Which positions of sequences differ in what they can see, and rows of numbers by kind."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from seqtrust.inference.local_graph import Interval, LocalGraph


@dataclass(frozen=True)
class Footprint:
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
    def of_level(cls, graph: LocalGraph, lengths: Sequence[int]) -> "Footprint":
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


def differing(numbers: torch.Tensor, reference: int) -> list[Interval]:
    """For every row the positions [first, stop) that hold all differences from a reference."""
    differs = numbers != numbers[reference]
    width = numbers.shape[1]
    first = differs.int().argmax(dim=1)
    stop = width - differs.flip(1).int().argmax(dim=1)
    return list(zip(first.tolist(), stop.tolist(), strict=True))


def changed(numbers: torch.Tensor, foot: Footprint, inner: Interval, offset: int) -> torch.Tensor:
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
