"""Architecture "transformer": motifs that attend to each other, averaged over the sequence.

Convolution, ReLU, maximum over 4 bp, sinusoidal positions, blocks of self-attention (Vaswani et
al. 2017; layers are normalised before they are computed, Xiong et al. 2020), the mean over
positions and a Gaussian head.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from seqtrust.errors import InputError
from seqtrust.models.facts import Track
from seqtrust.models.keras_layers import GlobalAverage
from seqtrust.models.layers import refuse_bad_sizes
from seqtrust.models.model import Model
from seqtrust.models.pooled import (
    PooledNetwork,
    PooledParameters,
    motif_layer,
    pooled_model,
    predicted_tracks,
)
from seqtrust.models.whole_sequence import WholeSequence

LONGEST_WAVELENGTH = 10_000


@dataclass(frozen=True)
class TransformerParameters(PooledParameters):
    """Parameters of architecture "transformer".

    Attributes:
        blocks: of self-attention and dense layers.
        heads: of every attention; they share the channels.
        feed_forward: units of the dense layer in every block.
    """

    architecture: ClassVar[str] = "transformer"

    blocks: int = 2
    heads: int = 4
    feed_forward: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_bad_sizes(
            self.architecture,
            blocks=self.blocks,
            heads=self.heads,
            feed_forward=self.feed_forward,
        )
        if self.channels % (2 * self.heads):
            raise InputError(
                f"transformer: channels is {self.channels}, but must be a multiple of twice "
                f"the heads, {2 * self.heads}"
            )


class SinusoidalPositions(WholeSequence):
    """Adds sine and cosine waves of the position, one pair of channels per wavelength."""

    waves: torch.Tensor

    def __init__(self, channels: int, positions: int) -> None:
        super().__init__()
        rates = LONGEST_WAVELENGTH ** (-torch.arange(0, channels, 2) / channels)
        angles = rates[:, None] * torch.arange(positions)
        waves = torch.stack([angles.sin(), angles.cos()], dim=1).reshape(channels, positions)
        self.register_buffer("waves", waves, persistent=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels, positions) to the same shape."""
        return values + self.waves


class SelfAttention(torch.nn.Module):
    """Every position is a mixture of all, by the scaled products of queries and keys."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = torch.nn.Linear(channels, channels)
        self.key = torch.nn.Linear(channels, channels)
        self.value = torch.nn.Linear(channels, channels)
        self.weights = torch.nn.Softmax(dim=-1)
        self.mixed = torch.nn.Linear(channels, channels)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, positions, channels) to the same shape."""
        query, key, value = (
            layer(values).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        heads = self.weights(scores) @ value
        return self.mixed(heads.transpose(1, 2).flatten(2))


class AttentionBlock(torch.nn.Module):
    """Attention, then a dense layer at every position, each added to what it reads."""

    def __init__(self, parameters: TransformerParameters) -> None:
        super().__init__()
        channels, hidden = parameters.channels, parameters.feed_forward
        self.attention = torch.nn.Sequential(
            torch.nn.LayerNorm(channels), SelfAttention(channels, parameters.heads)
        )
        self.dense = torch.nn.Sequential(
            torch.nn.LayerNorm(channels),
            torch.nn.Linear(channels, hidden),
            torch.nn.ReLU(),
            torch.nn.Linear(hidden, channels),
        )
        self.attention_dropout = torch.nn.Dropout(parameters.dropout)
        self.dense_dropout = torch.nn.Dropout(parameters.dropout)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels, positions) to the same shape."""
        change = self.attention(values.transpose(1, 2)).transpose(1, 2)
        values = values + self.attention_dropout(change)
        change = self.dense(values.transpose(1, 2)).transpose(1, 2)
        return values + self.dense_dropout(change)


class Attention(WholeSequence):
    """All blocks, with the positions before and a normalisation after them."""

    def __init__(self, parameters: TransformerParameters) -> None:
        super().__init__()
        channels = parameters.channels
        self.positions = SinusoidalPositions(channels, parameters.positions)
        self.blocks = torch.nn.Sequential(
            *(AttentionBlock(parameters) for _ in range(parameters.blocks))
        )
        self.normalisation = torch.nn.LayerNorm(channels)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels, positions) to the same shape."""
        mixed = self.blocks(self.positions(values))
        return self.normalisation(mixed.transpose(1, 2)).transpose(1, 2)


def build(parameters: TransformerParameters, tracks: tuple[Track, ...], genome_build: str) -> Model:
    """An untrained model with the given tracks; its head adds their log variances.

    Raises:
        InputError: variances among the tracks that the head does not predict.
    """
    tracks = predicted_tracks(parameters, tracks)
    body = torch.nn.Sequential()
    body.add_module("motifs", motif_layer(parameters))
    body.add_module("attention", Attention(parameters))
    body.add_module("mean", GlobalAverage())
    hidden = torch.nn.Dropout(parameters.dropout)
    width = parameters.channels + parameters.beside
    network = PooledNetwork(body, hidden, width, parameters, len(tracks))
    return pooled_model(network, parameters, tracks, genome_build)
