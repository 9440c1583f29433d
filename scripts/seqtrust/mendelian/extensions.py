"""SIMEX for MR-Egger, several exposures at once, and the baseline of the published code."""

from collections.abc import Sequence

import numpy as np
from scipy.special import chdtrc

from seqtrust.errors import InputError
from seqtrust.mendelian.effects import Effects, Estimate, made_estimate, paired
from seqtrust.mendelian.ratios import ratios, standard_draws
from seqtrust.mendelian.regression import egger
from seqtrust.statistics import Floats

SIMEX = (0.0, 0.5, 1.0, 1.5, 2.0)
COLLINEAR = "the exposures' effects are collinear at these instruments"


def egger_simex(
    exposure: Effects,
    outcome: Effects,
    *,
    rounds: int = 200,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """MR-Egger, corrected for errors of the exposure effects by SIMEX (Bowden et al. 2016).

    Noise of variance lambda s_x^2 is added for lambda of 0, .5, 1, 1.5 and 2; a parabola through
    the mean slopes is extrapolated to lambda = -1, where there would be no error. So is the
    variance: that of the regression less that between the rounds.

    Args:
        exposure: effects of J instruments, shape (..., J), turned positive before noise is added.
        outcome: effects of the same instruments.
        rounds: draws per lambda.
        seed: of the draws; all loci and lambdas use the same.
        level: of the interval.

    Returns:
        The slope. Diagnostics: `uncorrected` (the usual slope), `instruments`.
    """
    if rounds < 2:
        raise InputError(f"SIMEX needs at least 2 rounds; found {rounds}")
    plain = egger(exposure, outcome)
    pairs = paired(exposure, outcome)
    x, y = pairs.oriented
    sx = np.where(pairs.used, pairs.sx, np.nan)
    turned = Effects(np.where(pairs.used, y, np.nan), pairs.sy)
    # numbered within the locus, so that gaps do not change the draws
    number = np.maximum(np.cumsum(pairs.used, axis=-1) - 1, 0)
    noise = standard_draws(x.shape[-1], rounds, (seed, 0))[0][:, number]
    slopes, variances = [np.asarray(plain.estimate)], [np.asarray(plain.se) ** 2]
    for size in SIMEX[1:]:
        made = egger(Effects(x + np.sqrt(size) * sx * noise, sx + 0 * noise), turned, orient=False)
        each = np.asarray(made.estimate)
        slopes.append(each.mean(axis=0))
        variances.append((np.asarray(made.se) ** 2).mean(axis=0) - each.var(axis=0, ddof=1))
    design = np.vander(np.array(SIMEX), 3)
    weights = np.array([1.0, -1.0, 1.0]) @ np.linalg.pinv(design)
    value = np.tensordot(weights, np.stack(slopes), axes=1)
    variance = np.tensordot(weights, np.stack(variances), axes=1)
    reason = np.asarray(plain.reason)
    weak = "the extrapolated variance is not positive: too much error of the exposure for SIMEX"
    return made_estimate(
        value,
        np.sqrt(np.where(variance > 0, variance, np.nan)),
        np.where((reason == "") & ~(variance > 0), weak, reason),
        level=level,
        diagnostics={"uncorrected": plain.estimate, "instruments": pairs.count},
    )


def multivariable_ivw(
    exposures: Sequence[Effects],
    outcome: Effects,
    model: str = "random",
    *,
    distribution: str = "normal",
    level: float = 0.95,
) -> Estimate:
    """Direct effects of several exposures: outcome effects on all exposure effects at once.

    Args:
        exposures: P of them, effects of the same J instruments, shape (..., J).
        outcome: effects of the same instruments.
        model: as in `ivw`.
        distribution: `normal`, or `t` with J - P degrees of freedom.
        level: of the interval.

    Returns:
        Slopes of shape (..., P), in the order of the exposures. Diagnostics: `Q`, `Q_p`,
        `sigma`, `conditional_F` (strength for one exposure beside the others, shape (..., P);
        Sanderson et al. 2021, errors independent between exposures), `instruments`.

    Raises:
        InputError: fewer than two exposures, or an unknown option.
    """
    number = len(exposures)
    if number < 2 or model not in ("random", "fixed") or distribution not in ("normal", "t"):
        raise InputError(
            f"multivariable_ivw: {number} exposures, model {model!r}, distribution "
            f"{distribution!r}; expected two or more, random or fixed, normal or t"
        )
    each = [paired(exposure, outcome, least=number + 2) for exposure in exposures]
    used = np.logical_and.reduce([pairs.used for pairs in each])
    count = used.sum(axis=-1).astype(np.float64)
    reason = np.select([p.reason != "" for p in each], [p.reason for p in each], default="")
    short = (reason == "") & (count < number + 2)
    reason = np.where(short, f"fewer than {number + 2} instruments", reason)
    used = used & (reason == "")[..., None]
    x = np.stack([np.where(used, pairs.x, 0.0) for pairs in each], axis=-1)
    sx = np.stack([pairs.sx for pairs in each], axis=-1)
    y, w = np.where(used, each[0].y, 0.0), used / each[0].sy ** 2
    normal = np.einsum("...j,...jp,...jq->...pq", w, x, x)
    scale = np.sqrt(np.maximum(np.diagonal(normal, axis1=-2, axis2=-1), np.finfo(float).tiny))
    alike = np.linalg.eigvalsh(normal / scale[..., :, None] / scale[..., None, :])[..., 0] < 1e-10
    reason = np.where((reason == "") & alike, COLLINEAR, reason)
    safe = np.where((reason != "")[..., None, None], np.eye(number), normal)
    inverse = np.linalg.inv(safe)
    slopes = np.einsum("...pq,...j,...jq,...j->...p", inverse, w, x, y)
    residual = y - np.einsum("...jp,...p->...j", x, slopes)
    Q = (w * residual**2).sum(axis=-1)
    degrees = np.maximum(count - number, 1)
    sigma = np.sqrt(Q / degrees)
    se = np.sqrt(np.diagonal(inverse, axis1=-2, axis2=-1))
    if model == "random":
        se = se * np.maximum(1, sigma)[..., None]
    return made_estimate(
        slopes,
        se,
        np.repeat(reason[..., None], number, axis=-1),
        df=degrees[..., None] if distribution == "t" else np.inf,
        level=level,
        diagnostics={
            name: np.repeat(values[..., None], number, axis=-1)
            for name, values in (
                ("Q", Q),
                ("Q_p", chdtrc(degrees, Q)),
                ("sigma", sigma),
                ("instruments", count),
            )
        }
        | {"conditional_F": _conditional_F(x, sx, used, reason)},
    )


def _conditional_F(x: Floats, sx: Floats, used: np.ndarray, reason: np.ndarray) -> Floats:
    """How far each exposure's effects are from a combination of the others', over its error."""
    number = x.shape[-1]
    degrees = np.maximum(used.sum(axis=-1) - (number - 1), 1)
    found = []
    for mine in range(number):
        others = [k for k in range(number) if k != mine]
        a, w = x[..., others], used / sx[..., mine] ** 2
        normal = np.einsum("...j,...jp,...jq->...pq", w, a, a)
        right = np.einsum("...j,...jp,...j->...p", w, a, x[..., mine])
        fine = (reason == "")[..., None, None]
        slopes = np.linalg.solve(
            np.where(fine, normal, np.eye(number - 1)), np.where(fine[..., 0], right, 0)[..., None]
        )[..., 0]
        rest = x[..., mine] - np.einsum("...jp,...p->...j", a, slopes)
        error = sx[..., mine] ** 2 + np.einsum("...jp,...p->...j", sx[..., others] ** 2, slopes**2)
        found.append((used * rest**2 / error).sum(axis=-1) / degrees)
    return np.stack(found, axis=-1)


def mean_ratio(exposure: Effects, outcome: Effects, *, level: float = 0.95) -> Estimate:
    """Plain mean of the ratios of a locus, the local part of the published baseline.

    Returns:
        The mean and its standard error, sd / sqrt(J), with quantiles of t.
    """
    pairs = paired(exposure, outcome, ratios=True)
    r, number = ratios(pairs), np.maximum(pairs.count, 2)
    mean = r.sum(axis=-1) / number
    spread = np.sqrt((pairs.used * (r - mean[..., None]) ** 2).sum(axis=-1) / (number - 1))
    return made_estimate(
        mean,
        spread / np.sqrt(number),
        pairs.reason,
        df=number - 1,
        level=level,
        diagnostics={"instruments": pairs.count},
    )


def published_baseline(exposure: Effects, outcome: Effects) -> Estimate:
    """The published baseline: mean over loci of the mean ratios, +- 2 sd over loci.

    Args:
        exposure: shape (..., K, J).
        outcome: effects of the same instruments.

    Returns:
        Shape (...). `se` is the sd over loci, which is no error of the mean; `interval` is
        +- 2 of it, and p has no meaning and is NaN. Diagnostics: `loci`.
    """
    local = np.asarray(mean_ratio(exposure, outcome).estimate)
    if local.ndim == 0:
        raise InputError("the baseline needs effects of shape (loci, instruments)")
    known = np.isfinite(local)
    loci = known.sum(axis=-1).astype(np.float64)
    mean = np.where(known, local, 0).sum(axis=-1) / np.maximum(loci, 1)
    squares = np.where(known, (local - mean[..., None]) ** 2, 0).sum(axis=-1)
    sd = np.sqrt(squares / np.maximum(loci - 1, 1))
    return made_estimate(
        mean,
        sd,
        np.where(loci < 2, "fewer than 2 loci", ""),
        bounds=(mean - 2 * sd, mean + 2 * sd),
        p=np.full(mean.shape, np.nan),
        diagnostics={"loci": loci},
    )
