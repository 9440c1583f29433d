"""How much of a held-out window's sequence is also in one training window: shared k-mers.

Windows from different regions may still share sequence (repeats, paralogues, designs of one
template), and then a held-out window is not held out. The measure is containment (Broder 1997):
the fraction of a window's distinct canonical k-mers that one training window also holds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seqtrust.bases import Codes
from seqtrust.kmers import Kmers, canonical_kmers, without_unknown
from seqtrust.models.training_data import TRAIN, VALIDATION

K = 31
HELD_OUT = (VALIDATION, "test")
LARGEST_UNSUSPICIOUS = 0.5
MOST_KMERS = 2**25
_BLOCK_KMERS = 2**20
_BLOCK_MATCHES = 2**22
_BLOCK_PAIRS = 2**24

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Containment:
    """The held-out window of a split that shares most with one training window.

    Attributes:
        fraction: of the window's distinct canonical k-mers in the training window, 0 to 1.
        window: row of the held-out window.
        training_window: row of the training window; of several the first.
        without_kmers: windows of the split that have no k-mer to judge by.
    """

    fraction: float
    window: int
    training_window: int
    without_kmers: int


@dataclass(frozen=True)
class SplitOverlap:
    """Largest containment per held-out split.

    Attributes:
        k: length of the k-mers, bp.
        one_in: k-mers are a sample of one in so many, chosen by their hash; 1 means all.
        splits: per held-out split that has windows with k-mers.
    """

    k: int
    one_in: int
    splits: dict[str, Containment]

    def record(self, names: Sequence[str]) -> dict[str, Any]:
        """Plain types for a card, with names for rows; None where nothing is shared."""
        return {
            "k": self.k,
            "one_in": self.one_in,
            "splits": {
                split: asdict(largest)
                | {
                    name: names[getattr(largest, name)] if largest.fraction else None
                    for name in ("window", "training_window")
                }
                for split, largest in self.splits.items()
            },
        }

    def lines(self, names: Sequence[str]) -> list[str]:
        """A sentence per held-out split."""
        return [
            f"{split}: {self._sentence(largest, names)}; {largest.without_kmers} windows have none "
            "to judge by"
            for split, largest in self.splits.items()
        ]

    def _sentence(self, largest: Containment, names: Sequence[str]) -> str:
        sample = "" if self.one_in == 1 else f", judged by one in {self.one_in}"
        if not largest.fraction:
            return f"no window shares a {self.k}-mer with a training window{sample}"
        return (
            f"at most {largest.fraction:.1%} of a window's {self.k}-mers are in one training "
            f"window ({names[largest.window]} in {names[largest.training_window]}{sample})"
        )

    def suspicious(self) -> list[str]:
        """Splits whose largest containment is above a half."""
        return [
            split
            for split, largest in self.splits.items()
            if largest.fraction > LARGEST_UNSUSPICIOUS
        ]


def split_overlap(codes: Codes, splits: Sequence[str]) -> SplitOverlap:
    """Largest containment of held-out windows in training windows.

    k is 31, or half the length of windows shorter than 62 bp. K-mers with N do not count. Above
    `MOST_KMERS` of them, a sample of k-mers is compared, the same for all windows.

    Args:
        codes: base codes uint8, shape (N, L).
        splits: N names; those of training and of `HELD_OUT` matter.
    """
    k = min(K, max(1, codes.shape[1] // 2))
    rows = {split: np.flatnonzero(np.array(splits) == split) for split in (TRAIN, *HELD_OUT)}
    positions = codes.shape[1] - k + 1
    one_in = max(1, -(-sum(map(len, rows.values())) * positions // MOST_KMERS))
    training = _Index.of_windows(codes, rows[TRAIN], k, one_in)
    found = {split: training.largest_containment(codes, rows[split]) for split in HELD_OUT}
    return SplitOverlap(k, one_in, {split: one for split, one in found.items() if one is not None})


@dataclass(frozen=True)
class _Index:
    """Distinct k-mers of training windows, sorted, with the window of each.

    Attributes:
        kmers: shape (M,); a k-mer of several windows stands once for each.
        windows: place among the training windows, shape (M,), rising within a k-mer.
        rows: rows of the training windows.
        k: length of the k-mers.
        one_in: size of the sample.
    """

    kmers: Kmers
    windows: npt.NDArray[np.int32]
    rows: Indices
    k: int
    one_in: int

    @classmethod
    def of_windows(cls, codes: Codes, rows: Indices, k: int, one_in: int) -> "_Index":
        blocks = list(_distinct_kmers(codes, rows, k, one_in, len(rows)))
        kmers = np.concatenate([kmers for kmers, _ in blocks] or [np.empty(0, np.uint64)])
        places = [place.astype(np.int32) for _, place in blocks]
        windows = np.concatenate(places or [np.empty(0, np.int32)])
        del blocks, places
        order = np.argsort(kmers, kind="stable")
        return cls(kmers[order], windows[order], rows, k, one_in)

    def largest_containment(self, codes: Codes, rows: Indices) -> Containment | None:
        """Of windows `rows`; None where none has a k-mer, or there is no training window."""
        if not len(self.rows):
            return None
        largest, best, training, judged = -1.0, 0, 0, 0
        most = max(1, _BLOCK_PAIRS // max(1, len(self.rows)))
        for kmers, places in _distinct_kmers(codes, rows, self.k, self.one_in, most):
            present, local, sizes = np.unique(places, return_inverse=True, return_counts=True)
            judged += len(present)
            shared = self._shared(kmers, local, len(present)) / sizes[:, None]
            place, window = np.unravel_index(int(shared.argmax()), shared.shape)
            if shared[place, window] > largest:
                largest = float(shared[place, window])
                best, training = int(rows[present[place]]), int(self.rows[window])
        if largest < 0:
            return None
        return Containment(largest, best, training, len(rows) - judged)

    def _shared(self, kmers: Kmers, places: Indices, count: int) -> npt.NDArray[np.int64]:
        """K-mers that each of `count` windows shares with each training window."""
        shared = np.zeros(count * len(self.rows), dtype=np.int64)
        first = np.searchsorted(self.kmers, kmers, "left")
        matches = np.searchsorted(self.kmers, kmers, "right") - first
        # constant arms of a library are in every window: no need to list their pairs
        everywhere = matches == len(self.rows)
        constant = np.bincount(places[everywhere], minlength=count)
        hit = np.flatnonzero((matches > 0) & ~everywhere)
        # blocks of bounded size: one k-mer of a repeat matches many windows
        blocks = np.cumsum(matches[hit]) // _BLOCK_MATCHES
        for part in np.split(hit, np.flatnonzero(np.diff(blocks)) + 1):
            repeats = matches[part]
            starts = np.cumsum(repeats) - repeats
            at = np.arange(repeats.sum()) + np.repeat(first[part] - starts, repeats)
            pairs = np.repeat(places[part] * len(self.rows), repeats) + self.windows[at]
            shared += np.bincount(pairs, minlength=len(shared))
        return shared.reshape(count, len(self.rows)) + constant[:, None]


def _distinct_kmers(
    codes: Codes, rows: Indices, k: int, one_in: int, most: int
) -> Iterator[tuple[Kmers, Indices]]:
    """Distinct canonical k-mers with their window's place in `rows`, at most `most` at a time."""
    windows = max(1, min(most, _BLOCK_KMERS // (codes.shape[1] - k + 1)))
    for start in range(0, len(rows), windows):
        block = codes[rows[start : start + windows]]
        kmers = canonical_kmers(block, k)
        kept = without_unknown(block, k)
        if one_in > 1:
            kept &= _hashed(kmers) % np.uint64(one_in) == 0
        places = np.broadcast_to(np.arange(len(block))[:, None], kmers.shape)[kept]
        kmers = kmers[kept]
        order = np.lexsort((kmers, places))
        kmers, places = kmers[order], places[order]
        new = np.ones(len(kmers), dtype=bool)
        new[1:] = (kmers[1:] != kmers[:-1]) | (places[1:] != places[:-1])
        if new.any():
            yield kmers[new], places[new] + start


def _hashed(kmers: Kmers) -> Kmers:
    """Numbers spread evenly over 64 bits (the finaliser of splitmix64; Steele et al. 2014)."""
    mixed = kmers ^ (kmers >> np.uint64(30))
    mixed = mixed * np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed = mixed * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
