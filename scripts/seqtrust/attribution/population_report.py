"""All models of a population in one table: what is chosen, at what cost, and correlations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from seqtrust.attribution.populations import MODEL
from seqtrust.attribution.selection import (
    GENERALISATION,
    pareto_front,
    selection_table,
    truths_of,
)
from seqtrust.attribution.selection_correlations import correlation_table
from seqtrust.errors import InputError

CONSISTENT, INCONSISTENT = "consistent", "inconsistent"
SCORES = ("kmer", "embedding")
# how true maps are, in the order of tables
TARGETS = ("snr", "truth_cosine", "truth_auroc", "truth_aupr")


@dataclass(frozen=True)
class PopulationTables:
    """Tables of one population.

    Attributes:
        models: a row per model and control, with `front_kmer` and `front_embedding` (on the
            Pareto front of generalisation and this score) and `shown` (the pair of figures).
        selection: a row per rule, score and measure of truth.
        correlations: a row per pair of columns, statistic and level.
    """

    models: pd.DataFrame
    selection: pd.DataFrame
    correlations: pd.DataFrame


def population_tables(
    cells: Sequence[pd.DataFrame],
    sequences: Mapping[str, pd.DataFrame],
    factor: str | None,
    within: float,
    floor: float | None,
    published: Sequence[Mapping[str, Any]],
    seed: int,
) -> PopulationTables:
    """Compare the models of all cells.

    Args:
        cells: scores of the models of every cell, controls among them.
        sequences: tables `model_truth` of the cells with models; empty without a truth.
        factor: within whose levels correlations are taken, too.
        within: how much below the best generalisation a chosen model may be.
        floor: least generalisation of a second subset of models for correlations.
        published: published correlations, from the config.
        seed: of bootstraps.

    Raises:
        InputError: fewer than two models.
    """
    table = pd.concat([cell for cell in cells if len(cell)], ignore_index=True)
    is_model = table["kind"] == MODEL
    models = table[is_model].reset_index(drop=True)
    if len(models) < 2:
        raise InputError(
            f"a population of {len(models)} model has nothing to choose: give a factor another "
            "level, or train more replicates"
        )
    truths = truths_of(models, sequences, TARGETS)
    for score in SCORES:
        front = pareto_front(_numbers(models, GENERALISATION), _numbers(models, score))
        table[f"front_{score}"] = False
        table.loc[is_model, f"front_{score}"] = front
    table["shown"] = ""
    table.loc[is_model, "shown"] = _shown(models, within)
    targets = TARGETS if truths else ()
    return PopulationTables(
        table,
        selection_table(models, truths, within, seed),
        correlation_table(models, targets, factor, floor, published, seed),
    )


def _numbers(models: pd.DataFrame, column: str) -> Any:
    return pd.to_numeric(models[column], errors="coerce").to_numpy(dtype=np.float64)


def consistent_pair(models: pd.DataFrame, within: float) -> tuple[int, int] | None:
    """Two models that predict about equally well and differ most in the embedding score.

    They are sought among the better half by generalisation, and among all models if no two of
    these are within `within` of each other.

    Args:
        models: rows of models.
        within: in the units of generalisation.

    Returns:
        Rows of the consistent and the inconsistent one; None where no two are so close.
    """
    general, score = _numbers(models, GENERALISATION), _numbers(models, "embedding")
    known = np.isfinite(general) & np.isfinite(score)
    if not known.any():
        return None
    # a difference of exactly `within` is inside, whatever rounding does
    near = np.abs(general[:, None] - general) <= within + 1e-12
    differences = score[:, None] - score
    for good in (known & (general >= np.median(general[known])), known):
        allowed = good[:, None] & good & near & (differences > 0)
        if allowed.any():
            shown = np.where(allowed, differences, -np.inf)
            first, second = np.unravel_index(shown.argmax(), shown.shape)
            return int(first), int(second)
    return None


def _shown(models: pd.DataFrame, within: float) -> list[str]:
    found = [""] * len(models)
    pair = consistent_pair(models, within)
    if pair is not None:
        found[pair[0]], found[pair[1]] = CONSISTENT, INCONSISTENT
    return found
