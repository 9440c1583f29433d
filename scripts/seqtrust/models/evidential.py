"""Evidential heads: a mean whose own distribution is predicted as well (Amini et al. 2020).

A measurement is normal with mean m and variance s, s is inverse gamma (alpha, beta) and m normal
with mean `gamma` and variance s / nu. Then the noise to be expected, E s = beta / (alpha - 1), is
the aleatoric variance, that of m, beta / (nu (alpha - 1)), the epistemic one, and a measurement is
distributed as Student's t with 2 alpha degrees of freedom around gamma, whose variance is their
sum. Tracks are natural logarithms of the three variances and of alpha - 1, which tell all four
numbers.
"""

import torch
import torch.nn.functional as functional

from seqtrust.models.facts import (
    ALEATORIC,
    ALL_VARIANCE,
    EPISTEMIC,
    EVIDENCE,
    Track,
    with_variances,
)

_PARTS = {
    ALL_VARIANCE: "log_variance",
    ALEATORIC: "log_aleatoric",
    EPISTEMIC: "log_epistemic",
    EVIDENCE: "log_evidence",
}
# softplus of a very negative number would be 0, which has no logarithm
_SMALLEST = 1e-6


class NormalInverseGamma(torch.nn.Module):
    """Free numbers of every track to its mean and the logarithms of its variances.

    nu, alpha - 1 and beta are softplus of what the network gives, as published.

    Args:
        means: number of tracks that are means, T.
    """

    PER_MEAN = len(_PARTS) + 1
    FREE = 4

    def __init__(self, means: int) -> None:
        super().__init__()
        self.means = means

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, 4 T, bins) to (N, 5 T, bins): means, then log variances, whole and in parts."""
        count = self.means
        log_nu = _log_softplus(values[:, count : 2 * count])
        log_evidence = _log_softplus(values[:, 2 * count : 3 * count])
        log_beta = _log_softplus(values[:, 3 * count :])
        aleatoric = log_beta - log_evidence
        epistemic = aleatoric - log_nu
        whole = torch.logaddexp(aleatoric, epistemic)
        return torch.cat([values[:, :count], whole, aleatoric, epistemic, log_evidence], dim=1)


def _log_softplus(values: torch.Tensor) -> torch.Tensor:
    return torch.log(functional.softplus(values) + _SMALLEST)


def with_evidence(tracks: tuple[Track, ...]) -> tuple[Track, ...]:
    """Target tracks, followed by the log variances of each: whole, parts, evidence.

    Tracks that hold them already (those of a model's card) come back as they are.

    Raises:
        InputError: there are variances, but not those of this head in its order.
    """
    return with_variances(
        tracks, _PARTS, "an evidential head predicts all means, then their variances"
    )
