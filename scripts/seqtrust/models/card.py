"""The card of a replicate's file: what it says of itself beside the weights; without torch."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqtrust.errors import InputError

SCHEMA_VERSION = 1
_LFS_POINTER = b"version https://git-lfs"
_PICKLES = (b"PK\x03\x04", b"\x80")


@dataclass(frozen=True)
class Card:
    """What a replicate's file says about itself, beside the weights.

    Attributes:
        schema_version: of the card; grows when a field changes its meaning.
        architecture: name in the registry of architectures.
        parameters: all parameters of the architecture.
        facts: `Facts.to_dict()`.
        record: how the weights came about.
    """

    schema_version: int
    architecture: str
    parameters: dict[str, Any]
    facts: dict[str, Any]
    record: dict[str, Any]

    def __post_init__(self) -> None:
        for name in ("parameters", "facts", "record"):
            if not isinstance(getattr(self, name), dict):
                raise TypeError(f"{name} is {getattr(self, name)!r}, expected names with values")


def read_card(path: str | Path) -> Card:
    """Read a replicate's card without its weights.

    Raises:
        InputError: the file is missing, no safetensors file, or has no card of this version.
    """
    from safetensors import SafetensorError, safe_open

    # safetensors begins with its header's length, which may look like a pickle's first byte
    beginning = first_bytes(Path(path))
    if beginning.startswith(_PICKLES) and beginning[8:9] != b"{":
        raise InputError(
            f"{path} is a PyTorch pickle, expected safetensors: import it as a state dict"
        )
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get("card")
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path} is not a whole safetensors file ({error}): train or import it again"
        ) from error
    if text is None:
        raise InputError(f"{path} has no model card: it was not written by this workflow")
    try:
        card = Card(**json.loads(text))
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: its model card is damaged ({error})") from error
    if card.schema_version != SCHEMA_VERSION:
        raise InputError(
            f"{path}: its model card has version {card.schema_version}, expected "
            f"{SCHEMA_VERSION}: train or import the replicate again"
        )
    return card


def first_bytes(path: Path) -> bytes:
    """The first 64 bytes of a file of weights.

    Raises:
        InputError: the file cannot be read, or is a Git LFS pointer.
    """
    try:
        with open(path, "rb") as file:
            beginning = file.read(64)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if beginning.startswith(_LFS_POINTER):
        raise InputError(
            f"{path} is a Git LFS pointer, not weights: fetch the file itself with git lfs pull"
        )
    return beginning
