"""What a cell reads in a sequence: site occupancies, counts, pairs and GC content."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqtrust.bases import Codes
from seqtrust.errors import InputError
from seqtrust.motifs import Motif
from seqtrust.robustness.checks import refuse_outside
from seqtrust.robustness.sequences import gc_content
from seqtrust.simulation import site_bits

Floats = npt.NDArray[np.float64]

GC_CENTRE = 0.45

# bases that are scanned at a time, to bound memory
_SCAN_BASES = 1 << 19


@dataclass(frozen=True)
class Readout:
    """From bases to terms; the mean activity of a cell type is linear in them.

    A site is occupied by sigmoid((bits - threshold x largest bits) / softness), where bits are
    those of the better strand. Occupancies o of a motif's sites make its feature
    h = 1 - prod(1 - o) + count_weight x ln(1 + sum(o)): presence and a saturating count.

    Attributes:
        motifs: K motifs.
        pairs: indices of motifs that interact; their term is h_a h_b.
        threshold: share of a motif's largest bits at which a site is half occupied.
        softness: bits.
        count_weight: of the count.
        spacing: with a number of bp, h_a h_b is multiplied by the largest product of occupancies
            of two sites whose centres are no further apart.

    Raises:
        InputError: a value makes no sense.
    """

    motifs: tuple[Motif, ...]
    pairs: tuple[tuple[int, int], ...] = ()
    threshold: float = 0.70
    softness: float = 1.0
    count_weight: float = 0.3
    spacing: int | None = None

    def __post_init__(self) -> None:
        refuse_outside("readout", "threshold", self.threshold, 0, 1)
        refuse_outside("readout", "softness", self.softness, 1e-6, np.inf)
        refuse_outside("readout", "count_weight", self.count_weight, 0, np.inf)
        if self.spacing is not None:
            refuse_outside("readout", "spacing", self.spacing, 0, np.inf)
        for a, b in self.pairs:
            if a == b or not {a, b} <= set(range(len(self.motifs))):
                raise InputError(
                    f"readout: pair ({a}, {b}) must name two of the motifs 0 to "
                    f"{len(self.motifs) - 1}"
                )

    @property
    def size(self) -> int:
        """Number of terms: K features, the pairs, and GC content."""
        return len(self.motifs) + len(self.pairs) + 1

    def terms(self, codes: Codes) -> Floats:
        """Terms of sequences, shape (N, K + pairs + 1): features, pairs, GC content - .45.

        Args:
            codes: base codes, shape (N, L); a site with an N is empty.

        Raises:
            InputError: sequences are shorter than a motif.
        """
        widest = max(motif.width for motif in self.motifs)
        if codes.shape[1] < widest:
            raise InputError(
                f"sequences of {codes.shape[1]} bp are shorter than a motif of {widest} columns"
            )
        found = np.empty((len(codes), self.size))
        step = max(1, _SCAN_BASES // codes.shape[1])
        for first in range(0, len(codes), step):
            part = slice(first, first + step)
            self._fill(found[part], codes[part])
        return found

    def _fill(self, found: Floats, codes: Codes) -> None:
        near = {index for pair in self.pairs for index in pair} if self.spacing is not None else ()
        sites: dict[int, Floats] = {}
        for index, bits in enumerate(site_bits(codes, self.motifs)):
            half = self.threshold * self.motifs[index].bits.max(axis=1).sum()
            empty = _emptiness((bits.max(axis=0) - half) / self.softness)
            total = empty.shape[1] - empty.sum(axis=1)
            found[:, index] = 1 - empty.prod(axis=1) + self.count_weight * np.log1p(total)
            if index in near:
                sites[index] = 1 - empty
        for column, (a, b) in enumerate(self.pairs, start=len(self.motifs)):
            found[:, column] = found[:, a] * found[:, b]
            if self.spacing is not None:
                shift = (self.motifs[a].width - self.motifs[b].width) / 2
                found[:, column] *= nearest_product(sites[a], sites[b], self.spacing, shift)
        found[:, -1] = gc_content(codes) - GC_CENTRE


def _emptiness(excess: Floats) -> Floats:
    """1 - sigmoid(excess), in place."""
    with np.errstate(over="ignore"):
        np.exp(excess, out=excess)
    excess += 1
    return np.reciprocal(excess, out=excess)


def nearest_product(first: Floats, second: Floats, spacing: int, shift: float) -> Floats:
    """Largest product of the occupancies of two sites that are near each other, shape (N,).

    Args:
        first: occupancies at first bases of sites, shape (N, P).
        second: of the other motif, shape (N, Q).
        spacing: largest distance of centres, bp.
        shift: half of the first motif's width minus that of the second.
    """
    best = np.zeros(len(first))
    size, other = first.shape[1], second.shape[1]
    for offset in range(int(np.ceil(shift - spacing)), int(np.floor(shift + spacing)) + 1):
        low, high = max(0, -offset), min(size, other - offset)
        if low < high:
            product = first[:, low:high] * second[:, low + offset : high + offset]
            np.maximum(best, product.max(axis=1), out=best)
    return best


def drawn_pairs(rng: np.random.Generator, motifs: int, number: int) -> tuple[tuple[int, int], ...]:
    """Different pairs of motifs.

    Raises:
        InputError: there are not so many.
    """
    every = [(a, b) for a in range(motifs) for b in range(a + 1, motifs)]
    if number > len(every):
        raise InputError(
            f"world: {number} pairs of {motifs} motifs, there are {len(every)}: ask for fewer "
            "pairs or more motifs"
        )
    return tuple(every[index] for index in rng.permutation(len(every))[:number].tolist())


def drifted(
    motifs: Sequence[Motif], fraction: float, rng: np.random.Generator
) -> tuple[Motif, ...]:
    """Motifs some of whose columns name other bases: every base of such a column moves.

    Columns are taken in an order that is drawn once, so that a smaller fraction of the same
    generator changes a subset of the columns in the same way.

    Args:
        motifs: to change.
        fraction: of the columns of all motifs together, rounded to a whole number.
        rng: of the order and the permutations.
    """
    refuse_outside("drift", "fraction", fraction, 0, 1)
    owners = np.repeat(np.arange(len(motifs)), [motif.width for motif in motifs])
    places = np.concatenate([np.arange(motif.width) for motif in motifs])
    columns = [motif.probabilities for motif in motifs]
    for column in rng.permutation(len(owners))[: round(fraction * len(owners))].tolist():
        rows = columns[owners[column]]
        rows[places[column]] = rows[places[column], _derangement(rng)]
    return tuple(
        Motif(motif.name, tuple(map(tuple, rows.tolist())))
        for motif, rows in zip(motifs, columns, strict=True)
    )


def _derangement(rng: np.random.Generator) -> npt.NDArray[np.int64]:
    while True:
        drawn = rng.permutation(4)
        if not (drawn == np.arange(4)).any():
            return drawn
