"""Tables carry their schema, and other tables are refused."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqtrust.errors import InputError
from seqtrust.tables import Column, TableSchema, dump, metadata_of, read_table, write_table

SCHEMA = TableSchema(
    "things",
    2,
    "things/{thing}.parquet",
    "Things.",
    (
        Column("name", pa.string(), "name of the thing"),
        Column("length", pa.int32(), "its length", "bp"),
        Column("note", pa.string(), "free text", nullable=True),
    ),
)
COLUMNS = {"name": ["a", "b"], "length": [1, 2], "note": [None, "x"]}


def test_round_trip_with_metadata_and_extra_columns(tmp_path):
    path = tmp_path / "t.parquet"
    extra = [Column("score", pa.list_(pa.float32()), "scores", "counts")]
    write_table(path, SCHEMA, COLUMNS | {"score": [[0.5], []]}, {"build": "toy"}, extra)
    table = read_table(path, SCHEMA)
    assert table.to_pydict() == COLUMNS | {"score": [[0.5], []]}
    assert metadata_of(table.schema)["build"] == "toy"


def test_every_field_carries_its_description_and_unit(tmp_path):
    write_table(tmp_path / "t.parquet", SCHEMA, COLUMNS)
    fields = pq.read_schema(tmp_path / "t.parquet")
    for column in SCHEMA.columns:
        found = fields.field(column.name)
        assert found.metadata[b"description"].decode() == column.description
        assert found.metadata[b"unit"].decode() == column.unit
        assert found.nullable == column.nullable


def test_metadata_cannot_change_the_kind_of_table(tmp_path):
    write_table(tmp_path / "t.parquet", SCHEMA, COLUMNS, {"seqtrust_table": "other"})
    assert read_table(tmp_path / "t.parquet", SCHEMA).num_rows == 2


@pytest.mark.parametrize(
    "other",
    [
        TableSchema("things", 1, "", "", SCHEMA.columns),
        TableSchema("people", 2, "", "", SCHEMA.columns),
    ],
)
def test_another_kind_or_version_is_refused_with_both_named(tmp_path, other):
    path = tmp_path / "t.parquet"
    write_table(path, other, COLUMNS)
    with pytest.raises(InputError) as refusal:
        read_table(path, SCHEMA)
    message = str(refusal.value)
    assert str(path) in message
    assert f"{other.name!r}, version {other.version}" in message
    assert "'things', version 2" in message


def test_a_table_of_another_program_is_refused(tmp_path):
    pq.write_table(pa.table(COLUMNS), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="holds a table None"):
        read_table(tmp_path / "t.parquet", SCHEMA)


def test_nothing_is_left_of_a_table_that_cannot_be_written(tmp_path):
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        write_table(tmp_path / "t.parquet", SCHEMA, COLUMNS | {"length": ["long", "short"]})
    assert list(tmp_path.iterdir()) == []


def test_equal_metadata_are_equal_text():
    assert dump({"b": 1, "a": [2.5, None]}) == dump({"a": [2.5, None], "b": 1})
