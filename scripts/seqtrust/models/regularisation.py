"""Regularisers of the training step that leave the network itself plain.

Noise and mixing act on the input and, through forward hooks, on the outputs of the hidden
activations; adversarial sequences replace half of the loss; spectral norms are folded into the
weights when training ends. Every draw follows from the seed, the process, the step and the part
of the batch alone, so that a run goes on from its state without a state of generators.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.utils import parametrizations, parametrize

from seqtrust.errors import InputError
from seqtrust.models.activations import ACTIVATIONS
from seqtrust.models.keras_layers import SigmoidGelu
from seqtrust.models.model import evaluation
from seqtrust.models.parameters import known_settings, refuse_negative

_ACTIVATIONS = (*ACTIVATIONS.values(), SigmoidGelu, torch.nn.LeakyReLU, torch.nn.Threshold)
_STRENGTHS = ("gaussian_noise", "manifold_noise", "mixup", "manifold_mixup", "l2")
_NORMED = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.ConvTranspose1d, torch.nn.Linear)


@dataclass(frozen=True)
class Adversarial:
    """Projected gradient ascent on the sign of the gradient (Madry et al. 2018).

    Attributes:
        epsilon: largest change of any value of the one-hot input.
        steps: of the ascent; 1 is the fast gradient sign method.
        step_size: change of every value per step.
    """

    epsilon: float = 0.1
    steps: int = 10
    step_size: float = 0.1


@dataclass(frozen=True)
class Regularisation:
    """What regularises a run; all is off by default.

    Attributes:
        gaussian_noise: standard deviation of noise added to the one-hot input.
        manifold_noise: standard deviation of noise added to the output of every hidden activation.
        mixup: alpha of Beta(alpha, alpha), from which one coefficient per batch is drawn that
            mixes windows and targets with those of another order (Zhang et al. 2018).
        manifold_mixup: the same, at the input or behind one hidden activation, drawn per step
            (Verma et al. 2019).
        spectral_norm: divide the weights of convolutions and dense layers by their largest
            singular value (Miyato et al. 2018).
        adversarial: half of the loss is that of the perturbed input.
        l2: times the sum of squares of all weights (not of biases and norms), added to the loss.
    """

    gaussian_noise: float = 0.0
    manifold_noise: float = 0.0
    mixup: float = 0.0
    manifold_mixup: float = 0.0
    spectral_norm: bool = False
    adversarial: Adversarial | None = None
    l2: float = 0.0

    def __post_init__(self) -> None:
        refuse_negative(self, _STRENGTHS, "regularisation")
        for first, second in (("mixup", "manifold_mixup"), ("adversarial", "manifold_mixup")):
            if getattr(self, first) and getattr(self, second):
                raise InputError(
                    f"regularisation: {first} and {second} do not go together: choose one"
                )
        attack = self.adversarial
        if attack and not (attack.epsilon > 0 and attack.steps >= 1 and attack.step_size > 0):
            raise InputError("regularisation: adversarial needs positive epsilon, steps, step_size")

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Regularisation":
        """From the entry of a config.

        Raises:
            InputError: an unknown name or a value that is not allowed.
        """
        settings = known_settings(cls, plain, "regularisation")
        if (attack := settings.get("adversarial")) is not None:
            parts = known_settings(Adversarial, attack, "regularisation: adversarial")
            settings["adversarial"] = Adversarial(**parts)
        return cls(**settings)


@dataclass
class Draws:
    """What is drawn for one part of a batch.

    Attributes:
        noise: generator of noise.
        coefficient: share of the windows themselves in a mixture; 1 mixes nothing.
        partners: for every window the one that it is mixed with.
        layer: None mixes the input, a number the output of that hidden activation.
    """

    noise: torch.Generator
    coefficient: float = 1.0
    partners: torch.Tensor | None = None
    layer: int | None = None

    def mixed(self, values: torch.Tensor) -> torch.Tensor:
        """Windows (n, ...) mixed with their partners."""
        if self.partners is None:
            return values
        share = self.coefficient
        return share * values + (1 - share) * values[self.partners]


class Regulariser:
    """The regularisers of one run, attached to its network.

    Args:
        settings: which ones.
        module: of the run; with spectral norms, it is changed until `fold`.
        seed: of all draws.
        rank: of the process.
        example: one-hot (1, 4, L) and whatever else the network takes, for finding out which
            activations are hidden.

    Raises:
        InputError: nothing to act on.
    """

    def __init__(
        self,
        settings: Regularisation,
        module: torch.nn.Module,
        seed: int,
        rank: int,
        example: tuple[torch.Tensor, ...],
    ) -> None:
        self.settings = settings
        self.module = module
        self.seed = seed
        self.rank = rank
        self.device = example[0].device
        self.normed: list[torch.nn.Module] = []
        self.hidden: list[torch.nn.Module] = []
        if settings.manifold_noise or settings.manifold_mixup:
            self.hidden = hidden_activations(module, example)
            if not self.hidden:
                raise InputError(
                    "regularisation: manifold_noise and manifold_mixup act behind hidden "
                    "activations, but the network has none that is a module"
                )
        if settings.spectral_norm:
            self.normed = [
                layer
                for layer in module.modules()
                if isinstance(layer, _NORMED) and layer.weight.requires_grad
            ]
            with torch.random.fork_rng(devices=[self.device] * (self.device.type == "cuda")):
                torch.manual_seed(self._sequence(0).generate_state(1)[0].item())
                for layer in self.normed:
                    parametrizations.spectral_norm(layer)

    def draw(self, step: int, piece: int, windows: int) -> Draws | None:
        """What is drawn for the windows of one part of a step; None where nothing is."""
        settings = self.settings
        alpha = settings.mixup or settings.manifold_mixup
        if not (alpha or settings.gaussian_noise or settings.manifold_noise):
            return None
        random = np.random.default_rng(self._sequence(1, self.rank, step, piece))
        noise = torch.Generator(self.device).manual_seed(int(random.integers(2**63)))
        if not alpha:
            return Draws(noise)
        draws = Draws(noise, float(random.beta(alpha, alpha)))
        draws.partners = torch.from_numpy(random.permutation(windows)).to(self.device)
        if settings.manifold_mixup:
            layer = int(random.integers(-1, len(self.hidden)))
            draws.layer = None if layer < 0 else layer
        return draws

    def shown(self, inputs: torch.Tensor, draws: Draws | None) -> torch.Tensor:
        """One-hot inputs (n, 4, L) as the network gets to see them."""
        if draws is None:
            return inputs
        if draws.layer is None:
            inputs = draws.mixed(inputs)
        return self._noisy(inputs, self.settings.gaussian_noise, draws)

    @contextmanager
    def hooked(self, draws: Draws | None) -> Iterator[None]:
        """Noise and mixing behind hidden activations inside."""
        if draws is None or not self.hidden:
            yield
            return
        hooks = [
            layer.register_forward_hook(self._hook(number, draws))
            for number, layer in enumerate(self.hidden)
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _hook(self, number: int, draws: Draws) -> Callable[..., torch.Tensor]:
        def change(_: torch.nn.Module, __: Any, output: torch.Tensor) -> torch.Tensor:
            if draws.layer == number:
                output = draws.mixed(output)
            return self._noisy(output, self.settings.manifold_noise, draws)

        return change

    @staticmethod
    def _noisy(values: torch.Tensor, deviation: float, draws: Draws) -> torch.Tensor:
        if not deviation:
            return values
        noise = torch.empty_like(values, dtype=torch.float32, requires_grad=False)
        noise.normal_(0, deviation, generator=draws.noise)
        return values + noise.to(values.dtype)

    def perturbed(
        self, inputs: torch.Tensor, loss: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """Inputs within epsilon of the given ones whose loss is higher.

        The network is in evaluation mode meanwhile, so that norms and dropout take no notice.

        Args:
            inputs: (n, 4, L).
            loss: of inputs, a scalar.
        """
        attack = self.settings.adversarial
        assert attack is not None
        change = torch.zeros_like(inputs)
        with _attacked(self.module):
            for _ in range(attack.steps):
                tried = (inputs.detach() + change).requires_grad_()
                (gradient,) = torch.autograd.grad(loss(tried), tried)
                change = (change + attack.step_size * gradient.sign()).clamp(
                    -attack.epsilon, attack.epsilon
                )
        return inputs.detach() + change

    def add_l2(self) -> None:
        """Add the gradient of the penalty to those of the loss."""
        for weights in self.module.parameters() if self.settings.l2 else ():
            if weights.ndim > 1 and weights.grad is not None:
                weights.grad.add_(weights.detach(), alpha=2 * self.settings.l2)

    def fold(self) -> None:
        """Write the normed weights into the plain network."""
        with evaluation(self.module):
            for layer in self.normed:
                parametrize.remove_parametrizations(layer, "weight")
                # the weight is last now; it was first
                for name in [name for name, _ in layer.named_parameters() if name != "weight"]:
                    others = getattr(layer, name)
                    delattr(layer, name)
                    layer.register_parameter(name, others)
        self.normed = []

    def _sequence(self, *key: int) -> np.random.SeedSequence:
        return np.random.SeedSequence(self.seed, spawn_key=key)


def hidden_activations(
    module: torch.nn.Module, example: tuple[torch.Tensor, ...]
) -> list[torch.nn.Module]:
    """Activation modules that come before the last layer with weights, in the order of a pass.

    Those of a frozen part of the network (the bias network of a ChromBPNet) are not among them.

    Args:
        module: a network.
        example: its inputs.
    """
    called: list[torch.nn.Module] = []
    frozen = _frozen_layers(module)
    hooks = [
        layer.register_forward_hook(lambda layer, *_: called.append(layer))
        for layer in module.modules()
        if layer not in frozen
        and (isinstance(layer, _ACTIVATIONS) or list(layer.parameters(recurse=False)))
    ]
    try:
        with evaluation(module), torch.no_grad():
            module(*example)
    finally:
        for hook in hooks:
            hook.remove()
    weighted = [place for place, layer in enumerate(called) if list(layer.parameters())]
    before = called[: weighted[-1]] if weighted else []
    return list(dict.fromkeys(layer for layer in before if isinstance(layer, _ACTIVATIONS)))


def _frozen_layers(module: torch.nn.Module) -> set[torch.nn.Module]:
    """All layers below one whose weights are all frozen."""
    return {
        layer
        for child in module.modules()
        if (weights := list(child.parameters())) and not any(one.requires_grad for one in weights)
        for layer in child.modules()
    }


@contextmanager
def _attacked(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode but for recurrent layers, whose gradients on a GPU need training mode."""
    modes = {layer: layer.training for layer in module.modules()}
    module.eval()
    for layer in modes:
        if isinstance(layer, torch.nn.RNNBase):
            layer.train()
    try:
        yield
    finally:
        for layer, training in modes.items():
            layer.training = training
