"""A k-mer baseline of the benchmark: trained and applied in one job, which takes seconds."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from seqtrust.bases import Codes
from seqtrust.robustness.kmer_models import KmerSettings, fit_kmer_model
from seqtrust.robustness.measured_priors import prior_of
from seqtrust.robustness.stated_tables import Stated
from seqtrust.robustness.world_tables import TRAIN, WorldTable


def predict_kmers(
    world: WorldTable,
    names: Sequence[str],
    settings: Mapping[str, Any],
    seed: int,
    prior_seed: int = 0,
) -> Iterator[tuple[str, Stated]]:
    """What a baseline that was trained on a world's training data states of data sets.

    Args:
        world: with its data sets.
        names: of the data sets; those that follow each other with the same sequences are
            predicted once.
        settings: fields of `KmerSettings`, and perhaps `prior`, whose features stand beside the
            counts.
        seed: of folds and trees.
        prior_seed: of what is known of motifs.
    """
    training = world.condition(TRAIN)
    wanted = dict(settings)
    chosen = wanted.pop("prior", None)
    prior = None if chosen is None else prior_of(world, training, prior_seed, dict(chosen))
    model = fit_kmer_model(
        training.sequences,
        training.observed,
        KmerSettings(**wanted),
        seed=seed,
        groups=None if training.groups is None else training.groups.tolist(),
        beside=None if prior is None else prior.features(training),
    )
    last: tuple[Codes, Stated] | None = None
    for name in names:
        condition = world.condition(name)
        codes = condition.sequences
        if last is None or not np.array_equal(last[0], codes):
            mean, variance = model.predict(
                codes, None if prior is None else prior.features(condition)
            )
            last = codes, Stated(mean, variance, np.zeros_like(variance))
        yield name, last[1]
