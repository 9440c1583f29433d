"""Architecture "cnn": a small convolutional network for the toy and for reporter assays.

A motif layer, pooling between narrow convolutions down to the bin width, dilated residual
convolutions across bins, and one linear read-out per bin. Every convolution pads to its own
length, so any input of whole bins is allowed; nothing but convolutions and pooling moves
information along the sequence, so the receptive field is exact. For one value per sequence, let
the product of `pool` be the sequence's length.
"""

import math
from dataclasses import dataclass

import torch

from seqtrust.errors import InputError
from seqtrust.models.activations import (
    ACTIVATIONS,
    OUTPUTS,
    NotBfloat16,
    deep_activation,
    refuse_unknown,
)
from seqtrust.models.facts import Facts, Track
from seqtrust.models.gaussian import MeanAndLogVariance, with_log_variances
from seqtrust.models.layers import refuse_bad_rate, refuse_bad_sizes, refuse_even
from seqtrust.models.model import Model
from seqtrust.models.parameters import plain_parameters
from seqtrust.models.receptive_field import Reach

POINT, GAUSSIAN = "point", "gaussian"


@dataclass(frozen=True)
class CnnParameters:
    """Parameters of architecture "cnn".

    Attributes:
        channels: of every hidden layer.
        kernel: width of the motif layer in bp, odd.
        pool: pooling widths; one convolution precedes each, their product is the bin width.
        tower_kernel: width of the convolutions before the second and later poolings, odd.
        dilations: of the residual convolutions across bins (width 3), in bins; may be empty.
        dropout: probability after the residual convolutions and before the read-out.
        activation: one of `ACTIVATIONS`. The exponential serves the motif layer alone
            (Koo et al. 2021), with ReLU above it.
        output: "softplus" (counts), "sigmoid" (probability) or "identity" (log expression).
        head: "point", or "gaussian" for a mean and a log variance per track; the variance is
            one of unbounded values, so the output must be "identity".
    """

    channels: int = 32
    kernel: int = 15
    pool: tuple[int, ...] = (8, 8)
    tower_kernel: int = 5
    dilations: tuple[int, ...] = (1, 2)
    dropout: float = 0.1
    activation: str = "exponential"
    output: str = "softplus"
    head: str = POINT

    def __post_init__(self) -> None:
        object.__setattr__(self, "pool", tuple(self.pool))
        object.__setattr__(self, "dilations", tuple(self.dilations))
        refuse_bad_sizes("cnn", channels=self.channels, pool=self.pool, dilations=self.dilations)
        if not self.pool:
            raise InputError("cnn: pool is empty, but there must be at least one")
        refuse_even("cnn", kernel=self.kernel, tower_kernel=self.tower_kernel)
        refuse_bad_rate("cnn", self.dropout)
        for name, allowed in (
            ("activation", tuple(ACTIVATIONS)),
            ("output", tuple(OUTPUTS)),
            ("head", (POINT, GAUSSIAN)),
        ):
            refuse_unknown("cnn", name, getattr(self, name), allowed)
        if self.head == GAUSSIAN and self.output != "identity":
            raise InputError(
                f"cnn: head 'gaussian' needs output 'identity', not {self.output!r}: a Gaussian "
                "mean has no bounds"
            )

    @property
    def bin_width(self) -> int:
        """Bp per predicted bin."""
        return math.prod(self.pool)

    @property
    def receptive_field(self) -> int:
        """Bp of input that one bin can see, from the layers' widths and strides."""
        reach = Reach()
        for index, width in enumerate(self.pool):
            kernel = self.kernel if index == 0 else self.tower_kernel
            reach = reach.same(kernel).valid(width, stride=width)
        for dilation in self.dilations:
            reach = reach.same(3, dilation=dilation)
        return reach.receptive_field


class DilatedResidual(torch.nn.Module):
    """Adds a dilated convolution of width 3 to its input."""

    def __init__(self, channels: int, dilation: int, dropout: float, activation: str) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv1d(
            channels, channels, 3, padding="same", dilation=dilation, bias=False
        )
        self.normalisation = torch.nn.BatchNorm1d(channels)
        self.activation = ACTIVATIONS[activation]()
        self.dropout = torch.nn.Dropout(dropout)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels, bins) to the same shape."""
        change = self.activation(self.normalisation(self.convolution(values)))
        return values + self.dropout(change)


class Cnn(torch.nn.Module):
    """One-hot (N, 4, L) to (N, L / bin width, tracks)."""

    def __init__(self, parameters: CnnParameters, tracks: int) -> None:
        super().__init__()
        channels = parameters.channels
        deep = deep_activation(parameters.activation)
        self.motifs = _convolve_and_pool(
            4, channels, parameters.kernel, parameters.pool[0], parameters.activation
        )
        self.tower = torch.nn.Sequential(
            *(
                _convolve_and_pool(channels, channels, parameters.tower_kernel, width, deep)
                for width in parameters.pool[1:]
            )
        )
        self.across_bins = torch.nn.Sequential(
            *(
                DilatedResidual(channels, dilation, parameters.dropout, deep)
                for dilation in parameters.dilations
            )
        )
        self.dropout = torch.nn.Dropout(parameters.dropout)
        self.read_out = torch.nn.Conv1d(channels, tracks, 1)
        self.whole = NotBfloat16()
        self.output = (
            MeanAndLogVariance(tracks // 2)
            if parameters.head == GAUSSIAN
            else OUTPUTS[parameters.output][0]()
        )

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """One-hot (N, 4, L) to (N, bins, tracks)."""
        bins = self.across_bins(self.tower(self.motifs(sequences)))
        values = self.read_out(self.dropout(bins))
        return self.output(self.whole(values)).transpose(1, 2)


def build(parameters: CnnParameters, tracks: tuple[Track, ...], genome_build: str) -> Model:
    """An untrained model with the given tracks; a Gaussian head adds their log variances.

    Raises:
        InputError: variances among the tracks that the head does not predict.
    """
    if parameters.head == GAUSSIAN:
        tracks = with_log_variances(tracks)
    elif any(track.variance_of is not None for track in tracks):
        raise InputError("cnn: there are variances among the tracks: use parameter head: gaussian")
    facts = Facts(
        input_length=None,
        bin_width=parameters.bin_width,
        crop=0,
        tracks=tracks,
        receptive_field=parameters.receptive_field,
        build=genome_build,
        output_scale=OUTPUTS[parameters.output][1],
    )
    return Model(Cnn(parameters, len(tracks)), facts, "cnn", plain_parameters(parameters))


def _convolve_and_pool(
    channels_in: int, channels: int, kernel: int, width: int, activation: str
) -> torch.nn.Sequential:
    # Pooling comes first because the rest then costs `width` times less; for a rising
    # activation the order makes no difference to what can be learned.
    return torch.nn.Sequential(
        torch.nn.Conv1d(channels_in, channels, kernel, padding="same", bias=False),
        torch.nn.MaxPool1d(width),
        torch.nn.BatchNorm1d(channels),
        ACTIVATIONS[activation](),
    )
