"""Architectures "cnn_local" and "cnn_dist": classifiers of short sequences by their motifs.

The two networks that Koo et al. (2021) compare with ReLU and exponential activations in the first
layer. Pooling over 50 bp makes the first filters of CNN-local hold whole motifs; CNN-dist pools
little, so that its filters hold parts, which deeper layers join. Every hidden layer is a product
without bias, batch normalisation if asked for, an activation and dropout. The dense layer over
all positions is a convolution as wide as they are, which is the same function, and which the
savings of inference can follow.

The published networks end in 1 unit; here it is one per label. Their L2 penalty of 1e-6 on every
weight is the `weight_decay` of training, which acts on the weights and not through the gradient.
The last pooling of CNN-dist pads where positions do not fill whole windows; here those are left
out. At 200 bp there are none. The logit is what goes into the layer `output`: see
`seqtrust.models.activations.before_output`.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch

from seqtrust.models.activations import ACTIVATIONS, NotBfloat16, refuse_unknown
from seqtrust.models.facts import Facts, Track
from seqtrust.models.layers import (
    labelled_crop,
    normalised,
    refuse_bad_rates,
    refuse_bad_sizes,
    refuse_no_positions,
)
from seqtrust.models.model import Model
from seqtrust.models.parameters import plain_parameters


@dataclass(frozen=True)
class Layer:
    """One convolution: its channels and width, whether it pads, and the pooling after it."""

    channels: int
    kernel: int
    padded: bool
    pool: int


@dataclass(frozen=True)
class MotifCnnParameters:
    """Parameters of architectures "cnn_local" and "cnn_dist".

    Attributes:
        activation: of the first layer, one of `ACTIVATIONS`; ReLU follows in all others.
        batch_norm: whether hidden layers are normalised.
        dropout: rates after every convolution and after the dense layer.
        input_length: bp of every sequence.
        bin_width: bp in the middle of the sequence that the labels are of; 0 means all of it.
        width: factor of the channels of all convolutions.
        dense: units of the dense layer.
    """

    activation: str = "relu"
    batch_norm: bool = True
    dropout: tuple[float, ...] = ()
    input_length: int = 200
    bin_width: int = 0
    width: int = 1
    dense: int = 96

    ARCHITECTURE: ClassVar[str]
    LAYERS: ClassVar[tuple[Layer, ...]]
    RATES: ClassVar[tuple[float, ...]]

    def __post_init__(self) -> None:
        object.__setattr__(self, "dropout", tuple(self.dropout) or self.RATES)
        object.__setattr__(self, "bin_width", self.bin_width or self.input_length)
        name = self.ARCHITECTURE
        refuse_unknown(name, "activation", self.activation, tuple(ACTIVATIONS))
        refuse_bad_sizes(
            name,
            input_length=self.input_length,
            bin_width=self.bin_width,
            width=self.width,
            dense=self.dense,
        )
        refuse_bad_rates(name, self.dropout, len(self.LAYERS) + 1)
        labelled_crop(name, self.input_length, self.bin_width)
        refuse_no_positions(name, self.input_length, self.positions)

    @property
    def positions(self) -> int:
        """Positions that are left of the sequence where the dense layer sees them."""
        left = self.input_length
        for layer in self.LAYERS:
            left = (left if layer.padded else left - layer.kernel + 1) // layer.pool
        return left


@dataclass(frozen=True)
class CnnLocalParameters(MotifCnnParameters):
    """Parameters of architecture "cnn_local"; see `MotifCnnParameters`."""

    ARCHITECTURE = "cnn_local"
    LAYERS = (Layer(24, 19, True, 50), Layer(48, 3, True, 2))
    RATES = (0.1, 0.2, 0.5)


@dataclass(frozen=True)
class CnnDistParameters(MotifCnnParameters):
    """Parameters of architecture "cnn_dist"; see `MotifCnnParameters`."""

    ARCHITECTURE = "cnn_dist"
    LAYERS = (
        Layer(24, 19, True, 1),
        Layer(32, 7, True, 4),
        Layer(48, 7, False, 4),
        Layer(64, 3, False, 3),
    )
    RATES = (0.1, 0.2, 0.3, 0.4, 0.5)


class MotifCnn(torch.nn.Module):
    """One-hot (N, 4, L) to probabilities (N, 1, labels)."""

    def __init__(self, parameters: MotifCnnParameters, labels: int) -> None:
        super().__init__()
        *rates, last_rate = parameters.dropout
        convolutions = []
        channels_in = 4
        for number, (layer, rate) in enumerate(zip(parameters.LAYERS, rates, strict=True)):
            channels = layer.channels * parameters.width
            activation = parameters.activation if number == 0 else "relu"
            convolutions.append(
                torch.nn.Sequential(
                    torch.nn.Conv1d(
                        *(channels_in, channels, layer.kernel),
                        padding="same" if layer.padded else "valid",
                        bias=False,
                    ),
                    *normalised(channels, parameters.batch_norm),
                    ACTIVATIONS[activation](),
                    torch.nn.Dropout(rate),
                    *([torch.nn.MaxPool1d(layer.pool)] if layer.pool > 1 else []),
                )
            )
            channels_in = channels
        self.convolutions = torch.nn.Sequential(*convolutions)
        self.dense = torch.nn.Sequential(
            torch.nn.Conv1d(channels_in, parameters.dense, parameters.positions, bias=False),
            *normalised(parameters.dense, parameters.batch_norm),
            torch.nn.ReLU(),
            torch.nn.Dropout(last_rate),
        )
        self.logits = torch.nn.Conv1d(parameters.dense, labels, 1)
        self.whole = NotBfloat16()
        self.output = torch.nn.Sigmoid()

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """One-hot (N, 4, L) to (N, 1, labels)."""
        logits = self.logits(self.dense(self.convolutions(sequences)))
        return self.output(self.whole(logits)).transpose(1, 2)


def build(parameters: MotifCnnParameters, tracks: tuple[Track, ...], genome_build: str) -> Model:
    """An untrained model of one architecture or the other, with a track per label."""
    facts = Facts(
        input_length=parameters.input_length,
        bin_width=parameters.bin_width,
        crop=labelled_crop(parameters.ARCHITECTURE, parameters.input_length, parameters.bin_width),
        tracks=tracks,
        receptive_field=parameters.input_length,
        build=genome_build,
        output_scale="probability",
    )
    return Model(
        MotifCnn(parameters, len(tracks)),
        facts,
        parameters.ARCHITECTURE,
        plain_parameters(parameters),
    )
