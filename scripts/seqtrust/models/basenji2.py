"""Architecture "basenji2": convolutional tower and dilated residual blocks (Kelley 2020).

The network is described by the `model` part of Basenji's own parameter file. Its blocks go
activation, convolution, batch normalisation, dropout, residual sum, pooling; the first activation
acts on the one-hot sequence itself. Any input of whole bins is allowed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from seqtrust.errors import InputError, nearest_clause
from seqtrust.models.facts import Facts, Track
from seqtrust.models.keras_layers import (
    ClosedNormalisation,
    Convolution,
    Crop,
    Dense,
    Normalisation,
    SigmoidGelu,
)
from seqtrust.models.model import Model
from seqtrust.models.receptive_field import Reach
from seqtrust.models.track_table import tracks_of_head

GELUS = ("sigmoid", "tanh")
HEAD_OUTPUTS = {
    "softplus": (torch.nn.Softplus, "counts"),
    "linear": (torch.nn.Identity, "log_expression"),
}
_REQUIRED = object()
# The lengths and the augmentation serve Basenji's own training; the crop is a block of the trunk.
_MODEL_OPTIONS = {
    "seq_length": None,
    "target_length": None,
    "augment_rc": None,
    "augment_shift": None,
    "activation": "relu",
    "norm_type": None,
    "bn_momentum": 0.99,
    "trunk": _REQUIRED,
}
_BLOCK_OPTIONS: dict[str, dict[str, Any]] = {
    "conv_block": {
        "filters": None,
        "kernel_size": 1,
        "dilation_rate": 1,
        "pool_size": 1,
        "dropout": 0.0,
    },
    "conv_tower": {
        "filters_init": _REQUIRED,
        "filters_mult": 1.0,
        "repeat": 1,
        "kernel_size": 1,
        "pool_size": 1,
        "dropout": 0.0,
    },
    "dilated_residual": {
        "filters": _REQUIRED,
        "kernel_size": 3,
        "rate_mult": 2.0,
        "repeat": 1,
        "dropout": 0.0,
        "round": False,
    },
    "Cropping1D": {"cropping": _REQUIRED},
    "final": {"units": _REQUIRED, "activation": "linear"},
}
_NO_NUMBERS = ("activation", "round")
# Kind and smallest value of the options that need not be positive whole numbers.
_NUMBERS: dict[str, tuple[Any, int]] = {
    "dropout": (int | float, 0),
    "filters_mult": (int | float, 0),
    "rate_mult": (int | float, 1),
    "cropping": (int, 0),
}


@dataclass(frozen=True)
class Basenji2Parameters:
    """Parameters of architecture "basenji2".

    Attributes:
        model: Basenji's parameter file, or its part `model`, which alone is kept.
        gelu: "tanh", or "sigmoid" (x sigmoid(1.702 x)) for weights that were saved by Basenji
            before 13 April 2022.
        shift_padding: what a shifted sequence shows in the gap, "zero" in all channels, or
            "uniform" (0.25) as Basenji had it before 13 November 2021.
    """

    model: Mapping[str, Any] = field(default_factory=dict)
    gelu: str = "tanh"
    shift_padding: str = "zero"

    def __post_init__(self) -> None:
        if not self.model or not isinstance(self.model, Mapping):
            raise InputError(
                "architecture 'basenji2' needs Basenji's parameters: give its JSON file as the "
                "parameters file"
            )
        object.__setattr__(self, "model", dict(self.model.get("model", self.model)))
        if self.gelu not in GELUS:
            raise InputError(f"basenji2: gelu is {self.gelu!r}, but must be sigmoid or tanh")
        _refuse_other_networks(self.model)

    @property
    def trunk(self) -> list[dict[str, Any]]:
        """The blocks with their options filled in."""
        return [_filled_block(block) for block in self.model["trunk"]]

    @property
    def head(self) -> dict[str, Any]:
        """The head with its options filled in."""
        ((_, head),) = _heads(self.model).items()
        return _filled_block(head)

    @property
    def bn_momentum(self) -> float:
        """Share of the old value that Keras's running averages keep per step."""
        return float(self.model.get("bn_momentum", _MODEL_OPTIONS["bn_momentum"]))


@dataclass(frozen=True)
class Convolved:
    """One convolution of the trunk, with what surrounds it.

    Attributes:
        channels_in: channels before it.
        channels: channels after it.
        width: of the kernel, odd.
        dilation: of the kernel, in positions.
        pool: width and stride of the pooling after it.
        dropout: probability.
        closed: its batch normalisation starts with scale zero.
    """

    channels_in: int
    channels: int
    width: int = 1
    dilation: int = 1
    pool: int = 1
    dropout: float = 0.0
    closed: bool = False

    def __post_init__(self) -> None:
        if self.channels < 1 or self.width % 2 == 0:
            raise InputError(
                f"basenji2: a convolution of {self.channels} filters and kernel_size "
                f"{self.width}: there must be filters, and the kernel must be odd"
            )


class ConvBlock(torch.nn.Module):
    """Activation, convolution, batch normalisation, dropout, pooling."""

    def __init__(self, layer: Convolved, gelu: str, momentum: float) -> None:
        super().__init__()
        normalisation = ClosedNormalisation if layer.closed else Normalisation
        self.activation = _gelu(gelu)
        self.convolution = Convolution(
            layer.channels_in, layer.channels, layer.width, dilation=layer.dilation
        )
        self.normalisation = normalisation(layer.channels, momentum=momentum)
        self.dropout = torch.nn.Dropout(layer.dropout)
        self.pool = torch.nn.MaxPool1d(layer.pool) if layer.pool > 1 else torch.nn.Identity()

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels in, length) to (N, channels, length / pool)."""
        change = self.normalisation(self.convolution(self.activation(values)))
        return self.pool(self.dropout(change))


class ResidualBlock(torch.nn.Module):
    """Adds a dilated and a narrow convolution block to its input."""

    def __init__(self, dilated: ConvBlock, narrow: ConvBlock) -> None:
        super().__init__()
        self.dilated = dilated
        self.narrow = narrow

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels, length) to the same shape."""
        return values + self.narrow(self.dilated(values))


class Basenji2(torch.nn.Module):
    """One-hot (N, 4, L) to (N, bins, tracks)."""

    def __init__(self, parameters: Basenji2Parameters) -> None:
        super().__init__()
        self.reach = Reach()
        self._gelu, self._momentum = parameters.gelu, parameters.bn_momentum
        channels, blocks = 4, []
        for block in parameters.trunk:
            added, channels = self._blocks(block, channels)
            blocks += added
        head = parameters.head
        self.trunk = torch.nn.Sequential(*blocks)
        self.activation = _gelu(parameters.gelu)
        self.dense = Dense(channels, head["units"])
        self.output = HEAD_OUTPUTS[head["activation"]][0]()

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """One-hot (N, 4, L) to (N, bins, tracks)."""
        values = self.dense(self.activation(self.trunk(sequences)))
        return self.output(values).transpose(1, 2)

    def _blocks(self, block: Mapping[str, Any], channels: int) -> tuple[list[torch.nn.Module], int]:
        """The modules of one block of the parameter file, and the channels after them."""
        if block["name"] == "Cropping1D":
            crop = block["cropping"]
            self.reach = self.reach.cropped(crop, crop)
            return [Crop(crop, crop)], channels
        if block["name"] == "dilated_residual":
            return [self._residual(block, channels, one) for one in _dilations(block)], channels
        layers = _convolutions(block, channels)
        return [self._convolved(layer) for layer in layers], layers[-1].channels

    def _residual(self, block: Mapping[str, Any], channels: int, dilation: int) -> ResidualBlock:
        filters, width = block["filters"], block["kernel_size"]
        return ResidualBlock(
            self._convolved(Convolved(channels, filters, width, dilation)),
            self._convolved(Convolved(filters, channels, dropout=block["dropout"], closed=True)),
        )

    def _convolved(self, layer: Convolved) -> ConvBlock:
        self.reach = self.reach.same(layer.width, dilation=layer.dilation)
        self.reach = self.reach.valid(layer.pool, stride=layer.pool)
        return ConvBlock(layer, self._gelu, self._momentum)


def build(parameters: Basenji2Parameters, tracks: tuple[Track, ...], genome_build: str) -> Model:
    """A model with random weights; its head has a track per unit."""
    head = parameters.head
    module = Basenji2(parameters)
    facts = Facts(
        input_length=None,
        bin_width=module.reach.stride,
        crop=module.reach.crop,
        tracks=tracks_of_head(tracks, head["units"], "basenji2"),
        receptive_field=module.reach.receptive_field,
        build=genome_build,
        output_scale=HEAD_OUTPUTS[head["activation"]][1],
        shift_padding=parameters.shift_padding,
    )
    return Model(module, facts, "basenji2", plain_parameters(parameters))


def plain_parameters(parameters: Basenji2Parameters) -> dict[str, Any]:
    """All parameters as plain types."""
    return {
        "model": dict(parameters.model),
        "gelu": parameters.gelu,
        "shift_padding": parameters.shift_padding,
    }


def read_parameters(path: str | Path) -> dict[str, Any]:
    """Read a JSON file of an architecture's parameters.

    Raises:
        InputError: the file cannot be read, or holds something other than names with values.
    """
    try:
        content = json.loads(Path(path).read_text())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}): give a file of parameters") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}, expected names with values")
    return content


def _gelu(kind: str) -> torch.nn.Module:
    return SigmoidGelu() if kind == "sigmoid" else torch.nn.GELU(approximate="tanh")


def _convolutions(block: Mapping[str, Any], channels: int) -> list[Convolved]:
    """The convolutions of a conv_block or a conv_tower."""
    if block["name"] == "conv_block":
        filters = [block["filters"] or channels]
    else:
        powers = range(block["repeat"])
        filters = [round(block["filters_init"] * block["filters_mult"] ** i) for i in powers]
    return [
        Convolved(
            before,
            after,
            width=block["kernel_size"],
            dilation=block.get("dilation_rate", 1),
            pool=block["pool_size"],
            dropout=block["dropout"],
        )
        for before, after in zip([channels, *filters[:-1]], filters, strict=True)
    ]


def _dilations(block: Mapping[str, Any]) -> list[int]:
    """Dilation of every residual block; Python's round takes halves to even, as numpy's does."""
    dilations, rate = [], 1.0
    for _ in range(block["repeat"]):
        dilations.append(round(rate))
        rate *= block["rate_mult"]
        rate = float(round(rate)) if block["round"] else rate
    return dilations


def _heads(model: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in model.items() if name.startswith("head")}


def _refuse_other_networks(model: Mapping[str, Any]) -> None:
    heads = _heads(model)
    options = {name: value for name, value in model.items() if name not in heads}
    given = _filled("the model part", options, _MODEL_OPTIONS)
    for name, supported in (("activation", "gelu"), ("norm_type", "batch")):
        if given[name] != supported:
            raise InputError(
                f"basenji2: {name} is {given[name]!r}, but only {supported!r} is supported"
            )
    if len(heads) != 1:
        raise InputError(
            f"basenji2: the parameters have the heads {', '.join(heads) or 'none'}, expected one: "
            "leave the one that the weights belong to"
        )
    ((name, head),) = heads.items()
    if not isinstance(head, Mapping) or head.get("name") != "final":
        raise InputError(f"basenji2: {name} is {head!r}, expected one block named 'final'")
    activation = _filled_block(head)["activation"]
    if activation not in HEAD_OUTPUTS:
        raise InputError(
            f"basenji2: {name} has the activation {activation!r}, expected one of "
            f"{', '.join(HEAD_OUTPUTS)}"
        )
    _refuse_other_blocks(given["trunk"])


def _refuse_other_blocks(trunk: Sequence[Mapping[str, Any]]) -> None:
    known = [name for name in _BLOCK_OPTIONS if name != "final"]
    for number, block in enumerate(trunk, start=1):
        name = str(block.get("name", "")) if isinstance(block, Mapping) else ""
        if name not in known:
            raise InputError(
                f"basenji2: block {number} of the trunk has the name {name!r}, which is not "
                f"supported{nearest_clause(name, known)}"
            )
        _filled_block(block)


def _filled_block(block: Mapping[str, Any]) -> dict[str, Any]:
    name = str(block["name"])
    options = {key: value for key, value in block.items() if key != "name"}
    filled = _filled(f"block {name!r}", options, _BLOCK_OPTIONS[name])
    for key, value in filled.items():
        _refuse_bad_number(name, key, value)
    return {"name": name, **filled}


def _refuse_bad_number(block: str, key: str, value: Any) -> None:
    if key in _NO_NUMBERS or (key == "filters" and value is None):
        return
    kind, smallest = _NUMBERS.get(key, (int, 1))
    largest = 1 if key == "dropout" else float("inf")
    if not isinstance(value, kind) or not smallest <= value < largest:
        what = "a whole number" if kind is int else "a number"
        below = " and below 1" if key == "dropout" else ""
        raise InputError(
            f"basenji2: block {block!r}: {key} is {value!r}, but must be {what} of at least "
            f"{smallest}{below}"
        )


def _filled(where: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    for key in given:
        if key not in known:
            raise InputError(
                f"basenji2: {where} has the option {key!r}, which is not supported"
                f"{nearest_clause(key, known)}"
            )
    filled = {**known, **given}
    missing = [key for key, value in filled.items() if value is _REQUIRED]
    if missing:
        raise InputError(f"basenji2: {where} has no {' and no '.join(missing)}")
    return filled
