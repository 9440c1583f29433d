"""What all losses have in common: means over terms, with missing targets and weighted windows.

A loss is a mean over its terms: values, or whole profiles. Targets that are NaN are missing: where
they are masked, they take no part in the mean and have no gradient.
"""

from abc import ABC, abstractmethod

import torch


class Loss(torch.nn.Module, ABC):
    """The mean of a loss's terms, one per target unless a loss says otherwise.

    Args:
        masked: leave out targets that are NaN; without it a NaN makes the loss NaN.
    """

    def __init__(self, masked: bool = False) -> None:
        super().__init__()
        self.masked = masked

    @abstractmethod
    def terms(self, predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss of every target, in the shape of the targets."""

    def known_terms(
        self, predictions: torch.Tensor, targets: torch.Tensor, variances: torch.Tensor
    ) -> torch.Tensor:
        """The loss of every target whose variance is known, in the shape of the targets.

        Args:
            predictions: as in `terms`.
            targets: as in `terms`.
            variances: in the shape of the targets.
        """
        raise NotImplementedError(f"{type(self).__name__} has no use for known variances")

    def present(self, targets: torch.Tensor) -> torch.Tensor:
        """Which terms have a target, in the shape of the terms."""
        return ~torch.isnan(targets)

    def filled(
        self, predictions: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both without NaN; before the terms, because a NaN times zero has a gradient of NaN."""
        return predictions, torch.where(torch.isnan(targets), 0.0, targets)

    def forward(self, predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Scalar loss; 0 where no target is there."""
        if not self.masked:
            return self.terms(predictions, targets).mean()
        terms = self.terms(*self.filled(predictions, targets))
        present = self.present(targets)
        return torch.where(present, terms, 0.0).sum() / present.sum().clamp(min=1)

    def of_windows(
        self,
        predictions: torch.Tensor,
        targets: torch.Tensor,
        variances: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss of every window by itself.

        Args:
            predictions: shape (n, bins, tracks).
            targets: shape (n, bins, target tracks).
            variances: known ones of the targets, in their shape; None where they are not known.

        Returns:
            The mean over a window's terms, 0 where none is there, and the share of its terms that
            is; shape (n,) each.
        """
        there = self.present(targets)
        if self.masked:
            predictions, targets = self.filled(predictions, targets)
        if variances is None:
            terms = self.terms(predictions, targets)
        else:
            terms = self.known_terms(predictions, targets, variances)
        present = there.flatten(1)
        counts = present.sum(dim=1)
        if self.masked:
            terms = torch.where(there, terms, 0.0)
            return terms.flatten(1).sum(dim=1) / counts.clamp(min=1), counts / present.shape[1]
        return terms.flatten(1).mean(dim=1), torch.ones_like(counts, dtype=terms.dtype)

    def weighted(
        self,
        predictions: torch.Tensor,
        targets: torch.Tensor,
        weights: torch.Tensor | None = None,
        variances: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Mean over terms, those of a window with its weight; 0 where no weight is.

        Args:
            predictions: as in `of_windows`.
            targets: as in `of_windows`.
            weights: shape (n,), not negative; None for 1 each.
            variances: as in `of_windows`.
        """
        if weights is None and variances is None:
            return self(predictions, targets)
        losses, shares = self.of_windows(predictions, targets, variances)
        if weights is not None:
            shares = shares * weights
        total = shares.sum()
        return (shares * losses).sum() / torch.where(total > 0, total, 1.0)
