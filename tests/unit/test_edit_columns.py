"""The bases of many sequences at once are those of one at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrust import bases
from seqtrust.edit_columns import edit_columns, edited_blocks
from seqtrust.edits import Edit, edited_sequence
from seqtrust.errors import InputError
from seqtrust.genome import Window

START, STORED = 1000, 60
CODES = np.random.default_rng(3).integers(0, 5, STORED).astype(np.uint8)


@st.composite
def disjoint_edits(draw):
    """Edits of the whole stored stretch: substitutions, insertions, deletions, complex ones."""
    edits = []
    position = START + draw(st.integers(0, 25))
    for _ in range(draw(st.integers(0, 6))):
        start = position + draw(st.integers(0, 12))
        end = start + draw(st.integers(0, 3))
        replacement = draw(st.text("ACGTN", max_size=4))
        again = edits and start == end == edits[-1].start == edits[-1].end
        if end <= START + STORED and (replacement or end > start) and not again:
            edits.append(Edit(start, end, replacement))
            position = end
    return tuple(edits)


@given(
    st.lists(disjoint_edits(), max_size=7),
    st.integers(10, 50),
    st.integers(0, 20),
    st.integers(1, 30),
    st.sampled_from("+-"),
    st.integers(1, 4),
)
def test_blocks_are_the_sequences_one_by_one(several, anchor, index, length, strand, rows):
    window = Window("toy", "c", START + anchor, index % length, length, strand)
    columns = edit_columns([(f"s{number}", edits) for number, edits in enumerate(several)])
    assert [columns.edits(number) for number in range(len(columns))] == several
    try:
        expected = [edited_sequence(CODES, START, window, edits) for edits in several]
    except InputError:
        with pytest.raises(InputError, match="bases of flank"):
            list(edited_blocks(CODES, START, window, columns, rows))
        return
    found = [row.copy() for b in edited_blocks(CODES, START, window, columns, rows) for row in b]
    assert [bases.decode(row) for row in found] == [bases.decode(row) for row in expected]


@given(st.lists(disjoint_edits(), min_size=1, max_size=6), st.data())
def test_a_part_holds_some_of_the_sequences(several, data):
    columns = edit_columns([(f"s{number}", edits) for number, edits in enumerate(several)])
    first = data.draw(st.integers(0, len(several)))
    last = data.draw(st.integers(first, len(several)))
    part = columns.part(first, last)
    assert [part.edits(number) for number in range(len(part))] == several[first:last]
    assert part.ids == columns.ids[first:last]
    assert len(part.replacements) == len(set(part.words.tolist()))


@pytest.mark.parametrize("outside", [Edit(START - 1, START, "A"), Edit(1060, 1061, "C")])
def test_edits_outside_of_the_stored_bases_are_refused(outside):
    window = Window("toy", "c", START + 30, 5, 10)
    columns = edit_columns([("a", ()), ("b", (outside,))])
    with pytest.raises(InputError, match="lies outside the stored bases 1000-1060"):
        list(edited_blocks(CODES, START, window, columns))
