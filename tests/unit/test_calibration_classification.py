"""Stated probabilities of signs against loops, scikit-learn and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn import metrics

from seqtrust.calibration.classification import (
    Labelled,
    brier,
    calibration_error,
    log_loss,
    reliability,
    sign_probability,
)
from seqtrust.errors import InputError


def draw(rows=300, tracks=2, seed=0, missing=0.0, decimals=None):
    rng = np.random.default_rng(seed)
    p = rng.random((rows, tracks))
    if decimals is not None:
        p = np.round(p, decimals)
    labels = (rng.random(p.shape) < p).astype(float)
    labels[rng.random(p.shape) < missing] = np.nan
    weights = rng.uniform(0.5, 2, rows)
    return p, labels, np.arange(rows).astype(str), weights


def test_brier_and_log_loss_are_those_of_scikit_learn():
    p, labels, groups, weights = draw(missing=0.2)
    given_ = Labelled(p, labels, groups, weights)
    for track in range(2):
        known = ~np.isnan(labels[:, track])
        rows = labels[known, track], p[known, track]
        options = {"sample_weight": weights[known]}
        assert brier(given_)[track] == pytest.approx(metrics.brier_score_loss(*rows, **options))
        assert log_loss(given_)[track] == pytest.approx(metrics.log_loss(*rows, **options))


def test_certain_and_wrong_has_an_infinite_log_loss():
    labels, groups = np.array([[1.0], [0.0]]), np.array(["a", "b"])
    assert log_loss(Labelled(labels, labels, groups))[0] == 0
    assert log_loss(Labelled([[0.0], [0.0]], labels, groups))[0] == np.inf
    assert brier(Labelled([[0.0], [0.0]], labels, groups))[0] == 0.5


def test_calibration_error_against_a_loop():
    p, labels, groups, _ = draw(103, missing=0.1)
    found = calibration_error(Labelled(p, labels, groups), bins=10)
    for track in range(2):
        rows = sorted(
            (a, b) for a, b in zip(p[:, track], labels[:, track], strict=True) if not np.isnan(b)
        )
        parts = np.array_split(np.arange(len(rows)), 10)
        total = sum(abs(sum(rows[i][1] - rows[i][0] for i in part)) for part in parts)
        assert found[track] == pytest.approx(total / len(rows))


@given(st.integers(0, 20), st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_equal_probabilities_have_no_order(seed, shuffle):
    p, labels, groups, _ = draw(60, 1, seed, decimals=1)
    order = np.random.default_rng(shuffle).permutation(60)
    first = calibration_error(Labelled(p, labels, groups), bins=7)
    second = calibration_error(Labelled(p[order], labels[order], groups), bins=7)
    np.testing.assert_allclose(first, second, atol=1e-12)


def test_a_constant_probability_has_the_calibration_error_of_its_mean():
    labels = (np.arange(40) < 13).astype(float)[:, None]
    given_ = Labelled(np.full((40, 1), 0.5), labels, np.arange(40).astype(str))
    assert calibration_error(given_)[0] == pytest.approx(0.5 - 13 / 40)
    ((stated, happened, sizes),) = reliability(given_, bins=4)
    assert stated.tolist() == [0.5] * 4
    assert happened == pytest.approx([13 / 40] * 4)
    assert sizes.tolist() == [10] * 4


def test_right_probabilities_are_calibrated_and_brier_is_its_closed_form():
    """Uniform p: E p (1 - p) = 1/6; squared and shifted ones are worse."""
    p, labels, groups, _ = draw(60_000, 1, seed=3)
    right = Labelled(p, labels, groups)
    assert brier(right)[0] == pytest.approx(1 / 6, abs=0.003)
    assert calibration_error(right)[0] < 0.01
    wrong = right.with_scores(p**2)
    assert calibration_error(wrong)[0] == pytest.approx(1 / 2 - 1 / 3, abs=0.01)
    assert brier(wrong)[0] > brier(right)[0]
    assert log_loss(wrong)[0] > log_loss(right)[0]


def test_one_class_only_has_finite_scores():
    given_ = Labelled(np.full((10, 1), 0.8), np.ones((10, 1)), np.arange(10).astype(str))
    assert calibration_error(given_, bins=5)[0] == pytest.approx(0.2)
    assert log_loss(given_)[0] == pytest.approx(-np.log(0.8))


def test_the_probability_of_a_sign():
    mean, sd = np.array([0.3, -2.0, 0.0, 0.0, 1.0, -1.0]), np.array([1.0, 2.0, 1.0, 0, 0, 0])
    expected = [norm.sf(0, 0.3, 1), norm.sf(0, -2, 2), 0.5, 0.5, 1, 0]
    assert sign_probability(mean, sd) == pytest.approx(expected)


BASE = {"scores": np.full((3, 1), 0.5), "labels": np.ones((3, 1)), "groups": np.array(list("abc"))}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": np.full((3, 2), 0.5)}, "must both be rows x tracks"),
        ({"scores": np.array([[0], [np.nan], [0]])}, "the score in row 1 of track 0"),
        ({"labels": np.array([[1], [-1], [0]])}, "labels must be 0, 1, or NaN"),
        ({"labels": np.full((3, 1), np.nan)}, "track 0 has no label among 3 rows"),
        ({"groups": np.array(["a", "b"])}, "2 group keys for 3 rows"),
        ({"weights": np.array([1.0, -1, 1])}, "one positive finite weight per row"),
    ],
)
def test_bad_labels_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        Labelled(**(BASE | change))


def test_scores_that_are_no_probabilities_and_empty_bins_are_refused():
    bad = Labelled(np.full((3, 1), 1.5), BASE["labels"], BASE["groups"])
    for statistic in (brier, log_loss, lambda given_: calibration_error(given_, 2)):
        with pytest.raises(InputError, match=r"probabilities lie between 1.5 and 1.5, expected"):
            statistic(bad)
    with pytest.raises(InputError, match="3 rows for 10 bins leave bins empty"):
        calibration_error(Labelled(**BASE))


@given(st.integers(0, 1000), st.integers(2, 12))
@settings(max_examples=30, deadline=None)
def test_whole_weights_are_repeated_rows(seed, bins):
    p, labels, groups, _ = draw(31, 2, seed, missing=0.1, decimals=1)
    weights = np.random.default_rng(seed).integers(1, 5, 31).astype(float)
    rows = np.repeat(np.arange(31), weights.astype(int))
    weighted = Labelled(p, labels, groups, weights)
    many = Labelled(p[rows], labels[rows], groups[rows])
    np.testing.assert_allclose(
        calibration_error(weighted, bins), calibration_error(many, bins), atol=1e-12
    )
    for first, second in zip(reliability(weighted, bins), reliability(many, bins), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-12)
