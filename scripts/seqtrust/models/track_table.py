"""Tables of tracks in the form of Basenji's targets files; without torch."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from seqtrust.errors import InputError, at_line
from seqtrust.models.facts import Track

_PARTNER_COLUMNS = ("reverse_complement_index", "strand_pair")


class TrackCountError(InputError):
    """A model got another number of tracks than its network predicts."""


def read_tracks(path: str | Path) -> tuple[Track, ...]:
    """Read a tab-separated table with one row per track, in the order of the model's head.

    A track's name is its `name`, else its `description`; its assay is its `assay`, else what
    stands before the first colon of the description, if any. Columns `reverse_complement_index` or
    `strand_pair` name the track of the other strand, where one has its own. An `index` (or an
    unnamed first column) must count the rows from 0. Other columns are not read.

    Raises:
        InputError: the file is missing or empty, has neither `name` nor `description`, or a row
            is malformed; the message names the file and the line.
    """
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: no table of tracks can be read from it ({error})") from error
    rows = list(csv.reader(text.splitlines(), delimiter="\t"))
    if len(rows) < 2:
        raise InputError(f"{path} has no row of a track: expected a header and a row per track")
    header = [name or "index" for name in rows[0]]
    if not {"name", "description"} & set(header):
        raise InputError(
            f"{path} has the columns {', '.join(header)}, expected a column name or description, "
            "separated by tabs, as in a targets file of Basenji"
        )
    tracks = []
    for index, row in enumerate(rows[1:]):
        with at_line(path, index + 2, "one value per column, separated by tabs"):
            tracks.append(_track(dict(zip(header, row, strict=True)), index))
    return tuple(tracks)


def named_files(path: str | Path) -> list[Path]:
    """The files that a table's column `file` names, relative to the table; none without one."""
    rows = csv.DictReader(Path(path).read_text().splitlines(), delimiter="\t")
    return [Path(path).parent / row["file"] for row in rows if row.get("file")]


def tracks_of_head(tracks: Sequence[Track], count: int, architecture: str) -> tuple[Track, ...]:
    """The tracks of a network with `count` outputs; numbered ones where none are named.

    Raises:
        TrackCountError: there are tracks, but not as many.
    """
    if not tracks:
        return tuple(Track(f"track_{index}") for index in range(count))
    if len(tracks) != count:
        raise TrackCountError(
            f"{len(tracks)} tracks, but the network of architecture {architecture!r} predicts "
            f"{count}: give one row per predicted track, in the network's order"
        )
    return tuple(tracks)


def _track(row: Mapping[str, str], index: int) -> Track:
    if "index" in row and int(row["index"]) != index:
        raise InputError(
            f"index {row['index']}, expected {index}: rows must be all tracks of the head, in order"
        )
    description = row.get("description", "")
    name = row.get("name") or description
    if not name:
        raise InputError("the track has no name: fill in its name or description")
    return Track(
        name,
        row.get("assay") or (description.partition(":")[0] if ":" in description else ""),
        reverse_complement_index=_partner(row, index),
    )


def _partner(row: Mapping[str, str], index: int) -> int | None:
    """Index of the other strand's track; none where it is the track itself."""
    texts = [row[column] for column in _PARTNER_COLUMNS if row.get(column)]
    return None if not texts or int(texts[0]) == index else int(texts[0])
