"""What attribution maps explain: one number per track of a sequence, the logit of probabilities."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from seqtrust.bases import LETTERS, Codes
from seqtrust.errors import InputError
from seqtrust.inference.masks import Masks, places_of
from seqtrust.models.activations import LogOdds, before_output
from seqtrust.models.keras_network import KerasNetwork
from seqtrust.models.model import Model, evaluation, exact_float32, other_strand, torch_threads
from seqtrust.models.pangolin import Pangolin
from seqtrust.outputs import region_of_sequences
from seqtrust.predictions import OutputSpec

Interval = tuple[int, int]
Doubles = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

# bases of a forward and backward pass: what it keeps for the latter is many times as large
_BASES = {"cpu": 65_536, "cuda": 1_048_576}
_SAME = 1e-4


class Logit(torch.nn.Module):
    """A network with the logit taken of the probabilities that it gives."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """One-hot (N, 4, L) to logits (N, bins, tracks)."""
        logits: torch.Tensor = torch.logit(self.network(sequences))
        return logits


def explained_model(model: Model, length: int) -> tuple[Model, str]:
    """The model whose output is explained, and how it was made.

    A probability near 0 or 1 hardly changes, whatever the sequence, so its logit is explained,
    taken from before the last activation. Where that cannot be found, as in some networks of the
    user's own, it is the logit of the probability, which is infinite where that rounds to 0 or 1.

    Args:
        model: one replicate.
        length: of the sequences, bp.
    """
    if model.facts.output_scale != "probability":
        return model, "output"
    network = _without_last_activation(model.module)
    if network is not None:
        logits = replace(model, module=network)
        codes = np.random.default_rng(0).integers(0, 4, (2, length)).astype(np.uint8)
        found, given = torch.sigmoid(logits.predict(codes)), model.predict(codes)
        if torch.allclose(found, given, rtol=_SAME, atol=_SAME):
            return logits, "logit, from before the last activation"
    return replace(model, module=Logit(model.module)), "logit of the predicted probability"


def _without_last_activation(module: torch.nn.Module) -> torch.nn.Module | None:
    """A network with the same layers but its last sigmoid or softmax; None if there is none."""
    if isinstance(module, Pangolin):
        return _with(module, softmax=LogOdds(1), sigmoid=torch.nn.Identity())
    if isinstance(module, KerasNetwork):
        last = module.layers[-1]
        *before, activation = last if isinstance(last, torch.nn.Sequential) else [last]
        logits = _logits_for(activation)
        if logits is None:
            return None
        rest = [*module.layers][:-1]
        return _with(
            module, layers=torch.nn.ModuleList([*rest, torch.nn.Sequential(*before, logits)])
        )
    output = dict(module.named_children()).get("output")
    if isinstance(output, torch.nn.Sigmoid):
        return before_output(module)
    logits = _logits_for(output)
    return None if logits is None else _with(module, output=logits)


def _logits_for(activation: torch.nn.Module | None) -> torch.nn.Module | None:
    if isinstance(activation, torch.nn.Sigmoid):
        return torch.nn.Identity()
    if isinstance(activation, torch.nn.Softmax) and activation.dim is not None:
        return LogOdds(activation.dim)
    return None


def _with(module: torch.nn.Module, **layers: torch.nn.Module) -> torch.nn.Module:
    """A network with some layers replaced; the others are the same objects."""
    changed = copy.copy(module)
    changed._modules = {**module._modules, **layers}
    return changed


class View:
    """One strand of sequences, and what a network says of it: one number per track.

    Attributes:
        model: whose output is explained.
        output: what is explained, reduced to one number per track.
        length: of the sequences, bp.
        turned: the network is shown the reverse complements.
        kept: positions [first, stop) of what is shown that maps hold.
    """

    def __init__(
        self, model: Model, output: OutputSpec, length: int, region: Interval, turned: bool
    ) -> None:
        self.model = model
        self.output = output
        self.length = length
        self.turned = turned
        self.kept = (length - region[1], length - region[0]) if turned else region
        self.masks = Masks(model, length)
        self._swapped = model.facts.swapped_tracks()
        self._channels = [model.facts.alphabet.index(letter) for letter in LETTERS[:4]]

    @property
    def at_once(self) -> int:
        """Sequences of one forward and backward pass."""
        return max(1, _BASES[self.model.device.type] // self.length)

    @property
    def tracks(self) -> int:
        """Numbers per sequence."""
        return len(self.output.tracks)

    def place(self, where: Sequence[tuple[int, str]]) -> None:
        """Say where the sequences of the next passes lie; it matters to fixed masks alone.

        Args:
            where: (start, strand) of each, or of the one that all of them are made of.
        """
        if self.masks:
            self.masks.place(places_of(where), self.turned)

    def encode(self, codes: Codes) -> torch.Tensor:
        """What the network sees of codes (N, L): (N, 4, L), on its device."""
        shown = torch.from_numpy(np.ascontiguousarray(codes)).to(self.model.device)
        return self.model.encode(shown)

    def values(self, inputs: torch.Tensor) -> torch.Tensor:
        """What is explained, float64 (N, tracks), of inputs (N, 4, L)."""
        predictions = self.model.module(inputs)
        if self.turned:
            predictions = other_strand(predictions, self._swapped)
        kept = predictions[:, list(self.output.bins)][..., list(self.output.tracks)].double()
        return kept.mean(dim=1) if self.output.reduction == "mean" else kept.sum(dim=1)

    def gradients(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Values float64 (N, tracks), and their gradients (N, tracks, 4, L) by input channel."""
        leaf = inputs.detach().requires_grad_()
        with torch.enable_grad(), _gradients_of_recurrence(self.model.module):
            values = self.values(leaf)
            found = [
                torch.autograd.grad(values[:, track].sum(), leaf, retain_graph=True)[0]
                for track in range(self.tracks)
            ]
        return values.detach(), torch.stack(found, dim=1)

    def kept_bases(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (..., 4, L) by input channel to kept positions by A, C, G, T: (..., P, 4)."""
        first, stop = self.kept
        return maps[..., self._channels, first:stop].transpose(-1, -2)

    def turned_back(self, maps: Singles) -> Singles:
        """Maps (..., P, 4) in the orientation of the sequence."""
        return maps[..., ::-1, ::-1] if self.turned else maps


def views(
    model: Model, output: OutputSpec, length: int, region: Interval, reverse_complement: bool
) -> list[View]:
    """The strands that maps are averaged over."""
    strands = (False, True) if reverse_complement else (False,)
    return [View(model, output, length, region, turned) for turned in strands]


def checked_region(
    model: Model,
    output: OutputSpec,
    length: int,
    region: Interval | None,
    reverse_complement: bool,
) -> Interval:
    """The kept positions of what can be explained.

    Raises:
        InputError: the output is not one number per track, the region is no part of the
            sequences, or strands of a model that reads the transcribed one are averaged.
    """
    if output.shape[1] > 1:
        raise InputError(
            f"output {output.name!r} has {output.shape[1]} bins per track, and an attribution is "
            "of one number: choose an output with reduction sum or mean, or with one bin"
        )
    kept = region_of_sequences(region, length)
    if reverse_complement and model.facts.strand_specific:
        raise InputError(
            f"architecture {model.architecture!r} reads the transcribed strand, so the mean over "
            "both strands means nothing: set reverse_complement of the attribution to false"
        )
    return kept


@contextmanager
def explaining(model: Model, threads: int, device: torch.device) -> Iterator[None]:
    """Inside, the network is on the device, in evaluation mode and exact float32."""
    before = model.device
    with torch_threads(threads), exact_float32(), evaluation(model.module):
        try:
            model.to(device)
            yield
        finally:
            model.to(before)


def _gradients_of_recurrence(module: torch.nn.Module) -> AbstractContextManager[None]:
    """Without cuDNN where there is an LSTM, which it differentiates in training mode alone."""
    recurs = any(isinstance(layer, torch.nn.RNNBase) for layer in module.modules())
    without: AbstractContextManager[None] = torch.backends.cudnn.flags(enabled=False)
    return without if recurs else nullcontext()
