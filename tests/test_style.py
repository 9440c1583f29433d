"""The checks that a contributor runs with `make lint`, as tests."""

import ast
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


def test_look_ups_of_rules_have_names_of_their_own() -> None:
    """Snakemake gives all rule files one namespace: the last definition would win silently."""
    origins: dict[str, set[str]] = {}
    for path in sorted((REPOSITORY / "rules").glob("common*.smk")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                origins.setdefault(node.name, set()).add(path.name)
            elif isinstance(node, ast.ImportFrom):
                for one in node.names:
                    origin = f"{node.module}.{one.name}"
                    origins.setdefault(one.asname or one.name, set()).add(origin)
    assert len(origins) > 100
    assert {name: found for name, found in origins.items() if len(found) > 1} == {}
