"""Files are whole or absent, and a file that cannot be read is named."""

import gzip

import pandas as pd
import pytest

from seqtrust.errors import InputError, at_line
from seqtrust.files import (
    numbered_lines,
    read_input_table,
    read_tsv,
    sha256,
    whole_file,
    write_text,
    write_tsv,
)


def test_a_failed_write_leaves_nothing(tmp_path):
    target = tmp_path / "new" / "table.txt"

    def fail():
        with whole_file(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        fail()
    assert list(target.parent.iterdir()) == []


def test_a_failed_write_keeps_what_was_there(tmp_path):
    target = tmp_path / "table.txt"
    write_text(target, "old")

    def fail():
        with whole_file(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_two_writers_of_one_target_do_not_meet(tmp_path):
    target = tmp_path / "table.txt"
    with whole_file(target) as first:
        with whole_file(target) as second:
            assert first != second
            first.write_text("first")
            second.write_text("second")
        assert target.read_text() == "second"
    assert target.read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


def test_the_temporary_file_lies_beside_its_target(tmp_path):
    with whole_file(tmp_path / "table.txt") as temporary:
        assert temporary.parent == tmp_path
        temporary.touch()


def test_tsv_round_trip_to_six_digits_with_empty_cells(tmp_path):
    table = pd.DataFrame({"name": ["a", "b"], "value": [1 / 3, None], "count": [2, 3]})
    write_tsv(tmp_path / "t.tsv", table)
    assert (tmp_path / "t.tsv").read_text() == "name\tvalue\tcount\na\t0.333333\t2\nb\t\t3\n"
    back = read_tsv(tmp_path / "t.tsv")
    assert back["value"].isna().tolist() == [False, True]
    assert back["value"][0] == pytest.approx(1 / 3, abs=1e-6)


@pytest.mark.parametrize("name", ["t.txt", "t.txt.gz", "t.vcf.bgz"])
def test_lines_are_numbered_from_one(tmp_path, name):
    raw = b"one\n\nthree"
    (tmp_path / name).write_bytes(raw if name == "t.txt" else gzip.compress(raw))
    assert list(numbered_lines(tmp_path / name)) == [(1, "one"), (2, ""), (3, "three")]


def test_a_gzipped_file_that_is_cut_short_is_refused_by_name(tmp_path):
    path = tmp_path / "t.tsv.gz"
    whole = gzip.compress(b"".join(b"%d\t%d\n" % (n, n * n) for n in range(2000)))
    path.write_bytes(whole[: len(whole) // 2])
    for read in (lambda: list(numbered_lines(path)), lambda: read_input_table(path)):
        with pytest.raises(InputError, match=r"t\.tsv\.gz cannot be read"):
            read()


def test_an_input_table_is_read_with_the_given_types(tmp_path):
    (tmp_path / "t.tsv").write_text("contig\tvalue\n20\t1\n")
    table = read_input_table(tmp_path / "t.tsv", {"contig": str})
    assert table.to_dict("records") == [{"contig": "20", "value": 1}]


def test_rows_longer_than_the_header_do_not_become_names(tmp_path):
    (tmp_path / "t.tsv").write_text("a\tb\n1\t2\t3\n")
    with pytest.raises(InputError, match="rows have more columns than the header"):
        read_input_table(tmp_path / "t.tsv")


@pytest.mark.parametrize("wrong", [ValueError("x"), IndexError("x"), InputError("x")])
def test_what_is_wrong_with_a_row_names_its_line(wrong):
    def read():
        with at_line("genes.bed", 7, "six columns"):
            raise wrong

    with pytest.raises(InputError, match=r"genes\.bed, line 7: .*x"):
        read()


def test_sha256_of_abc(tmp_path):
    # FIPS 180-2, appendix B.1
    (tmp_path / "abc").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(tmp_path / "abc") == expected
