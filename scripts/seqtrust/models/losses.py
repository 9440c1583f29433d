"""Losses of predictions (N, bins, tracks) against targets (N, bins, target tracks).

Here are those of points, and the choice by name; those of variances are in `variance_losses`.
"""

import torch
import torch.nn.functional as functional

from seqtrust.errors import InputError
from seqtrust.models.activations import before_output
from seqtrust.models.facts import ALEATORIC, EPISTEMIC, EVIDENCE, Facts
from seqtrust.models.loss import Loss
from seqtrust.models.variance_losses import (
    BetaNll,
    Distillation,
    Evidential,
    EvidentialTracks,
    GaussianNll,
    StudentNll,
)

EVIDENCE_WEIGHT, SMALLEST_SPREAD = 0.01, 1e-3
MULTINOMIAL, MULTINOMIAL_JOINT = "multinomial_counts", "multinomial_counts_joint"
POINT_LOSSES = ("poisson", "mse", "bce", MULTINOMIAL, MULTINOMIAL_JOINT)
DISTILLATION = "distillation"
GAUSSIAN_LOSSES = ("gaussian_nll", "beta_nll", DISTILLATION)
EVIDENTIAL, STUDENT = "evidential", "student_nll"
EVIDENTIAL_LOSSES = (EVIDENTIAL, STUDENT)
LOSSES = POINT_LOSSES + GAUSSIAN_LOSSES + EVIDENTIAL_LOSSES
_SCALES = {
    "poisson": "counts",
    "bce": "probability",
    MULTINOMIAL: "counts",
    MULTINOMIAL_JOINT: "counts",
}


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

    def filled(
        self, predictions: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Positions that are missing have no counts, and are expected to have none."""
        expected = torch.where(torch.isnan(targets), 0.0, predictions[..., self.tracks])
        places = torch.tensor(self.tracks, device=predictions.device)
        return super().filled(predictions.index_copy(2, places, expected), targets)

    def _term(self, expected: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Of (N, positions) each; (N,)."""
        predicted, total = expected.sum(dim=1), counts.sum(dim=1)
        floored = expected.clamp(min=self.smallest)
        log_p = torch.log(floored) - torch.log(floored.sum(dim=1, keepdim=True))
        constant = torch.lgamma(total.double() + 1) - torch.lgamma(counts.double() + 1).sum(dim=1)
        profile = -(constant.to(expected.dtype) + (counts * log_p).sum(dim=1))
        return profile + self.count_weight * (torch.log1p(predicted) - torch.log1p(total)) ** 2


def make_loss(
    name: str,
    facts: Facts,
    *,
    beta: float,
    masked: bool,
    count_weight: float = 1.0,
    evidence_weight: float = EVIDENCE_WEIGHT,
    smallest_spread: float = SMALLEST_SPREAD,
) -> Loss:
    """The loss of a name for a model with these facts.

    Args:
        name: one of `LOSSES`.
        facts: of the model; they say which tracks are means and which variances.
        beta: of `beta_nll`.
        masked: leave out targets that are NaN.
        count_weight: of the multinomial losses.
        evidence_weight: of the penalty of `evidential`.
        smallest_spread: of `distillation`.

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
    if name in EVIDENTIAL_LOSSES:
        parts = (
            tuple(facts.variance_tracks(part)[mean] for mean in means)
            for part in (ALEATORIC, EPISTEMIC, EVIDENCE)
        )
        tracks = EvidentialTracks(means, *parts)
        if name == STUDENT:
            return StudentNll(tracks, masked)
        return Evidential(tracks, evidence_weight, masked)
    log_variances = tuple(facts.variance_tracks()[mean] for mean in means)
    if name == "beta_nll":
        return BetaNll(means, log_variances, beta, masked)
    if name == DISTILLATION:
        return Distillation(means, log_variances, smallest_spread, masked)
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
    return {"beta_nll": "gaussian_nll", EVIDENTIAL: STUDENT}.get(name, name)


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
    varying = facts.variance_tracks()
    evidential = facts.variance_tracks(EVIDENCE)
    if name in POINT_LOSSES and varying:
        fitting = EVIDENTIAL_LOSSES if evidential else GAUSSIAN_LOSSES
        raise InputError(
            f"loss {name!r} leaves the predicted variances untrained: use loss "
            f"{' or '.join(map(repr, fitting))}, or parameter head: point"
        )
    without = [facts.tracks[mean].name for mean in facts.target_tracks() if mean not in varying]
    if name in GAUSSIAN_LOSSES and without:
        raise InputError(
            f"loss {name!r} needs a predicted variance for every track, but {without[0]!r} has "
            "none: use parameter head: gaussian, or loss 'mse'"
        )
    if name in GAUSSIAN_LOSSES and evidential:
        raise InputError(
            f"loss {name!r} leaves the parts of an evidential head's variance untrained: use loss "
            f"{' or '.join(map(repr, EVIDENTIAL_LOSSES))}, or parameter head: gaussian"
        )
    if name in EVIDENTIAL_LOSSES and not evidential:
        raise InputError(
            f"loss {name!r} needs the tracks of an evidential head: use parameter head: "
            "evidential, or another loss"
        )
