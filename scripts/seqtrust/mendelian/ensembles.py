"""Causal effects per replicate, and what they say of the ensemble: the default for ensembles.

Errors of the instruments of a locus, of exposure and outcome, and of loci all come from the same
replicates. Estimating inside every replicate carries all their covariances exactly.

The exposure effects of one replicate have E times the error variance of the ensemble's mean, so
that a mean of replicates' slopes is diluted E times as much as the slope of the mean effects. With
b for the former and b/E for the latter, (E * slope of means - mean of slopes) / (E - 1) has no such
bias.
"""

from collections.abc import Callable

import numpy as np

from seqtrust.errors import InputError
from seqtrust.mendelian.effects import Effects, Estimate, made_estimate
from seqtrust.mendelian.meta import MetaAnalysis, meta_analysis
from seqtrust.mendelian.regression import ivw
from seqtrust.statistics import Floats

Estimator = Callable[[Effects, Effects], Estimate]
TRUTHS = ("ensemble", "replicate")


def per_replicate_local(
    exposure: Effects,
    outcome: Effects,
    estimator: Estimator = ivw,
    *,
    corrected: bool = True,
    level: float = 0.95,
) -> Estimate:
    """Causal effect per locus: the mean over replicates of each replicate's own estimate.

    Its variance is that between replicates over their number, its quantiles are of t with E - 1
    degrees of freedom. What is meant is the effect in an infinite ensemble at these instruments.

    Args:
        exposure: effects with replicates, shape (..., J).
        outcome: effects of the same replicates.
        estimator: of the effect in one replicate; its own standard errors are not used.
        corrected: for dilution by errors of the exposure effects.
        level: of the interval.

    Returns:
        Shape (...). Diagnostics: `plain` (the mean, not corrected), `between` (variance between
        replicates), `own_se` (root mean square of the estimator's own errors), `sign_agreement`
        (share of replicates with the sign of the mean), `replicates`.

    Raises:
        InputError: no replicates, or fewer than two.
    """
    each = _each(exposure, outcome, estimator)
    theta = np.asarray(each.estimate)
    number = len(theta)
    mean, between = theta.mean(axis=0), theta.var(axis=0, ddof=1)
    reason = _shared_reason(np.asarray(each.reason))
    value = mean
    if corrected:
        pooled = estimator(_means(exposure), _means(outcome))
        value = _undiluted(mean, np.asarray(pooled.estimate), number)
        reason = np.where(reason == "", np.asarray(pooled.reason), reason)
    return made_estimate(
        value,
        np.sqrt(between / number),
        np.where((reason == "") & (between == 0), "all replicates give one estimate", reason),
        df=number - 1,
        level=level,
        diagnostics={
            "plain": mean,
            "between": between,
            "own_se": np.sqrt((np.asarray(each.se) ** 2).mean(axis=0)),
            "sign_agreement": (np.sign(theta) == np.sign(mean)).mean(axis=0),
            "replicates": np.full(mean.shape, float(number)),
        },
    )


def per_replicate(
    exposure: Effects,
    outcome: Effects,
    estimator: Estimator = ivw,
    *,
    method: str = "reml",
    truth: str = "ensemble",
    corrected: bool = True,
    level: float = 0.95,
) -> Estimate:
    """Global causal effect: local estimates and their meta-analysis inside every replicate.

    The variance of the mean over replicates is W - I + B/E. W is the mean of the replicates'
    Hartung-Knapp variances: loci that differ. B is the variance between the replicates' means:
    errors that all loci share, and the noise of single loci. I is the noise of single loci within
    one replicate, which W and B both hold. Degrees of freedom are Satterthwaite's, with K - 1
    for W - I and E - 1 for B.

    Args:
        exposure: effects with replicates, shape (..., K, J).
        outcome: effects of the same replicates.
        estimator: of the effect at a locus in one replicate.
        method: of the meta-analysis.
        truth: `ensemble`: the mean effect of an infinite ensemble at loci like these;
            `replicate`: that of one more replicate, with (1 + 1/E) B.
        corrected: for dilution by errors of the exposure effects.
        level: of the interval.

    Returns:
        Shape (...). Diagnostics: `plain` (the mean, not corrected), `within` (W - I), `between`
        (B), `noise` (I), `tau2` (mean over replicates), `loci`, `replicates`.

    Raises:
        InputError: no replicates, no axis of loci, or an unknown truth.
    """
    if truth not in TRUTHS:
        raise InputError(f"truth is {truth!r}; known: {', '.join(TRUTHS)}")
    if np.broadcast_shapes(exposure.beta.shape, outcome.beta.shape)[:-1] == ():
        raise InputError(
            "per_replicate needs effects of shape (loci, instruments): for one locus use "
            "per_replicate_local"
        )
    each = _each(exposure, outcome, estimator)
    # a locus counts where all replicates have an estimate, so that all means are over the same
    known = (np.asarray(each.reason) == "").all(axis=0)
    theta, se = np.where(known, each.estimate, np.nan), np.where(known, each.se, np.nan)
    pooled = meta_analysis(theta, se, method, "hartung-knapp")
    reason = _shared_reason(np.asarray(pooled.reason))
    number, loci = len(theta), known.sum(axis=-1)
    means = np.asarray(pooled.estimate)
    mean, between = means.mean(axis=0), means.var(axis=0, ddof=1)
    value = mean
    if corrected:
        local = estimator(_means(exposure), _means(outcome))
        both = known & (np.asarray(local.reason) == "")
        estimates, errors = (np.where(both, a, np.nan) for a in (local.estimate, local.se))
        overall = meta_analysis(estimates, errors, method, "hartung-knapp")
        value = _undiluted(mean, np.asarray(overall.estimate), number)
        reason = np.where(reason == "", np.asarray(overall.reason), reason)
    noise = _interaction(theta, se, known, pooled)
    with np.errstate(divide="ignore", invalid="ignore"):
        within = np.maximum(0, (np.asarray(pooled.se) ** 2).mean(axis=0) - noise)
        shared = between * (1 / number if truth == "ensemble" else 1 + 1 / number)
        variance = within + shared
        parts = within**2 / np.maximum(loci - 1, 1) + shared**2 / (number - 1)
        df = np.where(parts > 0, variance**2 / parts, 1)
    return made_estimate(
        value,
        np.sqrt(variance),
        np.where((reason == "") & (variance == 0), "replicates and loci give one estimate", reason),
        df=df,
        level=level,
        diagnostics={
            "plain": mean,
            "within": within,
            "between": between,
            "noise": noise,
            "tau2": np.asarray(pooled.tau2).mean(axis=0),
            "loci": loci.astype(np.float64),
            "replicates": np.full(loci.shape, float(number)),
        },
    )


def _each(exposure: Effects, outcome: Effects, estimator: Estimator) -> Estimate:
    """The estimates of all replicates, shape (E, ...)."""
    x, y = exposure.per_replicate(), outcome.per_replicate()
    if len(x.beta) != len(y.beta) or len(x.beta) < 2:
        raise InputError(
            f"the exposure has {len(x.beta)} replicates and the outcome {len(y.beta)}: both need "
            "the same replicates, at least two"
        )
    ranks = max(exposure.beta.ndim, outcome.beta.ndim)
    return estimator(_with_axes(x, ranks), _with_axes(y, ranks))


def _with_axes(effects: Effects, ranks: int) -> Effects:
    """Axes of length 1 behind that of the replicates, so that loci and pairs broadcast."""
    shape = effects.beta.shape
    full = (shape[0], *(1,) * (ranks + 1 - len(shape)), *shape[1:])
    return Effects(effects.beta.reshape(full), effects.se.reshape(full), None, effects.position)


def _means(effects: Effects) -> Effects:
    return Effects(effects.beta, effects.se, None, effects.position)


def _undiluted(of_replicates: Floats, of_means: Floats, number: int) -> Floats:
    return (number * of_means - of_replicates) / (number - 1)


def _shared_reason(reason: np.ndarray) -> np.ndarray:
    """The first reason among the replicates, axis 0."""
    given = (reason != "").argmax(axis=0)
    return np.take_along_axis(reason, given[None], axis=0)[0]


def _interaction(theta: Floats, se: Floats, known: np.ndarray, pooled: MetaAnalysis) -> Floats:
    """Variance of a replicate's mean that is noise of single loci, shape (...).

    Args:
        theta: local estimates, shape (E, ..., K).
        se: their errors.
        known: loci that count, shape (..., K).
        pooled: the meta-analyses of the replicates.
    """
    spread = se**2 + np.asarray(pooled.tau2)[..., None]
    weights = np.where(known, 1 / spread, 0.0)
    total = weights.sum(axis=-1, keepdims=True)
    shares = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    filled = np.where(known, theta, 0.0)
    rest = filled - np.asarray(pooled.estimate)[..., None]
    rest = np.where(known, rest - rest.mean(axis=0), 0.0)
    # of a locus' noise, taking off the replicate's own mean leaves 1 - (its share of it)
    left = np.maximum(1 - shares.mean(axis=0), 0.5)
    variance = (rest**2).sum(axis=0) / (len(theta) - 1) / left
    return np.asarray((shares.mean(axis=0) ** 2 * variance).sum(axis=-1))
