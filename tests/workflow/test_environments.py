"""Ensembles whose networks need an environment of their own, and configs of inputs not shipped."""

import json
import os
import re
from pathlib import Path

import pytest
import yaml

from .conftest import REPOSITORY, Project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
ADAPTERS = ("enformer", "borzoi")


def with_placeholders(project: Project, name: str) -> Path:
    """The config, with an empty file for every external input below the copy's own data."""
    config = yaml.safe_load((REPOSITORY / "config" / name).read_text())
    data = project.folder.parent / "data"
    for entry in config["external"].values():
        path = Path(entry["path"].replace("{data}", str(data)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return data


@pytest.mark.parametrize(
    ("name", "jobs"),
    [
        ("borzoi_replicates.yaml", {"import_replicate": 4, "predict": 3 * 4}),
        ("enformer.yaml", {"import_replicate": 1, "predict": 1, "judge_effects": 2}),
        ("bajwa2024.yaml", {"train_replicate": 5, "measure_basenji": 1, "copy_replicate": 5 * 5}),
        (
            "majdandzic2022.yaml",
            {"make_grammar": 2, "train_replicate": 62 + 4, "randomise_replicate": 2},
        ),
        (
            "majdandzic2022_full.yaml",
            {"make_grammar": 2, "train_replicate": 336 + 24, "randomise_replicate": 12},
        ),
        (
            "malina2022_bpnet.yaml",
            {
                "train_replicate": 5,
                "measure_signals": 1,
                "ism": 5,
                "deep_mr_recalibration": 1,
                "deep_mr_global": 3,
                "deep_mr_spacing": 3,
            },
        ),
        (
            "malina2022_deepsea.yaml",
            {
                "import_replicate": 1,
                "mask_replicate": 50,
                "ism": 50,
                "deep_mr_recalibration": 1,
                "deep_mr_global": 3,
            },
        ),
    ],
)
def test_configs_of_large_inputs_have_a_dry_run(
    project: Project, name: str, jobs: dict[str, int]
) -> None:
    data = with_placeholders(project, name)
    found = project.jobs("--configfile", f"config/{name}", "--config", f"data={data}", "shards=1")
    assert found["all"] == 1
    assert {rule: found[rule] for rule in jobs} == jobs
    assert not [rule for rule in found if rule.startswith("missing_")]


def test_jobs_that_run_a_network_have_the_environment_of_its_architecture(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dry run names the environments that jobs would create; conda only says where it is."""
    conda = tmp_path / "bin" / "conda"
    conda.parent.mkdir()
    answers = {
        "info": json.dumps({"conda_prefix": str(tmp_path), "platform": "linux-64"}),
        "config": json.dumps({"get": {"channel_priority": "strict"}}),
        "--version": "conda 24.11.3",
    }
    cases = "".join(f"{word}) echo '{answer}';; " for word, answer in answers.items())
    conda.write_text(f"#!/bin/sh\ncase $1 in {cases}esac\n")
    conda.chmod(0o755)
    monkeypatch.setenv("PATH", str(conda.parent), prepend=os.pathsep)
    data = with_placeholders(project, "borzoi_replicates.yaml")
    target = "results/borzoi_replicates/predictions/at_gene/eqtl/r1/1-of-1.parquet"
    shown = project.snakemake(
        *("--dry-run", "--sdm", "conda", "--cores", 1),
        *("--configfile", "config/borzoi_replicates.yaml"),
        *("--config", f"data={data}", "shards=1", "--", target),
    ).stdout
    environments = {Path(path).name for path in re.findall(r"\S*envs/\w+\.yaml", shown)}
    assert environments == {"borzoi.yaml", "cpu.yaml"}


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_environments_have_the_packages_that_are_pinned(adapter: str) -> None:
    environment = yaml.safe_load((REPOSITORY / "envs" / f"{adapter}.yaml").read_text())
    shared = yaml.safe_load((REPOSITORY / "envs" / "gpu.yaml").read_text())
    *common, pip = environment["dependencies"]
    *expected, shared_pip = shared["dependencies"]
    assert common == expected
    assert environment["channels"] == shared["channels"]
    lines = (REPOSITORY / f"requirements-{adapter}.txt").read_text().splitlines()
    own = [line for line in lines if not line.startswith("#")]
    assert pip == {"pip": own + shared_pip["pip"]}
