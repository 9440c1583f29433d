"""Predictions of a network of the benchmark for the data sets of a world."""

from collections.abc import Iterator, Sequence
from copy import deepcopy

import numpy as np
import numpy.typing as npt

from seqtrust.bases import Codes
from seqtrust.models.facts import ALEATORIC, ALL_VARIANCE, EPISTEMIC
from seqtrust.models.fixed_dropout import fix_masks
from seqtrust.models.model import Model, torch_threads
from seqtrust.robustness.benchmark_training import (
    KNOWN_NOISE,
    STUDENT,
    TARGET,
    known_features,
    known_variance,
)
from seqtrust.robustness.stated_tables import Stated, mixed
from seqtrust.robustness.world_tables import WorldTable
from seqtrust.sources.seeds import named_generator

Floats = npt.NDArray[np.float64]

_ROWS = 512


def predict_world(
    model: Model,
    world: WorldTable,
    names: Sequence[str],
    *,
    threads: int,
    device: str,
    masks: int = 0,
    seed: int = 0,
) -> Iterator[tuple[str, Stated]]:
    """What a replicate states of data sets, in units of the measurements.

    Data sets that follow each other with the same inputs are predicted once: an input-only model
    cannot tell them apart.

    Args:
        model: from `train_network`.
        world: with its data sets.
        names: of the data sets.
        threads: of torch.
        device: `cpu` or `cuda`.
        masks: 0, or number of dropout masks whose networks are mixed (Gal and Ghahramani 2016).
        seed: of the masks.
    """
    networks = _masked(model, masks, seed) if masks else [model]
    last: tuple[Codes, Floats | None, Stated] | None = None
    with torch_threads(threads):
        for network in networks:
            network.to(device)
        for name in names:
            condition = world.condition(name)
            features = known_features(model, condition)
            if last is None or not _same(last[:2], (condition.sequences, features)):
                members = [
                    {name: stated(network, condition.sequences, features)} for network in networks
                ]
                found = mixed(members)[name] if masks else members[0][name]
                last = condition.sequences, features, found
            found = last[2]
            if model.record[KNOWN_NOISE]:
                variance = known_variance(condition)
                found = Stated(found.mean, variance, found.aleatoric + found.epistemic)
            yield name, found


def stated(model: Model, codes: Codes, features: Floats | None = None) -> Stated:
    """What a replicate states of sequences.

    Args:
        model: from `train_network`, on its device.
        codes: base codes, uint8 (N, L).
        features: what it reads beside them, shape (N, F).
    """
    read = None if features is None else features[:, None].astype(np.float32)
    parts = []
    for first in range(0, len(codes), _ROWS):
        mine = slice(first, first + _ROWS)
        parts.append(model.predict(codes[mine], None if read is None else read[mine]).cpu().numpy())
    values = np.concatenate(parts)[:, 0].astype(np.float64)
    places = {
        track.variance_part: index
        for index, track in enumerate(model.facts.tracks)
        if track.variance_of is not None
    }
    target = model.record[TARGET]
    mean = target["centre"] + target["scale"] * values[:, 0]
    variances = {
        part: target["scale"] ** 2 * np.exp(values[:, index]) for part, index in places.items()
    }
    nothing = np.zeros_like(mean)
    if EPISTEMIC in variances:
        return Stated(mean, variances[ALEATORIC], variances[EPISTEMIC])
    if model.record[STUDENT] == EPISTEMIC:
        return Stated(mean, nothing, variances[ALL_VARIANCE])
    return Stated(mean, variances[ALL_VARIANCE], nothing)


def _masked(model: Model, masks: int, seed: int) -> list[Model]:
    networks = []
    for index in range(masks):
        module = deepcopy(model.module)
        fix_masks(module, int(named_generator(seed, "mask", str(index)).integers(1 << 31)))
        networks.append(
            Model(module, model.facts, model.architecture, model.parameters, model.record)
        )
    return networks


def _same(first: tuple[Codes, Floats | None], second: tuple[Codes, Floats | None]) -> bool:
    if not np.array_equal(first[0], second[0]):
        return False
    if first[1] is None or second[1] is None:
        return True
    return np.array_equal(first[1], second[1])
