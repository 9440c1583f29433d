"""Measured tracks: bins of windows against a loop, and tables that are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrust.errors import InputError
from seqtrust.models.facts import Facts, Track
from seqtrust.sequence_set import StoredWindow
from seqtrust.targets import Targets, read_targets, strand_pairs, with_strands

WIDTH, BINS = 4, 30
VALUES = np.random.default_rng(3).random((BINS, 2)).astype(np.float32)
TARGETS = Targets(("a", "b"), WIDTH, {"chr1": VALUES})
NOTHING = np.zeros(0, dtype=np.uint8)


def window(start, length, strand="+", contig="chr1"):
    return StoredWindow("w", "toy", contig, start, 0, length, strand, start, NOTHING)


@given(st.integers(-3, BINS), st.integers(1, 6), st.integers(0, 2), st.sampled_from("+-"))
def test_bins_of_a_window_against_a_loop(first, bins, crop_bins, strand):
    """A crop moves both ends, and the minus strand turns the order of the bins."""
    crop = crop_bins * WIDTH
    asked = window(first * WIDTH - crop, bins * WIDTH + 2 * crop, strand, "1")
    if first < 0 or first + bins > BINS:
        with pytest.raises(InputError, match=r"window .w. at 1:.* reaches beyond the targets"):
            TARGETS.of_window(asked, crop)
        return
    expected = [VALUES[number].tolist() for number in range(first, first + bins)]
    found = TARGETS.of_window(asked, crop).tolist()
    assert found == (expected if strand == "+" else expected[::-1])


@pytest.mark.parametrize(("start", "length"), [(2, 8), (4, 10)])
def test_a_window_off_the_grid_is_refused(start, length):
    with pytest.raises(InputError, match=r"does not stand on the grid of 4-bp bins"):
        TARGETS.of_window(window(start, length))


def test_a_contig_without_targets_is_refused():
    with pytest.raises(InputError, match="table of targets has no contig '2' or 'chr2'"):
        TARGETS.of_window(window(0, 8, contig="chr2"))


HEADER = "contig\tstart\tend\tplus\tminus\n"
GOOD = HEADER + "1\t0\t4\t0.5\t1\n1\t4\t8\t2\t3\n20\t0\t4\t4\t5\n"


def test_a_table_is_read_in_the_spelling_of_the_assembly(tmp_path, tiny_genome):
    (tmp_path / "t.tsv").write_text(GOOD)
    found = read_targets(tmp_path / "t.tsv", tiny_genome)
    assert found.tracks == ("plus", "minus")
    assert found.bin_width == 4
    assert found.values["chr1"].tolist() == [[0.5, 1], [2, 3]]
    assert found.values["20"].tolist() == [[4, 5]]
    assert sorted(read_targets(tmp_path / "t.tsv").values) == ["1", "20"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("1\t4\t8", "1\t8\t12"), "line 3: bins of '1' must follow each other from 0"),
        (GOOD.replace("1\t4\t8", "1\t4\t9"), "line 3: bins of '1' must follow each other"),
        (GOOD.replace("20\t0\t4", "20\t4\t8"), "line 4: bins of '20' must follow each other"),
        (GOOD.replace("2\t3", "2\tnan"), "line 3: a track has no finite value"),
        (GOOD.replace("2\t3", "2\tinf"), "line 3: a track has no finite value"),
        (GOOD.replace("2\t3", "2\t"), "line 3: a track has no finite value"),
        (GOOD.replace("2\t3", "2\tthree"), "line 3: a track has no finite value"),
        (GOOD.replace("contig", "chrom"), "found: chrom, start, end, plus, minus"),
        ("contig\tstart\tend\n1\t0\t4\n", "at least one track"),
        (GOOD.replace("1\t0\t4", "1\tzero\t4"), "line 2: expected a bin from 0"),
        (GOOD.replace("1\t0\t4", "1\t0\t0"), "line 2: expected a bin from 0"),
        (GOOD.replace("1\t4\t8", "1\tfour\t8"), "line 3: bins of '1' must follow"),
        (HEADER, "holds no bin"),
    ],
)
def test_bad_tables_are_refused_with_file_and_line(tmp_path, text, message):
    (tmp_path / "t.tsv").write_text(text)
    with pytest.raises(InputError, match=message) as refusal:
        read_targets(tmp_path / "t.tsv")
    assert str(tmp_path / "t.tsv") in str(refusal.value)


def test_two_spellings_of_a_contig_are_refused(tmp_path, tiny_genome):
    (tmp_path / "t.tsv").write_text(GOOD + "chr20\t0\t4\t4\t5\n")
    with pytest.raises(InputError, match=r"line 5: contig '20' is in the table under two names"):
        read_targets(tmp_path / "t.tsv", tiny_genome)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.tsv"):
        read_targets(tmp_path / "absent.tsv")


@pytest.mark.parametrize("value", ["inf", "three"])
def test_what_is_no_number_is_refused_where_missing_values_are_allowed(tmp_path, value):
    (tmp_path / "t.tsv").write_text(GOOD.replace("2\t3", f"2\t{value}"))
    with pytest.raises(InputError, match="line 3: a track has no finite value"):
        read_targets(tmp_path / "t.tsv", missing=True)
    (tmp_path / "t.tsv").write_text(GOOD.replace("2\t3", "2\t"))
    found = read_targets(tmp_path / "t.tsv", missing=True).values["1"]
    assert np.isnan(found).tolist() == [[False, False], [False, True]]


def test_a_window_on_the_minus_strand_has_the_strands_of_an_experiment_exchanged():
    """A table does not tell strands, the model's tracks do; the plus strand stays as it is."""
    tracks = (Track("b", "", 1), Track("a", "", 0), Track("other"))
    facts = Facts(None, 4, 0, tracks, 4, "toy", "counts")
    assert strand_pairs(facts) == [("b", "a")]
    told = with_strands(TARGETS, strand_pairs(facts))
    assert (told.tracks, told.partners, told.bin_width) == (("a", "b"), (1, 0), WIDTH)
    forward, backward = (told.of_window(window(8, 12, strand)) for strand in "+-")
    assert forward.tolist() == TARGETS.of_window(window(8, 12)).tolist()
    assert backward.tolist() == forward[::-1, ::-1].tolist()
    # what the source knows already is exchanged once, and unknown names are none of its
    assert with_strands(told, [("a", "b")]) is told
    assert with_strands(TARGETS, [("a", "x")]) is TARGETS


def test_rows_of_many_contigs_may_be_mixed(tmp_path):
    """Contigs come in the order of their first row, and bins in the order of rows."""
    rng = np.random.default_rng(5)
    bins = rng.integers(1, 4, 300)
    order = rng.permutation(np.repeat(np.arange(300), bins))
    seen, rows, expected = np.zeros(300, dtype=int), [], {}
    for number, contig in enumerate(order.tolist()):
        start = int(seen[contig]) * WIDTH
        seen[contig] += 1
        rows.append(f"c{contig}\t{start}\t{start + WIDTH}\t{number}")
        expected.setdefault(f"c{contig}", []).append([number])
    path = tmp_path / "t.tsv"
    path.write_text("contig\tstart\tend\ta\n" + "\n".join(rows) + "\n")
    found = read_targets(path).values
    assert list(found) == list(expected)
    assert {name: values.tolist() for name, values in found.items()} == expected


def test_the_first_fault_of_the_first_contig_is_named(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("contig\tstart\tend\ta\nx\t0\t4\t1\ny\t0\t4\t\ny\t4\t8\t1\nx\t8\t12\t1\n")
    with pytest.raises(InputError, match=r"line 5: bins of 'x' must follow"):
        read_targets(path)
