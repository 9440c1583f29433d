"""The table of instruments: effects of mutations on all tasks, of every replicate, per locus."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from seqtrust.errors import InputError, nearest_clause
from seqtrust.mendelian.effects import Effects, Flags
from seqtrust.statistics import Floats
from seqtrust.tables import (
    Column,
    TableSchema,
    check_schema,
    dump,
    metadata_of,
    read_table,
    write_table,
)

Integers = npt.NDArray[np.int64]
NUMBERS = pa.list_(pa.float64())

# bits of `chosen`: the rule of the config, the published rule, and the rule of the config on
# the replicates of even and of odd index (from 0), for cross-fitting
RULE, PUBLISHED, EVEN, ODD = 1, 2, 4, 8

SCHEMA = TableSchema(
    name="deep_mr_instruments",
    version=1,
    path="deepmr/{deepmr}/instruments/{part}.parquet",
    description=(
        "Mutations that are an instrument for at least one task by at least one rule, for one "
        "shard of loci (`table`: from a table of summary statistics). Lists are in the order of "
        "the tasks (`tasks` in the metadata); effects are on the scale of the config. The metadata "
        "also hold all loci with their data splits (`loci`), the number of replicates "
        "(`replicates`, 0 for a table or one network), the kind of standard error (`se`), the sd "
        "of every task over the loci (`scales`, where known) and the mutants that were computed "
        "(`counts`), and at which loci every task is an exposure (`exposures`, null: at all)."
    ),
    columns=(
        Column("locus", pa.string(), "sequence of the set, or locus of the table"),
        Column("instrument", pa.string(), "position (from 0), own base > base; or its name"),
        Column("position", pa.int64(), "in the sequence", "bp, 0-based", nullable=True),
        Column("beta", NUMBERS, "mean effect on every task"),
        Column("se", NUMBERS, "its standard error"),
        Column("replicates", NUMBERS, "effects in the replicates: replicates x tasks"),
        Column(
            "recalibrated",
            NUMBERS,
            "the same after the published recalibration; empty where that is not compared",
        ),
        Column(
            "chosen",
            pa.list_(pa.int8()),
            "per task, sum of 1: instrument by the rule of the config; 2: by the published rule; "
            "4, 8: by the rule of the config on every other replicate, from the first or second",
        ),
    ),
)


@dataclass(frozen=True)
class Instruments:
    """R instruments of K loci for T tasks.

    Attributes:
        tasks: names, T.
        loci: names, K, those without instruments too.
        splits: data split of each locus, K.
        row_locus: index of the locus of each instrument, increasing, (R,).
        names: of the instruments, R.
        position: 0-based, (R,); None if not known.
        beta: mean effects (R, T); `se` their standard errors.
        se: see beta.
        replicates: effects (E, R, T); None for summary statistics and for one network.
        recalibrated: effects after the published recalibration (E, R, T), or None.
        chosen: bits, (R, T).
        scales: sd of every task over loci (T,), NaN where not known.
        kind: of standard error.
        exposures: at which loci a task is an exposure (K, T); None: at all.
    """

    tasks: tuple[str, ...]
    loci: tuple[str, ...]
    splits: tuple[str, ...]
    row_locus: Integers
    names: tuple[str, ...]
    position: Integers | None
    beta: Floats
    se: Floats
    replicates: Floats | None
    recalibrated: Floats | None
    chosen: npt.NDArray[np.int8]
    scales: Floats
    kind: str
    exposures: Flags | None = None

    def task(self, name: str) -> int:
        """The index of a task.

        Raises:
            InputError: there is no such task; the message names the nearest one.
        """
        if name not in self.tasks:
            raise InputError(f"there is no task {name!r}{nearest_clause(name, self.tasks)}")
        return self.tasks.index(name)

    def chosen_for(self, task: int | Sequence[int], bit: int = RULE) -> Flags:
        """Which rows are instruments for a task, or for any of several, shape (R,)."""
        bits = self.chosen[:, np.atleast_1d(task)]
        return np.asarray(((bits & bit) > 0).any(axis=1))

    def for_exposure(self, task: int) -> "Instruments":
        """Those of the loci at which a task is an exposure."""
        return self if self.exposures is None else self.of_loci(self.exposures[:, task])

    def places(self, kept: Flags) -> Integers:
        """The rows of every locus, shape (K, J), -1 where a locus has fewer than J."""
        rows = np.flatnonzero(kept)
        locus = self.row_locus[rows]
        count = np.bincount(locus, minlength=len(self.loci))
        table = np.full((len(self.loci), max(int(count.max(initial=0)), 1)), -1, dtype=np.int64)
        first = np.concatenate([[0], np.cumsum(count)[:-1]])
        table[locus, np.arange(len(rows)) - first[locus]] = rows
        return table

    def effects(
        self,
        tasks: int | Sequence[int],
        places: Integers,
        *,
        published_se: bool = False,
        recalibrated: bool = False,
    ) -> Effects:
        """Effects on one task, shape (K, J), or on several, shape (T', K, J).

        Args:
            tasks: index, or several.
            places: rows, of `places`.
            published_se: errors as published: sd over replicates, ddof 0.
            recalibrated: effects after the published recalibration.
        """
        chosen = np.atleast_1d(tasks)
        empty = places < 0

        def of(values: Floats) -> Floats:
            # (..., R, T) -> (..., T', K, J)
            shape = (*values.shape[:-2], len(chosen), *places.shape)
            if values.shape[-2] == 0:
                taken = np.full(shape, np.nan)
            else:
                taken = np.moveaxis(values[..., places, :][..., chosen], -1, -3)
                taken = np.where(empty, np.nan, taken)
            return taken[..., 0, :, :] if np.ndim(tasks) == 0 else taken

        source = self.recalibrated if recalibrated else self.replicates
        if source is None and (recalibrated or published_se):
            raise InputError(
                "summary statistics and single networks have no replicates, and no published errors"
            )
        each = None if source is None else of(source)
        beta, se = of(self.beta), of(self.se)
        if recalibrated and each is not None:
            made = Effects.from_replicates(each, se="mean")
            beta, se = made.beta, made.se
        if published_se and each is not None:
            se = each.std(axis=0)
        position = None
        if self.position is not None:
            position = np.where(empty, -1, self.position[places] if len(self.names) else -1)
        return Effects(beta, se, each, position)

    def of_loci(self, kept: Flags) -> "Instruments":
        """Those of some loci; `kept` has the shape (K,)."""
        rows = kept[self.row_locus]
        number = np.cumsum(kept) - 1
        named = np.flatnonzero(kept)

        def of(values: Floats | None) -> Floats | None:
            return None if values is None else values[:, rows]

        return replace(
            self,
            loci=tuple(self.loci[index] for index in named),
            splits=tuple(self.splits[index] for index in named),
            row_locus=number[self.row_locus[rows]],
            names=tuple(self.names[index] for index in np.flatnonzero(rows)),
            position=None if self.position is None else self.position[rows],
            beta=self.beta[rows],
            se=self.se[rows],
            replicates=of(self.replicates),
            recalibrated=of(self.recalibrated),
            chosen=self.chosen[rows],
            exposures=None if self.exposures is None else self.exposures[kept],
        )


def write_instruments(
    path: str | Path, made: Instruments, counts: Sequence[dict[str, int | str]] = ()
) -> None:
    """Write one part; `counts` are the mutants that each replicate computed."""
    number = 0 if made.replicates is None else len(made.replicates)
    metadata = {
        "tasks": dump(made.tasks),
        "loci": dump([list(row) for row in zip(made.loci, made.splits, strict=True)]),
        "replicates": str(number),
        "se": made.kind,
        "scales": dump([None if np.isnan(one) else float(one) for one in made.scales]),
        "counts": dump(list(counts)),
        "recalibrated": dump(made.recalibrated is not None),
        "exposures": dump(None if made.exposures is None else made.exposures.tolist()),
    }
    rows = len(made.names)
    columns = {
        "locus": [made.loci[index] for index in made.row_locus],
        "instrument": list(made.names),
        "position": [None] * rows if made.position is None else made.position.tolist(),
        "beta": list(made.beta),
        "se": list(made.se),
        "replicates": _by_row(made.replicates, rows),
        "recalibrated": _by_row(made.recalibrated, rows),
        "chosen": list(made.chosen),
    }
    write_table(path, SCHEMA, columns, metadata)


def _by_row(values: Floats | None, rows: int) -> list[Floats]:
    if values is None:
        return [np.empty(0)] * rows
    return list(np.moveaxis(values, 1, 0).reshape(rows, -1))


def read_instruments(paths: Iterable[str | Path], replicates: bool = True) -> Instruments:
    """Read the parts of one analysis, in the given order.

    Args:
        paths: of the parts.
        replicates: False leaves out the effects of single replicates, most of a table.
    """
    return joined([_read_part(path, replicates) for path in paths])


def joined(parts: Sequence[Instruments]) -> Instruments:
    """Parts of one analysis as one."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    offsets = np.cumsum([0, *(len(part.loci) for part in parts)])

    def of(values: Sequence[Floats | None]) -> Floats | None:
        known = [one for one in values if one is not None]
        return np.concatenate(known, axis=1) if known else None

    positions = [part.position for part in parts if part.position is not None]
    return replace(
        first,
        loci=tuple(name for part in parts for name in part.loci),
        splits=tuple(name for part in parts for name in part.splits),
        row_locus=np.concatenate(
            [part.row_locus + offset for part, offset in zip(parts, offsets[:-1], strict=True)]
        ),
        names=tuple(name for part in parts for name in part.names),
        position=np.concatenate(positions) if positions else None,
        beta=np.concatenate([part.beta for part in parts]),
        se=np.concatenate([part.se for part in parts]),
        replicates=of([part.replicates for part in parts]),
        recalibrated=of([part.recalibrated for part in parts]),
        chosen=np.concatenate([part.chosen for part in parts]),
        exposures=(
            None
            if first.exposures is None
            else np.concatenate([part.exposures for part in parts if part.exposures is not None])
        ),
    )


def read_counts(paths: Iterable[str | Path]) -> list[dict[str, int | str]]:
    """The mutants that every replicate computed, per part."""
    return [
        row
        for path in paths
        for row in json.loads(metadata_of(read_table(path, SCHEMA).schema)["counts"])
    ]


def _read_part(path: str | Path, replicates: bool) -> Instruments:
    check_schema(path, pq.read_schema(path), SCHEMA)
    names = [column.name for column in SCHEMA.columns]
    left = [] if replicates else ["replicates", "recalibrated"]
    table = pq.read_table(path, columns=[name for name in names if name not in left])
    metadata = metadata_of(table.schema)
    tasks = tuple(json.loads(metadata["tasks"]))
    loci, splits = zip(*json.loads(metadata["loci"]), strict=True)
    rows, number = len(table), int(metadata["replicates"])
    index = {name: at for at, name in enumerate(loci)}

    def numbers(name: str) -> npt.NDArray[np.float64]:
        return table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)

    def each(name: str) -> Floats | None:
        if number == 0 or name in left:
            return None
        if name == "recalibrated" and metadata["recalibrated"] == "false":
            return None
        return np.moveaxis(numbers(name).reshape(rows, number, len(tasks)), 0, 1)

    position = table["position"].combine_chunks()
    known = rows > 0 and position.null_count == 0
    scales = [np.nan if one is None else one for one in json.loads(metadata["scales"])]
    exposures = json.loads(metadata.get("exposures", "null"))
    return Instruments(
        tasks,
        loci,
        splits,
        np.array([index[name] for name in table["locus"].to_pylist()], dtype=np.int64),
        tuple(table["instrument"].to_pylist()),
        position.to_numpy(zero_copy_only=False).astype(np.int64) if known else None,
        numbers("beta").reshape(rows, len(tasks)),
        numbers("se").reshape(rows, len(tasks)),
        each("replicates"),
        each("recalibrated"),
        numbers("chosen").astype(np.int8).reshape(rows, len(tasks)),
        np.array(scales, dtype=np.float64),
        metadata["se"],
        None if exposures is None else np.array(exposures, dtype=bool).reshape(-1, len(tasks)),
    )
