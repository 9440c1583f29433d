"""Cheap baselines: ridge regression and gradient boosting on counts of k-mers.

The mean is learned from canonical k-mer counts. The log of the variance is learned by a second
model of the same kind, from the squared errors of predictions that were held out: of sequences that
a model has seen, its errors are too small. Variances are then scaled so that held-out squared
errors are as large as stated on average.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from seqtrust.bases import Codes
from seqtrust.errors import InputError
from seqtrust.kmers import canonical_kmers, without_unknown
from seqtrust.robustness.checks import refuse_outside

Floats = npt.NDArray[np.float64]
Kind = Literal["ridge", "boosting"]
KINDS: tuple[Kind, ...] = ("ridge", "boosting")

# a squared error of 0 has no logarithm; in units of the mean squared error
_SMALLEST = 1e-4
# more columns than this take long and say little of a few thousand sequences
_LARGEST_K = 6


@dataclass(frozen=True)
class KmerSettings:
    """How a baseline is trained.

    Attributes:
        kind: `ridge` or `boosting`.
        k: length of the k-mers, bp.
        folds: parts of the training data, each predicted by a model that was trained on the others.
        penalty: of ridge regression, in units of the number of sequences, on standardised counts.
        trees: of gradient boosting, for the mean; the variance has a quarter of them.
        learning_rate: of gradient boosting.
        leaves: of every tree.

    Raises:
        InputError: a value makes no sense.
    """

    kind: Kind = "ridge"
    k: int = 4
    folds: int = 5
    penalty: float = 0.1
    trees: int = 200
    learning_rate: float = 0.05
    leaves: int = 15

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"there is no k-mer model {self.kind!r}; known: {', '.join(KINDS)}")
        refuse_outside("k-mer model", "k", self.k, 1, _LARGEST_K)
        refuse_outside("k-mer model", "folds", self.folds, 2, np.inf)
        refuse_outside("k-mer model", "penalty", self.penalty, 0, np.inf)
        refuse_outside("k-mer model", "trees", self.trees, 4, np.inf)
        refuse_outside("k-mer model", "learning_rate", self.learning_rate, 1e-6, 1)
        refuse_outside("k-mer model", "leaves", self.leaves, 2, np.inf)


@dataclass(frozen=True)
class KmerModel:
    """A trained baseline.

    Attributes:
        settings: how it was trained.
        length: of the sequences, bp.
        mean: predicts the mean from counts; of scikit-learn.
        log_variance: predicts the natural log of the variance from counts, before scaling.
        scale: what variances are multiplied with.
    """

    settings: KmerSettings
    length: int
    mean: Any
    log_variance: Any
    scale: float

    def predict(self, codes: Codes, beside: Floats | None = None) -> tuple[Floats, Floats]:
        """Mean and variance of the measurement of every sequence, shape (N,) each.

        Args:
            codes: base codes, shape (N, L).
            beside: further features, shape (N, F), if it was trained with them.

        Raises:
            InputError: sequences of another length.
        """
        if codes.ndim != 2 or codes.shape[1] != self.length:
            raise InputError(
                f"sequences of shape {codes.shape}, but the k-mer model was trained on "
                f"{self.length} bp: counts of other lengths mean something else"
            )
        counts = _features(codes, self.settings.k, beside)
        variance = self.scale * np.exp(self.log_variance.predict(counts))
        return self.mean.predict(counts).astype(np.float64), variance.astype(np.float64)


def kmer_counts(codes: Codes, k: int) -> Floats:
    """Counts of canonical k-mers in both strands together, shape (N, number of them).

    A k-mer and its reverse complement are one; those with an N are not counted. Columns are in the
    order of the smaller of both numbers.

    Args:
        codes: base codes, shape (N, L).
        k: at most 6.

    Raises:
        InputError: sequences are shorter than k.
    """
    if codes.ndim != 2 or codes.shape[1] < k:
        raise InputError(f"sequences of shape {codes.shape} have no {k}-mers")
    every = np.indices((4,) * k).reshape(k, -1).T.astype(np.uint8)
    columns, column = np.unique(canonical_kmers(every, k)[:, 0], return_inverse=True)
    found = column[canonical_kmers(codes, k).astype(np.int64)]
    found = np.where(without_unknown(codes, k), found, len(columns))
    places = found + np.arange(len(codes))[:, None] * (len(columns) + 1)
    size = len(codes) * (len(columns) + 1)
    counts = np.bincount(places.ravel(), minlength=size).reshape(len(codes), -1)
    return counts[:, :-1].astype(np.float64)


def fit_kmer_model(
    codes: Codes,
    observed: Floats,
    settings: KmerSettings | None = None,
    seed: int = 0,
    groups: Sequence[str] | None = None,
    beside: Floats | None = None,
) -> KmerModel:
    """Train a baseline.

    Args:
        codes: base codes of training sequences, shape (N, L).
        observed: their measurements, shape (N,).
        settings: how; the defaults if None.
        seed: of the folds and of the trees.
        groups: of the sequences, N of them: a group is never cut by a fold (peaks with their
            mutants); every sequence is one of its own if None.
        beside: features that stand beside the counts, such as those of a prior, shape (N, F).

    Raises:
        InputError: shapes that do not fit, measurements that are not finite or do not vary, or
            fewer groups than folds.
    """
    chosen = settings or KmerSettings()
    if observed.shape != (len(codes),):
        raise InputError(
            f"k-mer model: measurements of shape {observed.shape} for {len(codes)} sequences: "
            "give one for each"
        )
    if not np.isfinite(observed).all():
        row = int(np.flatnonzero(~np.isfinite(observed))[0])
        raise InputError(
            f"k-mer model: measurement {observed[row]} in row {row} (from 0): leave sequences "
            "without one out"
        )
    folds = _folds(len(codes), chosen.folds, seed, groups)
    if observed.min() == observed.max():
        raise InputError("k-mer model: all measurements are equal: there is nothing to learn")
    counts = _features(codes, chosen.k, beside)
    held_out = np.empty(len(codes))
    for fold in range(chosen.folds):
        mine = folds == fold
        part = _regressor(chosen, chosen.trees, seed).fit(counts[~mine], observed[~mine])
        held_out[mine] = part.predict(counts[mine])
    squared = (observed - held_out) ** 2
    logs = np.log(np.maximum(squared, _SMALLEST * squared.mean()))
    log_variance = np.empty(len(codes))
    trees = max(1, chosen.trees // 4)
    for fold in range(chosen.folds):
        mine = folds == fold
        part = _regressor(chosen, trees, seed).fit(counts[~mine], logs[~mine])
        log_variance[mine] = part.predict(counts[mine])
    return KmerModel(
        chosen,
        codes.shape[1],
        _regressor(chosen, chosen.trees, seed).fit(counts, observed),
        _regressor(chosen, trees, seed).fit(counts, logs),
        float(np.mean(squared / np.exp(log_variance))),
    )


def _features(codes: Codes, k: int, beside: Floats | None) -> Floats:
    counts = kmer_counts(codes, k)
    return counts if beside is None else np.hstack([counts, beside])


def _folds(
    count: int, folds: int, seed: int, groups: Sequence[str] | None
) -> npt.NDArray[np.int64]:
    """The fold of every sequence, shape (N,)."""
    if groups is not None and len(groups) != count:
        raise InputError(f"k-mer model: {len(groups)} groups for {count} sequences: one for each")
    names = np.arange(count) if groups is None else np.array(groups)
    unique, places = np.unique(names, return_inverse=True)
    if len(unique) < folds:
        raise InputError(
            f"k-mer model: {len(unique)} {'sequences' if groups is None else 'groups'} cannot be "
            f"dealt out to {folds} folds: use fewer folds or more data"
        )
    dealt = np.random.default_rng(seed).permutation(len(unique)) % folds
    return dealt[places]


def _regressor(settings: KmerSettings, trees: int, seed: int) -> Any:
    if settings.kind == "ridge":
        return _Ridge(settings.penalty)
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(
        max_iter=trees,
        learning_rate=settings.learning_rate,
        max_leaf_nodes=settings.leaves,
        early_stopping=False,
        random_state=seed,
    )


class _Ridge:
    """Ridge regression on standardised counts; columns that do not vary are left out."""

    def __init__(self, penalty: float) -> None:
        self.penalty = penalty

    def fit(self, counts: Floats, values: Floats) -> "_Ridge":
        """Learn from counts (N, F) and values (N,)."""
        from sklearn.linear_model import Ridge

        self.centre = counts.mean(axis=0)
        spread = counts.std(axis=0)
        self.rate = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1), 0)
        self.model = Ridge(alpha=max(self.penalty * len(counts), 1e-9)).fit(
            (counts - self.centre) * self.rate, values
        )
        return self

    def predict(self, counts: Floats) -> Floats:
        """Values (N,) for counts (N, F)."""
        found: Floats = self.model.predict((counts - self.centre) * self.rate)
        return found
