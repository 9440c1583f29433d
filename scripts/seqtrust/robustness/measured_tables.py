"""Splits of an assay on disk, in the table that simulated worlds are kept in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from seqtrust.motifs import Motif
from seqtrust.robustness.conditions import Condition
from seqtrust.robustness.world_tables import write_data_sets


def write_split(
    path: str | Path,
    tables: Mapping[str, Any],
    split: int,
    motifs: Sequence[Motif],
    data_sets: Iterable[tuple[str, Condition]],
) -> None:
    """Write the data sets of a split whole.

    Args:
        path: of the table.
        tables: `tables` of the config.
        split: its seed.
        motifs: that priors scan with.
        data_sets: name and data; the training data come first.
    """
    rest = iter(data_sets)
    name, training = next(rest)
    facts = {
        "splits": dict(tables["splits"]),
        "split": split,
        "track": tables["track"],
        "activity_sd": float(training.observed.std()),
        "motifs": [asdict(motif) for motif in motifs],
        "columns": list(tables["features"]["columns"]) if "features" in tables else [],
    }
    every = chain([(name, training)], rest)
    write_data_sets(path, facts, ((one, condition, None) for one, condition in every))
