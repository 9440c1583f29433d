"""Tables of tracks: what is written is read, and faults are named with their line."""

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrust.errors import InputError
from seqtrust.models.facts import Track
from seqtrust.models.track_table import TrackCountError, read_tracks, tracks_of_head

BASENJI = "index\tgenome\tidentifier\tfile\tclip\tscale\tsum_stat\tdescription\n"
WORDS = st.text("abcXYZ019 _-/.", min_size=1, max_size=12).filter(str.strip)


def written(folder, text):
    path = folder / "targets.txt"
    path.write_text(text)
    return path


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=8), index=st.booleans())
def test_names_and_assays_are_those_of_the_rows(tmp_path_factory, rows, index):
    path: Path = tmp_path_factory.mktemp("tracks") / "tracks.tsv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow([*(["index"] if index else []), "name", "assay"])
        for number, row in enumerate(rows):
            writer.writerow([*([number] if index else []), *row])
    assert read_tracks(path) == tuple(Track(name, assay) for name, assay in rows)


def test_a_targets_file_of_basenji_is_read_with_its_repeated_names(tmp_path):
    rows = "0\thuman\tENCFF1\t/f.w5\t32\t2\tmean\tDNASE:GM12878\n"
    rows += "1\thuman\tENCFF2\t/g.w5\t32\t2\tmean\tDNASE:GM12878\n"
    rows += "2\thuman\tCNhs1\t/h.w5\t384\t1\tsum\tCAGE:liver, adult\n"
    tracks = read_tracks(written(tmp_path, BASENJI + rows))
    assert [track.name for track in tracks] == ["DNASE:GM12878"] * 2 + ["CAGE:liver, adult"]
    assert [track.assay for track in tracks] == ["DNASE", "DNASE", "CAGE"]
    unnamed = (BASENJI + rows).removeprefix("index")
    assert read_tracks(written(tmp_path, unnamed)) == tracks


@pytest.mark.parametrize("column", ["reverse_complement_index", "strand_pair"])
def test_strand_pairs_become_the_other_strand(tmp_path, column):
    text = f"description\t{column}\nCAGE:liver/+\t1\nCAGE:liver/-\t0\nATAC:liver\t2\nopen\t\n"
    tracks = read_tracks(written(tmp_path, text))
    assert [track.reverse_complement_index for track in tracks] == [1, 0, None, None]
    assert tracks[3] == Track("open", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "targets.txt has no row of a track"),
        (BASENJI, "targets.txt has no row of a track"),
        ("file\tclip\na\t1\n", "columns file, clip, expected a column name or description"),
        ("index\tname\n0\ta\n2\tb\n", "targets.txt, line 3: index 2, expected 1"),
        ("index\tname\nzero\ta\n", "targets.txt, line 2: expected one value per column"),
        ("name\tassay\na\tCAGE\nb\n", "targets.txt, line 3: expected one value per column"),
        ("name\tassay\n\tCAGE\n", "targets.txt, line 2: the track has no name"),
        ("name\tstrand_pair\na\tplus\n", "targets.txt, line 2: expected one value per column"),
    ],
)
def test_refused_tables(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_tracks(written(tmp_path, text))


def test_files_that_are_no_text_are_refused(tmp_path):
    with pytest.raises(InputError, match="absent: no table of tracks can be read"):
        read_tracks(tmp_path / "absent")
    (tmp_path / "binary").write_bytes(b"\x89HDF\xff\xfe")
    with pytest.raises(InputError, match="binary: no table of tracks can be read"):
        read_tracks(tmp_path / "binary")


def test_a_head_has_as_many_tracks_as_named():
    assert tracks_of_head([Track("a"), Track("b")], 2, "keras") == (Track("a"), Track("b"))
    assert tracks_of_head([], 2, "keras") == (Track("track_0"), Track("track_1"))
    with pytest.raises(TrackCountError, match="1 tracks, but the network of architecture 'keras'"):
        tracks_of_head([Track("a")], 2, "keras")
