"""Files are whole or absent."""

import pandas as pd
import pytest

from seqtrust.files import read_tsv, sha256, whole_file, write_text, write_tsv


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


def test_sha256_of_abc(tmp_path):
    # FIPS 180-2, appendix B.1
    (tmp_path / "abc").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(tmp_path / "abc") == expected
