"""What each published choice changes: global effects with one of them at a time, and with all."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from seqtrust.mendelian.analysis import Pairs
from seqtrust.mendelian.effects import Effects
from seqtrust.mendelian.extensions import published_baseline
from seqtrust.mendelian.global_effects import main_effects
from seqtrust.mendelian.instrument_tables import PUBLISHED, Instruments
from seqtrust.mendelian.modes import mode_based
from seqtrust.mendelian.named_estimators import MainEstimator, published

RIGHT, EVERYTHING = "right", "all published"
CHOICES = {
    RIGHT: "the analysis of the config",
    "se": "errors: sd over replicates (ddof 0), not of the mean",
    "instruments": "instruments: |z| over all loci, positions and alleles, all alleles",
    "estimator": "estimator: robust MR-Egger of more than 10 instruments",
    "shared error": "meta-analysis of loci as if their errors were independent (REML, z)",
    "recalibration": "recalibration: map of intervals applied to quantiles",
    "2 tau": "interval: 2 tau, the spread of loci, in place of an error of the mean",
    "root tau": "interval: the root of tau, as the published figure drew it",
    "baseline": "baseline: mean of mean ratios, 2 sd over loci",
    "exact mode": "mode-based estimate, exact (stands beside the grid)",
    "mode on grid": "mode-based estimate on a grid of 512 points",
    EVERYTHING: "all of these choices of errors, instruments, estimator and meta-analysis",
}


def published_path(few: str) -> MainEstimator:
    """Robust MR-Egger, then REML with normal quantiles."""
    local = partial(published, few=few)
    return MainEstimator("published", local, False, "reml", "z")


def changes(
    instruments: Instruments,
    pairs: Pairs,
    main: MainEstimator,
    *,
    cross_fit: bool = False,
    few: str = "plain",
    modes: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """Global effects by choice.

    Errors, estimator and so on are changed in the estimate, at the instruments of the config;
    instruments alone with the rest kept.

    Args:
        instruments: of all loci, with those of the published rule.
        pairs: of tasks.
        main: estimator of the config.
        cross_fit: of the config's own row.
        few: as in `named_estimators.published`.
        modes: draws of the bootstrap of mode-based estimates; 0: leave these out.
        seed: of these draws.

    Returns:
        Columns choice, what, exposure, outcome, estimate, se, low, high, tau, loci, reason.
    """
    effects: Callable[..., pd.DataFrame] = partial(main_effects, instruments, pairs)
    right = effects(main, cross_fit=cross_fit)
    local = partial(published, few=few)
    alone = replace(main, replicates=False, test="z")
    found = {
        RIGHT: right,
        "instruments": effects(main, bit=PUBLISHED),
        "estimator": effects(replace(main, local=local)),
        "shared error": effects(alone),
        "2 tau": _drawn(right, 2 * right["tau"]),
        "root tau": _drawn(right, np.sqrt(right["tau"])),
    }
    found["baseline"] = effects(published_baseline, bit=PUBLISHED)
    with_replicates = instruments.replicates is not None
    if with_replicates:
        found["se"] = effects(main, published_se=True)
    if instruments.recalibrated is not None:
        found["recalibration"] = effects(main, change=_finite, recalibrated=True)
    if modes:
        for name, method in (("exact mode", "exact"), ("mode on grid", "published")):
            mode = partial(mode_based, method=method, draws=modes, seed=seed)
            found[name] = effects(MainEstimator(name, mode, False, main.method, main.test))
    how = {"published_se": with_replicates, "recalibrated": instruments.recalibrated is not None}
    found[EVERYTHING] = effects(published_path(few), bit=PUBLISHED, change=_finite, **how)
    parts = [
        found[name].assign(choice=name, what=words)
        for name, words in CHOICES.items()
        if name in found
    ]
    shown = ["choice", "what", "exposure", "outcome", "estimate", "se", "low", "high", "tau"]
    return pd.concat(parts, ignore_index=True)[[*shown, "loci", "left_out", "reason"]]


def _drawn(right: pd.DataFrame, half: pd.Series) -> pd.DataFrame:
    """The right estimates with another interval."""
    return right.assign(low=right["estimate"] - half, high=right["estimate"] + half)


def _finite(
    exposure: Effects, outcome: Effects, x: int, ys: tuple[int, ...]
) -> tuple[Effects, Effects]:
    """Instruments whose effects the published map made infinite are dropped, as published."""

    def of(effects: Effects) -> Effects:
        fine = np.isfinite(effects.beta) & np.isfinite(effects.se) & (effects.se > 0)
        return effects.keep(fine)

    return of(exposure), of(outcome)
