"""How well a model predicts sequences that it was not trained on, with intervals over sequences."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqtrust.attribution.attribution_maps import Floats
from seqtrust.calibration.resampling import percentile_interval
from seqtrust.effects import aligned_values, facts_of
from seqtrust.errors import InputError
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.sequence_set import SequenceSet
from seqtrust.statistics import locus_bootstrap
from seqtrust.targets import MeasuredTracks
from seqtrust.verdicts import measured_bins

AUROC, PEARSON = "auroc", "pearson"
METRICS = (AUROC, PEARSON)
ROUNDS = 500


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % percentile interval of a bootstrap over sequences."""

    value: float
    low: float
    high: float


def measured_as_predicted(
    sequences: SequenceSet, targets: MeasuredTracks, predictions: Predictions, output: str
) -> tuple[Floats, Floats]:
    """Measured and predicted values of an output, shape (N, tracks, bins) each.

    Measured bins are reduced as predicted ones are.

    Args:
        sequences: windows without edits.
        targets: measured tracks.
        predictions: of one replicate.
        output: name of the output.
    """
    spec = predictions.output(output)
    predicted = aligned_values(predictions, spec, sequences.ids()).astype(np.float64)
    plain = OutputSpec(spec.name, spec.tracks, spec.bins, "none", spec.track_names)
    measured = measured_bins(sequences, targets, plain, facts_of(predictions))
    if spec.reduction == "sum":
        measured = measured.sum(axis=2, keepdims=True)
    elif spec.reduction == "mean":
        measured = measured.mean(axis=2, keepdims=True)
    return measured, predicted


def classification(measured: Floats, predicted: Floats, seed: int) -> tuple[Estimate, Estimate]:
    """Area under the ROC, and average precision, of bins that are 0 or 1.

    Equal predictions count one half, and are one threshold of the average precision.

    Args:
        measured: 0 or 1, shape (N, tracks, bins); NaN is left out.
        predicted: shape (N, tracks, bins).
        seed: of the draws of sequences.

    Raises:
        InputError: a measured value is neither 0 nor 1, or all are the same.
    """
    there = np.isfinite(measured)
    labels, scores = measured[there], predicted[there]
    if not np.isin(labels, (0, 1)).all() or len(np.unique(labels)) < 2:
        shown = ", ".join(f"{value:g}" for value in np.unique(labels)[:5])
        raise InputError(
            f"the metric auroc needs targets of 0 and 1, both of them; found: {shown}; use pearson "
            "for quantities"
        )
    rows = np.nonzero(there)[0]
    count = len(measured)
    once = np.ones((1, count))
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), ROUNDS)
    value = areas(labels == 1, scores, once[:, rows])
    found = areas(labels == 1, scores, draws[:, rows].astype(np.float64))
    auroc, aupr = (
        Estimate(float(whole[0]), *map(float, percentile_interval(drawn)))
        for whole, drawn in zip(value, found, strict=True)
    )
    return auroc, aupr


def areas(labels: npt.NDArray[np.bool_], scores: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Area under the ROC and average precision with weights, shape (R,) each.

    Args:
        labels: shape (n,).
        scores: shape (n,).
        weights: R sets of them, shape (R, n).
    """
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    own = weights[:, order]
    hits = np.add.reduceat(own * labels[order], starts, axis=1)
    others = np.add.reduceat(own * ~labels[order], starts, axis=1)
    all_hits, all_others = hits.sum(axis=1), others.sum(axis=1)
    below = np.cumsum(others, axis=1) - others
    hits_above = np.cumsum(hits[:, ::-1], axis=1)[:, ::-1]
    others_above = np.cumsum(others[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        auroc = (hits * (below + others / 2)).sum(axis=1) / (all_hits * all_others)
        # a threshold at nothing has no precision, and no hits
        precision = np.where(hits > 0, hits_above / (hits_above + others_above), 0.0)
        return auroc, (hits * precision).sum(axis=1) / all_hits


def correlation(measured: Floats, predicted: Floats, seed: int) -> Estimate:
    """Pearson correlation over all bins of a track, the mean over tracks.

    Args:
        measured: shape (N, tracks, bins); NaN is left out.
        predicted: shape (N, tracks, bins).
        seed: of the draws of sequences.
    """
    there = np.isfinite(measured)
    count, tracks, _ = measured.shape
    # moments about the mean lose no digits
    x = np.where(there, measured - np.nanmean(measured, axis=(0, 2), keepdims=True), 0.0)
    y = np.where(there, predicted - predicted.mean(axis=(0, 2), keepdims=True), 0.0)
    moments = np.stack([there, x, y, x * x, y * y, x * y]).sum(axis=3)
    sums = moments.transpose(1, 2, 0).reshape(count, tracks * 6)

    def statistic(drawn: Floats) -> Floats:
        parts = drawn.reshape(*drawn.shape[:-1], tracks, 6)
        n, sx, sy, sxx, syy, sxy = np.moveaxis(parts, -1, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            r = (sxy - sx * sy / n) / np.sqrt((sxx - sx * sx / n) * (syy - sy * sy / n))
        return np.asarray(r.mean(axis=-1, keepdims=True))

    low, high = locus_bootstrap(sums, range(count), statistic, seed, ROUNDS)
    return Estimate(float(statistic(sums.sum(axis=0))[0]), float(low[0]), float(high[0]))


def mean_over_sequences(values: Floats, seed: int) -> Estimate:
    """Mean of values per sequence, shape (N,); NaN is left out.

    The same seed and number of sequences give the same draws, so that models are resampled alike.
    """
    count = len(values)
    there = np.isfinite(values)
    if not there.any():
        return Estimate(float("nan"), float("nan"), float("nan"))
    draws = drawn_sequences(count, seed)
    known = np.where(there, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (draws @ known) / (draws @ there.astype(np.float64))
    return Estimate(float(known.sum() / there.sum()), *map(float, percentile_interval(means)))


def drawn_sequences(count: int, seed: int, rounds: int = ROUNDS) -> Floats:
    """How often every sequence is drawn in every round, shape (rounds, count)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), rounds).astype(np.float64)
