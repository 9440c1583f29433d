"""Probabilities of signs, what is fitted on what, and the table and figure of them."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student
from sklearn import metrics

from seqtrust.calibration.classification import Labelled
from seqtrust.calibration.conformal import SignSets
from seqtrust.calibration.recalibration import fit_isotonic_probability, fit_platt
from seqtrust.calibration.sign_assessment import SCHEMA, assess_signs
from seqtrust.calibration.sign_fits import (
    METHODS,
    fit_signs,
    fold_plan,
    mirrored,
    validation_plan,
)
from seqtrust.calibration.sign_rows import locus_groups, sign_rows
from seqtrust.errors import InputError
from seqtrust.figures.sign_calibration import sign_figure, sign_table
from seqtrust.figures.style import save_figure
from seqtrust.tables import read_table, write_table
from seqtrust.verdicts import classify

REPLICATES = 5


def verdicts(rows=200, seed=0, accuracy=0.3, one_sign=False, track="a", loci=120):
    """Replicates that scatter around effects which say something of the true sign."""
    rng = np.random.default_rng(seed)
    truth = np.ones(rows) if one_sign else rng.choice([-1.0, 1.0], rows)
    effect = accuracy * truth + rng.normal(0, 0.5, rows)
    scores = effect[:, None] + rng.normal(0, 0.3, (rows, REPLICATES))
    calls = np.sign(scores).astype(np.int8)
    calls[rng.random(calls.shape) < 0.05] = 0
    split = rng.choice(["train", "validation", "test"], loci)
    locus = rng.integers(loci, size=rows)
    return pd.DataFrame(
        {
            "track": track,
            "split": split[locus],
            "locus": [f"l{i}" for i in locus],
            "scores": list(scores),
            "truth": truth,
            "n_positive": (calls > 0).sum(axis=1),
            "n_tie": (calls == 0).sum(axis=1),
            "class": classify(calls, truth.astype(np.int8), np.zeros(rows, dtype=bool)),
        }
    )


def assessed(table, fit="folds", folds=5, methods=METHODS, **options):
    return pd.DataFrame(assess_signs(table, fit, folds, methods, 1, **options))


@pytest.fixture(scope="module")
def found():
    return assessed(verdicts())


def value(table, metric, score, method="none", split="all", level=None):
    mine = table[
        (table["metric"] == metric) & (table["score"] == score) & (table["method"] == method)
        & (table["split"] == split)
    ]  # fmt: skip
    if level is not None:
        mine = mine[np.isclose(mine["level"], level)]
    assert len(mine) == 1, (metric, score, len(mine))
    return mine.iloc[0]


def test_probabilities_and_orders_by_hand():
    table = verdicts(3)
    scores = [[1.0, 2, 3, 0, -1], [0.5, 0.5, 0.5, 0.5, 0.5], [0, 0, 0, 0, -1e-9]]
    table = table.assign(scores=scores, n_positive=[3, 5, 0], n_tie=[1, 0, 4], truth=[1, -1, -1])
    table["class"] = "inconsistent"
    rows = sign_rows(table)
    sd = np.std(scores[0], ddof=1)
    assert rows.mean[:2].tolist() == [1.0, 0.5]
    assert rows.sd[0] == pytest.approx(sd)
    expected = student.cdf(1 / (sd * np.sqrt(1.2)), 4)
    assert rows.probability("spread")[:2] == pytest.approx([expected, 1])
    assert rows.probability("votes") == pytest.approx([0.7, 1, 0.4])
    assert rows.score("votes") == pytest.approx(np.log([4 / 2, 5.5 / 0.5, 2.5 / 3.5]))
    assert rows.score("spread")[0] == pytest.approx(np.log(expected / (1 - expected)))
    assert np.isfinite(rows.score("spread")).all()
    assert rows.uncertainty("effect")[:2].tolist() == [-1, -0.5]
    assert rows.uncertainty("unanimity") == pytest.approx([-3.5, -5, -3])
    # |mean| / sd of 1 / 1.58 and without limit
    assert rows.uncertainty("z")[:2] == pytest.approx([-1 / np.hypot(1, sd), -1])
    assert rows.wrong.tolist() == [0, 1, 0]


def test_the_spread_probability_is_how_often_one_more_replicate_says_plus():
    rng = np.random.default_rng(1)
    truth = rng.normal(0, 1, 40_000)
    scores = truth[:, None] + rng.standard_normal((40_000, 6))
    table = pd.DataFrame(
        {"scores": list(scores[:, :5]), "n_positive": 0, "n_tie": 0, "truth": 1.0,
         "class": "inconsistent", "locus": "l", "split": "test"}
    )  # fmt: skip
    p = sign_rows(table).probability("spread")
    more = scores[:, 5] > 0
    # a normal distribution with the same sd would be too sure at both ends; prior is wide
    for low, high in ((0.2, 0.4), (0.6, 0.8)):
        mine = (p > low) & (p < high)
        assert more[mine].mean() == pytest.approx(p[mine].mean(), abs=0.04)


def test_ties_rows_out_of_reach_and_unknown_truths_are_counted_not_judged():
    table = verdicts(60)
    table.loc[:4, "class"] = "tie"
    table.loc[5:7, "class"] = "out_of_reach"
    table.loc[8:9, "truth"] = np.nan
    found = assessed(table)
    counts = found[found["score"] == "rows"].set_index("metric")["value"].to_dict()
    left = {"judged": 50, "fitted": 50, "left_out": 0, "tie": 5, "out_of_reach": 3}
    assert counts == left | {"unknown_truth": 2, "mirrored": 0}
    assert value(found, "brier", "spread")["rows"] == 50
    plain = assessed(table.iloc[10:])
    assert value(found, "brier", "spread", "platt")["value"] == pytest.approx(
        value(plain, "brier", "spread", "platt")["value"]
    )


def test_every_fold_is_judged_by_what_the_others_fit():
    rows = sign_rows(verdicts())
    plan = fold_plan(rows.groups, 4, seed=3)
    judged = np.stack([part for _, part in plan.parts])
    assert (judged.sum(axis=0) == 1).all()
    fits = fit_signs(rows, plan, METHODS, mirror=False)
    for fitted, part in plan.parts:
        assert not set(rows.groups[fitted].tolist()) & set(rows.groups[part].tolist())
        known = Labelled(rows.score("votes")[fitted, None], rows.labels[fitted, None],
                         rows.groups[fitted])  # fmt: skip
        new = Labelled(rows.score("votes")[part, None], rows.labels[part, None], rows.groups[part])
        for method, fit in (("platt", fit_platt), ("isotonic", fit_isotonic_probability)):
            expected = fit(known).apply(new).scores[:, 0]
            np.testing.assert_allclose(fits.probabilities["votes", method][part], expected)
        p = rows.probability("spread")
        known = Labelled(p[fitted, None], rows.labels[fitted, None], rows.groups[fitted])
        new = Labelled(p[part, None], rows.labels[part, None], rows.groups[part])
        sets = SignSets.fit(known).sets(new, 0.9)[:, 0]
        np.testing.assert_array_equal(fits.sets["spread", 0.9][part], sets)
        limit = np.sort(rows.uncertainty("z")[fitted])[int(np.ceil(0.5 * fitted.sum())) - 1]
        np.testing.assert_array_equal(fits.kept["z"][3, part], rows.uncertainty("z")[part] <= limit)


def test_the_scores_are_those_of_scikit_learn(found):
    table = verdicts()
    rows = sign_rows(table)
    p, labels = rows.probability("spread"), rows.labels
    expected = {
        "brier": metrics.brier_score_loss(labels, p),
        "log_loss": metrics.log_loss(labels, p),
        "accuracy": metrics.accuracy_score(labels, p > 0.5),
    }
    for metric, number in expected.items():
        row = value(found, metric, "spread")
        assert row["value"] == pytest.approx(number)
        assert row["low"] < row["value"] < row["high"]
        assert row["groups"] == table["locus"].nunique()
    risk = value(found, "risk", "z", level=1.0)
    assert risk["value"] == pytest.approx(1 - expected["accuracy"])
    for split in ("train", "validation", "test"):
        mine = rows.splits == split
        assert value(found, "brier", "spread", split=split)["value"] == pytest.approx(
            ((p - labels)[mine] ** 2).mean()
        )
    for level in (0.8, 0.9):
        parts = [value(found, f"set_{name}", "spread", level=level)["value"]
                 for name in ("plus", "minus", "both")]  # fmt: skip
        assert sum(parts) == pytest.approx(1)
        covered = value(found, "set_coverage", "spread", level=level)["value"]
        assert covered == pytest.approx(level, abs=3.5 * (2 * level * (1 - level) / 200) ** 0.5)


def test_methods_mend_probabilities_that_are_too_sure(found):
    for kind in ("spread", "votes"):
        before = value(found, "brier", kind)["value"]
        for method in METHODS:
            assert value(found, "brier", kind, method)["value"] < before
        assert value(found, "ece", kind, "platt")["value"] < value(found, "ece", kind)["value"]
    curve = found[(found["metric"] == "reliability") & (found["split"] == "all")]
    one = curve[(curve["score"] == "spread") & (curve["method"] == "none")]
    gaps = (one["value"] - one["level"]).abs() * one["rows"] / 200
    assert gaps.sum() == pytest.approx(value(found, "ece", "spread")["value"])
    assert one["rows"].tolist() == [20] * 10


def test_validation_loci_are_fitted_on_and_other_splits_are_judged_apart():
    table = verdicts()
    found = assessed(table, "validation")
    assert set(found[found["score"] != "rows"]["split"]) == {"train", "test"}
    counts = found[found["score"] == "rows"].set_index("metric")["value"]
    assert counts["fitted"] == (table["split"] == "validation").sum()
    rows = sign_rows(table)
    known, new = (rows.splits == "validation"), (rows.splits == "test")
    score = rows.score("spread")
    parts = [Labelled(score[part, None], rows.labels[part, None], rows.groups[part])
             for part in (known, new)]  # fmt: skip
    p = fit_platt(parts[0]).apply(parts[1]).scores[:, 0]
    expected = ((p - rows.labels[new]) ** 2).mean()
    row = value(found, "brier", "spread", "platt", "test")
    assert row["value"] == pytest.approx(expected)


def test_validation_rows_that_share_a_group_with_judged_rows_are_left_out():
    splits = np.array(["validation", "validation", "test", "train"])
    plan = validation_plan(splits, np.array(["a", "b", "b", "c"]))
    assert plan.left_out == 1
    ((fitted, judged),) = plan.parts
    assert fitted.tolist() == [True, False, False, False]
    assert judged.tolist() == [False, False, True, True]
    with pytest.raises(InputError, match="all 2 validation rows share a group with a judged row"):
        validation_plan(splits, np.array(["b", "b", "b", "c"]))
    with pytest.raises(InputError, match=r"splits found: train, validation\): take `fit: folds`"):
        validation_plan(np.array(["train", "validation"]), np.array(["a", "b"]))


def test_one_true_sign_counts_with_both_signs():
    """Otherwise a fit would answer plus whatever replicates say."""
    table = verdicts(one_sign=True)
    found = assessed(table)
    assert value(found, "mirrored", "rows")["value"] == 1
    # a call is right as often as Platt says, and no more
    assert 0.1 < value(found, "brier", "spread", "platt")["value"] < 0.3
    flipped = table.assign(
        truth=-1.0,
        scores=[-part for part in table["scores"]],
        n_positive=REPLICATES - table["n_positive"] - table["n_tie"],
    )
    other = assessed(flipped)
    for metric in ("brier", "log_loss", "ece", "accuracy"):
        for kind in ("spread", "votes"):
            for method in ("none", *METHODS):
                first, second = (value(part, metric, kind, method)["value"]
                                 for part in (found, other))  # fmt: skip
                assert first == pytest.approx(second), (metric, kind, method)
    curve = found[(found["metric"] == "reliability") & (found["split"] == "all")]
    for (_, _), one in curve.groupby(["score", "method"]):
        np.testing.assert_allclose(one["level"] + one["level"][::-1].to_numpy(), 1, atol=1e-9)
        np.testing.assert_allclose(one["value"] + one["value"][::-1].to_numpy(), 1, atol=1e-9)


def test_mirrored_rows_are_half_of_each():
    one = Labelled([[2.0], [-1.0]], [[1.0], [1.0]], ["a", "b"])
    both = mirrored(one)
    assert both.scores.ravel().tolist() == [2, -1, -2, 1]
    assert both.labels.ravel().tolist() == [1, 1, 0, 0]
    assert both.weights.tolist() == [0.5] * 4
    platt = fit_platt(both)
    assert platt.offset[0] == pytest.approx(0, abs=1e-9)


def test_one_class_among_the_fitted_rows_has_a_stated_result():
    """Both signs are there, but validation loci are all plus: isotonic says 1 throughout."""
    table = verdicts()
    table.loc[table["split"] == "validation", "truth"] = 1.0
    found = assessed(table, "validation")
    row = value(found, "log_loss", "spread", "isotonic", "test")
    assert row["value"] == np.inf
    share = (table[table["split"] == "test"]["truth"] < 0).mean()
    brier = value(found, "brier", "spread", "isotonic", "test")["value"]
    assert brier == pytest.approx(share)
    assert np.isfinite(value(found, "log_loss", "spread", "platt", "test")["value"])


def test_a_track_of_ties_has_its_counts_only_and_a_verdict_of_ties_is_refused():
    ties = verdicts(20, track="b").assign(**{"class": "tie"})
    found = assessed(pd.concat([verdicts(80), ties], ignore_index=True))
    mine = found[found["track"] == "b"].set_index("metric")["value"]
    assert mine.to_dict() == {"judged": 0, "tie": 20, "out_of_reach": 0, "unknown_truth": 0}
    with pytest.raises(InputError, match=r"no row of the verdict can be judged \(20 tie, 0 out_of"):
        assessed(ties)


def test_too_few_groups_and_one_replicate_are_refused():
    table = verdicts(30, loci=3)
    with pytest.raises(InputError, match="signs of 'a': 3 groups cannot be dealt into 5 folds"):
        assessed(table)
    assert len(assessed(table, folds=3))
    alone = table.assign(scores=[part[:1] for part in table["scores"]])
    with pytest.raises(InputError, match="one replicate has no spread and no votes"):
        assessed(alone)


def test_two_judged_rows_have_no_more_than_two_bins():
    table = verdicts(6, loci=6, seed=2)
    table["split"] = ["test", "train", "train", "train", "train", "train"]
    table["locus"] = list("abcdef")
    found = assessed(table, folds=3)
    assert value(found, "ece", "spread", split="train")["level"] == 2
    assert not ((found["metric"] == "ece") & (found["split"] == "test")).any()


def test_groups_of_loci_come_from_a_table(tmp_path):
    path = tmp_path / "groups.tsv"
    table = verdicts(30, loci=6)
    path.write_text("locus\tgroup\n" + "".join(f"l{i}\tblock{i % 2}\n" for i in range(6)))
    groups = locus_groups(path)
    found = assessed(table, folds=2, group_of=groups)
    assert value(found, "brier", "spread")["groups"] == 2
    with pytest.raises(InputError, match="have a locus without a group, the first is 'l"):
        assessed(table, folds=2, group_of={"l99": "x"})
    for text, message in (
        ("locus\tblock\nl0\tx\n", "has no column 'group'"),
        ("locus\tgroup\nl0\tx\nl0\ty\n", "locus 'l0' has two rows"),
        ("locus\tgroup\nl0\tx\nl1\t\n", "line 3: expected a locus and a group"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            locus_groups(path)


@pytest.mark.slow
def test_the_table_is_written_and_drawn(found, tmp_path):
    columns = {name: found[name].tolist() for name in found.columns}
    assert list(columns) == [column.name for column in SCHEMA.columns]
    write_table(tmp_path / "table.parquet", SCHEMA, columns)
    read = read_table(tmp_path / "table.parquet", SCHEMA).to_pandas()
    two = pd.concat([verdicts(), verdicts(seed=5, track="b")], ignore_index=True)
    entries = {
        "one": {"label": "One track", "fit": "folds"},
        "two": {"label": "Two tracks", "fit": "validation"},
    }
    shown = sign_table([read, assessed(two, "validation")], entries)
    assert set(shown["metric"]) == {"reliability", "risk", "kept", "kept_risk"}
    figure = sign_figure(shown, entries)
    paths = [tmp_path / f"figure.{suffix}" for suffix in ("png", "pdf", "tsv")]
    save_figure(figure, paths, shown, toy=True)
    assert paths[0].stat().st_size > 20_000
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles[0].startswith("One track\n1 track, 200 cross-fitted rows in ")
    assert titles[3].startswith("Two tracks\n2 tracks, ")
    assert "test rows" in titles[3]
    risk = figure.axes[2]
    line = next(line for line in risk.get_lines() if line.get_label() == "by |mean|")
    mine = read[(read["score"] == "effect") & (read["metric"] == "risk") & (read["split"] == "all")]
    mine = mine[mine["level"] >= 0.1]
    np.testing.assert_allclose(line.get_ydata(), mine["value"])
