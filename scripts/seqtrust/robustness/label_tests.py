"""Tests of a stream of labelled samples: does a model still err as it did on calibration data?

Streams are of z-scores (measured minus predicted, over the stated sd). They see every shift that
changes errors, also where inputs stay the same, and no shift that a model follows.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# allowance of the CUSUM, in sds of what is summed: half of the change that it is fastest for
ALLOWANCE = 0.25
# bets of the simple jumper and the share of its capital that changes bets (Vovk et al. 2021)
BETS = (-1.0, 0.0, 1.0)
JUMP = 0.01
NEVER = np.iinfo(np.int64).max


def cusum(values: Floats) -> Floats:
    """The larger of both one-sided CUSUMs (Page 1954) after every sample, shape (S, T).

    Args:
        values: streams of standardised values, shape (S, T).
    """
    up, down = np.zeros(len(values)), np.zeros(len(values))
    found = np.empty_like(values)
    for place, column in enumerate(values.T):
        up = np.maximum(up + column - ALLOWANCE, 0)
        down = np.maximum(down - column - ALLOWANCE, 0)
        found[:, place] = np.maximum(up, down)
    return found


def cusum_threshold(
    values: Floats, horizon: int, level: float, rng: np.random.Generator, streams: int = 1000
) -> float:
    """The height that a share `level` of unshifted streams reaches within the horizon.

    Every stream is standardised by another bootstrap sample of the calibration data: mean and sd of
    few data are not known well, and a wrong one is a drift.

    Args:
        values: of calibration data, shape (N,), drawn with replacement.
        horizon: samples of a stream.
        level: of false alarms.
        rng: of the draws.
        streams: number of draws.
    """
    drawn = values[rng.integers(len(values), size=(streams, horizon))]
    known = values[rng.integers(len(values), size=(streams, len(values)))]
    centre, spread = known.mean(axis=1, keepdims=True), known.std(axis=1, keepdims=True)
    return float(np.quantile(cusum((drawn - centre) / spread).max(axis=1), 1 - level))


def conformal_p(calibration: Floats, streams: Floats, ties: Floats) -> Floats:
    """Conformal p value of every sample among calibration data and all samples before it, (S, T).

    Independent and uniform where all are exchangeable (Vovk et al. 2005), with ties broken at
    random; small where a score is larger than usual.

    Args:
        calibration: scores, shape (N,).
        streams: scores, shape (S, T).
        ties: uniform numbers, shape (S, T).
    """
    ordered = np.sort(calibration)
    above = len(ordered) - np.searchsorted(ordered, streams, side="right")
    equal = np.searchsorted(ordered, streams, side="right") - np.searchsorted(
        ordered, streams, side="left"
    )
    found = np.empty_like(streams)
    for place in range(streams.shape[1]):
        now, before = streams[:, place, None], streams[:, :place]
        larger = above[:, place] + (before > now).sum(axis=1)
        same = equal[:, place] + (before == now).sum(axis=1) + 1
        found[:, place] = (larger + ties[:, place] * same) / (len(ordered) + place + 1)
    return found


def jumper(p: Floats) -> Floats:
    """Capital of the simple jumper martingale after every sample, shape (S, T).

    It bets on p values with densities 1 + e (p - 1/2), e in -1, 0, 1, and moves a hundredth of its
    capital between them at every step. It starts at 1, and reaches 1 / a with probability at most
    a where there is no shift (Ville).

    Args:
        p: conformal p values, shape (S, T).
    """
    bets = np.array(BETS)
    capital = np.full((len(p), len(bets)), 1 / len(bets))
    found = np.empty_like(p)
    for place, column in enumerate(p.T):
        total = capital.sum(axis=1, keepdims=True)
        capital = (1 - JUMP) * capital + JUMP * total / len(bets)
        capital *= 1 + bets * (column[:, None] - 0.5)
        found[:, place] = capital.sum(axis=1)
    return found


def martingale(calibration: Floats, streams: Floats, rng: np.random.Generator) -> Floats:
    """Mean capital of two jumpers, of z and of |z|, after every sample, shape (S, T).

    The first sees offsets, the second errors that are larger or smaller than stated. A mean of
    martingales is one.

    Args:
        calibration: z-scores of calibration data, shape (N,).
        streams: z-scores, shape (S, T).
        rng: breaks ties.
    """
    parts = []
    for scores, new in ((calibration, streams), (np.abs(calibration), np.abs(streams))):
        parts.append(jumper(conformal_p(scores, new, rng.random(new.shape))))
    return np.asarray(np.mean(parts, axis=0))


def first_alarms(path: Floats, threshold: float) -> Integers:
    """Samples up to the first one at which a path lies above a threshold, shape (S,).

    Returns:
        From 1; `NEVER` where it does not.
    """
    above = path > threshold
    return np.where(above.any(axis=1), above.argmax(axis=1) + 1, NEVER)
