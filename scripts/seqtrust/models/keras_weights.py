"""Weights that Keras saved in HDF5, read by order and shape.

Names of layers and arrays depend on the session that saved a file (`conv1d_17`), so nothing but
their order counts. State of an optimiser is not read, and nothing is unpickled.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from seqtrust.errors import InputError
from seqtrust.models.architectures import build_model
from seqtrust.models.basenji2 import read_parameters
from seqtrust.models.card import first_bytes
from seqtrust.models.keras_layers import Normalisation
from seqtrust.models.model import Model

SUFFIXES = (".h5", ".hdf5")
_ARCHIVES = (b"PK\x03\x04", b"\x80")
_SHOWN = 12

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class KerasLayer:
    """A layer of a file.

    Attributes:
        name: as the saving session called it.
        arrays: name to array, in the order of the file; none for a layer without weights.
    """

    name: str
    arrays: Mapping[str, Floats]


@dataclass(frozen=True)
class Slot:
    """Where the next array of a file goes.

    Attributes:
        tensor: name in the network's state dict.
        turned: the axes of Keras's array are those of the tensor in reverse order.
    """

    tensor: str
    turned: bool = False


def read_layers(path: str | Path) -> list[KerasLayer]:
    """The layers of a whole model or of weights alone, in the order of the file.

    Raises:
        InputError: the file is missing, a Git LFS pointer, no whole HDF5 file, none with the
            layer names that Keras writes, or holds arrays that are not finite numbers.
    """
    with _opened(path) as file:
        group = file.get("model_weights", file)
        names = _names(group, "layer_names")
        if names is None:
            raise InputError(
                f"{path} is an HDF5 file without layer_names, so no weights that Keras 1 or 2 "
                "saved: write them with model.save_weights('weights.h5') of Keras 2"
            )
        layers = [KerasLayer(name, _arrays(path, group[name])) for name in names]
    _refuse_bad_values(path, layers)
    return layers


def read_description(path: str | Path) -> dict[str, Any]:
    """Keras's description of the network in a file that holds a whole model.

    Raises:
        InputError: what `read_layers` refuses of the file; weights alone, without a description.
    """
    with _opened(path) as file:
        if "model_config" not in file.attrs:
            raise InputError(
                f"{path} holds weights without a description of the network: give Keras's "
                "description (model.to_json()) as the parameters file"
            )
        return json.loads(_text(file.attrs["model_config"]))


def fill_from_keras(module: torch.nn.Module, path: str | Path, architecture: str) -> None:
    """Give a network the weights of a file, array by array in the order of its layers.

    Raises:
        InputError: what `read_layers` refuses; other numbers or shapes of arrays; a network with
            weights that are read from no file of Keras.
    """
    slots = list(_slots(module))
    _refuse_unread(module, slots, architecture)
    found = [
        (f"{layer.name}: {name}" if layer.name not in name else name, array)
        for layer in read_layers(path)
        for name, array in layer.arrays.items()
    ]
    state = module.state_dict()
    faults = _faults(found, slots, state)
    if faults:
        raise InputError(
            f"{path} holds {len(found)} arrays of weights, architecture {architecture!r} with its "
            f"parameters expects {len(slots)}; by order and shape they do not fit: "
            + "; ".join(faults[:_SHOWN])
            + (f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else "")
        )
    with torch.no_grad():
        for slot, (_, array) in zip(slots, found, strict=True):
            state[slot.tensor].copy_(torch.from_numpy(array.T.copy() if slot.turned else array))


def import_basenji2(
    parameters: str | Path | Mapping[str, Any],
    weights: str | Path,
    gelu: str = "tanh",
    shift_padding: str = "zero",
) -> Model:
    """A Basenji2 from its parameter file and its weights.

    Args:
        parameters: Basenji's own parameters, as a JSON file or as read from one.
        weights: HDF5 file that Keras saved.
        gelu: "tanh", or "sigmoid" for weights from before 13 April 2022.
        shift_padding: what fills the gap when a sequence is shifted: "zero" or "uniform".

    Raises:
        InputError: a file that cannot be read, refused parameters, or weights that do not fit.
    """
    given = parameters if isinstance(parameters, Mapping) else read_parameters(parameters)
    settings = {"model": given, "gelu": gelu, "shift_padding": shift_padding}
    model = build_model("basenji2", settings, [], "")
    fill_from_keras(model.module, weights, "basenji2")
    return model


def _slots(module: torch.nn.Module) -> Iterator[Slot]:
    """The tensors that Keras would save, in its order."""
    for name, layer in module.named_modules():
        if isinstance(layer, torch.nn.Conv1d | torch.nn.Linear):
            yield Slot(f"{name}.weight", turned=True)
            if layer.bias is not None:
                yield Slot(f"{name}.bias")
        elif isinstance(layer, Normalisation):
            if layer.weight.requires_grad:
                yield Slot(f"{name}.weight")
            if layer.bias.requires_grad:
                yield Slot(f"{name}.bias")
            yield Slot(f"{name}.running_mean")
            yield Slot(f"{name}.running_var")


def _refuse_unread(module: torch.nn.Module, slots: Sequence[Slot], architecture: str) -> None:
    """Nothing, or an error where a network would keep weights that it was built with."""
    read = {slot.tensor for slot in slots}
    for name, layer in module.named_modules():
        if isinstance(layer, Normalisation):
            read |= {f"{name}.weight", f"{name}.bias"}
    state = module.state_dict()
    own = [name for name, _ in (*module.named_parameters(), *module.named_buffers())]
    unread = [
        name
        for name in own
        if name in state and name not in read and not name.endswith("num_batches_tracked")
    ]
    if unread:
        raise InputError(
            f"architecture {architecture!r} cannot be read from Keras files: with its parameters "
            f"it has weights that no layer of theirs is read into ({', '.join(unread[:3])}"
            + (f" and {len(unread) - 3} more" if len(unread) > 3 else "")
            + "): give a state dict (safetensors or PyTorch)"
        )


def _faults(
    found: Sequence[tuple[str, Floats]], slots: Sequence[Slot], state: Mapping[str, torch.Tensor]
) -> list[str]:
    faults = []
    for index in range(max(len(found), len(slots))):
        shape = found[index][1].shape if index < len(found) else None
        expected = _keras_shape(slots[index], state) if index < len(slots) else None
        if shape != expected:
            name = found[index][0] if index < len(found) else "none"
            tensor = f" for {slots[index].tensor}" if index < len(slots) else ""
            faults.append(
                f"array {index + 1} ({name}) is {_size(shape)}, expected {_size(expected)}{tensor}"
            )
    return faults


def _keras_shape(slot: Slot, state: Mapping[str, torch.Tensor]) -> tuple[int, ...]:
    shape = tuple(state[slot.tensor].shape)
    return shape[::-1] if slot.turned else shape


def _size(shape: Sequence[int] | None) -> str:
    return "absent" if shape is None else "x".join(map(str, shape)) or "a scalar"


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    import h5py

    if first_bytes(Path(path)).startswith(_ARCHIVES):
        raise InputError(
            f"{path} is a pickle or a zip archive (PyTorch, or Keras 3), expected HDF5: "
            "write the weights with model.save_weights('weights.h5') of Keras 2"
        )
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{path} is not a whole HDF5 file that Keras wrote ({error}): fetch it again"
        ) from error


def _names(group: Any, attribute: str) -> list[str] | None:
    """Names in an attribute; Keras splits long lists over attributes with a number at the end."""
    if attribute in group.attrs:
        return [_text(name) for name in group.attrs[attribute]]
    parts: list[str] = []
    while f"{attribute}{len(parts)}" in group.attrs:
        parts.append(f"{attribute}{len(parts)}")
    return [_text(name) for part in parts for name in group.attrs[part]] if parts else None


def _arrays(path: str | Path, group: Any) -> dict[str, Floats]:
    arrays = {}
    for name in _names(group, "weight_names") or []:
        values = np.asarray(group[name])
        if values.dtype.kind != "f":
            raise InputError(f"{path}: array {name} holds {values.dtype}, expected float numbers")
        arrays[name] = values.astype(np.float32)
    return arrays


def _refuse_bad_values(path: str | Path, layers: Sequence[KerasLayer]) -> None:
    bad = [
        f"{layer.name}: {name}"
        for layer in layers
        for name, array in layer.arrays.items()
        if not np.isfinite(array).all()
    ]
    if bad:
        raise InputError(f"{path}: NaN or infinite weights in {', '.join(bad[:_SHOWN])}")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
