"""Import of a user's own model: its weights and the facts that the user states, checked."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from seqtrust.files import sha256
from seqtrust.models.architectures import build_model
from seqtrust.models.card import first_bytes
from seqtrust.models.checks import check_model, measured_receptive_field
from seqtrust.models.facts import Facts
from seqtrust.models.imports import import_replicate
from seqtrust.models.model import Model
from seqtrust.models.own_facts import stated_facts
from seqtrust.models.program import checked_program
from seqtrust.models.source_files import source_digests


def import_entrypoint(
    source: str | Path,
    *,
    measured_on: str | Path,
    entrypoint: str,
    folder: str | Path,
    arguments: Mapping[str, Any],
    facts: Mapping[str, Any],
    build: str,
) -> Model:
    """One replicate of a network that the user's own function builds.

    Args:
        source: the replicate's state dict, by torch.save or safetensors.
        measured_on: the first replicate's, which a receptive field that is left out is
            measured on.
        entrypoint: `module:function`.
        folder: where the module's file is.
        arguments: keyword arguments of the function.
        facts: the config's `facts:`.
        build: genome build of the ensemble's assembly.

    Raises:
        InputError: the function fails, the weights do not fit, or the network is not as its
            facts say.
    """
    parameters = {
        "entrypoint": entrypoint,
        "folder": str(folder),
        "arguments": dict(arguments),
        "sources": source_digests(entrypoint, folder),
    }

    def make(file: Path, known: Facts) -> Model:
        complete = {**parameters, "facts": known.to_dict()}
        return import_replicate(file, "entrypoint", complete, build)

    return _checked(make, Path(source), Path(measured_on), facts, build)


def import_program(
    source: str | Path, *, measured_on: str | Path, facts: Mapping[str, Any], build: str
) -> Model:
    """One replicate of a network that `torch.export.save` wrote.

    Args:
        source: the replicate's file.
        measured_on: the first replicate's, which a receptive field that is left out is
            measured on.
        facts: the config's `facts:`.
        build: genome build of the ensemble's assembly.

    Raises:
        InputError: a file is missing, no plain program, or not as its facts say.
    """

    def make(file: Path, known: Facts) -> Model:
        first_bytes(file)
        content = checked_program(file.read_bytes(), str(file))
        parameters = {"size": len(content), "facts": known.to_dict()}
        model = build_model("program", parameters, known.tracks, build)
        state = {"program": torch.frombuffer(bytearray(content), dtype=torch.uint8)}
        model.module.load_state_dict(state)
        model.record = {
            "origin": "import",
            "source_name": file.name,
            "source_bytes": file.stat().st_size,
            "source_sha256": sha256(file),
        }
        return model

    return _checked(make, Path(source), Path(measured_on), facts, build)


def _checked(
    make: Callable[[Path, Facts], Model],
    source: Path,
    first: Path,
    stated: Mapping[str, Any],
    build: str,
) -> Model:
    model = make(source, _complete_facts(make, first, stated, build))
    check_model(model, str(source))
    return model


def _complete_facts(
    make: Callable[[Path, Facts], Model], first: Path, stated: Mapping[str, Any], build: str
) -> Facts:
    """The stated facts, with the receptive field of the first replicate where none is stated.

    It is the first one's for all, because the facts of an ensemble's replicates are the same.
    """
    if "receptive_field" in stated:
        return stated_facts(stated, build)
    provisional = stated_facts({**stated, "receptive_field": stated["bin_width"]}, build)
    measured = measured_receptive_field(make(first, provisional), str(first))
    return stated_facts({**stated, "receptive_field": measured}, build)
