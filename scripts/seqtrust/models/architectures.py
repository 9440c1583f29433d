"""The registry of architectures: a name and parameters become a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from seqtrust.errors import InputError, nearest_clause
from seqtrust.models import (
    basenji2,
    bilstm,
    borzoi,
    bpnet,
    chromatin,
    chromatin_parameters,
    chrombpnet,
    cnn,
    deepsea,
    enformer,
    entrypoint,
    keras_network,
    keras_published,
    motif_cnn,
    pangolin,
    pooled_cnn,
    program,
    tabled,
    transformer,
)
from seqtrust.models.facts import Track
from seqtrust.models.model import Model

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Architecture:
    """How to build one family of models.

    Attributes:
        parameters: a dataclass whose fields are the parameters with their defaults.
        build: (parameters, tracks, genome build) to an untrained model.
        file_parameter: the parameter that a file of parameters is the value of, if any.
        rename_state: (published state, state of the built network) to the published tensors
            under the network's names; where published names or shapes are the network's, None.
    """

    parameters: type
    build: Callable[[Any, tuple[Track, ...], str], Model]
    file_parameter: str | None = None
    rename_state: Callable[[State, State], State] | None = None


ARCHITECTURES: dict[str, Architecture] = {
    "cnn": Architecture(cnn.CnnParameters, cnn.build),
    "pangolin": Architecture(pangolin.PangolinParameters, pangolin.build),
    "basenji2": Architecture(basenji2.Basenji2Parameters, basenji2.build, "model"),
    "bpnet": Architecture(bpnet.BpnetParameters, bpnet.build, rename_state=bpnet.rename_state),
    "chrombpnet": Architecture(
        chrombpnet.ChromBpnetParameters, chrombpnet.build, rename_state=bpnet.rename_state
    ),
    "pooled_cnn": Architecture(pooled_cnn.PooledCnnParameters, pooled_cnn.build),
    "bilstm": Architecture(bilstm.BilstmParameters, bilstm.build),
    "transformer": Architecture(transformer.TransformerParameters, transformer.build),
    "enformer": Architecture(
        enformer.EnformerParameters, enformer.build, rename_state=enformer.rename_state
    ),
    "borzoi": Architecture(borzoi.BorzoiParameters, borzoi.build, rename_state=borzoi.rename_state),
    "deepsea": Architecture(
        deepsea.DeepseaParameters, deepsea.build, rename_state=deepsea.rename_state
    ),
    "cnn_local": Architecture(motif_cnn.CnnLocalParameters, motif_cnn.build),
    "cnn_dist": Architecture(motif_cnn.CnnDistParameters, motif_cnn.build),
    "chromatin": Architecture(chromatin_parameters.ChromatinParameters, chromatin.build),
    "keras": Architecture(keras_network.KerasParameters, keras_network.build, "layers"),
    "entrypoint": Architecture(entrypoint.EntrypointParameters, entrypoint.build),
    "program": Architecture(program.ProgramParameters, program.build),
    "table": Architecture(tabled.TableParameters, tabled.build),
    "xpresso": Architecture(keras_published.XpressoParameters, keras_published.build_xpresso),
    "mpra_dragonn": Architecture(
        keras_published.MpraDragonnParameters, keras_published.build_mpra_dragonn
    ),
}


def described_parameters(
    architecture: str, parameters: Mapping[str, Any], file: str | Path | None
) -> dict[str, Any]:
    """The parameters of the config, with the one that a file of parameters is the value of.

    Args:
        architecture: name in `ARCHITECTURES`.
        parameters: those of the config.
        file: JSON of Basenji's parameters or of Keras's description of a network, if any.

    Raises:
        InputError: the file cannot be read, the architecture takes none, or its parameter is
            given as well.
    """
    if file is None:
        return dict(parameters)
    family = ARCHITECTURES.get(architecture)
    name = family.file_parameter if family else None
    if name is None:
        raise InputError(
            f"{file}: architecture {architecture!r} takes no parameters file: give "
            "its parameters in the config"
        )
    if name in parameters:
        raise InputError(
            f"{file}: the parameter {name!r} is given as well: leave one of the two out"
        )
    return {**parameters, name: basenji2.read_parameters(file)}


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
