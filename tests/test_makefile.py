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
