"""Stacks of layers that several families have in common, and what their lengths must be."""

from collections.abc import Sequence

import torch

from seqtrust.errors import InputError


def refuse_bad_rates(architecture: str, rates: Sequence[float], expected: int) -> None:
    """Nothing, or an error that says what dropout rates are wanted.

    Raises:
        InputError: a rate is outside [0, 1), or there are not `expected` of them.
    """
    if len(rates) != expected or not all(0 <= rate < 1 for rate in rates):
        raise InputError(
            f"{architecture}: dropout is {list(rates)}, but must be {expected} rates in [0, 1)"
        )


def refuse_bad_sizes(architecture: str, **sizes: int | Sequence[int]) -> None:
    """Nothing, or an error that names the parameter with a size below 1.

    Raises:
        InputError: a size, or one of several, is below 1, or there is none.
    """
    for name, value in sizes.items():
        values = [value] if isinstance(value, int) else list(value)
        if not values or min(values) < 1:
            raise InputError(f"{architecture}: {name} is {value}, but must be at least 1")


def labelled_crop(architecture: str, input_length: int, bin_width: int) -> int:
    """Bp on each side of the labelled middle of a sequence.

    Raises:
        InputError: the middle is wider than the sequence, or not in its middle.
    """
    crop, rest = divmod(input_length - bin_width, 2)
    if not 1 <= bin_width <= input_length or rest:
        raise InputError(
            f"{architecture}: bin_width is {bin_width}, but the {input_length} bp of input must "
            "hold it with equally many bases on both sides"
        )
    return crop


def refuse_no_positions(architecture: str, input_length: int, positions: int) -> None:
    """Nothing, or an error where convolutions and poolings leave no position.

    Raises:
        InputError: `positions` is below 1.
    """
    if positions < 1:
        raise InputError(
            f"{architecture}: input_length is {input_length}, of which the convolutions and "
            "poolings leave nothing: give a longer one"
        )


def normalised(channels: int, wanted: bool = True) -> list[torch.nn.Module]:
    """Batch normalisation, or nothing."""
    return [torch.nn.BatchNorm1d(channels)] if wanted else []
