"""Rows of one track in the order of a key, with weights that count rows.

A row of weight 2 is two rows, so that weights may be the multiplicities of a bootstrap, one
round per row of a matrix: rows are sorted once. Rows of equal key are averaged over their
orders: cumulative sums are taken where ties end and are linear between.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.special import digamma

from seqtrust.calibration.grouping import Floats

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """The order of n rows by a key, with B different keys.

    Attributes:
        rows: row at each place, shape (n,).
        ends: place of the last row of each key, shape (B,).
    """

    rows: Ints
    ends: Ints

    @classmethod
    def of(cls, keys: Floats) -> Self:
        """The order by a key, smallest first, shape (n,)."""
        rows = np.argsort(keys, kind="stable")
        ordered = keys[rows]
        last = np.append(ordered[1:] != ordered[:-1], True)
        return cls(rows, np.flatnonzero(last))

    def cumulative(self, ordered: Floats) -> Floats:
        """Cumulative sums up to the end of every key, the first 0, shape (..., B + 1).

        Whole weights may be integers, which are summed five times faster.

        Args:
            ordered: what is summed, in the order of `rows`, shape (..., n).
        """
        sums = np.zeros((*ordered.shape[:-1], ordered.shape[-1] + 1), dtype=ordered.dtype)
        np.cumsum(ordered, axis=-1, out=sums[..., 1:])
        if len(self.ends) == len(self.rows):
            return sums
        return sums[..., np.append(0, self.ends + 1)]

    def ranks(self, mass: Floats, rows: Ints) -> Floats:
        """Mean rank of rows among their copies and ties, shape (..., n).

        Args:
            mass: cumulative weights, shape (..., B + 1).
            rows: whose rank, shape (n,).
        """
        middle = (mass[..., 1:] + mass[..., :-1] + 1) / 2
        key_of = np.empty(len(self.rows), dtype=np.int64)
        key_of[self.rows] = np.repeat(np.arange(len(self.ends)), np.diff(self.ends, prepend=-1))
        places = key_of[rows]
        if np.array_equal(places, np.arange(middle.shape[-1])):
            return middle
        return middle.take(places, axis=-1)


def area(mass: Floats, loss: Floats, values: Floats | None = None) -> Floats:
    """Area under risk against the fraction kept, (1/n) sum R(k/n), shape (...).

    A key of weight w whose rows have the mean loss l takes w places; the sum of R over them has
    a closed form in harmonic numbers, which digamma gives for weights that are not whole.

    Args:
        mass: cumulative weights, shape (..., B + 1).
        loss: cumulative weighted losses, the same shape.
        values: loss of every key, shape (B,), where no two rows share one; saves time.
    """
    total, whole = mass[..., -1] * 1.0, loss[..., -1]
    sums = _harmonic_sums(mass)
    if values is None:
        width, part = np.diff(mass), np.diff(loss)
        mean = np.divide(part, width, out=np.zeros_like(part), where=width > 0)
        taken = np.einsum("...b,...b->...", mean, np.diff(sums))
    else:
        # summation by parts
        taken = sums[..., 1:] @ -np.diff(values, append=0.0)
    harmonic = digamma(total + 1) + np.euler_gamma
    return (harmonic * whole - taken) / total


def generalised_area(mass: Floats, loss: Floats) -> Floats:
    """Area under joint risk, (1/n) sum (k/n) R(k/n), shape (...) (Traub et al. 2024).

    Args:
        mass: cumulative weights, shape (..., B + 1).
        loss: cumulative weighted losses, the same shape.
    """
    twice = np.einsum("...b,...b->...", np.diff(mass), loss[..., 1:] + loss[..., :-1])
    return (twice + loss[..., -1]) / (2.0 * mass[..., -1] * mass[..., -1])


def _harmonic_sums(count: Floats) -> Floats:
    """Sum of H_m over m = 0 .. n - 1, n (H_n - 1), of counts n >= 0 of any shape."""
    number = count.astype(np.int32, copy=False)
    if number is count or (number == count).all():
        table = np.arange(1.0, int(number.max()) + 1)
        return np.append(0.0, table * (np.cumsum(1 / table) - 1)).take(number)
    return count * (digamma(count + 1) + np.euler_gamma - 1)


def sums_at(mass: Floats, points: Floats, *sums: Floats) -> list[Floats]:
    """Cumulative sums at given masses, linear between keys, shape (..., Q) each.

    Args:
        mass: cumulative weights, shape (..., B + 1).
        points: masses from 0 to the total, shape (..., Q).
        sums: cumulative weighted values, of the shape of the mass.
    """
    size = mass.shape[-1]
    wanted = points.reshape(-1, points.shape[-1])
    first = size * np.arange(len(wanted))[:, None]
    # one search for all rounds: each is moved beyond the one before
    offsets = (mass[..., -1].max() + 1.0) * np.arange(len(wanted))[:, None]
    place = np.searchsorted((mass.reshape(-1, size) + offsets).ravel(), wanted + offsets)
    after = np.clip(place, first + 1, first + size - 1)
    low, high = mass.take(after - 1), mass.take(after)
    gap = high - low
    share = np.divide(wanted - low, gap, out=np.zeros(gap.shape), where=gap > 0).clip(0, 1)
    found = []
    for values in sums:
        start = values.take(after - 1)
        found.append((start + share * (values.take(after) - start)).reshape(points.shape))
    return found


def kept_mass(total: Floats, coverages: Floats) -> Floats:
    """Rows that are kept at coverages c, ceil(c n), at least 1, shape (..., C).

    Args:
        total: number of rows n, or total weight, shape (...).
        coverages: fractions in (0, 1], shape (C,).
    """
    # .07 x 100 must not be rounded up for its last bit
    whole = np.asarray(total)[..., None]
    kept = np.ceil(np.round(coverages * whole, 9))
    return np.minimum(np.maximum(kept, 1), whole)


def risks_at(mass: Floats, loss: Floats, coverages: Floats) -> Floats:
    """Mean loss of the rows that are kept at each coverage, shape (..., C).

    Args:
        mass: cumulative weights, shape (..., B + 1).
        loss: cumulative weighted losses, the same shape.
        coverages: fractions in (0, 1], shape (C,).
    """
    kept = kept_mass(mass[..., -1], coverages)
    return sums_at(mass, kept, loss)[0] / kept


def bin_edges(total: Floats, bins: int) -> Floats:
    """Edges of bins of equal mass, whole rows each, shape (..., bins + 1).

    The first bins hold one row more where their number does not divide that of the rows.

    Args:
        total: number of rows, or total weight, shape (...).
        bins: number of bins.
    """
    whole = np.asarray(total)[..., None]
    size = np.floor(whole / bins)
    rest = whole - bins * size
    number = np.arange(bins + 1)
    return number * size + np.minimum(number, rest)


def binned_means(mass: Floats, edges: Floats, *sums: Floats) -> list[Floats]:
    """Mean of values in every bin, shape (..., bins) each.

    Args:
        mass: cumulative weights, shape (..., B + 1).
        edges: from `bin_edges`.
        sums: cumulative weighted values, of the shape of the mass.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return [np.diff(part) / np.diff(edges) for part in sums_at(mass, edges, *sums)]
