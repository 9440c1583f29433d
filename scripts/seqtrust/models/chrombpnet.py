"""Architecture "chrombpnet": two BPNets, one of which knows the enzyme's preference.

The bias network learned where an enzyme cuts outside of peaks. It is frozen; the main network
learns what is left: profile logits add up, and so do totals (Pampari et al. 2024). The corrected
prediction leaves the bias network out.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

import torch

from seqtrust.errors import InputError, nearest_clause
from seqtrust.models.activations import NotBfloat16, refuse_unknown
from seqtrust.models.bpnet import (
    JOINT,
    STRAND,
    VALID,
    BpnetParameters,
    ExpectedCounts,
    Layout,
    ProfileNetwork,
    profile_facts,
)
from seqtrust.models.facts import Track
from seqtrust.models.model import Model
from seqtrust.models.parameters import plain_parameters

_SHARED = ("input_length", "output_length", "softmax")


@dataclass(frozen=True)
class ChromBpnetParameters:
    """Parameters of architecture "chrombpnet"; the defaults are those of Pampari et al. 2024.

    Attributes:
        channels: of every hidden layer of the main network.
        first_kernel: width of its first convolution in bp, odd.
        layers: of its dilated convolutions.
        profile_kernel: width of its profile's convolution, odd.
        padding: "valid" or "same"; see architecture "bpnet".
        input_length: bp.
        output_length: bp in its middle that are predicted.
        softmax: "strand" or "joint"; see architecture "bpnet".
        bias: the parameters of the bias network that differ from `channels: 128, layers: 4` and
            the main network's; a trained one (`train: bias`) brings its own.
        without_bias: predict without the bias network. Training and validation always have it,
            because what is measured has it.
    """

    channels: int = 512
    first_kernel: int = 21
    layers: int = 8
    profile_kernel: int = 75
    padding: str = VALID
    input_length: int = 2114
    output_length: int | None = 1000
    softmax: str = STRAND
    bias: Mapping[str, Any] = field(default_factory=dict)
    without_bias: bool = True

    def __post_init__(self) -> None:
        refuse_unknown("chrombpnet", "softmax", self.softmax, (STRAND, JOINT))
        known = [one.name for one in fields(BpnetParameters)]
        for name in self.bias:
            if name not in known:
                raise InputError(
                    f"chrombpnet: bias has no parameter {name!r}{nearest_clause(name, known)}"
                )
        object.__setattr__(self, "bias", plain_parameters(self._bias_network()))
        both = self.main_network, self.bias_network
        for name in _SHARED:
            main, bias = (
                one.predicted if name == "output_length" else getattr(one, name) for one in both
            )
            if main != bias:
                raise InputError(
                    f"chrombpnet: {name} is {main}, but {bias} in the bias network: train both "
                    "with the same"
                )
        if self.bias_network.control:
            raise InputError("chrombpnet: the bias network has a control: train it without one")

    def _bias_network(self) -> BpnetParameters:
        main = self.main_network
        shared = plain_parameters(main) | {"output_length": main.predicted}
        return BpnetParameters(**(shared | {"channels": 128, "layers": 4} | dict(self.bias)))

    @property
    def main_network(self) -> BpnetParameters:
        """Those of the main network."""
        own = {one.name for one in fields(BpnetParameters)} - {"control"}
        return BpnetParameters(**{name: getattr(self, name) for name in own})

    @property
    def bias_network(self) -> BpnetParameters:
        """Those of the bias network."""
        return BpnetParameters(**self.bias)


class ChromBpnet(torch.nn.Module):
    """One-hot (N, 4, L) to (N, bases, tracks), with the bias network or without."""

    def __init__(self, parameters: ChromBpnetParameters, layout: Layout) -> None:
        super().__init__()
        sizes = len(layout.partners), len(layout.experiment_of_total)
        self.network = ProfileNetwork(parameters.main_network, *sizes)
        self.bias = ProfileNetwork(parameters.bias_network, *sizes).requires_grad_(False)
        self.without_bias = parameters.without_bias
        self.whole = NotBfloat16()
        self.whole_totals = NotBfloat16()
        positions = parameters.main_network.predicted
        self.output = ExpectedCounts(positions, layout.partners, layout.totals)

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """Expected counts."""
        logits, totals = self.network(sequences)
        if not self.without_bias:
            more_logits, more_totals = self.bias(sequences)
            logits, totals = logits + more_logits, torch.logaddexp(totals, more_totals)
        return self.output(self.whole(logits), self.whole_totals(totals))


def build(parameters: ChromBpnetParameters, tracks: tuple[Track, ...], genome_build: str) -> Model:
    """An untrained model with the given tracks."""
    facts = profile_facts(parameters.main_network, tracks, genome_build)
    module = ChromBpnet(parameters, Layout.of(facts, parameters.softmax))
    return Model(module, facts, "chrombpnet", plain_parameters(parameters))


def take_bias(model: Model, bias: Model) -> None:
    """Give a model the weights of a trained bias network, which then stay as they are.

    Args:
        model: of architecture "chrombpnet", built with the bias network's parameters.
        bias: of architecture "bpnet", with the same tracks.

    Raises:
        InputError: the bias network is of another architecture or has other tracks.
    """
    if bias.architecture != "bpnet":
        raise InputError(
            f"the bias network is of architecture {bias.architecture!r}: name a replicate of an "
            "ensemble of architecture 'bpnet'"
        )
    if bias.facts.tracks != model.facts.tracks:
        raise InputError(
            f"the bias network predicts {', '.join(bias.facts.labels())}, the main one "
            f"{', '.join(model.facts.labels())}: train both on the same tracks and strands"
        )
    model.module.get_submodule("bias").load_state_dict(
        bias.module.get_submodule("network").state_dict()
    )


@contextmanager
def as_measured(module: torch.nn.Module) -> Iterator[None]:
    """Predictions have the bias inside, for any other network they stay what they are."""
    if not isinstance(module, ChromBpnet):
        yield
        return
    without_bias, module.without_bias = module.without_bias, False
    try:
        yield
    finally:
        module.without_bias = without_bias
