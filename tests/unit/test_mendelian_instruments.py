"""Choice of instruments, direction, diagnostics, the verdict per pair, and recalibration."""

import numpy as np
import pytest
import statsmodels.api as sm
from mendelian_data import CHD, LDL, random_effects
from scipy.stats import norm

from seqtrust.errors import InputError
from seqtrust.mendelian import (
    Effects,
    Limits,
    applicability,
    benjamini_hochberg,
    bidirectional,
    divw,
    egger,
    ivw,
    leave_one_position_out,
    locus_diagnostics,
    steiger,
)
from seqtrust.mendelian.instruments import (
    cross_fitted,
    published_z,
    strong,
    surer_than,
    top_per_position,
    within_spans,
)
from seqtrust.mendelian.recalibration import (
    fit_levels,
    fit_published_levels,
    scaled,
    variance_factor,
)


def test_the_published_rule_standardises_over_everything():
    rng = np.random.default_rng(1)
    beta = rng.normal(0.3, 1, (4, 5, 6))
    beta[0, 0, 0] = np.nan
    kept = published_z(Effects(beta, np.ones_like(beta)), 1.0)
    z = (beta - np.nanmean(beta)) / np.nanstd(beta)
    np.testing.assert_array_equal(kept, np.abs(z) >= 1)
    assert not published_z(Effects(np.ones(4), np.ones(4))).any()


def test_strength_is_effect_over_error():
    effects = Effects(np.array([1.0, -3.2, 3.1, 2.0]), np.array([1.0, 1.0, 1.0, 0.0]))
    assert strong(effects).tolist() == [False, True, False, False]
    assert surer_than(effects, 3).tolist() == [False, True, True, False]


def test_the_largest_of_each_position_is_kept():
    rng = np.random.default_rng(2)
    beta = rng.standard_normal((3, 9))
    beta[1, 4] = np.nan
    position = rng.integers(0, 4, (3, 9))
    kept = top_per_position(Effects(beta, np.ones((3, 9)), None, position))
    for row in range(3):
        for place in range(4):
            here = np.flatnonzero((position[row] == place) & np.isfinite(beta[row]))
            best = here[np.abs(beta[row, here]).argmax()] if len(here) else None
            assert np.flatnonzero(kept[row] & (position[row] == place)).tolist() == (
                [] if best is None else [best]
            )
    two = top_per_position(Effects(beta, np.ones((3, 9)), None, position), 2)
    assert two.sum() > kept.sum()
    assert (two | ~kept).all()


def test_spans_are_half_open():
    effects = Effects(np.ones((2, 5)), np.ones((2, 5)), None, np.arange(5))
    kept = within_spans(effects, [[[1, 3]], []])
    assert kept.tolist() == [[False, True, True, False, False], [False] * 5]
    with pytest.raises(InputError, match="2 loci and spans of 1"):
        within_spans(effects, [[]])
    for choose in (top_per_position, lambda e: within_spans(e, [])):
        with pytest.raises(InputError, match="needs effects with positions"):
            choose(LDL)


def test_cross_fitting_undoes_the_winners_curse():
    """Slope 1, most effects 0: selected effects are too large in the replicates that select them.

    The estimator is debiased, so that what is left is the curse.
    """
    rng = np.random.default_rng(3)
    true = rng.standard_normal((60, 600)) * (rng.random((60, 600)) < 0.2)
    x = true + 1.5 * rng.standard_normal((8, 60, 600))
    y = true + 0.2 * rng.standard_normal((8, 60, 600))
    exposure, outcome = (Effects.from_replicates(d, se="mean") for d in (x, y))

    def select(effects):
        return np.abs(effects.beta) > 1

    found = cross_fitted(exposure, outcome, select, divw, se="mean")
    naive = divw(exposure.keep(select(exposure)), outcome)
    assert np.nanmedian(found.estimate) == pytest.approx(1, abs=0.04)
    assert np.nanmedian(naive.estimate) < 0.9
    first = divw(
        Effects.from_replicates(x[1::2], se="mean").keep(
            select(Effects.from_replicates(x[::2], se="mean"))
        ),
        Effects.from_replicates(y[1::2], se="mean"),
    )
    other = first.estimate - found.diagnostics["difference"]
    np.testing.assert_allclose(found.estimate, (first.estimate + other) / 2)
    with pytest.raises(InputError, match="4 or more replicates"):
        cross_fitted(Effects.from_replicates(x[:3]), outcome, select, ivw)


def test_steiger_tells_the_direction():
    """The first causes the second with slope .5 which has effects of its own; both scales are 1."""
    rng = np.random.default_rng(4)
    of_x, of_y = rng.uniform(0.3, 1, 30), rng.uniform(0.3, 1, 30)
    x = np.concatenate([of_x, np.zeros(30)])
    y = np.concatenate([0.5 * of_x, of_y])
    d = 0.02 * rng.standard_normal((2, 5, 60))
    first, second = (Effects.from_replicates(b + e) for b, e in zip((x, y), d, strict=True))
    told = steiger(first, second, 1.0, 1.0)
    assert told.keeps.tolist() == [True] * 30 + [False] * 30
    assert not (told.keeps & told.reverses).any()
    assert (told.p < 0.05).mean() > 0.9
    both = bidirectional(first, second, 1.0, 1.0, largest_p=0.05)
    assert both.forward.estimate == pytest.approx(0.5, abs=0.02)
    assert both.reverse.estimate == pytest.approx(0, abs=0.02)
    z = (np.arctanh(0.3) - np.arctanh(0.1)) / np.sqrt(1 / 97 + 1 / 197)
    test = steiger(Effects([0.3], [0.1]), Effects([0.1], [0.1]), 1, 1, n=(100, 200))
    assert test.p[0] == pytest.approx(norm.sf(z))
    with pytest.raises(InputError, match="positive sds"):
        steiger(first, second, 0.0, 1.0)
    with pytest.raises(InputError, match="below 1"):
        steiger(Effects([1.3], [0.1]), Effects([0.1], [0.1]), 1, 1, n=(100, 200))


def test_diagnostics_are_those_of_their_definitions():
    rng = np.random.default_rng(5)
    x, y = random_effects(rng, (2, 12), gaps=False)
    position = np.arange(12) // 3
    found = locus_diagnostics(Effects(x.beta, x.se, None, position), y)
    weight = (x.beta / y.se) ** 2
    np.testing.assert_allclose(found.effective, weight.sum(1) ** 2 / (weight**2).sum(1))
    assert found.positions.tolist() == [4, 4]
    np.testing.assert_allclose(found.positive, (x.beta > 0).mean(axis=1))
    np.testing.assert_allclose(
        found.rucker, ivw(x, y).diagnostics["Q"] - egger(x, y).diagnostics["Q"]
    )
    for row in range(2):
        design = np.column_stack([x.beta[row], x.beta[row] ** 2])
        fit = sm.WLS(y.beta[row], design, 1 / y.se[row] ** 2).fit()
        assert found.curvature[row] == pytest.approx(fit.params[1])
        t = fit.tvalues[1] * min(1, np.sqrt(fit.scale))
        expected = 2 * sm.stats.stattools.stats.t.sf(abs(t), 10)
        assert found.curvature_p[row] == pytest.approx(expected)


def test_a_position_is_left_out_with_all_its_mutations():
    rng = np.random.default_rng(6)
    x, y = random_effects(rng, (2, 9), gaps=False)
    position = np.array([0, 0, 1, 1, 1, 2, 3, 3, 4])
    exposure = Effects(x.beta, x.se, None, position)
    found = leave_one_position_out(exposure, y)
    assert found.estimate.shape == (2, 9)
    for column in range(9):
        alone = ivw(exposure.keep(np.tile(position != position[column], (2, 1))), y)
        np.testing.assert_allclose(found.estimate[:, column], alone.estimate)
        np.testing.assert_allclose(found.se[:, column], alone.se)
    with pytest.raises(InputError, match="needs effects with positions"):
        leave_one_position_out(LDL, CHD)


def test_q_values_leave_what_is_unknown():
    q = benjamini_hochberg([[0.01, np.nan], [0.04, 0.5]])
    np.testing.assert_allclose(q, [[0.03, np.nan], [0.06, 0.5]])
    assert np.isnan(benjamini_hochberg([np.nan])).all()


def sound(rng, loci=40, bend=0.0, intercept=0.0, noise=0.02):
    x = rng.uniform(0.2, 1, (loci, 20))
    y = 0.5 * x + bend * x**2 + intercept + 0.02 * rng.standard_normal(x.shape)
    exposure = Effects(
        x + noise * rng.standard_normal(x.shape), np.full(x.shape, noise), None, np.arange(20)
    )
    return exposure, Effects(y, np.full(x.shape, 0.02))


def test_the_verdict_names_what_speaks_against_it():
    rng = np.random.default_rng(7)
    exposure, outcome = sound(rng)
    fine = applicability(
        locus_diagnostics(exposure, outcome),
        leave_one_position_out(exposure, outcome),
        rng.random(200),
    )
    assert fine.applicable, fine
    assert fine.reasons == ()
    cases = [
        ({"bend": 0.5}, "effects are not linear"),
        ({"intercept": 0.2}, "pleiotropy with a direction"),
        ({"noise": 0.5}, "weak instruments"),
        ({"loci": 5}, "5 loci have an estimate, fewer than 10"),
    ]
    for options, words in cases:
        found = applicability(locus_diagnostics(*sound(rng, **options)))
        assert not found.applicable
        assert any(words in reason for reason in found.reasons), found
    controls = applicability(locus_diagnostics(exposure, outcome), None, np.full(10, 0.01))
    assert controls.reasons == ("100% of controls without a path are called",)
    lenient = Limits(control_error=1.0)
    assert applicability(locus_diagnostics(exposure, outcome), None, [0.01], lenient).applicable
    with pytest.raises(InputError, match="no p"):
        applicability(locus_diagnostics(exposure, outcome), None, [np.nan])


def test_one_position_may_decide_a_sign():
    """One position with a large opposite effect."""
    x = np.full((12, 8), 0.5) + 0.01 * np.arange(8)
    y = 0.05 * x
    x[:, 0], y[:, 0] = 3.0, -0.6
    exposure = Effects(x, np.full(x.shape, 0.01), None, np.arange(8))
    outcome = Effects(y, np.full(x.shape, 0.01))
    found = applicability(
        locus_diagnostics(exposure, outcome), leave_one_position_out(exposure, outcome)
    )
    assert "one position decides the sign of 100% of loci" in found.reasons


def overconfident(rng, rows=4000):
    """Members with half of the true sd."""
    centre = rng.standard_normal(rows)
    members = centre + 0.5 * rng.standard_normal((20, rows))
    return members, centre + rng.standard_normal(rows)


def test_variance_scaling_keeps_means_and_scales_errors():
    rng = np.random.default_rng(8)
    members, observed = overconfident(rng)
    z = (observed - members.mean(axis=0)) / members.std(axis=0)
    factor = variance_factor(members[..., None], observed[:, None])
    np.testing.assert_allclose(factor, [(z**2).mean()])
    assert 3.5 < factor[0] < 5.5
    effects = Effects.from_replicates(rng.standard_normal((5, 3, 4)), se="mean")
    made = scaled(effects, 4.0)
    np.testing.assert_allclose(made.beta, effects.beta)
    np.testing.assert_allclose(made.se, 2 * effects.se)
    again = Effects.from_replicates(made.replicates, se="mean")
    np.testing.assert_allclose(again.beta, effects.beta)
    np.testing.assert_allclose(again.se, made.se)
    with pytest.raises(InputError, match="positive and finite"):
        scaled(effects, 0.0)
    with pytest.raises(InputError, match="expected"):
        variance_factor(members, observed[:5])


def test_levels_keep_means_and_ranks_and_the_published_map_does_not():
    """An overconfident ensemble: quantiles widen; the published map moves all members up."""
    rng = np.random.default_rng(9)
    members, observed = overconfident(rng)
    fresh, truth = overconfident(rng)
    made = fit_levels(members, observed).apply(fresh)
    np.testing.assert_allclose(made.mean(axis=0), fresh.mean(axis=0), atol=1e-12)
    np.testing.assert_array_equal(made.argsort(axis=0), fresh.argsort(axis=0))
    ratio = ((truth - made.mean(axis=0)) ** 2).mean() / made.var(axis=0).mean()
    assert ratio == pytest.approx(1, abs=0.15)
    published = fit_published_levels(members, observed).apply(fresh)
    known = np.isfinite(published).all(axis=0)
    up = (published - fresh).mean(axis=0)[known] / fresh.std(axis=0)[known]
    assert up.mean() > 0.5
