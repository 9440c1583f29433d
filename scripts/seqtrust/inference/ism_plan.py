"""How substitutions go through a network as differences: blocks, windows and weights.

Mutants of neighbouring positions go together, in blocks. In every step the window of positions
that a mutant changes is its neighbour's, moved by one: a *cell* is what has a window of its own.
A step with a stride joins the mutants of as many cells into one, as more alternatives of it.
"""

import operator
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch

from seqtrust.bases import UNKNOWN
from seqtrust.inference.ism_network import End, Network
from seqtrust.inference.local_graph import Interval, Step
from seqtrust.inference.multiplications import counted
from seqtrust.inference.tracing import FUNCTIONS
from seqtrust.models import keras_layers
from seqtrust.models.activations import NotBfloat16
from seqtrust.models.fixed_dropout import FixedDropout
from seqtrust.predictions import OutputSpec

ALTERNATIVES = 3
_WIDE = 128  # positions from which a product per tap is faster than one for all taps
_PHASES = 128  # strides up to which all phases of the blocks are tried
_SAME_VALUES = (torch.nn.Identity, torch.nn.Dropout, NotBfloat16)
_LINEAR = (
    *_SAME_VALUES,
    FixedDropout,
    torch.nn.Conv1d,
    torch.nn.Linear,
    torch.nn.BatchNorm1d,
)


class Plan:
    """How all substitutions of sequences of one length act on some outputs.

    Attributes:
        root: for every step the earlier one that has the same change.
        strides: positions of the sequence per position of every step.
        period: the largest of them.
        phase: blocks begin at positions of this remainder by the period.
        cells: of a block, where the stride is the period.
        needed: the positions of every step that the outputs see.
        channels: of every step.
        macs: multiplications that were computed so far.
    """

    def __init__(
        self,
        network: Network,
        outputs: Sequence[OutputSpec],
        table: torch.Tensor,
        length: int,
        batch_bytes: int,
    ) -> None:
        """Plan.

        Args:
            network: in evaluation mode.
            outputs: what to keep, in the network's own orientation.
            table: what the network sees of every code, (codes, 4), on the network's device.
            length: of the sequences, bp.
            batch_bytes: of activations that are held at a time; at least one mutant per phase
                of the network's strides is.
        """
        self.network = network
        self.outputs = outputs
        self.table = table
        self.batch_bytes = batch_bytes
        self.steps = network.graph.steps
        self.lengths = network.graph.lengths(length)
        self.root, self.scale = _merged(self.steps, [end.step for end in network.ends])
        self.strides = _strides(self.steps)
        self.period = max(self.strides)
        self.needed = network.graph.needed(self._wanted(), self.lengths)
        self.channels = self._channel_counts()
        self.phase = self._best_phase()
        at_once = min(self._mutants_at_once() // ALTERNATIVES, length)
        self.cells = max(1, at_once // self.period)
        self.macs = 0
        self._head_macs: int | None = None
        self._made: dict[tuple[str, int], torch.Tensor] = {}

    @property
    def reach(self) -> Interval:
        """Positions of the sequence that the outputs can see."""
        return self.needed[0]

    def blocks(self, region: Interval) -> list[int]:
        """First positions of the blocks that cover the region; a block is `block` positions."""
        first = region[0] - (region[0] - self.phase) % self.period
        return list(range(first, region[1], self.block))

    @property
    def block(self) -> int:
        """Positions of a block."""
        return self.cells * self.period

    def weight(self, number: int) -> torch.Tensor:
        """The weight of a linear layer, with the scale of a normalisation that follows it."""
        layer: Any = self.steps[number].layer
        weight: torch.Tensor = layer.weight.detach()
        if (kept := self.steps[number].kept) is not None:
            weight = weight.index_select(0, kept.to(weight.device))
        if number in self.scale:
            weight = weight * scale_of(self.scale[number]).reshape(-1, *[1] * (weight.ndim - 1))
        return weight

    def made(self, kind: str, number: int, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """What is made once per plan of a step's weights."""
        if (kind, number) not in self._made:
            self._made[kind, number] = make()
        return self._made[kind, number]

    def taps(self, number: int) -> torch.Tensor:
        """A convolution's weight, (width, channels in, channels out)."""
        return self.made("taps", number, lambda: self.weight(number).permute(2, 1, 0).contiguous())

    def stem(self, number: int) -> torch.Tensor:
        """Change of a convolution of the sequence itself: differences of its kernel's columns.

        Returns:
            (codes, alternatives, positions of the window, channels).
        """

        def make() -> torch.Tensor:
            change = substituted(self.table)[:, :, None]
            step, taps = self.steps[number], self.taps(number)
            out = change.new_zeros((*change.shape[:2], step.field, taps.shape[2]))
            add_taps(out, change, taps, dilation_of(step), step.field - 1)
            return out

        return self.made("stem", number, make)

    def columns(self, end: End) -> torch.Tensor:
        """The weight of the dense layer after a flat vector, (positions, channels, outputs)."""
        assert end.dense is not None
        weight = end.dense.weight.detach()
        length = self.lengths[end.step]

        def make() -> torch.Tensor:
            if end.by_position:
                return weight.T.reshape(length, -1, len(weight)).contiguous()
            return weight.reshape(len(weight), -1, length).permute(2, 1, 0).contiguous()

        return self.made("columns", end.step, make)

    def pass_macs(self) -> int:
        """Multiplications of one sequence for what the outputs need, without a head's."""
        dense = sum(end.dense.weight.numel() for end in self.network.ends if end.dense is not None)
        return self.network.graph.macs(self.needed) + dense

    def head_macs(self, shown: torch.Tensor, vectors: Sequence[torch.Tensor]) -> int:
        """Multiplications of the head per row."""
        head = self.network.head
        if head is None:
            return 0
        if self._head_macs is None:
            self._head_macs = counted(head, shown, *vectors) // len(shown)
        return self._head_macs

    def cells_of(self, number: int) -> int:
        """Cells of a block at a step."""
        return self.cells * self.period // self.strides[number]

    def margin(self, number: int) -> int:
        """Positions beyond an end of a step's values that a block may look at."""
        fields = [step.field for step in self.steps if number in step.inputs]
        return 2 * self.cells_of(number) + 2 * max(fields, default=1)

    def interval(self, number: int, sources: Sequence[Interval | None]) -> Interval | None:
        """The window of a step that the first cell changes, cut to what any cell needs."""
        step = self.steps[number]
        found = [one for one in sources if one]
        if not found:
            return None
        first, stop = min(one[0] for one in found), max(one[1] for one in found)
        shift = self.shift(number)
        first = -((step.field - 1 + shift - first) // step.stride)
        stop = (stop - 1 + step.stride - 1 - shift) // step.stride + 1
        low, high = self.needed[number]
        first, stop = max(first, low - self.cells_of(number) + 1), min(stop, high)
        return (first, stop) if first < stop else None

    def shift(self, number: int) -> int:
        """First input position of a step's window 0."""
        step = self.steps[number]
        return step.left - step.padding(self.lengths[step.inputs[0]])

    def _wanted(self) -> dict[int, Interval]:
        if self.network.ends:
            return {end.step: (0, self.lengths[end.step]) for end in self.network.ends}
        every = [index for output in self.outputs for index in output.bins]
        return {len(self.steps) - 1: (min(every), max(every) + 1)}

    def kept(self) -> set[int]:
        """Steps whose reference values are looked at."""
        found = {end.step for end in self.network.ends}
        for number, step in enumerate(self.steps):
            if number in self.needed and needs_reference(step):
                found |= {number, *step.inputs}
        return found

    def widest_after(self, number: int) -> int:
        """Positions times channels of the widest window from a step on, per mutant."""
        windows = self._windows(sum(self.reach) // 2)
        return max(
            (one[1] - one[0]) * self.channels[later]
            for later, one in windows.items()
            if one is not None and later >= number
        )

    def _channel_counts(self) -> dict[int, int]:
        graph = self.network.graph
        few = graph.needed(dict.fromkeys(self._wanted(), (0, 1)), self.lengths)
        first, stop = few[0]
        shown = self.table.new_zeros((1, self.table.shape[1], stop - first))
        values = graph.run({0: shown}, few, self.lengths, sorted(few))
        return {number: value.shape[1] for number, value in values.items()}

    def _windows(self, start: int) -> dict[int, Interval | None]:
        found: dict[int, Interval | None] = {0: (start, start + 1)}
        for number in sorted(self.needed.keys() - {0}):
            inputs = self.steps[number].inputs
            found[number] = self.interval(number, [found[source] for source in inputs])
        return found

    def _best_phase(self) -> int:
        """Where blocks begin, so that windows fit the grids of the strides best."""
        self.cells = 1
        middle = sum(self.reach) // 2 // self.period * self.period
        phases = range(self.period if self.period <= _PHASES else 1)
        return min(phases, key=lambda phase: self._cost(middle + phase))

    def _cost(self, start: int) -> int:
        """Multiplications per mutant."""
        windows = self._windows(start)
        return sum(
            (window[1] - window[0]) * max(self.steps[number].macs, 1)
            for number in windows
            for source in self.steps[number].inputs
            if (window := windows[source]) is not None
        )

    def _mutants_at_once(self) -> int:
        return self.batch_bytes // (4 * self.widest_after(0))


def alternatives_of(codes: torch.Tensor) -> torch.Tensor:
    """The three other bases of every code (L,), in the order A, C, G, T: (L, 3)."""
    order = torch.arange(ALTERNATIVES, dtype=torch.long, device=codes.device)
    return order + (order >= codes.long()[:, None])


def substituted(table: torch.Tensor) -> torch.Tensor:
    """Change of the input at a substituted base: (codes, alternatives, 4); zero for N."""
    change = table.new_zeros((len(table), ALTERNATIVES, table.shape[1]))
    bases = torch.arange(UNKNOWN, device=table.device)
    change[:UNKNOWN] = table[alternatives_of(bases)] - table[:UNKNOWN, None]
    return change


def _merged(
    steps: Sequence[Step], ends: Sequence[int]
) -> tuple[list[int], dict[int, torch.nn.BatchNorm1d]]:
    """For every step the earlier one with the same change, and scales that layers take over."""
    root = list(range(len(steps)))
    scale: dict[int, torch.nn.BatchNorm1d] = {}
    readers = Counter([*ends, *(source for step in steps for source in step.inputs)])
    for number, step in enumerate(steps[1:], start=1):
        source = root[step.inputs[0]]
        if _changes_nothing(step, steps[0]):
            root[number] = source
        elif (
            isinstance(step.layer, torch.nn.BatchNorm1d)
            and isinstance(steps[source].layer, torch.nn.Conv1d | torch.nn.Linear)
            and source == step.inputs[0]
            and readers[source] == 1
        ):
            root[number], scale[source] = source, step.layer
    return root, scale


def _changes_nothing(step: Step, first: Step) -> bool:
    if step.left or step.right or len(step.inputs) != 1 or step.field * step.stride > 1:
        return False
    same = step.apply is first.apply or isinstance(step.apply, operator.methodcaller)
    return same or isinstance(step.layer, _SAME_VALUES)


def _strides(steps: Sequence[Step]) -> list[int]:
    """Positions of the sequence per position of every step."""
    found = [1]
    for step in steps[1:]:
        found.append(found[step.inputs[0]] * step.stride)
    return found


def is_relu(step: Step) -> bool:
    """Whether a step is max(x, 0)."""
    return isinstance(step.layer, torch.nn.ReLU) or step.apply is torch.relu


def is_sum(step: Step) -> bool:
    """Whether a step with several inputs adds them up; others concatenate them."""
    return step.apply is operator.add or isinstance(step.layer, keras_layers.Add)


def needs_reference(step: Step) -> bool:
    """Whether a step is not linear."""
    if isinstance(step.apply, torch.nn.MaxPool1d) or step.apply in FUNCTIONS.values():
        return True
    joins = isinstance(step.layer, keras_layers.Add | keras_layers.Concatenate)
    return step.layer is not None and not joins and not isinstance(step.layer, _LINEAR)


def scale_of(layer: torch.nn.BatchNorm1d) -> torch.Tensor:
    """What a normalisation multiplies a change with."""
    assert layer.running_var is not None
    scale = torch.rsqrt(layer.running_var + layer.eps)
    return scale if layer.weight is None else scale * layer.weight.detach()


def dilation_of(step: Step) -> int:
    """Positions between the taps of a convolution."""
    layer: Any = step.layer
    return int(layer.dilation[0])


def add_taps(
    out: torch.Tensor, values: torch.Tensor, taps: torch.Tensor, dilation: int, offset: int
) -> int:
    """Add a convolution of changes: every tap moves what it makes of a position.

    Args:
        out: (cells, alternatives, positions out, channels out).
        values: (cells, alternatives, positions in, channels in).
        taps: (width, channels in, channels out).
        dilation: positions between taps.
        offset: place in `out` of what tap 0 makes of position 0.

    Returns:
        Multiplications that were computed.
    """
    width, room = values.shape[2], out.shape[2]
    rows, target = values.flatten(0, 1), out.flatten(0, 1)
    one_by_one = width >= _WIDE
    positions = 0 if one_by_one else width * len(taps)
    if not one_by_one:
        count, channels_in, channels = taps.shape
        all_taps = taps.permute(1, 0, 2).reshape(channels_in, count * channels)
        made = (rows.reshape(-1, channels_in) @ all_taps).view(len(rows), width, count, channels)
    for number, tap in enumerate(taps):
        place = offset - number * dilation
        low, high = max(place, 0), min(place + width, room)
        if low >= high:
            continue
        there, here = target[:, low:high], slice(low - place, high - place)
        if one_by_one:
            torch.baddbmm(there, rows[:, here], tap.expand(len(rows), -1, -1), out=there)
            positions += high - low
        else:
            there += made[:, here, number]
    return len(rows) * positions * taps[0].numel()
