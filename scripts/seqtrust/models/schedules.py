"""Learning rates and early stopping, as functions of what has happened so far.

Nothing here has a state of its own, so a resumed run needs only its history.
"""

import math
from collections.abc import Sequence

COSINE, PLATEAU, CONSTANT = "cosine", "plateau", "constant"
SCHEDULES = (COSINE, PLATEAU, CONSTANT)
WARM_UP = 0.05
PLATEAU_EPOCHS = 3


def rate_factor(schedule: str, step: int, steps: int, scores: Sequence[float]) -> float:
    """What the learning rate of a step is multiplied with, in (0, 1].

    Every schedule rises linearly over the first 5 % of the steps. Then "cosine" falls to 0 at
    the last step, "plateau" is halved after every 3 epochs without a better score, and
    "constant" stays.

    Args:
        schedule: one of `SCHEDULES`.
        step: from 0.
        steps: number of steps of all epochs.
        scores: of the finished epochs, larger is better.
    """
    rise = max(1, round(WARM_UP * steps))
    if step < rise:
        return (step + 1) / rise
    if schedule == PLATEAU:
        return 0.5 ** plateaus(scores)
    if schedule == CONSTANT:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def plateaus(scores: Sequence[float]) -> int:
    """How often `PLATEAU_EPOCHS` epochs in a row brought no score above all before."""
    count = waited = 0
    best = -math.inf
    for score in scores:
        waited = 0 if score > best else waited + 1
        best = max(best, score)
        if waited == PLATEAU_EPOCHS:
            count, waited = count + 1, 0
    return count


def best_epoch(scores: Sequence[float]) -> int:
    """The first epoch with the best score, from 1; 0 before the first."""
    return 1 + max(range(len(scores)), key=scores.__getitem__) if scores else 0


def stops(scores: Sequence[float], patience: int | None) -> bool:
    """Whether `patience` epochs have passed since the best one."""
    return patience is not None and len(scores) - best_epoch(scores) >= patience
