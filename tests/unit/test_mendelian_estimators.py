"""Estimators of causal effects: loops that say the same, closed forms, inputs without answer."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from mendelian_data import CHD, LDL, of_locus, random_effects
from scipy.optimize import minimize
from scipy.special import chdtrc

from seqtrust.errors import InputError
from seqtrust.mendelian import (
    Effects,
    divw,
    egger,
    egger_simex,
    ivw,
    maximum_likelihood,
    mean_ratio,
    mode_based,
    multivariable_ivw,
    penalised_median,
    pivw,
    published_baseline,
    raps,
    shrunk_correlation,
    simple_median,
    weighted_median,
)
from seqtrust.mendelian.effects import moderated_variance
from seqtrust.mendelian.modes import modes
from seqtrust.mendelian.ratios import fixed_weight_medians, interpolated_median
from seqtrust.mendelian.robust import mm_regression

FEW = {"draws": 50}
ESTIMATORS = [
    (ivw, {}),
    (ivw, {"weights": "delta", "penalised": True}),
    (ivw, {"robust": True}),
    (egger, {}),
    (egger, {"distribution": "t", "orient": False}),
    (egger, {"robust": True}),
    (egger_simex, {"rounds": 20}),
    (simple_median, FEW),
    (weighted_median, FEW),
    (penalised_median, FEW),
    (mode_based, FEW),
    (mode_based, FEW | {"method": "published", "weighted": False}),
    (maximum_likelihood, {"psi": 0.3}),
    (divw, {"psi": 0.3}),
    (pivw, {}),
    (raps, {"loss": "tukey"}),
    (raps, {"overdispersion": True}),
    (mean_ratio, {}),
]


@pytest.mark.parametrize(("estimator", "options"), ESTIMATORS)
def test_all_loci_at_once_say_what_one_locus_says(estimator, options):
    """Missing instruments are NaN; one locus alone has none."""
    rng = np.random.default_rng(1)
    exposure, outcome = random_effects(rng, (2, 3, 9))
    together = estimator(exposure, outcome, **options)
    assert together.estimate.shape == (2, 3)
    for index in np.ndindex(2, 3):
        kept = np.isfinite(exposure.beta[index])
        alone = estimator(
            of_locus(exposure, index, kept), of_locus(outcome, index, kept), **options
        )
        assert together.reason[index] == alone.reason
        for name in ("estimate", "se", "p", "df"):
            np.testing.assert_allclose(
                getattr(together, name)[index], getattr(alone, name), rtol=1e-8, err_msg=name
            )
        ends = [end[index] for end in together.interval]
        np.testing.assert_allclose(ends, alone.interval, rtol=1e-8)
        for name, values in together.diagnostics.items():
            np.testing.assert_allclose(
                values[index], alone.diagnostics[name], rtol=1e-7, atol=1e-12
            )


@pytest.mark.parametrize(("estimator", "options"), ESTIMATORS)
def test_what_has_no_answer_has_a_reason(estimator, options):
    """A locus with each kind of fault beside a sound one; NaN and a reason go together."""
    rng = np.random.default_rng(2)
    exposure, outcome = random_effects(rng, (7, 8), gaps=False)
    x, sx, y, sy = (a.copy() for a in (exposure.beta, exposure.se, outcome.beta, outcome.se))
    x[1, 2:] = np.nan
    x[2] = 0
    sx[3, 4] = 0
    sy[4, 1] = -1
    y[5, 0] = np.inf
    position = np.tile(np.arange(8), (7, 1))
    position[6] = 3
    found = estimator(Effects(x, sx, None, position), Effects(y, sy), **options)
    assert found.reason[0] == ""
    assert found.reason[1] == "fewer than 3 instruments"
    assert found.reason[2] in (
        "no instrument has an effect on the exposure",
        "fewer than 3 instruments",  # left: none with a ratio
    )
    assert set(found.reason[3:5]) == {"a standard error is not positive"}
    assert found.reason[5] == "an effect or standard error is infinite"
    assert found.reason[6] == "all instruments are at one position"
    for values in (found.estimate, found.se, *found.interval, found.p):
        np.testing.assert_array_equal(np.isnan(values), found.reason != "")


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.integers(0, 8), st.sampled_from([1.0, 0.0, 1e-9, 1e6]))
def test_an_estimate_is_finite_or_has_a_reason(seed, number, size):
    """Whatever the effects: equal, tiny, huge, few."""
    rng = np.random.default_rng(seed)
    x = size * rng.choice([-1.0, 0.0, 0.5, 1.0], number)
    y = rng.choice([0.0, 0.25, 1.0], number)
    exposure, outcome = Effects(x, np.full(number, 0.1)), Effects(y, np.full(number, 0.1))
    for estimator, options in ESTIMATORS:
        found = estimator(exposure, outcome, **options)
        parts = [found.estimate, found.se, *found.interval]
        assert np.isfinite(parts).all() == (found.reason == ""), (estimator, found)


def test_constant_ratios_give_their_ratio_or_say_why_not():
    x = np.linspace(0.2, 1, 8)
    exposure, outcome = Effects(x, np.full(8, 0.05)), Effects(0.5 * x, np.full(8, 0.05))
    for estimator, options in ESTIMATORS:
        found = estimator(exposure, outcome, **options)
        if options.get("robust"):
            assert found.reason == "more than half of the ratios are equal: the robust scale is 0"
        elif estimator in (ivw, egger, simple_median, weighted_median, mode_based):
            assert found.estimate == pytest.approx(0.5, abs=1e-7)
            assert found.se > 0
    same = egger(Effects(np.ones(5), np.ones(5)), Effects(x[:5], np.ones(5)))
    assert same.reason.startswith("the exposure effects are all of one size")


def test_regressions_are_those_of_statsmodels():
    rng = np.random.default_rng(3)
    exposure, outcome = random_effects(rng, (12,), gaps=False)
    fit = sm.WLS(outcome.beta, exposure.beta, 1 / outcome.se**2).fit()
    found = ivw(exposure, outcome)
    scale = max(1, 1 / np.sqrt(fit.scale))
    np.testing.assert_allclose((found.estimate, found.se), (fit.params[0], fit.bse[0] * scale))
    sign = np.sign(exposure.beta)
    design = sm.add_constant(np.abs(exposure.beta))
    fit = sm.WLS(sign * outcome.beta, design, 1 / outcome.se**2).fit()
    found = egger(exposure, outcome)
    scale = max(1, 1 / np.sqrt(fit.scale))
    np.testing.assert_allclose((found.estimate, found.se), (fit.params[1], fit.bse[1] * scale))
    assert found.diagnostics["intercept"] == pytest.approx(fit.params[0])


def test_egger_t_is_nowhere_surer_than_normal():
    """With a residual sd below 1 the wider of two intervals and the larger p are taken."""
    x = np.linspace(0.3, 1, 6)
    exposure = Effects(x, np.full(6, 0.01))
    outcome = Effects(0.5 * x + 1e-3 * np.array([1, -1, 1, -1, 1, -1]), np.full(6, 0.1))
    normal, t = (egger(exposure, outcome, distribution=name) for name in ("normal", "t"))
    assert t.diagnostics["phi"] < 1
    np.testing.assert_allclose(t.interval, normal.interval)
    assert t.p == pytest.approx(normal.p)


def test_a_robust_line_ignores_what_a_plain_one_follows():
    rng = np.random.default_rng(4)
    x = np.column_stack([np.ones(40), rng.uniform(0, 1, 40)])
    y = x @ [0.2, 1.5] + 0.01 * rng.standard_normal(40)
    y[:12] += 5
    found, errors, scale, reason = mm_regression(x, y)
    clean = sm.OLS(y[12:], x[12:]).fit()
    np.testing.assert_allclose(found, clean.params, atol=0.01)
    assert 0.7 < scale / 0.01 < 2.5
    assert (errors < 3 * clean.bse).all()
    assert reason == ""


def slow_median(values, weights):
    order = np.argsort(values)
    r, w = values[order], weights[order] / weights.sum()
    return np.interp(0.5, np.cumsum(w) - w / 2, r)


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(0, 1000))
def test_medians_of_many_draws_are_those_of_a_loop(size, seed):
    rng = np.random.default_rng(seed)
    values, weights = rng.standard_normal((6, size)), rng.random(size) + 0.01
    expected = [slow_median(row, weights) for row in values]
    np.testing.assert_allclose(interpolated_median(values, weights), expected, atol=1e-12)
    np.testing.assert_allclose(fixed_weight_medians(values, weights), expected, atol=1e-8)


def test_the_penalised_median_is_worked_by_hand():
    rng = np.random.default_rng(5)
    exposure, outcome = random_effects(rng, (9,), gaps=False)
    ratio, weight = outcome.beta / exposure.beta, (exposure.beta / outcome.se) ** 2
    p = chdtrc(1, weight * (ratio - slow_median(ratio, weight)) ** 2)
    expected = slow_median(ratio, weight * np.minimum(1, 20 * p))
    assert penalised_median(exposure, outcome, draws=2).estimate == pytest.approx(expected)


@settings(deadline=None)
@given(st.integers(3, 12), st.integers(0, 10_000), st.floats(0.05, 2))
def test_the_exact_mode_is_as_high_as_any_point_of_a_fine_grid(size, seed, h):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((1, size)) * rng.choice([0.1, 1, 5], size)
    weights = rng.random(size) + 0.01

    def density(points):
        return np.exp(-0.5 * ((points[:, None] - values[0]) / h) ** 2) @ weights

    grid = np.linspace(values.min() - h, values.max() + h, 4001)
    found = modes(values, weights, np.array([h]))
    assert density(found)[0] >= density(grid).max() * (1 - 1e-9)


def test_likelihood_and_scores_are_those_of_a_slow_optimiser():
    """The likelihood over all parameters, with correlated errors; the robust loss by a grid."""
    psi = 0.4
    rng = np.random.default_rng(6)
    exposure, outcome = random_effects(rng, (6,), gaps=False)

    def loss(parameters):
        a = (exposure.beta - parameters[1:]) / exposure.se
        b = (outcome.beta - parameters[0] * parameters[1:]) / outcome.se
        return ((a**2 - 2 * psi * a * b + b**2) / (1 - psi**2)).sum() / 2

    slow = minimize(loss, [0.5, *exposure.beta], method="BFGS", options={"gtol": 1e-9})
    found = maximum_likelihood(exposure, outcome, psi=psi)
    assert found.estimate == pytest.approx(slow.x[0], rel=1e-5)
    assert found.diagnostics["Q"] == pytest.approx(2 * slow.fun, rel=1e-6)
    assert raps(exposure, outcome, psi=psi).estimate == pytest.approx(found.estimate, rel=1e-9)
    at = np.linspace(-3, 3, 60_001)[:, None]
    t = (outcome.beta - at * exposure.beta) / np.sqrt(outcome.se**2 + (at * exposure.se) ** 2)
    tukey = 1 - (1 - np.minimum((t / 4.685) ** 2, 1)) ** 3
    best = at[tukey.sum(axis=1).argmin(), 0]
    assert raps(exposure, outcome, "tukey").estimate == pytest.approx(best, abs=1e-4)


def test_shared_errors_bias_what_does_not_know_of_them():
    """Mean over 400 loci of 40 instruments, errors correlated by .8, slope .5."""
    rng = np.random.default_rng(7)
    shape, psi, s = (400, 40), 0.8, 0.3
    beta = rng.uniform(0.5, 1, shape)
    e = rng.standard_normal((2, *shape))
    x = beta + s * e[0]
    y = 0.5 * beta + s * (psi * e[0] + np.sqrt(1 - psi**2) * e[1])
    exposure, outcome = Effects(x, np.full(shape, s)), Effects(y, np.full(shape, s))
    for estimator in (maximum_likelihood, raps, divw):
        assert estimator(exposure, outcome, psi=psi).estimate.mean() == pytest.approx(0.5, abs=0.01)
        assert abs(estimator(exposure, outcome).estimate.mean() - 0.5) > 0.05


def test_correlated_weights_are_generalised_least_squares():
    rng = np.random.default_rng(8)
    d = rng.standard_normal((6, 2, 5)) + rng.standard_normal((6, 2, 1))
    rho = shrunk_correlation(d)
    outcome = Effects.from_replicates(0.5 + 0.1 * d)
    exposure = Effects(rng.uniform(0.5, 1, (2, 5)), np.full((2, 5), 0.1))
    found = ivw(exposure, outcome, "fixed", correlation="replicates")
    for row in range(2):
        omega = np.linalg.inv(rho[row] * np.outer(outcome.se[row], outcome.se[row]))
        b = exposure.beta[row]
        assert found.estimate[row] == pytest.approx(
            b @ omega @ outcome.beta[row] / (b @ omega @ b), rel=1e-6
        )
        assert found.se[row] == pytest.approx((b @ omega @ b) ** -0.5, rel=1e-6)
    raw = np.corrcoef(d[:, 0].T)
    share = rho[0][np.triu_indices(5, 1)] / raw[np.triu_indices(5, 1)]
    assert 0 < share[0] < 1
    np.testing.assert_allclose(share, share[0])


def test_simex_undoes_dilution():
    """400 loci, I2_GX about .8: MR-Egger is diluted, its SIMEX is less so."""
    rng = np.random.default_rng(9)
    shape, s = (400, 30), 0.1
    beta = rng.uniform(0.2, 1, shape)
    exposure = Effects(beta + s * rng.standard_normal(shape), np.full(shape, s))
    outcome = Effects(0.5 * beta + 0.02 * rng.standard_normal(shape), np.full(shape, 0.02))
    found = egger_simex(exposure, outcome, rounds=50)
    plain = found.diagnostics["uncorrected"].mean()
    assert plain < 0.44
    assert abs(np.nanmean(found.estimate) - 0.5) < 0.2 * (0.5 - plain)


def test_direct_effects_are_those_of_a_regression_on_all_exposures():
    rng = np.random.default_rng(10)
    x = rng.standard_normal((3, 2, 20))
    se = np.full((2, 20), 0.1)
    y = 0.5 * x[0] - 0.2 * x[1] + 0.3 * rng.standard_normal((2, 20))
    found = multivariable_ivw([Effects(part, se) for part in x], Effects(y, se))
    assert found.estimate.shape == (2, 3)
    for row in range(2):
        fit = sm.WLS(y[row], x[:, row].T, 1 / se[row] ** 2).fit()
        np.testing.assert_allclose(found.estimate[row], fit.params)
        np.testing.assert_allclose(found.se[row], fit.bse * max(1, fit.scale**-0.5))
    same = multivariable_ivw([Effects(x[0], se), Effects(2 * x[0], se)], Effects(y, se))
    assert set(same.reason.ravel()) == {"the exposures' effects are collinear at these instruments"}
    assert (found.diagnostics["conditional_F"] > 20).all()


def test_the_published_baseline_is_a_mean_of_means():
    rng = np.random.default_rng(11)
    exposure, outcome = random_effects(rng, (5, 6), gaps=False)
    local = (outcome.beta / exposure.beta).mean(axis=1)
    found = published_baseline(exposure, outcome)
    assert found.estimate == pytest.approx(local.mean())
    width = 2 * local.std(ddof=1)
    np.testing.assert_allclose(found.interval, (local.mean() - width, local.mean() + width))


def test_errors_of_means_divide_by_the_number_of_replicates():
    d = np.random.default_rng(12).standard_normal((5, 3, 40))
    plain = Effects.from_replicates(d, se="mean")
    np.testing.assert_allclose(plain.se, d.std(axis=0, ddof=1) / np.sqrt(5))
    np.testing.assert_allclose(Effects.from_replicates(d, se="published").se, d.std(axis=0))
    np.testing.assert_allclose(plain.beta, d.mean(axis=0))


def test_moderation_recovers_the_prior_of_variances():
    """True variances 2 scaled by inverse chi-square with 8 df: limma's model."""
    rng = np.random.default_rng(13)
    true = 2 * 8 / rng.chisquare(8, 200_000)
    seen = true * rng.chisquare(4, true.shape) / 4
    expected = (8 * 2 + 4 * seen) / 12
    np.testing.assert_allclose(moderated_variance(seen, 4), expected, rtol=0.05)
    same = 3 * rng.chisquare(4, 50_000) / 4
    np.testing.assert_allclose(moderated_variance(same, 4), 3, rtol=0.1)
    kept = moderated_variance(np.array([0.0, np.nan, 1.0, 2.0]), 4)
    assert kept[0] == 0
    assert np.isnan(kept[1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ivw(LDL, CHD, correlation="replicates"), "needs the effects of every replicate"),
        (lambda: ivw(LDL, CHD, weights="delta", psi="replicates"), "needs the effects of every"),
        (lambda: ivw(LDL, CHD, model="mixed"), "known: random, fixed"),
        (lambda: ivw(LDL, CHD, correlation=np.eye(3)), r"expected \(..., 28, 28\)"),
        (lambda: ivw(LDL, CHD, correlation=np.full((28, 28), 1.0)), "singular"),
        (lambda: egger(LDL, CHD, correlation=np.eye(28), robust=True), "neither penalised"),
        (lambda: maximum_likelihood(LDL, CHD, psi=1.5), r"numbers in \[-1, 1\]"),
        (lambda: raps(LDL, CHD, "absolute"), "known: l2, huber, tukey"),
        (lambda: mode_based(LDL, CHD, phi=0), "must be positive"),
        (lambda: weighted_median(LDL, CHD, draws=1), "at least 2 draws"),
        (lambda: multivariable_ivw([LDL], CHD), "expected two or more"),
        (lambda: ivw(Effects(np.ones(3), np.ones(3)), CHD), "same instruments on the last axis"),
        (lambda: Effects(np.ones(3), np.ones(4)), "make them equal"),
        (lambda: Effects(np.ones(3), np.ones(3), np.ones((3, 2))), "replicates come first"),
        (lambda: Effects.from_replicates(np.ones((1, 3))), "at least two replicates"),
        (lambda: Effects.from_replicates(np.ones((2, 3)), se="sd"), "unknown kind of error"),
    ],
)
def test_what_is_wrong_is_said(call, message):
    with pytest.raises(InputError, match=message):
        call()
