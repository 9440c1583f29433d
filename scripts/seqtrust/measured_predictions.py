"""What replicates predict as measured tracks: their mean and spread, which one network may learn.

A student that is trained on them gives the spread of an ensemble in one pass (Zhou et al. 2026,
DEGU: distilling ensembles of genomic networks).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from seqtrust.effects import aligned_values, facts_of
from seqtrust.errors import InputError
from seqtrust.measured import Interval, Values, write_measured
from seqtrust.models.facts import Facts, Track
from seqtrust.personal import on_scale
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.sequence_set import SequenceSet

SPREAD = "_sd"


def measure_predictions(
    path: str | Path,
    replicates: Mapping[str, Predictions],
    sequences: SequenceSet,
    output: str,
    scale: str,
) -> int:
    """Write mean and standard deviation (ddof 1) over replicates of every bin of a set's windows.

    Args:
        path: of the file of measured windows; a track `x` of the output becomes `x` and `x_sd`.
        replicates: predictions per replicate, at least two.
        sequences: windows without edits, on whose forward strand values are written.
        output: name of an output with all of its bins, without reduction.
        scale: that mean and spread are taken on: `identity`, or `log2p1` for log2(1 + value).

    Returns:
        Number of intervals.

    Raises:
        InputError: one replicate, or an output that is reduced or has some bins only.
    """
    first = next(iter(replicates.values()))
    spec, facts = first.output(output), facts_of(first)
    if len(replicates) < 2:
        raise InputError("measured: one replicate has no spread: name an ensemble of at least two")
    bins = range(len(spec.bins))
    if spec.reduction != "none" or spec.bins != tuple(bins):
        raise InputError(
            f"measured: output {output!r} keeps bins {spec.bins[0]} to {spec.bins[-1]} with "
            f"reduction {spec.reduction}: name one with all bins, without reduction"
        )
    partners = _partners(spec, facts)
    ids = sequences.ids()
    values = np.stack([aligned_values(one, spec, ids) for one in replicates.values()])
    scaled = on_scale(values.astype(np.float64), scale)
    return write_measured(
        path,
        _rows(sequences, facts, scaled, partners),
        [Track(name, reverse_complement_index=p) for name, p in _named(spec, partners)],
        facts.bin_width,
        len(bins),
        {
            "source": f"mean and sd of {len(replicates)} replicates, output {output}, {scale}",
            "scale": scale,
            "crop": str(facts.crop),
        },
    )


def _partners(spec: OutputSpec, facts: Facts) -> list[int]:
    """Place of every kept track's other strand among the kept ones.

    Raises:
        InputError: the output has one strand of an experiment without the other.
    """
    swapped = facts.swapped_tracks()
    missing = [track for track in spec.tracks if swapped[track] not in spec.tracks]
    if missing:
        raise InputError(
            f"measured: output {spec.name!r} has track {facts.labels()[missing[0]]!r} without its "
            f"other strand, {facts.labels()[swapped[missing[0]]]!r}: name both"
        )
    return [spec.tracks.index(swapped[track]) for track in spec.tracks]


def _named(spec: OutputSpec, partners: list[int]) -> Iterator[tuple[str, int | None]]:
    count = len(spec.tracks)
    for suffix, first in (("", 0), (SPREAD, count)):
        for place, name in enumerate(spec.track_names):
            partner = None if partners[place] == place else first + partners[place]
            yield name + suffix, partner


def _rows(
    sequences: SequenceSet, facts: Facts, values: Values, partners: list[int]
) -> Iterator[tuple[Interval, Values]]:
    """Interval and values (bins, 2 tracks) of every window.

    Args:
        sequences: windows without edits.
        facts: of the replicates.
        values: shape (R, N, tracks, bins), in the orientation of the windows.
        partners: place of every track's other strand.
    """
    for row, sequence in enumerate(sequences.sequences):
        window = sequences.windows[sequence.window]
        mine = values[:, row]
        if window.strand == "-":
            mine = mine[:, partners, ::-1]
        both = np.concatenate([mine.mean(axis=0), mine.std(axis=0, ddof=1)])
        start, end = window.window.start + facts.crop, window.window.end - facts.crop
        yield (window.contig, start, end), both.T
