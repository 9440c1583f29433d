"""Bootstraps by multiplicity against rows that are copied, and statistics in order per round."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from seqtrust.calibration.forecasts import Forecasts
from seqtrust.calibration.ordered import Order, bin_edges, sums_at
from seqtrust.calibration.regression import ence
from seqtrust.calibration.resampling import Resamples, percentile_interval
from seqtrust.calibration.selective import areas, risk_at
from seqtrust.calibration.track_orders import EVERY, TrackOrders

COVERAGES = np.array([0.1, 0.33, 0.5, 1.0])


def sample(seed, tied, rows=40, groups=7):
    rng = np.random.default_rng(seed)
    sd = np.exp(rng.normal(size=rows))
    losses = (sd * rng.standard_normal(rows)) ** 2
    if tied:
        sd, losses = np.round(sd, 1) + 0.1, np.round(losses)
    return sd, losses, np.array([f"g{i}" for i in rng.integers(groups, size=rows)])


@given(st.integers(0, 500), st.booleans(), st.booleans())
@settings(max_examples=25, deadline=None)
def test_statistics_in_order_are_those_of_copied_rows(seed, tied, weighted):
    sd, losses, groups = sample(seed, tied)
    strata = np.where(np.arange(40) % 3 == 0, "x", "y")
    weights = np.random.default_rng(seed).integers(1, 3, 40).astype(float)
    weights = weights if weighted else np.ones(40)
    orders = TrackOrders.of(sd, losses, strata)
    resamples = Resamples(groups, seed)
    drawn = np.concatenate(list(resamples.weights(orders.rows, weights[orders.rows], 5)))
    found = orders.values(drawn, COVERAGES, 4, {"none": 1.0, "scaled": 2.25})
    for number in range(5):
        copies = resamples.draws[number][resamples.index] * weights
        rows = np.repeat(np.arange(40), copies.astype(int))
        many = losses[rows, None], sd[rows, None]
        expected = areas(*many)
        assert found["aurc", EVERY][number] == pytest.approx(expected.aurc[0])
        assert found["excess_aurc", EVERY][number] == pytest.approx(expected.excess[0], abs=1e-9)
        assert found["augrc", EVERY][number] == pytest.approx(expected.augrc[0])
        np.testing.assert_allclose(
            found["risk", EVERY][number], risk_at(*many, COVERAGES)[:, 0], atol=1e-9
        )
        rank = spearmanr(sd[rows], losses[rows]).statistic
        assert found["rank_correlation", EVERY][number] == pytest.approx(rank, nan_ok=True)
        for method, factor in (("none", 1.0), ("scaled", 2.25)):
            made = Forecasts(
                np.zeros((len(rows), 1)), sd[rows, None] * factor**0.5,
                np.sqrt(losses[rows, None]), np.arange(len(rows)).astype(str),
            )  # fmt: skip
            assert found["ence", method][number] == pytest.approx(ence(made, 4)[0])
        for name in ("x", "y"):
            mine = rows[strata[rows] == name]
            if len(mine):
                part = risk_at(losses[mine, None], sd[mine, None], COVERAGES)[:, 0]
                np.testing.assert_allclose(found["risk", name][number], part, atol=1e-9)


def test_intervals_of_means_are_those_of_a_loop_over_rounds():
    rng = np.random.default_rng(1)
    groups = rng.choice(list("abcdefgh"), 60)
    first, second = rng.normal(size=(60, 2)), rng.normal(3, 1, size=(60, 2))
    weights = rng.uniform(0.5, 2, (60, 2))
    weights[rng.random(weights.shape) < 0.2] = 0
    first[weights == 0] = np.nan
    resamples = Resamples(groups, 5)

    def ratio(means):
        return {("ratio", None): means["first", None] / means["second", None]}

    components = {("first", None): first, ("second", None): second}
    low, high = resamples.intervals(components, weights, ratio)["ratio", None]
    for track in range(2):
        values = []
        for drawn in resamples.draws:
            rows = [row for place, count in enumerate(drawn.astype(int)) for _ in range(count)
                    for row in np.flatnonzero(groups == resamples.names[place])]  # fmt: skip
            w = weights[rows, track]
            top = np.nansum(first[rows, track] * w)
            values.append(top / (second[rows, track] * w).sum())
        expected = np.percentile(values, [2.5, 97.5])
        np.testing.assert_allclose([low[track], high[track]], expected)


def test_infinite_values_make_infinite_ends_and_undefined_rounds_do_not_count():
    resamples = Resamples(np.array(list("abcdefghij")), 1)
    values = np.ones((10, 1))
    values[3] = np.inf
    found = resamples.intervals({("x", None): values}, np.ones((10, 1)), dict)["x", None]
    # one group of ten is missing in a third of the rounds
    assert found[0][0] == 1
    assert found[1][0] == np.inf
    gaps = np.array([[np.nan, 1.0, 2.0, 3.0], [np.nan] * 4])
    low, high = percentile_interval(gaps)
    np.testing.assert_allclose(low, [np.percentile([1, 2, 3], 2.5), np.nan])
    np.testing.assert_allclose(high, [np.percentile([1, 2, 3], 97.5), np.nan])


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=60))
def test_percentiles_are_numpys(values):
    found = percentile_interval(np.array(values))
    np.testing.assert_allclose(found, np.percentile(values, [2.5, 97.5]), atol=1e-12)


def test_the_interval_of_a_mean_holds_the_truth_as_often_as_it_says():
    """Groups of five rows that share half of their variance; 150 samples of 60 groups."""
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(60), 5).astype(str)
    inside = 0
    for seed in range(150):
        values = rng.normal(size=(60, 1)).repeat(5, axis=0) + rng.normal(size=(300, 1))
        part = Resamples(groups, seed).intervals({("x", None): values}, np.ones((300, 1)), dict)
        low, high = part["x", None]
        inside += int(low[0] <= 0 <= high[0])
    # 95 % of 150, with 3.5 binomial errors
    assert inside >= 142.5 - 3.5 * (150 * 0.95 * 0.05) ** 0.5


KEYS = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3)), min_size=1, max_size=12)


@given(KEYS, st.integers(1, 5))
def test_edges_of_bins_and_sums_between_keys_against_a_loop(rows, bins):
    keys, weights = (np.array(part, dtype=float) for part in zip(*rows, strict=True))
    order = Order.of(keys)
    mass = order.cumulative(weights[order.rows])
    sums = order.cumulative((weights * keys)[order.rows])
    copies = np.sort(np.repeat(keys, weights.astype(int)))
    total = len(copies)
    sizes = [len(part) for part in np.array_split(copies, bins)]
    assert bin_edges(mass[-1], bins).tolist() == [0, *np.cumsum(sizes)]
    points = np.arange(total + 1.0)
    np.testing.assert_allclose(sums_at(mass, points, sums)[0], np.append(0, copies.cumsum()))
    ranks = order.ranks(mass, np.arange(len(keys)))
    for key, rank in zip(keys, ranks, strict=True):
        assert rank == np.flatnonzero(copies == key).mean() + 1
