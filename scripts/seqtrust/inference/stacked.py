"""Replicates of one architecture as one graph, their channels side by side.

What is shared, cropped or computed again depends on positions alone, so that the graph of all
replicates goes through `SharedGraph` as that of one does. Steps in which the replicates do not
differ yet (the sequence, and what comes before the first dropout mask) are computed once.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from seqtrust.inference.local_graph import LocalGraph, Step
from seqtrust.inference.products import beside, product_of
from seqtrust.inference.tracing import FUNCTIONS, POINTWISE, Selected, Sliced, concatenated, same
from seqtrust.models import gaussian, keras_layers

_POSITIONAL = ("inputs", "field", "stride", "before", "same", "fill", "left", "right", "placed")
_MIXING = (gaussian.MeanAndLogVariance, keras_layers.Concatenate, torch.nn.Softmax)
_POOLINGS = (torch.nn.MaxPool1d, torch.nn.AvgPool1d)


class NotStackedError(Exception):
    """Graphs that are not of one architecture; the message says where they differ."""


def stacked(graphs: Sequence[LocalGraph]) -> LocalGraph:
    """One graph with the channels of R replicates side by side.

    Args:
        graphs: of replicates of one architecture with equal parameters, for the same tracks.

    Returns:
        The graph; its last step has R x tracks channels, those of the first replicate first.

    Raises:
        NotStackedError: the graphs differ in more than their weights.
    """
    if len({len(graph.steps) for graph in graphs}) > 1:
        raise NotStackedError("the networks differ in their number of steps")
    count = len(graphs)
    steps: list[Step] = []
    wide: list[bool] = []
    for number, several in enumerate(zip(*(graph.steps for graph in graphs), strict=True)):
        _refuse_different(number, several)
        made, apart = _side_by_side(several, [wide[source] for source in several[0].inputs])
        steps.append(made)
        wide.append(apart)
    if not wide[-1]:
        steps.append(Step((len(steps) - 1,), _Repeated(count), name="replicates"))
    return LocalGraph(tuple(steps))


def widest(graph: LocalGraph) -> int:
    """Channels of the widest convolution or dense layer of a graph."""
    products = (product_of(step) for step in graph.steps)
    return max((len(one.weight) for one in products if one), default=0)


def _refuse_different(number: int, steps: Sequence[Step]) -> None:
    first = steps[0]
    for other in steps[1:]:
        for name in _POSITIONAL:
            if getattr(first, name) != getattr(other, name):
                raise NotStackedError(f"step {number} ({first.name}) differs in {name}")
        if _kind(first) != _kind(other):
            raise NotStackedError(f"step {number}: {_kind(first)} and {_kind(other)}")


def _kind(step: Step) -> str:
    """What a step does, but for its weights."""
    kept = None if step.kept is None else step.kept.tolist()
    return f"{step.apply!r}" if step.layer is None else f"{step.layer!r} {kept or ''}".strip()


def _side_by_side(steps: Sequence[Step], wide: Sequence[bool]) -> tuple[Step, bool]:
    """The step of all replicates, and whether its channels are side by side.

    Args:
        steps: one per replicate.
        wide: for every input whether the replicates' channels are side by side; else they are
            the same for all.
    """
    first, count = steps[0], len(steps)
    if not any(wide) and _equal(steps):
        return first, False
    macs = sum(step.macs for step in steps)
    step = replace(first, layer=None, kept=None, macs=macs)
    products = [product for product in map(product_of, steps) if product is not None]
    if products and (wide[0] or products[0].groups == 1):
        return replace(step, apply=beside(products, shared=not wide[0])), True
    function = _at_once(steps)
    if function is not None:
        return replace(step, apply=_Widened(function, tuple(wide), count)), True
    return replace(step, apply=_Apart(tuple(one.apply for one in steps), tuple(wide))), True


def _equal(steps: Sequence[Step]) -> bool:
    """Whether steps of one kind are the same function."""
    if steps[0].placed:
        return False
    states = [{} if step.layer is None else step.layer.state_dict() for step in steps]
    return all(
        torch.equal(value, other[name]) for other in states[1:] for name, value in states[0].items()
    )


def _at_once(steps: Sequence[Step]) -> Callable[..., torch.Tensor] | None:
    """What acts on the channels of all replicates at once; None if each must act on its own."""
    step, layer = steps[0], steps[0].layer
    if type(layer) in (*POINTWISE, keras_layers.Add) or isinstance(step.apply, _POOLINGS):
        return step.apply
    if layer is None and (
        step.apply in (same, operator.add, *FUNCTIONS.values())
        or isinstance(step.apply, operator.methodcaller)
    ):
        return step.apply
    if type(layer) in _MIXING or isinstance(step.apply, Sliced | Selected):
        return _Folded(step.apply, len(steps))
    if step.apply is concatenated:
        return _Folded(step.apply, len(steps))
    if isinstance(layer, torch.nn.BatchNorm1d):
        return _normalisation(steps)
    return None


def _normalisation(steps: Sequence[Step]) -> Callable[..., torch.Tensor] | None:
    layers = [step.layer for step in steps if isinstance(step.layer, torch.nn.BatchNorm1d)]
    columns = []
    for name in ("running_mean", "running_var", "weight", "bias"):
        found = [getattr(layer, name) for layer in layers]
        if any(values is None for values in found):
            return None
        columns.append(torch.cat(found))
    mean, variance, weight, bias = columns
    return _Normalised(mean, variance, weight, bias, layers[0].eps)


@dataclass(frozen=True, eq=False)
class _Normalised:
    """Batch normalisation with the statistics of training, (channels,) each."""

    mean: torch.Tensor
    variance: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor
    epsilon: float

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.batch_norm(
            values, self.mean, self.variance, self.weight, self.bias, eps=self.epsilon
        )


@dataclass(frozen=True)
class _Repeated:
    """Channels that all replicates have in common, once for each."""

    count: int

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        return values.repeat(1, self.count, 1)


@dataclass(frozen=True)
class _Widened:
    """A function of inputs that are all side by side; those that are shared are repeated."""

    function: Callable[..., torch.Tensor]
    wide: tuple[bool, ...]
    count: int

    def __call__(self, *values: torch.Tensor) -> torch.Tensor:
        pairs = zip(values, self.wide, strict=True)
        shown = (one if wide else one.repeat(1, self.count, 1) for one, wide in pairs)
        return self.function(*shown)


@dataclass(frozen=True)
class _Folded:
    """A function that mixes the channels of each replicate, on (N R, channels, positions)."""

    function: Callable[..., torch.Tensor]
    count: int

    def __call__(self, *values: torch.Tensor) -> torch.Tensor:
        rows = [one.reshape(len(one) * self.count, -1, one.shape[-1]) for one in values]
        made = self.function(*rows)
        return made.reshape(len(values[0]), -1, made.shape[-1])


@dataclass(frozen=True)
class _Apart:
    """Each replicate's own function on its own channels."""

    functions: tuple[Callable[..., torch.Tensor], ...]
    wide: tuple[bool, ...]

    def __call__(self, *values: torch.Tensor | int) -> torch.Tensor:
        count = len(self.functions)
        tensors = [one for one in values if isinstance(one, torch.Tensor)]
        rest = values[len(tensors) :]
        pairs = zip(tensors, self.wide, strict=True)
        shown = [one.chunk(count, dim=1) if wide else (one,) * count for one, wide in pairs]
        own = [
            function(*(parts[replicate] for parts in shown), *rest)
            for replicate, function in enumerate(self.functions)
        ]
        return torch.cat(own, dim=1)
