"""Trust scores: closed forms, a naive area, planted orders and refused input."""

import numpy as np
import pandas as pd
import pytest

from seqtrust.attribution.map_tables import MapRows, write_attributions
from seqtrust.errors import InputError
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.uncertainty.trust import (
    AGREEMENT,
    DISTANCE,
    DISTILLED,
    EFFECT,
    ENSEMBLE_Z,
    PAIRS,
    SPREAD,
    UNANIMITY,
    WEAKEST,
    ensemble_scores,
    gene_scores,
    ranked,
    read_scores,
    trust_table,
    unit_scores,
)
from seqtrust.uncertainty.trust_sources import (
    kmer_spectra,
    likeness,
    map_agreement,
    of_references,
    predicted_spread,
)


def test_scores_of_three_replicates_by_hand():
    found = ensemble_scores(np.array([[1.0, 2.0, 3.0], [-2.0, 1.0, -2.0], [0.5, 0.5, 0.5]]))
    assert found[UNANIMITY] == pytest.approx([1, 2 / 3, 1])
    assert found[EFFECT] == pytest.approx([2, 1, 0.5])
    assert found[ENSEMBLE_Z][:2] == pytest.approx([2, 1 / 3**0.5])
    assert found[ENSEMBLE_Z][2] > 1e300
    assert found[SPREAD] == pytest.approx([-1, -(3**0.5), 0])
    assert found[WEAKEST] == pytest.approx([1, -1, 0.5])


def test_likeness_is_one_for_the_kmers_of_a_training_window():
    rng = np.random.default_rng(0)
    training = rng.integers(0, 4, (5, 400)).astype(np.uint8)
    turned = 3 - training[2][::-1]
    other = np.zeros(400, dtype=np.uint8)
    found = likeness(np.stack([turned, other]), training, k=4, block=2)
    assert found[0] == pytest.approx(1)
    assert found[1] < 0.5
    # a naive twin: largest dot product of the spectra
    spectra = kmer_spectra(training, 4)
    assert found[1] == pytest.approx(max(spectra @ kmer_spectra(other[None], 4)[0]))
    assert np.isnan(likeness(training, training[:0])).all()
    unknown = np.full((1, 400), 4, dtype=np.uint8)
    assert likeness(unknown, training) == pytest.approx(0)


def units(rng, count=600):
    certainty = rng.normal(size=count)
    wrong = rng.random(count) < 1 / (1 + np.exp(2 * certainty))
    return pd.DataFrame(
        {
            "wrong": wrong,
            "locus": [f"l{row // 2}" for row in range(count)],
            UNANIMITY: np.round(1 / (1 + np.exp(-certainty)) * 3) / 3,
            "right": certainty,
            "noise": rng.normal(size=count),
        }
    )


def test_the_score_that_orders_best_comes_first():
    table = trust_table(units(np.random.default_rng(1)), ["noise", "right"], seed=2)
    assert table["score"].tolist() == ["right", UNANIMITY, "noise"]
    assert table["rank"].tolist() == [1, 2, 3]
    rows = table.set_index("score")
    assert rows.loc["right", "gain_low"] > 0
    assert rows.loc["noise", "gain_high"] < 0
    assert rows.loc[UNANIMITY, ["gain", "gain_low", "gain_high"]].tolist() == [0, 0, 0]
    assert rows.loc["noise", "normalised"] == pytest.approx(1, abs=0.15)
    assert rows.loc["right", "loci"] == 300


def test_areas_are_those_of_a_loop():
    found = units(np.random.default_rng(3), count=40)
    table = trust_table(found, ["right"], seed=1).set_index("score")
    order = np.argsort(-found["right"].to_numpy())
    wrong = found["wrong"].to_numpy()[order]
    naive = np.mean([wrong[: kept + 1].mean() for kept in range(len(wrong))])
    assert table.loc["right", "aurc"] == pytest.approx(naive)


def verdicts():
    return pd.DataFrame(
        {
            "unit": ["a", "b", "c", "d"],
            "track": "t",
            "split": ["test", "train", "test", "test"],
            "locus": ["x", "x", "y", "z"],
            "truth": [1.0, -1.0, 1.0, None],
            "class": ["inconsistent", "consistently_incorrect", "tie", "unanimous"],
            "scores": [[1.0, -0.5], [2.0, 2.0], [0.0, 0.0], [1.0, 1.0]],
        }
    )


def test_units_are_the_decided_ones_with_a_truth():
    found = unit_scores(verdicts(), {DISTANCE: {"a": 0.9}}, {"own": {"a": 3.0, "b": 4.0}})
    assert found["unit"] == ["a", "b"]
    assert found["wrong"].tolist() == [False, True]
    assert found[DISTANCE] == [0.9, None]
    assert found["own"] == [3.0, 4.0]
    assert found[AGREEMENT] == found[DISTILLED] == [None, None]
    known = {AGREEMENT: {"a": 0.2, "b": 0.4}, DISTILLED: {"a": -1.0, "b": -2.0}}
    assert unit_scores(verdicts(), known, {})[DISTILLED] == [-1.0, -2.0]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({UNANIMITY: {"a": 1, "b": 1}}, "there is a score 'unanimity' already"),
        ({"own": {"a": 1}}, "the table of 'own' lacks 1 units, first 'b'"),
    ],
)
def test_bad_tables_are_refused(tables, message):
    with pytest.raises(InputError, match=message):
        unit_scores(verdicts(), {}, tables)


def test_a_unit_has_the_value_of_its_reference():
    references = {"v1": "s1", "v2": "s1", "v3": "s3"}
    assert of_references(references, {"s1": 2.0, "s3": 1.0}) == {"v1": 2.0, "v2": 2.0, "v3": 1.0}
    with pytest.raises(InputError, match="1 reference sequences have no value, first 's3'"):
        of_references(references, {"s1": 2.0})


def test_a_predicted_spread_is_the_mean_over_the_networks_that_learned_it():
    spec = OutputSpec("spread", (3,), (0, 1), "sum", ("x_sd",))
    made = {
        name: Predictions(ids, {"spread": np.array(v, np.float32)[:, None, None]}, [spec], {})
        for name, ids, v in (("r1", ["a", "b"], [1, 2]), ("r2", ["b", "a"], [4, 5]))
    }
    assert predicted_spread(made, "spread") == {"a": -3.0, "b": -3.0}
    wide = OutputSpec("spread", (3,), (0, 1), "none", ("x_sd",))
    made = {"r1": Predictions(["a"], {"spread": np.zeros((1, 1, 2), np.float32)}, [wide], {})}
    with pytest.raises(InputError, match="has \\(1, 2\\) tracks and bins"):
        predicted_spread(made, "spread")


def test_agreement_of_maps_is_the_mean_correlation_of_pairs(tmp_path):
    rng = np.random.default_rng(5)
    maps = rng.normal(size=(3, 2, 1, 6, 4)).astype(np.float32)
    maps[0, 1] = maps[1, 1] = 0  # of the second sequence one replicate alone has a map
    paths = []
    for number, of_replicate in enumerate(maps):
        path = tmp_path / f"r{number}.parquet"
        rows = MapRows(["s1", "s2"], ("t",), np.zeros((2, 6), np.uint8), np.zeros((2, 1)),
                       of_replicate)  # fmt: skip
        about = {"method": "saliency", "settings": {}, "output": "t", "region": [0, 6]}
        write_attributions(path, rows, about)
        paths.append([path])
    flat = [(one[0, 0] - one[0, 0].mean(axis=1, keepdims=True)).ravel() for one in maps]
    pairs = [np.corrcoef(flat[a], flat[b])[0, 1] for a, b in ((0, 1), (0, 2), (1, 2))]
    found = map_agreement(paths)
    assert found["s1"] == pytest.approx(np.mean(pairs), abs=1e-6)
    assert found["s2"] == 0


def test_nothing_to_judge_is_refused():
    with pytest.raises(InputError, match="no decided unit with a truth"):
        unit_scores(verdicts().iloc[2:], {}, {})
    single = verdicts().assign(scores=[[1.0]] * 4)
    with pytest.raises(InputError, match="one replicate has no spread"):
        unit_scores(single, {}, {})
    with pytest.raises(InputError, match="no unit is held out"):
        trust_table(units(np.random.default_rng(0)).iloc[:0], [], seed=1)
    gaps = units(np.random.default_rng(0)).assign(own=np.nan)
    with pytest.raises(InputError, match="score 'own' is empty"):
        trust_table(gaps, ["own"], seed=1)


def test_genes_are_trusted_by_what_replicates_say_of_each_other():
    genes = pd.DataFrame(
        {
            "gene": ["g1", "g2", "g3", "g4"],
            "split": "test",
            "class": ["inconsistent", "consistently_correct", "tie", "inconsistent"],
            "ensemble_spearman": [-0.2, 0.4, 0.1, np.nan],
            "pair_agreement": [0.4, 1.0, 1.0, 1.0],
            "pair_spearman": [0.1, 0.8, 0.9, 0.9],
        }
    )
    found = gene_scores(genes, {DISTANCE: {"g2": 0.5}}, {})
    assert found["unit"] == ["g1", "g2"]
    assert found["wrong"].tolist() == [True, False]
    assert found[PAIRS] == [0.1, 0.8]
    assert found[EFFECT] == [None, None]
    table = ranked(found | {DISTANCE: [0.4, 0.5]}, ["test"], seed=1)
    assert set(table["score"]) == {UNANIMITY, PAIRS, DISTANCE}
    assert set(ranked(found | {DISTANCE: [None, None]}, ["test"], seed=1)["score"]) == {
        UNANIMITY,
        PAIRS,
    }
    with pytest.raises(InputError, match="no gene has a prediction and an expression that vary"):
        gene_scores(genes.iloc[2:], {}, {})


def test_a_table_of_scores_is_read(tmp_path):
    path = tmp_path / "own.tsv"
    path.write_text("unit\tscore\nv1\t2\nv2\t0.5\n")
    assert read_scores(path) == {"v1": 2.0, "v2": 0.5}
    path.write_text("unit\tscore\nv1\t2\nv1\t3\n")
    with pytest.raises(InputError, match=r"own.tsv, line 3: unit 'v1' again"):
        read_scores(path)
    path.write_text("name\tscore\nv1\t2\n")
    with pytest.raises(InputError, match="expected columns unit and score; found name, score"):
        read_scores(path)
