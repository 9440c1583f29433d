"""Inverse-variance weighting and MR-Egger, for any number of loci and pairs at once."""

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc

from seqtrust.errors import InputError
from seqtrust.mendelian.covariance import outcome_correlation, shared_error
from seqtrust.mendelian.effects import (
    Effects,
    Estimate,
    Pairs,
    made_estimate,
    paired,
    t_quantile,
    two_sided,
)
from seqtrust.mendelian.ratios import interpolated_median, ratios
from seqtrust.mendelian.robust import robust_lines
from seqtrust.statistics import Floats

PENALTY = 100  # of outlying instruments in penalised regression
NO_SPREAD = "the exposure effects are all of one size: slope and intercept cannot be told apart"


def ivw(
    exposure: Effects,
    outcome: Effects,
    model: str = "random",
    *,
    weights: str = "outcome",
    psi: npt.ArrayLike | str = 0.0,
    correlation: npt.ArrayLike | str | None = None,
    penalised: bool = False,
    robust: bool = False,
    distribution: str = "normal",
    level: float = 0.95,
) -> Estimate:
    """Inverse-variance weighted causal effect (Burgess et al. 2013).

    Regression of the outcome effects on the exposure effects through the origin.

    Args:
        exposure: effects of J instruments, shape (..., J).
        outcome: effects of the same instruments.
        model: `random`: the standard error is multiplied by the residual sd where that is above
            1; `fixed`: it is not.
        weights: `outcome`: 1/s_y^2; `delta`: 1/(s_y^2 + r^2 s_x^2 - 2 psi r s_x s_y) for
            ratios r.
        psi: correlation of the two errors, for delta weights: a number, an array of shape
            (..., J), or `replicates`.
        correlation: of the outcome errors of instruments, shape (..., J, J), or `replicates`:
            shrunk from the outcome's replicates. Weights are then the inverse covariance.
        penalised: instruments far from the median ratio weigh less.
        robust: MM regression.
        distribution: `normal` or `t` with J - 1 degrees of freedom.
        level: of the interval.

    Returns:
        The slope. Diagnostics: `Q` and its `Q_p`, `sigma` (residual sd), `F` (mean of
        (b_x/s_x)^2; with a correlation its quadratic form over J), `instruments`.

    Raises:
        InputError: an unknown option, options that exclude each other, or no replicates where
            they are needed.
    """
    _one_of("model", model, ("random", "fixed"))
    _one_of("weights", weights, ("outcome", "delta"))
    _one_of("distribution", distribution, ("normal", "t"))
    if correlation is not None and (penalised or robust or weights == "delta"):
        raise InputError("ivw: correlation goes with neither penalised, robust nor delta weights")
    pairs = paired(exposure, outcome)
    rho = None
    if correlation is not None:
        rho = outcome_correlation(outcome, correlation, pairs)
        x, y = _whitened(rho, pairs.sy, (pairs.x, pairs.y))
        w = np.ones_like(x)
    else:
        x, y = pairs.x, pairs.y
        w = pairs.outcome_weights
        if weights == "delta":
            w = _delta_weights(pairs, shared_error(exposure, outcome, psi))
    if penalised:
        middle = interpolated_median(ratios(pairs), (pairs.x != 0).astype(np.float64))
        w = w * _penalty(w * (y - middle[..., None] * x) ** 2, PENALTY)
    slope, se = through_origin(x, y, w)
    Q = (w * (y - slope[..., None] * x) ** 2).sum(axis=-1)
    degrees = np.maximum(pairs.count - 1, 1)
    sigma = np.sqrt(Q / degrees)
    reason = pairs.reason
    if robust:
        coefficients, errors, sigma, reason = robust_lines(pairs, x[..., None], y, w)
        slope, se = coefficients[..., 0], errors[..., 0] / np.maximum(sigma, np.finfo(float).tiny)
    if model == "random":
        se = se * np.maximum(1, sigma)
    return made_estimate(
        slope,
        se,
        reason,
        df=degrees if distribution == "t" else np.inf,
        level=level,
        diagnostics={
            "Q": Q,
            "Q_p": chdtrc(degrees, Q),
            "sigma": sigma,
            "F": mean_F(pairs) if rho is None else _correlated_F(pairs, rho),
            "instruments": pairs.count,
        },
    )


def egger(
    exposure: Effects,
    outcome: Effects,
    *,
    correlation: npt.ArrayLike | str | None = None,
    penalised: bool = False,
    robust: bool = False,
    orient: bool = True,
    distribution: str = "normal",
    level: float = 0.95,
) -> Estimate:
    """MR-Egger: the slope beside an intercept, which is mean pleiotropy (Bowden et al. 2015).

    Args:
        exposure: effects of J instruments, shape (..., J).
        outcome: effects of the same instruments.
        correlation: as in `ivw`.
        penalised: outlying instruments weigh less.
        robust: MM regression, as in the published Deep MR.
        orient: turn all exposure effects positive first, as usual; without, the intercept is of
            the coding that the effects have (mutant minus reference).
        distribution: `normal`, or `t` with J - 2 degrees of freedom. Where the residual sd is
            below 1 the latter is the wider of the normal interval with sd 1 and the t interval.
        level: of the interval.

    Returns:
        The slope. Diagnostics: `intercept`, `intercept_se`, `intercept_p`, `phi` (residual sd),
        `Q` (of residuals around the line) and `Q_p`, `I2_GX`, `F`, `instruments`.

    Raises:
        InputError: as in `ivw`.
    """
    _one_of("distribution", distribution, ("normal", "t"))
    if correlation is not None and (penalised or robust):
        raise InputError("egger: correlation goes with neither penalised nor robust")
    pairs = paired(exposure, outcome)
    x, y = pairs.oriented if orient else (pairs.x, pairs.y)
    pairs = pairs.because(_one_size(x, pairs), NO_SPREAD)
    ones = pairs.used.astype(np.float64)
    w = pairs.outcome_weights
    if correlation is not None:
        signs = np.where((pairs.x < 0) & orient, -1.0, 1.0)
        rho = outcome_correlation(outcome, correlation, pairs)
        rho = rho * signs[..., :, None] * signs[..., None, :]
        ones, x, y = _whitened(rho, pairs.sy, (ones, x, y))
        w = np.ones_like(x)
    line = _line(ones, x, y, w)
    if penalised:
        w = w * _penalty(w * _residuals(line, ones, x, y) ** 2, PENALTY)
        line = _line(ones, x, y, w)
    (intercept, slope), (intercept_se, se) = line
    Q = (w * _residuals(line, ones, x, y) ** 2).sum(axis=-1)
    degrees = np.maximum(pairs.count - 2, 1)
    phi = np.sqrt(Q / degrees)
    reason = pairs.reason
    if robust:
        design = np.stack([ones, x], axis=-1)
        coefficients, errors, phi, reason = robust_lines(pairs, design, y, w)
        errors = errors / np.maximum(phi, np.finfo(float).tiny)[..., None]
        intercept, slope = coefficients[..., 0], coefficients[..., 1]
        intercept_se, se = errors[..., 0], errors[..., 1]
    df: npt.ArrayLike = np.inf if distribution == "normal" else degrees
    wide = np.maximum(1, phi)
    half, p = _wider(slope, se, phi, df, level)
    return made_estimate(
        slope,
        se * wide,
        reason,
        df=df,
        level=level,
        bounds=(slope - half, slope + half),
        p=p,
        diagnostics={
            "intercept": intercept,
            "intercept_se": intercept_se * wide,
            "intercept_p": _wider(intercept, intercept_se, phi, df, level)[1],
            "phi": phi,
            "Q": Q,
            "Q_p": chdtrc(degrees, Q),
            "I2_GX": i2_gx(pairs),
            "F": mean_F(pairs),
            "instruments": pairs.count,
        },
    )


def through_origin(x: Floats, y: Floats, w: Floats) -> tuple[Floats, Floats]:
    """Weighted slope through the origin and its standard error for residual sd 1."""
    information = (w * x**2).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (w * x * y).sum(axis=-1) / information, 1 / np.sqrt(information)


def mean_F(pairs: Pairs) -> Floats:
    """Mean of (b_x / s_x)^2 over instruments, shape (...)."""
    total = (pairs.used * (pairs.x / pairs.sx) ** 2).sum(axis=-1)
    return total / np.maximum(pairs.count, 1)


def i2_gx(pairs: Pairs) -> Floats:
    """How little the exposure's errors weaken MR-Egger, 1 if not at all (Bowden et al. 2016)."""
    x = np.abs(pairs.x) / pairs.sy
    u = pairs.used * (pairs.sy / pairs.sx) ** 2
    centre = (u * x).sum(axis=-1) / np.maximum(u.sum(axis=-1), np.finfo(float).tiny)
    Q = (u * (x - centre[..., None]) ** 2).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(Q > 0, np.maximum(0, (Q - (pairs.count - 1)) / Q), 0.0)


def _one_of(what: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise InputError(f"{what} is {given!r}; known: {', '.join(known)}")


def _one_size(x: Floats, pairs: Pairs) -> npt.NDArray[np.bool_]:
    """Where the exposure effects of all instruments are equal but for rounding."""
    high = np.where(pairs.used, x, -np.inf).max(axis=-1, initial=-np.inf)
    low = np.where(pairs.used, x, np.inf).min(axis=-1, initial=np.inf)
    return high - low <= 1e-12 * np.abs(high)


def _delta_weights(pairs: Pairs, psi: Floats) -> Floats:
    """1 / second-order variance of y - r x for the ratios r = y / x; 0 where x is 0."""
    there = pairs.used & (pairs.x != 0)
    ratio = np.divide(pairs.y, pairs.x, out=np.zeros_like(pairs.x), where=there)
    variance = pairs.sy**2 + (ratio * pairs.sx) ** 2 - 2 * psi * ratio * pairs.sx * pairs.sy
    return np.divide(1.0, variance, out=np.zeros_like(variance), where=there & (variance > 0))


def _penalty(chi2: Floats, strength: float) -> Floats:
    """Factor of the weight of an instrument with a contribution to Q."""
    return np.asarray(np.minimum(1, strength * chdtrc(1, chi2)))


def _line(ones: Floats, x: Floats, y: Floats, w: Floats) -> tuple[tuple[Floats, Floats], ...]:
    """Weighted intercept and slope, and their standard errors for residual sd 1.

    The slope is computed from deviations from the weighted mean, which keeps digits.
    """
    n = (w * ones**2).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = (w * ones * x).sum(axis=-1) / n
        height = (w * ones * y).sum(axis=-1) / n
        deviation = x - ones * at[..., None]
        spread = (w * deviation**2).sum(axis=-1)
        slope = (w * deviation * (y - ones * height[..., None])).sum(axis=-1) / spread
        errors = np.sqrt(1 / n + at**2 / spread), 1 / np.sqrt(spread)
        return (height - slope * at, slope), errors


def _residuals(
    line: tuple[tuple[Floats, Floats], ...], ones: Floats, x: Floats, y: Floats
) -> Floats:
    intercept, slope = line[0]
    return y - intercept[..., None] * ones - slope[..., None] * x


def _wider(
    value: Floats, se: Floats, phi: Floats, df: npt.ArrayLike, level: float
) -> tuple[Floats, Floats]:
    """Half width and p: t with sd phi, but nowhere surer than normal with sd 1."""
    half = t_quantile(level, df) * se * phi
    with np.errstate(divide="ignore", invalid="ignore"):
        p = two_sided(value / (se * phi), df)
        plain = two_sided(value / se, np.inf)
    under = phi < 1
    return (
        np.where(under, np.maximum(half, t_quantile(level, np.inf) * se), half),
        np.where(under, np.fmax(p, plain), p),
    )


def _whitened(rho: Floats, se: Floats, columns: tuple[Floats, ...]) -> tuple[Floats, ...]:
    """Columns times the inverse Cholesky factor of the covariance of the errors.

    Sums over whitened columns are the quadratic forms of generalised least squares.

    Args:
        rho: correlation, shape (..., J, J).
        se: standard errors, shape (..., J).
        columns: of shape (..., J).
    """
    factor = np.linalg.cholesky(rho * se[..., :, None] * se[..., None, :])
    solved = np.linalg.solve(factor, np.stack(columns, axis=-1))
    return tuple(np.moveaxis(solved, -1, 0))


def _correlated_F(pairs: Pairs, rho: Floats) -> Floats:
    """b_x' inverse covariance b_x / J, for exposure errors that correlate as the outcome's do."""
    (x,) = _whitened(rho, pairs.sx, (pairs.x,))
    return (x**2).sum(axis=-1) / np.maximum(pairs.count, 1)
