"""Files of measured windows: what is written is read, mapped, in the window's orientation."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyBigWig
import pytest
import tfrecords

from seqtrust.errors import InputError
from seqtrust.measured import MeasuredWindows, write_measured
from seqtrust.measured_sources import measure_basenji, measure_signals, measured_intervals
from seqtrust.models.facts import Track
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow
from seqtrust.tables import metadata_of
from seqtrust.targets import Targets, open_targets

BINS, WIDTH, CROP = 4, 10, 5
TRACKS = [Track("plus", "", 1), Track("minus", "", 0), Track("both"), Track("both")]
SIGNALS = {"bin_width": WIDTH, "crop": CROP, "missing": "zero"}


def window(start, length=BINS * WIDTH + 2 * CROP, contig="chr1", strand="+"):
    middle = start + length // 2
    codes = np.zeros(length, dtype=np.uint8)
    return StoredWindow(
        f"w{start}{strand}", "toy", contig, middle, length // 2, length, strand, start, codes
    )


def sequence_set(windows):
    return SequenceSet(windows, [Sequence(w.name, i) for i, w in enumerate(windows)])


def rows_of(count, half=False, seed=1):
    rng = np.random.default_rng(seed)
    kind = np.float16 if half else np.float32
    for row in range(count):
        start = 100 * row + CROP
        yield ("chr1", start, start + BINS * WIDTH), rng.normal(size=(BINS, 4)).astype(kind)


@pytest.mark.parametrize("half", [False, True])
def test_what_is_written_is_read(tmp_path, monkeypatch, half):
    # three record batches
    monkeypatch.setattr("seqtrust.measured._BATCH_BYTES", 2 * BINS * 4 * (2 if half else 4))
    path = tmp_path / "m.arrow"
    written = list(rows_of(5, half))
    count = write_measured(path, [*written, written[0]], TRACKS, WIDTH, BINS, {"source": "x"}, half)
    assert count == 5
    with pa.memory_map(str(path)) as file:
        assert pa.ipc.open_file(file).num_record_batches == 3
    measured = open_targets(path)
    assert measured.tracks == ("plus", "minus", "both [2]", "both [3]")
    assert measured.partners == (1, 0, None, None)
    assert measured.bin_width == WIDTH
    for row, (_, values) in enumerate(written):
        found = measured.of_window(window(100 * row), CROP)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, values.astype(np.float32))
        # contigs under another name, and a window without what the model leaves out
        np.testing.assert_array_equal(
            measured.of_window(window(100 * row + CROP, BINS * WIDTH, "1")), found
        )
        turned = measured.of_window(window(100 * row, strand="-"), CROP)
        np.testing.assert_array_equal(turned, found[::-1][:, [1, 0, 2, 3]])


def test_repeated_intervals(tmp_path):
    path, about = tmp_path / "m.arrow", {"source": "a folder"}
    (key, values), other = rows_of(2)
    values[0, 0], values[1, 1] = np.nan, 0.0
    negative = np.where(values == 0, np.float32(-0.0), values)
    lines = []
    rows = [(key, values), other, (key, values.copy()), (key, negative)]
    count = write_measured(path, rows, TRACKS, WIDTH, BINS, about, progress=lines.append)
    assert count == 2
    assert lines == [
        "2 rows repeat the interval and the values of an earlier one in a folder and are written "
        "once"
    ]
    lines.clear()
    write_measured(path, rows_of(2), TRACKS, WIDTH, BINS, about, progress=lines.append)
    assert lines == []
    before = path.read_bytes()
    with pytest.raises(InputError) as error:
        write_measured(path, [(key, values), other, (key, values + 1)], TRACKS, WIDTH, BINS, about)
    assert "a folder: the interval chr1:5-45 (0-based) is repeated with other values" in str(
        error.value
    )
    assert path.read_bytes() == before


def test_strands_that_do_not_name_each_other_are_not_written(tmp_path):
    for partner, more in ((3, ""), (7, " (the tracks are 0 to 3)")):
        tracks = [Track("plus", "", partner), *TRACKS[1:]]
        with pytest.raises(InputError) as error:
            write_measured(
                tmp_path / "m.arrow", rows_of(1), tracks, WIDTH, BINS, {"source": "t.txt"}
            )
        said = f"t.txt: track 0 ('plus') names track {partner} as its other strand, which does not"
        assert str(error.value).startswith(f"{said} name it back{more}: ")
        assert list(tmp_path.iterdir()) == []


def test_values_stay_on_disk(tmp_path):
    path = tmp_path / "m.arrow"
    write_measured(path, rows_of(3), TRACKS, WIDTH, BINS, {"source": "x"})
    before = pa.total_allocated_bytes()
    measured = MeasuredWindows(path)
    measured.of_window(window(0), CROP)
    assert pa.total_allocated_bytes() - before < BINS * 4 * 4


def test_windows_that_are_not_there(tmp_path):
    path = tmp_path / "m.arrow"
    write_measured(path, rows_of(2), TRACKS, WIDTH, BINS, {"source": "a table"})
    measured = open_targets(path)
    for other, crop in ((window(10), CROP), (window(0), 0), (window(0, contig="chr2"), CROP)):
        with pytest.raises(InputError) as error:
            measured.of_window(other, crop)
        assert f"window {other.name!r}: {other.contig}:" in str(error.value)
        assert f"none of the 2 intervals of {path} (made of a table)" in str(error.value)


def test_what_was_not_measured(tmp_path):
    path = tmp_path / "m.arrow"
    values = np.zeros((BINS, 4), dtype=np.float32)
    values[2, 1] = np.nan
    write_measured(path, [(("chr1", 0, 40), values)], TRACKS, WIDTH, BINS, {"source": "x"})
    whole = window(0, 40)
    with pytest.raises(InputError, match="bin 2 of track 'minus' was not measured"):
        open_targets(path).of_window(whole)
    found = open_targets(path, missing=True).of_window(whole)
    np.testing.assert_array_equal(found, values)


def test_files_of_another_kind(tmp_path):
    with pytest.raises(InputError, match="is no whole file of measured tracks"):
        open_targets(tmp_path / "none.arrow")
    path = tmp_path / "m.arrow"
    write_measured(path, rows_of(2), TRACKS, WIDTH, BINS, {"source": "x"})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="is no whole file of measured tracks"):
        open_targets(path)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, pa.schema([])):
        pass
    with pytest.raises(InputError, match="expected 'measured', version 1"):
        open_targets(path)


def test_a_table_of_bins_is_opened_by_its_name(tmp_path):
    (tmp_path / "t.tsv").write_text("contig\tstart\tend\ta\nchr1\t0\t10\t1\nchr1\t10\t20\t2\n")
    found = open_targets(tmp_path / "t.tsv")
    assert isinstance(found, Targets)
    assert (found.tracks, found.partners, found.bin_width) == (("a",), (None,), 10)


def test_nothing_is_left_of_a_file_that_was_not_finished(tmp_path):
    def broken():
        yield from rows_of(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_measured(tmp_path / "m.arrow", broken(), TRACKS, WIDTH, BINS, {"source": "x"})
    assert list(tmp_path.iterdir()) == []


def write_signals(folder):
    rng = np.random.default_rng(3)
    values = rng.integers(0, 9, (2, 500)).astype(float)
    for index in range(2):
        with pyBigWig.open(str(folder / f"{index}.bw"), "w") as file:
            file.addHeader([("chr1", 500)])
            file.addEntries("chr1", 0, values=values[index].tolist(), span=1, step=1)
    rows = "plus\t0.bw\t2\t0.5\tmean\t1\nminus\t1.bw\t40\t1\tsum\t0\n"
    table = folder / "targets.tsv"
    table.write_text("name\tfile\tclip\tscale\tsum_stat\tstrand_pair\n" + rows)
    return table, values


def test_signal_files_over_a_set(tmp_path):
    table, values = write_signals(tmp_path)
    windows = [window(0), window(37), window(37, strand="-"), window(450)]
    count = measure_signals(tmp_path / "m.arrow", table, sequence_set(windows), SIGNALS)
    assert count == 3
    measured = open_targets(tmp_path / "m.arrow")
    assert measured.partners == (1, 0)
    for one in windows:
        first = one.window.start + CROP
        bins = np.zeros((2, BINS * WIDTH))
        inside = values[:, first : first + BINS * WIDTH]
        bins[:, : inside.shape[1]] = inside
        bins = bins.reshape(2, BINS, WIDTH)
        expected = np.stack(
            [0.5 * np.minimum(bins[0].mean(axis=1), 2), np.minimum(bins[1].sum(axis=1), 40)], axis=1
        )
        if one.strand == "-":
            expected = expected[::-1, ::-1]
        np.testing.assert_allclose(measured.of_window(one, CROP), expected, rtol=1e-6)


def test_what_is_on_the_blacklist_is_not_measured(tmp_path):
    table, _ = write_signals(tmp_path)
    (tmp_path / "black.bed").write_text("1\t0\t15\n")
    settings = SIGNALS | {"missing": "nan"}
    measure_signals(
        tmp_path / "m.arrow", table, sequence_set([window(0)]), settings, tmp_path / "black.bed"
    )
    found = open_targets(tmp_path / "m.arrow", missing=True).of_window(window(0), CROP)
    assert np.isnan(found).any(axis=1).tolist() == [True, False, False, False]


def test_a_blacklist_of_another_assembly_is_refused(tmp_path):
    table, _ = write_signals(tmp_path)
    (tmp_path / "black.bed").write_text("toy1\t0\t15\n")
    windows = sequence_set([window(0)])
    with pytest.raises(InputError) as error:
        measure_signals(
            tmp_path / "m.arrow", table, windows, SIGNALS, blacklist=tmp_path / "black.bed"
        )
    assert f"{tmp_path / 'black.bed'} has no contig of the intervals (chr1); it has: toy1" in str(
        error.value
    )


def test_the_source_is_told_by_its_bytes(tmp_path):
    table = tmp_path / "targets.tsv"
    table.write_text("name\tfile\na\t0.bedGraph\nb\t0.bedGraph\n")
    (tmp_path / "0.bedGraph").write_text("chr1\t0\t500\t3\n")
    windows = sequence_set([window(0)])

    def digest():
        measure_signals(tmp_path / "m.arrow", table, windows, SIGNALS)
        with pa.memory_map(str(tmp_path / "m.arrow")) as file:
            return metadata_of(pa.ipc.open_file(file).schema)["source_sha256"]

    first = digest()
    assert digest() == first
    (tmp_path / "0.bedGraph").write_text("chr1\t0\t500\t4\n")
    assert digest() != first


def test_windows_that_hold_no_whole_bins():
    with pytest.raises(InputError, match="windows of 51 bp, 5 bp at each end left out, do not"):
        measured_intervals(sequence_set([window(0, 51)]), WIDTH, CROP)
    with pytest.raises(InputError, match="windows of 50, 60 bp"):
        measured_intervals(sequence_set([window(0, 60), window(0)]), WIDTH, CROP)
    with pytest.raises(InputError, match="no window"):
        measured_intervals(sequence_set([]), WIDTH, CROP)


def test_a_split_of_basenji(tmp_path):
    shape = {"bins": BINS, "bin_width": 8, "crop": 4}
    sizes = {"train": 4, "valid": 1, "test": 5}
    codes, targets = tfrecords.write_folder(tmp_path / "data", sizes, **shape, reach=2)["test"]
    bed = tmp_path / "m.bed"
    assert measure_basenji(tmp_path / "m.arrow", bed, tmp_path / "data", "test") == 5
    rows = [line.split("\t") for line in bed.read_text().splitlines()]
    assert [int(row[2]) - int(row[1]) for row in rows] == [codes.shape[1]] * 5
    measured = open_targets(tmp_path / "m.arrow")
    assert measured.tracks == ("CAGE:track 0", "CAGE:track 1")
    for row, values in zip(rows, targets, strict=True):
        found = measured.of_window(window(int(row[1]), codes.shape[1]), 4)
        np.testing.assert_array_equal(found, values.astype(np.float32))


@pytest.mark.shared_data
def test_the_test_split_that_tensorflow_wrote(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "basenji_dataset_small"
    measure_basenji(tmp_path / "m.arrow", tmp_path / "m.bed", folder, "test")
    measured = open_targets(tmp_path / "m.arrow")
    found = measured.of_window(window(1_047_104, 2048, "chr20"))
    np.testing.assert_array_equal(found[:, 2], np.arange(16) / 8)
    assert len((tmp_path / "m.bed").read_text().splitlines()) == 4
