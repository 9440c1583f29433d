"""Architecture "chromatin": networks of chromatin accessibility, as GOPHER compares them.

Toneyan et al. (2022) put trunks, heads and activations of the first layer together; Majdandzic
et al. (2022) judge the attributions of 26 of these networks.

- `trunk`: "cnn" (three convolutions), "residual" (the same with a stack of dilated convolutions
  after each), "basset" (Kelley et al. 2016), "basenji" (Kelley et al. 2018: one convolution and
  eleven dilated residual layers).
- `head`: "binary" gives one probability per label, "profile" a count per bin.
- `shared`: "all" for one head, "task" for a head of its own for every track.

All trunks but "basenji" flatten what they found into dense layers. A profile comes from a dense
layer of `bottleneck` values per bin; without a bottleneck it is read off the trunk itself, whose
positions then are the bins, and any length of whole bins is allowed. As published, the residual
profile of 32-bp bins has none and wider layers. "basenji" is local in all forms; its profiles have
no activation after the first convolution unless one is given.

What is not as published: batch normalisation has torch's momentum and epsilon. A residual profile
of bins that are not 32 bp has the sizes of the published shared head also for heads per task.
Binary heads per task, profiles on "basset" and heads per task on "basenji" were not published:
they follow the forms of the others. "basenji" leaves out the GELU on the one-hot sequence, where
it is a factor. Flattened layers are convolutions as wide as their input and heads per task are
grouped convolutions, which are the same functions. First convolutions of "basset" are 10 bp wide
as in GOPHER; the paper's are 19 (`kernels: [19, 11, 7]`).

The logit of a binary head is what goes into the layer `output`: see
`seqtrust.models.activations.before_output`.
"""

import torch

from seqtrust.models.activations import ACTIVATIONS, NotBfloat16
from seqtrust.models.chromatin_parameters import NO_ACTIVATION, ChromatinParameters
from seqtrust.models.facts import Facts, Track
from seqtrust.models.keras_layers import ClosedNormalisation, Convolution, SigmoidGelu
from seqtrust.models.model import Model
from seqtrust.models.parameters import plain_parameters

RESIDUAL_DROPOUT, DILATED_DROPOUT = 0.1, 0.3


class DilatedStack(torch.nn.Module):
    """Adds convolutions of width 3 and doubling dilation to its input, then ReLU.

    Args:
        channels: of input and output.
        layers: convolutions, at least 1; the dilation of the first is 1.
        dropout: between them.
    """

    def __init__(self, channels: int, layers: int, dropout: float) -> None:
        super().__init__()
        stack: list[torch.nn.Module] = []
        for number in range(layers):
            if number:
                stack += [torch.nn.ReLU(), torch.nn.Dropout(dropout)]
            stack += [
                torch.nn.Conv1d(channels, channels, 3, padding="same", dilation=2**number),
                torch.nn.BatchNorm1d(channels),
            ]
        self.stack = torch.nn.Sequential(*stack)
        self.activation = torch.nn.ReLU()

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels, positions) to the same shape."""
        return self.activation(values + self.stack(values))


class BasenjiResidual(torch.nn.Module):
    """Adds a dilated convolution to fewer channels, and one back, to its input.

    Args:
        channels: of input and output.
        inner: channels between the two.
        dilation: of the first.
        dropout: after the second.
    """

    def __init__(self, channels: int, inner: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.change = torch.nn.Sequential(
            SigmoidGelu(),
            torch.nn.Conv1d(channels, inner, 3, padding="same", dilation=dilation, bias=False),
            torch.nn.BatchNorm1d(inner),
            SigmoidGelu(),
            torch.nn.Conv1d(inner, channels, 1, bias=False),
            ClosedNormalisation(channels, momentum=0.9),
            torch.nn.Dropout(dropout),
        )

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels, positions) to the same shape."""
        return values + self.change(values)


class Chromatin(torch.nn.Module):
    """One-hot (N, 4, L) to (N, bins, tracks)."""

    def __init__(self, parameters: ChromatinParameters, tracks: int) -> None:
        super().__init__()
        if parameters.trunk == "basenji":
            self.trunk, channels = _basenji(parameters), parameters.channels[-1]
            self.dense: torch.nn.Module = torch.nn.Identity()
        else:
            self.trunk = _trunk(parameters)
            self.dense, channels = _dense(parameters)
        self.middle, channels = _middle(parameters, channels)
        self.head = _head(parameters, channels, tracks)
        self.whole = NotBfloat16()
        self.output = torch.nn.Sigmoid() if parameters.head == "binary" else torch.nn.Softplus()

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """One-hot (N, 4, L) to (N, bins, tracks)."""
        bins = self.middle(self.dense(self.trunk(sequences)))
        return self.output(self.whole(self.head(bins))).transpose(1, 2)


def build(parameters: ChromatinParameters, tracks: tuple[Track, ...], genome_build: str) -> Model:
    """An untrained model with a track per target."""
    binary = parameters.head == "binary"
    facts = Facts(
        input_length=None if parameters.local else parameters.input_length,
        bin_width=parameters.bin_width,
        crop=parameters.crop,
        tracks=tracks,
        receptive_field=parameters.receptive_field,
        build=genome_build,
        output_scale="probability" if binary else "counts",
    )
    return Model(
        Chromatin(parameters, len(tracks)), facts, "chromatin", plain_parameters(parameters)
    )


def _trunk(parameters: ChromatinParameters) -> torch.nn.Sequential:
    """Convolutions with pooling; those of "residual" have a dilated stack before it."""
    layers: list[torch.nn.Module] = []
    channels_in = 4
    for number, (channels, kernel, pool, rate) in enumerate(parameters.convolutions()):
        activation = parameters.activation if number == 0 else "relu"
        layers += [
            _padded(channels_in, channels, kernel),
            torch.nn.BatchNorm1d(channels),
            *_activation(activation),
        ]
        if parameters.trunk == "residual":
            layers += _stack(parameters, channels, parameters.layers[number])
        layers += [torch.nn.MaxPool1d(pool), torch.nn.Dropout(rate)]
        channels_in = channels
    return torch.nn.Sequential(*layers)


def _basenji(parameters: ChromatinParameters) -> torch.nn.Sequential:
    """One convolution, dilated residual layers, one wide layer and the mean over each bin."""
    outer, inner, last = parameters.channels
    layers: list[torch.nn.Module] = [
        torch.nn.Conv1d(4, outer, parameters.kernels[0], padding="same", bias=False),
        torch.nn.BatchNorm1d(outer),
        *_activation(parameters.activation),
    ]
    if parameters.pool[0] > 1:
        layers.append(torch.nn.MaxPool1d(parameters.pool[0]))
    for dilation in parameters.dilations():
        rate = parameters.rate(DILATED_DROPOUT)
        layers.append(BasenjiResidual(outer, inner, dilation, rate))
    layers += [
        SigmoidGelu(),
        torch.nn.Conv1d(outer, last, 1, bias=False),
        torch.nn.BatchNorm1d(last),
        torch.nn.Dropout(parameters.rate(0.05)),
        torch.nn.AvgPool1d(parameters.averaged),
    ]
    return torch.nn.Sequential(*layers)


def _dense(parameters: ChromatinParameters) -> tuple[torch.nn.Sequential, int]:
    """Dense layers over all positions, or at each where the network is local; and their units."""
    layers: list[torch.nn.Module] = []
    channels = parameters.channels[-1]
    width = 1 if parameters.local else parameters.positions
    for units in parameters.dense or ():
        normalisation = [torch.nn.BatchNorm1d(units)] if parameters.trunk != "basset" else []
        layers += [
            torch.nn.Conv1d(channels, units, width),
            *normalisation,
            torch.nn.ReLU(),
            torch.nn.Dropout(parameters.rate(0.3)),
        ]
        channels, width = units, 1
    return torch.nn.Sequential(*layers), channels


def _middle(parameters: ChromatinParameters, channels: int) -> tuple[torch.nn.Module, int]:
    """What a profile has between the trunk and its head: bins, and layers across them."""
    layers: list[torch.nn.Module] = []
    if parameters.bottleneck:
        bins = parameters.input_length // parameters.bin_width
        units = parameters.bottleneck * bins
        layers += [
            torch.nn.Conv1d(channels, units, 1),
            torch.nn.BatchNorm1d(units),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Unflatten(1, (parameters.bottleneck, bins)),
            torch.nn.Dropout(parameters.rate(0.1)),
        ]
        channels = parameters.bottleneck
    if parameters.profile_kernel:
        layers += [
            torch.nn.Conv1d(
                channels, parameters.profile, parameters.profile_kernel, padding="same"
            ),
            torch.nn.BatchNorm1d(parameters.profile),
            torch.nn.ReLU(),
            torch.nn.Dropout(parameters.rate(parameters.profile_rate)),
        ]
        channels = parameters.profile
    if parameters.bottleneck and parameters.trunk == "residual":
        layers += _stack(parameters, channels, parameters.layers[-1])
    return torch.nn.Sequential(*layers), channels


def _head(parameters: ChromatinParameters, channels: int, tracks: int) -> torch.nn.Module:
    """One linear read-out, or two layers for every track by itself."""
    if parameters.shared == "all":
        return torch.nn.Conv1d(channels, tracks, 1)
    units = parameters.task * tracks
    return torch.nn.Sequential(
        torch.nn.Conv1d(channels, units, parameters.task_kernel, padding="same"),
        torch.nn.BatchNorm1d(units),
        torch.nn.ReLU(),
        torch.nn.Dropout(parameters.rate(0.1)),
        torch.nn.Conv1d(units, tracks, 1, groups=tracks),
    )


def _activation(name: str) -> list[torch.nn.Module]:
    """That of the first layer, or nothing."""
    return [] if name == NO_ACTIVATION else [ACTIVATIONS[name]()]


def _stack(parameters: ChromatinParameters, channels: int, layers: int) -> list[torch.nn.Module]:
    """A dilated stack, or nothing where it has no layers."""
    rate = parameters.rate(RESIDUAL_DROPOUT)
    return [DilatedStack(channels, layers, rate)] if layers else []


def _padded(channels_in: int, channels: int, kernel: int) -> torch.nn.Conv1d:
    """A convolution that keeps the length; torch warns of its own padding of even widths."""
    if kernel % 2:
        return torch.nn.Conv1d(channels_in, channels, kernel, padding="same")
    return Convolution(channels_in, channels, kernel, bias=True)
