"""The networks of the Deep MR simulation, their training and their mutagenesis."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seqtrust.bases import Codes
from seqtrust.inference.ism import saturation
from seqtrust.models.architectures import build_model
from seqtrust.models.facts import Track
from seqtrust.models.model import Model, torch_threads
from seqtrust.models.training import train
from seqtrust.models.training_data import TRAIN, VALIDATION
from seqtrust.statistics import Floats

TRACKS = (Track("exposure", "simulation"), Track("outcome", "simulation"))
BATCH = 2000  # sequences predicted at a time
OUTPUT = {"labels": {"tracks": "all", "bins": "all", "reduction": "none"}}


@dataclass(frozen=True)
class Networks:
    """How the networks are trained; the defaults are those of the published reproducibility file.

    Attributes:
        members: replicates that are analysed.
        further: replicates beyond, for the truth of an infinite ensemble.
        convolutions: how many.
        filters: of each.
        kernel: of each, without padding, bp.
        dense: units of the two dense layers.
        epochs: at most.
        patience: epochs without a better one.
        batch_size: sequences per step.
        learning_rate: of Adam with AMSGrad, constant.
        validation: share of the sequences that chooses the epoch, drawn anew for each seed.
        threads: of torch.
        device: of torch.
    """

    members: int = 5
    further: int = 0
    convolutions: int = 3
    filters: int = 15
    kernel: int = 7
    dense: int = 30
    epochs: int = 100
    patience: int = 10
    batch_size: int = 1000
    learning_rate: float = 1e-3
    validation: float = 0.15
    threads: int = 1
    device: str = "cpu"

    def layers(self, length: int) -> list[dict[str, Any]]:
        """The network as Keras's description has it; batch norms as in torch."""
        layers: list[dict[str, Any]] = [
            {"name": "sequence", "class": "InputLayer", "shape": [length, 4]}
        ]
        for number in range(1, self.convolutions + 1):
            layers += [
                {
                    "name": f"convolution_{number}",
                    "class": "Conv1D",
                    "filters": self.filters,
                    "kernel_size": self.kernel,
                },
                {
                    "name": f"normalisation_{number}",
                    "class": "BatchNormalization",
                    "momentum": 0.9,
                    "epsilon": 1e-5,
                },
                {"name": f"relu_{number}", "class": "ReLU"},
            ]
        layers.append({"name": "flat", "class": "Flatten"})
        for number in (1, 2):
            layers.append(
                {
                    "name": f"dense_{number}",
                    "class": "Dense",
                    "units": self.dense,
                    "activation": "relu",
                }
            )
        return [*layers, {"name": "labels", "class": "Dense", "units": len(TRACKS)}]


def trained(codes: Codes, labels: Floats, settings: Networks, seed: int) -> Model:
    """One network.

    Args:
        codes: base codes, shape (N, L).
        labels: of exposure and outcome, shape (N, 2).
        settings: of the networks.
        seed: of its weights, the order of batches and its validation split.
    """
    model = build_model(
        "keras",
        {"layers": settings.layers(codes.shape[1]), "output_scale": "log_expression"},
        TRACKS,
        "",
    )
    validating = np.random.default_rng([seed, 1]).random(len(codes)) < settings.validation
    train(
        model,
        codes,
        labels[:, None].astype(np.float32),
        np.where(validating, VALIDATION, TRAIN).tolist(),
        seed=seed,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        loss="mse",
        reverse_complement=False,
        weight_decay=0.0,
        gradient_clip=1e9,
        schedule="constant",
        warm_up=0.0,
        optimiser="amsgrad",
        validation_metric="loss",
        patience=settings.patience,
        threads=settings.threads,
        device=settings.device,
    )
    return model


def predicted(model: Model, codes: Codes, settings: Networks) -> Floats:
    """Predictions in evaluation mode, shape (N, 2)."""
    with torch_threads(settings.threads):
        parts = [
            model.predict(codes[first : first + BATCH])[:, 0].cpu().numpy()
            for first in range(0, len(codes), BATCH)
        ]
    return np.concatenate(parts).astype(np.float64)


def mapped(model: Model, codes: Codes, settings: Networks) -> tuple[Floats, Floats]:
    """Saturation mutagenesis in evaluation mode.

    Returns:
        Effects (2, K, 4 L), NaN at a locus' own bases, and predictions of the loci (2, K).
    """
    maps = saturation(model, codes, OUTPUT, threads=settings.threads, device=settings.device)
    effects = maps.effects["labels"][..., 0].astype(np.float64)
    own: npt.NDArray[np.bool_] = codes[..., None] == np.arange(4)
    effects[own] = np.nan
    flat = np.moveaxis(effects.reshape(len(codes), -1, 2), -1, 0)
    return flat, maps.references["labels"][..., 0].astype(np.float64).T
