"""Base codes against Python strings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqtrust import bases
from seqtrust.errors import InputError

SEQUENCES = st.text("ACGTN", max_size=60)
COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


def test_codes_are_in_the_order_of_the_letters():
    assert bases.encode("ACGTN").tolist() == [0, 1, 2, 3, 4]


@given(SEQUENCES)
def test_decode_is_the_inverse_of_encode(sequence):
    assert bases.decode(bases.encode(sequence)) == sequence
    assert np.array_equal(bases.encode(sequence.encode()), bases.encode(sequence))


@given(SEQUENCES)
def test_case_is_ignored(sequence):
    assert np.array_equal(bases.encode(sequence.lower()), bases.encode(sequence))


@given(st.text("RYSWKMBDHVNryswkmbdhvn", max_size=20))
def test_every_ambiguity_code_becomes_n(sequence):
    assert bases.decode(bases.encode(sequence)) == "N" * len(sequence)


@given(SEQUENCES, st.sampled_from("-*.U0 Z\n"), SEQUENCES)
def test_other_characters_are_refused_by_name_and_index(before, wrong, after):
    with pytest.raises(InputError) as refusal:
        bases.encode(before + wrong + after)
    assert f"{wrong!r} at index {len(before)} (0-based)" in str(refusal.value)


@given(SEQUENCES)
def test_reverse_complement_equals_that_of_strings(sequence):
    turned = bases.reverse_complement(bases.encode(sequence))
    assert bases.decode(turned) == sequence.translate(COMPLEMENT)[::-1]


@given(arrays(np.uint8, (2, 3, 7), elements=st.integers(0, 4)))
def test_reverse_complement_turns_the_last_axis_and_twice_is_identity(codes):
    turned = bases.reverse_complement(codes)
    assert np.array_equal(turned[1, 2], bases.reverse_complement(codes[1, 2]))
    assert np.array_equal(bases.reverse_complement(turned), codes)


@given(arrays(np.uint8, (3, 9), elements=st.integers(0, 4)))
def test_one_hot_against_a_loop(codes):
    expected = np.zeros((3, 4, 9), dtype=np.float32)
    for row, column in np.ndindex(codes.shape):
        if codes[row, column] < 4:
            expected[row, codes[row, column], column] = 1
    found = bases.one_hot(codes)
    assert found.dtype == np.float32
    assert np.array_equal(found, expected)
