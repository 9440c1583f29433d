"""Attribution maps against a known truth: the PWM that every sequence was drawn from.

A position is signal if its PWM holds more than a threshold of information, and noise if it holds
the least of its sequence (background). Positions between count as neither.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from seqtrust.attribution.attribution_maps import (
    Flags,
    Floats,
    checked_maps,
    checked_sequences,
    contributions,
)
from seqtrust.errors import InputError

THRESHOLD = 0.1
TOP = 10
BACKGROUND = 0.25
# PWMs are kept in single precision
_SAME_INFORMATION = 1e-5


@dataclass(frozen=True)
class SignalToNoise:
    """Signal-to-noise ratios of N maps.

    Attributes:
        values: mean score of signal over mean of the highest scores of noise, shape (N,); 0 where
            too little noise is positive, as published.
        short: where too little noise is positive, shape (N,).
    """

    values: Floats
    short: Flags


def information(pwms: npt.ArrayLike) -> Floats:
    """Information of every position in bits, 2 + sum p log2(p + 1e-10), shape (N, L).

    Args:
        pwms: probabilities of A, C, G, T, shape (N, L, 4).
    """
    p = np.asarray(pwms, dtype=np.float64)
    return np.asarray(2 + np.sum(p * np.log2(p + 1e-10), axis=-1))


def signal_and_noise(
    pwms: npt.ArrayLike, threshold: float = THRESHOLD, published: bool = False
) -> tuple[Flags, Flags]:
    """Which positions are signal and which are noise, shape (N, L) each.

    Args:
        pwms: shape (N, L, 4).
        threshold: bits that signal has more of.
        published: noise has exactly the least information of its sequence, whatever rounding
            does; else within 1e-5 bits, and is no signal.
    """
    bits = information(pwms)
    least = bits.min(axis=1, keepdims=True)
    signal = bits > threshold
    if published:
        return signal, bits == least
    return signal, (bits <= least + _SAME_INFORMATION) & ~signal


def position_scores(maps: npt.ArrayLike, sequences: npt.ArrayLike) -> Floats:
    """The attribution of the base that is there, 0 for an N, shape (N, L).

    Args:
        maps: shape (N, L, 4).
        sequences: base codes (N, L).
    """
    given = checked_maps(maps)
    return contributions(given, checked_sequences(sequences, given))


def signal_to_noise(
    maps: npt.ArrayLike,
    sequences: npt.ArrayLike,
    pwms: npt.ArrayLike,
    threshold: float = THRESHOLD,
    top: int = TOP,
    published: bool = False,
) -> SignalToNoise:
    """Mean score of signal positions over the mean of the highest positive scores of noise.

    Args:
        maps: shape (N, L, 4); the mean over bases subtracted, as gradients should be.
        sequences: base codes (N, L).
        pwms: shape (N, L, 4).
        threshold: bits that signal has more of.
        top: number of noise positions.
        published: as in `signal_and_noise`.
    """
    scores, signal, noise = _judged(maps, sequences, pwms, threshold, published)
    positive = np.where(noise & (scores > 0), scores, 0.0)
    short = (positive > 0).sum(axis=1) < top
    highest = -np.partition(-positive, min(top, positive.shape[1]) - 1, axis=1)[:, :top]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(signal, scores, 0.0).sum(axis=1) / signal.sum(axis=1)
        ratio = mean / highest.mean(axis=1)
    return SignalToNoise(np.where(short, 0.0, ratio), short)


def truth_auroc(
    maps: npt.ArrayLike,
    sequences: npt.ArrayLike,
    pwms: npt.ArrayLike,
    threshold: float = THRESHOLD,
    published: bool = False,
) -> Floats:
    """Area under the ROC of scores as a test for signal, per sequence, shape (N,).

    Equal scores count one half. NaN without signal or without noise.

    Args:
        maps: shape (N, L, 4).
        sequences: base codes (N, L).
        pwms: shape (N, L, 4).
        threshold: bits that signal has more of.
        published: as in `signal_and_noise`.
    """
    scores, signal, noise = _judged(maps, sequences, pwms, threshold, published)
    counted = signal | noise
    # what is not counted lies below everything, so that ranks of the rest move by its number
    ranks = rankdata(np.where(counted, scores, -np.inf), axis=1)
    ranks -= (~counted).sum(axis=1, keepdims=True)
    hits = signal.sum(axis=1)
    others = counted.sum(axis=1) - hits
    with np.errstate(invalid="ignore", divide="ignore"):
        above = np.where(signal, ranks, 0.0).sum(axis=1) - hits * (hits + 1) / 2
        return np.asarray(above / (hits * others))


def truth_aupr(
    maps: npt.ArrayLike,
    sequences: npt.ArrayLike,
    pwms: npt.ArrayLike,
    threshold: float = THRESHOLD,
    published: bool = False,
) -> Floats:
    """Area under precision and recall of scores as a test for signal, per sequence, shape (N,).

    Equal scores are one threshold. NaN without signal or without noise.

    Args:
        maps: shape (N, L, 4).
        sequences: base codes (N, L).
        pwms: shape (N, L, 4).
        threshold: bits that signal has more of.
        published: straight lines between points, which no threshold reaches (trapezoids); else
            steps (average precision). Also as in `signal_and_noise`.
    """
    scores, signal, noise = _judged(maps, sequences, pwms, threshold, published)
    counted = signal | noise
    falling = -np.where(counted, scores, -np.inf)
    order = np.argsort(falling, axis=1, kind="stable")
    falling = np.take_along_axis(falling, order, axis=1)
    hits = np.cumsum(np.take_along_axis(signal, order, axis=1), axis=1, dtype=np.float64)
    called = np.cumsum(np.take_along_axis(counted, order, axis=1), axis=1, dtype=np.float64)
    ends = np.ones(scores.shape, dtype=bool)
    ends[:, :-1] = falling[:, 1:] != falling[:, :-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, precision = hits / hits[:, -1:], hits / called
        before = _at_last_end(recall, ends, 0.0)
        height = precision
        if published:
            height = (precision + _at_last_end(precision, ends, 1.0)) / 2
        area = np.where(ends, (recall - before) * height, 0.0).sum(axis=1)
    return np.where(hits[:, -1] < called[:, -1], area, np.nan)


def truth_cosine(maps: npt.ArrayLike, pwms: npt.ArrayLike) -> Floats:
    """Cosine between map and true map, PWM minus 1/4, over all positions and bases, shape (N,).

    Both have the mean over bases subtracted. NaN where one is zero.

    Args:
        maps: shape (N, L, 4).
        pwms: shape (N, L, 4).
    """
    found = checked_maps(maps)
    found = found - found.mean(axis=2, keepdims=True)
    true = true_maps(_checked_truth(pwms, found[..., 0]))
    product = np.einsum("nlc,nlc->n", found, true)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(
            product / np.sqrt(np.square(found).sum((1, 2)) * np.square(true).sum((1, 2)))
        )


def true_maps(pwms: npt.ArrayLike) -> Floats:
    """The map of a model that knows the truth, PWM minus 1/4, shape (N, L, 4)."""
    return np.asarray(pwms, dtype=np.float64) - BACKGROUND


def _judged(
    maps: npt.ArrayLike,
    sequences: npt.ArrayLike,
    pwms: npt.ArrayLike,
    threshold: float,
    published: bool,
) -> tuple[Floats, Flags, Flags]:
    """Scores of positions, and which are signal and which noise, shape (N, L) each."""
    scores = position_scores(maps, sequences)
    return scores, *signal_and_noise(_checked_truth(pwms, scores), threshold, published)


def _at_last_end(values: Floats, ends: Flags, first: float) -> Floats:
    """The value at the end of ties before every place, `first` where there is none."""
    places = np.where(ends, np.arange(values.shape[1]), -1)
    before = np.full(values.shape, -1)
    before[:, 1:] = np.maximum.accumulate(places, axis=1)[:, :-1]
    taken = np.take_along_axis(values, np.maximum(before, 0), axis=1)
    return np.where(before < 0, first, taken)


def _checked_truth(pwms: npt.ArrayLike, scores: Floats) -> Floats:
    """PWMs of the maps whose scores have shape (N, L).

    Raises:
        InputError: another shape, or rows that are no probabilities.
    """
    truth = np.asarray(pwms, dtype=np.float64)
    if truth.shape != (*scores.shape, 4):
        raise InputError(
            f"true PWMs have shape {truth.shape}, expected {(*scores.shape, 4)}: one per "
            "attribution map, of the same positions"
        )
    sums = truth.sum(axis=2)
    if not (truth >= 0).all() or not np.allclose(sums, 1, atol=1e-4):
        row, place = np.argwhere(~(np.abs(sums - 1) <= 1e-4) | (truth < 0).any(axis=2))[0]
        raise InputError(
            f"the true PWM of sequence {row} has {truth[row, place].tolist()} at position {place} "
            "(both from 0), expected probabilities of A, C, G, T that sum to 1"
        )
    return truth
