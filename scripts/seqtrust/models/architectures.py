"""The registry of architectures: a name and parameters become a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch

from seqtrust.errors import InputError, nearest_clause
from seqtrust.models import (
    basenji2,
    cnn,
    entrypoint,
    keras_network,
    keras_published,
    pangolin,
    program,
    tabled,
)
from seqtrust.models.facts import Track
from seqtrust.models.model import Model


@dataclass(frozen=True)
class Architecture:
    """How to build one family of models.

    Attributes:
        parameters: a dataclass whose fields are the parameters with their defaults.
        build: (parameters, tracks, genome build) to an untrained model.
        file_parameter: the parameter that a file of parameters is the value of, if any.
    """

    parameters: type
    build: Callable[[Any, tuple[Track, ...], str], Model]
    file_parameter: str | None = None


ARCHITECTURES: dict[str, Architecture] = {
    "cnn": Architecture(cnn.CnnParameters, cnn.build),
    "pangolin": Architecture(pangolin.PangolinParameters, pangolin.build),
    "basenji2": Architecture(basenji2.Basenji2Parameters, basenji2.build, "model"),
    "keras": Architecture(keras_network.KerasParameters, keras_network.build, "layers"),
    "entrypoint": Architecture(entrypoint.EntrypointParameters, entrypoint.build),
    "program": Architecture(program.ProgramParameters, program.build),
    "table": Architecture(tabled.TableParameters, tabled.build),
    "xpresso": Architecture(keras_published.XpressoParameters, keras_published.build_xpresso),
    "mpra_dragonn": Architecture(
        keras_published.MpraDragonnParameters, keras_published.build_mpra_dragonn
    ),
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
            f"architecture {architecture!r} is unknown{nearest_clause(architecture, ARCHITECTURES)}"
        )
    family = ARCHITECTURES[architecture]
    allowed = [parameter.name for parameter in fields(family.parameters)]
    for name in parameters:
        if name not in allowed:
            raise InputError(
                f"architecture {architecture!r} has no parameter {name!r}"
                f"{nearest_clause(name, allowed)}"
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
