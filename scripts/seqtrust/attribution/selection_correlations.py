"""Correlations over the models of a population: does consistency tell which maps are true?

Seeds of one cell are alike, so intervals come from cells drawn with replacement; of fewer than six
cells there is none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from seqtrust.attribution.attribution_maps import Flags, Floats, Integers
from seqtrust.attribution.selection import GENERALISATION
from seqtrust.calibration.resampling import percentile_interval

ROUNDS = 1000
_ROUNDING = 1e-12
# models of a correlation, and cells of its interval
_FEWEST = 3
FEWEST_CELLS = 6
PEARSON, SPEARMAN = "pearson", "spearman"
# all models; class means subtracted; at equal generalisation; both
OVERALL, WITHIN, PARTIAL, WITHIN_PARTIAL = (
    "all", "within classes", "given generalisation", "within classes, given generalisation",
)  # fmt: skip
# models: all, or those that generalise well enough
EVERY, GOOD = "all", "above the floor"
SCORES = (
    GENERALISATION, "kmer", "kmer_pairing_excess", "kmer_position_excess", "kmer_published",
    "embedding", "embedding_position_excess", "embedding_published", "embedding_published_wide",
)  # fmt: skip
COLUMNS = (
    "score", "against", "statistic", "subset", "level", "value", "low", "high", "models", "cells",
    "published", "published_models", "published_source",
)  # fmt: skip


def correlation_table(
    models: pd.DataFrame,
    targets: Sequence[str],
    factor: str | None,
    floor: float | None,
    published: Sequence[Mapping[str, Any]],
    seed: int,
) -> pd.DataFrame:
    """Correlations of scores with what they should tell, and of the two scores with each other.

    Args:
        models: rows of models.
        targets: columns that say how true maps are; without any, scores are held against
            generalisation.
        factor: column within whose levels correlations are taken, too.
        floor: least generalisation of the second subset of models.
        published: entries with score (kmer or embedding), against, value, models and source.
        seed: of the draws of cells.
    """
    consistent = SCORES[1:]
    pairs = [(score, target) for score in SCORES for target in targets]
    pairs += [(score, GENERALISATION) for score in consistent]
    pairs += [
        ("kmer", "embedding"), ("kmer_published", "embedding_published"),
        ("kmer_published", "embedding_published_wide"),
    ]  # fmt: skip
    subsets = {EVERY: models}
    if floor is not None:
        subsets[GOOD] = models[models[GENERALISATION] >= floor]
    rows = [
        {"subset": subset, "statistic": statistic, "level": level.name} | row
        for subset, mine in subsets.items()
        for statistic in (PEARSON, SPEARMAN)
        for level in _levels(mine, factor)
        for row in _of_level(mine, level, pairs, statistic, seed)
    ]
    return _beside(pd.DataFrame(rows).reindex(columns=list(COLUMNS)), published)


@dataclass(frozen=True)
class _Level:
    """Which models a correlation is over, and what is taken away first.

    Attributes:
        name: as the table says it.
        chosen: shape (M,).
        groups: class of every model whose mean is subtracted, shape (M,).
        partial: whether generalisation is held.
    """

    name: str
    chosen: Flags
    groups: Integers
    partial: bool = False


def _levels(models: pd.DataFrame, factor: str | None) -> list[_Level]:
    every, one = np.ones(len(models), dtype=bool), np.zeros(len(models), dtype=np.int64)
    found = [_Level(OVERALL, every, one), _Level(PARTIAL, every, one, partial=True)]
    if factor is None:
        return found
    labels, classes = np.unique(models[factor].astype(str), return_inverse=True)
    found += [
        _Level(f"{factor} = {label}", classes == number, one)
        for number, label in enumerate(labels.tolist())
    ]
    return [
        *found,
        _Level(WITHIN, every, classes),
        _Level(WITHIN_PARTIAL, every, classes, partial=True),
    ]


def _of_level(
    models: pd.DataFrame,
    level: _Level,
    pairs: Sequence[tuple[str, str]],
    statistic: str,
    seed: int,
) -> Iterator[dict[str, Any]]:
    """One row per pair of columns; models that lack a number are left out of its pairs."""
    names = list(dict.fromkeys([GENERALISATION, *(name for pair in pairs for name in pair)]))
    numbers = models[names].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    cells = np.unique(models["ensemble"].astype(str), return_inverse=True)[1]
    known = np.isfinite(numbers) & level.chosen[:, None]
    centred: dict[tuple[str, bytes], Floats] = {}
    drawn: dict[bytes, Floats] = {}
    for pair in pairs:
        if level.partial and GENERALISATION in pair:
            continue
        used = [*pair, GENERALISATION] if level.partial else list(pair)
        mask = known[:, [names.index(name) for name in used]].all(axis=1)
        own_cells = np.unique(cells[mask], return_inverse=True)[1]
        count = int(own_cells.max(initial=-1)) + 1
        row: dict[str, Any] = {"score": pair[0], "against": pair[1]}
        row |= {"models": int(mask.sum()), "cells": count}
        if row["models"] < _FEWEST:
            yield row
            continue
        rows = mask.tobytes()
        if rows not in drawn:
            drawn[rows] = _weights(own_cells, count, seed)
        weights = drawn[rows]
        for name in used:
            key = name, rows
            if key not in centred:
                values = numbers[mask, names.index(name)]
                centred[key] = _centred(values, weights, level.groups[mask], statistic)
        values = _correlations([centred[name, rows] for name in used], weights)
        low, high = map(float, percentile_interval(values[1:]))
        if count < FEWEST_CELLS:
            low = high = float("nan")
        yield row | {"value": float(values[0]), "low": low, "high": high}


def _weights(cells: Integers, count: int, seed: int) -> Floats:
    """How often every model counts: once, then as often as its cell is drawn, (1 + ROUNDS, M)."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), ROUNDS)
    return np.concatenate([np.ones((1, len(cells))), drawn[:, cells]])


def correlations(
    columns: Sequence[Floats], weights: Floats, groups: Integers, statistic: str
) -> Floats:
    """Correlations of the first two columns with weights, shape (R,).

    Args:
        columns: two of shape (M,), or three: then at equal values of the third (partial).
        weights: how often every model counts, shape (R, M).
        groups: class of every model, whose mean (of values, or of ranks within the class) is
            subtracted, shape (M,).
        statistic: `pearson` or `spearman`.
    """
    return _correlations(
        [_centred(column, weights, groups, statistic) for column in columns], weights
    )


def _correlations(centred: Sequence[Floats], weights: Floats) -> Floats:
    """Of the first two of centred columns (R, M), at equal values of the third if there is one."""
    r = {
        (i, j): _correlation(centred[i], centred[j], weights)
        for i in range(len(centred))
        for j in range(i + 1, len(centred))
    }
    if len(centred) == 2:
        return r[0, 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        rest = np.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
        # a column that the third explains has nothing left
        return np.where(rest > 1e-9, (r[0, 1] - r[0, 2] * r[1, 2]) / rest, np.nan)


def _centred(values: Floats, weights: Floats, groups: Integers, statistic: str) -> Floats:
    """Values or ranks minus their weighted mean within groups, shape (R, M)."""
    found = np.empty(weights.shape)
    for group in np.unique(groups):
        mine = groups == group
        own, times = values[mine], weights[:, mine]
        shown = _ranks(own, times) if statistic == SPEARMAN else np.broadcast_to(own, times.shape)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (shown * times).sum(axis=1) / times.sum(axis=1)
        rest = np.where(times > 0, shown - mean[:, None], 0.0)
        # equal values differ from their mean by rounding
        found[:, mine] = np.where(np.abs(rest) > _ROUNDING * np.abs(shown).max(), rest, 0.0)
    return found


def _ranks(values: Floats, weights: Floats) -> Floats:
    """Mean ranks of values that occur so many times, shape (R, M)."""
    below = (values[:, None] < values).astype(np.float64)
    same = (values[:, None] == values).astype(np.float64)
    return weights @ below + (weights @ same + 1) / 2


def _correlation(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Of centred values (R, M); NaN where one does not vary."""
    squares = (weights * x * x).sum(axis=1) * (weights * y * y).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (weights * x * y).sum(axis=1) / np.sqrt(squares)
    return np.where(squares > 0, r, np.nan)


def _beside(table: pd.DataFrame, published: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Published values in the rows of all versions of their score: Pearson over all models."""
    plain = (
        (table["statistic"] == PEARSON) & (table["level"] == OVERALL) & (table["subset"] == EVERY)
    )
    table["published_source"] = table["published_source"].astype(object)
    for entry in published:
        same = plain & (table["against"] == entry["against"])
        same &= table["score"].str.partition("_")[0] == entry["score"]
        for column, key in (
            ("published", "value"), ("published_models", "models"), ("published_source", "source"),
        ):  # fmt: skip
            table.loc[same, column] = entry[key]
    return table
