"""The toy's cuts: strands, footprints, the preference, and files that say what was planted."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest

from seqtrust import bases
from seqtrust.motifs import read_meme
from seqtrust.simulation import Grammar
from seqtrust.sources import toy_profiles

TOY = Path(__file__).parents[2] / "resources" / "toy"
MOTIFS = {motif.name: motif for motif in read_meme(TOY / "motifs.meme")}
THRESHOLD = 0.7


@pytest.fixture(scope="module")
def genome():
    with pysam.FastaFile(str(TOY / "genome.fa")) as fasta:
        return {contig: bases.encode(fasta.fetch(contig)) for contig in fasta.references}


def some_codes(length, seed=1):
    return np.random.default_rng(seed).integers(0, 4, length).astype(np.uint8)


def test_the_other_strand_has_the_same_cuts_turned_around():
    codes = some_codes(500)
    codes[100:110], codes[300] = MOTIFS["TOY1"].consensus, bases.UNKNOWN
    forward = toy_profiles.expected_cuts(codes, MOTIFS, THRESHOLD)
    backward = toy_profiles.expected_cuts(bases.reverse_complement(codes), MOTIFS, THRESHOLD)
    np.testing.assert_allclose(backward[::-1, ::-1], forward, rtol=1e-9)


@pytest.mark.parametrize("name", list(toy_profiles.FOOTPRINTS))
def test_a_site_has_its_cuts_upstream_on_either_strand(name):
    """By hand: a Gaussian at the offset from the centre, shared out over the strands."""
    footprint, motif = toy_profiles.FOOTPRINTS[name], MOTIFS[name]
    codes = some_codes(400)
    before = toy_profiles.expected_cuts(codes, MOTIFS, THRESHOLD)
    codes[200 : 200 + motif.width] = motif.consensus
    factors = toy_profiles.preference(codes)
    added = toy_profiles.expected_cuts(codes, MOTIFS, THRESHOLD) / factors
    added -= before / toy_profiles.preference(some_codes(400))
    assert added.sum() == pytest.approx(footprint.cuts, rel=0.05)
    assert added[0].sum() / added.sum() == pytest.approx(footprint.own, abs=0.03)
    places = np.arange(400)
    for strand, side in enumerate((-1, 1)):
        mean = (added[strand] * places).sum() / added[strand].sum()
        centre = 200 + (motif.width - 1) / 2
        assert mean == pytest.approx(centre + side * footprint.offset, abs=1.5)


def test_the_preference_is_one_in_the_mean_and_read_from_the_table():
    codes = some_codes(200_000)
    found = toy_profiles.preference(codes)
    assert found.mean(axis=1) == pytest.approx([1, 1], abs=0.02)
    weights = np.array(toy_profiles.PREFERENCE)
    for at in (50, 77):
        score = sum(weights[k, codes[at - 2 + k]] for k in range(5))
        reverse = sum(weights[k, 3 - codes[at + 2 - k]] for k in range(5))
        expected = np.exp([score, reverse]) / np.exp(weights).mean(axis=1).prod()
        assert found[:, at] == pytest.approx(expected)


def test_the_files_hold_what_is_expected(genome):
    """Cuts follow the sequence, and what the control shows comes on top of it."""
    codes = genome["toy1"]
    observed = {}
    for name in ("plus", "minus", "control"):
        table = pd.read_csv(
            TOY / f"cuts_{name}.bedgraph", sep="\t", names=["contig", "start", "end", "value"]
        )
        assert (table["end"] == table["start"] + 1).all()
        mine = table[table["contig"] == "toy1"]
        observed[name] = np.zeros(len(codes))
        observed[name][mine["start"]] = mine["value"]
    expected = toy_profiles.expected_cuts(codes, MOTIFS, THRESHOLD)
    for strand, name in enumerate(("plus", "minus")):
        assert np.corrcoef(expected[strand], observed[name])[0, 1] > 0.4
        extra = observed[name].sum() - expected[strand].sum()
        shown = observed["control"].sum() - 2 * toy_profiles.BACKGROUND * len(codes)
        assert extra == pytest.approx(shown / 2, rel=0.1)
    windows = pd.read_csv(TOY / "cut_background.bed", sep="\t", names=["contig", "start", "end"])
    for start in windows.loc[windows["contig"] == "toy1", "start"]:
        assert expected[:, start : start + toy_profiles.TILE].sum() < toy_profiles.FEW_CUTS


def test_what_was_planted_is_written_down():
    planted = json.loads((TOY / "truth_cuts.json").read_text())
    assert planted["footprints"]["TOY1"]["offset"] == toy_profiles.FOOTPRINTS["TOY1"].offset
    assert np.array(planted["preference"]).shape == (5, 4)


def test_the_files_are_made_again_byte_for_byte(genome):
    truth = json.loads((TOY / "truth.json").read_text())
    made = toy_profiles.cut_files(genome, Grammar.from_dict(truth["grammar"]), truth["seed"])
    for name, text in made.items():
        assert (TOY / name).read_text() == text, name
