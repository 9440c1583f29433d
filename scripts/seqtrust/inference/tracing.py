"""Networks as torch.fx traces them, turned into the steps of a `LocalGraph`."""

import inspect
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.fx

from seqtrust.errors import first_line
from seqtrust.inference.local_graph import Function, LocalGraph, NotLocalError, Step
from seqtrust.models import gaussian, keras_layers
from seqtrust.models.activations import Exponential, LogOdds, NotBfloat16
from seqtrust.models.fixed_dropout import FixedDropout
from seqtrust.models.whole_sequence import WholeSequence

# layers without weights that act on every number by itself
POINTWISE: tuple[type[torch.nn.Module], ...] = (
    torch.nn.Identity,
    torch.nn.Dropout,
    torch.nn.ReLU,
    torch.nn.ELU,
    torch.nn.SELU,
    torch.nn.GELU,
    torch.nn.SiLU,
    torch.nn.LeakyReLU,
    torch.nn.Threshold,
    torch.nn.Sigmoid,
    torch.nn.Tanh,
    torch.nn.Softplus,
    torch.nn.Hardsigmoid,
    Exponential,
    NotBfloat16,
    keras_layers.SigmoidGelu,
)
_ELEMENTWISE = (
    *POINTWISE,
    keras_layers.Dense,
    gaussian.MeanAndLogVariance,
    torch.nn.BatchNorm1d,
    keras_layers.Normalisation,
    keras_layers.ClosedNormalisation,
)
_CHANNEL_BY_CHANNEL = (
    torch.nn.Identity,
    torch.nn.Dropout,
    torch.nn.ReLU,
    torch.nn.Sigmoid,
    torch.nn.Softplus,
    Exponential,
    NotBfloat16,
)
_JOINED = (keras_layers.Add, keras_layers.Concatenate)


def local_graph(module: torch.nn.Module, tracks: Sequence[int] | None = None) -> LocalGraph:
    """The graph of a network that maps (N, 4, L) to (N, bins, tracks).

    Args:
        module: in evaluation mode.
        tracks: outputs that are wanted, in this order; all if None.

    Raises:
        NotLocalError: the network has a layer that is not local.
    """
    builder = StepBuilder(dict(module.named_modules()))
    steps = builder.build(traced(module, StepTracer()))
    return LocalGraph(steps if tracks is None else restricted(steps, tracks))


class StepTracer(torch.fx.Tracer):
    """Layers that a step stands for are leaves; everything else is looked into."""

    def is_leaf_module(self, module: torch.nn.Module, module_qualified_name: str) -> bool:
        """Whether a layer is one step."""
        # a subclass may do anything, so that it is looked into
        known = type(module) in (*_ELEMENTWISE, *_JOINED, *_BUILDERS, LogOdds)
        known = known or isinstance(module, WholeSequence)
        return known or super().is_leaf_module(module, module_qualified_name)


def traced(module: torch.nn.Module, tracer: torch.fx.Tracer) -> torch.fx.Graph:
    """The calls that a network makes of a sequence alone; other inputs are left out.

    Raises:
        NotLocalError: they depend on the values.
    """
    parameters = inspect.signature(module.forward).parameters
    left_out = [name for name, one in parameters.items() if one.default is None]
    try:
        graph = tracer.trace(module, dict.fromkeys(left_out))
        inputs = [node for node in graph.nodes if node.op == "placeholder"]
        for node, name in zip(inputs, parameters, strict=False):
            if name in left_out:
                # what is left of it is a check that it is None
                for check in tuple(node.users):
                    graph.erase_node(check)
                graph.erase_node(node)
        return graph
    except NotLocalError:
        raise
    except Exception as error:
        raise NotLocalError(f"{type(module).__name__}: {first_line(error)}") from error


class StepBuilder:
    """Turns a traced network into steps."""

    def __init__(self, modules: Mapping[str, torch.nn.Module]) -> None:
        self.modules = modules
        self.steps: list[Step] = []
        self.number: dict[torch.fx.Node, int] = {}
        self.turned: set[torch.fx.Node] = set()

    def build(self, graph: torch.fx.Graph) -> tuple[Step, ...]:
        """The steps of a traced network."""
        for node in graph.nodes:
            if node.op == "output":
                return tuple(self.steps[: self.finish(node.args[0])])
            self.add(node)
        raise NotLocalError("the network has no output")

    def add(self, node: torch.fx.Node) -> None:
        """A node becomes a step."""
        if node.op == "placeholder":
            self._add(node, Step((), same))
        elif node.op == "call_module":
            self._layer(node)
        elif node.op in ("call_function", "call_method"):
            self._call(node)
        elif node.op != "get_attr":
            raise NotLocalError(f"{node.op} {node.target}")

    def finish(self, result: Any) -> int:
        """How many steps there are up to the result."""
        if result not in self.turned:
            raise NotLocalError("the output is not (N, bins, tracks) of local steps")
        return self.number[result] + 1

    def _add(self, node: torch.fx.Node, step: Step) -> None:
        self.steps.append(replace(step, name=str(node.target)))
        self.number[node] = len(self.steps) - 1

    def _inputs(self, nodes: Sequence[Any], name: str) -> tuple[int, ...]:
        for node in nodes:
            if not isinstance(node, torch.fx.Node) or node not in self.number:
                raise NotLocalError(f"{name}: an input that is not a local step")
            if node in self.turned:
                raise NotLocalError(f"{name}: channels come after positions")
        return tuple(self.number[node] for node in nodes)

    def _layer(self, node: Any) -> None:
        module = self.modules[str(node.target)]
        name = f"{node.target} ({type(module).__name__})"
        if isinstance(module, WholeSequence):
            raise NotLocalError(name)
        inputs = self._inputs(node.args, name)
        if type(module) in _ELEMENTWISE + _JOINED or _is_channel_softmax(module):
            macs = module.weight.numel() if isinstance(module, torch.nn.Linear) else 0
            self._add(node, Step(inputs, module, macs=macs, layer=module))
            return
        if type(module) not in _BUILDERS:
            raise NotLocalError(name)
        self._add(node, replace(_BUILDERS[type(module)](module, name), inputs=inputs))

    def _call(self, node: Any) -> None:
        name = str(node.target if isinstance(node.target, str) else node.target.__name__)
        if node.target in (operator.add, torch.add, "add"):
            self._add(node, Step(self._inputs(node.args, name), operator.add))
        elif node.target is torch.cat and _axis(node) == 1:
            self._add(node, Step(self._inputs(node.args[0], name), concatenated))
        elif node.target is operator.getitem:
            self._slice(node, name)
        elif node.target in ("transpose", torch.transpose) and {*node.args[1:]} == {1, 2}:
            (source,) = self._inputs(node.args[:1], name)
            self.number[node] = source
            self.turned.add(node)
        elif node.target in ("float", "contiguous"):
            self._add(node, Step(self._inputs(node.args[:1], name), operator.methodcaller(name)))
        elif node.target in FUNCTIONS and not node.kwargs and len(node.args) == 1:
            self._add(node, Step(self._inputs(node.args, name), FUNCTIONS[node.target]))
        else:
            raise NotLocalError(f"function {name}")

    def _slice(self, node: Any, name: str) -> None:
        """A crop along the positions, or a choice of channels."""
        inputs = self._inputs(node.args[:1], name)
        index = node.args[1] if isinstance(node.args[1], tuple) else (node.args[1],)
        if Ellipsis in index:
            place = index.index(Ellipsis)
            middle = (slice(None),) * (3 - len(index) + 1)
            index = (*index[:place], *middle, *index[place + 1 :])
        index = (*index, *(slice(None),) * (3 - len(index)))
        if index[0] != slice(None) or not all(isinstance(one, slice) for one in index):
            raise NotLocalError(f"function {name} with {index}")
        if index[1] != slice(None):
            self._add(node, Step(inputs, Sliced(index[1])))
            inputs = (self.number[node],)
        if index[2] != slice(None):
            left, stop = index[2].start or 0, index[2].stop or 0
            if index[2].step not in (None, 1) or left < 0 or stop > 0:
                raise NotLocalError(f"function {name} with {index}")
            self._add(node, Step(inputs, same, left=left, right=-stop))


def same(values: torch.Tensor) -> torch.Tensor:
    """The values themselves."""
    return values


def concatenated(*values: torch.Tensor) -> torch.Tensor:
    """Channels one after the other."""
    return torch.cat(values, dim=1)


@dataclass(frozen=True)
class Sliced:
    """A slice of the channels."""

    channels: slice

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels, positions) to fewer channels."""
        return values[:, self.channels]


@dataclass(frozen=True)
class Selected:
    """Some of the channels, in this order."""

    channels: tuple[int, ...]

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels, positions) to the chosen channels."""
        index = torch.tensor(self.channels, device=values.device)
        return values.index_select(1, index)


def _axis(node: torch.fx.Node) -> Any:
    return node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)


def _is_channel_softmax(module: torch.nn.Module) -> bool:
    return isinstance(module, torch.nn.Softmax | LogOdds) and module.dim == 1


def _unpadded(module: torch.nn.Conv1d) -> Function:
    def convolve(values: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv1d(
            values,
            module.weight,
            module.bias,
            module.stride,
            0,
            module.dilation,
            module.groups,
        )

    return convolve


def _convolution(module: torch.nn.Conv1d, name: str) -> Step:
    field = (module.kernel_size[0] - 1) * module.dilation[0] + 1
    stride = module.stride[0]
    if module.padding_mode != "zeros":
        raise NotLocalError(f"{name} with padding {module.padding_mode!r}")
    same = module.padding == "same" or getattr(module, "same", False)
    before = 0 if isinstance(module.padding, str) else int(module.padding[0])
    return Step(
        (),
        _unpadded(module),
        field,
        stride,
        before=before,
        same=same,
        macs=module.weight.numel(),
        layer=module,
    )


def _pooling(module: Any, name: str) -> Step:
    width, stride, padding = (
        value[0] if isinstance(value, tuple) else value
        for value in (module.kernel_size, module.stride, module.padding)
    )
    if module.ceil_mode or getattr(module, "return_indices", False):
        raise NotLocalError(f"{name} with ceil_mode or return_indices")
    if getattr(module, "dilation", 1) not in (1, (1,)):
        raise NotLocalError(f"{name} with a dilation")
    if isinstance(module, torch.nn.AvgPool1d):
        if padding:
            raise NotLocalError(f"{name} with padding")
        return Step((), torch.nn.AvgPool1d(width, stride), width, stride)
    pool = torch.nn.MaxPool1d(width, stride)
    return Step((), pool, width, stride, before=padding, fill=float("-inf"))


def _masked(module: FixedDropout, name: str) -> Step:
    return Step((), module, placed=True, layer=module)


def _crop(module: keras_layers.Crop, name: str) -> Step:
    return Step((), same, left=module.left, right=module.right)


_BUILDERS: dict[type[torch.nn.Module], Callable[[Any, str], Step]] = {
    torch.nn.Conv1d: _convolution,
    keras_layers.Convolution: _convolution,
    torch.nn.MaxPool1d: _pooling,
    torch.nn.AvgPool1d: _pooling,
    keras_layers.Crop: _crop,
    FixedDropout: _masked,
}
FUNCTIONS: dict[Any, Function] = {
    torch.relu: torch.relu,
    torch.nn.functional.relu: torch.relu,
    "relu": torch.relu,
    torch.sigmoid: torch.sigmoid,
    "sigmoid": torch.sigmoid,
    torch.tanh: torch.tanh,
    "tanh": torch.tanh,
    torch.exp: torch.exp,
    "exp": torch.exp,
    torch.nn.functional.softplus: torch.nn.functional.softplus,
    torch.nn.functional.gelu: torch.nn.functional.gelu,
}


def restricted(steps: tuple[Step, ...], tracks: Sequence[int]) -> tuple[Step, ...]:
    """The steps with some of the output's channels; a last dense layer computes no others."""
    index = torch.tensor(list(tracks))
    last = len(steps) - 1
    place = last
    while type(steps[place].layer) in _CHANNEL_BY_CHANNEL:
        (place,) = steps[place].inputs
    head = steps[place]
    alone = sum(place in step.inputs for step in steps) <= 1
    pointwise = isinstance(head.layer, torch.nn.Linear | torch.nn.Conv1d) and head.field == 1
    if not (alone and pointwise and head.stride == 1 and getattr(head.layer, "groups", 1) == 1):
        return (*steps, Step((last,), Selected(tuple(tracks)), name="tracks"))
    macs = head.macs * len(index) // len(head.layer.weight)  # type: ignore[union-attr, arg-type]
    fewer = replace(head, apply=_some_of(head.layer, index), macs=macs, kept=index)
    return (*steps[:place], fewer, *steps[place + 1 :])


def _some_of(layer: Any, index: torch.Tensor) -> Function:
    """The chosen outputs of a dense layer at every position."""

    def apply(values: torch.Tensor) -> torch.Tensor:
        chosen = index.to(values.device)
        weight = layer.weight.index_select(0, chosen)
        bias = None if layer.bias is None else layer.bias.index_select(0, chosen)
        return torch.nn.functional.conv1d(values, weight.reshape(len(chosen), -1, 1), bias)

    return apply
