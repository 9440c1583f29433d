"""Networks of packages that are installed only where they are used."""

import importlib
from types import ModuleType

from seqtrust.errors import InputError

ADAPTERS = ("enformer", "borzoi")


def package(name: str, architecture: str) -> ModuleType:
    """The package that holds an architecture.

    Args:
        name: of the module.
        architecture: of the registry; envs/{architecture}.yaml and
            requirements-{architecture}.txt say what it needs.

    Raises:
        InputError: it, or something that it needs, is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"architecture {architecture!r} needs the package {name}, which cannot be imported "
            f"here ({error}): run the workflow with --sdm conda, which makes "
            f"envs/{architecture}.yaml, or install requirements-{architecture}.txt"
        ) from error
