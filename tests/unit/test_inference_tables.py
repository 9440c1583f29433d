"""Tables of what inference computed and will cost, from the files that jobs leave."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from seqtrust.errors import InputError
from seqtrust.inference.cost import Cost
from seqtrust.inference.progress import Work
from seqtrust.inference_tables import COST, WORK, Group, cost_row, cost_table, work_table
from seqtrust.ism_maps import MapRow, read_maps, write_maps
from seqtrust.predictions import OutputSpec, Predictions, write_predictions
from seqtrust.tables import dump

SPEC = OutputSpec("out", (0,), (0,), "sum", ("one",))


def prediction(path, sequences, work, **metadata):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = {
        "n_sequences": str(sequences),
        "n_distinct": str(sequences - 1),
        "work": dump(asdict(work)),
        "replicates_together": "1",
        "full_passes": "",
        "precision": "float32",
    } | metadata
    values = {"out": np.zeros((sequences, 1, 1), dtype=np.float32)}
    ids = [f"s{index}" for index in range(sequences)]
    write_predictions(path, Predictions(ids, values, [SPEC], {"out": 1e-6 * sequences}, text))


def benchmark(path, seconds):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"s": seconds, "cpu_time": seconds / 2}) + "\n")


def shards(results: Path, replicates=2):
    return [
        results / f"predictions/cnn/tiles/r{replicate}/{shard}-of-2.parquet"
        for replicate in range(1, replicates + 1)
        for shard in (1, 2)
    ]


def test_work_of_replicates_and_shards_adds_up(tmp_path):
    files = shards(tmp_path)
    for number, path in enumerate(files):
        prediction(path, 4 + number % 2, Work(100, 80, 40, 10 + number))
        benchmark(
            tmp_path / f"benchmarks/predict/cnn.tiles.{path.parent.name}.{path.stem}.jsonl", 4
        )
    (row,) = work_table([Group("predict", "cnn", "tiles", files)]).to_dict("records")
    assert (row["replicates"], row["shards"], row["sequences"], row["distinct"]) == (2, 2, 9, 7)
    assert (row["saved_equal"], row["saved_crop"]) == (0.2, 0.4)
    assert row["saved_sharing"] == pytest.approx((160 - 46) / 400)
    assert (row["saved_mutagenesis"], row["saved_reading"]) == (0, 0)
    assert (row["gmacs_naive"], row["gmacs_computed"]) == (4e-7, 4.6e-8)
    assert (row["seconds"], row["cpu_seconds"]) == (16, 8)
    assert row["sequences_per_s"] == 9 * 2 / 16
    assert row["noise_floor"] == pytest.approx(5e-6)
    assert list(row) == [column.name for column in WORK.columns]


def test_one_job_for_all_replicates_is_counted_once(tmp_path):
    files = shards(tmp_path, 3)
    for path in files:
        prediction(path, 4, Work(100, 80, 40, 10), replicates_together="3")
    for shard in ("1-of-2", "2-of-2"):
        benchmark(tmp_path / f"benchmarks/predict/cnn.tiles.all.{shard}.jsonl", 3)
    (row,) = work_table([Group("predict", "cnn", "tiles", files)]).to_dict("records")
    assert row["seconds"] == 6
    assert row["saved_reading"] == pytest.approx(2 / 3)


def test_without_benchmarks_there_are_no_times(tmp_path):
    files = shards(tmp_path)
    for path in files:
        prediction(path, 4, Work(100, 80, 40, 10), full_passes="layer attention")
    (row,) = work_table([Group("predict", "cnn", "tiles", files)]).to_dict("records")
    assert row["seconds"] is None
    assert row["sequences_per_s"] is None
    assert row["full_passes"] == "layer attention"


def test_maps_count_when_all_rows_are_written(tmp_path):
    path = tmp_path / "ism/promoters/r1/1-of-1.parquet"
    path.parent.mkdir(parents=True)
    seen = []

    def rows():
        for number in range(3):
            seen.append(number)
            reference, effects = np.zeros((1, 1), np.float32), np.zeros((2, 4, 1, 1), np.float32)
            yield MapRow(f"s{number}", np.zeros(2, np.uint8), reference, effects, 6, 0, 1)

    write_maps(
        path,
        rows(),
        SPEC,
        lambda: {"region": "[0, 2]", "noise_floor": '{"out": 1e-7}', "full_because": "asked for"},
        lambda: {"work": dump(asdict(Work(100, 90, 80, len(seen))))},
    )
    benchmark(tmp_path / "benchmarks/ism/promoters.r1.1-of-1.jsonl", 2)
    (row,) = work_table([Group("ism", "promoters", "tss", [path])]).to_dict("records")
    assert row["gmacs_computed"] == 3e-9
    assert row["saved_mutagenesis"] == pytest.approx(0.77)
    assert row["saved_sharing"] == 0
    assert (row["sequences"], row["seconds"], row["full_passes"]) == (3, 2, "asked for")
    assert read_maps([path]).sequence_ids == ["s0", "s1", "s2"]


def test_files_that_say_nothing_are_refused(tmp_path):
    path = tmp_path / "predictions/cnn/tiles/r1/1-of-1.parquet"
    path.parent.mkdir(parents=True)
    values = {"out": np.zeros((1, 1, 1), dtype=np.float32)}
    write_predictions(path, Predictions(["s"], values, [SPEC], {"out": 0.0}, {}))
    with pytest.raises(InputError, match=r"1-of-1.parquet says nothing about multiplications"):
        work_table([Group("predict", "cnn", "tiles", [path])])


def test_costs():
    row = cost_row("cnn", "tiles", 5, Cost(10, 4 * 10**12, 35 * 10**11, 10**11, 1e9, 2, 0.0))
    assert (row["hours_per_replicate"], row["hours"]) == (1, 5)
    assert (row["gmacs_naive"], row["gmacs_planned"], row["gmacs_per_s"]) == (4000, 3600, 1)
    assert list(cost_table([row]).columns) == [column.name for column in COST.columns] == list(row)
