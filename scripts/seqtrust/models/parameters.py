"""Dataclasses of settings from and to plain types, for configs and model cards."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from seqtrust.errors import InputError, nearest_clause

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def plain_parameters(parameters: "DataclassInstance") -> dict[str, Any]:
    """All fields of a dataclass of parameters as plain types, lists for tuples."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(parameters).items()
    }


def known_settings(
    kind: "type[DataclassInstance]", plain: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """An entry of a config, all of whose names are fields of `kind`.

    Args:
        kind: the dataclass of the settings.
        plain: the entry.
        where: of it, for the message.

    Raises:
        InputError: an unknown name.
    """
    known = [one.name for one in fields(kind)]
    for name in plain:
        if name not in known:
            raise InputError(f"{where} has no {name!r}{nearest_clause(name, known)}")
    return dict(plain)


def refuse_negative(settings: "DataclassInstance", names: tuple[str, ...], where: str) -> None:
    """Nothing, or an error that says which number is below 0 or none at all.

    Raises:
        InputError: a value is negative or NaN.
    """
    for name in names:
        if not getattr(settings, name) >= 0:
            raise InputError(
                f"{where}: {name} is {getattr(settings, name)}, but must not be negative"
            )
