"""Optimisers by name."""

from collections.abc import Callable, Iterable
from typing import Any

import torch

ADAMW, ADAM, AMSGRAD, SGD = "adamw", "adam", "amsgrad", "sgd"
OPTIMISERS = (ADAMW, ADAM, AMSGRAD, SGD)
ALL_WEIGHTS, EACH_TENSOR = "all", "each"
CLIPPED = (ALL_WEIGHTS, EACH_TENSOR)


class KerasSgd(torch.optim.Optimizer):
    """Gradient descent with momentum in Keras's form: v = m v - rate g, then w = w + v.

    torch's form, v = m v + g and w = w - rate v, is the same while the rate stays; where the
    rate changes, torch applies the new one to all gradients of the past, Keras to new ones only.

    Args:
        parameters: to be trained.
        lr: learning rate.
        momentum: m, from 0 to below 1.
        weight_decay: times the weights, added to the gradient.
    """

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move all weights that have a gradient; a closure is not called."""
        for group in self.param_groups:
            for weights in group["params"]:
                if weights.grad is None:
                    continue
                state: dict[str, Any] = self.state[weights]
                velocity = state.setdefault("velocity", torch.zeros_like(weights))
                gradient = weights.grad.add(weights, alpha=group["weight_decay"])
                velocity.mul_(group["momentum"]).add_(gradient, alpha=-group["lr"])
                weights.add_(velocity)


def make_optimiser(
    name: str,
    parameters: Iterable[torch.nn.Parameter],
    *,
    learning_rate: float,
    weight_decay: float,
    momentum: float,
    epsilon: float,
) -> torch.optim.Optimizer:
    """The optimiser of a name.

    Args:
        name: one of `OPTIMISERS`.
        parameters: to be trained.
        learning_rate: at the top of the schedule.
        weight_decay: decoupled from the gradient in AdamW, part of the gradient in the others.
        momentum: of "sgd".
        epsilon: of all but "sgd", added to the root of the second moment.
    """
    if name == SGD:
        return KerasSgd(parameters, learning_rate, momentum, weight_decay)
    kind = torch.optim.AdamW if name == ADAMW else torch.optim.Adam
    return kind(
        parameters,
        lr=learning_rate,
        weight_decay=weight_decay,
        eps=epsilon,
        amsgrad=name == AMSGRAD,
    )


def clip_gradients(parameters: Iterable[torch.nn.Parameter], largest: float, of: str) -> None:
    """Shorten gradients in place to a largest norm.

    Args:
        parameters: with gradients.
        largest: norm that stays.
        of: "all" weights together, or "each" tensor by itself, as Keras's `clipnorm` has it.
    """
    if of == ALL_WEIGHTS:
        torch.nn.utils.clip_grad_norm_(parameters, largest)
        return
    for weights in parameters:
        torch.nn.utils.clip_grad_norm_([weights], largest)
