"""Losses of predicted variances: Gaussian, evidential, and of a student of an ensemble."""

import math
from dataclasses import dataclass

import torch

from seqtrust.models.loss import Loss


class GaussianNll(Loss):
    """Gaussian negative log-likelihood, without its constant: (log v + (y - m)^2 / v) / 2.

    Args:
        means: indices of the tracks of means m, in the order of the targets.
        log_variances: for every mean the index of the track of log v (natural).
        masked: leave out targets that are NaN.
    """

    def __init__(
        self, means: tuple[int, ...], log_variances: tuple[int, ...], masked: bool = False
    ) -> None:
        super().__init__(masked)
        self.means = list(means)
        self.log_variances = list(log_variances)

    def terms(self, predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Of means and log variances."""
        log_variance = predictions[..., self.log_variances]
        error = targets - predictions[..., self.means]
        return 0.5 * (log_variance + error**2 * torch.exp(-log_variance))

    def known_terms(
        self, predictions: torch.Tensor, targets: torch.Tensor, variances: torch.Tensor
    ) -> torch.Tensor:
        """The total variance is that which is predicted plus the known one of the measurement."""
        total = torch.exp(predictions[..., self.log_variances]) + variances
        error = targets - predictions[..., self.means]
        return 0.5 * (torch.log(total) + error**2 / total)


class BetaNll(GaussianNll):
    """Gaussian terms weighted by the variance to the power of beta (Seitzer et al. 2022).

    The weight has no gradient. beta = 0 is the likelihood; beta = 1 gives the mean the gradient
    of the squared error, so that what is hard to predict is not put down to noise. The value
    itself is not least at the truth: judge models by `held_out_loss`.

    Args:
        means: as in `GaussianNll`.
        log_variances: as in `GaussianNll`.
        beta: between 0 and 1.
        masked: leave out targets that are NaN.
    """

    def __init__(
        self,
        means: tuple[int, ...],
        log_variances: tuple[int, ...],
        beta: float = 0.5,
        masked: bool = False,
    ) -> None:
        super().__init__(means, log_variances, masked)
        self.beta = beta

    def terms(self, predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Of means and log variances."""
        weight = torch.exp(self.beta * predictions[..., self.log_variances].detach())
        return weight * super().terms(predictions, targets)

    def known_terms(
        self, predictions: torch.Tensor, targets: torch.Tensor, variances: torch.Tensor
    ) -> torch.Tensor:
        """The weight is of the total variance."""
        total = torch.exp(predictions[..., self.log_variances].detach()) + variances
        return total**self.beta * super().known_terms(predictions, targets, variances)


class Distillation(GaussianNll):
    """Squared errors of a teacher's mean and of the log of its variance (DEGU, Zhou et al. 2026).

    Args:
        means: as in `GaussianNll`.
        log_variances: as in `GaussianNll`.
        smallest: standard deviations of the teacher below it count as it, so that members that
            agree exactly have a logarithm; in units of the targets.
        masked: leave out targets that are NaN.
    """

    def __init__(
        self,
        means: tuple[int, ...],
        log_variances: tuple[int, ...],
        smallest: float,
        masked: bool = False,
    ) -> None:
        super().__init__(means, log_variances, masked)
        self.smallest = smallest

    def terms(self, predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Refused: there is nothing that the variance could be learned from."""
        raise NotImplementedError("a student needs the variances of its teacher")

    def known_terms(
        self, predictions: torch.Tensor, targets: torch.Tensor, variances: torch.Tensor
    ) -> torch.Tensor:
        """Of the teacher's means (targets) and variances."""
        wanted = torch.log(variances.clamp(min=self.smallest**2))
        error = targets - predictions[..., self.means]
        return error**2 + (wanted - predictions[..., self.log_variances]) ** 2


@dataclass(frozen=True)
class EvidentialTracks:
    """Indices of what an evidential head predicts.

    Attributes:
        means: in the order of the targets.
        aleatoric: for every mean that of the log of beta / (alpha - 1).
        epistemic: for every mean that of the log of beta / (nu (alpha - 1)).
        evidence: for every mean that of ln(alpha - 1).
    """

    means: tuple[int, ...]
    aleatoric: tuple[int, ...]
    epistemic: tuple[int, ...]
    evidence: tuple[int, ...]


class StudentNll(Loss):
    """Negative log-likelihood of the Student t that an evidential head predicts.

    It is the marginal likelihood of a normal-inverse-gamma distribution, eq. 8 of Amini et al.
    (2020), with its constant.

    Args:
        tracks: where the head's numbers are.
        masked: leave out targets that are NaN.
    """

    def __init__(self, tracks: EvidentialTracks, masked: bool = False) -> None:
        super().__init__(masked)
        self.means = list(tracks.means)
        self.aleatoric, self.epistemic = list(tracks.aleatoric), list(tracks.epistemic)
        self.evidence = list(tracks.evidence)

    def terms(self, predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Of means and the logs of their variances."""
        alpha = 1 + torch.exp(predictions[..., self.evidence])
        log_nu = predictions[..., self.aleatoric] - predictions[..., self.epistemic]
        log_beta = predictions[..., self.aleatoric] + predictions[..., self.evidence]
        log_omega = math.log(2) + log_beta + torch.nn.functional.softplus(log_nu)
        squared = (targets - predictions[..., self.means]) ** 2
        return (
            0.5 * (math.log(math.pi) - log_nu)
            + torch.lgamma(alpha)
            - torch.lgamma(alpha + 0.5)
            + 0.5 * log_omega
            + (alpha + 0.5) * torch.log1p(squared * torch.exp(log_nu - log_omega))
        )


class Evidential(StudentNll):
    """The likelihood, plus a penalty on evidence where the mean is wrong: |y - m| (2 nu + alpha).

    Judge models by `held_out_loss`, which has no penalty.

    Args:
        tracks: where the head's numbers are.
        weight: of the penalty, lambda.
        masked: leave out targets that are NaN.
    """

    def __init__(self, tracks: EvidentialTracks, weight: float, masked: bool = False) -> None:
        super().__init__(tracks, masked)
        self.weight = weight

    def terms(self, predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Of means and the logs of their variances."""
        nu = torch.exp(predictions[..., self.aleatoric] - predictions[..., self.epistemic])
        alpha = 1 + torch.exp(predictions[..., self.evidence])
        error = (targets - predictions[..., self.means]).abs()
        penalty = error * (2 * nu + alpha)
        return super().terms(predictions, targets) + self.weight * penalty
