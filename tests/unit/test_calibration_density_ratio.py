"""Density ratios without labels, and intervals that are weighted by them."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from seqtrust.calibration.conformal import ConformalIntervals, effective_size, weighted_quantile
from seqtrust.calibration.density_ratio import LARGEST_RATIO, WeightedConformal, density_ratio
from seqtrust.calibration.forecasts import Forecasts
from seqtrust.errors import InputError

LEVELS = np.array([0.5, 0.8, 0.9])


def forecasts(name, mean, seed, missing=0.0, noise=0.5):
    """Errors that grow with the predicted mean; the stated sd does not know."""
    rng = np.random.default_rng(seed)
    observed = mean + noise * np.exp(0.7 * mean) * rng.standard_normal(mean.shape)
    observed[rng.random(mean.shape) < missing] = np.nan
    sd = 0.2 + rng.random(mean.shape)
    return Forecasts(mean, sd, observed, np.array([f"{name}{i}" for i in range(len(mean))]))


def test_the_ratio_of_two_gaussians_is_found():
    """N(1, 1) over N(0, 1): exp(x - 1/2); a log ratio is off by a few hundredths."""
    rng = np.random.default_rng(1)
    old, new = rng.normal(size=(20_000, 1)), rng.normal(1, 1, size=(30_000, 1))
    found = np.concatenate(density_ratio(old, new))
    x = np.concatenate([old, new])[:, 0]
    near = np.abs(x) < 2
    np.testing.assert_allclose(np.log(found[near]), x[near] - 0.5, atol=0.12)


def test_the_ratio_is_that_of_scikit_learns_logistic_regression():
    """With its penalty 1/2 |slopes|^2 on the same standardised features."""
    rng = np.random.default_rng(2)
    old, new = rng.normal(size=(80, 2)), rng.normal(0.3, 1.2, size=(50, 2))
    rows = np.concatenate([old, new])
    centred = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    squares = (centred**2 - 1) / (centred**2).std(axis=0)
    design = np.hstack([centred, squares])
    labels = np.repeat([0, 1], [80, 50])
    theirs = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(design, labels)
    expected = np.exp(theirs.decision_function(design)) * 80 / 50
    found = np.concatenate(density_ratio(old, new))
    np.testing.assert_allclose(found, expected.clip(1 / LARGEST_RATIO, LARGEST_RATIO), rtol=1e-4)


def test_equal_inputs_have_a_ratio_of_one_and_separate_ones_end_at_the_limit():
    x = np.random.default_rng(3).normal(size=(200, 2))
    np.testing.assert_allclose(np.concatenate(density_ratio(x, x)), 1, atol=1e-6)
    old, new = density_ratio(x, x + 100)
    np.testing.assert_allclose(old, 1 / LARGEST_RATIO)
    np.testing.assert_allclose(new, LARGEST_RATIO)
    flat = np.ones((5, 2))
    np.testing.assert_allclose(np.concatenate(density_ratio(flat, flat)), 1)


def test_weights_restore_coverage_under_a_shift_of_the_predictions():
    """Predictions move from N(0, 1) to N(1, 1), and larger ones have larger errors."""
    rng = np.random.default_rng(4)
    calibration = forecasts("c", rng.normal(size=(6000, 1)), 5)
    evaluation = forecasts("e", rng.normal(1, 1, size=(6000, 1)), 6)

    def covered(ends):
        return ((ends[0] <= evaluation.observed) & (evaluation.observed <= ends[1])).mean()

    lower, upper, sizes = WeightedConformal.fit(calibration).intervals(evaluation, np.array([0.9]))
    plain = covered(ConformalIntervals.fit(calibration).intervals(evaluation, [0.9]))
    assert plain < 0.75
    assert covered((lower, upper)) == pytest.approx(0.9, abs=0.03)
    # (E w)^2 / E w^2 of exp(x - 1/2) is 1 / e
    assert sizes[0] / 6000 == pytest.approx(np.exp(-1), abs=0.08)


def test_intervals_are_those_of_the_weighted_quantile_per_track():
    rng = np.random.default_rng(7)
    calibration = forecasts("c", rng.normal(size=(70, 2)), 8, missing=0.2)
    evaluation = forecasts("e", rng.normal(0.5, 1, size=(9, 2)), 9, missing=0.2)
    lower, upper, sizes = WeightedConformal.fit(calibration).intervals(evaluation, LEVELS)
    for track in range(2):
        known = calibration.measured[:, track]
        features = [
            np.stack([part.mean[:, track], part.sd[:, track]], axis=1)
            for part in (calibration, evaluation)
        ]
        weights, own = density_ratio(features[0][known], features[1])
        scores = np.abs(calibration.errors[known, track])
        half = weighted_quantile(scores[:, None], weights, own, LEVELS)[:, :, 0]
        np.testing.assert_allclose(upper[:, :, track], evaluation.mean[:, track] + half)
        np.testing.assert_allclose(lower[:, :, track], evaluation.mean[:, track] - half)
        assert sizes[track] == pytest.approx(effective_size(weights))


def test_whole_weights_are_repeated_rows_of_the_calibration_scores():
    """The ratio is that of the rows; a weight makes a row count more, as its copies would."""
    rng = np.random.default_rng(10)
    calibration = forecasts("c", np.zeros((30, 1)), 11).with_sd(np.ones((30, 1)))
    evaluation = forecasts("e", np.zeros((4, 1)), 12).with_sd(np.ones((4, 1)))
    weights = rng.integers(1, 5, 30).astype(float)
    parts = calibration.mean, calibration.sd, calibration.observed, calibration.groups
    many = calibration.rows(np.repeat(np.arange(30), weights.astype(int)))
    found = WeightedConformal.fit(Forecasts(*parts, weights)).intervals(evaluation, LEVELS)
    expected = WeightedConformal.fit(many).intervals(evaluation, LEVELS)
    np.testing.assert_allclose(found[1], expected[1])


def test_missing_mass_makes_intervals_infinite_and_own_groups_are_refused(caplog):
    rng = np.random.default_rng(13)
    calibration = forecasts("c", rng.normal(size=(15, 1)), 14)
    far = forecasts("e", rng.normal(8, 1, size=(5, 1)), 15)
    _, upper, sizes = WeightedConformal.fit(calibration).intervals(far, LEVELS)
    assert np.isinf(upper[-1]).all()
    assert 0 < sizes[0] <= 15
    assert "of 1 of 1 tracks stand on fewer than 50 effective" in caplog.text
    with pytest.raises(InputError, match="15 groups are in the calibration data"):
        WeightedConformal.fit(calibration).intervals(calibration, LEVELS)
    empty = Forecasts(
        np.ones((2, 1)), np.ones((2, 1)), np.full((2, 1), np.nan), np.array(["a", "b"])
    )
    with pytest.raises(InputError, match="weighted conformal prediction: track 0 has no observ"):
        WeightedConformal.fit(empty)
