"""Import of weights that PyTorch or Keras saved."""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from seqtrust.errors import InputError
from seqtrust.files import sha256
from seqtrust.models import keras_weights
from seqtrust.models.architectures import ARCHITECTURES, build_model, described_parameters
from seqtrust.models.card import first_bytes
from seqtrust.models.checkpoint import fill
from seqtrust.models.facts import Track
from seqtrust.models.model import Model
from seqtrust.models.track_table import TrackCountError, read_tracks


def import_replicate(
    source: str | Path,
    architecture: str,
    parameters: Mapping[str, Any],
    build: str,
    tracks: Sequence[Track] = (),
    *,
    parameters_file: str | Path | None = None,
    tracks_file: str | Path | None = None,
) -> Model:
    """Make a model from weights that PyTorch or Keras saved.

    A PyTorch state dict has the architecture's names, or published ones that the architecture
    knows, and is read without running code that it may hold (`weights_only`); the arrays of an
    HDF5 file (.h5, .hdf5) of Keras are taken in their order. The file's checksum goes into the
    record.

    Args:
        source: file written by `torch.save(module.state_dict(), ...)`, or by Keras.
        architecture: name in the registry of architectures.
        parameters: those that differ from the architecture's defaults.
        build: genome build of the training data.
        tracks: the tracks; empty where the architecture brings its own.
        parameters_file: JSON of Basenji's parameters, or of Keras's description of a network.
        tracks_file: table of the tracks, see `seqtrust.models.track_table.read_tracks`.

    Raises:
        InputError: a file is missing or not what it should be, or does not fit the architecture.
    """
    source = Path(source)
    from_keras = source.suffix in keras_weights.SUFFIXES
    try:
        model = build_model(
            architecture,
            _described(architecture, parameters, parameters_file, source),
            read_tracks(tracks_file) if tracks_file else tracks,
            build,
        )
    except TrackCountError as error:
        raise InputError(f"{tracks_file}: {error}") from error
    if from_keras:
        keras_weights.fill_from_keras(model.module, source, architecture)
    else:
        state, rename = read_state(source), ARCHITECTURES[architecture].rename_state
        if rename is not None:
            state = rename(state, model.module.state_dict())
        fill(model.module, state, str(source), architecture)
    model.record = {
        "origin": "import",
        "source_name": source.name,
        "source_bytes": source.stat().st_size,
        "source_sha256": sha256(source),
    }
    return model


def _described(
    architecture: str,
    parameters: Mapping[str, Any],
    parameters_file: str | Path | None,
    source: Path,
) -> dict[str, Any]:
    """The parameters, with the one that a file of parameters or of a whole model describes."""
    family = ARCHITECTURES.get(architecture)
    name = family.file_parameter if family else None
    undescribed = parameters_file is None and name not in parameters
    if name == "layers" and undescribed and source.suffix in keras_weights.SUFFIXES:
        return {**parameters, name: keras_weights.read_description(source)}
    return described_parameters(architecture, parameters, parameters_file)


def read_state(source: Path) -> dict[str, torch.Tensor]:
    """Read a state dict, from PyTorch's format or safetensors; nothing is unpickled but tensors.

    Raises:
        InputError: the file is missing, or holds anything but names with tensors.
    """
    beginning = first_bytes(source)
    if source.suffix == ".safetensors" or beginning[8:9] == b"{":
        return _read_safetensors(source)
    try:
        state = torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{source} is not a PyTorch state dict of tensors alone ({reason}). Files that "
            "need code to be read are refused: save module.state_dict() with torch.save"
        ) from error
    if not isinstance(state, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in state.values()
    ):
        raise InputError(
            f"{source} holds a {type(state).__name__}, expected names with tensors: "
            "save module.state_dict() with torch.save"
        )
    return dict(state)


def _read_safetensors(source: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(source)
    except SafetensorError as error:
        raise InputError(
            f"{source} is not a whole safetensors file ({error}): save or copy it again"
        ) from error
