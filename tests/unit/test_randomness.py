"""Variance by source of randomness: planted variances come back, and bad input is refused."""

import json

import numpy as np
import pyarrow as pa
import pytest

from seqtrust.errors import InputError
from seqtrust.models.facts import Facts, Track
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.uncertainty.randomness import (
    BETWEEN_ENSEMBLES,
    Units,
    effect_units,
    predicted_noise,
    prediction_units,
    randomness,
)

UNITS = 4000


def units(values, truth=None, ties=None):
    arrays = [np.asarray(one, dtype=np.float64) for one in values]
    count = arrays[0].shape[1]
    return Units(
        range(count),
        [f"l{index // 2}" for index in range(count)],
        np.ones(count, dtype=np.int8) if truth is None else truth,
        arrays,
        ties or [np.zeros(one.shape, dtype=bool) for one in arrays],
    )


def table(sources, signs=True):
    names = {name: [name] * len(found.values) for name, found in sources.items()}
    return randomness(sources, names, seed=1, signs=signs).set_index("source")


def test_planted_variances_come_back():
    rng = np.random.default_rng(0)
    signal = rng.normal(0, 2, UNITS)
    sources = {
        "everything": units([signal + rng.normal(0, 1.0, (5, UNITS))]),
        "order": units([signal + rng.normal(0, 0.5, (5, UNITS))]),
    }
    found = table(sources)
    assert found.loc["everything", "sd"] == pytest.approx(1.0, abs=0.03)
    assert found.loc["order", "sd"] == pytest.approx(0.5, abs=0.015)
    assert found.loc["order", "share"] == pytest.approx(0.25, abs=0.02)
    assert found.loc["everything", "share"] == 1
    assert found.loc["order", "sd_low"] < 0.5 < found.loc["order", "sd_high"]
    assert found.loc["order", "relative_sd"] == pytest.approx(0.25, abs=0.02)
    assert found.loc["everything", "loci"] == UNITS // 2


def test_variance_between_ensembles_leaves_out_that_between_replicates():
    """Two-level data with a closed form; means of 3 replicates alone would say .7 ** 2 + 1 / 3."""
    rng = np.random.default_rng(1)
    levels = rng.normal(0, 0.7, (4, UNITS))
    several = units([level + rng.normal(0, 1, (3, UNITS)) for level in levels])
    found = table({"everything": units([rng.normal(0, 1, (3, UNITS))]), "architecture": several})
    row = found.loc["architecture"]
    assert row["sd"] == pytest.approx(0.7, abs=0.03)
    assert row["part"] == BETWEEN_ENSEMBLES
    assert row["replicates"] == 12
    none = table({"all": several, "none": units([rng.normal(0, 1, (3, UNITS)) for _ in range(4)])})
    assert none.loc["none", "sd_low"] < 0.1


def test_calls_are_counted_without_ties():
    values = [[[1.0, -1, 2, 3, 0.1], [1.0, -2, -1, 3, 0.1]]]
    ties = [np.array([[0, 0, 0, 0, 1], [0, 0, 0, 1, 1]], dtype=bool)]
    truth = np.array([1, 1, 1, 0, 1], dtype=np.int8)
    found = table({"a": units(values, truth, ties)}).loc["a"]
    # of the four decided units the pair agrees on two; calls with a truth: 6, of which 3 right
    assert found["agreement"] == pytest.approx(0.5)
    assert found["accuracy"] == pytest.approx(3 / 6)


def test_effects_within_reach_are_read_with_their_truth():
    rows = [
        ("v1", "o", "t", -1, [1.0, 2.0], [False, True], False),
        ("v2", "o", "t", -1, [3.0, 4.0], [False, False], True),
        ("v3", "o", "u", -1, [5.0, 6.0], [False, False], False),
        ("v1", "p", "t", -1, [7.0, 8.0], [False, False], False),
    ]
    names = ("contrast_id", "output", "track", "bin", "effect", "tie", "out_of_reach")
    effects = pa.table({name: [row[place] for row in rows] for place, name in enumerate(names)})
    contrasts = pa.table(
        {
            "contrast_id": ["v1", "v2", "v3"],
            "locus": ["g1", "g1", "g2"],
            "truth_effect": [-0.3, 0.2, None],
        }
    )
    found = effect_units(effects, contrasts, "o", None)
    assert found.keys == [("v1", "t", -1), ("v3", "u", -1)]
    assert found.loci == ["g1", "g2"]
    assert found.truth.tolist() == [-1, 0]
    assert found.values[0].tolist() == [[1, 5], [2, 6]]
    assert found.ties[0].tolist() == [[False, False], [True, False]]
    assert effect_units(effects, contrasts, "o", "u").keys == [("v3", "u", -1)]
    with pytest.raises(InputError, match="no effect of output 'o' and track 'x' within reach"):
        effect_units(effects, contrasts, "o", "x")


def described(scale="counts", variances=(None, None)):
    tracks = tuple(
        Track(name, variance_of=mean) for name, mean in zip("abcd", variances, strict=False)
    )
    facts = Facts(None, 1, 0, tracks, 1, "toy", scale)
    return {"facts": json.dumps(facts.to_dict())}


def predictions(values, scale="counts"):
    array = np.asarray(values, dtype=np.float32)
    spec = OutputSpec("o", (0, 1), (0, 1), "none", ("a", "b"))
    ids = [f"s{row}" for row in range(len(array))]
    return Predictions(ids, {"o": array}, [spec], {"o": 0.0}, described(scale))


def gaussian_predictions(means, log_variances, of=(0, 1), reduction="none"):
    """Two tracks of means, two of log variances; shape (N, tracks, bins) each."""
    specs = [
        OutputSpec("o", (0, 1), (0, 1), "none", ("a", "b")),
        OutputSpec("noise", (2, 3), (0, 1), reduction, ("c", "d")),
    ]
    arrays = {
        "o": np.asarray(means, dtype=np.float32),
        "noise": np.asarray(log_variances, dtype=np.float32),
    }
    ids = [f"s{row}" for row in range(len(arrays["o"]))]
    about = described("log_expression", (None, None, *of))
    return Predictions(ids, arrays, specs, {"o": 0.0, "noise": 0.0}, about)


def test_predictions_are_compared_on_the_log_scale():
    one = predictions([[[1, 3], [0, 7]]])
    found = prediction_units({"r1": one, "r2": one}, ["s0"], "o", "b")
    assert found.values[0].tolist() == [[0, 3], [0, 3]]
    assert found.loci == ["s0", "s0"]
    with pytest.raises(InputError, match="has no track 'c'; it has: a, b"):
        prediction_units({"r1": one}, ["s0"], "o", "c")
    with pytest.raises(InputError, match="-1 or below"):
        prediction_units({"r1": predictions([[[-1, 3], [0, 7]]])}, ["s0"], "o", None)
    rows = table({"a": units([found.values[0] + [[0.0], [1.0]]])}, signs=False)
    assert np.isnan(rows.loc["a", "agreement"])


def test_log_expression_is_compared_as_it_is():
    found = prediction_units({"r1": predictions([[[-5, 3], [0, 7]]], "log_expression")}, ["s0"],
                             "o", None)  # fmt: skip
    assert found.values[0].tolist() == [[-5, 3, 0, 7]]


def test_predicted_noise_stands_beside_what_replicates_disagree_by():
    """Replicates that spread by .5 about their mean, each predicting noise of variance 4."""
    rng = np.random.default_rng(3)
    means = rng.normal(0, 1, (400, 2, 2))
    replicates = {
        f"r{number}": gaussian_predictions(
            means + rng.normal(0, 0.5, means.shape), np.full(means.shape, np.log(4.0))
        )
        for number in range(6)
    }
    ids = replicates["r0"].sequence_ids
    every = prediction_units(replicates, ids, "o", None)
    noise = predicted_noise(replicates, ids, "o", "noise", None)
    assert noise == pytest.approx(np.full(1600, 4.0))
    rows = randomness({"all": every}, {"all": ["g"]}, 1, False, {"g": noise}).set_index("source")
    assert rows.loc["all", "sd"] == pytest.approx(0.5, abs=0.02)
    row = rows.loc["noise of a measurement, g"]
    assert row["sd"] == pytest.approx(2.0)
    assert row["share"] == pytest.approx(4 / rows.loc["all", "sd"] ** 2)
    assert row["part"] == "predicted by one replicate"
    assert np.isnan(row["agreement"])
    one = predicted_noise(replicates, ids[:3], "o", "noise", "b")
    assert one.shape == prediction_units(replicates, ids[:3], "o", "b").values[0].shape[1:]


def test_noise_of_other_tracks_or_sums_is_refused():
    values = np.zeros((1, 2, 2))
    swapped = {"r1": gaussian_predictions(values, values, of=(1, 0))}
    with pytest.raises(InputError, match="does not hold the log variance of every track"):
        predicted_noise(swapped, ["s0"], "o", "noise", None)
    summed = {"r1": gaussian_predictions(values, values[..., :1], reduction="sum")}
    with pytest.raises(InputError, match="need the same bins and reduction: none"):
        predicted_noise(summed, ["s0"], "o", "noise", None)


def test_sources_of_different_units_and_single_replicates_are_refused():
    with pytest.raises(InputError, match="have different units"):
        table({"a": units([np.ones((2, 4))]), "b": units([np.ones((2, 6))])})
    with pytest.raises(InputError, match="source 'a': an ensemble of one replicate"):
        table({"a": units([np.ones((1, 4))])})


def test_agreement_is_that_of_pairs():
    values = np.array([[1.0, 1, 1], [1, 1, -1], [1, -1, -1], [1, -1, 1]])
    rows = table({"a": units([values[:2], values[2:]])})
    # of six pairs agree 6 of (+,+,+,+), 2 of (+,+,-,-) and 2 of (+,-,-,+)
    assert rows.loc["a", "agreement"] == pytest.approx(10 / 18)
