"""Uncertainty of consistency scores over maps, and models compared on the same maps.

A bootstrap that draws maps with replacement is biased here: copies of a map sharpen its clusters.
So groups of maps are left out, or fewer maps are drawn without replacement.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from seqtrust.attribution.attribution_maps import Floats, Integers, checked_maps, checked_sequences
from seqtrust.attribution.measures import Measure, Tally
from seqtrust.bases import Codes
from seqtrust.errors import InputError

_LOWEST, _HIGHEST = 0.025, 0.975


@dataclass(frozen=True)
class Interval:
    """A value with its delete-group jackknife.

    Attributes:
        value: of all maps.
        se: standard error.
        low, high: 95 % interval, Student's t with groups - 1 degrees of freedom.
        extrapolated: value without its bias of order 1/n, by the jackknife.
        groups: number of groups.
    """

    value: float
    se: float
    low: float
    high: float
    extrapolated: float
    groups: int


@dataclass(frozen=True)
class Comparison:
    """Scores of models on the same maps.

    Attributes:
        models: names, M of them.
        scores: one per model.
        differences: score of the first minus the second, by pair of names in the order given,
            with a paired jackknife.
        maps: number of maps that every model has.
        dropped: maps that no score uses, because one model's is zero or holds NaN, ascending.
        dropped_by: the same of every model alone.
    """

    models: tuple[str, ...]
    scores: Mapping[str, Interval]
    differences: Mapping[tuple[str, str], Interval]
    maps: int
    dropped: Integers
    dropped_by: Mapping[str, Integers]


@dataclass(frozen=True)
class SizeCurve:
    """Mean scores of random subsets of maps, and the line in 1/size through them.

    Attributes:
        sizes: share of the groups in a subset, shape (S,).
        means: mean score of the subsets of each size, shape (S,).
        sds: standard deviation between these subsets, shape (S,).
        extrapolated: the line at 1/size = 0.
    """

    sizes: Floats
    means: Floats
    sds: Floats
    extrapolated: float


def random_groups(count: int, groups: int, seed: int) -> Integers:
    """Groups of equal size, give or take one, in random order, shape (count,)."""
    return np.random.default_rng(seed).permutation(np.arange(count) % groups)


def jackknife(tally: Tally) -> Interval:
    """The score of a tally, leaving out one group at a time.

    A cutoff that is taken from all maps (of the embedding score) is held.
    """
    return _interval(*_left_out(tally))


def subsets(
    tally: Tally, sizes: tuple[float, ...] = (0.25, 0.5, 0.75), rounds: int = 100, seed: int = 1
) -> SizeCurve:
    """Scores of fewer groups than there are (m out of n, without replacement).

    Args:
        tally: with at least 8 groups.
        sizes: at least two shares of the groups, below 1; all groups are added as a point.
        rounds: subsets per size.
        seed: of the subsets.

    Raises:
        InputError: too few groups or sizes.
    """
    groups = len(tally.weights)
    counts = sorted({round(size * groups) for size in sizes if 0 < size < 1} - {0, groups})
    if groups < 8 or len(counts) < 2:
        raise InputError(
            f"subsets of sizes {sizes} of {groups} groups: expected at least 8 groups and two "
            "sizes between 0 and 1"
        )
    rng = np.random.default_rng(seed)
    means, sds = [], []
    for count in counts:
        chosen = rng.permuted(np.broadcast_to(np.arange(groups) < count, (rounds, groups)), axis=1)
        scores = tally.values(chosen).score
        means.append(scores.mean())
        sds.append(scores.std(ddof=1))
    means.append(tally.values(np.ones((1, groups))).score[0])
    sds.append(0.0)
    shares = np.array([*counts, groups]) / groups
    line = np.polynomial.Polynomial.fit(1 / shares, means, 1)
    return SizeCurve(shares, np.array(means), np.array(sds), float(line(0.0)))


def score_interval(
    measure: Measure,
    attributions: npt.ArrayLike,
    sequences: npt.ArrayLike | None = None,
    groups: int | npt.ArrayLike = 20,
    seed: int = 1,
) -> Interval:
    """A score with its delete-group jackknife.

    Args:
        measure: settings of a score.
        attributions: shape (N, L, 4).
        sequences: base codes (N, L), for the k-mer score.
        groups: number of random groups, or the group of every map, shape (N,): chromosomes, or
            blocks of overlapping sequences.
        seed: of random groups.

    Raises:
        InputError: fewer than two groups, or what the score refuses.
    """
    compared = compare(measure, {"maps": attributions}, sequences, groups, seed)
    return compared.scores["maps"]


def compare(
    measure: Measure,
    models: Mapping[str, npt.ArrayLike],
    sequences: npt.ArrayLike | None = None,
    groups: int | npt.ArrayLike = 20,
    seed: int = 1,
) -> Comparison:
    """Scores of models on the same maps, with paired jackknifes of their differences.

    A map that one model lacks is left out of all, so that all have the same n, on which the
    bias of a score depends.

    Args:
        measure: settings of a score.
        models: attribution maps (N, L, 4) by name, of the same sequences in the same order.
        sequences: base codes (N, L), for the k-mer score.
        groups: as in `score_interval`.
        seed: of random groups.

    Raises:
        InputError: shapes differ, fewer than two groups, no map that all models have.
    """
    names, codes, kept, dropped_by = common_maps(measure, models, sequences)
    index = _group_index(groups, kept, seed)
    left, whole = {}, {}
    for name in names:
        maps = checked_maps(models[name])[kept]
        tally = measure.tally(maps, None if codes is None else codes[kept], index)
        whole[name], left[name] = _left_out(tally)
    pairs = [(a, b) for place, a in enumerate(names) for b in names[place + 1 :]]
    return Comparison(
        models=names,
        scores={name: _interval(whole[name], left[name]) for name in names},
        differences={(a, b): _interval(whole[a] - whole[b], left[a] - left[b]) for a, b in pairs},
        maps=int(kept.sum()),
        dropped=np.flatnonzero(~kept),
        dropped_by=dropped_by,
    )


def common_maps(
    measure: Measure, models: Mapping[str, npt.ArrayLike], sequences: npt.ArrayLike | None
) -> tuple[tuple[str, ...], Codes | None, npt.NDArray[np.bool_], dict[str, Integers]]:
    """Names of the models, base codes, which maps all models have, and what each lacks.

    Raises:
        InputError: no model, shapes that differ, or no map that all models have.
    """
    names = tuple(models)
    if not names:
        raise InputError("no model to compare: give attribution maps by name")
    first = checked_maps(models[names[0]])
    codes = None if sequences is None else checked_sequences(sequences, first)
    kept = np.ones(len(first), dtype=bool)
    dropped_by = {}
    for name in names:
        maps = checked_maps(models[name])
        if maps.shape != first.shape:
            raise InputError(
                f"maps of {name!r} have shape {maps.shape}, those of {names[0]!r} {first.shape}: "
                "compare models on the same sequences"
            )
        own = measure.scorable(maps)
        dropped_by[name] = np.flatnonzero(~own)
        kept &= own
    if not kept.any():
        raise InputError(f"no map can be scored for all of the models {', '.join(names)}")
    return names, codes, kept, dropped_by


def _group_index(groups: int | npt.ArrayLike, kept: npt.NDArray[np.bool_], seed: int) -> Integers:
    """Group of every kept map, from 0 without gaps."""
    if isinstance(groups, int):
        count = min(groups, int(kept.sum()))
        index = random_groups(int(kept.sum()), max(count, 1), seed)
    else:
        given = np.asarray(groups)
        if given.shape != kept.shape:
            raise InputError(f"groups have shape {given.shape}, expected one per map, {kept.shape}")
        index = np.unique(given[kept], return_inverse=True)[1]
    if index.max() < 1:
        raise InputError("an interval needs at least two groups of maps that can be scored")
    return index


def _left_out(tally: Tally) -> tuple[float, Floats]:
    """The score of all groups, and without each, shape (G,)."""
    groups = len(tally.weights)
    whole = tally.values(np.ones((1, groups))).score[0]
    return float(whole), tally.values(1 - np.eye(groups)).score


def _interval(whole: float, left: Floats) -> Interval:
    """The jackknife of values without each of G groups."""
    groups = len(left)
    mean = left.mean()
    se = float(np.sqrt((groups - 1) / groups * np.square(left - mean).sum()))
    low, high = whole + se * student.ppf(np.array([_LOWEST, _HIGHEST]), groups - 1)
    unbiased = groups * whole - (groups - 1) * mean
    return Interval(whole, se, float(low), float(high), float(unbiased), groups)
