"""Recalibration of the tasks of an ensemble on a split of its own, and how reliable it is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit, ndtr

from seqtrust.effects import aligned_values, facts_of
from seqtrust.errors import InputError
from seqtrust.files import write_text
from seqtrust.mendelian.effects import Flags, moderated_variance
from seqtrust.mendelian.recalibration import (
    LevelMap,
    fit_levels,
    fit_published_levels,
)
from seqtrust.mendelian.task_scales import on_scale, task_means
from seqtrust.predictions import Predictions
from seqtrust.sequence_set import SequenceSet
from seqtrust.statistics import Floats
from seqtrust.tables import dump
from seqtrust.targets import MeasuredTracks
from seqtrust.verdicts import measured_bins

KINDS = ("variance", "levels", "platt", "published")
LEVELS = np.arange(0.05, 0.96, 0.05)
LEAST = 20  # windows to fit on


@dataclass(frozen=True)
class Recalibration:
    """How the members' predictions of every task are changed.

    Attributes:
        kind: of `KINDS`.
        tasks: names, T.
        factors: of variances, (T,); ones unless the kind is `variance`.
        maps: of levels, T; empty unless the kind is `levels` or `published`.
        lines: slope and intercept on the logit scale, (T, 2); empty unless it is `platt`.
    """

    kind: str
    tasks: tuple[str, ...]
    factors: Floats
    maps: tuple[LevelMap, ...]
    lines: Floats

    def apply(self, members: Floats) -> Floats:
        """Members' predictions on the scale of the config, (E, ..., T), the last axis tasks."""
        if self.kind == "variance":
            mean = members.mean(axis=0)
            return mean + np.sqrt(self.factors) * (members - mean)
        if self.kind == "platt":
            slope, intercept = self.lines[:, 0], self.lines[:, 1]
            return expit(slope * _logit(members) + intercept)
        return np.stack([map_.apply(members[..., t]) for t, map_ in enumerate(self.maps)], axis=-1)


def fitted(kind: str, tasks: Sequence[str], members: Floats, observed: Floats) -> Recalibration:
    """Fit one kind of recalibration.

    Args:
        kind: `variance`: one factor on the (moderated) variances of a task; `levels`: quantiles,
            means kept; `platt`: a line on the logits of probabilities, for targets of 0 and 1;
            `published`: the map of the published code, of intervals applied to quantiles.
        tasks: names.
        members: predictions (E, N, T).
        observed: measurements (N, T); NaN is left out.

    Raises:
        InputError: too few windows, one replicate, or targets that are not 0 and 1 (platt).
    """
    known = np.isfinite(observed).sum(axis=0)
    if known.min(initial=LEAST) < LEAST:
        raise InputError(
            f"recalibration of task {tasks[int(known.argmin())]!r} has {known.min()} measured "
            f"windows, and needs {LEAST}: name another split or a larger set"
        )
    factors = np.ones(len(tasks))
    if len(members) < 2 and kind != "platt":
        raise InputError(
            f"recalibration {kind} needs several replicates, because it widens or narrows what "
            "they disagree by: set recalibration to none"
        )
    maps: tuple[LevelMap, ...] = ()
    lines = np.zeros((0, 2))
    if kind == "variance":
        factors = np.array([_factor(members[..., t], observed[:, t]) for t in range(len(tasks))])
    elif kind == "platt":
        each = enumerate(tasks)
        lines = np.array([_platt(members[..., t], observed[:, t], name) for t, name in each])
    else:
        fit = fit_levels if kind == "levels" else fit_published_levels
        maps = tuple(fit(members[..., t], observed[:, t]) for t in range(len(tasks)))
    return Recalibration(kind, tuple(tasks), factors, maps, lines)


def _factor(members: Floats, observed: Floats) -> float:
    """Factor on the variance (ddof 1) of the members that makes measurements likeliest.

    The variance of a window is drawn towards that of all: with five members the reciprocal of its
    own has no finite variance, and the mean of squared errors over it is that of a few windows.
    """
    known = np.isfinite(observed)
    spread = members[:, known].var(axis=0, ddof=1)
    variance = moderated_variance(spread, len(members) - 1)
    if (variance <= 0).any():
        raise InputError("recalibration: all replicates predict the same somewhere")
    return float(((observed[known] - members[:, known].mean(axis=0)) ** 2 / variance).mean())


def _platt(members: Floats, observed: Floats, task: str) -> Floats:
    """Slope and intercept that make the members' mean logit likeliest (Platt 1999).

    Windows of one class alone would say nothing of the slope, whose sign is that of all effects.
    """
    fine = np.isfinite(observed)
    y, z = observed[fine], _logit(members).mean(axis=0)[fine]
    if not np.isin(y, (0, 1)).all() or (members < 0).any() or (members > 1).any():
        raise InputError(
            "recalibration platt needs probabilities and targets of 0 and 1 on the scale identity; "
            "for measured amounts choose variance or levels"
        )
    if len(np.unique(y)) < 2:
        raise InputError(
            f"recalibration platt of task {task!r}: all {len(y)} windows have the label {y[0]:g}, "
            "and it needs both: name another split or a larger set, or leave the task out"
        )
    # Platt's own targets keep the line finite where the classes are separated
    ones = y.sum()
    wanted = np.where(y == 1, (ones + 1) / (ones + 2), 1 / (len(y) - ones + 2))

    def loss(line: Floats) -> float:
        t = line[0] * z + line[1]
        return float((np.logaddexp(0, t) - wanted * t).sum())

    return np.asarray(minimize(loss, np.array([1.0, 0.0]), method="BFGS").x)


def _logit(p: Floats) -> Floats:
    bounded = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(bounded / (1 - bounded))


def predicted_and_measured(
    replicates: Mapping[str, Predictions],
    sequences: SequenceSet,
    targets: MeasuredTracks,
    output: str,
    scale: str,
    tracks_of: Mapping[str, Sequence[str]] | None = None,
) -> tuple[tuple[str, ...], Floats, Floats]:
    """What every replicate predicts of the windows of a set, and what was measured.

    Args:
        replicates: predictions by name.
        sequences: windows without edits.
        targets: measured tracks.
        output: of the ensemble, one number per task.
        scale: of effects.
        tracks_of: see `task_means`.

    Returns:
        Tasks; members (E, N, T); measurements (N, T), reduced over bins as the output is.
    """
    first = next(iter(replicates.values()))
    spec = first.output(output)
    ids = sequences.ids()
    members = np.stack(
        [aligned_values(one, spec, ids)[..., 0].astype(np.float64) for one in replicates.values()]
    )
    bins = replace(spec, reduction="none")
    values = measured_bins(sequences, targets, bins, facts_of(first))
    measured = values.mean(axis=-1) if spec.reduction == "mean" else values.sum(axis=-1)
    where, tracks = f"output {output!r}", spec.track_names
    scaled = on_scale(members, scale, "predictions")
    tasks, members = task_means(scaled, tracks, tracks_of, where)
    scaled = on_scale(measured, scale, "measured values")
    return tasks, members, task_means(scaled, tracks, tracks_of, where)[1]


def rows_of_split(splits: Sequence[str], wanted: str) -> Flags:
    """Which windows lie in a data split.

    Raises:
        InputError: none does.
    """
    rows = np.array([split == wanted for split in splits], dtype=bool)
    if not rows.any():
        raise InputError(
            f"no window for recalibration lies in the split {wanted!r}; splits found: "
            f"{', '.join(sorted(set(splits)))}"
        )
    return rows


def fitted_and_judged(
    kinds: Sequence[str],
    tasks: Sequence[str],
    members: Floats,
    observed: Floats,
    splits: Sequence[str],
    split: str,
    judged_on: str,
) -> tuple[dict[str, Recalibration], pd.DataFrame]:
    """Recalibrations of several kinds, and the reliability of the first.

    Args:
        kinds: of `fitted`.
        tasks: names, T.
        members: predictions (E, N, T).
        observed: measurements (N, T).
        splits: data split of every window, N.
        split: the one to fit on.
        judged_on: the one that reliability is of.

    Raises:
        InputError: no window lies in a split, or see `fitted`.
    """
    fit, judge = rows_of_split(splits, split), rows_of_split(splits, judged_on)
    made = {kind: fitted(kind, tasks, members[:, fit], observed[fit]) for kind in kinds}
    return made, reliability(made[kinds[0]], members[:, judge], observed[judge], judged_on)


def reliability(made: Recalibration, members: Floats, observed: Floats, split: str) -> pd.DataFrame:
    """How often measurements lie below stated quantiles, before and after recalibration.

    The forecast of a window is normal, with mean and sd (ddof 1) of the members. Of
    probabilities (platt) it is how often there is a 1 in tenths of the windows by the
    probability stated.

    Args:
        made: a recalibration that was fitted on other windows.
        members: predictions (E, N, T).
        observed: measurements (N, T).
        split: name of the split that is judged on.

    Returns:
        Per task, `when` (before or after) and `level`: `observed` (share of measurements at or
        below), `windows`, `miscalibration` (mean distance from the diagonal over levels) and
        `sharpness` (root mean variance; of probabilities their sd over windows).
    """
    parts = []
    for when, values in (("before", members), ("after", made.apply(members))):
        curve = _bins if made.kind == "platt" else _quantiles
        for task, name in enumerate(made.tasks):
            known = np.isfinite(observed[:, task])
            stated, shares, sharpness = curve(values[:, known, task], observed[known, task])
            parts.append(
                pd.DataFrame(
                    {
                        "task": name,
                        "kind": made.kind,
                        "when": when,
                        "split": split,
                        "level": stated,
                        "observed": shares,
                        "windows": int(known.sum()),
                        "miscalibration": float(np.abs(shares - stated).mean()),
                        "sharpness": sharpness,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def _quantiles(members: Floats, observed: Floats) -> tuple[Floats, Floats, float]:
    """Levels, share of measurements below the stated quantile, root mean variance."""
    mean, sd = members.mean(axis=0), members.std(axis=0, ddof=1)
    # a forecast without spread is a step at its mean
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(sd > 0, ndtr((observed - mean) / sd), (observed >= mean).astype(np.float64))
    shares = (p[:, None] <= LEVELS).mean(axis=0)
    return LEVELS, shares, float(np.sqrt((sd**2).mean()))


def _bins(members: Floats, observed: Floats) -> tuple[Floats, Floats, float]:
    """Mean stated probability and share of ones in tenths of the windows; sd of the former."""
    p = members.mean(axis=0)
    tenths = np.array_split(np.argsort(p, kind="stable"), min(10, len(p)))
    stated = np.array([p[part].mean() for part in tenths])
    return stated, np.array([observed[part].mean() for part in tenths]), float(p.std())


def write_recalibrations(path: str | Path, made: Mapping[str, Recalibration]) -> None:
    """Write recalibrations by their use, as JSON."""
    rows = {
        use: {
            "kind": one.kind,
            "tasks": one.tasks,
            "factors": one.factors.tolist(),
            "maps": [
                [map_.given.tolist(), map_.told.tolist(), map_.keeps_mean] for map_ in one.maps
            ],
            "lines": one.lines.tolist(),
        }
        for use, one in made.items()
    }
    write_text(path, dump(rows) + "\n")


def read_recalibrations(path: str | Path) -> dict[str, Recalibration]:
    """The inverse of `write_recalibrations`."""
    return {
        use: Recalibration(
            row["kind"],
            tuple(row["tasks"]),
            np.array(row["factors"]),
            tuple(
                LevelMap(np.array(given), np.array(told), keeps)
                for given, told, keeps in row["maps"]
            ),
            np.array(row["lines"]).reshape(-1, 2),
        )
        for use, row in json.loads(Path(path).read_text()).items()
    }
