"""Contrasts: which two sequences of a set are compared."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from seqtrust.tables import Column, TableSchema, write_table

CONTRASTS = TableSchema(
    name="contrasts",
    version=2,
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
        Column(
            "distance",
            pa.int64(),
            "variant minus anchor or, without one, its gene's TSS; positive downstream of it; 0 "
            "where there is neither",
            "bp",
        ),
        Column("context", pa.string(), "tissue or cell type of the truth; may be empty"),
        Column("locus", pa.string(), "rows of one locus are not independent: gene, or position"),
        Column(
            "truth_effect",
            pa.float64(),
            "measured effect of ALT; only its sign is a truth",
            "",
            True,
        ),
        Column("pip", pa.float64(), "posterior inclusion probability of a fine-mapped variant",
               "", True),
        Column("z", pa.float64(), "z-score of ALT's measured effect", "", True),
        Column("maf", pa.float64(), "frequency of the minor allele", "", True),
        Column("flipped", pa.bool_(), "the table's effect was that of REF, and was negated",
               "", True),
    ),
)  # fmt: skip


def write_contrasts(path: str | Path, contrasts: Sequence[Mapping[str, Any]]) -> None:
    """Write the contrasts of a set."""
    columns = {
        column.name: [
            row.get(column.name) if column.nullable else row[column.name] for row in contrasts
        ]
        for column in CONTRASTS.columns
    }
    write_table(path, CONTRASTS, columns)
