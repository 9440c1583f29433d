"""Set-up on machines that lack something: one sentence each."""

import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.mark.skipif(not shutil.which("make"), reason="make is not on PATH")
@pytest.mark.parametrize(
    ("refused", "message"),
    [
        ("version_info", "seqtrust needs Python 3.11 or newer"),
        ("ensurepip", "install the package python3-venv and run make again"),
    ],
)
def test_set_up_says_what_is_missing(tmp_path: Path, refused: str, message: str) -> None:
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(REPOSITORY / name, tmp_path / name)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$*" in *{refused}*) exit 1;; esac\n')
    python.chmod(0o755)
    finished = subprocess.run(
        ["make", "environment", f"PYTHON={python}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode != 0
    assert message in finished.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.skipif(not shutil.which("make"), reason="make is not on PATH")
@pytest.mark.parametrize("wheels", ["", "folder/wheels"])
def test_a_folder_of_wheels_takes_the_place_of_the_network(tmp_path: Path, wheels: str) -> None:
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(REPOSITORY / name, tmp_path / name)
    shown = subprocess.run(
        ["make", "--dry-run", "environment", f"WHEELHOUSE={wheels}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    installs = [line for line in shown.splitlines() if "pip install" in line]
    assert len(installs) == 2
    assert "--require-hashes -r requirements.lock" in installs[1]
    for line in installs:
        assert ("--no-index --find-links folder/wheels" in line) == bool(wheels)
        assert ("--no-index" in line) == bool(wheels)
