"""Effects: what each replicate says an alternative sequence changes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqtrust.errors import InputError
from seqtrust.models.facts import Facts
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.sequence_set import SequenceSet
from seqtrust.tables import Column, TableSchema

Floats = npt.NDArray[np.float64]

TIE_FACTOR = 10
SCALES = ("difference", "log2_ratio", "relative")

SCHEMA = TableSchema(
    name="effects",
    version=1,
    path="effects/{ensemble}/{set}.parquet",
    description=(
        "Alternative minus reference, per contrast, output, track and bin; lists are in the order "
        "of the replicates in the metadata (`replicates`). Rows of the contrasts table with one "
        "contrast_id are averaged."
    ),
    columns=(
        Column("contrast_id", pa.string(), "contrast of the set"),
        Column("output", pa.string(), "output of the ensemble"),
        Column("track", pa.string(), "track of the model"),
        Column("bin", pa.int32(), "bin of the model; -1 where bins are reduced"),
        Column("reference", pa.list_(pa.float64()), "prediction of the reference", "model's scale"),
        Column("effect", pa.list_(pa.float64()), "alternative - reference", "model's scale"),
        Column(
            "tie",
            pa.list_(pa.bool_()),
            f"|effect| is at most {TIE_FACTOR} times the noise floor of the replicate",
        ),
        Column(
            "out_of_reach",
            pa.bool_(),
            "the bases that the output can see are equal: the effect is zero by construction",
        ),
    ),
)


def compute_effects(
    contrasts: pa.Table,
    sequences: SequenceSet,
    replicates: Mapping[str, Predictions],
    reaches: Mapping[str, Sequence[tuple[int, int]]],
) -> dict[str, list[Any]]:
    """The columns of the effects table.

    Differences are taken in float64 of float32 predictions.

    Args:
        contrasts: the contrasts of the set.
        sequences: the set.
        replicates: predictions per replicate; all of one set and one choice of outputs.
        reaches: per output and kept bin, the interval [start, stop) of the input, in sequence
            coordinates, that it can see; one interval where bins are reduced.

    Raises:
        InputError: a sequence of a contrast has no prediction.
    """
    outputs = next(iter(replicates.values())).outputs
    groups = _rows_by_contrast(contrasts)
    every = sequences.ids()
    rows = {key: position for position, key in enumerate(every)}
    codes = sequences.codes()
    columns: dict[str, list[Any]] = {column.name: [] for column in SCHEMA.columns}
    ids = contrasts["reference_id"].to_pylist(), contrasts["alternative_id"].to_pylist()
    pairs = np.array([[rows[a], rows[b]] for a, b in zip(*ids, strict=True)])
    for output in outputs:
        floors = np.array([p.noise_floor[output.name] for p in replicates.values()])
        equal = _equal_in_reach(codes, pairs, reaches[output.name])
        stacked = np.stack([aligned_values(p, output, every) for p in replicates.values()])
        for contrast_id, members in groups.items():
            reference = stacked[:, pairs[members, 0]].astype(np.float64).mean(axis=1)
            alternative = stacked[:, pairs[members, 1]].astype(np.float64).mean(axis=1)
            _append(
                columns,
                contrast_id,
                output,
                reference,
                alternative - reference,
                floors,
                np.all(equal[members], axis=0),
            )
    return columns


def reaches(replicates: Mapping[str, Predictions]) -> dict[str, list[tuple[int, int]]]:
    """The input interval [start, stop) that each kept bin can see, per output.

    One interval, of all kept bins together, where bins are reduced. Where predictions are
    averaged over shifts it is the union over them.
    """
    predictions = next(iter(replicates.values()))
    facts = facts_of(predictions)
    shifts = json.loads(predictions.metadata["shifts"])
    found = {}
    for output in predictions.outputs:
        ends = [(min(output.bins), max(output.bins))]
        if output.reduction == "none":
            ends = [(number, number) for number in output.bins]
        seen = [facts.reach(first, last) for first, last in ends]
        found[output.name] = [(start - max(shifts), stop - min(shifts)) for start, stop in seen]
    return found


def facts_of(predictions: Predictions) -> Facts:
    """The facts of the model that made the predictions."""
    return Facts.from_dict(json.loads(predictions.metadata["facts"]))


def _rows_by_contrast(contrasts: pa.Table) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for row, contrast_id in enumerate(contrasts["contrast_id"].to_pylist()):
        groups.setdefault(contrast_id, []).append(row)
    return groups


def aligned_values(
    predictions: Predictions, output: OutputSpec, ids: Sequence[str]
) -> npt.NDArray[np.float32]:
    """Values of one output in the order of the set, shape (N, tracks, bins)."""
    position = {key: row for row, key in enumerate(predictions.sequence_ids)}
    missing = [key for key in ids if key not in position]
    if missing:
        raise InputError(
            f"{len(missing)} sequences have no prediction, first {missing[0]!r}; "
            "the predictions are of another set: predict it again"
        )
    return predictions.values[output.name][[position[key] for key in ids]]


def _equal_in_reach(
    codes: npt.NDArray[np.uint8],
    pairs: npt.NDArray[np.int64],
    reaches: Sequence[tuple[int, int]],
) -> npt.NDArray[np.bool_]:
    """Whether the two sequences are equal where a bin can see, shape (pairs, bins)."""
    length = codes.shape[1]
    equal = np.empty((len(pairs), len(reaches)), dtype=bool)
    for row, (reference, alternative) in enumerate(pairs):
        different = np.flatnonzero(codes[reference] != codes[alternative])
        for column, (start, stop) in enumerate(reaches):
            first = np.searchsorted(different, max(start, 0))
            last = np.searchsorted(different, min(stop, length))
            equal[row, column] = first == last
    return equal


def _append(
    columns: dict[str, list[Any]],
    contrast_id: str,
    output: OutputSpec,
    reference: Floats,
    effect: Floats,
    floors: Floats,
    equal: npt.NDArray[np.bool_],
) -> None:
    """Append the rows of one contrast; `reference` and `effect` are (replicates, tracks, bins)."""
    bins = output.bins if output.reduction == "none" else (-1,)
    for track, name in enumerate(output.track_names):
        for column, number in enumerate(bins):
            values = effect[:, track, column]
            columns["contrast_id"].append(contrast_id)
            columns["output"].append(output.name)
            columns["track"].append(name)
            columns["bin"].append(number)
            columns["reference"].append(reference[:, track, column])
            columns["effect"].append(values)
            columns["tie"].append(np.abs(values) <= TIE_FACTOR * floors)
            columns["out_of_reach"].append(bool(equal[column]))


def on_scale(reference: Floats, effect: Floats, scale: str, pseudocount: float = 1.0) -> Floats:
    """Effects on a named scale, in the shape of `effect`.

    Args:
        reference: predictions of the reference.
        effect: alternative - reference.
        scale: `difference`; `log2_ratio`, log2((alt + c) / (ref + c)); `relative`,
            (alt - ref) / (ref + c).
        pseudocount: c, in units of the prediction.
    """
    if scale == "difference":
        return effect
    if scale == "log2_ratio":
        return np.log2((reference + effect + pseudocount) / (reference + pseudocount))
    if scale == "relative":
        return effect / (reference + pseudocount)
    raise ValueError(f"scale {scale!r}: expected one of {', '.join(SCALES)}")
