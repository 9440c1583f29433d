"""Parquet tables with a documented schema: every column has a meaning, a unit and a version."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from seqtrust.errors import InputError
from seqtrust.files import whole_file

Sink = Callable[[Mapping[str, Any]], None]
_ROWS_AT_ONCE = 100_000


@dataclass(frozen=True)
class Column:
    """One column: its Arrow type, what it means and, where it has one, its unit."""

    name: str
    type: pa.DataType
    description: str
    unit: str = ""
    nullable: bool = False


@dataclass(frozen=True)
class TableSchema:
    """A kind of table. `version` grows when a column changes its meaning."""

    name: str
    version: int
    path: str
    description: str
    columns: tuple[Column, ...]

    def arrow(
        self, extra: Sequence[Column] = (), metadata: Mapping[str, str] | None = None
    ) -> pa.Schema:
        """The Arrow schema, with descriptions and units as metadata of the fields."""
        fields = [
            pa.field(
                column.name,
                column.type,
                nullable=column.nullable,
                metadata={"description": column.description, "unit": column.unit},
            )
            for column in (*self.columns, *extra)
        ]
        stamp = {"seqtrust_table": self.name, "schema_version": str(self.version)}
        return pa.schema(fields, metadata={**(metadata or {}), **stamp})


def write_table(
    path: str | Path,
    schema: TableSchema,
    columns: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
    extra: Sequence[Column] = (),
) -> None:
    """Write a whole Parquet table with the columns of `schema` and the `extra` ones."""
    arrow = schema.arrow(extra, metadata or {})
    arrays = [pa.array(columns[field.name], type=field.type) for field in arrow]
    with whole_file(path) as temporary:
        pq.write_table(pa.Table.from_arrays(arrays, schema=arrow), temporary, compression="zstd")


@contextmanager
def streamed_table(
    path: str | Path, schema: TableSchema, metadata: Mapping[str, str]
) -> Iterator[Sink]:
    """A Parquet table written in parts; gives the function that adds rows.

    The file appears when the block ends without an error.
    """
    arrow = schema.arrow(metadata=metadata)
    waiting: list[pa.Table] = []
    with whole_file(path) as temporary, pq.ParquetWriter(temporary, arrow, compression="zstd") as w:

        def flush() -> None:
            if any(table.num_rows for table in waiting):
                table = pa.concat_tables(waiting).unify_dictionaries()
                w.write_table(table, row_group_size=table.num_rows)
            waiting.clear()

        def add(columns: Mapping[str, Any]) -> None:
            arrays = [pa.array(columns[name], type=arrow.field(name).type) for name in arrow.names]
            waiting.append(pa.Table.from_arrays(arrays, schema=arrow))
            if sum(table.num_rows for table in waiting) >= _ROWS_AT_ONCE:
                flush()

        yield add
        flush()


def read_table(path: str | Path, schema: TableSchema) -> pa.Table:
    """Read a table and check that it is of this kind and version.

    Raises:
        InputError: the file is another kind of table, or was written with another schema.
    """
    check_schema(path, pq.read_schema(path), schema)
    return pq.read_table(path)


def check_schema(path: str | Path, found: pa.Schema, schema: TableSchema) -> None:
    """Refuse a file that is not a table of this kind and version."""
    stamp = metadata_of(found)
    kind, version = stamp.get("seqtrust_table"), stamp.get("schema_version")
    if kind != schema.name or version != str(schema.version):
        raise InputError(
            f"{path} holds a table {kind!r}, version {version}; expected {schema.name!r}, "
            f"version {schema.version}. Remove the file and run the workflow again."
        )


def metadata_of(schema: pa.Schema) -> dict[str, str]:
    """The text metadata of a table, without what pandas and Arrow add."""
    return {
        key.decode(): value.decode()
        for key, value in (schema.metadata or {}).items()
        if key != b"ARROW:schema"
    }


def footer_of(path: str | Path) -> dict[str, str]:
    """The text metadata of a table with what was added when all rows were written."""
    found = pq.read_metadata(path).metadata or {}
    return {key.decode(): value.decode() for key, value in found.items() if key != b"ARROW:schema"}


def dump(value: Any) -> str:
    """JSON with sorted keys, so that equal metadata are equal bytes."""
    return json.dumps(value, sort_keys=True)
