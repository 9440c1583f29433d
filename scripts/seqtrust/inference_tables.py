"""What inference computed and saved in a run, and what it will cost, as tables."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from seqtrust.errors import InputError
from seqtrust.inference.cost import Cost
from seqtrust.inference.progress import Work
from seqtrust.tables import Column, TableSchema, footer_of

PREDICT, ISM = "predict", "ism"
_GIGA = 1e9
_OF = "share of the naive multiplications that is saved "

WORK = TableSchema(
    name="inference_work",
    version=1,
    path="tables/inference_work.tsv",
    description=(
        "What inference computed, a row per ensemble and set, and per entry of `ism`. A naive "
        "run passes every sequence through the whole network, for mutagenesis with each of the "
        "four bases at every position. The saved shares and the computed one add up to 1."
    ),
    columns=(
        Column("kind", pa.string(), "`predict` or `ism`"),
        Column("ensemble", pa.string(), "ensemble, or entry of `ism`"),
        Column("set", pa.string(), "sequence set", nullable=True),
        Column("replicates", pa.int32(), "replicates"),
        Column("shards", pa.int32(), "shards of the set"),
        Column("sequences", pa.int64(), "sequences of the set"),
        Column("distinct", pa.int64(), "those that were predicted, once per job and part"),
        Column("saved_equal", pa.float64(), _OF + "since equal sequences are predicted once"),
        Column("saved_crop", pa.float64(), _OF + "since only what the outputs need is computed"),
        Column("saved_sharing", pa.float64(), _OF + "since sequences of one window share work"),
        Column("saved_mutagenesis", pa.float64(), _OF + "since mutants differ in one base"),
        Column("saved_reading", pa.float64(), "share of reading and hashing saved by one job for "
               "several replicates"),
        Column("gmacs_naive", pa.float64(), "multiplications of a naive run", "1e9"),
        Column("gmacs_computed", pa.float64(), "those computed, without checks", "1e9"),
        Column("seconds", pa.float64(), "wall time of all jobs", "s", True),
        Column("cpu_seconds", pa.float64(), "their CPU time", "s", True),
        Column("sequences_per_s", pa.float64(), "sequences and replicate per wall second", "1/s",
               True),
        Column("full_passes", pa.string(), "why full passes were run, if they were",
               nullable=True),
        Column("precision", pa.string(), "`float32` or `bf16`"),
        Column("noise_floor", pa.float64(), "largest of all outputs and replicates",
               "unit of the output"),
    ),
)  # fmt: skip

COST = TableSchema(
    name="inference_cost",
    version=1,
    path="tables/inference_cost.tsv",
    description=(
        "What predicting will take, a row per ensemble and set; made on demand, before anything "
        "is predicted (`snakemake inference_cost`)."
    ),
    columns=(
        Column("ensemble", pa.string(), "ensemble"),
        Column("set", pa.string(), "sequence set"),
        Column("replicates", pa.int32(), "replicates"),
        Column("shards", pa.int32(), "shards of the set, a job each"),
        Column("sequences", pa.int64(), "sequences of the set"),
        Column("gmacs_naive", pa.float64(), "multiplications of full passes, per replicate", "1e9"),
        Column("gmacs_planned", pa.float64(), "those that will be computed, checks included",
               "1e9"),
        Column("gmacs_per_s", pa.float64(), "rate, measured or given", "1e9/s"),
        Column("hours_per_replicate", pa.float64(), "of all shards, one after the other", "h"),
        Column("hours", pa.float64(), "of all replicates", "h"),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Group:
    """Files of one row of the table of work.

    Attributes:
        kind: "predict" or "ism".
        name: ensemble, or entry of `ism`.
        sequence_set: name of the set.
        files: all shards of all replicates.
    """

    kind: str
    name: str
    sequence_set: str
    files: Sequence[Path]


def work_table(groups: Iterable[Group]) -> pd.DataFrame:
    """What was computed, from the files that were made and the benchmarks of their jobs.

    Raises:
        InputError: a file says nothing about multiplications.
    """
    names = [column.name for column in WORK.columns]
    return pd.DataFrame([_row(group) for group in groups], columns=names)


def _row(group: Group) -> dict[str, Any]:
    found = [_metadata(path) for path in group.files]
    replicates = len({path.parent.name for path in group.files})
    first = [path.parent == group.files[0].parent for path in group.files]
    counts = [_counts(path, text) for path, text in zip(group.files, found, strict=True)]
    work = sum((Work(**json.loads(text["work"])) for text in found), Work())
    seconds, cpu = _times(group)
    sequences = sum(one for (one, _), mine in zip(counts, first, strict=True) if mine)
    mutagenesis = group.kind == ISM
    together = int(found[0].get("replicates_together", "1"))
    reason = "full_because" if mutagenesis else "full_passes"
    return {
        "kind": group.kind,
        "ensemble": group.name,
        "set": group.sequence_set,
        "replicates": replicates,
        "shards": len(group.files) // replicates,
        "sequences": sequences,
        "distinct": sum(one for (_, one), mine in zip(counts, first, strict=True) if mine),
        "saved_equal": work.equal_sequences,
        "saved_crop": work.crop,
        "saved_sharing": 0.0 if mutagenesis else work.sharing,
        "saved_mutagenesis": work.sharing if mutagenesis else 0.0,
        "saved_reading": 1 - 1 / together,
        "gmacs_naive": work.naive / _GIGA,
        "gmacs_computed": work.computed / _GIGA,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "sequences_per_s": sequences * replicates / seconds if seconds else None,
        "full_passes": found[0].get(reason, ""),
        "precision": found[0].get("precision", "float32"),
        "noise_floor": max(_largest(text) for text in found),
    }


def _metadata(path: Path) -> dict[str, str]:
    text = footer_of(path)
    if "work" not in text:
        raise InputError(
            f"{path} says nothing about multiplications: it is of an earlier version. Remove it "
            "and run the workflow again"
        )
    return text


def _counts(path: Path, text: Mapping[str, str]) -> tuple[int, int]:
    """Sequences, and those that were predicted; maps are made of every sequence."""
    rows = pq.read_metadata(path).num_rows
    return int(text.get("n_sequences", rows)), int(text.get("n_distinct", rows))


def _largest(text: Mapping[str, str]) -> float:
    return max(json.loads(text["noise_floor"]).values(), default=0.0)


def _times(group: Group) -> tuple[float | None, float | None]:
    """Wall and CPU seconds of all jobs; none if a benchmark is missing."""
    benchmarks = {_benchmark(group, path) for path in group.files}
    if None in benchmarks:
        return None, None
    rows = [json.loads(text) for path in benchmarks if path for text in path.open()]
    return sum(row["s"] for row in rows), sum(row["cpu_time"] for row in rows)


def _benchmark(group: Group, path: Path) -> Path | None:
    """The benchmark of the job that made a file, for one replicate or for all."""
    shard, replicate, results = path.stem, path.parent.name, path.parents[2 + (group.kind != ISM)]
    middle = group.name if group.kind == ISM else f"{group.name}.{group.sequence_set}"
    folder = results.parent / "benchmarks" / group.kind
    names = [f"{middle}.{one}.{shard}.jsonl" for one in (replicate, "all")]
    return next((folder / name for name in names if (folder / name).exists()), None)


def cost_row(ensemble: str, sequence_set: str, replicates: int, cost: Cost) -> dict[str, Any]:
    """A row of the table of costs."""
    return {
        "ensemble": ensemble,
        "set": sequence_set,
        "replicates": replicates,
        "shards": cost.jobs,
        "sequences": cost.sequences,
        "gmacs_naive": cost.naive / _GIGA,
        "gmacs_planned": (cost.planned + cost.checks) / _GIGA,
        "gmacs_per_s": cost.rate / _GIGA,
        "hours_per_replicate": cost.hours,
        "hours": cost.hours * replicates,
    }


def cost_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The table of costs."""
    return pd.DataFrame(list(rows), columns=[column.name for column in COST.columns])
