"""Estimators by the names and settings that a config gives them."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from seqtrust.errors import InputError, nearest_clause
from seqtrust.mendelian.effects import Effects, Estimate, Words, made_estimate
from seqtrust.mendelian.ensembles import per_replicate
from seqtrust.mendelian.extensions import egger_simex, mean_ratio
from seqtrust.mendelian.instruments import cross_fitted
from seqtrust.mendelian.likelihood import divw, maximum_likelihood, pivw, raps
from seqtrust.mendelian.meta import meta_analysis
from seqtrust.mendelian.modes import mode_based
from seqtrust.mendelian.ratios import penalised_median, simple_median, weighted_median
from seqtrust.mendelian.regression import egger, ivw

Estimator = Callable[[Effects, Effects], Estimate]
PER_REPLICATE = "per_replicate"
MANY = 10  # instruments above which the published path is robust


def published(exposure: Effects, outcome: Effects, few: str = "plain") -> Estimate:
    """The published local estimate: robust MR-Egger of more than 10 instruments.

    Args:
        exposure: effects (..., J).
        outcome: of the same instruments.
        few: what is done with 10 or fewer: `plain` MR-Egger (the published simulation), or `drop`
            the locus (the published BPNet analysis).
    """
    if few not in ("plain", "drop"):
        raise InputError(f"published: few is {few!r}; known: plain, drop")
    robust = egger(exposure, outcome, robust=True)
    plain = egger(exposure, outcome)
    number = np.isfinite(exposure.beta + exposure.se + outcome.beta + outcome.se).sum(axis=-1)
    many = number > MANY

    def of(one: Any, other: Any) -> np.ndarray:
        return np.where(many, one, other)

    left = np.full(number.shape, f"fewer than {MANY + 1} instruments")
    other = left if few == "drop" else plain.reason
    return made_estimate(
        of(robust.estimate, plain.estimate),
        of(robust.se, plain.se),
        np.where(many, robust.reason, other),
        diagnostics={
            "intercept": of(robust.diagnostics["intercept"], plain.diagnostics["intercept"])
        },
    )


ESTIMATORS: dict[str, Callable[..., Estimate]] = {
    "divw": divw,
    "egger": egger,
    "egger_simex": egger_simex,
    "ivw": ivw,
    "maximum_likelihood": maximum_likelihood,
    "mean_ratio": mean_ratio,
    "mode_based": mode_based,
    "penalised_median": penalised_median,
    "pivw": pivw,
    "published": published,
    "raps": raps,
    "simple_median": simple_median,
    "weighted_median": weighted_median,
}


def named_estimators(
    settings: Mapping[str, Mapping[str, Any]] | list[str], seed: int = 0
) -> dict[str, Estimator]:
    """Estimators by label.

    Args:
        settings: a list of names; or by label the settings of an estimator, of which `is` is its
            name where the label is not.
        seed: of bootstraps that are given none.

    Raises:
        InputError: an unknown estimator or setting; the message names the nearest one.
    """
    if isinstance(settings, list):
        settings = {name: {} for name in settings}
    made: dict[str, Estimator] = {}
    for label, given in settings.items():
        options = dict(given)
        name = options.pop("is", label)
        if name not in ESTIMATORS:
            raise InputError(
                f"estimators: there is no estimator {name!r}{nearest_clause(name, ESTIMATORS, 20)}"
            )
        function = ESTIMATORS[name]
        known = list(inspect.signature(function).parameters)[2:]
        for option in options:
            if option not in known:
                nearest = nearest_clause(option, known)
                raise InputError(f"estimators/{label}: {name} has no setting {option!r}{nearest}")
        if "seed" in known:
            options.setdefault("seed", seed)
        made[label] = partial(function, **options)
    return made


@dataclass(frozen=True)
class MainEstimator:
    """The estimator of the headline and the verdict: from effects of all loci to a global effect.

    Attributes:
        label: of the estimator in tables.
        local: of single loci.
        replicates: estimate within every replicate, so that errors shared by loci count.
        method: of the meta-analysis.
        test: of the meta-analysis where it is not within replicates.
    """

    label: str
    local: Estimator
    replicates: bool
    method: str = "reml"
    test: str = "hartung-knapp"

    def __call__(self, exposure: Effects, outcome: Effects) -> Estimate:
        """The global effect of loci: effects of shape (..., K, J).

        Diagnostics: `tau2`, `loci`, `left_out`, `prediction_low`, `prediction_high`.
        """
        loci = np.broadcast_shapes(exposure.beta.shape, outcome.beta.shape)[-2]
        if not self.replicates:
            local = self.local(exposure, outcome)
            return pooled(local.estimate, local.se, self.method, self.test)
        made = per_replicate(exposure, outcome, self.local, method=self.method)
        found = dict(made.diagnostics)
        wide = np.sqrt(np.asarray(made.se) ** 2 + found["tau2"])
        with np.errstate(divide="ignore", invalid="ignore"):
            half = wide * (np.asarray(made.interval[1]) - made.estimate) / made.se
        found |= {
            "left_out": loci - np.asarray(found["loci"]),
            "prediction_low": made.estimate - half,
            "prediction_high": made.estimate + half,
        }
        return replace(made, diagnostics=found)

    def cross_fitted(self, exposure: Effects, outcome: Effects, select: Any, se: str) -> Estimate:
        """The same with instruments chosen and used by different replicates.

        Of the diagnostics of both halves: the fewer loci and the mean of tau2.
        """
        halves: list[Estimate] = []

        def kept(one: Effects, other: Effects) -> Estimate:
            halves.append(self(one, other))
            return halves[-1]

        kind = se if se in ("mean", "published") else "moderated"
        made = cross_fitted(exposure, outcome, select, kept, se=kind)
        loci, tau2 = (np.stack([half.diagnostics[name] for half in halves])
                      for name in ("loci", "tau2"))  # fmt: skip
        number = np.broadcast_shapes(exposure.beta.shape, outcome.beta.shape)[-2]
        with np.errstate(divide="ignore", invalid="ignore"):
            half = (np.asarray(made.interval[1]) - made.estimate) / made.se
            wide = half * np.sqrt(np.asarray(made.se) ** 2 + tau2.mean(axis=0))
        found = {
            "loci": loci.min(axis=0),
            "left_out": number - loci.min(axis=0),
            "tau2": tau2.mean(axis=0),
            "prediction_low": made.estimate - wide,
            "prediction_high": made.estimate + wide,
        }
        return replace(made, diagnostics=found)


def pooled(estimates: Any, ses: Any, method: str, test: str) -> Estimate:
    """The meta-analysis of local effects (..., K) as an estimate.

    The estimate of a single locus stands for itself: nothing is known of other loci.
    """
    found = meta_analysis(estimates, ses, method, test)
    y, se = np.asarray(estimates, dtype=np.float64), np.asarray(ses, dtype=np.float64)
    value, error = np.asarray(found.estimate), np.asarray(found.se)
    reason: Words = np.asarray(found.reason)
    df = np.asarray(found.df)
    extra = {
        "tau2": found.tau2,
        "I2": found.I2,
        "prediction_low": found.prediction_interval[0],
        "prediction_high": found.prediction_interval[1],
    }
    if y.shape[-1] == 1:
        alone = np.isfinite(y[..., 0]) & np.isfinite(se[..., 0])
        value, error = np.where(alone, y[..., 0], value), np.where(alone, se[..., 0], error)
        reason, df = np.where(alone, "", reason), np.full(value.shape, np.inf)
    extra |= {"loci": found.loci, "left_out": found.left_out}
    return made_estimate(value, error, reason, df=df, diagnostics=extra)
