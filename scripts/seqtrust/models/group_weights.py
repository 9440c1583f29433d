"""Group DRO: groups with a high loss gain weight in training (Sagawa et al. 2020)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

Floats = npt.NDArray[np.float64]


class GroupWeights:
    """Weights of groups, which follow their losses by exponentiated gradient ascent.

    In every step the weight of a group is multiplied by exp(step size x mean loss of its windows);
    a group that the step has not shown keeps its own. The loss is the sum of weight x mean loss
    (algorithm 1 of Sagawa et al. 2020).

    Args:
        groups: number of groups.
        step_size: of the ascent; 0 gives all groups the same weight.
    """

    def __init__(self, groups: int, step_size: float) -> None:
        self.step_size = step_size
        self.values = torch.full((groups,), 1 / groups, dtype=torch.float64)

    def loss(
        self, losses: torch.Tensor, shares: torch.Tensor, groups: torch.Tensor
    ) -> torch.Tensor:
        """The robust loss of a step; the weights have moved before.

        Args:
            losses: mean loss of every window, shape (n,).
            shares: what a window counts within its group, shape (n,).
            groups: number of its group, shape (n,).
        """
        means, there = group_means(losses, shares, groups, len(self.values))
        shown = torch.where(there, means.detach(), 0.0).double().cpu()
        moved = torch.log(self.values) + self.step_size * shown
        self.values = torch.softmax(moved, dim=0)
        return (self.values.to(losses.device, losses.dtype) * means).sum()

    def plain(self) -> list[float]:
        """For a training state."""
        return [float(value) for value in self.values]

    def restore(self, plain: Sequence[float]) -> None:
        """The inverse of `plain`."""
        self.values = torch.tensor(list(plain), dtype=torch.float64)


def group_means(
    losses: torch.Tensor, shares: torch.Tensor, groups: torch.Tensor, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean loss of every group, 0 where no window has a share, and where one has.

    Args:
        losses: shape (n,).
        shares: shape (n,).
        groups: shape (n,).
        count: number of groups.
    """
    empty = losses.new_zeros(count)
    totals = empty.index_add(0, groups, shares.to(losses.dtype))
    sums = empty.index_add(0, groups, losses * shares.to(losses.dtype))
    there = totals > 0
    return sums / torch.where(there, totals, 1.0), there


def group_sums(
    losses: torch.Tensor, shares: torch.Tensor, groups: torch.Tensor, count: int
) -> tuple[Floats, Floats]:
    """Sums of losses and of shares of every group, in double precision.

    Args:
        losses: shape (n,).
        shares: shape (n,).
        groups: shape (n,).
        count: number of groups.
    """
    places = groups.cpu().numpy()
    kept = shares.double().cpu().numpy()
    sums, totals = np.zeros(count), np.zeros(count)
    np.add.at(sums, places, kept * losses.double().cpu().numpy())
    np.add.at(totals, places, kept)
    return sums, totals
