"""The k-mer score: which k-mers lie under the strongest attributions, against all k-mers."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqtrust.attribution.attribution_maps import (
    CORRECTED,
    PUBLISHED,
    Flags,
    Floats,
    Integers,
    checked_maps,
    checked_mode,
    checked_sequences,
    require_usable,
)
from seqtrust.attribution.divergence import divergence
from seqtrust.attribution.embedding import centred_norms
from seqtrust.attribution.kmer_spectrum import (
    cutoffs,
    kmer_numbers,
    kmer_starts,
    merged_strands,
    segments_above,
)
from seqtrust.attribution.measures import Tally, Values, corrected_values
from seqtrust.bases import Codes
from seqtrust.errors import InputError

_LARGEST_K = 10


@dataclass(frozen=True)
class KmerConsistency:
    """The k-mer score of one set of attribution maps.

    Attributes:
        score: `divergence` minus `bias`, in nats; infinite if the prior lacks a k-mer that is
            used, NaN if there is no k-mer.
        divergence: of `spectrum` from `prior`, in nats.
        bias: (K - 1) / 2n of n k-mers of K kinds; 0 in published mode.
        spectrum: share of every k-mer under strong attributions, shape (4^k,), A, C, G, T = 0..3,
            first base highest.
        prior: share of every k-mer in the sequences, or the prior that was given.
        kmers: number of k-mers counted in `spectrum`.
        segments: number of stretches of strong positions, short ones included.
        unknown: k-mers left out because they hold an N.
        dropped: maps without a score (corrected) or without a strong position (published).
        mispaired: maps read with another map's sequence; 0 in corrected mode.
    """

    score: float
    divergence: float
    bias: float
    spectrum: Floats
    prior: Floats
    kmers: int
    segments: int
    unknown: int
    dropped: Integers
    mispaired: int


@dataclass(frozen=True)
class StrongKmers:
    """The k-mers under strong attributions.

    Attributes:
        map: map of each, shape (n,), 0-based.
        place: position where it starts, shape (n,).
        partner: whose sequence every map is read with, shape (N,).
        numbers: k-mers of all sequences, 4^k for one with N, shape (N, L - k + 1).
        kept: maps and sequences that count, shape (N,).
        dropped: maps that do not, in ascending order.
        segments: number of stretches.
        mispaired: maps with a strong position and another map's sequence.
    """

    map: Integers
    place: Integers
    partner: Integers
    numbers: npt.NDArray[np.int32]
    kept: Flags
    dropped: Integers
    segments: int
    mispaired: int

    def read(self, partner: Integers) -> npt.NDArray[np.int32]:
        """The k-mers when every map is read with the sequence of another."""
        return self.numbers[partner[self.map], self.place]


@dataclass(frozen=True)
class KmerMeasure:
    """Settings of the k-mer score; see `seqtrust.attribution.consistency.kmer_consistency`."""

    k: int = 6
    quantile: float = 0.9
    mode: str = CORRECTED
    centred: bool | None = None
    prior: tuple[float, ...] | None = None
    merged: bool = False
    extension: tuple[int, int] = (0, 2)

    def __post_init__(self) -> None:
        checked_mode(self.mode)
        if not 1 <= self.k <= _LARGEST_K:
            raise InputError(f"k is {self.k}, expected 1 to {_LARGEST_K}")
        if not 0 <= self.quantile < 1:
            raise InputError(f"quantile is {self.quantile}, expected at least 0 and below 1")
        if min(self.extension) < 0:
            raise InputError(f"extension is {self.extension}, expected no negative number")
        if self.prior is not None:
            given = np.asarray(self.prior)
            if given.shape != (4**self.k,) or not (given >= 0).all() or not given.sum() > 0:
                raise InputError(
                    f"the prior has shape {given.shape} and sum {given.sum():g}, expected "
                    f"4^k = {4**self.k} numbers, none negative, not all 0"
                )

    @property
    def label(self) -> str:
        """Name and settings."""
        return f"k-mer k={self.k} quantile={self.quantile:g} {self.mode}"

    def scorable(self, maps: Floats) -> Flags:
        """Which maps have a score, shape (N,)."""
        return centred_norms(maps)[1]

    def strong_kmers(
        self, attributions: npt.ArrayLike, sequences: npt.ArrayLike | None
    ) -> StrongKmers:
        """The k-mers under strong attributions, and the sequences that they are read from."""
        maps = checked_maps(attributions)
        if sequences is None:
            raise InputError("the k-mer score needs the sequences of the attribution maps")
        if maps.shape[1] < self.k:
            raise InputError(f"maps of {maps.shape[1]} positions are shorter than k = {self.k}")
        codes = checked_sequences(sequences, maps)
        published = self.mode == PUBLISHED
        is_centred = not published if self.centred is None else self.centred
        norms, kept = centred_norms(maps)
        if published or not is_centred:
            with np.errstate(invalid="ignore"):
                # by the letter: constants must leave exact zeros where they do as published
                own = maps - maps.mean(axis=2, keepdims=True) if is_centred else maps
            norms = np.sqrt(np.einsum("nlc,nlc->nl", own, own))
        require_usable(kept)
        if not published:
            norms[~kept] = 0.0
        found = segments_above(norms, cutoffs(norms, self.quantile), self.extension)
        partner = np.arange(len(maps))
        dropped, mispaired = np.flatnonzero(~kept), 0
        if published:
            # maps without a strong position fall out of the list, their sequences do not
            with_segments = np.unique(found.map)
            partner[with_segments] = np.arange(len(with_segments))
            mispaired = int((partner[with_segments] != with_segments).sum())
            dropped = np.setdiff1d(np.arange(len(maps)), with_segments)
            kept = np.ones(len(maps), dtype=bool)
        row, place = np.nonzero(kmer_starts(found, norms.shape, self.k))
        numbers = kmer_numbers(codes, self.k)
        segments = len(found.map)
        return StrongKmers(row, place, partner, numbers, kept, dropped, segments, mispaired)

    def counts(self, numbers: npt.NDArray[np.int32], groups: Integers, count: int) -> Floats:
        """Counts of k-mers per group without those with N, shape (G, 4^k).

        Args:
            numbers: shape (n,).
            groups: of each, shape (n,).
            count: number of groups.
        """
        cells = 4**self.k + 1
        flat = numbers + groups * cells if count > 1 else numbers
        found = np.bincount(flat, minlength=count * cells).reshape(count, cells)[:, :-1]
        counts = found.astype(np.float64)
        return merged_strands(counts) if self.merged else counts

    def prior_counts(self, strong: StrongKmers, groups: Integers, count: int) -> Floats:
        """Counts of all k-mers of the sequences that count, per group, or the prior given."""
        if self.prior is not None:
            given = np.asarray(self.prior, dtype=np.float64)[None]
            return merged_strands(given) if self.merged else given
        numbers = strong.numbers[strong.kept] if not strong.kept.all() else strong.numbers
        own = np.repeat(groups[strong.kept], numbers.shape[1]) if count > 1 else groups
        return self.counts(numbers.reshape(-1), own, count)

    def tally(self, maps: Floats, sequences: Codes | None, groups: Integers) -> Tally:
        """K-mers per group of maps, read as the mode says."""
        return self.tally_of(self.strong_kmers(maps, sequences), groups)

    def tally_of(
        self, strong: StrongKmers, groups: Integers, partner: Integers | None = None
    ) -> Tally:
        """K-mers per group of maps that are read with the sequences of `partner`."""
        count = int(groups.max()) + 1
        numbers = strong.read(strong.partner if partner is None else partner)
        weights = self.counts(numbers, groups[strong.map], count)[:, None]
        prior = self.prior_counts(strong, groups, count)
        evaluate = corrected_values if self.mode == CORRECTED else _published_values
        return Tally(weights, weights.sum(axis=(1, 2)), prior, evaluate)

    def result(
        self, attributions: npt.ArrayLike, sequences: npt.ArrayLike | None
    ) -> KmerConsistency:
        """The score with what figures need."""
        strong = self.strong_kmers(attributions, sequences)
        tally = self.tally_of(strong, np.zeros(len(strong.kept), dtype=np.int64))
        values = tally.values([[1.0]])
        counts = tally.weights[0, 0]
        total, prior = int(counts.sum()), tally.prior[0]
        return KmerConsistency(
            score=float(values.score[0]),
            divergence=float(values.divergence[0]),
            bias=float(values.bias[0]),
            spectrum=counts / max(total, 1),
            # nothing to divide by where every k-mer holds an N
            prior=prior / (prior.sum() or 1.0),
            kmers=total,
            segments=strong.segments,
            unknown=len(strong.map) - total,
            dropped=strong.dropped,
            mispaired=strong.mispaired,
        )

    def score(self, maps: Floats, sequences: Codes | None) -> float:
        """The score of all maps."""
        return self.result(maps, sequences).score


def _published_values(weights: Floats, squares: Floats, prior: Floats) -> Values:
    """The divergence without a correction; squares are not read."""
    raw = divergence(weights[..., 0, :], prior)
    return Values(raw, raw, np.zeros_like(raw))
