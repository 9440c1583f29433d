"""The checks that a contributor runs with `make lint`, as tests."""

import re
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


def test_rule_files_define_every_function_once() -> None:
    """Snakemake gives all rule files one namespace: the last definition would win silently."""
    texts = [path.read_text() for path in (REPOSITORY / "rules").glob("*.smk")]
    names = [name for text in texts for name in re.findall(r"^def (\w+)", text, re.MULTILINE)]
    assert sorted(set(names)) == sorted(names)
