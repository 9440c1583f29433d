"""Chromatin states: look-up by a loop, coordinates, and planted enrichment."""

import numpy as np
import pandas as pd
import pytest

from seqtrust.errors import InputError
from seqtrust.uncertainty.states import States, read_states, state_table, states_of_units
from seqtrust.verdicts import CORRECT, INCORRECT

BED = "track name=x\nchr1\t0\t10\tenhancer\nchr1\t10\t12\tpromoter\n2\t5\t6\tpromoter\textra\n"


@pytest.fixture
def bed(tmp_path):
    path = tmp_path / "s.bed"
    path.write_text(BED)
    return path


def test_states_are_looked_up_0_based_and_half_open(bed):
    states = read_states(bed)
    rows = [("chr1", 0, 10, "enhancer"), ("chr1", 10, 12, "promoter"), ("2", 5, 6, "promoter")]
    for contig in ("chr1", "1", "2", "chr3"):
        for position in range(15):
            expected = [
                state
                for name, start, end, state in rows
                if name.removeprefix("chr") == contig.removeprefix("chr")
                and start <= position < end
            ]
            assert states.at(contig, position) == (expected[0] if expected else None)
    assert states.shares == pytest.approx({"enhancer": 10 / 13, "promoter": 3 / 13})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1\t0\t10\n", r"s\.bed, line 1: expected contig, start, end and state"),
        ("chr1\t5\t5\ta\n", r"line 1: .*5-5 holds no base"),
        ("chr1\t0\t10\ta\nchr1\t9\t12\tb\n", r"line 2: chr1:9-12 overlaps line 1"),
        ("# nothing\n", "holds no interval of a chromatin state"),
    ],
)
def test_a_bed_that_cannot_be_used_is_refused(bed, text, message):
    bed.write_text(text)
    with pytest.raises(InputError, match=message):
        read_states(bed)


def units_at(positions, tissues, classes=None):
    number = len(positions)
    return pd.DataFrame({
        "score": "s", "kind": "positives", "split": "test", "contig": "c", "position": positions,
        "tissue": tissues, "class": classes or [CORRECT] * number,
        "locus": [f"l{i}" for i in range(number)],
    })  # fmt: skip


def of_width(*states):
    """States of 10 bp each along contig c."""
    starts = np.arange(len(states)) * 10.0
    shares = {name: states.count(name) / len(states) for name in states}
    return States({"c": (starts, starts + 10, list(states))}, shares)


def test_tissues_have_states_of_their_own_or_share_one():
    units = units_at([3, 13, 3], ["liver", "liver", "brain"])
    own = {"liver": of_width("a", "b"), "all": of_width("b", "a")}
    assert states_of_units(units, own) == ["a", "b", "b"]
    assert states_of_units(units, {"liver": of_width("a", "b")}) == ["a", "b", None]


def test_enrichment_is_the_share_of_eqtls_over_the_share_of_bp():
    """Nine of twelve eQTLs in a state of one fifth of the bp: 3.75-fold; by class, by hand."""
    states = {"all": of_width("a", "b", "b", "b", "b")}
    classes = [CORRECT] * 8 + [INCORRECT] * 4
    units = units_at([1] * 9 + [11] * 3, ["x"] * 12, classes)
    units["state"] = states_of_units(units, states)
    table = state_table(units, states, seed=1).set_index(["class", "state"])
    assert table.loc[("all", "a"), "enrichment"] == pytest.approx(0.75 / 0.2)
    assert table.loc[(CORRECT, "a"), "enrichment"] == pytest.approx(5)
    assert table.loc[(INCORRECT, "a"), "count"] == 1
    assert table.loc[(INCORRECT, "b"), "enrichment"] == pytest.approx(0.75 / 0.8)
    row = table.loc[("all", "a")]
    assert row["low"] < row["enrichment"] < row["high"]


def test_tissues_expect_what_their_own_states_hold():
    states = {"x": of_width("a", "b"), "y": of_width("a", "b", "b", "b")}
    units = units_at([1, 11, 11, 11], ["x", "x", "y", "y"])
    units["state"] = states_of_units(units, states)
    table = state_table(units, states, seed=1).set_index(["class", "state"])
    assert table.loc[("all", "a"), "bp_share"] == pytest.approx((0.5 + 0.5 + 0.25 + 0.25) / 4)
    assert table.loc[("all", "a"), "enrichment"] == pytest.approx(0.25 / 0.375)


def test_units_without_a_state_are_not_counted():
    states = {"all": of_width("a")}
    units = units_at([1, 99], ["x", "x"])
    units["state"] = states_of_units(units, states)
    table = state_table(units, states, seed=1)
    assert set(table["total"]) == {1}
