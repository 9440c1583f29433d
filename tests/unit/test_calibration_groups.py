"""Mixtures of replicates, and groups that calibration and evaluation may not share."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrust.calibration.grouping import (
    centre_block,
    group_array,
    refuse_overlap,
    shared_rows,
    touched_blocks,
)
from seqtrust.calibration.mixtures import RunningMixture, mixture
from seqtrust.errors import InputError


def test_total_variance_is_that_of_draws_from_the_mixture():
    rng = np.random.default_rng(1)
    means, variances = rng.normal(size=(5, 3)), rng.uniform(0.1, 2, (5, 3))
    found = mixture(means, variances, ddof=0)
    which = rng.integers(5, size=400_000)
    draws = means[which] + np.sqrt(variances[which]) * rng.standard_normal((400_000, 3))
    np.testing.assert_allclose(found.mean, draws.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(found.variance, draws.var(axis=0), rtol=0.02)


@given(st.integers(2, 9), st.integers(0, 50), st.floats(0, 1e6))
@settings(max_examples=30, deadline=None)
def test_parts_are_numpys_also_far_from_zero(replicates, seed, offset):
    rng = np.random.default_rng(seed)
    means = offset + rng.normal(size=(replicates, 4, 2))
    variances = rng.uniform(0, 2, means.shape)
    for ddof in (0, 1):
        found = mixture(means, variances, ddof)
        np.testing.assert_allclose(found.mean, means.mean(axis=0))
        np.testing.assert_allclose(found.between, means.var(axis=0, ddof=ddof), 1e-6, 1e-7)
        np.testing.assert_allclose(found.within, variances.mean(axis=0))


def test_passes_of_dropout_are_components_like_any_other():
    """Passes nested in replicates: the total is the law of total variance applied twice."""
    passes = np.random.default_rng(2).normal(size=(4, 50, 6))
    running = RunningMixture()
    for replicate in passes:
        for one in replicate:
            running.add(one)
    inner, outer = passes.var(axis=1).mean(axis=0), passes.mean(axis=1).var(axis=0)
    np.testing.assert_allclose(running.result(ddof=0).variance, inner + outer)


def test_replicates_without_stated_variances_have_none_within():
    found = mixture(np.array([[1.0], [3.0]]))
    assert (found.mean[0], found.between[0], found.within[0]) == (2, 2, 0)
    assert mixture(np.ones((3, 1))).variance[0] == 0


@pytest.mark.parametrize(
    ("components", "message"),
    [
        ([([1.0], None), ([1.0, 2.0], None)], "component 2 of the mixture has means"),
        ([([1.0], [1.0, 2.0])], "component 1 of the mixture has means"),
        ([([np.nan], None)], "a mean that is not finite"),
        ([([1.0], [-1.0])], "not finite or negative"),
        ([([1.0], None), ([1.0], [1.0])], "some components of the mixture state a variance"),
    ],
)
def test_bad_components_are_refused(components, message):
    running = RunningMixture()
    *right, wrong = components
    for component in right:
        running.add(*component)
    with pytest.raises(InputError, match=message):
        running.add(*wrong)


def test_one_replicate_has_no_variance_between():
    with pytest.raises(InputError, match=r"1 replicates have no variance .* at least 2 are needed"):
        mixture(np.ones((1, 3)))
    assert mixture(np.ones((1, 3)), np.ones((1, 3)), ddof=0).variance.tolist() == [1, 1, 1]


def test_overlap_is_refused_by_key():
    refuse_overlap(["a", "b"], ["c"])
    with pytest.raises(InputError, match=r"2 groups .* the first is 'b'"):
        refuse_overlap(["c", "b", "a"], ["b", "c", "d"])


def test_keys_are_one_per_row_and_not_empty():
    assert group_array(["a", "b"], 2).tolist() == ["a", "b"]
    with pytest.raises(InputError, match="1 group keys for 2 rows"):
        group_array(["a"], 2)
    with pytest.raises(InputError, match="row 1 has an empty group key"):
        group_array(["a", ""], 2)


@given(st.integers(0, 300), st.integers(1, 60), st.integers(0, 300), st.integers(1, 60),
       st.integers(1, 70))  # fmt: skip
def test_windows_that_overlap_share_a_block(start, length, other_start, other_length, block):
    first = touched_blocks("c", start, start + length, block)
    second = touched_blocks("c", other_start, other_start + other_length, block)
    if start < other_start + other_length and other_start < start + length:
        assert set(first) & set(second)
    assert centre_block("c", start, start + length, block) in first
    assert set(first) == {f"c:{position // block}" for position in range(start, start + length)}


def test_rows_that_share_a_key_with_the_evaluation():
    found = shared_rows([("a", "b"), ("c",), ("d",)], [("b",), ("d", "e")])
    assert found.tolist() == [True, False, True]
