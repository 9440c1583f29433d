"""Cis-SNP predictor and heritability against scikit-learn, loops and simulations."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.linear_model import ElasticNetCV, LinearRegression
from sklearn.model_selection import PredefinedSplit

from seqtrust.errors import InputError
from seqtrust.uncertainty.people_dosages import CisVariants, standard_dosages
from seqtrust.uncertainty.people_linear import (
    COLUMNS,
    INNER_FOLDS,
    Heritability,
    averaged_over_folds,
    explained_by_genotypes,
    haseman_elston,
    linear_fit,
    linear_table,
    out_of_fold,
    outer_folds,
    read_heritability,
)


def linked_dosages(rng, variants, people):
    """Dosages of variants in linkage: thresholds of a random walk along the genome."""
    walk = rng.normal(size=(variants, 2 * people))
    for row in range(1, variants):
        walk[row] = 0.7 * walk[row - 1] + np.sqrt(1 - 0.49) * walk[row]
    carried = walk > rng.normal(0.5, 0.3, (variants, 1))
    return carried.reshape(variants, people, 2).sum(axis=2).astype(np.int8)


def test_nested_cross_validation_is_scikit_learns():
    """The twin chooses the penalty with ElasticNetCV and refits on the outer training folds."""
    rng = np.random.default_rng(1)
    dosages = linked_dosages(rng, 8, 120).astype(float)
    expression = dosages[2] * 0.6 + rng.normal(size=120)
    folds = outer_folds(120, 3, 5)
    found = out_of_fold(dosages, expression, folds, 5)
    for fold in range(3):
        held = folds == fold
        x, y = dosages[:, ~held], expression[~held]
        mean, spread = x.mean(axis=1, keepdims=True), x.std(axis=1, keepdims=True)
        scaled = ((x - mean) / spread).T
        largest = np.abs(scaled.T @ (y - y.mean())).max() / len(y) / 0.5
        model = ElasticNetCV(
            l1_ratio=0.5,
            alphas=largest * np.logspace(0, -2, 20),
            cv=PredefinedSplit(outer_folds(len(y), INNER_FOLDS, 5)),
            tol=1e-8,
            max_iter=100_000,
        ).fit(scaled, y)
        expected = model.predict(((dosages[:, held] - mean) / spread).T)
        assert np.abs(found[held] - expected).max() < 0.02 * expected.std()


def test_a_planted_variant_is_found_and_noise_is_not():
    rng = np.random.default_rng(2)
    dosages = linked_dosages(rng, 20, 200).astype(float)
    noise = rng.normal(size=200)
    signal = dosages[7] / dosages[7].std() * np.sqrt(0.4) + noise * np.sqrt(0.6)
    found, nothing = (linear_fit(dosages, y, 5, 1) for y in (signal, noise))
    assert 0.4 < found.r < 0.75
    assert found.p < 1e-6
    assert nothing.p > 0.01
    assert abs(nothing.r) < 0.3


def test_folds_are_averaged_and_not_pooled():
    """Out-of-fold predictions of an intercept alone: pooled r is far below 0 (-.09 at 421)."""
    rng = np.random.default_rng(3)
    pooled = []
    for seed in range(200):
        expression, folds = rng.normal(size=421), outer_folds(421, 5, seed)
        means = np.array([expression[folds != fold].mean() for fold in range(5)])
        predicted = means[folds]
        pooled.append(np.corrcoef(predicted, expression)[0, 1])
        fit = averaged_over_folds(predicted, expression, folds, 0)
        assert fit.tie
        assert (fit.r, fit.p) == (0.0, 1.0)
    assert np.mean(pooled) == pytest.approx(-0.09, abs=0.015)


def test_the_average_is_fishers_and_its_p_value_stouffers():
    rng = np.random.default_rng(4)
    x = rng.normal(size=103)
    y = x + rng.normal(size=103)
    folds = np.arange(103) % 4
    fit = averaged_over_folds(x, y, folds, 3)
    z, weights = [], []
    for fold in range(4):
        mine = folds == fold
        z.append(np.arctanh(np.corrcoef(x[mine], y[mine])[0, 1]))
        weights.append(mine.sum() - 3)
    assert fit.r == pytest.approx(np.tanh(np.average(z, weights=weights)))
    score = sum(a * np.sqrt(w) for a, w in zip(z, weights, strict=True)) / 2
    assert fit.p == pytest.approx(norm.sf(score))
    x[folds == 1] = 1.0
    one_tie = averaged_over_folds(x, y, folds, 3)
    assert not one_tie.tie
    z[1] = 0
    assert one_tie.r == pytest.approx(np.tanh(np.average(z, weights=weights)))


def test_without_variants_the_predictor_is_a_tie():
    expression = np.random.default_rng(5).normal(size=60)
    fit = linear_fit(np.empty((0, 60)), expression, 5, 1)
    assert (fit.tie, fit.variants) == (True, 0)
    assert linear_fit(np.ones((2, 60)), expression, 5, 1).tie


def test_covariates_are_removed_from_expression_first():
    rng = np.random.default_rng(6)
    dosages, group = linked_dosages(rng, 5, 200).astype(float), rng.integers(0, 2, 200)
    dosages[0] = group * 2
    expression = group * 3 + rng.normal(size=200)
    assert linear_fit(dosages, expression, 5, 1).r > 0.7
    assert abs(linear_fit(dosages, expression, 5, 1, group[:, None].astype(float)).r) < 0.25


def test_explained_share_is_scikit_learns_adjusted_r2():
    rng = np.random.default_rng(7)
    genotypes = standard_dosages(linked_dosages(rng, 6, 90))
    y = genotypes[1] + rng.normal(size=90)
    r2 = LinearRegression().fit(genotypes.T, y).score(genotypes.T, y)
    expected = 1 - (1 - r2) * 89 / (89 - 6)
    assert explained_by_genotypes(genotypes, y).value == pytest.approx(expected)
    doubled = explained_by_genotypes(np.repeat(genotypes, 3, axis=0), y)
    assert doubled.value == pytest.approx(expected)


def naive_haseman_elston(genotypes, y):
    """Least squares of products of expression on relationship, pair by pair and with itself."""
    people = len(y)
    centre = np.eye(people) - 1 / people
    k = centre @ (genotypes.T @ genotypes / len(genotypes)) @ centre
    y = centre @ y
    left = np.array([[np.sum(k * k), np.sum(k * centre)], [np.sum(k * centre), np.sum(centre**2)]])
    products = np.array([sum(k[i, j] * y[i] * y[j] for i in range(people) for j in range(people)),
                         np.sum(centre * np.outer(y, y))])  # fmt: skip
    genetic, noise = np.linalg.solve(left, products)
    return genetic / (genetic + noise)


def test_haseman_elston_is_that_of_a_loop():
    rng = np.random.default_rng(8)
    genotypes = standard_dosages(linked_dosages(rng, 10, 30))
    y = genotypes[3] + rng.normal(size=30)
    found = haseman_elston(genotypes, y).value
    assert found == pytest.approx(naive_haseman_elston(genotypes, y))


def mean_and_spread(estimates):
    values = np.array([e.value for e in estimates])
    return values.mean(), values.std(), np.array([e.se for e in estimates]).mean()


@pytest.mark.slow
def test_heritability_and_its_standard_error_on_planted_effects():
    """One causal variant, as at an eQTL: the adjusted R2 is right, its error too."""
    rng = np.random.default_rng(9)
    genotypes = standard_dosages(linked_dosages(rng, 15, 200))
    more = standard_dosages(linked_dosages(rng, 80, 200))
    one, many = [], []
    for _ in range(300):
        noise = rng.normal(size=200)
        y = genotypes[6] * np.sqrt(0.3) + (noise - noise.mean()) * np.sqrt(0.7)
        one.append(explained_by_genotypes(genotypes, y))
        genetic = rng.normal(size=80) @ more / np.sqrt(80)
        many.append(haseman_elston(more, genetic + rng.normal(size=200)))
    mean, spread, stated = mean_and_spread(one)
    assert mean == pytest.approx(0.3, abs=0.01)
    assert stated == pytest.approx(spread, rel=0.15)
    mean, spread, stated = mean_and_spread(many)
    assert mean == pytest.approx(0.5, abs=0.04)
    assert stated == pytest.approx(spread, rel=0.35)


def test_the_ceiling_is_never_above_one_or_imaginary():
    assert Heritability(0.25, 0.1).ceiling == 0.5
    assert Heritability(-0.2, 0.1).ceiling == 0
    assert Heritability(1.3, 0.1).ceiling == 1


def test_genotypes_that_say_nothing_have_no_heritability():
    y = np.random.default_rng(10).normal(size=20)
    for estimate in (explained_by_genotypes, haseman_elston):
        assert np.isnan(estimate(np.empty((0, 20)), y).value)
        assert np.isnan(estimate(np.ones((1, 20)), y).value)


def cis(dosages):
    frequency = dosages.mean(axis=1) / 2
    places = np.arange(len(dosages))
    names = [f"c_{place + 1}_A_C" for place in places]
    return CisVariants(names, places, np.ones(len(dosages), dtype=bool), frequency, dosages)


def test_the_table_uses_known_people_and_common_variants():
    rng = np.random.default_rng(11)
    dosages = linked_dosages(rng, 8, 150)
    dosages[5] = 0
    dosages[5, 0] = 1
    dosages[2, 4] = -1
    expression = rng.normal(size=(3, 150)) + dosages[1]
    expression[1, :40] = np.nan
    expression[2, 20:] = np.nan
    variants = [(name, cis(dosages)) for name in ("a", "b", "c")]
    table = linear_table(variants, expression, None, 0.05, 5, 1).set_index("gene")
    assert tuple(table.columns) == COLUMNS[1:]
    assert table.loc["a", "variants"] == 7
    shorter = cis(np.delete(dosages, 5, axis=0)[:, 40:])
    same = linear_table([("b", shorter)], expression[[1], 40:], None, 0.0, 5, 1).iloc[0]
    assert table.loc["b", "linear_r"] == pytest.approx(same["linear_r"])
    assert table.loc["b", "heritability"] == pytest.approx(same["heritability"])
    assert pd.isna(table.loc["c", "linear_r"])
    given = linear_table(variants, expression, None, 0.05, 5, 1, {"a": Heritability(0.49, 0.1)})
    assert given["ceiling"].iloc[0] == pytest.approx(0.7)
    assert np.isnan(given["ceiling"].iloc[1])


def test_a_given_heritability_is_read_and_faults_are_named(tmp_path):
    path = tmp_path / "h2.tsv"
    path.write_text("gene\th2\tse\na\t0.2\t0.1\n")
    assert read_heritability(path) == {"a": Heritability(0.2, 0.1)}
    assert read_heritability(None) is None
    path.write_text("gene\th2\na\t0.2\n")
    with pytest.raises(InputError, match=r"h2\.tsv lacks the column se; it has: gene, h2"):
        read_heritability(path)
    path.write_text("gene\th2\tse\na\t0.2\t0.1\na\tx\t0\n")
    with pytest.raises(InputError, match="line 3: gene 'a' again"):
        read_heritability(path)
    path.write_text("gene\th2\tse\na\t0.2\t0.1\nb\tx\t0\n")
    with pytest.raises(InputError, match="line 3: h2 is 'x', not a number"):
        read_heritability(path)


def test_no_warning_reaches_the_log():
    rng = np.random.default_rng(12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        linear_fit(linked_dosages(rng, 30, 60).astype(float), rng.normal(size=60), 5, 1)
