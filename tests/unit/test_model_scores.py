"""Scores of one model: generalisation against outside oracles, common maps, refused input."""

import numpy as np
import pytest
from attribution_entry import sequence_set
from population_cases import SETTINGS, as_maps, grammar, noisy
from sklearn.metrics import average_precision_score, roc_auc_score

from seqtrust.attribution.cell_scores import (
    ScoredCell,
    common_ids,
    left_out,
    score_cell,
    score_truth,
)
from seqtrust.attribution.common_maps import chosen_maps, common_maps, require_disjoint
from seqtrust.attribution.generalisation import (
    areas,
    classification,
    correlation,
    mean_over_sequences,
)
from seqtrust.attribution.map_tables import AttributionMaps, MapRows, write_attributions
from seqtrust.attribution.model_scores import SEQUENCES, Settings, published_columns
from seqtrust.errors import InputError
from seqtrust.models.facts import Facts, Track
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.sources.grammar import GrammarTruth
from seqtrust.tables import dump
from seqtrust.targets import Targets


def test_areas_agree_with_repeated_rows():
    rng = np.random.default_rng(1)
    labels, scores = rng.random(50) < 0.4, np.round(rng.normal(size=50), 1)
    weights = rng.integers(0, 4, (8, 50))
    auroc, aupr = areas(labels, scores, weights.astype(float))
    for place, times in enumerate(weights):
        rows = np.repeat(np.arange(50), times)
        assert auroc[place] == pytest.approx(roc_auc_score(labels[rows], scores[rows]))
        expected = average_precision_score(labels[rows], scores[rows])
        assert aupr[place] == pytest.approx(expected)


def test_interval_of_the_auroc_is_about_its_standard_error():
    """Hanley and McNeil (1982) for normal scores."""
    rng = np.random.default_rng(2)
    labels = np.arange(400) % 2
    scores = rng.normal(size=400) + labels
    auroc, _ = classification(labels[:, None, None].astype(float), scores[:, None, None], 1)
    a, n = auroc.value, 200
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    se = np.sqrt((a * (1 - a) + (n - 1) * (q1 - a * a) + (n - 1) * (q2 - a * a)) / n**2)
    assert auroc.high - auroc.low == pytest.approx(2 * 1.96 * se, rel=0.15)
    assert auroc.low < a < auroc.high


def test_classification_refuses_quantities():
    values = np.linspace(0, 1, 10)[:, None, None]
    with pytest.raises(InputError, match="use pearson for quantities"):
        classification(values, values, 1)


def test_correlation_is_the_mean_over_tracks_without_what_was_not_measured():
    rng = np.random.default_rng(3)
    measured = rng.normal(5, 1, (30, 2, 4))
    predicted = measured + rng.normal(0, 1, measured.shape) * [[[0.2], [2.0]]]
    measured[4, 0, 1] = np.nan
    found = correlation(measured, predicted, 1)
    expected = []
    for track in range(2):
        there = np.isfinite(measured[:, track])
        x, y = measured[:, track][there], predicted[:, track][there]
        expected.append(np.corrcoef(x, y)[0, 1])
    assert found.value == pytest.approx(np.mean(expected))
    assert found.low < found.value < found.high


def test_mean_over_sequences_leaves_out_what_has_no_value():
    values = np.append(np.random.default_rng(1).normal(2, 1, 400), np.nan)
    found = mean_over_sequences(values, 1)
    assert found.value == pytest.approx(np.nanmean(values))
    assert found.high - found.low == pytest.approx(2 * 1.96 / 20, rel=0.15)
    assert np.isnan(mean_over_sequences(np.full(3, np.nan), 1).value)


def flagged(usable, converged=None):
    """Maps of which only flags matter."""
    usable = np.array(usable, dtype=bool)
    converged = np.ones_like(usable) if converged is None else np.array(converged, dtype=bool)
    ids = [f"s{row}" for row in range(len(usable))]
    shape = (len(usable), 3)
    return AttributionMaps(ids, "t", np.zeros(shape, np.uint8), np.zeros(len(usable)),
                           np.ones((*shape, 4)), converged, usable)  # fmt: skip


def test_common_maps_are_those_that_all_counted_models_have():
    models = [
        ("selection", "a", "r1", flagged([1, 1, 0, 1, 1], [1, 1, 0, 1, 1])),
        ("selection", "a", "r2", flagged([1, 0, 1, 1, 1])),
        ("selection", "b", "r1", flagged([0, 0, 0, 0, 1])),
        ("judging", "a", "r1", flagged([1, 1, 1, 1, 1])),
    ]
    usable, common = common_maps(models, 0.75)
    assert common_ids(common) == {
        "selection": ["s0", "s3", "s4"],
        "judging": ["s0", "s1", "s2", "s3", "s4"],
    }
    assert usable["counted"].tolist() == [True, True, False, True]
    assert usable["not_converged"].tolist() == [1, 0, 0, 0]
    assert usable["degenerate"].tolist() == [0, 1, 4, 0]
    assert left_out(usable, "b") == {"selection": ["r1"]}


def test_common_maps_are_refused_where_nothing_is_left():
    models = [("selection", "a", "r1", flagged([1, 0])), ("selection", "b", "r1", flagged([0, 1]))]
    with pytest.raises(InputError, match="no map of the selection sequences is usable for all"):
        common_maps(models, 0.5)
    other = flagged([1, 1])
    other.sequence_ids[0] = "x"
    with pytest.raises(InputError, match="maps of b, r1 are of other sequences"):
        common_maps([models[0], ("selection", "b", "r1", other)], 0.5)


def test_maps_of_wanted_sequences():
    maps = as_maps(np.random.default_rng(1).normal(size=(4, 5, 4)), np.zeros((4, 5), np.uint8))
    found = chosen_maps(maps, ["s3", "s1"])
    assert found.sequence_ids == ["s3", "s1"]
    np.testing.assert_array_equal(found.maps, maps.maps[[3, 1]])
    with pytest.raises(InputError, match="1 sequences have no map, the first is 'x'"):
        chosen_maps(maps, ["x"])


def test_models_are_not_judged_on_what_they_are_chosen_by():
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 4, (6, 20)).astype(np.uint8)
    apart, shifted = sequence_set(codes[:3], 20), sequence_set(codes[3:], 200)
    with pytest.raises(InputError, match=r"sets 'a' and 'b' share bases of c from 0"):
        require_disjoint(apart, shifted, ("a", "b"))
    elsewhere = sequence_set(codes[3:], 20)
    for window in elsewhere.windows:
        object.__setattr__(window, "contig", "d")
    require_disjoint(apart, elsewhere, ("a", "b"))
    elsewhere.windows[1].bases[:] = codes[0]
    with pytest.raises(InputError, match="share the bases of sequence 's1'"):
        require_disjoint(apart, elsewhere, ("a", "b"))


def test_published_scores_keep_the_faults_of_the_code():
    """One zero map shifts the sequences of all later ones."""
    codes, pwms = grammar(60)
    maps = noisy(0.1)(codes, pwms, np.random.default_rng(0))
    plain = published_columns(maps, codes, SETTINGS)
    maps[1] = 0
    shifted = published_columns(maps, codes, SETTINGS)
    assert (plain["mispaired"], shifted["mispaired"]) == (0, 58)
    assert shifted["kmer_published"] < 0.7 * plain["kmer_published"]


LENGTH = 80


@pytest.fixture(scope="module")
def cell():
    """Two sets of a simulated grammar, and their truth."""
    sets, contigs, parts = {}, [], []
    for number, (part, count) in enumerate((("selection", 60), ("judging", 40))):
        codes, pwms = grammar(count, LENGTH, seed=number)
        sequences = sequence_set(codes, LENGTH)
        for window in sequences.windows:
            object.__setattr__(window, "contig", part)
        named = [f"{part}{row}" for row in range(count)]
        sequences = type(sequences)(
            sequences.windows,
            [type(one)(name, one.window) for name, one in zip(named, sequences.sequences,
                                                              strict=True)],
        )  # fmt: skip
        sets[part] = sequences
        contigs += named
        parts.append(pwms)
    pwms = np.concatenate(parts).astype(np.float32)
    blank = [[] for _ in contigs]
    truth = GrammarTruth(contigs, np.ones(len(contigs), np.int8), ["test"] * len(contigs), pwms,
                         blank, blank, blank, np.full(len(contigs), -1, np.int32))  # fmt: skip
    return ScoredCell("cell", "", {"activation": "relu"}, "saliency", sets, {}, {}, truth)


def written_maps(folder, cell, dropped):
    """Files of maps of two replicates, one shard each; some maps of the first are zero."""
    shards = {}
    for part, sequences in cell.sets.items():
        ids, codes = sequences.ids(), sequences.codes()
        pwms = cell.truth.pwms[cell.truth.rows_of(ids)]
        shards[part] = []
        for number, level in enumerate((0.05, 1.0)):
            rng = np.random.default_rng(number)
            maps = noisy(level)(codes, pwms, rng)
            if number == 0:
                maps[:dropped] = 0
            rows = MapRows(ids, ("label",), codes, np.zeros((len(ids), 1)),
                           maps[:, None].astype(np.float32))  # fmt: skip
            path = folder / f"{part}{number}.parquet"
            about = {"method": "saliency", "settings": {}, "output": "attributed",
                     "region": [0, LENGTH]}  # fmt: skip
            write_attributions(path, rows, about)
            shards[part].append(path)
    return shards


def predictions(ids, values):
    facts = Facts(None, LENGTH, 0, (Track("label"),), LENGTH, "toy", "probability")
    spec = OutputSpec("attributed", (0,), (0,), "none", ("label",))
    metadata = {"facts": dump(facts.to_dict())}
    shaped = np.asarray(values, dtype=np.float32)[:, None, None]
    return Predictions(list(ids), {"attributed": shaped}, [spec], {"attributed": 0.0}, metadata)


def test_a_cell_is_scored_whole(cell, tmp_path):
    selection = cell.sets["selection"]
    ids = selection.ids()
    labels = np.arange(len(ids)) % 2
    targets = Targets(("label",), LENGTH, {"selection": labels[:, None].astype(np.float32)})
    made = {"r1": predictions(ids, labels + 0.1), "r2": predictions(ids, 1 - labels)}
    shards = written_maps(tmp_path, cell, dropped=1)
    common = {part: sequences.ids()[1:] for part, sequences in cell.sets.items()}
    shared = ScoredCell(**{**vars(cell), "common": common})
    found = score_cell(shared, made, (selection, targets, "attributed"), shards, SETTINGS)
    table = found.table(cell.levels).set_index("replicate")
    assert table["generalisation"].tolist() == [1, 0]
    assert table["activation"].tolist() == ["relu", "relu"]
    # the second model has all maps, and is scored on the same as the first
    assert table["dropped"].tolist() == [1, 0]
    assert table["maps"].tolist() == [59, 59]
    assert table["judged"].tolist() == [39, 39]
    assert table["mispaired"].tolist() == [59, 0]
    for score in ("embedding", "kmer_pairing_excess", "snr", "truth_cosine", "truth_auroc"):
        assert table.loc["r1", score] > table.loc["r2", score]
    assert (table["snr_low"] < table["snr"]).all()
    assert (table["kmer_low"] < table["kmer"]).all()
    values = found.columns(SEQUENCES)
    assert len(values["snr"]) == 2 * 39
    mine = np.array(values["replicate"]) == "r1"
    assert np.mean(np.array(values["snr"])[mine]) == pytest.approx(table.loc["r1", "snr"])


def test_a_model_with_too_few_maps_is_left_out_with_a_note(cell, tmp_path):
    ids = cell.sets["selection"].ids()
    labels = np.arange(len(ids)) % 2
    targets = Targets(("label",), LENGTH, {"selection": labels[:, None].astype(np.float32)})
    made = {"r1": predictions(ids, labels), "r2": predictions(ids, labels)}
    shards = written_maps(tmp_path, cell, dropped=30)
    lacking = ScoredCell(**{**vars(cell), "left_out": {"selection": ["r1"]}})
    scores = score_cell(
        lacking, made, (cell.sets["selection"], targets, "attributed"), shards, SETTINGS
    )
    row = scores.table({}).set_index("replicate").loc["r1"]
    assert "selection: only 30 of 60 maps are usable" in row["note"]
    assert row[["kmer", "embedding"]].isna().all()
    assert row["generalisation"] == 1


def test_true_maps_are_the_most_consistent(cell, tmp_path):
    control = ScoredCell(**{**vars(cell), "control": "truth", "ensemble": "", "levels": {}})
    row = score_truth(control, SETTINGS).table({}).iloc[0]
    assert row["truth_cosine"] == pytest.approx(1)
    # below 1: where a base was drawn that the motif hardly has, its true score is negative
    assert 0.9 < row["truth_auroc"] < 1
    # no noise to be held against
    assert row["snr"] is None or np.isnan(row["snr"])
    assert row["kind"] == "control"
    ids = cell.sets["selection"].ids()
    labels = np.arange(len(ids)) % 2
    targets = Targets(("label",), LENGTH, {"selection": labels[:, None].astype(np.float32)})
    shards = written_maps(tmp_path, cell, dropped=0)
    made = {name: predictions(ids, labels) for name in ("r1", "r2")}
    predicted = cell.sets["selection"], targets, "attributed"
    models = score_cell(cell, made, predicted, shards, SETTINGS).table({})
    assert (row["embedding"] > models["embedding"]).all()


def test_an_unknown_metric_is_refused(cell, tmp_path):
    ids = cell.sets["selection"].ids()
    labels = np.arange(len(ids)) % 2
    targets = Targets(("label",), LENGTH, {"selection": labels[:, None].astype(np.float32)})
    settings = Settings("accuracy", SETTINGS.consistency, 1)
    predicted = cell.sets["selection"], targets, "attributed"
    with pytest.raises(InputError, match="expected 'auroc' or 'pearson'"):
        score_cell(cell, {"r1": predictions(ids, labels)}, predicted, {}, settings)
