"""Multiplications of a pass of a whole network."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from seqtrust.inference.local_graph import LocalGraph, NotLocalError
from seqtrust.inference.tracing import local_graph
from seqtrust.models.model import Model

_CONVOLUTIONS = ("conv1d", "conv2d", "convolution")
_PRODUCTS = ("matmul", "__matmul__", "mm", "bmm")


def macs_of_pass(model: Model, length: int) -> int:
    """Multiplications of one full pass of one sequence with all bins and tracks.

    They are those of convolutions and dense layers, padding included. For networks that are not
    local they are counted while one sequence passes, with those of products of matrices.

    Args:
        model: in evaluation mode.
        length: of the sequence, bp.
    """
    try:
        return macs_of_graph(local_graph(model.module), length)
    except NotLocalError:
        shown = torch.zeros((1, length), dtype=torch.uint8, device=model.device)
        return counted(model.module, model.encode(shown))


def macs_of_graph(graph: LocalGraph, length: int) -> int:
    """Multiplications of a local network for all positions of all of its steps."""
    steps = zip(graph.steps, graph.lengths(length), strict=True)
    return sum(step.macs * positions for step, positions in steps)


def counted(module: torch.nn.Module, *shown: torch.Tensor) -> int:
    """Multiplications of a network for what it is shown."""
    counter = _Counter()
    with torch.inference_mode(), counter:
        module(*shown)
    return counter.total


class _Counter(TorchFunctionMode):
    """Counts while functions of torch are called; much lighter than torch's own counter."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Collection[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function and count."""
        made = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "").partition(".")[0]
        if name in _CONVOLUTIONS:
            self.total += made.numel() * args[1][0].numel()
        elif name == "linear":
            self.total += made.numel() * args[1].shape[-1]
        elif name in _PRODUCTS:
            self.total += made.numel() * args[0].shape[-1]
        elif name == "addmm":
            self.total += made.numel() * args[1].shape[-1]
        return made
