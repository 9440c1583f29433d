"""Worlds on disk, references, and scores under shifts: what must hold for any model."""

import itertools
from dataclasses import fields

import numpy as np
import pyarrow.parquet as pq
import pytest
from robustness_benchmark import SHIFTS, WORLDS, written_world

from seqtrust.errors import InputError
from seqtrust.robustness.benchmark_worlds import benchmark_data, chosen_shifts, data_seed
from seqtrust.robustness.score_tables import read_scores, write_scores
from seqtrust.robustness.shift_scores import CALIBRATORS, shift_scores
from seqtrust.robustness.shifts import every_shift
from seqtrust.robustness.stated_tables import (
    Stated,
    ideal,
    mixed,
    oracle,
    read_stated,
    write_stated,
)
from seqtrust.robustness.world_tables import WorldFacts, open_world

UNCHANGED = ("REW-1", "REW-4", "CELL-3", "NOISE-M-3", "NOISE-A-3", "DEPTH-3", "BATCH-3", "GCBIAS-2")
LIGHT = ("none", "split", "weighted", "weighted_known")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return written_world(tmp_path_factory.mktemp("world") / "1.parquet")


@pytest.fixture(scope="module")
def scores(world):
    """Of the two references: {(model, data set, calibrator, metric, by): value}."""
    found = {}
    for name, made in (("oracle", oracle), ("ideal", ideal)):
        stated = made(world, world.names(taught=False))
        for one in shift_scores(world, stated, LIGHT, seed=1):
            found[name, one.data_set, one.calibrator, one.metric, one.by] = one.value
    return found


def test_data_sets_come_back_as_they_were_drawn(world):
    facts = WorldFacts.of(3, WORLDS, [0])
    data = {"train": 600, "validation": 200, "calibration": 2000, "test": 2500, "test_cell": -1}
    drawn = dict(benchmark_data(facts, facts.world(), data, SHIFTS, seed=7))
    assert list(drawn) == list(world.shifts)
    for name in ("train", "ID", "GC-2", "REW-4", "CELL-3", "ART-3"):
        found = world.condition(name)
        for one in fields(found):
            expected, value = getattr(drawn[name], one.name), getattr(found, one.name)
            assert np.array_equal(expected, value) if one.name != "shift" else expected == value
    assert world.world.activity_sd == world.activity_sd
    assert (world.condition("ART-3").molecules != world.condition("ART-3").sequences).any()


def test_every_data_set_is_one_row_group(world):
    file = pq.ParquetFile(world.path)
    names = [set(file.read_row_group(index, ["data_set"])["data_set"].to_pylist())
             for index in range(file.num_row_groups)]  # fmt: skip
    assert names == [{name} for name in world.shifts]
    with pytest.raises(InputError, match=r"no data set 'GC-9'; did you mean 'GC-"):
        world.condition("GC-9")


def test_data_sets_are_independent_draws(world):
    first, second = world.condition("calibration"), world.condition("ID")
    assert not np.array_equal(first.sequences[:500], second.sequences[:500])
    assert data_seed(1, 2, "train") != data_seed(1, 3, "train")


def test_groups_use_the_edges_of_training(world):
    train, shifted = world.groups("train"), world.groups("GC-2")
    sizes = np.unique(train["activity_tertile"], return_counts=True)[1]
    assert sizes.max() - sizes.min() <= 2
    assert (shifted["gc_decile"] == "10").mean() > 0.25


def test_all_shifts_are_every_step_and_share_inputs_in_turn():
    found = chosen_shifts("all")
    assert set(found) == set(every_shift())
    inputs = [shift.inputs for shift in found]
    changes = sum(one != two for one, two in itertools.pairwise(inputs))
    assert changes == len(set(inputs)) - 1
    assert [shift.label for shift in chosen_shifts({"REW": [3], "GC": "all"})][:2] == [
        "ID",
        "REW-3",
    ]
    with pytest.raises(InputError, match=r"no shift 'NOISE'"):
        chosen_shifts({"NOISE": "all"})


def test_the_oracle_is_calibrated_under_every_shift(world, scores):
    count = 2500
    for name in world.conditions:
        for metric, target, error in (
            ("cov90", 0.9, np.sqrt(0.09 / count)),
            ("cov50", 0.5, np.sqrt(0.25 / count)),
            ("zms", 1.0, np.sqrt(2 / count)),
        ):
            assert abs(scores["oracle", name, "none", metric, ""] - target) < 4 * error, name
        assert scores["oracle", name, "none", "excess", ""] == 0
        gap = scores["oracle", name, "none", "worst_gap90", "gc_decile"]
        assert gap < 1.6 * scores["oracle", name, "none", "worst_gap90_null", "gc_decile"]


def test_equal_inputs_have_equal_statements(world):
    stated = ideal(world, ["ID", *UNCHANGED, "GC-2"])
    for name in UNCHANGED:
        assert np.array_equal(stated[name].mean, stated["ID"].mean), name
        assert np.array_equal(stated[name].sd, stated["ID"].sd), name
    assert not np.array_equal(stated["GC-2"].mean, stated["ID"].mean)


def test_no_input_only_uncertainty_sees_a_concept_or_technical_shift(scores):
    for name in UNCHANGED:
        assert scores["ideal", name, "none", "variance", ""] == pytest.approx(
            scores["ideal", "ID", "none", "variance", ""], rel=1e-12
        )
    assert scores["ideal", "REW-4", "none", "vr", ""] < 0.3


def test_split_intervals_cover_without_a_shift_and_fail_under_rewiring(scores):
    error = np.sqrt(0.09 / 2500 + 0.09 / 2000)
    assert abs(scores["ideal", "ID", "split", "cov90", ""] - 0.9) < 4 * error
    assert scores["ideal", "REW-4", "split", "cov90", ""] < 0.7


def test_weights_restore_coverage_under_gc_shift_and_not_under_rewiring(world):
    names = world.names(taught=False)
    # wrong where GC content is far from that of training, which a shift of it brings forward
    stated = {}
    for name, best in ideal(world, names).items():
        wrong = 5 * (world.condition(name).gc - 0.45)
        stated[name] = Stated(best.mean + wrong, best.aleatoric, best.epistemic)
    found = {
        (one.data_set, one.calibrator): one.value
        for one in shift_scores(world, stated, LIGHT, seed=1)
        if one.metric == "cov90"
    }
    assert found["GC-2", "split"] < 0.85
    assert abs(found["GC-2", "weighted_known"] - 0.9) < 0.05
    assert found["REW-4", "weighted"] < 0.8
    assert ("REW-4", "weighted_known") not in found


def test_parts_of_the_error_add_up(world, scores):
    for name in world.conditions:
        parts = sum(
            scores["ideal", name, "none", f"error_{part}", ""]
            for part in ("noise", "cross", "offset", "gain", "residual")
        )
        assert parts == pytest.approx(scores["ideal", name, "none", "mse", ""], rel=1e-9)
    batch = {part: scores["ideal", "BATCH-3", "none", f"error_{part}", ""]
             for part in ("offset", "gain", "residual")}  # fmt: skip
    assert batch["offset"] + batch["gain"] > 20 * batch["residual"]


def test_a_threshold_keeps_what_it_was_fixed_for(scores):
    assert abs(scores["ideal", "ID", "none", "kept", ""] - 0.5) < 0.06
    assert scores["ideal", "ID", "none", "kept_mse", ""] < scores["ideal", "ID", "none", "mse", ""]
    assert scores["ideal", "REW-4", "none", "kept_cov90", ""] < 0.7
    # selection by the sd that the oracle states is right under a batch, that of the ideal harmful
    assert scores["ideal", "BATCH-3", "none", "r20", ""] > 1.2
    assert scores["oracle", "BATCH-3", "none", "r20", ""] < 1


def test_every_calibrator_is_scored_and_tables_come_back(world, tmp_path):
    stated = ideal(world, world.names(taught=False))
    write_stated(tmp_path / "stated.parquet", stated.items())
    again = read_stated(tmp_path / "stated.parquet")
    assert np.array_equal(again["REW-4"].mean, stated["REW-4"].mean)
    assert np.array_equal(again["REW-4"].variance, stated["REW-4"].variance)
    found = list(shift_scores(world, again, CALIBRATORS, seed=1))
    for calibrator in CALIBRATORS:
        covered = {one.data_set: one.value for one in found
                   if (one.calibrator, one.metric) == (calibrator, "cov90")}  # fmt: skip
        wanted = {"GC-1", "GC-2"} if calibrator == "weighted_known" else set(world.conditions)
        assert set(covered) == wanted
    number = write_scores(tmp_path / "scores.parquet", world, found)
    table = read_scores(tmp_path / "scores.parquet", "ideal", 3, 1)
    assert len(table) == number == len(found)
    assert not table.duplicated(["data_set", "calibrator", "metric", "by"]).any()
    scaled = table[(table["calibrator"] == "variance_scaling") & (table["data_set"] == "ID")]
    assert {"zms", "vr", "nll", "crps", "cov80", "width90"} <= set(scaled["metric"])


def test_statements_without_variance_are_refused(tmp_path):
    flat = Stated(np.zeros(3), np.zeros(3), np.zeros(3))
    with pytest.raises(InputError, match=r"'ID' has a prediction that is not finite or states no"):
        write_stated(tmp_path / "stated.parquet", [("ID", flat)])
    assert not (tmp_path / "stated.parquet").exists()


def test_mixture_has_the_moments_of_its_members():
    rng = np.random.default_rng(1)
    members = [
        {"ID": Stated(rng.normal(size=4), rng.uniform(1, 2, 4), rng.uniform(0, 1, 4))}
        for _ in range(5)
    ]
    found = mixed(members)["ID"]
    means = np.stack([one["ID"].mean for one in members])
    own = np.stack([one["ID"].epistemic for one in members])
    assert found.mean == pytest.approx(means.mean(axis=0))
    assert found.epistemic == pytest.approx(means.var(axis=0, ddof=1) + own.mean(axis=0))
    assert found.aleatoric == pytest.approx(
        np.stack([one["ID"].aleatoric for one in members]).mean(axis=0)
    )


def test_counts_have_no_ideal_model(tmp_path):
    worlds = WORLDS | {"assay": {"counts": {"replicates": 2}}}
    world = written_world(
        tmp_path / "1.parquet", shifts={"GC": [1]}, sizes=(80, 50, 60, 60), worlds=worlds
    )
    assert open_world(world.path).facts == world.facts
    with pytest.raises(InputError, match="the ideal model is not known where an assay counts"):
        world.ideal("ID")
