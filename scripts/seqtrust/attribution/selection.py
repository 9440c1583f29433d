"""Choosing a model of a population by consistency, and what the choice costs in truth (regret).

A rule gives weights over models: one for the model that it chooses, equal ones for a front. It is
applied to all models, and again to cells drawn at random, whose models it has to choose among.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqtrust.attribution.attribution_maps import Flags, Floats
from seqtrust.attribution.generalisation import ROUNDS, drawn_sequences
from seqtrust.calibration.resampling import percentile_interval

GENERALISATION = "generalisation"
# consistency scores that models are chosen by
CONSISTENCIES = (
    "kmer", "kmer_pairing_excess", "embedding", "embedding_position_excess",
    "kmer_published", "embedding_published_wide",
)  # fmt: skip
BEST, CONSTRAINED, FRONT, AVERAGE = (
    "best",
    "best among the best generalising",
    "Pareto front with generalisation",
    "model at random",
)
COLUMNS = (
    "rule", "score", "chosen", "models", "generalisation", "consistency", "target", "value",
    "best_model", "best", "regret", "low", "high", "over_cells", "over_cells_low",
    "over_cells_high", "sequences", "cells",
)  # fmt: skip

# which models are there, (R, M), to weights of the chosen, (R, M)
Rule = Callable[[Floats], Floats]


def pareto_front(first: npt.ArrayLike, second: npt.ArrayLike) -> Flags:
    """Models that no other is better than in one of two scores without being worse in the other.

    Args:
        first: shape (M,); high is good. A model with a NaN is not on the front.
        second: shape (M,).
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    return np.isfinite(x) & np.isfinite(y) & ~dominates(x, y).any(axis=0)


def dominates(first: Floats, second: Floats) -> Flags:
    """Whether model i is at least as good as j in both scores and better in one, shape (M, M)."""
    with np.errstate(invalid="ignore"):
        reaches = (first[:, None] >= first) & (second[:, None] >= second)
        exceeds = (first[:, None] > first) | (second[:, None] > second)
    return reaches & exceeds


def rules_of(models: pd.DataFrame, within: float) -> dict[tuple[str, str], Rule]:
    """All rules by name and score.

    Args:
        models: rows of models with the columns `generalisation` and `CONSISTENCIES`.
        within: how much below the best generalisation a model may be, in its units.
    """
    general = _finite(models[GENERALISATION])
    rules: dict[tuple[str, str], Rule] = {
        (AVERAGE, ""): _shared,
        (BEST, GENERALISATION): _highest_of(general),
    }
    for name in CONSISTENCIES:
        score = _finite(models[name])
        rules[BEST, name] = _highest_of(score)
        rules[CONSTRAINED, name] = _constrained_by(general, score, within)
        rules[FRONT, name] = _front_of(general, score)
    return rules


def _finite(values: "pd.Series[Any]") -> Floats:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _shared(there: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(there / there.sum(axis=1, keepdims=True))


def _highest(values: Floats, eligible: Flags) -> Floats:
    """Weight 1 for the first of the highest values, NaN where nothing is eligible."""
    shown = np.where(eligible & np.isfinite(values), values, -np.inf)
    weights = np.zeros(shown.shape)
    weights[np.arange(len(shown)), shown.argmax(axis=1)] = 1.0
    weights[np.isneginf(shown.max(axis=1))] = np.nan
    return weights


def _highest_of(values: Floats) -> Rule:
    return lambda there: _highest(values, there > 0)


def _constrained_by(general: Floats, score: Floats, within: float) -> Rule:
    def rule(there: Floats) -> Floats:
        known = (there > 0) & np.isfinite(general)
        best = np.where(known, general, -np.inf).max(axis=1, keepdims=True)
        # a difference of exactly `within` is inside, whatever rounding does
        return _highest(score, known & (general >= best - within - 1e-12))

    return rule


def _front_of(general: Floats, score: Floats) -> Rule:
    known = np.isfinite(general) & np.isfinite(score)
    better = (dominates(general, score) & known[:, None]).astype(np.float64)

    def rule(there: Floats) -> Floats:
        own = (there > 0) & known
        return _shared((own & ~((own @ better) > 0)).astype(np.float64))

    return rule


@dataclass(frozen=True)
class Truth:
    """What models are judged by.

    Attributes:
        target: name of the measure.
        values: per model and sequence, shape (M, N); NaN where there is none.
    """

    target: str
    values: Floats

    def means(self) -> Floats:
        """Mean over sequences, shape (M,)."""
        return self.drawn_means(np.ones((1, self.values.shape[1])))[0]

    def drawn_means(self, draws: Floats) -> Floats:
        """Means over drawn sequences (R, N), shape (R, M)."""
        there = np.isfinite(self.values)
        known = np.where(there, self.values, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((draws @ known.T) / (draws @ there.T.astype(np.float64)))


def selection_table(
    models: pd.DataFrame, truths: Sequence[Truth], within: float, seed: int
) -> pd.DataFrame:
    """What every rule chooses, and its regret.

    Regret is the truth score of the best model minus that of the chosen one, or the mean of the
    chosen. `low` and `high` are over judged sequences: the choice is held, the best model is
    found anew. `over_cells` is the mean over cells drawn with replacement, where the rule chooses
    anew among the models of these cells; its interval is the spread of these choices.

    Args:
        models: rows of models, in the order of the truths' rows.
        truths: none if no truth is known; then a rule has one row without regret.
        within: see `rules_of`.
        seed: of the draws.
    """
    cells, index = np.unique(models["ensemble"].to_numpy(dtype=str), return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(cells), np.full(len(cells), 1 / len(cells)), ROUNDS)
    there = drawn[:, index].astype(np.float64)
    rows = []
    for (rule, score), choose in rules_of(models, within).items():
        weights = choose(np.ones((1, len(models))))[0]
        again = choose(there)
        about = _choice(models, weights, score) | {"rule": rule, "score": score}
        about["cells"] = len(cells)
        if not truths:
            rows.append(about)
        rows += [about | _regret(models, truth, weights, again, there, seed) for truth in truths]
    return pd.DataFrame(rows).reindex(columns=list(COLUMNS))


def names_of(models: pd.DataFrame) -> list[str]:
    """Ensemble and replicate of every model."""
    return [
        f"{one}/{two}" for one, two in zip(models["ensemble"], models["replicate"], strict=True)
    ]


def _choice(models: pd.DataFrame, weights: Floats, score: str) -> dict[str, Any]:
    chosen = np.flatnonzero(weights > 0)
    names = names_of(models)
    shown = names[chosen[0]] if len(chosen) == 1 else ""

    def mean(column: str) -> float:
        values = _finite(models[column])[chosen]
        return float(values.mean()) if len(chosen) else float("nan")

    return {
        "chosen": shown,
        "models": len(chosen),
        "generalisation": mean(GENERALISATION),
        "consistency": mean(score) if score in CONSISTENCIES else None,
    }


def _regret(
    models: pd.DataFrame, truth: Truth, weights: Floats, again: Floats, there: Floats, seed: int
) -> dict[str, Any]:
    """Columns of one rule and one truth."""
    means = truth.means()
    known = np.isfinite(means)
    best = int(np.where(known, means, -np.inf).argmax())
    drawn = truth.drawn_means(drawn_sequences(truth.values.shape[1], seed))
    over_sequences = _highest_value(drawn) - _weighted(drawn, weights)
    present = np.where(there > 0, means, np.nan)
    over_cells = _highest_value(present) - _weighted(np.broadcast_to(means, there.shape), again)
    value = float(_weighted(means[None], weights)[0])
    low, high = map(float, percentile_interval(over_sequences))
    cells_low, cells_high = map(float, percentile_interval(over_cells))
    finite = over_cells[np.isfinite(over_cells)]
    return {
        "target": truth.target,
        "value": value,
        "best_model": names_of(models)[best] if known.any() else "",
        "best": means[best],
        "regret": means[best] - value,
        "low": low,
        "high": high,
        "over_cells": finite.mean() if len(finite) else float("nan"),
        "over_cells_low": cells_low,
        "over_cells_high": cells_high,
        "sequences": truth.values.shape[1],
    }


def _highest_value(values: Floats) -> Floats:
    """The highest of every row, NaN left out."""
    highest = np.where(np.isfinite(values), values, -np.inf).max(axis=1)
    return np.where(np.isneginf(highest), np.nan, highest)


def _weighted(values: Floats, weights: Floats) -> Floats:
    """Weighted sums of rows (R, M); a model without weight may be NaN."""
    return np.asarray(np.where(weights == 0, 0.0, values * weights).sum(axis=1))


def truths_of(
    models: pd.DataFrame, sequences: Mapping[str, pd.DataFrame], targets: Sequence[str]
) -> list[Truth]:
    """Values per sequence in the order of the models.

    Args:
        models: rows of models.
        sequences: tables `model_truth` by ensemble; empty without a truth.
        targets: columns of these tables.
    """
    tables = [
        table.assign(model=[f"{ensemble}/{name}" for name in table["replicate"]])
        for ensemble, table in sequences.items()
        if len(table)
    ]
    if not tables:
        return []
    whole = pd.concat(tables, ignore_index=True)
    names = names_of(models)
    return [
        Truth(
            target,
            whole.pivot(index="model", columns="sequence_id", values=target)
            .reindex(names)
            .to_numpy(dtype=np.float64),
        )
        for target in targets
    ]
