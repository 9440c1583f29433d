"""Convolutions and dense layers of a local graph as products with a tensor of weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from seqtrust.inference.local_graph import Step


@dataclass(frozen=True, eq=False)
class Product:
    """A convolution of windows; a dense layer at every position is one of width 1.

    Attributes:
        weight: (channels out, channels in of a group, width).
        bias: (channels out,), if any.
        stride: positions between windows.
        dilation: positions between the taps of a window.
        groups: groups of channels.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None
    stride: int = 1
    dilation: int = 1
    groups: int = 1

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """Windows (N, channels in, positions) to (N, channels out, windows)."""
        return torch.nn.functional.conv1d(
            values, self.weight, self.bias, self.stride, 0, self.dilation, self.groups
        )


def product_of(step: Step) -> Product | None:
    """What a step multiplies with; None if it is no product."""
    if isinstance(step.apply, Product):
        return step.apply
    layer: Any = step.layer
    if not isinstance(layer, torch.nn.Conv1d | torch.nn.Linear):
        return None
    weight, bias = layer.weight, layer.bias
    if step.kept is not None:
        index = step.kept.to(weight.device)
        weight = weight.index_select(0, index)
        bias = None if bias is None else bias.index_select(0, index)
    if isinstance(layer, torch.nn.Linear) or step.kept is not None:
        return Product(weight.reshape(len(weight), -1, 1), bias)
    return Product(weight, bias, layer.stride[0], layer.dilation[0], layer.groups)


def beside(products: Sequence[Product], shared: bool) -> Product:
    """Equally shaped products as one, their channels side by side.

    Args:
        products: R of them; only of one group if they share their input.
        shared: all read the same channels; else each reads its own.
    """
    first = products[0]
    biases = [one.bias for one in products if one.bias is not None]
    return Product(
        torch.cat([one.weight for one in products]),
        torch.cat(biases) if biases else None,
        first.stride,
        first.dilation,
        first.groups if shared else first.groups * len(products),
    )
