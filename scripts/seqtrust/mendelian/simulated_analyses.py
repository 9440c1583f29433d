"""Analyses of simulated loci, each with its truths: one row per choice of members, rule, estimator.

The truths of a global estimate, named in every table:

- `population`: the same estimator on noise-free effects of other loci of the same process, which
  is what an estimate over random loci is an estimate of (oracle path);
- `ensemble`: the same estimate of further networks at the same loci and instruments;
- `oracle`: the same estimator on the noise-free causal effects of the same loci and instruments;
- `ideal`: the same on what an ideal network would learn, confounders included;
- `loci`: the unweighted mean of the true slopes of the loci that have an estimate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from seqtrust.mendelian.effects import Effects, Estimate, Flags, t_quantile
from seqtrust.mendelian.ensembles import per_replicate, per_replicate_local
from seqtrust.mendelian.instruments import cross_fitted
from seqtrust.mendelian.meta import meta_analysis
from seqtrust.mendelian.recalibration import scaled
from seqtrust.mendelian.simulated_choices import ESTIMATORS, Analysis, Estimator, Loci, Rule
from seqtrust.statistics import Floats


def analysed(loci: Loci, analysis: Analysis, level: float = 0.95) -> dict[str, Any]:
    """Estimate, intervals, truths and coverage counts of one analysis: a row of the table."""
    mine = loci.members(analysis.members)
    factors = loci.factors if analysis.calibration == "variance" else (1.0, 1.0)
    x, y = (
        scaled(Effects.from_replicates(side, loci.position), factor)
        for side, factor in zip(mine.replicates, factors, strict=True)
    )
    base, per = ESTIMATORS[analysis.estimator]
    rule = analysis.rule
    index, kept = _packing(rule, x, loci.span)
    x, y = _packed_effects(x, index, kept), _packed_effects(y, index, kept)
    overall, local = _estimated(x, y, kept, analysis, level)
    row = _global_columns(overall, local, level)
    known = np.isfinite(np.asarray(local.estimate))
    chosen = _truth_masks(x, kept, rule)
    oracle, ideal = (
        _noise_free(_packed(side, index, kept), x, y, chosen, base)
        for side in (loci.causal, loci.ideal)
    )
    row |= {
        "truth_oracle": oracle[0],
        "truth_ideal": ideal[0],
        "truth_loci": float(loci.slopes[known].mean()) if known.any() else np.nan,
        "truth_population": _population(loci, rule, base),
        "truth_ensemble": np.nan,
    }
    if loci.further is not None:
        taken = _packed(loci.further, index, kept)
        a, b = (Effects.from_replicates(side, x.position) for side in taken)
        other = per_replicate(a, b, base) if per else _meta(base(a, b), level)
        row["truth_ensemble"] = float(np.asarray(other.estimate))
    row |= _local_coverage(local, {"oracle": oracle[1], "loci": loci.slopes})
    inside = (loci.other_slopes >= row["prediction_low"]) & (
        loci.other_slopes <= row["prediction_high"]
    )
    predicted = len(loci.other_slopes) if np.isfinite(row["prediction_low"]) else 0
    row |= {"predicted": predicted, "predicted_covered": int(inside.sum()) if predicted else 0}
    return analysis.key | row | _strength(x, chosen[0])


def _packing(
    rule: Rule, exposure: Effects, span: Flags
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Columns of the instruments of every locus, and which of these are any.

    Most substitutions are no instruments; without them all that follows is several times as fast.
    Where instruments are chosen by halves of the replicates, what may be chosen is kept.
    """
    kept = rule.mask(exposure, span)
    if rule.cross_fitted:
        kept = np.isfinite(exposure.beta) & (span if rule.span else True)
    most = max(1, int(kept.sum(axis=-1).max(initial=0)))
    index = np.argsort(~kept, axis=-1, kind="stable")[..., :most]
    return index, np.take_along_axis(kept, index, axis=-1)


def _packed(array: Floats, index: npt.NDArray[np.intp], kept: Flags) -> Floats:
    """Columns of an array of shape (..., K, J), NaN where they are no instruments."""
    whole = np.broadcast_to(index, (*array.shape[:-1], index.shape[-1]))
    return np.where(kept, np.take_along_axis(array, whole, axis=-1), np.nan)


def _packed_effects(effects: Effects, index: npt.NDArray[np.intp], kept: Flags) -> Effects:
    values = effects.of_replicates("a simulated analysis")
    position = np.broadcast_to(np.asarray(effects.position), effects.beta.shape)
    return Effects(
        _packed(effects.beta, index, kept),
        _packed(effects.se, index, kept),
        _packed(values, index, kept),
        np.take_along_axis(position, index, axis=-1),
    )


def _strength(x: Effects, kept: Flags) -> dict[str, float]:
    """Medians over loci of the mean F and of the number of instruments."""
    count = kept.sum(axis=-1)
    with np.errstate(invalid="ignore"):
        squares = np.where(kept, (x.beta / x.se) ** 2, 0.0).sum(axis=-1)
    fine = (count > 0) & np.isfinite(squares)
    if not fine.any():
        return {"median_F": np.nan, "median_instruments": np.nan}
    return {
        "median_F": float(np.median(squares[fine] / count[fine])),
        "median_instruments": float(np.median(count[fine])),
    }


@dataclass(frozen=True)
class Global:
    """A global estimate with the intervals that its table shows.

    Attributes:
        estimate: the mean effect.
        se: its standard error.
        interval: of the estimator: t of Hartung and Knapp, or of `per_replicate`.
        z: interval of normal quantiles around the same mean, where there is one.
        tau: sd between loci.
        reason: why there is no estimate, else empty.
    """

    estimate: float
    se: float
    interval: tuple[float, float]
    z: tuple[float, float]
    tau: float
    reason: str


def _estimated(
    x: Effects, y: Effects, span: Flags, analysis: Analysis, level: float
) -> tuple[Global, Estimate]:
    """Global and local estimates."""
    base, per = ESTIMATORS[analysis.estimator]

    def local(a: Effects, b: Effects) -> Estimate:
        return per_replicate_local(a, b, base, level=level) if per else base(a, b)

    if not analysis.rule.cross_fitted:
        made = local(x, y)
        if not per:
            return _meta(made, level), made
        return _of_replicates(per_replicate(x, y, base, level=level)), made

    def select(a: Effects) -> Flags:
        return analysis.rule.mask(a, span)

    made = cross_fitted(x, y, select, local, level=level)
    if not per:
        return _meta(made, level), made
    whole = cross_fitted(x, y, select, lambda a, b: per_replicate(a, b, base), level=level)
    tau = per_replicate(x.keep(select(x)), y, base).diagnostics["tau2"]
    return replace(_of_replicates(whole), tau=float(np.sqrt(tau))), made


def _meta(local: Estimate, level: float) -> Global:
    """Random-effects mean of local estimates, with both intervals."""
    made = meta_analysis(local.estimate, local.se, "reml", "hartung-knapp", level=level)
    plain = meta_analysis(local.estimate, local.se, "reml", "z", level=level)
    return Global(
        float(made.estimate),
        float(made.se),
        (float(made.interval[0]), float(made.interval[1])),
        (float(plain.interval[0]), float(plain.interval[1])),
        float(np.sqrt(made.tau2)),
        str(made.reason),
    )


def _of_replicates(made: Estimate) -> Global:
    bounds = float(np.asarray(made.interval[0])), float(np.asarray(made.interval[1]))
    return Global(
        float(np.asarray(made.estimate)),
        float(np.asarray(made.se)),
        bounds,
        (np.nan, np.nan),
        float(np.sqrt(made.diagnostics.get("tau2", np.nan))),
        str(made.reason),
    )


def _global_columns(overall: Global, local: Estimate, level: float) -> dict[str, Any]:
    known = np.isfinite(np.asarray(local.estimate))
    wide = t_quantile(level, max(known.sum() - 1, 1)) * np.hypot(overall.tau, overall.se)
    return {
        "estimate": overall.estimate,
        "se": overall.se,
        "low": overall.interval[0],
        "high": overall.interval[1],
        "z_low": overall.z[0],
        "z_high": overall.z[1],
        "tau": overall.tau,
        "prediction_low": float(overall.estimate - wide),
        "prediction_high": float(overall.estimate + wide),
        "loci": int(known.sum()),
        "left_out": int((~known).sum()),
        "reason": overall.reason,
    }


def _truth_masks(x: Effects, span: Flags, rule: Rule) -> list[Flags]:
    """The instruments of the estimate: those of both halves where it is cross-fitted."""
    if not rule.cross_fitted:
        return [span]
    values = x.of_replicates("cross-fitting")
    halves = [values[0::2], values[1::2]]
    return [rule.mask(Effects.from_replicates(half, x.position), span) for half in halves]


def _noise_free(
    truth: Floats, x: Effects, y: Effects, masks: Sequence[Flags], base: Estimator
) -> tuple[float, Floats]:
    """Global and local estimates from noise-free effects, weighted by the errors of the real ones.

    Returns:
        The mean over the masks of the REML mean, and of every locus' estimate, shape (K,).
    """
    overall, locals_ = [], []
    for mask in masks:
        a = Effects(truth[0], x.se, None, x.position).keep(mask)
        made = base(a, Effects(truth[1], y.se))
        overall.append(float(meta_analysis(made.estimate, made.se).estimate))
        locals_.append(np.asarray(made.estimate))
    return float(np.mean(overall)), np.mean(locals_, axis=0)


def _population(loci: Loci, rule: Rule, base: Estimator) -> float:
    """The estimate on noise-free effects of other loci' exposure motifs, errors known."""
    if loci.other is None or not rule.span:
        return np.nan
    position = np.repeat(np.arange(loci.other.shape[-1] // 4), 4)
    x, y = (
        Effects(side, np.full(side.shape, se), None, position)
        for side, se in zip(loci.other, loci.other_se, strict=True)
    )
    mask = rule.mask(x, np.ones(x.beta.shape, dtype=bool))
    return _noise_free(loci.other, x, y, [mask], base)[0]


def _local_coverage(local: Estimate, truths: Mapping[str, Floats]) -> dict[str, int]:
    """How many intervals of loci hold the truth of the same locus."""
    counts: dict[str, int] = {}
    for name, truth in truths.items():
        known = np.isfinite(np.asarray(local.estimate)) & np.isfinite(truth)
        held = (local.interval[0] <= truth) & (truth <= local.interval[1]) & known
        counts |= {f"local_{name}": int(known.sum()), f"local_{name}_covered": int(held.sum())}
    return counts
