"""Pairs of whole contigs that are compared: the two alleles of a reporter assay's variants."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqtrust.edits import Edit
from seqtrust.errors import InputError, at_line, nearest_clause
from seqtrust.files import read_input_table
from seqtrust.genome import Genome, Window
from seqtrust.sequence_set import StoredWindow, store_window

COLUMNS = ("reference", "alternative", "effect")


def read_pairs(path: str | Path, genome: Genome) -> pd.DataFrame:
    """Read a TSV of `reference`, `alternative` (contigs) and `effect`, the measured difference.

    An empty effect is one that was not measured. A column `context` (a cell type, a promoter)
    may be there, and `locus`: pairs of one locus are not independent; it is the reference if
    absent.

    Raises:
        InputError: a column is missing, a contig unknown, an effect no number, or a pair
            occurs twice in one context; the message names the line.
    """
    words = dict.fromkeys(("reference", "alternative", "context", "locus"), str)
    table = read_input_table(path, words)
    for column in COLUMNS:
        if column not in table.columns:
            raise InputError(
                f"{path} has no column {column!r}{nearest_clause(column, table.columns)}"
            )
    if table.empty:
        raise InputError(f"{path} holds no pair")
    effects = pd.to_numeric(table["effect"], errors="coerce")
    wrong = np.flatnonzero(table["effect"].notna() & effects.isna())
    if wrong.size:
        found = table["effect"].iloc[wrong[0]]
        raise InputError(f"{path}, line {wrong[0] + 2}: effect {found!r} is not a number")
    table["effect"] = effects
    for column in ("reference", "alternative"):
        known: dict[str, str] = {}
        for line, name in enumerate(table[column].fillna(""), start=2):
            if name not in known:
                with at_line(path, line, "two contigs and an effect"):
                    known[name] = genome.resolve(name)
        table[column] = table[column].map(known)
    if "context" not in table.columns:
        table["context"] = ""
    table["context"] = table["context"].fillna("")
    if "locus" not in table.columns:
        table["locus"] = table["reference"]
    repeated = np.flatnonzero(table.duplicated(["reference", "alternative", "context"]))
    if repeated.size:
        raise InputError(
            f"{path}, line {repeated[0] + 2}: the pair occurs twice: average its effects, or "
            "tell the rows apart by a column context"
        )
    return table


def pair_sequences(
    genome: Genome, pairs: pd.DataFrame, length: int
) -> Iterator[tuple[StoredWindow, list[tuple[str, tuple[Edit, ...]]]]]:
    """Every contig of a pair once, as a sequence without edits that has the contig's name.

    Raises:
        InputError: a contig has another length.
    """
    for name in pd.unique(pd.concat([pairs["reference"], pairs["alternative"]])):
        if genome.contigs[name] != length:
            raise InputError(
                f"contig {name!r} of assembly {genome.assembly!r} has {genome.contigs[name]} bp, "
                f"but the set's length is {length}: pairs are compared as whole contigs"
            )
        window = Window(genome.assembly, name, length // 2, length // 2, length)
        yield store_window(genome, window, name), [(name, ())]


def pair_contrasts(pairs: pd.DataFrame) -> list[Mapping[str, Any]]:
    """Rows of `contrasts.CONTRASTS`: alternative minus reference."""
    contexts = pairs["context"].nunique() > 1
    return [
        {
            "contrast_id": f"{row['reference']}>{row['alternative']}"
            + (f"|{row['context']}" if contexts else ""),
            "pair": "only",
            "reference_id": row["reference"],
            "alternative_id": row["alternative"],
            "contig": row["reference"],
            "position": 0,
            "ref": "",
            "alt": "",
            "anchor": "",
            "distance": 0,
            "context": row["context"],
            "locus": row["locus"],
            "truth_effect": None if np.isnan(row["effect"]) else row["effect"],
        }
        for row in pairs.to_dict("records")
    ]
