"""Batch norms in pieces of one window, over which some of them cannot be computed."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from seqtrust.errors import InputError
from seqtrust.models.model import evaluation
from seqtrust.models.training_settings import TrainingSettings


class WindowNorms:
    """The batch norms of a network in which one is over windows alone.

    Such a norm, for instance behind a dense layer, has one value per channel and window, hence
    no variance over a single window. Networks without one need no care.

    Args:
        module: of the run.
        example: one-hot (1, 4, L) and whatever else the network takes.
    """

    def __init__(self, module: torch.nn.Module, example: tuple[torch.Tensor, ...]) -> None:
        norms = [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]
        self.norms = norms if norms and _one_value(module, norms, example) else []

    @contextmanager
    def shown(self, windows: int) -> Iterator[None]:
        """Inside, all batch norms use their running statistics where a window is alone.

        Args:
            windows: of the piece.
        """
        held = [layer for layer in self.norms if layer.training] if windows == 1 else []
        for layer in held:
            layer.eval()
        try:
            yield
        finally:
            for layer in held:
                layer.train()

    def refuse_lone_windows(self, settings: TrainingSettings, windows: int) -> None:
        """Nothing, or an error where the norms would never see two windows together.

        Args:
            settings: of the run.
            windows: of an epoch, over all processes.

        Raises:
            InputError: every piece of every step is one window.
        """
        pieces = settings.processes * settings.accumulate
        if self.norms and min(settings.batch_size, windows) <= pieces:
            raise InputError(
                f"batch_size {settings.batch_size}, accumulate {settings.accumulate} and "
                f"processes {settings.processes} show every one of {windows} training windows "
                "alone, but the network has a batch norm over windows: it needs a batch_size, "
                f"and training windows, above accumulate x processes = {pieces}"
            )


def _one_value(
    module: torch.nn.Module, norms: list[_BatchNorm], example: tuple[torch.Tensor, ...]
) -> bool:
    """Whether a norm gets one value per channel of a window."""
    values: list[int] = []
    hooks = [
        layer.register_forward_pre_hook(
            lambda _, inputs: values.append(inputs[0].numel() // inputs[0].shape[1])
        )
        for layer in norms
    ]
    try:
        with evaluation(module), torch.no_grad():
            module(*example)
    finally:
        for hook in hooks:
            hook.remove()
    return 1 in values
