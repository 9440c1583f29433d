"""Effects of inserted and knocked-out motifs: means and standard errors over backgrounds.

Bajwa et al. 2024, figure 2: activity is the mean over backgrounds of the prediction with the
motif minus that without, mutation the mean of the prediction with one base of the motif changed
minus that with the motif.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqtrust.effects import TIE_FACTOR
from seqtrust.errors import InputError
from seqtrust.genome import SPLITS, UNKNOWN_SPLIT
from seqtrust.models.facts import Facts
from seqtrust.outputs import output_reach
from seqtrust.predictions import OutputSpec
from seqtrust.sequence_set import Sequence as SetSequence
from seqtrust.sequence_set import SequenceSet, StoredWindow
from seqtrust.uncertainty.reference import ALL
from seqtrust.uncertainty.track_store import Floats, Integers, PredictionFiles

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class MotifEffects:
    """Effects of C contrasts on T tracks by R replicates.

    Attributes:
        names: contrast ids, such as `TOY1:activity`.
        splits: `all`, and every data split of the backgrounds if there is more than one.
        backgrounds: number of backgrounds per split, shape (C,).
        effect: per split the mean over backgrounds, shape (R, C, T); NaN without a background.
        error: per split its standard error, sd(ddof 1) / sqrt(backgrounds); NaN of one.
        floors: the least |effect| of each replicate that is no tie, shape (R,).
        out_of_reach: contrasts whose changed bases the output cannot see, shape (C,).
    """

    names: list[str]
    splits: list[str]
    backgrounds: dict[str, Integers]
    effect: dict[str, Floats]
    error: dict[str, Floats]
    floors: Floats
    out_of_reach: Flags

    def calls(self, split: str) -> npt.NDArray[np.int8]:
        """+1, -1 or 0 (a tie, or out of reach) of every replicate, shape (R, C, T)."""
        effect = self.effect[split]
        decided = (np.abs(effect) > self.floors[:, None, None]) & ~self.out_of_reach[:, None]
        return np.where(decided, np.sign(effect), 0).astype(np.int8)


def motif_effects(
    files: PredictionFiles,
    contrasts: pa.Table,
    sequences: SequenceSet,
    splits: Mapping[str, str],
    bins: Sequence[int] | None = None,
) -> MotifEffects:
    """Mean effects over the backgrounds of every contrast.

    Predictions are read shard by shard; sums are kept per contrast and track. Where the output
    has several bins, they are added up first, in float64.

    Args:
        files: the predictions.
        contrasts: the contrasts of the set, one row per background.
        sequences: the set.
        splits: data split of every sequence.
        bins: bins to add up, as the model counts them; all of the output if None.

    Raises:
        InputError: a bin is not in the output, or the two sequences of a contrast are not in
            one shard.
    """
    columns = _columns_of(files.output, bins)
    names = list(dict.fromkeys(contrasts["contrast_id"].to_pylist()))
    group = np.array([names.index(key) for key in contrasts["contrast_id"].to_pylist()])
    pairs = list(
        zip(
            contrasts["reference_id"].to_pylist(),
            contrasts["alternative_id"].to_pylist(),
            strict=True,
        )
    )
    split_of = np.array([splits[reference] for reference, _ in pairs])
    present = [name for name in (*SPLITS, UNKNOWN_SPLIT) if (split_of == name).any()]
    code = np.array([present.index(name) for name in split_of])
    tracks, replicates = files.output.shape[0], len(files.shards)
    shape = (replicates, len(present), len(names), tracks)
    sums, squares = np.zeros(shape), np.zeros(shape)
    waiting = _by_alternative(pairs)
    done = 0
    for ids, values in _whole_shards(files, columns):
        rows = {key: row for row, key in enumerate(ids)}
        mine = [row for key in ids for row in waiting.get(key, []) if pairs[row][0] in rows]
        first = np.array([rows[pairs[row][0]] for row in mine], dtype=np.int64)
        second = np.array([rows[pairs[row][1]] for row in mine], dtype=np.int64)
        for replicate, of in enumerate(values):
            change = of[second] - of[first]
            np.add.at(sums[replicate], (code[mine], group[mine]), change)
            np.add.at(squares[replicate], (code[mine], group[mine]), change**2)
        done += len(mine)
    if done != len(pairs):
        raise InputError(
            f"{len(pairs) - done} of {len(pairs)} contrasts have no prediction of both sequences "
            "in one shard: predict the set again"
        )
    numbers = np.zeros((len(present), len(names)), dtype=np.int64)
    np.add.at(numbers, (code, group), 1)
    parts = {name: [index] for index, name in enumerate(present) if len(present) > 1}
    parts = {ALL: list(range(len(present))), **parts}
    counted = {name: numbers[of].sum(axis=0) for name, of in parts.items()}
    found = {
        name: _mean_and_error(
            sums[:, of].sum(axis=1), squares[:, of].sum(axis=1), counted[name][:, None]
        )
        for name, of in parts.items()
    }
    # the sum of several bins is off by no more than all of them together
    floors = TIE_FACTOR * len(columns) * np.array([files.noise_floor[r] for r in files.shards])
    return MotifEffects(
        names,
        list(parts),
        counted,
        {name: effect for name, (effect, _) in found.items()},
        {name: error for name, (_, error) in found.items()},
        floors,
        _out_of_reach(files, sequences, pairs, group, len(names), bins),
    )


def _mean_and_error(sums: Floats, squares: Floats, number: Integers) -> tuple[Floats, Floats]:
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums / number
        variance = np.maximum(squares - number * mean**2, 0) / (number - 1)
        error = np.where(number > 1, np.sqrt(variance / number), np.nan)
    return mean, error


def _columns_of(output: OutputSpec, bins: Sequence[int] | None) -> list[int]:
    if output.reduction != "none":
        if bins is not None:
            raise InputError(
                f"output {output.name!r} is reduced over its bins already: leave bins out, or "
                "name an output without reduction"
            )
        return [0]
    chosen = output.bins if bins is None else bins
    missing = [number for number in chosen if number not in output.bins]
    if missing:
        raise InputError(
            f"bins: {missing[0]} is not among the bins {min(output.bins)} to {max(output.bins)} "
            f"of output {output.name!r}"
        )
    return [output.bins.index(number) for number in chosen]


def _whole_shards(
    files: PredictionFiles, columns: Sequence[int]
) -> Iterator[tuple[list[str], list[Floats]]]:
    """Sequence ids of every shard, and per replicate the sum of some bins, shape (n, tracks)."""
    for shard in range(len(next(iter(files.shards.values())))):
        one = PredictionFiles(
            {name: [paths[shard]] for name, paths in files.shards.items()},
            files.output,
            files.noise_floor,
            files.metadata,
        )
        ids: list[str] = []
        parts: list[list[Floats]] = [[] for _ in files.shards]
        for some, values in one.together():
            ids += some
            for part, of in zip(parts, values, strict=True):
                part.append(of[:, :, columns].sum(axis=2, dtype=np.float64))
        if ids:
            yield ids, [np.concatenate(part) for part in parts]


def _by_alternative(pairs: Sequence[tuple[str, str]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for row, (_, alternative) in enumerate(pairs):
        found.setdefault(alternative, []).append(row)
    return found


def _out_of_reach(
    files: PredictionFiles,
    sequences: SequenceSet,
    pairs: Sequence[tuple[str, str]],
    group: Integers,
    number: int,
    bins: Sequence[int] | None,
) -> Flags:
    """Contrasts of which no background changes a base that the output can see, shape (C,)."""
    facts = Facts.from_dict(json.loads(files.metadata["facts"]))
    output = files.output
    kept = tuple(bins) if bins is not None else output.bins
    spec = OutputSpec(output.name, output.tracks, kept, output.reduction, output.track_names)
    start, stop = output_reach(facts, spec, json.loads(files.metadata["shifts"]))
    rows = {key: row for row, key in enumerate(sequences.ids())}
    reached = np.zeros(number, dtype=bool)
    for contrast, pair in zip(group, pairs, strict=True):
        if not reached[contrast]:
            both = [sequences.sequences[rows[key]] for key in pair]
            changed = _changed_indices(sequences.windows[both[0].window], *both)
            reached[contrast] = any(start <= index < stop for index in changed)
    return ~reached


def _changed_indices(window: StoredWindow, one: SetSequence, other: SetSequence) -> list[int]:
    """Indices of the input, in its orientation, at which two overwritten sequences may differ."""
    written = [
        {
            edit.start + offset: letter
            for edit in sequence.edits
            for offset, letter in enumerate(edit.replacement)
        }
        for sequence in (one, other)
    ]
    place = window.window
    return [
        position - place.start if place.strand == "+" else place.end - 1 - position
        for position in {*written[0], *written[1]}
        if written[0].get(position) != written[1].get(position)
    ]
