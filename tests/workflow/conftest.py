"""A copy of the project in a temporary folder, with the tiny config run once."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
COPIED = ("Snakefile", "rules", "scripts", "config", "profiles", "envs", "workflow", "tests/config")


@dataclass(frozen=True)
class Project:
    """A copy of the project that Snakemake can run in."""

    folder: Path

    def snakemake(self, *options: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Snakemake in the copy; its output is stdout and stderr together."""
        command = [sys.executable, "-m", "snakemake", *map(str, options)]
        finished = subprocess.run(
            command,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert not check or finished.returncode == 0, finished.stdout[-5000:]
        return finished

    def jobs(self, *options: object) -> dict[str, int]:
        """The rules that a dry run would run, with their numbers of jobs."""
        text = self.snakemake("--dry-run", *options).stdout
        if "Job stats:" not in text:
            return {}
        rows = text.split("Job stats:")[1].split("total")[0].splitlines()[3:]
        return {row.split()[0]: int(row.split()[1]) for row in rows if row.split()}


def copy_project(folder: Path, copied: Sequence[str] = COPIED) -> Project:
    for name in copied:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / name)
    (folder / "resources").symlink_to(REPOSITORY / "resources")
    return Project(folder)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh copy without results."""
    return copy_project(tmp_path / "project")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy in which the tiny config has run; tests must leave it as it is."""
    made = copy_project(tmp_path_factory.mktemp("tiny") / "project")
    made.snakemake("--cores", 2, "--configfile", "tests/config/tiny.yaml")
    return made
