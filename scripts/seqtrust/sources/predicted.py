"""Points found by a model: positions at which the replicates' mean prediction is high."""

from collections.abc import Mapping

import numpy as np

from seqtrust.effects import aligned_values, facts_of
from seqtrust.errors import InputError
from seqtrust.genes import Point
from seqtrust.models.facts import Facts
from seqtrust.predictions import Predictions
from seqtrust.sequence_set import SequenceSet, StoredWindow


def high_positions(
    replicates: Mapping[str, Predictions],
    sequences: SequenceSet,
    output: str,
    at_least: float,
) -> list[Point]:
    """Positions whose mean prediction over the replicates is at least a value.

    A bin stands for its middle base.

    Args:
        replicates: predictions per replicate.
        sequences: windows without edits.
        output: output of one track, without reduction.
        at_least: smallest mean prediction.

    Returns:
        Points on the strand of their window, with the mean prediction as the score, sorted.

    Raises:
        InputError: the output has several tracks, or no position is that high.
    """
    first = next(iter(replicates.values()))
    spec, facts = first.output(output), facts_of(first)
    if len(spec.tracks) != 1 or spec.reduction != "none":
        raise InputError(
            f"output {output!r} has {len(spec.tracks)} tracks and reduction {spec.reduction!r}: "
            "points need an output of one track without reduction"
        )
    values = [aligned_values(p, spec, sequences.ids())[:, 0] for p in replicates.values()]
    mean = np.asarray(np.mean(np.stack(values), axis=0, dtype=np.float64))
    found: dict[str, Point] = {}
    for row, column in zip(*np.nonzero(mean >= at_least), strict=True):
        window = sequences.windows[sequences.sequences[row].window]
        position = position_of_bin(window, facts, spec.bins[column])
        name = f"{window.contig}_{position + 1}_{window.strand}"
        score = float(mean[row, column])
        if name not in found or score > found[name].score:
            found[name] = Point(name, window.contig, position, window.strand, score)
    if not found:
        raise InputError(
            f"no position of output {output!r} has a mean prediction of at least {at_least} "
            f"(largest: {mean.max():.3g}): the selection is empty"
        )
    return sorted(found.values(), key=lambda point: (point.contig, point.position, point.strand))


def position_of_bin(window: StoredWindow, facts: Facts, number: int) -> int:
    """The assembly position (0-based) of a bin's middle base, for a window without edits."""
    offset = facts.crop + number * facts.bin_width + facts.bin_width // 2
    place = window.window
    return place.start + offset if window.strand == "+" else place.end - 1 - offset
