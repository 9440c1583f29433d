"""Where the trainer gets its windows from: memory, or files that are streamed."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch

Part = tuple[int, int]


class Batch(NamedTuple):
    """Windows of one step, or of a process's part of it.

    Attributes:
        codes: uint8 (n, L), in the orientation of the targets; n may be 0.
        targets: float32 (n, bins, T); NaN where missing.
        rows: int64 (n,), the number of each window in its split, from 0, for messages.
    """

    codes: torch.Tensor
    targets: torch.Tensor
    rows: torch.Tensor


class WindowSource(Protocol):
    """The windows of one data split; codes and targets may be on any device."""

    def __len__(self) -> int:
        """Windows of the split."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """Bases of a window, bins and tracks of its targets: L, bins, T."""
        ...

    def digest(self) -> str:
        """SHA-256 that tells these windows and targets from others; cheap where they are many."""
        ...

    def epoch_windows(self, processes: int) -> int:
        """Windows that all processes together show in an epoch; fewer than `processes` may lack.

        Args:
            processes: that share the work.
        """
        ...

    def order(self, generator: np.random.Generator) -> torch.Tensor:
        """What decides the order of one epoch, int64 (n,), n > 0; kept in the checkpoint.

        In memory a permutation of the windows, streamed a drawn seed. The order follows from it
        alone, for a given number of processes.

        Args:
            generator: the only source of what is random.
        """
        ...

    def batches(
        self, order: torch.Tensor | None, size: int, skip: int, part: Part
    ) -> Iterator[Batch]:
        """The windows of an epoch from `skip` on, a batch per step.

        With an order, a step has `size` windows over all processes (the last one of the epoch
        what is left of `epoch_windows`), and every batch is the `share` of this process, which
        may be empty: all processes see equally many batches. Without one (validation), every
        window comes once in one of the processes, as stored, in batches of at most `size`, and
        the number of batches may differ.

        Args:
            order: from `order`; None for the windows as stored.
            size: windows of a step over all processes, a multiple of their number.
            skip: windows of the epoch that are done, over all processes; whole steps.
            part: rank of this process and number of processes.
        """
        ...


def share(windows: int, part: Part) -> slice:
    """Which of the windows of a step belong to one process; the first gets most.

    Args:
        windows: of the step, over all processes.
        part: rank of the process and number of processes.
    """
    rank, processes = part
    return slice(-(-windows * rank // processes), -(-windows * (rank + 1) // processes))
