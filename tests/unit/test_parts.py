"""Predictions in parts: the same as at once, also after being killed."""

import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrust.errors import InputError
from seqtrust.inference.engine import Engine
from seqtrust.inference.part_files import digest_of
from seqtrust.inference.parts import predict_to_files
from seqtrust.inference.predict import predict, predict_in_parts
from seqtrust.models.architectures import build_model
from seqtrust.models.facts import Track
from seqtrust.models.training import initialise
from seqtrust.predictions import joined, read_predictions, write_predictions
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow

LENGTH = 64
OUTPUTS = {"profile": {}, "total": {"tracks": ["open"], "reduction": "sum"}}
SMALL = 1_000_000


def network(seed=5):
    parameters = {"channels": 6, "pool": [4, 2], "kernel": 7, "dilations": [1]}
    model = build_model("cnn", parameters, [Track("open"), Track("shut")], "toy")
    initialise(model.module, seed)
    return model


def several(count):
    return [network(5 + number) for number in range(count)]


MODEL = network()


def windows_of(sizes):
    """A set of windows with so many sequences each."""
    rng = np.random.default_rng(len(sizes))
    windows, sequences = [], []
    for number, size in enumerate(sizes):
        for one in range(size):
            bases = rng.integers(0, 4, LENGTH).astype(np.uint8)
            sequences.append(Sequence(f"s{number}.{one}", len(windows)))
            windows.append(
                StoredWindow(f"w{number}", "toy", "c", number, 0, LENGTH, "+", number, bases)
            )
    return SequenceSet(windows, sequences, {"length": str(LENGTH)})


@given(st.lists(st.integers(0, 6), max_size=9), st.integers(0, 12))
def test_bounds_cut_between_windows(sizes, size):
    windows = np.repeat(np.arange(len(sizes)), sizes)
    found = SequenceSet([], [Sequence(str(n), int(w)) for n, w in enumerate(windows)])
    bounds = found.window_bounds(size)
    assert bounds[0] == 0
    assert bounds[-1] == len(windows)
    for bound in bounds[1:-1]:
        assert windows[bound - 1] != windows[bound]
    assert all(b - a >= max(1, size) for a, b in pairwise(bounds[:-1]))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.integers(1, 4 * SMALL))
def test_parts_are_the_whole_in_its_order(sizes, part_macs):
    sequences = windows_of(sizes)
    whole = predict(MODEL, sequences, OUTPUTS)
    numbered = list(predict_in_parts([MODEL], sequences, OUTPUTS, part_macs=part_macs))
    assert [number for number, _ in numbered] == list(range(len(numbered)))
    parts = joined([part for _, (part,) in numbered])
    assert parts.sequence_ids == whole.sequence_ids == sequences.ids()
    for name in OUTPUTS:
        np.testing.assert_allclose(parts.values[name], whole.values[name], atol=1e-6)
    # the first part is what is checked
    for metadata in (parts.metadata, whole.metadata):
        del metadata["check_error"]
    assert parts.metadata == whole.metadata


def test_a_file_in_parts_is_read_as_one(tmp_path):
    sequences = windows_of([2] * 9)
    whole = predict(MODEL, sequences, OUTPUTS)
    (metadata,) = predict_to_files(
        [tmp_path / "p"], [MODEL], sequences, OUTPUTS, "key", part_macs=SMALL
    )
    found = read_predictions([tmp_path / "p"])
    assert found.sequence_ids == whole.sequence_ids
    assert metadata["n_sequences"] == "18"
    assert found.outputs == whole.outputs
    assert [path.name for path in tmp_path.iterdir()] == ["p"]
    np.testing.assert_allclose(found.values["total"], whole.values["total"], atol=1e-6)


def test_parts_of_something_else_are_thrown_away(tmp_path, caplog):
    sequences = windows_of([1] * 6)
    other = tmp_path / "p.other.parts"
    other.mkdir()
    wrong = predict(MODEL, windows_of([3]), OUTPUTS)
    write_predictions(other / "000000.parquet", wrong)
    predict_to_files([tmp_path / "p"], [MODEL], sequences, OUTPUTS, "key", part_macs=SMALL)
    assert read_predictions([tmp_path / "p"]).sequence_ids == sequences.ids()
    assert not other.exists()
    assert "going on" not in caplog.text


def test_the_digest_is_of_files_and_settings(tmp_path):
    (tmp_path / "a").write_text("a")
    first = digest_of([tmp_path / "a"], {"threads": 1})
    assert first == digest_of([tmp_path / "a"], {"threads": 1})
    assert first != digest_of([tmp_path / "a"], {"threads": 2})
    (tmp_path / "a").write_text("b")
    assert first != digest_of([tmp_path / "a"], {"threads": 1})


SCRIPT = """
import sys, time
sys.path[:0] = [{scripts!r}, {tests!r}]
import torch
torch.set_num_threads(1)
import test_parts as tests
import seqtrust.inference.parts as parts
write = parts.write_predictions
def slowly(path, predictions):
    write(path, predictions)
    time.sleep(0.15)
parts.write_predictions = slowly
parts.predict_to_files({paths!r}, tests.several({count}), tests.windows_of([2] * 12),
                       tests.OUTPUTS, "key", part_macs=1)
"""


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tmp_path, count):
    here = Path(__file__).parent
    undisturbed = [tmp_path / f"undisturbed{number}" for number in range(count)]
    sequences = windows_of([2] * 12)
    predict_to_files(undisturbed, several(count), sequences, OUTPUTS, "key", part_macs=1)
    targets = [tmp_path / f"killed{number}" for number in range(count)]
    text = SCRIPT.format(
        scripts=str(here.parents[1] / "scripts"),
        tests=str(here),
        paths=list(map(str, targets)),
        count=count,
    )
    folders = [tmp_path / f"{target.name}.key.parts" for target in targets]
    for wanted in (1, 4, 9):
        process = subprocess.Popen([sys.executable, "-c", text])
        while len(list(folders[0].glob("*.parquet"))) < wanted:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not any(target.exists() for target in targets)
        kept = {path.name: path.stat().st_mtime_ns for path in folders[0].glob("*.parquet")}
    subprocess.run([sys.executable, "-c", text], check=True)
    assert len(kept) >= 9
    assert [path.read_bytes() for path in targets] == [path.read_bytes() for path in undisturbed]
    assert len({path.read_bytes() for path in targets}) == count
    assert not any(folder.exists() for folder in folders)


def test_batches_are_halved_until_they_fit(monkeypatch, caplog):
    sequences = windows_of([1] * 11)
    expected = predict(MODEL, sequences, OUTPUTS)
    right, sizes = Engine._values, []

    def small_memory(engine, view, codes, *settings):
        sizes.append(len(codes))
        if len(codes) > 3:
            raise torch.OutOfMemoryError("tried to allocate 7 GiB")
        return right(engine, view, codes, *settings)

    monkeypatch.setattr(Engine, "_values", small_memory)
    found = predict(MODEL, sequences, OUTPUTS)
    np.testing.assert_allclose(found.values["profile"], expected.values["profile"], atol=1e-6)
    assert sizes[0] == 11
    assert max(sizes[2:]) <= 3
    assert "out of memory with 11 sequences at once, going on with 5" in caplog.text


def test_a_single_sequence_that_does_not_fit_is_refused(monkeypatch):
    def no_memory(*arguments):
        raise torch.OutOfMemoryError("tried to allocate 7 GiB")

    monkeypatch.setattr(Engine, "_values", no_memory)
    with pytest.raises(InputError, match=r"a sequence of 64 bp does not fit .*cpu .*7 GiB.*fewer"):
        predict(MODEL, windows_of([3]), OUTPUTS)
