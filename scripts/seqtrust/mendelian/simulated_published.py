"""The simulation's analysis as published, faults included: what published values stand beside.

Instruments with |z| >= 1 over all loci, positions and alleles; robust MR-Egger for more than 10
of them, MR-Egger otherwise; the spread of replicates (ddof 0) for a standard error; REML and normal
quantiles; "coverage" of estimate +- 2 tau; recalibration by the map of intervals, fitted on the
loci that are judged; truth of loci with both motifs, matched by row with the estimates of loci
with the exposure motif.
"""

from typing import Any

import numpy as np

from seqtrust.mendelian.effects import Effects, Flags
from seqtrust.mendelian.extensions import published_baseline
from seqtrust.mendelian.instruments import published_z
from seqtrust.mendelian.meta import meta_analysis
from seqtrust.mendelian.recalibration import fit_published_levels
from seqtrust.mendelian.regression import egger
from seqtrust.statistics import Floats

THRESHOLD = 1.0
ROBUST_ABOVE = 10  # instruments
RULE = "published_z"
PUBLISHED, UNCALIBRATED, BASELINE = "published", "published_uncalibrated", "published_baseline"


def recalibrated_effects(
    references: Floats, effects: Floats, labels: Floats, fitted_on: Floats
) -> Floats:
    """Effects after the published recalibration of what members predict.

    Args:
        references: predictions of the loci, shape (2, E, K).
        effects: mutant minus reference, shape (2, E, K, J).
        labels: measured labels that the map is fitted on, shape (2, N).
        fitted_on: the members' predictions of these, shape (2, E, N).

    Returns:
        Effects of the mapped predictions; NaN where a mapped level reached 0 or 1.
    """
    made = np.empty_like(effects)
    for task in range(2):
        told = fit_published_levels(fitted_on[task], labels[task])
        known = np.isfinite(effects[task])
        mutants = np.where(known, references[task][..., None] + effects[task], 0.0)
        with np.errstate(invalid="ignore"):
            moved = told.apply(mutants) - told.apply(references[task])[..., None]
        made[task] = np.where(known & np.isfinite(moved), moved, np.nan)
    return made


def published_rows(
    effects: Floats, slopes: Floats, both: Flags, name: str, level: float = 0.95
) -> list[dict[str, Any]]:
    """The published analysis and its baseline.

    Args:
        effects: of the loci with the exposure motif, shape (2, E, K, J).
        slopes: their true slopes, shape (K,).
        both: which of them also have the outcome motif: those that the published truth is of.
        name: of the estimator in the rows.
        level: of the intervals.
    """
    x, y = (Effects.from_replicates(side, se="published") for side in effects)
    x = x.keep(published_z(x, THRESHOLD) & (x.se > 0) & (y.se > 0))
    plain, robust = egger(x, y, level=level), egger(x, y, robust=True, level=level)
    many = np.asarray(plain.diagnostics["instruments"]) > ROBUST_ABOVE
    estimate, se, low, high = (
        np.where(many, first, second)
        for first, second in (
            (robust.estimate, plain.estimate),
            (robust.se, plain.se),
            (robust.interval[0], plain.interval[0]),
            (robust.interval[1], plain.interval[1]),
        )
    )
    made = meta_analysis(estimate, se, "reml", "z", level=level)
    known = np.isfinite(estimate)
    paired = known & both
    # the rows of the two tables are put side by side, whatever loci they are of
    rows = min(int(known.sum()), int(both.sum()))
    truth = slopes[both][:rows]
    mispaired = (low[known][:rows] <= truth) & (truth <= high[known][:rows])
    held = (low <= slopes) & (slopes <= high) & paired
    tau = float(np.sqrt(made.tau2))
    key = {"members": effects.shape[1], "rule": RULE, "calibration": "none"}
    shared = {"truth_loci": float(slopes[both].mean())}
    row = (
        key
        | shared
        | {
            "estimator": name,
            "calibration": "intervals" if name == PUBLISHED else "none",
            "estimate": float(made.estimate),
            "se": float(made.se),
            "low": float(made.interval[0]),
            "high": float(made.interval[1]),
            "z_low": float(made.interval[0]),
            "z_high": float(made.interval[1]),
            "tau": tau,
            "loci": int(known.sum()),
            "left_out": int((~known).sum()),
            "reason": str(made.reason),
            "local_loci": int(paired.sum()),
            "local_loci_covered": int(held.sum()),
            "local_mispaired": rows,
            "local_mispaired_covered": int(mispaired.sum()),
        }
    )
    mean = published_baseline(x, y)
    baseline = (
        key
        | shared
        | {
            "estimator": BASELINE if name == PUBLISHED else f"{BASELINE}_uncalibrated",
            "calibration": row["calibration"],
            "estimate": float(mean.estimate),
            "se": float(mean.se),
            "low": float(mean.interval[0]),
            "high": float(mean.interval[1]),
            "tau": float(mean.se),
            "loci": int(np.asarray(mean.diagnostics["loci"])),
            "left_out": len(slopes) - int(np.asarray(mean.diagnostics["loci"])),
            "reason": str(mean.reason),
        }
    )
    return [row, baseline]
