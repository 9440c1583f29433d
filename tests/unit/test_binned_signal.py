"""Bins of signal files: bigWig and bedGraph against sums over bases."""

import gzip
import weakref

import numpy as np
import pyBigWig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrust import signal_files
from seqtrust.binned_signal import (
    Masked,
    SignalTrack,
    bin_values,
    binned_tracks,
    read_signal_tracks,
)
from seqtrust.errors import InputError
from seqtrust.models.facts import Track

LENGTH = 400
HEADER = "\tidentifier\tfile\tclip\tscale\tsum_stat\tdescription\n"


def runs_of(rng, number=12):
    edges = np.sort(rng.choice(LENGTH, size=2 * number, replace=False)).reshape(-1, 2)
    return [(int(a), int(b), float(np.float32(rng.normal(1, 2)))) for a, b in edges]


def write_bigwig(path, runs, contig="chr1"):
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader([(contig, LENGTH), ("chr9", LENGTH)])
        starts, ends, values = map(list, zip(*runs, strict=True))
        file.addEntries([contig] * len(runs), starts, ends=ends, values=values)


def write_bedgraph(path, runs, contig="chr1", opener=open):
    with opener(path, "wt") as file:
        file.writelines(f"{contig}\t{a}\t{b}\t{value!r}\n" for a, b, value in runs)


def naive_bins(runs, start, end, width, statistic, clip, scale, missing, masked=()):
    """Base by base, in the words of the documentation."""
    found = []
    for first in range(start, end, width):
        values = []
        for base in range(first, first + width):
            value = next((v for a, b, v in runs if a <= base < b), None)
            if any(a <= base < b for a, b in masked):
                value = None
            if value is not None:
                values.append(value)
            elif missing == "zero":
                values.append(0.0)
        if not values:
            found.append(np.nan)
            continue
        value = {"sum": sum, "mean": np.mean, "max": max}[statistic](values)
        found.append(scale * min(max(value, -clip), clip))
    return found


@given(
    seed=st.integers(0, 1000),
    statistic=st.sampled_from(["sum", "mean", "max"]),
    missing=st.sampled_from(["zero", "nan"]),
    clip=st.sampled_from([1.5, 30.0, np.inf]),
    masks=st.lists(st.tuples(st.integers(0, 380), st.integers(1, 90)), max_size=3),
)
def test_both_formats_against_sums_over_bases(
    tmp_path_factory, seed, statistic, missing, clip, masks
):
    folder = tmp_path_factory.mktemp("signal")
    rng = np.random.default_rng(seed)
    runs = runs_of(rng)
    write_bigwig(folder / "s.bw", runs)
    write_bedgraph(folder / "s.bedgraph.gz", runs, "1", gzip.open)
    masks = [(start, start + size) for start, size in masks]
    masked = Masked({"chr1": np.array(masks)}) if masks else None
    tracks = [
        SignalTrack(Track(name), folder / name, statistic, clip, 0.5)
        for name in ("s.bw", "s.bedgraph.gz")
    ]
    # the last interval reaches beyond the contig, and the first begins before it
    intervals = [("chr1", -40, 80), ("chr1", 30, 150), ("chr1", 320, 440)]
    # a block of one window, and of all
    for bytes_at_once in (1, 1 << 20):
        found = list(
            binned_tracks(
                tracks, intervals, 20, missing=missing, masked=masked, bytes_at_once=bytes_at_once
            )
        )
        assert len(found) == 3
        for (_, start, end), values in zip(intervals, found, strict=True):
            expected = naive_bins(runs, start, end, 20, statistic, clip, 0.5, missing, masks)
            assert values.shape == (6, 2)
            assert values.dtype == np.float32
            np.testing.assert_allclose(values[:, 0], expected, rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(values[:, 0], values[:, 1])


def test_clip_comes_before_scale():
    track = SignalTrack(Track("a"), None, "sum", 3.0, 2.0)
    assert bin_values(np.array([2.0, 2.0]), 2, track, "zero").tolist() == [6.0]
    assert bin_values(np.array([-2.0, -2.0]), 2, track, "zero").tolist() == [-6.0]


def test_many_files_are_opened_in_turn(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    runs = [runs_of(rng) for _ in range(4)]
    for index, mine in enumerate(runs):
        write_bigwig(tmp_path / f"{index}.bw", mine)
    tracks = [SignalTrack(Track(str(i)), tmp_path / f"{i}.bw") for i in range(4)]
    intervals = [("1", first, first + 60) for first in range(0, 300, 60)]
    expected = list(binned_tracks(tracks, intervals, 30))
    monkeypatch.setattr("seqtrust.binned_signal._OPEN_FILES", 2)
    found = list(binned_tracks(tracks, intervals, 30, bytes_at_once=1))
    np.testing.assert_array_equal(found, expected)


def test_bedgraphs_are_read_once_and_one_at_a_time(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    runs = [runs_of(rng) for _ in range(4)]
    names = [f"{i}.{'bw' if i == 1 else 'bedGraph'}" for i in range(4)]
    for name, mine in zip(names, runs, strict=True):
        (write_bigwig if name == "1.bw" else write_bedgraph)(tmp_path / name, mine)
    opened, held = [], weakref.WeakSet()

    class Noted(signal_files._BedGraph):
        def __init__(self, path):
            assert not held
            super().__init__(path)
            opened.append(path.name)
            held.add(self)

    monkeypatch.setattr(signal_files, "_BedGraph", Noted)
    tracks = [SignalTrack(Track(name), tmp_path / name) for name in names]
    intervals = [("1", first, first + 60) for first in range(0, 300, 60)]
    found = list(binned_tracks(tracks, intervals, 30, bytes_at_once=1))
    assert opened == ["0.bedGraph", "2.bedGraph", "3.bedGraph"]
    for (_, start, end), values in zip(intervals, found, strict=True):
        for track, mine in enumerate(runs):
            expected = naive_bins(mine, start, end, 30, "sum", np.inf, 1.0, "zero")
            np.testing.assert_allclose(values[:, track], expected, rtol=1e-5, atol=1e-6)


def test_a_contig_that_a_file_lacks_is_missing(tmp_path):
    write_bigwig(tmp_path / "s.bw", [(0, 400, 1.0)])
    track = SignalTrack(Track("a"), tmp_path / "s.bw")
    intervals = [("chr1", 0, 20), ("chrY", 0, 20)]
    zeros = list(binned_tracks([track], intervals, 10, missing="zero"))
    np.testing.assert_array_equal(np.squeeze(zeros), [[10, 10], [0, 0]])
    nan = list(binned_tracks([track], intervals, 10, missing="nan"))
    np.testing.assert_array_equal(np.squeeze(nan), [[10, 10], [np.nan, np.nan]])
    with pytest.raises(InputError, match="Is it of another assembly"):
        list(binned_tracks([track], [("chrY", 0, 20)], 10))


def test_a_table_as_basenji_has_it(tmp_path):
    rows = "0\tA\tdata/a.bw\t384\t0.5\tsum\tCAGE:one\n1\tB\t/far/b.bedgraph\t\t\tavg\tDNASE:two\n"
    (tmp_path / "targets.txt").write_text(HEADER + rows)
    first, second = read_signal_tracks(tmp_path / "targets.txt")
    assert first == SignalTrack(
        Track("CAGE:one", "CAGE"), tmp_path / "data/a.bw", "sum", 384.0, 0.5
    )
    assert (str(second.file), second.statistic) == ("/far/b.bedgraph", "mean")
    assert (second.clip, second.scale) == (np.inf, 1.0)


def test_tracks_of_two_strands(tmp_path):
    head = "name\tfile\tstrand_pair\n"
    (tmp_path / "t.tsv").write_text(head + "plus\ta.bw\t1\nminus\tb.bw\t0\nboth\tc.bw\t2\n")
    tracks = [one.track for one in read_signal_tracks(tmp_path / "t.tsv")]
    assert [track.reverse_complement_index for track in tracks] == [1, 0, None]


@pytest.mark.parametrize(
    ("pairs", "said", "more"),
    [
        ((1, ""), "track 0 ('a') names track 1", ""),
        ((5, 0), "track 0 ('a') names track 5", " (the tracks are 0 to 1)"),
        ((-1, 0), "track 0 ('a') names track -1", " (the tracks are 0 to 1)"),
        (("", 0), "track 1 ('b') names track 0", ""),
    ],
)
def test_strands_that_do_not_name_each_other(tmp_path, pairs, said, more):
    rows = f"a\ta.bw\t{pairs[0]}\nb\tb.bw\t{pairs[1]}\n"
    (tmp_path / "t.tsv").write_text("name\tfile\tstrand_pair\n" + rows)
    with pytest.raises(InputError) as error:
        read_signal_tracks(tmp_path / "t.tsv")
    expected = f"{said} as its other strand, which does not name it back{more}: "
    assert str(error.value).startswith(f"{tmp_path / 't.tsv'}: {expected}")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "0\tA\ta.bw\t384\t1\tmedian\tx",
            "line 2: sum_stat is 'median', expected one of sum, mean",
        ),
        ("0\tA\ta.bw\tmuch\t1\tsum\tx", "line 2: expected numbers for clip and scale"),
        ("0\tA\ta.bw\t0\t1\tsum\tx", "line 2: clip 0 and scale 1"),
        ("0\tA\ta.bw\t384\tnan\tsum\tx", "line 2: clip 384 and scale nan"),
        ("0\tA\t\t384\t1\tsum\tx", "line 2: track 'x' has no file"),
    ],
)
def test_refused_rows(tmp_path, row, message):
    (tmp_path / "t.txt").write_text(HEADER + row + "\n")
    with pytest.raises(InputError) as error:
        read_signal_tracks(tmp_path / "t.txt")
    assert message in str(error.value)
    assert "t.txt" in str(error.value)


def test_refused_tables(tmp_path):
    (tmp_path / "t.txt").write_text("name\nx\n")
    with pytest.raises(InputError, match="expected a column file"):
        read_signal_tracks(tmp_path / "t.txt")
    (tmp_path / "t.txt").write_text("name\tfile\tclip_soft\nx\ta.bw\t32\n")
    with pytest.raises(InputError, match="line 2: clip_soft is 32, which is not applied here"):
        read_signal_tracks(tmp_path / "t.txt")


def test_files_that_are_not_there_or_of_another_kind(tmp_path):
    for name, message in (("none.bw", "no signal file at"), ("a.w5", "expected a signal file")):
        (tmp_path / "a.w5").write_text("")
        track = SignalTrack(Track("a"), tmp_path / name)
        with pytest.raises(InputError, match=message):
            list(binned_tracks([track], [("chr1", 0, 20)], 10))


def test_a_mask_from_a_bed(tmp_path):
    (tmp_path / "b.bed").write_text("# x\nchr1\t5\t8\nchr1\t0\t2\tname\n2\t1\t3\n")
    masked = Masked.from_bed(tmp_path / "b.bed")
    assert np.flatnonzero(masked.bases("1", 0, 10)).tolist() == [0, 1, 5, 6, 7]
    assert np.flatnonzero(masked.bases("chr2", 2, 10)).tolist() == [0]
    assert not masked.bases("chr3", 0, 10).any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1\t5\n", "b.bed, line 1: expected contig, start and end"),
        ("chr1\t5\t8\nchr1\t8\t5\n", "b.bed, line 2: expected contig, start and end, separated"),
        ("chr1\t8\t5\n", "(8 to 5 (0-based) holds no base)"),
        ("chr1\t5\t5\n", "(5 to 5 (0-based) holds no base)"),
        ("chr1\t-5\t5\n", "(-5 to 5 (0-based) holds no base)"),
        ("# nothing\n", "b.bed holds no interval"),
    ],
)
def test_a_mask_that_masks_nothing_is_refused(tmp_path, text, message):
    (tmp_path / "b.bed").write_text(text)
    with pytest.raises(InputError) as error:
        Masked.from_bed(tmp_path / "b.bed")
    assert message in str(error.value)
