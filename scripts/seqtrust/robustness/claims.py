"""Claims about models under shift as tests: thresholds that were fixed before, and verdicts.

A part of a test passes where the whole 95 % interval lies on the right side of its threshold, and
fails where it lies on the wrong side; between the two it is not powered. All parts must pass.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from seqtrust.calibration.methods import NONE
from seqtrust.robustness.benchmark_plan import ModelPlan
from seqtrust.robustness.shift_summary import UNSHIFTED, ModelScores, hierarchical_interval

Floats = npt.NDArray[np.float64]
Verdict = Literal["pass", "fail", "not powered"]
PASS, FAIL, OPEN = "pass", "fail", "not powered"

STATEMENTS: Mapping[str, str] = {
    "T1": "a mild shift of GC content leaves accuracy and coverage as they are",
    "T2a": "coverage and variance ratio fall with rewiring, and collapse",
    "T2b": "coverage and variance ratio fall with noise, and collapse",
    "T3": "scores without a shift do not tell which model suffers least under one",
    "T4": "a structural prior lowers the excess risk without a shift and under mild ones",
    "T5": "a structural prior does not mend coverage under strong noise",
    "T6": "selection by stated sd lowers the risk without a shift and under shifts of GC content",
    "T7": "the gain of selection does not grow with noise that does not depend on the sequence",
    "T8": "selection by stated sd is harmful under a strong batch and under full rewiring",
}
COLUMNS = (
    "test", "part", "model", "statement", "condition", "metric", "calibrator", "criterion", "value",
    "low", "high", "worlds", "fits", "verdict", "reason", "needs",
)  # fmt: skip
# scores that a calibrator of the stated sd changes, or that stand beside them
_CALIBRATED = ("mse", "vr", "cov90", "nll")
_METRICS = (*_CALIBRATED, "excess", "r50", "r20")
_NOISE = ("NOISE-A", "NOISE-M", "DEPTH")
_MILD = ("ID", "GC-1", "GC-2", "GC-3")


@dataclass(frozen=True)
class Part:
    """One number of a test against its threshold.

    Attributes:
        test: name.
        name: of the part.
        model: that it is about.
        condition: what it was measured under.
        metric: what was measured.
        values: shape (worlds, replicates), or None where it was not asked for.
        below: right values are below the threshold, not above it.
        threshold: fixed before.
    """

    test: str
    name: str
    model: str
    condition: str
    metric: str
    values: Floats | None
    below: bool
    threshold: float


def claims_table(
    fits: pd.DataFrame,
    plans: Mapping[str, ModelPlan],
    settings: Mapping[str, Any],
    seed: int,
    toy: bool,
) -> pd.DataFrame:
    """All tests of all models: one row per part, and one for all parts together.

    Args:
        fits: scores of all replicates.
        plans: of the models; references are not tested.
        settings: `tests` of the config.
        seed: of the bootstrap.
        toy: a toy says nothing about the claims.
    """
    scores = _Scores(fits, settings["calibrator"])
    tested = [plan for plan in plans.values() if plan.kind not in ("oracle", "ideal")]
    parts = [part for plan in tested for part in _parts(plan, scores, settings)]
    rows = [_judged(part, scores.calibrators[0], settings, seed, toy) for part in parts]
    rows += list(_prediction_of_loss(tested, scores, settings, toy))
    rows += list(verdicts_of_tests(rows))
    return pd.DataFrame(rows, columns=list(COLUMNS)).sort_values(
        ["test", "model"], kind="stable", ignore_index=True
    )


class _Scores:
    """Look-up of scores, shape (worlds, replicates) each; None where one was not asked for."""

    def __init__(self, fits: pd.DataFrame, calibrator: str) -> None:
        self.calibrators = (calibrator, NONE)
        wanted = fits[fits["metric"].isin(_METRICS) & (fits["by"] == "")]
        self._models = {
            str(name): ModelScores.of(part) for name, part in wanted.groupby("model", sort=False)
        }
        self._places = {
            name: {key: place for place, key in enumerate(found.keys)}
            for name, found in self._models.items()
        }

    def __call__(self, model: str, condition: str, metric: str) -> Floats | None:
        """Of the first calibrator that has the metric."""
        for calibrator in self.calibrators:
            place = self._places.get(model, {}).get((condition, calibrator, metric, ""))
            if place is not None:
                found: Floats = self._models[model].values[place]
                return found
        return None


def _parts(plan: ModelPlan, scores: _Scores, settings: Mapping[str, Any]) -> Iterator[Part]:
    name = plan.name

    def change(condition: str, metric: str, relative: bool = False) -> Floats | None:
        own, before = scores(name, condition, metric), scores(name, UNSHIFTED, metric)
        if own is None or before is None:
            return None
        return own / before - 1 if relative else own - before

    wanted = settings["T1"]
    for condition in ("GC-1", "GC-2"):
        for metric, relative in (("mse", True), ("cov90", False)):
            found = change(condition, metric, relative)
            bound = wanted[metric]
            yield Part("T1", "upper", name, condition, metric, found, True, bound)
            yield Part("T1", "lower", name, condition, metric, found, False, -bound)
    for test, ladders in (("T2a", ("REW",)), ("T2b", _NOISE)):
        for ladder in ladders:
            for metric in ("vr", "cov90"):
                condition = f"{ladder}-3"
                found = scores(name, condition, metric)
                yield Part(
                    test, "collapse", name, condition, metric, found, True, settings[test][metric]
                )
                for one, step in _steps(name, ladder, metric, scores):
                    yield Part(test, "every step falls", name, one, metric, step, True, 0.0)
    if (plan.settings.get("prior") or {}).get("kind") == "scans" and plan.compare:
        yield from _prior_parts(plan, scores, settings)
    for condition in _MILD:
        for metric in ("r50", "r20"):
            found = scores(name, condition, metric)
            yield Part("T6", "ratio", name, condition, metric, found, True, settings["T6"]["ratio"])
    for ladder in ("NOISE-A", "DEPTH"):
        for one, step in _steps(name, ladder, "r50", scores):
            rise = None if step is None else -step
            bound = settings["T7"]["rise"]
            yield Part("T7", "rise of 1 - r50", name, one, "r50", rise, True, bound)
    half = scores(name, "NOISE-A-3", "r50")
    gain = None if half is None else 1 - half
    yield Part("T7", "1 - r50", name, "NOISE-A-3", "r50", gain, True, settings["T7"]["gain"])
    for condition in ("BATCH-3", "REW-4"):
        found = scores(name, condition, "r20")
        yield Part("T8", "ratio", name, condition, "r20", found, False, settings["T8"]["ratio"])


def _prior_parts(plan: ModelPlan, scores: _Scores, settings: Mapping[str, Any]) -> Iterator[Part]:
    name, base = plan.name, plan.compare
    for condition in (*_MILD, "CELL-2", "REW-1"):
        own, other = (scores(model, condition, "excess") for model in (name, base))
        gain = None
        if own is not None and other is not None:
            gain = 1 - own.mean(axis=1, keepdims=True) / other.mean(axis=1, keepdims=True)
        bound = settings["T4"]["gain"]
        yield Part("T4", "1 - ratio to base", name, condition, "excess", gain, False, bound)
    for condition in ("NOISE-A-3", "NOISE-M-3"):
        own, other = (scores(model, condition, "cov90") for model in (name, base))
        better = None
        if own is not None and other is not None:
            better = own.mean(axis=1, keepdims=True) - other.mean(axis=1, keepdims=True)
        bound = settings["T5"]["cov90"]
        yield Part("T5", "minus base", name, condition, "cov90", better, True, bound)


def _steps(
    model: str, ladder: str, metric: str, scores: _Scores
) -> Iterator[tuple[str, Floats | None]]:
    """Changes from step to step of a ladder, the first one from no shift."""
    names = [UNSHIFTED, *(f"{ladder}-{step}" for step in (1, 2, 3))]
    found = [scores(model, name, metric) for name in names]
    for place in range(1, len(names)):
        before, now = found[place - 1], found[place]
        step = None if before is None or now is None else now - before
        yield f"{names[place - 1]} to {names[place]}", step


def _judged(
    part: Part, calibrator: str, settings: Mapping[str, Any], seed: int, toy: bool
) -> dict[str, Any]:
    used = calibrator if part.metric in _CALIBRATED else NONE
    row = claim_row(part.test, part.name, part.model, part.condition, part.metric, used)
    row["criterion"] = f"{'<' if part.below else '>'} {part.threshold:g}"
    if part.values is None:
        return row | undecided(
            "the config leaves this out", f"shifts or models of {part.condition}"
        )
    found = hierarchical_interval(part.values[None], seed)
    value, low, high = (float(one[0]) for one in (found.value, found.low, found.high))
    worlds = int(found.worlds[0])
    row |= {
        "value": value, "low": low, "high": high, "worlds": worlds, "fits": int(found.fits[0]),
    }  # fmt: skip
    least = settings["least_worlds"]
    if toy:
        return row | undecided("a toy", "a config with toy: false")
    if worlds < least:
        return row | undecided(f"{worlds} of at least {least} worlds", f"{least} worlds")
    verdict = judged_interval(low, high, part.threshold, part.below)
    if verdict == OPEN:
        needed = worlds_needed(value, high - value, part.threshold, worlds)
        return row | undecided("the interval holds the threshold", needed)
    return row | {"verdict": verdict}


def judged_interval(low: float, high: float, threshold: float, below: bool) -> Verdict:
    """Where an interval lies beside a threshold."""
    if high < threshold:
        return "pass" if below else "fail"
    if low > threshold:
        return "fail" if below else "pass"
    return "not powered"


def worlds_needed(value: float, half: float, threshold: float, worlds: int) -> str:
    """How many worlds would tell, if the value stayed: the interval shrinks with their root."""
    distance = abs(value - threshold)
    if not distance > 1e-3 * half:
        return "no number of worlds: the value is the threshold"
    return f"about {math.ceil(worlds * (half / distance) ** 2) + 1} worlds"


def _prediction_of_loss(
    tested: Sequence[ModelPlan], scores: _Scores, settings: Mapping[str, Any], toy: bool
) -> Iterator[dict[str, Any]]:
    """T3: rank correlation over fits of the likelihood without and with a shift."""
    trained = [plan.name for plan in tested if plan.kind in ("network", "student", "kmers")]
    wanted = settings["T3"]
    for condition in ("REW-3", "NOISE-A-3", "NOISE-M-3"):
        row = claim_row("T3", "rank correlation", "", condition, "nll", scores.calibrators[0])
        row["criterion"] = f"< {wanted['correlation']:g}"
        pairs = [(scores(name, UNSHIFTED, "nll"), scores(name, condition, "nll"))
                 for name in trained]  # fmt: skip
        known = [(one, two) for one, two in pairs if one is not None and two is not None]
        if not known:
            yield row | undecided("the config leaves this out", f"shifts or models of {condition}")
            continue
        before, after = (np.concatenate([pair[side] for pair in known], axis=1) for side in (0, 1))
        value, low, high = within_world_correlation(before, after)
        worlds, count = before.shape[0], before.size
        row |= {"value": value, "low": low, "high": high, "worlds": worlds, "fits": count}
        if toy:
            yield row | undecided("a toy", "a config with toy: false")
        elif count < wanted["fits"]:
            reason = f"{count} of at least {wanted['fits']} fits"
            yield row | undecided(reason, f"{wanted['fits']} fits of models, worlds and replicates")
        else:
            verdict = judged_interval(low, high, wanted["correlation"], True)
            opened = undecided("the interval holds the threshold", "more fits of different models")
            yield row | (opened if verdict == OPEN else {"verdict": verdict})


def within_world_correlation(before: Floats, after: Floats) -> tuple[float, float, float]:
    """Rank correlation over the fits of every world, pooled, and its 95 % interval.

    Worlds differ in what is possible at all, so ranks are those within a world. The interval is
    Fisher's with the error of Bonett and Wright (2000), of as many fits as are free.

    Args:
        before: shape (worlds, fits).
        after: the same fits.
    """
    ranks = [rankdata(part, axis=1) for part in (before, after)]
    centred = [part - part.mean(axis=1, keepdims=True) for part in ranks]
    scale = math.sqrt(float((centred[0] ** 2).sum() * (centred[1] ** 2).sum()))
    if scale == 0:
        return math.nan, math.nan, math.nan
    value = float((centred[0] * centred[1]).sum()) / scale
    free = before.size - before.shape[0] + 1
    if free < 4:
        return value, math.nan, math.nan
    middle = math.atanh(min(max(value, -0.999999), 0.999999))
    half = 1.96 * math.sqrt((1 + value**2 / 2) / (free - 3))
    return value, math.tanh(middle - half), math.tanh(middle + half)


def verdicts_of_tests(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """One row per test and model: it passes where every part does.

    Args:
        rows: of the parts, from `claim_row` with their verdicts.
    """
    keys = dict.fromkeys((row["test"], row["model"]) for row in rows)
    for test, model in keys:
        mine = [row for row in rows if (row["test"], row["model"]) == (test, model)]
        counts = {
            verdict: sum(row["verdict"] == verdict for row in mine)
            for verdict in (PASS, FAIL, OPEN)
        }
        verdict = FAIL if counts[FAIL] else OPEN if counts[OPEN] else PASS
        reason = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        yield claim_row(test, "all", model, "", "", "") | {"verdict": verdict, "reason": reason}


def claim_row(
    test: str, part: str, model: str, condition: str, metric: str, calibrator: str
) -> dict[str, Any]:
    """A row of `COLUMNS` about which nothing is known yet; arguments are columns."""
    empty = dict.fromkeys(COLUMNS, "")
    numbers = dict.fromkeys(("value", "low", "high"), math.nan)
    return empty | numbers | {
        "test": test, "part": part, "model": model, "statement": STATEMENTS[test],
        "condition": condition, "metric": metric, "calibrator": calibrator,
        "worlds": 0, "fits": 0,
    }  # fmt: skip


def undecided(reason: str, needs: str) -> dict[str, str]:
    """The verdict "not powered" with its reason and what would be needed."""
    return {"verdict": OPEN, "reason": reason, "needs": needs}
