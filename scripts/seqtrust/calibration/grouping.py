"""Groups of rows that are not independent: calibration and evaluation may share none."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from seqtrust.errors import InputError

Floats = npt.NDArray[np.float64]
Groups = npt.NDArray[np.str_]


def group_array(groups: Sequence[str] | Groups, rows: int) -> Groups:
    """Group keys as an array, shape (N,).

    Args:
        groups: a key per row: LD block, gene, peak.
        rows: N.

    Raises:
        InputError: there is not one key per row, or a key is empty.
    """
    keys = np.asarray(groups, dtype=np.str_)
    if keys.shape != (rows,):
        raise InputError(
            f"{keys.size} group keys for {rows} rows: give one per row (LD block, gene, peak), "
            "so that data that are not independent stay together"
        )
    if (keys == "").any():
        raise InputError(
            f"row {int(np.flatnonzero(keys == '')[0])} has an empty group key: give a row that "
            "stands alone a key of its own"
        )
    return keys


def refuse_overlap(fitted_on: Iterable[str], used_on: Iterable[str]) -> None:
    """Refuse to use what was fitted on groups that it is now used on.

    Args:
        fitted_on: group keys of the calibration data.
        used_on: group keys of the evaluation data.

    Raises:
        InputError: a group is in both.
    """
    calibration, evaluation = set(map(str, fitted_on)), set(map(str, used_on))
    shared = sorted(calibration & evaluation)
    if shared:
        raise InputError(
            f"{len(shared)} groups are in the calibration data ({len(calibration)} groups) and in "
            f"the data that it is used on ({len(evaluation)}), the first is {shared[0]!r}: what "
            "is fitted on a group looks too good on it. Divide the data by group"
        )


def touched_blocks(contig: str, start: int, end: int, block: int) -> tuple[str, ...]:
    """Blocks of `block` bp that [start, end) touches; windows that overlap share one."""
    return tuple(f"{contig}:{index}" for index in range(start // block, (end - 1) // block + 1))


def centre_block(contig: str, start: int, end: int, block: int) -> str:
    """The block of `block` bp that holds the centre of [start, end)."""
    return f"{contig}:{(start + end) // 2 // block}"


def shared_rows(
    calibration: Sequence[Iterable[str]], evaluation: Sequence[Iterable[str]]
) -> npt.NDArray[np.bool_]:
    """Calibration rows that share a key with an evaluation row, shape (N,).

    Args:
        calibration: keys of each of the N calibration rows, one or more.
        evaluation: keys of each evaluation row.
    """
    taken = {key for keys in evaluation for key in keys}
    return np.array([not taken.isdisjoint(keys) for keys in calibration], dtype=bool)
