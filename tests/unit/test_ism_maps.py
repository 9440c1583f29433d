"""The table of maps: what is written is read, shard by shard, and no half-written file stays."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from seqtrust import ism_maps
from seqtrust.config import checked_config, load_schema
from seqtrust.errors import InputError
from seqtrust.inference.ism import mutagenesis
from seqtrust.ism_maps import MapRow, read_maps, write_maps
from seqtrust.models.architectures import build_model
from seqtrust.models.facts import Track
from seqtrust.predictions import OutputSpec
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow

FOLDER = Path(__file__).parents[2] / "config"
SCHEMA = load_schema(FOLDER / "schemas" / "config.schema.json")
TOY = yaml.safe_load((FOLDER / "config.yaml").read_text())
OUTPUT = OutputSpec("activity", (0, 2), (0, 1, 2), "none", ("a", "c"))
METADATA = {"region": "[3, 8]", "noise_floor": json.dumps({"activity": 2e-7})}


def rows(count, seed=1):
    random = np.random.default_rng(seed)
    for index in range(count):
        yield MapRow(
            f"s{seed}.{index}",
            random.integers(0, 5, 5).astype(np.uint8),
            random.normal(size=OUTPUT.shape).astype(np.float32),
            random.normal(size=(5, 4, *OUTPUT.shape)).astype(np.float32),
            15,
            0,
            index,
        )


@pytest.mark.parametrize("group_bytes", [1, 1_000, 10**9])
def test_maps_come_back_as_written_however_they_are_grouped(tmp_path, monkeypatch, group_bytes):
    monkeypatch.setattr(ism_maps, "ROW_GROUP_BYTES", group_bytes)
    paths = [tmp_path / "1.parquet", tmp_path / "2.parquet"]
    for seed, path in enumerate(paths):
        write_maps(path, rows(4, seed), OUTPUT, lambda: METADATA)
    found = read_maps(paths)
    expected = [row for seed in (0, 1) for row in rows(4, seed)]
    assert found.sequence_ids == [row.sequence_id for row in expected]
    assert (found.region, found.output, found.noise_floor) == ((3, 8), OUTPUT, 2e-7)
    np.testing.assert_array_equal(found.bases, [row.bases for row in expected])
    np.testing.assert_array_equal(found.references, [row.reference for row in expected])
    np.testing.assert_array_equal(found.effects, [row.effects for row in expected])
    groups = pq.ParquetFile(paths[0]).num_row_groups
    assert groups == {1: 4, 1_000: 2, 10**9: 1}[group_bytes]


def test_a_shard_without_sequences_has_no_rows(tmp_path):
    write_maps(tmp_path / "1.parquet", rows(0), OUTPUT, lambda: METADATA)
    found = read_maps([tmp_path / "1.parquet"])
    assert found.sequence_ids == []
    assert found.effects.shape == (0, 5, 4, 2, 3)


def test_a_run_that_fails_leaves_no_file(tmp_path):
    def failing():
        yield from rows(2)
        raise InputError("damaged")

    with pytest.raises(InputError, match="damaged"):
        write_maps(tmp_path / "1.parquet", failing(), OUTPUT, lambda: METADATA)
    assert not list(tmp_path.iterdir())


def test_shards_of_different_outputs_are_refused(tmp_path):
    write_maps(tmp_path / "1.parquet", rows(1), OUTPUT, lambda: METADATA)
    write_maps(tmp_path / "2.parquet", rows(1), replace(OUTPUT, name="other"), lambda: METADATA)
    with pytest.raises(InputError, match="different outputs or regions; remove them"):
        read_maps([tmp_path / "1.parquet", tmp_path / "2.parquet"])


def test_maps_of_a_set_from_the_network_to_the_file(tmp_path):
    codes = np.random.default_rng(1).integers(0, 4, (2, 64)).astype(np.uint8)
    windows = [
        StoredWindow(f"w{i}", "toy", "c", 0, 0, 64, "+", 0, row) for i, row in enumerate(codes)
    ]
    sequences = SequenceSet(windows, [Sequence("s0", 0), Sequence("s1", 1)], {})
    model = build_model("cnn", {"channels": 4, "kernel": 5, "pool": [8]}, [Track("a")], "toy")
    with mutagenesis(
        model, 64, {"activity": {"reduction": "sum"}}, region=(10, 30), reverse_complement=False,
        shifts=(0,), savings=True, batch_bytes=None, threads=1, device="cpu",
    ) as run:  # fmt: skip
        write_maps(tmp_path / "1.parquet", run.rows(sequences), run.outputs[0], run.metadata)
        effects, references = run.map_of(codes[1], "again")
    found = read_maps([tmp_path / "1.parquet"])
    assert found.sequence_ids == ["s0", "s1"]
    np.testing.assert_array_equal(found.bases, codes[:, 10:30])
    np.testing.assert_array_equal(found.effects[1], effects["activity"])
    np.testing.assert_array_equal(found.references[1], references["activity"])
    assert found.noise_floor == run.noise_floor["activity"]
    assert json.loads(found.metadata["reach"])["activity"][0] <= 0
    table = pq.read_table(tmp_path / "1.parquet")
    assert table["mutants"].to_pylist() == [60, 60]
    assert table["full_passes"].to_pylist()[1] == 1


def config_with(**entry):
    """The toy with one map and, beside its ensemble, one that is a table."""
    config = copy.deepcopy(TOY)
    facts = {
        "bin_width": 64,
        "tracks": [{"name": "a"}],
        "output_scale": "counts",
        "receptive_field": 64,
    }
    config["ensembles"]["elsewhere"] = {
        "assembly": "toy",
        "model": {"table": {"files": ["r1.tsv"], "facts": facts}},
        "outputs": {"activity": {}},
    }
    del config["deep_mr"]
    config["ism"] = {"m": {"ensemble": "cnn", "set": "eqtl", "output": "activity", **entry}}
    return config


def test_all_positions_are_the_default():
    (entry,) = checked_config(config_with(), SCHEMA)["ism"].values()
    assert entry == {"ensemble": "cnn", "set": "eqtl", "output": "activity", "savings": True}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"ensemble": "elsewhere"}, "ism/m/ensemble: 'elsewhere' is a table of predictions"),
        ({"output": "activiti"}, "ism/m/output: .*did you mean 'activity'"),
        ({"set": "eqtls"}, "ism/m/set: .*did you mean 'eqtl'"),
        ({"region": [3]}, "ism/m/region: .*too short"),
        ({"regoin": [3, 4]}, "unknown key 'regoin'; did you mean 'region'"),
    ],
)
def test_maps_that_cannot_be_are_refused(entry, message):
    with pytest.raises(InputError, match=message):
        checked_config(config_with(**entry), SCHEMA)
