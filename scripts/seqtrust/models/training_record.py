"""How a model's weights came about, for its card."""

from dataclasses import asdict, dataclass, field
from typing import Any

from seqtrust.models.training_settings import Seeds


@dataclass(frozen=True)
class TrainingRecord:
    """How a model's weights came about; equal runs give equal records.

    Attributes:
        seed: the one seed, or None where the four were given separately.
        seeds: the four seeds that were used.
        epochs: epochs run, those of fine-tuning included, as in all that is per epoch.
        best_epoch: whose weights were kept, counted from 1; of fine-tuning where there is one.
        train_loss: mean loss per epoch, shape (epochs,).
        validation_loss: mean loss per epoch, shape (epochs,), of "beta_nll" the likelihood; None
            where it is not finite.
        validation_r: mean Pearson r over target tracks per epoch, shape (epochs,).
        validation_auroc: mean AUROC over target tracks per epoch where it chose the epoch, else
            empty.
        best_validation_r_per_track: Pearson r of every target track in the best epoch; None
            where the track or its prediction does not vary.
        windows: number of windows per split.
        data_sha256: digest of codes, targets and splits, and of what else is known of windows.
        settings: the arguments that shape training.
        control: names of the tracks that the network read.
        torch_version: version of torch.
        origin: "training".
        group_weights: of group DRO, by name of the group, after the last step.
    """

    seed: int | None
    seeds: Seeds
    epochs: int
    best_epoch: int
    train_loss: list[float]
    validation_loss: list[float | None]
    validation_r: list[float]
    validation_auroc: list[float]
    best_validation_r_per_track: dict[str, float | None]
    windows: dict[str, int]
    data_sha256: str
    settings: dict[str, Any]
    control: list[str]
    torch_version: str
    origin: str = "training"
    group_weights: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, for a model card."""
        return asdict(self)
