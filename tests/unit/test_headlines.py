"""Headline numbers are those of their tables, and their page is safe to open."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from seqtrust import headlines
from seqtrust.accuracy import ENSEMBLE
from seqtrust.consistency import class_fractions, headline_numbers
from seqtrust.files import read_tsv, write_tsv
from seqtrust.verdicts import verdict_columns

PLANTED = pd.DataFrame(
    [("signs right", 0.9, 0.8, 0.7, 0.85, 40, "a ceiling", "by construction")],
    columns=["claim", "planted", "recovered", "low", "high", "units", "planted_is", "status"],
)


def accuracy(*splits):
    return pd.DataFrame(
        [
            ("open", split, replicate, r + number, 8)
            for number, split in enumerate(splits)
            for replicate, r in (("r1", 0.25), ("r2", 0.125), (ENSEMBLE, 0.5))
        ],
        columns=["track", "split", "replicate", "pearson_r", "bins"],
    )


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Class fractions and headline statistics of 60 units, as they are read from their files."""
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(60, 1)) + rng.normal(size=(60, 3))
    truth = rng.choice(np.array([-1, 1], dtype=np.int8), 60)
    units = {
        "split": ["test"] * 60,
        "stratum": ["0 to 60 bp", "over 60 bp"] * 30,
        "context": ["x"] * 60,
        "locus": [f"g{row}" for row in range(60)],
    }
    calls = np.sign(scores).astype(np.int8)
    columns = verdict_columns(units, calls, scores, truth, np.zeros(60, dtype=bool))
    columns |= {name: columns[name].to_pylist() for name in ("truth", "n_correct")}
    columns["scores"] = list(scores)
    table = pd.DataFrame(columns)
    folder = tmp_path_factory.mktemp("tables")
    write_tsv(folder / "fractions.tsv", class_fractions(table, "v", "signs", 1))
    write_tsv(folder / "headlines.tsv", headline_numbers(table, "v", "signs", 1))
    return read_tsv(folder / "fractions.tsv"), read_tsv(folder / "headlines.tsv")


def test_planted_claims_stand_beside_what_was_planted():
    (row,) = headlines.from_planted(PLANTED).to_dict("records")
    assert row == {
        "headline": "signs right",
        "value": 0.8,
        "low": 0.7,
        "high": 0.85,
        "beside": 0.9,
        "beside_is": "a ceiling",
        "units": 40,
    }


@pytest.mark.parametrize(
    ("splits", "chosen"),
    [
        (("train", "validation", "test"), "test"),
        (("train", "unknown"), "unknown"),
        (("train", "validation"), "validation"),
        (("train",), "train"),
    ],
)
def test_accuracy_is_that_of_held_out_loci_if_there_are_any(splits, chosen):
    (row,) = headlines.from_accuracy(accuracy(*splits)).to_dict("records")
    offset = splits.index(chosen)
    assert row["headline"] == f"Pearson r, open, {chosen} loci"
    assert (row["value"], row["low"], row["high"]) == (
        offset + 0.5,
        offset + 0.125,
        offset + 0.25,
    )


def test_a_verdict_gives_its_inconsistent_fraction_and_accuracies(judged):
    fractions, statistics = judged
    rows = headlines.from_verdict("eQTL", fractions, statistics).set_index("headline")
    whole = fractions[(fractions["subset"] == "all") & (fractions["class"] == "inconsistent")]
    by_level = whole.set_index("level")["fraction"]
    row = rows.loc["eQTL: inconsistent"]
    assert row["value"] == by_level["observed"]
    assert row["beside"] == by_level["implied by replicate correlation"]
    assert row["units"] == 60
    assert not [name for name in rows.index if "60 bp" in name]
    whole = statistics[statistics["subset"] == "all"].set_index("statistic")
    accuracy_row = rows.loc["eQTL: right, if replicates are unanimous"]
    assert accuracy_row["value"] == whole.loc["accuracy_if_unanimous", "value"]
    assert "eQTL: pairs of replicates that agree" in rows.index


def test_parts_are_joined_and_nothing_is_a_table_too(judged):
    parts = [headlines.from_planted(PLANTED), headlines.from_accuracy(accuracy("test"))]
    empty = headlines.from_verdict("v", judged[0][:0], judged[1][:0])
    table = headlines.headline_table([*parts, empty])
    assert table["headline"].tolist() == ["signs right", "Pearson r, open, test loci"]
    nothing = headlines.headline_table([empty])
    assert tuple(nothing.columns) == headlines.COLUMNS
    assert len(nothing) == 0


def test_lines_say_value_interval_and_what_stands_beside():
    table = headlines.headline_table(
        [headlines.from_planted(PLANTED), headlines.from_accuracy(accuracy("test"))]
    )
    planted, correlation = (headlines.line(row) for row in table.to_dict("records"))
    assert planted == "signs right: 0.800 [0.700, 0.850] beside 0.900 (a ceiling), n = 40"
    assert correlation == "Pearson r, open, test loci: 0.500 [0.125, 0.250], n = 8"
    bare = {"headline": "x", "value": 1, "low": None, "high": None, "beside": np.nan, "units": 1e4}
    assert headlines.line(bare) == "x: 1.000, n = 10,000"


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        assert not dict(attributes).get("src")

    def handle_data(self, data):
        self.text += data


def test_the_page_holds_the_numbers_and_no_foreign_markup():
    table = headlines.from_planted(PLANTED.assign(claim="<script>alert(1)</script>"))
    page = Page(headlines.page("A & B <b>", table, ["note <i>"]))
    assert "script" not in page.tags
    assert "i" not in page.tags
    assert "b" not in page.tags
    for part in ("A & B <b>", "note <i>", "<script>alert(1)</script>", "0.700 to 0.850", "0.900"):
        assert part in page.text


POPULATION = pd.DataFrame(
    [
        ("model at random", "", "", "snr", 1.5, 1.0, 2.0, 50),
        ("best", "generalisation", "c1/r1", "snr", 1.2, 1.0, 1.4, 50),
        ("best among the best generalising", "kmer", "c2/r1", "snr", 0.4, 0.2, 0.6, 50),
        ("best among the best generalising", "embedding", "c3/r2", "snr", 0.1, 0.0, 0.3, 50),
    ],
    columns=["rule", "score", "chosen", "target", "regret", "low", "high", "sequences"],
)


def population_correlations(against):
    versions = ("kmer", "kmer_published", "embedding", "embedding_published",
                "embedding_published_wide")  # fmt: skip
    rows = [
        (score, against, "pearson", "all", level, 0.6, 0.5, 0.7, 64,
         0.8747 if "published" in score and level == "all" else np.nan)
        for score in versions
        for level in ("all", "within classes")
    ]  # fmt: skip
    columns = ["score", "against", "statistic", "subset", "level", "value", "low", "high",
               "models", "published"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def test_a_population_says_what_consistency_is_worth_and_what_a_choice_costs():
    table = headlines.from_population("Toy", POPULATION, population_correlations("snr"))
    lines = [headlines.line(row) for row in table.to_dict("records")]
    assert lines[0] == (
        "Toy: Pearson r of the k-mer score and signal to noise of maps: 0.600 [0.500, 0.700] "
        "beside 0.600 (within classes), n = 64"
    )
    assert "embedding score, as published, and signal" in lines[3]
    assert "beside 0.875 (published)" in lines[3]
    assert lines[-1] == (
        "Toy: regret in signal to noise of the most consistent of the best (embedding), c3/r2: "
        "0.100 [0.000, 0.300] beside 1.500 (a model at random), n = 50"
    )


def test_a_population_without_a_truth_has_correlations_with_generalisation():
    chosen = POPULATION.assign(target=np.nan)
    table = headlines.from_population("Toy", chosen, population_correlations("generalisation"))
    assert len(table) == 4
    assert table["headline"].str.endswith("and generalisation").all()
