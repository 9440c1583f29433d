"""Largest k-mer containment between splits, against sets of strings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrust import bases
from seqtrust.models import split_overlap as module
from seqtrust.models.split_overlap import canonical_kmers, split_overlap


def kmers_of(sequence, k):
    """Distinct canonical k-mers as strings, those with N left out."""
    text = bases.decode(sequence)
    turned = bases.decode(bases.reverse_complement(sequence))
    pairs = ((text[i : i + k], turned[len(text) - k - i :][:k]) for i in range(len(text) - k + 1))
    return {min(pair) for pair in pairs if "N" not in pair[0]}


def naive(codes, splits, k, held_out):
    """Every held-out window against every training window."""
    training = [kmers_of(row, k) for row, split in zip(codes, splits, strict=True)
                if split == "train"]  # fmt: skip
    largest, without = -1.0, 0
    for row, split in zip(codes, splits, strict=True):
        if split == held_out:
            mine = kmers_of(row, k)
            without += not mine
            for other in training if mine else []:
                largest = max(largest, len(mine & other) / len(mine))
    return largest, without


@st.composite
def windows(draw):
    """Related windows: stretches and reverse complements of each other, with some N."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    length, count = draw(st.integers(1, 90)), draw(st.integers(2, 14))
    letters = draw(st.integers(1, 4))
    codes = random.integers(0, letters, (count, length)).astype(np.uint8)
    for row in range(1, count):
        size = int(random.integers(0, length + 1))
        source = codes[int(random.integers(row))]
        if random.random() < 0.5:
            source = bases.reverse_complement(source)
        codes[row, :size] = source[length - size :]
    codes[random.random(codes.shape) < draw(st.sampled_from([0, 0, 0.02, 0.5]))] = 4
    splits = random.choice(["train", "validation", "test", "unused"], count).tolist()
    return codes, splits


@settings(max_examples=150)
@given(windows(), st.sampled_from([(2**20, 2**22, 2**24), (40, 3, 5)]))
def test_the_largest_containment_is_that_of_sets(drawn, sizes):
    """With blocks of the usual size, and with blocks of next to nothing."""
    codes, splits = drawn
    names = ("_BLOCK_KMERS", "_BLOCK_MATCHES", "_BLOCK_PAIRS")
    with pytest.MonkeyPatch.context() as patch:
        for name, size in zip(names, sizes, strict=True):
            patch.setattr(module, name, size)
        found = split_overlap(codes, splits)
    k = min(31, max(1, codes.shape[1] // 2))
    assert (found.k, found.one_in) == (k, 1)
    for split in ("validation", "test"):
        largest, without = naive(codes, splits, k, split)
        if largest < 0:
            assert split not in found.splits
            continue
        one = found.splits[split]
        assert (one.fraction, one.without_kmers) == (pytest.approx(largest), without)
        assert (splits[one.window], splits[one.training_window]) == (split, "train")
        mine, other = kmers_of(codes[one.window], k), kmers_of(codes[one.training_window], k)
        assert one.fraction == pytest.approx(len(mine & other) / len(mine))


def test_kmers_are_the_same_on_both_strands():
    codes = np.random.default_rng(2).integers(0, 4, (3, 100)).astype(np.uint8)
    turned = canonical_kmers(bases.reverse_complement(codes), 31)
    assert np.array_equal(canonical_kmers(codes, 31), turned[:, ::-1])


def planted(windows=60, length=2048):
    """A validation window whose first half is the reverse complement of a training window's."""
    random = np.random.default_rng(4)
    codes = random.integers(0, 4, (windows, length)).astype(np.uint8)
    codes[1, : length // 2] = bases.reverse_complement(codes[7, : length // 2])
    splits = ["test", "validation", "validation", *["train"] * (windows - 3)]
    return codes, splits


def test_a_planted_half_by_hand():
    """A half of 2,048 bp holds 994 of the window's 2,018 31-mers."""
    codes, splits = planted()
    found = split_overlap(codes, splits)
    one = found.splits["validation"]
    assert (one.window, one.training_window, one.without_kmers) == (1, 7, 0)
    assert one.fraction == 994 / 2018
    assert found.splits["test"].fraction == 0
    assert found.suspicious() == []
    names = [f"w{row}" for row in range(len(codes))]
    assert found.record(names)["splits"]["validation"] == {
        "fraction": 994 / 2018,
        "window": "w1",
        "training_window": "w7",
        "without_kmers": 0,
    }
    assert found.record(names)["splits"]["test"]["window"] is None
    assert found.lines(names)[1] == (
        "test: no window shares a 31-mer with a training window; 0 windows have none to judge by"
    )
    assert found.lines(names)[0] == (
        "validation: at most 49.3% of a window's 31-mers are in one training window "
        "(w1 in w7); 0 windows have none to judge by"
    )


def test_a_copied_window_is_suspicious():
    codes, splits = planted()
    codes[0] = codes[9]
    assert split_overlap(codes, splits).suspicious() == ["test"]


def test_a_sample_of_kmers_estimates_the_containment(monkeypatch):
    """Of 60 x 2,018 k-mers at most 2^15: one in four, some 500 per window."""
    monkeypatch.setattr(module, "MOST_KMERS", 2**15)
    codes, splits = planted()
    found = split_overlap(codes, splits)
    assert found.one_in == 4
    one = found.splits["validation"]
    assert (one.window, one.training_window) == (1, 7)
    assert one.fraction == pytest.approx(994 / 2018, abs=4 * 0.5 / 500**0.5)
    assert "judged by one in 4" in found.lines([""] * 60)[0]
