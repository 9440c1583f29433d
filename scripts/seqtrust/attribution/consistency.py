"""How consistent attribution maps are: two scores of Majdandzic et al. (2022).

`published` mode computes what the authors' code computes, faults included, before it rounds to
three decimals. `corrected` mode is ours.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from seqtrust.attribution.attribution_maps import CORRECTED
from seqtrust.attribution.embedding_measure import EmbeddingConsistency, EmbeddingMeasure
from seqtrust.attribution.kmer_measure import KmerConsistency, KmerMeasure


def kmer_consistency(
    attributions: npt.ArrayLike,
    sequences: npt.ArrayLike,
    k: int = 6,
    quantile: float = 0.9,
    mode: str = CORRECTED,
    *,
    centred: bool | None = None,
    prior: Sequence[float] | None = None,
    merged: bool = False,
    extension: tuple[int, int] = (0, 2),
) -> KmerConsistency:
    """Divergence of the k-mers under strong attributions from all k-mers (method 1).

    Positions whose attribution vector is longer than the map's own quantile are strong. Runs of
    them are extended and joined, and all k-mers within one run are counted. A k-mer with an N is
    left out of the counts and of the prior, and reported.

    Args:
        attributions: shape (N, L, 4), bases A, C, G, T; of all four bases, not times the input.
        sequences: base codes 0 to 4 (A, C, G, T, N) of the same maps, shape (N, L).
        k: 1 to 10.
        quantile: of the norms of one map, linear between positions.
        mode: `corrected` drops maps that are zero or hold NaN with their sequences, and takes
            away the bias; `published` lets such maps shift all later maps to wrong sequences.
        centred: subtract the mean over bases first; left out: only in corrected mode. The
            published chromatin run is centred, the published synthetic run is not.
        prior: frequencies of all 4^k k-mers; left out: those of the sequences that count.
        merged: count a k-mer and its reverse complement as one.
        extension: positions added to the left and the right of runs, (0, 2) as published. The
            score is the same on both strands if `merged` and both numbers are equal.

    Raises:
        InputError: shapes do not fit, a setting is out of range, or no map can be scored.
    """
    given = None if prior is None else tuple(np.asarray(prior, dtype=np.float64).tolist())
    measure = KmerMeasure(k, quantile, mode, centred, given, merged, extension)
    return measure.result(attributions, sequences)


def embedding_consistency(
    attributions: npt.ArrayLike,
    window: int = 3,
    fraction: float = 0.1,
    box: float = 0.1,
    neighbourhood: int = 3,
    mode: str = CORRECTED,
    *,
    isometric: bool | None = None,
) -> EmbeddingConsistency:
    """How peaked the directions of the strongest window sums of attributions are (method 2).

    Maps are centred over bases and divided by their L2,1 norm, summed over windows, and the
    longest sums of all maps together are binned by direction, weighted by squared length.

    Args:
        attributions: shape (N, L, 4), bases A, C, G, T.
        window: positions per window.
        fraction: of all windows, the longest are kept. Published: 0.10 for chromatin models, 0.99
            for synthetic ones, 0.04 in later copies of the code.
        box: side of a cell in radians, 0.01 to 1; cells of the corrected score have one area
            and this side at the equator.
        neighbourhood: boxes around, of the published score only.
        mode: `corrected` compares with the uniform distribution over cells of equal area, in
            three frames that exchange when bases do, takes away the bias, does not let windows
            wrap around, and drops maps that are zero or hold NaN; `published` compares every
            box with the mean of boxes around.
        isometric: published mode with lengths and angles kept, to see the other differences.

    Raises:
        InputError: the shape does not fit, a setting is out of range, or no map can be scored.
    """
    measure = EmbeddingMeasure(window, fraction, box, neighbourhood, mode, isometric)
    return measure.result(attributions)
