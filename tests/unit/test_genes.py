"""Genes and points from GTF, BED and gene lists: the same TSS from each."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrust.errors import InputError
from seqtrust.genes import Point, read_points

INTERVALS = st.tuples(st.integers(0, 400), st.integers(1, 50))


@given(INTERVALS, st.sampled_from("+-"))
def test_three_formats_give_one_tss(tmp_path_factory, tiny_genome, interval, strand):
    folder = tmp_path_factory.getbasetemp()
    start, end = interval[0], interval[0] + interval[1]
    tss = start if strand == "+" else end - 1
    attributes = 'gene_name "x"; gene_id "g"; level 1;'
    texts = {
        "g.gtf": f"1\tsrc\tgene\t{start + 1}\t{end}\t.\t{strand}\t.\t{attributes}\n",
        "g.bed": f"chr1\t{start}\t{end}\tg\t.\t{strand}\n",
        "g.csv": f"g,1,{tss + 1},symbol,{strand}\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
        (point,) = read_points(folder / name, tiny_genome)
        assert point == Point("g", "chr1", tss, strand, 0.0, 1)


def test_gzipped_files_comments_and_other_features(tmp_path, tiny_genome):
    path = tmp_path / "genes.gtf.gz"
    rows = [
        "#!genome-build toy",
        'chr1\tx\texon\t1\t9\t.\t+\t.\tgene_id "a";',
        'chr1\tx\tgene\t5\t9\t.\t-\t.\tgene_id "a";',
        "",
        'chr20\tx\tgene\t5\t9\t.\t+\t.\tgene_id "b";',
    ]
    path.write_bytes(gzip.compress("\n".join(rows).encode()))
    found = read_points(path, tiny_genome)
    assert found == [Point("a", "chr1", 8, "-", 0.0, 3), Point("b", "20", 4, "+", 0.0, 5)]


def test_scores_of_a_bed_are_read(tmp_path, tiny_genome):
    (tmp_path / "p.bed").write_text("chr1\t7\t8\tsite\t0.25\t-\textra\n")
    assert read_points(tmp_path / "p.bed", tiny_genome) == [Point("site", "chr1", 7, "-", 0.25, 1)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.bed", "chr1\t1\t2\ta\t0\t.\n", r"line 1: strand '\.', expected \+ or -"),
        ("p.bed", "chr1\t1\t2\ta\t0\t+\nchr1\t5\t6\ta\t0\t+\n", "line 2: 'a' is already on line 1"),
        ("p.bed", "chr1\t1\t2\n", "line 1: expected a .bed row"),
        ("p.bed", "chr1\tone\t2\ta\t0\t+\n", "line 1: expected a .bed row"),
        ("p.csv", "a,chr1,12\n", "line 1: expected a .csv row"),
        ("p.gtf", "chr1\tx\tgene\t1\t5\t.\t+\t.\tname x\n", "line 1: expected a .gtf row"),
        ("p.gtf", "chr1\tx\texon\t1\t5\t.\t+\t.\tgene_id x\n", "holds no gene or point"),
        ("p.bed", "# nothing\n", "holds no gene or point"),
        ("p.txt", "chr1\t1\t2\ta\t0\t+\n", "ends in .gtf, .bed or .csv"),
        ("p.bed", "chr7\t1\t2\ta\t0\t+\n", "line 1: assembly .* no contig '7' or 'chr7'"),
    ],
)
def test_bad_rows_are_refused_with_file_and_line(tmp_path, tiny_genome, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message) as refusal:
        read_points(tmp_path / name, tiny_genome)
    assert str(tmp_path / name) in str(refusal.value)


def test_a_missing_file_is_named(tmp_path, tiny_genome):
    with pytest.raises(InputError, match=r"absent\.bed"):
        read_points(tmp_path / "absent.bed", tiny_genome)
