"""Meta-analysis, estimates per replicate, and how often their intervals hold the truth."""

import numpy as np
import pytest
from mendelian_data import BCG, BCG_VARIANCE
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import t as student
from statsmodels.stats.meta_analysis import combine_effects

from seqtrust.errors import InputError
from seqtrust.mendelian import (
    Effects,
    egger,
    ivw,
    meta_analysis,
    per_replicate,
    per_replicate_local,
)

BCG_SE = np.sqrt(BCG_VARIANCE)


def test_meta_analyses_equal_metafor():
    """Its REML stops at 1e-5 of tau, so that six digits are asked for."""
    rows = [
        ("fixed", 0, -0.4302851637, 0.0404987517, 92.117347, 1e-9),
        ("dl", 0.3087602629, -0.7141172221, 0.1787420895, 92.117347, 1e-8),
        ("reml", 0.3132433260, -0.7145323484, 0.1797815318, 92.221386, 1e-6),
    ]
    for method, tau2, mean, se, I2, tolerance in rows:
        found = meta_analysis(BCG, BCG_SE, method)
        np.testing.assert_allclose(
            (found.tau2, found.estimate, found.se), (tau2, mean, se), rtol=tolerance, atol=1e-9
        )
        np.testing.assert_allclose(100 * found.I2, I2, rtol=1e-6)
        assert pytest.approx(152.23300808, rel=1e-8) == found.Q
    knapp = [meta_analysis(BCG, BCG_SE, method, "hartung-knapp") for method in ("dl", "reml")]
    np.testing.assert_allclose([k.se for k in knapp], (0.1806966283, 0.1807917455), rtol=1e-7)
    np.testing.assert_allclose(knapp[0].interval, (-1.10782135, -0.32041309), rtol=1e-7)
    np.testing.assert_allclose(knapp[1].interval, (-1.10844372, -0.32062097), rtol=1e-7)
    np.testing.assert_allclose(knapp[1].prediction_interval, (-1.996017, 0.566952), rtol=1e-6)
    z = [meta_analysis(BCG, BCG_SE, method) for method in ("fixed", "dl", "reml")]
    np.testing.assert_allclose(z[0].interval, (-0.50966126, -0.35090907), rtol=1e-7)
    np.testing.assert_allclose(z[1].interval, (-1.06444528, -0.36378916), rtol=1e-7)
    np.testing.assert_allclose(z[2].interval, (-1.06689768, -0.36216702), rtol=1e-7)
    np.testing.assert_allclose(z[1].prediction_interval, (-1.858154, 0.429919), rtol=1e-6)
    np.testing.assert_allclose(z[2].prediction_interval, (-1.866692, 0.437628), rtol=2e-6)


def test_meta_analyses_equal_statsmodels():
    theirs = combine_effects(BCG, BCG_VARIANCE, method_re="chi2", use_t=False)
    ours = meta_analysis(BCG, BCG_SE, "dl")
    np.testing.assert_allclose((ours.tau2, ours.estimate), (theirs.tau2, theirs.mean_effect_re))
    assert ours.se == pytest.approx(theirs.sd_eff_w_re)
    knapp = meta_analysis(BCG, BCG_SE, "dl", "hartung-knapp")
    assert knapp.se == pytest.approx(theirs.sd_eff_w_re_hksj)


def simulated(rng, pairs=6, loci=12):
    se = rng.uniform(0.1, 0.5, (pairs, loci))
    y = 0.3 + rng.uniform(0, 0.6, (pairs, 1)) * rng.standard_normal((pairs, loci))
    y = y + se * rng.standard_normal((pairs, loci))
    y[rng.random(y.shape) < 0.15] = np.nan
    return y, se


@pytest.mark.parametrize("method", ["fixed", "dl", "pm", "reml"])
def test_all_pairs_at_once_are_each_alone(method):
    y, se = simulated(np.random.default_rng(1))
    together = meta_analysis(y, se, method, "hartung-knapp")
    for row, (effects, errors) in enumerate(zip(y, se, strict=True)):
        known = np.isfinite(effects)
        alone = meta_analysis(effects[known], errors[known], method, "hartung-knapp")
        for name in ("estimate", "se", "tau2", "p", "df", "I2", "loci"):
            np.testing.assert_allclose(
                getattr(together, name)[row], getattr(alone, name), atol=1e-9
            )
        assert together.left_out[row] == (~known).sum()


def test_variances_between_loci_solve_their_equations():
    """REML by a bounded search of the restricted likelihood, Paule-Mandel by root finding."""
    y, se = simulated(np.random.default_rng(2))
    reml, pm = meta_analysis(y, se, "reml"), meta_analysis(y, se, "pm")
    positive = 0
    for row, (effects, errors) in enumerate(zip(y, se, strict=True)):
        known = np.isfinite(effects)
        effects, variance = effects[known], errors[known] ** 2

        def excess(tau2, effects=effects, variance=variance):
            w = 1 / (variance + tau2)
            return (w * (effects - (w * effects).sum() / w.sum()) ** 2).sum() - len(w) + 1

        def loss(tau2, effects=effects, variance=variance):
            w = 1 / (variance + tau2)
            squares = (w * (effects - (w * effects).sum() / w.sum()) ** 2).sum()
            return squares + np.log(w.sum()) - np.log(w).sum()

        best = minimize_scalar(loss, bounds=(0, 5), method="bounded", options={"xatol": 1e-10}).x
        assert reml.tau2[row] == pytest.approx(best, abs=1e-6)
        root = brentq(excess, 0, 50, xtol=1e-14) if excess(0) > 0 else 0
        assert pm.tau2[row] == pytest.approx(root, rel=1e-8, abs=1e-12)
        positive += root > 0
    assert positive > 2


@pytest.mark.parametrize("method", ["dl", "pm", "reml"])
def test_very_sure_loci_are_as_good_as_others(method):
    """Effects that differ by a billionth of their size, as exact networks give them."""
    y, se = simulated(np.random.default_rng(3))
    usual, sure = meta_analysis(y, se, method), meta_analysis(5 + 1e-9 * y, 1e-9 * se, method)
    assert set(sure.reason) == {""}
    np.testing.assert_allclose(sure.se, 1e-9 * usual.se, rtol=1e-3)
    np.testing.assert_allclose(sure.tau2, 1e-18 * usual.tau2, rtol=1e-2, atol=1e-22)


def test_a_meta_analysis_without_answer_has_a_reason():
    y = np.array([[0.1, 0.2, 0.3], [0.1, np.nan, np.nan], [0.1, 0.2, 0.3], [np.nan] * 3])
    se = np.array([[0.1, 0.2, 0.3], [0.1, 0.1, 0.1], [0.1, 0.0, 0.1], [0.1] * 3])
    for method in ("fixed", "dl", "pm", "reml"):
        found = meta_analysis(y, se, method)
        few = "fewer than 2 loci"
        wrong = "a standard error of a locus is not positive and finite"
        assert list(found.reason) == ["", few, wrong, few]
        for values in (found.estimate, found.se, found.tau2, *found.prediction_interval, found.p):
            np.testing.assert_array_equal(np.isnan(values), found.reason != "")
    same = meta_analysis(np.full(4, 0.3), np.full(4, 0.1))
    assert (same.tau2, same.reason) == (0, "")
    with pytest.raises(InputError, match="known: fixed, dl, pm, reml"):
        meta_analysis(y, se, "ml")
    with pytest.raises(InputError, match="standard errors"):
        meta_analysis(y, se[:2])


def oracle(rng, rounds, loci, instruments, replicates, tau, gain, noise, shared):
    """True effects plus replicate noise of known covariance, slope .7.

    Args:
        rng: of all draws.
        rounds: leading axis.
        loci: per round.
        instruments: per locus.
        replicates: number.
        tau: sd of the slope between loci.
        gain: sd between replicates of a factor on all outcome effects.
        noise: sd of a replicate's error of an outcome effect, a third of it of an exposure effect.
        shared: correlation of errors within a locus.
    """
    shape = (rounds, loci, instruments)
    x = rng.uniform(0.3, 1, shape) * rng.choice([-1, 1], shape)
    slope = 0.7 + tau * rng.standard_normal((rounds, loci, 1))

    def error():
        common = rng.standard_normal((replicates, rounds, loci, 1))
        own = rng.standard_normal((replicates, *shape))
        return noise * (np.sqrt(shared) * common + np.sqrt(1 - shared) * own)

    factor = 1 + gain * rng.standard_normal((replicates, rounds, 1, 1))
    exposure = Effects.from_replicates(x + error() / 3)
    return exposure, Effects.from_replicates(slope * factor * x + error()), slope[..., 0]


CASES = [
    # loci, instruments, tau, gain, noise, shared
    (100, 10, 0.2, 0.05, 0.1, 0.0),
    (50, 15, 0.0, 0.0, 0.3, 0.0),
    (50, 15, 0.0, 0.1, 0.3, 0.5),
    (10, 15, 0.3, 0.0, 0.1, 0.3),
    (10, 15, 0.3, 0.2, 0.3, 0.3),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_global_intervals_hold_the_truth_in_95_percent(case):
    """500 rounds, 5 replicates: Monte Carlo standard error 1 %, so 92 to 98 %."""
    loci, instruments, tau, gain, noise, shared = case
    rng = np.random.default_rng(loci + int(100 * gain))
    exposure, outcome, _ = oracle(rng, 500, loci, instruments, 5, tau, gain, noise, shared)
    found = per_replicate(exposure, outcome)
    low, high = found.interval
    assert abs(((low <= 0.7) & (high >= 0.7)).mean() - 0.95) <= 0.03
    assert np.sqrt((found.se**2).mean()) == pytest.approx(found.estimate.std(), rel=0.12)
    if gain >= 0.1 and loci >= 50:
        local = ivw(exposure, outcome)
        low, high = meta_analysis(local.estimate, local.se).interval
        assert ((low <= 0.7) & (high >= 0.7)).mean() < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [ivw, egger])
def test_local_intervals_hold_the_truth_in_95_percent(estimator):
    """2,000 loci with correlated errors: Monte Carlo standard error .5 %, so 93.5 to 96.5 %."""
    rng = np.random.default_rng(5)
    exposure, outcome, slope = oracle(rng, 1, 2000, 20, 5, 0.2, 0.0, 0.05, 0.4)
    found = per_replicate_local(exposure, outcome, estimator)
    low, high = found.interval
    assert abs(((low <= slope) & (slope <= high)).mean() - 0.95) <= 0.015


def test_estimates_per_replicate_are_those_of_a_loop():
    rng = np.random.default_rng(6)
    exposure, outcome, _ = oracle(rng, 2, 4, 6, 5, 0.2, 0.1, 0.1, 0.2)
    found = per_replicate_local(exposure, outcome, corrected=False)
    spread = outcome.se * np.sqrt(5)
    theta = np.empty((5, 2, 4))
    for e, r, k in np.ndindex(5, 2, 4):
        x = Effects(exposure.replicates[e, r, k], np.full(6, 0.1))
        theta[e, r, k] = ivw(x, Effects(outcome.replicates[e, r, k], spread[r, k])).estimate
    np.testing.assert_allclose(found.estimate, theta.mean(axis=0))
    np.testing.assert_allclose(found.se, theta.std(axis=0, ddof=1) / np.sqrt(5))
    np.testing.assert_allclose(
        found.interval[1], theta.mean(axis=0) + student.ppf(0.975, 4) * found.se
    )
    corrected = per_replicate_local(exposure, outcome)
    pooled = ivw(exposure, outcome).estimate
    np.testing.assert_allclose(corrected.estimate, (5 * pooled - theta.mean(axis=0)) / 4)


def test_pairs_broadcast_over_one_exposure():
    """One exposure of shape (K, J) against P outcomes of shape (P, K, J)."""
    rng = np.random.default_rng(7)
    exposure, _, _ = oracle(rng, 1, 6, 5, 5, 0.1, 0.1, 0.1, 0.2)
    _, outcome, _ = oracle(rng, 3, 6, 5, 5, 0.1, 0.1, 0.1, 0.2)
    one = Effects.from_replicates(exposure.replicates[:, 0])
    found = per_replicate(one, outcome)
    for pair in range(3):
        alone = per_replicate(
            one, Effects(outcome.beta[pair], outcome.se[pair], outcome.replicates[:, pair])
        )
        np.testing.assert_allclose(found.estimate[pair], alone.estimate)
        np.testing.assert_allclose(found.se[pair], alone.se)
    wider = per_replicate(one, outcome, truth="replicate")
    np.testing.assert_allclose(
        wider.se**2 - found.se**2, found.diagnostics["between"], rtol=1e-9, atol=1e-15
    )


def test_replicates_that_are_missing_or_differ_in_number_are_refused():
    rng = np.random.default_rng(8)
    exposure, outcome, _ = oracle(rng, 1, 3, 5, 4, 0.1, 0.1, 0.1, 0.2)
    with pytest.raises(InputError, match="needs the effects of every replicate"):
        per_replicate(Effects(exposure.beta, exposure.se), outcome)
    with pytest.raises(InputError, match="4 replicates and the outcome 3"):
        per_replicate(exposure, Effects.from_replicates(outcome.replicates[:3]))
    with pytest.raises(InputError, match="use per_replicate_local"):
        per_replicate(
            *(Effects.from_replicates(e.replicates[:, 0, 0]) for e in (exposure, outcome))
        )
    same = np.repeat(exposure.replicates[:1], 4, axis=0)
    alike = Effects(same[0], np.full(same[0].shape, 0.1), same)
    found = per_replicate_local(alike, alike)
    assert set(found.reason.ravel()) == {"all replicates give one estimate"}
    assert np.isnan(found.estimate).all()
