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
