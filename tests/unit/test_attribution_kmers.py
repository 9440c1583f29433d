"""The k-mer score against a twin in loops, and against values worked out beforehand."""

import numpy as np
import pytest
from attribution_twins import iid, kmer_twin, planted, waves
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrust.attribution.consistency import kmer_consistency
from seqtrust.attribution.embedding import centred_norms
from seqtrust.attribution.kmer_measure import KmerMeasure
from seqtrust.attribution.kmer_spectrum import cutoffs, merged_strands, segments_above
from seqtrust.bases import reverse_complement
from seqtrust.errors import InputError

WORDS = [a + b for a in "ACGT" for b in "ACGT"]


def with_bad_maps(maps, rows):
    """Maps and sequences with zero, constant and NaN maps put in before some rows."""
    zero = np.zeros_like(maps[0])
    holed = zero + 1.0
    holed[3, 2] = np.nan
    kinds = [zero, holed, np.arange(len(zero))[:, None] + zero]
    return np.insert(maps, rows, [kinds[i % 3] for i in range(len(rows))], axis=0)


def test_cutoffs_and_stretches_of_the_vectors():
    maps, _ = waves()
    norms = np.sqrt(np.square(maps).sum(axis=2))
    cut = cutoffs(norms, 0.75)
    np.testing.assert_allclose(cut, [1.362689, 1.501195, 1.562676, 1.384408], atol=5e-7)
    found = segments_above(norms, cut, (0, 2))
    stretches = [
        [(int(a), int(b)) for a, b in zip(found.first[mine], found.last[mine], strict=True)]
        for mine in (found.map == n for n in range(4))
    ]
    assert stretches == [
        [(0, 2), (10, 11)], [(4, 6), (7, 9), (11, 11)], [(0, 2), (4, 6), (7, 9)], [(2, 5), (8, 10)],
    ]  # fmt: skip


def test_spectrum_and_prior_of_the_vectors():
    found = kmer_consistency(*waves(), k=2, quantile=0.75, mode="published")
    counts = dict(zip(WORDS, (found.spectrum * found.kmers).round().astype(int), strict=True))
    assert found.kmers == 18
    assert {word: n for word, n in counts.items() if n} == {
        "AA": 4, "AC": 1, "AG": 2, "AT": 2, "CG": 1, "GA": 1, "GC": 1, "GG": 1, "GT": 1,
        "TA": 1, "TC": 1, "TG": 1, "TT": 1,
    }  # fmt: skip
    prior = [4, 2, 3, 2, 2, 4, 2, 3, 3, 2, 4, 2, 2, 3, 2, 4]
    np.testing.assert_allclose(found.prior * 44, prior, atol=1e-12)
    assert (found.segments, found.unknown, found.mispaired, len(found.dropped)) == (10, 0, 0, 0)


@pytest.mark.parametrize(("k", "score", "kmers"), [(2, 0.341616398, 18), (3, 1.106573110, 9)])
def test_scores_of_the_vectors(k, score, kmers):
    found = kmer_consistency(*waves(), k=k, quantile=0.75, mode="published")
    assert found.score == pytest.approx(score, abs=1e-9)
    assert found.kmers == kmers
    assert found.bias == 0


@pytest.mark.slow
@given(
    st.integers(0, 400), st.sampled_from(["published", "corrected"]), st.integers(1, 4),
    st.sampled_from([0.0, 0.5, 0.75, 0.9]), st.booleans(),
    st.sampled_from([(0, 2), (1, 1), (0, 0), (2, 3)]), st.booleans(),
)  # fmt: skip
@settings(max_examples=60)
def test_the_score_is_that_of_loops(seed, mode, k, quantile, merged, extension, bad):
    maps, sequences = iid(8, seed, length=23)
    rng = np.random.default_rng(seed)
    if seed % 2:
        sequences[rng.random(sequences.shape) < 0.03] = 4
    if bad:
        maps = with_bad_maps(maps, [0, 4, 4])
        sequences = np.insert(sequences, [0, 4, 4], rng.integers(0, 4, (3, 23)), axis=0)
    expected = kmer_twin(maps, sequences, k, quantile, mode, merged, extension)
    found = kmer_consistency(maps, sequences, k, quantile, mode, merged=merged, extension=extension)
    assert found.kmers == expected[2]
    assert (found.score, found.divergence) == pytest.approx(expected[:2], abs=1e-12, nan_ok=True)
    assert found.spectrum.sum() == pytest.approx(float(found.kmers > 0))
    assert found.prior.sum() == pytest.approx(1)


def test_stretches_that_touch_stay_apart():
    norms = np.zeros((1, 12))
    norms[0, [1, 4, 8]] = 1
    found = segments_above(norms, np.array([0.5]), (0, 2))
    assert found.first.tolist() == [1, 4, 8]
    assert found.last.tolist() == [3, 6, 10]
    joined = segments_above(norms, np.array([0.5]), (1, 2))
    assert joined.first.tolist() == [0, 7]
    assert joined.last.tolist() == [6, 10]


def test_published_pairs_maps_after_a_zero_map_with_wrong_sequences():
    maps, sequences = planted(60, 0.05, 1)
    clean = kmer_consistency(maps, sequences, mode="published")
    broken = maps.copy()
    broken[1] = 0
    found = kmer_consistency(broken, sequences, mode="published")
    assert found.dropped.tolist() == [1]
    assert found.mispaired == 58
    # maps 2, 3, ... read as if they belonged to sequences 1, 2, ...
    shifted = np.delete(maps, 1, axis=0)
    prior = clean.prior
    expected = kmer_consistency(shifted, sequences[:-1], mode="published", prior=prior)
    assert found.score == pytest.approx(expected.score, abs=1e-12)
    assert found.score < 0.7 * clean.score
    mended = kmer_consistency(broken, sequences)
    assert mended.mispaired == 0
    assert mended.score == pytest.approx(kmer_consistency(maps, sequences).score, rel=0.03)


def test_the_published_chromatin_run_loses_constant_and_nan_maps_too():
    maps, sequences = planted(20, 0.1, 8)
    maps[2], maps[5, 0, 0] = 3.0, np.nan
    found = kmer_consistency(maps, sequences, mode="published", centred=True)
    assert found.dropped.tolist() == [2, 5]
    assert found.mispaired == 16
    left = np.delete(maps, [2, 5], axis=0)
    expected = kmer_consistency(
        left, sequences[:18], mode="published", centred=True, prior=found.prior
    )
    assert found.score == pytest.approx(expected.score, abs=1e-12)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 7.3])
def test_a_map_without_signal_changes_no_corrected_score(value):
    maps, sequences = planted(30, 0.2, 2)
    extra = np.insert(maps, 4, np.full_like(maps[0], value), axis=0)
    codes = np.insert(sequences, 4, 0, axis=0)
    found = kmer_consistency(extra, codes)
    assert found.dropped.tolist() == [4]
    expected = kmer_consistency(maps, sequences)
    assert found.score == expected.score
    np.testing.assert_array_equal(found.prior, expected.prior)


def test_constants_scales_and_order_change_nothing():
    maps, sequences = planted(40, 0.2, 3)
    rng = np.random.default_rng(3)
    order = rng.permutation(40)
    score = kmer_consistency(maps, sequences).score
    other = (maps + rng.normal(size=(40, 200, 1))) * rng.uniform(0.1, 9, (40, 1, 1))
    assert kmer_consistency(other, sequences).score == pytest.approx(score, abs=1e-12)
    assert kmer_consistency(maps[order], sequences[order]).score == pytest.approx(score, abs=1e-12)
    centred = kmer_consistency(maps, sequences, mode="published", centred=True).score
    moved = kmer_consistency(other, sequences, mode="published", centred=True).score
    assert moved == pytest.approx(centred, abs=1e-12)
    raw = kmer_consistency(maps, sequences, mode="published").score
    assert raw != kmer_consistency(other, sequences, mode="published").score


def test_both_strands_have_one_score_if_strands_are_merged():
    maps, sequences = planted(40, 0.3, 4)
    sequences[3, 5:9] = 4
    both = (maps, sequences), (maps[:, ::-1, ::-1], reverse_complement(sequences))
    first, second = (kmer_consistency(*x, merged=True, extension=(1, 1)).score for x in both)
    assert first == pytest.approx(second, abs=1e-12)
    apart = [kmer_consistency(*x).score for x in both]
    assert abs(apart[0] - apart[1]) > 1e-6


def test_merging_keeps_palindromes_and_the_total():
    counts = np.arange(16.0)
    found = dict(zip(WORDS, merged_strands(counts), strict=True))
    assert found["AC"] == counts[WORDS.index("AC")] + counts[WORDS.index("GT")]
    assert found["GT"] == 0
    assert found["CG"] == counts[WORDS.index("CG")]
    assert sum(found.values()) == counts.sum()


def test_kmers_with_n_are_left_out_and_counted():
    maps, sequences = planted(30, 0.1, 5)
    everywhere = kmer_consistency(maps, sequences, quantile=0.0, k=3)
    holed = sequences.copy()
    holed[7, 100] = 4
    found = kmer_consistency(maps, holed, quantile=0.0, k=3)
    assert found.unknown == 3
    assert found.kmers == everywhere.kmers - 3


def test_a_prior_without_a_used_kmer_is_infinitely_far():
    maps, sequences = planted(10, 0.1, 6)
    prior = np.ones(16)
    prior[WORDS.index("CG")] = 0
    assert kmer_consistency(maps, sequences, k=2, prior=prior).score == np.inf


def test_settings_of_the_measure_are_those_of_the_function():
    maps, sequences = planted(10, 0.1, 6)
    measure = KmerMeasure(3, 0.8, "published", merged=True)
    assert measure.score(maps, sequences) == (
        kmer_consistency(maps, sequences, 3, 0.8, "published", merged=True).score
    )
    assert (measure.scorable(maps) == centred_norms(maps)[1]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attributions": np.zeros((3, 4, 20))}, r"shape \(3, 4, 20\).*transpose"),
        ({"sequences": np.zeros((2, 20), np.uint8)}, r"sequences have shape \(2, 20\), expected"),
        ({"sequences": np.full((3, 20), 7)}, "code 7 at position 0"),
        ({"attributions": np.zeros((3, 20, 4))}, "none of the 3 attribution maps.*logit"),
        ({"k": 0}, "k is 0"),
        ({"k": 11}, "k is 11, expected 1 to 10"),
        ({"quantile": 1.0}, "quantile is 1.0"),
        ({"mode": "old"}, "mode is 'old', expected 'published' or 'corrected'"),
        ({"extension": (-1, 2)}, "extension"),
        ({"prior": [1.0]}, r"prior has shape \(1,\).*4096"),
        ({"attributions": np.ones((3, 5, 4)), "sequences": np.ones((3, 5))}, "shorter than k = 6"),
    ],
)  # fmt: skip
def test_what_is_refused(change, message):
    maps = np.random.default_rng(0).normal(size=(3, 20, 4))
    given = {"attributions": maps, "sequences": np.zeros((3, 20), np.uint8)} | change
    with pytest.raises(InputError, match=message):
        kmer_consistency(**given)
