"""Some rows of a BED: in regions, and drawn at random, in all or of every name or contig."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seqtrust.errors import InputError
from seqtrust.genome import Genome, Window, parse_region

ALL, NAME, CONTIG = "all", "name", "contig"


def chosen_windows(
    genome: Genome,
    windows: Sequence[tuple[str, Window]],
    settings: Mapping[str, Any],
    source: str,
) -> list[tuple[str, Window]]:
    """Some of the windows, in their order.

    Args:
        genome: assembly of the windows.
        windows: names and windows of all rows; where the draw is by name, names repeat and come
            back as name.contig_start, with the 0-based start of the window.
        settings: `regions` that windows lie in as a whole (all if there are none); `number` of
            windows to draw, all if there is none; `per`: `all`, or so many of every `name` or
            `contig`; `seed`.
        source: file of the rows, for messages.

    Raises:
        InputError: there are fewer rows than are to be drawn.
    """
    places = [parse_region(region, genome) for region in settings["regions"]]
    kept = [row for row in windows if not places or _inside(row[1], places)]
    strata: dict[str, list[int]] = {key: [] for key in _strata(settings["per"], windows, places)}
    for index, row in enumerate(kept):
        strata[_stratum(settings["per"], row)].append(index)
    rng = np.random.default_rng(settings["seed"])
    chosen: list[int] = []
    for key in sorted(strata):
        rows, number = strata[key], settings.get("number")
        if number is not None and len(rows) < number:
            of = f" of {settings['per']} {key!r}" if key else ""
            where = f" in {', '.join(settings['regions'])}" if places else ""
            raise InputError(
                f"{source}: {number:,} rows{of} are to be drawn, and there are "
                f"{len(rows):,}{where}: lower rows/number, or name other regions"
            )
        chosen += rows if number is None else rng.choice(rows, number, replace=False).tolist()
    found = [kept[index] for index in sorted(chosen)]
    if settings["per"] != NAME:
        return found
    return [(f"{name}.{window.contig}_{window.start}", window) for name, window in found]


def _stratum(per: str, row: tuple[str, Window]) -> str:
    return {ALL: "", NAME: row[0], CONTIG: row[1].contig}[per]


def _strata(
    per: str, windows: Sequence[tuple[str, Window]], places: Sequence[tuple[str, int, int]]
) -> set[str]:
    """What rows are drawn of, those included that have none in the regions."""
    if per == CONTIG and places:
        return {contig for contig, _, _ in places}
    return {""} if per == ALL else {_stratum(per, row) for row in windows}


def _inside(window: Window, places: Sequence[tuple[str, int, int]]) -> bool:
    return any(
        window.contig == contig and start <= window.start and window.end <= end
        for contig, start, end in places
    )
