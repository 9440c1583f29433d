"""Bounds for more replicates: closed forms, planted laws, and the published counts."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import betabinom, binom

from seqtrust.errors import InputError
from seqtrust.uncertainty.bounds import (
    CLASSES,
    EXACT,
    SAMPLED,
    TABLE,
    MixingLaws,
    beta_binomial_class,
    beta_binomial_fit,
    bound_rows,
    bound_table,
    class_curve,
    observed_fractions,
)
from seqtrust.verdicts import CORRECT, INCONSISTENT, INCORRECT

# published CAGE counts of 0 to 5 correct replicates: n_correct fractions of 8,545 eQTLs
PUBLISHED = [1353, 1070, 1087, 1212, 1365, 2458]


def _bounds(counts, replicates, name, sampled=False):
    laws = MixingLaws(counts, sampled)
    return laws.bounds(class_curve(laws.p, replicates, name))


@pytest.mark.parametrize(
    ("replicates", "low", "high", "guess"), [(10, 0.673, 0.707, 0.70), (50, 0.705, 0.980, 0.88)]
)
def test_published_counts_leave_this_much_open(replicates, low, high, guess):
    """The bounds of the specification of the statistics (.673-.707, .705-.980; .70 and .88)."""
    found = _bounds(PUBLISHED, replicates, INCONSISTENT)
    assert found == pytest.approx((low, high), abs=1e-3)
    shapes = beta_binomial_fit(PUBLISHED)
    assert beta_binomial_class(shapes, replicates, INCONSISTENT) == pytest.approx(guess, abs=5e-3)


def test_the_observed_number_of_replicates_is_no_longer_open():
    expected = observed_fractions(PUBLISHED)
    for name in CLASSES:
        found = _bounds(PUBLISHED, 5, name)
        assert found == pytest.approx((expected[name], expected[name]), abs=1e-6)


def test_two_replicates_bound_three_in_closed_form():
    """E[p^3] given m1 = E[p] = 1/2 and m2 = E[p^2] = 3/8.

    On [0, 1] it lies between m2^2 / m1 (Cauchy-Schwarz) and m2 - (m1 - m2)^2 / (1 - m1).
    """
    counts = [300, 200, 300]  # E[p^2] = 3/8, E[(1 - p)^2] = 3/8, E[2 p (1 - p)] = 1/4
    found = _bounds(counts, 3, CORRECT)
    assert found == pytest.approx((9 / 32, 11 / 32), abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_bounds_hold_the_truth_of_planted_laws(seed):
    """Exact expected counts of any mixing law: its own fractions lie within the bounds."""
    rng = np.random.default_rng(seed)
    p, weights = rng.random(6), rng.dirichlet(np.ones(6))
    expected = (weights[:, None] * binom.pmf(np.arange(5), 4, p[:, None])).sum(axis=0)
    laws = MixingLaws((expected * 1e9).astype(int).tolist(), False)
    assert laws.misfit < 1e-4
    for name in CLASSES:
        truth = float(weights @ class_curve(p, 12, name))
        low, high = laws.bounds(class_curve(laws.p, 12, name))
        assert low - 1e-4 <= truth <= high + 1e-4


def test_counts_within_their_error_bound_less():
    exact, sampled = (_bounds(PUBLISHED, 10, CORRECT, wide) for wide in (False, True))
    assert sampled[0] < exact[0] < exact[1] < sampled[1]


def test_counts_that_no_law_gives_have_no_bounds_and_say_how_far_off_they_are():
    """All rows have two right of four: the nearest law, p = 1/2, gives that to 6 of 16."""
    laws = MixingLaws([0, 0, 40, 0, 0], False)
    assert laws.misfit == pytest.approx(2 * (1 - 6 / 16), abs=1e-3)
    assert np.isnan(laws.bounds(class_curve(laws.p, 8, INCONSISTENT))).all()
    (few, many) = (MixingLaws([0, 0, n, 0, 0], True).misfit for n in (2, 4000))
    assert few == pytest.approx(0, abs=1e-9)
    assert many > 1


def test_the_guess_recovers_a_beta_law_and_its_classes():
    rng = np.random.default_rng(3)
    counts = np.bincount(betabinom.rvs(5, 0.6, 0.4, size=200_000, random_state=rng), minlength=6)
    shapes = beta_binomial_fit(counts.tolist())
    assert shapes == pytest.approx((0.6, 0.4), abs=0.02)
    for replicates in (5, 20):
        law = betabinom(replicates, *shapes)
        assert beta_binomial_class(shapes, replicates, CORRECT) == pytest.approx(
            law.pmf(replicates)
        )
        assert beta_binomial_class(shapes, replicates, INCORRECT) == pytest.approx(law.pmf(0))


def test_the_table_has_a_row_per_place_number_class_and_matching():
    counts = pd.DataFrame(
        {"score": ["a", "b"], "tissue": "pooled", "split": "all", "n": [10, 0]}
        | {f"correct_{k}": [value, 0] for k, value in enumerate([6, 4, 4, 6])}
    )
    table = bound_table(counts, [6])
    assert list(table.columns) == list(TABLE)
    assert set(table["score"]) == {"a"}
    assert len(table) == 2 * len(CLASSES) * 2
    assert set(table["matching"]) == {EXACT, SAMPLED}
    assert (table["lower"] <= table["upper"] + 1e-9).all()


def test_replicates_may_differ_in_number_between_scores():
    counts = pd.DataFrame(
        [
            {"score": "a", "tissue": "t", "split": "all", "n": 6, "correct_0": 1, "correct_1": 2,
             "correct_2": 3},
            {"score": "b", "tissue": "t", "split": "all", "n": 9, "correct_0": 1, "correct_1": 2,
             "correct_2": 3, "correct_3": 3},
        ]
    )  # fmt: skip
    assert bound_table(counts, [4]).groupby("score")["observed_replicates"].first().to_dict() == {
        "a": 2,
        "b": 3,
    }


@pytest.mark.parametrize("counts", [[0, 0, 0], [3, 4]])
def test_too_little_is_refused(counts):
    with pytest.raises(InputError, match="R at least 2, of at least one row; found"):
        bound_rows(counts, [10])
