"""Architecture "pooled_cnn": two convolutions, pooled over the whole sequence.

Convolution, ReLU, maximum over 4 bp, convolution, ReLU, then the largest and the mean value of
every channel, a dense layer and a Gaussian head. Where along the sequence a motif stands does
not matter.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch

from seqtrust.models.facts import Track
from seqtrust.models.keras_layers import GlobalAverage, GlobalMax
from seqtrust.models.layers import refuse_bad_sizes, refuse_even
from seqtrust.models.model import Model
from seqtrust.models.pooled import (
    PooledNetwork,
    PooledParameters,
    dense_layer,
    motif_layer,
    pooled_model,
    predicted_tracks,
)


@dataclass(frozen=True)
class PooledCnnParameters(PooledParameters):
    """Parameters of architecture "pooled_cnn".

    Attributes:
        second_kernel: width of the second convolution, in pooled positions, odd.
        dense: units of the dense layer.
    """

    architecture: ClassVar[str] = "pooled_cnn"

    second_kernel: int = 5
    dense: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_even(self.architecture, second_kernel=self.second_kernel)
        refuse_bad_sizes(self.architecture, dense=self.dense)


class PooledConvolutions(torch.nn.Module):
    """One-hot (N, 4, L) to (N, 2 channels): every channel's maximum, then every one's mean."""

    def __init__(self, parameters: PooledCnnParameters) -> None:
        super().__init__()
        channels = parameters.channels
        self.motifs = motif_layer(parameters)
        self.syntax = torch.nn.Sequential(
            torch.nn.Conv1d(channels, channels, parameters.second_kernel, padding="same"),
            torch.nn.ReLU(),
        )
        self.largest = GlobalMax()
        self.mean = GlobalAverage()

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """One-hot (N, 4, L) to (N, 2 channels)."""
        values = self.syntax(self.motifs(sequences))
        return torch.cat([self.largest(values), self.mean(values)], dim=1)


def build(parameters: PooledCnnParameters, tracks: tuple[Track, ...], genome_build: str) -> Model:
    """An untrained model with the given tracks; its head adds their log variances.

    Raises:
        InputError: variances among the tracks that the head does not predict.
    """
    tracks = predicted_tracks(parameters, tracks)
    features = 2 * parameters.channels + parameters.beside
    hidden = dense_layer(features, parameters.dense, parameters.dropout)
    network = PooledNetwork(
        PooledConvolutions(parameters), hidden, parameters.dense, parameters, len(tracks)
    )
    return pooled_model(network, parameters, tracks, genome_build)
