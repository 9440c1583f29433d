"""TF-MoDISco on maps whose motifs are known: what it finds, where, and what it refuses."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from motif_cases import WORDS, as_maps, known_motifs, planted_maps

from seqtrust.attribution.motif_consistency import match_known, share_motifs, single_motifs
from seqtrust.attribution.motif_discovery import (
    as_motif,
    discover,
    joined_maps,
    read_patterns,
    write_patterns,
)
from seqtrust.errors import InputError

REPOSITORY = Path(__file__).parents[2]
SIGNS = {"first": 1.0, "second": 1.0, "third": -1.0}
LENGTH = 160
FEW = {"least_seqlets": 10, "clusterings": 2}


@pytest.fixture(scope="module")
def case():
    maps, placed = planted_maps(130, LENGTH, signs=SIGNS)
    return maps, placed, discover(maps, **FEW)


@pytest.mark.slow
def test_planted_motifs_are_found_where_they_are(case):
    _, placed, found = case
    motifs = single_motifs(found.patterns, "r1")
    matches = match_known(motifs, known_motifs(), 50, 1)
    assert set(matches.alike(0.9)) == set(WORDS)
    for one, name in zip(found.patterns, matches.names, strict=True):
        assert one.sign == ("negative" if SIGNS[name] < 0 else "positive")
        assert one.ppm.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    # every seqlet that holds a word holds it on the strand that the pattern says
    there = {(f"s{row}", start): (name, reverse) for row, start, name, reverse in placed}
    for one, name, turn in zip(found.patterns, matches.names, matches.reverse, strict=True):
        right = 0
        for sequence_id, start, reverse in zip(
            one.sequence_ids, one.starts, one.reverse, strict=True
        ):
            inside = [
                there[sequence_id, place]
                for place in range(start, start + len(one.ppm) - 9)
                if (sequence_id, place) in there
            ]
            right += (name, bool(reverse != turn)) in inside
        assert right >= 0.9 * one.seqlets


@pytest.mark.slow
def test_twice_the_same(case):
    maps, _, found = case
    again = discover(maps, **FEW)
    assert [one.name for one in again.patterns] == [one.name for one in found.patterns]
    for one, other in zip(again.patterns, found.patterns, strict=True):
        assert np.array_equal(one.cwm, other.cwm)
        assert one.sequence_ids == other.sequence_ids


@pytest.mark.slow
def test_written_patterns_are_read_back(case, tmp_path):
    found = case[2]
    write_patterns(tmp_path / "patterns.parquet", found, FEW)
    again = read_patterns(tmp_path / "patterns.parquet")
    assert (again.maps, again.unusable, again.not_drawn) == (130, 0, 0)
    for one, other in zip(again.patterns, found.patterns, strict=True):
        assert (one.name, one.sign, one.seqlets) == (other.name, other.sign, other.seqlets)
        for name in ("ppm", "cwm", "hypothetical", "starts", "reverse"):
            assert np.array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.slow
def test_replicates_share_motifs_and_noise_has_none(case):
    """Maps of the same sequences by a second network with other noise, and by one that is noise."""
    maps, _, found = case
    rng = np.random.default_rng(7)
    errors = rng.normal(size=maps.maps.shape)
    second = discover(as_maps(maps.maps + 0.1 * errors, maps.bases), **FEW)
    noise = discover(as_maps(errors, maps.bases), **FEW)
    patterns = {"r1": found.patterns, "r2": second.patterns, "r3": noise.patterns}
    motifs = share_motifs(patterns)
    shared = [one for one in motifs if len(one.replicates) > 1]
    assert [one.replicates for one in shared] == [("r1", "r2")] * len(WORDS)
    assert set(match_known(shared, known_motifs(), 20, 1).alike(0.9)) == set(WORDS)


@pytest.mark.slow
def test_unusable_maps_are_dropped_with_their_sequences_and_counted(case):
    maps, _, found = case
    values = np.concatenate([np.zeros((2, LENGTH, 4)), maps.maps, np.full((1, LENGTH, 4), np.nan)])
    codes = np.concatenate([maps.bases[:2], maps.bases, maps.bases[:1]])
    more = discover(as_maps(values, codes), **FEW)
    assert (more.maps, more.unusable) == (130, 3)
    for one, other in zip(more.patterns, found.patterns, strict=True):
        assert np.allclose(one.cwm, other.cwm)
        shifted = [f"s{int(name[1:]) + 2}" for name in other.sequence_ids]
        assert one.sequence_ids == shifted


def test_few_seqlets_are_no_patterns_and_no_error():
    """Enough room for seqlets, but one word per 400 bp is less than what is clustered."""
    maps, _ = planted_maps(12, 800, noise=1e-3)
    found = discover(maps, least_seqlets=20, clusterings=1)
    assert found.patterns == []
    assert found.maps == 12


def test_draws_the_same_sequences_of_every_replicate():
    maps, _ = planted_maps(40, 400, noise=1e-3)
    first = discover(maps, most_maps=25, seed=5)
    assert (first.maps, first.not_drawn) == (25, 15)


@pytest.mark.parametrize(
    ("count", "length", "settings", "message"),
    [
        (30, 49, {}, r"49 bp long, and a motif with its flanks has 50 bp .* a longer region"),
        (30, 50, {}, r"30 usable .* at most 30 seqlets, .* more than 100: attribute a larger"),
        (3, 100, {"least_seqlets": 2}, r"hold at most 9 .* more than 10"),
    ],
)
def test_refuses_maps_that_cannot_hold_enough(count, length, settings, message):
    codes = np.zeros((count, length), dtype=np.uint8)
    maps = as_maps(np.random.default_rng(0).normal(size=(count, length, 4)), codes)
    with pytest.raises(InputError, match=message):
        discover(maps, **settings)


def test_refuses_contributions_of_one_sign():
    codes = np.zeros((60, 200), dtype=np.uint8)
    maps = np.zeros((60, 200, 4))
    maps[:, :, 0] = 1 + np.random.default_rng(0).random((60, 200))
    with pytest.raises(InputError, match=r"have one sign, .* attribute more sequences"):
        discover(as_maps(maps, codes), **FEW)


def test_one_replicate_is_taken_as_it_is_and_several_as_their_mean():
    first, _ = planted_maps(5, 60, seed=1)
    second = as_maps(first.maps[::-1], first.bases)
    assert joined_maps([first]) is first
    assert np.allclose(joined_maps([first, second]).maps, (first.maps + first.maps[::-1]) / 2)


def test_unknown_bases_are_shared_by_all_four():
    ppm = np.array([[0.5, 0.0, 0.0, 0.1], [1.0, 0.0, 0.0, 0.0]])
    motif = as_motif("x", ppm)
    assert motif.probabilities[0] == pytest.approx([0.6, 0.1, 0.1, 0.2])


def test_environment_has_the_version_that_is_pinned():
    environment = yaml.safe_load((REPOSITORY / "envs/motif_discovery.yaml").read_text())
    cpu = yaml.safe_load((REPOSITORY / "envs/cpu.yaml").read_text())
    *common, _, pip = environment["dependencies"]
    assert common == cpu["dependencies"]
    locked = re.search(
        r"^(modisco-lite==\S+)", (REPOSITORY / "requirements.lock").read_text(), re.M
    )
    assert pip == {"pip": [locked[1]]}
