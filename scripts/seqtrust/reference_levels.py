"""What class fractions mean nothing: the levels that verdicts are held against.

Independent fair coins are not the null of a sign agreement, because replicates are
correlated. Three levels are given, each named: the truth permuted over loci, the fractions
that the observed correlation of the replicates implies, and independent replicates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import norm, rankdata

Floats = npt.NDArray[np.float64]
Calls = npt.NDArray[np.int8]

EVERY = "every unit"
TRUE_POSITIVE = "units whose truth is positive"
CALLED = "units that a replicate calls positive"

_GRID = np.linspace(-8, 8, 1601)
_WEIGHTS = norm.pdf(_GRID) * (_GRID[1] - _GRID[0])
_LARGEST_CORRELATION = 1 - 1e-9


@dataclass(frozen=True)
class Fractions:
    """Fractions of units that are consistently correct, inconsistent, consistently incorrect.

    Without a truth, `correct` holds all unanimous units and `incorrect` is 0.
    """

    correct: float
    inconsistent: float
    incorrect: float


def independent_replicates(replicates: int, given: str = EVERY) -> Fractions:
    """Replicates that toss independent fair coins.

    Args:
        replicates: number of replicates.
        given: which units, as in `implied_by_correlation`.
    """
    alike = 0.5**replicates
    if given == CALLED:
        return Fractions(alike / (1 - alike), 1 - alike / (1 - alike), 0.0)
    return Fractions(alike, 1 - 2 * alike, alike)


def replicate_correlation(scores: Floats, calls_are_signs: bool) -> float:
    """Mean correlation of two replicates, for a Gaussian model of their scores.

    Signs depend on all scores alike, so Spearman's rho is turned into the correlation of the
    Gaussian copula with that rho, 2 sin(pi rho / 6). Peaks and calls above a threshold
    depend on the upper tail, which Pearson's r reflects and ranks do not.

    Args:
        scores: effects or predictions, shape (N, R).
        calls_are_signs: whether a call is the sign of its score.

    Returns:
        The mean over pairs of replicates; NaN for one replicate, fewer than three units or
        a replicate without variation.
    """
    replicates = scores.shape[1]
    if replicates < 2 or len(scores) < 3 or (np.ptp(scores, axis=0) == 0).any():
        return float("nan")
    if calls_are_signs:
        ranks = np.stack([rankdata(column) for column in scores.T])
        matrix = 2 * np.sin(np.pi * np.corrcoef(ranks) / 6)
    else:
        matrix = np.corrcoef(scores.T)
    return float(np.mean(matrix[np.triu_indices(replicates, 1)]))


def implied_by_correlation(
    correlation: float,
    call_rates: Sequence[float],
    accuracy: float | None = None,
    truth_rate: float = 0.5,
    given: str = EVERY,
) -> Fractions:
    """Class fractions of exchangeably correlated Gaussian replicates.

    Replicate r calls positive where sqrt(rho) z + sqrt(1 - rho) e_r exceeds the quantile of its
    call rate. The truth is Gaussian too, with the correlation to z that gives the observed
    mean accuracy of a single replicate.

    Args:
        correlation: rho, between replicates.
        call_rates: fraction of units that each replicate calls positive.
        accuracy: mean accuracy of a single replicate; None if there is no truth.
        truth_rate: fraction of units whose truth is positive.
        given: among which units: `EVERY`; `TRUE_POSITIVE`, whose truth is positive (true peaks);
            `CALLED`, which at least one replicate calls positive (without a truth).
    """
    rho = float(np.clip(correlation, 0, _LARGEST_CORRELATION))
    thresholds = norm.isf(np.clip(call_rates, 1e-12, 1 - 1e-12))
    positive = norm.sf((thresholds[:, None] - np.sqrt(rho) * _GRID) / np.sqrt(1 - rho))
    all_positive, all_negative = positive.prod(axis=0), (1 - positive).prod(axis=0)
    if accuracy is None:
        positive_share, negative_share = (
            float(_WEIGHTS @ all_positive),
            float(_WEIGHTS @ all_negative),
        )
        unanimous = positive_share + negative_share
        if given == CALLED:
            unanimous = positive_share / (1 - negative_share)
        return Fractions(unanimous, 1 - unanimous, 0.0)
    mean_positive = positive.mean(axis=0)
    truth = _truth_given_factor(mean_positive, accuracy, truth_rate)
    if given == TRUE_POSITIVE:
        share = float(_WEIGHTS @ truth)
        correct = float(_WEIGHTS @ (truth * all_positive)) / share
        incorrect = float(_WEIGHTS @ (truth * all_negative)) / share
    else:
        correct = float(_WEIGHTS @ (truth * all_positive + (1 - truth) * all_negative))
        incorrect = float(_WEIGHTS @ (truth * all_negative + (1 - truth) * all_positive))
    return Fractions(correct, 1 - correct - incorrect, incorrect)


def _truth_given_factor(mean_positive: Floats, accuracy: float, truth_rate: float) -> Floats:
    """P(truth positive | z) on the grid, such that a replicate has the given accuracy."""
    threshold = norm.isf(np.clip(truth_rate, 1e-12, 1 - 1e-12))

    def truth(c: float) -> Floats:
        return norm.sf((threshold - c * _GRID) / np.sqrt(1 - c * c))

    def excess(c: float) -> float:
        t = truth(c)
        return float(_WEIGHTS @ (t * mean_positive + (1 - t) * (1 - mean_positive))) - accuracy

    bounds = -_LARGEST_CORRELATION, _LARGEST_CORRELATION
    if excess(bounds[1]) <= 0:
        return truth(bounds[1])
    if excess(bounds[0]) >= 0:
        return truth(bounds[0])
    return truth(float(brentq(excess, *bounds)))


def permuted_truth(
    calls: Calls,
    truth: Calls,
    contexts: Sequence[str],
    loci: Sequence[str],
    seed: int,
    rounds: int = 200,
    positive_only: bool = False,
) -> list[Fractions]:
    """Class fractions with the truth permuted over loci within each context.

    The replicates stay as they are, so unanimity stays; what changes is whether it is right.
    All rows of a locus move together: its k-th row receives the k-th truth (cyclically) of
    the locus that it is exchanged with.

    Args:
        calls: +1, -1 or 0 (tie) per unit and replicate, shape (N, R).
        truth: +1 or -1 per unit, shape (N,).
        contexts: tissue or track of each unit.
        loci: locus of each unit.
        seed: seed of the permutations.
        rounds: number of permutations.
        positive_only: fractions among units whose permuted truth is positive.

    Returns:
        The fractions of each round.
    """
    rng = np.random.default_rng(seed)
    unanimous = unanimous_call(calls)
    blocks = _loci_of_contexts(contexts, loci)
    result = []
    for _ in range(rounds):
        moved = np.empty_like(truth)
        for block in blocks:
            source = rng.permutation(len(block.sizes))[block.locus]
            place = block.first[source] + block.number % block.sizes[source]
            moved[block.rows] = truth[block.rows[place]]
        mine = moved > 0 if positive_only else np.ones(len(truth), dtype=bool)
        called = unanimous[mine]
        right = float(np.mean((called != 0) & (called == moved[mine])))
        wrong = float(np.mean((called != 0) & (called != moved[mine])))
        result.append(Fractions(right, 1 - right - wrong, wrong))
    return result


@dataclass(frozen=True)
class _Block:
    """The rows of one context, locus by locus.

    Attributes:
        rows: rows of the table, shape (N,).
        locus: number of each row's locus, shape (N,).
        number: number of each row within its locus, shape (N,).
        first: place in `rows` where each locus begins.
        sizes: rows of each locus.
    """

    rows: npt.NDArray[np.int64]
    locus: npt.NDArray[np.int64]
    number: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]


def _loci_of_contexts(contexts: Sequence[str], loci: Sequence[str]) -> list[_Block]:
    """The contexts and, within each, the loci in the order of their first rows."""
    groups: dict[str, dict[str, list[int]]] = {}
    for row, (context, locus) in enumerate(zip(contexts, loci, strict=True)):
        groups.setdefault(context, {}).setdefault(locus, []).append(row)
    blocks = []
    for members in groups.values():
        sizes = np.array([len(rows) for rows in members.values()], dtype=np.int64)
        first = np.cumsum(sizes) - sizes
        number = np.repeat(np.arange(len(sizes)), sizes)
        rows = np.concatenate([np.array(rows, dtype=np.int64) for rows in members.values()])
        blocks.append(_Block(rows, number, np.arange(len(rows)) - first[number], first, sizes))
    return blocks


def unanimous_call(calls: Calls) -> Calls:
    """The call that all replicates make, +1 or -1; 0 where they do not all make one."""
    first = calls[:, 0]
    return np.where((calls == first[:, None]).all(axis=1), first, 0).astype(np.int8)
