"""The fast callers against those of `seqtrust.verdicts`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrust.errors import InputError
from seqtrust.uncertainty.peaks import called_peaks, fast_highest_bins, fast_poisson_peaks
from seqtrust.verdicts import highest_bins, peak_calls, poisson_peaks


def track(seed, bins, scale):
    rng = np.random.default_rng(seed)
    values = rng.gamma(0.5, scale, bins)
    # ties, and values that lie on the edge of rounding
    values[: bins // 3] = np.round(values[: bins // 3] * 20) / 20
    return values.astype(np.float32)


@given(
    seed=st.integers(0, 10_000),
    bins=st.integers(1, 400),
    scale=st.sampled_from([0.01, 0.3, 3.0, 40.0]),
    fdr=st.sampled_from([0.01, 0.05, 0.3]),
)
def test_poisson_peaks_from_counts_of_equal_values(seed, bins, scale, fdr):
    values = track(seed, bins, scale)
    np.testing.assert_array_equal(fast_poisson_peaks(values, fdr), poisson_peaks(values, fdr))


@given(seed=st.integers(0, 10_000), bins=st.integers(1, 200), share=st.floats(0, 1))
def test_highest_bins_without_a_sort(seed, bins, share):
    values = np.round(track(seed, bins, 1.0), 1)
    number = round(share * bins)
    np.testing.assert_array_equal(fast_highest_bins(values, number), highest_bins(values, number))


def test_a_track_of_very_wide_range_goes_the_slow_way():
    values = np.array([0.0, 3.0, 5e7])
    np.testing.assert_array_equal(fast_poisson_peaks(values), poisson_peaks(values))


@pytest.mark.parametrize("caller", ["matched", "poisson"])
def test_calls_are_those_of_verdicts(caller):
    rng = np.random.default_rng(7)
    rate = rng.gamma(0.3, 6, 500)
    target = rng.poisson(rate).astype(np.float32)
    predictions = (rate * rng.lognormal(0, 0.3, (4, 500))).astype(np.float32)
    calls, truth = peak_calls(predictions.T.astype(np.float64), target, caller, 0.01)
    assert 0 < (truth > 0).sum() < 500
    found = called_peaks(predictions, fast_poisson_peaks(target), caller, 0.01)
    np.testing.assert_array_equal(np.where(found, 1, -1).T, calls)


def test_values_on_a_log_scale_are_refused():
    with pytest.raises(InputError, match="needs counts, not values on a log scale"):
        fast_poisson_peaks([-2.0, -3.0, 1.0])
