"""Parameters of an architecture as plain types, for a model card."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def plain_parameters(parameters: "DataclassInstance") -> dict[str, Any]:
    """All fields of a dataclass of parameters as plain types, lists for tuples."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(parameters).items()
    }
