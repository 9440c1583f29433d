"""Windows streamed to the trainer: every one once, the same again, and few at a time."""

import threading
from pathlib import Path

import numpy as np
import pytest
import tfrecords
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqtrust.basenji_data import read_basenji
from seqtrust.errors import InputError
from seqtrust.models import basenji_windows
from seqtrust.models.basenji_windows import BasenjiWindows, buffered
from seqtrust.models.card import read_card
from seqtrust.models.training_basenji import train_on_basenji
from seqtrust.models.training_checkpoint import Checkpoint, tensors_digest
from seqtrust.models.training_job import TrainingJob
from seqtrust.models.training_processes import run_job
from seqtrust.models.window_source import share

SHAPE = {"bins": 4, "bin_width": 64, "crop": 0}
SIZES = {"train": 23, "valid": 5, "test": 2}
CNN = {"architecture": "cnn", "parameters": {"channels": 8, "pool": [8, 8], "kernel": 9}}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return folder, tfrecords.write_folder(folder, SIZES, **SHAPE, shard=4)


@pytest.fixture
def windows(written):
    return BasenjiWindows(read_basenji(written[0]), "train", buffer=6)


def rows_of(batches):
    return [row for batch in batches for row in batch.rows.tolist()]


def epoch(windows, order, size, skip=0, part=(0, 1)):
    return list(windows.batches(order, size, skip, part))


def test_windows_are_those_of_the_folder(written, windows):
    codes, targets = written[1]["train"]
    assert (len(windows), windows.shape) == (23, (256, 4, 2))
    order = windows.order(np.random.default_rng(1))
    for given_order in (order, None):
        for batch in epoch(windows, given_order, 4):
            np.testing.assert_array_equal(batch.codes, codes[batch.rows])
            np.testing.assert_array_equal(batch.targets, targets[batch.rows].astype(np.float32))
            assert (batch.codes.dtype, batch.targets.dtype) == (torch.uint8, torch.float32)


def test_as_stored(windows):
    assert rows_of(epoch(windows, None, 4)) == list(range(23))
    assert [len(batch.rows) for batch in epoch(windows, None, 4)] == [4] * 5 + [3]
    parts = [rows_of(epoch(windows, None, 4, part=(rank, 3))) for rank in range(3)]
    assert [row for part in parts for row in part] == list(range(23))
    assert rows_of(epoch(windows, None, 1, part=(0, 2))) == list(range(11))


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("buffer", [1, 5, 100])
def test_an_epoch_shows_every_window_once(written, processes, buffer):
    windows = BasenjiWindows(read_basenji(written[0]), "train", buffer)
    generator = np.random.default_rng(3)
    left_out = set()
    for _ in range(4):
        order, size = windows.order(generator), 2 * processes
        parts = [epoch(windows, order, size, part=(rank, processes)) for rank in range(processes)]
        rows = [row for part in parts for row in rows_of(part)]
        assert len(set(rows)) == len(rows) == windows.epoch_windows(processes)
        assert len(rows) == 23 // processes * processes
        left_out |= set(range(23)) - set(rows)
        # every step is shared as the protocol says
        for step, batches in enumerate(zip(*parts, strict=True)):
            total = min(size, len(rows) - step * size)
            expected = [share(total, (rank, processes)) for rank in range(processes)]
            assert [len(batch.rows) for batch in batches] == [s.stop - s.start for s in expected]
    assert (len(left_out) > 1) == (processes > 1)


def test_orders_follow_from_the_seed_alone(windows):
    first, second = (windows.order(np.random.default_rng(seed)) for seed in (1, 2))
    assert rows_of(epoch(windows, first, 4)) == rows_of(epoch(windows, first.clone(), 5))
    assert rows_of(epoch(windows, first, 4)) != rows_of(epoch(windows, second, 4))
    assert sorted(rows_of(epoch(windows, first, 4))) == list(range(23))


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_what_was_skipped_changes_nothing(windows, processes):
    size = 2 * processes
    order = windows.order(np.random.default_rng(4))
    for rank in range(processes):
        part = (rank, processes)
        whole = epoch(windows, order, size, part=part)
        for step in range(len(whole) + 1):
            left = epoch(windows, order, size, step * size, part)
            assert len(left) == len(whole) - step
            for one, other in zip(left, whole[step:], strict=True):
                for mine, theirs in zip(one, other, strict=True):
                    assert torch.equal(mine, theirs)


def test_shards_that_are_done_are_not_opened(written, windows, monkeypatch):
    order = windows.order(np.random.default_rng(4))
    opened = []
    read = basenji_windows.stream_records

    def noted(folder, shards, wanted):
        firsts = np.cumsum([0, *(last - first for _, _, first, last in shards)])
        for (path, *_), a, b in zip(shards, firsts, firsts[1:], strict=False):
            if wanted[a:b].any():
                opened.append(path)
        return read(folder, shards, wanted)

    monkeypatch.setattr(basenji_windows, "stream_records", noted)
    epoch(windows, order, 4)
    assert len(opened) == 6
    opened.clear()
    epoch(windows, order, 4, skip=20)
    assert len(opened) <= 3


@given(st.integers(0, 60), st.integers(1, 30), st.integers(0, 10))
def test_a_buffer_shows_every_place_once_and_late_enough(count, buffer, seed):
    shown = buffered(count, buffer, np.random.default_rng(seed))
    assert sorted(shown.tolist()) == list(range(count))
    # when a place is shown, no more than `buffer` are held
    for step, place in enumerate(shown.tolist()):
        assert place < step + buffer


def naive_buffered(count, buffer, generator):
    left, held, shown = list(range(count)), [], []
    while left and len(held) < buffer:
        held.append(left.pop(0))
    for slot in generator.integers(0, len(held), size=len(left)):
        shown.append(held[slot])
        held[slot] = left.pop(0)
    return shown + [held[slot] for slot in generator.permutation(len(held))]


def test_a_buffer_is_its_naive_twin():
    for count, buffer in ((40, 7), (5, 9), (9, 9), (9, 1)):
        shown = buffered(count, buffer, np.random.default_rng(1))
        assert shown.tolist() == naive_buffered(count, buffer, np.random.default_rng(1))


def test_first_windows_come_from_all_shards(written):
    """With a buffer of all windows an epoch's order is a draw among all."""
    windows = BasenjiWindows(read_basenji(written[0]), "train", buffer=100)
    generator = np.random.default_rng(0)
    firsts = [rows_of(epoch(windows, windows.order(generator), 23))[0] // 4 for _ in range(60)]
    assert set(firsts) == set(range(6))


def test_few_windows_are_decoded_ahead(written, monkeypatch):
    windows = BasenjiWindows(read_basenji(written[0]), "train", buffer=3)
    decoded, shown, most = [], 0, 0
    decode = type(windows.folder).decoded
    monkeypatch.setattr(
        type(windows.folder),
        "decoded",
        lambda folder, data: decoded.append(None) or decode(folder, data),
    )
    for batch in windows.batches(windows.order(np.random.default_rng(0)), 2, 0, (0, 1)):
        shown += len(batch.rows)
        most = max(most, len(decoded) - shown)
    # the buffer, two batches in the queue, and the one that the reader holds
    assert most <= 3 + 2 * 2 + 2
    assert len(decoded) == shown == 23


def test_the_thread_ends_with_the_epoch(windows):
    before = threading.active_count()
    batches = windows.batches(windows.order(np.random.default_rng(0)), 2, 0, (0, 1))
    next(batches)
    batches.close()
    assert threading.active_count() == before


def test_damage_reaches_the_trainer(tmp_path):
    tfrecords.write_folder(tmp_path, SIZES, **SHAPE, shard=4)
    windows = BasenjiWindows(read_basenji(tmp_path), "train")
    shard = tmp_path / "tfrecords/train-3.tfr"
    shard.write_bytes(shard.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"train-3.tfr, record \d \(from 0\): the compressed"):
        epoch(windows, windows.order(np.random.default_rng(0)), 2)


@pytest.mark.parametrize("shuffled", [False, True])
def test_surplus_records_of_the_shard_read_last_reach_the_trainer(tmp_path, shuffled):
    data = tfrecords.write_folder(tmp_path, {"train": 2, "valid": 4}, **SHAPE, shard=3)
    shard = tmp_path / "tfrecords/valid-1.tfr"
    codes, targets = (array[1:] for array in data["valid"])
    windows = BasenjiWindows(read_basenji(tmp_path), "validation")
    order = windows.order(np.random.default_rng(0)) if shuffled else None
    assert sorted(rows_of(epoch(windows, order, 4))) == list(range(4))
    whole = shard.read_bytes()
    records = [tfrecords.window_example(*row) for row in zip(codes, targets, strict=True)]
    tfrecords.write_records(shard, records)
    shown = []
    with pytest.raises(InputError, match=r"valid-1.tfr holds more than 1 records, but 1 are"):
        shown.extend(windows.batches(order, 4, 0, (0, 1)))
    assert shown == []
    # the last bytes are a checksum of the shard
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(InputError, match=r"valid-1.tfr, record \d \(from 0\)"):
        epoch(windows, order, 4)


def test_more_processes_than_windows(written):
    windows = BasenjiWindows(read_basenji(written[0]), "test")
    assert windows.epoch_windows(3) == 0
    assert epoch(windows, windows.order(np.random.default_rng(0)), 3, part=(1, 3)) == []
    assert [rows_of(epoch(windows, None, 3, part=(rank, 3))) for rank in range(3)] == [[], [0], [1]]


def test_digests(written):
    folder = read_basenji(written[0])
    digests = {
        BasenjiWindows(folder, split, buffer).digest()
        for split in ("train", "test")
        for buffer in (2, 3)
    }
    assert len(digests) == 4
    with pytest.raises(InputError, match="buffer is 0"):
        BasenjiWindows(folder, "train", 0)


def settings(folder, **changes):
    return {
        **CNN,
        "epochs": 2,
        "batch_size": 4,
        "learning_rate": 1e-3,
        "basenji": {"path": str(folder), "buffer": 6},
        "checkpoint_minutes": 1e-9,
        **changes,
    }


def trained(folder, checkpoint=None, progress=lambda line: None, **changes):
    return train_on_basenji(
        seed=1,
        threads=1,
        device="cpu",
        build="toy",
        settings=settings(folder, **changes),
        progress=progress,
        checkpoint=checkpoint,
    )


def weights(model):
    return tensors_digest(model.module.state_dict())


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_last_bit(written, tmp_path):
    whole = trained(written[0])
    assert weights(trained(written[0])) == weights(whole)
    for stop_after in (1, 4, 7):
        checkpoint = Checkpoint(tmp_path / f"{stop_after}.safetensors", 1e-9, "code")
        saved = []
        write = checkpoint.write

        def killed(run, state, saved=saved, write=write, stop_after=stop_after):
            write(run, state)
            saved.append(None)
            if len(saved) == stop_after:
                raise KeyboardInterrupt

        object.__setattr__(checkpoint, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            trained(written[0], checkpoint)
        lines = []
        again = Checkpoint(tmp_path / f"{stop_after}.safetensors", 1e-9, "code")
        finished = trained(written[0], again, lines.append)
        assert any("training goes on" in line for line in lines)
        assert weights(finished) == weights(whole)
        assert finished.record["train_loss"] == whole.record["train_loss"]


def test_the_record_holds_the_regions_of_the_folder(written):
    model = trained(written[0], epochs=1)
    assert model.record["regions"] == [
        ("test", "chr1", 17_168, 17_680),
        ("train", "chr1", 10_000, 15_888),
        ("validation", "chr1", 15_888, 17_168),
    ]
    assert model.record["windows"] == {"train": 23, "validation": 5}
    assert [track.name for track in model.facts.tracks] == ["CAGE:track 0", "CAGE:track 1"]
    assert model.facts.build == "toy"


def write_gc(folder, shuffled):
    """Windows whose targets are the GC content of their bins, or that of other bins."""
    data = tfrecords.write_folder(folder, {"train": 64, "valid": 24}, **SHAPE, shard=32)
    rng = np.random.default_rng(5)
    for label, (codes, targets) in data.items():
        rich = rng.random((*targets.shape[:2], 1)) > rng.random((*targets.shape[:2], 64))
        pairs = np.where(rich.reshape(codes.shape), [[1]], [[0]])
        codes[...] = np.where(rng.random(codes.shape) < 0.5, pairs, 3 - pairs)
        targets[...] = 8 * rich.mean(axis=2)[..., None]
        if shuffled:
            targets[...] = rng.permutation(targets.reshape(-1)).reshape(targets.shape)
        for shard, first in enumerate(range(0, len(codes), 32)):
            rows = zip(codes[first : first + 32], targets[first : first + 32], strict=True)
            records = [tfrecords.window_example(*row) for row in rows]
            tfrecords.write_records(folder / f"tfrecords/{label}-{shard}.tfr", records)


@pytest.mark.slow
def test_gc_content_is_learned_from_the_stream(tmp_path):
    scores = {}
    for name in ("signal", "shuffled"):
        write_gc(tmp_path / name, name == "shuffled")
        model = trained(tmp_path / name, epochs=5, learning_rate=1e-2)
        scores[name] = max(model.record["validation_r"])
    assert scores["signal"] > 0.8
    assert scores["shuffled"] < 0.3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"parameters": {"channels": 8, "pool": [8, 4]}},
            "4 bins of 64 bp, 0 bp at each end of 256",
        ),
        ({"control": ["CAGE:track 0"]}, "control tracks are not read from a folder of Basenji"),
        (
            {"processes": 24, "batch_size": 24},
            "the split 'train' has 23 windows, too few for 24 processes",
        ),
        ({"loss": "bce"}, "loss 'bce'"),
    ],
)
def test_what_does_not_fit_is_refused(written, changes, message):
    with pytest.raises(InputError, match=message.replace("[", r"\[")):
        trained(written[0], **changes)


def test_missing_targets_are_named(tmp_path):
    data = tfrecords.write_folder(tmp_path, {"train": 3, "valid": 2}, **SHAPE)
    codes, targets = data["train"]
    targets[2, 1, 1] = np.nan
    records = [tfrecords.window_example(*row) for row in zip(codes, targets, strict=True)]
    tfrecords.write_records(tmp_path / "tfrecords/train-0.tfr", records)
    with pytest.raises(InputError, match=r"window 2 \(from 0\) of the split 'train', bin 1"):
        trained(tmp_path)
    assert trained(tmp_path, missing_targets="mask").record["epochs"] == 2


@pytest.mark.slow
def test_two_processes_share_a_stream(written, tmp_path):
    job = TrainingJob(
        inputs={},
        output=str(tmp_path / "r1.safetensors"),
        state=str(tmp_path / "r1.training.safetensors"),
        code="code",
        assembly="toy",
        build="toy",
        seed=1,
        threads=1,
        device="cpu",
        settings=settings(written[0], processes=2, missing_targets="error", epochs=1),
    )
    lines = []
    run_job(job, lines.append)
    record = read_card(job.output).record
    assert record["settings"]["processes"] == 2
    assert record["windows"] == {"train": 23, "validation": 5}
    assert any("1 of them, others in every epoch, are left out" in line for line in lines)


@pytest.mark.shared_data
def test_five_steps_on_what_tensorflow_wrote(shared_data: Path) -> None:
    folder = shared_data / "basenji_dataset_small"
    parameters = {"channels": 8, "pool": [8, 16]}
    model = trained(folder, parameters=parameters, steps=5, epochs=4)
    assert model.record["windows"] == {"train": 16, "validation": 4}
    assert model.record["epochs"] == 2
    assert model.record["regions"] == [
        ("test", "20", 1_040_960, 1_049_152),
        ("train", "20", 1_000_000, 1_032_768),
        ("validation", "20", 1_032_768, 1_040_960),
    ]
    again = trained(folder, parameters=parameters, steps=5, epochs=4)
    assert weights(model) == weights(again)
