"""Medians and modes of the ratios of outcome and exposure effects: shared parts, and medians."""

import numpy as np
from scipy.special import chdtrc

from seqtrust.errors import InputError
from seqtrust.mendelian.effects import Effects, Estimate, Pairs, made_estimate, paired
from seqtrust.statistics import Floats

DRAWS = 10_000
PENALTY = 20  # of outlying ratios in the penalised median
PART = 1000  # draws at a time


def simple_median(
    exposure: Effects, outcome: Effects, *, draws: int = DRAWS, seed: int = 0, level: float = 0.95
) -> Estimate:
    """Median of the ratios (Bowden et al. 2016): right if half of the instruments are valid.

    Args:
        exposure: effects of J instruments, shape (..., J); those of 0 have no ratio and are
            left out.
        outcome: effects of the same instruments.
        draws: of the parametric bootstrap that gives the standard error.
        seed: of the draws.
        level: of the interval.
    """
    return _median(exposure, outcome, "equal", draws, seed, level)


def weighted_median(
    exposure: Effects, outcome: Effects, *, draws: int = DRAWS, seed: int = 0, level: float = 0.95
) -> Estimate:
    """Median of the ratios, weighted by (b_x / s_y)^2; arguments of `simple_median`.

    Weights stay as they are in the draws of the bootstrap, as in R.
    """
    return _median(exposure, outcome, "inverse", draws, seed, level)


def penalised_median(
    exposure: Effects, outcome: Effects, *, draws: int = DRAWS, seed: int = 0, level: float = 0.95
) -> Estimate:
    """Weighted median in which ratios far from it weigh less; arguments of `simple_median`."""
    return _median(exposure, outcome, "penalised", draws, seed, level)


def _median(
    exposure: Effects, outcome: Effects, kind: str, draws: int, seed: int, level: float
) -> Estimate:
    if draws < 2:
        raise InputError(f"a bootstrap needs at least 2 draws; found {draws}")
    pairs = paired(exposure, outcome, ratios=True)
    ratio = ratios(pairs)
    weights = pairs.used * (pairs.x / pairs.sy) ** 2
    if kind == "equal":
        weights = pairs.used.astype(np.float64)
    estimate = interpolated_median(ratio, weights)
    if kind == "penalised":
        p = chdtrc(1, weights * (ratio - estimate[..., None]) ** 2)
        weights = weights * np.minimum(1, PENALTY * p)
        estimate = interpolated_median(ratio, weights)
    se = bootstrapped(pairs, weights, draws, seed)
    return made_estimate(
        estimate,
        se,
        pairs.reason,
        level=level,
        diagnostics={"instruments": pairs.count},
    )


def ratios(pairs: Pairs) -> Floats:
    """Outcome over exposure effects, 0 where not used or where there is none on the exposure."""
    there = pairs.used & (pairs.x != 0)
    return np.divide(pairs.y, pairs.x, out=np.zeros_like(pairs.x), where=there)


def interpolated_median(values: Floats, weights: Floats) -> Floats:
    """The value at which half of the weight is reached, between the two that enclose it.

    A value stands at the middle of its own weight; values without weight are left out.

    Args:
        values: shape (..., J).
        weights: shape (..., J) or (J,), none negative.

    Returns:
        Shape (...); NaN where there is no weight.
    """
    weights = np.broadcast_to(weights, values.shape)
    order = np.argsort(np.where(weights > 0, values, np.inf), axis=-1)
    ordered, w = (np.take_along_axis(array, order, axis=-1) for array in (values, weights))
    total = np.cumsum(w, axis=-1)
    middle = total - w / 2
    half = total[..., -1] / 2
    last = (w > 0).sum(axis=-1) - 1
    after = np.clip((middle < half[..., None]).sum(axis=-1), 0, np.maximum(last, 0))
    before = np.maximum(after - 1, 0)

    def at(array: Floats, index: np.ndarray) -> Floats:
        return np.take_along_axis(array, index[..., None], axis=-1)[..., 0]

    low, high = at(middle, before), at(middle, after)
    step = np.divide(half - low, high - low, out=np.zeros_like(half), where=high > low)
    left, right = at(ordered, before), at(ordered, after)
    return np.where(last >= 0, left + np.clip(step, 0, 1) * (right - left), np.nan)


def bootstrapped(pairs: Pairs, weights: Floats, draws: int, seed: int) -> Floats:
    """Sd of the weighted median over parametric draws of both effects, weights kept.

    The draws of an instrument depend on its number in its locus only, so that neither other loci
    nor the filling with NaN change an error.

    Args:
        pairs: instruments.
        weights: shape (..., J).
        draws: how many.
        seed: of the draws.

    Returns:
        Shape (...), NaN where there is a reason.
    """
    shape, size = pairs.count.shape, pairs.x.shape[-1]
    sums = np.zeros((2, int(np.prod(shape))))
    used = pairs.used.reshape(-1, size)
    rows = np.flatnonzero(pairs.reason.reshape(-1) == "")
    arrays = [a.reshape(-1, size) for a in (pairs.x, pairs.sx, pairs.y, pairs.sy, weights)]
    centre = np.zeros(sums.shape[1])
    for part, begin in enumerate(range(0, draws, PART)):
        number = min(PART, draws - begin)
        drawn = standard_draws(size, number, (seed, part))
        for row in rows:
            x, sx, y, sy, w = (array[row][used[row]] for array in arrays)
            star = (y + sy * drawn[1, :, : len(x)]) / (x + sx * drawn[0, :, : len(x)])
            medians = fixed_weight_medians(star, w)
            if part == 0:
                centre[row] = medians.mean()
            moved = medians - centre[row]
            sums[:, row] += moved.sum(), (moved**2).sum()
    variance = (sums[1] - sums[0] ** 2 / draws) / (draws - 1)
    se = np.full(sums.shape[1], np.nan)
    se[rows] = np.sqrt(np.maximum(variance[rows], 0))
    return se.reshape(shape)


def standard_draws(size: int, number: int, seed: tuple[int, int]) -> Floats:
    """Standard normal numbers, shape (2, number, size); the first columns are those of any size."""
    drawn = np.random.default_rng(seed).standard_normal((size, 2, number))
    return np.ascontiguousarray(drawn.transpose(1, 2, 0))


def fixed_weight_medians(values: Floats, weights: Floats) -> Floats:
    """`interpolated_median` of many draws with the same weights, several times as fast.

    The number of an instrument is hidden in the lowest bits of its value, so that a plain sort
    of integers orders the weights too. Values that agree to about ten digits may change places.

    Args:
        values: shape (B, J), finite.
        weights: shape (J,), positive.
    """
    bits = int(len(weights) - 1).bit_length()
    below = np.int64((1 << bits) - 1)
    keys = np.ascontiguousarray(values).view(np.int64)
    keys = keys ^ ((keys >> 63) & np.int64(0x7FFFFFFFFFFFFFFF))
    keys &= ~below
    keys |= np.arange(len(weights))
    keys.sort(axis=1)
    order = keys & below
    w = weights[order]
    middle = np.cumsum(w, axis=1) - w / 2
    half = weights.sum() / 2
    rows = np.arange(len(values))
    after = np.argmax(middle >= half, axis=1)
    before = np.maximum(after - 1, 0)
    low, high = middle[rows, before], middle[rows, after]
    left, right = values[rows, order[rows, before]], values[rows, order[rows, after]]
    step = np.divide(half - low, high - low, out=np.zeros_like(low), where=high > low)
    return left + step * (right - left)
