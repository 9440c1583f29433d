"""Intervals against closed forms and by their coverage."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from seqtrust.statistics import locus_bootstrap, wilson


@given(st.integers(1, 2000), st.data(), st.floats(0.5, 0.99))
def test_wilson_against_its_formula(total, data, coverage):
    # Wilson 1927
    count = data.draw(st.integers(0, total))
    z, p = norm.isf((1 - coverage) / 2), count / total
    middle = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total**2)) / (1 + z * z / total)
    found = wilson(count, total, coverage)
    assert found == pytest.approx((middle - half, middle + half), abs=1e-9)
    assert -1e-12 <= found[0] <= p + 1e-12
    assert p - 1e-12 <= found[1] <= 1 + 1e-12


def test_wilson_by_hand():
    # none of ten: from 0 to z^2 / (10 + z^2) = 3.8415 / 13.8415
    assert wilson(0, 10) == pytest.approx((0, 0.27753), abs=1e-5)
    assert all(math.isnan(bound) for bound in wilson(0, 0))


def ratio(sums):
    return sums[..., :1] / sums[..., 1:2]


@given(st.integers(0, 2**32 - 1))
def test_the_bootstrap_repeats_from_its_seed_and_does_not_see_the_order_within_loci(seed):
    rng = np.random.default_rng(5)
    sums, loci = rng.random((30, 2)) + 0.1, [f"g{row % 7}" for row in range(30)]
    first = locus_bootstrap(sums, loci, ratio, seed, 50)
    order = rng.permutation(30)
    again = locus_bootstrap(sums[order], [loci[row] for row in order], ratio, seed, 50)
    np.testing.assert_allclose(first, again)
    assert first[0][0] <= first[1][0]


def test_copies_of_a_row_in_its_locus_add_no_certainty():
    rng = np.random.default_rng(6)
    sums = np.stack([rng.random(40), np.ones(40)], axis=1)
    once = locus_bootstrap(sums, range(40), ratio, 3)
    copies = locus_bootstrap(np.repeat(sums, 5, axis=0), np.repeat(np.arange(40), 5), ratio, 3)
    np.testing.assert_allclose(once, copies)


@pytest.mark.slow
def test_the_bootstrap_covers_when_loci_are_the_unit():
    """Rows of a locus share their value: intervals over rows would cover half as often."""
    rng = np.random.default_rng(7)
    loci = np.repeat(np.arange(60), 6)
    covered, over_rows = 0, 0
    for trial in range(200):
        rate = rng.beta(3, 2, 60)
        hits = rng.random(360) < rate[loci]
        sums = np.stack([hits, np.ones(360)], axis=1).astype(float)
        low, high = locus_bootstrap(sums, loci, ratio, trial, 300)
        covered += low[0] <= 0.6 <= high[0]
        low, high = locus_bootstrap(sums, range(360), ratio, trial, 300)
        over_rows += low[0] <= 0.6 <= high[0]
    assert 0.89 <= covered / 200 <= 0.99
    assert over_rows < covered
