"""What the two consistency scores share: tallies per group of maps, and values of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from seqtrust.attribution.attribution_maps import Flags, Floats, Integers
from seqtrust.attribution.divergence import bias, divergence
from seqtrust.bases import Codes


@dataclass(frozen=True)
class Values:
    """A score and its parts, of one shape (...).

    Attributes:
        score: divergence minus bias, in nats.
        divergence: of the weights from their prior, in nats.
        bias: expected of a sample of this size without any signal; 0 in published mode.
    """

    score: Floats
    divergence: Floats
    bias: Floats


@dataclass(frozen=True)
class Tally:
    """Weights per group of maps, which add up: what resampling of groups needs.

    Attributes:
        weights: G groups, F frames, C cells, shape (G, F, C).
        squares: sums of squared weights of single observations, shape (G,).
        prior: shape (G, C), or (1, C) if it does not depend on the maps.
        evaluate: values of weights (..., F, C), squares (...) and prior (..., C).
    """

    weights: Floats
    squares: Floats
    prior: Floats
    evaluate: Callable[[Floats, Floats, Floats], Values]

    def values(self, multiplicity: npt.ArrayLike) -> Values:
        """Values with groups counted so many times.

        Args:
            multiplicity: shape (R, G): R sets of groups.

        Returns:
            Shape (R,) each.
        """
        times = np.asarray(multiplicity, dtype=np.float64)
        groups, frames, cells = self.weights.shape
        weights = times @ self.weights.reshape(groups, frames * cells)
        prior = times @ self.prior if len(self.prior) == groups else self.prior
        return self.evaluate(weights.reshape(-1, frames, cells), times @ self.squares, prior)


def corrected_values(weights: Floats, squares: Floats, prior: Floats) -> Values:
    """Divergence minus Miller and Madow's bias, both averaged over frames.

    Args:
        weights: shape (..., F, C).
        squares: shape (...).
        prior: shape (..., C) or (1, C).
    """
    raw = divergence(weights, prior[..., None, :]).mean(axis=-1)
    excess = bias(weights, squares[..., None]).mean(axis=-1)
    return Values(raw - excess, raw, excess)


class Measure(Protocol):
    """A consistency score with its settings."""

    @property
    def label(self) -> str:
        """Name and settings, as a row of a table shows them."""

    def scorable(self, maps: Floats) -> Flags:
        """Which maps of shape (N, L, 4) have a score, shape (N,)."""

    def tally(self, maps: Floats, sequences: Codes | None, groups: Integers) -> Tally:
        """Weights per group.

        Args:
            maps: shape (N, L, 4).
            sequences: base codes (N, L); not read by scores of maps alone.
            groups: group of every map, 0 to G - 1, shape (N,); maps that are dropped too.
        """

    def score(self, maps: Floats, sequences: Codes | None) -> float:
        """The score of all maps."""
