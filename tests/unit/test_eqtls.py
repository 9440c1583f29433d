"""eQTL tables: the published counts rebuilt, loops as twins, and planted truths."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import pearsonr, spearmanr

from seqtrust.errors import InputError
from seqtrust.files import read_input_table
from seqtrust.tissues import on_own_track, read_tissue_tracks
from seqtrust.uncertainty import eqtl_classes, eqtl_pairs, eqtl_report, eqtl_votes, eqtls
from seqtrust.uncertainty.eqtl_attributes import BY_NUMBER, attribute_tables
from seqtrust.verdicts import (
    CORRECT,
    INCONSISTENT,
    INCORRECT,
    OUT_OF_REACH,
    TIE,
    classify,
)

REPOSITORY = Path(__file__).parents[2]
PUBLISHED = REPOSITORY / "resources" / "published" / "bajwa2024_eqtls.tsv"
CROSSED = REPOSITORY / "resources" / "published" / "bajwa2024_cage_dnase.tsv"
TISSUES = REPOSITORY / "config" / "bajwa2024_tissues.tsv"


def drawn(seed=1, units=160, replicates=3, score="s", kind="positives", tissues=("liver", "lung")):
    """Units with a planted accuracy; some are ties or out of reach, some variants occur twice."""
    rng = np.random.default_rng(seed)
    truth = rng.choice([-1, 1], units).astype(np.int8)
    common = rng.normal(0.4, 1, (units, 1)) * truth[:, None]
    effects = common + rng.normal(0, 0.7, (units, replicates))
    calls = np.sign(effects).astype(np.int8)
    calls[: units // 20] = 0
    calls[units // 20 : units // 16, 0] = 0
    reach = np.zeros(units, dtype=bool)
    reach[-units // 10 :] = True
    variants = rng.integers(0, units // 2, units)
    genes = variants // 3
    table = pd.DataFrame({
        "score": score, "kind": kind, "unit": [f"u{i}" for i in range(units)],
        "variant": [f"v{i}" for i in variants], "contig": "c",
        "position": rng.integers(0, 90, units),
        "span": 1, "gene": [f"g{i:03}" for i in genes], "tissue": rng.choice(tissues, units),
        "track": "t", "split": rng.choice(["train", "test"], units),
        "distance": rng.integers(-3000, 3000, units), "beta": truth * rng.random(units),
        "pip": rng.random(units), "maf": rng.random(units) / 2, "calls": list(calls),
        "effects": list(effects), "relative": list(effects / rng.uniform(1, 3, (units, 1))),
        "truth": truth, "n_correct": (calls == truth[:, None]).sum(axis=1).astype(np.int16),
        "class": classify(calls, truth, reach), "conservation": rng.random(units), "state": None,
    })  # fmt: skip
    table["locus"] = eqtls.linked_loci(table["variant"].tolist(), table["gene"].tolist())
    return table


# ---------------------------------------------------------------- published counts


def test_published_sizes_and_pooled_fractions_are_rebuilt_of_the_tissues():
    table = read_input_table(PUBLISHED).set_index(["assay", "tissue"]).loc["CAGE"]
    tissues = table.drop(index=["pooled", "mean of tissues"])
    assert len(tissues) == 13
    assert tissues["n"].sum() == table.loc["pooled", "n"] == 8545
    classes = list(eqtl_classes.CLASSES)
    # the tissues' fractions are printed with three digits
    assert eqtl_classes.pooled_value(
        tissues[classes].to_numpy(), tissues["n"].to_numpy()
    ) == pytest.approx(table.loc["pooled", classes].to_numpy(dtype=float), abs=5e-4)
    votes = tissues["majority_accuracy"].to_numpy()
    assert eqtl_classes.mean_of_known(votes, axis=0) == pytest.approx(0.607, abs=5e-4)
    assert table.loc["mean of tissues", "majority_accuracy"] == 0.607
    assert eqtl_classes.pooled_value(votes, tissues["n"].to_numpy()) == pytest.approx(
        table.loc["pooled", "majority_accuracy"], abs=5e-4
    )


def test_published_cells_give_the_classes_of_both_assays():
    cells = read_input_table(CROSSED).pivot_table(
        index="cage_n_correct", columns="dnase_n_correct", values="count"
    )
    counts = cells.to_numpy()
    assert counts.sum() == 8545
    dnase = eqtl_classes.fractions_of_counts(counts.sum(axis=0))
    assert dnase == pytest.approx([0.330, 0.423, 0.247], abs=5e-4)
    # this branch counts an effect of 0 as positive, which moves 18 rows
    cage = counts.sum(axis=1)
    assert (cage[-1], cage[1:-1].sum(), cage[0]) == (2457, 4752, 1336)
    published = read_input_table(PUBLISHED).set_index(["assay", "tissue"])
    for assay, found, error in (("DNase", dnase, 1e-4), ("CAGE", cage / 8545, None)):
        row = published.loc[(assay, "pooled"), list(eqtl_classes.CLASSES)].to_numpy(dtype=float)
        if error:
            assert found == pytest.approx(row, abs=error)
        else:
            assert abs(eqtl_classes.fractions_of_counts(cage) - row).max() < 18 / 8545 + 1e-4


def test_published_cells_are_rebuilt_from_units_of_two_scores():
    """Units made of the published cells give the cells back, and both assays' classes."""
    cells = read_input_table(CROSSED)
    sizes = np.ceil(cells["count"] / 50).astype(int)
    parts = []
    for column, score in (("cage_n_correct", "cage"), ("dnase_n_correct", "dnase")):
        right = np.repeat(cells[column].to_numpy(), sizes)
        calls = np.where(np.arange(5) < right[:, None], 1, -1).astype(np.int8)
        base = drawn(units=32).iloc[[0] * len(right)].reset_index(drop=True)
        truth = np.ones(len(right), dtype=np.int8)
        parts.append(base.assign(
            score=score, variant=[f"v{i}" for i in range(len(right))], gene="g", tissue="a",
            split="test", calls=list(calls), truth=truth, n_correct=right,
            **{"class": classify(calls, truth, np.zeros(len(right), dtype=bool))},
        ))  # fmt: skip
    table = eqtl_classes.track_table(pd.concat(parts), "cage", "dnase")
    found = table[table["level"] == "n_correct"]["count"].to_numpy()
    assert found.tolist() == sizes.tolist()
    classes = table[table["level"] == "class"].groupby("value_second")["count"].sum()
    columns = sizes.to_numpy().reshape(6, 6).sum(axis=0)
    assert classes[CORRECT] == columns[5]
    assert classes[INCORRECT] == columns[0]


def test_the_shipped_tissues_are_those_of_the_published_table():
    tissues = read_input_table(TISSUES)
    published = read_input_table(PUBLISHED)
    named = published.loc[published["assay"] == "CAGE", "tissue"].iloc[:13].tolist()
    assert tissues["tissue"].tolist() == named
    assert tissues.set_index("tissue").loc["Thyroid", ["DNase", "CAGE"]].tolist() == [241, 4696]


# ---------------------------------------------------------------- units


def test_units_join_verdicts_contrasts_and_references():
    contrasts = pd.DataFrame({
        "contrast_id": ["b", "a", "a"], "contig": "c", "position": [4, 7, 7],
        "ref": ["A", "CT", "CT"],
        "alt": ["G", "C", "C"], "locus": ["g1", "g2", "g2"], "context": ["x", "y", "y"],
        "distance": [-3, 5, 5], "truth_effect": [0.5, None, None], "pip": [0.9, None, None],
        "maf": [0.1, 0.2, 0.2],
    })  # fmt: skip
    verdicts = pd.DataFrame({
        "unit": ["a", "b"], "track": "t", "bin": -1, "split": "test", "calls": [[1, 0], [1, -1]],
        "scores": [[0.2, 0.0], [3.0, -1.0]], "truth": [None, 1], "n_correct": [None, 1],
        "class": [INCONSISTENT, INCONSISTENT],
    })  # fmt: skip
    effects = pd.DataFrame({
        "contrast_id": ["a", "b", "b"], "track": ["t", "t", "other"], "bin": -1,
        "reference": [[2.0, 0.0], [6.0, 2.0], [9.0, 9.0]],
    })  # fmt: skip
    found = eqtls.eqtl_units("s", "positives", verdicts, contrasts, effects)
    assert found["variant"].tolist() == ["c_8_CT_C", "c_5_A_G"]
    assert found[
        ["gene", "tissue", "distance", "span", "truth", "n_correct"]
    ].to_numpy().tolist() == [
        ["g2", "y", 5, 2, 0, 0],
        ["g1", "x", -3, 1, 1, 1],
    ]
    assert found["relative"][1] == pytest.approx([0.5, -0.5])
    assert found["relative"][0][0] == pytest.approx(0.1)
    assert np.isnan(found["relative"][0][1])
    with pytest.raises(InputError, match="'s': the contrast 'a' has several tracks or bins"):
        eqtls.eqtl_units("s", "positives", pd.concat([verdicts, verdicts]), contrasts, effects)
    alone = verdicts.assign(scores=[[0.2], [3.0]])
    with pytest.raises(InputError, match="'s': one replicate cannot agree or disagree"):
        eqtls.eqtl_units("s", "positives", alone, contrasts, effects)


def test_loci_are_linked_by_genes_and_variants():
    found = eqtls.linked_loci(["v1", "v1", "v2", "v3", "v4"], ["b", "c", "c", "d", "a"])
    assert found.tolist() == ["b", "b", "b", "d", "a"]
    rng = np.random.default_rng(0)
    variants, genes = ([f"{name}{i}" for i in rng.integers(0, 25, 30)] for name in "vg")
    found = eqtls.linked_loci(variants, genes)
    labels = list(range(30))
    for _ in range(30):
        for i in range(30):
            for j in range(30):
                if variants[i] == variants[j] or genes[i] == genes[j]:
                    labels[i] = labels[j] = min(labels[i], labels[j])
    for i in range(30):
        for j in range(30):
            assert (found[i] == found[j]) == (labels[i] == labels[j])


def test_filters_go_on_to_what_is_judged():
    units = drawn(tissues=("liver",))
    source = pd.DataFrame({"step": ["rows"], "tissue": ["all"], "before": [500], "after": [170],
                           "changed": [0]})  # fmt: skip
    table = eqtls.compared_filters({"s/positives": source}, units)
    reached = int((units["class"] != OUT_OF_REACH).sum())
    left = int((~units["class"].isin([TIE, OUT_OF_REACH])).sum())
    assert table["after"].tolist() == [170, 160, reached, left]
    assert table["before"].tolist() == [500, 170, 160, reached]
    assert left < reached < 160


# ---------------------------------------------------------------- classes


def test_class_fractions_are_those_of_loops():
    units = drawn()
    table = eqtl_classes.eqtl_class_table(units, seed=1)
    observed = table[table["level"] == "observed"]
    kept = units[~units["class"].isin([TIE, OUT_OF_REACH])]
    for tissue, mine in [("pooled", kept), *kept.groupby("tissue")]:
        for split, part in [("all", mine), *mine.groupby("split")]:
            rows = observed[(observed["tissue"] == tissue) & (observed["split"] == split)]
            rows = rows[rows["weighting"] == "rows"].set_index("class")
            for name in eqtl_classes.CLASSES:
                expected = sum(kind == name for kind in part["class"])
                assert rows.loc[name, "count"] == expected
                assert rows.loc[name, "fraction"] == pytest.approx(expected / len(part))
                assert rows.loc[name, "boot_low"] <= rows.loc[name, "fraction"]
                assert rows.loc[name, "fraction"] <= rows.loc[name, "boot_high"]


def test_a_variant_or_a_tissue_may_count_once():
    units = drawn()
    table = eqtl_classes.eqtl_class_table(units, seed=1)
    mine = table[(table["split"] == "all") & (table["level"] == "observed")]
    kept = units[~units["class"].isin([TIE, OUT_OF_REACH])]
    rows_of = units["variant"].value_counts()
    weights = [1 / rows_of[name] for name in kept["variant"]]
    for name in eqtl_classes.CLASSES:
        by_variant = mine[(mine["weighting"] == "variants") & (mine["class"] == name)]["fraction"]
        assert by_variant.item() == pytest.approx(
            sum(w for w, kind in zip(weights, kept["class"], strict=True) if kind == name)
            / sum(weights)
        )
        by_tissue = mine[(mine["weighting"] == "tissues") & (mine["class"] == name)]["fraction"]
        per_tissue = [(part["class"] == name).mean() for _, part in kept.groupby("tissue")]
        assert by_tissue.item() == pytest.approx(np.mean(per_tissue))


def test_counts_of_correct_replicates_leave_partial_calls_out():
    units = drawn()
    table = eqtl_classes.correct_counts(units).set_index(["tissue", "split"])
    row = table.loc[("pooled", "all")]
    kept = units[~units["class"].isin([TIE, OUT_OF_REACH])]
    whole = [calls for calls in kept["calls"] if 0 not in list(calls)]
    assert row["n"] == len(whole)
    assert row["with_tie"] == len(kept) - len(whole) > 0
    assert sum(row[f"correct_{k}"] for k in range(4)) == row["n"]


def test_agreement_is_that_of_a_loop():
    units = drawn()
    table = eqtl_classes.agreement_table(units)
    mine = table[table["split"] == "all"].set_index(["n_agree", "n_correct"])
    cells: dict[tuple[int, int], list[bool]] = {}
    for _, row in units[~units["class"].isin([TIE, OUT_OF_REACH])].iterrows():
        calls = list(row["calls"])
        key = max(calls.count(1), calls.count(-1)), int(row["n_correct"])
        cells.setdefault(key, []).append(row["beta"] > 0)
    assert set(mine.index) == set(cells)
    for key, signs in cells.items():
        assert mine.loc[key, "count"] == len(signs)
        assert mine.loc[key, "positive_beta"] == pytest.approx(np.mean(signs))


def test_scores_without_common_eqtls_are_refused():
    units = pd.concat([drawn(), drawn(score="z").assign(gene="other")])
    with pytest.raises(InputError, match="scores 's' and 'z' share no decided eQTL"):
        eqtl_classes.track_table(units, "s", "z")


# ---------------------------------------------------------------- votes


def test_votes_are_those_of_a_loop():
    units = drawn(replicates=4)
    table = eqtl_votes.vote_table(units, [1000], seed=2)
    kept = units[~units["class"].isin([TIE, OUT_OF_REACH])]
    for label, inside in (("any", lambda d: True), ("0 to 1,000", lambda d: d < 1000),
                          ("1,000 or more", lambda d: d >= 1000)):  # fmt: skip
        part = [row for _, row in kept.iterrows() if inside(abs(row["distance"]))]
        votes = [sum(row["calls"]) * row["truth"] for row in part]
        expected = {
            eqtl_votes.MAJORITY: np.mean([vote > 0 for vote in votes]),
            eqtl_votes.MEAN_EFFECT: np.mean([np.mean(r["effects"]) * r["truth"] > 0 for r in part]),
            eqtl_votes.MEAN_RELATIVE: np.mean(
                [np.mean(r["relative"]) * r["truth"] > 0 for r in part]
            ),
            eqtl_votes.SINGLE: np.mean([row["n_correct"] / 4 for row in part]),
        }
        expected[eqtl_votes.GAIN] = expected[eqtl_votes.MAJORITY] - expected[eqtl_votes.SINGLE]
        mine = table[(table["distance"] == label) & (table["tissue"] == "pooled")]
        mine = mine[mine["split"] == "all"].set_index("estimator")
        for name, value in expected.items():
            assert mine.loc[name, "accuracy"] == pytest.approx(value)
            assert mine.loc[name, "low"] <= value <= mine.loc[name, "high"]
        undecided = np.mean([vote == 0 for vote in votes])
        assert mine.loc[eqtl_votes.MAJORITY, "undecided"] == pytest.approx(undecided)


def test_the_mean_of_tissues_weighs_them_alike():
    units = drawn()
    table = eqtl_votes.vote_table(units, [], seed=2)
    mine = table[(table["split"] == "all") & (table["distance"] == "any")]
    mine = mine[mine["estimator"] == eqtl_votes.MAJORITY].set_index("tissue")["accuracy"]
    assert mine["mean of tissues"] == pytest.approx((mine["liver"] + mine["lung"]) / 2)


def test_a_relative_effect_that_is_not_known_is_not_wrong():
    units = drawn(units=40)
    units["relative"] = [
        values if i else np.full(3, np.nan) for i, values in enumerate(units["relative"])
    ]
    right, _ = eqtl_votes.estimated_right(units)
    assert np.isnan(right[0, 2])
    assert np.isfinite(right[1:]).all()


# ---------------------------------------------------------------- pairs


def test_correlations_of_pairs_are_those_of_scipy():
    units = drawn(tissues=("liver",))
    table, _ = eqtl_pairs.pair_table(units, 0.25, seed=1)
    kept = units[units["class"] != OUT_OF_REACH]
    whole = table[table["split"] == "all"]
    for scale, column in eqtl_pairs.SCALES.items():
        values = np.array(kept[column].tolist())
        for name, oracle in (("Pearson", pearsonr), ("Spearman", spearmanr)):
            mine = whole[(whole["scale"] == scale) & (whole["coefficient"] == name)]
            mine = mine.set_index(["first", "second"])["value"]
            expected = {
                (f"r{a + 1}", f"r{b + 1}"): oracle(values[:, a], values[:, b]).statistic
                for a, b in ((0, 1), (0, 2), (1, 2))
            }
            for pair, value in expected.items():
                assert mine[pair] == pytest.approx(value)
            assert mine[("mean", "mean")] == pytest.approx(np.mean(list(expected.values())))


@pytest.mark.slow
def test_intervals_of_correlations_hold_a_planted_one():
    """Nominal 95 %: of 60 samples at least 51 intervals hold the truth (P of fewer is .0002)."""
    covered = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        common = rng.normal(size=(150, 1))
        effects = np.sqrt(0.6) * common + np.sqrt(0.4) * rng.normal(size=(150, 2))
        units = drawn(units=150, replicates=2, tissues=("a",)).assign(
            effects=list(effects), split="test", locus=[f"l{i}" for i in range(150)],
            **{"class": CORRECT},
        )  # fmt: skip
        table, _ = eqtl_pairs.pair_table(units, 0.25, seed=1)
        row = table[(table["scale"] == "difference") & (table["coefficient"] == "Pearson")].iloc[0]
        covered += row["low"] <= 0.6 <= row["high"]
    assert covered >= 51


def test_matching_uses_each_negative_once_and_balances():
    rng = np.random.default_rng(5)
    positives, negatives = rng.normal(0, 1, (60, 2)), rng.normal(1, 1.5, (400, 2))
    pairs = eqtl_pairs.matched(positives, negatives, 0.25, seed=3)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs) > 30
    spread = positives.std(axis=0)
    apart = np.abs(positives[pairs[:, 0]] - negatives[pairs[:, 1]]) / spread
    assert apart.max() <= 0.25
    used: set[int] = set()
    twin = []
    for row in np.random.default_rng(3).permutation(60):
        best, nearest = np.inf, -1
        for column in range(400):
            distance = max(abs(positives[row] - negatives[column]) / spread)
            if column not in used and distance < best:
                best, nearest = distance, column
        if best <= 0.25:
            used.add(nearest)
            twin.append([row, nearest])
    assert pairs.tolist() == sorted(twin)


def test_matched_groups_say_how_well_they_match():
    positives = drawn(tissues=("liver",))
    negatives = drawn(seed=2, units=400, kind="negatives", tissues=("liver",))
    negatives["distance"] *= 3
    table, balance = eqtl_pairs.pair_table(pd.concat([positives, negatives]), 0.25, seed=1)
    row = balance.set_index("attribute").loc["log10(1 + distance)"]
    assert abs(row["difference_after"]) < 0.1 < abs(row["difference_before"])
    kinds = table[table["split"] == "all"].groupby("kind")["units"].first()
    assert kinds["matched positives"] == kinds["matched negatives"] == row["matched"]
    assert set(balance["attribute"]) == {"log10(1 + distance)", "maf"}
    without = pd.concat([positives.assign(maf=np.nan), negatives])
    assert set(eqtl_pairs.pair_table(without, 0.25, 1)[1]["attribute"]) == {"log10(1 + distance)"}


def test_a_replicate_without_variation_has_no_correlation():
    units = drawn(units=40, tissues=("a",))
    units["effects"] = [np.array([1.0, *values[1:]]) for values in units["effects"]]
    table, _ = eqtl_pairs.pair_table(units, 0.25, seed=1)
    mine = table[(table["split"] == "all") & (table["scale"] == "difference")]
    assert mine[mine["first"] == "r1"]["value"].isna().all()
    assert mine[mine["first"] == "r2"]["value"].notna().all()


# ---------------------------------------------------------------- attributes and published rows


def test_attributes_are_given_by_class_and_by_number_of_right_replicates():
    summary, tests = attribute_tables(drawn().assign(conservation=np.nan))
    assert "conservation" not in set(summary["attribute"])
    numbers = summary[(summary["grouping"] == BY_NUMBER) & (summary["split"] == "all")]
    assert set(numbers["class"]) == {"0", "1", "2", "3"}
    units = drawn()
    kept = units[~units["class"].isin([TIE, OUT_OF_REACH])]
    row = numbers[(numbers["attribute"] == "PIP") & (numbers["class"] == "3")]
    assert row["median"].item() == pytest.approx(kept[kept["n_correct"] == 3]["pip"].median())
    assert set(tests["split"]) == {"all", "train", "test"}


def test_published_values_are_rows_beside_the_observed():
    published = eqtl_report.read_published(PUBLISHED, "CAGE")
    classes = eqtl_report.published_classes("s", published)
    assert len(classes) == 14 * 3
    pooled = classes[classes["tissue"] == "pooled"].set_index("class")["fraction"]
    assert pooled[INCONSISTENT] == 0.5540
    votes = eqtl_report.published_votes("s", published).set_index(["tissue", "estimator"])
    assert votes.loc[("mean of tissues", "published replicate 1"), "accuracy"] == 0.590
    with pytest.raises(InputError, match=r"no row of assay 'ATAC'; it has: CAGE, DNase"):
        eqtl_report.read_published(PUBLISHED, "ATAC")


def test_a_published_table_without_a_column_is_refused(tmp_path):
    path = tmp_path / "p.tsv"
    path.write_text("assay\ttissue\nCAGE\tliver\n")
    with pytest.raises(InputError, match=r"p\.tsv lacks the column n, consistently_correct"):
        eqtl_report.read_published(path, "CAGE")


# ---------------------------------------------------------------- tissues


def effects_table(rows):
    table = pa.table({"contrast_id": [r[0] for r in rows], "track": [r[1] for r in rows]})
    return table.replace_schema_metadata(
        {"tracks": '{"out": {"7": "CAGE:liver", "9": "CAGE:lung"}}'}
    )


ROWS = [("a", "CAGE:liver"), ("a", "CAGE:lung"), ("b", "CAGE:liver"), ("b", "CAGE:lung"),
        ("c", "CAGE:lung")]  # fmt: skip


def test_tracks_are_named_or_numbered_and_judged_for_their_tissue(tmp_path):
    path = tmp_path / "tissues.tsv"
    for liver, lung in (("7", "9"), ("CAGE:liver", "CAGE:lung")):
        path.write_text(f"tissue\tCAGE\nLiver\t{liver}\nLung\t{lung}\nBrain\t\n")
        tracks = read_tissue_tracks(path, "CAGE", effects_table(ROWS), "out")
        assert tracks == {"Liver": "CAGE:liver", "Lung": "CAGE:lung"}
    mine = on_own_track(effects_table(ROWS), {"a": "Liver", "b": "Lung", "c": "Brain"}, tracks)
    assert list(zip(*mine.to_pydict().values(), strict=True)) == [
        ("a", "CAGE:liver"),
        ("b", "CAGE:lung"),
    ]
    with pytest.raises(InputError, match=r"no contrast is of a tissue with a track.*Brain"):
        on_own_track(effects_table(ROWS[-1:]), {"c": "Brain"}, tracks)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tissue\tDNase\nLiver\t7\n", "no column 'CAGE'; it has: tissue, DNase"),
        ("tissue\tCAGE\nLiver\t7\nLiver\t9\n", "line 3: tissue 'Liver' is there already"),
        ("tissue\tCAGE\nLiver\t8\n", "line 2: output 'out' has no track '8' .CAGE of Liver."),
    ],
)
def test_a_table_of_tissues_that_cannot_be_used_is_refused(tmp_path, text, message):
    path = tmp_path / "tissues.tsv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_tissue_tracks(path, "CAGE", effects_table(ROWS), "out")
