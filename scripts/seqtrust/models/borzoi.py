"""Architecture "borzoi" (Linder et al. 2025), the network of the package borzoi-pytorch.

Convolutions down to bins of 128 bp, attention between them, and up again to bins of 32 bp. The
network's outputs are squashed coverage, as it was trained on: the sum of a bin to the power of
3/4 (RNA and ATAC tracks), its excess over a soft limit reduced to the square root, times a scale.
The model undoes that and predicts coverage.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import torch

from seqtrust.errors import InputError
from seqtrust.models.adapters import package
from seqtrust.models.facts import Facts, Track
from seqtrust.models.layers import refuse_bad_sizes
from seqtrust.models.model import Model
from seqtrust.models.parameters import plain_parameters
from seqtrust.models.track_table import read_tracks, tracks_of_head
from seqtrust.models.whole_sequence import WholeSequence, whole_field

TRACKS = 7611
BIN_WIDTH = 32
COARSE_WIDTH = 128
SQUASHED_SUM, SQUASHED_POWER = "sum_sqrt", 0.75


@dataclass(frozen=True)
class BorzoiParameters:
    """Parameters of architecture "borzoi"; the defaults are the published network.

    Attributes:
        input_length: bp, a multiple of 128.
        predicted_bins: bins of 32 bp in the middle of the input that are predicted.
        channels: of the attention and of all layers after it.
        depth: blocks of attention.
        heads: of each.
        unsquash: predict coverage itself, with the parameters of every track in the package's
            table of tracks; strands and shifts are then averaged after it. False leaves the
            published network's squashed values, which do not add up over bins or tracks,
            although their scale is called counts all the same.
    """

    input_length: int = 524_288
    predicted_bins: int = 6_144
    channels: int = 1536
    depth: int = 8
    heads: int = 8
    unsquash: bool = True

    def __post_init__(self) -> None:
        refuse_bad_sizes(
            "borzoi",
            input_length=self.input_length,
            predicted_bins=self.predicted_bins,
            channels=self.channels,
            depth=self.depth,
            heads=self.heads,
        )
        if self.input_length < COARSE_WIDTH or self.input_length % COARSE_WIDTH:
            raise InputError(
                f"borzoi: input_length is {self.input_length} bp, but must be a multiple of "
                f"{COARSE_WIDTH} bp"
            )
        bins = self.input_length // BIN_WIDTH
        if self.predicted_bins > bins or (bins - self.predicted_bins) % 2:
            raise InputError(
                f"borzoi: predicted_bins is {self.predicted_bins}, but must leave out as many "
                f"of {bins} bins at both ends"
            )

    @property
    def crop(self) -> int:
        """Bp at each end without a prediction."""
        return (self.input_length - self.predicted_bins * BIN_WIDTH) // 2


class Unsquash(torch.nn.Module):
    """Squashed coverage (N, bins, tracks) to coverage.

    The inverse of scale * soft(sum^power), where soft(x) is limit + sqrt(x - limit) above the
    limit and x below it. A hard limit, above which training clipped, cannot be undone.

    Args:
        scale: of every track, shape (tracks,).
        limit: soft limit of every track, before scaling.
        power: of every track.
    """

    scale: torch.Tensor
    limit: torch.Tensor
    power: torch.Tensor

    def __init__(self, scale: torch.Tensor, limit: torch.Tensor, power: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("limit", limit, persistent=False)
        self.register_buffer("power", power, persistent=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, bins, tracks) to the same shape."""
        unscaled = values / self.scale
        excess = (unscaled - self.limit).clamp(min=0)
        return (torch.minimum(unscaled, self.limit) + excess**2) ** (1 / self.power)


class ConvolutionsAndAttention(WholeSequence):
    """The package's network, bins before tracks at the output."""

    def __init__(self, whole: torch.nn.Module) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """One-hot (N, 4, L) to (N, bins, tracks)."""
        return self.whole(sequences).transpose(1, 2)


class Borzoi(torch.nn.Module):
    """One-hot (N, 4, L) to coverage (N, bins, tracks), squashed or not."""

    def __init__(self, network: ConvolutionsAndAttention, scale: torch.nn.Module) -> None:
        super().__init__()
        self.network = network
        self.output = scale

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """One-hot (N, 4, L) to (N, bins, tracks)."""
        return self.output(self.network(sequences))


def build(parameters: BorzoiParameters, tracks: tuple[Track, ...], genome_build: str) -> Model:
    """A model with random weights; its tracks are the package's where none are named.

    Raises:
        InputError: borzoi-pytorch is not installed.
        TrackCountError: there are tracks, but not 7,611.
    """
    borzoi_pytorch = package("borzoi_pytorch", "borzoi")
    table = Path(str(borzoi_pytorch.__file__)).parent / "precomputed" / "targets.txt"
    facts = Facts(
        input_length=parameters.input_length,
        bin_width=BIN_WIDTH,
        crop=parameters.crop,
        tracks=tracks_of_head(tracks or read_tracks(table), TRACKS, "borzoi"),
        receptive_field=whole_field(parameters.input_length, parameters.crop, BIN_WIDTH),
        build=genome_build,
        output_scale="counts",
    )
    whole = borzoi_pytorch.Borzoi.from_hparams(
        dim=parameters.channels,
        depth=parameters.depth,
        heads=parameters.heads,
        bins_to_return=parameters.predicted_bins,
    )
    scale = unsquash_of(table) if parameters.unsquash else torch.nn.Identity()
    module = Borzoi(ConvolutionsAndAttention(whole), scale)
    return Model(module, facts, "borzoi", plain_parameters(parameters))


def unsquash_of(path: Path) -> Unsquash:
    """What undoes the squashing of every track, from columns scale, clip_soft and sum_stat."""
    with path.open(newline="") as opened:
        rows = list(csv.DictReader(opened, delimiter="\t"))
    return Unsquash(
        torch.tensor([float(row["scale"]) for row in rows]),
        torch.tensor([float(row["clip_soft"]) for row in rows]),
        torch.tensor([SQUASHED_POWER if row["sum_stat"] == SQUASHED_SUM else 1 for row in rows]),
    )


def rename_state(
    published: dict[str, torch.Tensor], own: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """A state of the package's network under this one's names, without its head of mouse tracks.

    Args:
        published: state of the package's network.
        own: state of the network that is filled.
    """
    return {
        f"network.whole.{name}": tensor
        for name, tensor in published.items()
        if not name.startswith("mouse_head.")
    }
