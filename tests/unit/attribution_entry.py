"""An entry of attributions with known answers: maps of planted motifs, of noise, and of nothing."""

import numpy as np
from attribution_twins import planted

from seqtrust.attribution.map_tables import AttributionMaps, scorable
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow

SETTINGS = {
    "kmer": {"k": 3, "quantile": 0.9},
    "embedding": {"window": 3, "fraction": 0.1, "box": 0.2},
    "nulls": 4,
    "groups": 10,
    "sensitivity": True,
}
LOGOS = {"sequences": 2, "width": 30}
# noise of the maps of every model
NOISE = {
    ("saliency", "r1"): 0.05,
    ("saliency", "r2"): 0.2,
    ("saliency", "r3"): 30.0,
    ("ism", "r1"): 0.05,
    ("ism", "r2"): 0.05,
    ("ism", "r3"): 0.3,
}


def attribution_maps(maps, codes, track="t", converged=None):
    """Maps as they are read: centred, with the usable ones marked."""
    centred = maps - maps.mean(axis=2, keepdims=True)
    good = np.ones(len(maps), dtype=bool) if converged is None else converged
    ids = [f"s{row}" for row in range(len(maps))]
    with np.errstate(invalid="ignore"):
        usable = scorable(maps, codes) & good
    return AttributionMaps(ids, track, codes, np.zeros(len(maps)), centred, good, usable)


def entry(count=60, length=120, track="t", noise=NOISE):
    """Maps by method and replicate of the same sequences, which all hold three motifs."""
    clean, codes = planted(count, 0.0, 1, length)
    models = {}
    for number, (model, sd) in enumerate(noise.items()):
        rng = np.random.default_rng(number)
        models[model] = attribution_maps(clean + sd * rng.normal(size=clean.shape), codes, track)
    return models


def sequence_set(codes, step):
    """Windows of one contig that begin `step` bases apart, plus strand."""
    windows = [
        StoredWindow("w", "toy", "c", row * step, 0, codes.shape[1], "+", row * step, one)
        for row, one in enumerate(codes)
    ]
    return SequenceSet(windows, [Sequence(f"s{row}", row) for row in range(len(codes))])
