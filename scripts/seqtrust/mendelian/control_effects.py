"""Controls: effects where there is no path, and how often they are called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from seqtrust.errors import InputError
from seqtrust.mendelian.analysis import Pairs
from seqtrust.mendelian.diagnostics import benjamini_hochberg
from seqtrust.mendelian.effects import Effects
from seqtrust.mendelian.global_effects import ALL, main_effects
from seqtrust.mendelian.instrument_tables import Instruments
from seqtrust.mendelian.named_estimators import MainEstimator
from seqtrust.statistics import wilson

NO_PATH, SHUFFLED, REVERSED = "no_path", "shuffled_heads", "reversed"
ALPHA = 0.05
COLUMNS = (
    "control", "what", "called", "total", "error", "low", "high", "median_size", "median_real",
)  # fmt: skip


def shuffled_outcomes(outcomes: Effects, seed: tuple[int, ...]) -> Effects:
    """Task heads exchanged at every locus, and the signs of whole positions drawn anew.

    At each locus the outcomes get each other's effects, in an order of its own. Every instrument
    keeps its size and its error, so that large effects on the exposure still go with large and
    unsure ones on the outcome; all replicates and alleles of a position are turned together. What
    is lost is which way outcome and exposure go together, so that the effect is 0.

    Args:
        outcomes: shape (T', K, J) with positions, NaN where a locus has fewer instruments.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    tasks, loci, number = outcomes.beta.shape
    heads = rng.permuted(np.tile(np.arange(tasks)[:, None], loci), axis=0)[:, :, None]
    position = outcomes.position
    place = np.broadcast_to(np.arange(number), (loci, number)) if position is None else position
    turned = rng.choice([-1.0, 1.0], (loci, int(place.max(initial=0)) + 2))
    # fillers have position -1, which takes the last column
    sign = np.take_along_axis(turned, np.broadcast_to(place, (loci, number)), axis=1)
    each = outcomes.replicates
    if each is not None:
        each = np.take_along_axis(each, heads[None], axis=1) * sign
    return Effects(
        np.take_along_axis(outcomes.beta, heads, axis=0) * sign,
        np.take_along_axis(outcomes.se, heads, axis=0),
        each,
        position,
    )


def shuffled_effects(
    instruments: Instruments,
    pairs: Pairs,
    main: MainEstimator,
    rounds: int,
    seed: int,
    cross_fit: bool = False,
) -> pd.DataFrame:
    """Global effects on shuffled outcomes: columns of `main_effects`, and `round` from 0."""
    parts = []
    for number in range(rounds):

        def change(
            exposure: Effects,
            outcome: Effects,
            x: int,
            ys: tuple[int, ...],
            number: int = number,
        ) -> tuple[Effects, Effects]:
            return exposure, shuffled_outcomes(outcome, (seed, number, x))

        found = main_effects(instruments, pairs, main, cross_fit=cross_fit, change=change)
        parts.append(found.assign(round=number))
    return pd.concat(parts, ignore_index=True)


def no_path_pairs(instruments: Instruments, named: Sequence[Sequence[str]]) -> Pairs:
    """The pairs that a config says have no path.

    Raises:
        InputError: an unknown task, or a pair of a task with itself.
    """
    chosen: dict[int, tuple[int, ...]] = {}
    for first, second in named:
        if first == second:
            raise InputError(
                f"deep_mr: controls/no_path has the pair [{first}, {second}] of a task with itself"
            )
        x, y = instruments.task(first), instruments.task(second)
        chosen[x] = (*chosen.get(x, ()), y)
    return Pairs(chosen)


def control_table(
    table: pd.DataFrame,
    local: pd.DataFrame,
    no_path: pd.DataFrame,
    shuffled: pd.DataFrame,
    both_ways: pd.DataFrame,
    main: str,
) -> pd.DataFrame:
    """How often controls are called, with Wilson's 95 % interval.

    `what` is pairs (global effects at p < .05; for `reversed` at q < .05) or loci (local effects
    at q < .05, over the loci of a pair). `median_size` is the median |estimate| of the control,
    `median_real` that of all pairs. Pairs share exposures, loci and networks: the interval is that
    of as many independent ones, and too narrow.

    Args:
        table: of `global_effects`.
        local: local effects with q.
        no_path: global effects of pairs without a path.
        shuffled: of `shuffled_effects`.
        both_ways: of `directions`; `reversed` counts pairs called in both directions, from
            disjoint instruments. That is an error only where feedback is excluded.
        main: label of the main estimator.
    """
    real = table[(table["split"] == ALL) & table["main"]]["estimate"].abs().median()
    rows: list[dict[str, Any]] = []

    def add(control: str, what: str, called: Any, sizes: Any) -> None:
        total = len(called)
        if not total:
            return
        low, high = wilson(int(np.sum(called)), total)
        error = float(np.mean(called))
        shown = (control, what, int(np.sum(called)), total, error, low, high, sizes, real)
        rows.append(dict(zip(COLUMNS, shown, strict=True)))

    for name, part in ((NO_PATH, no_path), (SHUFFLED, shuffled)):
        if len(part):
            fine = part[part["p"].notna()]
            add(name, "pairs", fine["p"] < ALPHA, fine["estimate"].abs().median())
    if len(no_path):
        named = set(zip(no_path["exposure"], no_path["outcome"], strict=True))
        pair = list(zip(local["exposure"], local["outcome"], strict=True))
        wanted = np.array([one in named for one in pair], dtype=bool)
        mine = local[wanted & (local["estimator"] == main)]
        mine = mine[mine["q"].notna()]
        add(NO_PATH, "loci", mine["q"] < ALPHA, mine["estimate"].abs().median())
    if len(both_ways):
        sizes = both_ways[["forward_estimate", "reverse_estimate"]].abs().min(axis=1).median()
        add(REVERSED, "pairs", both_ways["called"] == "both", sizes)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def control_p(x: str, y: str, no_path: pd.DataFrame, shuffled: pd.DataFrame) -> np.ndarray | None:
    """The p of the controls of a pair: those without a path that share its exposure or outcome.

    Where there are none, the pair's own shuffled rounds.
    """
    if len(no_path):
        near = no_path[(no_path["exposure"] == x) | (no_path["outcome"] == y)]
        if near["p"].notna().any():
            return near["p"].to_numpy()
    if len(shuffled):
        own = shuffled[(shuffled["exposure"] == x) & (shuffled["outcome"] == y)]
        if own["p"].notna().any():
            return own["p"].to_numpy()
    return None


def local_q(local: pd.DataFrame) -> pd.DataFrame:
    """Local effects with q over the loci of each pair and estimator."""
    groups = local.groupby(["exposure", "outcome", "estimator"], sort=False)["p"]
    return local.assign(q=groups.transform(benjamini_hochberg))


@dataclass(frozen=True)
class Controls:
    """Controls of an analysis.

    Attributes:
        table: how often each is called.
        effects: global effects of all controls, by `control` and `round`.
        no_path: those of pairs without a path.
        shuffled: those of shuffled outcomes.
    """

    table: pd.DataFrame
    effects: pd.DataFrame
    no_path: pd.DataFrame
    shuffled: pd.DataFrame


def controlled(
    instruments: Instruments,
    pairs: Pairs,
    main: MainEstimator,
    table: pd.DataFrame,
    local: pd.DataFrame,
    ways: pd.DataFrame,
    controls: Mapping[str, Any],
    seed: int,
    cross_fit: bool = False,
) -> Controls:
    """Run the controls that a config asks for.

    Args:
        instruments: of all loci.
        pairs: of tasks.
        main: estimator.
        table: of `global_effects`.
        local: local effects with q.
        ways: of `directions`.
        controls: `no_path` (pairs), `shuffled_heads` (rounds) and `reversed`.
        seed: of the shuffling.
        cross_fit: of the instruments.
    """
    none = main_effects(instruments, Pairs({}), main)
    named = no_path_pairs(instruments, controls["no_path"])
    no_path = none
    if named.outcomes:
        no_path = main_effects(instruments, named, main, cross_fit=cross_fit)
    rounds = controls["shuffled_heads"]
    shuffled = none
    if rounds:
        shuffled = shuffled_effects(instruments, pairs, main, rounds, seed, cross_fit)
    both_ways = ways if controls["reversed"] else ways.iloc[:0]
    found = control_table(table, local, no_path, shuffled, both_ways, main.label)
    parts = [no_path.assign(control=NO_PATH, round=0), shuffled.assign(control=SHUFFLED)]
    kept = [part for part in parts if len(part)]
    effects = pd.concat(kept, ignore_index=True) if kept else parts[0]
    return Controls(found, effects, no_path, shuffled)
