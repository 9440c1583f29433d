"""Global effects by how far apart the motifs of exposure and outcome are."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from seqtrust.errors import InputError
from seqtrust.files import read_input_table
from seqtrust.mendelian.analysis import Pairs
from seqtrust.mendelian.global_effects import main_effects
from seqtrust.mendelian.instrument_tables import Instruments, Integers
from seqtrust.mendelian.named_estimators import MainEstimator
from seqtrust.statistics import Floats

BREAKS = (0, 35, 70, 150, 1000)
KEYS = ("exposure", "outcome", "nearest", "farthest")


def nearest_distance(first: Integers, second: Integers) -> float:
    """Smallest distance between the middles of two kinds of instances, bp.

    An instance that is of both kinds (the same interval) is no pair; infinite without a pair.

    Args:
        first: half-open intervals (M, 2).
        second: half-open intervals (N, 2).
    """
    if not len(first) or not len(second):
        return float("inf")
    apart = np.abs(first.mean(axis=1)[:, None] - second.mean(axis=1)[None, :])
    same = (first[:, None] == second[None]).all(axis=-1)
    return float(np.where(same, np.inf, apart).min())


def spacing_effects(
    instruments: Instruments,
    pairs: Pairs,
    main: MainEstimator,
    spans: Mapping[str, Sequence[Integers]],
    breaks: Sequence[float] = BREAKS,
    *,
    whole: bool = False,
    published: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Global effects of the loci in every bin of distance.

    Args:
        instruments: of all loci.
        pairs: of tasks.
        main: estimator.
        spans: per task, motif instances of every locus.
        breaks: a locus lies in (breaks[i], breaks[i + 1]].
        whole: also from the first to the last of the breaks.
        published: values to stand beside, of `read_published_spacing`.

    Returns:
        Columns of `main_effects` with `nearest` and `farthest`, the bounds of the bin; loci
        without both motifs, or beyond the breaks, are in none. Where they are given,
        `published_estimate`, `published_loci` and `published_source`.
    """
    bins = [*pairwise(breaks), *([(breaks[0], breaks[-1])] if whole and len(breaks) > 2 else [])]
    parts = []
    for x, y in pairs:
        apart: Floats = np.array(
            [
                nearest_distance(one, other)
                for one, other in zip(
                    spans[instruments.tasks[x]], spans[instruments.tasks[y]], strict=True
                )
            ]
        )
        own = True if instruments.exposures is None else instruments.exposures[:, x]
        for nearest, farthest in bins:
            kept = (apart > nearest) & (apart <= farthest) & own
            if kept.sum() < 2:
                row = pd.DataFrame(
                    {
                        "exposure": [instruments.tasks[x]],
                        "outcome": [instruments.tasks[y]],
                        "loci": [0.0],
                        "reason": [f"{kept.sum()} loci with both motifs at this distance"],
                    }
                )
            else:
                row = main_effects(instruments.of_loci(kept), Pairs({x: (y,)}), main)
            parts.append(row.assign(nearest=nearest, farthest=farthest, loci_in_bin=kept.sum()))
    made = pd.concat(parts, ignore_index=True)
    return made if published is None else made.merge(published, how="left", on=list(KEYS))


def read_published_spacing(path: str) -> pd.DataFrame:
    """Values to stand beside: exposure, outcome, nearest, farthest, estimate; loci, source.

    Raises:
        InputError: a column is missing, or a bin of a pair stands twice.
    """
    table = read_input_table(path)
    needed = [*KEYS, "estimate"]
    for name in needed:
        if name not in table.columns:
            raise InputError(f"{path}: there is no column {name!r}; it needs {', '.join(needed)}")
    twice = table.duplicated(list(KEYS))
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise InputError(f"{path}, line {row + 2}: the bin of the pair stands twice")
    shown = [name for name in ("estimate", "loci", "source") if name in table.columns]
    return table[[*KEYS, *shown]].rename(columns={name: f"published_{name}" for name in shown})
