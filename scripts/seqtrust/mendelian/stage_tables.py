"""All tables over the loci of one analysis."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from seqtrust.mendelian.control_effects import controlled
from seqtrust.mendelian.effect_statistics import effect_statistics
from seqtrust.mendelian.global_effects import directions, global_effects
from seqtrust.mendelian.instrument_tables import Instruments
from seqtrust.mendelian.loci_of_pairs import refuse_without_loci
from seqtrust.mendelian.residual_errors import RESIDUAL
from seqtrust.mendelian.stage import (
    Stage,
    count_table,
    headline_rows,
    scatter_table,
    shown_pairs,
)
from seqtrust.mendelian.verdict_tables import verdict_table


def stage_tables(
    instruments: Instruments,
    stage: Stage,
    local: pd.DataFrame,
    diagnostics: pd.DataFrame,
    settings: Mapping[str, Any],
    seed: int,
    *,
    counts: Sequence[Mapping[str, Any]] = (),
    published: pd.DataFrame | None = None,
    statistics: pd.DataFrame | None = None,
) -> dict[str, pd.DataFrame]:
    """Global effects, controls, verdicts and what figures show.

    Args:
        instruments: of all loci.
        stage: the entry of the config, resolved.
        local: local effects with q.
        diagnostics: of all loci.
        settings: the entry of the config.
        seed: of the controls.
        counts: mutants computed, of `read_counts`.
        published: values to stand beside.
        statistics: published statistics to stand beside.

    Returns:
        Tables by the names of the rule's outputs.
    """
    refuse_without_loci(instruments, stage.pairs)
    pairs, main, cross_fit = stage.pairs, stage.main, stage.cross_fit
    table = global_effects(
        instruments, pairs, local, main, cross_fit=cross_fit, published=published
    )
    ways = directions(table)
    run = controlled(
        instruments, pairs, main, table, local, ways, settings["controls"], seed, cross_fit
    )
    controls = run.no_path, run.shuffled
    alone = instruments.kind == RESIDUAL
    verdicts = verdict_table(table, diagnostics, *controls, settings["limits"], one_network=alone)
    mutants = count_table(counts)
    shown = shown_pairs(settings, table)
    return {
        "effects": table,
        "directions": ways,
        "verdicts": verdicts,
        "controls": run.table,
        "control_effects": run.effects,
        "scatter": scatter_table(instruments, local, shown, settings["show"]["loci"]),
        "counts": mutants,
        "statistics": effect_statistics(table, local, statistics),
        "headlines": headline_rows(settings["label"], run.table, verdicts, mutants),
    }
