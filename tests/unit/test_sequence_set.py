"""Sequence sets: what is written is read, whole or in shards, and what is ambiguous is refused."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrust import sequence_set
from seqtrust.edit_columns import edit_columns
from seqtrust.edits import Edit, edited_sequence
from seqtrust.errors import InputError
from seqtrust.genome import Window
from seqtrust.sequence_set import (
    Sequence,
    SequenceSet,
    StoredWindow,
    read_sequence_set,
    read_shard,
    sequence_hash,
    store_window,
    write_sequence_set,
)

LENGTH, FLANK = 24, 6
POSSIBLE_EDITS = st.lists(
    st.sampled_from(
        [(), (Edit(40, 41, "T"),), (Edit(35, 38, ""), Edit(41, 41, "GG")), (Edit(50, 52, "A"),)]
    ),
    max_size=4,
)


def stored(number: int, length: int = LENGTH) -> StoredWindow:
    codes = np.random.default_rng(number).integers(0, 5, length + 2 * FLANK).astype(np.uint8)
    strand = "+-"[number % 2]
    return StoredWindow(f"w{number}", "toy", "chr1", 40, 10, length, strand, 30 - FLANK, codes)


def contents(edits_of_windows):
    """Windows with their (sequence id, edits)."""
    return [
        (stored(w), [(f"s{w}.{k}", edits) for k, edits in enumerate(several)])
        for w, several in enumerate(edits_of_windows)
    ]


def plain(window: StoredWindow):
    return window.name, window.window, window.flank_start, window.bases.tolist()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("sets")


@given(st.lists(POSSIBLE_EDITS, min_size=1, max_size=6).filter(any))
@settings(max_examples=30)
def test_round_trip(folder, edits_of_windows):
    content = contents(edits_of_windows)
    count = write_sequence_set(folder / "set.parquet", iter(content), {"build": "toy1"})
    found = read_sequence_set(folder / "set.parquet")
    sequences = [
        Sequence(sequence_id, index, edits)
        for index, (_, several) in enumerate(content)
        for sequence_id, edits in several
    ]
    assert list(found.sequences) == sequences
    assert count == len(sequences)
    assert found.metadata["build"] == "toy1"
    assert [plain(window) for window in found.windows] == [plain(window) for window, _ in content]
    assert found.codes().shape == (count, LENGTH)


def test_codes_are_the_edited_windows_in_order():
    windows = [stored(0), stored(1)]
    edits = (Edit(35, 38, ""),)
    found = SequenceSet(windows, [Sequence("a", 1, edits), Sequence("b", 0)])
    assert found.ids() == ["a", "b"]
    for row, (window, edit) in zip(
        found.codes(), [(windows[1], edits), (windows[0], ())], strict=True
    ):
        expected = edited_sequence(window.bases, window.flank_start, window.window, edit)
        assert np.array_equal(row, expected)


def test_sequences_of_different_lengths_are_refused():
    mixed = SequenceSet([stored(0), stored(1, 30)], [Sequence("a", 0), Sequence("b", 1)])
    with pytest.raises(InputError, match=r"\[24, 30\] bp"):
        mixed.codes()


@pytest.mark.parametrize("windows", [(0, 0), (0, 1)])
def test_an_id_that_occurs_twice_is_refused_by_name(tmp_path, windows):
    content = [(stored(number), [("twin", ())]) for number in windows]
    with pytest.raises(InputError, match=r"'twin' occurs twice .* window 'w"):
        write_sequence_set(tmp_path / "set.parquet", content, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [[], [(stored(0), [])]])
def test_an_empty_selection_is_refused(tmp_path, content):
    with pytest.raises(InputError, match="no sequence is left"):
        write_sequence_set(tmp_path / "set.parquet", content, {})
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_fails_half_way_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(sequence_set, "ROW_GROUP_BYTES", 1)

    def content():
        yield stored(0), [("a", ())]
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        write_sequence_set(tmp_path / "set.parquet", content(), {})
    assert list(tmp_path.iterdir()) == []


def test_edits_that_need_more_flank_are_refused_when_written(tmp_path):
    content = [(stored(0), [("a", (Edit(31, 49, ""),))])]
    with pytest.raises(InputError, match="more bases of flank"):
        write_sequence_set(tmp_path / "set.parquet", content, {})


@pytest.mark.slow
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=12).filter(any),
    st.integers(1, 9),
    st.sampled_from([1, 120, 500, sequence_set.ROW_GROUP_BYTES]),
)
@settings(max_examples=60)
def test_shards_are_the_set(folder, sizes, shards, group_bytes):
    """For any number of shards and any row groups, and no window lies in two shards."""
    content = contents([[()] * size for size in sizes])
    path = folder / "sharded.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequence_set, "ROW_GROUP_BYTES", group_bytes)
        write_sequence_set(path, content, {"build": "toy1"})
    whole = read_sequence_set(path)
    parts = [read_shard(path, f"{shard}-of-{shards}") for shard in range(1, shards + 1)]
    assert [key for part in parts for key in part.ids()] == whole.ids()
    assert [w.name for part in parts for w in part.windows] == [w.name for w in whole.windows]
    rows = [row for part in parts for row in part.codes()]
    assert np.array_equal(np.array(rows), whole.codes())
    for part in parts:
        assert part.metadata == whole.metadata
        assert all(0 <= sequence.window < len(part.windows) for sequence in part.sequences)


@given(st.integers(1, 9), st.integers(1, 40))
@settings(max_examples=20)
def test_shards_of_equal_windows_are_about_equally_large(folder, shards, windows):
    path = folder / "equal.parquet"
    write_sequence_set(path, contents([[()]] * windows), {})
    sizes = [len(read_shard(path, f"{i}-of-{shards}").sequences) for i in range(1, shards + 1)]
    assert max(sizes) - min(sizes) <= 1


def test_row_groups_hold_whole_windows(tmp_path, monkeypatch):
    monkeypatch.setattr(sequence_set, "ROW_GROUP_BYTES", 700)
    write_sequence_set(tmp_path / "set.parquet", contents([[(), ()]] * 10), {})
    file = pq.ParquetFile(tmp_path / "set.parquet")
    assert file.num_row_groups > 2
    for group in range(file.num_row_groups):
        rows = file.read_row_group(group, columns=["kind", "window"]).to_pylist()
        assert rows[0]["kind"] == "window"
        assert [row["window"] for row in rows] == sorted(row["window"] for row in rows)


def test_a_shard_reads_only_its_own_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(sequence_set, "ROW_GROUP_BYTES", 1)
    path = tmp_path / "set.parquet"
    write_sequence_set(path, contents([[()]] * 6), {})
    asked = []
    read = pq.ParquetFile.read_row_groups
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_groups",
        lambda file, groups: asked.append(groups) or read(file, groups),
    )
    assert read_shard(path, "2-of-3").ids() == ["s2.0", "s3.0"]
    assert asked == [[2, 3]]


CODES = st.lists(st.integers(0, 4), max_size=6).map(lambda row: np.array(row, dtype=np.uint8))


@given(CODES, CODES)
def test_hashes_are_equal_if_and_only_if_the_bytes_are(one, other):
    assert (sequence_hash(one) == sequence_hash(other)) == np.array_equal(one, other)


def test_the_stored_hash_is_that_of_the_bytes_and_not_of_the_edits(tmp_path):
    window = stored(0)
    base = "ACGTN"[window.bases[40 - window.flank_start]]
    content = [(window, [("plain", ()), ("same", (Edit(40, 41, base),))])]
    write_sequence_set(tmp_path / "set.parquet", content, {})
    hashes = pq.read_table(tmp_path / "set.parquet")["sequence_hash"].to_pylist()[1:]
    assert hashes[0] == hashes[1] == sequence_hash(window.sequence(()))


@given(st.integers(-10, 70), st.tuples(st.integers(0, 9), st.integers(0, 9)), st.booleans())
def test_a_stored_window_is_its_stretch_with_flank(tiny_genome, anchor, flank, pad):
    window = Window("toy", "MT", anchor, 4, 12)
    if not (pad or tiny_genome.covers(window)):
        with pytest.raises(InputError, match="reaches over the ends"):
            store_window(tiny_genome, window, "w", flank)
        return
    found = store_window(tiny_genome, window, "w", flank, pad)
    end = found.flank_start + len(found.bases)
    expected = tiny_genome.fetch("MT", found.flank_start, end, pad=True)
    assert np.array_equal(found.bases, expected)
    assert found.window == window
    wanted = window.start - flank[0], window.end + flank[1]
    if not pad:
        wanted = max(wanted[0], 0), min(wanted[1], tiny_genome.contigs["MT"])
    assert (found.flank_start, end) == wanted


def test_few_sequences_of_a_window_are_those_of_many():
    """One by one, and all at once."""
    bases = np.random.default_rng(9).integers(0, 4, 60).astype(np.uint8)
    for strand in "+-":
        window = StoredWindow("w", "toy", "c", 30, 10, 20, strand, 0, bases)
        few = [("a", ()), ("b", (Edit(25, 27, "ACG"),)), ("c", (Edit(31, 34, "A"),))]
        many = edit_columns(few * 4)
        expected = np.concatenate([block.copy() for block in window.blocks(many)])[:3]
        (found,) = window.blocks(edit_columns(few))
        np.testing.assert_array_equal(found, expected)
