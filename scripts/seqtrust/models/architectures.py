"""The registry of architectures: a name and parameters become a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

import torch

from seqtrust.errors import InputError
from seqtrust.models import cnn, pangolin
from seqtrust.models.model import Model, Track


@dataclass(frozen=True)
class Architecture:
    """How to build one family of models.

    Attributes:
        parameters: a dataclass whose fields are the parameters with their defaults.
        build: (parameters, tracks, genome build) to an untrained model.
    """

    parameters: type
    build: Callable[[Any, tuple[Track, ...], str], Model]


ARCHITECTURES: dict[str, Architecture] = {
    "cnn": Architecture(cnn.CnnParameters, cnn.build),
    "pangolin": Architecture(pangolin.PangolinParameters, pangolin.build),
}


def build_model(
    architecture: str, parameters: Mapping[str, Any], tracks: Sequence[Track], build: str
) -> Model:
    """An untrained model, in evaluation mode.

    Its weights are the same at every call and the global random state stays as it was;
    `train` draws new weights from its seed.

    Args:
        architecture: name in `ARCHITECTURES`.
        parameters: those that differ from the architecture's defaults.
        tracks: the tracks to predict; empty where the architecture brings its own.
        build: genome build of the training data, "" where it has none.

    Raises:
        InputError: an unknown architecture or parameter, or a refused value.
    """
    if architecture not in ARCHITECTURES:
        raise InputError(
            f"architecture {architecture!r} is unknown{did_you_mean(architecture, ARCHITECTURES)}"
        )
    family = ARCHITECTURES[architecture]
    allowed = [parameter.name for parameter in fields(family.parameters)]
    for name in parameters:
        if name not in allowed:
            raise InputError(
                f"architecture {architecture!r} has no parameter {name!r}"
                f"{did_you_mean(name, allowed)}"
            )
    try:
        settings = family.parameters(**parameters)
    except TypeError as error:
        raise InputError(f"architecture {architecture!r}: a parameter's type: {error}") from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = family.build(settings, tuple(tracks), build)
    model.module.eval()
    return model


def did_you_mean(name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """The end of an error message: the nearest known name, or all of them."""
    nearest = get_close_matches(name, list(known), n=1)
    if nearest:
        return f": did you mean {nearest[0]!r}?"
    return f": known are {', '.join(known)}" if known else ": none is known"
