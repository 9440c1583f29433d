"""A network as a graph of local steps, each computed only on the positions that are asked for.

A step is local if every position of its output depends on a bounded window of positions of its
input: convolutions, pooling, batch normalisation, elementwise functions, sums, concatenated
channels, dense layers at every position, cropping. Networks that pool over, flatten or normalise
the length, attend or recur are not; `tracing.local_graph` says because of which
layer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

Interval = tuple[int, int]
Function = Callable[..., torch.Tensor]


class NotLocalError(Exception):
    """The network has a layer that is not local; the message names it."""


@dataclass(frozen=True)
class Step:
    """One step of the graph.

    Attributes:
        inputs: numbers of the steps before it; none for the sequence itself.
        apply: inputs (N, channels, positions) to the output; a window step takes exactly the
            positions of its windows, padding included.
        field: positions of a window, 1 where the step acts on every position by itself.
        stride: positions between windows.
        before: positions of padding before the first one.
        same: windows are as many as positions divided by the stride, rounded up, and padding
            is added as Keras does; else `before` positions are padded at both ends.
        fill: value of the padding.
        left: positions left out at the start.
        right: positions left out at the end.
        macs: multiplications per output position.
        kept: which of the layer's output channels there are; all if None.
        placed: `apply` also takes the number of the first position, and acts by position.
        change: of a product in lower precision, what a change of the input adds to the output.
        layer: the layer, where the step is one.
        name: of the layer.
    """

    inputs: tuple[int, ...]
    apply: Function
    field: int = 1
    stride: int = 1
    before: int = 0
    same: bool = False
    fill: float = 0.0
    left: int = 0
    right: int = 0
    macs: int = 0
    kept: torch.Tensor | None = None
    placed: bool = False
    change: Function | None = None
    layer: torch.nn.Module | None = None
    name: str = ""

    def compute(self, shown: Sequence[torch.Tensor], first: int) -> torch.Tensor:
        """The output from position `first` on, from what its windows see."""
        return self.apply(*shown, first) if self.placed else self.apply(*shown)

    def length(self, positions: int) -> int:
        """Positions of the output for an input of so many."""
        if self.same:
            return -(-positions // self.stride)
        inner = positions - self.left - self.right
        return (inner + 2 * self.before - self.field) // self.stride + 1

    def padding(self, positions: int) -> int:
        """Positions of padding before the first position of an input of so many."""
        if not self.same:
            return self.before
        total = (self.length(positions) - 1) * self.stride + self.field - positions
        return max(total, 0) // 2

    def needs(self, wanted: Interval, positions: int) -> Interval:
        """Input positions that output positions [first, stop) see, padding included."""
        first, stop = wanted
        shift = self.left - self.padding(positions)
        return first * self.stride + shift, (stop - 1) * self.stride + self.field + shift

    def reached(self, changed: Interval, positions: int) -> Interval:
        """Output positions that see some of the input positions [first, stop)."""
        shift = self.left - self.padding(positions)
        first = -((shift + self.field - 1 - changed[0]) // self.stride)
        return first, (changed[1] - 1 - shift) // self.stride + 1


@dataclass(frozen=True)
class LocalGraph:
    """Steps in the order of computation; the last one is the output, channels before positions.

    Attributes:
        steps: step 0 is the one-hot sequence, (N, 4, L).
    """

    steps: tuple[Step, ...]

    def lengths(self, length: int) -> list[int]:
        """Positions of every step's output for sequences of `length` bp."""
        found: list[int] = []
        for step in self.steps:
            found.append(step.length(found[step.inputs[0]]) if step.inputs else length)
        return found

    def needed(self, wanted: Mapping[int, Interval], lengths: Sequence[int]) -> dict[int, Interval]:
        """Which positions of every step must be computed.

        Args:
            wanted: positions [first, stop) of some steps.
            lengths: of all steps.
        """
        found = dict(wanted)
        for number in range(max(wanted), -1, -1):
            if number not in found:
                continue
            for source in self.steps[number].inputs:
                first, stop = self.steps[number].needs(found[number], lengths[source])
                first, stop = max(first, 0), min(stop, lengths[source])
                if source in found:
                    first, stop = min(first, found[source][0]), max(stop, found[source][1])
                found[source] = first, stop
        return found

    def macs(self, needed: Mapping[int, Interval]) -> int:
        """Multiplications of one sequence for what is needed."""
        return sum(
            self.steps[number].macs * (stop - first) for number, (first, stop) in needed.items()
        )

    def run(
        self,
        values: dict[int, torch.Tensor],
        needed: Mapping[int, Interval],
        lengths: Sequence[int],
        keep: Sequence[int] = (),
    ) -> dict[int, torch.Tensor]:
        """Compute what is needed.

        Args:
            values: steps that are there already, (N, channels, positions) of their interval.
            needed: interval of every step that is computed or there.
            lengths: positions of every step's output.
            keep: steps to return beside the last one.

        Returns:
            The kept steps and the last one.
        """
        last = max(needed)
        uses = dict.fromkeys(needed, 0)
        for number in needed:
            if number not in values:
                for source in self.steps[number].inputs:
                    uses[source] += 1
        live = dict(values)
        for number in sorted(needed):
            if number in live:
                continue
            step = self.steps[number]
            shown = [
                _window(live[source], needed[source], step, needed[number], lengths[source])
                for source in step.inputs
            ]
            live[number] = step.compute(shown, needed[number][0])
            for source in step.inputs:
                uses[source] -= 1
                if not uses[source] and source not in keep and source != last:
                    del live[source]
        return {number: live[number] for number in (*keep, last)}

    def reached(
        self, changed: Interval, needed: Mapping[int, Interval], lengths: Sequence[int]
    ) -> dict[int, Interval]:
        """Needed positions of every step that see a change of step 0; steps without are left out.

        Args:
            changed: positions [first, stop) of step 0.
            needed: positions of the steps that are computed.
            lengths: positions of every step's output.
        """
        found = {0: changed}
        for number in sorted(needed):
            step = self.steps[number]
            spans = [step.reached(found[i], lengths[i]) for i in step.inputs if i in found]
            if not spans:
                continue
            first = max(min(span[0] for span in spans), needed[number][0])
            stop = min(max(span[1] for span in spans), needed[number][1])
            if first < stop:
                found[number] = first, stop
        return found

    def run_changed(
        self,
        values: torch.Tensor,
        reached: Mapping[int, Interval],
        reference: Mapping[int, torch.Tensor],
        needed: Mapping[int, Interval],
        lengths: Sequence[int],
    ) -> torch.Tensor:
        """The last step where sequences differ from a reference, elsewhere the reference's.

        Args:
            values: step 0 on its changed positions, (N, channels, positions).
            reached: see the method of that name.
            reference: every needed step of the reference, (1, channels, positions).
            needed: positions of the steps in `reference`.
            lengths: positions of every step's output.

        Returns:
            (N, channels, needed positions of the last step).
        """
        last = max(needed)
        live = {0: values}
        uses = dict.fromkeys(reached, 0)
        for number in reached:
            for source in self.steps[number].inputs:
                if source in uses:
                    uses[source] += 1
        for number in sorted(reached)[1:]:
            step = self.steps[number]
            shown, unchanged = [], []
            for source in step.inputs:
                span = step.needs(reached[number], lengths[source])
                held = needed[source]
                inside = max(span[0], held[0]), min(span[1], held[1])
                same = reference[source][..., inside[0] - held[0] : inside[1] - held[0]]
                own = same.expand(len(values), -1, -1)
                if source in reached:
                    own = _overlaid(own, inside, live[source], reached[source])
                shown.append(_window(own, inside, step, reached[number], lengths[source]))
                if step.change is not None:
                    unchanged.append(_window(same, inside, step, reached[number], lengths[source]))
            if step.change is None:
                live[number] = step.compute(shown, reached[number][0])
            else:
                first, stop = (end - needed[number][0] for end in reached[number])
                change = step.change(shown[0] - unchanged[0])
                live[number] = reference[number][..., first:stop] + change
            for source in step.inputs:
                if source in uses:
                    uses[source] -= 1
                    if not uses[source]:
                        del live[source]
        result = reference[last].expand(len(values), -1, -1)
        return (
            _overlaid(result, needed[last], live[last], reached[last]) if last in live else result
        )


def _overlaid(
    below: torch.Tensor, span: Interval, above: torch.Tensor, changed: Interval
) -> torch.Tensor:
    """Values on the positions of a span, with those of another one over them."""
    first, stop = max(span[0], changed[0]), min(span[1], changed[1])
    if first >= stop:
        return below
    return torch.cat(
        [
            below[..., : first - span[0]],
            above[..., first - changed[0] : stop - changed[0]],
            below[..., stop - span[0] :],
        ],
        dim=-1,
    )


def _window(
    values: torch.Tensor, have: Interval, step: Step, wanted: Interval, length: int
) -> torch.Tensor:
    """The input positions of the wanted windows, padded where they lie beyond the input."""
    first, stop = step.needs(wanted, length)
    inside = values[..., max(first, 0) - have[0] : min(stop, length) - have[0]]
    before, after = max(-first, 0), max(stop - length, 0)
    if before or after:
        inside = torch.nn.functional.pad(inside, (before, after), value=step.fill)
    return inside
