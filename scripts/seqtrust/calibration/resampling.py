"""Bootstraps over groups by multiplicity: groups are drawn, rows are neither copied nor sorted."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from seqtrust.calibration.grouping import Floats, Groups
from seqtrust.calibration.regression import Key, RunningMeans

MEAN_ROUNDS = 500
ORDER_ROUNDS = 200
# numbers in one block of rounds x rows
_BLOCK = 2**17


class Resamples:
    """Draws of the groups of N rows, with replacement, as many groups as there are.

    A statistic of some of the rows, as of one third, is resampled by the same draws.

    Args:
        groups: of the rows, shape (N,).
        seed: of the draws.
    """

    def __init__(self, groups: Groups, seed: int) -> None:
        self.names, self.index = np.unique(groups, return_inverse=True)
        count = len(self.names)
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(count, np.full(count, 1 / count), MEAN_ROUNDS)
        self.draws: Floats = drawn.astype(np.float64)
        self._whole_draws = drawn.astype(np.int32)

    @cached_property
    def members(self) -> csr_array:
        """1 where a row belongs to a group, shape (groups, N)."""
        rows = np.arange(len(self.index))
        ones = np.ones(len(rows))
        return csr_array((ones, (self.index, rows)), shape=(len(self.names), len(rows)))

    def group_sums(self, values: Floats) -> Floats:
        """Sums over the rows of every group, shape (groups, T) of values (N, T)."""
        return self.members @ values

    def intervals(
        self,
        components: Mapping[Key, Floats],
        weights: Floats,
        statistic: Callable[[Mapping[Key, Floats]], Mapping[Key, Floats]],
        rounds: int = MEAN_ROUNDS,
    ) -> dict[Key, tuple[Floats, Floats]]:
        """95 % percentile intervals of functions of weighted means over rows.

        Args:
            components: shape (N, T) each.
            weights: shape (N, T), 0 where there is no observation.
            statistic: statistics of any shape from means of the same shape.
            rounds: number of rounds.

        Returns:
            Low and high end of every statistic, shape (T,) each.
        """
        plain = bool((weights == 1).all())
        stacked = np.empty((1 + len(components), weights.shape[1], len(self.names)))
        stacked[0] = self.group_sums(weights).T
        for place, values in enumerate(components.values(), start=1):
            weighted = values if plain else np.where(weights > 0, values, 0.0) * weights
            stacked[place] = self.group_sums(weighted).T
        totals = _drawn(stacked, self.draws[:rounds].T)
        with np.errstate(invalid="ignore", divide="ignore"):
            totals[1:] /= totals[0]
            found = statistic(dict(zip(components, totals[1:], strict=True)))
        return {key: percentile_interval(values) for key, values in found.items()}

    def weights(
        self, rows: npt.NDArray[np.int64], weights: Floats, rounds: int = ORDER_ROUNDS
    ) -> Iterator[npt.NDArray[Any]]:
        """Weights of rows in all rounds, in blocks of rounds, shape (block, n).

        They are integers where the rows' own weights are whole.

        Args:
            rows: n of the rows, in any order.
            weights: their own weights, shape (n,).
            rounds: number of rounds.
        """
        group = self.index[rows]
        blocks = min(-(-rounds * max(len(rows), 1) // _BLOCK), rounds)
        step = -(-rounds // blocks)
        whole = bool((weights == np.rint(weights)).all())
        own = weights.astype(np.int32) if whole else weights
        plain = bool((own == 1).all())
        for start in range(0, rounds, step):
            drawn = self._whole_draws[start : min(start + step, rounds)].take(group, axis=1)
            yield drawn if plain else drawn * own


def _drawn(sums: Floats, draws: Floats) -> Floats:
    """Sums times the number of draws of each group; a group that is not drawn counts nothing."""
    finite = np.isfinite(sums)
    if finite.all():
        return sums @ draws
    found = np.where(finite, sums, 0.0) @ draws
    for value in (np.inf, -np.inf, np.nan):
        mine = np.isnan(sums) if np.isnan(value) else sums == value
        with np.errstate(invalid="ignore"):
            found += np.where((mine * 1.0) @ draws > 0, value, 0.0)
    return found


def percentile_interval(values: Floats) -> tuple[Floats, Floats]:
    """2.5 % and 97.5 % points over the last axis, of rounds that have the statistic.

    NaN where no round has it; infinite where rounds are.
    """
    if np.isnan(values).any():
        return _interval_with_gaps(values)
    places = np.array([0.025, 0.975]) * (values.shape[-1] - 1)
    below = np.floor(places).astype(np.int64)
    above = np.ceil(places).astype(np.int64)
    ordered = np.partition(values, np.unique([below, above]), axis=-1)
    first, second = ordered[..., below], ordered[..., above]
    # equal ends may be infinite, and have no difference
    step = np.subtract(second, first, out=np.zeros_like(first), where=first != second)
    share = places - below
    found = np.where(share > 0, first + share * step, first)
    return found[..., 0], found[..., 1]


def _interval_with_gaps(values: Floats) -> tuple[Floats, Floats]:
    flat = values.reshape(-1, values.shape[-1])
    ends = np.full((2, len(flat)), np.nan)
    for place, row in enumerate(flat):
        known = row[~np.isnan(row)]
        if known.size:
            ends[:, place] = percentile_interval(known)
    low, high = ends.reshape(2, *values.shape[:-1])
    return low, high


class GroupSums:
    """Weighted sums of components per group, whose rows arrive in parts (shards).

    What a bootstrap over groups needs of statistics that are functions of means.
    """

    def __init__(self) -> None:
        self._parts: dict[str, RunningMeans] = {}

    def add(self, components: Mapping[Key, Floats], weights: Floats, groups: Groups) -> None:
        """Add rows.

        Args:
            components: shape (N, T) each, the same keys in every part.
            weights: shape (N, T), 0 where there is no observation.
            groups: shape (N,).
        """
        for name in np.unique(groups).tolist():
            mine = groups == name
            part = {key: values[mine] for key, values in components.items()}
            self._parts.setdefault(name, RunningMeans()).add(part, weights[mine])

    def merge(self, other: "GroupSums") -> None:
        """Add the rows of another, of the same components."""
        for name, part in other._parts.items():
            self._parts.setdefault(name, RunningMeans()).merge(part)

    def result(self) -> tuple[Groups, dict[Key, Floats], Floats]:
        """G groups in order, their means of every component, and their weights, (G, T) each.

        A mean over a group with its weight is a row: `Resamples.intervals` takes them as such.
        """
        names = sorted(self._parts)
        parts = [self._parts[name] for name in names]
        means = [part.result() for part in parts]
        stacked = {key: np.stack([mean[key] for mean in means]) for key in means[0]}
        return np.array(names, dtype=np.str_), stacked, np.stack([part.weights for part in parts])
