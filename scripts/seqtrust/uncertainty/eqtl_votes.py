"""What a vote of replicates gains on one of them: accuracy of signs, by distance to the TSS."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqtrust.statistics import Floats, locus_bootstrap
from seqtrust.uncertainty.eqtl_classes import MEAN_OF_TISSUES, mean_of_known
from seqtrust.uncertainty.eqtls import (
    decided,
    score_parts,
    split_parts,
    stacked,
    tissue_parts,
)

MAJORITY = "majority vote"
MEAN_EFFECT = "sign of the mean effect"
MEAN_RELATIVE = "sign of the mean relative effect"
SINGLE = "mean single replicate"
GAIN = "majority vote minus single replicate"
ESTIMATORS = (MAJORITY, MEAN_EFFECT, MEAN_RELATIVE, SINGLE)
ANYWHERE = "any"

TABLE = (
    "score", "tissue", "distance", "split", "estimator", "accuracy", "low", "high", "undecided",
    "units", "loci",
)  # fmt: skip


def majority_sign(calls: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Sign of the sum of the calls, 0 where as many say + as -; calls of shape (N, R)."""
    return np.sign(calls.sum(axis=1, dtype=np.int64)).astype(np.int8)


def estimated_right(units: pd.DataFrame) -> tuple[Floats, Floats]:
    """Whether each estimator has the sign of beta, and whether it says nothing.

    A single replicate is the mean over all of them. What says nothing is not right.

    Returns:
        Right and undecided, shape (N, 4) each, in the order of `ESTIMATORS`; NaN for the mean
        relative effect where it is not known.
    """
    calls = stacked(units, "calls")
    truth = units["truth"].to_numpy()
    relative = stacked(units, "relative").mean(axis=1)
    says = np.stack(
        [
            majority_sign(calls.astype(np.int8)),
            np.sign(stacked(units, "effects").mean(axis=1)),
            np.sign(relative),
        ],
        axis=1,
    )
    right = (says == truth[:, None]).astype(np.float64)
    silent = (says == 0).astype(np.float64)
    right[np.isnan(relative), 2] = silent[np.isnan(relative), 2] = np.nan
    single = (calls == truth[:, None]).mean(axis=1), (calls == 0).mean(axis=1)
    return np.column_stack([right, single[0]]), np.column_stack([silent, single[1]])


def vote_table(units: pd.DataFrame, breaks: Sequence[int], seed: int) -> pd.DataFrame:
    """Accuracy of every estimator with bootstrap intervals over loci.

    Per tissue, pooled over rows, and as the unweighted mean of tissues; anywhere and in bins of
    the distance to the TSS. `GAIN` is paired: its interval is that of the difference.

    Args:
        units: the units of all scores.
        breaks: starts of the distance bins after the first, bp.
        seed: of the bootstrap.
    """
    rows: list[tuple[Any, ...]] = []
    for score, mine in score_parts(units):
        for split, part in split_parts(decided(mine)):
            for distance, near in distance_parts(part, breaks):
                for tissue, here in tissue_parts(near):
                    rows += _rows((score, tissue, distance, split), here, False, seed)
                if near["tissue"].nunique() > 1:
                    rows += _rows((score, MEAN_OF_TISSUES, distance, split), near, True, seed)
    return pd.DataFrame(rows, columns=list(TABLE))


def distance_parts(
    units: pd.DataFrame, breaks: Sequence[int]
) -> Iterator[tuple[str, pd.DataFrame]]:
    """All units, then those of every bin of |distance| that holds one: [0, a), [a, b), [b, ...)."""
    yield ANYWHERE, units
    edges = [0, *sorted(breaks)]
    place = np.searchsorted(edges, np.abs(units["distance"].to_numpy()), side="right") - 1
    for index, label in enumerate(distance_labels(breaks)):
        if (place == index).any():
            yield label, units[place == index]


def distance_labels(breaks: Sequence[int]) -> list[str]:
    """Labels of the distance bins."""
    edges = [0, *sorted(breaks)]
    ends = [f"to {edge:,}" for edge in edges[1:]]
    return [
        f"{start:,} {end}".rstrip() for start, end in zip(edges, [*ends, "or more"], strict=True)
    ]


def _rows(
    place: tuple[str, ...], units: pd.DataFrame, by_tissue: bool, seed: int
) -> Iterator[tuple[Any, ...]]:
    right, silent = estimated_right(units)
    known = np.isfinite(right).astype(np.float64)
    sums = np.concatenate([np.nan_to_num(right), np.nan_to_num(silent), known], axis=1)
    groups = np.zeros(len(units), dtype=np.int64)
    if by_tissue:
        groups = np.unique(units["tissue"], return_inverse=True)[1]
    number, width = int(groups.max()) + 1, len(ESTIMATORS)
    wide = np.zeros((len(units), number, 3 * width))
    wide[np.arange(len(units)), groups] = sums

    def accuracies(total: Floats) -> Floats:
        total = total.reshape(*total.shape[:-1], number, 3 * width)
        with np.errstate(invalid="ignore", divide="ignore"):
            fractions = total[..., : 2 * width] / np.concatenate([total[..., 2 * width :]] * 2, -1)
        mean = mean_of_known(fractions, axis=-2)
        gain = mean[..., :1] - mean[..., width - 1 : width]
        return np.concatenate([mean, gain], axis=-1)

    flat = wide.reshape(len(units), -1)
    values = accuracies(flat.sum(axis=0))
    low, high = locus_bootstrap(flat, list(units["locus"]), accuracies, seed)
    loci = units["locus"].nunique()
    for index, name in enumerate(ESTIMATORS):
        yield (*place, name, values[index], low[index], high[index], values[width + index],
               int(known[:, index].sum()), loci)  # fmt: skip
    yield (*place, GAIN, values[-1], low[-1], high[-1], np.nan, len(units), loci)
