"""TFRecords of `tf.train.Example`, read without TensorFlow.

A file is a plain, ZLIB or GZIP stream of records: length (uint64, little-endian), masked CRC32C
of the length, data, masked CRC32C of the data. The data are a protocol buffer: names with a list
of bytes, floats or integers each.
"""

import struct
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from seqtrust.errors import InputError

_PIECE = 1 << 20
_HEADER = struct.Struct("<QI")
_CRC = struct.Struct("<I")
_MASK = 0xA282EAD8
_GZIP = b"\x1f\x8b"
_KINDS = {1: "bytes", 2: "floats", 3: "integers"}
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_VARINT_BITS = 70
_AGAIN = "fetch the file again, or leave it out"


@dataclass(frozen=True)
class Feature:
    """One named list of an example.

    Attributes:
        kind: "bytes", "floats", "integers", or "nothing".
        values: the byte strings of a list of bytes; nothing of the other kinds is read.
    """

    kind: str
    values: tuple[memoryview, ...] = ()


def read_records(path: str | Path) -> Iterator[bytes]:
    """The data of every record, in order; one is in memory at a time.

    Raises:
        InputError: the file is missing, is no TFRecord file, ends early, or a checksum is wrong;
            the message names the file and the record, from 0.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            stream = _open(path, file)
            number = 0
            while True:
                with at_record(path, number):
                    data = _next_record(stream)
                if data is None:
                    return
                yield data
                number += 1
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


@contextmanager
def at_record(path: str | Path, number: int) -> Iterator[None]:
    """Name the file and the record, from 0, in whatever is wrong with it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}, record {number} (from 0): {error}") from None


def masked_crc(data: bytes) -> int:
    """CRC32C, rotated and shifted as TFRecords store it."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def parse_example(data: bytes) -> dict[str, Feature]:
    """The features of a serialised `tf.train.Example`; what it does not know is skipped.

    Raises:
        InputError: the bytes are no such message.
    """
    features: dict[str, Feature] = {}
    for number, listed in _fields(memoryview(data)):
        if number != 1:
            continue
        for inner, entry in _fields(_message(listed)):
            if inner == 1:
                name, feature = _entry(_message(entry))
                features[name] = feature
    return features


def bytes_feature(features: Mapping[str, Feature], name: str, sizes: Collection[int]) -> memoryview:
    """The one byte string of a feature.

    Args:
        features: of one example.
        name: of the feature.
        sizes: how many bytes it may have.

    Raises:
        InputError: the feature is missing, of another kind, or of another size.
    """
    if name not in features:
        found = ", ".join(sorted(features)) or "none"
        raise InputError(
            f"there is no feature {name!r} (found: {found}): the record is not of this layout"
        )
    feature = features[name]
    if feature.kind != "bytes" or len(feature.values) != 1:
        found = f"{len(feature.values)} strings of bytes" if feature.values else feature.kind
        raise InputError(
            f"feature {name!r} holds {found}, expected one string of bytes: the record is not of "
            "this layout"
        )
    (value,) = feature.values
    if len(value) not in sizes:
        expected = " or ".join(f"{size:,}" for size in sizes)
        raise InputError(
            f"feature {name!r} has {len(value):,} bytes, expected {expected}: the record and "
            "statistics.json do not belong together"
        )
    return value


class _Stream:
    """Bytes of a file, decompressed in pieces."""

    def __init__(self, file: BinaryIO, decompressor: "zlib._Decompress | None") -> None:
        self._file = file
        self._decompressor = decompressor
        self._piece = memoryview(b"")

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer only at the end of the file.

        Raises:
            InputError: the compression is damaged, or ends early or late.
        """
        parts = []
        while size:
            if not len(self._piece):
                self._piece = memoryview(self._more())
                if not len(self._piece):
                    break
            parts.append(self._piece[:size])
            self._piece = self._piece[len(parts[-1]) :]
            size -= len(parts[-1])
        return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

    def _more(self) -> bytes:
        if self._decompressor is None:
            return self._file.read(_PIECE)
        try:
            while not self._decompressor.eof:
                packed = self._decompressor.unconsumed_tail or self._file.read(_PIECE)
                if not packed:
                    raise InputError(f"the compressed data end early: {_AGAIN}")
                if piece := self._decompressor.decompress(packed, _PIECE):
                    return piece
        except zlib.error as error:
            raise InputError(f"the compressed data are damaged ({error}): {_AGAIN}") from error
        if self._decompressor.unused_data or self._file.read(1):
            raise InputError(f"bytes follow the end of the compressed data: {_AGAIN}")
        return b""


def _open(path: Path, file: BinaryIO) -> _Stream:
    """The stream of a file, compressed or not, which its first bytes tell."""
    beginning = file.read(_HEADER.size)
    file.seek(0)
    # the length of a plain record may look like the header of a compressed stream
    plain = len(beginning) == _HEADER.size and _true_length(beginning) is not None
    if plain or not beginning:
        return _Stream(file, None)
    zlibbed = (
        len(beginning) > 1
        and beginning[0] & 15 == 8
        and not int.from_bytes(beginning[:2], "big") % 31
    )
    if zlibbed or beginning[:2] == _GZIP:
        return _Stream(file, zlib.decompressobj(wbits=47))
    raise InputError(
        f"{path}, record 0 (from 0): the file is no TFRecord file, or its first bytes are damaged: "
        "expected a record, plain or in a ZLIB or GZIP stream"
    )


def _true_length(header: bytes) -> int | None:
    length, crc = _HEADER.unpack(header)
    return length if masked_crc(header[:8]) == crc else None


def _next_record(stream: _Stream) -> bytes | None:
    """The data of the next record; None at the end of the file."""
    header = stream.read(_HEADER.size)
    if not header:
        return None
    if len(header) < _HEADER.size:
        raise InputError(f"the file ends within the record's length: {_AGAIN}")
    length = _true_length(header)
    if length is None:
        raise InputError(f"the checksum of the record's length is wrong: {_AGAIN}")
    data = stream.read(length)
    crc = stream.read(_CRC.size)
    if len(crc) < _CRC.size:
        raise InputError(f"the file ends within the record: {_AGAIN}")
    if masked_crc(data) != _CRC.unpack(crc)[0]:
        raise InputError(f"the checksum of the record's data is wrong: {_AGAIN}")
    return data


def _entry(entry: memoryview) -> tuple[str, Feature]:
    """Name and feature of one entry of the map; the last of each counts."""
    name, feature = "", Feature("nothing")
    for number, value in _fields(entry):
        if number == 1:
            try:
                name = bytes(_message(value)).decode()
            except UnicodeDecodeError as error:
                raise InputError("the record is no tf.train.Example: a name is no text") from error
        elif number == 2:
            feature = _feature(_message(value))
    return name, feature


def _feature(message: memoryview) -> Feature:
    feature = Feature("nothing")
    for number, value in _fields(message):
        if number == 1:
            values = tuple(_message(one) for inner, one in _fields(_message(value)) if inner == 1)
            feature = Feature("bytes", values)
        elif number in _KINDS:
            feature = Feature(_KINDS[number])
    return feature


def _message(value: memoryview | int) -> memoryview:
    if isinstance(value, int):
        raise InputError("the record is no tf.train.Example: a number stands where bytes belong")
    return value


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Numbers and values of the fields of a protocol buffer."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield key >> 3, value
            continue
        if kind == _LENGTH:
            size, place = _varint(message, place)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise InputError(f"the record is no tf.train.Example: a field has wire type {kind}")
        if place + size > len(message):
            raise InputError("the record is no tf.train.Example: a field ends beyond its message")
        yield key >> 3, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """A number of variable length and the place behind it."""
    value = shift = 0
    while place < len(message) and shift < _VARINT_BITS:
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
    raise InputError("the record is no tf.train.Example: a number has no end")
