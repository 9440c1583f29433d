"""Reference sequences: tiles, BED rows and points against slices of the contig."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrust import bases
from seqtrust.errors import InputError
from seqtrust.genes import Point
from seqtrust.genome import Window
from seqtrust.sources.reference import (
    bed_windows,
    centred_window,
    named_windows,
    parse_region,
    point_window,
    reference_sequences,
    tile_windows,
    tss_windows,
)
from seqtrust.sources.skipped import HEADER, Skipped, count_reasons, write_skipped

COMPLEMENT = str.maketrans("ACGTN", "TGCAN")
STRANDS = st.sampled_from("+-")


def plain(contigs, name):
    return bases.decode(bases.encode(contigs[name]))


def turned(sequence, strand):
    return sequence if strand == "+" else sequence.translate(COMPLEMENT)[::-1]


@given(st.integers(1, 517), st.integers(1, 517))
def test_regions_are_one_based_and_inclusive(tiny_genome, start, end):
    region = f"2:{start}-{end}"
    if start <= end:
        assert parse_region(region, tiny_genome) == ("chr2", start - 1, end)
    else:
        with pytest.raises(InputError, match="1 <= start <= end <= 517"):
            parse_region(region, tiny_genome)


def test_a_region_may_be_a_contig_and_have_commas(tiny_genome):
    assert parse_region("chr20", tiny_genome) == ("20", 0, 640)
    assert parse_region("chr1:1,000-1,003", tiny_genome) == ("chr1", 999, 1003)


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ("chr2:5", "expected contig:start-end"),
        ("chr2:five-9", "expected contig:start-end"),
        ("chr2:5-9-11", "expected contig:start-end"),
        ("chr2:0-9", "1 <= start"),
        ("chr2:500-518", "the length of contig 'chr2'"),
        ("chr9:1-5", "no contig '9' or 'chr9'"),
    ],
)
def test_regions_that_cannot_be_read(tiny_genome, region, message):
    with pytest.raises(InputError, match=message):
        parse_region(region, tiny_genome)


@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 400), st.integers(0, 90), STRANDS)
def test_tiles_against_a_loop(tiny_genome, tiny_contigs, length, step, start, extra, strand):
    end = min(start + length + extra, 517)
    regions = [f"chr2:{start + 1}-{end}"]
    tiles = tile_windows(tiny_genome, regions, length, step, strand)
    whole = plain(tiny_contigs, "chr2")
    expected = {
        f"chr2_{first}": turned(whole[first : first + length], strand)
        for first in range(start, end, step)
        if first + length <= end
    }
    found = dict_of_sequences(tiny_genome, tiles)
    assert found == expected
    assert all(window.start >= start for _, window in tiles)
    assert all(window.end <= end for _, window in tiles)


def dict_of_sequences(genome, windows, beyond="error"):
    content = reference_sequences(genome, windows, "source", beyond, [])
    found = {}
    for stored, ((sequence_id, edits),) in content:
        assert (stored.name, edits) == (sequence_id, ())
        found[sequence_id] = bases.decode(stored.sequence(edits))
    return found


def test_a_region_that_is_shorter_than_a_tile_is_refused(tiny_genome):
    with pytest.raises(InputError, match=r"'chr2:1-9' has 9 bp, less than a tile of 10 bp"):
        tile_windows(tiny_genome, ["chr2:1-9"], 10, 10, "+")


@given(st.integers(1, 60), st.integers(100, 300), STRANDS)
def test_the_middle_stands_at_half_of_the_forward_length(
    tiny_genome, tiny_contigs, length, middle, strand
):
    window = centred_window(tiny_genome, "chr2", middle, strand, length)
    found = dict_of_sequences(tiny_genome, [("w", window)])["w"]
    assert turned(found, strand)[length // 2] == plain(tiny_contigs, "chr2")[middle]


@given(st.integers(1, 60), st.integers(100, 300), STRANDS, st.data())
def test_a_point_stands_at_its_index_of_the_input(
    tiny_genome, tiny_contigs, length, position, strand, data
):
    """On the minus strand too, where the input is the reverse complement."""
    index = data.draw(st.integers(0, length - 1))
    window = point_window(tiny_genome, Point("p", "chr2", position, strand), length, index)
    found = dict_of_sequences(tiny_genome, [("w", window)])["w"]
    base = plain(tiny_contigs, "chr2")[position]
    assert found[index] == turned(base, strand)
    assert window.anchor == position


def test_rows_of_a_bed(tmp_path, tiny_genome, tiny_contigs):
    path = tmp_path / "w.bed"
    rows = [
        "track name=x",
        "2\t100\t110\tone\t0\t-",
        "chr2\t100\t111",
        "chr2\t300\t301\tthree\t0\t.\tmore",
        "",
    ]
    path.write_text("\n".join(rows))
    windows = bed_windows(tiny_genome, path, 8)
    expected = [("one", 105, "-"), ("chr2_100", 105, "+"), ("three", 300, "+")]
    assert [(name, w.anchor, w.strand) for name, w in windows] == expected
    whole = plain(tiny_contigs, "chr2")
    found = dict_of_sequences(tiny_genome, windows)
    assert found["one"] == turned(whole[101:109], "-")
    assert found["three"] == whole[296:304]


@pytest.mark.parametrize("row", ["chr2\t5", "chr2\tfive\t9", "chr2 5 9"])
def test_a_bed_row_that_cannot_be_read_is_named(tmp_path, tiny_genome, row):
    (tmp_path / "w.bed").write_text("chr2\t1\t9\n" + row + "\n")
    with pytest.raises(InputError, match=r"w\.bed, line 2: expected contig, start and end"):
        bed_windows(tiny_genome, tmp_path / "w.bed", 4)


def test_contigs_of_a_data_split(tmp_path, make_genome):
    names = ["a.1", "a.2", "b.1", "a.3", "a.4"]
    genome = make_genome(dict.fromkeys(names, "ACGTACGTAC"))
    splits = dict(zip(names, ("test", "train", "test", "test", "validation"), strict=True))
    path = tmp_path / "splits.bed"
    path.write_text("".join(f"{name}\t0\t10\t{split}\n" for name, split in splits.items()))

    def chosen(**how):
        return [name for name, _ in named_windows(genome, "contigs", how, str(path), 10)]

    assert chosen() == names
    assert chosen(split="test") == ["a.1", "b.1", "a.3"]
    assert chosen(split="test", matching="a.*") == ["a.1", "a.3"]
    assert chosen(split="test", first=2) == ["a.1", "b.1"]
    with pytest.raises(
        InputError, match=r"splits\.bed: no contig that matches 'b\.\*' is in split"
    ):
        chosen(split="train", matching="b.*")


def test_named_windows_dispatch_on_their_kind(tmp_path, tiny_genome):
    (tmp_path / "p.bed").write_text("chr2\t100\t101\tgene\t0\t-\n")
    path = str(tmp_path / "p.bed")
    tiles = {"regions": ["chr2:1-20"], "step": 10, "strand": "+"}
    assert named_windows(tiny_genome, "tiles", tiles, "", 10) == tile_windows(
        tiny_genome, ["chr2:1-20"], 10, 10, "+"
    )
    assert named_windows(tiny_genome, "bed", {}, path, 10) == bed_windows(tiny_genome, path, 10)
    assert named_windows(tiny_genome, "points", {}, path, 10) == tss_windows(tiny_genome, path, 10)
    (name, window), *_ = named_windows(tiny_genome, "points", {"index": 2}, path, 10)
    assert (name, window.anchor, window.anchor_index) == ("gene", 100, 7)


def windows_at_the_end():
    inside = Window("toy", "MT", 50, 5, 10)
    return [("in", inside), ("out", Window("toy", "MT", 56, 4, 10))]


def test_a_window_beyond_its_contig_is_an_error(tiny_genome):
    content = reference_sequences(tiny_genome, windows_at_the_end(), "w.bed", "error", [])
    with pytest.raises(InputError) as refusal:
        list(content)
    for part in ("w.bed: window 'out' at MT:52-62(+)", "'MT' (61 bp)", "'skip' or 'pad'"):
        assert part in str(refusal.value)


def test_a_window_beyond_its_contig_is_skipped_and_counted(tiny_genome):
    skipped = []
    content = reference_sequences(tiny_genome, windows_at_the_end(), "w.bed", "skip", skipped)
    assert [stored.name for stored, _ in content] == ["in"]
    assert skipped == [Skipped("w.bed", 0, "out", "window beyond contig: MT:52-62(+), 61 bp")]


def test_a_window_beyond_its_contig_is_padded(tiny_genome, tiny_contigs):
    found = dict_of_sequences(tiny_genome, windows_at_the_end(), "pad")
    assert found["out"] == plain(tiny_contigs, "MT")[52:] + "N"


def test_skipped_records_are_written_and_counted(tmp_path):
    rows = [Skipped("a", 3, "r1", "too far: 5"), Skipped("a", 4, "r2", "too far: 9")]
    rows.append(Skipped("b", 0, "r3", "not an SNV"))
    write_skipped(tmp_path / "skipped.tsv", rows)
    lines = (tmp_path / "skipped.tsv").read_text().splitlines()
    assert lines[0] == HEADER.strip() == "file\tline\trecord\treason"
    assert lines[1:] == ["a\t3\tr1\ttoo far: 5", "a\t4\tr2\ttoo far: 9", "b\t0\tr3\tnot an SNV"]
    assert count_reasons(rows) == "too far: 2, not an SNV: 1"
    assert count_reasons([]) == "none"
