"""Motif insertion against string surgery."""

from pathlib import Path

import numpy as np
import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrust.bases import decode, encode, reverse_complement
from seqtrust.errors import InputError
from seqtrust.genome import Genome, Window
from seqtrust.motifs import Motif
from seqtrust.sequence_set import StoredWindow
from seqtrust.sources.insertions import (
    MUTATION,
    Arrangement,
    InsertionSequences,
    Placed,
    contig_windows,
    insertion,
    read_truth,
    single_motifs,
    spacing_ladder,
)


def motif_of(letters: str, name: str = "m") -> Motif:
    columns = tuple(
        tuple(0.97 if code == base else 0.01 for code in range(4)) for base in encode(letters)
    )
    return Motif(name, columns)


BACKGROUND = np.random.default_rng(3).integers(0, 4, 200).astype(np.uint8)


def window_of(strand: str, anchor: int = 100, length: int = 100) -> StoredWindow:
    index = length // 2 if strand == "+" else length - 1 - length // 2
    place = Window("toy", "c", anchor, index, length, strand)
    stored = BACKGROUND[place.start : place.end]
    return StoredWindow("w", "toy", "c", anchor, index, length, strand, place.start, stored)


@given(
    st.text(alphabet="ACGT", min_size=1, max_size=12),
    st.integers(0, 30),
    st.sampled_from("+-"),
    st.integers(60, 140),
)
def test_in_the_orientation_of_the_gene_the_motif_stands_at_the_gap(
    letters: str, gap: int, strand: str, anchor: int
) -> None:
    window = window_of(strand, anchor)
    edit = insertion(window.window, Placed(motif_of(letters), gap), encode(letters), "both_strands")
    sequence = decode(window.sequence((edit,)))
    background = decode(window.sequence(()))
    start = 50 - gap - len(letters)
    assert sequence == background[:start] + letters + background[50 - gap :]


def test_published_placement_differs_on_the_minus_strand_only() -> None:
    instance, placed = encode("ACGTT"), Placed(motif_of("ACGTT"), 10)
    plus, minus = window_of("+"), window_of("-")
    edits = {
        (window.strand, mode): insertion(window.window, placed, instance, mode)
        for window in (plus, minus)
        for mode in ("published", "both_strands")
    }
    assert edits["+", "published"] == edits["+", "both_strands"]
    published, right = edits["-", "published"], edits["-", "both_strands"]
    # left = TSS + L + 10: a gap of L + 10 - 1 bases after the TSS, forward bases as they are
    assert (published.start, published.replacement) == (100 + 5 + 10, "ACGTT")
    assert (right.start, right.replacement) == (100 + 1 + 10, "AACGT")


def test_a_motif_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match=r"motif 'm' \(5 bp, gap 60 bp\) does not fit"):
        insertion(
            window_of("+").window, Placed(motif_of("ACGTT"), 60), encode("ACGTT"), "published"
        )


def test_the_ladder_places_the_second_motif_upstream_and_alone() -> None:
    first, second = motif_of("AAAA", "a"), motif_of("CCC", "b")
    ladder = spacing_ladder(first, second, 10, [0, 7])
    assert [arrangement.name for arrangement in ladder] == ["a+b@0", "b@14", "a+b@7", "b@21"]
    assert ladder[2].placed == (Placed(first, 10), Placed(second, 21))


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    (tmp_path / "g.fa").write_text(f">c\n{decode(BACKGROUND)}\n")
    pysam.faidx(str(tmp_path / "g.fa"))
    return Genome(tmp_path / "g.fa", "toy")


def sequences_of(
    genome: Genome, arrangements: list[Arrangement], collection: InsertionSequences
) -> dict[str, str]:
    windows = [(f"w{strand}", window_of(strand).window) for strand in "+-"]
    return {
        name: decode(stored.sequence(edits))
        for stored, rows in collection.content(windows, arrangements, "test")
        for name, edits in rows
    }


def test_knock_outs_are_chosen_in_motif_orientation(genome: Genome) -> None:
    columns = ((0.4, 0.2, 0.2, 0.2), (0.0, 0.02, 0.0, 0.98), (0.3, 0.3, 0.2, 0.2))
    motif = Motif("m", columns)
    collection = InsertionSequences(genome, instances="consensus")
    made = sequences_of(genome, single_motifs([motif], 10), collection)
    for strand in "+-":
        intact, knocked = made[f"w{strand}.m"], made[f"w{strand}.m.knockout"]
        changed = [i for i in range(100) if intact[i] != knocked[i]]
        # column 2 of 3 of a motif at [37, 40); A is the first of the least likely bases
        assert changed == [38]
        assert (intact[38], knocked[38]) == ("T", "A")


def test_contrasts_share_an_id_over_backgrounds(genome: Genome) -> None:
    collection = InsertionSequences(genome, instances="consensus", truth={"m": 2.0})
    sequences_of(genome, single_motifs([motif_of("ACGTT")], 10), collection)
    found = {
        (row["contrast_id"], row["reference_id"], row["alternative_id"], row["truth_effect"])
        for row in collection.contrasts
    }
    assert found == {
        (f"m:{kind}", f"w{strand}.{a}", f"w{strand}.{b}", truth)
        for strand in "+-"
        for kind, a, b, truth in (
            ("activity", "ref", "m", 2.0),
            ("mutation", "m", "m.knockout", -2.0),
        )
    }


def test_an_instance_that_is_its_own_knock_out_is_counted(genome: Genome) -> None:
    # the surest column keeps a least likely base that sampling does draw
    motif = Motif("m", ((0.25, 0.25, 0.25, 0.25), (0.2, 0.2, 0.2, 0.4)))
    collection = InsertionSequences(genome, seed=1)
    for seed in range(20):
        collection.seed = seed
        sequences_of(genome, single_motifs([motif], 10), collection)
    own = [row for row in collection.skipped if row.reason.startswith("knock-out base")]
    mutated = [row for row in collection.contrasts if row["context"] == MUTATION]
    assert own
    assert len(own) + len(mutated) == 40


def test_instances_belong_to_motif_and_background(genome: Genome) -> None:
    motifs = [Motif(name, ((0.25, 0.25, 0.25, 0.25),) * 8) for name in "ab"]
    both = sequences_of(genome, single_motifs(motifs, 10), InsertionSequences(genome, seed=5))
    alone = sequences_of(genome, single_motifs(motifs[1:], 10), InsertionSequences(genome, seed=5))
    other = sequences_of(genome, single_motifs(motifs[1:], 10), InsertionSequences(genome, seed=6))
    assert alone.items() <= both.items()
    assert alone["w+.b"] != other["w+.b"]
    assert alone["w+.b"][32:40] != alone["w-.b"][32:40]


def test_overlapping_motifs_are_refused(genome: Genome) -> None:
    first, second = motif_of("AAAA", "a"), motif_of("CCC", "b")
    overlapping = Arrangement("a+b", (Placed(first, 10), Placed(second, 12)))
    with pytest.raises(InputError, match=r"arrangement 'a\+b'.*overlap"):
        sequences_of(genome, [overlapping], InsertionSequences(genome))


def test_given_sequences_need_one_length(genome: Genome) -> None:
    ((name, window),) = contig_windows(genome, 200, 120)
    assert (name, window.start, window.end, window.anchor) == ("c", 0, 200, 120)
    with pytest.raises(InputError, match="contig 'c' has 200 bp, but the set asks for 100 bp"):
        contig_windows(genome, 100, 50)


def test_truth_needs_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "truth.tsv"
    path.write_text("motif\tweight\na\t1\n")
    with pytest.raises(
        InputError, match=r"needs the columns motif and effect; it has: motif, weig"
    ):
        read_truth(path)
    path.write_text("motif\teffect\na\t1.5\n")
    assert read_truth(path) == {"a": 1.5}


def test_minus_strand_instances_are_reverse_complements_on_the_genome(genome: Genome) -> None:
    window = window_of("-")
    edit = insertion(window.window, Placed(motif_of("ACGTT"), 3), encode("ACGTT"), "both_strands")
    assert edit.replacement == decode(reverse_complement(encode("ACGTT")))
