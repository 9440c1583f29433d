"""The robustness benchmark on an assay: every kind of shift, and intervals of peaks."""

import pandas as pd
import pytest

from .conftest import Project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

TINY = ("--configfile", "tests/config/tiny_assay.yaml")


def test_an_assay_goes_through_every_rule(project: Project) -> None:
    project.snakemake("--cores", 2, *TINY)
    results = project.folder / "results/tiny_assay/robustness"
    summary = pd.read_parquet(results / "assay.summary.parquet")
    assert set(summary["model"]) == {"ridge", "ridge_columns", "measured"}
    assert set(summary["data_set"]) == {"ID", "mutant", "tenth", "mutated", "GC_high"}
    assert not {"excess", "error_noise"} & set(summary["metric"])
    drawn = summary[(summary["metric"] == "cov90") & (summary["calibrator"] == "split")]
    assert (drawn["low"] < drawn["high"]).all()
    conditions = pd.read_csv(results / "assay.conditions.tsv", sep="\t").set_index("data_set")
    assert conditions.loc["mutant", "correlation"] < conditions.loc["tenth", "correlation"] < 1
    tests = pd.read_csv(results / "assay.tests.tsv", sep="\t")
    assert set(tests["verdict"]) == {"not powered"}
    assert project.jobs(*TINY) == {}


@pytest.mark.parametrize("name", ["lentimpra", "malinois", "deepstarr"])
def test_configs_of_public_tables_plan_their_jobs_and_name_what_is_missing(
    name: str, project: Project
) -> None:
    jobs = project.jobs("--configfile", f"config/{name}_robustness.yaml")
    assert jobs["all"] == jobs["missing_table"] == 1
    assert jobs["robustness_measured"] >= 3
