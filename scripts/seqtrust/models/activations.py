"""Activations by name, and what a network's outputs mean; all are modules, which can be hooked."""

import copy

import torch

from seqtrust.errors import InputError


class Exponential(torch.nn.Module):
    """exp(x), as a module so that attribution methods can hook it."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Elementwise exponential."""
        return torch.exp(values)


class NotBfloat16(torch.nn.Module):
    """Bfloat16 to float32: rates and probabilities would have three digits otherwise."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The same values, in float32 or better."""
        return values.float() if values.dtype == torch.bfloat16 else values


class LogOdds(torch.nn.Module):
    """The log odds of every class against all others, of the logits that a softmax would read.

    Of two classes it is the difference of their logits, which no sure prediction rounds away.

    Args:
        dim: axis of the classes.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Logits to log odds, of the same shape."""
        classes = values.shape[self.dim]
        if classes == 2:
            return values - values.flip(self.dim)
        every = torch.arange(classes, device=values.device)
        others = [
            torch.logsumexp(values.index_select(self.dim, every[every != one]), self.dim)
            for one in range(classes)
        ]
        return values - torch.stack(others, self.dim)


ACTIVATIONS = {
    "relu": torch.nn.ReLU,
    "gelu": torch.nn.GELU,
    "exponential": Exponential,
    "softplus": torch.nn.Softplus,
    "sigmoid": torch.nn.Sigmoid,
    "tanh": torch.nn.Tanh,
    "elu": torch.nn.ELU,
    "selu": torch.nn.SELU,
    "silu": torch.nn.SiLU,
}
OUTPUTS = {
    "softplus": (torch.nn.Softplus, "counts"),
    "sigmoid": (torch.nn.Sigmoid, "probability"),
    "identity": (torch.nn.Identity, "log_expression"),
}


def deep_activation(first: str) -> str:
    """The activation of the layers above the first: ReLU above an exponential (Koo et al. 2021)."""
    return "relu" if first == "exponential" else first


def before_output(module: torch.nn.Module) -> torch.nn.Module:
    """A network without its output: of a sigmoid that is the logit, which attributions explain.

    All layers are the network's own, so hooks and changed weights are of both. Logits are
    explained because the sigmoid's slope vanishes where a prediction is sure.

    Args:
        module: a network whose layer `output` is the last one to change values.

    Raises:
        InputError: it has no layer of this name.
    """
    layers = dict(module.named_children())
    if "output" not in layers:
        raise InputError(
            f"{type(module).__name__} has no layer named `output` that could be left out: name "
            "the last activation so"
        )
    without = copy.copy(module)
    without._modules = {**layers, "output": torch.nn.Identity()}
    return without


def refuse_unknown(architecture: str, name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Nothing, or an error that names the parameter and what it may be.

    Raises:
        InputError: `value` is not allowed.
    """
    if value not in allowed:
        raise InputError(
            f"{architecture}: {name} is {value!r}, but must be one of {', '.join(allowed)}"
        )
