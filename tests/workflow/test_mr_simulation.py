"""The simulation of Deep MR as a stage: both paths, figures, and rounds that are kept."""

import pandas as pd
import pytest

from .conftest import Project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

TINY = ("--configfile", "tests/config/tiny_mr_simulation.yaml")


def test_rounds_are_kept_and_more_of_them_add_jobs(project: Project) -> None:
    results = project.folder / "results/tiny_mr_simulation"
    first = results / "mr_simulations/tiny/none_clusters_h0_s100/1.parquet"
    project.snakemake("--cores", 2, *TINY, "--", first.relative_to(project.folder))
    before = first.read_bytes()
    project.snakemake("--cores", 2, *TINY)
    assert first.read_bytes() == before
    assert project.jobs(*TINY) == {}
    for panel in ("coverage", "estimates", "published"):
        for suffix in ("png", "pdf", "tsv"):
            assert (results / f"figures/mr_simulation_tiny_{panel}.{suffix}").stat().st_size > 0
    summary = pd.read_csv(results / "mr_simulations/tiny.summary.tsv", sep="\t")
    assert set(summary["path"]) == {"oracle", "networks"}
    named = summary[summary["metric"] == "coverage"].groupby("path")["truth"].agg(set)
    assert named["networks"] >= {"ensemble", "oracle", "loci"}
    assert named["oracle"] >= {"population", "oracle", "loci"}
    assert {"none", "variance", "intervals"} <= set(summary["calibration"])
    published = pd.read_csv(results / "mr_simulations/tiny.published.tsv", sep="\t")
    assert published.loc[published["mode"] == "none", "here"].notna().any()

    first.unlink()
    project.snakemake("--cores", 1, *TINY, "--", first.relative_to(project.folder))
    assert first.read_bytes() == before

    path = project.folder / TINY[1]
    path.write_text(path.read_text().replace("rounds: 2", "rounds: 3"))
    jobs = project.jobs(*TINY)
    assert jobs["mr_simulation_round"] == 1
    assert jobs["mr_simulation_summary"] == 1
