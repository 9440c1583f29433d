"""Mode of the smoothed ratios (Hartwig et al. 2017), exactly, or on R's grid as published."""

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, rfft

from seqtrust.errors import InputError
from seqtrust.mendelian.effects import Effects, Estimate, made_estimate, paired
from seqtrust.mendelian.ratios import ratios, standard_draws
from seqtrust.statistics import Floats

Rows = npt.NDArray[np.intp]

DRAWS = 10_000
NEARLY = 0.8  # of the highest peak: what is lower is not climbed
STEPS, PATIENCE = 200, 12  # of a climb; those before it halves
PRECISE = 1e-9  # bandwidths
FLAT, LONGEST = 0.05, 0.5  # where Newton's method is not used
NUMBERS = 400_000  # per array of a bootstrap
GRID = 512  # of R's density()
MAD = 1.482602218505602


def mode_based(
    exposure: Effects,
    outcome: Effects,
    *,
    weighted: bool = True,
    errors: str = "delta",
    phi: float = 1.0,
    method: str = "exact",
    draws: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Mode of a normal density of the ratios: right if the largest group agreeing is valid.

    Args:
        exposure: effects of J instruments, shape (..., J); those of 0 have no ratio and are
            left out.
        outcome: effects of the same instruments.
        weighted: ratios weigh 1 / variance; otherwise equally.
        errors: of a ratio: `delta` (second order) or `simple` (s_y / |b_x|).
        phi: times the usual bandwidth, 0.9 min(sd, 1.4826 MAD) J^(-1/5).
        method: `exact`, or `published`: the highest of 512 points over the range of the ratios,
            as R's `density()` gives them; one weak instrument stretches that grid.
        draws: of the parametric bootstrap; the standard error is 1.4826 times the median absolute
            deviation of its modes.
        seed: of the draws.
        level: of the interval.

    Returns:
        The mode. Diagnostics: `bandwidth`, `instruments`.

    Raises:
        InputError: an unknown option, or a bandwidth factor that is not positive.
    """
    if method not in ("exact", "published") or errors not in ("delta", "simple"):
        raise InputError(
            f"mode_based: method {method!r}, errors {errors!r}; known: exact and published, "
            "delta and simple"
        )
    if not phi > 0 or draws < 2:
        raise InputError(f"mode_based: phi {phi} must be positive, and draws {draws} at least 2")
    pairs = paired(exposure, outcome, ratios=True)
    shape, size = pairs.count.shape, pairs.x.shape[-1]
    r = ratios(pairs)
    x = np.where(pairs.used, pairs.x, 1.0)
    variance = (pairs.sy / x) ** 2
    if errors == "delta":
        variance = variance + (r * pairs.sx / x) ** 2
    exact = method == "exact"
    out = {name: np.full(shape, np.nan) for name in ("estimate", "se", "bandwidth")}
    reason = pairs.reason.astype(object)
    for index in np.ndindex(shape):
        if reason[index] != "":
            continue
        mine = pairs.used[index]
        ratio, sd = r[index][mine], np.sqrt(variance[index][mine])
        weight = 1 / sd**2 if weighted else np.ones_like(sd)
        weight = weight / weight.sum()
        bandwidth = bandwidths(ratio[None], phi)
        out["bandwidth"][index] = bandwidth[0]
        out["estimate"][index] = (modes if exact else grid_modes)(ratio[None], weight, bandwidth)[0]
        per_part = max(1, NUMBERS // size**2)
        made = []
        for part, begin in enumerate(range(0, draws, per_part)):
            drawn = standard_draws(size, min(per_part, draws - begin), (seed, part))[0]
            star = ratio + sd * drawn[:, : len(ratio)]
            h = bandwidths(star, phi)
            made.append(modes(star, weight, h, 1) if exact else grid_modes(star, weight, h))
        found = np.concatenate(made)
        out["se"][index] = MAD * np.median(np.abs(found - np.median(found)))
    return made_estimate(
        out["estimate"],
        out["se"],
        reason.astype(str),
        level=level,
        diagnostics={"bandwidth": out["bandwidth"], "instruments": pairs.count},
    )


def bandwidths(values: Floats, phi: float) -> Floats:
    """Bandwidth of each row of ratios (B, J), at least 1e-8 of their size.

    Equal ratios have no spread; the floor makes their density a peak at their value.
    """
    spread = values.std(axis=1, ddof=1)
    middle = np.median(values, axis=1)
    mad = MAD * np.median(np.abs(values - middle[:, None]), axis=1)
    h = phi * 0.9 * np.minimum(spread, mad) / values.shape[1] ** 0.2
    return np.maximum(h, 1e-8 * np.maximum(1, np.abs(values).max(axis=1)))


def modes(values: Floats, weights: Floats, h: Floats, between: int = 9) -> Floats:
    """The highest point of each row's density, to about 1e-9 of the bandwidth.

    The density is evaluated at the data and at points between neighbours, in single precision.
    From every peak among these that is nearly as high as the highest, mean shift and Newton's
    method climb to a mode in double precision. Of equally high modes the lowest is taken.

    Args:
        values: shape (B, J).
        weights: shape (J,).
        h: bandwidths, shape (B,).
        between: points between neighbours. With 1, about one in ten thousand rows of twelve
            ratios or fewer ends in a mode that is up to 1 % lower than the highest.

    Returns:
        Shape (B,).
    """
    z = np.sort(values, axis=1) / h[:, None]
    w = weights[np.argsort(values, axis=1)]
    part = np.arange(between + 1) / (between + 1)
    points = z[:, :-1, None] + (z[:, 1:] - z[:, :-1])[:, :, None] * part
    points = np.concatenate([points.reshape(len(z), -1), z[:, -1:]], axis=1)
    # relative to the median, so that single precision has digits where the mass is
    middle = z[:, z.shape[1] // 2, None]
    gap = (z - middle).astype(np.float32)[:, None, :]
    gap = gap - (points - middle).astype(np.float32)[:, :, None]
    gap *= gap
    gap *= np.float32(-0.5)
    np.exp(gap, out=gap)
    height = np.einsum("bij,bj->bi", gap, w.astype(np.float32))
    padded = np.pad(height, ((0, 0), (1, 1)), constant_values=-1)
    start = (height > padded[:, :-2]) & (height >= padded[:, 2:])
    start &= height >= np.float32(NEARLY) * height.max(axis=1, keepdims=True)
    rows, columns = np.nonzero(start)
    at, top = _climbed(z, w, points[rows, columns], rows)
    best = np.full(len(z), -np.inf)
    np.maximum.at(best, rows, top)
    winners = top >= best[rows] * (1 - 1e-12)
    found = np.full(len(z), np.inf)
    np.minimum.at(found, rows[winners], at[winners])
    return found * h


def _climbed(z: Floats, w: Floats, start: Floats, rows: Rows) -> tuple[Floats, Floats]:
    """Climb from each start to a mode of its row: where it is, and how high.

    Args:
        z: values over bandwidth, shape (B, J).
        w: weights, shape (B, J).
        start: shape (S,).
        rows: the row of each start.
    """
    at, top = start.copy(), np.zeros(len(start))
    active = np.arange(len(start))
    mine, weight = z[rows], w[rows]
    low, high = np.full(len(start), -np.inf), np.full(len(start), np.inf)
    for step in range(STEPS):
        difference = mine - at[active, None]
        kernel = weight * np.exp(-0.5 * difference**2)
        total = kernel.sum(axis=1)
        kernel *= difference
        shift = kernel.sum(axis=1) / total
        bend = 1 - np.einsum("sj,sj->s", kernel, difference) / total + shift**2
        top[active] = total
        # Newton's step on the slope of the log density, where that is concave and the step short
        newton = np.divide(shift, bend, out=np.zeros_like(shift), where=bend > FLAT)
        move = np.where((bend > FLAT) & (np.abs(newton) < LONGEST), newton, shift)
        low, high = np.where(shift >= 0, at[active], low), np.where(shift <= 0, at[active], high)
        if step >= PATIENCE:
            # on a plateau both are slow: go on until the slope turns, then halve
            far = np.clip(shift * 2.0 ** (step - PATIENCE), -LONGEST, LONGEST)
            halved = np.isfinite(low) & np.isfinite(high)
            move = np.where(halved, (low + high) / 2 - at[active], far)
        at[active] += move
        going = np.abs(move) > PRECISE
        if not going.any():
            break
        if not going.all():
            active, mine, weight = active[going], mine[going], weight[going]
            low, high = low[going], high[going]
    return at, top


def grid_modes(values: Floats, weights: Floats, h: Floats) -> Floats:
    """The highest point of R's `density(values, weights, bw=h)`, row by row."""
    return np.array(
        [_grid_mode(row, weights, bandwidth) for row, bandwidth in zip(values, h, strict=True)]
    )


def _grid_mode(values: Floats, weights: Floats, h: float) -> float:
    """As R 4.2 does: linear binning, convolution by FFT, and 512 points to 3 bandwidths outside."""
    low, high = values.min() - 3 * h, values.max() + 3 * h
    begin, end = low - 4 * h, high + 4 * h
    step = (end - begin) / (GRID - 1)
    where = (values - begin) / step
    whole = np.floor(where).astype(np.int64)
    part = where - whole
    mass = np.bincount(whole, weights * (1 - part), 2 * GRID)
    mass += np.bincount(whole + 1, weights * part, 2 * GRID)
    distance = np.minimum(np.arange(2 * GRID), 2 * GRID - np.arange(2 * GRID)) * step * 1.0
    distance *= 2 * (end - begin) / (2 * GRID - 1) / step
    smooth = irfft(rfft(mass) * rfft(np.exp(-0.5 * (distance / h) ** 2)), 2 * GRID)[:GRID]
    points = np.linspace(low, high, GRID)
    density = np.interp(points, np.linspace(begin, end, GRID), np.maximum(smooth, 0))
    return float(points[np.argmax(density)])
