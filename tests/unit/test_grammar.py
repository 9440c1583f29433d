"""Simulated grammars: composition, places, letters and splits, and what is refused."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrust import bases
from seqtrust.errors import InputError
from seqtrust.genome import Genome, SplitRegions
from seqtrust.motifs import Motif, read_meme
from seqtrust.sequence_set import store_window
from seqtrust.sources.grammar import read_truth, write_truth
from seqtrust.sources.grammar_sequences import (
    Grammar,
    compose,
    contig_names,
    sample_gaps,
    sampled,
    sequence_pwms,
    simulate_grammar,
    split_sizes,
    write_grammar,
)
from seqtrust.sources.motif_pool import likeness, motif_pool, oriented
from seqtrust.sources.reference import contig_windows
from seqtrust.targets import open_targets

TOY = "resources/toy/motifs.meme"
SETTINGS = {
    "core": ["TOY1", "TOY2"],
    "pool": {"matching": "*", "drawn": 5, "removed": 2},
    "reverse_complements": True,
    "motif_numbers": [3, 4, 5],
    "probabilities": [0.5, 0.3, 0.2],
    "sequences": 600,
    "positives": 0.5,
    "length": 90,
    "validation": 0.1,
    "test": 0.2,
    "seed": 22,
}


def simulate(**changed) -> Grammar:
    return simulate_grammar(read_meme(TOY), SETTINGS | changed, TOY)


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return simulate()


def naive_gaps(free, motifs, rng):
    """One sequence at a time, in the rounds of the fast version."""
    found = [None] * len(free)
    while any(gap is None for gap in found):
        for row, length in enumerate(free):
            if found[row] is not None:
                continue
            shares = [rng.random() for _ in range(motifs + 1)]
            gap = [round(share / np.sum(shares) * length) for share in shares]
            if sum(gap) == length:
                found[row] = gap
    return np.array(found)


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 200), min_size=1, max_size=12),
    st.integers(1, 7),
    st.integers(0, 2**32 - 1),
)
def test_gaps_are_those_of_the_loop_and_add_up(free, motifs, seed):
    gaps = sample_gaps(np.array(free), motifs, np.random.default_rng(seed))
    assert (gaps.sum(axis=1) == free).all()
    assert (gaps >= 0).all()
    np.testing.assert_array_equal(gaps, naive_gaps(free, motifs, np.random.default_rng(seed)))


def test_gaps_are_alike_at_every_place():
    gaps = sample_gaps(np.full(20_000, 150), 3, np.random.default_rng(1))
    mean, se = gaps.mean(axis=0), gaps.std(axis=0) / np.sqrt(len(gaps))
    np.testing.assert_array_less(np.abs(mean - 150 / 4), 4 * se)


def test_motifs_are_where_the_truth_says_and_do_not_overlap(grammar):
    truth = grammar.truth
    matrices = {(one.name, one.strand): one.columns for one in grammar.pool.negative}
    for row in range(len(truth.contigs)):
        pwm = np.full((90, 4), 0.25)
        stop = 0
        for name, start, strand in zip(
            truth.motifs[row], truth.starts[row], truth.strands[row], strict=True
        ):
            columns = matrices[name, strand]
            assert start >= stop
            stop = start + len(columns)
            pwm[start:stop] = columns
        assert stop <= 90
        np.testing.assert_allclose(truth.pwms[row], pwm, atol=1e-7)


def test_probabilities_add_up_and_impossible_bases_do_not_occur(grammar):
    pwms = grammar.truth.pwms
    np.testing.assert_allclose(pwms.sum(axis=2), 1, atol=1e-6)
    drawn = np.take_along_axis(pwms, grammar.codes[..., None].astype(int), axis=2)
    assert (drawn > 0).all()
    assert grammar.codes.max() <= 3


def test_positives_have_core_motifs_alone_and_negatives_all_motifs(grammar):
    truth = grammar.truth
    found = {label: Counter() for label in (0, 1)}
    for label, names, strands in zip(truth.labels, truth.motifs, truth.strands, strict=True):
        found[int(label)].update(zip(names, strands, strict=True))
    assert {name for name, _ in found[1]} == {"TOY1", "TOY2"}
    assert len({name for name, _ in found[0]}) == 2 + 5 - 2
    for label, motifs in ((1, 4), (0, 10)):
        counts = np.array(list(found[label].values()))
        assert len(counts) == motifs
        expected = counts.sum() / motifs
        assert ((counts - expected) ** 2 / expected).sum() < 3 * motifs


def test_numbers_of_motifs_follow_their_probabilities():
    truth = simulate(sequences=6000).truth
    counts = Counter(len(names) for names in truth.motifs)
    for number, probability in zip((3, 4, 5), (0.5, 0.3, 0.2), strict=True):
        se = np.sqrt(probability * (1 - probability) / 6000)
        assert abs(counts[number] / 6000 - probability) < 4 * se


def test_letters_are_drawn_from_the_matrix():
    pwm = np.tile(np.array([[0.7, 0.2, 0.1, 0.0], [0.25, 0.25, 0.25, 0.25]]), (8_000, 1, 1))
    codes = sampled(pwm.astype(np.float32), np.random.default_rng(3))
    for column in (0, 1):
        counts = np.bincount(codes[:, column], minlength=4)
        expected = 8_000 * pwm[0, column]
        present = expected > 0
        assert (counts[~present] == 0).all()
        chi_square = ((counts - expected)[present] ** 2 / expected[present]).sum()
        # 99.99 % of chi-square with 3 degrees of freedom
        assert chi_square < 21.1


def test_a_motif_on_the_other_strand_is_the_reverse_complement():
    motif = Motif("m", ((0.7, 0.1, 0.1, 0.1), (0.0, 1.0, 0.0, 0.0)))
    forward, reverse = oriented([motif], True)
    assert (forward.strand, reverse.strand) == ("+", "-")
    np.testing.assert_allclose(reverse.columns, [[0, 0, 1, 0], [0.1, 0.1, 0.1, 0.7]])
    assert len(oriented([motif], False)) == 1


def naive_likeness(first, second):
    """Both matrices written into long uniform ones, at every offset on both strands."""
    best = -np.inf
    for theirs in (second, second[::-1, ::-1]):
        for offset in range(len(first) + len(theirs) + 1):
            ours_padded = np.full((len(first) + 2 * len(theirs), 4), 0.25)
            padded = ours_padded.copy()
            ours_padded[len(theirs) : len(theirs) + len(first)] = first
            padded[offset : offset + len(theirs)] = theirs
            a, b = (ours_padded - 0.25).ravel(), (padded - 0.25).ravel()
            best = max(best, float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
    return best


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
def test_likeness_is_that_of_the_loop(first, second, seed):
    rng = np.random.default_rng(seed)
    one, other = (rng.dirichlet(np.ones(4), size) for size in (first, second))
    assert likeness(one, other) == pytest.approx(naive_likeness(one, other))
    assert likeness(one, other) == pytest.approx(likeness(other, one))
    assert likeness(one, one[::-1, ::-1]) == pytest.approx(1)


def test_the_likest_motifs_are_removed(grammar):
    rows = grammar.pool.rows
    kinds = Counter(row["kind"] for row in rows)
    assert kinds == {"core": 2, "pool": 3, "removed": 2}
    likeliest = {kind: [r["likeness"] for r in rows if r["kind"] == kind] for kind in kinds}
    assert min(likeliest["removed"]) >= max(likeliest["pool"])


def test_a_copy_of_a_core_motif_is_removed_whatever_is_drawn():
    motifs = read_meme(TOY)
    copy = Motif("COPY", tuple(tuple(column[::-1]) for column in motifs[0].columns[::-1]))
    pool = motif_pool(
        [*motifs, copy],
        ["TOY1"],
        {"matching": "*", "drawn": len(motifs), "removed": 1},
        True,
        np.random.default_rng(0),
        TOY,
    )
    assert [row["motif"] for row in pool.rows if row["kind"] == "removed"] == ["COPY"]


def test_equal_seeds_give_equal_sequences_and_other_seeds_others(grammar):
    again, other = simulate(), simulate(seed=23)
    np.testing.assert_array_equal(grammar.codes, again.codes)
    assert grammar.truth.contigs == again.truth.contigs
    assert (grammar.codes != other.codes).any()


@pytest.mark.parametrize(
    ("count", "validation", "test", "expected"),
    [(20_000, 0.1, 0.2, (14_000, 2_000, 4_000)), (400, 0.15, 0.4, (180, 60, 160))],
)
def test_split_sizes(count, validation, test, expected):
    sizes = split_sizes(count, validation, test)
    assert (sizes["train"], sizes["validation"], sizes["test"]) == expected


def test_classes_are_mixed_over_splits(grammar):
    truth = grammar.truth
    assert Counter(truth.splits) == {"train": 420, "validation": 60, "test": 120}
    assert truth.labels.sum() == 300
    test = truth.labels[np.array(truth.splits) == "test"]
    assert 40 <= test.sum() <= 80


def test_names_tell_split_and_class_and_count_from_1():
    names = contig_names(np.array([1, 0, 1, 1], dtype=np.int8), ["train", "train", "train", "test"])
    assert names == ["train_pos_00001", "train_neg_00001", "train_pos_00002", "test_pos_00001"]


def test_files_are_an_assembly_with_targets_splits_and_truth(grammar, tmp_path):
    paths = [tmp_path / name for name in ("g.fa", "g.targets.tsv", "g.bed", "g.motifs.tsv")]
    write_grammar(grammar, *paths)
    write_truth(tmp_path / "truth.parquet", grammar.truth)
    truth = read_truth(tmp_path / "truth.parquet")
    genome = Genome(paths[0], "g", "synthetic")
    windows = contig_windows(genome, 90, matching="test_pos_*[02468]")
    ids = [name for name, _ in windows]
    rows = truth.rows_of(ids)
    assert len(ids) > 10
    for (name, window), row in zip(windows, rows, strict=True):
        assert truth.contigs[row] == name
        codes = genome.fetch(window.contig, window.start, window.end)
        np.testing.assert_array_equal(codes, grammar.codes[row])
        assert truth.labels[row] == 1
    targets = open_targets(paths[1], genome)
    stored = store_window(genome, windows[0][1], ids[0])
    np.testing.assert_array_equal(targets.of_window(stored).ravel(), [1])
    regions = SplitRegions.from_bed(paths[2], genome)
    assert {regions.split_of(w.contig, w.start, w.end) for _, w in windows} == {"test"}
    for name in ("pwms", "labels", "artefacts"):
        np.testing.assert_array_equal(getattr(truth, name), getattr(grammar.truth, name))
    assert (truth.motifs, truth.starts, truth.strands) == (
        grammar.truth.motifs,
        grammar.truth.starts,
        grammar.truth.strands,
    )
    part = truth.taken(rows[:3])
    assert part.contigs == ids[:3]
    np.testing.assert_array_equal(part.pwms, truth.pwms[rows[:3]])


def test_an_artefact_changes_words_of_positives_and_nothing_else(grammar):
    word = bases.encode("GATTACAGG")
    planted = simulate(artefact={"word": "GATTACAGG", "share": 0.9, "position": [30, 60]})
    truth = planted.truth
    np.testing.assert_array_equal(truth.pwms, grammar.truth.pwms)
    has = truth.artefacts >= 0
    assert (truth.labels[has] == 1).all()
    # of 300 positives nine in ten, less those whose place is full of motifs
    assert 150 < has.sum() <= 270
    expected = grammar.codes.copy()
    for row in np.flatnonzero(has):
        start = truth.artefacts[row]
        assert 30 <= start <= 51
        assert (truth.pwms[row, start : start + 9] == 0.25).all()
        expected[row, start : start + 9] = word
    np.testing.assert_array_equal(planted.codes, expected)


def test_places_and_motifs_are_those_of_a_naive_reading():
    """The matrix of a sequence is background but for its motifs, one after the other."""
    motifs = oriented(read_meme(TOY)[:3], True)
    numbers = {"motif_numbers": [2], "probabilities": [1.0], "length": 40}
    composition = compose(motifs, 50, numbers, np.random.default_rng(5))
    pwms = sequence_pwms(composition, motifs, 40)
    for pwm, mine, starts in zip(pwms, composition.motifs, composition.starts, strict=True):
        text, position = [], 0
        for index, start in zip(mine, starts, strict=True):
            text += [np.full(4, 0.25)] * (start - position) + list(motifs[index].columns)
            position = len(text)
        text += [np.full(4, 0.25)] * (40 - position)
        np.testing.assert_allclose(pwm, np.array(text), atol=1e-7)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"core": ["TOY1", "TOY99"]}, r"core motifs must be .*'TOY99'"),
        ({"core": ["TOY1", "TOY1"]}, "each once"),
        ({"pool": {"matching": "TOY*", "drawn": 7, "removed": 0}}, "7 motifs .* of the 6 .*fewer"),
        ({"pool": {"matching": "*", "drawn": 2, "removed": 3}}, "remove fewer"),
        ({"probabilities": [0.5, 0.3]}, "as many probabilities, which add up to 1"),
        ({"probabilities": [0.5, 0.3, 0.3]}, "add up to 1"),
        ({"length": 20}, "do not fit into sequences of 20 bp: ask for longer"),
        ({"sequences": 10, "validation": 0.01}, "a data split empty: change the fractions"),
        ({"artefact": {"word": "GATNACA", "share": 1}}, "no word of A, C, G and T"),
        (
            {"artefact": {"word": "GATTACA", "share": 1, "position": [80, 99]}},
            r"position \[80, 99\) does not hold the 7 bp .*widen it",
        ),
    ],
)
def test_what_cannot_be_made_is_refused(changed, message):
    with pytest.raises(InputError, match=message):
        simulate(**changed)


def test_sequences_of_elsewhere_have_no_truth(grammar):
    with pytest.raises(InputError, match=r"1 sequences are no contigs .*'chr1'.*kind contigs"):
        grammar.truth.rows_of([grammar.truth.contigs[3], "chr1"])
