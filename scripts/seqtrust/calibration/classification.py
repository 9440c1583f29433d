"""How far stated probabilities of signs and classes are right."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, xlog1py, xlogy

from seqtrust.calibration.forecasts import weighted_mean
from seqtrust.calibration.grouping import Floats, Groups, group_array
from seqtrust.calibration.ordered import Order, bin_edges, binned_means
from seqtrust.errors import InputError


@dataclass(frozen=True)
class Labelled:
    """Scores, or probabilities, of N rows and T tracks beside what happened.

    Attributes:
        scores: higher means that label 1 is more likely, shape (N, T); probabilities where a
            function says so.
        labels: 1 or 0, NaN where not known, shape (N, T).
        groups: rows of one group are not independent, shape (N,).
        weights: weight of each row, shape (N,), or None where all are equal.

    Raises:
        InputError: shapes differ, a score is not finite, a label is not 0, 1 or NaN, a track has
            no label, a weight is not positive, or a group key is missing.
    """

    scores: Floats
    labels: Floats
    groups: Groups
    weights: Floats | None = None

    def __post_init__(self) -> None:
        for name in ("scores", "labels"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        object.__setattr__(self, "groups", group_array(self.groups, len(self.scores)))
        if self.scores.ndim != 2 or self.scores.shape != self.labels.shape:
            raise InputError(
                f"scores {self.scores.shape} and labels {self.labels.shape} must both be rows x "
                "tracks"
            )
        if not np.isfinite(self.scores).all():
            row, track = (int(index) for index in np.argwhere(~np.isfinite(self.scores))[0])
            raise InputError(
                f"the score in row {row} of track {track} is not a finite number: mend the "
                "predictions"
            )
        if not (np.isnan(self.labels) | np.isin(self.labels, (0, 1))).all():
            raise InputError("labels must be 0, 1, or NaN where not known; signs: 1 for plus")
        empty = np.flatnonzero(np.isnan(self.labels).all(axis=0))
        if empty.size:
            raise InputError(
                f"track {int(empty[0])} has no label among {len(self.labels)} rows "
                f"({empty.size} such tracks): leave it out, or add labels"
            )
        if self.weights is not None and not (
            np.shape(self.weights) == (len(self.scores),)
            and (np.isfinite(self.weights) & (np.asarray(self.weights) > 0)).all()
        ):
            raise InputError("give one positive finite weight per row, or none at all")

    @property
    def row_weights(self) -> Floats:
        """Weights, 0 where the label is not known, shape (N, T)."""
        weights = np.ones(len(self.scores)) if self.weights is None else self.weights
        return np.where(np.isnan(self.labels), 0.0, np.asarray(weights)[:, None])

    def with_scores(self, scores: Floats) -> "Labelled":
        """The same rows with other scores."""
        return replace(self, scores=scores)


def sign_probability(mean: Floats, sd: Floats) -> Floats:
    """Probability that an effect is positive if it is Gaussian, any shape.

    With sd 0 it is 0 or 1, and 1/2 for an effect of 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return ndtr(np.where((mean == 0) & (sd == 0), 0.0, mean / sd))


def brier(probabilities: Labelled) -> Floats:
    """Mean squared difference of probability and label, shape (T,) (Brier 1950)."""
    p = _checked(probabilities)
    return weighted_mean((p - probabilities.labels) ** 2, probabilities.row_weights)


def log_loss(probabilities: Labelled) -> Floats:
    """Mean negative log likelihood in nats, shape (T,); infinite if certain and wrong."""
    p, label = _checked(probabilities), probabilities.labels
    with np.errstate(divide="ignore"):
        losses = np.asarray(-xlogy(label, p) - xlog1py(1 - label, -p), dtype=np.float64)
    return weighted_mean(losses, probabilities.row_weights)


def calibration_error(probabilities: Labelled, bins: int = 10) -> Floats:
    """Expected calibration error with bins of equal size, shape (T,).

    Mean over bins, by size, of |mean label - mean probability|. Labels of equal probabilities
    are averaged first, so that their order does not matter; bins of equal width would be empty
    where an ensemble is sure (Nixon et al. 2019). With weights bins have equal weight.

    Raises:
        InputError: a probability outside [0, 1], or fewer rows than bins.
    """
    curve = reliability(probabilities, bins)
    return np.array([(abs(b - a) * size).sum() / size.sum() for a, b, size in curve])


def reliability(probabilities: Labelled, bins: int = 10) -> list[tuple[Floats, Floats, Floats]]:
    """Mean probability, mean label and size of every bin of equal size, per track.

    Sizes are numbers of rows, or their weights, which count rows: a weight of 2 is two rows.

    Raises:
        InputError: a probability outside [0, 1], or fewer rows than bins.
    """
    columns = zip(
        _checked(probabilities).T, probabilities.labels.T, probabilities.row_weights.T, strict=True
    )
    return [_binned(p, labels, weights, bins) for p, labels, weights in columns]


def _binned(p: Floats, labels: Floats, weights: Floats, bins: int) -> tuple[Floats, Floats, Floats]:
    p, labels, weights = (part[weights > 0] for part in (p, labels, weights))
    if weights.sum() < bins:
        raise InputError(f"{weights.sum():g} rows for {bins} bins leave bins empty: use fewer bins")
    order = Order.of(p)
    own = weights[order.rows]
    mass = order.cumulative(own)
    edges = bin_edges(mass[-1], bins)
    sums = [order.cumulative(part[order.rows] * own) for part in (p, labels)]
    stated, happened = binned_means(mass, edges, *sums)
    return stated, happened, np.diff(edges)


def _checked(probabilities: Labelled) -> Floats:
    p = probabilities.scores
    if (p < 0).any() or (p > 1).any():
        raise InputError(
            f"probabilities lie between {p.min():.3g} and {p.max():.3g}, expected 0 to 1: turn "
            "scores into probabilities first (isotonic, Platt)"
        )
    return p
