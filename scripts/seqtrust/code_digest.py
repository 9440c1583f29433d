"""A digest of the code that a rule runs, so that a change re-runs what depends on it.

Snakemake sees neither changes in imported modules nor, with triggers by file times, the
difference between an edit and a fresh checkout. Rules carry this digest in `params`.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = "seqtrust"


def code_digest(script: str | Path, root: str | Path) -> str:
    """Digest of a script and of every library module that it reaches by imports.

    Args:
        script: the script's path.
        root: the folder that holds the package `seqtrust`.

    Returns:
        16 hexadecimal digits; they change when a byte of the script or of a reached module does.
    """
    root = Path(root)
    script = Path(script)
    digest = hashlib.sha256(script.read_bytes())
    for module in reached_modules(script, root):
        digest.update(module.encode() + b"\0" + (root / module).read_bytes())
    return digest.hexdigest()[:16]


def reached_modules(script: str | Path, root: str | Path) -> list[str]:
    """Paths below `root` of the modules that a script imports, directly or not, sorted."""
    root = Path(root)
    found: set[Path] = set()
    waiting = [Path(script)]
    while waiting:
        source = waiting.pop()
        for module in _imported(source, source.read_bytes(), root):
            if module not in found:
                found.add(module)
                waiting.append(module)
    return sorted(str(module.relative_to(root)) for module in found)


@cache
def _imported(source: Path, code: bytes, root: Path) -> tuple[Path, ...]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(code, filename=str(source))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            # `from a import b` reaches a, and a.b where b is a module
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    files: set[Path] = set()
    for name in names:
        parts = name.split(".")
        if parts[0] == PACKAGE:
            for depth in range(1, len(parts) + 1):
                files |= _files_of(root.joinpath(*parts[:depth]))
    return tuple(sorted(files))


def _files_of(path: Path) -> set[Path]:
    module = path.with_suffix(".py")
    package = path / "__init__.py"
    return {file for file in (module, package) if file.is_file()}
