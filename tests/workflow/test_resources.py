"""Inputs in a run: fetched from a server of the test's own, looked at before any long job."""

import gzip
import hashlib
import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from seqtrust.downloads.table import COLUMNS

from .conftest import REPOSITORY, Project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
CONFIG = "tests/config/tiny.yaml"
TINY = ("--configfile", CONFIG)
CHECKED = "results/tiny/inputs.tsv"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def published(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder that is served, and its address."""
    folder = tmp_path / "published"
    folder.mkdir()
    handler = partial(Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def edit(project: Project, **changed: Any) -> dict[str, Any]:
    """The tiny config with other settings; the genome is an external input."""
    path = project.folder / CONFIG
    config = yaml.safe_load(path.read_text()) | changed
    config["assemblies"]["toy"]["fasta"] = "external/genome.fa"
    path.write_text(yaml.safe_dump(config))
    return config


def table(project: Project, url: str, **values: str) -> dict[str, Any]:
    """A table with one download, and the settings that use it."""
    row = dict.fromkeys(COLUMNS, "") | {"name": "toy_genome", "url": url}
    row |= {"source": "It is at the end of the rainbow."} | values
    path = project.folder / "downloads.tsv"
    path.write_text("\t".join(row) + "\n" + "\t".join(row.values()) + "\n")
    entry = {"path": "external/genome.fa", "download": "toy_genome"}
    return {"downloads": ["downloads.tsv"], "external": {"genome": entry}}


def test_a_missing_input_is_fetched_and_then_looked_at(
    project: Project, published: tuple[Path, str]
) -> None:
    folder, address = published
    genome = (REPOSITORY / "resources/toy/genome.fa").read_bytes()
    packed = gzip.compress(genome, mtime=0)
    (folder / "genome.fa.gz").write_bytes(packed)
    edit(
        project,
        **table(
            project,
            f"{address}/genome.fa.gz",
            bytes=str(len(packed)),
            checksum=f"md5:{hashlib.md5(packed).hexdigest()}",
            unpack="gzip",
            index="faidx",
        ),
    )
    project.snakemake("--cores", 1, *TINY, "--", CHECKED)
    made = project.folder / "external"
    assert (made / "genome.fa").read_bytes() == genome
    index = (REPOSITORY / "resources/toy/genome.fa.fai").read_text()
    assert (made / "genome.fa.fai").read_text() == index
    lock = json.loads((made / "genome.fa.lock.json").read_text())
    rows = [line.split("\t") for line in (project.folder / CHECKED).read_text().splitlines()]
    seen = {row[0]: row for row in rows[1:]}
    assert seen["assemblies/toy/fasta"][1:3] == ["external/genome.fa", "fasta"]
    assert seen["assemblies/toy/fasta"][4] == lock["sha256"]
    # with the file there, the rule that made it is gone and nothing runs again
    assert project.jobs(*TINY, "--", CHECKED) == {}


def test_everything_wrong_is_listed_before_any_network_is_trained(
    project: Project, published: tuple[Path, str]
) -> None:
    config = edit(project, **table(project, f"{published[1]}/genome.fa"))
    training = config["ensembles"]["cnn"]["model"]["train"]
    training["splits"], training["targets"] = "nowhere.bed", "bad.tsv"
    config["external"]["people"] = {"path": "external/people", "source": "Ask the people."}
    (project.folder / CONFIG).write_text(yaml.safe_dump(config))
    (project.folder / "bad.tsv").write_text("<!DOCTYPE html>\n")
    finished = project.snakemake("--cores", 1, "--keep-going", *TINY, check=False)
    assert finished.returncode != 0
    assert "nowhere.bed is missing." in finished.stdout
    assert "external/people is missing. Ask the people." in finished.stdout
    assert "bad.tsv is a web page" in finished.stdout
    assert "3 of " in finished.stdout
    made = {path.name for path in (project.folder / "results/tiny").rglob("*.safetensors")}
    assert made == set()
    assert not list((project.folder / "results/tiny").rglob("*.log"))


def test_inputs_that_a_target_does_not_need_stop_no_short_job(project: Project) -> None:
    path = project.folder / CONFIG
    config = yaml.safe_load(path.read_text())
    config["ensembles"]["cnn"]["model"]["train"]["splits"] = "nowhere.bed"
    path.write_text(yaml.safe_dump(config))
    project.snakemake("--cores", 1, *TINY, "--", "results/tiny/assemblies/toy.json")
    trained = "results/tiny/ensembles/cnn/r1.safetensors"
    finished = project.snakemake("--cores", 1, *TINY, "--", trained, check=False)
    assert "ensembles/cnn/model/train/splits: nowhere.bed is missing." in finished.stdout
    assert not (project.folder / "results/tiny/logs/missing_input").exists()


def test_a_changed_config_repeats_what_it_concerns_and_the_check(project: Project) -> None:
    """No job stands behind the check, which Snakemake would make blind for its other reasons."""
    trained = [f"results/tiny/ensembles/cnn/{replicate}.safetensors" for replicate in ("r1", "r2")]
    project.snakemake("--cores", 2, *TINY, "--", CHECKED, trained[0])
    path = project.folder / CONFIG
    config = yaml.safe_load(path.read_text())
    config["variant_files"] = {"people": {"path": "resources/toy/variants.vcf", "assembly": "toy"}}
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    jobs = project.jobs(*TINY, "--", CHECKED, *trained)
    assert jobs == {"check_inputs": 1, "train_replicate": 1}


STAND_IN = '''
"""Objects of a bucket, out of a folder."""
import os, shutil
from dataclasses import dataclass
from pathlib import Path
from snakemake_interface_storage_plugins.io import IOCacheStorageInterface, Mtime
from snakemake_interface_storage_plugins.settings import StorageProviderSettingsBase
from snakemake_interface_storage_plugins.storage_object import StorageObjectRead
from snakemake_interface_storage_plugins.storage_provider import (
    ExampleQuery, Operation, QueryType, StorageProviderBase, StorageQueryValidationResult,
)


@dataclass
class StorageProviderSettings(StorageProviderSettingsBase):
    pass


class StorageProvider(StorageProviderBase):
    def __post_init__(self):
        pass

    @classmethod
    def example_queries(cls):
        return [ExampleQuery("s3://bucket/key", "an object", QueryType.INPUT)]

    def rate_limiter_key(self, query, operation):
        return "bucket"

    def default_max_requests_per_second(self):
        return 1000.0

    def use_rate_limiter(self):
        return False

    @classmethod
    def is_valid_query(cls, query):
        return StorageQueryValidationResult(query=query, valid=query.startswith("s3://"))


class StorageObject(StorageObjectRead):
    def __post_init__(self):
        self.path = Path(os.environ["STAND_IN_BUCKET"]) / self.query.removeprefix("s3://bucket/")

    async def inventory(self, cache: IOCacheStorageInterface):
        pass

    def get_inventory_parent(self):
        return None

    def local_suffix(self):
        return self.query.removeprefix("s3://")

    def cleanup(self):
        pass

    def exists(self):
        return self.path.exists()

    def mtime(self):
        return self.path.stat().st_mtime

    def size(self):
        return self.path.stat().st_size

    def retrieve_object(self):
        shutil.copyfile(self.path, self.local_path())
'''


def test_other_addresses_go_through_a_storage_plugin(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the plugin, a message that names it; with one, its copy is checked and used."""
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    genome = REPOSITORY / "resources/toy/genome.fa"
    shutil.copy(genome, bucket / "genome.fa")
    digest = hashlib.sha256(genome.read_bytes()).hexdigest()
    settings = table(project, "s3://bucket/genome.fa", checksum=f"sha256:{digest}", index="faidx")
    edit(project, **settings)
    finished = project.snakemake("--dry-run", *TINY, "--", CHECKED, check=False)
    assert finished.returncode != 0
    assert "needs the package snakemake-storage-plugin-s3 beside Snakemake" in finished.stdout
    assert "To get it by hand: It is at the end of the rainbow." in finished.stdout
    package = tmp_path / "plugins" / "snakemake_storage_plugin_s3"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.setenv("STAND_IN_BUCKET", str(bucket))
    project.snakemake("--cores", 1, *TINY, "--", CHECKED)
    assert (project.folder / "external/genome.fa").read_bytes() == genome.read_bytes()
    assert (project.folder / "external/genome.fa.lock.json").exists()


CONDA = """#!/bin/sh
echo "$@" >> {calls}
case "$1 $2" in
    "info --json") echo '{info}' ;;
    "config --get") echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
    "--version ") echo 'conda 24.11.3' ;;
    "env create")
        while [ $# -gt 0 ]; do
            case $1 in --file) file=$2 ;; --prefix) prefix=$2 ;; esac
            shift
        done
        mkdir -p "$prefix/bin" "$prefix/conda-meta"
        cp "$file" "$prefix/solved_from.yaml"
        touch "$prefix/conda-meta/history"
        printf '#!/bin/sh\\nexec {python} "$@"\\n' > "$prefix/bin/python"
        chmod +x "$prefix/bin/python" ;;
esac
"""


def test_conda_is_asked_for_the_environment_of_a_rule_and_the_rule_runs_in_it(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wiring with a stand-in for conda: which file it gets, and whose python runs the script.

    That the packages can be solved and work together is not shown.
    """
    folder = tmp_path / "conda" / "bin"
    folder.mkdir(parents=True)
    info = {"conda_prefix": str(folder.parent), "platform": "linux-64"}
    (folder / "conda").write_text(
        CONDA.format(calls=tmp_path / "calls", info=json.dumps(info), python=sys.executable)
    )
    (folder / "activate").write_text(
        f'export PATH="$1/bin:$PATH"\necho "$1" >> {tmp_path / "activated"}\n'
    )
    for path in folder.iterdir():
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    project.snakemake(*("--workflow-profile", "profiles/conda", "--cores", 1, *TINY, "--", CHECKED))
    (environment,) = set((tmp_path / "activated").read_text().split())
    asked = Path(environment) / "solved_from.yaml"
    assert yaml.safe_load(asked.read_text()) == yaml.safe_load(
        (REPOSITORY / "envs/cpu.yaml").read_text()
    )
    assert environment.startswith(str(project.folder / ".snakemake/conda"))
    assert "env create --quiet" in (tmp_path / "calls").read_text()


APPTAINER = """#!/bin/sh
case "$1" in --version) echo 'apptainer version 1.3.4'; exit ;; esac
echo "$@" >> {calls}
while [ "$1" != bash ]; do shift; done
exec "$@"
"""


def test_a_rule_runs_in_the_one_image_with_the_gpus_lent(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wiring with a stand-in for apptainer; no image was built."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "apptainer").write_text(APPTAINER.format(calls=tmp_path / "calls"))
    (folder / "apptainer").chmod(0o755)
    (folder / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (folder / "python").chmod(0o755)
    # what apptainer would bind into the image
    monkeypatch.setenv("PYTHONPATH", str(project.folder / "scripts"))
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    (project.folder / "envs/seqtrust.sif").touch()
    project.snakemake(
        *("--workflow-profile", "profiles/apptainer", "--cores", 1, *TINY, "--", CHECKED)
    )
    (call,) = [
        line
        for line in (tmp_path / "calls").read_text().splitlines()
        if line.startswith("exec") and "check_inputs" in line
    ]
    assert "--nv" in call.split(" bash ")[0].split()
    assert "envs/seqtrust.sif" in call.split(" bash ")[0]
