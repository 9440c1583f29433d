"""Attribution maps and their sequences: shapes, what a map must hold to be scored, centring."""

import numpy as np
import numpy.typing as npt

from seqtrust.bases import UNKNOWN, Codes
from seqtrust.errors import InputError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

PUBLISHED = "published"
CORRECTED = "corrected"
MODES = (PUBLISHED, CORRECTED)

# what is left of a map of constants after centring, relative to the constants
_ROUNDING = 1e-12


def checked_maps(attributions: npt.ArrayLike) -> Floats:
    """Attribution maps of shape (N, L, 4), one column per base A, C, G, T, in double precision.

    Raises:
        InputError: the shape is another one.
    """
    maps = np.asarray(attributions, dtype=np.float64)
    if maps.ndim != 3 or maps.shape[2] != 4 or 0 in maps.shape:
        raise InputError(
            f"attribution maps have shape {maps.shape}, expected (maps, positions, 4) with the "
            "bases A, C, G, T last; transpose maps of (maps, 4, positions)"
        )
    return maps


def checked_sequences(sequences: npt.ArrayLike, maps: Floats) -> Codes:
    """Base codes of shape (N, L) that belong to maps of shape (N, L, 4).

    Raises:
        InputError: another shape, or a code that is no base.
    """
    codes = np.asarray(sequences)
    if codes.shape != maps.shape[:2]:
        raise InputError(
            f"sequences have shape {codes.shape}, expected {maps.shape[:2]}: one row of base codes "
            "per attribution map, in the order of the maps"
        )
    wrong = np.argwhere((codes < 0) | (codes > UNKNOWN))
    if len(wrong):
        row, place = wrong[0].tolist()
        raise InputError(
            f"sequence {row} has the code {codes[row, place]} at position {place} (both from 0), "
            "expected 0 to 3 for A, C, G, T or 4 for N"
        )
    return codes.astype(np.uint8)


def checked_mode(mode: str) -> None:
    """Refuse a mode that does not exist."""
    if mode not in MODES:
        raise InputError(f"mode is {mode!r}, expected 'published' or 'corrected'")


def usable(total: Floats, offset: Floats) -> Flags:
    """Which maps can be scored: finite, and not zero after centring.

    Args:
        total: sum over positions of the norm of the centred map, shape (N,).
        offset: norm over positions of the mean over bases, shape (N,).
    """
    with np.errstate(invalid="ignore"):
        return np.isfinite(total) & np.isfinite(offset) & (total > _ROUNDING * offset)


def require_usable(kept: Flags) -> None:
    """Refuse to score when no map can be.

    Raises:
        InputError: all maps are zero, constant over bases, or hold NaN.
    """
    if not kept.any():
        raise InputError(
            f"none of the {len(kept)} attribution maps can be scored: all are zero after "
            "centring, or hold NaN; attribute the logit, whose gradient does not underflow"
        )


def contributions(maps: Floats, codes: Codes) -> Floats:
    """Attribution of the base that is there, 0 for N.

    Args:
        maps: shape (N, L, 4).
        codes: shape (N, L).

    Returns:
        Shape (N, L).
    """
    known = codes != UNKNOWN
    own = np.take_along_axis(maps, np.where(known, codes, 0)[..., None].astype(np.intp), axis=2)
    return np.where(known, own[..., 0], 0.0)
