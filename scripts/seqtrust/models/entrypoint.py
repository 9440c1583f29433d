"""Architecture "entrypoint": a network that the user's own function builds.

The function is the user's code and is run. Its module's file, and what that imports from the
same folder, are in the card by their checksums: weights are never put into other code than
they were imported with.
"""

import importlib
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from seqtrust.errors import InputError
from seqtrust.models.facts import Facts, Track
from seqtrust.models.model import Model
from seqtrust.models.source_files import module_file, source_digests


@dataclass(frozen=True)
class EntrypointParameters:
    """Parameters of architecture "entrypoint".

    Attributes:
        entrypoint: `module:function`; the function returns a torch.nn.Module that maps one-hot
            float32 (N, 4, L) to (N, bins, tracks).
        folder: where the module's file is.
        arguments: keyword arguments of the function.
        sources: SHA-256 of every source file, by its path below the folder.
        facts: `Facts.to_dict()`, as the user states them.
    """

    entrypoint: str
    folder: str
    arguments: Mapping[str, Any]
    sources: Mapping[str, str]
    facts: Mapping[str, Any]


def build(parameters: EntrypointParameters, tracks: tuple[Track, ...], genome_build: str) -> Model:
    """The user's network with the weights that the function gives it.

    Args:
        parameters: what to call, and the facts.
        tracks: unused: the facts name them.
        genome_build: unused: the facts name it.

    Raises:
        InputError: the source files are not those of `parameters.sources`, or the function is
            missing, cannot be called, fails or returns no module.
    """
    _refuse_other_sources(parameters)
    return Model(
        _network(parameters),
        Facts.from_dict(dict(parameters.facts)),
        "entrypoint",
        {name: _plain(getattr(parameters, name)) for name in parameters.__dataclass_fields__},
    )


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _refuse_other_sources(parameters: EntrypointParameters) -> None:
    found = source_digests(parameters.entrypoint, parameters.folder)
    stated = dict(parameters.sources)
    changed = sorted(
        name for name in found.keys() | stated.keys() if found.get(name) != stated.get(name)
    )
    if changed:
        raise InputError(
            f"entrypoint {parameters.entrypoint!r}: {', '.join(changed)} in {parameters.folder} "
            "changed after the weights were imported: import the replicate again"
        )


def _network(parameters: EntrypointParameters) -> torch.nn.Module:
    function = _function(parameters.entrypoint, Path(parameters.folder))
    call = f"entrypoint {parameters.entrypoint!r} in {parameters.folder}"
    with _imports_from(Path(parameters.folder)), _named_failure(call, "when called"):
        network = function(**parameters.arguments)
    if not isinstance(network, torch.nn.Module):
        raise InputError(f"{call} returns a {type(network).__name__}, expected a torch.nn.Module")
    return network


def _function(entrypoint: str, folder: Path) -> Callable[..., Any]:
    name, _, function = entrypoint.partition(":")
    expected = module_file(entrypoint, folder)
    with _imports_from(folder), _named_failure(f"entrypoint {entrypoint!r}", "when imported"):
        module = importlib.import_module(name)
    found = Path(module.__file__ or "")
    if found.resolve() != expected.resolve():
        raise InputError(
            f"entrypoint {entrypoint!r}: the name {name!r} belongs to another module "
            f"({module.__file__}): give {expected} another name"
        )
    if not callable(getattr(module, function, None)):
        what = "is not a function" if hasattr(module, function) else "is missing"
        raise InputError(f"entrypoint {entrypoint!r}: {function!r} {what} in {expected}")
    return getattr(module, function)


@contextmanager
def _imports_from(folder: Path) -> Iterator[None]:
    """Modules of the folder can be imported inside, and are forgotten before and afterwards.

    Two models may then have modules of one name, and an edited module is read again.
    """
    place = str(folder.resolve())
    before = dict(sys.modules)
    sys.path.insert(0, place)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(place)
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if name not in before and file and Path(file).resolve().is_relative_to(place):
                del sys.modules[name]


@contextmanager
def _named_failure(call: str, when: str) -> Iterator[None]:
    """Whatever the user's code raises, as an error that names its line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise InputError(
            f"{call} fails {when}: {type(error).__name__}: {error} ({last.filename}, line "
            f"{last.lineno}): mend the function or its `arguments`"
        ) from error
