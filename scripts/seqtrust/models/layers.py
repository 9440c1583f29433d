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


def refuse_bad_rate(architecture: str, rate: float) -> None:
    """Nothing, or an error that says what a dropout rate is.

    Raises:
        InputError: `rate` is outside [0, 1).
    """
    if not 0 <= rate < 1:
        raise InputError(f"{architecture}: dropout is {rate}, but must be in [0, 1)")


def refuse_bad_sizes(
    architecture: str, least: int = 1, /, **sizes: float | Sequence[float]
) -> None:
    """Nothing, or an error that names the parameter with a size that cannot be.

    Raises:
        InputError: a size, or one of several, is no whole number, or below `least`.
    """
    for name, value in sizes.items():
        several = isinstance(value, Sequence)
        values = list(value) if isinstance(value, Sequence) else [value]
        if not all(_whole(one) for one in values):
            raise InputError(
                f"{architecture}: {name} is {values if several else repr(value)}, but must be "
                f"{'whole numbers' if several else 'a whole number'}"
            )
        if min(values, default=least) < least:
            raise InputError(
                f"{architecture}: {name} is {values if several else value}, but must be at least "
                f"{least}"
            )


def refuse_even(architecture: str, **widths: float) -> None:
    """Nothing, or an error that names the parameter with a width that has no middle.

    Raises:
        InputError: a width is no whole number, even or not positive.
    """
    for name, width in widths.items():
        if not _whole(width) or width < 1 or width % 2 == 0:
            raise InputError(f"{architecture}: {name} is {width}, but must be odd and positive")


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


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def normalised(channels: int, wanted: bool = True) -> list[torch.nn.Module]:
    """Batch normalisation, or nothing."""
    return [torch.nn.BatchNorm1d(channels)] if wanted else []
