"""Which track of a model stands for which tissue."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from seqtrust.errors import InputError
from seqtrust.files import read_input_table
from seqtrust.tables import metadata_of


def read_tissue_tracks(
    path: str | Path, assay: str, effects: pa.Table, output: str
) -> dict[str, str]:
    """The track of every tissue, by the names that the effects have.

    Args:
        path: TSV with a column `tissue` and a column per assay, which holds the name of a track
            or its index in the model, from 0; a tissue without a track is left empty.
        assay: column of the table.
        effects: the effects table, whose metadata know the indices of tracks.
        output: output of the ensemble.

    Raises:
        InputError: the table lacks a column, names a tissue twice or a track that the output
            does not have; the message names the line.
    """
    table = read_input_table(path)
    for column in ("tissue", assay):
        if column not in table:
            found = ", ".join(map(str, table.columns))
            raise InputError(f"{path} has no column {column!r}; it has: {found}")
    numbered = json.loads(metadata_of(effects.schema).get("tracks", "{}")).get(output, {})
    names = set(effects["track"].to_pylist())
    tracks: dict[str, str] = {}
    for row, (tissue, value) in enumerate(zip(table["tissue"], table[assay], strict=True)):
        if pd.isna(value):
            continue
        # pandas reads numbers with a point where a field of the column is empty
        given = str(value).removesuffix(".0")
        track = given if given in names else numbered.get(given, given)
        if tissue in tracks:
            raise InputError(f"{path}, line {row + 2}: tissue {tissue!r} is there already")
        if track not in names:
            raise InputError(
                f"{path}, line {row + 2}: output {output!r} has no track {given!r} ({assay} of "
                f"{tissue}); add it to the tracks of the output. It has: "
                f"{', '.join(sorted(names)[:8])}"
            )
        tracks[tissue] = track
    return tracks


def on_own_track(
    effects: pa.Table, tissue_of: Mapping[str, str], tracks: Mapping[str, str]
) -> pa.Table:
    """The rows of contrasts on the track of their tissue; tissues without one are left out.

    Args:
        effects: rows of the effects table.
        tissue_of: tissue of every contrast.
        tracks: track of every tissue.

    Raises:
        InputError: no contrast is of a tissue with a track.
    """
    pairs = zip(effects["contrast_id"].to_pylist(), effects["track"].to_pylist(), strict=True)
    mine = np.array([tracks.get(tissue_of[contrast]) == track for contrast, track in pairs])
    if not mine.any():
        found = ", ".join(sorted(set(tissue_of.values()))[:8])
        raise InputError(
            f"no contrast is of a tissue with a track: contrasts have {found}; the table of "
            f"tissues has {', '.join(sorted(tracks)[:8])}"
        )
    return effects.filter(pa.array(mine))
