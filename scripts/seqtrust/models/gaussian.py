"""Gaussian heads: tracks of means followed by tracks of their log variances."""

import torch

from seqtrust.models.facts import ALL_VARIANCE, Track, with_variances

LOG_VARIANCE_RANGE = (-6.0, 4.0)


class MeanAndLogVariance(torch.nn.Module):
    """Leaves the first channels as means and bounds the rest, which are log variances.

    The bound is smooth: the identity near the middle of `LOG_VARIANCE_RANGE`, and with a
    gradient everywhere, so that no track sticks at an end. Targets should be standardised.

    Args:
        means: number of channels that are means.
    """

    def __init__(self, means: int) -> None:
        super().__init__()
        self.means = means

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, 2 means, bins) to the same shape."""
        low, high = LOG_VARIANCE_RANGE
        middle, half = (low + high) / 2, (high - low) / 2
        bounded = middle + half * torch.tanh((values[:, self.means :] - middle) / half)
        return torch.cat([values[:, : self.means], bounded], dim=1)


def with_log_variances(tracks: tuple[Track, ...]) -> tuple[Track, ...]:
    """Target tracks, followed by a track of log variance for each.

    Tracks that hold them already (those of a model's card) come back as they are.

    Raises:
        InputError: there are variances, but not one after all means for each in their order.
    """
    return with_variances(
        tracks,
        {ALL_VARIANCE: "log_variance"},
        "a Gaussian head predicts all means, then one log variance for each in the same order",
    )
