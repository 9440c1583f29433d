"""Verdicts: where replicates agree, disagree, and agree wrongly (Bajwa et al. 2024)."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import false_discovery_control, poisson

from seqtrust.effects import aligned_values, facts_of
from seqtrust.errors import InputError
from seqtrust.genome import SPLITS, UNKNOWN_SPLIT, SplitRegions
from seqtrust.models.card import Card
from seqtrust.models.facts import Facts
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.reference_levels import Calls, Floats, unanimous_call
from seqtrust.sequence_set import SequenceSet
from seqtrust.tables import Column, TableSchema
from seqtrust.targets import MeasuredTracks, strand_pairs, with_strands
from seqtrust.tissues import on_own_track

CORRECT = "consistently_correct"
INCONSISTENT = "inconsistent"
INCORRECT = "consistently_incorrect"
UNANIMOUS = "unanimous"
TIE = "tie"
OUT_OF_REACH = "out_of_reach"

SCHEMA = TableSchema(
    name="verdicts",
    version=1,
    path="verdicts/{verdict}.parquet",
    description=(
        "One row per unit (a contrast, or a bin of a window) and track. Lists are in the order of "
        "the replicates in the metadata (`replicates`)."
    ),
    columns=(
        Column("unit", pa.string(), "contrast_id, or sequence_id of a window"),
        Column("track", pa.string(), "track of the model"),
        Column("bin", pa.int32(), "bin of the model; -1 where bins are reduced"),
        Column("split", pa.string(), "train, validation, test or unknown: have the replicates "
               "seen the window?"),
        Column("stratum", pa.string(), "group that is reported apart; may be empty"),
        Column("context", pa.string(), "tissue of the truth, or track"),
        Column("locus", pa.string(), "rows of one locus are not independent"),
        Column("calls", pa.list_(pa.int8()), "+1, -1 or 0 (tie) per replicate"),
        Column("scores", pa.list_(pa.float64()), "what the calls are made from", "model's scale"),
        Column("truth", pa.int8(), "+1 or -1", nullable=True),
        Column("n_positive", pa.int16(), "replicates that call +1"),
        Column("n_negative", pa.int16(), "replicates that call -1"),
        Column("n_tie", pa.int16(), "replicates that make no call"),
        Column("n_correct", pa.int16(), "replicates that call the truth", nullable=True),
        Column("class", pa.string(), f"{CORRECT}, {INCONSISTENT}, {INCORRECT}, {UNANIMOUS} "
               f"(without a truth), {TIE} (no replicate makes a call) or {OUT_OF_REACH}"),
    ),
)  # fmt: skip


def classify(
    calls: Calls, truth: Calls, out_of_reach: npt.NDArray[np.bool_]
) -> npt.NDArray[np.str_]:
    """The class of every unit, shape (N,).

    Out of reach is decided first, then ties. A unit on which some replicates make a call and
    others do not is inconsistent, because not all say the same.

    Args:
        calls: +1, -1 or 0 (tie) per unit and replicate, shape (N, R).
        truth: +1, -1, or 0 where it is not known, shape (N,).
        out_of_reach: units whose effect is zero by construction, shape (N,).
    """
    unanimous = unanimous_call(calls)
    return np.select(
        [
            out_of_reach,
            (calls == 0).all(axis=1),
            unanimous == 0,
            truth == 0,
            unanimous == truth,
        ],
        [OUT_OF_REACH, TIE, INCONSISTENT, UNANIMOUS, CORRECT],
        default=INCORRECT,
    )


def verdict_columns(
    units: Mapping[str, Sequence[Any]],
    calls: Calls,
    scores: Floats,
    truth: Calls,
    out_of_reach: npt.NDArray[np.bool_],
) -> dict[str, Any]:
    """The columns of the verdicts table.

    Args:
        units: the columns unit, track, bin, split, stratum, context and locus.
        calls: as in `classify`.
        scores: what the calls are made from, shape (N, R).
        truth: as in `classify`.
        out_of_reach: as in `classify`.

    Raises:
        InputError: there is no unit.
    """
    if len(calls) == 0:
        raise InputError("there is nothing to judge: the selection of this verdict is empty")
    known = truth != 0
    correct = (calls == truth[:, None]).sum(axis=1)
    return {
        **units,
        "calls": list(calls),
        "scores": list(scores),
        "truth": pa.array(truth, mask=~known),
        "n_positive": (calls > 0).sum(axis=1),
        "n_negative": (calls < 0).sum(axis=1),
        "n_tie": (calls == 0).sum(axis=1),
        "n_correct": pa.array(correct.astype(np.int16), mask=~known),
        "class": classify(calls, truth, out_of_reach),
    }


def sign_calls(effects: Floats, ties: npt.NDArray[np.bool_]) -> Calls:
    """Sign of each effect, 0 where it is a tie; both of shape (N, R)."""
    return np.where(ties, 0, np.sign(effects)).astype(np.int8)


def distance_strata(distances: Sequence[int], breaks: Sequence[int]) -> list[str]:
    """A label per distance, by the first break that is not below it."""
    if not breaks:
        return [""] * len(distances)
    edges = sorted(breaks)
    labels = [f"{low + 1} to {high} bp" for low, high in pairwise([-1, *edges])]
    labels.append(f"over {edges[-1]} bp")
    return [labels[i] for i in np.searchsorted(edges, np.abs(distances), side="left")]


def poisson_peaks(values: npt.ArrayLike, fdr: float = 0.01) -> npt.NDArray[np.bool_]:
    """Peaks among the bins of a track by the caller of Bajwa et al. 2024.

    y = 10 round(x, 1) is held against a Poisson distribution with the track's mean;
    Benjamini-Hochberg over the bins. Computed in float64.

    Args:
        values: counts or predictions of all bins of one track, shape (bins,).
        fdr: a bin is a peak below this q-value.
    """
    y = 10 * np.round(np.asarray(values, dtype=np.float64), 1)
    return false_discovery_control(poisson.sf(y - 1, y.mean())) < fdr


def highest_bins(values: npt.ArrayLike, number: int) -> npt.NDArray[np.bool_]:
    """The `number` highest bins of a track, the earlier ones where values are equal."""
    values = np.asarray(values, dtype=np.float64)
    chosen = np.zeros(len(values), dtype=bool)
    chosen[np.argsort(-values, kind="stable")[:number]] = True
    return chosen


def peak_calls(
    predictions: Floats, targets: Floats, method: str, fdr: float
) -> tuple[Calls, Calls]:
    """Peaks of every replicate, and true peaks, among the bins of one track.

    Args:
        predictions: shape (bins, R).
        targets: measured values, shape (bins,).
        method: `matched`: a replicate's peaks are as many highest bins as there are true
            peaks; `poisson`: `poisson_peaks` of its predictions.
        fdr: false discovery rate of the Poisson caller.

    Returns:
        Calls of shape (bins, R) and truth of shape (bins,), +1 for a peak and -1 for none.
    """
    truth = poisson_peaks(targets, fdr)
    if method == "matched":
        called = [highest_bins(column, int(truth.sum())) for column in predictions.T]
    else:
        called = [poisson_peaks(column, fdr) for column in predictions.T]
    return _plus_minus(np.stack(called, axis=1)), _plus_minus(truth)


def threshold_calls(predictions: Floats, at_least: float) -> Calls:
    """+1 where a prediction is at least a threshold, else -1; shape as given."""
    return _plus_minus(predictions >= at_least)


def _plus_minus(flags: npt.NDArray[np.bool_]) -> Calls:
    return np.where(flags, 1, -1).astype(np.int8)


def judge_effects(
    effects: pa.Table,
    contrasts: pa.Table,
    sequences: SequenceSet,
    regions: SplitRegions,
    output: str,
    distance_breaks: Sequence[int] = (),
    by_context: bool = False,
    tissue_tracks: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Verdicts on the signs of effects: the columns of the verdicts table.

    Args:
        effects: the effects table of an ensemble and a set.
        contrasts: the contrasts of the set; the sign of `truth_effect` is the truth.
        sequences: the set.
        regions: data split of the replicates.
        output: output of the ensemble.
        distance_breaks: strata of the distance to the anchor, bp.
        by_context: contexts are strata, if there are no breaks.
        tissue_tracks: judge a contrast on the track of its context only.

    Raises:
        InputError: the effects hold no such output.
    """
    mine = effects.filter(pc.equal(effects["output"], output))
    if mine.num_rows == 0:
        found = ", ".join(sorted(set(effects["output"].to_pylist())))
        raise InputError(f"there are no effects of output {output!r}; there are: {found}")
    about = {row["contrast_id"]: row for row in contrasts.to_pylist()}
    if tissue_tracks is not None:
        tissues = {contrast: row["context"] for contrast, row in about.items()}
        mine = on_own_track(mine, tissues, tissue_tracks)
    rows = [about[key] for key in mine["contrast_id"].to_pylist()]
    seen = _split_of_contrasts(contrasts, splits_of(sequences, regions))
    values = np.array(mine["effect"].to_pylist(), dtype=np.float64)
    ties = np.array(mine["tie"].to_pylist(), dtype=bool)
    units = {
        "unit": mine["contrast_id"].to_pylist(),
        "track": mine["track"].to_pylist(),
        "bin": mine["bin"].to_pylist(),
        "split": [seen[row["contrast_id"]] for row in rows],
        "stratum": [row["context"] for row in rows]
        if by_context and not distance_breaks
        else distance_strata([row["distance"] for row in rows], distance_breaks),
        "context": [row["context"] for row in rows],
        "locus": [row["locus"] for row in rows],
    }
    truth = np.sign([row["truth_effect"] or 0.0 for row in rows]).astype(np.int8)
    out_of_reach = np.array(mine["out_of_reach"].to_pylist(), dtype=bool)
    return verdict_columns(units, sign_calls(values, ties), values, truth, out_of_reach)


def _split_of_contrasts(contrasts: pa.Table, splits: Mapping[str, str]) -> dict[str, str]:
    """The split of every contrast: of its windows, the first of train, validation, test."""
    found: dict[str, set[str]] = {}
    keys = contrasts["contrast_id"].to_pylist()
    for key, reference in zip(keys, contrasts["reference_id"].to_pylist(), strict=True):
        found.setdefault(key, set()).add(splits[reference])
    order = (*SPLITS, UNKNOWN_SPLIT)
    return {key: min(names, key=order.index) for key, names in found.items()}


def judge_bins(
    replicates: Mapping[str, Predictions],
    sequences: SequenceSet,
    regions: SplitRegions,
    output: str,
    *,
    targets: MeasuredTracks | None = None,
    method: str = "matched",
    fdr: float = 0.01,
    at_least: float = 0.0,
) -> dict[str, Any]:
    """Verdicts on bins of reference sequences: the columns of the verdicts table.

    With `targets` a call is a peak and the truth is a peak of the measured track; without,
    a call is a prediction of at least `at_least`, and there is no truth.

    Args:
        replicates: predictions per replicate.
        sequences: the set, windows without edits.
        regions: data split of the replicates.
        output: output of the ensemble, without reduction.
        targets: measured tracks, by the names that the model's tracks have.
        method: as in `peak_calls`.
        fdr: as in `peak_calls`.
        at_least: threshold.
    """
    first = next(iter(replicates.values()))
    spec = first.output(output)
    ids = sequences.ids()
    stacked = np.stack([aligned_values(p, spec, ids) for p in replicates.values()], axis=-1).astype(
        np.float64
    )
    measured = measured_bins(sequences, targets, spec, facts_of(first)) if targets else None
    columns: dict[str, list[Any]] = {
        name: [] for name in ("unit", "track", "bin", "split", "stratum", "context", "locus")
    }
    calls, scores, truths = [], [], []
    splits = splits_of(sequences, regions)
    for track, name in enumerate(spec.track_names):
        values = stacked[:, track].reshape(-1, len(replicates))
        if measured is None:
            calls.append(threshold_calls(values, at_least))
            truths.append(np.zeros(len(values), dtype=np.int8))
        else:
            called, truth = peak_calls(values, measured[:, track].ravel(), method, fdr)
            calls.append(called)
            truths.append(truth)
        scores.append(values)
        columns["unit"] += [key for key in ids for _ in spec.bins]
        columns["locus"] += [key for key in ids for _ in spec.bins]
        columns["split"] += [splits[key] for key in ids for _ in spec.bins]
        columns["bin"] += list(spec.bins) * len(ids)
        columns["track"] += [name] * len(values)
        columns["context"] += [name] * len(values)
        columns["stratum"] += [""] * len(values)
    every = np.concatenate(calls)
    nothing = np.zeros(len(every), dtype=bool)
    return verdict_columns(columns, every, np.concatenate(scores), np.concatenate(truths), nothing)


def measured_bins(
    sequences: SequenceSet,
    targets: MeasuredTracks,
    output: OutputSpec,
    facts: Facts,
) -> npt.NDArray[np.float64]:
    """Measured values where the predictions are, shape (N, tracks, bins).

    Args:
        sequences: windows without edits.
        targets: measured tracks.
        output: tracks, by name, and bins.
        facts: of the model: what it does not predict at each end, and which tracks are strands.

    Raises:
        InputError: a track is not among the targets.
    """
    missing = [track for track in output.track_names if track not in targets.tracks]
    if missing:
        raise InputError(
            f"the targets have no track {missing[0]!r}; they have: {', '.join(targets.tracks)}"
        )
    columns = [targets.tracks.index(track) for track in output.track_names]
    targets = with_strands(targets, strand_pairs(facts))
    rows = []
    for index in sequences.window_indices():
        values = targets.of_window(sequences.windows[index], facts.crop)
        rows.append(values[list(output.bins)][:, columns].T)
    return np.stack(rows).astype(np.float64)


def regions_of(*cards: Card) -> SplitRegions:
    """The data split of an ensemble from its replicates' cards; empty where they have none.

    Replicates may differ by data split: what one was trained on is seen, and what was kept for
    testing counts as such if every card says on what its replicate was trained.
    """
    known = all("regions" in card.record for card in cards)
    rows = {tuple(row) for card in cards for row in card.record.get("regions", [])}
    return SplitRegions.from_rows(row for row in rows if known or row[0] != "test")


def splits_of(sequences: SequenceSet, regions: SplitRegions) -> dict[str, str]:
    """The data split of every sequence's window, by sequence id."""
    splits = [
        regions.split_of(window.contig, window.window.start, window.window.end)
        for window in sequences.windows
    ]
    indices = sequences.window_indices().tolist()
    return {key: splits[index] for key, index in zip(sequences.ids(), indices, strict=True)}
