"""Loci that belong to one exposure: regions that it binds, say, of which others say nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from glob import escape
from typing import Any

import numpy as np

from seqtrust.errors import InputError, nearest_clause
from seqtrust.mendelian.analysis import Pairs, chosen_pairs
from seqtrust.mendelian.effects import Flags
from seqtrust.mendelian.instrument_tables import Instruments

TASK = "{task}"


def exposed_loci(
    loci: Sequence[str], tasks: Sequence[str], loci_of: str | Mapping[str, str]
) -> Flags:
    """At which loci a task may be an exposure, shape (K, T).

    Args:
        loci: names, K.
        tasks: names, T.
        loci_of: a pattern (`*` standing for anything) in which {task} is the exposure; or patterns
            by task, of which those without one have all loci.

    Raises:
        InputError: a pattern is of no task, or the one of all does not name the task.
    """
    if isinstance(loci_of, str):
        if TASK not in loci_of:
            raise InputError(
                f"deep_mr: loci_of is {loci_of!r}, the same loci for every exposure: write "
                f"{TASK} where the names of loci have the exposure, or patterns by task"
            )
        patterns = {task: loci_of.replace(TASK, escape(task)) for task in tasks}
    else:
        for task in loci_of:
            if task not in tasks:
                raise InputError(
                    f"deep_mr: loci_of has {task!r}: no such task{nearest_clause(task, tasks)}"
                )
        patterns = {task: loci_of.get(task, "*") for task in tasks}
    found = [[fnmatchcase(locus, patterns[task]) for task in tasks] for locus in loci]
    return np.array(found, dtype=bool).reshape(len(loci), len(tasks))


def at_own_loci(made: Instruments, pairs: Pairs, loci_of: str | Mapping[str, str]) -> Instruments:
    """Instruments at the loci of their exposure alone.

    Effects on tasks that no pair needs at a locus become NaN: with 50 replicates and 37 tasks
    they would be most of the table.

    Args:
        made: of all loci.
        pairs: that are analysed.
        loci_of: see `exposed_loci`.
    """
    exposures = exposed_loci(made.loci, made.tasks, loci_of)
    for task in set(range(len(made.tasks))) - set(pairs.outcomes):
        exposures[:, task] = False
    needed = exposures.copy()
    for x, y in pairs:
        needed[:, y] |= exposures[:, x]
    chosen = np.where(exposures[made.row_locus], made.chosen, 0).astype(np.int8)
    rows = (chosen > 0).any(axis=1)
    useful = needed[made.row_locus][rows]

    def of(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else np.where(useful, values[:, rows], np.nan)

    return replace(
        made,
        row_locus=made.row_locus[rows],
        names=tuple(made.names[row] for row in np.flatnonzero(rows)),
        position=None if made.position is None else made.position[rows],
        beta=np.where(useful, made.beta[rows], np.nan),
        se=np.where(useful, made.se[rows], np.nan),
        replicates=of(made.replicates),
        recalibrated=of(made.recalibrated),
        chosen=chosen[rows],
        exposures=exposures,
    )


def located(made: Instruments, settings: Mapping[str, Any]) -> Instruments:
    """Instruments of an entry of the config, at the loci of their exposure if it names such."""
    if "loci_of" not in settings:
        return made
    pairs = chosen_pairs(made, settings["tasks"], settings["pairs"])
    return at_own_loci(made, pairs, settings["loci_of"])


def refuse_without_loci(instruments: Instruments, pairs: Pairs) -> None:
    """Every exposure has a locus.

    Raises:
        InputError: one has none.
    """
    if instruments.exposures is None:
        return
    for x in pairs.outcomes:
        if not instruments.exposures[:, x].any():
            raise InputError(
                f"deep_mr: loci_of: no locus is one of exposure {instruments.tasks[x]!r}; the "
                f"first locus is {instruments.loci[0]!r}: mend the pattern, or leave its pairs out"
            )
