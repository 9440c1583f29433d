"""The peak callers of `seqtrust.verdicts`, for tracks of millions of bins."""

import numpy as np
import numpy.typing as npt
from scipy.stats import poisson

from seqtrust.errors import InputError
from seqtrust.verdicts import highest_bins, poisson_peaks

POISSON, MATCHED = "poisson", "matched"
CALLERS = (MATCHED, POISSON)

_LARGEST_SPAN = 10_000_000

Flags = npt.NDArray[np.bool_]


def fast_poisson_peaks(values: npt.ArrayLike, fdr: float = 0.01) -> Flags:
    """What `seqtrust.verdicts.poisson_peaks` gives, from a count of equal values.

    Rounded values are few, and a bin's q-value depends on its value alone.

    Args:
        values: all bins of one track, shape (bins,), finite.
        fdr: a bin is a peak below this q-value.

    Raises:
        InputError: the mean of the track is negative.
    """
    tenths = np.rint(np.asarray(values, dtype=np.float64) * 10)
    least = tenths.min()
    if tenths.max() - least > _LARGEST_SPAN:
        return poisson_peaks(values, fdr)
    steps = (tenths - least).astype(np.int64)
    counts = np.bincount(steps)
    present = np.flatnonzero(counts)
    y = 10 * ((present + least) / 10)
    mean = float(counts[present] @ y) / len(steps)
    if mean < 0:
        raise InputError(
            f"the mean of a track is {mean / 10:.3g}: the Poisson peak caller needs counts, not "
            "values on a log scale"
        )
    p = poisson.sf(y - 1, mean)
    # p falls with y, so the rank of a value is the number of bins that are at least as high
    rank = np.cumsum(counts[present][::-1])[::-1]
    q = np.minimum.accumulate(p * len(steps) / rank)
    peaks = np.zeros(len(counts), dtype=bool)
    peaks[present] = np.minimum(q, 1) < fdr
    return peaks[steps]


def fast_highest_bins(values: npt.ArrayLike, number: int) -> Flags:
    """What `seqtrust.verdicts.highest_bins` gives, without sorting all bins."""
    values = np.asarray(values, dtype=np.float64)
    if number >= len(values) or number == 0 or np.isnan(values).any():
        return highest_bins(values, number)
    limit = np.partition(values, len(values) - number)[len(values) - number]
    chosen = values > limit
    equal = np.flatnonzero(values == limit)
    chosen[equal[: number - int(chosen.sum())]] = True
    return chosen


def called_peaks(predictions: npt.ArrayLike, truth: Flags, caller: str, fdr: float) -> Flags:
    """Peaks of every replicate on one track.

    Args:
        predictions: shape (R, bins).
        truth: true peaks, shape (bins,).
        caller: `poisson`: as the truth is called, on each replicate's predictions; `matched`: as
            many of its highest bins as there are true peaks, so that smoothness and depth of a
            prediction do not decide how many peaks it has.
        fdr: false discovery rate of the Poisson caller.
    """
    rows = np.asarray(predictions, dtype=np.float64)
    if caller == POISSON:
        return np.stack([fast_poisson_peaks(row, fdr) for row in rows])
    return np.stack([fast_highest_bins(row, int(truth.sum())) for row in rows])
