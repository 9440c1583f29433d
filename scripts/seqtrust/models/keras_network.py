"""Architecture "keras": a plain convolutional network, described as Keras describes it.

Layers keep the order in which Keras stores them, which is the order of the arrays in a file of
weights; their names are those of Keras, but nothing depends on them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from seqtrust.errors import InputError
from seqtrust.models import keras_layers
from seqtrust.models.activations import Exponential
from seqtrust.models.facts import Facts, Track
from seqtrust.models.keras_description import plain_layers
from seqtrust.models.model import Model
from seqtrust.models.receptive_field import Reach
from seqtrust.models.track_table import tracks_of_head

ACTIVATIONS: dict[str, type[torch.nn.Module]] = {
    "linear": torch.nn.Identity,
    "relu": torch.nn.ReLU,
    "elu": torch.nn.ELU,
    "selu": torch.nn.SELU,
    "gelu": torch.nn.GELU,
    "sigmoid": torch.nn.Sigmoid,
    "tanh": torch.nn.Tanh,
    "softplus": torch.nn.Softplus,
    "exponential": Exponential,
}
_PADDINGS = ("same", "valid")


@dataclass(frozen=True)
class KerasParameters:
    """Parameters of architecture "keras".

    Attributes:
        layers: Keras's own description (`model.to_json()`) or a plain one; see
            `seqtrust.models.keras_description`. Left out it is taken from the imported file.
        output_scale: "counts", "probability" or "log_expression".
        other_inputs: values of the inputs beside the sequence, by name; zeros where left out.
        strand_specific: the sequence goes in in transcription order.
    """

    layers: Any = ()
    output_scale: str = ""
    other_inputs: Mapping[str, Sequence[float]] = field(default_factory=dict)
    strand_specific: bool = False

    def __post_init__(self) -> None:
        if not self.layers:
            raise InputError(
                "architecture 'keras' needs the network's layers: import a file that holds a "
                "whole model, or give Keras's description as the parameters file"
            )
        object.__setattr__(self, "layers", tuple(plain_layers(self.layers)))


@dataclass(frozen=True)
class Shape:
    """What a layer gives, per sequence.

    Attributes:
        features: channels, or all values where there are no positions.
        length: positions; None where any number is allowed, 0 where there are no positions.
        reach: what a position can see; None where there are no positions.
    """

    features: int
    length: int | None = 0
    reach: Reach | None = None

    @property
    def key(self) -> tuple[int, int | None]:
        """What two values must share to be added."""
        return self.features, self.length


Built = tuple[torch.nn.Module, Shape]


class KerasNetwork(torch.nn.Module):
    """One-hot (N, 4, L) to (N, bins, tracks)."""

    def __init__(
        self, layers: Sequence[Mapping[str, Any]], other_inputs: Mapping[str, Sequence[float]]
    ) -> None:
        super().__init__()
        self.names = [layer["name"] for layer in layers]
        self.inputs = [list(layer["inputs"]) for layer in layers]
        self.sequence = _sequence_input(layers)
        self.layers = torch.nn.ModuleList()
        self.shapes: dict[str, Shape] = {}
        for layer in layers:
            module, shape = _build_layer(layer, [self.shapes[name] for name in layer["inputs"]])
            self.layers.append(module)
            self.shapes[layer["name"]] = shape
        self.spent = _spent(self.inputs)
        self._add_constants(layers, other_inputs)

    @property
    def output(self) -> Shape:
        """Shape of the last layer."""
        return self.shapes[self.names[-1]]

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """One-hot (N, 4, L) to (N, bins, tracks)."""
        values = {
            name: layer(sequences)
            for name, layer in zip(self.constants, self.constant_layers, strict=True)
        }
        values[self.sequence] = sequences
        for position, (name, sources) in enumerate(zip(self.names, self.inputs, strict=True)):
            if sources:
                values[name] = self.layers[position](*(values[source] for source in sources))
            for spent in self.spent[position]:
                del values[spent]
        last = values[self.names[-1]]
        return last.unsqueeze(1) if self.output.reach is None else last.transpose(1, 2)

    def _add_constants(
        self, layers: Sequence[Mapping[str, Any]], given: Mapping[str, Sequence[float]]
    ) -> None:
        self.constants = [
            layer["name"]
            for layer in layers
            if layer["class"] == "InputLayer" and layer["name"] != self.sequence
        ]
        unknown = sorted(set(given) - set(self.constants))
        if unknown:
            raise InputError(
                f"other_inputs names {', '.join(unknown)}, but beside the sequence the network "
                f"has the inputs {', '.join(self.constants) or 'none'}"
            )
        self.constant_layers = torch.nn.ModuleList()
        for name in self.constants:
            count = self.shapes[name].features
            values = list(given.get(name, [0.0] * count))
            if len(values) != count:
                raise InputError(
                    f"other_inputs: {name!r} has {len(values)} values, expected {count}"
                )
            constant = torch.tensor([values], dtype=torch.float32)
            self.constant_layers.append(keras_layers.Constant(constant))


def build(parameters: KerasParameters, tracks: tuple[Track, ...], genome_build: str) -> Model:
    """A model with random weights."""
    return network_model("keras", parameters, plain_parameters(parameters), tracks, genome_build)


def network_model(
    architecture: str,
    parameters: KerasParameters,
    plain: dict[str, Any],
    tracks: tuple[Track, ...],
    genome_build: str,
) -> Model:
    """A model of the described network under the name and parameters of an architecture.

    A network that loses positions (by flattening or global pooling) predicts one bin, its whole
    input; any other predicts one bin per position.

    Raises:
        InputError: layers that do not fit each other or the input, or tracks that do not fit
            the head.
    """
    if not parameters.output_scale:
        raise InputError(
            "architecture 'keras' needs output_scale: counts, probability or log_expression"
        )
    network = KerasNetwork(parameters.layers, parameters.other_inputs)
    length = network.shapes[network.sequence].length
    bin_width, crop, receptive_field = _geometry(network.output, length)
    facts = Facts(
        input_length=length,
        bin_width=bin_width,
        crop=crop,
        tracks=tracks_of_head(tracks, network.output.features, architecture),
        receptive_field=receptive_field,
        build=genome_build,
        output_scale=parameters.output_scale,
        strand_specific=parameters.strand_specific,
    )
    facts.bins(length or 2 * crop + bin_width)
    return Model(network, facts, architecture, plain)


def plain_parameters(parameters: KerasParameters) -> dict[str, Any]:
    """All parameters as plain types."""
    return {
        "layers": [dict(layer) for layer in parameters.layers],
        "output_scale": parameters.output_scale,
        "other_inputs": {name: list(values) for name, values in parameters.other_inputs.items()},
        "strand_specific": parameters.strand_specific,
    }


def _geometry(output: Shape, length: int | None) -> tuple[int, int, int]:
    """Bin width, crop and receptive field, bp."""
    if output.reach is not None:
        return output.reach.stride, output.reach.crop, output.reach.receptive_field
    if length is None:
        raise InputError(
            "the network pools over its whole input, but its InputLayer allows any length: "
            "give the length in the InputLayer's shape"
        )
    return length, 0, length


def _spent(inputs: Sequence[Sequence[str]]) -> list[list[str]]:
    """For every layer the values that no later one reads: large ones must not pile up."""
    last = {source: position for position, names in enumerate(inputs) for source in names}
    return [
        [source for source, position in last.items() if position == here]
        for here in range(len(inputs))
    ]


def _sequence_input(layers: Sequence[Mapping[str, Any]]) -> str:
    inputs = [layer for layer in layers if layer["class"] == "InputLayer"]
    found = [layer["name"] for layer in inputs if _is_sequence(layer["shape"])]
    if len(found) != 1:
        shapes = ", ".join(f"{layer['name']} {layer['shape']}" for layer in inputs) or "none"
        raise InputError(
            f"the network has the inputs {shapes}; expected exactly one of shape [length, 4], "
            "the one-hot sequence"
        )
    return found[0]


def _is_sequence(shape: Any) -> bool:
    return isinstance(shape, list) and len(shape) == 2 and shape[1] == 4


def _build_layer(layer: Mapping[str, Any], inputs: Sequence[Shape]) -> Built:
    kind = layer["class"]
    try:
        if kind in ("Add", "Concatenate"):
            return _JOINING[kind](layer, inputs)
        if kind == "InputLayer":
            return torch.nn.Identity(), _input(layer["shape"])
        if len(inputs) != 1:
            raise InputError(f"it has {len(inputs)} inputs, expected one")
        return _BUILDERS[kind](layer, inputs[0])
    except InputError as error:
        raise InputError(f"layer {layer['name']!r} ({kind}): {error}") from error


def _input(shape: Any) -> Shape:
    if _is_sequence(shape):
        return Shape(4, shape[0], Reach())
    if isinstance(shape, int) and shape > 0:
        return Shape(shape)
    raise InputError(
        f"its shape is {shape}, expected [length, 4] for the sequence or one number of values"
    )


def _reach(shape: Shape) -> Reach:
    if shape.reach is None:
        raise InputError("its input has no positions along the sequence")
    return shape.reach


def _slid(
    shape: Shape, width: int, stride: int, padding: str, features: int, dilation: int = 1
) -> Shape:
    """The shape after a window has gone along the positions."""
    reach = _reach(shape)
    if padding not in _PADDINGS:
        raise InputError(f"padding is {padding!r}, but must be one of {', '.join(_PADDINGS)}")
    for name, value in (("width", width), ("stride", stride), ("dilation", dilation)):
        _refuse_unless_positive(name, value)
    field_width = (width - 1) * dilation + 1
    length = shape.length
    if length is not None:
        room = length if padding == "same" else length - field_width + 1
        if room < 1:
            raise InputError(f"a window of {field_width} does not fit into {length} positions")
        length = -(-room // stride)
    moved = (reach.same if padding == "same" else reach.valid)(width, stride, dilation)
    return Shape(features, length, moved)


def _refuse_unless_positive(name: str, value: Any) -> None:
    if not isinstance(value, int) or value < 1:
        raise InputError(f"its {name} is {value!r}, but must be a positive whole number")


def _refuse_other_axis(layer: Mapping[str, Any], shape: Shape) -> None:
    last = 1 if shape.reach is None else 2
    if layer["axis"] not in (-1, last):
        raise InputError(f"its axis is {layer['axis']}, but only the last one, -1, is supported")


def _activation(name: Any) -> torch.nn.Module:
    if name == "softmax":
        return torch.nn.Softmax(dim=1)
    if name == "leaky_relu":
        return torch.nn.LeakyReLU(0.2)
    if name not in ACTIVATIONS:
        raise InputError(
            f"activation {name!r} is not supported: use one of {', '.join(ACTIVATIONS)}, "
            "leaky_relu, softmax"
        )
    return ACTIVATIONS[name]()


def _activated(module: torch.nn.Module, name: Any) -> torch.nn.Module:
    return torch.nn.Sequential(module, _activation(name))


def _convolution(layer: Mapping[str, Any], shape: Shape) -> Built:
    _refuse_unless_positive("number of filters", layer["filters"])
    width, stride, dilation = layer["kernel_size"], layer["strides"], layer["dilation_rate"]
    after = _slid(shape, width, stride, layer["padding"], layer["filters"], dilation)
    module = keras_layers.Convolution(
        shape.features,
        layer["filters"],
        width,
        stride=stride,
        dilation=dilation,
        same=layer["padding"] == "same",
        bias=layer["use_bias"],
    )
    return _activated(module, layer["activation"]), after


def _dense(layer: Mapping[str, Any], shape: Shape) -> Built:
    _refuse_unless_positive("number of units", layer["units"])
    module = keras_layers.Dense(shape.features, layer["units"], bias=layer["use_bias"])
    return _activated(module, layer["activation"]), replace(shape, features=layer["units"])


def _normalisation(layer: Mapping[str, Any], shape: Shape) -> Built:
    _refuse_other_axis(layer, shape)
    module = keras_layers.Normalisation(
        shape.features,
        momentum=layer["momentum"],
        epsilon=layer["epsilon"],
        scale=layer["scale"],
        shift=layer["center"],
    )
    return module, shape


def _pooling(layer: Mapping[str, Any], shape: Shape) -> Built:
    width, padding = layer["pool_size"], layer["padding"]
    stride = layer["strides"] or width
    after = _slid(shape, width, stride, padding, shape.features)
    if layer["class"] == "AveragePooling1D":
        if padding == "same":
            return keras_layers.SameAverage(width, stride), after
        return torch.nn.AvgPool1d(width, stride), after
    pool = torch.nn.MaxPool1d(width, stride)
    if padding == "same":
        lowest = keras_layers.SamePadding(width, stride, float("-inf"))
        return torch.nn.Sequential(lowest, pool), after
    return pool, after


def _global_pooling(layer: Mapping[str, Any], shape: Shape) -> Built:
    _reach(shape)
    maximum = layer["class"] == "GlobalMaxPooling1D"
    module = keras_layers.GlobalMax() if maximum else keras_layers.GlobalAverage()
    return module, Shape(shape.features)


def _flatten(layer: Mapping[str, Any], shape: Shape) -> Built:
    if shape.length is None:
        raise InputError("it flattens an input of any length: give the length in the InputLayer")
    return keras_layers.Flatten(), Shape(shape.features * max(shape.length, 1))


def _cropping(layer: Mapping[str, Any], shape: Shape) -> Built:
    cropping = layer["cropping"]
    ends = [cropping, cropping] if isinstance(cropping, int) else cropping
    if len(ends) != 2 or not all(isinstance(end, int) and end >= 0 for end in ends):
        raise InputError(f"its cropping is {cropping}, but must be one or two whole numbers")
    left, right = ends
    length = shape.length
    if length is not None:
        length -= left + right
        if length < 1:
            raise InputError(f"it leaves nothing of {shape.length} positions")
    after = Shape(shape.features, length, _reach(shape).cropped(left, right))
    return keras_layers.Crop(left, right), after


def _dropout(layer: Mapping[str, Any], shape: Shape) -> Built:
    return torch.nn.Dropout(layer["rate"]), shape


def _activation_layer(layer: Mapping[str, Any], shape: Shape) -> Built:
    return _activation(layer["activation"]), shape


def _relu(layer: Mapping[str, Any], shape: Shape) -> Built:
    return torch.nn.ReLU(), shape


def _leaky_relu(layer: Mapping[str, Any], shape: Shape) -> Built:
    return torch.nn.LeakyReLU(layer["negative_slope"]), shape


def _elu(layer: Mapping[str, Any], shape: Shape) -> Built:
    return torch.nn.ELU(layer["alpha"]), shape


def _softmax(layer: Mapping[str, Any], shape: Shape) -> Built:
    _refuse_other_axis(layer, shape)
    return torch.nn.Softmax(dim=1), shape


def _concatenate(layer: Mapping[str, Any], inputs: Sequence[Shape]) -> Built:
    _refuse_other_axis(layer, inputs[0])
    features = sum(shape.features for shape in inputs)
    if any(shape.length != inputs[0].length for shape in inputs):
        raise InputError(f"its inputs have {[shape.length for shape in inputs]} positions")
    return keras_layers.Concatenate(), Shape(features, inputs[0].length, _joined(inputs))


def _add(layer: Mapping[str, Any], inputs: Sequence[Shape]) -> Built:
    if any(shape.key != inputs[0].key for shape in inputs):
        shapes = ", ".join(f"{shape.features} x {shape.length}" for shape in inputs)
        raise InputError(f"its inputs differ in features x positions: {shapes}")
    return keras_layers.Add(), replace(inputs[0], reach=_joined(inputs))


def _joined(inputs: Sequence[Shape]) -> Reach | None:
    reach = inputs[0].reach
    for shape in inputs[1:]:
        if reach is not None and shape.reach is not None:
            reach = reach.joined(shape.reach)
    return reach


_JOINING = {"Add": _add, "Concatenate": _concatenate}
_BUILDERS = {
    "Conv1D": _convolution,
    "Dense": _dense,
    "BatchNormalization": _normalisation,
    "MaxPooling1D": _pooling,
    "AveragePooling1D": _pooling,
    "GlobalMaxPooling1D": _global_pooling,
    "GlobalAveragePooling1D": _global_pooling,
    "Cropping1D": _cropping,
    "Flatten": _flatten,
    "Dropout": _dropout,
    "Activation": _activation_layer,
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "Softmax": _softmax,
}
