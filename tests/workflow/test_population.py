"""The tiny population: four models, all controls, run once from simulation to figures."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from .conftest import Project, copy_project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

CONFIG = "tests/config/tiny_population.yaml"
CONTROLS = {"truth", "randomised", "shuffled", "artefact"}
FIGURES = ("scores", "nulls", "truth", "regret", "spheres", "kmers", "logos")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Project = copy_project(tmp_path_factory.mktemp("population") / "project")
    made.snakemake("--cores", 2, "--configfile", CONFIG)
    assert not made.jobs("--configfile", CONFIG), "a second run has nothing to do"
    return made.folder / "results" / "tiny_population"


def table(results: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(results / "populations" / f"toy.{name}.tsv", sep="\t")


def test_models_and_controls_are_scored_on_the_same_sequences(results: Path) -> None:
    models = table(results, "models")
    own = models[models["kind"] == "model"]
    assert len(own) == 4
    assert set(own["activation"]) == {"relu", "exponential"}
    assert set(models.loc[models["kind"] == "control", "control"]) == CONTROLS
    common = table(results, "common")
    for part, column in (("selection", "maps"), ("judging", "judged")):
        scored = own[column].dropna()
        assert set(scored) == {(common["part"] == part).sum()}
    usable = table(results, "usable")
    assert len(usable) == 8
    assert (usable["usable"] + usable["degenerate"] + usable["not_converged"]).equals(
        usable["maps"]
    )
    parts = common.groupby("part")["sequence_id"].agg(set)
    assert not parts["selection"] & parts["judging"]


def test_the_truth_is_a_ceiling(results: Path) -> None:
    models = table(results, "models").set_index("control")
    truth = models.loc["truth"]
    others = models.drop(index="truth")
    assert truth["truth_cosine"] == pytest.approx(1)
    assert truth["truth_auroc"] > 0.9
    assert pd.isna(truth["snr"])
    assert (truth["truth_cosine"] > others["truth_cosine"].dropna()).all()
    assert (truth["embedding"] > others["embedding"].dropna()).all()


def test_every_rule_has_a_choice_and_a_regret(results: Path) -> None:
    selection, models = table(results, "selection"), table(results, "models")
    own = models[models["kind"] == "model"].copy()
    own["name"] = own["ensemble"] + "/" + own["replicate"].astype(str)
    snr = own.set_index("name")["snr"]
    mine = selection[selection["target"] == "snr"]
    assert (mine["regret"] >= 0).all()
    assert (mine["best_model"] == snr.idxmax()).all()
    single = mine[mine["chosen"].notna()]
    np.testing.assert_allclose(
        single["regret"], snr.max() - snr[single["chosen"]].to_numpy(), atol=1e-4
    )
    (at_random,) = mine.loc[mine["rule"] == "model at random", "value"]
    assert at_random == pytest.approx(snr.mean(), abs=1e-4)


def test_correlations_are_those_of_the_table(results: Path) -> None:
    correlations, models = table(results, "correlations"), table(results, "models")
    own = models[models["kind"] == "model"]
    rows = correlations[
        (correlations["statistic"] == "pearson") & (correlations["level"] == "all")
    ].set_index(["score", "against"])
    for score in ("generalisation", "embedding"):
        expected = np.corrcoef(own[score], own["truth_cosine"])[0, 1]
        assert rows.loc[(score, "truth_cosine"), "value"] == pytest.approx(expected, abs=1e-3)
    assert "within classes" in set(correlations["level"])


def test_figures_and_headlines_are_made(results: Path) -> None:
    for name in FIGURES:
        assert (results / "figures" / f"population_{name}.png").stat().st_size > 10_000
        assert len(pd.read_csv(results / "figures" / f"population_{name}.tsv", sep="\t"))
    headlines = pd.read_csv(results / "headlines.tsv", sep="\t")["headline"]
    assert headlines.str.contains("regret in signal to noise").sum() == 3
