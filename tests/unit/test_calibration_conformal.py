"""Conformal intervals and sets: crepes, loops, and the guarantee in simulation."""

import math

import numpy as np
import pytest
from crepes import ConformalRegressor
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrust.calibration.classification import Labelled
from seqtrust.calibration.conformal import (
    ConformalIntervals,
    ConformalQuantiles,
    SignSets,
    conformal_quantile,
    cqr_scores,
    effective_size,
    weighted_quantile,
)
from seqtrust.calibration.forecasts import Forecasts
from seqtrust.errors import InputError

# (n + 1) level is whole for no n below, where crepes cuts (n + 1) (1 - level) down for its last bit
LEVELS = [0.5, 0.83, 0.9, 0.95]


def draw(name, rows, seed, tracks=2, missing=0.0):
    rng = np.random.default_rng(seed)
    sd = np.exp(rng.normal(0, 0.5, size=(rows, tracks)))
    observed = 2 * sd * rng.standard_normal((rows, tracks))
    observed[rng.random(sd.shape) < missing] = np.nan
    return Forecasts(np.zeros_like(sd), sd, observed, np.array([f"{name}{i}" for i in range(rows)]))


def shares(lower, upper, evaluation):
    inside = (lower <= evaluation.observed) & (evaluation.observed <= upper)
    return np.where(evaluation.measured, inside, np.nan)


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("mondrian", [False, True])
def test_intervals_are_those_of_crepes(normalised, mondrian):
    calibration, evaluation = draw("c", 132, 1), draw("e", 30, 2)
    bins = np.where(np.arange(132) < 55, "a", "b"), np.where(np.arange(30) < 9, "a", "b")
    fit = ConformalIntervals.fit(calibration, normalised, bins[0] if mondrian else None)
    lower, upper = fit.intervals(evaluation, LEVELS, bins[1] if mondrian else None)
    for track in range(2):
        options = {"sigmas": calibration.sd[:, track]} if normalised else {}
        options |= {"bins": bins[0]} if mondrian else {}
        theirs = ConformalRegressor()
        theirs.fit(calibration.errors[:, track], **options)
        options = {"sigmas": evaluation.sd[:, track]} if normalised else {}
        options |= {"bins": bins[1]} if mondrian else {}
        for index, level in enumerate(LEVELS):
            expected = theirs.predict_int(evaluation.mean[:, track], confidence=level, **options)
            np.testing.assert_allclose(lower[index, :, track], expected[:, 0], atol=1e-12)
            np.testing.assert_allclose(upper[index, :, track], expected[:, 1], atol=1e-12)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=25), st.integers(1, 99))
def test_the_quantile_is_the_smallest_score_that_enough_do_not_exceed(scores, percent):
    found = conformal_quantile(np.array(scores, dtype=float)[:, None], [percent / 100])[0, 0]
    rank = -(-(len(scores) + 1) * percent // 100)
    assert found == (sorted(scores)[rank - 1] if rank <= len(scores) else math.inf)


def test_missing_scores_do_not_count():
    scores = np.array([[3.0, 1], [np.nan, 2], [1, 3], [2, 4]])
    expected = [conformal_quantile(np.array([[1.0], [2], [3]]), [0.7])[0, 0], 4]
    np.testing.assert_array_equal(conformal_quantile(scores, [0.7])[0], expected)


KINDS = {
    "split": lambda calibration: ConformalIntervals.fit(calibration),
    "normalised": lambda calibration: ConformalIntervals.fit(calibration, normalised=True),
    "quantiles": ConformalQuantiles.fit,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "level"), [(19, 0.9), (40, 0.8), (99, 0.9)])
def test_marginal_coverage_keeps_its_guarantee(kind, n, level):
    """[a, a + 1/(n+1)], over draws of calibration data and of one new row: tracks are rounds."""
    rounds = 20_000
    calibration, evaluation = draw("c", n, 3, rounds), draw("e", 1, 4, rounds)
    lower, upper = KINDS[kind](calibration).intervals(evaluation, [level])
    covered = shares(lower[0], upper[0], evaluation).mean()
    slack = 3.5 * (level * (1 - level) / rounds) ** 0.5
    assert level - slack <= covered <= level + 1 / (n + 1) + slack


def test_mondrian_coverage_holds_in_every_category_and_split_coverage_does_not():
    def sample(name, seed):
        one = draw(name, 4000, seed, 1)
        wide = np.where(np.arange(4000) % 4 == 0, 3.0, 1.0)[:, None]
        labels = np.where(wide[:, 0] > 1, "wide", "narrow")
        return Forecasts(one.mean, one.sd, one.observed * wide, one.groups), labels

    (calibration, known), (evaluation, labels) = sample("c", 5), sample("e", 6)
    mondrian = ConformalIntervals.fit(calibration, True, known).intervals(evaluation, [0.9], labels)
    plain = ConformalIntervals.fit(calibration, True).intervals(evaluation, [0.9])
    for name in ("wide", "narrow"):
        mine = labels == name
        assert shares(*mondrian, evaluation)[0, mine].mean() == pytest.approx(0.9, abs=0.035)
        assert abs(shares(*plain, evaluation)[0, mine].mean() - 0.9) > 0.05


def test_the_ends_of_cqr_against_a_loop():
    calibration, evaluation = draw("c", 47, 7, missing=0.2), draw("e", 5, 8)
    z = 1.6448536269514722
    lower, upper = ConformalQuantiles.fit(calibration).intervals(evaluation, [0.9])
    for track in range(2):
        scores = sorted(
            max(-z * s - y, y - z * s)
            for s, y in zip(calibration.sd[:, track], calibration.observed[:, track], strict=True)
            if not np.isnan(y)
        )
        moved = scores[math.ceil(0.9 * (len(scores) + 1)) - 1]
        np.testing.assert_allclose(upper[0, :, track], z * evaluation.sd[:, track] + moved)
        np.testing.assert_allclose(lower[0, :, track], -z * evaluation.sd[:, track] - moved)


def test_cqr_of_stated_sds_that_are_much_too_large_ends_at_the_middle():
    calibration = draw("c", 50, 1, 1)
    wide = Forecasts(
        calibration.mean, calibration.sd + 50, calibration.observed, calibration.groups
    )
    narrow = draw("e", 3, 2, 1)
    lower, upper = ConformalQuantiles.fit(wide).intervals(narrow, [0.9])
    np.testing.assert_array_equal(lower, upper)
    assert cqr_scores(np.array(-1.0), np.array(2.0), np.array(2.5)) == 0.5


def test_equal_weights_give_the_plain_quantile():
    scores = np.abs(draw("c", 57, 9, missing=0.1).observed)
    for weight in (1.0, 0.1, 7.3):
        found = weighted_quantile(scores, np.full(57, weight), np.full(2, weight), LEVELS)
        expected = conformal_quantile(scores, LEVELS)
        np.testing.assert_array_equal(found, np.broadcast_to(expected[:, None], found.shape))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5)), min_size=1, max_size=15),
       st.integers(1, 5), st.integers(5, 98))  # fmt: skip
@settings(max_examples=60)
def test_the_weighted_quantile_against_a_loop(rows, own, percent):
    scores, weights = np.array(rows, dtype=float).T
    found = weighted_quantile(scores[:, None], weights, np.array([float(own)]), [percent / 100])
    total = sum(weight for _, weight in rows) + own
    expected, reached = math.inf, 0
    for score, weight in sorted(rows):
        reached += weight
        if 100 * reached >= percent * total:
            expected = score
            break
    assert found[0, 0, 0] == expected


def test_weights_restore_coverage_under_a_known_shift_of_inputs():
    """Inputs move from N(0, 1) to N(1, 1), noise grows with them: the ratio is exp(x - 1/2)."""
    rng = np.random.default_rng(10)
    n, rounds, level = 400, 1500, 0.9
    plain, weighted = [], []
    for _ in range(rounds):
        x, new = rng.normal(size=n), rng.normal(1, 1, size=4)
        scores = np.abs(rng.normal(size=n) * np.exp(0.7 * x))[:, None]
        observed = np.abs(rng.normal(size=4) * np.exp(0.7 * new))
        plain.append(observed <= conformal_quantile(scores, [level])[0, 0])
        limits = weighted_quantile(scores, np.exp(x - 0.5), np.exp(new - 0.5), [level])
        weighted.append(observed <= limits[0, :, 0])
    error = 3.5 * (level * (1 - level) / (4 * rounds)) ** 0.5
    assert np.mean(plain) < 0.8
    # the largest weights of new rows add to coverage, on average sum p_new of a few hundredths
    assert level - error <= np.mean(weighted) <= level + 0.03


def test_effective_size_and_its_warning(caplog):
    assert effective_size(np.full(80, 0.3)) == pytest.approx(80)
    assert effective_size(np.array([1.0, 0, 0])) == 1
    scores = np.abs(draw("c", 60, 1).observed)
    with caplog.at_level("WARNING"):
        weighted_quantile(scores, np.ones(60), np.ones(1), [0.9])
        assert caplog.text == ""
        weighted_quantile(scores, np.arange(60.0) ** 3, np.ones(1), [0.9])
    assert "effective calibration rows of 60" in caplog.text


def test_bad_density_ratios_are_refused():
    scores = np.ones((2, 1))
    with pytest.raises(InputError, match="density ratios must be finite and not negative"):
        weighted_quantile(scores, np.array([1, -1.0]), np.ones(1), [0.9])
    with pytest.raises(InputError, match="all density ratios of the calibration rows are 0"):
        weighted_quantile(scores, np.zeros(2), np.ones(1), [0.9])


def test_too_few_rows_give_infinite_intervals():
    lower, upper = ConformalIntervals.fit(draw("c", 8, 1)).intervals(draw("e", 2, 2), [0.5, 0.9])
    assert np.isfinite(upper[0]).all()
    assert (upper[1] == np.inf).all()
    assert (lower[1] == -np.inf).all()


def test_a_category_without_calibration_rows_is_refused():
    labels = np.full(20, "low")
    fit = ConformalIntervals.fit(draw("c", 20, 1), categories=labels)
    with pytest.raises(InputError, match="category 'high' has no calibration row"):
        fit.intervals(draw("e", 1, 2), [0.5], np.array(["high"]))


def test_zero_sds_and_own_groups_are_refused():
    calibration = draw("c", 20, 1)
    flat = calibration.with_sd(np.zeros((20, 2)))
    with pytest.raises(InputError, match=r"normalised conformal .* or use split conformal"):
        ConformalIntervals.fit(flat, normalised=True)
    assert np.isfinite(ConformalIntervals.fit(flat).intervals(draw("e", 2, 2), [0.5])).all()
    for fit in (ConformalIntervals.fit, ConformalQuantiles.fit):
        with pytest.raises(InputError, match="20 groups are in the calibration data"):
            fit(calibration).intervals(calibration)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_whole_weights_are_repeated_rows(kind, seed):
    calibration, evaluation = draw("c", 30, seed, missing=0.1), draw("e", 3, seed + 50)
    weights = np.random.default_rng(seed).integers(1, 5, 30).astype(float)
    parts = calibration.mean, calibration.sd, calibration.observed, calibration.groups
    weighted = Forecasts(*parts, weights)
    many = calibration.rows(np.repeat(np.arange(30), weights.astype(int)))
    levels = [*LEVELS, 0.999]
    for first, second in zip(
        KINDS[kind](weighted).intervals(evaluation, levels),
        KINDS[kind](many).intervals(evaluation, levels),
        strict=True,
    ):
        np.testing.assert_array_equal(first, second)


def test_categories_may_differ_by_track():
    calibration, evaluation = draw("c", 60, 1), draw("e", 9, 2)
    rng = np.random.default_rng(3)
    known, new = rng.choice(["x", "y"], (60, 2)), rng.choice(["x", "y"], (9, 2))
    found = ConformalIntervals.fit(calibration, categories=known).intervals(evaluation, [0.8], new)
    for track in range(2):
        one = np.array([track])
        fit = ConformalIntervals.fit(calibration.tracks(one), categories=known[:, track])
        expected = fit.intervals(evaluation.tracks(one), [0.8], new[:, track])
        for end, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(end[:, :, track], other[:, :, 0])


def signs(name, rows, seed, tracks=1):
    rng = np.random.default_rng(seed)
    p = rng.random((rows, tracks))
    labels = (rng.random(p.shape) < p).astype(float)
    return Labelled(p, labels, np.array([f"{name}{i}" for i in range(rows)]))


@pytest.mark.parametrize("level", [0.6, 0.9])
def test_sets_of_signs_hold_the_true_one(level):
    rounds, n = 20_000, 60
    new = signs("e", 1, 2, rounds)
    found = SignSets.fit(signs("c", n, 1, rounds)).sets(new, level)
    held = (found == 0) | ((found == 1) == (new.labels == 1))
    slack = 3.5 * (level * (1 - level) / rounds) ** 0.5
    assert held.mean() >= level - slack
    if level == 0.9:
        # no set is empty at this level, so nothing is added to the guarantee
        assert held.mean() <= level + 1 / (n + 1) + slack


def test_sets_by_hand():
    """Scores .1 to .9 of nine plus rows: at level .5 the threshold is the fifth, .5."""
    calibration = Labelled(
        np.linspace(0.1, 0.9, 9)[:, None], np.ones((9, 1)), np.array([f"c{i}" for i in range(9)])
    )
    new = Labelled([[0.9], [0.1], [0.45]], np.ones((3, 1)), np.array(["x", "y", "z"]))
    fit = SignSets.fit(calibration)
    assert fit.sets(new, 0.5).ravel().tolist() == [1, -1, -1]
    assert fit.sets(new, 0.8).ravel().tolist() == [1, -1, 0]
    assert fit.sets(new, 0.99).ravel().tolist() == [0, 0, 0]
    # neither sign is below the threshold of .1: the likelier one; none is at 1/2
    half = Labelled([[0.6], [0.5]], np.ones((2, 1)), np.array(["x", "y"]))
    assert fit.sets(half, 0.1).ravel().tolist() == [1, 0]


def test_sets_refuse_their_own_groups_and_take_weights_as_copies():
    calibration = signs("c", 10, 1)
    with pytest.raises(InputError, match="10 groups are in the calibration data"):
        SignSets.fit(calibration).sets(calibration, 0.9)
    weights = np.arange(1.0, 11)
    weighted = Labelled(calibration.scores, calibration.labels, calibration.groups, weights)
    rows = np.repeat(np.arange(10), weights.astype(int))
    many = Labelled(calibration.scores[rows], calibration.labels[rows], calibration.groups[rows])
    new = signs("e", 40, 2)
    for level in (0.5, 0.8, 0.9):
        np.testing.assert_array_equal(
            SignSets.fit(weighted).sets(new, level), SignSets.fit(many).sets(new, level)
        )
