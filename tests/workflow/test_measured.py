"""Measured windows and streamed training through the workflow."""

import zlib
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyBigWig
import pytest
import tfrecords
import yaml

from seqtrust.models.card import read_card

from .conftest import REPOSITORY, Project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

TRACKS = ("activity", "t1")
PROFILE = {"profile": {"tracks": "all", "bins": "all", "reduction": "none"}}
TABLE = "resources/toy/tracks.tsv"


def train(**source: object) -> dict[str, object]:
    few = {"replicates": 1, "architecture": "cnn", "epochs": 1, "parameters": {"channels": 8}}
    return {"assembly": "toy", "model": {"train": few | source}, "outputs": PROFILE}


def write_signals(folder: Path) -> None:
    """The toy's tracks as bigWigs: every base has the value of its bin."""
    table = pd.read_csv(REPOSITORY / TABLE, sep="\t")
    rows = ["name\tfile\tsum_stat\n"]
    for name in TRACKS:
        with pyBigWig.open(str(folder / f"{name}.bw"), "w") as file:
            file.addHeader([(str(c), int(m["end"].max())) for c, m in table.groupby("contig")])
            for contig, mine in table.groupby("contig"):
                values = mine[name].astype(float).tolist()
                file.addEntries(str(contig), 0, values=values, span=64, step=64)
        rows.append(f"{name}\t{name}.bw\tmean\n")
    (folder / "targets.tsv").write_text("".join(rows))


def config_of(folder: Path) -> dict[str, object]:
    reference = {"assembly": "toy", "length": 1024}
    tiles = {"tiles": {"regions": ["toy1", "toy3"], "step": 4096}}
    by_table = {"ensemble": "cnn", "set": "tiles", "output": "profile", "targets": TABLE}
    streamed = {"ensemble": "streamed", "set": "held_out", "output": "profile"}
    return {
        "run": "measured",
        "title": "Measured windows",
        "toy": True,
        "assemblies": {"toy": {"fasta": "resources/toy/genome.fa", "build": "toy1"}},
        "measured": {
            "tracks": {
                "bigwigs": {"table": str(folder / "targets.tsv"), "set": "tiles", "bin_width": 64}
            },
            "held_out": {"basenji": {"path": str(folder / "data"), "split": "test"}},
        },
        "sequence_sets": {
            "tiles": reference | {"source": {"reference": tiles}},
            "held_out": reference | {"source": {"reference": {"bed": {"measured": "held_out"}}}},
        },
        "ensembles": {
            "cnn": train(
                set="tiles", targets={"measured": "tracks"}, splits="resources/toy/splits.bed"
            ),
            "streamed": train(basenji={"path": str(folder / "data"), "buffer": 3}, batch_size=4),
        },
        "verdicts": {
            "peaks": {
                "ensemble": "cnn",
                "set": "tiles",
                "output": "profile",
                "label": "Peaks",
                "calls": {"peaks": {"targets": {"measured": "tracks"}}},
            }
        },
        "accuracy": {
            "by_table": by_table,
            "by_signals": by_table | {"targets": {"measured": "tracks"}},
            "streamed": streamed | {"targets": {"measured": "held_out"}},
        },
    }


def test_measured_windows_and_streams(project: Project, tmp_path: Path) -> None:
    write_signals(tmp_path)
    sizes = {"train": 10, "valid": 4, "test": 4}
    shape = {"bins": 16, "bin_width": 64, "contig": "toy1"}
    tfrecords.write_folder(tmp_path / "data", sizes, **shape)
    config = config_of(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    accuracy = [f"results/measured/accuracy/{name}.tsv" for name in config["accuracy"]]
    project.snakemake("--cores", 1, "--configfile", path, "--", *accuracy)
    tables = [pd.read_csv(project.folder / name, sep="\t") for name in accuracy]
    # the same bins, from the table and from the signal files
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert set(tables[1]["track"]) == set(TRACKS)
    # four windows of 16 bins, which the regions of the folder call test
    assert set(tables[2]["split"]) == {"test"}
    assert set(tables[2]["bins"]) == {64}
    card = read_card(project.folder / "results/measured/ensembles/streamed/r1.safetensors")
    assert ["test", "toy1", 24_336, 28_432] in card.record["regions"]
    with pa.memory_map(str(project.folder / "results/measured/measured/held_out.arrow")) as file:
        assert pa.ipc.open_file(file).get_batch(0).num_rows == 4
    # another shard, and what was made of the folder is made again
    shard = tmp_path / "data/tfrecords/test-0.tfr"
    shard.write_bytes(zlib.compress(zlib.decompress(shard.read_bytes()), 1))
    jobs = project.jobs("--configfile", path, "--", *accuracy)
    assert {"measure_basenji", "train_replicate"} <= jobs.keys()
    assert "measure_signals" not in jobs


def test_a_damaged_shard_is_named_in_the_log(project: Project, tmp_path: Path) -> None:
    write_signals(tmp_path)
    shape = {"bins": 16, "bin_width": 64, "contig": "toy1"}
    tfrecords.write_folder(tmp_path / "data", {"train": 10, "valid": 4, "test": 4}, **shape)
    shard = tmp_path / "data/tfrecords/test-1.tfr"
    shard.write_bytes(shard.read_bytes()[:-9])
    config = config_of(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    made = "results/measured/measured/held_out.arrow"
    finished = project.snakemake("--cores", 1, "--configfile", path, "--", made, check=False)
    assert finished.returncode
    log = (project.folder / "results/measured/logs/measure_basenji/held_out.log").read_text()
    assert f"{shard}, record 0 (from 0): the compressed data end early" in log
    assert not (project.folder / made).exists()
