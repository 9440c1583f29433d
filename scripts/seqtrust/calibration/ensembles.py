"""Forecasts of an ensemble of replicates for measured bins, with their groups and splits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqtrust.calibration.forecasts import Forecasts
from seqtrust.calibration.grouping import (
    Floats,
    Groups,
    centre_block,
    shared_rows,
    touched_blocks,
)
from seqtrust.calibration.mixtures import Mixture, RunningMixture
from seqtrust.effects import aligned_values, facts_of
from seqtrust.errors import InputError
from seqtrust.files import read_input_table
from seqtrust.genome import SplitRegions
from seqtrust.models.facts import Facts
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.sequence_set import SequenceSet
from seqtrust.targets import MeasuredTracks
from seqtrust.verdicts import measured_bins, splits_of

Flags = npt.NDArray[np.bool_]

CALIBRATION_SPLIT, EVALUATION_SPLIT = "validation", "test"


@dataclass(frozen=True)
class WindowGroups:
    """Groups of windows that are not independent.

    Attributes:
        main: the group of each of N windows, shape (N,).
        touched: every group that a window shares something with, its own among them.
    """

    main: Groups
    touched: list[tuple[str, ...]]


def block_groups(sequences: SequenceSet, block: int) -> WindowGroups:
    """Groups by blocks of a genome: a window is of the block of its centre.

    Args:
        sequences: a set of N sequences.
        block: bp; beyond this distance windows are taken for independent.
    """
    main, touched = [], []
    for index in sequences.window_indices():
        window = sequences.windows[index]
        place = window.contig, window.window.start, window.window.end, block
        main.append(centre_block(*place))
        touched.append(touched_blocks(*place))
    return WindowGroups(np.array(main), touched)


def table_groups(sequences: SequenceSet, path: str | Path) -> WindowGroups:
    """Groups by contig, from a TSV with the columns `contig` and `group`.

    Raises:
        InputError: the table cannot be read, lacks a column, a contig or a group, or has a
            contig twice.
    """
    table = read_input_table(path, {"contig": str, "group": str})
    for column in ("contig", "group"):
        if column not in table.columns:
            raise InputError(f"{path} has no column {column!r}; it has {list(table.columns)}")
    empty = np.flatnonzero(table[["contig", "group"]].isna().any(axis=1))
    if empty.size:
        raise InputError(
            f"{path}, line {int(empty[0]) + 2}: expected a contig and a group; give a contig that "
            "stands alone a group of its own"
        )
    repeated = table["contig"][table["contig"].duplicated()]
    if len(repeated):
        raise InputError(f"{path}: contig {repeated.iloc[0]!r} has two rows, expected one group")
    group_of = dict(zip(table["contig"], table["group"], strict=True))
    contigs = [sequences.windows[index].contig for index in sequences.window_indices()]
    missing = [contig for contig in contigs if contig not in group_of]
    if missing:
        raise InputError(
            f"{path}: {len(missing)} sequences are on contigs without a group, the first on "
            f"{missing[0]!r}: add a row for each"
        )
    main = [group_of[contig] for contig in contigs]
    return WindowGroups(np.array(main, dtype=np.str_), [(group,) for group in main])


@dataclass(frozen=True)
class EnsembleForecasts:
    """Forecasts of all measured bins of one data split.

    Attributes:
        forecasts: N rows (bins of windows) and T tracks.
        between: variance between replicates, shape (N, T), units squared.
        within: mean of the variances that replicates state, shape (N, T), units squared.
    """

    forecasts: Forecasts
    between: Floats
    within: Floats


@dataclass(frozen=True)
class CalibrationData:
    """What is fitted on and what is judged, disjoint by group.

    Attributes:
        tracks: names of the T tracks.
        calibration: validation windows.
        evaluation: test windows.
        left_out: validation windows that share a group with a test window, and are left out.
    """

    tracks: tuple[str, ...]
    calibration: EnsembleForecasts
    evaluation: EnsembleForecasts
    left_out: int


def calibration_data(
    replicates: Mapping[str, Predictions],
    sequences: SequenceSet,
    targets: MeasuredTracks,
    regions: SplitRegions,
    output: str,
    groups: WindowGroups,
    scale: str = "identity",
) -> CalibrationData:
    """Forecasts of an ensemble on validation and test windows.

    The mean is that of the replicates. Its variance is the variance between them (ddof 1)
    plus, where a model has tracks of log variances, the mean of the variances that they state.

    Args:
        replicates: predictions per replicate.
        sequences: windows without edits.
        targets: measured tracks, by the names that the model's tracks have.
        regions: data split of the replicates.
        output: output without reduction.
        groups: of the windows.
        scale: that errors are taken on: `identity`, or `log2p1`, log2(1 + value).

    Raises:
        InputError: the output is reduced or lacks a variance, a value has no logarithm, there
            is one replicate only, or a split has no window (left).
    """
    spec = next(iter(replicates.values())).output(output)
    if spec.reduction != "none":
        raise InputError(
            f"output {output!r} is the {spec.reduction} over bins, which targets are not: name an "
            "output without reduction"
        )
    mixture, measured, tracks = _mixed(replicates, sequences, targets, spec, scale)
    fitted, judged = _split_windows(sequences, regions)
    shared = _shared(groups, fitted, judged)
    return CalibrationData(
        tracks,
        _rows(mixture, measured, groups.main, fitted & ~shared),
        _rows(mixture, measured, groups.main, judged),
        int(shared.sum()),
    )


def _mixed(
    replicates: Mapping[str, Predictions],
    sequences: SequenceSet,
    targets: MeasuredTracks,
    spec: OutputSpec,
    scale: str,
) -> tuple[Mixture, Floats, tuple[str, ...]]:
    """The ensemble's mixture and measurements, shape (windows, T, bins), and the T tracks."""
    facts = facts_of(next(iter(replicates.values())))
    means, variances = _mean_and_variance_tracks(facts, spec)
    if variances and scale != "identity":
        raise InputError(
            f"output {spec.name!r} states variances on the model's own scale: take errors on the "
            "scale identity, or leave the variance tracks out of the model"
        )
    chosen = replace(
        spec,
        tracks=tuple(spec.tracks[place] for place in means),
        track_names=tuple(spec.track_names[place] for place in means),
    )
    measured = _scaled(measured_bins(sequences, targets, chosen, facts), scale)
    running = RunningMixture()
    for predictions in replicates.values():
        values = aligned_values(predictions, spec, sequences.ids()).astype(np.float64)
        stated = np.exp(values[:, variances]) if variances else None
        running.add(_scaled(values[:, means], scale), stated)
    return running.result(), measured, chosen.track_names


def _split_windows(sequences: SequenceSet, regions: SplitRegions) -> tuple[Flags, Flags]:
    """Which windows are for calibration and which for evaluation, shape (windows,) each."""
    split_of = splits_of(sequences, regions)
    splits = np.array([split_of[key] for key in sequences.ids()])
    fitted, judged = splits == CALIBRATION_SPLIT, splits == EVALUATION_SPLIT
    for name, mine in ((CALIBRATION_SPLIT, fitted), (EVALUATION_SPLIT, judged)):
        if not mine.any():
            raise InputError(
                f"no sequence lies in the {name} split of the replicates (splits found: "
                f"{', '.join(sorted(set(splits.tolist())))}): calibration needs sequences that "
                "the model was not trained on, some to fit to and others to judge by"
            )
    return fitted, judged


def _shared(groups: WindowGroups, fitted: Flags, judged: Flags) -> Flags:
    """Calibration windows that share a group with an evaluation window, shape (windows,)."""
    shared = np.zeros(len(fitted), dtype=bool)
    shared[fitted] = shared_rows(
        [groups.touched[row] for row in np.flatnonzero(fitted)],
        [groups.touched[row] for row in np.flatnonzero(judged)],
    )
    if (shared == fitted).all():
        raise InputError(
            f"all {int(fitted.sum())} validation windows share a group with a test window: make "
            "groups smaller, or splits of whole groups"
        )
    return shared


def _rows(mixture: Mixture, measured: Floats, groups: Groups, chosen: Flags) -> EnsembleForecasts:
    """The chosen windows, from (windows, tracks, bins) to (windows x bins, tracks)."""
    mean, between, within, observed = (
        np.moveaxis(part[chosen], 1, 2).reshape(-1, part.shape[1])
        for part in (mixture.mean, mixture.between, mixture.within, measured)
    )
    keys = np.repeat(groups[chosen], measured.shape[2])
    return EnsembleForecasts(
        Forecasts(mean, np.sqrt(between + within), observed, keys), between, within
    )


def _mean_and_variance_tracks(facts: Facts, spec: OutputSpec) -> tuple[list[int], list[int]]:
    """Places of the mean tracks among the output's, and of their variances if there are any."""
    tracks = facts.tracks
    place = {index: at for at, index in enumerate(spec.tracks)}
    variance_of = facts.variance_tracks()
    means = [index for index in spec.tracks if tracks[index].variance_of is None]
    if not means:
        raise InputError(f"output {spec.name!r} has tracks of variances only: add their means")
    stated = [index for index in means if index in variance_of]
    if not stated:
        return [place[index] for index in means], []
    for index in means:
        if variance_of.get(index) not in place:
            raise InputError(
                f"output {spec.name!r} holds track {tracks[index].name!r} without its variance, "
                "which belongs to its uncertainty: add it to the output's tracks"
            )
    return [place[index] for index in means], [place[variance_of[index]] for index in means]


def _scaled(values: npt.NDArray[np.float64], scale: str) -> Floats:
    if scale == "identity":
        return values
    if (values <= -1).any():
        raise InputError(
            f"a value of {np.nanmin(values):.3g} has no log2(1 + value): take errors on the scale "
            "identity"
        )
    return np.log2(1 + values)
