"""Products in bfloat16, and outputs as float16 as published pipelines stored them.

Effects are about a thousandth of an output, below the step of bfloat16 (1/256). So only the
operands of products are rounded, and behind the last pooling only what a sequence changes of the
first one of its window: a product is linear, and its error is then relative to the change.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from seqtrust.inference.local_graph import Function, LocalGraph
from seqtrust.inference.products import Product, product_of

FLOAT32, BF16 = "float32", "bf16"
FLOAT16 = "float16"


def in_bfloat16(graph: LocalGraph) -> LocalGraph:
    """The graph with bfloat16 operands in all products but the last ones of its heads."""
    steps = list(graph.steps)
    for number, product in _products(graph).items():
        rounded = _rounded(product, with_bias=True)
        steps[number] = replace(steps[number], apply=rounded, layer=None, kept=None)
    return LocalGraph(tuple(steps))


def changes_in_bfloat16(graph: LocalGraph) -> LocalGraph:
    """The graph in float32, whose products take changes of their input in bfloat16."""
    steps = list(graph.steps)
    for number, product in _products(graph).items():
        steps[number] = replace(steps[number], change=_rounded(product, with_bias=False))
    return LocalGraph(tuple(steps))


def _products(graph: LocalGraph) -> dict[int, Product]:
    """The products that others come after."""
    before: set[int] = set()
    found = {}
    for number in range(len(graph.steps) - 1, 0, -1):
        step = graph.steps[number]
        product = product_of(step)
        if product is not None and number in before:
            found[number] = product
        if product is not None or number in before:
            before.update(step.inputs)
    return found


def _rounded(product: Product, with_bias: bool) -> Function:
    """A product of bfloat16 operands; its result has the precision of what it is given."""
    inner = replace(product, weight=product.weight.to(torch.bfloat16), bias=None)
    bias = product.bias[:, None] if with_bias and product.bias is not None else None

    def multiply(values: torch.Tensor) -> torch.Tensor:
        made = inner(values.to(torch.bfloat16)).to(values.dtype)
        return made if bias is None else made + bias

    return multiply


def as_float16(values: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], int]:
    """Values rounded to float16, and how many were clipped to its range."""
    largest = float(np.finfo(np.float16).max)
    clipped = int((np.abs(values) > largest).sum())
    rounded = np.clip(values, -largest, largest).astype(np.float16)
    return rounded.astype(np.float32), clipped
