"""Learning rates and early stopping, as functions of what has happened so far.

Nothing here has a state of its own, so a resumed run needs only its history.
"""

import math
from collections.abc import Sequence

COSINE, PLATEAU, CONSTANT = "cosine", "plateau", "constant"
SCHEDULES = (COSINE, PLATEAU, CONSTANT)
WARM_UP = 0.05
PLATEAU_EPOCHS = 3
PLATEAU_FACTOR = 0.5


def rate_factor(
    schedule: str,
    step: int,
    steps: int,
    scores: Sequence[float],
    *,
    warm_up: float = WARM_UP,
    plateau_epochs: int = PLATEAU_EPOCHS,
    plateau_factor: float = PLATEAU_FACTOR,
) -> float:
    """What the learning rate of a step is multiplied with, in (0, 1].

    Every schedule rises linearly over the first steps. Then "cosine" falls to 0 at the last
    step, "plateau" is multiplied with a factor after every few epochs without a better score,
    and "constant" stays.

    Args:
        schedule: one of `SCHEDULES`.
        step: from 0.
        steps: number of steps of all epochs.
        scores: of the finished epochs, larger is better.
        warm_up: fraction of the steps in which the rate rises, at least one step; 0: none.
        plateau_epochs: epochs in a row without a better score that make a plateau.
        plateau_factor: what a plateau multiplies the rate with.
    """
    rise = max(1, round(warm_up * steps)) if warm_up else 0
    if step < rise:
        return (step + 1) / rise
    if schedule == PLATEAU:
        return plateau_factor ** plateaus(scores, plateau_epochs)
    if schedule == CONSTANT:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def plateaus(scores: Sequence[float], epochs: int = PLATEAU_EPOCHS) -> int:
    """How often so many epochs in a row brought no score above all before."""
    count = waited = 0
    best = -math.inf
    for score in scores:
        waited = 0 if score > best else waited + 1
        best = max(best, score)
        if waited == epochs:
            count, waited = count + 1, 0
    return count


def best_epoch(scores: Sequence[float]) -> int:
    """The first epoch with the best score, from 1; 0 before the first."""
    return 1 + max(range(len(scores)), key=scores.__getitem__) if scores else 0


def stops(scores: Sequence[float], patience: int | None) -> bool:
    """Whether `patience` epochs have passed since the best one."""
    return patience is not None and len(scores) - best_epoch(scores) >= patience
