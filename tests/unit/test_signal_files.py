"""Means over intervals: both formats against a loop over bases."""

import gzip
import tracemalloc

import numpy as np
import pyBigWig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrust.errors import InputError
from seqtrust.signal_files import mean_signal

LENGTH = 300


def runs(rng, number):
    """Disjoint runs with gaps, some touching."""
    edges = np.sort(rng.choice(LENGTH, size=2 * number, replace=False))
    found = [(int(a), int(b), float(np.float32(rng.normal()))) for a, b in edges.reshape(-1, 2)]
    return [
        *found,
        *([(found[-1][1], LENGTH, 2.0)] if found[-1][1] < LENGTH and rng.random() < 0.5 else []),
    ]


def write_bigwig(path, by_contig):
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader([(contig, LENGTH) for contig in by_contig])
        for contig, mine in by_contig.items():
            starts, ends, values = zip(*mine, strict=True)
            file.addEntries(
                [contig] * len(mine), list(starts), ends=list(ends), values=list(values)
            )


def write_bedgraph(path, by_contig, opener=open):
    with opener(path, "wt") as file:
        file.write("track type=bedGraph\n")
        for contig, mine in by_contig.items():
            for start, end, value in mine[::-1]:
                file.write(f"{contig}\t{start}\t{end}\t{value!r}\n")


def naive(mine, start, end):
    base = np.full(LENGTH, np.nan)
    for first, last, value in mine:
        base[first:last] = value
    part = base[start:end]
    part = part[np.isfinite(part)]
    return part.mean() if part.size else np.nan


@given(seed=st.integers(0, 10_000), number=st.integers(1, 20))
def test_both_formats_agree_with_a_loop_over_bases(tmp_path_factory, seed, number):
    folder = tmp_path_factory.mktemp("signal")
    rng = np.random.default_rng(seed)
    by_contig = {"chr1": runs(rng, number), "chr2": runs(rng, number)}
    write_bigwig(folder / "s.bigWig", by_contig)
    write_bedgraph(folder / "s.bedGraph", by_contig)
    write_bedgraph(folder / "s.bedGraph.gz", by_contig, gzip.open)
    intervals = []
    for contig in ("chr1", "chr2", "chr1"):
        for _ in range(10):
            start = int(rng.integers(0, LENGTH))
            intervals.append((contig, start, start + int(rng.integers(1, 80))))
    expected = [naive(by_contig[c], start, end) for c, start, end in intervals]
    for name in ("s.bigWig", "s.bedGraph", "s.bedGraph.gz"):
        found = mean_signal(folder / name, intervals)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_a_row_of_a_bedgraph_takes_few_bytes(tmp_path):
    rows = 20_000
    lines = (f"toy{i % 2}\t{10 * i}\t{10 * i + 9}\t{i % 7}\n" for i in range(rows))
    (tmp_path / "s.bg").write_text("".join(lines))
    tracemalloc.start()
    mean_signal(tmp_path / "s.bg", [("toy1", 0, 10)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60 * rows


def test_contigs_may_be_spelled_otherwise_and_missing_ones_have_no_value(tmp_path):
    write_bedgraph(tmp_path / "s.bg", {"chr20": [(0, 10, 2.0), (20, 30, 4.0)]})
    found = mean_signal(tmp_path / "s.bg", [("20", 5, 25), ("21", 0, 10), ("20", 10, 20)])
    np.testing.assert_array_equal(found, [3.0, np.nan, np.nan])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("s.bg", "toy1\t0\t10\t1\ntoy1\t5\t20\t1\n", "line 2: toy1:5-20 overlaps line 1"),
        ("s.bg", "toy1\t9\t20\t1\n\ntoy1\t0\t10\t1\n", "line 1: toy1:9-20 overlaps line 3"),
        ("s.bg", f"toy1\t0\t{10**20}\t1\n", "line 1: expected contig, start, end and value"),
        ("s.bg", "toy1\t0\t10\n", "line 1: expected contig, start, end and value"),
        ("s.bg", "toy1\t10\t10\t1\n", "line 1: expected contig"),
        ("s.bg", "toy1\t0\t10\tnan\n", "finite value"),
        ("s.bg", "# nothing\n", "holds no row"),
        ("s.bg", "toy7\t0\t10\t1\n", "Is it of another assembly"),
        ("s.wig", "toy1\t0\t10\t1\n", "whose name ends in .bw"),
        ("s.bw", "no bigWig", "cannot be read as a bigWig"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said):
        mean_signal(tmp_path / name, [("toy1", 0, 10)])


def test_a_missing_file_and_an_empty_interval_are_refused(tmp_path):
    with pytest.raises(InputError, match="there is no signal file"):
        mean_signal(tmp_path / "none.bw", [])
    write_bedgraph(tmp_path / "s.bg", {"toy1": [(0, 10, 1.0)]})
    with pytest.raises(InputError, match="holds no base"):
        mean_signal(tmp_path / "s.bg", [("toy1", 5, 5)])
