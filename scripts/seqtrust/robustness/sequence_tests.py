"""Two-sample tests without labels: do new sequences come from where the calibration data came?

They see what a shift does to inputs, or to what a model states of them, and nothing else: where
inputs are the same, so is every statistic. P values come from permutations of the two labels, so
they are valid for any number of rows.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from seqtrust.bases import Codes
from seqtrust.robustness.kmer_models import kmer_counts
from seqtrust.robustness.sequences import gc_content

Floats = npt.NDArray[np.float64]

K = 3
_FOLDS = 5
# ridge penalty of the classifier in units of its training rows, on standardised features
_PENALTY = 0.05


@dataclass(frozen=True)
class TwoSample:
    """Outcome of a test.

    Attributes:
        statistic: the larger, the more two samples differ.
        p: share of permutations, the data among them, with a statistic at least as large.
    """

    statistic: float
    p: float


def sequence_features(codes: Codes) -> Floats:
    """Shares of canonical 3-mers, and GC content with its square, shape (N, F).

    The square tells a spread of GC content from a mean.
    """
    counts = kmer_counts(codes, K)
    gc = gc_content(codes)
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return np.hstack([counts / total, np.stack([gc, (gc - gc.mean()) ** 2], axis=1)])


def stated_features(mean: Floats, sd: Floats) -> Floats:
    """Predicted mean and log sd with their squares, shape (N, 4)."""
    parts = np.stack([mean, np.log(sd)], axis=1)
    return np.hstack([parts, (parts - parts.mean(axis=0)) ** 2])


def permuted_labels(known: int, new: int, permutations: int, rng: np.random.Generator) -> Floats:
    """Labels of pooled rows, 1 for new ones: as they are, then permuted, shape (N, P + 1)."""
    labels = np.repeat([0.0, 1.0], [known, new])
    return np.stack([labels, *(rng.permutation(labels) for _ in range(permutations))], axis=1)


def classifier_test(features: Floats, labels: Floats) -> TwoSample:
    """Area under the ROC curve of a linear classifier on rows that it was not trained on.

    The classifier two-sample test (Lopez-Paz and Oquab 2017) with ridge regression, whose held-out
    scores are linear in the labels, so that every permutation is trained anew at no cost.

    Args:
        features: of the pooled rows, shape (N, F).
        labels: from `permuted_labels`, shape (N, P + 1).
    """
    design = _standardised(features)
    rows = np.arange(len(design))
    scores = np.empty_like(labels)
    for fold in range(_FOLDS):
        held = rows % _FOLDS == fold
        training = design[~held]
        centre = training.mean(axis=0)
        training = training - centre
        gram = training.T @ training + _PENALTY * len(training) * np.eye(design.shape[1])
        weights = np.linalg.solve(gram, training.T @ labels[~held])
        scores[held] = (design[held] - centre) @ weights
    return _outcome(areas_under_roc(scores, labels))


def mmd_test(features: Floats, labels: Floats) -> TwoSample:
    """Squared maximum mean discrepancy (Gretton et al. 2012), Gaussian kernel of median width.

    The biased estimate: its null is that of the permutations.

    Args:
        features: of the pooled rows, shape (N, F).
        labels: from `permuted_labels`, shape (N, P + 1).
    """
    design = _standardised(features)
    squares = (design**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares - 2 * design @ design.T, 0)
    middle = float(np.median(distances[np.triu_indices(len(design), 1)]))
    kernel = np.exp(-distances / (middle or 1.0))
    weights = labels / labels.sum(axis=0) - (1 - labels) / (1 - labels).sum(axis=0)
    return _outcome(np.einsum("np,np->p", weights, kernel @ weights))


def areas_under_roc(scores: Floats, labels: Floats) -> Floats:
    """Area under the ROC curve of every column, shape (P,); equal scores count half.

    Args:
        scores: shape (N, P).
        labels: 0 or 1, shape (N, P).
    """
    ranks = rankdata(scores, axis=0)
    positive = labels.sum(axis=0)
    total = (ranks * labels).sum(axis=0) - positive * (positive + 1) / 2
    return np.asarray(total / (positive * (len(labels) - positive)))


def _standardised(features: Floats) -> Floats:
    """Of both samples together, so that permutations change nothing; constant features are 0."""
    spread = features.std(axis=0)
    flat = spread <= 1e-12 * np.maximum(np.abs(features).max(axis=0), 1e-300)
    return np.where(flat, 0.0, (features - features.mean(axis=0)) / np.where(flat, 1.0, spread))


def _outcome(statistics: Floats) -> TwoSample:
    reached = int((statistics[1:] >= statistics[0] - 1e-12).sum())
    return TwoSample(float(statistics[0]), (1 + reached) / len(statistics))
