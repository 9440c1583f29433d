"""The workflow as a user meets it: configs, re-runs, reports, messages."""

import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from .conftest import REPOSITORY, Project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

TINY = ("--configfile", "tests/config/tiny.yaml")
CONFIGS = sorted((REPOSITORY / "config").glob("*.yaml"))


def tables(folder: Path) -> dict[str, Path]:
    """Every table of a run but that of its times, by its path below the results."""
    found = [*folder.rglob("*.parquet"), *folder.rglob("*.tsv"), *folder.rglob("*.safetensors")]
    found = [path for path in found if path.name != "inference_work.tsv"]
    return {str(path.relative_to(folder)): path for path in found}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_has_a_dry_run(path: Path, project: Project) -> None:
    config = yaml.safe_load(path.read_text())
    options = ["--configfile", path]
    if "data" in config:
        data = REPOSITORY / config["data"]
        if not data.exists():
            pytest.skip("no shared data beside the project")
        options += ["--config", f"data={data.resolve()}"]
    jobs = project.jobs(*options)
    assert jobs["all"] == 1
    assert not [name for name in jobs if name.startswith("missing_")]


def test_the_default_config_is_the_toy(project: Project) -> None:
    assert "results/toy/" in project.snakemake("--dry-run").stdout


def test_a_given_config_replaces_the_default(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(REPOSITORY / "tests/workflow", project.folder / "tests/workflow")
    dump = tmp_path / "config.json"
    monkeypatch.setenv("SEQTRUST_CONFIG_DUMP", str(dump))
    project.snakemake("--dry-run", "-s", "tests/workflow/dump_config.smk", *TINY)
    used = json.loads(dump.read_text())
    given = yaml.safe_load((REPOSITORY / "tests/config/tiny.yaml").read_text())
    toy = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    assert used["run"] == "tiny"
    for part in ("sequence_sets", "ensembles", "verdicts", "accuracy"):
        assert used[part].keys() == given[part].keys()
    for key in toy.keys() - given.keys():
        assert not used.get(key), f"{key} of the toy survived"


def test_every_output_is_there_and_a_second_run_has_nothing_to_do(tiny: Project) -> None:
    assert tiny.jobs(*TINY) == {}
    assert tiny.jobs("-s", "workflow/Snakefile", *TINY) == {}


def test_two_runs_give_identical_tables(tiny: Project, project: Project) -> None:
    project.snakemake("--cores", 2, *TINY)
    first, second = tables(tiny.folder / "results"), tables(project.folder / "results")
    assert first.keys() == second.keys()
    different = [
        name for name, path in first.items() if path.read_bytes() != second[name].read_bytes()
    ]
    assert different == []


def test_figures_are_targets(tiny: Project) -> None:
    jobs = tiny.jobs(*TINY, "--forcerun", "figure_class_fractions", "--", "figure_class_fractions")
    assert jobs == {"figure_class_fractions": 1}


def test_shards_are_a_partition(tiny: Project) -> None:
    folder = tiny.folder / "results/tiny/predictions/cnn/tiles/r1"
    shards = [set(pq.read_table(path)["sequence_id"].to_pylist()) for path in folder.iterdir()]
    assert len(shards) == 2
    assert all(shards)
    assert not shards[0] & shards[1]


@pytest.mark.parametrize(
    ("module", "reached"),
    [
        ("consistency", {"class_fractions", "figure_class_fractions", "headlines"}),
        (
            "verdicts",
            {
                "figure_training",
                "calibration",
                "figure_calibration",
                "figure_risk_coverage",
                "sign_calibration",
                "figure_sign_calibration",
                "judge_effects",
                "judge_bins",
                "class_fractions",
                "accuracy",
                "figure_class_fractions",
                "headlines",
            },
        ),
        (
            "inference/predict",
            {
                "predict",
                "predict_masked_together",
                "inference_work",
                "calibration",
                "figure_calibration",
                "figure_risk_coverage",
                "sign_calibration",
                "figure_sign_calibration",
                "effects",
                "judge_effects",
                "judge_bins",
                "class_fractions",
                "accuracy",
                "figure_class_fractions",
                "headlines",
            },
        ),
        ("variant_files", set()),
        ("input_checks", {"check_inputs"}),
    ],
)
def test_a_change_of_code_reruns_what_depends_on_it_and_no_more(
    tiny: Project, tmp_path: Path, module: str, reached: set[str]
) -> None:
    shutil.copytree(tiny.folder, tmp_path / "edited", symlinks=True)
    edited = Project(tmp_path / "edited")
    assert edited.jobs(*TINY) == {}
    source = edited.folder / f"scripts/seqtrust/{module}.py"
    source.write_text(source.read_text() + "\n# changed\n")
    assert edited.jobs(*TINY).keys() - {"all"} == reached


def test_a_fresh_checkout_does_not_rerun(tiny: Project, tmp_path: Path) -> None:
    shutil.copytree(tiny.folder, tmp_path / "checkout", symlinks=True)
    for path in (tmp_path / "checkout" / "scripts").rglob("*.py"):
        path.touch()
    assert Project(tmp_path / "checkout").jobs(*TINY) == {}


def test_the_workflow_can_be_a_module(project: Project) -> None:
    config = yaml.safe_load((REPOSITORY / "tests/config/tiny.yaml").read_text())
    (project.folder / "outer.smk").write_text(
        f"config.update({config!r})\n"
        "module trust:\n"
        '    snakefile: "workflow/Snakefile"\n'
        "    config: config\n"
        "use rule * from trust as trust_*\n"
    )
    (project.folder / "config/config.yaml").unlink()
    jobs = project.jobs("-s", "outer.smk", "--", "trust_all")
    assert jobs["trust_predict"] == 8
    assert jobs["trust_predict_masked_together"] == 2


def test_the_report_needs_no_network(tiny: Project, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    tiny.snakemake(*TINY, "--report", report)
    text = report.read_text()
    assert "Class fractions" in text
    assert not re.findall(r"<(?:script|img)[^>]*src=[\"']https?:", text)
    assert not re.findall(r"<link[^>]*href=[\"']https?:", text)
    assert str(tiny.folder) not in text


def test_a_typo_in_a_key_names_the_nearest(project: Project) -> None:
    path = project.folder / "tests/config/tiny.yaml"
    path.write_text(path.read_text().replace("sequence_sets:", "sequence_set:"))
    finished = project.snakemake("--dry-run", *TINY, check=False)
    assert finished.returncode != 0
    assert "unknown key 'sequence_set'; did you mean 'sequence_sets'?" in finished.stdout
    assert "Traceback" not in finished.stdout


def test_a_missing_input_says_where_to_get_it(project: Project) -> None:
    path = project.folder / "tests/config/tiny.yaml"
    config = yaml.safe_load(path.read_text())
    config["assemblies"]["toy"]["fasta"] = "external/genome.fa"
    config["external"] = {
        "genome": {"path": "external/genome.fa", "source": "It is at the end of the rainbow."}
    }
    path.write_text(yaml.safe_dump(config))
    assert project.jobs(*TINY)["missing_genome"] == 1
    finished = project.snakemake("--cores", 1, *TINY, check=False)
    assert finished.returncode != 0
    assert "external/genome.fa is missing. It is at the end of the rainbow." in finished.stdout


def test_a_failing_rule_names_the_cure_on_the_terminal_and_in_its_log(project: Project) -> None:
    path = project.folder / "tests/config/tiny.yaml"
    path.write_text(path.read_text().replace("pip_above: 0.99", "pip_above: 1.0"))
    target = "results/tiny/sequences/eqtl.parquet"
    finished = project.snakemake("--cores", 1, *TINY, "--", target, check=False)
    assert finished.returncode != 0
    message = "no row has pip > 1.0"
    assert message in finished.stdout
    log = project.folder / "results/tiny/logs/variant_sequences/eqtl.log"
    assert message in log.read_text()
    assert not (project.folder / target).exists()


def test_replicates_may_differ_by_data_split(project: Project) -> None:
    path = project.folder / "tests/config/tiny.yaml"
    config = yaml.safe_load(path.read_text())
    training = config["ensembles"]["cnn"]["model"]["train"]
    training["splits"] = ["resources/toy/splits.bed", "other.bed"]
    swapped = {"train": "test", "test": "train", "validation": "validation"}
    rows = [
        line.split("\t") for line in (REPOSITORY / training["splits"][0]).read_text().split("\n")
    ]
    other = ["\t".join([*row[:3], swapped[row[3]]]) for row in rows if len(row) == 4]
    (project.folder / "other.bed").write_text("\n".join(other) + "\n")
    path.write_text(yaml.safe_dump(config))
    project.snakemake("--cores", 2, *TINY, "--", "figure_class_fractions")
    table = (project.folder / "results/tiny/figures/class_fractions.tsv").read_text()
    assert "(replicates differ by data split)" in table
    # what one replicate was tested on, the other was trained on
    fractions = [line.split("\t") for line in table.splitlines()]
    verdict, split = (fractions[0].index(name) for name in ("verdict", "split"))
    splits = {row[split] for row in fractions[1:] if row[verdict] != "eqtl_masked"}
    assert "train" in splits
    assert "test" not in splits

    training["splits"] = ["resources/toy/splits.bed"]
    path.write_text(yaml.safe_dump(config))
    finished = project.snakemake("--dry-run", *TINY, check=False)
    assert finished.returncode != 0
    assert (
        "no data split for replicate r2: give one per replicate, or one for all" in finished.stdout
    )
