"""The checks that a contributor runs with `make lint`, as tests."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    ["ruff check .", "ruff format --check .", "mypy", "snakefmt --check .", "snakemake --lint"],
)
def test_check(command: str) -> None:
    name, *options = command.split()
    finished = subprocess.run(
        [BIN / name, *options], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
