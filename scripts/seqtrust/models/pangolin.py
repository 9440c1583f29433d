"""Architecture "pangolin": splice-site probability and usage at base resolution.

A residual network of dilated convolutions (Zeng and Li 2022). Its parameters carry the names
of the published files, and all eight heads are kept although each published file was tuned for
one of them: only the head that a file was tuned for is meaningful, and `heads` names those that
are computed. The sequence goes in in transcription order: predictions of the two strands are
different quantities.
"""

from dataclasses import dataclass

import torch

from seqtrust.errors import InputError
from seqtrust.models.facts import Facts, Track
from seqtrust.models.model import Model
from seqtrust.models.parameters import plain_parameters

CHANNELS = 32
CROP = 5000
WIDTHS = (11,) * 8 + (21,) * 4 + (41,) * 4
DILATIONS = (1,) * 4 + (4,) * 4 + (10,) * 4 + (25,) * 4
BLOCKS_PER_SKIP = 4
TISSUES = ("heart", "liver", "brain", "testis")
QUANTITIES = ("p_splice", "usage")
HEADS = tuple(f"{tissue}_{quantity}" for tissue in TISSUES for quantity in QUANTITIES)
RECEPTIVE_FIELD = 1 + sum(
    2 * (width - 1) * dilation for width, dilation in zip(WIDTHS, DILATIONS, strict=True)
)


@dataclass(frozen=True)
class PangolinParameters:
    """Parameters of architecture "pangolin".

    Attributes:
        heads: the heads that become tracks, in this order, of `HEADS`.
    """

    heads: tuple[str, ...] = ("heart_p_splice",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "heads", tuple(self.heads))
        unknown = [head for head in self.heads if head not in HEADS]
        if unknown or not self.heads or len(set(self.heads)) < len(self.heads):
            raise InputError(
                f"pangolin: heads are {list(self.heads)}, but must be one or more "
                f"different ones of {', '.join(HEADS)}"
            )


class ResidualBlock(torch.nn.Module):
    """Adds (batch norm, ReLU, dilated convolution) twice to its input."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.bn1 = torch.nn.BatchNorm1d(CHANNELS)
        self.relu1 = torch.nn.ReLU()
        self.conv1 = _dilated(width, dilation)
        self.bn2 = torch.nn.BatchNorm1d(CHANNELS)
        self.relu2 = torch.nn.ReLU()
        self.conv2 = _dilated(width, dilation)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels, L) to the same shape."""
        change = self.conv1(self.relu1(self.bn1(values)))
        return values + self.conv2(self.relu2(self.bn2(change)))


class Pangolin(torch.nn.Module):
    """One-hot (N, 4, L) to (N, L - 10,000, heads)."""

    def __init__(self, heads: tuple[str, ...]) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv1d(4, CHANNELS, 1)
        self.skip = torch.nn.Conv1d(CHANNELS, CHANNELS, 1)
        self.resblocks = torch.nn.ModuleList(
            ResidualBlock(width, dilation)
            for width, dilation in zip(WIDTHS, DILATIONS, strict=True)
        )
        self.convs = torch.nn.ModuleList(
            torch.nn.Conv1d(CHANNELS, CHANNELS, 1) for _ in range(len(WIDTHS) // BLOCKS_PER_SKIP)
        )
        for number, head in enumerate(HEADS, start=1):
            channels = 2 if head.endswith("p_splice") else 1
            self.add_module(f"conv_last{number}", torch.nn.Conv1d(CHANNELS, channels, 1))
        self.softmax = torch.nn.Softmax(dim=1)
        self.sigmoid = torch.nn.Sigmoid()
        self.heads = heads

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """One-hot (N, 4, L) to (N, L - 10,000, heads)."""
        trunk = self._trunk(sequences)[..., CROP:-CROP]
        return torch.cat([self._head(name, trunk) for name in self.heads], dim=1).transpose(1, 2)

    def _trunk(self, sequences: torch.Tensor) -> torch.Tensor:
        values = self.conv1(sequences)
        skip = self.skip(values)
        for number, block in enumerate(self.resblocks, start=1):
            values = block(values)
            if number % BLOCKS_PER_SKIP == 0:
                skip = skip + self.convs[number // BLOCKS_PER_SKIP - 1](values)
        return skip

    def _head(self, name: str, trunk: torch.Tensor) -> torch.Tensor:
        scores = self.get_submodule(f"conv_last{HEADS.index(name) + 1}")(trunk)
        return self.softmax(scores)[:, 1:] if name.endswith("p_splice") else self.sigmoid(scores)


def build(parameters: PangolinParameters, tracks: tuple[Track, ...], genome_build: str) -> Model:
    """A model with random weights; its tracks are its heads.

    Raises:
        InputError: `tracks` is not empty and names other tracks than the heads.
    """
    own_tracks = tuple(Track(head, assay=_assay(head)) for head in parameters.heads)
    if tracks and [track.name for track in tracks] != list(parameters.heads):
        raise InputError(
            f"pangolin: tracks {[track.name for track in tracks]} differ from the heads "
            f"{list(parameters.heads)}: leave the tracks out"
        )
    facts = Facts(
        input_length=None,
        bin_width=1,
        crop=CROP,
        tracks=own_tracks,
        receptive_field=RECEPTIVE_FIELD,
        build=genome_build,
        output_scale="probability",
        strand_specific=True,
    )
    return Model(Pangolin(parameters.heads), facts, "pangolin", plain_parameters(parameters))


def _assay(head: str) -> str:
    tissue, quantity = head.split("_", 1)
    return f"splice site {'probability' if quantity == 'p_splice' else 'usage'}, {tissue}"


def _dilated(width: int, dilation: int) -> torch.nn.Conv1d:
    return torch.nn.Conv1d(CHANNELS, CHANNELS, width, padding="same", dilation=dilation)
