"""Edits against a twin that walks base by base."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from seqtrust import bases
from seqtrust.edits import (
    INSERTED,
    Edit,
    apply_edits,
    edited_anchor,
    edited_sequence,
    reference_positions,
    sorted_disjoint,
)
from seqtrust.errors import InputError
from seqtrust.genome import Window

START, STORED = 1000, 120
FIRST, LAST = START + 50, START + 62


@st.composite
def disjoint_edits(draw):
    """SNVs, MNVs, insertions, deletions and complex edits, often adjacent."""
    edits = []
    position = FIRST
    for _ in range(draw(st.integers(0, 5))):
        start = position + draw(st.integers(0, 2))
        end = start + draw(st.integers(0, 4))
        replacement = draw(st.text("ACGT", max_size=4))
        again = edits and start == end == edits[-1].start == edits[-1].end
        if end <= LAST and (replacement or end > start) and not again:
            edits.append(Edit(start, end, replacement))
            position = end
    return tuple(edits)


STRETCHES = st.text("ACGTN", min_size=STORED, max_size=STORED)
ANCHORS = st.integers(FIRST - 2, LAST + 2)
STRANDS = st.sampled_from("+-")


def walk(sequence, start, edits):
    """The edited forward strand as a list of (reference position or INSERTED, base)."""
    insertions = {edit.start: edit.replacement for edit in edits if edit.start == edit.end}
    found = []
    for position in range(start, start + len(sequence) + 1):
        found += [(INSERTED, base) for base in insertions.get(position, "")]
        if position == start + len(sequence):
            break
        inside = [edit for edit in edits if edit.start <= position < edit.end]
        if not inside:
            found.append((position, sequence[position - start]))
            continue
        edit = inside[0]
        offset = position - edit.start
        if offset < len(edit.replacement):
            found.append((position, edit.replacement[offset]))
        if position == edit.end - 1:
            found += [(INSERTED, base) for base in edit.replacement[edit.end - edit.start :]]
    return found


def index_of_anchor(walked, anchor, strand):
    """Index of the anchor, or of the next retained base in transcription order."""
    kept = [(position, index) for index, (position, _) in enumerate(walked) if position != INSERTED]
    if strand == "+":
        return min(pair for pair in kept if pair[0] >= anchor)[1]
    return max(pair for pair in kept if pair[0] <= anchor)[1]


def complement(sequence):
    return sequence.translate(str.maketrans("ACGTN", "TGCAN"))


@given(STRETCHES, disjoint_edits())
def test_apply_edits_walks(sequence, edits):
    expected = "".join(base for _, base in walk(sequence, START, edits))
    assert bases.decode(apply_edits(bases.encode(sequence), START, edits)) == expected
    assert len(expected) == STORED + sum(edit.growth for edit in edits)


@given(disjoint_edits(), ANCHORS, STRANDS)
def test_edited_anchor_walks(edits, anchor, strand):
    walked = walk("A" * STORED, START, edits)
    found, deleted = edited_anchor(anchor, edits, strand)
    assert found == START + index_of_anchor(walked, anchor, strand)
    assert deleted == (anchor not in {position for position, _ in walked})


@given(STRETCHES, disjoint_edits(), ANCHORS, STRANDS, st.integers(1, 90), st.data())
def test_edited_sequence_walks(sequence, edits, anchor, strand, length, data):
    index = data.draw(st.integers(0, length - 1))
    window = Window("toy", "c", anchor, index, length, strand)
    walked = walk(sequence, START, edits)
    first = index_of_anchor(walked, anchor, strand) - index
    codes = bases.encode(sequence)
    if first < 0 or first + length > len(walked):
        with pytest.raises(InputError, match="more bases of flank"):
            edited_sequence(codes, START, window, edits)
        with pytest.raises(InputError, match="more bases of flank"):
            reference_positions(START, STORED, window, edits)
        return
    chosen = walked[first : first + length]
    if strand == "-":
        chosen = [(position, complement(base)) for position, base in chosen[::-1]]
    found = edited_sequence(codes, START, window, edits)
    positions = reference_positions(START, STORED, window, edits)
    assert bases.decode(found) == "".join(base for _, base in chosen)
    assert positions.tolist() == [position for position, _ in chosen]


@given(STRETCHES, disjoint_edits(), ANCHORS, STRANDS)
def test_a_base_with_a_position_outside_the_edits_is_that_of_the_assembly(
    sequence, edits, anchor, strand
):
    window = Window("toy", "c", anchor, 10, 30, strand)
    found = bases.decode(edited_sequence(bases.encode(sequence), START, window, edits))
    if strand == "-":
        found = complement(found)
    positions = reference_positions(START, STORED, window, edits)
    for base, position in zip(found, positions, strict=True):
        edited = any(edit.start <= position < edit.end for edit in edits)
        if position != INSERTED and not edited:
            assert base == sequence[position - START]


@given(STRETCHES, disjoint_edits(), ANCHORS)
def test_the_minus_strand_is_the_reverse_complement_and_twice_is_identity(sequence, edits, anchor):
    assume(not edited_anchor(anchor, edits, "+")[1])
    codes = bases.encode(sequence)
    plus = edited_sequence(codes, START, Window("toy", "c", anchor, 12, 31, "+"), edits)
    minus = edited_sequence(codes, START, Window("toy", "c", anchor, 12, 31, "-"), edits)
    assert np.array_equal(bases.reverse_complement(minus), plus)
    assert np.array_equal(bases.reverse_complement(bases.reverse_complement(plus)), plus)


@given(disjoint_edits(), st.randoms(use_true_random=False))
def test_sorting_gives_back_disjoint_edits(edits, random):
    shuffled = list(edits)
    random.shuffle(shuffled)
    assert sorted_disjoint(shuffled) == edits


@given(st.integers(0, 6), st.integers(0, 4), st.integers(0, 6), st.integers(0, 4))
def test_edits_that_share_a_base_or_a_place_of_insertion_are_refused(a, n, b, m):
    first, second = Edit(a, a + n, "A"), Edit(b, b + m, "C")
    # an insertion stands before a base: it is inside a replaced stretch only after its start
    shared = set(range(a, a + n)) & set(range(b, b + m))
    inside = (n == 0 and b < a < b + m) or (m == 0 and a < b < a + n)
    if shared or inside or (n == m == 0 and a == b):
        with pytest.raises(InputError, match="overlap"):
            sorted_disjoint([first, second])
    else:
        assert set(sorted_disjoint([first, second])) == {first, second}


@pytest.mark.parametrize("wrong", [(5, 5, ""), (6, 5, "A"), (-1, 2, "A")])
def test_an_edit_that_replaces_nothing_or_runs_backwards_is_refused(wrong):
    with pytest.raises(ValueError, match="replaces nothing or runs backwards"):
        Edit(*wrong)


#        position 0123456789
SEQUENCE = "AACCGGTTAC"


@pytest.mark.parametrize(
    ("edit", "strand", "expected"),
    [
        # worked by hand: anchor 4 (G) at forward index 2 of 5 bases
        ((4, 5, "T"), "+", "CCTGT"),
        ((4, 4, "T"), "+", "CTGGT"),  # an insertion at the anchor goes to its left
        ((5, 5, "T"), "+", "CCGTG"),
        ((3, 6, ""), "+", "ACTTA"),  # a deleted anchor: the next base to the right
        ((3, 6, ""), "-", "AAGTT"),  # on minus the next to the left, C at 2: AACTT
        ((4, 6, "TA"), "-", "ATAGG"),  # replaced base by base: CCTAT
        ((2, 5, "T"), "+", "ATGTT"),  # T stands for 2; 3 and 4 are deleted
    ],
)
def test_worked_examples(edit, strand, expected):
    window = Window("toy", "c", 4, 2, 5, strand)
    found = edited_sequence(bases.encode(SEQUENCE), 0, window, [Edit(*edit)])
    assert bases.decode(found) == expected


@pytest.mark.parametrize(("start", "end"), [(95, 103), (97, 99), (108, 112), (111, 113)])
def test_an_edit_outside_the_stored_bases_is_refused(start, end):
    window = Window("toy", "c", 105, 1, 3)
    with pytest.raises(InputError, match="outside the stored bases"):
        edited_sequence(bases.encode("ACGTACGTAC"), 100, window, [Edit(start, end, "GG")])
    with pytest.raises(InputError, match="outside the stored bases"):
        reference_positions(100, 10, window, [Edit(start, end, "GG")])
