"""Contrasts: which two sequences of a set are compared."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from seqtrust.tables import Column, TableSchema, write_table

CONTRASTS = TableSchema(
    name="contrasts",
    version=1,
    path="contrasts/{set}.parquet",
    description=(
        "Which two sequences of a set are compared. Rows with one `contrast_id` are averaged: "
        "an indel is scored with its left and with its right neighbour held in place."
    ),
    columns=(
        Column("contrast_id", pa.string(), "what is compared, such as a variant and a gene"),
        Column("pair", pa.string(), "`only`, or `left` and `right` for an indel's two anchors"),
        Column("reference_id", pa.string(), "sequence_id of the reference"),
        Column("alternative_id", pa.string(), "sequence_id of the alternative"),
        Column("contig", pa.string(), "contig, as the FASTA spells it"),
        Column("position", pa.int64(), "first base of REF", "bp, 0-based"),
        Column("ref", pa.string(), "reference allele, left-normalised"),
        Column("alt", pa.string(), "alternative allele, left-normalised"),
        Column(
            "anchor",
            pa.string(),
            "what the window is anchored at: a gene or site; empty: the variant",
        ),
        Column("distance", pa.int64(), "variant minus anchor, positive downstream of it", "bp"),
        Column("context", pa.string(), "tissue or cell type of the truth; may be empty"),
        Column("locus", pa.string(), "rows of one locus are not independent: gene, or position"),
        Column(
            "truth_effect",
            pa.float64(),
            "measured effect of ALT; only its sign is a truth",
            "",
            True,
        ),
    ),
)


def write_contrasts(path: str | Path, contrasts: Sequence[Mapping[str, Any]]) -> None:
    """Write the contrasts of a set."""
    columns = {column.name: [row[column.name] for row in contrasts] for column in CONTRASTS.columns}
    write_table(path, CONTRASTS, columns)
