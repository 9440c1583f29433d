"""TFRecords: what is written comes back, and what is damaged never does."""

import struct
import zlib

import pytest
import tfrecords
from hypothesis import given
from hypothesis import strategies as st

from seqtrust.errors import InputError
from seqtrust.records import bytes_feature, masked_crc, parse_example, read_records

RECORDS = [b"first", b"", b"third record " * 40]


@pytest.fixture(params=["zlib", "gzip", "plain"])
def packing(request):
    return request.param


def test_checksums_are_those_of_the_standard():
    # the check value of CRC32C, and a record's length as TensorFlow stores it
    assert tfrecords.crc32c(b"123456789") == 0xE3069283
    for data in RECORDS:
        assert struct.pack("<I", masked_crc(data)) == tfrecords.masked(data)


def test_records_come_back(tmp_path, packing):
    path = tmp_path / "a.tfr"
    tfrecords.write_records(path, RECORDS, packing)
    assert list(read_records(path)) == RECORDS
    tfrecords.write_records(path, [], packing)
    assert list(read_records(path)) == []


@given(st.lists(st.binary(max_size=300), max_size=6), st.sampled_from(["zlib", "gzip", "plain"]))
def test_any_records_come_back(tmp_path_factory, records, packing):
    path = tmp_path_factory.mktemp("records") / "a.tfr"
    tfrecords.write_records(path, records, packing)
    assert list(read_records(path)) == records


def test_a_plain_length_that_looks_compressed(tmp_path):
    # 40,056 = 0x9c78: the two bytes that begin most ZLIB streams
    path = tmp_path / "a.tfr"
    tfrecords.write_records(path, [bytes(0x9C78)], "plain")
    assert path.read_bytes()[:2] == zlib.compress(b"")[:2]
    assert [len(data) for data in read_records(path)] == [0x9C78]


def test_few_bytes_are_in_memory(tmp_path):
    # 64 MB of zeros are 64 kB of a file
    path = tmp_path / "a.tfr"
    pieces = [tfrecords.framed(b"x")] * 3
    packed = zlib.compressobj()
    body = b"".join(packed.compress(piece) for piece in pieces) + packed.compress(bytes(1 << 26))
    path.write_bytes(body + packed.flush())
    import tracemalloc

    tracemalloc.start()
    found = read_records(path)
    assert [next(found) for _ in range(3)] == [b"x"] * 3
    with pytest.raises(InputError, match="record 3"):
        next(found)
    assert tracemalloc.get_traced_memory()[1] < 1 << 23
    tracemalloc.stop()


def read_until_wrong(path):
    """The records before the first error, and the error."""
    found = []
    try:
        found.extend(read_records(path))
    except InputError as error:
        return found, str(error)
    return found, ""


@pytest.mark.parametrize("flipped", [1, 128])
def test_no_flipped_bit_gives_other_data(tmp_path, packing, flipped):
    path = tmp_path / "a.tfr"
    tfrecords.write_records(path, RECORDS, packing)
    whole = path.read_bytes()
    silent = 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ flipped]) + whole[place + 1 :])
        found, message = read_until_wrong(path)
        assert found == RECORDS[: len(found)], place
        if message:
            assert str(path) in message, place
            assert f"record {len(found)} (from 0)" in message, place
        else:
            assert found == RECORDS, place
            silent += 1
    # no data depend on the time and system in a GZIP header, nor on the bits that fill a last byte
    assert silent <= {"plain": 0, "zlib": 1, "gzip": 8}[packing]


def test_no_cut_gives_other_data(tmp_path, packing):
    path = tmp_path / "a.tfr"
    tfrecords.write_records(path, RECORDS, packing)
    whole = path.read_bytes()
    ends = [0]
    for data in RECORDS:
        ends.append(ends[-1] + len(data) + 16)
    for end in range(1, len(whole)):
        path.write_bytes(whole[:end])
        found, message = read_until_wrong(path)
        assert found == RECORDS[: len(found)]
        # a plain file that is cut between two records looks whole: its records are counted later
        if packing == "plain" and end in ends:
            assert message == ""
        else:
            assert f"record {len(found)} (from 0)" in message


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda b: b"hello, this is text", "record 0 (from 0): the file is no TFRecord file"),
        (lambda b: b[:8] + bytes(4) + b[12:], "record 0 (from 0): the file is no TFRecord file"),
        (lambda b: b[:-4] + bytes(4), "record 2 (from 0): the checksum of the record's data is"),
        (lambda b: b[:-2], "record 2 (from 0): the file ends within the record"),
        (lambda b: b + b"x", "record 3 (from 0): the file ends within the record's length"),
        (lambda b: b + bytes(12), "record 3 (from 0): the checksum of the record's length"),
        (lambda b: zlib.compress(b)[:-6], "the compressed data end early"),
        (lambda b: zlib.compress(b)[:-4] + b"1234", "the compressed data are damaged"),
        (lambda b: zlib.compress(b) + b"1", "bytes follow the end of the compressed data"),
        (lambda b: zlib.compress(b"text"), "record 0 (from 0): the file ends within the record's"),
    ],
)
def test_messages(tmp_path, damage, message):
    path = tmp_path / "shard-7.tfr"
    path.write_bytes(damage(b"".join(map(tfrecords.framed, RECORDS))))
    with pytest.raises(InputError) as error:
        list(read_records(path))
    assert message in str(error.value)
    assert "shard-7.tfr" in str(error.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.tfr cannot be read: No such file"):
        list(read_records(tmp_path / "none.tfr"))


def test_examples_come_back_whatever_the_order_and_beside_what_is_unknown():
    features = {"b": b"22", "a": b"1", "": b""}
    found = parse_example(tfrecords.example(features))
    assert {name: bytes(one.values[0]) for name, one in found.items()} == features
    unknown = (
        tfrecords.varint(9 << 3)
        + tfrecords.varint(1 << 60)
        + tfrecords.varint(8 << 3 | 1)
        + bytes(8)
        + tfrecords.varint(7 << 3 | 5)
        + bytes(4)
        + tfrecords.field(6, b"\xff\xff")
    )
    around = unknown + tfrecords.example({"a": b"0"}) + unknown + tfrecords.example({"a": b"3"})
    assert bytes(bytes_feature(parse_example(around), "a", (1,))) == b"3"
    kinds = {2: "floats", 3: "integers"}
    for kind, name in kinds.items():
        assert parse_example(tfrecords.example({"a": b"1"}, kind))["a"].kind == name


@given(st.binary(max_size=60))
def test_any_bytes_are_an_example_or_an_error(data):
    message = ""
    try:
        found = parse_example(data)
    except InputError as error:
        found, message = {}, str(error)
    assert all(len(value) <= len(data) for one in found.values() for value in one.values)
    assert not message or "no tf.train.Example" in message


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (tfrecords.example({"seq": b"1"}), "target", "no feature 'target' (found: seq)"),
        (tfrecords.example({}), "target", "no feature 'target' (found: none)"),
        (tfrecords.example({"target": b"1"}, 2), "target", "holds floats, expected one string"),
        (tfrecords.example({"target": b"12"}), "target", "has 2 bytes, expected 4 or 16"),
    ],
)
def test_features_that_do_not_fit(data, name, message):
    with pytest.raises(InputError) as error:
        bytes_feature(parse_example(data), name, (4, 16))
    assert message in str(error.value)
