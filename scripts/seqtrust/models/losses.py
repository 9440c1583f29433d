"""Losses of predictions (N, bins, tracks) against targets (N, bins, target tracks).

A loss is a mean over its terms: values, or whole profiles. Targets that are NaN are missing: where
they are masked, they take no part in the mean and have no gradient.
"""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as functional

from seqtrust.errors import InputError
from seqtrust.models.activations import before_output
from seqtrust.models.facts import Facts

MULTINOMIAL, MULTINOMIAL_JOINT = "multinomial_counts", "multinomial_counts_joint"
POINT_LOSSES = ("poisson", "mse", "bce", MULTINOMIAL, MULTINOMIAL_JOINT)
GAUSSIAN_LOSSES = ("gaussian_nll", "beta_nll")
LOSSES = POINT_LOSSES + GAUSSIAN_LOSSES
_SCALES = {
    "poisson": "counts",
    "bce": "probability",
    MULTINOMIAL: "counts",
    MULTINOMIAL_JOINT: "counts",
}


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

    def present(self, targets: torch.Tensor) -> torch.Tensor:
        """Which terms have a target, in the shape of the terms."""
        return ~torch.isnan(targets)

    def forward(self, predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Scalar loss; 0 where no target is there."""
        if not self.masked:
            return self.terms(predictions, targets).mean()
        # the missing are replaced before the terms: a NaN times zero has a gradient of NaN
        terms = self.terms(predictions, torch.where(torch.isnan(targets), 0.0, targets))
        present = self.present(targets)
        return torch.where(present, terms, 0.0).sum() / present.sum().clamp(min=1)


class PoissonLoss(Loss):
    """Poisson negative log-likelihood, without its constant: rate - count log(rate)."""

    def __init__(self, masked: bool = False, smallest_rate: float = 1e-7) -> None:
        super().__init__(masked)
        self.smallest_rate = smallest_rate

    def terms(self, predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Of rates and counts."""
        return predictions - targets * torch.log(predictions + self.smallest_rate)


class MseLoss(Loss):
    """Squared error."""

    def terms(self, predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Of values on the scale of the targets."""
        return functional.mse_loss(predictions, targets, reduction="none")


class BceLoss(Loss):
    """Binary cross-entropy in nats; logarithms are not below -100."""

    def terms(self, predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Of probabilities and targets in [0, 1]."""
        return functional.binary_cross_entropy(predictions, targets, reduction="none")


class BceOfLogits(Loss):
    """Cross-entropy of logits, whose gradient does not vanish where a prediction is surely wrong.

    A probability in float32 is 1 from a logit of 17 on, and a sigmoid's slope there 0.
    """

    def terms(self, predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Of logits and targets in [0, 1]."""
        return functional.binary_cross_entropy_with_logits(predictions, targets, reduction="none")


class MultinomialCounts(Loss):
    """Multinomial likelihood of a profile given its total, and squared error of the log total.

    A profile is the positions of one track, or of the two strands of an experiment together. Its
    term is -log Multinomial(counts; p = predictions / their sum) + count weight x (log(1 +
    predicted total) - log(1 + total))^2 (Avsec et al. 2021). It needs nothing but expected
    counts: the two parts of the network's output are its sum and what is left of it. Positions
    that are missing leave the profile; a profile without any is no term.

    Args:
        tracks: of the predictions, the tracks that have targets, in the order of the targets.
        groups: the targets of each profile.
        count_weight: of the squared error; about a tenth of the counts that a profile has.
        masked: leave out targets that are NaN.
    """

    # log probabilities below -69 are as good as that: a softmax that underflows has no logarithm
    smallest = 1e-30

    def __init__(
        self,
        tracks: tuple[int, ...],
        groups: tuple[tuple[int, ...], ...],
        count_weight: float = 1.0,
        masked: bool = False,
    ) -> None:
        super().__init__(masked)
        self.tracks = list(tracks)
        self.groups = groups
        self.count_weight = count_weight

    def terms(self, predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss of every profile, (N, profiles)."""
        expected = predictions[..., self.tracks]
        found = [
            self._term(expected[..., list(group)].flatten(1), targets[..., list(group)].flatten(1))
            for group in self.groups
        ]
        return torch.stack(found, dim=1)

    def present(self, targets: torch.Tensor) -> torch.Tensor:
        """Which profiles have a target, (N, profiles)."""
        there = (~torch.isnan(targets)).any(dim=1)
        return torch.stack([there[:, list(group)].any(dim=1) for group in self.groups], dim=1)

    def forward(self, predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Scalar loss; 0 where no target is there."""
        if self.masked:
            expected = torch.where(torch.isnan(targets), 0.0, predictions[..., self.tracks])
            predictions = predictions.index_copy(
                2, torch.tensor(self.tracks, device=predictions.device), expected
            )
        return super().forward(predictions, targets)

    def _term(self, expected: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Of (N, positions) each; (N,)."""
        predicted, total = expected.sum(dim=1), counts.sum(dim=1)
        floored = expected.clamp(min=self.smallest)
        log_p = torch.log(floored) - torch.log(floored.sum(dim=1, keepdim=True))
        constant = torch.lgamma(total.double() + 1) - torch.lgamma(counts.double() + 1).sum(dim=1)
        profile = -(constant.to(expected.dtype) + (counts * log_p).sum(dim=1))
        return profile + self.count_weight * (torch.log1p(predicted) - torch.log1p(total)) ** 2


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


def make_loss(
    name: str, facts: Facts, *, beta: float, masked: bool, count_weight: float = 1.0
) -> Loss:
    """The loss of a name for a model with these facts.

    Args:
        name: one of `LOSSES`.
        facts: of the model; they say which tracks are means and which variances.
        beta: of `beta_nll`.
        masked: leave out targets that are NaN.
        count_weight: of the multinomial losses.

    Raises:
        InputError: an unknown name, or a loss that does not fit what the model predicts.
    """
    refuse_unfit_loss(name, facts)
    if name == "poisson":
        return PoissonLoss(masked)
    if name == "mse":
        return MseLoss(masked)
    if name == "bce":
        return BceLoss(masked)
    means = facts.target_tracks()
    if name in (MULTINOMIAL, MULTINOMIAL_JOINT):
        partners = facts.swapped_tracks()
        together = name == MULTINOMIAL_JOINT
        groups = {tuple(sorted({mean, partners[mean]} if together else {mean})) for mean in means}
        places = {mean: place for place, mean in enumerate(means)}
        profiles = tuple(tuple(places[mean] for mean in group) for group in sorted(groups))
        return MultinomialCounts(means, profiles, count_weight, masked)
    variance_of = {track.variance_of: index for index, track in enumerate(facts.tracks)}
    log_variances = tuple(variance_of[mean] for mean in means)
    if name == "beta_nll":
        return BetaNll(means, log_variances, beta, masked)
    return GaussianNll(means, log_variances, masked)


def for_training(module: torch.nn.Module, loss: Loss) -> tuple[torch.nn.Module, Loss]:
    """What is trained by: of cross-entropy the network without its sigmoid, and logits.

    Args:
        module: a network; where its last layer is a sigmoid named `output`, that is left out.
        loss: of its predictions.
    """
    if isinstance(loss, BceLoss) and isinstance(getattr(module, "output", None), torch.nn.Sigmoid):
        return before_output(module), BceOfLogits(loss.masked)
    return module, loss


def held_out_loss(name: str) -> str:
    """The loss that models trained with `name` are judged by: it is least at the truth."""
    return "gaussian_nll" if name == "beta_nll" else name


def refuse_unfit_loss(name: str, facts: Facts) -> None:
    """Nothing, or an error that says which loss or head to use instead.

    Raises:
        InputError: an unknown name, another output scale, variances that a loss does not
            use, or none where it needs them.
    """
    if name not in LOSSES:
        raise InputError(f"loss {name!r} is unknown: use one of {', '.join(LOSSES)}")
    expected = _SCALES.get(name, facts.output_scale)
    if facts.output_scale != expected:
        raise InputError(
            f"loss {name!r} needs a model that predicts {expected}, this one predicts "
            f"{facts.output_scale}: use loss 'mse' or another output"
        )
    varying = {track.variance_of for track in facts.tracks} - {None}
    if name in POINT_LOSSES and varying:
        raise InputError(
            f"loss {name!r} leaves the predicted variances untrained: use loss "
            f"{' or '.join(map(repr, GAUSSIAN_LOSSES))}, or parameter head: point"
        )
    without = [facts.tracks[mean].name for mean in facts.target_tracks() if mean not in varying]
    if name in GAUSSIAN_LOSSES and without:
        raise InputError(
            f"loss {name!r} needs a predicted variance for every track, but {without[0]!r} has "
            "none: use parameter head: gaussian, or loss 'mse'"
        )
