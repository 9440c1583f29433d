"""Claims about models under shift, tested on an assay: by type of shift, with intervals of peaks.

No truth is known, so that a prior is judged by the error against measurements. Severities of an
assay are those of its ladders: what is said of strong shifts is asked of the last step of each.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from seqtrust.calibration.methods import NONE
from seqtrust.robustness.benchmark_plan import ModelPlan
from seqtrust.robustness.claims import (
    COLUMNS,
    OPEN,
    claim_row,
    judged_interval,
    undecided,
    verdicts_of_tests,
)
from seqtrust.robustness.measured_summary import Fits, PeakScores
from seqtrust.robustness.shift_summary import UNSHIFTED

_CALIBRATED = ("vr", "cov90", "nll")


def measured_claims(
    conditions: pd.DataFrame,
    scores: PeakScores,
    plans: Mapping[str, ModelPlan],
    settings: Mapping[str, Any],
    toy: bool,
) -> pd.DataFrame:
    """Tests of all models: one row per part, and one for all parts together.

    T1 of covariate shifts; T2a and T2b of the last step of concept and technical ladders; T4 of
    the error without a shift and under covariate ones; T5 of the last technical steps; T6 as T4;
    T8 of the last steps of concept and technical ladders. T3 and T7 need what an assay lacks: many
    different fits, and a ladder of noise that does not depend on the sequence.

    Args:
        conditions: data_set, shift, severity and type of every tested condition.
        scores: with draws.
        plans: of the models.
        settings: `tests` of the config.
        toy: a toy says nothing about the claims.
    """
    last = conditions.loc[conditions.groupby("shift")["severity"].idxmax()]
    named = {
        kind: conditions.loc[conditions["type"] == kind, "data_set"].tolist()
        for kind in ("covariate", "concept", "technical")
    }
    final = {
        kind: last.loc[last["type"] == kind, "data_set"].tolist()
        for kind in ("concept", "technical")
    }
    rows = [
        row
        for plan in plans.values()
        for row in _rows(plan, scores, named["covariate"], final, settings, toy)
    ]
    rows += list(verdicts_of_tests(rows))
    return pd.DataFrame(rows, columns=list(COLUMNS)).sort_values(
        ["test", "model"], kind="stable", ignore_index=True
    )


def _rows(
    plan: ModelPlan,
    scores: PeakScores,
    mild: Sequence[str],
    final: Mapping[str, Sequence[str]],
    settings: Mapping[str, Any],
    toy: bool,
) -> Iterator[dict[str, Any]]:
    model, calibrator = plan.name, settings["calibrator"]

    def got(condition: str, metric: str, name: str = model) -> Fits | None:
        return scores.get(name, condition, metric, calibrator)

    def row(test: str, part: str, condition: str, metric: str, below: bool, bound: float,
            found: Fits | None, shifted: float = 0.0) -> dict[str, Any]:  # fmt: skip
        used = calibrator if metric in _CALIBRATED else NONE
        return _judged(test, part, model, condition, metric, used, below, bound, found, shifted,
                       toy)  # fmt: skip

    for condition in mild:
        bound = settings["T1"]
        changes = {
            "mse": _apply(got(condition, "mse"), got(UNSHIFTED, "mse"), Fits.over),
            "cov90": _apply(got(condition, "cov90"), got(UNSHIFTED, "cov90"), Fits.minus),
        }
        for metric, found in changes.items():
            by = -1.0 if metric == "mse" else 0.0
            yield row("T1", "upper", condition, metric, True, bound[metric], found, by)
            yield row("T1", "lower", condition, metric, False, -bound[metric], found, by)
    for test, kind in (("T2a", "concept"), ("T2b", "technical")):
        for condition in final[kind]:
            for metric in ("vr", "cov90"):
                found = got(condition, metric)
                yield row(test, "collapse", condition, metric, True, settings[test][metric], found)
    if plan.settings.get("prior") and plan.compare:
        for condition in (UNSHIFTED, *mild):
            ratio = _apply(got(condition, "mse", plan.compare), got(condition, "mse"), _gain)
            yield row("T4", "1 - ratio to base", condition, "mse", False, settings["T4"]["gain"],
                      ratio)  # fmt: skip
        for condition in final["technical"]:
            better = _apply(
                got(condition, "cov90"), got(condition, "cov90", plan.compare), Fits.minus
            )
            yield row("T5", "minus base", condition, "cov90", True, settings["T5"]["cov90"], better)
    for condition in (UNSHIFTED, *mild):
        for metric in ("r50", "r20"):
            found = got(condition, metric)
            yield row("T6", "ratio", condition, metric, True, settings["T6"]["ratio"], found)
    for condition in (*final["concept"], *final["technical"]):
        found = got(condition, "r20")
        yield row("T8", "ratio", condition, "r20", False, settings["T8"]["ratio"], found)


def _gain(base: Fits, own: Fits) -> Fits:
    """1 - ratio of the own error to that of the base model."""
    ratio = own.over(base)
    return Fits(1 - ratio.values, 1 - ratio.draws)


def _apply(one: Fits | None, other: Fits | None, join: Any) -> Fits | None:
    return None if one is None or other is None else join(one, other)


def _judged(
    test: str,
    part: str,
    model: str,
    condition: str,
    metric: str,
    calibrator: str,
    below: bool,
    threshold: float,
    found: Fits | None,
    shifted: float,
    toy: bool,
) -> dict[str, Any]:
    row = claim_row(test, part, model, condition, metric, calibrator)
    row["criterion"] = f"{'<' if below else '>'} {threshold:g}"
    if found is None:
        return row | undecided("the config leaves this out", "")
    low, high = found.interval()
    row |= {
        "value": found.value + shifted, "low": low + shifted, "high": high + shifted,
        "worlds": found.values.shape[0], "fits": found.values.size,
    }  # fmt: skip
    if toy:
        return row | undecided("a toy", "a config with toy: false")
    verdict = judged_interval(row["low"], row["high"], threshold, below)
    if verdict == OPEN:
        return row | undecided("the interval holds the threshold", "more peaks")
    return row | {"verdict": verdict}
