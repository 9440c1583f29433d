"""Time of the consistency scores of attribution maps, and the size of the published faults.

    OMP_NUM_THREADS=1 PYTHONPATH=scripts python tests/benchmark/consistency.py

CPU time of one process, the median and the best of several turns, on 2,000 maps of 2,048 positions.
The loops are the twins of the unit tests on few maps, scaled by the number of positions.
"""

import sys
import time
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import numpy as np

from seqtrust.attribution.consistency import embedding_consistency, kmer_consistency
from seqtrust.attribution.consistency_intervals import score_interval
from seqtrust.attribution.consistency_nulls import pairing_null, position_null
from seqtrust.attribution.embedding_measure import EmbeddingMeasure
from seqtrust.attribution.kmer_measure import KmerMeasure

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from attribution_twins import (
    corrected_embedding_twin,
    iid,
    kmer_twin,
    planted,
    published_embedding_twin,
)

MAPS, LENGTH = 2000, 2048
LOOP_MAPS = 20
MODES = ("published", "corrected")


def seconds(work: Callable[[], object], turns: int) -> tuple[float, float]:
    """Median and best CPU time."""
    found = []
    for _ in range(turns):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return float(np.median(found)), min(found)


def speed() -> None:
    """Times of both scores, nulls and intervals."""
    maps, sequences = iid(MAPS, 1, LENGTH)
    few, letters = maps[:LOOP_MAPS], sequences[:LOOP_MAPS]
    scale = MAPS / LOOP_MAPS
    print("| what | median s | best s | loops s | times faster |\n|---|---|---|---|---|")
    for mode in MODES:
        work = {
            f"k-mer score, {mode}": (
                lambda mode=mode: kmer_consistency(maps, sequences, mode=mode),
                lambda mode=mode: kmer_twin(few, letters, 6, 0.9, mode),
            ),
            f"embedding score, {mode}": (
                lambda mode=mode: embedding_consistency(maps, mode=mode),
                (lambda: published_embedding_twin(few, 3, 0.1, 0.1, 3))
                if mode == "published"
                else (lambda: corrected_embedding_twin(few, 3, 0.1, 0.1)),
            ),
        }
        for name, (fast, slow) in work.items():
            median, best = seconds(fast, 9)
            loops = seconds(slow, 1)[0] * scale
            print(f"| {name} | {median:.2f} | {best:.2f} | {loops:.0f} | {loops / median:.0f} |")
    kmers, vectors = KmerMeasure(), EmbeddingMeasure()
    rest = {
        "pairing null, 10 rounds": lambda: pairing_null(kmers, maps, sequences, 10),
        "position null, 10 rounds": lambda: position_null(vectors, maps, rounds=10),
        "k-mer score, jackknife of 20 groups": lambda: score_interval(kmers, maps, sequences),
        "embedding score, jackknife of 20 groups": lambda: score_interval(vectors, maps),
    }
    for name, fast in rest.items():
        median, best = seconds(fast, 3)
        print(f"| {name} | {median:.2f} | {best:.2f} | | |")


def faults() -> None:
    """What the published scores give where the corrected ones are known."""
    maps = iid(2000, 1)[0]
    for fraction in (0.1, 0.99):
        values = [published(maps, fraction, isometric) for isometric in (False, True)]
        own = embedding_consistency(maps, fraction=fraction).score
        print(f"no signal, fraction {fraction}: published {values[0]:.3f}, "
              f"isometric {values[1]:.3f}, corrected {own:.4f}")  # fmt: skip
    for count in (20, 100, 500, 2000):
        maps = iid(count, 2)[0]
        found = embedding_consistency(maps)
        print(f"no signal, {found.vectors} vectors: published {published(maps):.3f}, isometric "
              f"{published(maps, 0.1, True):.3f}, corrected {found.score:.4f}")  # fmt: skip
    print("| noise | published | isometric | corrected | excess | k-mer | k-mer excess | k-mers |")
    for noise in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6):
        maps, sequences = planted(2000, noise, 1)
        null = position_null(EmbeddingMeasure(), maps, rounds=5)
        pairs = pairing_null(KmerMeasure(), maps, sequences, rounds=5)
        kmers = kmer_consistency(maps, sequences).kmers
        print(f"| {noise} | {published(maps):.3f} | {published(maps, 0.1, True):.3f} | "
              f"{null.observed:.3f} | {null.excess:.3f} | {pairs.observed:.3f} | "
              f"{pairs.excess:.3f} | {kmers:,} |")  # fmt: skip
    maps = planted(500, 0.15, 1)[0]
    for name, score in {
        "published": lambda m: published(m),
        "isometric": lambda m: published(m, 0.1, True),
        "corrected": lambda m: embedding_consistency(m).score,
    }.items():
        values = [score(maps[..., list(order)]) for order in permutations(range(4))]
        print(f"24 orders of the bases, {name}: {min(values):.3f} to {max(values):.3f}; other "
              f"strand {score(maps[:, ::-1, ::-1]):.3f} after {score(maps):.3f}")  # fmt: skip
    maps, sequences = planted(2000, 0.05, 4)
    maps[0] = 0
    broken, mended = (kmer_consistency(maps, sequences, mode=mode).score for mode in MODES)
    print(f"first map zero, k-mer score: published {broken:.3f}, corrected {mended:.3f}")


def published(maps: np.ndarray, fraction: float = 0.1, isometric: bool = False) -> float:
    """The published embedding score."""
    return embedding_consistency(
        maps, fraction=fraction, mode="published", isometric=isometric
    ).score


if __name__ == "__main__":
    speed()
    faults()
