"""K-mers under the strongest positions of attribution maps (Majdandzic et al. 2022, method 1)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqtrust.attribution.attribution_maps import Flags, Floats, Integers
from seqtrust.bases import UNKNOWN, Codes
from seqtrust.kmers import without_unknown


@dataclass(frozen=True)
class Segments:
    """Stretches of positions, in order of map and position; they do not overlap.

    Attributes:
        map: which map each belongs to, shape (S,), 0-based.
        first: first position, shape (S,), 0-based.
        last: last position, included, shape (S,).
    """

    map: Integers
    first: Integers
    last: Integers


def cutoffs(norms: Floats, quantile: float) -> Floats:
    """The quantile of every map's norms (N, L), linear between positions, shape (N,)."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.quantile(norms, quantile, axis=-1))


def segments_above(norms: Floats, cut: Floats, extension: tuple[int, int]) -> Segments:
    """Runs of positions strictly above their map's cutoff, extended, and joined if they overlap.

    Runs that only touch after the extension stay apart, as in the published code.

    Args:
        norms: shape (N, L); a map with NaN has no such position.
        cut: shape (N,).
        extension: positions added to the left and to the right, not beyond the map's ends.
    """
    length = norms.shape[1]
    with np.errstate(invalid="ignore"):
        above = norms > cut[:, None]
    padded = np.zeros((len(above), length + 2), dtype=np.int8)
    padded[:, 1:-1] = above
    steps = np.diff(padded, axis=1)
    row, first = np.nonzero(steps == 1)
    last = np.nonzero(steps == -1)[1] - 1
    first = np.maximum(first - extension[0], 0)
    last = np.minimum(last + extension[1], length - 1)
    opens = np.ones(len(row), dtype=bool)
    opens[1:] = (row[1:] != row[:-1]) | (first[1:] > last[:-1])
    closes = np.roll(opens, -1)
    return Segments(row[opens], first[opens], last[closes])


def kmer_starts(segments: Segments, shape: tuple[int, int], k: int) -> Flags:
    """Where a k-mer within one segment starts, shape (N, L - k + 1) of maps of shape (N, L)."""
    width = shape[1] - k + 1
    last_start = segments.last - k + 1
    long = last_start >= segments.first
    # one more column, where what began at the last start of a row ends
    steps = np.zeros(shape[0] * (width + 1), dtype=np.int8)
    rows = segments.map[long] * (width + 1)
    np.add.at(steps, rows + segments.first[long], np.int8(1))
    np.add.at(steps, rows + last_start[long] + 1, np.int8(-1))
    inside = np.cumsum(steps.reshape(shape[0], width + 1), axis=1, dtype=np.int8)
    return inside[:, :width] > 0


def kmer_numbers(codes: Codes, k: int) -> npt.NDArray[np.int32]:
    """Every k-mer as a number in base 4, first base highest; 4^k if it holds an N.

    Args:
        codes: shape (N, L).
        k: at most 12.

    Returns:
        Shape (N, L - k + 1).
    """
    width = codes.shape[1] - k + 1
    found = np.zeros((len(codes), width), dtype=np.int32)
    for offset in range(k):
        found *= 4
        found += codes[:, offset : offset + width]
    if (codes == UNKNOWN).any():
        found[~without_unknown(codes, k)] = 4**k
    return found


def merged_strands(counts: Floats) -> Floats:
    """Counts (..., 4^k), those of a k-mer and its reverse complement under the smaller number."""
    numbers = np.arange(counts.shape[-1])
    k = (len(numbers).bit_length() - 1) // 2
    partners = np.zeros_like(numbers)
    for place in range(k):
        partners = partners * 4 + 3 - (numbers >> (2 * place)) % 4
    other = np.where(partners == numbers, 0.0, counts[..., partners])
    return np.where(numbers <= partners, counts + other, 0.0)
