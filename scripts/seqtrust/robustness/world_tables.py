"""Worlds of the benchmark on disk: every data set with all that is true of it, made once.

A data set is one row group, so that it is read alone, and comes back as the `Condition` that it
was; the settings of the world stand in the metadata.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from seqtrust.bases import Codes, encode
from seqtrust.calibration.grouping import Groups
from seqtrust.errors import InputError, nearest_clause
from seqtrust.files import whole_file
from seqtrust.motifs import Motif
from seqtrust.robustness.assay import Assay
from seqtrust.robustness.conditions import Condition
from seqtrust.robustness.count_moments import CountSettings
from seqtrust.robustness.expectations import ideal_predictions
from seqtrust.robustness.groups import GroupEdges, group_columns
from seqtrust.robustness.measured_shifts import shift_of
from seqtrust.robustness.sequences import SequenceSettings
from seqtrust.robustness.shifts import Shift
from seqtrust.robustness.world_schema import SCHEMA
from seqtrust.robustness.worlds import World, WorldSettings, make_world
from seqtrust.tables import check_schema, dump, footer_of

Floats = npt.NDArray[np.float64]

TRAIN, VALIDATION, CALIBRATION = "train", "validation", "calibration"
GROUP_COLUMNS = ("gc_decile", "activity_tertile", "motif_count", "cell")
_MOMENTS = ("activity", "mean", "sd", "observed", "depth")
_COUNTS = ("background_gc", "background_bases")


@dataclass(frozen=True)
class WorldFacts:
    """What a world of the benchmark was made with.

    Attributes:
        settings: of the world, with those of its sequences.
        assay: of the training data.
        cells: cell types of training.
        motifs: read from a file, or None for those that the world draws.
        pool: real sequences of L bases whose shuffles are the backgrounds, or None.
    """

    settings: WorldSettings
    assay: Assay
    cells: tuple[int, ...]
    motifs: tuple[Motif, ...] | None = None
    pool: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls,
        seed: int,
        worlds: Mapping[str, Any],
        cells: Sequence[int],
        motifs: Sequence[Motif] | None = None,
        pool: Sequence[str] | None = None,
    ) -> "WorldFacts":
        """From an entry of the config.

        Args:
            seed: of the world.
            worlds: with `settings`, `sequences` and `assay`, fields of the classes.
            cells: cell types of training.
            motifs: in the place of synthetic ones.
            pool: real sequences (`background_pool.read_pool`).
        """
        assay = dict(worlds["assay"])
        if assay.get("counts") is not None:
            assay["counts"] = CountSettings(**assay["counts"])
        settings = WorldSettings(
            seed, SequenceSettings(**_tuples(worlds["sequences"])), **_tuples(worlds["settings"])
        )
        return cls(
            settings,
            Assay(**assay),
            tuple(cells),
            None if motifs is None else tuple(motifs),
            None if pool is None else tuple(pool),
        )

    def world(self) -> World:
        """The world, made anew; equal facts make equal worlds."""
        pool = None if self.pool is None else np.stack([encode(one) for one in self.pool])
        return make_world(self.settings, self.motifs, pool)

    def plain(self) -> dict[str, Any]:
        """Plain types only."""
        given = None if self.motifs is None else [asdict(motif) for motif in self.motifs]
        return {
            "settings": asdict(self.settings),
            "assay": asdict(self.assay),
            "cells": list(self.cells),
            "motifs": given,
            "pool": self.pool and list(self.pool),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "WorldFacts":
        """The inverse of `plain`, also after JSON."""
        settings = _tuples(plain["settings"])
        settings["sequences"] = SequenceSettings(**_tuples(settings["sequences"]))
        assay = dict(plain["assay"])
        if assay["counts"] is not None:
            assay["counts"] = CountSettings(**assay["counts"])
        motifs = None if plain["motifs"] is None else _motifs(plain["motifs"])
        pool = None if plain["pool"] is None else tuple(plain["pool"])
        return cls(WorldSettings(**settings), Assay(**assay), tuple(plain["cells"]), motifs, pool)


def write_world(
    path: str | Path, facts: WorldFacts, world: World, data_sets: Iterable[tuple[str, Condition]]
) -> None:
    """Write the data sets of a world whole; the training data come first.

    Args:
        path: of the table.
        facts: of the world.
        world: made from them.
        data_sets: name and data; sequences that several share are scanned once for the ideal
            model if they follow each other.
    """
    names = {"names_of_motifs": [motif.name for motif in world.readout.motifs]}
    known = facts.plain() | {"activity_sd": world.activity_sd} | names
    write_data_sets(path, known, _with_ideal(facts, world, data_sets))


def write_data_sets(
    path: str | Path,
    facts: Mapping[str, Any],
    data_sets: Iterable[tuple[str, Condition, tuple[Floats, Floats] | None]],
) -> None:
    """Write data sets whole; the training data come first.

    Args:
        path: of the table.
        facts: plain types, for the metadata.
        data_sets: name, data, and mean and sd of the ideal model if they are known.
    """
    edges: GroupEdges | None = None
    listed: list[dict[str, Any]] = []
    with (
        whole_file(path) as temporary,
        pq.ParquetWriter(temporary, SCHEMA.arrow(), compression="zstd") as writer,
    ):
        for name, condition, ideal in data_sets:
            edges = edges or GroupEdges.of(condition)
            writer.write_table(_table(name, condition, edges, ideal))
            listed.append({"name": name, "shift": asdict(condition.shift)})
        if edges is not None:
            parts = {"gc": edges.gc.tolist(), "activity": edges.activity.tolist()}
            known = {**facts, "edges": parts}
            writer.add_key_value_metadata({"facts": dump(known), "data_sets": dump(listed)})


def _with_ideal(
    facts: WorldFacts, world: World, data_sets: Iterable[tuple[str, Condition]]
) -> Iterator[tuple[str, Condition, tuple[Floats, Floats] | None]]:
    last: Codes | None = None
    ideal: tuple[Floats, Floats] | None = None
    for name, condition in data_sets:
        if facts.assay.counts is None and (
            last is None or not np.array_equal(last, condition.sequences)
        ):
            last = condition.sequences
            ideal = ideal_predictions(world, condition.sequences, facts.assay, facts.cells)
        yield name, condition, ideal


def _table(
    name: str, condition: Condition, edges: GroupEdges, ideal: tuple[Floats, Floats] | None
) -> pa.Table:
    count = len(condition.sequences)
    shift = condition.shift
    same = (condition.molecules == condition.sequences).all(axis=1)
    molecules = [
        None if alike else row.tobytes()
        for alike, row in zip(same, condition.molecules, strict=True)
    ]
    columns: dict[str, Any] = {
        "data_set": [name] * count,
        "shift": [shift.name] * count,
        "severity": np.full(count, shift.severity, dtype=np.int16),
        "type": [shift.type] * count,
        "row": np.arange(count, dtype=np.int32),
        "sequence": [row.tobytes() for row in condition.sequences],
        "molecule": molecules,
        "terms": condition.terms.tolist(),
        "planted": condition.planted.tolist(),
        "gc": condition.gc,
        "ideal_mean": None if ideal is None else ideal[0],
        "ideal_sd": None if ideal is None else ideal[1],
        "group": None if condition.groups is None else condition.groups.tolist(),
        "columns": None if condition.columns is None else condition.columns.tolist(),
    }
    columns |= {key: getattr(condition, key) for key in (*_MOMENTS, *_COUNTS)}
    columns |= {key: value.tolist() for key, value in group_columns(condition, edges).items()}
    arrays = [
        pa.nulls(count, field.type)
        if columns.get(field.name) is None
        else pa.array(columns[field.name], type=field.type, from_pandas=True)
        for field in SCHEMA.arrow()
    ]
    return pa.Table.from_arrays(arrays, schema=SCHEMA.arrow())


@dataclass(frozen=True)
class WorldTable:
    """A world, or a split of an assay, that was written.

    Attributes:
        path: of the table.
        facts: what it was made with; None of an assay, which no world is known of.
        shifts: of every data set, in their order.
        activity_sd: unit of shifts that are stated in sds, log2; of an assay the sd of its
            training data.
        edges: of groups, from the training data.
        motifs: that priors of an assay scan with.
        names_of_columns: numbers that are known of every sequence of an assay.
    """

    path: Path
    facts: WorldFacts | None
    shifts: Mapping[str, Shift]
    activity_sd: float
    edges: GroupEdges
    motifs: tuple[Motif, ...] = ()
    names_of_columns: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether the truth is known: of a simulated world."""
        return self.facts is not None

    @cached_property
    def world(self) -> World:
        """The world, made anew.

        Raises:
            InputError: the data are measured.
        """
        if self.facts is None:
            raise InputError(f"{self.path} holds an assay: no world is known of it")
        return self.facts.world()

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the data sets that models are tested on."""
        return tuple(name for name in self.shifts if name not in (TRAIN, VALIDATION, CALIBRATION))

    def names(self, taught: bool) -> tuple[str, ...]:
        """Data sets that predictions are wanted of.

        Args:
            taught: a student learns from them, so those of training too.
        """
        before = (TRAIN, VALIDATION) if taught else ()
        return (*before, CALIBRATION, *self.conditions)

    def condition(self, name: str) -> Condition:
        """A data set.

        Raises:
            InputError: there is none of this name.
        """
        table = self._read(name)
        sequences = _codes(table, "sequence")
        molecules = sequences.copy()
        other = table["molecule"].to_pylist()
        for row, codes in enumerate(other):
            if codes is not None:
                molecules[row] = np.frombuffer(codes, dtype=np.uint8)
        return Condition(
            self.shifts[name],
            sequences,
            molecules,
            _matrix(table, "terms"),
            cells=np.array([int(cell or 0) for cell in table["cell"].to_pylist()]),
            planted=_matrix(table, "planted").astype(np.int64),
            groups=None if table["group"].null_count else np.array(table["group"].to_pylist()),
            columns=None if table["columns"].null_count else _matrix(table, "columns"),
            **{key: table[key].to_numpy() for key in (*_MOMENTS, *_COUNTS)},
        )

    def groups(self, name: str) -> dict[str, Groups]:
        """Columns of groups of a data set, shape (N,) each."""
        return group_columns(self.condition(name), self.edges)

    def ideal(self, name: str) -> tuple[Floats, Floats]:
        """Mean and sd that the ideal model states of a data set, shape (N,) each.

        Raises:
            InputError: the assay counts, so that it is not known.
        """
        table = self._read(name, ["ideal_mean", "ideal_sd"])
        if table["ideal_mean"].null_count:
            raise InputError(
                f"{self.path}: the ideal model is not known where an assay counts: leave "
                "assay: counts out"
            )
        return table["ideal_mean"].to_numpy(), table["ideal_sd"].to_numpy()

    def _read(self, name: str, columns: list[str] | None = None) -> pa.Table:
        if name not in self.shifts:
            raise InputError(
                f"{self.path} has no data set {name!r}{nearest_clause(name, self.shifts)}"
            )
        with pq.ParquetFile(self.path) as file:
            return file.read_row_group(list(self.shifts).index(name), columns=columns)


def open_world(path: str | Path) -> WorldTable:
    """A world that `write_world` wrote; its data sets are read when they are asked for."""
    check_schema(path, pq.read_schema(path), SCHEMA)
    footer = footer_of(path)
    facts = json.loads(footer["facts"])
    shifts = {one["name"]: shift_of(one["shift"]) for one in json.loads(footer["data_sets"])}
    edges = GroupEdges(*(np.array(facts["edges"][key]) for key in ("gc", "activity")))
    if "splits" in facts:
        return WorldTable(
            Path(path), None, shifts, facts["activity_sd"], edges, _motifs(facts["motifs"]),
            tuple(facts["columns"]),
        )  # fmt: skip
    return WorldTable(Path(path), WorldFacts.from_plain(facts), shifts, facts["activity_sd"], edges)


def _motifs(plain: Iterable[Mapping[str, Any]]) -> tuple[Motif, ...]:
    return tuple(Motif(one["name"], tuple(map(tuple, one["columns"]))) for one in plain)


def _codes(table: pa.Table, name: str) -> Codes:
    rows = table[name].to_pylist()
    return np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(len(rows), -1).copy()


def _matrix(table: pa.Table, name: str) -> Floats:
    values = table[name].combine_chunks().flatten().to_numpy()
    return np.asarray(values, dtype=np.float64).reshape(table.num_rows, -1)


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }
