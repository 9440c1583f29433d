"""Selective prediction against loops and what an order of chance must give."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqtrust.calibration.selective import (
    areas,
    fix_thresholds,
    group_curves,
    risk_at,
    risk_coverage,
)
from seqtrust.errors import InputError

INTEGERS = arrays(np.float64, (6, 2), elements=st.integers(0, 3).map(float))


@given(INTEGERS, INTEGERS)
@settings(max_examples=15, deadline=None)
def test_the_curve_is_the_average_over_all_orders_of_tied_rows(losses, uncertainty):
    found = risk_coverage(losses, uncertainty)
    for track in range(2):
        s = uncertainty[:, track]
        orders = [o for o in permutations(range(6)) if all(np.diff(s[list(o)]) >= 0)]
        curves = [losses[list(o), track].cumsum() / np.arange(1, 7) for o in orders]
        np.testing.assert_allclose(found[:, track], np.mean(curves, axis=0), atol=1e-12)


def sample(rows=200, tracks=2, seed=0, missing=0.0):
    rng = np.random.default_rng(seed)
    uncertainty = rng.random((rows, tracks))
    losses = (uncertainty * rng.standard_normal((rows, tracks))) ** 2
    losses[rng.random(losses.shape) < missing] = np.nan
    return losses, uncertainty


def test_areas_against_their_definitions():
    losses, uncertainty = sample(150, missing=0.2)
    for track in range(2):
        known = ~np.isnan(losses[:, track])
        loss = losses[known, track][np.argsort(uncertainty[known, track])]
        n = len(loss)
        risks = [loss[:k].mean() for k in range(1, n + 1)]
        ideal = [np.sort(loss)[:k].mean() for k in range(1, n + 1)]
        area, best = np.mean(risks), np.mean(ideal)
        assert areas(losses, uncertainty).aurc[track] == pytest.approx(area)
        assert areas(losses, uncertainty).excess[track] == pytest.approx(area - best)
        assert areas(losses, uncertainty).normalised[track] == pytest.approx(
            (area - best) / (loss.mean() - best)
        )
        assert areas(losses, uncertainty).augrc[track] == pytest.approx(
            np.mean([k / n * risks[k - 1] for k in range(1, n + 1)])
        )
        # the population estimator: weights (H_n - H_(i-1)) / n (Zhou et al. 2025)
        tail = np.array([sum(1 / k for k in range(i, n + 1)) for i in range(1, n + 1)])
        assert areas(losses, uncertainty).aurc[track] == pytest.approx((loss * tail).sum() / n)


def test_the_order_of_losses_is_ideal_its_reverse_is_harmful_and_chance_is_one():
    losses, _ = sample()
    assert areas(losses, losses).normalised == pytest.approx([0, 0])
    assert (areas(losses, -losses).normalised > 1).all()
    many = np.repeat(sample(100, 1)[0], 4000, axis=1)
    chance = np.random.default_rng(1).random(many.shape)
    assert areas(many, chance).normalised.mean() == pytest.approx(1, abs=0.02)
    # E AUGRC of chance is R(1) (n + 1) / 2n
    assert (areas(many, chance).augrc / many.mean(axis=0)).mean() == pytest.approx(0.505, abs=0.005)


def test_one_uncertainty_for_all_rows_is_chance_exactly():
    losses, _ = sample(missing=0.1)
    same = np.ones_like(losses)
    np.testing.assert_allclose(areas(losses, same).aurc, np.nanmean(losses, axis=0))
    np.testing.assert_allclose(areas(losses, same).normalised, 1)


def test_equal_losses_have_no_order_to_be_measured():
    same = np.full((20, 1), 0.3)
    assert np.isnan(areas(same, np.arange(20.0)[:, None]).normalised[0])
    assert areas(same, np.arange(20.0)[:, None]).excess[0] == pytest.approx(0)


def test_risk_at_coverages_keeps_ceil_of_cn_rows():
    losses = np.array([[1.0], [2], [3], [4], [np.nan]])
    uncertainty = np.array([[1.0], [2], [3], [4], [0]])
    # of four measured rows: 1, 1, 2, 3 and all
    found = risk_at(losses, uncertainty, [0.1, 0.25, 0.5, 0.51, 1.0]).ravel()
    assert found.tolist() == [1, 1, 1.5, 2, 2.5]
    assert np.isnan(risk_coverage(losses, uncertainty)[4, 0])


def test_ten_percent_of_a_thousand_is_a_hundred():
    """Also where .07 x 1000 is not whole in floating point."""
    rows = np.arange(1000.0)[:, None]
    # losses whose mean over the first k rows is k - 1
    found = risk_at(2 * rows, rows, [0.07, 0.1, 0.9]).ravel()
    assert found == pytest.approx([69, 99, 899])


def test_thresholds_keep_on_other_data_what_lies_below_them():
    uncertainty = sample(500, seed=4)[1]
    other_losses, other = sample(400, missing=0.2, seed=5)
    groups, others = [f"v{i}" for i in range(500)], [f"e{i}" for i in range(400)]
    fixed = fix_thresholds(uncertainty, groups, [1.0, 0.5, 0.2])
    coverage, risk = fixed.reached(other_losses, other, others)
    for track in range(2):
        limit = np.sort(uncertainty[:, track])[[499, 249, 99]]
        for index in range(3):
            known = ~np.isnan(other_losses[:, track])
            kept = known & (other[:, track] <= limit[index])
            assert coverage[index, track] == pytest.approx(kept.sum() / known.sum())
            assert risk[index, track] == pytest.approx(other_losses[kept, track].mean())
    assert coverage[1] == pytest.approx([0.5, 0.5], abs=0.12)


def test_a_threshold_that_keeps_nothing_has_no_risk():
    fixed = fix_thresholds(np.array([[1.0], [2.0]]), ["a", "b"], [0.5])
    coverage, risk = fixed.reached(np.ones((3, 1)), np.full((3, 1), 5.0), ["x", "y", "z"])
    assert coverage[0, 0] == 0
    assert np.isnan(risk[0, 0])


def test_tied_rows_are_kept_together():
    fixed = fix_thresholds(np.ones((4, 1)), list("abcd"), [0.25])
    coverage, _ = fixed.reached(np.ones((2, 1)), np.ones((2, 1)), ["x", "y"])
    assert coverage[0, 0] == 1


def test_curves_of_groups_are_curves_of_their_rows():
    losses, uncertainty = sample(90)
    strata = np.array(["low", "high", "low"] * 30)
    found = group_curves(losses, uncertainty, strata)
    assert list(found) == ["high", "low"]
    np.testing.assert_allclose(found["high"], risk_coverage(losses[1::3], uncertainty[1::3]))
    (one,) = group_curves(losses, uncertainty, np.full(90, "all")).values()
    np.testing.assert_array_equal(one, risk_coverage(losses, uncertainty))


def test_what_cannot_be_ordered_is_refused():
    losses, uncertainty = sample(10)
    with pytest.raises(InputError, match="must both be rows x tracks"):
        risk_coverage(losses, uncertainty[:5])
    uncertainty[3, 1] = np.nan
    with pytest.raises(InputError, match="the uncertainty in row 3 of track 1 is not a finite"):
        areas(losses, uncertainty)
    losses[:, 0] = np.nan
    with pytest.raises(InputError, match="track 0 has no loss among 10 rows"):
        areas(losses, np.ones_like(losses))
    for wrong in (0.0, 1.1):
        with pytest.raises(InputError, match="must lie above 0 and at most at 1"):
            risk_at(np.ones((4, 1)), np.ones((4, 1)), [wrong])


def test_thresholds_refuse_the_groups_that_they_were_fixed_on():
    losses, uncertainty = sample(3)
    fixed = fix_thresholds(uncertainty, ["a", "b", "c"])
    with pytest.raises(InputError, match="1 groups are in the calibration data"):
        fixed.reached(losses, uncertainty, ["c", "x", "y"])


@given(st.integers(0, 1000), st.booleans())
@settings(max_examples=40, deadline=None)
def test_whole_weights_are_repeated_rows(seed, tied):
    rng = np.random.default_rng(seed)
    losses, uncertainty = sample(23, seed=seed, missing=0.1)
    if tied:
        uncertainty = np.round(uncertainty, 1)
    weights = rng.integers(1, 5, 23).astype(float)
    rows = np.repeat(np.arange(23), weights.astype(int))
    many = losses[rows], uncertainty[rows]
    weighted, plain = areas(losses, uncertainty, weights), areas(*many)
    for name in ("aurc", "excess", "normalised", "augrc"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(plain, name), atol=1e-12)
    np.testing.assert_allclose(
        risk_at(losses, uncertainty, weights=weights), risk_at(*many), atol=1e-12
    )
    groups, others = [f"v{i}" for i in range(23)], np.array([f"e{i}" for i in range(23)])
    fixed = fix_thresholds(uncertainty, groups, weights=weights)
    same = fix_thresholds(many[1], [groups[row] for row in rows])
    np.testing.assert_array_equal(fixed.values, same.values)
    for found, expected in zip(
        fixed.reached(losses, uncertainty, others, weights),
        fixed.reached(*many, others[rows]),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected)
    # after every row stands what the copies of the rows so far make
    for track in range(2):
        known = ~np.isnan(losses[:, track])
        order = np.argsort(uncertainty[known, track], kind="stable")
        ends = weights[known][order].cumsum().astype(int) - 1
        curve = risk_coverage(losses, uncertainty, weights)[: len(ends), track]
        np.testing.assert_allclose(curve, risk_coverage(*many)[ends, track], atol=1e-12)


def test_areas_of_fractional_weights_lie_between_those_of_whole_ones():
    """The closed form in digamma passes through the sums over places."""
    losses, uncertainty = sample(40, 1)
    found = [areas(losses, uncertainty, np.full(40, weight)) for weight in (1.0, 1.5, 2.0)]
    for name in ("aurc", "augrc"):
        values = [getattr(part, name)[0] for part in found]
        assert min(values[0], values[2]) < values[1] < max(values[0], values[2])


def test_bad_weights_are_refused():
    losses, uncertainty = sample(5)
    for weights in (np.ones(4), np.array([1, 1, 0, 1, 1])):
        with pytest.raises(InputError, match="give one positive finite weight per row"):
            areas(losses, uncertainty, weights)
