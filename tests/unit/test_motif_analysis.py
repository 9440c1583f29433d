"""Effects of motifs against loops over backgrounds, and agreement against published formulas."""

from itertools import product

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from seqtrust import reference_levels
from seqtrust.consistency import OBSERVED
from seqtrust.edits import Edit
from seqtrust.errors import InputError
from seqtrust.genome import SplitRegions
from seqtrust.models.facts import Facts, Track
from seqtrust.motifs import Motif
from seqtrust.predictions import OutputSpec, Predictions, write_predictions
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow
from seqtrust.tables import dump
from seqtrust.uncertainty.motif_effects import motif_effects
from seqtrust.uncertainty.motif_tables import motif_tables
from seqtrust.uncertainty.motifs import (
    agreement_levels,
    consistency_ranks,
    level_counts,
    rank_test,
)
from seqtrust.uncertainty.track_store import PredictionFiles
from seqtrust.verdicts import splits_of

LENGTH, BACKGROUNDS, BINS = 40, 6, 3
TRACKS = ("a", "b")
FACTS = Facts(None, 8, 8, (Track("a"), Track("b")), 8, "toy1", "counts")
SPEC = OutputSpec("profile", (0, 1), (0, 1, 2), "none", TRACKS)
REPLICATES = ("r1", "r2", "r3", "r4")
MOTIFS = ("M1", "M2", "FAR")
REGIONS = SplitRegions.from_rows([("train", "c", 0, 2 * LENGTH), ("test", "c", 2 * LENGTH, 10**5)])
FLOOR = 1e-3
SETTINGS = {"truth_tracks": ["a"], "probability_above": 0.005, "assays": {"*": "all"}}


def pwm(name, least):
    rest = (1 - least) / 3
    return Motif(name, ((least, rest, rest, rest), (0.25, 0.25, 0.25, 0.25)))


PWMS = [pwm(name, least) for name, least in zip(MOTIFS, (0.01, 0.1, 0.002), strict=True)]
INSERTIONS = {"motifs": {"path": "m.meme"}, "gap": 0, "ladders": []}


def the_set():
    """Backgrounds with each motif intact and knocked out; FAR lies where no bin can see."""
    windows = [
        StoredWindow(f"w{i}", "toy", "c", LENGTH * i, 0, LENGTH, "+-"[i % 2], LENGTH * i,
                     np.zeros(LENGTH, dtype=np.uint8))
        for i in range(BACKGROUNDS)
    ]  # fmt: skip
    sequences, contrasts = [], []
    for i in range(BACKGROUNDS):
        sequences.append(Sequence(f"w{i}.ref", i))
        for motif in MOTIFS:
            start = LENGTH * i + (2 if motif == "FAR" else 18)
            sequences.append(Sequence(f"w{i}.{motif}", i, (Edit(start, start + 2, "CC"),)))
            sequences.append(Sequence(f"w{i}.{motif}.knockout", i, (Edit(start, start + 2, "AC"),)))
            for kind, pair in (
                ("activity", (f"w{i}.ref", f"w{i}.{motif}")),
                ("mutation", (f"w{i}.{motif}", f"w{i}.{motif}.knockout")),
            ):
                truth = {"M1": 1.0, "M2": -1.0}.get(motif)
                if truth and kind == "mutation":
                    truth = -truth
                contrasts.append((f"{motif}:{kind}", *pair, truth))
    columns = ["contrast_id", "reference_id", "alternative_id", "truth_effect"]
    return SequenceSet(windows, sequences), pa.Table.from_pandas(
        pd.DataFrame(contrasts, columns=columns)
    )


def values_of(sequences, seed=0):
    """(R, N, tracks, bins); M1 raises in all replicates, M2 in half of them, FAR does nothing."""
    rng = np.random.default_rng(seed)
    base = rng.gamma(2, 2, (len(REPLICATES), BACKGROUNDS, len(TRACKS), BINS))
    found = np.empty((len(REPLICATES), len(sequences.ids()), len(TRACKS), BINS), dtype=np.float32)
    for row, sequence in enumerate(sequences.sequences):
        _, *rest = sequence.sequence_id.split(".")
        added = np.zeros(len(REPLICATES))
        if rest[0] == "M1":
            added[:] = 2
        elif rest[0] == "M2":
            added = np.array([1, -1, 1, -1])
        added = added / (4 if rest[-1] == "knockout" else 1)
        noise = rng.normal(0, 0.05, found[:, row].shape) if rest[0] not in ("ref", "FAR") else 0
        found[:, row] = base[:, sequence.window] + added[:, None, None] + noise
    return found


def files_of(folder, sequences, values, output=SPEC, cut=3):
    """Two shards of whole windows per replicate."""
    windows = sequences.window_indices()
    paths = []
    for index, replicate in enumerate(REPLICATES):
        for shard, rows in enumerate(
            (np.flatnonzero(windows < cut), np.flatnonzero(windows >= cut))
        ):
            path = folder / f"{replicate}.{shard}.parquet"
            ids = [sequences.sequences[int(row)].sequence_id for row in rows]
            metadata = {"facts": dump(FACTS.to_dict()), "shifts": "[0]"}
            write_predictions(
                path,
                Predictions(ids, {output.name: values[index][rows]}, [output],
                            {output.name: FLOOR / 10}, metadata),
            )  # fmt: skip
            paths.append(path)
    return PredictionFiles.of(paths, REPLICATES, output.name)


@pytest.fixture(scope="module")
def analysis(tmp_path_factory):
    folder = tmp_path_factory.mktemp("motifs")
    sequences, contrasts = the_set()
    tables = motif_tables(
        files_of(folder, sequences, values_of(sequences)), contrasts, sequences, REGIONS, PWMS,
        INSERTIONS, SETTINGS, folder / "effects.parquet", seed=1,
    )  # fmt: skip
    return tables | {"effects": pq.read_table(folder / "effects.parquet").to_pandas()}


@pytest.mark.parametrize("bins", [None, [1], [0, 2]])
def test_effects_and_errors_against_a_loop(tmp_path, bins):
    sequences, contrasts = the_set()
    values = values_of(sequences)
    files = files_of(tmp_path, sequences, values)
    splits = splits_of(sequences, REGIONS)
    found = motif_effects(files, contrasts, sequences, splits, bins)
    rows = {key: row for row, key in enumerate(sequences.ids())}
    for split, wanted in (("all", range(6)), ("train", range(2)), ("test", range(2, 6))):
        for place, name in enumerate(found.names):
            pairs = [
                (rows[c["reference_id"]], rows[c["alternative_id"]])
                for c in contrasts.to_pylist()
                if c["contrast_id"] == name and int(c["reference_id"][1]) in wanted
            ]
            assert found.backgrounds[split][place] == len(pairs)
            for replicate, track in product(range(4), range(2)):
                kept = list(range(BINS)) if bins is None else bins
                of = values[replicate, :, track].astype(np.float64)[:, kept].sum(axis=1)
                changes = [of[b] - of[a] for a, b in pairs]
                assert found.effect[split][replicate, place, track] == pytest.approx(
                    np.mean(changes), abs=1e-9
                )
                error = np.std(changes, ddof=1) / np.sqrt(len(changes))
                assert found.error[split][replicate, place, track] == pytest.approx(error, abs=1e-7)
    np.testing.assert_allclose(found.floors, FLOOR * (BINS if bins is None else len(bins)))


def test_what_no_bin_can_see_is_out_of_reach(tmp_path):
    sequences, contrasts = the_set()
    found = motif_effects(
        files_of(tmp_path, sequences, values_of(sequences)), contrasts, sequences,
        splits_of(sequences, REGIONS),
    )  # fmt: skip
    away = dict(zip(found.names, found.out_of_reach.tolist(), strict=True))
    assert away == {
        f"{motif}:{kind}": motif == "FAR" for motif in MOTIFS for kind in ("activity", "mutation")
    }
    assert (found.calls("all")[:, [i for i, n in enumerate(found.names) if "FAR" in n]] == 0).all()


def test_reduced_outputs_are_taken_as_they_are(tmp_path):
    sequences, contrasts = the_set()
    values = values_of(sequences)
    spec = OutputSpec("total", (0, 1), (0, 1, 2), "sum", TRACKS)
    summed = values.sum(axis=3, keepdims=True)
    splits = splits_of(sequences, REGIONS)
    (tmp_path / "sum").mkdir()
    files = files_of(tmp_path / "sum", sequences, summed, spec)
    one = motif_effects(files, contrasts, sequences, splits)
    other = motif_effects(files_of(tmp_path, sequences, values), contrasts, sequences, splits)
    np.testing.assert_allclose(one.effect["all"], other.effect["all"], atol=1e-4)
    with pytest.raises(InputError, match="output 'total' is reduced over its bins already"):
        motif_effects(files, contrasts, sequences, splits, [0])


def test_bins_and_contrasts_that_are_not_there_are_refused(tmp_path):
    sequences, contrasts = the_set()
    files = files_of(tmp_path, sequences, values_of(sequences))
    splits = splits_of(sequences, REGIONS)
    with pytest.raises(InputError, match="bins: 7 is not among the bins 0 to 2"):
        motif_effects(files, contrasts, sequences, splits, [1, 7])
    rows = contrasts.to_pylist()
    rows[0]["alternative_id"] = "w5.M1"
    with pytest.raises(InputError, match="1 of 36 contrasts have no prediction of both"):
        motif_effects(files, pa.Table.from_pylist(rows), sequences, splits)
    with pytest.raises(InputError, match="truth_tracks: 'z' is not among the tracks"):
        motif_tables(
            files, contrasts, sequences, REGIONS, PWMS, INSERTIONS,
            SETTINGS | {"truth_tracks": ["z"]}, tmp_path / "e.parquet",
        )  # fmt: skip


def test_planted_effects_are_found_and_classed(analysis):
    table = analysis["effects"].query("split == 'all'").set_index(["motif", "kind", "track"])
    assert table.loc[("M1", "activity", "a"), "class"] == "consistently_correct"
    assert table.loc[("M1", "mutation", "a"), "class"] == "consistently_correct"
    assert table.loc[("M1", "activity", "b"), "class"] == "unanimous"
    assert table.loc[("M2", "activity", "a"), "class"] == "inconsistent"
    assert table.loc[("FAR", "activity", "a"), "class"] == "out_of_reach"
    row = table.loc[("M2", "activity", "b")]
    assert (row["n_positive"], row["n_negative"], row["n_tie"]) == (2, 2, 0)
    truth = analysis["truth"].query("split == 'all' and kind == 'activity'").set_index("class")
    assert truth["count"].to_dict() == {
        "consistently_correct": 1, "inconsistent": 1, "consistently_incorrect": 0,
        "tie": 0, "out_of_reach": 0,
    }  # fmt: skip


def test_agreement_counts_are_of_all_motifs(analysis):
    table = analysis["agreement"].query(f"level == '{OBSERVED}' and split == 'all'")
    for (kind, track), mine in table.groupby(["kind", "track"]):
        counts = mine.set_index("n_agree")["count"]
        assert counts.sum() == len(MOTIFS), (kind, track)
        assert (counts[4], counts[2], counts[0]) == (1, 1, 1)
    panels = analysis["assays"].query(f"level == '{OBSERVED}' and split == 'all'")
    assert set(panels["tracks"]) == {2}
    assert (panels["low"] <= panels["median"]).all()
    assert (panels["median"] <= panels["high"]).all()
    expected = analysis["agreement"].query(f"level != '{OBSERVED}'")
    sums = expected.groupby(["kind", "split", "track", "level"])["fraction"].sum()
    np.testing.assert_allclose(sums, 1, atol=1e-6)


@pytest.mark.parametrize("replicates", [2, 3, 5, 8])
@pytest.mark.parametrize("correlation", [0.0, 0.4, 0.9])
def test_implied_unanimity_is_that_of_reference_levels(replicates, correlation):
    rates = np.linspace(0.3, 0.6, replicates).tolist()
    levels = agreement_levels(correlation, rates)
    unanimous = reference_levels.implied_by_correlation(correlation, rates).correct
    assert levels[replicates] == pytest.approx(unanimous, abs=1e-9)
    assert levels.sum() == pytest.approx(1, abs=1e-6)
    assert (levels[: (replicates + 1) // 2] == 0).all()


def test_implied_levels_are_those_of_simulated_replicates():
    rng = np.random.default_rng(3)
    rho, replicates, motifs = 0.6, 5, 200_000
    shared = rng.normal(size=(motifs, 1))
    scores = np.sqrt(rho) * shared + np.sqrt(1 - rho) * rng.normal(size=(motifs, replicates))
    positive = (scores > 0.3).sum(axis=1)
    agree = np.maximum(positive, replicates - positive)
    rate = float((scores > 0.3).mean())
    found = agreement_levels(rho, [rate] * replicates)
    seen = np.bincount(agree, minlength=replicates + 1) / motifs
    np.testing.assert_allclose(found, seen, atol=0.005)


def test_five_fair_coins_agree_as_published():
    levels = agreement_levels(0, [0.5] * 5)
    np.testing.assert_allclose(levels, [0, 0, 0, 20 / 32, 10 / 32, 2 / 32], atol=1e-6)


@given(
    agree=st.lists(
        st.lists(st.sampled_from([3, 4, 5]), min_size=7, max_size=7), min_size=1, max_size=12
    )
)
def test_ranks_are_the_published_sort(agree):
    """Motifs sorted by (n3, n4, n5), descending; equals share their mean rank."""
    counts = level_counts(np.array(agree), 5)
    keys = [tuple(-row.count(level) for level in (3, 4, 5)) for row in agree]
    expected = rankdata([sorted(set(keys)).index(key) for key in keys])
    np.testing.assert_array_equal(consistency_ranks(counts), expected)


def test_more_ties_are_less_consistent():
    counts = level_counts(np.array([[5, 5, 0], [5, 5, 3], [5, 5, 5]]), 5)
    assert consistency_ranks(counts).tolist() == [1, 2, 3]


def test_the_rank_test_is_spearmans_with_a_fair_p_value():
    rng = np.random.default_rng(5)
    x = rng.normal(size=40)
    probabilities = np.exp(-x + rng.normal(size=40)) / 100
    probabilities[:4] = 0.001
    ranks = rankdata(x)
    number, left_out, rho, low, high, p, rounds = rank_test(ranks, probabilities, 0.005, 1)
    kept = probabilities > 0.005
    expected = spearmanr(ranks[kept], probabilities[kept])
    assert (number, left_out, rounds) == (kept.sum(), (~kept).sum(), 10_000)
    assert rho == pytest.approx(expected.statistic)
    assert low < rho < high
    assert p == pytest.approx(max(expected.pvalue, 1e-4), abs=2e-3)


@pytest.mark.slow
def test_p_values_of_unrelated_ranks_are_uniform():
    rng = np.random.default_rng(6)
    found = [
        rank_test(rankdata(rng.normal(size=15)), rng.random(15), 0.005, seed, 200)[5]
        for seed in range(120)
    ]
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.06)
    assert np.mean(found) == pytest.approx(0.5, abs=0.09)


def test_ranks_without_variation_have_no_correlation():
    _, _, rho, _, _, p, _ = rank_test(np.array([1.0, 2, 3]), np.full(3, 0.1), 0.005, 1)
    assert np.isnan(rho)
    assert np.isnan(p)


def test_knock_out_probabilities_are_those_of_the_motifs(analysis):
    ranks = analysis["ranks"].query("split == 'all' and kind == 'activity'").set_index("motif")
    found = ranks["knock_out_probability"].to_dict()
    assert found == pytest.approx({"M1": 0.01, "M2": 0.1, "FAR": 0.002})
    assert ranks["rank"].to_dict() == {"FAR": 1, "M2": 2, "M1": 3}
    tests = analysis["tests"].query("split == 'all' and kind == 'activity'").iloc[0]
    assert (tests["motifs"], tests["left_out"]) == (2, 1)
