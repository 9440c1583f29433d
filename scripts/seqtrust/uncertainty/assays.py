"""Panels of tracks: the assay of every track, as the model says or as the user groups them."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from seqtrust.errors import InputError
from seqtrust.files import read_input_table
from seqtrust.models.facts import Facts
from seqtrust.predictions import OutputSpec

UNNAMED = "all tracks"


def panels_of(
    output: OutputSpec, facts: Facts, assays: str | Path | Mapping[str, str] | None
) -> list[str]:
    """The panel of every kept track.

    Args:
        output: the kept tracks.
        facts: of the model; their `assay` is the panel where `assays` is None.
        assays: a TSV with the columns `track` and `assay`, or patterns of track names (`*` for
            anything) and their panels, of which the first that fits counts. A track is named as
            in the output, by its plain name, or by its index in the model.

    Raises:
        InputError: a track has no panel; the message names the first one.
    """
    if assays is None:
        return [facts.tracks[index].assay or UNNAMED for index in output.tracks]
    patterns = assays if isinstance(assays, Mapping) else _read(assays)
    panels = []
    for index, label in zip(output.tracks, output.track_names, strict=True):
        names = (label, facts.tracks[index].name, str(index))
        found = [patterns[name] for name in names if name in patterns] + [
            panel for pattern, panel in patterns.items()
            if any(fnmatchcase(name, pattern) for name in names[:2])
        ]  # fmt: skip
        if not found:
            where = "assays" if isinstance(assays, Mapping) else assays
            raise InputError(
                f"{where}: track {label!r} (index {index}) has no assay: add a row or pattern for "
                "it (`*` fits every name)"
            )
        panels.append(found[0])
    return panels


def _read(path: str | Path) -> dict[str, str]:
    if not Path(path).exists():
        raise InputError(f"there is no table of assays at {path}")
    table = read_input_table(path, {"track": str, "assay": str})
    if not {"track", "assay"} <= set(table.columns):
        raise InputError(
            f"{path} needs the columns track and assay; it has: {', '.join(table.columns)}"
        )
    if table["track"].duplicated().any():
        twice = table["track"][table["track"].duplicated()].iloc[0]
        raise InputError(f"{path}: track {twice!r} is listed twice")
    return dict(zip(table["track"], table["assay"], strict=True))


def chosen_tracks(output: OutputSpec, chosen: list[str | int]) -> list[int]:
    """Positions among the kept tracks of tracks given by label or by index in the model.

    Raises:
        InputError: a track is not kept by the output.
    """
    positions = []
    for track in chosen:
        known: tuple[str | int, ...] = (
            output.track_names if isinstance(track, str) else output.tracks
        )
        if track not in known:
            listed = ", ".join(str(name) for name in known[:12])
            raise InputError(
                f"tracks: {track!r} is not among those of output {output.name!r}: {listed}"
                + (", ..." if len(known) > 12 else "")
            )
        positions.append(known.index(track))
    return positions
