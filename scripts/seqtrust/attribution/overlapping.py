"""Groups of maps that a jackknife leaves out together: windows that overlap stay in one."""

from collections.abc import Sequence

import numpy as np

from seqtrust.attribution.attribution_maps import Integers
from seqtrust.genome import Window
from seqtrust.sequence_set import SequenceSet


def kept_stretch(window: Window, region: Sequence[int] | None) -> tuple[int, int]:
    """Positions [start, end) of the assembly, 0-based, under the kept part of a window's map.

    Args:
        window: in which edits are not counted.
        region: first and end of the kept positions, 0-based, in the sequence's orientation.
    """
    first, end = region or (0, window.length)
    if window.strand == "-":
        return window.end - end, window.end - first
    return window.start + first, window.start + end


def overlapping_units(sequences: SequenceSet, region: Sequence[int] | None = None) -> Integers:
    """A number per sequence, equal where kept stretches overlap, directly or through others.

    Returns:
        Shape (N,), from 0 in order of assembly, contig and position.
    """
    windows = [stored.window for stored in sequences.windows]
    stretches = [kept_stretch(window, region) for window in windows]
    order = sorted(
        range(len(windows)),
        key=lambda index: (windows[index].assembly, windows[index].contig, *stretches[index]),
    )
    units = np.zeros(len(windows), dtype=np.int64)
    place, reach, unit = None, 0, -1
    for index in order:
        start, end = stretches[index]
        contig = (windows[index].assembly, windows[index].contig)
        if contig != place or start >= reach:
            unit, reach, place = unit + 1, end, contig
        reach = max(reach, end)
        units[index] = unit
    return units[sequences.window_indices()]


def jackknife_groups(units: Integers, groups: int, seed: int) -> Integers:
    """Whole units dealt at random to so many groups, or to as many as there are units.

    Args:
        units: of every map, shape (N,).
        groups: at least 1.
        seed: of the deal.

    Returns:
        Shape (N,), from 0; group sizes in units differ by at most one.
    """
    found, index = np.unique(units, return_inverse=True)
    dealt = np.arange(len(found)) % groups
    return np.random.default_rng(seed).permutation(dealt)[index]
