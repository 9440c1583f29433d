"""Calibration of stated uncertainty against other libraries, loops and closed forms."""

import numpy as np
import pytest
import scoringrules
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri
from scipy.stats import spearmanr
from uncertainty_toolbox import metrics_calibration, metrics_scoring_rule

from seqtrust.calibration.forecasts import Forecasts
from seqtrust.calibration.regression import (
    LEVELS,
    RunningMeans,
    coverage_curve,
    crps,
    ence,
    ence_null,
    gaussian_components,
    gaussian_intervals,
    interval_components,
    interval_score,
    means_of,
    miscalibration_area,
    nll,
    quantile_curve,
    rank_correlation,
    statistics,
    variance_components,
)
from seqtrust.calibration.resampling import GroupSums
from seqtrust.errors import InputError


def forecasts(rows=400, tracks=2, seed=0, sd_error=1.0, missing=0.0, weighted=False):
    """Gaussian observations whose sd is `sd_error` times the stated one."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=(rows, tracks))
    sd = np.exp(rng.normal(-0.5, 0.4, size=(rows, tracks)))
    observed = mean + sd_error * sd * rng.standard_normal((rows, tracks))
    observed[rng.random((rows, tracks)) < missing] = np.nan
    groups = np.array([f"g{i // 4}" for i in range(rows)])
    weights = rng.uniform(0.5, 2, rows) if weighted else None
    return Forecasts(mean, sd, observed, groups, weights)


def all_statistics(given):
    lower, upper = gaussian_intervals(given)
    parts = gaussian_components(given) | interval_components(lower, upper, given.observed)
    return statistics(means_of(parts, given.row_weights))


DATA = forecasts(sd_error=1.7)
COLUMNS = [(DATA.mean[:, t], DATA.sd[:, t], DATA.observed[:, t]) for t in range(2)]


def test_calibration_errors_and_area_are_those_of_uncertainty_toolbox():
    """The toolbox averages over 100 levels from 0 to 1, and measures the area as polygons."""
    grid = np.linspace(0, 1, 100)
    for curve, kind in ((coverage_curve, "interval"), (quantile_curve, "quantile")):
        observed = curve(DATA, grid)
        error = np.abs(observed - grid[:, None]).mean(axis=0)
        area = miscalibration_area(grid, observed)
        for track, (mean, sd, y) in enumerate(COLUMNS):
            options = {"num_bins": 100, "vectorized": True, "prop_type": kind}
            expected = metrics_calibration.mean_absolute_calibration_error(mean, sd, y, **options)
            assert error[track] == pytest.approx(expected, abs=1e-9)
            expected = metrics_calibration.miscalibration_area(mean, sd, y, **options)
            assert area[track] == pytest.approx(expected, abs=1e-9)


def test_scores_and_sharpness_are_those_of_uncertainty_toolbox():
    found = all_statistics(DATA)
    for track, (mean, sd, y) in enumerate(COLUMNS):
        assert found["nll", None][track] == pytest.approx(
            metrics_scoring_rule.nll_gaussian(mean, sd, y), abs=1e-9
        )
        assert found["crps", None][track] == pytest.approx(
            metrics_scoring_rule.crps_gaussian(mean, sd, y), abs=1e-9
        )
        assert found["rms_sd", None][track] == pytest.approx(metrics_calibration.sharpness(sd))


def test_scores_are_those_of_scoringrules():
    np.testing.assert_allclose(
        crps(DATA), scoringrules.crps_normal(DATA.observed, DATA.mean, DATA.sd), atol=1e-9
    )
    np.testing.assert_allclose(
        nll(DATA), scoringrules.logs_normal(DATA.observed, DATA.mean, DATA.sd), atol=1e-9
    )
    lower, upper = gaussian_intervals(DATA, [0.9])
    np.testing.assert_allclose(
        interval_score(lower[0], upper[0], DATA.observed, 0.9),
        scoringrules.interval_score(DATA.observed, lower[0], upper[0], 0.1),
        atol=1e-9,
    )


def test_statistics_against_a_loop_with_gaps_and_weights():
    given_ = forecasts(60, 2, seed=3, missing=0.3, weighted=True)
    found = all_statistics(given_)
    for track in range(2):
        rows = [i for i in range(60) if not np.isnan(given_.observed[i, track])]
        w = [given_.weights[i] for i in rows]
        s = [given_.sd[i, track] for i in rows]
        e = [given_.observed[i, track] - given_.mean[i, track] for i in rows]

        def mean(values, w=w):
            return sum(a * b for a, b in zip(w, values, strict=True)) / sum(w)

        z = [a / b for a, b in zip(e, s, strict=True)]
        gaps, below = [], []
        for level in LEVELS:
            half = ndtri((1 + level) / 2)
            gaps.append(abs(mean([abs(x) <= half for x in z]) - level))
            below.append(abs(mean([x <= ndtri(level) for x in z]) - level))
        expected = {
            "mse": mean([x * x for x in e]),
            "variance_ratio": mean([x * x for x in s]) / mean([x * x for x in e]),
            "zms": mean([x * x for x in z]),
            "rms_sd": mean([x * x for x in s]) ** 0.5,
            "cv_sd": (mean([x * x for x in s]) - mean(s) ** 2) ** 0.5 / mean(s),
            "calibration_error": sum(gaps) / 19,
            "quantile_calibration_error": sum(below) / 19,
        }
        for name, value in expected.items():
            assert found[name, None][track] == pytest.approx(value), name
        assert found["coverage", 0.9][track] == pytest.approx(
            mean([abs(x) <= ndtri(0.95) for x in z])
        )
        assert found["width", 0.9][track] == pytest.approx(2 * ndtri(0.95) * mean(s))


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
def test_rows_may_arrive_in_parts(sizes):
    whole = forecasts(sum(sizes), 2, seed=5, missing=0.1, weighted=True)
    running, start = RunningMeans(), 0
    for size in sizes:
        rows = np.arange(start, start + size)
        part = whole.rows(rows)
        running.add(gaussian_components(part), part.row_weights)
        start += size
    expected = means_of(gaussian_components(whole), whole.row_weights)
    merged = RunningMeans()
    for start in range(0, len(whole.mean), 7):
        part = whole.rows(np.arange(start, min(start + 7, len(whole.mean))))
        one = RunningMeans()
        one.add(gaussian_components(part), part.row_weights)
        merged.merge(one)
    for found in (running, merged):
        for key, value in found.result().items():
            np.testing.assert_allclose(value, expected[key], atol=1e-12, err_msg=str(key))


def test_a_track_without_an_observation_has_no_statistic():
    empty = forecasts(20, 2)
    empty.observed[:, 1] = np.nan
    found = all_statistics(empty)
    assert np.isfinite(found["nll", None]).tolist() == [True, False]
    assert np.isnan(found["coverage", 0.9][1])


def test_group_sums_add_up_to_the_means():
    given_ = forecasts(100, 2, seed=6, missing=0.2, weighted=True)
    components = gaussian_components(given_)
    first, second = GroupSums(), GroupSums()
    for sums, rows in ((first, np.arange(30)), (second, np.arange(50, 100)),
                       (first, np.arange(30, 50))):  # fmt: skip
        part = given_.rows(rows)
        sums.add(gaussian_components(part), part.row_weights, part.groups)
    first.merge(second)
    names, means, weights = first.result()
    assert names.tolist() == sorted(set(given_.groups.tolist()))
    for place, name in enumerate(names):
        mine = given_.rows(given_.groups == name)
        expected = means_of(gaussian_components(mine), mine.row_weights)
        for key, values in expected.items():
            np.testing.assert_allclose(means[key][place], values, err_msg=str(key))
    expected = means_of(components, given_.row_weights)
    for key, found in means_of(means, weights).items():
        np.testing.assert_allclose(found, expected[key])


@given(st.floats(0.01, 100), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_units_do_not_matter_to_what_has_none(scale, seed):
    first = forecasts(120, 1, seed=seed)
    second = Forecasts(scale * first.mean, scale * first.sd, scale * first.observed, first.groups)
    before, after = all_statistics(first), all_statistics(second)
    for name in ("zms", "variance_ratio", "calibration_error", "cv_sd"):
        np.testing.assert_allclose(after[name, None], before[name, None], rtol=1e-6)
    np.testing.assert_allclose(ence(second), ence(first), rtol=1e-6)
    np.testing.assert_allclose(after["crps", None], scale * before["crps", None], rtol=1e-6)
    np.testing.assert_allclose(after["nll", None], before["nll", None] + np.log(scale), atol=1e-6)


def test_right_forecasts_are_calibrated():
    """Expected: ZMS = VR = 1, nominal coverage, and no other sd with a better NLL or CRPS."""
    right = forecasts(20_000, 1, seed=7)
    found = all_statistics(right)
    assert found["zms", None][0] == pytest.approx(1, abs=4 * (2 / 20_000) ** 0.5)
    assert found["variance_ratio", None][0] == pytest.approx(1, abs=0.05)
    for level in (0.5, 0.8, 0.9, 0.95):
        error = (level * (1 - level) / 20_000) ** 0.5
        assert found["coverage", level][0] == pytest.approx(level, abs=4 * error)
    for factor in (0.7, 1.4):
        wrong = all_statistics(right.with_sd(factor * right.sd))
        for name in ("nll", "crps"):
            assert wrong[name, None][0] > found[name, None][0]


@pytest.mark.parametrize(("ratio", "published"), [(0.32, 0.65), (0.113, 0.42), (0.165, 0.496)])
def test_coverage_that_an_unseen_error_variance_leaves(ratio, published):
    """VR = V / (V + D), coverage of 90 % is 2 Phi(z VR^1/2) - 1.

    The pairs are those printed in the project's specification of shifts (closed forms).
    """
    rng = np.random.default_rng(11)
    n, variance = 40_000, 1.3
    added = variance * (1 / ratio - 1)
    observed = rng.normal(size=(n, 1)) * (variance + added) ** 0.5
    shifted = Forecasts(
        np.zeros((n, 1)), np.full((n, 1), variance**0.5), observed, np.arange(n).astype(str)
    )
    found = all_statistics(shifted)
    expected = 2 * ndtr(ndtri(0.95) * ratio**0.5) - 1
    assert expected == pytest.approx(published, abs=0.006)
    assert found["variance_ratio", None][0] == pytest.approx(ratio, rel=0.04)
    assert found["coverage", 0.9][0] == pytest.approx(expected, abs=4 * (0.25 / n) ** 0.5)


def test_a_collapse_below_70_percent_is_a_variance_ratio_below_two_fifths():
    assert 2 * ndtr(ndtri(0.95) * 0.4**0.5) - 1 == pytest.approx(0.70, abs=0.005)


def test_ence_against_a_loop():
    given_ = forecasts(103, 1, seed=8, sd_error=1.5, missing=0.1)
    known = ~np.isnan(given_.observed[:, 0])
    pairs = sorted(zip(given_.sd[known, 0], given_.errors[known, 0], strict=True))
    gaps = []
    for part in np.array_split(np.arange(len(pairs)), 10):
        stated = (sum(pairs[i][0] ** 2 for i in part) / len(part)) ** 0.5
        error = (sum(pairs[i][1] ** 2 for i in part) / len(part)) ** 0.5
        gaps.append(abs(stated - error) / stated)
    assert ence(given_)[0] == pytest.approx(sum(gaps) / 10)


def test_ence_of_right_forecasts_lies_within_its_null_and_grows_with_bins():
    inside = 0
    for seed in range(40):
        right = forecasts(300, 1, seed=seed)
        _, high = ence_null(right, seed=seed)
        inside += int(ence(right)[0] <= high[0])
    # 97.5 % of 40: fewer than 36 has a chance of .2 %
    assert inside >= 36
    few, many = (ence_null(forecasts(2000, 1), 1, bins=b)[0][0] for b in (10, 40))
    assert many / few == pytest.approx(2, rel=0.1)


def test_ence_of_one_sd_does_not_depend_on_the_order_of_rows():
    y = np.random.default_rng(1).normal(size=(50, 1)) * 3
    groups = np.arange(50).astype(str)
    first = Forecasts(np.zeros((50, 1)), np.ones((50, 1)), y, groups)
    second = first.rows(np.random.default_rng(2).permutation(50))
    assert ence(first)[0] == pytest.approx(abs(np.sqrt((y**2).mean()) - 1))
    assert ence(second)[0] == pytest.approx(ence(first)[0])


def test_rank_correlation_is_spearmans_and_unknown_for_one_sd():
    given_ = forecasts(80, 2, missing=0.2)
    for track, value in enumerate(rank_correlation(given_)):
        known = given_.measured[:, track]
        expected = spearmanr(given_.sd[known, track], np.abs(given_.errors[known, track]))
        assert value == pytest.approx(expected.statistic)
    assert np.isnan(rank_correlation(given_.with_sd(np.ones((80, 2))))).all()


def test_a_point_forecast_is_right_or_wrong_without_limit():
    zeros = np.zeros((2, 1))
    point = Forecasts(zeros, zeros, np.array([[0.0], [0.5]]), np.array(["a", "b"]))
    assert point.z.ravel().tolist() == [0, np.inf]
    assert nll(point).ravel().tolist() == [-np.inf, np.inf]
    assert crps(point).ravel().tolist() == [0, 0.5]
    lower, upper = gaussian_intervals(point, [0.9])
    score = interval_components(lower, upper, point.observed, [0.9])
    assert score["coverage", 0.9].ravel().tolist() == [1, 0]
    assert score["interval_score", 0.9].ravel() == pytest.approx([0, 0.5 * 20])
    with pytest.raises(InputError, match=r"ENCE divides by the stated sd, which is 0 in 2 of 2"):
        ence(point)


def test_infinite_intervals_cover_and_score_infinitely():
    parts = interval_components(
        np.full((1, 1, 1), -np.inf), np.full((1, 1, 1), np.inf), np.zeros((1, 1)), [0.9]
    )
    assert parts["coverage", 0.9] == 1
    assert parts["interval_score", 0.9] == np.inf


def test_the_area_of_one_crossing():
    """|a - b| between (0,0) and (1,1) with observed .5 at 1/4 and at 3/4: worked by hand."""
    nominal = np.array([0, 0.25, 0.75, 1])
    observed = np.array([[0], [0.5], [0.5], [1]])
    assert miscalibration_area(nominal, observed)[0] == pytest.approx(4 * 0.25 * 0.25 / 2)


BASE = {
    "mean": np.zeros((3, 1)),
    "sd": np.ones((3, 1)),
    "observed": np.zeros((3, 1)),
    "groups": np.array(["a", "b", "c"]),
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": np.array([[0], [np.nan], [0]])}, "the mean is not a finite number in row 1"),
        ({"sd": np.array([[1], [1], [np.inf]])}, "the sd is not a finite number in row 2"),
        ({"sd": np.array([[1], [-1], [1]])}, "the sd is negative in row 1 of track 0"),
        ({"observed": np.array([[np.inf], [0], [0]])}, "the observation is infinite in row 0"),
        ({"sd": np.ones((3, 2))}, "must all be rows x tracks"),
        ({"groups": np.array(["a"])}, "1 group keys for 3 rows: give one per row"),
        ({"groups": np.array(["a", "", "c"])}, "row 1 has an empty group key"),
        ({"weights": np.array([1, 0, 1])}, "give one positive finite weight per row"),
    ],
)
def test_bad_forecasts_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        Forecasts(**(BASE | change))


def test_bins_without_rows_are_refused():
    for statistic in (ence, lambda given_: ence_null(given_, 1)):
        with pytest.raises(InputError, match="5 observations for 10 bins leave bins empty"):
            statistic(forecasts(5, 1))


def repeated(given_):
    """Every row as often as its weight says, without weights."""
    rows = np.repeat(np.arange(len(given_.mean)), given_.weights.astype(int))
    part = given_.rows(rows)
    return Forecasts(part.mean, part.sd, part.observed, part.groups)


@given(st.integers(0, 1000), st.booleans(), st.integers(2, 11))
@settings(max_examples=40, deadline=None)
def test_whole_weights_are_repeated_rows(seed, tied, bins):
    """Of ENCE and rank correlation, also where sds are tied and rows lie across bins."""
    rng = np.random.default_rng(seed)
    base = forecasts(37, 2, seed=seed, missing=0.1)
    sd = np.round(base.sd, 1) + 0.1 if tied else base.sd
    weights = rng.integers(1, 5, 37).astype(float)
    given_ = Forecasts(base.mean, sd, base.observed, base.groups, weights)
    np.testing.assert_allclose(ence(given_, bins), ence(repeated(given_), bins), atol=1e-12)
    np.testing.assert_allclose(
        rank_correlation(given_), rank_correlation(repeated(given_)), atol=1e-12
    )


def test_weights_of_one_change_nothing_and_parts_of_rows_are_shared_by_bins():
    base = forecasts(103, 2, missing=0.1)
    ones = Forecasts(base.mean, base.sd, base.observed, base.groups, np.ones(103))
    np.testing.assert_array_equal(ence(ones), ence(base))
    np.testing.assert_array_equal(ence_null(ones, 1), ence_null(base, 1))
    # two rows of weight 3/2 in three bins of one: the middle one holds half of each
    two = Forecasts(
        np.zeros((2, 1)), np.array([[1.0], [2.0]]), np.array([[2.0], [2.0]]), np.array(["a", "b"]),
        np.full(2, 1.5),
    )  # fmt: skip
    stated = [1, 2.5**0.5, 2]
    assert ence(two, 3)[0] == pytest.approx(np.mean([abs(s - 2) / s for s in stated]))


def test_the_null_of_ence_is_that_of_a_loop_over_draws():
    given_ = forecasts(61, 1, seed=4, missing=0.2)
    rounded = given_.with_sd(np.round(given_.sd, 1) + 0.1)
    for one in (given_, rounded):
        sd = one.sd[one.measured[:, 0]]
        squares = np.random.default_rng(9).standard_normal((50, 61)) ** 2
        values = []
        order = np.argsort(sd[:, 0], kind="stable")
        for drawn in squares:
            # draws are dealt in the order of the sd
            observed = np.empty((len(sd), 1))
            observed[order, 0] = np.sqrt(drawn[: len(sd)]) * sd[order, 0]
            made = Forecasts(np.zeros_like(sd), sd, observed, np.arange(len(sd)).astype(str))
            values.append(ence(made)[0])
        mean, high = ence_null(one, 9, rounds=50)
        assert mean[0] == pytest.approx(np.mean(values))
        assert high[0] == pytest.approx(np.quantile(values, 0.975))


def test_parts_of_the_variance_are_means():
    between, within = np.full((4, 1), 2.0), np.arange(4.0)[:, None]
    found = statistics(means_of(variance_components(between, within), np.ones((4, 1))))
    assert found["between_variance", None][0] == 2
    assert found["within_variance", None][0] == 1.5
