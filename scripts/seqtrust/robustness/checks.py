"""Refusals of settings of the simulator."""

import math
from collections.abc import Sequence

from seqtrust.errors import InputError


def refuse_outside(what: str, name: str, value: float, low: float, high: float) -> None:
    """Refuse a setting that is not a number in [low, high].

    Args:
        what: the group of settings, for the message.
        name: of the setting.
        value: found.
        low: smallest allowed value.
        high: largest allowed value; may be infinite.

    Raises:
        InputError: the value lies outside.
    """
    if not (math.isfinite(value) and low <= value <= high):
        if math.isinf(high):
            allowed = "finite" if math.isinf(low) else f"finite and at least {low:g}"
        else:
            allowed = f"from {low:g} to {high:g}"
        raise InputError(f"{what}: {name} is {value:g}, it must be {allowed}: change it")


def refuse_unknown_cells(cells: Sequence[int], known: int) -> None:
    """Refuse cell types that a world does not have, and an empty list.

    Args:
        cells: indices, 0-based.
        known: cell types of the world.

    Raises:
        InputError: a cell is not one of the world.
    """
    wrong = [cell for cell in cells if not 0 <= cell < known]
    if wrong or not cells:
        raise InputError(
            f"cells {list(cells)}: this world has cell types 0 to {known - 1}; name at least one "
            "of them, or make a world with more cells"
        )
