"""The tables and figures of personal genomes, from planted replicates to pictures."""

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import false_discovery_control, pearsonr, spearmanr

from seqtrust.config import checked_config, load_schema
from seqtrust.consistency import OBSERVED, PERMUTED_PEOPLE
from seqtrust.errors import InputError
from seqtrust.figures import people as figures
from seqtrust.figures.style import save_figure
from seqtrust.genome import SplitRegions
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow
from seqtrust.statistics import wilson
from seqtrust.tables import read_table, write_table
from seqtrust.uncertainty.people_report import mean_expression, report
from seqtrust.uncertainty.people_summary import (
    ALL_GENES,
    BY_EQTLS,
    BY_LINEAR,
    correlation_over_genes,
    driver_statistics,
    mean_over_genes,
    pair_table,
    sign_agreement,
    subsets,
)
from seqtrust.uncertainty.people_tables import (
    DRIVERS,
    GENES,
    PAIRS,
    People,
    people_predictions,
    read_covariate_values,
    read_people,
    reference_rows,
    write_people,
)
from seqtrust.verdicts import CORRECT, INCONSISTENT, INCORRECT, TIE

CONFIG = Path(__file__).parents[2] / "config"
SCHEMA = load_schema(CONFIG / "schemas" / "config.schema.json")
TOY = yaml.safe_load((CONFIG / "config.yaml").read_text())
NUMBER, COUNT, REPLICATES = 24, 80, 3


def planted(rng):
    """Genes that all replicates have right, have wrong, know nothing of, or are constant on."""
    truth = rng.normal(size=(NUMBER, COUNT))
    kinds = np.repeat([1, -1, 0, 2], NUMBER // 4)
    values = rng.normal(size=(REPLICATES, NUMBER, COUNT))
    for gene, kind in enumerate(kinds):
        if kind == 2:
            values[:, gene] = 1.0
        elif kind:
            values[:, gene] = kind * 2 * truth[gene] + 0.3 * values[:, gene]
    names = [f"g{i}" for i in range(NUMBER)]
    genes = pd.DataFrame(
        {"gene": names, "contig": "c", "start": 0, "end": 100, "anchor": 50,
         "split": ["train", "test"] * (NUMBER // 2)}
    )  # fmt: skip
    return People(genes, ["r1", "r2", "r3"], values, rng.normal(size=(3, NUMBER))), truth, kinds


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """All tables of a planted analysis, with the files that it read."""
    folder, rng = tmp_path_factory.mktemp("people"), np.random.default_rng(1)
    people, truth, kinds = planted(rng)
    samples = [f"person_{i}" for i in range(COUNT)]
    names = list(people.genes["gene"])
    table = pd.DataFrame(truth, index=names, columns=samples).rename_axis("gene")
    table.to_csv(folder / "expression.tsv", sep="\t")
    linear = pd.DataFrame(
        {
            "gene": names,
            "variants": 3,
            "linear_r": 0.3,
            "linear_p": np.where(np.arange(NUMBER) < 12, 1e-6, 0.9),
            "linear_tie": False,
            "heritability": 0.25,
            "heritability_se": 0.1,
            "ceiling": 0.5,
            "haseman_elston": 0.2,
            "haseman_elston_se": 0.1,
        }
    )
    linear.to_csv(folder / "linear.tsv", sep="\t", index=False)
    eqtls = pd.DataFrame({"gene": ["g0", "g7"], "variant": "c_1_A_C", "beta_marginal": [5.0, 0.1],
                          "se_marginal": 1.0})  # fmt: skip
    eqtls.to_csv(folder / "eqtls.tsv", sep="\t", index=False)
    driver = {"gene": "g0", "split": "train", "replicate": "r1", "step": 1, "variant": "c_1_A_C",
              "alike": 0, "frequency": 0.2, "distance": -3, "slope": 1.0, "gain": 0.6, "r2": 0.6,
              "r2_all": 0.9, "eqtl_beta": 5.0, "supported": True}  # fmt: skip
    rows = [driver, driver | {"replicate": "r2"}, driver | {"replicate": "r3", "slope": -1.0,
                                                            "supported": False}]  # fmt: skip
    write_table(folder / "d.parquet", DRIVERS, {n: [row[n] for row in rows] for n in driver})
    files = {"expression": folder / "expression.tsv", "linear": [folder / "linear.tsv"],
             "eqtls": folder / "eqtls.tsv", "drivers": [folder / "d.parquet"]}  # fmt: skip
    settings = {"expression": "x", "eqtls": "x", "permutations": 99, "fdr": 0.05}
    found = report(people, samples, [0] * COUNT, files, settings, 1)
    return people, truth, kinds, samples, files, *found


def test_genes_have_what_was_planted(made):
    people, truth, kinds, _, _, genes, pairs, _ = made
    expected = {1: CORRECT, -1: INCORRECT, 2: TIE}
    for kind, name in expected.items():
        assert set(genes.loc[kinds == kind, "class"]) == {name}
    for gene in (0, 8, 13):
        for replicate in range(REPLICATES):
            about = people.values[replicate, gene], truth[gene]
            assert genes["pearson"][gene][replicate] == pytest.approx(pearsonr(*about).statistic)
            assert genes["spearman"][gene][replicate] == pytest.approx(spearmanr(*about).statistic)
        mean = people.values[:, gene].mean(axis=0)
        assert genes["ensemble_spearman"][gene] == pytest.approx(
            spearmanr(mean, truth[gene]).statistic
        )
    p = np.array(genes["p"].tolist())
    np.testing.assert_allclose(
        np.array(genes["q"].tolist())[:, 1], false_discovery_control(p[:, 1])
    )
    assert (p[kinds == 2] == 1).all()
    assert p[kinds == 1].max() == 0.01
    assert genes.loc[kinds == 2, "pair_agreement"].isna().all()
    assert (genes.loc[kinds == 1, "pair_agreement"] == 1).all()
    assert (genes["people"] == COUNT).all()
    assert len(pairs) == 3 * NUMBER


def test_tables_hold_no_name_of_a_person(made, tmp_path):
    people, _, _, samples, _, genes, pairs, tables = made
    write_people(tmp_path / "p.parquet", people, {"scale": "identity"})
    for name, schema, table in (("g", GENES, genes), ("q", PAIRS, pairs)):
        columns = {str(column): table[column] for column in table}
        write_table(tmp_path / f"{name}.parquet", schema, columns)
        assert read_table(tmp_path / f"{name}.parquet", schema).num_rows == len(table)
    for name, table in tables.items():
        table.to_csv(tmp_path / f"{name}.tsv", sep="\t")
    for path in tmp_path.iterdir():
        assert not any(sample.encode() in path.read_bytes() for sample in samples), path.name


def test_predictions_across_people_are_read_back(made, tmp_path):
    people = made[0]
    write_people(tmp_path / "p.parquet", people, {})
    back = read_people(tmp_path / "p.parquet")
    np.testing.assert_array_equal(back.values, people.values)
    np.testing.assert_array_equal(back.reference, people.reference)
    assert back.replicates == people.replicates
    pd.testing.assert_frame_equal(back.genes, people.genes, check_dtype=False)
    assert [len(people.part(block, 5).genes) for block in range(5)] == [4, 5, 5, 5, 5]
    parts = np.concatenate([people.part(block, 5).values for block in range(5)], axis=1)
    np.testing.assert_array_equal(parts, people.values)


def test_ties_are_predictions_that_no_known_person_changes():
    genes = pd.DataFrame({"gene": ["a", "b", "c"]})
    values = np.array([[[1, np.nan, 1], [1, 2, np.nan], [np.nan] * 3]])
    assert People(genes, ["r1"], values, np.zeros((1, 3))).ties.tolist() == [[True, False, True]]


def test_class_fractions_of_all_and_of_chosen_genes(made):
    kinds, genes, tables = made[2], made[5], made[7]
    rows = tables["classes"].set_index(["subset", "split", "level", "class"]).sort_index()
    seen = rows.loc[(ALL_GENES, "all", OBSERVED)]
    assert seen.loc[TIE, ["count", "total"]].tolist() == [6, 24]
    assert seen.loc[CORRECT, "total"] == 18
    assert seen.loc[INCORRECT, "count"] >= 6
    low, high = wilson(int(seen.loc[CORRECT, "count"]), 18)
    assert seen.loc[CORRECT, ["low", "high"]].tolist() == pytest.approx([low, high])
    assert genes["chosen_linear"].tolist() == [i < 12 for i in range(NUMBER)]
    assert genes["chosen_eqtl"].tolist() == [i == 0 for i in range(NUMBER)]
    chosen = rows.loc[(BY_LINEAR, "all", OBSERVED)]
    assert chosen.loc[[CORRECT, INCONSISTENT, INCORRECT], "count"].tolist() == [6, 0, 6]
    assert rows.loc[(BY_EQTLS, "all", OBSERVED, CORRECT), "total"] == 1
    permuted = rows.loc[(ALL_GENES, "all", PERMUTED_PEOPLE)]
    assert permuted["fraction"].sum() == pytest.approx(1)
    # replicates of planted genes nearly agree, so chance makes about half of them right
    known = rows.loc[(BY_LINEAR, "all", PERMUTED_PEOPLE, CORRECT)]
    assert known["low"] < 0.5 < known["high"]
    assert {split for _, split, _ in subsets(genes)} == {"all", "train", "test"}
    assert (kinds == 2).sum() == 6


def test_means_over_genes(made):
    genes, rows = made[5], made[7]["statistics"].set_index(["statistic", "subset", "split"])
    matrix = np.array(genes["spearman"].tolist())
    row = rows.loc[("spearman, single replicate", ALL_GENES, "all")]
    assert row["value"] == pytest.approx(matrix.mean())
    assert row["low"] < row["value"] < row["high"]
    assert rows.loc[("ceiling", ALL_GENES, "test"), "value"] == 0.5
    assert rows.loc[("sign_agreement", BY_LINEAR, "all"), "value"] == 1
    assert rows.loc[("pair_agreement", ALL_GENES, "all"), "genes"] == 18
    low, high = mean_over_genes(np.array([0.0, 1.0] * 50), 1)[1:]
    assert (low, high) == (pytest.approx(0.4, abs=0.03), pytest.approx(0.6, abs=0.03))


def naive_sign_agreement(row):
    pairs = [(a, b) for i, a in enumerate(row) for b in row[i + 1 :] if a and b]
    return np.mean([(a > 0) == (b > 0) for a, b in pairs]) if pairs else np.nan


def test_sign_agreement_is_that_of_a_loop():
    r = np.random.default_rng(3).normal(size=(30, 5)).round(0)
    expected = [naive_sign_agreement(row) for row in r.tolist()]
    np.testing.assert_allclose(sign_agreement(r), expected)


def test_correlation_over_genes(made):
    people, truth, tables = made[0], made[1], made[7]
    rows = tables["cross_gene"].set_index(["replicate", "method", "split"])
    levels = truth.mean(axis=1)
    found = rows.loc[("r2", "spearman", "all")]
    assert found["r"] == pytest.approx(spearmanr(people.reference[1], levels).statistic)
    found = rows.loc[("ensemble", "pearson", "test")]
    test = (people.genes["split"] == "test").to_numpy()
    expected = pearsonr(people.reference.mean(axis=0)[test], levels[test]).statistic
    assert found["r"] == pytest.approx(expected)
    assert found["genes"] == 12
    rng = np.random.default_rng(4)
    x = rng.normal(size=800)
    y = 0.6 * x + 0.8 * rng.normal(size=800)
    r, low, high = correlation_over_genes(x, y, "pearson", 1)
    half = 1.96 * (1 - r**2) / np.sqrt(800)
    assert (low, high) == (pytest.approx(r - half, abs=0.01), pytest.approx(r + half, abs=0.01))
    assert np.isnan(correlation_over_genes(x, np.ones(800), "pearson", 1)).all()


def test_mean_expression_leaves_out_unknown_people():
    found = mean_expression(np.array([[1, np.nan, 3], [np.nan] * 3]))
    assert found[0] == 2
    assert np.isnan(found[1])


def test_agreement_on_drivers(made):
    rows = made[7]["drivers"].set_index(["statistic", "split"])
    assert rows.loc[("replicates have one first driver", "all"), ["count", "total"]].tolist() == [
        1, 1,
    ]  # fmt: skip
    assert rows.loc[("replicates have one first driver and one sign", "all"), "count"] == 0
    assert rows.loc[("first driver supported by the eQTL, any replicate", "all"), "count"] == 1
    assert rows.loc[("first driver supported by the eQTL, every replicate", "all"), "count"] == 0
    assert rows.loc[("r2 of all drivers", "all"), "value"] == pytest.approx(0.6)


def test_a_run_without_drivers_says_so_in_an_empty_table():
    empty = pd.DataFrame({column.name: [] for column in DRIVERS.columns})
    found = driver_statistics(empty, 3, 1)
    assert (found["total"] == 0).all()


def test_without_expression_there_is_agreement_and_nothing_else(made, tmp_path):
    people, files = made[0], made[4]
    genes, pairs, tables = report(
        people, [], [0] * COUNT, {"drivers": files["drivers"]}, {"permutations": 9, "fdr": 0.05}, 1
    )
    assert genes["class"].isna().all()
    columns = {str(name): genes[name] for name in genes}
    write_table(tmp_path / "g.parquet", GENES, columns)
    assert len(tables["classes"]) == len(tables["cross_gene"]) == 0
    names = set(tables["statistics"]["statistic"])
    assert names == {"pair_pearson", "pair_spearman", "pair_agreement"}
    pd.testing.assert_frame_equal(pairs, pair_table(people))


def test_every_figure_is_drawn_also_without_expression(made, tmp_path):
    genes, pairs, tables, files = made[5], made[6], made[7], made[4]
    published = {"source": "s", "subset": "all", "fractions": {INCONSISTENT: 0.5}}
    entries = {"a": {"label": "A", "published": published}, "b": {"label": "B"}}
    drivers = read_table(files["drivers"][0], DRIVERS).to_pandas()
    bare = genes.assign(**{"class": None, "spearman": None})
    correlation = figures.correlation_table([genes, genes], entries)
    classes = figures.class_table([tables["classes"]] * 2, entries)
    agreement = figures.joined([pairs, pairs], entries)
    driver = figures.driver_table([drivers] * 2, [tables["drivers"]] * 2, entries)
    cross = figures.joined([tables["cross_gene"]] * 2, entries)
    drawn = {
        "correlations": (figures.correlations(correlation, entries), correlation),
        "classes": (figures.classes(classes, entries), classes),
        "pairs": (figures.pairs(agreement, [genes, bare], entries), agreement),
        "drivers": (figures.drivers(driver, entries), driver),
        "cross_gene": (figures.cross_gene(cross, entries), cross),
    }
    assert (classes["level"] == figures.PUBLISHED).sum() == 1
    for name, (figure, table) in drawn.items():
        paths = [tmp_path / f"{name}.{suffix}" for suffix in ("png", "pdf", "tsv")]
        save_figure(figure, paths, table, toy=True)
        assert all(path.stat().st_size > 500 for path in paths)
    titles = [axis.get_title() for axis in drawn["pairs"][0].axes]
    assert "one sign with expression" in titles[1]
    assert "one sign with expression" not in titles[3]
    ordered = correlation[correlation["analysis"] == "a"]["mean"]
    assert ordered.is_monotonic_increasing


SPEC = OutputSpec("activity", (0, 1), (0,), "none", ("t1", "t2"))


def haplotype_set():
    bases = np.zeros(20, dtype=np.uint8)
    windows = [
        StoredWindow(gene, "toy", "c", 50 + 100 * i, 5, 10, "+", 40 + 100 * i, bases)
        for i, gene in enumerate(("g1", "g2"))
    ]
    from seqtrust.edits import Edit

    rows = [
        Sequence("g1.h1", 0, (Edit(50, 51, "C"),)),
        Sequence("g1.ref", 0),
        Sequence("g2.ref", 1),
        Sequence("g2.h1", 1, (Edit(150, 151, "C"),)),
    ]
    return SequenceSet(windows, rows)


def test_predictions_are_gathered_with_the_references():
    sequences, rng = haplotype_set(), np.random.default_rng(5)
    assert reference_rows(sequences) == {"g1": 1, "g2": 2}
    haplotypes = pd.DataFrame(
        {"window": ["g1", "g1", "g1", "g1", "g2", "g2"], "sample": [0, 0, 1, 1, 0, 0],
         "sequence_id": ["g1.h1", "g1.ref", "g1.h1", "g1.h1", "g2.h1", "g2.h1"]}
    )  # fmt: skip
    replicates = {
        name: Predictions(sequences.ids(), {"activity": rng.random((4, 2, 1)).astype(np.float32)},
                          [SPEC], {"activity": 0.0})
        for name in ("r1", "r2")
    }  # fmt: skip
    regions = SplitRegions.from_rows([("train", "c", 0, 90), ("test", "c", 100, 300)])
    about = (replicates, sequences, haplotypes, 2, regions, "activity")
    found = people_predictions(*about, "t2", "log2p1")
    values = replicates["r2"].values["activity"][:, 1, 0].astype(np.float64)
    expected = np.log2(1 + np.array([[values[:2].mean(), values[0]], [values[3], np.nan]]))
    np.testing.assert_allclose(found.values[1], expected)
    np.testing.assert_allclose(found.reference[1], np.log2(1 + values[[1, 2]]))
    assert found.genes["split"].tolist() == ["train", "test"]
    assert found.genes[["start", "end", "anchor"]].values.tolist() == [
        [45, 55, 50],
        [145, 155, 150],
    ]
    with pytest.raises(InputError, match="has 2 tracks: say which of them in `track`: t1, t2"):
        people_predictions(*about, None, "identity")
    with pytest.raises(InputError, match="has no track 't3'; did you mean"):
        people_predictions(*about, "t3", "identity")
    bare = SequenceSet(sequences.windows, list(sequences.sequences)[:2])
    with pytest.raises(InputError, match="window 'g2' has no reference sequence in the set"):
        reference_rows(bare)


def test_no_covariates_are_none():
    assert read_covariate_values(None) is None


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("set", "tiles", "people_analyses/personal/set: 'tiles' is made of reference, which have "
         "no people: name a set of haplotypes"),
        ("output", "activty", "people_analyses/personal/output: ensemble 'cnn' has no output "
         "'activty'; did you mean 'activity'?"),
        ("ensemble", "cn", "people_analyses/personal/ensemble: there is no 'cn' under ensembles; "
         "did you mean 'cnn'?"),
    ],
)  # fmt: skip
def test_faults_of_an_analysis_are_named(key, value, message):
    config = copy.deepcopy(TOY)
    config["people_analyses"]["personal"][key] = value
    with pytest.raises(InputError) as error:
        checked_config(config, SCHEMA)
    assert message in str(error.value)
