"""Dinucleotide shuffling."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pysam
from hypothesis import given
from hypothesis import strategies as st

from seqtrust.bases import decode, encode
from seqtrust.genome import Genome, Window
from seqtrust.sources.shuffled import dinucleotide_shuffle, write_shuffled


@given(st.text(alphabet="ACGTN", min_size=1, max_size=200), st.integers(0, 1000))
def test_dinucleotide_counts_and_ends_are_kept(text: str, seed: int) -> None:
    shuffled = decode(dinucleotide_shuffle(encode(text), np.random.default_rng(seed)))
    assert Counter(pairwise(shuffled)) == Counter(pairwise(text))
    assert (shuffled[0], shuffled[-1]) == (text[0], text[-1])


def test_all_sequences_with_these_counts_are_equally_likely() -> None:
    start = "AACATCA"
    rng = np.random.default_rng(1)
    drawn = Counter(decode(dinucleotide_shuffle(encode(start), rng)) for _ in range(12_000))
    wanted = _all_walks(start)
    assert drawn.keys() == wanted
    expected = 12_000 / len(wanted)
    chi_square = sum((count - expected) ** 2 / expected for count in drawn.values())
    # mean len - 1 and variance 2 (len - 1): five standard deviations
    freedom = len(wanted) - 1
    assert chi_square < freedom + 5 * np.sqrt(2 * freedom)


def _all_walks(start: str) -> set[str]:
    """Brute force: every sequence with the same first base and dinucleotide counts."""
    found: set[str] = set()

    def extend(walk: str, left: Counter[tuple[str, str]]) -> None:
        if not +left:
            found.add(walk)
        for pair in +left:
            if pair[0] == walk[-1]:
                extend(walk + pair[1], left - Counter([pair]))

    extend(start[0], Counter(pairwise(start)))
    return found


def test_a_long_sequence_is_really_shuffled() -> None:
    codes = np.random.default_rng(0).integers(0, 4, 5000).astype(np.uint8)
    shuffled = dinucleotide_shuffle(codes, np.random.default_rng(1))
    # unrelated sequences agree at a quarter of the positions; 5 standard errors
    assert abs(np.mean(shuffled == codes) - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 5000)


def test_the_assembly_is_indexed_and_its_draws_do_not_depend_on_other_windows(
    tmp_path: Path,
) -> None:
    letters = "ACGTTGCAAC" * 30
    (tmp_path / "g.fa").write_text(f">c\n{letters}\n")
    pysam.faidx(str(tmp_path / "g.fa"))
    genome = Genome(tmp_path / "g.fa", "toy")
    windows = [("a", Window("toy", "c", 60, 50, 101)), ("b", Window("toy", "c", 150, 50, 101, "-"))]
    assert write_shuffled(tmp_path / "s.fa", genome, windows, 2, 7) == 4
    shuffled = Genome(tmp_path / "s.fa", "shuffled")
    assert shuffled.contigs == {"a_1": 101, "a_2": 101, "b_1": 101, "b_2": 101}
    pysam.faidx(str(tmp_path / "s.fa"), "--fai-idx", str(tmp_path / "other.fai"))
    assert (tmp_path / "other.fai").read_text() == (tmp_path / "s.fa.fai").read_text()
    write_shuffled(tmp_path / "t.fa", genome, windows[1:], 2, 7)
    again = Genome(tmp_path / "t.fa", "shuffled")
    assert decode(again.fetch("b_2", 0, 101)) == decode(shuffled.fetch("b_2", 0, 101))
    original = pysam.FastaFile(str(tmp_path / "g.fa")).fetch("c", 10, 111)
    assert Counter(pairwise(decode(shuffled.fetch("a_1", 0, 101)))) == Counter(pairwise(original))
