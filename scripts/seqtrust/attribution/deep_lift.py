"""Maps of DeepLIFT/SHAP by tangermeme, with rules for the layers of this project."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from seqtrust.attribution.explained import View
from seqtrust.attribution.gradients import Made, predicted, to_numpy, to_singles
from seqtrust.attribution.path_gradients import completeness_errors, scale_of_change
from seqtrust.bases import Codes
from seqtrust.errors import InputError
from seqtrust.models import keras_layers
from seqtrust.models.activations import Exponential, LogOdds, NotBfloat16
from seqtrust.models.bpnet import ExpectedCounts
from seqtrust.models.fixed_dropout import FixedDropout
from seqtrust.models.gaussian import MeanAndLogVariance
from seqtrust.models.whole_sequence import WholeSequence
from seqtrust.sources.shuffled import dinucleotide_shuffle

Hooked = tuple[torch.Tensor, ...]
Rule = Callable[[torch.nn.Module, Hooked, Hooked], Hooked]

# layers whose ordinary gradient is that of DeepLIFT
LINEAR: tuple[type[torch.nn.Module], ...] = (
    torch.nn.Identity,
    torch.nn.Sequential,
    torch.nn.ModuleList,
    torch.nn.Conv1d,
    torch.nn.ConvTranspose1d,
    torch.nn.Linear,
    torch.nn.BatchNorm1d,
    torch.nn.AvgPool1d,
    torch.nn.AdaptiveAvgPool1d,
    torch.nn.Dropout,
    torch.nn.Flatten,
    torch.nn.Unflatten,
    torch.nn.ConstantPad1d,
    NotBfloat16,
    FixedDropout,
    keras_layers.SamePadding,
    keras_layers.GlobalAverage,
    keras_layers.Flatten,
    keras_layers.Crop,
    keras_layers.Constant,
    keras_layers.Concatenate,
    keras_layers.Add,
)
# layers that tangermeme has rules for
KNOWN: tuple[type[torch.nn.Module], ...] = (
    torch.nn.ReLU,
    torch.nn.ReLU6,
    torch.nn.LeakyReLU,
    torch.nn.PReLU,
    torch.nn.ELU,
    torch.nn.CELU,
    torch.nn.SELU,
    torch.nn.GELU,
    torch.nn.SiLU,
    torch.nn.Mish,
    torch.nn.Sigmoid,
    torch.nn.LogSigmoid,
    torch.nn.Tanh,
    torch.nn.Softplus,
    torch.nn.Softshrink,
    torch.nn.Softmax,
    torch.nn.MaxPool1d,
    torch.nn.LayerNorm,
)
# layers that do more than the layers that they are made of
OPAQUE = (WholeSequence, ExpectedCounts)
# a difference of inputs below which the slope is the derivative
_FLAT = 1e-6


def own_rules() -> dict[type[torch.nn.Module], Rule]:
    """Rules of layers that tangermeme does not know."""
    from tangermeme.deep_lift_shap import integrated_gradients_op

    elementwise = (
        Exponential,
        MeanAndLogVariance,
        keras_layers.SigmoidGelu,
        torch.nn.Threshold,
        torch.nn.Hardsigmoid,
    )
    return dict.fromkeys(elementwise, rescale) | {
        keras_layers.GlobalMax: global_max,
        LogOdds: integrated_gradients_op(K=16),
    }


def rescale(module: torch.nn.Module, grad_input: Hooked, grad_output: Hooked) -> Hooked:
    """The slope between reference and sequence in place of the derivative (Shrikumar et al. 2017).

    Args:
        module: with its `input` and `output`, sequences in the first half of the rows and their
            references in the second.
        grad_input: by the derivative.
        grad_output: of what follows.
    """
    inputs, outputs = _pair(module.input), _pair(module.output)
    difference = inputs[0] - inputs[1]
    flat = difference.abs() < _FLAT
    slope = (outputs[0] - outputs[1]) / difference.masked_fill(flat, 1.0)
    both, slopes = torch.cat([flat, flat]), torch.cat([slope, slope])
    return (torch.where(both, grad_input[0], grad_output[0] * slopes),)


def global_max(module: torch.nn.Module, grad_input: Hooked, grad_output: Hooked) -> Hooked:
    """A maximum over positions, as pooling over all of them at once.

    From the reference up to the larger of both maxima, the change is that of the position of the
    sequence's maximum; from there to the sequence's, that of the reference's.
    """
    first, second = _pair(module.input)
    highest, at = first.max(dim=-1, keepdim=True)
    lowest, there = second.max(dim=-1, keepdim=True)
    larger = torch.maximum(highest, lowest)
    difference = first - second
    unchanged = difference == 0
    halves = []
    for gradient, plain in zip(_pair(grad_output[0]), _pair(grad_input[0]), strict=True):
        routed = torch.zeros_like(first)
        routed.scatter_add_(-1, at, gradient[..., None] * (larger - lowest))
        routed.scatter_add_(-1, there, gradient[..., None] * (highest - larger))
        halves.append(torch.where(unchanged, plain, routed / difference.masked_fill(unchanged, 1)))
    return (torch.cat(halves),)


def refuse_without_rule(
    module: torch.nn.Module, architecture: str, rules: Mapping[type[torch.nn.Module], Rule]
) -> None:
    """Nothing, or an error that names the layer whose contributions would be wrong.

    Raises:
        InputError: a layer attends, recurs, shares out counts or is not known.
    """
    # a subclass of a layer with a rule may do anything
    known = {*KNOWN, *rules}
    for name, layer in module.named_modules():
        looked_into = any(layer.children()) and not isinstance(layer, OPAQUE)
        if looked_into or type(layer) in known or isinstance(layer, LINEAR):
            continue
        raise InputError(
            f"deep_lift_shap: architecture {architecture!r} has the layer {name or 'network'!r} "
            f"({type(layer).__name__}), for which DeepLIFT has no rule, so that its maps would be "
            "wrong without a sign of it: use integrated_gradients, expected_gradients or ism"
        )


def deep_lift_shap(
    view: View,
    codes: Codes,
    rng: np.random.Generator,
    references: int,
    rules: Mapping[type[torch.nn.Module], Rule],
) -> Made:
    """DeepLIFT against dinucleotide-shuffled references, averaged (Lundberg and Lee 2017).

    The entry of a base is what it would contribute in the place of the one that is there: the
    multiplier times its difference from the reference.

    Args:
        view: strand and network.
        codes: of one sequence as shown, (L,).
        rng: of the references.
        references: their number.
        rules: beside those of tangermeme; of all layers that are not linear.
    """
    shown = view.encode(codes[None])
    others = view.encode(np.stack([dinucleotide_shuffle(codes, rng) for _ in range(references)]))
    multipliers = _multipliers(view, shown, others, rules).double()
    values, at_references = predicted(view, shown), predicted(view, others)
    scale = scale_of_change(view, codes, rng, values, at_references)
    errors = completeness_errors(
        multipliers, (shown - others).double(), values - at_references, scale
    )
    base_there = (multipliers * others.double()[:, None]).sum(dim=2, keepdim=True)
    maps = (multipliers - base_there).mean(dim=0)
    return Made(
        to_numpy(values), to_singles(view.kept_bases(maps))[None], errors=to_numpy(errors)[None]
    )


class _Numbers(torch.nn.Module):
    """The view as a network from (N, 4, L) to (N, tracks)."""

    def __init__(self, view: View) -> None:
        super().__init__()
        self.network = view.model.module
        self._view = view

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """What is explained."""
        return self._view.values(inputs)


def _multipliers(
    view: View, shown: torch.Tensor, others: torch.Tensor, rules: Mapping[Any, Rule]
) -> torch.Tensor:
    """(R, tracks, 4, L), on the view's device."""
    from tangermeme.deep_lift_shap import deep_lift_shap as tangermeme_deep_lift_shap

    network = _Numbers(view).eval()
    with warnings.catch_warnings():
        # errors are judged per sequence, in units of the change that is explained, and N is known
        warnings.simplefilter("ignore")
        found = [
            tangermeme_deep_lift_shap(
                network,
                shown,
                target=track,
                batch_size=max(1, view.at_once // 2),
                references=others[None],
                hypothetical=True,
                additional_nonlinear_ops=dict(rules),
                raw_outputs=True,
                only_warn=True,
                device=view.model.device,
            )[0]
            for track in range(view.tracks)
        ]
    return torch.stack(found, dim=1).to(shown.device)


def _pair(values: Any) -> tuple[torch.Tensor, torch.Tensor]:
    first, second = values.chunk(2)
    return first, second
