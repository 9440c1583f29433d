"""Deep MR through the workflow: from maps in shards, and from a table."""

from pathlib import Path

import pandas as pd
import pytest

from .conftest import Project, copy_project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
CONFIG = "tests/config/tiny_deep_mr.yaml"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the tiny run."""
    project = copy_project(tmp_path_factory.mktemp("deep_mr") / "project")
    project.snakemake("--cores", 2, "--configfile", CONFIG)
    return project.folder / "results/tiny_deep_mr"


def table(results: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(results / f"deepmr/{name}.tsv", sep="\t")


def test_every_locus_and_pair_has_an_effect_or_a_reason(results: Path) -> None:
    local = pd.read_parquet(results / "deepmr/maps.local.parquet")
    loci = local["locus"].unique()
    assert len(loci) == 6
    counts = local[local["estimator"] == "ivw"].groupby(["exposure", "outcome"])["locus"].nunique()
    assert (counts == 6).all()
    assert len(counts) == 6
    assert ((local["estimate"].notna()) == (local["reason"] == "")).all()


def test_mutants_are_counted(results: Path) -> None:
    counts = table(results, "maps.counts")
    # 60 positions of 6 loci, three mutants each
    assert (counts["mutations"] == 3 * 60 * 6).all()
    assert (counts["passes_needed"] == 3 * 60 * 6 + 6).all()
    assert list(counts["replicate"]) == ["r1", "r2"]


def test_one_network_has_estimates_and_no_leave_to_use_them(results: Path) -> None:
    main = table(results, "single.global").query("main and split == 'all'")
    assert len(main) == 6
    assert main["estimate"].notna().all()
    verdicts = table(results, "single.verdicts")
    assert not verdicts["applicable"].any()
    assert verdicts["reasons"].str.contains("one network").all()
    assert list(table(results, "single.counts")["mutations"]) == [3 * 20 * 6]


def test_a_table_gives_the_published_estimates(results: Path) -> None:
    found = table(results, "lipids.global")
    main = found[found["main"]].set_index("exposure")
    # R's MendelianRandomization on the same table
    assert main.loc["ldl", "estimate"] == pytest.approx(2.8342139, rel=1e-5)
    assert main.loc["ldl", "se"] == pytest.approx(0.52979949, rel=1e-5)
    assert main.loc["hdl", "low"] == pytest.approx(main.loc["hdl", "published_low"], rel=1e-4)


def test_controls_come_first_among_the_headlines(results: Path) -> None:
    head = pd.read_csv(results / "headlines.tsv", sep="\t")["headline"]
    mine = head[head.str.startswith("Maps")]
    assert mine.iloc[0] == "Maps: pairs without a path called"


def test_every_figure_has_its_three_files(results: Path) -> None:
    for panel in (
        "effects", "forest", "loci", "diagnostics", "controls", "changes", "spacing", "reliability",
    ):  # fmt: skip
        for suffix in ("png", "pdf", "tsv"):
            assert (results / f"figures/deep_mr_{panel}.{suffix}").stat().st_size > 0


def test_more_shards_change_nothing(results: Path, project: Project) -> None:
    replicates = project.folder / "results/tiny_deep_mr/ensembles"
    replicates.parent.mkdir(parents=True)
    replicates.symlink_to(results / "ensembles")
    target = "results/tiny_deep_mr/deepmr/maps.global.tsv"
    options = ("--cores", 2, "--configfile", CONFIG, "--config", "shards=1")
    project.snakemake(target, *options, "--rerun-triggers", "mtime")
    other = pd.read_csv(project.folder / target, sep="\t")
    pd.testing.assert_frame_equal(other, table(results, "maps.global"), rtol=1e-4)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ism: tracks\n", "ism: trakcs\n", "there is no 'trakcs' under ism; did you mean 'tracks'"),
        ("    main: ivw\n", "    main: ivw\n    recalibration: {levels: {set: loci, targets: x}}\n",
         "a table has no sequences: leave recalibration out"),
    ],
)  # fmt: skip
def test_faults_of_the_config_are_named(project: Project, old: str, new: str, message: str) -> None:
    file = project.folder / CONFIG
    file.write_text(file.read_text().replace(old, new))
    finished = project.snakemake("--dry-run", "--configfile", CONFIG, check=False)
    assert finished.returncode
    assert message in finished.stdout
