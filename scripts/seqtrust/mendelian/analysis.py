"""Local causal effects and diagnostics of every locus and pair of tasks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from seqtrust.errors import InputError
from seqtrust.mendelian.diagnostics import leave_one_position_out, locus_diagnostics
from seqtrust.mendelian.direction import steiger
from seqtrust.mendelian.effects import Effects, Estimate, Flags
from seqtrust.mendelian.ensembles import per_replicate_local
from seqtrust.mendelian.extensions import multivariable_ivw
from seqtrust.mendelian.instrument_tables import EVEN, ODD, RULE, Instruments, Integers
from seqtrust.mendelian.instruments import Selector, cross_fitted
from seqtrust.mendelian.named_estimators import PER_REPLICATE, Estimator, MainEstimator
from seqtrust.mendelian.regression import ivw
from seqtrust.mendelian.residual_errors import RESIDUAL, by_residuals
from seqtrust.tables import Column, TableSchema

STEIGER, DIRECT = "steiger", "multivariable_ivw"
_PAIR = (
    Column("locus", pa.string(), "sequence of the set, or locus of the table"),
    Column("split", pa.string(), "data split of the locus: what the replicates were trained on"),
    Column("exposure", pa.string(), "task"),
    Column("outcome", pa.string(), "task"),
)


def _number(name: str, description: str) -> Column:
    return Column(name, pa.float64(), description, nullable=True)


LOCAL = TableSchema(
    name="local_effects",
    version=1,
    path="deepmr/{deepmr}.local.parquet",
    description=(
        "Causal effect of an exposure on an outcome at one locus, in outcome units per exposure "
        "unit, by estimator: those of the config; `per_replicate`, whose error is that between "
        "replicates; `steiger`, IVW of the instruments that move the exposure more; "
        "`multivariable_ivw`, the effect beside all other tasks."
    ),
    columns=(
        *_PAIR,
        Column("estimator", pa.string(), "label in the config"),
        _number("estimate", "empty where `reason` says why"),
        _number("se", "standard error"),
        _number("low", "lower end of the 95 % interval"),
        _number("high", "upper end"),
        _number("p", "of no effect, two-sided"),
        _number("q", "Benjamini-Hochberg over the loci of a pair and estimator"),
        _number("intercept", "of MR-Egger; else empty"),
        _number("conditional_F", "strength beside the other tasks, of `multivariable_ivw`"),
        Column("instruments", pa.int64(), "instruments of the locus"),
        Column("reason", pa.string(), "why there is no estimate, else empty"),
    ),
)

NUMBERS = {
    "instruments": "number of instruments",
    "positions": "different positions of instruments",
    "effective": "effective number of instruments by their weights",
    "F": "mean of (b_x / s_x)^2",
    "I2_GX": "1 if errors of the exposure do not weaken MR-Egger",
    "Q_ivw": "heterogeneity around the line of IVW",
    "Q_ivw_p": "its p",
    "Q_egger": "heterogeneity around the line of MR-Egger",
    "Q_egger_p": "its p",
    "rucker": "Q_ivw - Q_egger",
    "rucker_p": "its p",
    "intercept": "of MR-Egger",
    "intercept_se": "its standard error",
    "intercept_p": "its p",
    "positive": "share of instruments that raise the exposure",
    "curvature": "quadratic coefficient of outcome on exposure effects",
    "curvature_p": "its p",
}
# what compares effects with their errors, which one network has not
OF_ERRORS = (
    "F", "I2_GX", "Q_ivw", "Q_ivw_p", "Q_egger", "Q_egger_p", "rucker", "rucker_p",
)  # fmt: skip
DIAGNOSTICS = TableSchema(
    name="deep_mr_diagnostics",
    version=1,
    path="deepmr/{deepmr}.diagnostics.parquet",
    description=(
        "What speaks for and against the effect of a pair at one locus. One network (`se: "
        "residual`) has no F, I2_GX, Q or rucker: they compare effects with their errors."
    ),
    columns=(
        *_PAIR,
        *(_number(name, words) for name, words in NUMBERS.items()),
        _number("left_out_least", "smallest IVW effect without one of the positions"),
        _number("left_out_most", "largest"),
        Column("reason", pa.string(), "why there is none, else empty"),
    ),
)


@dataclass(frozen=True)
class Pairs:
    """Which ordered pairs of tasks are analysed: outcomes by exposure, as indices."""

    outcomes: Mapping[int, tuple[int, ...]]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Exposure and outcome of every pair."""
        return ((x, y) for x, ys in self.outcomes.items() for y in ys)

    @property
    def tasks(self) -> list[int]:
        """Every task that is an exposure or outcome, sorted."""
        return sorted({task for pair in self for task in pair})


def chosen_pairs(
    instruments: Instruments,
    tasks: str | Sequence[str] = "all",
    pairs: str | Sequence[Sequence[str]] = "all",
) -> Pairs:
    """The pairs that a config asks for.

    Raises:
        InputError: an unknown task, one task only, or a pair of a task with itself.
    """
    named = instruments.tasks if isinstance(tasks, str) else tasks
    used = [instruments.task(name) for name in named]
    if len(set(used)) < 2:
        raise InputError(f"deep_mr: tasks are {list(named)}; a pair needs two different ones")
    if isinstance(pairs, str):
        return Pairs({x: tuple(y for y in used if y != x) for x in used})
    chosen: dict[int, tuple[int, ...]] = {}
    for first, second in pairs:
        if first == second:
            raise InputError(
                f"deep_mr: the pair [{first}, {second}] is of a task with itself: name two tasks"
            )
        x, y = instruments.task(first), instruments.task(second)
        for task, name in ((x, first), (y, second)):
            if task not in used:
                raise InputError(
                    f"deep_mr: the pair [{first}, {second}] needs task {name!r}, which tasks "
                    "leaves out: add it there"
                )
        if y not in chosen.get(x, ()):
            chosen[x] = (*chosen.get(x, ()), y)
    return Pairs(chosen)


def needs_replicates(instruments: Instruments, what: str) -> None:
    """Refuse what summary statistics cannot give.

    Raises:
        InputError: there are no replicates.
    """
    if instruments.replicates is None:
        raise InputError(
            f"deep_mr: {what} needs the effects of every replicate, which neither a table of "
            "summary statistics nor a single network has: set main to an estimator, such as ivw, "
            "and cross_fitted to false"
        )


def halves(instruments: Instruments, exposure: int) -> tuple[Integers, Selector]:
    """Rows for cross-fitting, and what chooses among them: first by one half, then the other."""
    kept = instruments.chosen_for(exposure, EVEN | ODD)
    places = instruments.places(kept)
    masks = iter([_at(instruments.chosen_for(exposure, bit), places) for bit in (EVEN, ODD)])
    return places, lambda effects: np.broadcast_to(next(masks), effects.beta.shape)


def _at(rows: Flags, places: Integers) -> Flags:
    if not len(rows):
        return np.zeros(places.shape, dtype=bool)
    return np.where(places < 0, False, rows[places])


def exposure_and_outcomes(
    instruments: Instruments, exposure: int, outcomes: Sequence[int], bit: int = RULE, **how: bool
) -> tuple[Effects, Effects]:
    """Effects of the instruments of an exposure: on it (K, J), and on outcomes (T', K, J)."""
    places = instruments.places(instruments.chosen_for(exposure, bit))
    return (
        instruments.effects(exposure, places, **how),
        instruments.effects(list(outcomes), places, **how),
    )


def local_effects(
    instruments: Instruments,
    pairs: Pairs,
    estimators: Mapping[str, Estimator],
    main: MainEstimator,
    *,
    cross_fit: bool = False,
) -> pd.DataFrame:
    """Effects of every locus and pair by every estimator: columns of `LOCAL` without q."""
    parts = []
    for mine, x, ys in of_exposures(instruments, pairs):
        exposure, outcome = exposure_and_outcomes(mine, x, ys)
        found: list[tuple[str, Estimate, Integers]] = [
            (label, *_crossed(mine, x, ys, estimator, (exposure, outcome), cross_fit))
            for label, estimator in estimators.items()
        ]
        if exposure.replicates is not None:
            each = partial(per_replicate_local, estimator=main.local if main.replicates else ivw)
            crossed = _crossed(mine, x, ys, each, (exposure, outcome), cross_fit)
            found.append((PER_REPLICATE, *crossed))
        directed = steiger_kept(mine, exposure, outcome, x, ys)
        if directed is not None:
            slope = by_residuals(ivw) if mine.kind == RESIDUAL else ivw
            of_both = slope(_kept(exposure, directed), outcome)
            found.append((STEIGER, of_both, directed.sum(axis=-1)))
        parts += [_local_rows(mine, x, ys, *one) for one in found]
    return _joined(parts + _direct_effects(instruments, pairs), LOCAL)


def of_exposures(
    instruments: Instruments, pairs: Pairs
) -> Iterator[tuple[Instruments, int, tuple[int, ...]]]:
    """The instruments at the loci of every exposure that has any, the exposure, its outcomes."""
    for x, ys in pairs.outcomes.items():
        mine = instruments.for_exposure(x)
        if mine.loci:
            yield mine, x, ys


def _joined(parts: Sequence[pd.DataFrame], schema: TableSchema) -> pd.DataFrame:
    """Rows of all exposures; a shard may have loci of none."""
    empty = pd.DataFrame(columns=[column.name for column in schema.columns if column.name != "q"])
    return pd.concat(parts, ignore_index=True) if parts else empty


def _crossed(
    instruments: Instruments,
    x: int,
    ys: Sequence[int],
    estimator: Estimator,
    effects: tuple[Effects, Effects],
    cross_fit: bool,
) -> tuple[Estimate, Integers]:
    """Local estimates, cross-fitted or of the given effects, and the number of instruments."""
    if not cross_fit:
        return estimator(*effects), np.isfinite(effects[0].beta).sum(axis=-1)
    places, select = halves(instruments, x)
    exposure, outcome = instruments.effects(x, places), instruments.effects(list(ys), places)
    made = cross_fitted(exposure, outcome, select, estimator, se=_kind(instruments))
    return made, np.isfinite(exposure.beta).sum(axis=-1)


def _kind(instruments: Instruments) -> str:
    return instruments.kind if instruments.kind in ("mean", "published") else "moderated"


def _kept(exposure: Effects, kept: Flags) -> Effects:
    """Effects on the exposure (K, J) with an axis of outcomes, NaN where not kept (T', K, J)."""
    each = exposure.replicates
    return Effects(
        np.where(kept, exposure.beta, np.nan),
        np.where(kept, exposure.se, np.nan),
        None if each is None else np.where(kept, each[:, None], np.nan),
        exposure.position,
    )


def steiger_kept(
    instruments: Instruments, exposure: Effects, outcome: Effects, x: int, ys: Sequence[int]
) -> Flags | None:
    """Instruments that move the exposure more, over its sd, than the outcome: (T', K, J).

    None where the sd of tasks over sequences is not known.
    """
    scales = instruments.scales[[x, *ys]]
    if not (scales > 0).all():
        return None
    first = Effects(exposure.beta, exposure.se, None, exposure.position)
    second = Effects(outcome.beta, outcome.se, None, outcome.position)
    return steiger(first, second, scales[0], scales[1:, None, None]).keeps


def directed(
    instruments: Instruments, exposure: Effects, outcome: Effects, x: int, ys: Sequence[int]
) -> tuple[Effects, Effects] | None:
    """The same effects with what moves the outcome more left out, (T', K, J) both."""
    kept = steiger_kept(instruments, exposure, outcome, x, ys)
    return None if kept is None else (_kept(exposure, kept), outcome.keep(kept))


def _direct_effects(instruments: Instruments, pairs: Pairs) -> list[pd.DataFrame]:
    """Of every task on every other beside all others, where three or more share their loci."""
    tasks, parts = pairs.tasks, []
    if len(tasks) < 3 or instruments.exposures is not None:
        return []
    places = instruments.places(instruments.chosen_for(tasks))
    each = {task: instruments.effects(task, places) for task in tasks}
    for y in tasks:
        exposures = [task for task in tasks if task != y]
        made = multivariable_ivw([each[task] for task in exposures], each[y])
        number = np.isfinite(each[y].beta).sum(axis=-1)
        for at, x in enumerate(exposures):
            if (x, y) in set(pairs):
                one = Estimate(
                    np.asarray(made.estimate)[:, at],
                    np.asarray(made.se)[:, at],
                    (np.asarray(made.interval[0])[:, at], np.asarray(made.interval[1])[:, at]),
                    np.asarray(made.p)[:, at],
                    np.asarray(np.inf),
                    np.asarray(made.reason)[:, at],
                    {"conditional_F": made.diagnostics["conditional_F"][:, at]},
                )
                parts.append(_local_rows(instruments, x, [y], DIRECT, one, number))
    return parts


def _local_rows(
    instruments: Instruments, x: int, ys: Sequence[int], label: str, made: Estimate, number: Any
) -> pd.DataFrame:
    shape = (len(ys), len(instruments.loci))

    def flat(values: Any) -> Any:
        return np.broadcast_to(values, shape).ravel()

    return pd.DataFrame(
        _names(instruments, x, ys)
        | {
            "estimator": label,
            "estimate": flat(made.estimate),
            "se": flat(made.se),
            "low": flat(made.interval[0]),
            "high": flat(made.interval[1]),
            "p": flat(made.p),
            "intercept": flat(made.diagnostics.get("intercept", np.nan)),
            "conditional_F": flat(made.diagnostics.get("conditional_F", np.nan)),
            "instruments": flat(number).astype(np.int64),
            "reason": flat(made.reason),
        }
    )


def _names(instruments: Instruments, x: int, ys: Sequence[int]) -> dict[str, Any]:
    loci = len(instruments.loci)
    return {
        "locus": np.tile(np.array(instruments.loci, dtype=object), len(ys)),
        "split": np.tile(np.array(instruments.splits, dtype=object), len(ys)),
        "exposure": instruments.tasks[x],
        "outcome": np.repeat(np.array([instruments.tasks[y] for y in ys], dtype=object), loci),
    }


def diagnostics(instruments: Instruments, pairs: Pairs) -> pd.DataFrame:
    """The diagnostics of every locus and pair: columns of `DIAGNOSTICS`."""
    parts = []
    for mine, x, ys in of_exposures(instruments, pairs):
        for y in ys:
            exposure, outcomes = exposure_and_outcomes(mine, x, [y])
            outcome = Effects(outcomes.beta[0], outcomes.se[0], None, outcomes.position)
            found = locus_diagnostics(exposure, outcome)
            rows = _names(mine, x, [y])
            rows |= {name: np.asarray(getattr(found, name)) for name in NUMBERS}
            if instruments.kind == RESIDUAL:
                rows |= dict.fromkeys(OF_ERRORS, np.nan)
            rows |= {"left_out_least": np.nan, "left_out_most": np.nan}
            if exposure.position is not None:
                left = np.asarray(leave_one_position_out(exposure, outcome).estimate)
                left = np.where(np.isfinite(exposure.beta), left, np.nan)
                with np.errstate(all="ignore"):
                    rows["left_out_least"] = np.fmin.reduce(left, axis=-1)
                    rows["left_out_most"] = np.fmax.reduce(left, axis=-1)
            parts.append(pd.DataFrame(rows | {"reason": np.asarray(found.reason)}))
    return _joined(parts, DIAGNOSTICS)
