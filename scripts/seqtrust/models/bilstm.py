"""Architecture "bilstm": motifs read in both directions by an LSTM, pooled by attention.

Convolution, ReLU, maximum over 4 bp, a bidirectional LSTM (Hochreiter and Schmidhuber 1997), a
mean over positions that is weighted by a learned score, a dense layer and a Gaussian head.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch

from seqtrust.models.facts import Track
from seqtrust.models.layers import refuse_bad_sizes
from seqtrust.models.model import Model
from seqtrust.models.pooled import (
    PooledNetwork,
    PooledParameters,
    dense_layer,
    motif_layer,
    pooled_model,
    predicted_tracks,
)
from seqtrust.models.whole_sequence import WholeSequence


@dataclass(frozen=True)
class BilstmParameters(PooledParameters):
    """Parameters of architecture "bilstm".

    Attributes:
        units: of the LSTM, in each direction.
        dense: units of the dense layer.
    """

    architecture: ClassVar[str] = "bilstm"

    units: int = 64
    dense: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_bad_sizes(self.architecture, units=self.units, dense=self.dense)


class BidirectionalLSTM(WholeSequence):
    """An LSTM in both directions, channels before positions."""

    def __init__(self, channels: int, units: int) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(channels, units, batch_first=True, bidirectional=True)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels, positions) to (N, 2 units, positions): forward, then backward units."""
        states, _ = self.lstm(values.transpose(1, 2))
        return states.transpose(1, 2)


class AttentionPool(WholeSequence):
    """The mean over positions, weighted by the softmax of a learned score of every position."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = torch.nn.Linear(channels, 1)
        self.weights = torch.nn.Softmax(dim=1)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels, positions) to (N, channels)."""
        weights = self.weights(self.score(values.transpose(1, 2)))
        return (values @ weights).squeeze(-1)


def build(parameters: BilstmParameters, tracks: tuple[Track, ...], genome_build: str) -> Model:
    """An untrained model with the given tracks; its head adds their log variances.

    Raises:
        InputError: variances among the tracks that the head does not predict.
    """
    tracks = predicted_tracks(parameters, tracks)
    features = 2 * parameters.units
    body = torch.nn.Sequential()
    body.add_module("motifs", motif_layer(parameters))
    body.add_module("recurrence", BidirectionalLSTM(parameters.channels, parameters.units))
    body.add_module("pool", AttentionPool(features))
    hidden = dense_layer(features + parameters.beside, parameters.dense, parameters.dropout)
    network = PooledNetwork(body, hidden, parameters.dense, parameters, len(tracks))
    return pooled_model(network, parameters, tracks, genome_build)
