"""Meta-analysis over loci, for any number of pairs at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqtrust.errors import InputError
from seqtrust.mendelian.effects import Words, t_quantile, two_sided
from seqtrust.statistics import Floats

METHODS = ("fixed", "dl", "pm", "reml")
TESTS = ("z", "hartung-knapp")
ROUNDS, PRECISE, SETTLED = 1000, 1e-12, 1e-8


@dataclass(frozen=True)
class MetaAnalysis:
    """A mean effect over K loci, and how much loci differ; arrays of shape (...), or numbers.

    Attributes:
        estimate: mean effect; NaN where `reason` says why.
        se: its standard error, by the test chosen.
        tau2: variance of true effects between loci.
        interval: of the mean.
        prediction_interval: of the true effect at a new locus.
        p: of a mean of 0, two-sided.
        df: of t; infinite where the quantiles are normal.
        I2: share of the variance that is between loci.
        H2: total variance over sampling variance.
        Q: heterogeneity statistic of the fixed-effect mean.
        loci: how many have an estimate.
        left_out: how many have none.
        reason: why there is no result, else empty.
    """

    estimate: Floats
    se: Floats
    tau2: Floats
    interval: tuple[Floats, Floats]
    prediction_interval: tuple[Floats, Floats]
    p: Floats
    df: Floats
    I2: Floats
    H2: Floats
    Q: Floats
    loci: Floats
    left_out: Floats
    reason: Words


def meta_analysis(
    estimates: npt.ArrayLike,
    ses: npt.ArrayLike,
    method: str = "reml",
    test: str = "z",
    *,
    floor: bool = False,
    level: float = 0.95,
) -> MetaAnalysis:
    """Mean of effects with known standard errors.

    Args:
        estimates: shape (..., K); NaN where a locus has none.
        ses: same shape.
        method: `fixed`; or variance between loci by DerSimonian and Laird (`dl`), Paule and
            Mandel (`pm`), or restricted maximum likelihood (`reml`, Viechtbauer 2005).
        test: `z`, as published; or `hartung-knapp`: t with K - 1 degrees of freedom and a
            standard error from the spread around the mean (IntHout et al. 2014).
        floor: the Hartung-Knapp standard error is not below that of z.
        level: of the intervals.

    Raises:
        InputError: an unknown method or test, or shapes that differ.
    """
    if method not in METHODS or test not in TESTS:
        raise InputError(
            f"meta-analysis: method {method!r}, test {test!r}; known: {', '.join(METHODS)}; "
            f"{', '.join(TESTS)}"
        )
    y, se = np.asarray(estimates, dtype=np.float64), np.asarray(ses, dtype=np.float64)
    if y.shape != se.shape or y.ndim == 0:
        raise InputError(
            f"meta-analysis: estimates have shape {y.shape}, standard errors {se.shape}"
        )
    known = ~(np.isnan(y) | np.isnan(se))
    wrong = known & ((se <= 0) | np.isinf(y) | np.isinf(se))
    loci = known.sum(axis=-1).astype(np.float64)
    reason = np.select(
        [wrong.any(axis=-1), loci < 2],
        ["a standard error of a locus is not positive and finite", "fewer than 2 loci"],
        default="",
    )
    used = known & (reason == "")[..., None]
    y, v = np.where(used, y, 0.0), np.where(used, se**2, 1.0)
    tau2, settled = between_loci(y, v, used, method)
    reason = np.where((reason == "") & ~settled, f"{method} did not converge", reason)
    with np.errstate(divide="ignore", invalid="ignore"):
        w = used / (v + tau2[..., None])
        mean, total = weighted_mean(y, w), w.sum(axis=-1)
        plain = 1 / np.sqrt(total)
        error, df = plain, np.full(loci.shape, np.inf)
        if test == "hartung-knapp":
            df = np.maximum(loci - 1, 1)
            error = np.sqrt((w * (y - mean[..., None]) ** 2).sum(axis=-1) / (df * total))
            error = np.maximum(error, plain) if floor else error
        w = used / v
        Q = (w * (y - weighted_mean(y, w)[..., None]) ** 2).sum(axis=-1)
        typical = (loci - 1) * w.sum(axis=-1) / (w.sum(axis=-1) ** 2 - (w**2).sum(axis=-1))
        I2, H2 = tau2 / (tau2 + typical), tau2 / typical + 1
        if method == "fixed":
            I2, H2 = np.maximum(0, 1 - (loci - 1) / Q), Q / (loci - 1)
        p = two_sided(mean / error, df)
    quantile = t_quantile(level, df)
    wide = quantile * np.sqrt(tau2 + error**2)
    failed = reason != ""

    def shown(array: npt.ArrayLike) -> Floats:
        return np.where(failed, np.nan, array)[()]

    return MetaAnalysis(
        estimate=shown(mean),
        se=shown(error),
        tau2=shown(tau2),
        interval=(shown(mean - quantile * error), shown(mean + quantile * error)),
        prediction_interval=(shown(mean - wide), shown(mean + wide)),
        p=shown(p),
        df=shown(df),
        I2=shown(I2),
        H2=shown(H2),
        Q=shown(Q),
        loci=loci[()],
        left_out=((~known).sum(axis=-1).astype(np.float64))[()],
        reason=reason[()],
    )


def weighted_mean(y: Floats, w: Floats) -> Floats:
    """Mean over the last axis."""
    return (w * y).sum(axis=-1) / w.sum(axis=-1)


def between_loci(
    y: Floats, v: Floats, used: npt.NDArray[np.bool_], method: str
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Variance of true effects between loci, and where it was found.

    Args:
        y: effects, shape (..., K).
        v: their sampling variances.
        used: which count.
        method: as in `meta_analysis`.
    """
    fine = np.ones(used.shape[:-1], dtype=bool)
    # differences from any fixed number give the same variance, and small ones keep digits
    centre = y.sum(axis=-1, keepdims=True) / np.maximum(used.sum(axis=-1, keepdims=True), 1)
    y = np.where(used, y - centre, 0.0)
    if method == "fixed":
        return np.zeros(used.shape[:-1]), fine
    with np.errstate(divide="ignore", invalid="ignore"):
        w = used / v
        Q = (w * (y - weighted_mean(y, w)[..., None]) ** 2).sum(axis=-1)
        scale = w.sum(axis=-1) - (w**2).sum(axis=-1) / w.sum(axis=-1)
        tau2 = np.maximum(0, (Q - (used.sum(axis=-1) - 1)) / scale)
    tau2 = np.where(np.isfinite(tau2), tau2, 0.0)
    if method == "dl":
        return tau2, fine
    step = _paule_mandel if method == "pm" else _reml
    if method == "pm":
        # from 0 Newton's method on a convex falling function never passes the root
        tau2 = np.zeros_like(tau2)
    for _ in range(ROUNDS):
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = np.maximum(0, tau2 + step(y, used / (v + tau2[..., None]), used))
        moved = np.where(np.isfinite(moved), moved, tau2)
        change = np.abs(moved - tau2) / np.maximum(moved, v.min(axis=-1))
        tau2 = moved
        if (change <= PRECISE).all():
            break
    return tau2, change <= SETTLED


def _paule_mandel(y: Floats, w: Floats, used: npt.NDArray[np.bool_]) -> Floats:
    """Newton's step towards the variance at which the weighted Q is K - 1."""
    squares = (y - weighted_mean(y, w)[..., None]) ** 2
    excess = (w * squares).sum(axis=-1) - (used.sum(axis=-1) - 1)
    return excess / (w**2 * squares).sum(axis=-1)


def _reml(y: Floats, w: Floats, used: npt.NDArray[np.bool_]) -> Floats:
    """Fisher's scoring step of the restricted likelihood."""
    first, second, third = (np.sum(w**power, axis=-1) for power in (1, 2, 3))
    squares = (w**2 * (y - weighted_mean(y, w)[..., None]) ** 2).sum(axis=-1)
    score = squares - (first - second / first)
    return score / (second - 2 * third / first + (second / first) ** 2)
