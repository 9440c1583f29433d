"""Scores of an assay over splits and replicates, with intervals of peaks that were not measured.

A score is the mean over splits of means over replicates. Its variance has two parts: that of the
mean over all fits with random weights of the peaks (`measured_peaks`), which carries what splits
share, and that of the training seeds, from the spread of replicates. Splits are not drawn: their
test sets overlap, and intervals that took them for independent would be too narrow.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr, ndtri

from seqtrust.calibration.methods import NONE
from seqtrust.robustness.benchmark_plan import ModelPlan
from seqtrust.robustness.score_tables import SUMMARY
from seqtrust.robustness.shift_summary import UNSHIFTED, holm, summary_table

Floats = npt.NDArray[np.float64]
Key = tuple[str, str, str]

_Z = float(ndtri(0.975))


@dataclass(frozen=True)
class Fits:
    """One score of all fits of a model.

    Attributes:
        values: shape (splits, replicates).
        draws: of every round, shape (splits, replicates, rounds).
    """

    values: Floats
    draws: Floats

    @property
    def value(self) -> float:
        """Mean over splits of means over replicates."""
        return float(self.values.mean())

    def minus(self, other: "Fits") -> "Fits":
        """Differences within split and replicate, or within split where numbers differ."""
        one, two = self, other
        if one.values.shape != two.values.shape:
            one, two = one.pooled(), two.pooled()
        return Fits(one.values - two.values, one.draws - two.draws)

    def over(self, other: "Fits") -> "Fits":
        """Ratios of means over replicates, within split."""
        one, two = self.pooled(), other.pooled()
        return Fits(one.values / two.values, one.draws / two.draws)

    def pooled(self) -> "Fits":
        """Means over replicates."""
        return Fits(self.values.mean(axis=1, keepdims=True), self.draws.mean(axis=1, keepdims=True))

    def error(self) -> float:
        """Standard error of `value`: of peaks, and of training seeds if there are several."""
        peaks = self.draws.mean(axis=(0, 1)).var(ddof=1)
        splits, replicates = self.values.shape
        seeds = 0.0
        if replicates > 1:
            seeds = float((self.values.var(axis=1, ddof=1) / replicates).sum()) / splits**2
        return float(np.sqrt(peaks + seeds))

    def interval(self) -> tuple[float, float]:
        """95 % interval of `value`."""
        half = _Z * self.error()
        return self.value - half, self.value + half


class PeakScores:
    """Scores with draws, by model and (condition, calibrator, metric)."""

    def __init__(self, fits: pd.DataFrame, peaks: pd.DataFrame) -> None:
        """Join scores and draws.

        Args:
            fits: scores of all replicates (`score_tables.read_scores`).
            peaks: their draws (`measured_peaks.read_peaks`).
        """
        names = ["model", "data_set", "calibrator", "metric", "world", "replicate"]
        values = fits[fits["by"] == ""].set_index(names)["value"]
        joined = peaks.set_index(names).join(values, how="left").sort_index()
        self._found: dict[tuple[str, Key], Fits] = {}
        for _, part in joined.groupby(level=[0, 1, 2, 3], sort=False):
            model, condition, calibrator, metric = (str(name) for name in part.index[0][:4])
            splits = part.index.get_level_values("world").nunique()
            draws = np.stack(part["draws"].to_list())
            self._found[model, (condition, calibrator, metric)] = Fits(
                part["value"].to_numpy().reshape(splits, -1),
                draws.reshape(splits, -1, draws.shape[1]),
            )

    def get(self, model: str, condition: str, metric: str, calibrator: str = NONE) -> Fits | None:
        """Of the calibrator, or as stated where it does not change the metric; None if absent."""
        for name in (calibrator, NONE):
            found = self._found.get((model, (condition, name, metric)))
            if found is not None:
                return found
        return None

    def exact(self, model: str, condition: str, calibrator: str, metric: str) -> Fits | None:
        """Of this calibrator alone."""
        return self._found.get((model, (condition, calibrator, metric)))


def measured_summary(
    fits: pd.DataFrame, scores: PeakScores, plans: Mapping[str, ModelPlan], seed: int
) -> pd.DataFrame:
    """The summary of all models.

    Scores without draws (worst groups, calibrators that are fitted once) have no interval.

    Args:
        fits: scores of all replicates.
        scores: with their draws.
        plans: of the models.
        seed: of the summary.
    """
    table = summary_table(fits, plans, seed)
    bounds = {
        "": ("low", "high", None), "to_base": ("to_base_low", "to_base_high", "to_base_p"),
        "to_id": ("to_id_low", "to_id_high", "to_id_p"),
    }  # fmt: skip
    columns: dict[str, Floats] = {
        name: np.full(len(table), np.nan) for one in bounds.values() for name in one if name
    }
    for row, (model, condition, calibrator, metric, by, base) in enumerate(
        zip(*(table[key] for key in ("model", "data_set", "calibrator", "metric", "by", "base")),
            strict=True)
    ):  # fmt: skip
        own = None if by else scores.exact(model, condition, calibrator, metric)
        if own is None:
            continue
        others = {
            "to_base": scores.exact(base, condition, calibrator, metric) if base else None,
            "to_id": None
            if condition == UNSHIFTED
            else scores.exact(model, UNSHIFTED, calibrator, metric),
        }
        columns["low"][row], columns["high"][row] = own.interval()
        for name, other in others.items():
            if other is not None:
                step = own.minus(other)
                low, high, p = bounds[name]
                columns[low][row], columns[high][row] = step.interval()
                columns[str(p)][row] = _p(step.value, step.error())
    table = table.assign(**columns)
    for name in ("to_base", "to_id"):
        families = table.groupby(["model", "calibrator", "metric", "by"], sort=False)[f"{name}_p"]
        table[f"{name}_holm"] = families.transform(lambda p: holm(p.to_numpy()))
    return table[[column.name for column in SUMMARY.columns]]


def _p(value: float, error: float) -> float:
    """Two-sided, of a value of 0."""
    if error == 0:
        return 1.0 if value == 0 else 0.0
    return float(2 * ndtr(-abs(value) / error))
