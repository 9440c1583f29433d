"""The source files of a user's own model, found by their imports; without torch."""

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

from seqtrust.errors import InputError


def module_file(entrypoint: str, folder: str | Path) -> Path:
    """The file of the module that an entrypoint `module:function` names.

    Raises:
        InputError: the entrypoint is not of this form, or the folder or the module is missing.
    """
    folder = Path(folder)
    module, colon, function = entrypoint.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), function)):
        raise InputError(
            f"entrypoint {entrypoint!r} is not of the form module:function, such as my_models:build"
        )
    if not folder.is_dir():
        raise InputError(
            f"entrypoint {entrypoint!r}: there is no folder {folder}: set `folder` to where the "
            "module's file is"
        )
    for path in _candidates(folder.joinpath(*module.split("."))):
        if path.is_file():
            return path
    raise InputError(
        f"entrypoint {entrypoint!r}: there is no {module.replace('.', '/')}.py in {folder}: set "
        "`folder` to where the module's file is, or mend the module's name"
    )


def source_files(entrypoint: str, folder: str | Path) -> list[Path]:
    """The entrypoint's module and the modules in its folder that it imports, sorted.

    Imports are followed in the text, also inside functions and relative ones; nothing runs.

    Raises:
        InputError: what `module_file` refuses, or a file is not Python.
    """
    folder = Path(folder)
    waiting = [module_file(entrypoint, folder)]
    found = set(waiting)
    found |= {path for path in _packages_above(waiting[0], folder) if path.is_file()}
    while waiting:
        for path in _imported(waiting.pop(), folder):
            if path not in found:
                found.add(path)
                waiting.append(path)
    return sorted(found)


def source_digests(entrypoint: str, folder: str | Path) -> dict[str, str]:
    """The SHA-256 of every source file, by its path below the folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in source_files(entrypoint, folder)
    }


def _imported(source: Path, folder: Path) -> Iterator[Path]:
    try:
        tree = ast.parse(source.read_bytes(), filename=str(source))
    except (SyntaxError, ValueError) as error:
        raise InputError(f"{source} is not Python: {error}") from error
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files_of(folder, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = source.parents[node.level - 1] if node.level else folder
            module = node.module or ""
            for alias in node.names:
                # `from a import b` reaches a, and a.b where b is a module
                yield from _files_of(base, f"{module}.{alias.name}".lstrip("."))


def _files_of(base: Path, module: str) -> Iterator[Path]:
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        yield from (path for path in _candidates(base.joinpath(*parts[:depth])) if path.is_file())


def _candidates(path: Path) -> tuple[Path, Path]:
    return path.parent / f"{path.name}.py", path / "__init__.py"


def _packages_above(path: Path, folder: Path) -> list[Path]:
    """The `__init__.py` files that Python runs before the module itself."""
    depth = len(path.relative_to(folder).parts) - 1
    return [parent / "__init__.py" for parent in path.parents[:depth]]
