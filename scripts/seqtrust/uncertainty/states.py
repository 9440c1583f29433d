"""Chromatin states: which one a position lies in, and where eQTLs of a class are enriched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqtrust.errors import InputError, at_line
from seqtrust.files import numbered_lines
from seqtrust.genome import aliases
from seqtrust.statistics import Floats, locus_bootstrap
from seqtrust.uncertainty.attributes import in_order
from seqtrust.uncertainty.eqtls import EVERY, score_parts, split_parts

TABLE = (
    "score", "split", "class", "state", "count", "total", "share", "share_low", "share_high",
    "bp_share", "enrichment", "low", "high", "loci",
)  # fmt: skip


@dataclass(frozen=True)
class States:
    """Intervals of one state each, 0-based half-open and disjoint.

    Attributes:
        intervals: per contig starts and ends, sorted, and the state of each.
        shares: share of the covered bp per state.
    """

    intervals: Mapping[str, tuple[Floats, Floats, list[str]]]
    shares: Mapping[str, float]

    def at(self, contig: str, position: int) -> str | None:
        """The state of a base (0-based), or None where there is none."""
        names = [name for name in (contig, *aliases(contig)) if name in self.intervals]
        if not names:
            return None
        starts, ends, states = self.intervals[names[0]]
        index = int(np.searchsorted(starts, position, side="right")) - 1
        return states[index] if index >= 0 and position < ends[index] else None


def read_states(path: str | Path) -> States:
    """Read a BED, plain or gzipped, whose fourth column is the state.

    Raises:
        InputError: the file is missing or empty, a row is not such a row, or two rows overlap;
            the message names the line.
    """
    rows: dict[str, list[tuple[int, int, str, int]]] = {}
    bases: dict[str, int] = {}
    for number, line in numbered_lines(path):
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        with at_line(path, number, "contig, start, end and state"):
            contig, start, end, state = line.split("\t")[:4]
            first, last = int(start), int(end)
            if not 0 <= first < last:
                raise ValueError(f"the interval {first}-{last} holds no base")
        rows.setdefault(contig, []).append((first, last, state, number))
        bases[state] = bases.get(state, 0) + last - first
    if not rows:
        raise InputError(f"{path} holds no interval of a chromatin state")
    intervals = {}
    for contig, mine in rows.items():
        mine.sort()
        for one, other in pairwise(mine):
            if other[0] < one[1]:
                raise InputError(
                    f"{path}, line {other[3]}: {contig}:{other[0]}-{other[1]} overlaps line "
                    f"{one[3]}; a base has one state"
                )
        starts, ends = (np.array([row[k] for row in mine], dtype=np.float64) for k in (0, 1))
        intervals[contig] = starts, ends, [row[2] for row in mine]
    total = sum(bases.values())
    return States(intervals, {state: count / total for state, count in bases.items()})


def states_of_units(units: pd.DataFrame, states: Mapping[str, States]) -> list[str | None]:
    """The state at the first base of REF of every unit.

    Args:
        units: columns contig, position and tissue.
        states: per tissue; under `EVERY` for tissues that have none of their own.
    """
    shared = states.get(EVERY)
    places = zip(units["contig"], units["position"], units["tissue"], strict=True)
    chosen = ((states.get(tissue, shared), contig, place) for contig, place, tissue in places)
    return [mine.at(contig, int(place)) if mine else None for mine, contig, place in chosen]


def state_table(units: pd.DataFrame, states: Mapping[str, States], seed: int) -> pd.DataFrame:
    """Share of every class in every state, and its enrichment over the share of bp.

    Enrichment is the share of units in a state over the share of bp in it; with several tissues,
    over the mean share of bp of the units' own tissues. Intervals are bootstraps over loci.
    Units without a state are not counted.

    Args:
        units: the units of all scores.
        states: as in `states_of_units`.
        seed: of the bootstrap.
    """
    rows: list[tuple[Any, ...]] = []
    names = sorted({state for one in states.values() for state in one.shares})
    for score, mine in score_parts(units):
        for split, part in split_parts(mine[mine["state"].notna()]):
            classes = part["class"].to_numpy(dtype=np.str_)
            for kind in (EVERY, *in_order(classes)):
                here = part if kind == EVERY else part[classes == kind]
                if len(here):
                    rows += [(score, split, kind, *row)
                             for row in _enriched(here, states, names, seed)]  # fmt: skip
    return pd.DataFrame(rows, columns=list(TABLE))


def _enriched(
    units: pd.DataFrame, states: Mapping[str, States], names: Sequence[str], seed: int
) -> list[tuple[Any, ...]]:
    observed = np.stack([units["state"] == name for name in names], axis=1).astype(np.float64)
    shares = {
        tissue: np.array([one.shares.get(name, 0.0) for name in names])
        for tissue, one in states.items()
    }
    expected = np.stack(
        [shares[tissue if tissue in shares else EVERY] for tissue in units["tissue"]]
    )
    width = len(names)

    def ratios(total: Floats) -> Floats:
        seen, share, n = total[..., :width], total[..., width:-1], total[..., -1:]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.concatenate([seen / n, seen / share], axis=-1)

    sums = np.column_stack([observed, expected, np.ones(len(units))])
    values = ratios(sums.sum(axis=0))
    low, high = locus_bootstrap(sums, list(units["locus"]), ratios, seed)
    loci = units["locus"].nunique()
    return [
        (name, int(observed[:, k].sum()), len(units), values[k], low[k], high[k],
         expected[:, k].mean(), values[width + k], low[width + k], high[width + k], loci)
        for k, name in enumerate(names)
    ]  # fmt: skip
