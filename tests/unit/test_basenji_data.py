"""Basenji's folders: one that TensorFlow wrote, rebuilt from its definition, and damaged ones."""

import json
from pathlib import Path

import numpy as np
import pytest
import tfrecords

from seqtrust.basenji_data import natural_key, natural_records, read_basenji, shard_sizes
from seqtrust.errors import InputError
from seqtrust.genome import Genome
from seqtrust.models.facts import Facts, Track

SIZES = {"train": 7, "valid": 2, "test": 4}
SHAPE = {"bins": 3, "bin_width": 8, "crop": 4}
SPLITS = {"train": "train", "validation": "valid", "test": "test"}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


def edited(path, old, new, count=1):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


@pytest.mark.shared_data
def test_a_data_set_that_tensorflow_wrote(shared_data: Path) -> None:
    data = read_basenji(shared_data / "basenji_dataset_small")
    assert (data.seq_length, data.bins, data.bin_width, data.crop) == (2048, 16, 128, 0)
    assert [track.name for track in data.tracks] == ["CAGE:gc", "CAGE:noise", "DNASE:ramp"]
    assert [track.assay for track in data.tracks] == ["CAGE", "CAGE", "DNASE"]
    locus = shared_data / "locus_chr20_grch37"
    genome = Genome(locus / "GRCh37.20_1-2Mb.fa.gz", "grch37", "GRCh37")
    counts = {}
    for split in SPLITS:
        for row, record in natural_records(data, split):
            contig, start, end = data.windows[split][row]
            assert (contig, start, end) == data.inputs(split)[row]
            np.testing.assert_array_equal(record.codes, genome.fetch(contig, start, end))
            gc = np.isin(record.codes, (1, 2)).reshape(16, 128).mean(axis=1)
            np.testing.assert_array_equal(record.targets[:, 0], (4 * gc).astype(np.float16))
            np.testing.assert_array_equal(record.targets[:, 2], np.arange(16) / 8)
            counts[split] = counts.get(split, 0) + 1
    assert counts == {"train": 16, "validation": 4, "test": 4}
    assert len(data.files("train")) == 2


@pytest.mark.parametrize("reach", [0, 4])
def test_a_folder_of_our_own_writer_comes_back(folder, reach):
    written = tfrecords.write_folder(folder, SIZES, **SHAPE, reach=reach)
    data = read_basenji(folder)
    assert data.crop == 4
    for split, label in SPLITS.items():
        assert sum(shard_sizes(data, split)) == SIZES[label]
        found = list(natural_records(data, split))
        assert [row for row, _ in found] == list(range(SIZES[label]))
        codes, targets = written[label]
        np.testing.assert_array_equal([record.codes for _, record in found], codes)
        np.testing.assert_array_equal([record.targets for _, record in found], targets)
    assert {end - start for _, start, end in data.inputs("train")} == {32}
    assert data.inputs("train")[0] == ("chr1", 10_000, 10_032)
    assert data.windows["train"][0] == ("chr1", 10_000 + reach, 10_032 - reach)
    assert ("validation", "chr1", 10_224 + reach, 10_256 - reach) in data.regions()


def test_bases_may_be_stored_as_codes(folder):
    written = tfrecords.write_folder(folder, {"train": 1}, **SHAPE)
    codes, targets = (array[0] for array in written["train"])
    features = {"sequence": codes.tobytes(), "target": targets.tobytes()}
    tfrecords.write_records(folder / "tfrecords/train-0.tfr", [tfrecords.example(features)])
    ((_, record),) = natural_records(read_basenji(folder), "train")
    np.testing.assert_array_equal(record.codes, codes)
    codes = np.where(np.arange(32) == 5, 5, codes).astype(np.uint8)
    features["sequence"] = codes.tobytes()
    tfrecords.write_records(folder / "tfrecords/train-0.tfr", [tfrecords.example(features)])
    with pytest.raises(InputError, match=r"base 5 \(from 0\): 5 is no base"):
        list(natural_records(read_basenji(folder), "train"))


def test_shards_are_in_natural_order():
    names = ["train-10.tfr", "train-9.tfr", "train-0-2.tfr", "train-0-11.tfr", "train-1.tfr"]
    assert sorted(names, key=natural_key) == [
        "train-0-2.tfr",
        "train-0-11.tfr",
        "train-1.tfr",
        "train-9.tfr",
        "train-10.tfr",
    ]


def test_more_than_ten_shards(folder):
    written = tfrecords.write_folder(folder, {"train": 23}, **SHAPE, shard=2)
    found = [record.codes for _, record in natural_records(read_basenji(folder), "train")]
    np.testing.assert_array_equal(found, written["train"][0])


def test_folds(folder):
    sizes = {"fold0": 2, "fold1": 3, "fold2": 1, "fold10": 4}
    written = tfrecords.write_folder(folder, sizes, **SHAPE)
    with pytest.raises(InputError, match=r"the split 'fold0', expected train, valid or test"):
        read_basenji(folder)
    with pytest.raises(InputError, match=r"no fold 'fold3'; .* fold0, fold1, fold2, fold10"):
        read_basenji(folder, {"validation": ["fold3"]})
    data = read_basenji(folder, {"validation": ["fold1"], "test": ["fold10"]})
    found = [record.codes for _, record in natural_records(data, "train")]
    np.testing.assert_array_equal(found, np.concatenate([written["fold0"][0], written["fold2"][0]]))
    assert [len(rows) for rows in data.windows.values()] == [3, 3, 4]


def test_shards_of_other_sizes_are_counted(folder):
    written = tfrecords.write_folder(folder, {"train": 7}, **SHAPE)
    codes, targets = written["train"]
    records = [tfrecords.window_example(*row) for row in zip(codes, targets, strict=True)]
    for number, part in enumerate([records[:1], records[1:6], records[6:]]):
        tfrecords.write_records(folder / f"tfrecords/train-{number}.tfr", part)
    data = read_basenji(folder)
    assert shard_sizes(data, "train") == [1, 5, 1]
    found = [record.codes for _, record in natural_records(data, "train")]
    np.testing.assert_array_equal(found, codes)


def test_a_last_shard_without_records(folder):
    tfrecords.write_folder(folder, {"train": 6}, **SHAPE)
    tfrecords.write_records(folder / "tfrecords/train-2.tfr", [])
    data = read_basenji(folder)
    assert shard_sizes(data, "train") == [3, 3, 0]
    assert len(list(natural_records(data, "train"))) == 6


def test_every_fold_has_a_shorter_last_shard(folder):
    sizes = {"fold0": 5, "fold1": 5, "fold2": 4, "fold3": 2}
    written = tfrecords.write_folder(folder, sizes, **SHAPE)
    data = read_basenji(folder, {"validation": ["fold3"]})
    assert data.labels["train"] == (("fold0", 5, 2), ("fold1", 5, 2), ("fold2", 4, 2))
    assert shard_sizes(data, "train") == [3, 2, 3, 2, 3, 1]
    found = [record.codes for _, record in natural_records(data, "train")]
    expected = np.concatenate([written[f"fold{fold}"][0] for fold in range(3)])
    np.testing.assert_array_equal(found, expected)
    tfrecords.write_records(folder / "tfrecords/fold1-1.tfr", [])
    with pytest.raises(InputError, match=r"fold1-1.tfr holds 0 records, but 2 are expected"):
        list(natural_records(data, "train"))
    (folder / "tfrecords/fold1-1.tfr").unlink()
    with pytest.raises(InputError, match=r"the fold1 shards hold 3 records, but .* 5 windows"):
        shard_sizes(read_basenji(folder, {"validation": ["fold3"]}), "train")


def test_a_shard_too_many_is_refused(folder):
    codes, targets = tfrecords.write_folder(folder, {"train": 6}, **SHAPE)["train"]
    records = [tfrecords.window_example(*row) for row in zip(codes, targets, strict=True)]
    tfrecords.write_records(folder / "tfrecords/train-2.tfr", records[:3])
    with pytest.raises(InputError, match=r"hold 9 records, but .* 6 windows: .* one too many"):
        shard_sizes(read_basenji(folder), "train")


def test_records_are_counted_against_sequences(folder):
    tfrecords.write_folder(folder, {"train": 7}, **SHAPE)
    data = read_basenji(folder)
    (folder / "tfrecords/train-2.tfr").unlink()
    with pytest.raises(InputError, match=r"hold 6 records, but sequences.bed lists 7"):
        shard_sizes(read_basenji(folder), "train")
    # sizes that could be: the shards' own records tell
    codes = np.zeros((2, 32), dtype=np.uint8)
    records = [tfrecords.window_example(row, np.zeros((3, 2))) for row in codes]
    tfrecords.write_records(folder / "tfrecords/train-2.tfr", records)
    with pytest.raises(InputError, match=r"train-2.tfr holds more than 1 records, but 1 are"):
        list(natural_records(data, "train"))
    tfrecords.write_records(folder / "tfrecords/train-2.tfr", records[:0])
    with pytest.raises(InputError, match=r"train-2.tfr holds 0 records, but 1 are expected"):
        list(natural_records(data, "train"))


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "statistics.json",
            '"num_targets": 2',
            '"num_targets": 3',
            "targets.txt has 2 tracks, but",
        ),
        ("statistics.json", '"train_seqs": 7', '"train_seqs": 8', "has 7 train windows, but"),
        (
            "statistics.json",
            '"crop_bp": 4',
            '"crop_bp": 5',
            "3 bins of 8 bp and twice 5 bp are not",
        ),
        ("statistics.json", '"pool_width": 8', '"pool_width": 0', "pool_width is 0, expected"),
        ("statistics.json", "{", "", "statistics.json cannot be read"),
        (
            "sequences.bed",
            "10064\ttrain",
            "10066\ttrain",
            "line 2: a window of 34 bp; expected all",
        ),
        ("sequences.bed", "\ttrain", "\tval", "the split 'val', expected train, valid or test"),
        ("sequences.bed", "10000", "x", "line 1: expected contig, start, end and split"),
    ],
)
def test_descriptions_that_contradict(folder, name, old, new, message):
    tfrecords.write_folder(folder, SIZES, **SHAPE)
    edited(folder / name, old, new)
    with pytest.raises(InputError) as error:
        read_basenji(folder)
    assert message in str(error.value)


def test_missing_shards_and_splits(folder):
    tfrecords.write_folder(folder, {"train": 2}, **SHAPE)
    data = read_basenji(folder)
    with pytest.raises(InputError, match="has no validation window: it has train"):
        data.files("validation")
    (folder / "tfrecords/train-0.tfr").unlink()
    with pytest.raises(InputError, match=r"has no train-\*.tfr, but sequences.bed does"):
        read_basenji(folder)


def test_a_missing_folder(tmp_path):
    with pytest.raises(InputError, match=r"statistics.json cannot be read"):
        read_basenji(tmp_path / "none")


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"sequence": bytes(128)}, "no feature 'target' (found: sequence)"),
        ({"target": bytes(12)}, "no feature 'sequence' (found: target)"),
        ({"sequence": bytes(128), "target": bytes(24)}, "has 24 bytes, expected 12"),
        ({"sequence": bytes(64), "target": bytes(12)}, "has 64 bytes, expected 128 or 32"),
        (
            {"sequence": bytes(8) + b"\1\1\0\0" + bytes(116), "target": bytes(12)},
            "base 2 (from 0): [1, 1, 0, 0] is no one-hot row",
        ),
        (
            {"sequence": bytes(124) + b"\0\0\0\2", "target": bytes(12)},
            "base 31 (from 0): [0, 0, 0, 2] is no one-hot row",
        ),
    ],
)
def test_records_that_do_not_fit(folder, features, message):
    tfrecords.write_folder(folder, {"train": 5}, **SHAPE)
    good = tfrecords.window_example(np.full(32, 4), np.zeros((3, 2)), umap=b"more")
    records = [good, tfrecords.example(features)]
    tfrecords.write_records(folder / "tfrecords/train-1.tfr", records)
    found = natural_records(read_basenji(folder), "train")
    rows = [next(found)[0] for _ in range(4)]
    assert rows == [0, 1, 2, 3]
    with pytest.raises(InputError) as error:
        next(found)
    assert message in str(error.value)
    assert "train-1.tfr, record 1 (from 0)" in str(error.value)


def test_no_damage_of_a_shard_gives_other_windows(folder):
    written = tfrecords.write_folder(folder, {"train": 3}, **SHAPE)
    codes, targets = written["train"]
    data, path = read_basenji(folder), folder / "tfrecords/train-0.tfr"
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        found = []
        with pytest.raises(InputError, match=r"train-0.tfr, record \d \(from 0\)"):
            found.extend(natural_records(data, "train"))
        for row, record in found:
            np.testing.assert_array_equal(record.codes, codes[row])
            np.testing.assert_array_equal(record.targets, targets[row])


def test_the_digest_tells_other_data(folder):
    tfrecords.write_folder(folder, SIZES, **SHAPE)
    data = read_basenji(folder)
    first = data.digest("train")
    assert read_basenji(folder).digest("train") == first
    assert data.digest("test") != first
    tfrecords.write_folder(folder, SIZES, **SHAPE, seed=2)
    assert read_basenji(folder).digest("train") != first


def test_models_that_do_not_fit(folder):
    tfrecords.write_folder(folder, SIZES, **SHAPE)
    data = read_basenji(folder)
    tracks = (Track("a"), Track("b"))
    data.refuse_other_facts(Facts(None, 8, 4, tracks, 9, "", "counts"))
    for width, crop in ((8, 0), (4, 4), (24, 4)):
        with pytest.raises(InputError, match=r"3 bins of 8 bp, 4 bp at each end of 32 bp left out"):
            data.refuse_other_facts(Facts(None, width, crop, tracks, 99, "", "counts"))
    with pytest.raises(InputError, match="the model takes 64 bp"):
        data.refuse_other_facts(Facts(64, 8, 4, tracks, 9, "", "counts"))


def test_statistics_may_leave_the_crop_to_be_worked_out(folder):
    tfrecords.write_folder(folder, SIZES, **SHAPE)
    found = json.loads((folder / "statistics.json").read_text())
    del found["crop_bp"]
    (folder / "statistics.json").write_text(json.dumps(found))
    assert read_basenji(folder).crop == 4
