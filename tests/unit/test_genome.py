"""FASTA access against pyfaidx, contig names, windows, and data splits against brute force."""

from itertools import pairwise

import numpy as np
import pyfaidx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrust import bases
from seqtrust.errors import InputError
from seqtrust.genome import (
    SPLITS,
    UNKNOWN_SPLIT,
    Genome,
    SplitRegions,
    Window,
    aliases,
    resolve_contig,
)

CONTIG, SIZE = "chr1", 1003
INTERVALS = st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)).map(sorted)


@given(INTERVALS)
def test_fetch_equals_pyfaidx_and_the_bgzipped_twin(tiny_genome, tiny_genome_bgzipped, interval):
    start, end = interval
    with pyfaidx.Fasta(str(tiny_genome.path), rebuild=False) as fasta:
        expected = bases.encode(str(fasta[CONTIG][start:end]))
    assert np.array_equal(tiny_genome.fetch(CONTIG, start, end), expected)
    assert np.array_equal(tiny_genome_bgzipped.fetch(CONTIG, start, end), expected)


def test_contigs_and_lengths(tiny_genome, tiny_genome_bgzipped, tiny_contigs):
    expected = {name: len(sequence) for name, sequence in tiny_contigs.items()}
    assert tiny_genome.contigs == tiny_genome_bgzipped.contigs == expected


@given(st.integers(-50, SIZE + 50), st.integers(0, 120))
def test_padding_is_n_and_without_it_the_end_is_an_error(tiny_genome, tiny_contigs, start, length):
    whole = "N" * 200 + tiny_contigs[CONTIG] + "N" * 200
    expected = bases.encode(whole[200 + start : 200 + start + length])
    assert np.array_equal(tiny_genome.fetch(CONTIG, start, start + length, pad=True), expected)
    if start >= 0 and start + length <= SIZE:
        assert np.array_equal(tiny_genome.fetch(CONTIG, start, start + length), expected)
    else:
        with pytest.raises(InputError, match=r"reaches over the ends .* has 1,003 bases"):
            tiny_genome.fetch(CONTIG, start, start + length)


@pytest.mark.parametrize(
    ("asked", "spelled"),
    [
        ("chr1", "chr1"),
        ("1", "chr1"),
        ("chr20", "20"),
        ("20", "20"),
        ("M", "MT"),
        ("chrM", "MT"),
        ("chrMT", "MT"),
        ("MT", "MT"),
    ],
)
def test_contig_names_are_resolved(tiny_genome, asked, spelled):
    assert tiny_genome.resolve(asked) == spelled


def test_the_exact_name_wins_over_its_alias():
    assert resolve_contig("20", ["chr20", "20"], "x") == "20"
    assert resolve_contig("chr20", ["chr20", "20"], "x") == "chr20"


@pytest.mark.parametrize("asked", ["3", "chr3"])
def test_an_unknown_contig_is_refused_with_both_spellings(tiny_genome, asked):
    with pytest.raises(InputError) as refusal:
        tiny_genome.resolve(asked)
    message = str(refusal.value)
    assert "'3' or 'chr3'" in message
    assert str(tiny_genome.path) in message
    assert "chr1, chr2" in message


@given(st.sampled_from(["1", "chr1", "M", "chrM", "MT", "chrMT", "scaffold_7"]))
def test_a_contig_is_among_its_aliases_and_they_are_mutual(contig):
    assert contig in aliases(contig)
    assert all(contig in aliases(alias) for alias in aliases(contig))


def test_a_missing_fasta_is_named(tmp_path):
    with pytest.raises(InputError) as refusal:
        Genome(tmp_path / "absent.fa", "toy")
    assert "assembly 'toy'" in str(refusal.value)
    assert str(tmp_path / "absent.fa") in str(refusal.value)


@pytest.mark.parametrize(("bgzip", "suffix"), [(False, ".fai"), (True, ".fai"), (True, ".gzi")])
def test_a_missing_index_is_named_with_its_cure(make_genome, bgzip, suffix):
    path = make_genome({"c": "ACGT" * 10}, bgzip=bgzip).path
    path.with_name(path.name + suffix).unlink()
    with pytest.raises(InputError) as refusal:
        Genome(path, "toy")
    assert f"has no index {path.name}{suffix}" in str(refusal.value)
    assert f"samtools faidx {path}" in str(refusal.value)


@given(st.integers(-5, SIZE + 5), st.integers(1, 40), st.data())
def test_covers_says_whether_fetch_refuses(tiny_genome, anchor, length, data):
    index = data.draw(st.integers(0, length - 1))
    window = Window("toy", CONTIG, anchor, index, length)
    assert window.end - window.start == length
    inside = window.start >= 0 and window.end <= SIZE
    assert tiny_genome.covers(window) == inside


@pytest.mark.parametrize("wrong", [{"strand": "."}, {"anchor_index": 10}, {"anchor_index": -1}])
def test_a_window_that_makes_no_sense_is_refused(wrong):
    given_values = {"assembly": "toy", "contig": "c", "anchor": 5, "anchor_index": 5, "length": 10}
    with pytest.raises(ValueError, match=r"strand|anchor index"):
        Window(**(given_values | wrong))


def test_description_holds_build_and_checksum(tiny_genome):
    description = tiny_genome.description()
    assert description["build"] == "toy1"
    assert description["contigs"]["MT"] == 61
    assert len(description["sha256"]) == 64


ROWS = st.lists(
    st.builds(
        lambda split, contig, start, length: (split, contig, start, start + length),
        st.sampled_from(SPLITS),
        st.sampled_from(["chr1", "chr2"]),
        st.integers(0, 20),
        st.integers(1, 5),
    ),
    max_size=8,
)


def covered(rows, split, contig):
    mine = (range(s, e) for name, c, s, e in rows if (name, c) == (split, contig))
    return {position for interval in mine for position in interval}


@given(ROWS)
def test_merged_intervals_cover_the_same_bases_and_do_not_touch(rows):
    regions = SplitRegions.from_rows(rows)
    for split in SPLITS:
        for contig in ("chr1", "chr2"):
            intervals = regions.regions.get((split, contig), ())
            assert covered(regions.rows(), split, contig) == covered(rows, split, contig)
            assert all(a[1] < b[0] for a, b in pairwise(intervals))
    assert SplitRegions.from_rows(regions.rows()) == regions


@given(ROWS, st.sampled_from(["chr1", "1", "chr2", "chr3"]), st.integers(0, 28), st.integers(1, 8))
def test_split_of_against_every_base(rows, contig, start, length):
    contig_of_row = contig if contig.startswith("chr") else f"chr{contig}"
    window = set(range(start, start + length))
    touched = [s for s in SPLITS if window & covered(rows, s, contig_of_row)]
    expected = touched[0] if touched else UNKNOWN_SPLIT
    assert SplitRegions.from_rows(rows).split_of(contig, start, start + length) == expected


def test_a_window_that_touches_training_data_counts_as_seen():
    regions = SplitRegions.from_rows([("train", "c", 0, 10), ("test", "c", 10, 100)])
    assert regions.split_of("c", 9, 50) == "train"
    assert regions.split_of("c", 10, 50) == "test"
    assert regions.blocks("test") == [("c", 10, 100)]


def test_splits_are_read_from_a_bed(tmp_path, tiny_genome):
    bed = tmp_path / "splits.bed"
    bed.write_text("# made by hand\n1\t0\t10\ttrain\nchr20\t5\t9\tvalid\nchr2\t0\t4\ttest\n")
    assert SplitRegions.from_bed(bed, tiny_genome).rows() == [
        ("test", "chr2", 0, 4),
        ("train", "chr1", 0, 10),
        ("validation", "20", 5, 9),
    ]
