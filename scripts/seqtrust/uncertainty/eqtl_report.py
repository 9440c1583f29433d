"""All tables of one eQTL analysis, with the published values that they stand beside."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqtrust.errors import InputError
from seqtrust.files import read_input_table
from seqtrust.signal_files import mean_signal
from seqtrust.uncertainty import eqtl_classes, eqtl_votes, states
from seqtrust.uncertainty.bounds import bound_table
from seqtrust.uncertainty.causal import causal_tables
from seqtrust.uncertainty.eqtl_attributes import attribute_tables
from seqtrust.uncertainty.eqtl_classes import BY_ROW, BY_TISSUE, CLASSES, MEAN_OF_TISSUES
from seqtrust.uncertainty.eqtl_pairs import pair_table
from seqtrust.uncertainty.eqtls import EVERY, compared_filters, linked_loci
from seqtrust.uncertainty.states import States

PUBLISHED = "published"
NEEDED = ("assay", "tissue", "n", *CLASSES, "majority_accuracy", "single_accuracy")


def annotated(
    units: pd.DataFrame, conservation: str | Path | None, of_states: Mapping[str, States]
) -> pd.DataFrame:
    """The units of all scores with their loci, conservation and chromatin states.

    Args:
        units: from `seqtrust.uncertainty.eqtls.eqtl_units`, all scores and kinds.
        conservation: bigWig or bedGraph; None if there is none.
        of_states: states per tissue or under `EVERY`; empty if there are none.
    """
    starts, spans = units["position"].to_numpy(), units["span"].to_numpy()
    signal = np.full(len(units), np.nan)
    if conservation is not None:
        intervals = zip(units["contig"], starts.tolist(), (starts + spans).tolist(), strict=True)
        signal = mean_signal(conservation, list(intervals))
    found: list[str | None] = [None] * len(units)
    if of_states:
        found = states.states_of_units(units, of_states)
    return units.assign(
        locus=linked_loci(units["variant"].tolist(), units["gene"].tolist()),
        conservation=signal,
        state=pd.Series(found, dtype=object, index=units.index),
    )


def eqtl_tables(
    units: pd.DataFrame,
    settings: Mapping[str, Any],
    filters: Mapping[str, pd.DataFrame],
    published: Mapping[str, pd.DataFrame],
    of_states: Mapping[str, States],
    seed: int,
) -> dict[str, pd.DataFrame]:
    """The tables of one analysis by name.

    Args:
        units: from `annotated`.
        settings: an entry of `eqtl_analyses`.
        filters: as in `compared_filters`.
        published: rows of published tables by score, from `read_published`.
        of_states: as in `annotated`.
        seed: of bootstraps, permutations and matching.
    """
    counts = eqtl_classes.correct_counts(units)
    pairs, matching = pair_table(units, settings["matched_within"], seed)
    quartiles, tests = attribute_tables(units)
    classes = [eqtl_classes.eqtl_class_table(units, seed)]
    votes = [eqtl_votes.vote_table(units, settings["distance_breaks"], seed)]
    classes += [published_classes(score, table) for score, table in published.items()]
    votes += [published_votes(score, table) for score, table in published.items()]
    return {
        "filters": compared_filters(filters, units),
        "counts": counts,
        "classes": _joined(classes),
        "agreement": eqtl_classes.agreement_table(units),
        "pairs": pairs,
        "matching": matching,
        "majority": _joined(votes),
        "tracks": _joined(
            [eqtl_classes.track_table(units, *pair) for pair in settings["compare"]],
            eqtl_classes.TRACKS,
        ),
        "attributes": quartiles,
        "attribute_tests": tests,
        "states": states.state_table(units, of_states, seed),
        "bounds": bound_table(counts, settings["bounds"]),
        "causal": causal_tables(units, settings["matched_within"], seed),
    }


def _joined(tables: Sequence[pd.DataFrame], columns: Sequence[str] = ()) -> pd.DataFrame:
    """One table of several; without any, an empty one with the columns."""
    filled = [table for table in tables if not table.empty]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(columns))


def read_published(path: str | Path, assay: str) -> pd.DataFrame:
    """The rows of one assay of a table of published values.

    Raises:
        InputError: the table lacks a column or the assay.
    """
    table = read_input_table(path)
    missing = [name for name in NEEDED if name not in table]
    if missing:
        raise InputError(f"{path} lacks the column {', '.join(missing)}")
    mine = table[table["assay"] == assay]
    if mine.empty:
        known = ", ".join(sorted(set(table["assay"].astype(str))))
        raise InputError(f"{path} has no row of assay {assay!r}; it has: {known}")
    return mine.reset_index(drop=True)


def published_classes(score: str, published: pd.DataFrame) -> pd.DataFrame:
    """Published class fractions as rows of the class table."""
    rows = [
        {"score": score, "tissue": row["tissue"], "split": EVERY, "level": PUBLISHED,
         "weighting": BY_TISSUE if row["tissue"] == MEAN_OF_TISSUES else BY_ROW,
         "class": name, "total": row["n"], "fraction": row[name]}
        for row in published.to_dict("records")
        for name in CLASSES
        if np.isfinite(row[name])
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(eqtl_classes.TABLE))


def published_votes(score: str, published: pd.DataFrame) -> pd.DataFrame:
    """Published accuracies as rows of the table of votes."""
    rows = [
        {"score": score, "tissue": row["tissue"], "distance": eqtl_votes.ANYWHERE,
         "split": EVERY, "estimator": f"{PUBLISHED} {name}", "accuracy": row[column],
         "units": row["n"]}
        for row in published.to_dict("records")
        for column, name in (
            ("majority_accuracy", eqtl_votes.MAJORITY), ("single_accuracy", "replicate 1"),
        )
        if np.isfinite(row[column])
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(eqtl_votes.TABLE))
