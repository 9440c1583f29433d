"""Known faults of the published scores have the known size; the corrected ones lack them."""

import numpy as np
import pytest
from attribution_twins import iid, planted

from seqtrust.attribution.consistency import embedding_consistency, kmer_consistency
from seqtrust.attribution.consistency_nulls import pairing_null
from seqtrust.attribution.kmer_measure import KmerMeasure

NOISE = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)


@pytest.fixture(scope="module")
def noise_maps():
    """Maps without signal: 2,000 of 200 positions, 40,000 vectors at a fraction of .1."""
    return iid(2000, 1)[0]


@pytest.fixture(scope="module")
def noisy_motifs():
    """Maps of planted motifs under growing noise."""
    return [planted(500, noise, 1) for noise in NOISE]


@pytest.mark.parametrize(
    ("fraction", "isometric", "floor"),
    [(0.1, False, 0.421), (0.99, False, 0.176), (0.1, True, 0.009), (0.99, True, -0.001)],
)
def test_the_published_basis_has_a_floor(noise_maps, fraction, isometric, floor):
    found = embedding_consistency(
        noise_maps, fraction=fraction, mode="published", isometric=isometric
    )
    assert found.score == pytest.approx(floor, abs=0.01)


def test_the_corrected_floor_is_near_zero(noise_maps):
    found = embedding_consistency(noise_maps)
    assert found.vectors == pytest.approx(40_000, rel=0.02)
    assert abs(found.score) < 0.005
    # without the bias term it would be above the limit of .02
    assert found.divergence > 0.02


@pytest.mark.parametrize(
    ("maps", "published", "within", "corrected"),
    [(20, 0.93, 0.06, 1.5), (100, 0.24, 0.03, 0.35), (500, 0.043, 0.01, 0.02)],
)
def test_small_samples_look_consistent(maps, published, within, corrected):
    values = iid(maps, 2)[0]
    isometric = embedding_consistency(values, mode="published", isometric=True)
    assert isometric.score == pytest.approx(published, abs=within)
    found = embedding_consistency(values)
    assert found.score < corrected
    assert found.score < found.divergence - 0.1


@pytest.mark.slow
def test_the_published_score_rises_again_with_noise_and_the_corrected_falls(noisy_motifs):
    published = [embedding_consistency(m, mode="published").score for m, _ in noisy_motifs]
    corrected = [embedding_consistency(m).score for m, _ in noisy_motifs]
    assert published[0] > 1
    assert min(published) < published[-1] - 0.05
    assert published[-1] == pytest.approx(0.42, abs=0.05)
    assert (np.diff(corrected) < 0).all()
    assert corrected[0] > 2
    assert corrected[-1] < 0.02


@pytest.mark.slow
def test_the_kmer_excess_falls_with_noise_where_the_score_rises_again(noisy_motifs):
    found = [pairing_null(KmerMeasure(), *case, rounds=3) for case in noisy_motifs]
    excess = [one.excess for one in found]
    # the first two differ by less than rounds do
    assert (np.diff(excess) < 0.01).all()
    assert excess[0] > 2
    assert abs(excess[-1]) < 0.1
    # noise leaves few long runs, and few k-mers look far from any prior
    last = kmer_consistency(*noisy_motifs[-1])
    assert last.kmers < 500
    assert last.score > 1.5
    assert last.score > found[-2].observed


def test_the_kmer_floor_is_its_bias():
    maps, sequences = planted(2000, 0.05, 3)
    wrong = np.roll(sequences, 1, axis=0)
    found = kmer_consistency(maps, wrong)
    assert found.divergence == pytest.approx((4**6 - 1) / (2 * found.kmers), rel=0.1)
    assert 0.07 < found.divergence < 0.10
    assert abs(found.score) < 0.01


def test_one_zero_map_brings_the_published_kmer_score_to_the_floor():
    maps, sequences = planted(2000, 0.05, 4)
    maps[0] = 0
    assert kmer_consistency(maps, sequences, mode="published").score < 0.11
    assert kmer_consistency(maps, sequences).score > 2
