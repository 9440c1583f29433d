"""K-mer baselines: counts one by one, learning, stated variances, refusals."""

from itertools import product

import numpy as np
import pytest

from seqtrust import bases
from seqtrust.errors import InputError
from seqtrust.robustness.kmer_models import KINDS, KmerSettings, fit_kmer_model, kmer_counts

FAST = {"trees": 40, "k": 2, "folds": 3, "learning_rate": 0.1}


@pytest.mark.parametrize("k", [1, 2, 3])
def test_counts_are_those_of_one_kmer_at_a_time(k):
    codes = np.random.default_rng(k).integers(0, 5, (6, 25)).astype(np.uint8)
    words = ["".join(word) for word in product("ACGT", repeat=k)]
    turned = {word: word[::-1].translate(str.maketrans("ACGT", "TGCA")) for word in words}
    columns = [word for word in words if word <= turned[word]]
    expected = np.zeros((6, len(columns)))
    for row, sequence in enumerate(codes):
        letters = "".join("ACGTN"[code] for code in sequence)
        for start in range(25 - k + 1):
            word = letters[start : start + k]
            if "N" not in word:
                expected[row, columns.index(min(word, turned[word]))] += 1
    found = kmer_counts(codes, k)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(kmer_counts(bases.reverse_complement(codes), k), expected)


def noisy(count, seed):
    """Mean by CA and TG, whose deviation is 1 where GC content is high, else 0.2."""
    rng = np.random.default_rng(seed)
    gc = np.where(rng.random(count) < 0.5, 0.3, 0.7)
    strong = rng.random((count, 60)) < gc[:, None]
    codes = np.where(strong, rng.integers(1, 3, strong.shape), 3 * rng.integers(0, 2, strong.shape))
    mean = 0.3 * kmer_counts(codes.astype(np.uint8), 2)[:, 4]
    deviation = np.where(strong.mean(axis=1) > 0.5, 1.0, 0.2)
    return codes.astype(np.uint8), mean, deviation, mean + deviation * rng.normal(size=count)


@pytest.mark.parametrize("kind", KINDS)
def test_means_and_variances_are_learned(kind):
    codes, _, _, observed = noisy(900, 0)
    model = fit_kmer_model(codes, observed, KmerSettings(kind=kind, **FAST), seed=1)
    new, mean, deviation, measured = noisy(600, 1)
    found, variance = model.predict(new)
    assert found.shape == variance.shape == (600,)
    assert np.corrcoef(found, mean)[0, 1] > 0.8
    assert np.median(variance[deviation == 1]) > 3 * np.median(variance[deviation < 1])
    assert ((measured - found) ** 2 / variance).mean() == pytest.approx(1, abs=0.35)
    again = fit_kmer_model(codes, observed, KmerSettings(kind=kind, **FAST), seed=1)
    np.testing.assert_array_equal(again.predict(new)[1], variance)


def test_variances_are_not_those_of_seen_groups():
    """Copies of one sequence in several folds would make errors look small."""
    codes, _, _, observed = noisy(60, 2)
    copies, groups = np.repeat(codes, 5, axis=0), np.repeat(np.arange(60), 5).astype(str)
    values = np.repeat(observed, 5)
    settings = KmerSettings(kind="boosting", trees=60, k=2, folds=3)
    apart = fit_kmer_model(copies, values, settings, groups=list(groups))
    torn = fit_kmer_model(copies, values, settings)
    assert apart.predict(codes)[1].mean() > 1.2 * torn.predict(codes)[1].mean()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "forest"}, "there is no k-mer model 'forest'; known: ridge, boosting"),
        ({"k": 9}, "k-mer model: k is 9, it must be from 1 to 6"),
        ({"folds": 1}, "k-mer model: folds is 1"),
        ({"trees": 2}, "k-mer model: trees is 2"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        KmerSettings(**changes)


def test_data_that_cannot_be_learned_from_are_refused():
    codes, _, _, observed = noisy(20, 3)
    for values, groups, message in (
        (observed[:3], None, "measurements of shape .3,. for 20 sequences"),
        (np.where(np.arange(20) == 4, np.nan, observed), None, "measurement nan in row 4"),
        (np.ones(20), None, "all measurements are equal"),
        (observed, ["a"], "1 groups for 20 sequences"),
        (observed, ["a", "b"] * 10, "2 groups cannot be dealt out to 5 folds"),
    ):
        with pytest.raises(InputError, match=message):
            fit_kmer_model(codes, values, groups=groups)
    model = fit_kmer_model(codes, observed, KmerSettings(k=2))
    with pytest.raises(InputError, match="the k-mer model was trained on 60 bp"):
        model.predict(codes[:, :50])
    with pytest.raises(InputError, match="have no 4-mers"):
        kmer_counts(codes[:, :3], 4)


@pytest.mark.parametrize("kind", KINDS)
def test_features_beside_the_counts_are_learned_from(kind):
    rng = np.random.default_rng(6)
    codes = rng.integers(0, 4, (600, 40)).astype(np.uint8)
    known = rng.normal(size=(600, 2))
    observed = 2 * known[:, 1] + 0.1 * rng.normal(size=600)
    settings = KmerSettings(kind=kind, **FAST)
    alone = fit_kmer_model(codes[:400], observed[:400], settings)
    helped = fit_kmer_model(codes[:400], observed[:400], settings, beside=known[:400])
    error = np.mean((observed[400:] - helped.predict(codes[400:], known[400:])[0]) ** 2)
    assert error < 0.2 < np.mean((observed[400:] - alone.predict(codes[400:])[0]) ** 2)
