"""What every substitution of a sequence changes, pushed through a network as a difference.

A substitution changes one position of the input and, in every later layer, only the positions
whose windows reach it. Mutants of neighbouring positions are computed together: the window that
mutant number i changes is the first one's, moved by i positions, so the reference's activations
are read through one strided view, without a copy per mutant. At a layer with a stride, mutants
whose windows begin within one step of it share a window on the layer's own grid.

Linear layers map the change alone. Others are evaluated at reference plus change, from which the
reference is taken. Nothing is left out, so the effects are those of full passes but for the
order of summation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from seqtrust.inference.ism_network import End
from seqtrust.inference.ism_plan import (
    ALTERNATIVES,
    Plan,
    add_taps,
    dilation_of,
    is_relu,
    is_sum,
    needs_reference,
    scale_of,
    substituted,
)
from seqtrust.inference.local_graph import Interval
from seqtrust.models.fixed_dropout import FixedDropout
from seqtrust.models.model import PADDING
from seqtrust.predictions import OutputSpec

Changes = list[torch.Tensor] | None


@dataclass(frozen=True)
class _Change:
    """What mutants change at one step.

    Attributes:
        values: (cells, alternatives, positions of the window, channels), contiguous.
        first: position of the first cell's window; every later cell's is one further.
    """

    values: torch.Tensor
    first: int

    @property
    def stop(self) -> int:
        """One beyond the first cell's window."""
        return self.first + self.values.shape[2]


@dataclass
class Reference:
    """Activations of the sequence itself.

    Attributes:
        values: per step (channels, positions of `needed`).
        padded: (step, kind) to (positions with a margin at both ends, channels).
        vectors: what the head reads, one row.
        output: the head's output, one row.
    """

    values: dict[int, torch.Tensor]
    padded: dict[tuple[int, str], torch.Tensor] = field(default_factory=dict)
    vectors: list[torch.Tensor] = field(default_factory=list)
    output: torch.Tensor | None = None


def reference_of(plan: Plan, codes: torch.Tensor) -> Reference:
    """Activations of one sequence, codes (L,)."""
    first, stop = plan.needed[0]
    shown = plan.table[codes[first:stop].long()].T[None]
    plan.macs += plan.pass_macs()
    keep = sorted(plan.kept())
    found = plan.network.graph.run({0: shown}, plan.needed, plan.lengths, keep)
    reference = Reference({number: values[0] for number, values in found.items()})
    for end in plan.network.ends:
        vectors = end.vectors(found[end.step])
        reference.vectors.append(vectors.to(plan.network.head_dtype))
    if plan.network.head is not None:
        reference.output = plan.network.head(shown, *reference.vectors)
        plan.macs += plan.head_macs(shown, reference.vectors)
    return reference


def block_effects(plan: Plan, codes: torch.Tensor, reference: Reference, start: int) -> Changes:
    """Effects of the substitutions in [start, start + block).

    Args:
        plan: of the network.
        codes: of the sequence, (L,).
        reference: its activations.
        start: the block's first position.

    Returns:
        Per output float64 (block, alternatives, tracks, bins), mutant minus reference; the
        alternatives are the three other bases in the order A, C, G, T. Positions beyond
        the sequence and those of N are zero. None if no output changes.
    """
    block = _Block(plan, reference, _block_codes(codes, start, plan.block), start)
    parts = block.run(1, {0: block.substitutions()})
    if parts is None:
        return None
    return [part.reshape(plan.block, ALTERNATIVES, *part.shape[2:]) for part in parts]


class _Block:
    """The mutants of one block on their way through the network."""

    def __init__(self, plan: Plan, reference: Reference, codes: torch.Tensor, start: int) -> None:
        self.plan = plan
        self.reference = reference
        self.codes = codes
        self.start = start

    def substitutions(self) -> _Change:
        """The change of the one-hot input."""
        return _Change(substituted(self.plan.table)[self.codes][:, :, None], self.start)

    def run(self, first: int, live: dict[int, _Change | None]) -> Changes:
        """The effects on the outputs of what is live before step `first`.

        Where strides have made many alternatives of few cells, they go on in parts.
        """
        plan = self.plan
        uses = self._uses(first)
        for number in range(first, len(plan.steps)):
            if number not in plan.needed or plan.root[number] != number:
                continue
            roots = [plan.root[source] for source in plan.steps[number].inputs]
            sources = [live[root] for root in roots]
            for root in set(roots):
                uses[root] -= 1
                if not uses[root]:
                    del live[root]
            live[number] = self._step(number, sources, [root not in live for root in roots])
            if (parts := self._parts(number, live)) > 1:
                return self._in_parts(number + 1, live, parts)
        return self._on_vectors(live) if plan.network.ends else self._on_bins(live)

    def _uses(self, first: int) -> dict[int, int]:
        """How many steps from `first` on, and outputs, read the change of each step."""
        plan = self.plan
        uses = dict.fromkeys(range(len(plan.steps)), 0)
        for number in range(first, len(plan.steps)):
            if number in plan.needed and plan.root[number] == number:
                for root in {plan.root[source] for source in plan.steps[number].inputs}:
                    uses[root] += 1
        for number in (*(end.step for end in plan.network.ends), len(plan.steps) - 1):
            uses[plan.root[number]] += 1
        return uses

    def _parts(self, number: int, live: dict[int, _Change | None]) -> int:
        """Into how many parts the alternatives go after a step with a stride."""
        change = live[number]
        if self.plan.steps[number].stride == 1 or change is None:
            return 1
        cells, alternatives = change.values.shape[:2]
        if any(one is not None and len(one.values) != cells for one in live.values()):
            return 1
        held = 4 * cells * alternatives * self.plan.widest_after(number)
        return min(-(-held // (2 * self.plan.batch_bytes)), alternatives)

    def _in_parts(self, first: int, live: dict[int, _Change | None], parts: int) -> Changes:
        done = []
        for index in range(parts):
            piece: dict[int, _Change | None] = dict.fromkeys(live)
            for number, change in live.items():
                if change is not None:
                    some = change.values.tensor_split(parts, dim=1)[index]
                    piece[number] = _Change(some.contiguous(), change.first)
            done.append(self.run(first, piece))
        kept = [one for one in done if one is not None]
        cells = next(len(one.values) for one in live.values() if one is not None)
        return [_rejoined(some, cells) for some in zip(*kept, strict=True)] if kept else None

    def _step(
        self, number: int, sources: Sequence[_Change | None], owned: Sequence[bool]
    ) -> _Change | None:
        plan, step = self.plan, self.plan.steps[number]
        windows = [(one.first, one.stop) if one is not None else None for one in sources]
        window = plan.interval(number, windows)
        if window is None:
            return None
        if len(sources) > 1:
            return self._joined(number, sources, owned, window)
        (change,) = sources
        assert change is not None
        if isinstance(step.layer, torch.nn.Conv1d):
            return self._convolved(number, change, window)
        if step.field > 1 or step.stride > 1:
            return self._pooled(number, change, window)
        values = _over(change, (window[0] + step.left, window[1] + step.left))
        if values is change.values and not owned[0] and not isinstance(step.layer, torch.nn.Linear):
            values = values.clone()
        if step.left or step.right:
            return _Change(self._inside(number, values, window[0]), window[0])
        return _Change(self._pointwise(number, values, window[0]), window[0])

    def _pointwise(self, number: int, values: torch.Tensor, first: int) -> torch.Tensor:
        """A step without a window; it may overwrite `values`."""
        step, layer = self.plan.steps[number], self.plan.steps[number].layer
        if isinstance(layer, torch.nn.Linear):
            weight = self.plan.weight(number)
            self.plan.macs += values[..., 0].numel() * weight.numel()
            return values @ weight.T
        if isinstance(layer, torch.nn.BatchNorm1d):
            return values.mul_(scale_of(layer))
        if isinstance(layer, FixedDropout):
            return values.mul_(self._view(number, "mask", first, values.shape[2]))
        if is_relu(step):
            # relu(reference + change) - relu(reference), in two passes over the change
            values.add_(self._view(number, "below", first, values.shape[2]))
            return torch.maximum(
                values, self._view(number, "floor", first, values.shape[2]), out=values
            )
        if not needs_reference(step):
            return _through(step.apply, values)
        (source,) = step.inputs
        values.add_(self._view(source, "zero", first, values.shape[2]))
        curved = _through(step.apply, values)
        curved.sub_(self._view(number, "zero", first, values.shape[2]))
        return self._inside(number, curved, first)

    def _joined(
        self,
        number: int,
        sources: Sequence[_Change | None],
        owned: Sequence[bool],
        window: Interval,
    ) -> _Change:
        """A sum or a concatenation: the inputs over one window."""
        step = self.plan.steps[number]
        found = [one for one in sources if one is not None]
        shape = found[0].values.shape
        if not is_sum(step):
            parts = []
            for one, source in zip(sources, step.inputs, strict=True):
                empty = shape[0], shape[1], window[1] - window[0], self.plan.channels[source]
                part = found[0].values.new_zeros(empty)
                parts.append(_added(part, one, window) if one is not None else part)
            return _Change(torch.cat(parts, dim=-1), window[0])
        for one, mine in zip(sources, owned, strict=True):
            if one is not None and mine and (one.first, one.stop) == window:
                total, found = one.values, [other for other in found if other is not one]
                break
        else:
            total = found[0].values.new_zeros((*shape[:2], window[1] - window[0], shape[3]))
        for one in found:
            _added(total, one, window)
        return _Change(total, window[0])

    def _convolved(self, number: int, change: _Change, window: Interval) -> _Change:
        plan, step = self.plan, self.plan.steps[number]
        layer: Any = step.layer
        if step.stride > 1 or layer.groups > 1:
            shown = self._on_grid(number, change, window, None)
            cells, phases, alternatives, width, channels = shown.shape
            flat = shown.reshape(-1, width, channels).transpose(1, 2)
            out = torch.nn.functional.conv1d(
                flat, plan.weight(number), None, step.stride, 0, layer.dilation, layer.groups
            ).transpose(1, 2)
            plan.macs += out.numel() * layer.weight[0].numel()
            values = out.reshape(cells, phases * alternatives, *out.shape[1:]).contiguous()
            return _Change(self._inside(number, values, window[0]), window[0])
        offset = change.first - plan.shift(number) - window[0]
        width = window[1] - window[0]
        if plan.root[step.inputs[0]] == 0:
            first = step.field - 1 - offset
            values = plan.stem(number)[self.codes][:, :, first : first + width].contiguous()
        else:
            taps = plan.taps(number)
            values = change.values.new_zeros((*change.values.shape[:2], width, taps.shape[2]))
            plan.macs += add_taps(values, change.values, taps, dilation_of(step), offset)
        return _Change(self._inside(number, values, window[0]), window[0])

    def _pooled(self, number: int, change: _Change, window: Interval) -> _Change:
        step, count = self.plan.steps[number], window[1] - window[0]
        highest = isinstance(step.apply, torch.nn.MaxPool1d)
        shown = self._on_grid(number, change, window, "lowest" if highest else None)
        last = (count - 1) * step.stride + 1
        places = [shown[..., one : one + last : step.stride, :] for one in range(step.field)]
        pooled = places[0].clone(memory_format=torch.contiguous_format)
        for place in places[1:]:
            if highest:
                torch.maximum(pooled, place, out=pooled)
            else:
                pooled.add_(place)
        cells, phases, alternatives, _, channels = pooled.shape
        values = pooled.view(cells, phases * alternatives, count, channels)
        if highest:
            values.sub_(self._view(number, "zero", window[0], count))
        else:
            values.div_(step.field)
        return _Change(self._inside(number, values, window[0]), window[0])

    def _on_grid(
        self, number: int, change: _Change, window: Interval, kind: str | None
    ) -> torch.Tensor:
        """Changes on the positions that a step's windows see, added to the reference if asked.

        Returns:
            (cells after the step, cells before it for each, alternatives, positions, channels).
        """
        step = self.plan.steps[number]
        stride, width = step.stride, (window[1] - window[0] - 1) * step.stride + step.field
        first = window[0] * stride + self.plan.shift(number)
        cells, alternatives, _, channels = change.values.shape
        shape = cells // stride, stride, alternatives, width, channels
        if kind is None:
            shown = change.values.new_zeros(shape)
        else:
            whole = self._view(step.inputs[0], kind, first, width, stride)
            shown = whole[:, None].expand(shape).clone(memory_format=torch.contiguous_format)
        for phase in range(stride):
            one = _Change(change.values[phase::stride], change.first + phase)
            _added(shown[:, phase], one, (first, first + width))
        return shown

    def _view(
        self, number: int, kind: str, first: int, width: int, stride: int = 1
    ) -> torch.Tensor:
        """Reference values under the windows of all cells, (cells, 1, width, channels).

        Args:
            number: of the step.
            kind: see `_padded`.
            first: of the first cell's window.
            width: of a window.
            stride: positions between the windows.
        """
        padded = self._padded(number, kind)
        channels = padded.shape[1]
        cells = self.plan.cells_of(number) // stride
        place = (first + self.plan.margin(number)) * channels
        size = (cells, 1, width, channels)
        return padded.as_strided(size, (stride * channels, 0, channels, 1), place)

    def _padded(self, number: int, kind: str) -> torch.Tensor:
        """Reference values with a margin, (positions, channels).

        Kinds: "zero" and "lowest" are a step's values with zeros or minus infinity beyond the
        sequence; "below" and "floor" are min(x, 0) and -max(x, 0) of a ReLU's input x; "mask" is
        what a dropout layer multiplies with.
        """
        made = self.reference.padded
        if kind == "mask" and (number, kind) not in made:
            made[number, kind] = self._mask(number)
        if (number, kind) not in made:
            relu = kind in ("below", "floor")
            source = self.plan.steps[number].inputs[0] if relu else number
            values = self.reference.values[source]
            margin, length = self.plan.margin(number), self.plan.lengths[number]
            fill = float("-inf") if kind == "lowest" else 0.0
            padded = values.new_full((length + 2 * margin, len(values)), fill)
            inner = padded[margin : margin + length]
            inner.zero_()
            low, high = self.plan.needed[source]
            inner[low:high] = {
                "below": lambda: values.clamp(max=0),
                "floor": lambda: -values.clamp(min=0),
            }.get(kind, lambda: values)().T
            made[number, kind] = padded
        return made[number, kind]

    def _mask(self, number: int) -> torch.Tensor:
        """The factors of a dropout layer with a margin, (positions, channels)."""
        layer: Any = self.plan.steps[number].layer
        margin, length = self.plan.margin(number), self.plan.lengths[number]
        mask = layer.mask(self.plan.channels[number], 0, length, self.plan.table.device)[0]
        return torch.nn.functional.pad(mask, (margin, margin)).T.contiguous()

    def _inside(self, number: int, values: torch.Tensor, first: int) -> torch.Tensor:
        """The change without positions beyond the step's ends, which are padding."""
        cells, _, width, _ = values.shape
        length = self.plan.lengths[number]
        if first < 0 or first + cells - 1 + width > length:
            at = _positions(first, cells, width, values.device)
            beyond = (at < 0) | (at >= length)
            values.masked_fill_(beyond[:, None, :, None], 0.0)
        return values

    def _on_bins(self, live: dict[int, _Change | None]) -> Changes:
        """Effects where the last step is the output."""
        plan = self.plan
        change = live[plan.root[len(plan.steps) - 1]]
        if change is None:
            return None
        return [self._on_output(output, change) for output in plan.outputs]

    def _on_output(self, output: OutputSpec, change: _Change) -> torch.Tensor:
        """(cells, alternatives, tracks, bins), one bin where reduced."""
        tracks = self.plan.network.tracks
        assert tracks is not None
        index = torch.tensor([tracks.index(track) for track in output.tracks])
        values = change.values.index_select(3, index.to(change.values.device)).to(torch.float64)
        cells, alternatives, width, count = values.shape
        first, bins = min(output.bins), len(output.bins)
        at = _positions(change.first - first, cells, width, values.device)
        outside = (at < 0) | (at >= bins)
        if output.reduction != "none":
            total = values.masked_fill_(outside[:, None, :, None], 0.0).sum(dim=2)
            return (total / bins if output.reduction == "mean" else total)[..., None]
        # bins that are not asked for share one more place, which is left out
        place = at.masked_fill(outside, bins)[:, None, :, None].expand(values.shape)
        kept = values.new_zeros((cells, alternatives, bins + 1, count))
        kept.scatter_(2, place, values)
        in_order = torch.tensor([index - first for index in output.bins], device=values.device)
        return kept.index_select(2, in_order).transpose(2, 3)

    def _on_vectors(self, live: dict[int, _Change | None]) -> Changes:
        """Effects where a head reads the whole sequence."""
        plan, reference = self.plan, self.reference
        head = plan.network.head
        changes = [live[plan.root[end.step]] for end in plan.network.ends]
        found = [change for change in changes if change is not None]
        if not found or head is None or reference.output is None:
            return None
        cells, mutants = len(found[-1].values), found[-1].values[:, :, 0, 0].numel()
        vectors = [
            before.expand(mutants, *before.shape[1:])
            if change is None
            else self._vectors(end, change, before).reshape(mutants, *before.shape[1:])
            for end, change, before in zip(
                plan.network.ends, changes, reference.vectors, strict=True
            )
        ]
        rows = plan.table.new_zeros(1).expand(mutants, plan.table.shape[1], plan.lengths[0])
        plan.macs += mutants * plan.head_macs(rows[:1], reference.vectors)
        difference = head(rows, *vectors) - reference.output
        return [
            kept_output(difference, output).reshape(cells, -1, *output.shape)
            for output in plan.outputs
        ]

    def _vectors(self, end: End, change: _Change, before: torch.Tensor) -> torch.Tensor:
        """What the head reads of every mutant, (cells, alternatives, ...)."""
        values = change.values
        if end.kind in ("mean", "sum"):
            total = values.sum(dim=2, dtype=torch.float64)
            total = total / self.plan.lengths[end.step] if end.kind == "mean" else total
            return total.to(before.dtype) + before.reshape(-1)
        if end.kind == "max":
            return self._highest(end, change).to(before.dtype)
        flat = before.reshape(-1).expand(*values.shape[:2], -1).clone()
        length = self.plan.lengths[end.step]
        for cell in range(len(values)):
            low, high = max(change.first + cell, 0), min(change.stop + cell, length)
            if low >= high:
                continue
            changed = values[cell, :, low - change.first - cell : high - change.first - cell]
            if end.dense is not None:
                columns = self.plan.columns(end)[low:high].flatten(0, 1)
                self.plan.macs += len(changed) * columns.numel()
                # summed apart: added one by one to the vector, each term would be rounded to it
                flat[cell] += changed.flatten(1) @ columns
            elif end.by_position:
                flat[cell].view(len(changed), length, -1)[:, low:high] += changed
            else:
                flat[cell].view(len(changed), -1, length)[..., low:high] += changed.transpose(1, 2)
        return flat

    def _highest(self, end: End, change: _Change) -> torch.Tensor:
        """Largest value over the positions: within a mutant's window, before and after it."""
        cells, _, width, channels = change.values.shape
        whole = self.reference.values[end.step].T
        none = whole.new_full((1, channels), float("-inf"))
        before = torch.cat([none, whole.cummax(dim=0).values])
        after = torch.cat([whole.flip(0).cummax(dim=0).values.flip(0), none])
        at = torch.arange(cells, device=whole.device) + change.first
        window = change.values + self._view(end.step, "lowest", change.first, width)
        outer = torch.maximum(
            before[at.clamp(0, len(whole))], after[(at + width).clamp(0, len(whole))]
        )
        return torch.maximum(window.amax(dim=2), outer[:, None])


def kept_output(predictions: torch.Tensor, output: OutputSpec) -> torch.Tensor:
    """The output's part of predictions (N, bins, tracks): float64 (N, tracks, bins)."""
    device = predictions.device
    kept = predictions.index_select(1, torch.tensor(output.bins, device=device))
    kept = kept.index_select(2, torch.tensor(output.tracks, device=device))
    kept = kept.transpose(1, 2).to(torch.float64)
    if output.reduction == "none":
        return kept
    reduce = torch.sum if output.reduction == "sum" else torch.mean
    return reduce(kept, dim=2, keepdim=True)


def _block_codes(codes: torch.Tensor, start: int, count: int) -> torch.Tensor:
    """Codes of a block as indices, those of padding beyond the sequence."""
    at = torch.arange(start, start + count, device=codes.device)
    found = codes[at.clamp(0, len(codes) - 1)].long()
    return found.masked_fill((at < 0) | (at >= len(codes)), PADDING)


def _added(total: torch.Tensor, change: _Change, window: Interval) -> torch.Tensor:
    """Add a change to (cells, alternatives, positions of the window, channels)."""
    low, high = max(change.first, window[0]), min(change.stop, window[1])
    if low < high:
        here = slice(low - change.first, high - change.first)
        total[:, :, low - window[0] : high - window[0]] += change.values[:, :, here]
    return total


def _rejoined(parts: Sequence[torch.Tensor], cells: int) -> torch.Tensor:
    """Parts of the alternatives of `cells` cells, of which later strides have made fewer."""
    before = [part.unflatten(1, (cells // len(part), -1)) for part in parts]
    return torch.cat(before, dim=2).flatten(1, 2)


def _over(change: _Change, window: Interval) -> torch.Tensor:
    """The change on a window that lies within its own."""
    if (change.first, change.stop) == window:
        return change.values
    first = window[0] - change.first
    return change.values[:, :, first : first + window[1] - window[0]].contiguous()


def _through(apply: Callable[..., torch.Tensor], values: torch.Tensor) -> torch.Tensor:
    """A step on its own kind of input, (N, channels, positions)."""
    made = apply(values.flatten(0, 1).transpose(1, 2)).transpose(1, 2)
    return made.reshape(*values.shape[:2], *made.shape[1:]).contiguous()


def _positions(first: int, cells: int, width: int, device: torch.device) -> torch.Tensor:
    """Positions of every cell's window, (cells, width)."""
    at = torch.arange(cells, device=device)[:, None] + torch.arange(width, device=device)
    return at + first
