"""Kullback-Leibler divergence of weighted counts from a prior, and its bias in small samples."""

import numpy as np

from seqtrust.attribution.attribution_maps import Floats


def divergence(weights: Floats, prior: Floats) -> Floats:
    """Sum of p ln(p / q) over cells, in nats.

    Args:
        weights: shape (..., C); p is their share.
        prior: q up to a factor, shape (..., C) or (C,).

    Returns:
        Shape (...); NaN where there is no weight, infinite where q is 0 and p is not.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        share = weights / weights.sum(axis=-1, keepdims=True)
        expected = prior / prior.sum(axis=-1, keepdims=True)
        terms = share * np.log(share / expected)
    return np.where(share == 0, 0.0, terms).sum(axis=-1)


def bias(weights: Floats, squares: Floats) -> Floats:
    """What a sample adds to the divergence on average (Miller and Madow): (K - 1) / 2n.

    K is the number of cells with weight; n the effective number of observations, the square of
    the sum of their weights over the sum of the squares.

    Args:
        weights: sums of weights per cell, shape (..., C).
        squares: sums of squared weights of all observations, shape (...).
    """
    occupied = (weights > 0).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((occupied - 1) * squares / (2 * weights.sum(axis=-1) ** 2))
