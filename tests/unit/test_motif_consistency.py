"""Motifs that replicates share: counts on constructed patterns, tables, and the figure."""

import numpy as np
import pytest
from motif_cases import WORDS, known_motifs, matrix_of, pattern

from seqtrust.attribution.motif_consistency import (
    as_motifs,
    match_known,
    permuted_sharing,
    share_motifs,
    single_motifs,
)
from seqtrust.attribution.motif_discovery import Discovery, Pattern
from seqtrust.attribution.motif_matching import match
from seqtrust.attribution.motif_report import Judged, motif_tables
from seqtrust.attribution.motif_report import known_motifs as read_known
from seqtrust.attribution.motif_tables import MOTIFS
from seqtrust.errors import InputError
from seqtrust.figures.attribution_figures import attribution_figure
from seqtrust.motifs import read_meme, write_meme
from seqtrust.tables import write_table


def turned(one):
    matrices = (m[::-1, ::-1] for m in (one.ppm, one.cwm, one.hypothetical))
    return Pattern(one.name, one.sign, *matrices, one.sequence_ids, one.starts, ~one.reverse)


def noise_pattern(seed, width=20):
    rng = np.random.default_rng(seed)
    ppm = rng.dirichlet(np.full(4, 0.3), width)
    cwm = np.where(ppm == ppm.max(axis=1, keepdims=True), 1.0, 0.0)
    ids = ["s0"] * 20
    return Pattern(
        "positive_1", "positive", ppm, cwm, cwm, ids, np.zeros(20, int), np.zeros(20, bool)
    )


def three_replicates():
    """`first` of all three, once on the other strand; `second` of two, `third` of one."""
    return {
        "r1": [pattern(WORDS["first"], 40, flank=3), pattern(WORDS["second"], 30)],
        "r2": [
            turned(pattern(WORDS["first"], 25, flank=8)),
            pattern(WORDS["first"], 20, seed=4, noise=0.05),
            pattern(WORDS["third"], 22, "negative"),
        ],
        "r3": [pattern(WORDS["second"], 21, noise=0.05), pattern(WORDS["first"], 60)],
    }


def discoveries(patterns):
    return {name: Discovery(some, 50, 2, 10) for name, some in patterns.items()}


def test_counts_replicates_not_patterns():
    found = share_motifs(three_replicates())
    assert [one.replicates for one in found] == [("r1", "r2", "r3"), ("r1", "r3"), ("r2",)]
    assert [one.seqlets for one in found] == [(40, 45, 60), (30, 21), (22,)]
    assert [one.sign for one in found] == ["positive", "positive", "negative"]
    assert found[0].similarity > 0.9
    assert np.isnan(found[2].similarity)
    assert [one.consensus.strip("acgt") for one in found[:2]] == [WORDS["first"], WORDS["second"]]


def test_order_of_replicates_changes_nothing_but_names():
    patterns = three_replicates()
    one = share_motifs(patterns)
    other = share_motifs(dict(reversed(patterns.items())))
    assert [sum(motif.seqlets) for motif in one] == [sum(motif.seqlets) for motif in other]
    assert all(np.allclose(a.ppm, b.ppm) for a, b in zip(one, other, strict=True))


def test_same_motif_of_opposite_sign_is_another_one():
    found = share_motifs({"r1": [pattern(WORDS["first"])],
                          "r2": [pattern(WORDS["first"], sign="negative")]})  # fmt: skip
    assert [len(one.replicates) for one in found] == [1, 1]


def test_no_chain_of_half_alike_patterns():
    """Overlapping halves: each is like its neighbour, the ends are unlike each other."""
    word = "TGACTCATCCGGATATTA"
    chain = {f"r{index}": [pattern(word[2 * index : 2 * index + 10])] for index in range(5)}
    cwms = [one.cwm for (one,) in chain.values()]
    assert (match(cwms[:-1], cwms[1:]).similarity.diagonal() > 0.7).all()
    found = share_motifs(chain, similarity=0.7)
    assert max(len(one.replicates) for one in found) < 5


def test_noise_shares_nothing_and_chance_is_that():
    noise = {f"r{index}": [noise_pattern(10 * index + n) for n in range(4)] for index in range(3)}
    assert all(len(one.replicates) == 1 for one in share_motifs(noise))
    chance = permuted_sharing(noise, 0.7, 10, seed=1)
    assert chance[0] == 12
    assert (chance[1:] == 0).all()
    assert (permuted_sharing(three_replicates(), 0.7, 10, 1)[1:] < 1).all()
    assert share_motifs({"r1": [], "r2": []}) == []
    assert (permuted_sharing({"r1": [], "r2": []}, 0.7, 3, 1) == 0).all()


def test_known_motifs_are_matched_on_either_strand():
    motifs = share_motifs(three_replicates())
    found = match_known(motifs, known_motifs(), rounds=99, seed=1)
    assert found.names == ["first", "second", "third"]
    assert (found.similarity > 0.95).all()
    assert (found.p == 0.01).all()
    assert found.alike(0.7) == found.names
    assert found.alike(1.01) == ["", "", ""]
    assert found.alike_by_chance(0.9, WORDS) < 0.1
    noise = single_motifs([noise_pattern(5)], "r1")
    unlike = match_known(noise, known_motifs(), rounds=99, seed=1)
    assert unlike.p[0] > 0.05
    assert unlike.alike(0.7) == [""]


def test_chance_counts_every_known_motif_once():
    """Motifs of one repeated column are found in any order, each by two motifs."""
    same = [(f"same_{base}", base * 8) for base in "AC"]
    patterns = [pattern(word, seed=n) for n in range(2) for _, word in same]
    found = match_known(single_motifs(patterns, "r1"), known_motifs(dict(same)), 10, 1)
    assert found.alike_by_chance(0.7, ["same_A", "same_C"]) == 2
    assert found.alike_by_chance(0.7, ["same_A"]) == 1


def judged(planted=("first", "second")):
    return Judged(known_motifs(), planted, 0.7, 20, 1)


def test_tables_say_what_is_shared_and_recovered():
    patterns = three_replicates() | {"ensemble": [pattern(WORDS["first"]), noise_pattern(3)]}
    motifs, sharing, named = motif_tables({"saliency": discoveries(patterns)}, judged())
    assert motifs["replicates"].tolist() == [3, 2, 1]
    assert set(motifs["of"]) == {3}
    assert motifs["seqlets_by_replicate"].tolist() == ["r1:40 r2:45 r3:60", "r1:30 r3:21", "r2:22"]
    assert motifs["known"].tolist() == ["first", "second", "third"]
    assert motifs["planted"].tolist() == [True, True, False]
    assert list(named) == ["saliency_m1", "saliency_m2", "saliency_m3"]
    rows = sharing.set_index(["motifs_of", sharing["replicate"].fillna(""), "replicates"])
    shared = sharing[sharing["motifs_of"] == "at least"]
    assert shared["motifs"].tolist() == [3, 2, 1]
    assert shared["recovered"].tolist() == [2, 2, 1]
    assert shared["precision"].tolist() == pytest.approx([2 / 3, 1, 1])
    assert len(rows) == 3 + 3 + 1
    alone = sharing[sharing["motifs_of"] == "replicate"]
    assert alone["recovered"].tolist() == [2, 1, 2]
    assert alone["precision"].tolist() == pytest.approx([1, 2 / 3, 1])
    assert alone[["maps", "unusable", "not_drawn"]].iloc[0].tolist() == [50, 2, 10]
    mean = sharing[sharing["motifs_of"] == "mean map"].iloc[0]
    assert (mean["motifs"], mean["recovered"], mean["names"]) == (2, 1, "first")


def test_motifs_are_drawn_in_the_orientation_of_the_known_one():
    patterns = {"r1": [turned(pattern(WORDS["first"]))]}
    _, _, named = motif_tables({"saliency": discoveries(patterns)}, judged(()))
    assert named["saliency_m1"].consensus.strip("acgt") == WORDS["first"]
    bare = Judged([], [], 0.7, 5, 1)
    motifs, sharing, named = motif_tables({"saliency": discoveries(patterns)}, bare)
    assert named["saliency_m1"].consensus.strip("acgt") != WORDS["first"]
    assert motifs["known"].tolist() == [""]
    assert sharing["recovered"].isna().all()


def test_nothing_found_is_a_result(tmp_path):
    motifs, sharing, named = motif_tables({"saliency": discoveries({"r1": [], "r2": []})}, judged())
    assert len(motifs) == 0
    assert named == {}
    assert sharing["motifs"].tolist() == [0, 0, 0, 0]
    assert sharing["recovered"].tolist() == [0, 0, 0, 0]
    assert sharing["precision"].isna().all()
    write_table(tmp_path / "e.motifs.parquet", MOTIFS, motifs.to_dict("list"))
    figure, table = attribution_figure("motifs", [[tmp_path / "e.motifs.parquet"]], {"e": "Empty"})
    assert len(table) == 0
    assert figure.axes[0].texts[0].get_text() == "no motif was found"


def test_figure_shows_the_motifs_of_most_replicates_on_top(tmp_path):
    motifs, _, _ = motif_tables({"saliency": discoveries(three_replicates())}, judged())
    write_table(tmp_path / "e.motifs.parquet", MOTIFS, motifs.to_dict("list"))
    figure, table = attribution_figure("motifs", [[tmp_path / "e.motifs.parquet"]], {"e": "Entry"})
    texts = [axis.texts[0].get_text() for axis in figure.axes]
    assert texts[0] == "m1: 3 of 3 replicates, 145 seqlets\nlike first (1.00)"
    assert [text[:2] for text in texts] == ["m1", "m2", "m3"]
    first = table[table["motif"] == "m1"]
    tall = first.loc[first["contribution"] > 0.1]
    assert "".join(tall["base"]) == WORDS["first"]


def test_meme_file_is_read_back(tmp_path):
    _, _, named = motif_tables({"saliency": discoveries(three_replicates())}, judged())
    path = tmp_path / "motifs.meme"
    path.write_text(write_meme(as_motifs(named)))
    for motif, (name, one) in zip(read_meme(path), named.items(), strict=True):
        assert motif.name == name
        assert np.allclose(motif.probabilities, one.ppm[one.core], atol=1e-5)


def test_planted_motifs_must_be_known():
    with pytest.raises(InputError, match=r"'frist', which is none .* did you mean 'first'"):
        judged(["frist"])


def test_motifs_of_a_grammar_are_its_pool_and_planted_its_core(tmp_path):
    (tmp_path / "all.meme").write_text(write_meme(known_motifs()))
    (tmp_path / "pool.tsv").write_text("motif\tkind\nthird\tcore\nfirst\tpool\nsecond\tremoved\n")
    known, planted = read_known(tmp_path / "all.meme", tmp_path / "pool.tsv", None)
    assert [one.name for one in known] == ["third", "first"]
    assert planted == ["third"]
    assert read_known(tmp_path / "all.meme", tmp_path / "pool.tsv", ["first"])[1] == ["first"]
    assert read_known(None, None, None) == ([], [])
    assert np.allclose(known[0].probabilities, matrix_of(WORDS["third"]), atol=1e-5)
