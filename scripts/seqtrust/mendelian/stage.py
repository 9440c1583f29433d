"""The stage of the workflow: what the settings of one analysis mean, and its tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from seqtrust.errors import InputError, nearest_clause
from seqtrust.headlines import COLUMNS
from seqtrust.mendelian.analysis import Pairs, chosen_pairs, needs_replicates
from seqtrust.mendelian.control_effects import NO_PATH, REVERSED
from seqtrust.mendelian.effects import Effects
from seqtrust.mendelian.instrument_tables import Instruments, Integers
from seqtrust.mendelian.motif_spans import motifs_of_tasks, spans_of_motifs
from seqtrust.mendelian.named_estimators import (
    ESTIMATORS,
    PER_REPLICATE,
    Estimator,
    MainEstimator,
    named_estimators,
)
from seqtrust.mendelian.residual_errors import RESIDUAL, by_residuals, residual_sd
from seqtrust.mendelian.selected_instruments import Rule
from seqtrust.sequence_set import SequenceSet

RULE_KEYS = ("rule", "threshold", "top_per_position", "cross_fitted")


@dataclass(frozen=True)
class Stage:
    """One entry of the config's `deep_mr`, with its names resolved.

    Attributes:
        pairs: of tasks.
        estimators: by label.
        main: of the headline and the verdict.
        cross_fit: choose and use instruments by different replicates.
    """

    pairs: Pairs
    estimators: Mapping[str, Estimator]
    main: MainEstimator
    cross_fit: bool


def stage_of(settings: Mapping[str, Any], instruments: Instruments, seed: int) -> Stage:
    """Resolve an entry of the config.

    Raises:
        InputError: an unknown task, pair, estimator or setting, or something that needs
            replicates where there are none.
    """
    pairs = chosen_pairs(instruments, settings["tasks"], settings["pairs"])
    estimators = named_estimators(settings["estimators"], seed)
    if instruments.kind == RESIDUAL:
        estimators = {label: by_residuals(one) for label, one in estimators.items()}
    main = main_estimator(settings, estimators, seed)
    cross_fit = settings["instruments"]["cross_fitted"]
    if main.replicates:
        needs_replicates(instruments, "main: per_replicate")
    if cross_fit:
        needs_replicates(instruments, "instruments/cross_fitted")
    return Stage(pairs, estimators, main, cross_fit)


def main_estimator(
    settings: Mapping[str, Any], estimators: Mapping[str, Estimator], seed: int
) -> MainEstimator:
    """The estimator of the headline.

    Raises:
        InputError: it is neither `per_replicate` nor a label of the config's estimators.
    """
    meta, name = settings["meta"], settings["main"]
    how = {"method": meta["method"], "test": meta["test"]}
    known = [*estimators, PER_REPLICATE]
    if name not in known:
        raise InputError(
            f"deep_mr: main is {name!r}; name one of the estimators{nearest_clause(name, known)}"
        )
    if name != PER_REPLICATE:
        return MainEstimator(name, estimators[name], False, **how)
    inner = settings["within_replicates"]
    if inner in estimators:
        return MainEstimator(name, estimators[inner], True, **how)
    if inner not in ESTIMATORS:
        nearest = nearest_clause(inner, {*ESTIMATORS, *estimators})
        raise InputError(f"deep_mr: within_replicates: no estimator {inner!r}{nearest}")
    return MainEstimator(name, named_estimators([inner], seed)[inner], True, **how)


def within_replicates(settings: Mapping[str, Any]) -> bool:
    """Whether global effects need the effects of single replicates."""
    return settings["main"] == PER_REPLICATE or settings["instruments"]["cross_fitted"]


def rule_of(settings: Mapping[str, Any]) -> Rule:
    """The rule of an entry's `instruments`."""
    return Rule(**{key: settings[key] for key in RULE_KEYS if key in settings})


def published_threshold(settings: Mapping[str, Any]) -> float | None:
    """The threshold of the published rule, where published choices are compared."""
    compared = settings["compare_published"]
    return float(compared["threshold"]) if compared else None


def task_spans(
    settings: Mapping[str, Any], path: str, sequences: SequenceSet, tasks: Sequence[str]
) -> dict[str, list[Integers]]:
    """Motif instances of every task in every sequence.

    Args:
        settings: `of` (names of motifs by task) and `matches`.
        path: MEME file.
        sequences: of a shard or a set.
        tasks: names.
    """
    motifs = motifs_of_tasks(path, settings["of"], tasks)
    codes = list(sequences.codes())
    found: dict[tuple[str, ...], list[Integers]] = {}
    for mine in motifs.values():
        key = tuple(motif.name for motif in mine)
        if key not in found:
            found[key] = [spans_of_motifs(one, mine, settings["matches"]) for one in codes]
    return {task: found[tuple(m.name for m in mine)] for task, mine in motifs.items()}


def shown_pairs(settings: Mapping[str, Any], table: pd.DataFrame) -> list[tuple[str, str]]:
    """The pairs of the forest and scatter plots: those of the config, else the three surest."""
    named = settings["show"]["pairs"]
    if named:
        return [(first, second) for first, second in named]
    main = table[table["main"] & (table["split"] == "all")]
    size = (main["estimate"] / main["se"]).abs()
    best = main.loc[size.sort_values(ascending=False, kind="stable").index[:3]]
    return list(zip(best["exposure"], best["outcome"], strict=True))


def scatter_table(
    instruments: Instruments,
    local: pd.DataFrame,
    shown: Sequence[tuple[str, str]],
    loci: int,
) -> pd.DataFrame:
    """The instruments of some loci of some pairs: those with most instruments.

    Returns:
        exposure, outcome, locus, instrument, position, exposure_effect, exposure_se,
        outcome_effect, outcome_se, split. Of one network, outcome_se is the residual sd.
    """
    parts = []
    for first, second in shown:
        mine = local[(local["exposure"] == first) & (local["outcome"] == second)]
        known = mine[mine["reason"] == ""].drop_duplicates("locus")
        most = known.sort_values("instruments", ascending=False, kind="stable")
        x, y = instruments.task(first), instruments.task(second)
        for name in most["locus"].head(loci):
            number = instruments.loci.index(name)
            rows = np.flatnonzero((instruments.row_locus == number) & instruments.chosen_for(x))
            at = instruments.position
            outcome_se = instruments.se[rows, y]
            if instruments.kind == RESIDUAL:
                both = (Effects(instruments.beta[rows, task], instruments.se[rows, task])
                        for task in (x, y))  # fmt: skip
                outcome_se = np.fmax(outcome_se, residual_sd(*both))
            parts.append(
                pd.DataFrame(
                    {
                        "exposure": first,
                        "outcome": second,
                        "locus": name,
                        "split": instruments.splits[number],
                        "instrument": [instruments.names[row] for row in rows],
                        "position": np.nan if at is None else at[rows],
                        "exposure_effect": instruments.beta[rows, x],
                        "exposure_se": instruments.se[rows, x],
                        "outcome_effect": instruments.beta[rows, y],
                        "outcome_se": outcome_se,
                    }
                )
            )
    names = ["exposure", "outcome", "locus", "split", "instrument", "position"]
    effects = ["exposure_effect", "exposure_se", "outcome_effect", "outcome_se"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=names + effects)


def count_table(counts: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Mutants per replicate, added up over shards: 3 L for L known bases, and what was computed."""
    if not counts:
        return pd.DataFrame(columns=["replicate", "loci", "mutations", "passes_needed"])
    table = pd.DataFrame(counts).groupby("replicate", sort=False).sum().reset_index()
    table.insert(3, "passes_needed", table["mutations"] + table["loci"])
    return table


def headline_rows(
    label: str, controls: pd.DataFrame, verdicts: pd.DataFrame, counts: pd.DataFrame
) -> pd.DataFrame:
    """Headlines of an analysis: first how often its controls are called."""
    rows: list[tuple[Any, ...]] = []
    words = {NO_PATH: "without a path", REVERSED: "both ways", "shuffled_heads": "shuffled heads"}
    for row in controls.to_dict("records"):
        wanted = None if row["control"] == REVERSED else 0.05
        beside = "" if wanted is None else "level of the test"
        what = f"{label}: {row['what']} {words[row['control']]} called"
        rows.append((what, row["error"], row["low"], row["high"], wanted, beside, row["total"]))
    fine = float(verdicts["applicable"].mean()) if len(verdicts) else np.nan
    rows.append((f"{label}: pairs to which it may be applied", fine, None, None, None, "",
                 len(verdicts)))  # fmt: skip
    if len(counts):
        share = counts["mutants_computed"].sum() / counts["mutations"].sum()
        rows.append((f"{label}: mutants computed of 3 per base", share, None, None, None, "",
                     int(counts["mutations"].sum())))  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))
