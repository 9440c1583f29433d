"""Replicates on disk: safetensors with the model's card."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from seqtrust.errors import InputError
from seqtrust.files import sha256, whole_file
from seqtrust.models.architectures import build_model
from seqtrust.models.card import SCHEMA_VERSION, Card, read_card
from seqtrust.models.facts import Facts
from seqtrust.models.fixed_dropout import fix_masks
from seqtrust.models.model import Model

MASK_SEED = "mask_seed"


def save_replicate(path: str | Path, model: Model) -> None:
    """Write a model whole; equal models give equal bytes.

    Raises:
        InputError: a weight is not finite, or the record holds more than plain types.
    """
    from safetensors.torch import save

    tensors = {
        name: tensor.detach().to("cpu").contiguous()
        for name, tensor in model.module.state_dict().items()
    }
    _refuse_unfinished_weights(tensors, str(path))
    card = Card(
        SCHEMA_VERSION, model.architecture, model.parameters, model.facts.to_dict(), model.record
    )
    try:
        text = json.dumps(asdict(card), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: the model's card is not plain JSON: {error}") from error
    content = save(tensors, metadata={"card": text})
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def load_replicate(path: str | Path) -> Model:
    """Read a model, in evaluation mode on the CPU, with its fixed dropout masks if it has any.

    Raises:
        InputError: what `read_card` refuses; tensors that are missing, unexpected,
            of another shape or not finite; facts that the architecture contradicts; masks for
            a network without dropout.
    """
    from safetensors.torch import load_file

    card = read_card(path)
    try:
        facts = Facts.from_dict(card.facts)
        model = build_model(card.architecture, card.parameters, facts.tracks, facts.build)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if model.facts != facts:
        raise InputError(f"{path}: {_first_difference(facts, model.facts)}")
    fill(model.module, load_file(path), str(path), card.architecture)
    model.record = card.record
    if MASK_SEED in card.record:
        try:
            fix_masks(model.module, card.record[MASK_SEED])
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    return model


def change_replicate(source: str | Path, path: str | Path, parameters: Mapping[str, Any]) -> None:
    """Write a replicate once more, with other parameters for the same weights.

    Args:
        source: a replicate's file.
        path: the file to write.
        parameters: of its architecture, in place of those that it has; they may change what is
            made of the weights (a bias left out, a scale), not their shapes.

    Raises:
        InputError: unknown parameters, or weights that do not fit them.
    """
    model = load_replicate(source)
    facts = model.facts
    try:
        changed = build_model(
            model.architecture, model.parameters | dict(parameters), facts.tracks, facts.build
        )
        fill(changed.module, model.module.state_dict(), str(source), model.architecture)
    except InputError as error:
        raise InputError(f"same: parameters {dict(parameters)}: {error}") from error
    changed.record = model.record | {"changed_parameters": dict(parameters)}
    save_replicate(path, changed)


def mask_replicate(source: str | Path, path: str | Path, seed: int) -> None:
    """Write a replicate once more, with dropout masks of its own.

    Args:
        source: a replicate's file.
        path: the file to write.
        seed: of the masks.

    Raises:
        InputError: the replicate has masks already, or no dropout.
    """
    model = load_replicate(source)
    if MASK_SEED in model.record:
        raise InputError(
            f"{source} has fixed dropout masks already: make masks of an ensemble that was "
            "trained, imported or is your own"
        )
    model.record = model.record | {MASK_SEED: seed, "masked_sha256": sha256(source)}
    try:
        fix_masks(model.module, seed)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    save_replicate(path, model)


def fill(
    module: torch.nn.Module, tensors: dict[str, torch.Tensor], where: str, architecture: str
) -> None:
    """Give a network its weights by name.

    Args:
        module: the network.
        tensors: its whole state.
        where: file of the tensors, for messages.
        architecture: its name, for messages.

    Raises:
        InputError: tensors are missing, unexpected, of another shape or not finite.
    """
    expected = module.state_dict()
    faults = [
        *(f"missing {name}" for name in expected if name not in tensors),
        *(f"unexpected {name}" for name in tensors if name not in expected),
        *(
            f"{name} is {_shape(tensors[name])}, expected {_shape(tensor)}"
            for name, tensor in expected.items()
            if name in tensors and tensors[name].shape != tensor.shape
        ),
    ]
    if faults:
        raise InputError(
            f"{where} does not fit architecture {architecture!r} with its parameters: "
            f"{_shortened(faults)}. Give the parameters that it was trained with"
        )
    _refuse_unfinished_weights(tensors, where)
    module.load_state_dict(tensors, strict=True)


def _refuse_unfinished_weights(tensors: Mapping[str, torch.Tensor], where: str) -> None:
    bad = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if bad:
        raise InputError(f"{where}: NaN or infinite weights in {_shortened(bad)}")


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(str(size) for size in tensor.shape) or "a scalar"


def _shortened(items: list[str], shown: int = 12) -> str:
    rest = f" and {len(items) - shown} more" if len(items) > shown else ""
    return "; ".join(items[:shown]) + rest


def _first_difference(stored: Facts, built: Facts) -> str:
    for name, value in built.to_dict().items():
        if stored.to_dict()[name] != value:
            return (
                f"its card says {name} = {stored.to_dict()[name]}, but its architecture "
                f"gives {value}: train or import the replicate again"
            )
    return "its card contradicts its architecture"
