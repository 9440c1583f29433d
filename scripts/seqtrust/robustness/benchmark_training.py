"""Training one network of the benchmark on the data of a world."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from seqtrust.errors import InputError
from seqtrust.models.architectures import build_model
from seqtrust.models.facts import Track
from seqtrust.models.model import Model
from seqtrust.models.per_window import balanced_weights
from seqtrust.models.training import train
from seqtrust.models.training_checkpoint import Checkpoint
from seqtrust.models.training_data import NO_CONTROL, Control
from seqtrust.robustness.benchmark_plan import NetworkPlan
from seqtrust.robustness.conditions import Condition
from seqtrust.robustness.groups import group_columns
from seqtrust.robustness.measured_priors import prior_of
from seqtrust.robustness.stated_tables import Stated
from seqtrust.robustness.structural_priors import BESIDE, StructuralPrior, prior_parameters
from seqtrust.robustness.world_tables import TRAIN, VALIDATION, WorldTable

Floats = npt.NDArray[np.float64]

TRACK = "activity"
# in the record of a replicate
TARGET, FEATURES, KNOWN_NOISE, STUDENT = "target", "features", "known_noise", "student_of"


def train_network(
    world: WorldTable,
    plan: NetworkPlan,
    *,
    seed: int,
    prior_seed: int,
    threads: int,
    device: str,
    checkpoint: Checkpoint | None = None,
    progress: Callable[[str], None] | None = None,
    teacher: Mapping[str, Stated] | None = None,
) -> Model:
    """Train one replicate on the training data of a world.

    Measurements are standardised with mean and sd of the training data, which the record keeps.

    Args:
        world: with its data sets.
        plan: what shapes the network.
        seed: of all that is random in training.
        prior_seed: of what is known of motifs: the same for all replicates of a world.
        threads: of torch.
        device: `cpu` or `cuda`.
        checkpoint: where the state of the unfinished run is kept.
        progress: gets a line per epoch.
        teacher: predictions of the training and validation data, for a student.
    """
    conditions = world.condition(TRAIN), world.condition(VALIDATION)
    training = conditions[0]
    measured = np.concatenate([found.observed for found in conditions])
    centre, scale = float(training.observed.mean()), float(training.observed.std())
    variances: Floats | None = None
    if teacher is not None:
        measured = np.concatenate([teacher[name].mean for name in (TRAIN, VALIDATION)])
        what = "variance" if plan.variance == "total" else "epistemic"
        variances = np.concatenate([getattr(teacher[name], what) for name in (TRAIN, VALIDATION)])
    elif plan.known_noise:
        variances = np.concatenate([known_variance(found) for found in conditions])
    parameters: dict[str, Any] = {"input_length": training.sequences.shape[1], **plan.parameters}
    record: dict[str, Any] = {TARGET: {"centre": centre, "scale": scale}}
    record |= {KNOWN_NOISE: plan.known_noise, STUDENT: plan.variance}
    control, features = NO_CONTROL, np.zeros((len(measured), 0))
    if plan.prior is not None:
        prior = prior_of(world, training, prior_seed, dict(plan.prior))
        if prior.kind in BESIDE:
            parameters["control"] = len(prior.names)
            control = Control(prior.names, tuple(range(len(prior.names))))
            features = np.vstack([prior.features(found) for found in conditions])
            record[FEATURES] = {
                "kind": prior.kind,
                "names": list(prior.names),
                "centre": prior.centre.tolist(),
                "scale": prior.scale.tolist(),
            }
        else:
            parameters["prior"] = prior_parameters(prior)
    model = build_model(plan.architecture, parameters, (Track(TRACK),), "")
    targets = np.hstack([((measured - centre) / scale)[:, None], features])
    splits = [name for name, found in zip((TRAIN, VALIDATION), conditions, strict=True)
              for _ in found.observed]  # fmt: skip
    train(
        model,
        np.concatenate([found.sequences for found in conditions]),
        targets[:, None, :].astype(np.float32),
        splits,
        seed=seed,
        control=control,
        weights=_weights(plan, conditions),
        groups=_groups(plan, world, conditions),
        variances=None if variances is None else variances[:, None, None] / scale**2,
        threads=threads,
        device=device,
        checkpoint=checkpoint,
        progress=progress,
        **plan.training,
    )
    model.record = model.record | record
    return model


def known_variance(condition: Condition) -> Floats:
    """The variance of every measurement, shape (N,).

    Raises:
        InputError: an assay does not tell it.
    """
    if np.isnan(condition.sd).any():
        raise InputError(
            f"known_noise: {int(np.isnan(condition.sd).sum())} of {len(condition.sd)} measurements "
            f"of {condition.shift.label} have no standard deviation: name a column sd or "
            "observation_sd of the track, or leave known_noise out"
        )
    found: Floats = condition.sd**2
    return found


def known_features(model: Model, condition: Condition) -> Floats | None:
    """What a network reads beside a condition's sequences, shape (N, F); None if nothing."""
    known = model.record.get(FEATURES)
    if known is None:
        return None
    prior = StructuralPrior(
        known["kind"], tuple(known["names"]), (), np.array(known["centre"]),
        np.array(known["scale"]),
    )  # fmt: skip
    return prior.features(condition)


def _weights(plan: NetworkPlan, conditions: tuple[Condition, Condition]) -> Floats | None:
    if plan.weights is None:
        return None
    balanced = balanced_weights(conditions[0].gc, **plan.weights["gc"])
    unused = np.ones(len(conditions[1].gc))
    return np.concatenate([balanced.astype(np.float64), unused])


def _groups(
    plan: NetworkPlan, world: WorldTable, conditions: tuple[Condition, Condition]
) -> list[str] | None:
    if plan.groups is None:
        return None
    columns = [group_columns(found, world.edges)[plan.groups] for found in conditions]
    names: list[str] = np.concatenate(columns).tolist()
    return names
