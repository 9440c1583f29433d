"""What figures of attribution maps draw: k-mer spectra, directions, and stretches for logos."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from seqtrust.attribution.attribution_maps import Floats, Integers, contributions
from seqtrust.attribution.embedding_measure import EmbeddingMeasure
from seqtrust.attribution.kmer_measure import KmerMeasure
from seqtrust.attribution.map_tables import AttributionMaps
from seqtrust.bases import Codes
from seqtrust.errors import InputError
from seqtrust.tables import Column, TableSchema

_MODEL = (
    Column("method", pa.string(), "method of attribution"),
    Column("track", pa.string(), "track of the model"),
    Column("replicate", pa.string(), "replicate, or `ensemble` for the mean map"),
)
_SCORE = Column("score", pa.float64(), "corrected score", "nats")

SPECTRA = TableSchema(
    name="attribution_spectra",
    version=1,
    path="attributions/{attribution}.spectra.parquet",
    description="K-mers under the strongest positions of the maps of one method and replicate.",
    columns=(
        *_MODEL,
        _SCORE,
        Column("kmers", pa.int64(), "k-mers counted"),
        Column("spectrum", pa.list_(pa.float64()), "share of every k-mer, A, C, G, T = 0..3, "
               "first base highest"),
        Column("prior", pa.list_(pa.float64()), "share of every k-mer in the sequences"),
    ),
)  # fmt: skip
SPHERES = TableSchema(
    name="attribution_spheres",
    version=1,
    path="attributions/{attribution}.spheres.parquet",
    description=(
        "Directions of the longest window sums of the maps of one method and replicate, weighted "
        "by squared length, in cells of equal area on the sphere."
    ),
    columns=(
        *_MODEL,
        _SCORE,
        Column("vectors", pa.int64(), "window sums kept"),
        Column("rows", pa.int32(), "rows of cells, uniform in the cosine to the pole, which "
               "points from A and C to G and T"),
        Column("columns", pa.int32(), "columns of cells, uniform in azimuth; the middle of the "
               "first is 0, where C lies"),
        Column("histogram", pa.list_(pa.float64()), "share of every cell, row by row"),
    ),
)  # fmt: skip
LOGOS = TableSchema(
    name="attribution_logos",
    version=1,
    path="attributions/{attribution}.logos.parquet",
    description="Stretches of maps that are drawn as logos, the strongest sequence first.",
    columns=(
        *_MODEL,
        Column("sequence_id", pa.string(), "sequence of the set"),
        Column("start", pa.int32(), "first position, in the sequence's orientation",
               "bp, 0-based"),
        Column("bases", pa.binary(), "codes A,C,G,T,N = 0..4"),
        Column("map", pa.list_(pa.float64()), "map, its mean over bases subtracted: "
               "positions x 4"),
    ),
)  # fmt: skip


def spectrum_rows(
    measure: KmerMeasure, maps: Floats, codes: Codes, about: Mapping[str, str]
) -> list[dict[str, Any]]:
    """A row of `SPECTRA`; none where no k-mer is counted.

    Args:
        measure: settings of the score.
        maps: usable maps (N, L, 4).
        codes: base codes (N, L).
        about: method, track and replicate.
    """
    try:
        found = measure.result(maps, codes)
    except InputError:
        return []
    if not found.kmers:
        return []
    shown = {"spectrum": found.spectrum, "prior": found.prior}
    return [dict(about) | {"score": found.score, "kmers": found.kmers} | shown]


def sphere_rows(
    measure: EmbeddingMeasure, maps: Floats, about: Mapping[str, str]
) -> list[dict[str, Any]]:
    """A row of `SPHERES`; none where no window sum is left.

    Args:
        measure: settings of the corrected score.
        maps: usable maps (N, L, 4).
        about: method, track and replicate.
    """
    try:
        found = measure.result(maps)
    except InputError:
        return []
    rows, columns = measure.shape
    shown = {"rows": rows, "columns": columns, "histogram": found.histogram[0].ravel()}
    return [dict(about) | {"score": found.score, "vectors": found.vectors} | shown]


def strongest_stretches(
    maps: AttributionMaps, units: Integers, sequences: int, width: int
) -> list[tuple[int, int]]:
    """The sequences whose strongest stretch is the strongest, one of each unit as far as possible.

    A stretch is as strong as the sum of its absolute contributions.

    Args:
        maps: in which stretches are sought.
        units: number of every sequence, equal where windows overlap, shape (N,).
        sequences: so many at most.
        width: positions per stretch; maps that are shorter are taken whole.

    Returns:
        Row of the sequence and first position of the stretch, both 0-based, the strongest first.
    """
    rows = np.flatnonzero(maps.usable)
    sizes = np.abs(contributions(maps.maps[rows], maps.bases[rows]))
    width = min(width, sizes.shape[1])
    summed = np.cumsum(np.pad(sizes, ((0, 0), (1, 0))), axis=1)
    sums = summed[:, width:] - summed[:, :-width]
    order = np.argsort(-sums.max(axis=1), kind="stable")
    # the first of every unit, then the rest, both in order of strength
    again = np.ones(len(order), dtype=bool)
    again[np.unique(units[rows[order]], return_index=True)[1]] = False
    chosen = order[np.argsort(again, kind="stable")][:sequences]
    return list(zip(rows[chosen].tolist(), sums[chosen].argmax(axis=1).tolist(), strict=True))


def logo_rows(
    models: Mapping[tuple[str, str], AttributionMaps],
    shown: Sequence[str],
    stretches: Sequence[tuple[int, int]],
    width: int,
    first: int,
) -> Iterator[dict[str, Any]]:
    """Rows of `LOGOS`, sequence by sequence.

    Args:
        models: maps by method and replicate.
        shown: the replicates to draw.
        stretches: from `strongest_stretches`.
        width: positions per stretch.
        first: position of the sequence at which maps begin.
    """
    for row, start in stretches:
        for (method, replicate), maps in models.items():
            if replicate in shown:
                part = slice(start, start + width)
                yield {
                    "method": method,
                    "track": maps.track,
                    "replicate": replicate,
                    "sequence_id": maps.sequence_ids[row],
                    "start": first + start,
                    "bases": maps.bases[row, part].tobytes(),
                    "map": maps.maps[row, part].ravel(),
                }
