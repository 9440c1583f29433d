"""What a consistency score would be if maps knew nothing of windows, or of their sequences."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqtrust.attribution.attribution_maps import Floats, Integers, checked_maps, checked_sequences
from seqtrust.attribution.kmer_measure import KmerMeasure
from seqtrust.attribution.measures import Measure
from seqtrust.errors import InputError


@dataclass(frozen=True)
class AgainstNull:
    """A score beside its values under permutation.

    Attributes:
        observed: the score of the maps as they are, in nats.
        null: scores of permuted maps, shape (R,).
    """

    observed: float
    null: Floats

    @property
    def mean(self) -> float:
        """Mean of the null."""
        return float(self.null.mean())

    @property
    def sd(self) -> float:
        """Standard deviation of the null, ddof 1."""
        return float(self.null.std(ddof=1))

    @property
    def excess(self) -> float:
        """Observed minus the mean of the null."""
        return self.observed - self.mean

    @property
    def z(self) -> float:
        """Excess over the null's standard deviation; infinite or NaN if that is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.float64(self.excess) / self.sd)

    @property
    def p(self) -> float:
        """One-sided permutation p-value, (1 + nulls that reach the observed) / (1 + R)."""
        return float((1 + (self.null >= self.observed).sum()) / (1 + len(self.null)))


def position_null(
    measure: Measure,
    attributions: npt.ArrayLike,
    sequences: npt.ArrayLike | None = None,
    rounds: int = 20,
    seed: int = 1,
) -> AgainstNull:
    """Scores after shuffling the positions within every map; vectors of positions stay whole.

    What is left is the preference for single bases. The excess is what windows share: motifs.

    Args:
        measure: settings of a score.
        attributions: shape (N, L, 4).
        sequences: base codes (N, L), not shuffled; only for the k-mer score.
        rounds: at least 2.
        seed: of the shuffles.

    Raises:
        InputError: too few rounds, or what the score refuses.
    """
    _require_rounds(rounds)
    maps = checked_maps(attributions)
    codes = None if sequences is None else checked_sequences(sequences, maps)
    observed = measure.score(maps, codes)
    rng = np.random.default_rng(seed)
    vectors = maps.reshape(-1, 4)
    places = np.arange(len(vectors)).reshape(maps.shape[:2])
    null = np.empty(rounds)
    for number in range(rounds):
        rng.permuted(places, axis=1, out=places)
        null[number] = measure.score(np.take(vectors, places, axis=0), codes)
    return AgainstNull(observed, null)


def pairing_null(
    measure: KmerMeasure,
    attributions: npt.ArrayLike,
    sequences: npt.ArrayLike,
    rounds: int = 20,
    seed: int = 1,
) -> AgainstNull:
    """Scores after reading every map with another map's sequence.

    Strong positions and the prior stay; what is left is the sampling of k-mers.

    Args:
        measure: settings of the k-mer score.
        attributions: shape (N, L, 4).
        sequences: base codes (N, L).
        rounds: at least 2.
        seed: of the pairings.

    Raises:
        InputError: too few rounds, fewer than two maps, or what the score refuses.
    """
    _require_rounds(rounds)
    strong = measure.strong_kmers(attributions, sequences)
    kept = np.flatnonzero(strong.kept)
    if len(kept) < 2:
        raise InputError("one map cannot be read with another's sequence: give at least two")
    one = np.zeros(len(strong.kept), dtype=np.int64)
    observed = measure.tally_of(strong, one).values([[1.0]]).score[0]
    rng = np.random.default_rng(seed)
    null = np.empty(rounds)
    for number in range(rounds):
        partner = another(kept, len(strong.kept), rng)
        null[number] = measure.tally_of(strong, one, partner).values([[1.0]]).score[0]
    return AgainstNull(float(observed), null)


def another(kept: Integers, count: int, rng: np.random.Generator) -> Integers:
    """A partner for every kept map that is another kept map, each once, shape (count,)."""
    partner = np.arange(count)
    order = rng.permutation(kept)
    partner[order] = np.roll(order, 1)
    return partner


def _require_rounds(rounds: int) -> None:
    if rounds < 2:
        raise InputError(f"rounds is {rounds}, expected at least 2")
