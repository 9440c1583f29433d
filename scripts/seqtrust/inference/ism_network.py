"""A network as local steps up to where its positions end, and a head on whole vectors after.

Convolutional networks either keep positions to their output, or end them by flattening or
pooling over the whole sequence and go on with dense layers. What a substitution changes is local
before that place, and one vector per sequence after it.
"""

import operator
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
import torch.fx

from seqtrust.inference.local_graph import LocalGraph, NotLocalError
from seqtrust.inference.tracing import StepBuilder, StepTracer, restricted, traced
from seqtrust.models import keras_layers

_ENDS: dict[type[torch.nn.Module], str] = {
    torch.nn.Flatten: "flat",
    keras_layers.Flatten: "flat",
    keras_layers.GlobalAverage: "mean",
    keras_layers.GlobalMax: "max",
    torch.nn.AdaptiveAvgPool1d: "mean",
    torch.nn.AdaptiveMaxPool1d: "max",
}
_REDUCTIONS = {"mean": "mean", "sum": "sum", "amax": "max"}
_UNCHANGED = (torch.nn.Dropout, torch.nn.Identity)


@dataclass(frozen=True)
class End:
    """A place where the positions of a step become one vector per sequence.

    Attributes:
        step: the step before it.
        kind: "mean", "sum" or "max" over the positions, or "flat".
        keeps: the vector keeps an axis of one position.
        by_position: a flat vector has all channels of position 0 first, not all positions of
            channel 0.
        dense: the layer that alone reads the flat vector; its output is then the vector.
    """

    step: int
    kind: str
    keeps: bool = False
    by_position: bool = False
    dense: torch.nn.Linear | None = None

    def vectors(self, values: torch.Tensor) -> torch.Tensor:
        """Whole activations (N, channels, positions) to what the head reads."""
        if self.kind == "flat":
            flat = (values.transpose(1, 2) if self.by_position else values).flatten(1)
            return flat if self.dense is None else self.dense(flat)
        if self.kind == "max":
            return values.amax(dim=-1, keepdim=self.keeps)
        total = values.sum(dim=-1, keepdim=self.keeps)
        return total / values.shape[-1] if self.kind == "mean" else total


@dataclass(frozen=True)
class Network:
    """Local steps, and what comes after them.

    Attributes:
        graph: the local steps; the last one is the output where there is no head.
        ends: where positions end, in the order of the head's arguments; none without a head.
        head: (a tensor with one row per sequence, the ends' vectors) to (N, bins, tracks); in
            double precision, unless it sets a precision itself, because its outputs are large
            and differ little.
        tracks: of the output, in its order; None for all of the network's.
    """

    graph: LocalGraph
    ends: tuple[End, ...] = ()
    head: torch.fx.GraphModule | None = None
    tracks: tuple[int, ...] | None = None

    @property
    def head_dtype(self) -> torch.dtype:
        """Precision of what the head reads."""
        return torch.float32 if self.head is None or _casts(self.head) else torch.float64

    @classmethod
    def of(cls, module: torch.nn.Module, tracks: Sequence[int]) -> "Network":
        """Take a network that maps (N, 4, L) to (N, bins, tracks) apart.

        Args:
            module: in evaluation mode.
            tracks: outputs that are wanted.

        Raises:
            NotLocalError: it has a layer before its head that is not local.
        """
        builder = _Builder(dict(module.named_modules()))
        steps = builder.build(traced(module, _Tracer()))
        if not builder.ends:
            return cls(LocalGraph(restricted(steps, tracks)), tracks=tuple(tracks))
        head = _in_double(torch.fx.GraphModule(module, builder.head()).eval())
        return cls(LocalGraph(steps), tuple(builder.ends.values()), head)


def _in_double(head: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """A copy in double precision, or the head itself where it sets a precision."""
    return head if _casts(head) else deepcopy(head).double()


def _casts(head: torch.fx.GraphModule) -> bool:
    return any(
        node.op == "call_method" and node.target in ("float", "to", "type")
        for node in head.graph.nodes
    )


class _Tracer(StepTracer):
    """The layers that end positions are leaves, too."""

    def is_leaf_module(self, module: torch.nn.Module, module_qualified_name: str) -> bool:
        """Whether a layer is one step, one end or a constant."""
        known = type(module) in (*_ENDS, keras_layers.Constant)
        return known or super().is_leaf_module(module, module_qualified_name)


class _Builder(StepBuilder):
    """Turns a traced network into steps, ends and a head."""

    def __init__(self, modules: dict[str, torch.nn.Module]) -> None:
        super().__init__(modules)
        self.ends: dict[torch.fx.Node, End] = {}
        self.shapes: set[torch.fx.Node] = set()
        self.sizes: set[torch.fx.Node] = set()
        self.constants: set[torch.fx.Node] = set()
        self.after: list[torch.fx.Node] = []

    def add(self, node: torch.fx.Node) -> None:
        """A node becomes an end, a part of the head, or a step."""
        sources = node.all_input_nodes
        whole = {*self.ends, *self.after}
        if any(source in whole for source in sources):
            self._to_head(node)
        elif node.op == "call_module" and self._is_constant(node):
            self.constants.add(node)
        elif sources and set(sources) <= self.shapes:
            self._read_shape(node)
        elif node.op == "get_attr" or (sources and set(sources) <= self.constants | self.sizes):
            self.constants.add(node)
        elif _is_shape(node) and sources[0] in self.number:
            self.shapes.add(node)
        elif node.op == "call_method" and node.target == "size":
            if node.args[1:] != (0,):
                raise NotLocalError(f"{node.name}: it reads the length of its input")
            self.sizes.add(node)
        elif (end := self._end(node)) is not None:
            self.ends[node] = end
        else:
            super().add(node)

    def finish(self, result: torch.fx.Node) -> int:
        """The number of steps, all of them where there is a head."""
        if not self.ends:
            return super().finish(result)
        if result not in {*self.ends, *self.after}:
            raise NotLocalError("the output is not of the layers that end positions")
        self.result = result
        return len(self.steps)

    def head(self) -> torch.fx.Graph:
        """What comes after the ends; see `Network`."""
        graph = torch.fx.Graph()
        rows = graph.placeholder("rows")
        new = {node: graph.placeholder(f"end_{number}") for number, node in enumerate(self.ends)}
        for node in self.result.graph.nodes:
            if node in self.sizes:
                new[node] = graph.call_method("size", (rows, 0))
            elif node in self.constants or node in self.after:
                new[node] = graph.node_copy(node, lambda source: new.get(source, rows))
        graph.output(new[self.result])
        return graph

    def _is_constant(self, node: torch.fx.Node) -> bool:
        return isinstance(self.modules[str(node.target)], keras_layers.Constant)

    def _read_shape(self, node: torch.fx.Node) -> None:
        if node.target is not operator.getitem or node.args[1] != 0:
            raise NotLocalError(f"{node.name}: it reads the length of its input")
        self.sizes.add(node)

    def _to_head(self, node: torch.fx.Node) -> None:
        known = {*self.ends, *self.after, *self.constants, *self.sizes}
        if not set(node.all_input_nodes) <= known:
            raise NotLocalError(f"{node.name}: it joins positions with the whole sequence")
        if node.op == "call_module" and self._reads_alone(node):
            (source,) = node.all_input_nodes
            end = self.ends.pop(source)
            layer = self.modules[str(node.target)]
            if isinstance(layer, torch.nn.Linear):
                self.ends[node] = End(end.step, "flat", by_position=end.by_position, dense=layer)
            else:
                self.ends[node] = end
            return
        self.after.append(node)

    def _reads_alone(self, node: torch.fx.Node) -> bool:
        """Whether a dense layer (or dropout before one) is all that reads a flat vector."""
        (source, *others) = node.all_input_nodes
        end = self.ends.get(source)
        layer = self.modules[str(node.target)]
        return (
            end is not None
            and not others
            and end.kind == "flat"
            and end.dense is None
            and len(source.users) == 1
            and isinstance(layer, (torch.nn.Linear, *_UNCHANGED))
        )

    def _end(self, node: torch.fx.Node) -> End | None:
        """The end that a node is, if it is one."""
        source = node.args[0] if node.args else None
        if not isinstance(source, torch.fx.Node) or source not in self.number:
            return None
        step, turned = self.number[source], source in self.turned
        if node.op == "call_module":
            return None if turned else _end_of_layer(self.modules[str(node.target)], step)
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        if name in _REDUCTIONS and _dims(node) in ([1] if turned else [-1, 2], [2], [-1]):
            axis = _dims(node)[0]
            if (axis == 1) == turned:
                keeps = bool(node.kwargs.get("keepdim", False)) or len(node.args) > 2
                return End(step, _REDUCTIONS[str(name)], keeps=keeps and not turned)
        if self._flattens(node, str(name)):
            return End(step, "flat", by_position=turned)
        return None

    def _flattens(self, node: torch.fx.Node, name: str) -> bool:
        rest = tuple(node.args[1:])
        if name == "flatten":
            return rest == (1,) or (not rest and node.kwargs == {"start_dim": 1})
        whole = len(rest) == 2 and rest[0] in self.sizes and rest[1] == -1
        return name in ("view", "reshape") and bool(whole)


def _end_of_layer(layer: torch.nn.Module, step: int) -> End | None:
    kind = _ENDS.get(type(layer))
    if kind is None:
        return None
    if isinstance(layer, torch.nn.Flatten) and (layer.start_dim, layer.end_dim) != (1, -1):
        return None
    adaptive = isinstance(layer, torch.nn.AdaptiveAvgPool1d | torch.nn.AdaptiveMaxPool1d)
    if adaptive and layer.output_size not in (1, (1,)):
        return None
    by_position = isinstance(layer, keras_layers.Flatten)
    return End(step, kind, keeps=adaptive, by_position=by_position)


def _dims(node: torch.fx.Node) -> list[Any]:
    dims = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
    return list(dims) if isinstance(dims, list | tuple) else [dims]


def _is_shape(node: torch.fx.Node) -> bool:
    if node.op == "call_method":
        return str(node.target) == "size" and len(node.args) == 1
    return node.target is getattr and str(node.args[1]) == "shape"
