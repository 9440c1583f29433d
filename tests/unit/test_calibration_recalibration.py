"""Recalibration: mends what it is fitted to mend, and refuses its own groups."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import norm
from sklearn.isotonic import IsotonicRegression
from uncertainty_toolbox import metrics_calibration, recalibration

from seqtrust.calibration.classification import Labelled
from seqtrust.calibration.forecasts import Forecasts
from seqtrust.calibration.recalibration import (
    fit_isotonic,
    fit_isotonic_probability,
    fit_platt,
    fit_variance_scaling,
)
from seqtrust.calibration.regression import LEVELS, interval_components, means_of
from seqtrust.errors import InputError


def draw(name, rows, seed, factor=(0.5, 3.0), bias=0.0, missing=0.0):
    """Observations with an sd of `factor` times the stated one, per track."""
    rng = np.random.default_rng(seed)
    sd = np.exp(rng.normal(0, 0.4, size=(rows, len(factor))))
    mean = rng.normal(size=sd.shape)
    observed = mean + sd * (bias + np.array(factor) * rng.standard_normal(sd.shape))
    observed[rng.random(sd.shape) < missing] = np.nan
    groups = np.array([f"{name}{i // 5}" for i in range(rows)])
    return Forecasts(mean, sd, observed, groups)


def covered(method, evaluation, levels=LEVELS):
    lower, upper = method.intervals(evaluation, levels)
    parts = interval_components(lower, upper, evaluation.observed, levels)
    means = means_of(parts, evaluation.row_weights)
    return np.stack([means["coverage", float(level)] for level in levels])


def test_variance_scaling_is_the_likeliest_factor_and_recovers_the_true_one():
    calibration = draw("c", 3000, 1, missing=0.2)
    fit = fit_variance_scaling(calibration)
    np.testing.assert_allclose(fit.factor, [0.25, 9], rtol=5 * (2 / 2400) ** 0.5)
    for track in range(2):
        known = calibration.measured[:, track]
        y, mean, sd = (
            values[known, track]
            for values in (calibration.observed, calibration.mean, calibration.sd)
        )

        def loss(factor, y=y, mean=mean, sd=sd):
            return -norm.logpdf(y, mean, sd * factor**0.5).mean()

        best = fit.factor[track]
        assert loss(best) < min(loss(best * 1.01), loss(best / 1.01))


METHODS = {
    "variance scaling": fit_variance_scaling,
    "quantiles": fit_isotonic,
    "intervals": lambda calibration: fit_isotonic(calibration, central=True),
}


@pytest.mark.parametrize("name", METHODS)
def test_recalibrated_coverage_is_nominal_on_other_groups(name):
    evaluation = draw("e", 4000, 3)
    found = covered(METHODS[name](draw("c", 4000, 2)), evaluation)
    # both samples err
    assert np.abs(found - LEVELS[:, None]).max() < 5 * (2 * 0.25 / 4000) ** 0.5
    assert np.abs(covered(METHODS[name](draw("c", 4000, 2)), evaluation, [0.9]) - 0.9).max() < 0.03


def test_quantiles_mend_a_bias_which_central_intervals_cannot():
    calibration, evaluation = (draw(n, 4000, s, (1.0,), bias=1.0) for n, s in (("c", 4), ("e", 5)))
    levels = np.array([0.5, 0.9])
    quantiles = fit_isotonic(calibration).intervals(evaluation, levels)
    central = fit_isotonic(calibration, central=True).intervals(evaluation, levels)
    assert (
        np.abs(covered(fit_isotonic(calibration), evaluation, levels) - levels[:, None]).max()
        < 0.04
    )
    for lower, upper, middle in ((*quantiles, 1.0), (*central, 0.0)):
        z = ((lower + upper) / 2 - evaluation.mean) / evaluation.sd
        np.testing.assert_allclose(z, middle, atol=0.1)
    assert (quantiles[1] - quantiles[0]).mean() < 0.8 * (central[1] - central[0]).mean()


@given(st.integers(0, 30), st.booleans(), st.booleans())
@settings(max_examples=20, deadline=None)
def test_levels_at_calibration_points_are_fractions_of_a_loop(seed, central, weighted):
    """P(p) = weight of {t: p_t <= p} (Kuleshov et al. 2018), and intervals invert it."""
    one = draw("c", 40, seed, (2.0,))
    weights = np.random.default_rng(seed).uniform(0.5, 2, 40) if weighted else None
    calibration = Forecasts(one.mean, one.sd, one.observed, one.groups, weights)
    fit = fit_isotonic(calibration, central)
    same = Forecasts(one.mean, one.sd, one.observed, np.array([f"x{i}" for i in range(40)]))
    z = one.z[:, 0]
    w = np.ones(40) if weights is None else weights
    key = np.abs(z) if central else z
    share = np.array([w[key <= value].sum() / w.sum() for value in key])
    expected = 0.5 + np.sign(z) * share / 2 if central else share
    np.testing.assert_allclose(fit.probability(same)[:, 0], expected, atol=1e-12)
    if central:
        lower, upper = fit.intervals(same, share)
        np.testing.assert_allclose(
            np.diagonal((upper[:, :, 0] - same.mean[:, 0]) / same.sd[:, 0]), key, atol=1e-9
        )
        np.testing.assert_allclose(upper + lower, 2 * np.broadcast_to(same.mean, upper.shape))


@pytest.mark.parametrize("kind", ["quantile", "interval"])
def test_the_map_is_that_of_uncertainty_toolbox_up_to_its_grid(kind):
    """The toolbox fits an isotonic regression to 100 levels; the map here has all of them."""
    calibration = draw("c", 2000, 6, (1.8,))
    mean, sd, y = (v[:, 0] for v in (calibration.mean, calibration.sd, calibration.observed))
    # its residuals are prediction minus observation, so that its quantiles count from above
    expected, observed = metrics_calibration.get_proportion_lists_vectorized(
        y, sd, mean, prop_type=kind
    )
    model = recalibration.iso_recal(expected, observed)
    fit = fit_isotonic(calibration, central=kind == "interval")
    levels = np.arange(1, 20) / 20
    asked = model.predict(levels)
    theirs = ndtri((1 + asked) / 2) if kind == "interval" else ndtri(asked)
    np.testing.assert_allclose(norm.cdf(fit._z_at(levels)[:, 0]), norm.cdf(theirs), atol=0.01)


def test_intervals_of_gross_overconfidence_stay_finite():
    """Phi(z) is 1 in floating point from z = 8.3 on: the map does not go through it."""
    calibration, evaluation = draw("c", 300, 7, (40.0,)), draw("e", 300, 8, (40.0,))
    for central in (False, True):
        fit = fit_isotonic(calibration, central)
        lower, upper = fit.intervals(evaluation, LEVELS)
        assert np.isfinite(lower).all()
        assert np.isfinite(upper).all()
        assert covered(fit, evaluation, [0.9])[0, 0] == pytest.approx(0.9, abs=0.08)


def test_beyond_the_calibration_data_the_level_is_0_or_1():
    calibration = draw("c", 50, 9, (1.0,))
    far = Forecasts(
        np.zeros((3, 1)),
        np.ones((3, 1)),
        np.array([[-50.0], [50.0], [np.nan]]),
        np.array(["x", "y", "z"]),
    )
    for central in (False, True):
        found = fit_isotonic(calibration, central).probability(far)
        np.testing.assert_array_equal(found.ravel(), [0, 1, np.nan])


@pytest.mark.parametrize("name", METHODS)
def test_use_on_a_group_that_was_fitted_on_is_refused(name):
    calibration = draw("c", 20, 1)
    method = METHODS[name](calibration)
    with pytest.raises(
        InputError,
        match=r"1 groups are in the calibration data \(4 groups\) and in the data that it is used "
        r"on \(1\), the first is 'c0': .* Divide the data by group",
    ):
        method.intervals(calibration.rows(np.arange(3)))


@pytest.mark.parametrize("name", METHODS)
def test_zero_variance_and_unmeasured_tracks_are_refused(name):
    calibration = draw("c", 20, 1)
    stated = np.where(np.arange(20)[:, None] == 3, 0.0, calibration.sd)
    with pytest.raises(
        InputError, match=r"divides by the stated sd, which is 0 in 2 of 40 .* row 3"
    ):
        METHODS[name](calibration.with_sd(stated))
    calibration.observed[:, 1] = np.nan
    with pytest.raises(InputError, match="track 1 has no observation among 20 rows"):
        METHODS[name](calibration)


def test_exact_forecasts_cannot_be_scaled():
    calibration = draw("c", 20, 1)
    exact = Forecasts(calibration.mean, calibration.sd, calibration.mean, calibration.groups)
    with pytest.raises(InputError, match="all forecasts of track 0 are exact"):
        fit_variance_scaling(exact)


def labelled(name, rows, seed, tracks=2, ties=False, missing=0.0):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(rows, tracks))
    if ties:
        scores = np.round(scores)
    labels = (rng.random(scores.shape) < 1 / (1 + np.exp(-(1.5 * scores - 0.5)))).astype(float)
    labels[rng.random(scores.shape) < missing] = np.nan
    return Labelled(scores, labels, np.array([f"{name}{i}" for i in range(rows)]))


@pytest.mark.parametrize("ties", [False, True])
def test_isotonic_probabilities_are_those_of_scikit_learn(ties):
    calibration, new = labelled("c", 200, 1, ties=ties, missing=0.1), labelled("e", 50, 2)
    found = fit_isotonic_probability(calibration).apply(new).scores
    for track in range(2):
        known = ~np.isnan(calibration.labels[:, track])
        model = IsotonicRegression(out_of_bounds="clip")
        model.fit(calibration.scores[known, track], calibration.labels[known, track])
        np.testing.assert_allclose(found[:, track], model.predict(new.scores[:, track]), atol=1e-9)
        order = np.argsort(new.scores[:, track])
        assert (np.diff(found[order, track]) >= 0).all()


def test_platt_scaling_is_the_logistic_regression_of_statsmodels_on_smoothed_labels():
    calibration = labelled("c", 300, 3, missing=0.1)
    fit = fit_platt(calibration)
    for track in range(2):
        known = ~np.isnan(calibration.labels[:, track])
        score, label = calibration.scores[known, track], calibration.labels[known, track]
        positive, negative = label.sum(), (1 - label).sum()
        target = np.where(label == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
        model = sm.GLM(target, sm.add_constant(score), family=sm.families.Binomial()).fit(tol=1e-12)
        assert (fit.offset[track], fit.slope[track]) == pytest.approx(tuple(model.params), rel=1e-6)


def test_platt_scaling_recovers_the_planted_log_odds():
    fit = fit_platt(labelled("c", 40_000, 4))
    np.testing.assert_allclose(fit.slope, 1.5, atol=0.08)
    np.testing.assert_allclose(fit.offset, -0.5, atol=0.08)


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_platt_scaling_does_not_depend_on_the_unit_of_the_score(scale):
    first = labelled("c", 200, 5)
    new = labelled("e", 20, 6)
    one = fit_platt(first).apply(new).scores
    other = fit_platt(first.with_scores(scale * first.scores)).apply(
        new.with_scores(scale * new.scores)
    )
    np.testing.assert_allclose(other.scores, one, atol=1e-9)


def test_one_class_separation_and_equal_scores_have_a_finite_platt_fit():
    new = Labelled([[0.0], [9.0]], [[1], [1]], np.array(["x", "y"]))
    groups = np.array(list("abcd"))
    one_class = fit_platt(Labelled([[1.0], [2], [3], [4]], np.ones((4, 1)), groups))
    np.testing.assert_allclose(one_class.apply(new).scores, 5 / 6)
    equal = fit_platt(Labelled(np.ones((4, 1)), [[1], [0], [0], [0]], groups))
    assert equal.slope[0] == 0
    # the mean of the smoothed labels: (2/3 + 3 * 1/5) / 4
    np.testing.assert_allclose(equal.apply(new).scores, (2 / 3 + 3 / 5) / 4)
    apart = fit_platt(Labelled([[1.0], [2], [3], [4]], [[0], [0], [1], [1]], groups))
    assert np.isfinite([apart.slope[0], apart.offset[0]]).all()
    assert apart.slope[0] > 0


def test_one_class_gives_an_isotonic_probability_of_0_or_1():
    groups = np.array(["a", "b"])
    new = Labelled([[-5.0], [5.0]], [[1], [0]], np.array(["x", "y"]))
    for label in (0.0, 1.0):
        fit = fit_isotonic_probability(Labelled([[1.0], [2.0]], np.full((2, 1), label), groups))
        assert fit.apply(new).scores.ravel().tolist() == [label, label]


@pytest.mark.parametrize("fit", [fit_platt, fit_isotonic_probability])
def test_probabilities_of_a_group_that_was_fitted_on_are_refused(fit):
    calibration = labelled("c", 30, 1)
    with pytest.raises(InputError, match="30 groups are in the calibration data"):
        fit(calibration).apply(calibration)
