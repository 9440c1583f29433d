"""Causal scores: other libraries, repeated rows, and planted effects."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from seqtrust.uncertainty.causal import (
    AUPRC,
    AUROC,
    METRICS,
    SIGN_AUROC,
    SIGN_MAJORITY,
    SIGN_MEAN,
    SIZE,
    SUBSETS,
    auroc,
    average_precision,
    causal_table,
    causal_tables,
    choices,
    weighted_spearman,
)
from seqtrust.uncertainty.eqtls import NEGATIVES, POSITIVES


@st.composite
def scored(draw):
    count = draw(st.integers(4, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    scores = rng.integers(0, draw(st.integers(2, 20)), count) / 4.0
    labels = rng.random(count) < 0.5
    labels[:2] = True, False
    return scores, labels, rng.integers(0, 3, count).astype(float) + (np.arange(count) < 2)


@given(scored())
@settings(max_examples=100)
def test_areas_are_those_of_scikit_learn_with_repeated_rows(drawn):
    scores, labels, weights = drawn
    rows = np.repeat(np.arange(len(scores)), weights.astype(int))
    expected = roc_auc_score(labels[rows], scores[rows])
    assert auroc(scores, labels, weights[None]) == pytest.approx(expected)
    expected = average_precision_score(labels[rows], scores[rows])
    assert average_precision(scores, labels, weights[None]) == pytest.approx(expected)


@given(scored(), st.integers(0, 1000))
@settings(max_examples=100)
def test_spearman_is_that_of_scipy_with_repeated_rows(drawn, seed):
    x, _, weights = drawn
    y = np.random.default_rng(seed).integers(0, 9, len(x)).astype(float)
    rows = np.repeat(np.arange(len(x)), weights.astype(int))
    (found,) = weighted_spearman(x, y, weights[None])
    if np.ptp(x[rows]) == 0 or np.ptp(y[rows]) == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(x[rows], y[rows]).statistic)


def test_nothing_to_compare_is_empty():
    ones = np.ones(3)
    assert np.isnan(auroc(ones, ones > 0, ones[None]))
    assert np.isnan(average_precision(ones, ones < 0, ones[None]))
    assert np.isnan(weighted_spearman(ones, ones, ones[None]))


def planted(noise, count=400, replicates=4):
    rng = np.random.default_rng(0)
    beta = rng.normal(0, 1, count)
    positives = beta[:, None] + rng.normal(0, noise, (count, replicates))
    negatives = rng.normal(0, noise, (count, replicates)) + rng.normal(0, 0.3, (count, 1))
    loci = [f"p{row // 2}" for row in range(count)], [f"n{row}" for row in range(count)]
    return positives, negatives, beta, loci


def test_averaging_replicates_helps_as_planted():
    table = causal_table(*planted(noise=1.5), seed=1).set_index(["metric", "replicates"])
    assert len(table) == 4 * len(METRICS)
    for metric in (AUROC, AUPRC, SIZE, SIGN_AUROC, SIGN_MEAN, SIGN_MAJORITY):
        values = table.loc[metric, "value"]
        assert values[4] > values[1] + 0.03
        assert (table.loc[metric, "low"] < values).all()
        assert (values < table.loc[metric, "high"]).all()
    assert table["loci"].eq(600).all()


def test_a_single_replicate_is_the_mean_over_all():
    positives, negatives, beta, loci = planted(noise=1.0, count=60, replicates=3)
    table = causal_table(positives, negatives, beta, loci, seed=1)
    single = table[(table["replicates"] == 1) & (table["metric"] == SIGN_MEAN)]["value"].item()
    right = np.sign(positives) == np.sign(beta)[:, None]
    assert single == pytest.approx(right.mean())
    majority = table[(table["replicates"] == 3) & (table["metric"] == SIGN_MAJORITY)]
    votes = np.sign(np.sign(positives).sum(axis=1)) == np.sign(beta)
    assert majority["value"].item() == pytest.approx(votes.mean())


def test_choices_are_all_or_a_sample_that_repeats():
    assert list(choices(4, 2, seed=1)) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    many = list(choices(40, 3, seed=1))
    assert len(many) == SUBSETS
    assert many == list(choices(40, 3, seed=1))
    assert many != list(choices(40, 3, seed=2))


def eqtl_rows(kind, effects, tissue="t", score="s"):
    count = len(effects)
    rng = np.random.default_rng(len(kind))
    return pd.DataFrame(
        {
            "score": score,
            "kind": kind,
            "tissue": tissue,
            "class": "inconsistent",
            "split": ["test" if row % 2 else "train" for row in range(count)],
            "locus": [f"{kind}{tissue}{row}" for row in range(count)],
            "distance": rng.integers(100, 200, count),
            "maf": 0.2,
            "beta": effects[:, 0],
            "effects": list(effects),
            "relative": list(effects / 2),
        }
    )


def test_tissues_are_matched_apart_and_pooled_on_one_scale():
    """Effects of a second tissue are a thousand times larger, and say the same."""
    positives, negatives, _, _ = planted(noise=0.5, count=60, replicates=2)
    frames = [
        eqtl_rows(kind, values * scale, tissue)
        for tissue, scale in (("a", 1.0), ("b", 1000.0))
        for kind, values in ((POSITIVES, positives), (NEGATIVES, negatives))
    ]
    units = pd.concat([*frames, eqtl_rows(POSITIVES, positives, score="alone")])
    table = causal_tables(units, caliper=10.0, seed=1)
    assert table["score"].unique().tolist() == ["s"]
    assert set(table["split"]) == {"all", "train", "test"}
    whole = table[(table["split"] == "all") & (table["replicates"] == 2)].set_index(
        ["metric", "scale"]
    )
    assert whole["positives"].eq(120).all()
    alone = causal_tables(pd.concat(frames[:2]), caliper=10.0, seed=1)
    one = alone[(alone["split"] == "all") & (alone["replicates"] == 2)].set_index(
        ["metric", "scale"]
    )
    for metric in (AUROC, SIGN_MEAN):
        for scale in ("difference", "relative"):
            found = whole.loc[(metric, scale), "value"]
            assert found == pytest.approx(one.loc[(metric, scale), "value"])
    out = units.assign(**{"class": "out_of_reach"})
    assert causal_tables(out, caliper=10.0, seed=1).empty
