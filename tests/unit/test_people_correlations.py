"""Correlations across people, and people permuted, against loops and simulations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from seqtrust.uncertainty.people_correlations import (
    METHODS,
    PEARSON,
    SPEARMAN,
    correlations,
    covariate_basis,
    merged,
    pair_correlations,
    pair_names,
    residuals,
    standardised,
)
from seqtrust.uncertainty.people_null import orders, people_null, permutation_keys

ORACLES = {PEARSON: pearsonr, SPEARMAN: spearmanr}


def with_gaps(rng, replicates=3, genes=6, people=20):
    """Predictions with repeated values and missing people, and expression with gaps."""
    predictions = rng.integers(0, 6, (replicates, genes, people)).astype(float)
    measured = rng.normal(size=(genes, people))
    predictions[:, 1, [2, 5]] = np.nan
    measured[3, [0, 7, 9]] = np.nan
    predictions[0, 2] = 4.0
    return predictions, measured


def naive_merge(row, tolerance):
    """Groups of neighbours in order, one value at a time."""
    groups = []
    for place in np.argsort(row, kind="stable"):
        if not np.isfinite(row[place]):
            continue
        if groups and row[place] - row[groups[-1][-1]] <= tolerance:
            groups[-1].append(place)
        else:
            groups.append([place])
    found = row.copy()
    for group in groups:
        found[group] = np.mean(row[group])
    return found


@given(st.integers(0, 10_000), st.floats(0, 0.2))
def test_values_that_differ_by_noise_become_one(seed, tolerance):
    rng = np.random.default_rng(seed)
    values = rng.random((3, 12))
    values[1, 4] = np.nan
    values[2, :3] = values[2, 3]
    expected = np.stack([naive_merge(row, tolerance) for row in values])
    np.testing.assert_allclose(merged(values, tolerance), expected, rtol=1e-12)


def test_merging_without_tolerance_changes_no_byte():
    values = np.random.default_rng(3).random((4, 30))
    np.testing.assert_array_equal(merged(values, 0.0), values)


@pytest.mark.parametrize("method", METHODS)
def test_correlations_are_scipys_per_gene_and_replicate(method):
    predictions, measured = with_gaps(np.random.default_rng(1))
    found = correlations(predictions, measured, method)
    for replicate, values in enumerate(predictions):
        for gene, said in enumerate(values):
            known = np.isfinite(said) & np.isfinite(measured[gene])
            expected = 0.0
            if np.ptp(said[known]) > 0:
                expected = ORACLES[method](said[known], measured[gene, known]).statistic
            assert found[replicate, gene] == pytest.approx(expected, abs=1e-12)
    assert found[0, 2] == 0


@pytest.mark.parametrize("method", METHODS)
def test_pairs_of_replicates_are_scipys(method):
    predictions, _ = with_gaps(np.random.default_rng(2))
    found = pair_correlations(predictions, method)
    for row, (a, b) in enumerate(pair_names(3)):
        for gene in (0, 1, 3):
            known = np.isfinite(predictions[:, gene]).all(axis=0)
            x, y = predictions[a, gene, known], predictions[b, gene, known]
            assert found[row, gene] == pytest.approx(ORACLES[method](x, y).statistic)
    assert (found[[row for row, pair in enumerate(pair_names(3)) if 0 in pair], 2] == 0).all()


def test_covariates_give_the_partial_correlation():
    rng = np.random.default_rng(4)
    predictions, measured = rng.normal(size=(1, 1, 50)), rng.normal(size=(1, 50))
    covariates = rng.normal(size=(50, 2))
    design = np.column_stack([np.ones(50), covariates])

    def left(y):
        return y - design @ np.linalg.lstsq(design, y, rcond=None)[0]

    expected = pearsonr(left(predictions[0, 0]), left(measured[0])).statistic
    found = correlations(predictions, measured, PEARSON, covariates)
    assert found[0, 0] == pytest.approx(expected)


def test_what_the_covariates_explain_whole_is_a_tie():
    rng = np.random.default_rng(5)
    covariates = rng.normal(size=(40, 1))
    explained = (3 + 2 * covariates[:, 0])[None]
    assert (residuals(explained, covariate_basis(covariates)) == 0).all()
    for method in METHODS:
        assert (standardised(explained, method, covariate_basis(covariates)) == 0).all()
        found = correlations(explained[None], rng.normal(size=(1, 40)), method, covariates)
        assert found == 0


def test_a_repeated_covariate_changes_nothing():
    rng = np.random.default_rng(6)
    predictions, measured = rng.normal(size=(2, 3, 30)), rng.normal(size=(3, 30))
    one = rng.normal(size=(30, 1))
    np.testing.assert_allclose(
        correlations(predictions, measured, PEARSON, np.hstack([one, one])),
        correlations(predictions, measured, PEARSON, one),
    )


def test_permutations_stay_within_populations_and_agree_on_subsets():
    populations = np.array([0, 1, 0, 1, 1, 0, 0, 1])
    keys = permutation_keys(8, 50, 1)
    found = orders(keys, populations)
    assert (populations[found] == populations).all()
    assert (np.sort(found, axis=1) == np.arange(8)).all()
    assert len({tuple(row) for row in found}) > 25
    people = np.array([0, 2, 3, 4, 6, 7])
    for row, key in zip(orders(keys[:, people], populations[people]), keys, strict=True):
        for population in (0, 1):
            members = [p for p in people if populations[p] == population]
            taken = people[row[[list(people).index(p) for p in members]]]
            assert taken.tolist() == sorted(members, key=lambda p: key[p])


@pytest.mark.parametrize("method", METHODS)
def test_the_null_is_that_of_a_loop_over_permutations(method):
    rng = np.random.default_rng(7)
    predictions, measured = with_gaps(rng)
    populations = rng.integers(0, 2, 20)
    null = people_null(predictions, measured, populations, method, 40, 11)
    keys = permutation_keys(20, 40, 11)
    np.testing.assert_allclose(null.observed, correlations(predictions, measured, method))
    for gene in range(6):
        known = np.isfinite(predictions[:, gene]).all(axis=0) & np.isfinite(measured[gene])
        people = np.flatnonzero(known)
        order = orders(keys[:, people], populations[people])
        values = np.array(
            [correlations(predictions[:, [gene]][:, :, people],
                          measured[gene, people[row]][None], method)[:, 0] for row in order]
        )  # fmt: skip
        exceeding = (np.abs(values) >= np.abs(null.observed[:, gene]) - 1e-12).sum(axis=0)
        np.testing.assert_array_equal(null.exceeding[:, gene], exceeding)
        expected = (values > 0).all(axis=1).astype(int) - (values < 0).all(axis=1)
        np.testing.assert_array_equal(null.unanimous[gene], expected)
    np.testing.assert_allclose(null.p_values, (1 + null.exceeding) / 41)


def test_rows_that_are_not_judged_leave_unanimity_alone():
    rng = np.random.default_rng(8)
    predictions, measured = with_gaps(rng)
    about = (measured, np.zeros(20, dtype=int), SPEARMAN, 30, 1)
    more = np.concatenate([predictions, rng.normal(size=(1, 6, 20))])
    judged = np.array([True, True, True, False])
    expected = people_null(predictions, *about).unanimous
    np.testing.assert_array_equal(people_null(more, *about, None, judged).unanimous, expected)
    assert (people_null(more, *about).unanimous != expected).any()


@pytest.mark.slow
def test_only_permutations_within_populations_hold_the_false_positive_rate():
    """Expression and prediction differ by population and have nothing else in common."""
    rng = np.random.default_rng(9)
    people, genes = 421, 1500
    populations = (np.arange(people) < 77).astype(int)
    shift = rng.normal(size=(2, genes, 1)) * 0.8
    predictions = rng.normal(size=(1, genes, people)) + shift[0] * populations
    measured = rng.normal(size=(genes, people)) + shift[1] * populations
    rates = {}
    for name, labels in {"free": np.zeros(people, dtype=int), "stratified": populations}.items():
        null = people_null(predictions, measured, labels, SPEARMAN, 400, 1)
        rates[name] = (null.p_values < 0.05).mean()
    # the margin is three standard errors of a rate of .05 among 1,500 genes
    assert 0.10 < rates["free"] < 0.40
    assert 0.033 < rates["stratified"] < 0.07
    null = people_null(
        predictions, measured, populations, SPEARMAN, 400, 1, populations[:, None].astype(float)
    )
    assert 0.033 < (null.p_values < 0.05).mean() < 0.07
