"""MM regression (Yohai 1987): a line that a half of the instruments cannot pull away.

The settings are those of `lmrob` of R's robustbase: an S-estimate with breakdown 1/2, then an
M-estimate with 95 % efficiency, both with Tukey's bisquare.
"""

from itertools import combinations

import numpy as np
import numpy.typing as npt

from seqtrust.mendelian.effects import Pairs, Words
from seqtrust.statistics import Floats

BREAKDOWN = 1.54764
EFFICIENT = 4.685061
SUBSETS = 500
SMALLEST = 1e-100  # scale by which residuals are divided
FLAT = "more than half of the ratios are equal: the robust scale is 0"
UNSETTLED = "the robust regression did not converge"


def robust_lines(
    pairs: Pairs, design: Floats, y: Floats, w: Floats
) -> tuple[Floats, Floats, Floats, Words]:
    """MM regressions of all loci.

    Args:
        pairs: which instruments are used.
        design: shape (..., J, P).
        y: shape (..., J).
        w: weights, shape (..., J).

    Returns:
        Coefficients and standard errors (..., P), scales (...), and reasons.
    """
    shape = pairs.count.shape
    coefficients = np.full((*shape, design.shape[-1]), np.nan)
    errors = coefficients.copy()
    scales, reason = np.full(shape, np.nan), pairs.reason.astype(object)
    for index in np.ndindex(shape):
        if reason[index] == "":
            mine = pairs.used[index] & (w[index] > 0)
            root = np.sqrt(w[index][mine])
            fit = mm_regression(design[index][mine] * root[:, None], y[index][mine] * root)
            coefficients[index], errors[index], scales[index], reason[index] = fit
    return coefficients, errors, scales, reason.astype(str)


def mm_regression(x: Floats, y: Floats) -> tuple[Floats, Floats, float, str]:
    """One MM regression; weighted regressions take x and y times the roots of the weights.

    Args:
        x: shape (N, P), with the column of the intercept if there is one.
        y: shape (N,).

    Returns:
        Coefficients, standard errors, scale, and why there are none.
    """
    n, p = x.shape
    nothing = np.full(p, np.nan)
    if n <= p + 1:
        return nothing, nothing, np.nan, f"fewer than {p + 2} instruments for a robust regression"
    starts = _exact_fits(x, y)
    if len(starts) == 0:
        return nothing, nothing, np.nan, "the exposure effects do not vary"
    start, scale = _s_estimate(x, y, starts)
    first = y - x @ start
    if scale <= 1e-10 * np.abs(y).max(initial=np.finfo(float).tiny):
        return nothing, nothing, np.nan, FLAT
    coefficients = start
    for _ in range(500):
        weights = _bisquare((y - x @ coefficients) / scale, EFFICIENT)
        moved = _weighted(x, y, weights[None])[0]
        change = np.linalg.norm(moved - coefficients)
        coefficients = moved
        if not change > 1e-12 * np.linalg.norm(coefficients):
            break
    if not (np.isfinite(coefficients).all() and change <= 1e-7 * np.linalg.norm(coefficients)):
        return nothing, nothing, np.nan, UNSETTLED
    covariance = _covariance(x, first / scale, (y - x @ coefficients) / scale, scale)
    if not (np.diagonal(covariance) > 0).all():
        return nothing, nothing, np.nan, UNSETTLED
    return coefficients, np.sqrt(np.diagonal(covariance)), float(scale), ""


def _exact_fits(x: Floats, y: Floats) -> Floats:
    """Coefficients through P points each, shape (S, P): all subsets, or `SUBSETS` of them."""
    n, p = x.shape
    subsets = np.array(list(combinations(range(n), p))) if n**p <= 2 * SUBSETS else None
    if subsets is None:
        rng = np.random.default_rng(0)
        subsets = np.stack([rng.choice(n, p, replace=False) for _ in range(SUBSETS)])
    corners = x[subsets]
    solvable = np.abs(np.linalg.det(corners)) > 1e-12 * np.abs(x).max() ** p
    return np.linalg.solve(corners[solvable], y[subsets][solvable][..., None])[..., 0]


def _s_estimate(x: Floats, y: Floats, starts: Floats) -> tuple[Floats, float]:
    """The line with the smallest scale of residuals, and that scale."""
    best = starts
    # a rough scale tells which lines are worth a precise one; it settles with the line
    for steps, kept, rounds in ((2, 10, 8), (200, 1, 500)):
        scale = _scale(y - best @ x.T, x.shape[1], 8)
        for _ in range(steps):
            z = (y - best @ x.T) / scale.clip(SMALLEST)[:, None]
            moved = _weighted(x, y, _bisquare(z, BREAKDOWN))
            moved = np.where(np.isfinite(moved).all(axis=1, keepdims=True), moved, best)
            change = np.abs(moved - best).max()
            best, scale = moved, _scale(y - moved @ x.T, x.shape[1], 2, scale)
            if change <= 1e-12 * np.abs(best).max():
                break
        scale = _scale(y - best @ x.T, x.shape[1], rounds, scale)
        chosen = np.argsort(scale, kind="stable")[:kept]
        best, scale = best[chosen], scale[chosen]
    return best[0], float(scale[0])


def _scale(residuals: Floats, p: int, rounds: int, start: Floats | None = None) -> Floats:
    """The s at which the sum of rho(r / s) is (N - P) / 2, per row of (S, N)."""
    scale = np.median(np.abs(residuals), axis=1) / 0.6745 if start is None else start
    wanted = (residuals.shape[1] - p) / 2
    for _ in range(rounds):
        z = residuals / scale.clip(SMALLEST)[:, None]
        moved = scale * np.sqrt(_rho(z).sum(axis=1) / wanted)
        if (np.abs(moved - scale) <= 1e-11 * scale).all():
            return moved
        scale = moved
    return scale


def _rho(z: Floats) -> Floats:
    """Tukey's bisquare loss with a maximum of 1."""
    return 1 - (1 - np.minimum((z / BREAKDOWN) ** 2, 1)) ** 3


def _bisquare(z: Floats, width: float) -> Floats:
    """Weight of a residual."""
    return (1 - np.minimum((z / width) ** 2, 1)) ** 2


def _weighted(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Least squares with each row of weights (S, N); NaN where there is no solution."""
    normal = np.einsum("sn,np,nq->spq", weights, x, x)
    right = np.einsum("sn,np,n->sp", weights, x, y)
    fine = np.linalg.det(normal) > 0
    solved = np.full(right.shape, np.nan)
    solved[fine] = np.linalg.solve(normal[fine], right[fine][..., None])[..., 0]
    return solved


def _covariance(x: Floats, first: Floats, last: Floats, scale: float) -> npt.NDArray[np.float64]:
    """Of the coefficients, with the S-estimate's part (Croux, Dhaene and Hoorelbeke 2003).

    Args:
        x: design.
        first: residuals of the S-estimate over the scale.
        last: residuals of the M-estimate over the scale.
        scale: of the residuals.
    """
    n = len(x)
    t = (last / EFFICIENT) ** 2
    slope = np.where(t < 1, (1 - t) * (1 - 5 * t), 0.0)
    psi = last * _bisquare(last, EFFICIENT)
    steep = 6 * first / BREAKDOWN**2 * _bisquare(first, BREAKDOWN)
    inverse = scale * np.linalg.inv(x.T @ (x * slope[:, None]))
    drift = inverse @ (x.T @ (slope * last)) / np.mean(steep * first)
    loss = _rho(first)
    crossed = x.T @ (psi * loss)
    own = n * inverse @ (x.T @ (x * (psi**2)[:, None])) @ inverse
    mixed = np.outer(drift, inverse @ crossed)
    return (own - mixed - mixed.T + np.mean(loss**2 - 0.25) * np.outer(drift, drift)) / n
