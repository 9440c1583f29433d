"""Architecture "enformer" (Avsec et al. 2021), the network of the package enformer-pytorch.

Convolutions down to bins of 128 bp, attention between all bins, and one linear read-out per
species. The network is the package's; its parts are called here in their order, so that only
one species' tracks are kept and computed.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch

from seqtrust.errors import InputError
from seqtrust.models.activations import refuse_unknown
from seqtrust.models.adapters import package
from seqtrust.models.facts import Facts, Track
from seqtrust.models.model import Model
from seqtrust.models.parameters import plain_parameters
from seqtrust.models.track_table import tracks_of_head
from seqtrust.models.whole_sequence import WholeSequence, whole_field

TRACKS = {"human": 5313, "mouse": 1643}
BIN_WIDTH = 128
GAMMA_BINS, GAMMA_CHANNELS = 1536, 192
# of each part in the package's sequence of all parts, whose names published files may have
_PLACES = {
    "_trunk.1.": "stem.",
    "_trunk.2.": "conv_tower.",
    "_trunk.4.": "transformer.",
    "_trunk.6.": "final_pointwise.",
}


@dataclass(frozen=True)
class EnformerParameters:
    """Parameters of architecture "enformer"; the defaults are the published network.

    Attributes:
        species: whose tracks are predicted, "human" (5,313) or "mouse" (1,643).
        input_length: bp, a multiple of 128.
        predicted_bins: bins of 128 bp in the middle of the input that are predicted.
        channels: of the attention, a multiple of six times the heads and of channel_step.
        depth: blocks of attention.
        heads: of each.
        channel_step: what the channels of the convolutions are multiples of.
        tensorflow_gamma: the positions' gamma densities as TensorFlow computed them, which the
            published weights were trained with; only at the published sizes.
    """

    species: str = "human"
    input_length: int = 196_608
    predicted_bins: int = 896
    channels: int = 1536
    depth: int = 11
    heads: int = 8
    channel_step: int = 128
    tensorflow_gamma: bool = True

    def __post_init__(self) -> None:
        refuse_unknown("enformer", "species", self.species, tuple(TRACKS))
        if self.input_length < BIN_WIDTH or self.input_length % BIN_WIDTH:
            raise InputError(
                f"enformer: input_length is {self.input_length} bp, but must be a multiple of "
                f"{BIN_WIDTH} bp"
            )
        bins = self.input_length // BIN_WIDTH
        if not 1 <= self.predicted_bins <= bins or (bins - self.predicted_bins) % 2:
            raise InputError(
                f"enformer: predicted_bins is {self.predicted_bins}, but must leave out as many "
                f"of {bins} bins at both ends"
            )
        if self.depth < 1 or self.heads < 1 or self.channel_step < 1:
            raise InputError("enformer: depth, heads and channel_step must be at least 1")
        unit = math.lcm(6 * self.heads, self.channel_step)
        if self.channels < 1 or self.channels % unit:
            raise InputError(
                f"enformer: channels is {self.channels}, but must be a multiple of six times the "
                f"heads and of channel_step, so of {unit}"
            )
        found = bins, self.channels // self.heads
        if self.tensorflow_gamma and found != (GAMMA_BINS, GAMMA_CHANNELS):
            raise InputError(
                f"enformer: tensorflow_gamma is for {GAMMA_BINS} bins and {GAMMA_CHANNELS} "
                f"channels per head, not {found[0]} and {found[1]}: set tensorflow_gamma: false"
            )

    @property
    def crop(self) -> int:
        """Bp at each end without a prediction."""
        return (self.input_length - self.predicted_bins * BIN_WIDTH) // 2


class ConvolutionsAndAttention(WholeSequence):
    """The package's network with one head, channels before positions at the input."""

    def __init__(self, whole: Any, species: str) -> None:
        super().__init__()
        self.stem = whole.stem
        self.conv_tower = whole.conv_tower
        self.transformer = whole.transformer
        self.crop = whole.crop_final
        self.final_pointwise = whole.final_pointwise
        self._heads = torch.nn.ModuleDict({species: whole.heads[species]})
        self.species = species

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """One-hot (N, 4, L) to (N, bins, tracks)."""
        positions = self.conv_tower(self.stem(sequences)).transpose(1, 2)
        bins = self.final_pointwise(self.crop(self.transformer(positions)))
        return self._heads[self.species](bins)


class Enformer(torch.nn.Module):
    """One-hot (N, 4, L) to counts (N, bins, tracks)."""

    def __init__(self, network: ConvolutionsAndAttention) -> None:
        super().__init__()
        self.network = network

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """One-hot (N, 4, L) to (N, bins, tracks)."""
        return self.network(sequences)


def build(parameters: EnformerParameters, tracks: tuple[Track, ...], genome_build: str) -> Model:
    """A model with random weights; its tracks are numbered where none are named.

    Raises:
        InputError: enformer-pytorch is not installed.
        TrackCountError: there are tracks, but not as many as the species has.
    """
    enformer_pytorch = package("enformer_pytorch", "enformer")
    facts = Facts(
        input_length=parameters.input_length,
        bin_width=BIN_WIDTH,
        crop=parameters.crop,
        tracks=tracks_of_head(tracks, TRACKS[parameters.species], "enformer"),
        receptive_field=whole_field(parameters.input_length, parameters.crop, BIN_WIDTH),
        build=genome_build,
        output_scale="counts",
    )
    whole = enformer_pytorch.Enformer.from_hparams(
        dim=parameters.channels,
        depth=parameters.depth,
        heads=parameters.heads,
        output_heads={parameters.species: TRACKS[parameters.species]},
        target_length=parameters.predicted_bins,
        dim_divisible_by=parameters.channel_step,
        use_tf_gamma=parameters.tensorflow_gamma,
    )
    module = Enformer(ConvolutionsAndAttention(whole, parameters.species))
    return Model(module, facts, "enformer", plain_parameters(parameters))


def rename_state(
    published: dict[str, torch.Tensor], own: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """A state of the package's network under this one's names, without the other species' head.

    The package holds every part twice; files have one of the two names, or both.

    Args:
        published: state of the package's network.
        own: state of the network that is filled.
    """
    renamed = {}
    for name, tensor in published.items():
        place = next((place for place in _PLACES if name.startswith(place)), "")
        renamed[f"network.{_PLACES.get(place, '')}{name.removeprefix(place)}"] = tensor
    other = {
        f"network._heads.{species}.0.{weight}"
        for species in TRACKS
        for weight in ("weight", "bias")
    } - own.keys()
    return {name: tensor for name, tensor in renamed.items() if name not in other}
