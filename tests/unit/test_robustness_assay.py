"""The assay: stated means and sds against what is drawn, in both modes."""

import math

import numpy as np
import pytest
from scipy.stats import nbinom

from seqtrust.errors import InputError
from seqtrust.robustness.assay import Assay
from seqtrust.robustness.count_moments import CountSettings, log_count_moments


def drawn_inputs(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1.3, count), rng.uniform(0.3, 0.7, count)


def test_mean_and_sd_follow_their_formula():
    assay = Assay(
        offset=0.3, gain=1.2, gc_bias=2.0, multiplicative=1.5, additive=0.4, depth=0.25, psi=3.0,
        noise=0.3, slope=0.2, clip=1.0,
    )  # fmt: skip
    activity, gc = drawn_inputs(30)
    found = assay.measure(activity, gc, 1.1, 5)
    for row in range(30):
        mean = 0.3 + 1.2 * activity[row] + 2.0 * (gc[row] - 0.45)
        steps = min(max(activity[row] / 1.1, -1.0), 1.0)
        own = 1.5 * math.exp(math.log(0.3) - 0.2 * steps)
        variance = own**2 + 3.0 / found.depth[row] + 0.4**2
        assert found.mean[row] == pytest.approx(mean)
        assert found.sd[row] == pytest.approx(math.sqrt(variance))


def test_observations_have_the_stated_mean_and_sd():
    activity, gc = drawn_inputs(40_000)
    found = Assay(additive=0.2).measure(activity, gc, 1.3, 1)
    z = (found.observed - found.mean) / found.sd
    assert abs(z.mean()) < 4 / np.sqrt(40_000)
    assert np.mean(z**2) == pytest.approx(1, abs=4 * np.sqrt(2 / 40_000))
    assert abs(np.corrcoef(z, activity)[0, 1]) < 4 / np.sqrt(40_000)
    assert abs(np.corrcoef(z, found.depth)[0, 1]) < 4 / np.sqrt(40_000)


def test_depth_is_log_normal_and_scales():
    activity, gc = drawn_inputs(40_000)
    full, shallow = (Assay(depth=d).measure(activity, gc, 1.3, 1).depth for d in (1, 1 / 16))
    np.testing.assert_allclose(shallow, full / 16)
    logs = np.log(full)
    assert logs.mean() == pytest.approx(math.log(30), abs=4 * 0.6 / np.sqrt(40_000))
    assert logs.std() == pytest.approx(0.6, rel=0.02)
    assert np.mean(1 / full) == pytest.approx(Assay().mean_inverse_depth(), rel=0.02)


def test_a_seed_gives_the_same_draws_for_any_factors():
    activity, gc = drawn_inputs(50)
    plain = Assay().measure(activity, gc, 1.3, 4)
    other = Assay(offset=2.0, additive=1.0).measure(activity, gc, 1.3, 4)
    np.testing.assert_array_equal(plain.depth, other.depth)
    np.testing.assert_allclose(
        (plain.observed - plain.mean) / plain.sd, (other.observed - other.mean) / other.sd
    )
    again = Assay().measure(activity, gc, 1.3, 4)
    np.testing.assert_array_equal(plain.observed, again.observed)
    assert (Assay().measure(activity, gc, 1.3, 5).observed != plain.observed).all()


def test_weak_sequences_are_noisier():
    activity = np.linspace(-6, 6, 50)
    noise = Assay().activity_noise(activity, 1.3)
    assert (np.diff(noise) <= 0).all()
    assert noise[0] == pytest.approx(0.35 * math.exp(0.30 * 2.5))
    assert noise[-1] == pytest.approx(0.35 * math.exp(-0.30 * 2.5))


@pytest.mark.parametrize("size", [1.5, 150.0, 3000.0])
@pytest.mark.parametrize("mean", [0.02, 0.7, 9.0, 300.0, 6000.0])
def test_moments_of_log_counts_agree_with_the_sum_over_all_counts(mean, size):
    law = nbinom(size, size / (size + mean))
    counts = np.arange(int(law.isf(1e-11)) + 2)
    mass, values = law.pmf(counts), np.log2(counts + 1)
    average = (mass * values).sum()
    variance = (mass * (values - average) ** 2).sum()
    found = log_count_moments(np.array([mean]), size)
    np.testing.assert_allclose(np.ravel(found), [average, variance], atol=2e-4)


def test_moments_of_large_counts_are_those_of_the_delta_method():
    mean, variance = log_count_moments(np.array([5e6]), 2000.0)
    assert mean[0] == pytest.approx(math.log2(5e6), abs=1e-3)
    assert variance[0] == pytest.approx((1 / 5e6 + 1 / 2000) / math.log(2) ** 2, rel=2e-3)


def test_summed_replicates_have_the_mean_and_variance_of_their_law():
    settings = CountSettings(size=4.0, replicates=3)
    counts = settings.draw(np.full(100_000, 20.0), np.random.default_rng(3))
    variance = 3 * (20 + 20**2 / 4)
    assert counts.mean() == pytest.approx(60, abs=4 * np.sqrt(variance / 100_000))
    assert counts.var() == pytest.approx(variance, rel=0.03)


@pytest.mark.parametrize("depth", [1.0, 1 / 16])
def test_counts_have_the_stated_mean_and_sd(depth):
    activity, gc = drawn_inputs(60_000)
    assay = Assay(counts=CountSettings(), depth=depth, offset=0.5, gain=1.3, additive=0.3)
    found = assay.measure(activity, gc, 1.3, 2)
    z = (found.observed - found.mean) / found.sd
    assert abs(z.mean()) < 4 / np.sqrt(60_000)
    spread = np.sqrt(np.var(z**2) / 60_000)
    assert np.mean(z**2) == pytest.approx(1, abs=4 * spread)
    for third in np.array_split(np.argsort(activity), 3):
        assert abs(z[third].mean()) < 4.5 / np.sqrt(20_000)


def test_noise_of_counts_without_depth_is_near_that_of_the_gaussian_mode():
    activity, gc = np.zeros(4000), np.full(4000, 0.45)
    gaussian = Assay(noise=1e-6).measure(activity, gc, 1.3, 1)
    counts = Assay(noise=1e-6, counts=CountSettings()).measure(activity, gc, 1.3, 1)
    assert np.mean(counts.sd**2) == pytest.approx(np.mean(gaussian.sd**2), rel=0.25)


def test_more_replicates_are_less_noise_and_no_counts_shrink_to_zero():
    activity, gc = np.array([-1.0, 0.0, 2.0]), np.full(3, 0.45)
    few, many = (
        Assay(counts=CountSettings(replicates=number)).measure(activity, gc, 1.3, 1)
        for number in (1, 9)
    )
    assert (many.sd < few.sd).all()
    empty = Assay(counts=CountSettings(), base_depth=1e-5).measure(activity, gc, 1.3, 1)
    np.testing.assert_allclose(empty.mean, 0, atol=0.01)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Assay(depth=0), "depth is 0, it must be finite and at least 1e-06"),
        (lambda: Assay(multiplicative=-1), "multiplicative is -1"),
        (lambda: Assay(offset=math.nan), "offset is nan, it must be finite"),
        (lambda: CountSettings(size=0), "size is 0"),
        (lambda: CountSettings(replicates=0), "replicates is 0"),
        (
            lambda: Assay(counts=CountSettings()).measure(np.full(2, 40.0), np.zeros(2), 1.0, 1),
            "largest mean count is .*from 0 to 1e.08",
        ),
    ],
)
def test_bad_factors_are_refused(make, said):
    with pytest.raises(InputError, match=said):
        make()
