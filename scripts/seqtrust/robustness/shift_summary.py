"""Scores over worlds and replicates, with intervals of worlds that were not drawn.

Worlds are drawn with replacement, then replicates within each of them (hierarchical bootstrap).
Sequences are not drawn again: every world has test sequences of its own, so that their sampling is
part of what differs between worlds. Percentiles of few worlds would be too narrow (they cover .84
with five), so an interval is the mean -+ t with W - 1 degrees of freedom times the bootstrap's
standard deviation times the root of W / (W - 1).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import t as student_t

from seqtrust.robustness.benchmark_plan import ModelPlan
from seqtrust.robustness.score_tables import SUMMARY
from seqtrust.sources.seeds import named_generator

Floats = npt.NDArray[np.float64]

ROUNDS = 1000
UNSHIFTED = "ID"
_KEY = ["data_set", "calibrator", "metric", "by"]
_INFO = ["shift", "severity", "type"]


@dataclass(frozen=True)
class Interval:
    """Means over worlds of K statistics, shape (K,) each.

    Attributes:
        value: NaN where no fit has a finite one.
        low: NaN with fewer than two worlds.
        high: NaN with fewer than two worlds.
        p: two-sided, of a mean of 0.
        worlds: with a finite value.
        fits: with a finite value.
    """

    value: Floats
    low: Floats
    high: Floats
    p: Floats
    worlds: npt.NDArray[np.int64]
    fits: npt.NDArray[np.int64]


def draw_weights(worlds: int, replicates: int, rounds: int, rng: np.random.Generator) -> Floats:
    """Weights of fits in every round, shape (rounds, worlds, replicates); they sum to 1."""
    chosen = rng.integers(worlds, size=(rounds, worlds))
    inner = rng.integers(replicates, size=(rounds, worlds, replicates))
    found = np.zeros((rounds, worlds * replicates))
    places = chosen[:, :, None] * replicates + inner
    np.add.at(found, (np.arange(rounds)[:, None, None], places), 1.0)
    return found.reshape(rounds, worlds, replicates) / (worlds * replicates)


def hierarchical_interval(values: Floats, seed: int, rounds: int = ROUNDS) -> Interval:
    """Means over worlds of means over replicates, with their 95 % intervals.

    Args:
        values: shape (K, W, R); what is not finite is left out.
        seed: of the draws.
        rounds: of the bootstrap.
    """
    finite = np.isfinite(values)
    per_world = _mean(values, finite, 2)
    known = np.isfinite(per_world)
    value = _mean(per_world, known, 1)
    worlds, fits = known.sum(axis=1), finite.sum(axis=(1, 2))
    weights = draw_weights(
        values.shape[1], values.shape[2], rounds, named_generator(seed, "hierarchical")
    )
    flat = weights.reshape(rounds, -1).T
    rows = len(values)
    total = np.where(finite, values, 0.0).reshape(rows, -1) @ flat
    mass = finite.reshape(rows, -1).astype(np.float64) @ flat
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = np.where(mass > 0, total / mass, np.nan)
        enough = worlds > 1
        inflated = np.sqrt(worlds / np.maximum(worlds - 1, 1)) * _spread(drawn)
        error = np.where(enough, inflated, np.nan)
        freedom = np.maximum(worlds - 1, 1)
        half = student_t.ppf(0.975, freedom) * error
        p = 2 * student_t.sf(np.abs(value) / error, freedom)
    # equal fits have no spread: what does not differ at all differs by chance alone
    p = np.where(enough & (error == 0), np.where(value == 0, 1.0, 0.0), p)
    return Interval(value, value - half, value + half, p, worlds, fits)


def holm(p: Floats) -> Floats:
    """P values adjusted for their number (Holm 1979), shape (N,); NaN ones do not count."""
    found = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    found[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return found


def summary_table(fits: pd.DataFrame, plans: Mapping[str, ModelPlan], seed: int) -> pd.DataFrame:
    """The summary of all models.

    Args:
        fits: scores of all replicates (`score_tables.read_scores`).
        plans: of the models.
        seed: of the bootstrap, the same draws for all models.
    """
    arrays = {name: ModelScores.of(part) for name, part in fits.groupby("model", sort=False)}
    parts = []
    for name in (plan for plan in plans if plan in arrays):
        base = plans[name].compare
        parts.append(_model_rows(name, arrays[name], base, arrays.get(base), seed))
    return pd.concat(parts, ignore_index=True)[[column.name for column in SUMMARY.columns]]


@dataclass(frozen=True)
class ModelScores:
    """Scores of one model.

    Attributes:
        keys: condition, calibrator, metric and groups of K scores.
        info: shift, severity and type of each.
        values: shape (K, worlds, replicates).
        worlds: names.
    """

    keys: pd.MultiIndex
    info: pd.DataFrame
    values: Floats
    worlds: tuple[int, ...]

    @classmethod
    def of(cls, fits: pd.DataFrame) -> "ModelScores":
        """From the scores of one model's replicates."""
        info = fits.drop_duplicates(_KEY).set_index(_KEY)[_INFO]
        wide = fits.set_index([*_KEY, "world", "replicate"])["value"].unstack(
            ["world", "replicate"]
        )
        wide = wide.loc[info.index].sort_index(axis=1)
        worlds = tuple(dict.fromkeys(wide.columns.get_level_values("world")))
        shape = len(wide), len(worlds), wide.shape[1] // len(worlds)
        keys = pd.MultiIndex.from_tuples(list(wide.index), names=_KEY)
        return cls(keys, info, wide.to_numpy(dtype=np.float64).reshape(shape), worlds)

    def minus(self, other: "ModelScores", keys: pd.MultiIndex | None = None) -> Floats:
        """Differences within world and replicate, or within world where numbers differ.

        Args:
            other: what is subtracted.
            keys: of the other's scores, one for each of these; their own if None.
        """
        places = other.keys.get_indexer(self.keys if keys is None else keys)
        subtracted = np.where(places[:, None, None] >= 0, other.values[places], np.nan)
        if self.values.shape[2] == subtracted.shape[2]:
            return self.values - subtracted
        means = [_mean(part, np.isfinite(part), 2) for part in (self.values, subtracted)]
        return (means[0] - means[1])[:, :, None]


def _model_rows(
    name: str, own: ModelScores, base: str, other: ModelScores | None, seed: int
) -> pd.DataFrame:
    keys = own.keys.to_frame(index=False)
    found = hierarchical_interval(own.values, seed)
    table = pd.concat([keys, own.info.reset_index(drop=True)], axis=1).assign(
        model=name, worlds=found.worlds, fits=found.fits, value=found.value, low=found.low,
        high=found.high, base=base if other is not None else "",
    )  # fmt: skip
    unshifted = pd.MultiIndex.from_frame(keys.assign(data_set=UNSHIFTED))
    to_id = own.minus(own, unshifted)
    to_id[(keys["data_set"] == UNSHIFTED).to_numpy()] = np.nan
    nothing = np.full((len(keys), len(own.worlds), 1), np.nan)
    for prefix, differences in (
        ("to_base", nothing if other is None else own.minus(other)), ("to_id", to_id),
    ):  # fmt: skip
        step = hierarchical_interval(differences, seed)
        table[prefix] = step.value
        table[f"{prefix}_low"], table[f"{prefix}_high"] = step.low, step.high
        table[f"{prefix}_p"] = step.p
        families = table.groupby(["calibrator", "metric", "by"], sort=False)[f"{prefix}_p"]
        table[f"{prefix}_holm"] = families.transform(lambda p: holm(p.to_numpy()))
    return table


def _mean(values: Floats, known: npt.NDArray[np.bool_], axis: int) -> Floats:
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _spread(drawn: Floats) -> Floats:
    """Standard deviation over rounds that have a value, shape (K,)."""
    known = ~np.isnan(drawn)
    centre = _mean(drawn, known, 1)
    return np.sqrt(_mean((drawn - centre[:, None]) ** 2, known, 1))
