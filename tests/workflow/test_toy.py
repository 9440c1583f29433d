"""The default config, once, through the command that `make run` calls."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from .conftest import Project, copy_project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """A copy in which the toy has run, and what was printed."""
    project = copy_project(tmp_path_factory.mktemp("toy") / "project")
    finished = subprocess.run(
        [sys.executable, "-m", "seqtrust.run", "config/config.yaml", "--cores", "2"],
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": "scripts"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-5000:]
    return project, finished.stdout


def test_the_run_ends_with_times_headlines_and_the_report(toy: tuple[Project, str]) -> None:
    project, printed = toy
    end = printed[printed.index("Time per stage") :]
    assert "train_replicate:" in end
    assert "held-out Pearson r, activity:" in end
    assert "eQTL signs right:" in end
    assert end.strip().endswith("Report: results/toy/report.html")
    assert (project.folder / "results/toy/report.html").stat().st_size > 100_000


def test_the_planted_truth_is_recovered(toy: tuple[Project, str]) -> None:
    planted = pd.read_csv(toy[0].folder / "results/toy/planted.tsv", sep="\t").set_index("claim")
    assert (planted["status"] == "by construction").all()
    activity = planted.loc["held-out Pearson r, activity"]
    assert 0.45 < activity["recovered"] < activity["planted"]
    # a model that has learned the grammar is right where expression follows the track,
    # wrong where it is reversed downstream, and at chance on tags without an effect
    right = planted["recovered"]
    assert right["eQTL signs right, modelled genes"] > 0.8
    assert right["eQTL signs right, reversed genes"] < 0.2
    assert 0.25 < right["eQTL signs right, tag genes"] < 0.75


def test_every_kind_of_sequence_has_a_verdict(toy: tuple[Project, str]) -> None:
    results = toy[0].folder / "results/toy"
    table = pd.read_csv(results / "figures/class_fractions.tsv", sep="\t")
    judged = {path.name.split(".")[0] for path in (results / "verdicts").iterdir()}
    assert set(table["verdict"]) == judged
    observed = table[(table["level"] == "observed") & (table["split"] == "all")]
    decided = observed[~observed["class"].isin(["tie", "out_of_reach"])]
    sums = decided.groupby(["verdict", "subset"])["fraction"].sum()
    assert ((sums - 1).abs() < 1e-4).all()


def test_nothing_is_left_out_without_a_reason(toy: tuple[Project, str]) -> None:
    for path in (toy[0].folder / "results/toy/sequences").glob("*.skipped.tsv"):
        table = pd.read_csv(path, sep="\t")
        assert list(table.columns) == ["file", "line", "record", "reason"], Path(path).name
        assert table["reason"].notna().all()


def test_planted_causal_effects_are_found_in_their_order(toy: tuple[Project, str]) -> None:
    folder = toy[0].folder
    table = pd.read_csv(folder / "results/toy/deepmr/toy.global.tsv", sep="\t")
    main = table[table["main"] & (table["split"] == "all")].set_index(["exposure", "outcome"])
    effects = main["estimate"]["t1"]
    planted = json.loads((folder / "resources/toy/truth.json").read_text())["thetas"]
    assert list(effects[list(planted)].rank()) == list(pd.Series(planted).rank())
    # the confounder's motif raises t1 and all of t2, and the networks have learned -.5 in part
    for track, theta in planted.items():
        assert abs(effects[track] - theta) < 0.15 + 0.4 * (theta < 0)
    controls = pd.read_csv(folder / "results/toy/deepmr/toy.controls.tsv", sep="\t")
    shuffled = controls[controls["control"] == "shuffled_heads"].iloc[0]
    assert shuffled["low"] < 0.05 < shuffled["high"]


def test_shifts_are_seen_in_every_figure_and_decide_nothing(toy: tuple[Project, str]) -> None:
    results = toy[0].folder / "results/toy"
    figures = list((results / "figures").glob("robustness_toy_*.png"))
    assert len(figures) == 11
    tests = pd.read_csv(results / "robustness/toy.tests.tsv", sep="\t")
    assert set(tests["verdict"]) == {"not powered"}
    summary = pd.read_parquet(results / "robustness/toy.summary.parquet")
    mine = summary[(summary["metric"] == "cov90") & (summary["calibrator"] == "variance_scaling")]
    covered = mine.set_index(["model", "data_set"])["value"]
    for model in ("cnn", "cnn_prior", "ridge"):
        assert abs(covered[model, "ID"] - 0.9) < 0.06
        assert covered[model, "NOISE-A-3"] < covered[model, "NOISE-A-1"] < covered[model, "ID"]
    detection = pd.read_csv(results / "robustness/toy.detection.tsv", sep="\t")
    seen = detection[(detection["test"] == "mmd") & (detection["looks_at"] == "sequences")]
    share = seen[seen["metric"] == "detected"].groupby("data_set")["value"].max()
    assert share["GC-3"] == 1
    assert share["REW-3"] == share["BATCH-3"] == share["ID"]
