"""A k-mer baseline of the benchmark: trained and applied in one job, which takes seconds."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from seqtrust.bases import Codes
from seqtrust.robustness.kmer_models import KmerSettings, fit_kmer_model
from seqtrust.robustness.stated_tables import Stated
from seqtrust.robustness.world_tables import TRAIN, WorldTable


def predict_kmers(
    world: WorldTable, names: Sequence[str], settings: Mapping[str, Any], seed: int
) -> Iterator[tuple[str, Stated]]:
    """What a baseline that was trained on a world's training data states of data sets.

    Args:
        world: with its data sets.
        names: of the data sets; those that follow each other with the same sequences are
            predicted once.
        settings: fields of `KmerSettings`.
        seed: of folds and trees.
    """
    training = world.condition(TRAIN)
    model = fit_kmer_model(
        training.sequences, training.observed, KmerSettings(**settings), seed=seed
    )
    last: tuple[Codes, Stated] | None = None
    for name in names:
        codes = world.condition(name).sequences
        if last is None or not np.array_equal(last[0], codes):
            mean, variance = model.predict(codes)
            last = codes, Stated(mean, variance, np.zeros_like(variance))
        yield name, last[1]
