"""The robustness benchmark as a stage: every kind of file, and what a change runs again."""

from pathlib import Path

import pandas as pd
import pytest

from .conftest import Project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

TINY = ("--configfile", "tests/config/tiny_robustness.yaml")


def test_a_benchmark_runs_and_a_further_model_adds_its_jobs(project: Project) -> None:
    project.snakemake("--cores", 2, *TINY)
    results = project.folder / "results/tiny_robustness/robustness"
    summary = pd.read_parquet(results / "tiny.summary.parquet")
    assert set(summary["model"]) == {"cnn", "cnn_prior", "ensemble", "ridge", "oracle", "ideal"}
    assert set(summary["data_set"]) == {"ID", "GC-1", "REW-3", "NOISE-A-3", "ART-3"}
    assert summary["value"].notna().mean() > 0.9
    oracle = summary[(summary["model"] == "oracle") & (summary["metric"] == "cov90")]
    stated = oracle.loc[oracle["calibrator"] == "none", "value"]
    assert stated.between(0.82, 0.97).all()
    tests = pd.read_csv(results / "tiny.tests.tsv", sep="\t")
    assert set(tests["verdict"]) == {"not powered"}
    assert {"T1", "T2a", "T2b", "T3", "T4", "T5", "T6", "T7", "T8"} == set(tests["test"])
    assert len(pd.read_csv(results / "tiny.summary.tsv", sep="\t")) == len(summary)
    followed(results)
    assert project.jobs(*TINY) == {}

    trained = results / "tiny/models/cnn/1.1.safetensors"
    before = trained.read_bytes()
    trained.unlink()
    project.snakemake("--cores", 1, *TINY, "--", trained.relative_to(project.folder))
    assert trained.read_bytes() == before

    path = project.folder / TINY[1]
    path.write_text(path.read_text() + "      dropout: {masks_of: cnn, masks: 3}\n")
    jobs = project.jobs("--rerun-triggers", "params", *TINY)
    assert jobs["robustness_predict"] == 2
    assert "robustness_train" not in jobs
    assert "robustness_world" not in jobs


def followed(results: Path) -> None:
    """Detection, repair, curves, headlines, the page and the figures of the tiny benchmark."""
    detection = pd.read_csv(results / "tiny.detection.tsv", sep="\t")
    assert set(detection["model"]) == {"cnn"}
    shares = detection[detection["looks_at"] == "sequences"].set_index(
        ["data_set", "test", "metric"]
    )
    for test in ("classifier", "mmd"):
        for metric in ("detected", "statistic"):
            value = shares["value"].xs((test, metric), level=("test", "metric"))
            assert value["REW-3"] == value["NOISE-A-3"] == value["ID"]
    repair = pd.read_csv(results / "tiny.repair.tsv", sep="\t")
    assert set(repair["model"]) == {"cnn", "ridge"}
    assert set(repair["labels"]) == {0, 20, 50}
    curves = pd.read_parquet(results / "tiny.curves.parquet")
    assert {"cnn", "oracle"} <= set(curves["model"])
    assert {"", "gc_decile"} <= set(curves["by"])
    headlines = pd.read_csv(results.parent / "headlines.tsv", sep="\t")
    assert headlines["headline"].str.startswith("Tiny, cnn: coverage").sum() >= 3
    assert "not powered" in (results / "tiny.tests.html").read_text()
    figures = {path.stem for path in (results.parent / "figures").glob("robustness_tiny_*.png")}
    assert len(figures) == 11
    for figure in figures:
        assert (results.parent / "figures" / f"{figure}.tsv").stat().st_size > 20
