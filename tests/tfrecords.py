"""A writer of TFRecords and of Basenji's folders, made from the formats' descriptions alone."""

import gzip
import json
import struct
import zlib

import numpy as np

TABLE = []
for byte in range(256):
    crc = byte
    for _ in range(8):
        crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    TABLE.append(crc)

PACKED = {"zlib": zlib.compress, "gzip": gzip.compress, "plain": bytes}


def crc32c(data):
    """CRC32C bit by bit, as a table of its polynomial."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF)


def framed(data):
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def varint(number):
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def field(number, data):
    """A field of bytes of a protocol buffer."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def example(features, kind=1):
    """A tf.train.Example of byte strings; `kind` 2 and 3 make lists of floats and integers."""
    entries = b"".join(
        field(1, field(1, name.encode()) + field(2, field(kind, field(1, value))))
        for name, value in features.items()
    )
    return field(1, entries)


def one_hot(codes):
    rows = np.zeros((len(codes), 4), dtype=np.uint8)
    known = codes < 4
    rows[np.flatnonzero(known), codes[known]] = 1
    return rows


def window_example(codes, targets, **more):
    """A window as Basenji writes it."""
    return example(
        {
            "target": targets.astype("<f2").tobytes(),
            **more,
            "sequence": one_hot(codes).tobytes(),
        }
    )


def write_records(path, records, packing="zlib"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(PACKED[packing](b"".join(framed(data) for data in records)))


def write_folder(
    folder, splits, *, bins, bin_width, crop=0, tracks=2, shard=3, seed=1, reach=0, contig="chr1"
):
    """A folder with random windows; `splits` says how many each label has.

    Args:
        folder: where.
        splits: windows by label.
        bins: of the targets.
        bin_width: bp.
        crop: at each end.
        tracks: of the targets.
        shard: records of each shard but the last.
        seed: of bases and targets.
        reach: by how much rows of sequences.bed are shorter than inputs, at each end.
        contig: of all windows, which follow each other from 10,000.

    Returns:
        Codes and targets by label, shapes (n, L) and (n, bins, tracks).
    """
    rng = np.random.default_rng(seed)
    length = bins * bin_width + 2 * crop
    folder.mkdir(parents=True, exist_ok=True)
    statistics = {"num_targets": tracks, "seq_length": length, "pool_width": bin_width}
    statistics |= {"crop_bp": crop, "target_length": bins, "seq_1hot": True}
    statistics |= {f"{label}_seqs": count for label, count in splits.items()}
    (folder / "statistics.json").write_text(json.dumps(statistics))
    rows = [f"{t}\tT{t}\tf{t}.w5\t384\t1\tsum\tCAGE:track {t}\n" for t in range(tracks)]
    header = "\tidentifier\tfile\tclip\tscale\tsum_stat\tdescription\n"
    (folder / "targets.txt").write_text(header + "".join(rows))
    data, bed, place = {}, "", 10_000
    for label, count in splits.items():
        codes = rng.integers(0, 5, (count, length)).astype(np.uint8)
        targets = rng.gamma(1.0, 1.0, (count, bins, tracks)).astype(np.float16)
        data[label] = codes, targets
        for _ in range(count):
            bed += f"{contig}\t{place + reach}\t{place + length - reach}\t{label}\n"
            place += length
        for number, first in enumerate(range(0, count, shard)):
            mine = range(first, min(first + shard, count))
            records = [window_example(codes[row], targets[row]) for row in mine]
            write_records(folder / "tfrecords" / f"{label}-{number}.tfr", records)
    (folder / "sequences.bed").write_text(bed)
    return data
