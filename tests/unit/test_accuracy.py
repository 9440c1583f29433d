"""Correlation with measured tracks against a loop over bins."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import pearsonr

from seqtrust.accuracy import COLUMNS, ENSEMBLE, correlation_table, pearson
from seqtrust.genome import SplitRegions
from seqtrust.models.facts import Facts, Track
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow
from seqtrust.tables import dump
from seqtrust.targets import Targets

WIDTH, BINS, COUNT = 4, 5, 6
LENGTH = WIDTH * BINS
FACTS = Facts(None, WIDTH, 0, (Track("plus"), Track("flat")), 9, "toy1", "counts")
SPEC = OutputSpec("profile", (0, 1), tuple(range(BINS)), "none", ("plus", "flat"))
SEQUENCES = SequenceSet(
    [
        StoredWindow(f"w{i}", "toy", "c", LENGTH * i, 0, LENGTH, "+", LENGTH * i,
                     np.zeros(LENGTH, dtype=np.uint8))
        for i in range(COUNT)
    ],
    [Sequence(f"s{i}", i) for i in range(COUNT)],
)  # fmt: skip
REGIONS = SplitRegions.from_rows([("train", "c", 0, 3 * LENGTH), ("test", "c", 60, 90)])


def test_the_table_against_a_loop():
    rng = np.random.default_rng(2)
    measured = rng.random((COUNT * BINS, 2)).astype(np.float32)
    measured[:, 1] = 7
    measured[8, 0] = np.nan
    order = rng.permutation(COUNT)
    predicted = {name: rng.random((COUNT, 2, BINS)).astype(np.float32) for name in ("r1", "r2")}
    metadata = {"facts": dump(FACTS.to_dict())}
    replicates = {
        name: Predictions(
            [f"s{i}" for i in order], {"profile": values[order]}, [SPEC], {"profile": 0}, metadata
        )
        for name, values in predicted.items()
    }
    targets = Targets(("plus", "flat"), WIDTH, {"c": measured})
    table = correlation_table(replicates, SEQUENCES, targets, REGIONS, "profile")
    assert tuple(table.columns) == COLUMNS

    predicted[ENSEMBLE] = (predicted["r1"] + predicted["r2"]) / 2
    windows = {"train": range(3), "test": range(3, 5), "unknown": range(5, 6)}
    assert len(table) == 2 * 3 * 3
    for row in table.to_dict("records"):
        track = SPEC.track_names.index(row["track"])
        places = [(i, b) for i in windows[row["split"]] for b in range(BINS)]
        there = [(i, b) for i, b in places if np.isfinite(measured[i * BINS + b, track])]
        assert row["bins"] == len(there)
        if row["track"] == "flat":
            assert math.isnan(row["pearson_r"])
            continue
        x = [predicted[row["replicate"]][i, 0, b] for i, b in there]
        y = [measured[i * BINS + b, 0] for i, b in there]
        assert row["pearson_r"] == pytest.approx(pearsonr(x, y).statistic, abs=1e-6)


FLOATS = arrays(np.float32, 8, elements=st.floats(-100, 100, width=16))


@given(FLOATS, FLOATS, st.floats(0.5, 4), st.floats(-50, 50))
def test_pearson_ignores_scale_and_offset(x, y, scale, offset):
    r = pearson(x, y)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert math.isnan(r)
    elif np.ptp(x) > 1e-2:
        assert pearson(scale * x.astype(float) + offset, y) == pytest.approx(r, abs=1e-6)
        assert pearson(-x, y) == pytest.approx(-r, abs=1e-9)


def test_pearson_of_fewer_than_two_values_is_unknown():
    assert math.isnan(pearson([1.0], [2.0]))
    assert pearson([1, 2, 3], [10, 20, 30]) == pytest.approx(1)
