"""Architecture "bpnet": expected counts at every base, as profile times total.

BPNet (Avsec et al. 2021) is a stack of dilated convolutions with two heads per experiment: the
logits of a profile over positions, and the logarithm of its total. The form with "valid"
convolutions, trimmed at both ends, is that of ChromBPNet and bpnet-lite: `first_kernel: 21,
layers: 8, profile_kernel: 75, padding: valid, input_length: 2114` leaves 1,000 bp. A track's
prediction is total x softmax(logits), so that every number that follows is one of counts; the
published network says log(1 + total) where this one says log(total).

Published BPNet has a transposed convolution for the profile, which at stride 1 is a convolution
with its kernel turned around: the same functions with the same number of weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from seqtrust.errors import InputError
from seqtrust.models.activations import NotBfloat16, refuse_unknown
from seqtrust.models.facts import Facts, Track
from seqtrust.models.layers import refuse_bad_sizes, refuse_even
from seqtrust.models.model import Model
from seqtrust.models.parameters import plain_parameters
from seqtrust.models.whole_sequence import whole_field

SAME, VALID = "same", "valid"
STRAND, JOINT = "strand", "joint"
SMOOTHED = 50


@dataclass(frozen=True)
class BpnetParameters:
    """Parameters of architecture "bpnet"; the defaults are those of Avsec et al. 2021.

    Attributes:
        channels: of every hidden layer.
        first_kernel: width of the first convolution in bp, odd.
        layers: dilated convolutions of width 3; number k has the dilation 2^k, from 2.
        profile_kernel: width of the profile's convolution, odd.
        padding: "same" fills up with zeros, "valid" predicts no base whose convolutions reach
            beyond the input.
        input_length: bp; a profile is shared out over all of it.
        output_length: bp in its middle that are predicted; all that there are if None.
        control: number of control tracks, the second input; without them it is zero.
        softmax: "strand" shares out each strand's total over its positions, as kundajelab's
            BPNet; "joint" has one total for both strands and shares it out over both, as
            bpnet-lite. The same for tracks without another strand.
    """

    channels: int = 64
    first_kernel: int = 25
    layers: int = 9
    profile_kernel: int = 25
    padding: str = SAME
    input_length: int = 1000
    output_length: int | None = None
    control: int = 0
    softmax: str = STRAND

    def __post_init__(self) -> None:
        refuse_unknown("bpnet", "padding", self.padding, (SAME, VALID))
        refuse_unknown("bpnet", "softmax", self.softmax, (STRAND, JOINT))
        refuse_even("bpnet", first_kernel=self.first_kernel, profile_kernel=self.profile_kernel)
        refuse_bad_sizes("bpnet", channels=self.channels, input_length=self.input_length)
        refuse_bad_sizes("bpnet", 0, layers=self.layers, control=self.control)
        if self.output_length is not None:
            refuse_bad_sizes("bpnet", output_length=self.output_length)
        if self.input_length <= 2 * self.lost:
            raise InputError(
                f"bpnet: input_length is {self.input_length}, but valid convolutions leave out "
                f"{self.lost} bp at each end: use more than {2 * self.lost} bp, or fewer layers"
            )
        spare = self.input_length - 2 * self.lost - self.predicted
        if self.predicted < 1 or spare < 0 or spare % 2:
            raise InputError(
                f"bpnet: output_length is {self.output_length}, but must be positive, at most "
                f"{self.input_length - 2 * self.lost}, and less than that by an even number"
            )

    @property
    def lost(self) -> int:
        """Bp at each end that the convolutions leave out."""
        if self.padding == SAME:
            return 0
        dilated = sum(2**number for number in range(1, self.layers + 1))
        return self.first_kernel // 2 + dilated + self.profile_kernel // 2

    @property
    def predicted(self) -> int:
        """Bp that are predicted."""
        whole = self.input_length - 2 * self.lost
        return whole if self.output_length is None else self.output_length

    @property
    def crop(self) -> int:
        """Bp at each end without a prediction."""
        return (self.input_length - self.predicted) // 2


class DilatedResidual(torch.nn.Module):
    """Adds a rectified dilated convolution of width 3 to its input."""

    def __init__(self, channels: int, dilation: int, padding: str) -> None:
        super().__init__()
        self.lost = dilation if padding == VALID else 0
        self.convolution = torch.nn.Conv1d(
            channels, channels, 3, padding=padding, dilation=dilation
        )
        self.activation = torch.nn.ReLU()

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels, L) to (N, channels, L), less the dilation at each end if "valid"."""
        kept = values[..., self.lost : -self.lost] if self.lost else values
        return kept + self.activation(self.convolution(values))


class ProfileNetwork(torch.nn.Module):
    """One-hot (N, 4, L) to profile logits (N, tracks x positions) and log totals (N, totals).

    Args:
        parameters: of the network.
        tracks: number of tracks.
        totals: number of totals.
    """

    def __init__(self, parameters: BpnetParameters, tracks: int, totals: int) -> None:
        super().__init__()
        channels, padding = parameters.channels, parameters.padding
        self.stem = torch.nn.Conv1d(4, channels, parameters.first_kernel, padding=padding)
        self.activation = torch.nn.ReLU()
        self.dilated = torch.nn.Sequential(
            *(
                DilatedResidual(channels, 2**number, padding)
                for number in range(1, parameters.layers + 1)
            )
        )
        self.profile = torch.nn.Conv1d(channels, tracks, parameters.profile_kernel, padding=padding)
        self.spare = parameters.crop - parameters.lost
        self.flatten = torch.nn.Flatten()
        self.pool = torch.nn.AdaptiveAvgPool1d(1)
        self.flatten_pooled = torch.nn.Flatten()
        self.counts = torch.nn.Linear(channels, totals)

    def forward(self, sequences: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Positions of a track stand together; the totals see the whole trunk."""
        trunk = self.dilated(self.activation(self.stem(sequences)))
        logits = self.profile(trunk)
        if self.spare:
            logits = logits[..., self.spare : -self.spare]
        return self.flatten(logits), self.counts(self.flatten_pooled(self.pool(trunk)))


class ControlInput(torch.nn.Module):
    """What the control adds to logits and log totals, nothing where it is zero.

    As published: for the profile a weighted sum of the control tracks and of their sum over 50
    bp, for the total one of log(1 + sum), the same for both strands of an experiment. The
    weights start at 0, where published ones are drawn: counts are large beside logits.

    Args:
        control: number of control tracks.
        experiment_of_track: for every track its experiment, counted from 0.
        experiment_of_total: for every total its experiment.
    """

    def __init__(
        self, control: int, experiment_of_track: Sequence[int], experiment_of_total: Sequence[int]
    ) -> None:
        super().__init__()
        experiments = max(experiment_of_track) + 1
        self.control = control
        self.profile = torch.nn.Parameter(torch.zeros(experiments, control + 1))
        self.totals = torch.nn.Parameter(torch.zeros(experiments, control))
        self.smooth = torch.nn.AvgPool1d(SMOOTHED, 1)
        before = (SMOOTHED - 1) // 2
        self.pad = torch.nn.ConstantPad1d((before, SMOOTHED - 1 - before), 0.0)
        self.of_track = list(experiment_of_track)
        self.of_total = list(experiment_of_total)

    def reset_parameters(self) -> None:
        """Weights of 0."""
        torch.nn.init.zeros_(self.profile)
        torch.nn.init.zeros_(self.totals)

    def forward(self, control: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Control (N, positions, K) to (N, tracks x positions) and (N, totals)."""
        if control.shape[-1] != self.control:
            raise InputError(
                f"bpnet: {control.shape[-1]} control tracks, but parameter control is "
                f"{self.control}: give the number of tracks that train: control names"
            )
        values = control.transpose(1, 2)
        smoothed = SMOOTHED * self.smooth(self.pad(values.sum(dim=1, keepdim=True)))
        logits = self.profile @ torch.cat([values, smoothed], dim=1)
        totals = torch.log1p(values.sum(dim=-1)) @ self.totals.T
        return logits[:, self.of_track].flatten(1), totals[:, self.of_total]


class ExpectedCounts(torch.nn.Module):
    """Logits (N, tracks x positions) and log totals to expected counts (N, positions, tracks).

    Args:
        positions: of a profile.
        partners: for every track the one that shares its softmax, which may be itself.
        totals: for every track its total.
    """

    partners: torch.Tensor
    paired: torch.Tensor
    totals: torch.Tensor

    def __init__(self, positions: int, partners: Sequence[int], totals: Sequence[int]) -> None:
        super().__init__()
        self.unflatten = torch.nn.Unflatten(1, (len(partners), positions))
        paired = [[partner != track] for track, partner in enumerate(partners)]
        self.register_buffer("partners", torch.tensor(partners), persistent=False)
        self.register_buffer("paired", torch.tensor(paired), persistent=False)
        self.register_buffer("totals", torch.tensor(totals), persistent=False)

    def forward(self, logits: torch.Tensor, log_totals: torch.Tensor) -> torch.Tensor:
        """In logarithms up to the last step, so that none is lost on the way."""
        profiles = self.unflatten(logits)
        whole = torch.logsumexp(profiles, dim=-1, keepdim=True)
        both = torch.logaddexp(whole, whole.index_select(1, self.partners))
        scale = log_totals.index_select(1, self.totals).unsqueeze(-1)
        scale = scale - torch.where(self.paired, both, whole)
        return torch.exp(profiles + scale).transpose(1, 2)


@dataclass(frozen=True)
class Layout:
    """Which tracks go together.

    Attributes:
        partners: for every track the one that shares its softmax, which may be itself.
        totals: for every track its total.
        experiment_of_track: for every track its experiment: the two strands of one are one.
        experiment_of_total: for every total its experiment.
    """

    partners: tuple[int, ...]
    totals: tuple[int, ...]
    experiment_of_track: tuple[int, ...]
    experiment_of_total: tuple[int, ...]

    @classmethod
    def of(cls, facts: Facts, softmax: str) -> "Layout":
        """The layout of a model's tracks."""
        swapped = facts.swapped_tracks()
        firsts = sorted({min(track, other) for track, other in enumerate(swapped)})
        experiments = tuple(firsts.index(min(pair)) for pair in enumerate(swapped))
        every = tuple(range(len(swapped)))
        if softmax == STRAND:
            return cls(every, every, experiments, experiments)
        return cls(swapped, experiments, experiments, tuple(range(len(firsts))))


class Bpnet(torch.nn.Module):
    """One-hot (N, 4, L), and control (N, bases, K) if any, to (N, bases, tracks)."""

    def __init__(self, parameters: BpnetParameters, layout: Layout) -> None:
        super().__init__()
        self.network = ProfileNetwork(
            parameters, len(layout.partners), len(layout.experiment_of_total)
        )
        self.control = (
            ControlInput(parameters.control, layout.experiment_of_track, layout.experiment_of_total)
            if parameters.control
            else None
        )
        self.whole = NotBfloat16()
        self.whole_totals = NotBfloat16()
        self.output = ExpectedCounts(parameters.predicted, layout.partners, layout.totals)

    def forward(self, sequences: torch.Tensor, control: torch.Tensor | None = None) -> torch.Tensor:
        """Expected counts; no control is one of zeros."""
        logits, totals = self.network(sequences)
        if control is not None:
            if self.control is None:
                raise InputError(
                    "bpnet: there is a control, but parameter control is 0: give the number of "
                    "tracks that train: control names"
                )
            more_logits, more_totals = self.control(control)
            logits, totals = logits + more_logits, totals + more_totals
        return self.output(self.whole(logits), self.whole_totals(totals))


def profile_facts(
    parameters: BpnetParameters, tracks: tuple[Track, ...], genome_build: str
) -> Facts:
    """Facts of a network whose every base depends on the whole input, through its total."""
    return Facts(
        input_length=parameters.input_length,
        bin_width=1,
        crop=parameters.crop,
        tracks=tracks,
        receptive_field=whole_field(parameters.input_length, parameters.crop, 1),
        build=genome_build,
        output_scale="counts",
    )


_LITE_NAMES = (
    ("iconv.", "stem."),
    ("rconvs.", "dilated."),
    ("fconv.", "profile."),
    ("linear.", "counts."),
)
_LITE_NETWORKS = {"accessibility.": "network.", "bias.": "bias.", "": "network."}


def rename_state(state: dict[str, torch.Tensor], _: object) -> dict[str, torch.Tensor]:
    """Tensors of bpnet-lite's BPNet or ChromBPNet under this module's names; others as they are.

    A control of bpnet-lite enters its profile convolution, so that one with a control does not
    fit.
    """
    return {_renamed(name): tensor for name, tensor in state.items()}


def _renamed(name: str) -> str:
    network = next(prefix for prefix in _LITE_NETWORKS if name.startswith(prefix))
    rest = name.removeprefix(network)
    for theirs, ours in _LITE_NAMES:
        if rest.startswith(theirs):
            layer, _, what = rest.removeprefix(theirs).rpartition(".")
            inner = f"{layer}.convolution." if theirs == "rconvs." else ""
            return f"{_LITE_NETWORKS[network]}{ours}{inner}{what}"
    return name


def build(parameters: BpnetParameters, tracks: tuple[Track, ...], genome_build: str) -> Model:
    """An untrained model with the given tracks."""
    facts = profile_facts(parameters, tracks, genome_build)
    module = Bpnet(parameters, Layout.of(facts, parameters.softmax))
    return Model(module, facts, "bpnet", plain_parameters(parameters))
