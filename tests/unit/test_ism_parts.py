"""Maps in parts: the same bytes whatever was there before; equal sequences are mapped once."""

import json
import shutil
from itertools import combinations

import numpy as np
import pytest

from seqtrust.inference import ism_parts
from seqtrust.inference.ism import mutagenesis
from seqtrust.inference.ism_parts import map_to_file
from seqtrust.ism_maps import read_maps
from seqtrust.models.architectures import build_model
from seqtrust.models.facts import Track
from seqtrust.models.training import initialise
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow
from seqtrust.tables import footer_of

LENGTH = 32
OUTPUTS = {"profile": {}}
SETTINGS = {
    "region": None,
    "reverse_complement": True,
    "shifts": (0,),
    "savings": True,
    "batch_bytes": None,
    "threads": 1,
    "device": "cpu",
}


def network():
    parameters = {"channels": 4, "pool": [4, 2], "kernel": 5, "dilations": [1]}
    model = build_model("cnn", parameters, [Track("open")], "toy")
    initialise(model.module, 3)
    return model


def sequence_set(count, copies=()):
    """Random windows; rows (to, from) of `copies` have equal bases."""
    bases = np.random.default_rng(0).integers(0, 4, (count, LENGTH)).astype(np.uint8)
    for target, source in copies:
        bases[target] = bases[source]
    windows = [
        StoredWindow(f"w{row}", "toy", "c", row, 0, LENGTH, "+", row, bases[row])
        for row in range(count)
    ]
    return SequenceSet(windows, [Sequence(f"s{row}", row) for row in range(count)])


@pytest.fixture
def parts_of_two(monkeypatch):
    monkeypatch.setattr(ism_parts, "_PART_SEQUENCES", 2)


def mapped(path, sequences, key="key"):
    return map_to_file(path, network(), sequences, OUTPUTS, key, **SETTINGS)


def test_a_run_goes_on_after_any_parts_with_the_same_bytes(tmp_path, parts_of_two, monkeypatch):
    sequences = sequence_set(7)
    mapped(tmp_path / "whole.parquet", sequences)
    monkeypatch.setattr(shutil, "rmtree", lambda folder: None)
    mapped(tmp_path / "kept.parquet", sequences)
    monkeypatch.undo()
    monkeypatch.setattr(ism_parts, "_PART_SEQUENCES", 2)
    (folder,) = tmp_path.glob("kept.parquet.*.parts")
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == 4
    for number in range(len(names)):
        for lost in combinations(names, number + 1):
            # a job is killed in order, but parts may be lost in any
            place = tmp_path / "again.parquet.key.parts"
            shutil.copytree(folder, place)
            for name in lost:
                (place / name).unlink()
            mapped(tmp_path / "again.parquet", sequences)
            expected = (tmp_path / "whole.parquet").read_bytes()
            if "000000.parquet" in lost and len(lost) < len(names):
                # the check of the first part is made of its own first sequence
                found = read_maps([tmp_path / "again.parquet"])
                assert found.sequence_ids == sequences.ids()
            else:
                assert (tmp_path / "again.parquet").read_bytes() == expected
            assert not place.exists()


def test_a_file_in_parts_is_read_as_one(tmp_path, parts_of_two):
    sequences = sequence_set(5)
    metadata = mapped(tmp_path / "maps.parquet", sequences)
    found = read_maps([tmp_path / "maps.parquet"])
    with mutagenesis(network(), LENGTH, OUTPUTS, **SETTINGS) as run:
        rows = list(run.rows(sequences))
        work = json.loads(run.totals()["work"])
    np.testing.assert_array_equal(found.effects, np.stack([row.effects for row in rows]))
    assert json.loads(footer_of(tmp_path / "maps.parquet")["work"]) == work
    assert json.loads(metadata["work"]) == work
    assert [path.name for path in tmp_path.iterdir()] == ["maps.parquet"]


def test_equal_sequences_are_mapped_once(tmp_path):
    sequences = sequence_set(5, copies=[(2, 0), (4, 0), (3, 1)])
    mapped(tmp_path / "maps.parquet", sequences)
    found = read_maps([tmp_path / "maps.parquet"])
    assert found.sequence_ids == sequences.ids()
    for target, source in ((2, 0), (4, 0), (3, 1)):
        np.testing.assert_array_equal(found.effects[target], found.effects[source])
        np.testing.assert_array_equal(found.references[target], found.references[source])
    with mutagenesis(network(), LENGTH, OUTPUTS, **SETTINGS) as run:
        rows = list(run.rows(sequences))
        assert (run.counts.sequences, run.counts.repeated) == (2, 3)
        assert [row.mutants for row in rows] == [3 * LENGTH, 3 * LENGTH, 0, 0, 0]
        assert run.work.equal_sequences > 0.6


def test_parts_of_another_run_are_thrown_away(tmp_path):
    other = tmp_path / "maps.parquet.other.parts"
    other.mkdir()
    (other / "000000.parquet").write_text("nothing")
    metadata = mapped(tmp_path / "maps.parquet", sequence_set(2))
    assert not other.exists()
    assert metadata["region"] == f"[0, {LENGTH}]"


def test_an_empty_shard_has_no_maps(tmp_path):
    empty = SequenceSet(sequence_set(1).windows, [], {"length": str(LENGTH)})
    mapped(tmp_path / "maps.parquet", empty)
    assert read_maps([tmp_path / "maps.parquet"]).sequence_ids == []
