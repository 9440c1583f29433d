"""Reference levels against closed forms, simulation and the published fractions."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm, spearmanr

from seqtrust.reference_levels import (
    CALLED,
    EVERY,
    TRUE_POSITIVE,
    implied_by_correlation,
    independent_replicates,
    permuted_truth,
    replicate_correlation,
    unanimous_call,
)

RATES = st.lists(st.floats(0.02, 0.98), min_size=1, max_size=6)


def as_tuple(fractions):
    return fractions.correct, fractions.inconsistent, fractions.incorrect


@pytest.mark.parametrize(
    ("correlation", "inconsistent"),
    # statistics.md, section 1: five replicates, simulated
    [(0.50, 0.67), (0.65, 0.55), (0.75, 0.47)],
)
def test_inconsistent_fraction_of_five_correlated_replicates(correlation, inconsistent):
    found = implied_by_correlation(correlation, [0.5] * 5)
    assert found.inconsistent == pytest.approx(inconsistent, abs=0.01)


@pytest.mark.parametrize("replicates", [2, 3, 5, 10])
def test_independent_replicates_are_fair_coins(replicates):
    expected = 1 - 2 * 0.5**replicates
    assert independent_replicates(replicates).inconsistent == pytest.approx(expected)
    found = implied_by_correlation(0, [0.5] * replicates)
    assert found.inconsistent == pytest.approx(expected, abs=1e-9)


def test_five_fair_coins_are_inconsistent_in_15_of_16_cases():
    assert as_tuple(independent_replicates(5)) == (0.03125, 0.9375, 0.03125)


@given(RATES)
def test_without_correlation_calls_are_independent(rates):
    found = implied_by_correlation(0, rates)
    unanimous = np.prod(rates) + np.prod(1 - np.array(rates))
    assert found.correct == pytest.approx(unanimous, abs=1e-9)
    assert found.incorrect == 0


@given(RATES)
def test_full_correlation_is_a_single_call(rates):
    """The replicates then differ only where a call lies between their rates."""
    found = implied_by_correlation(1, rates)
    assert found.inconsistent == pytest.approx(max(rates) - min(rates), abs=0.01)


@given(st.floats(0.05, 0.95), st.floats(0, 0.99), st.integers(1, 5), st.data())
def test_fractions_are_a_distribution_with_the_given_accuracy(rate, correlation, count, data):
    """With one replicate, correct is the accuracy itself, wherever that can be reached."""
    truth_rate = data.draw(st.floats(0.1, 0.9))
    highest = 1 - abs(rate - truth_rate)
    lowest = abs(1 - rate - truth_rate)
    accuracy = data.draw(st.floats(lowest, highest))
    found = implied_by_correlation(correlation, [rate] * count, accuracy, truth_rate)
    assert sum(as_tuple(found)) == pytest.approx(1)
    assert min(as_tuple(found)) >= -1e-9
    without = implied_by_correlation(correlation, [rate] * count)
    # what is unanimous does not depend on the truth
    assert found.inconsistent == pytest.approx(without.inconsistent, abs=1e-6)
    reachable = implied_by_correlation(correlation, [rate], accuracy, truth_rate).correct
    if count == 1:
        assert found.correct == reachable
    # a call differs from its factor at most as often as at thresholds of 0 (Sheppard 1899)
    off = np.arccos(np.sqrt(correlation)) / np.pi
    assert reachable == pytest.approx(accuracy, abs=off + 0.005)


def test_full_correlation_with_a_truth_is_right_as_often_as_one_replicate():
    correct, inconsistent, incorrect = as_tuple(implied_by_correlation(1, [0.3] * 5, 0.7, 0.4))
    assert correct == pytest.approx(0.7, abs=0.01)
    assert inconsistent == pytest.approx(0, abs=0.01)
    assert incorrect == pytest.approx(0.3, abs=0.01)


@pytest.fixture(scope="module")
def simulated():
    """Calls of four replicates with unequal rates, scores and a truth, from the same model."""
    rng = np.random.default_rng(11)
    factor = rng.normal(size=(UNITS, 1))
    scores = np.sqrt(RHO) * factor + np.sqrt(1 - RHO) * rng.normal(size=(UNITS, 4))
    latent = 0.5 * factor[:, 0] + np.sqrt(0.75) * rng.normal(size=UNITS)
    return scores > norm.isf(CALL_RATES), latent > norm.isf(TRUTH_RATE), scores


UNITS, RHO, CALL_RATES, TRUTH_RATE = 400_000, 0.6, [0.15, 0.3, 0.35, 0.6], 0.25


@pytest.mark.parametrize("given_units", [EVERY, TRUE_POSITIVE])
def test_unequal_rates_with_a_truth_against_simulation(simulated, given_units):
    calls, truth, _ = simulated
    accuracy = (calls == truth[:, None]).mean()
    mine = truth if given_units == TRUE_POSITIVE else np.ones(UNITS, dtype=bool)
    found = implied_by_correlation(RHO, CALL_RATES, accuracy, TRUTH_RATE, given_units)
    # the fit knows the accuracy to 1/1000; a fraction's standard error is below .0015
    right = (calls == truth[:, None]).all(axis=1)[mine].mean()
    wrong = (calls != truth[:, None]).all(axis=1)[mine].mean()
    assert found.correct == pytest.approx(right, abs=0.005)
    assert found.incorrect == pytest.approx(wrong, abs=0.005)


def test_units_that_a_replicate_calls_against_simulation(simulated):
    calls, _, _ = simulated
    called = calls.any(axis=1)
    found = implied_by_correlation(RHO, CALL_RATES, given=CALLED)
    assert found.correct == pytest.approx(calls[called].all(axis=1).mean(), abs=0.005)
    assert found.inconsistent == pytest.approx(1 - found.correct)


@given(st.integers(1, 6))
def test_fair_coins_given_a_call_by_counting(replicates):
    outcomes = list(product((False, True), repeat=replicates))
    called = [calls for calls in outcomes if any(calls)]
    expected = sum(map(all, called)) / len(called)
    assert independent_replicates(replicates, CALLED).correct == pytest.approx(expected)
    found = implied_by_correlation(0, [0.5] * replicates, given=CALLED)
    assert found.correct == pytest.approx(expected)


@pytest.mark.parametrize("signs", [False, True])
def test_the_correlation_of_gaussian_replicates_is_found(simulated, signs):
    assert replicate_correlation(simulated[2][:20_000], signs) == pytest.approx(RHO, abs=0.02)


def test_signs_do_not_see_the_tails_of_effects_and_calls_do():
    scores = np.random.default_rng(12).multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 4000)
    heavy = np.sinh(5 * scores)
    by_rank = replicate_correlation(scores, True)
    assert by_rank == pytest.approx(0.8, abs=0.02)
    assert replicate_correlation(heavy, True) == pytest.approx(by_rank)
    assert replicate_correlation(heavy, False) != pytest.approx(by_rank, abs=0.05)


SCORES = arrays(np.float64, (7, 3), elements=st.floats(-1, 1, width=16), unique=True)


@given(SCORES, st.booleans())
@settings(max_examples=40)
def test_correlation_is_the_mean_over_pairs(scores, signs):
    pairs = [scores[:, list(pair)] for pair in combinations(range(3), 2)]
    expected = np.mean([replicate_correlation(pair, signs) for pair in pairs])
    assert replicate_correlation(scores, signs) == pytest.approx(expected)
    assert replicate_correlation(scores[:, [0, 0, 0]], signs) == pytest.approx(1)


@given(SCORES)
@settings(max_examples=40)
def test_correlation_of_ranks_against_scipy(scores):
    rho = spearmanr(scores[:, 0], scores[:, 1]).statistic
    assert replicate_correlation(scores[:, :2], True) == pytest.approx(2 * np.sin(np.pi * rho / 6))


@pytest.mark.parametrize("shape", [(10, 1), (2, 5), (10, 2)])
def test_correlation_of_too_little_is_unknown(shape):
    scores = np.random.default_rng(1).random(shape)
    if shape == (10, 2):
        scores[:, 1] = 0.5
    assert np.isnan(replicate_correlation(scores, True))
    assert np.isnan(replicate_correlation(scores, False))


CALLS = arrays(
    np.int8, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=st.integers(-1, 1)
)


@given(CALLS)
def test_unanimous_call_against_a_loop(calls):
    expected = [row[0] if len(set(row)) == 1 else 0 for row in calls.tolist()]
    assert unanimous_call(calls).tolist() == expected


@given(CALLS, st.data())
@settings(max_examples=50)
def test_permuting_the_truth_keeps_unanimity(calls, data):
    units = len(calls)
    truth = data.draw(arrays(np.int8, units, elements=st.sampled_from([-1, 1])))
    contexts = data.draw(st.lists(st.sampled_from("xy"), min_size=units, max_size=units))
    loci = data.draw(st.lists(st.sampled_from("abc"), min_size=units, max_size=units))
    unanimous = np.mean(unanimous_call(calls) != 0)
    for found in permuted_truth(calls, truth, contexts, loci, 1, rounds=5):
        assert found.correct + found.incorrect == pytest.approx(unanimous)
        assert found.inconsistent == pytest.approx(1 - unanimous)
        assert min(found.correct, found.incorrect) >= 0


def one_replicate(values):
    return np.array(values, dtype=np.int8)[:, None]


def test_the_truth_moves_within_its_context():
    truth = np.array([1] * 10 + [-1] * 20, dtype=np.int8)
    contexts = ["liver"] * 10 + ["lung"] * 20
    rounds = permuted_truth(one_replicate(truth), truth, contexts, list(range(30)), 1, rounds=20)
    assert {found.correct for found in rounds} == {1.0}
    rounds = permuted_truth(one_replicate(truth), truth, ["x"] * 30, list(range(30)), 1, rounds=20)
    assert max(found.correct for found in rounds) < 1


def test_rows_of_a_locus_move_together():
    loci = np.repeat(np.arange(12), 5)
    truth = np.repeat(np.array([1, -1], dtype=np.int8), 30)
    rounds = permuted_truth(one_replicate(truth), truth, ["x"] * 60, list(loci), 2, rounds=50)
    rights = {round(found.correct * 60) for found in rounds}
    assert len(rights) > 1
    assert all(right % 5 == 0 for right in rights)


def test_loci_of_unequal_size_repeat_their_truths():
    # a has + - +, b has -: exchanged, a gets - - - and b gets +
    truth = np.array([1, -1, 1, -1], dtype=np.int8)
    calls = one_replicate([1, 1, 1, 1])
    rounds = permuted_truth(calls, truth, ["x"] * 4, list("aaab"), 3, rounds=40)
    assert {found.correct for found in rounds} == {2 / 4, 1 / 4}


@pytest.mark.slow
def test_the_expectation_for_independent_loci():
    """A unit's new truth is that of a random unit of its context."""
    rng = np.random.default_rng(13)
    contexts = ["liver"] * 150 + ["lung"] * 250
    truth = np.where(rng.random(400) < np.repeat([0.3, 0.8], [150, 250]), 1, -1).astype(np.int8)
    calls = np.where(rng.random((400, 3)) < 0.7, 1, -1).astype(np.int8)
    rounds = permuted_truth(calls, truth, contexts, list(range(400)), 4, rounds=300)
    called = unanimous_call(calls)
    correct = 0.0
    for mine in (slice(0, 150), slice(150, 400)):
        positive = np.mean(truth[mine] == 1)
        correct += np.sum(called[mine] == 1) * positive
        correct += np.sum(called[mine] == -1) * (1 - positive)
    found = np.array([one.correct for one in rounds])
    standard_error = found.std() / np.sqrt(len(found))
    assert found.mean() == pytest.approx(correct / 400, abs=4 * standard_error)
    assert standard_error < 0.002

    rounds = permuted_truth(
        calls, truth, contexts, list(range(400)), 4, rounds=300, positive_only=True
    )
    positives = [np.sum(truth[mine] == 1) for mine in (slice(0, 150), slice(150, 400))]
    called_positive = [np.mean(called[mine] == 1) for mine in (slice(0, 150), slice(150, 400))]
    expected = np.dot(positives, called_positive) / sum(positives)
    found = np.array([one.correct for one in rounds])
    assert found.mean() == pytest.approx(expected, abs=4 * found.std() / np.sqrt(len(found)))


def test_permutations_repeat_from_their_seed():
    rng = np.random.default_rng(14)
    truth = rng.choice(np.array([-1, 1], dtype=np.int8), 50)
    calls = rng.choice(np.array([-1, 1], dtype=np.int8), (50, 2))
    loci = list(range(50))
    same = [permuted_truth(calls, truth, ["x"] * 50, loci, 5, rounds=10) for _ in range(2)]
    assert same[0] == same[1]
    assert same[0] != permuted_truth(calls, truth, ["x"] * 50, loci, 6, rounds=10)
