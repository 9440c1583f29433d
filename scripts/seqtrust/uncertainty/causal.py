"""Which variants are causal, and in which direction: scores by the number of replicates.

Fine-mapped variants are held against matched ones that are not, by the size of their effects;
among the fine-mapped ones, sizes and signs of effects are held against the measured ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqtrust.calibration.resampling import Resamples, percentile_interval
from seqtrust.uncertainty.eqtl_pairs import (
    MATCHED_NEGATIVES,
    MATCHED_POSITIVES,
    SCALES,
    matched_groups,
)
from seqtrust.uncertainty.eqtls import split_parts, stacked
from seqtrust.verdicts import OUT_OF_REACH

Floats = npt.NDArray[np.float64]

AUROC, AUPRC = "auroc_causal", "auprc_causal"
SIZE, SIGN_AUROC, SIGN_MEAN, SIGN_MAJORITY = (
    "spearman_size", "auroc_sign", "sign_of_mean", "majority_of_signs",
)  # fmt: skip
METRICS = (AUROC, AUPRC, SIZE, SIGN_AUROC, SIGN_MEAN, SIGN_MAJORITY)
COLUMNS = ("replicates", "metric", "value", "low", "high", "positives", "negatives", "loci")
ROUNDS = 200
SUBSETS = 60
_BOOTSTRAPPED = 5


def causal_tables(units: pd.DataFrame, caliper: float, seed: int) -> pd.DataFrame:
    """The scores of every way of scoring that has negatives, per data split and scale.

    Positives and negatives are matched within tissues; their effects, whose tracks have scales
    of their own, are divided by the root mean square of the tissue's and then pooled. Units
    out of reach are left out, and those without a relative effect on that scale.

    Args:
        units: the units of all scores, with their loci.
        caliper: see `eqtl_pairs.matched`.
        seed: of matching and bootstrap.

    Returns:
        Columns score, split, scale and `COLUMNS`; empty if no score has negatives.
    """
    rows = []
    reached = units[units["class"] != OUT_OF_REACH]
    for score, of_score in reached.groupby("score", sort=False):
        parts = [
            groups
            for _, mine in of_score.groupby("tissue", sort=False)
            if MATCHED_POSITIVES in (groups := matched_groups(mine, caliper, seed))
            and len(groups[MATCHED_POSITIVES])
        ]
        for scale, column in SCALES.items() if parts else ():
            pooled = pd.concat([_scaled(groups, column) for groups in parts])
            for split, part in split_parts(pooled):
                positive = part[part["kind"] == MATCHED_POSITIVES]
                negative = part[part["kind"] == MATCHED_NEGATIVES]
                if len(positive) < 2 or len(negative) < 2:
                    continue
                table = causal_table(
                    stacked(positive, "scaled"),
                    stacked(negative, "scaled"),
                    positive["beta"].to_numpy(dtype=np.float64),
                    (positive["locus"].tolist(), negative["locus"].tolist()),
                    seed,
                )
                rows.append(table.assign(score=score, split=split, scale=scale))
    names = ["score", "split", "scale", *COLUMNS]
    return pd.concat(rows, ignore_index=True)[names] if rows else pd.DataFrame(columns=names)


def _scaled(groups: Mapping[str, pd.DataFrame], column: str) -> pd.DataFrame:
    """The matched units of one tissue with their effects over the tissue's root mean square."""
    both = pd.concat(
        [groups[kind].assign(kind=kind) for kind in (MATCHED_POSITIVES, MATCHED_NEGATIVES)]
    )
    values = stacked(both, column)
    known = np.flatnonzero(np.isfinite(values).all(axis=1))
    values, both = values[known], both.iloc[known]
    size = np.sqrt((values**2).mean()) if len(values) else 1.0
    return both.assign(scaled=list(values / (size or 1.0)))


def causal_table(
    positives: Floats,
    negatives: Floats,
    beta: Floats,
    loci: tuple[Sequence[str], Sequence[str]],
    seed: int,
) -> pd.DataFrame:
    """Scores of ensembles of 1 to R replicates, each the mean over all choices of so many.

    A single replicate is the mean over all of them, not the first one. Intervals resample loci;
    those of fewer replicates do not hold the variance between choices.

    Args:
        positives: effects of causal variants, shape (P, R).
        negatives: effects of matched variants, shape (Q, R).
        beta: measured effects of the causal ones, shape (P,).
        loci: of the causal and of the matched variants.
        seed: of the bootstrap and, where there are too many choices, of the choice.

    Returns:
        Rows of `COLUMNS`; chance is .5 for AUROCs and signs, P / (P + Q) for AUPRC, 0 for the
        Spearman correlation of |effect| with |beta|.
    """
    effects = np.concatenate([positives, negatives])
    causal = np.arange(len(effects)) < len(positives)
    names = np.array([*loci[0], *loci[1]], dtype=np.str_)
    resamples = Resamples(names, seed)
    weights = resamples.draws[:ROUNDS][:, resamples.index]
    once = np.ones((1, len(effects)))
    rows = []
    for count in range(1, effects.shape[1] + 1):
        chosen = list(choices(effects.shape[1], count, seed))
        found = np.mean([_scores(effects[:, one], causal, beta, once)[0] for one in chosen], axis=0)
        some = chosen[:_BOOTSTRAPPED]
        rounds = np.mean([_scores(effects[:, one], causal, beta, weights) for one in some], axis=0)
        low, high = percentile_interval(rounds.T)
        for place, metric in enumerate(METRICS):
            rows.append(
                (count, metric, found[place], low[place], high[place], len(positives),
                 len(negatives), len(resamples.names))
            )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def choices(replicates: int, count: int, seed: int) -> Iterator[tuple[int, ...]]:
    """All choices of `count` of the replicates, or a random sample where there are many."""
    total = comb(replicates, count)
    if total <= SUBSETS:
        yield from combinations(range(replicates), count)
        return
    rng = np.random.default_rng([seed, count])
    for _ in range(SUBSETS):
        yield tuple(sorted(rng.choice(replicates, count, replace=False).tolist()))


def _scores(
    effects: Floats, causal: npt.NDArray[np.bool_], beta: Floats, weights: Floats
) -> Floats:
    """The scores of one choice of replicates in B rounds, shape (B, metrics).

    Args:
        effects: of the choice, shape (N, replicates).
        causal: which are causal, shape (N,).
        beta: measured effects of those, shape (P,).
        weights: counts of the rows, shape (B, N).
    """
    mean = effects.mean(axis=1)
    size = np.abs(mean)
    mine, mean_of, votes = weights[:, causal], mean[causal], np.sign(effects[causal]).sum(axis=1)
    right = np.sign(mean_of) == np.sign(beta)
    majority = np.where(votes == 0, 0.5, np.sign(votes) == np.sign(beta))
    with np.errstate(invalid="ignore", divide="ignore"):
        signs = [mine @ calls / mine.sum(axis=1) for calls in (right * 1.0, majority)]
    return np.stack(
        [
            auroc(size, causal, weights),
            average_precision(size, causal, weights),
            weighted_spearman(size[causal], np.abs(beta), mine),
            auroc(mean_of, beta > 0, mine),
            *signs,
        ],
        axis=1,
    )


def auroc(scores: Floats, labels: npt.NDArray[np.bool_], weights: Floats) -> Floats:
    """Probability that a positive scores higher than a negative, ties a half; NaN without both.

    Args:
        scores: shape (N,).
        labels: shape (N,).
        weights: counts of the rows in B rounds, shape (B, N).

    Returns:
        Shape (B,).
    """
    up, down = _sums_by_score(scores, labels, weights)
    total = up.sum(axis=1) * down.sum(axis=1)
    below = np.cumsum(down, axis=1) - down
    with np.errstate(invalid="ignore"):
        return (up * (below + down / 2)).sum(axis=1) / total


def average_precision(scores: Floats, labels: npt.NDArray[np.bool_], weights: Floats) -> Floats:
    """Mean precision over the recalls of the scores, the highest first; NaN without positives.

    The arguments and the shape are those of `auroc`.
    """
    up, down = (part[:, ::-1] for part in _sums_by_score(scores, labels, weights))
    true, every = np.cumsum(up, axis=1), np.cumsum(up + down, axis=1)
    precision = np.divide(true, every, out=np.zeros_like(true), where=every > 0)
    with np.errstate(invalid="ignore"):
        return (up * precision).sum(axis=1) / up.sum(axis=1)


def weighted_spearman(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Spearman correlation of rows that count `weights` times; NaN where one does not vary.

    Args:
        x: shape (N,).
        y: shape (N,).
        weights: in B rounds, shape (B, N).

    Returns:
        Shape (B,).
    """
    total = weights.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        centred = []
        for values in (x, y):
            ranks = _weighted_ranks(values, weights)
            centred.append(ranks - (weights * ranks).sum(axis=1, keepdims=True) / total)
        first, second = ((weights * one**2).sum(axis=1) for one in centred)
        product = (weights * centred[0] * centred[1]).sum(axis=1)
        # ranks of equal values are equal but for rounding
        varied = np.minimum(first, second) > 1e-9 * total[:, 0] ** 3
        return np.where(varied, product / np.sqrt(first * second), np.nan)


def _sums_by_score(
    scores: Floats, labels: npt.NDArray[np.bool_], weights: Floats
) -> tuple[Floats, Floats]:
    """Weights of positives and negatives by distinct score, the lowest first, (B, scores)."""
    order, starts, _ = _groups(scores)
    ordered = weights[:, order]
    up = np.add.reduceat(ordered * labels[order], starts, axis=1)
    return up, np.add.reduceat(ordered, starts, axis=1) - up


def _weighted_ranks(values: Floats, weights: Floats) -> Floats:
    """Mid-ranks of rows that count `weights` times, (B, N)."""
    order, starts, place = _groups(values)
    mass = np.add.reduceat(weights[:, order], starts, axis=1)
    below = np.cumsum(mass, axis=1) - mass
    return (below + (mass + 1) / 2)[:, place]


def _groups(
    values: Floats,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows in the order of their values, first places of equal ones, and the group of each row."""
    order = np.argsort(values, kind="stable")
    new = np.flatnonzero(np.diff(values[order]) != 0) + 1
    starts = np.concatenate([[0], new])
    place = np.empty(len(values), dtype=np.intp)
    place[order] = np.repeat(np.arange(len(starts)), np.diff([*starts, len(values)]))
    return order, starts, place
