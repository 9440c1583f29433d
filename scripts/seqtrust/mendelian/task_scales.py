"""The scale that effects of tasks are taken on, and tasks that are means of tracks."""

from collections.abc import Mapping, Sequence

import numpy as np

from seqtrust.errors import InputError, nearest_clause
from seqtrust.statistics import Floats

SCALES = ("identity", "log", "log2p1", "anscombe", "logit")


def on_scale(values: Floats, scale: str, what: str) -> Floats:
    """Predictions or measurements on a scale.

    Args:
        values: any shape; NaN stays.
        scale: `identity`; `log`, natural; `log2p1`, log2(1 + x); `anscombe`, 2 sqrt(x + 3/8), of
            counts; `logit`, of probabilities.
        what: what the values are, for the message.

    Raises:
        InputError: a value that the scale does not have.
    """
    lowest = {"log": 0.0, "logit": 0.0, "log2p1": -1.0, "anscombe": -0.375}
    number = np.asarray(values, dtype=np.float64)
    if scale in lowest and (number <= lowest[scale]).any():
        raise InputError(
            f"{what} of {np.nanmin(number):.4g} have no value on the scale {scale}, which needs "
            f"more than {lowest[scale]:g}: choose another scale"
        )
    if scale == "logit" and (number >= 1).any():
        raise InputError(
            f"{what} of {np.nanmax(number):.4g} have no value on the scale logit, which needs "
            "probabilities below 1: choose another scale"
        )
    if scale == "log":
        return np.log(number)
    if scale == "log2p1":
        return np.log1p(number) / np.log(2)
    if scale == "anscombe":
        return 2 * np.sqrt(number + 0.375)
    return np.log(number / (1 - number)) if scale == "logit" else number


def task_means(
    values: Floats, tracks: Sequence[str], of: Mapping[str, Sequence[str]] | None, where: str
) -> tuple[tuple[str, ...], Floats]:
    """Names of the tasks, and their values: means of tracks on the scale.

    Args:
        values: on the scale, shape (..., tracks).
        tracks: names.
        of: tracks of every task, such as the two strands of an experiment; None: every track is a
            task.
        where: part of the config, for the message.

    Returns:
        Tasks, and values of shape (..., tasks); NaN where a track is.

    Raises:
        InputError: an unknown track.
    """
    if of is None:
        return tuple(tracks), values
    places = {track: place for place, track in enumerate(tracks)}
    for task, names in of.items():
        for name in names:
            if name not in places:
                nearest = nearest_clause(name, list(tracks))
                raise InputError(f"{where}: task {task!r} is of track {name!r}, which the output "
                                 f"has not{nearest}")  # fmt: skip
    means = [values[..., [places[name] for name in names]].mean(axis=-1) for names in of.values()]
    return tuple(of), np.stack(means, axis=-1)
