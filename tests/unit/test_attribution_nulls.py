"""Permutation nulls of the consistency scores."""

import numpy as np
import pytest
from attribution_twins import iid, planted

from seqtrust.attribution.consistency import kmer_consistency
from seqtrust.attribution.consistency_nulls import (
    AgainstNull,
    another,
    pairing_null,
    position_null,
)
from seqtrust.attribution.embedding_measure import EmbeddingMeasure
from seqtrust.attribution.kmer_measure import KmerMeasure
from seqtrust.errors import InputError


def test_everyone_reads_another_kept_sequence_once():
    kept = np.array([0, 2, 3, 5, 6])
    for seed in range(20):
        partner = another(kept, 8, np.random.default_rng(seed))
        assert sorted(partner[kept]) == kept.tolist()
        assert (partner[kept] != kept).all()
        assert partner[[1, 4, 7]].tolist() == [1, 4, 7]


def test_the_pairing_null_is_the_score_of_sequences_in_another_order():
    maps, sequences = planted(50, 0.1, 1)
    maps[7] = 0
    measure = KmerMeasure(k=3)
    found = pairing_null(measure, maps, sequences, rounds=3, seed=5)
    rng = np.random.default_rng(5)
    kept = np.delete(np.arange(50), 7)
    for value in found.null:
        partner = another(kept, 50, rng)
        expected = kmer_consistency(maps, sequences[partner], k=3).score
        assert value == pytest.approx(expected, abs=1e-12)
    assert found.observed == pytest.approx(measure.score(maps, sequences), abs=1e-12)


@pytest.mark.slow
def test_motifs_exceed_both_nulls_and_noise_neither():
    maps, sequences = planted(200, 0.2, 2)
    noise, random = iid(200, 3)
    for null in (pairing_null, position_null):
        measure = KmerMeasure(k=3) if null is pairing_null else EmbeddingMeasure()
        signal = null(measure, maps, sequences, rounds=10)
        assert signal.z > 10
        assert signal.p == pytest.approx(1 / 11)
        assert signal.excess > 0.1
        assert abs(null(measure, noise, random, rounds=10).z) < 4


def test_the_position_null_keeps_single_columns():
    # the same base at every strong position, anywhere: consistent, but without a motif
    rng = np.random.default_rng(4)
    maps = 0.05 * rng.normal(size=(100, 200, 4))
    maps[rng.random((100, 200)) < 0.1, 1] += 1
    found = position_null(EmbeddingMeasure(), maps, rounds=5)
    assert found.observed > 2
    assert abs(found.excess) < 0.05 * found.observed


def test_shuffled_positions_of_one_position_per_window_change_nothing():
    maps, _ = iid(20, 5)
    found = position_null(EmbeddingMeasure(window=1), maps, rounds=2)
    np.testing.assert_allclose(found.null, found.observed, atol=1e-12)


def test_statistics_of_a_null():
    found = AgainstNull(5.0, np.array([1.0, 2.0, 3.0, 6.0]))
    assert (found.mean, found.excess, found.p) == (3.0, 2.0, 0.4)
    assert found.z == pytest.approx(2 / np.std([1, 2, 3, 6], ddof=1))


def test_what_is_refused():
    maps, sequences = planted(5, 0.1, 6)
    with pytest.raises(InputError, match="rounds is 1, expected at least 2"):
        pairing_null(KmerMeasure(), maps, sequences, rounds=1)
    with pytest.raises(InputError, match="rounds is 0"):
        position_null(EmbeddingMeasure(), maps, rounds=0)
    with pytest.raises(InputError, match="one map cannot be read with another's"):
        pairing_null(KmerMeasure(), maps[:1], sequences[:1])
    with pytest.raises(InputError, match="needs the sequences"):
        position_null(KmerMeasure(), maps)
