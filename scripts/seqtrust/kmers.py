"""K-mers of many sequences of one length, as numbers."""

import numpy as np
import numpy.typing as npt

from seqtrust.bases import UNKNOWN, Codes, reverse_complement

Kmers = npt.NDArray[np.uint64]


def canonical_kmers(codes: Codes, k: int) -> Kmers:
    """The smaller number of every k-mer and its reverse complement, two bits per base.

    Args:
        codes: base codes, shape (N, L); a k-mer with N gets a number that means nothing.
        k: at most 31.

    Returns:
        Shape (N, L - k + 1).
    """
    return np.minimum(_packed(codes, k), _packed(reverse_complement(codes), k)[:, ::-1])


def _packed(codes: Codes, k: int) -> Kmers:
    """Every k-mer as a number, first base highest, shape (N, L - k + 1)."""
    positions = codes.shape[1] - k + 1
    packed = np.zeros((len(codes), positions), dtype=np.uint64)
    for offset in range(k):
        packed <<= np.uint64(2)
        packed |= codes[:, offset : offset + positions] & np.uint8(3)
    return packed


def without_unknown(codes: Codes, k: int) -> npt.NDArray[np.bool_]:
    """Which k-mers hold no N, shape (N, L - k + 1)."""
    counts = np.cumsum(np.pad(codes == UNKNOWN, ((0, 0), (1, 0))), axis=1, dtype=np.int32)
    return counts[:, k:] == counts[:, :-k]
