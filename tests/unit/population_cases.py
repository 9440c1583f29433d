"""Populations by construction: maps are the truth plus noise of a known size per model."""

import numpy as np
import pandas as pd

from seqtrust.attribution.ground_truth import true_maps
from seqtrust.attribution.map_tables import AttributionMaps, corrected_maps
from seqtrust.attribution.model_scores import (
    Settings,
    complete_rows,
    consistency_columns,
    joined,
    truth_columns,
)

MOTIFS = (
    np.array([0, 0, 3, 2, 0, 1, 2, 1]),
    np.array([1, 1, 2, 2, 0, 0, 2, 3]),
)
SETTINGS = Settings(
    "auroc",
    {
        "kmer": {"k": 4, "quantile": 0.9},
        "embedding": {"window": 3, "fraction": 0.1, "box": 0.2},
        "nulls": 4,
        "groups": 5,
    },
    1,
)


def grammar(count, length=80, seed=0):
    """Sequences with one to two motifs, and the PWM of each."""
    rng = np.random.default_rng(seed)
    pwms = np.full((count, length, 4), 0.25)
    for row in range(count):
        for start in (int(rng.integers(2, 30)), int(rng.integers(50, 70))):
            motif = MOTIFS[rng.integers(2)]
            pwms[row, start : start + 8] = 0.02
            pwms[row, np.arange(start, start + 8), motif] = 0.94
    draws = rng.random((count, length, 1))
    codes = (draws > np.cumsum(pwms, axis=2)).sum(axis=2).clip(0, 3).astype(np.uint8)
    return codes, pwms


def as_maps(maps, codes):
    """Maps with names, all usable."""
    flags = np.ones(len(maps), dtype=bool)
    ids = [f"s{row}" for row in range(len(maps))]
    centred = corrected_maps(maps, codes)
    return AttributionMaps(ids, "label", codes, np.zeros(len(maps)), centred, flags, flags)


def model(maps_of, generalisation, about, sequences=(200, 150)):
    """A row of a model whose maps `maps_of(codes, pwms, rng)` makes, and its values."""
    codes, pwms = grammar(sequences[0], seed=10)
    judged_codes, judged_pwms = grammar(sequences[1], seed=20)
    rng = np.random.default_rng(about.get("seed", 0))
    own = as_maps(maps_of(codes, pwms, rng), codes)
    judged = as_maps(maps_of(judged_codes, judged_pwms, rng), judged_codes)
    groups = np.arange(len(codes)) % SETTINGS.consistency["groups"]
    columns, values = truth_columns(judged, judged_pwms, SETTINGS)
    row = joined(
        {"kind": "model", "control": "", "ensemble": about["ensemble"], "replicate": "r1"},
        {"generalisation": generalisation},
        consistency_columns(own.maps, own.bases, groups, SETTINGS),
        columns,
    )
    (complete,) = complete_rows([row], {"activation": about["activation"]})
    return complete, pd.DataFrame(values).assign(replicate="r1")


def noisy(level):
    """Maps that are the truth plus normal noise."""
    return lambda codes, pwms, rng: true_maps(pwms) + level * rng.normal(size=pwms.shape)


def random_maps(codes, pwms, rng):
    """Maps that know nothing."""
    return rng.normal(size=pwms.shape)


def artefact_maps(codes, pwms, rng):
    """Maps that show one word somewhere in the middle of every sequence, and no motif."""
    maps = 0.02 * rng.normal(size=pwms.shape)
    word = np.array([2, 3, 3, 0, 1, 2])
    for row, start in enumerate(rng.integers(38, 44, len(codes)).tolist()):
        places = np.arange(start, start + 6)
        maps[row, places, word] += 1.0
        codes[row, places] = word
    return maps
