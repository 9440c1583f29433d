"""Metrics from batches against those of all values at once."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from training_twins import pearson_per_track

from seqtrust.errors import InputError
from seqtrust.models.streaming_metrics import AurocValues, PearsonSums, auroc

SEEDS = st.integers(0, 2**32 - 1)


def streamed(kind, predicted, targets, cuts):
    for part, values in zip(np.split(predicted, cuts), np.split(targets, cuts), strict=True):
        kind.add(torch.from_numpy(part), torch.from_numpy(values))
    return kind.per_track()


@given(SEEDS, st.floats(0, 1), st.sampled_from([0.0, 100.0, -3e4]))
def test_pearson_of_batches_is_that_of_all_values(seed, missing, offset):
    random = np.random.default_rng(seed)
    predicted = random.normal(size=(7, 5, 4)).astype(np.float32)
    targets = (predicted + offset + random.normal(size=predicted.shape)).astype(np.float32)
    targets[random.random(targets.shape) < missing] = np.nan
    targets[..., 2] = 0.2
    predicted[..., 3] = 3.3
    found = streamed(PearsonSums(4), predicted, targets, sorted(random.integers(0, 8, 3)))
    np.testing.assert_allclose(found, pearson_per_track(predicted, targets), rtol=0, atol=1e-12)
    assert np.isnan(found[2:]).all()


def test_what_pearson_keeps_does_not_grow():
    sums = PearsonSums(2)
    before = sums.sums.shape
    for seed in range(20):
        values = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(seed))
        sums.add(values, values)
    assert sums.sums.shape == before
    assert sums.per_track() == pytest.approx([1, 1])
    assert sums.varied()
    assert not PearsonSums(2).varied()


@given(SEEDS, st.integers(1, 30), st.integers(2, 6))
def test_auroc_is_that_of_scikit_learn_with_ties_and_holes(seed, windows, levels):
    random = np.random.default_rng(seed)
    predicted = random.integers(0, levels, (windows, 2, 3)).astype(np.float32)
    targets = random.integers(0, 2, (windows, 2, 3)).astype(np.float32)
    targets[random.random(targets.shape) < 0.2] = np.nan
    found = streamed(AurocValues(3), predicted, targets, [windows // 2])
    for track, value in enumerate(found):
        truth = targets[..., track].ravel()
        known = ~np.isnan(truth)
        if len(set(truth[known])) < 2:
            assert np.isnan(value)
        else:
            expected = roc_auc_score(truth[known], predicted[..., track].ravel()[known])
            assert value == pytest.approx(expected, abs=1e-12)


def test_auroc_of_one_pair_counts_a_tie_as_half():
    classes = np.array([0, 1], dtype=np.uint8)
    assert [auroc(np.array(x, np.float32), classes) for x in ([1, 2], [2, 1], [1, 1])] == [
        1,
        0,
        0.5,
    ]


def test_auroc_refuses_targets_that_are_no_classes():
    values = torch.tensor([[[0.0], [0.5]]])
    with pytest.raises(InputError, match=r"needs targets of 0 and 1, but there is 0\.5: use pears"):
        AurocValues(1).add(values, values)
