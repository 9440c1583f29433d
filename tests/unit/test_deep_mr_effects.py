"""From instruments to local and global effects, verdicts, controls and published choices."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from deep_mr_cases import instruments

from seqtrust.errors import InputError
from seqtrust.mendelian import (
    Effects,
    benjamini_hochberg,
    egger,
    ivw,
    leave_one_position_out,
    meta_analysis,
    multivariable_ivw,
    per_replicate,
    per_replicate_local,
)
from seqtrust.mendelian.analysis import (
    DIRECT,
    STEIGER,
    chosen_pairs,
    diagnostics,
    local_effects,
    needs_replicates,
)
from seqtrust.mendelian.control_effects import (
    NO_PATH,
    REVERSED,
    SHUFFLED,
    controlled,
    local_q,
    no_path_pairs,
    shuffled_effects,
    shuffled_outcomes,
)
from seqtrust.mendelian.global_effects import (
    directions,
    global_effects,
    main_effects,
    read_published,
)
from seqtrust.mendelian.instrument_tables import EVEN, ODD
from seqtrust.mendelian.named_estimators import MainEstimator, named_estimators, published
from seqtrust.mendelian.published_choices import EVERYTHING, RIGHT, changes
from seqtrust.mendelian.spacing import nearest_distance, spacing_effects
from seqtrust.mendelian.stage import (
    count_table,
    headline_rows,
    scatter_table,
    shown_pairs,
    stage_of,
)
from seqtrust.mendelian.verdict_tables import verdict_table

MAIN = MainEstimator("per_replicate", ivw, True)
CONTROLS = {"no_path": [["x", "z"]], "shuffled_heads": 3, "reversed": True}
SETTINGS = {
    "label": "Case",
    "tasks": "all",
    "pairs": "all",
    "estimators": {"ivw": {}, "egger": {}},
    "main": "per_replicate",
    "within_replicates": "ivw",
    "meta": {"method": "reml", "test": "hartung-knapp"},
    "instruments": {"cross_fitted": False},
    "show": {"pairs": [], "loci": 2},
}


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture
def made(rng):
    return instruments(rng, spread=0.1)


def analysed(made, main=MAIN):
    pairs = chosen_pairs(made)
    local = local_q(local_effects(made, pairs, named_estimators({"ivw": {}, "egger": {}}), main))
    return pairs, local, global_effects(made, pairs, local, main)


def by_hand(made, x, y):
    """Effects of a pair, built without the tables."""
    loci = len(made.loci)
    shape = (5, loci, len(made.names) // loci)
    position = made.position.reshape(shape[1:])
    return tuple(
        Effects.from_replicates(made.replicates[:, :, task].reshape(shape), position, se="mean")
        for task in (x, y)
    )


def test_local_effects_are_those_of_the_library(made):
    _, local, _ = analysed(made)
    x, y = by_hand(made, 0, 1)
    z = by_hand(made, 0, 2)[1]
    mine = local[(local["exposure"] == "x") & (local["outcome"] == "y")].set_index("estimator")
    for label, wanted in (
        ("ivw", ivw(x, y)),
        ("egger", egger(x, y)),
        ("per_replicate", per_replicate_local(x, y)),
    ):
        rows = mine.loc[label]
        assert list(rows["locus"]) == list(made.loci)
        np.testing.assert_allclose(rows["estimate"], wanted.estimate, rtol=1e-9)
        np.testing.assert_allclose(rows["se"], wanted.se, rtol=1e-9)
        np.testing.assert_allclose(rows["low"], wanted.interval[0], rtol=1e-9)
        assert (rows["instruments"] == 10).all()
    np.testing.assert_allclose(mine.loc["egger", "intercept"], egger(x, y).diagnostics["intercept"])
    direct = multivariable_ivw([x, z], y)
    np.testing.assert_allclose(mine.loc[DIRECT, "estimate"], direct.estimate[:, 0], rtol=1e-9)
    # with equal scales, the instruments that move x more than y are all: the slope is below 1
    assert STEIGER in mine.index


def test_global_effects_are_those_of_the_library(made):
    _, _, table = analysed(made)
    x, y = by_hand(made, 0, 1)
    rows = table[(table["exposure"] == "x") & (table["outcome"] == "y")]
    whole = rows[rows["split"] == "all"].set_index("estimator")
    wanted = per_replicate(x, y)
    assert whole.loc["per_replicate", "main"]
    assert whole.loc["per_replicate", "estimate"] == pytest.approx(wanted.estimate)
    assert whole.loc["per_replicate", "low"] == pytest.approx(wanted.interval[0])
    plain = ivw(x, y)
    pooled = meta_analysis(plain.estimate, plain.se, "reml", "hartung-knapp")
    assert whole.loc["ivw", "estimate"] == pytest.approx(pooled.estimate)
    assert whole.loc["ivw", "prediction_high"] == pytest.approx(pooled.prediction_interval[1])
    assert whole.loc["ivw", "tau"] == pytest.approx(np.sqrt(pooled.tau2))
    # of the training loci alone
    train = np.array(made.splits) == "train"
    mine = rows[(rows["split"] == "train") & rows["main"]].iloc[0]
    part = per_replicate(
        *(Effects(e.beta[train], e.se[train], e.replicates[:, train]) for e in (x, y))
    )
    assert mine["estimate"] == pytest.approx(part.estimate)
    assert mine["loci"] == train.sum()


def test_q_is_over_the_pairs_of_an_estimator(made):
    _, local, table = analysed(made)
    main = table[table["main"] & (table["split"] == "all")]
    np.testing.assert_allclose(main["q"], benjamini_hochberg(main["p"]))
    mine = local[(local["exposure"] == "z") & (local["outcome"] == "y")]
    mine = mine[mine["estimator"] == "ivw"]
    np.testing.assert_allclose(mine["q"], benjamini_hochberg(mine["p"]))


def test_planted_effects_are_recovered_and_others_are_not(rng):
    made = instruments(rng, loci=40, spread=0.1)
    _, _, table = analysed(made)
    main = table[table["main"] & (table["split"] == "all")].set_index(["exposure", "outcome"])
    row = main.loc[("x", "y")]
    assert row["low"] < 0.7 < row["high"]
    assert row["q"] < 1e-6
    assert main.loc[("x", "z"), "low"] < 0 < main.loc[("x", "z"), "high"]
    beside = local_direct(table)
    assert beside.loc[("x", "y"), "estimate"] == pytest.approx(0.7, abs=0.1)


def local_direct(table):
    rows = table[(table["estimator"] == DIRECT) & (table["split"] == "all")]
    return rows.set_index(["exposure", "outcome"])


def test_instruments_that_move_the_outcome_more_are_left_out_both_ways(rng):
    made = instruments(rng, slope=0.7)
    _, _, table = analysed(made)
    both = directions(table)
    row = both[(both["first"] == "x") & (both["second"] == "y")].iloc[0]
    assert row["called"] == "forward"
    assert np.isnan(row["reverse_estimate"])
    # without the sd of tasks over loci nothing is said
    unknown = type(made)(**{**made.__dict__, "scales": np.full(3, np.nan)})
    assert directions(analysed(unknown)[2]).empty


def test_cross_fitting_estimates_with_the_replicates_that_did_not_choose(rng):
    base = instruments(rng, replicates=6, loci=10, number=12, noise=0.3)
    bits = rng.choice([EVEN, ODD, EVEN | ODD], base.chosen.shape).astype(np.int8)
    made = replace(base, chosen=bits)
    pairs = chosen_pairs(made, pairs=[["x", "y"]])
    found = main_effects(made, pairs, MAIN, cross_fit=True).iloc[0]
    estimates = []
    for chooses, estimates_with in ((EVEN, slice(1, None, 2)), (ODD, slice(0, None, 2))):
        kept = ((bits[:, 0] & chooses) > 0).reshape(10, 12)
        part = made.replicates[estimates_with].reshape(3, 10, 12, 3)
        sides = [Effects.from_replicates(part[..., task], se="mean").keep(kept) for task in (0, 1)]
        estimates.append(per_replicate(*sides).estimate)
    assert found["estimate"] == pytest.approx(np.mean(estimates))
    local = local_effects(made, pairs, named_estimators(["ivw"]), MAIN, cross_fit=True)
    assert (local[local["estimator"] == "ivw"]["instruments"] == 12).all()


def test_diagnostics_hold_the_extremes_without_a_position(made):
    pairs = chosen_pairs(made, pairs=[["x", "z"]])
    found = diagnostics(made, pairs)
    x, z = by_hand(made, 0, 2)
    left = leave_one_position_out(x, z).estimate
    np.testing.assert_allclose(found["left_out_least"], left.min(axis=-1))
    np.testing.assert_allclose(found["left_out_most"], left.max(axis=-1))
    assert (found["positions"] == 10).all()


def test_verdicts_name_the_limits_that_are_broken(rng):
    made = instruments(rng, loci=20)
    pairs, local, table = analysed(made)
    found = diagnostics(made, pairs)
    run = controlled(made, pairs, MAIN, table, local, directions(table), CONTROLS, 1)
    verdicts = verdict_table(table, found, run.no_path, run.shuffled)
    by_pair = verdicts.set_index(["exposure", "outcome"])
    assert by_pair.loc[("x", "y"), "called"]
    assert by_pair.loc[("x", "y"), "found_loci"] == 20
    strict = verdict_table(table, found, run.no_path, run.shuffled, {"loci": 30, "F": 1e9})
    assert not strict["applicable"].any()
    assert strict["reasons"].str.contains("20 loci have an estimate, fewer than 30").all()
    weak = verdict_table(table, found, run.no_path, run.shuffled, {"F": 1e9})
    assert weak["reasons"].str.contains("weak instruments").all()
    # a control of this exposure that is called speaks against the pair
    called = run.no_path.assign(p=1e-9)
    against = verdict_table(table, found, called, run.shuffled).set_index(["exposure", "outcome"])
    assert "100% of controls" in against.loc[("x", "y"), "reasons"]
    assert "controls" not in against.loc[("z", "y"), "reasons"]


def test_shuffled_heads_keep_sizes_and_errors_and_lose_the_relation(made):
    places = made.places(made.chosen_for(0))
    outcomes = made.effects([1, 2], places)
    moved = shuffled_outcomes(outcomes, (1, 2))
    for name in ("se", "beta"):
        before, after = getattr(outcomes, name), getattr(moved, name)
        # at every locus the two heads are as they were, or exchanged
        same = np.isclose(np.abs(after), np.abs(before)).all(axis=(0, 2))
        swapped = np.isclose(np.abs(after), np.abs(before[::-1])).all(axis=(0, 2))
        assert (same | swapped).all()
        assert swapped.any()
    turned = moved.beta / np.where(np.isclose(np.abs(moved.beta), np.abs(outcomes.beta)),
                                   outcomes.beta, outcomes.beta[::-1])  # fmt: skip
    assert set(np.unique(np.round(turned, 6))) == {-1.0, 1.0}
    np.testing.assert_allclose(moved.replicates.mean(axis=0), moved.beta)


def test_the_type_one_error_of_shuffled_heads_is_the_level_of_the_test(rng):
    made = instruments(rng, loci=25, spread=0.3)
    rows = shuffled_effects(made, chosen_pairs(made), MAIN, 60, 3)
    called = (rows["p"] < 0.05).mean()
    # 360 pairs: .05 +- 3 standard errors of .0115
    assert 0.015 < called < 0.085
    real = main_effects(made, chosen_pairs(made, pairs=[["x", "y"]]), MAIN)
    assert rows["estimate"].abs().median() < 0.3 * real["estimate"].iloc[0]


def test_controls_are_counted(made):
    pairs, local, table = analysed(made)
    run = controlled(made, pairs, MAIN, table, local, directions(table), CONTROLS, 1)
    rows = run.table.set_index(["control", "what"])
    assert rows.loc[(SHUFFLED, "pairs"), "total"] == 18
    assert rows.loc[(NO_PATH, "pairs"), "total"] == 1
    mine = local[(local["exposure"] == "x") & (local["outcome"] == "z")]
    mine = mine[mine["estimator"] == "per_replicate"]
    assert rows.loc[(NO_PATH, "loci"), "called"] == (mine["q"] < 0.05).sum()
    assert (NO_PATH, "loci") in rows.index
    assert (REVERSED, "pairs") in rows.index
    none = {"no_path": [], "shuffled_heads": 0, "reversed": False}
    empty = controlled(made, pairs, MAIN, table, local, directions(table), none, 1)
    assert empty.table.empty
    heads = headline_rows("Case", run.table, pd.DataFrame({"applicable": [True, False]}),
                          count_table([]))  # fmt: skip
    assert heads["headline"].iloc[0] == "Case: pairs without a path called"
    assert heads["value"].iloc[-1] == 0.5


def test_published_choices_change_what_they_name(rng):
    made = instruments(rng, loci=20, number=15, spread=0.2)
    bits = np.where(np.abs(made.beta) > 0.8, 3, 1).astype(np.int8)
    made = replace(made, chosen=bits, recalibrated=made.replicates + 0.3)
    pairs = chosen_pairs(made, pairs=[["x", "y"]])
    table = changes(made, pairs, MAIN, modes=50).set_index("choice")
    right = main_effects(made, pairs, MAIN).iloc[0]
    assert table.loc[RIGHT, "estimate"] == pytest.approx(right["estimate"])
    half = (table["high"] - table["low"]) / 2
    assert half["2 tau"] == pytest.approx(2 * right["tau"])
    assert half["root tau"] == pytest.approx(np.sqrt(right["tau"]))
    assert table.loc["2 tau", "estimate"] == table.loc[RIGHT, "estimate"]
    x, y = by_hand(made, 0, 1)
    alone = ivw(x, y)
    wanted = meta_analysis(alone.estimate, alone.se, "reml", "z")
    assert table.loc["shared error", "se"] == pytest.approx(wanted.se)
    kept = np.abs(made.beta[:, 0]) > 0.8
    places = made.places(kept)
    given = (
        made.effects(0, places, published_se=True, recalibrated=True),
        made.effects(1, places, published_se=True, recalibrated=True),
    )
    local = published(*given)
    everything = meta_analysis(local.estimate, local.se, "reml", "z")
    assert table.loc[EVERYTHING, "estimate"] == pytest.approx(everything.estimate)
    assert {"exact mode", "mode on grid", "baseline", "recalibration"} <= set(table.index)


def test_the_published_estimator_is_robust_only_of_many_instruments(rng):
    made = instruments(rng, number=12)
    x, y = by_hand(made, 0, 1)
    few = x.keep(np.arange(12) < 10)
    np.testing.assert_allclose(published(x, y).estimate, egger(x, y, robust=True).estimate)
    np.testing.assert_allclose(published(few, y).estimate, egger(few, y).estimate)
    dropped = published(few, y, few="drop")
    assert (np.asarray(dropped.reason) == "fewer than 11 instruments").all()
    with pytest.raises(InputError, match="few is 'keep'; known: plain, drop"):
        published(x, y, few="keep")


def test_distances_and_their_bins(rng):
    first, second = np.array([[0, 10], [50, 60]]), np.array([[30, 40], [0, 10]])
    assert nearest_distance(first, second) == 20
    assert nearest_distance(first[:1], first[:1]) == np.inf
    assert nearest_distance(first, np.zeros((0, 2), dtype=int)) == np.inf
    made = instruments(rng, loci=6)
    ends = [20, 30, 35, 36, 60, 2000]
    spans = {"x": [np.array([[0, 10]])] * 6, "y": [np.array([[at, at + 10]]) for at in ends]}
    rows = spacing_effects(made, chosen_pairs(made, pairs=[["x", "y"]]), MAIN, spans)
    assert rows["loci_in_bin"].tolist() == [3, 2, 0, 0]
    kept = made.of_loci(np.arange(6) < 3)
    wanted = main_effects(kept, chosen_pairs(kept, pairs=[["x", "y"]]), MAIN)["estimate"].iloc[0]
    assert rows["estimate"].iloc[0] == pytest.approx(wanted)
    assert rows["reason"].iloc[2] == "0 loci with both motifs at this distance"


def test_faults_of_a_config_are_named(made):
    def stage(**changed):
        return stage_of(SETTINGS | changed, made, 1)

    with pytest.raises(InputError, match="no task 'xx'; did you mean"):
        stage(tasks=["xx", "y"])
    with pytest.raises(InputError, match="a pair needs two different ones"):
        stage(tasks=["x"])
    with pytest.raises(InputError, match=r"pair \[x, x\] is of a task with itself"):
        stage(pairs=[["x", "x"]])
    with pytest.raises(InputError, match="needs task 'z', which tasks leaves out"):
        stage(tasks=["x", "y"], pairs=[["x", "z"]])
    with pytest.raises(InputError, match="no estimator 'iwv'; did you mean 'ivw'"):
        stage(estimators=["iwv"])
    with pytest.raises(InputError, match="ivw has no setting 'robst'; did you mean 'robust'"):
        stage(estimators={"ivw": {"robst": True}})
    with pytest.raises(InputError, match="main is 'median'; name one of the estimators"):
        stage(main="median")
    with pytest.raises(InputError, match="within_replicates: no estimator 'nothing'"):
        stage(within_replicates="nothing")
    with pytest.raises(InputError, match=r"no_path has the pair \[x, x\]"):
        no_path_pairs(made, [["x", "x"]])


def test_summary_statistics_have_no_replicates(rng):
    made = replace(instruments(rng), replicates=None, scales=np.full(3, np.nan))
    with pytest.raises(InputError, match=r"needs the effects of every replicate.*set main"):
        stage_of(SETTINGS, made, 1)
    with pytest.raises(InputError, match="cross_fitted needs the effects of every replicate"):
        needs_replicates(made, "instruments/cross_fitted")
    stage = stage_of(SETTINGS | {"main": "egger"}, made, 1)
    local = local_q(local_effects(made, stage.pairs, stage.estimators, stage.main))
    table = global_effects(made, stage.pairs, local, stage.main)
    assert set(table[table["main"]]["estimator"]) == {"egger"}
    assert "per_replicate" not in set(local["estimator"])
    # a single locus stands for itself
    one = made.of_loci(np.arange(len(made.loci)) == 0)
    alone = local_effects(one, stage.pairs, stage.estimators, stage.main)
    whole = global_effects(one, stage.pairs, local_q(alone), stage.main)
    first = whole[whole["main"]].iloc[0]
    wanted = alone[(alone["estimator"] == "egger") & (alone["outcome"] == first["outcome"])]
    assert first["estimate"] == pytest.approx(wanted["estimate"].iloc[0])
    assert first["se"] == pytest.approx(wanted["se"].iloc[0])
    assert first["reason"] == ""


def test_shown_pairs_and_their_instruments(made):
    _, local, table = analysed(made)
    shown = shown_pairs(SETTINGS, table)
    assert shown[0] in (("x", "y"), ("y", "x"))
    rows = scatter_table(made, local, [("x", "y")], 2)
    assert rows["locus"].nunique() == 2
    number = made.loci.index(rows["locus"].iloc[0])
    mine = rows[rows["locus"] == rows["locus"].iloc[0]]
    np.testing.assert_array_equal(mine["exposure_effect"], made.beta[made.row_locus == number, 0])
    assert shown_pairs({"show": {"pairs": [["z", "x"]]}}, table) == [("z", "x")]


def test_published_values_stand_beside(tmp_path, made):
    file = tmp_path / "published.tsv"
    file.write_text("exposure\toutcome\testimate\tlow\nx\ty\t.7\t.6\n")
    pairs, local, _ = analysed(made)
    table = global_effects(made, pairs, local, MAIN, published=read_published(file))
    rows = table[(table["exposure"] == "x") & (table["outcome"] == "y")]
    assert (rows["published_estimate"] == 0.7).all()
    assert table["published_estimate"].notna().sum() == len(rows)
    file.write_text("exposure\toutcome\testimate\nx\ty\t1\nx\ty\t2\n")
    with pytest.raises(InputError, match="line 3: the pair stands twice"):
        read_published(file)
    file.write_text("exposure\toutcome\n")
    with pytest.raises(InputError, match="there is no column 'estimate'"):
        read_published(file)
