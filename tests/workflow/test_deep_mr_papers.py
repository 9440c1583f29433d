"""The ways of the Deep MR paper's configs through the workflow: two strands, dropout masks."""

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from seqtrust.models.card import read_card

from .conftest import Project, copy_project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
COUNTS, MASKS = "tiny_deep_mr_counts", "tiny_deep_mr_masks"


def run(folder: Path, name: str) -> Path:
    """The results of a tiny run."""
    project = copy_project(folder / "project")
    project.snakemake("--cores", 2, "--configfile", f"tests/config/{name}.yaml")
    return project.folder / f"results/{name}"


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As config/malina2022_bpnet.yaml."""
    return run(tmp_path_factory.mktemp("counts"), COUNTS)


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As config/malina2022_deepsea.yaml."""
    return run(tmp_path_factory.mktemp("masks"), MASKS)


def table(results: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(results / f"deepmr/{name}.tsv", sep="\t")


def test_factors_are_tasks_and_published_effects_stand_beside(counts: Path) -> None:
    for name in ("bpnet", "as_published"):
        found = table(counts, f"{name}.global")
        main = found[found["main"] & (found["split"] == "all")]
        assert set(main["exposure"]) == {"Oct4", "Sox2", "Klf4"}
        beside = main.set_index(["exposure", "outcome"])["published_estimate"]
        assert beside[("Sox2", "Oct4")] == 1.2809
        assert beside.notna().sum() == 6
    # Sox2 has half the counts of Oct4
    main = table(counts, "bpnet.global").query("main and split == 'all'")
    pairs = main.set_index(["exposure", "outcome"])["estimate"]
    assert pairs[("Oct4", "Sox2")] > 0


def test_loci_are_drawn_in_their_regions(counts: Path) -> None:
    rows = pq.read_table(counts / "sequences/loci.parquet").to_pandas()
    windows = rows[rows["kind"] == "window"]
    assert len(windows) == 8
    start = windows["anchor"] - windows["anchor_index"]
    assert set(windows["contig"].astype(str)) <= {"toy2", "toy3"}
    low = windows["contig"].astype(str).map({"toy2": 200_000, "toy3": 0})
    assert (start >= low).all()
    assert (start + 288 <= low + 50_000).all()


def test_effects_of_loci_with_both_motifs_stand_beside_published_ones(counts: Path) -> None:
    rows = table(counts, "bpnet.spacing")
    mine = rows[(rows["exposure"] == "Sox2") & (rows["outcome"] == "Oct4")]
    assert list(zip(mine["nearest"], mine["farthest"], strict=True)) == [
        (0, 35), (35, 70), (70, 150), (150, 1000), (0, 1000),
    ]  # fmt: skip
    assert mine["loci_in_bin"].iloc[-1] == mine["loci_in_bin"].iloc[:-1].sum() > 1
    assert mine["published_estimate"].tolist() == [1.422, 1.3, 1.38, 1.165, 1.2809]


def test_counts_are_recalibrated_by_task(counts: Path) -> None:
    maps = json.loads((counts / "deepmr/bpnet.recalibration.json").read_text())
    assert maps["variance"]["tasks"] == ["Oct4", "Sox2", "Klf4"]
    assert all(factor > 0 for factor in maps["variance"]["factors"])
    assert set(table(counts, "bpnet.reliability")["split"]) == {"validation"}


def test_masks_are_of_the_imported_network(masks: Path) -> None:
    card = read_card(masks / "ensembles/deepsea/r1.safetensors")
    assert {row[0] for row in card.record["regions"]} == {"train", "validation", "test"}
    counts = table(masks, "platt.counts")
    assert list(counts["replicate"]) == ["r1", "r2", "r3"]


def test_pairs_have_the_regions_of_their_factor(masks: Path) -> None:
    for name in ("platt", "plain"):
        local = pd.read_parquet(masks / f"deepmr/{name}.local.parquet")
        for exposure, prefix in (("FOXA1", "FOXA1."), ("EZH2", "EZH2.")):
            mine = local[(local["exposure"] == exposure) & (local["estimator"] == "egger")]
            assert len(mine) == 4
            assert mine["locus"].str.startswith(prefix).all()
            assert (mine["split"] == "test").all()


def test_platt_scaling_changes_what_is_stated(masks: Path) -> None:
    maps = json.loads((masks / "deepmr/platt.recalibration.json").read_text())
    assert maps["platt"]["tasks"] == ["DNase", "FOXA1", "EZH2"]
    assert len(maps["platt"]["lines"]) == 3
    rows = table(masks, "platt.reliability")
    assert (rows.groupby("when")["sharpness"].mean() > 0).all()
    assert (
        rows.query("when == 'before'")["level"].tolist()
        != rows.query("when == 'after'")["level"].tolist()
    )


def test_published_statistics_stand_beside_ours(masks: Path) -> None:
    rows = table(masks, "plain.statistics")
    mine = rows[rows["estimator"] == "egger"].set_index(["statistic", "exposure"])
    whole = mine[mine.index.get_level_values(1).isna()].droplevel(1)
    assert whole.loc["pairs", "value"] == 2
    assert whole.loc["pairs", "published_value"] == 36
    assert whole.loc["loci_negative", "published_value"] == 3
    assert mine.loc[("local_median", "FOXA1"), "published_value"] == 0.7


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"{task}.*"', '{FOXA1: "FOXA.*"}', "loci_of: no locus is one of exposure 'FOXA1'"),
        ("FOXA1: [t1]", "FOXA1: [t2]", "task 'FOXA1' is of track 't2', which the output has not"),
    ],
)
def test_faults_are_named(project: Project, masks: Path, old: str, new: str, message: str) -> None:
    file = project.folder / f"tests/config/{MASKS}.yaml"
    file.write_text(file.read_text().replace(old, new))
    for part in ("ensembles", "sequences", "ism"):
        (project.folder / f"results/{MASKS}").mkdir(parents=True, exist_ok=True)
        (project.folder / f"results/{MASKS}/{part}").symlink_to(masks / part)
    target = f"results/{MASKS}/deepmr/plain.global.tsv"
    options = ("--cores", 1, "--configfile", file, "--rerun-triggers", "mtime")
    finished = project.snakemake(target, *options, check=False)
    assert finished.returncode
    assert message in finished.stdout
