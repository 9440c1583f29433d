"""What the families with one value per sequence share: a pooled body, then a head.

A family's body turns a one-hot sequence into one vector, its hidden layers read that vector, and
the head gives a mean and a log variance per track, or one value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from seqtrust.errors import InputError
from seqtrust.models.activations import ACTIVATIONS, OUTPUTS, NotBfloat16, refuse_unknown
from seqtrust.models.evidential import NormalInverseGamma, with_evidence
from seqtrust.models.facts import Facts, Track
from seqtrust.models.gaussian import MeanAndLogVariance, with_log_variances
from seqtrust.models.layers import refuse_bad_rate, refuse_bad_sizes, refuse_even
from seqtrust.models.model import Model
from seqtrust.models.parameters import plain_parameters
from seqtrust.models.prior_scans import Prior, PriorScans

POINT, GAUSSIAN, EVIDENTIAL, SPREAD = "point", "gaussian", "evidential", "spread"
HEADS = (GAUSSIAN, EVIDENTIAL, SPREAD, POINT)


@dataclass(frozen=True)
class PooledParameters:
    """Parameters that the families with one value per sequence share.

    Attributes:
        input_length: bp of every sequence, all of it one bin.
        channels: of the motif layer.
        kernel: width of the motif layer in bp, odd.
        pool: width of the maximum after the motif layer, in bp.
        activation: after the motif layer: "relu", "gelu" or "exponential", among others.
        dropout: probability, wherever the family drops units.
        head: "gaussian" for a mean and a log variance per track, "evidential" for a mean and the
            parts of its variance, "spread" for a mean and a log variance without bounds (a
            student of an ensemble), or "point".
        output: of a point: "softplus" (counts), "sigmoid" (probability) or "identity" (log
            expression); other means have no bounds, so their output must be "identity".
        prior: motifs that the sequence is scanned with and how the scans are standardised, see
            `prior_scans.Prior.of`; they stand beside what the body has pooled.
        control: number of further features, which stand there too; without them they are zero.
    """

    architecture: ClassVar[str]

    input_length: int = 200
    channels: int = 64
    kernel: int = 15
    pool: int = 4
    activation: str = "relu"
    dropout: float = 0.2
    head: str = GAUSSIAN
    output: str = "identity"
    prior: Mapping[str, Any] | None = None
    control: int = 0

    def __post_init__(self) -> None:
        refuse_bad_sizes(self.architecture, 0, control=self.control)
        refuse_bad_sizes(
            self.architecture,
            input_length=self.input_length,
            channels=self.channels,
            pool=self.pool,
        )
        refuse_even(self.architecture, kernel=self.kernel)
        if self.input_length < self.pool:
            raise InputError(
                f"{self.architecture}: input_length is {self.input_length} bp, but must be at "
                f"least pool, {self.pool} bp"
            )
        refuse_bad_rate(self.architecture, self.dropout)
        for name, allowed in (
            ("activation", tuple(ACTIVATIONS)),
            ("output", tuple(OUTPUTS)),
            ("head", HEADS),
        ):
            refuse_unknown(self.architecture, name, getattr(self, name), allowed)
        if self.head != POINT and self.output != "identity":
            raise InputError(
                f"{self.architecture}: head {self.head!r} needs output 'identity', not "
                f"{self.output!r}: a Gaussian mean has no bounds; use head: point"
            )
        self.scans()

    def scans(self) -> PriorScans | None:
        """The scans of the prior, if there is one.

        Raises:
            InputError: the prior is malformed.
        """
        if self.prior is None:
            return None
        return PriorScans(Prior.of(self.prior), self.input_length)

    @property
    def beside(self) -> int:
        """Number of features that stand beside what the body has pooled."""
        return self.control + (0 if self.prior is None else Prior.of(self.prior).size)

    @property
    def positions(self) -> int:
        """Positions after the motif layer's pooling."""
        return self.input_length // self.pool


def motif_layer(parameters: PooledParameters) -> torch.nn.Sequential:
    """One-hot (N, 4, L) to (N, channels, L // pool); what fills no pool at the end is left out."""
    return torch.nn.Sequential(
        torch.nn.Conv1d(4, parameters.channels, parameters.kernel, padding="same"),
        ACTIVATIONS[parameters.activation](),
        torch.nn.MaxPool1d(parameters.pool),
    )


class PooledNetwork(torch.nn.Module):
    """One-hot (N, 4, L), and control (N, 1, K) if any, to (N, 1, tracks).

    Args:
        body: (N, 4, L) to (N, features).
        hidden: (N, features) to (N, hidden features); the features are those of the body, of the
            prior and of the control.
        width: hidden features.
        parameters: which head there is.
        tracks: predicted tracks, log variances included.
    """

    def __init__(
        self,
        body: torch.nn.Module,
        hidden: torch.nn.Module,
        width: int,
        parameters: PooledParameters,
        tracks: int,
    ) -> None:
        super().__init__()
        self.body = body
        self.prior = parameters.scans()
        self.control = parameters.control
        self.architecture = parameters.architecture
        self.hidden = hidden
        evidential = parameters.head == EVIDENTIAL
        means = tracks // NormalInverseGamma.PER_MEAN
        values = NormalInverseGamma.FREE * means if evidential else tracks
        self.read_out = torch.nn.Linear(width, values)
        self.whole = NotBfloat16()
        self.output: torch.nn.Module = OUTPUTS[parameters.output][0]()
        if parameters.head == GAUSSIAN:
            self.output = MeanAndLogVariance(tracks // 2)
        elif evidential:
            self.output = NormalInverseGamma(means)

    def forward(self, sequences: torch.Tensor, control: torch.Tensor | None = None) -> torch.Tensor:
        """Predictions (N, 1, tracks); no control is one of zeros."""
        pooled = self.body(sequences)
        if self.prior is not None:
            pooled = torch.cat([pooled, self.prior(sequences).to(pooled.dtype)], dim=1)
        if control is not None:
            pooled = torch.cat([pooled, self._given(control).to(pooled.dtype)], dim=1)
        elif self.control:
            pooled = torch.nn.functional.pad(pooled, (0, self.control))
        values = self.read_out(self.hidden(pooled)).unsqueeze(-1)
        return self.output(self.whole(values)).transpose(1, 2)

    def _given(self, control: torch.Tensor) -> torch.Tensor:
        """Control (N, 1, K) as features (N, K)."""
        if control.shape[1:] != (1, self.control):
            raise InputError(
                f"{self.architecture}: a control of {control.shape[-1]} tracks and "
                f"{control.shape[1]} bins, but parameter control is {self.control}: give the "
                "number of tracks that train: control names, of one value per sequence"
            )
        return control[:, 0]


def dense_layer(features: int, units: int, dropout: float) -> torch.nn.Sequential:
    """(N, features) to (N, units): dense, ReLU, dropout."""
    return torch.nn.Sequential(
        torch.nn.Linear(features, units), torch.nn.ReLU(), torch.nn.Dropout(dropout)
    )


def predicted_tracks(parameters: PooledParameters, tracks: tuple[Track, ...]) -> tuple[Track, ...]:
    """The given tracks; unless the head is a point, also a log variance for each, or its parts.

    Raises:
        InputError: variances among the tracks that the head does not predict.
    """
    if parameters.head == EVIDENTIAL:
        return with_evidence(tracks)
    if parameters.head in (GAUSSIAN, SPREAD):
        return with_log_variances(tracks)
    if any(track.variance_of is not None for track in tracks):
        raise InputError(
            f"{parameters.architecture}: there are variances among the tracks: use parameter "
            "head: gaussian"
        )
    return tracks


def pooled_model(
    network: PooledNetwork, parameters: PooledParameters, tracks: tuple[Track, ...], build: str
) -> Model:
    """The model of a network; the whole sequence is one bin, which sees all of it."""
    facts = Facts(
        input_length=parameters.input_length,
        bin_width=parameters.input_length,
        crop=0,
        tracks=tracks,
        receptive_field=parameters.input_length,
        build=build,
        output_scale=OUTPUTS[parameters.output][1],
    )
    return Model(network, facts, parameters.architecture, plain_parameters(parameters))
