"""Architecture "deepsea": chromatin profiles of the middle of a sequence, in its two forms.

The form of 2015 (Zhou and Troyanskaya) reads 1,000 bp through three convolutions and predicts
919 labels; that of 2018 (Beluga of ExPecto, Zhou et al.) reads 2,000 bp through six and predicts
2,002. Convolutions do not pad. The labels are of the 200 bp in the middle. The dense layer over
all positions is a convolution as wide as they are: the same function with the same parameters,
which the savings of inference can follow.

Published weights are PyTorch state dicts of networks in which sequences have a height of 1, so
that layers have other names and one axis more: `rename_state` turns them. Channels are in the
order A, G, C, T. Published predictions are the mean of both strands
(`inference: {reverse_complement: true}`). The weights of 2015 come from Lua's Torch, whose
activation gives 1e-6 where ReLU gives 0: give `floor: 1.0e-6` with them.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from seqtrust.errors import InputError
from seqtrust.models.activations import NotBfloat16
from seqtrust.models.facts import Facts, Track
from seqtrust.models.layers import (
    labelled_crop,
    refuse_bad_rates,
    refuse_bad_sizes,
    refuse_no_positions,
)
from seqtrust.models.model import Model
from seqtrust.models.parameters import plain_parameters

KERNEL, POOL = 8, 4
INPUT_LENGTHS = {2015: 1000, 2018: 2000}
CHANNELS = {2015: (320, 480, 960), 2018: (320, 480, 640)}
DENSE = {2015: 925, 2018: 2003}
CONVOLUTIONS = {2015: 1, 2018: 2}
# where the layers with weights stand in the published networks, and what may stand before
PUBLISHED = {
    2015: ("0", "4", "8", "12.1", "14.1"),
    2018: ("0.0", "0.2", "0.6", "0.8", "0.12", "0.14", "1.2.1", "1.4.1"),
}
PREFIXES = ("", "model.", "module.", "module.model.", "1.", "2.")


@dataclass(frozen=True)
class DeepseaParameters:
    """Parameters of architecture "deepsea"; 0 or nothing means as published.

    Attributes:
        form: 2015 or 2018.
        input_length: bp of every sequence.
        bin_width: bp in the middle of the sequence that the labels are of.
        channels: of the convolutions before the first, second and third dropout.
        dense: units of the hidden dense layer.
        dropout: rates after the first, second and third block of convolutions.
        floor: what the activation gives for values that are not positive, at least 0.
    """

    form: int = 2018
    input_length: int = 0
    bin_width: int = 200
    channels: tuple[int, ...] = ()
    dense: int = 0
    dropout: tuple[float, ...] = (0.2, 0.2, 0.5)
    floor: float = 0.0

    def __post_init__(self) -> None:
        if self.form not in INPUT_LENGTHS:
            raise InputError(
                f"deepsea: form is {self.form!r}, but must be one of "
                f"{', '.join(map(str, INPUT_LENGTHS))}"
            )
        for name, value in {
            "input_length": self.input_length or INPUT_LENGTHS[self.form],
            "channels": tuple(self.channels) or CHANNELS[self.form],
            "dense": self.dense or DENSE[self.form],
            "dropout": tuple(self.dropout),
        }.items():
            object.__setattr__(self, name, value)
        refuse_bad_sizes(
            "deepsea",
            input_length=self.input_length,
            bin_width=self.bin_width,
            channels=self.channels,
            dense=self.dense,
        )
        if len(self.channels) != 3:
            raise InputError(
                f"deepsea: channels are {list(self.channels)}, but must be three numbers"
            )
        refuse_bad_rates("deepsea", self.dropout, 3)
        if not 0 <= self.floor < math.inf:
            raise InputError(f"deepsea: floor is {self.floor}, but must be a number of at least 0")
        labelled_crop("deepsea", self.input_length, self.bin_width)
        refuse_no_positions("deepsea", self.input_length, self.positions)

    @property
    def positions(self) -> int:
        """Positions that are left of the sequence where the dense layer sees them."""
        lost = CONVOLUTIONS[self.form] * (KERNEL - 1)
        return ((self.input_length - lost) // POOL - lost) // POOL - lost


class Deepsea(torch.nn.Module):
    """One-hot (N, 4, L) to probabilities (N, 1, labels)."""

    def __init__(self, parameters: DeepseaParameters, labels: int) -> None:
        super().__init__()
        blocks = []
        channels_in = 4
        for number, channels in enumerate(parameters.channels):
            block: list[torch.nn.Module] = []
            for _ in range(CONVOLUTIONS[parameters.form]):
                block += [torch.nn.Conv1d(channels_in, channels, KERNEL), _rectified(parameters)]
                channels_in = channels
            ends: list[torch.nn.Module] = [torch.nn.Dropout(parameters.dropout[number])]
            if number < len(parameters.channels) - 1:
                ends.append(torch.nn.MaxPool1d(POOL))
            # the first form drops pooled values, the second pools what dropout left
            blocks.append(
                torch.nn.Sequential(*block, *(ends if parameters.form == 2018 else ends[::-1]))
            )
        self.convolutions = torch.nn.Sequential(*blocks)
        self.dense = torch.nn.Sequential(
            torch.nn.Conv1d(channels_in, parameters.dense, parameters.positions),
            _rectified(parameters),
        )
        self.logits = torch.nn.Conv1d(parameters.dense, labels, 1)
        self.whole = NotBfloat16()
        self.output = torch.nn.Sigmoid()

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """One-hot (N, 4, L) to (N, 1, labels)."""
        logits = self.logits(self.dense(self.convolutions(sequences)))
        return self.output(self.whole(logits)).transpose(1, 2)


def build(parameters: DeepseaParameters, tracks: tuple[Track, ...], genome_build: str) -> Model:
    """An untrained model with a track per label."""
    facts = Facts(
        input_length=parameters.input_length,
        bin_width=parameters.bin_width,
        crop=labelled_crop("deepsea", parameters.input_length, parameters.bin_width),
        tracks=tracks,
        receptive_field=parameters.input_length,
        build=genome_build,
        output_scale="probability",
        alphabet="AGCT",
    )
    return Model(Deepsea(parameters, len(tracks)), facts, "deepsea", plain_parameters(parameters))


def rename_state(
    state: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """A published state dict with our names and shapes; any other comes back as it is.

    Published convolutions have weights (out, in, 1, width), and dense layers (out, features),
    the features position by position within a channel.

    Args:
        state: tensors by name.
        expected: the state of the network that they are for.
    """
    for prefix in PREFIXES:
        for places in PUBLISHED.values():
            theirs = _names(f"{prefix}{place}" for place in places)
            if set(theirs) == set(state) and len(theirs) == len(expected):
                return {
                    name: _shaped(state[other], expected[name])
                    for name, other in zip(expected, theirs, strict=True)
                }
    return dict(state)


def _names(layers: Iterable[str]) -> list[str]:
    return [f"{layer}.{part}" for layer in layers for part in ("weight", "bias")]


def _shaped(tensor: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """A weight as a one-dimensional convolution has it; what has another size stays as it is."""
    same_rows = tensor.ndim in (2, 4) and tensor.shape[0] == expected.shape[0]
    fits = same_rows and tensor.numel() == expected.numel()
    return tensor.reshape(expected.shape) if fits else tensor


def _rectified(parameters: DeepseaParameters) -> torch.nn.Module:
    return torch.nn.Threshold(0.0, parameters.floor) if parameters.floor else torch.nn.ReLU()
