"""The toy's planted truth beside what a run recovered."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrust.accuracy import ENSEMBLE
from seqtrust.errors import InputError
from seqtrust.files import write_text
from seqtrust.planted import COLUMNS, SIGN_CEILING, STATUS, compare, read_truth
from seqtrust.statistics import wilson

TRUTH = {"noise_ceiling": {"open": {"test": 0.9}, "cage": {"test": 0.8}}}
ACCURACY = pd.DataFrame(
    [
        (track, split, replicate, r + 0.1 * (track == "cage") - 0.5 * (split == "train"), 12)
        for track in ("open", "cage")
        for split in ("train", "test")
        for replicate, r in (("r1", 0.5), ("r2", 0.6), (ENSEMBLE, 0.7))
    ],
    columns=["track", "split", "replicate", "pearson_r", "bins"],
)
GENES = pd.DataFrame({"gene": ["g1", "g2", "g3"], "mechanism": ["modelled", "tag", "reversed"]})


def verdicts(rows):
    return pd.DataFrame(rows, columns=["locus", "scores", "truth"])


UNITS = st.lists(
    st.tuples(
        st.sampled_from(["g1", "g2", "g3"]),
        st.lists(st.sampled_from([-2.0, -0.5, 0.7, 1.0]), min_size=2, max_size=2),
        st.sampled_from([-1, 1]),
    ),
    min_size=1,
    max_size=12,
)


@given(UNITS)
@settings(max_examples=40)
def test_signs_against_a_loop(rows):
    table = compare(TRUTH, GENES, ACCURACY, verdicts(rows)).set_index("claim")
    mechanism = dict(GENES.itertuples(index=False))
    claims = {f"eQTL signs right, {kind} genes": {kind} for kind in SIGN_CEILING}
    for claim, kinds in {"eQTL signs right": set(SIGN_CEILING), **claims}.items():
        mine = [row for row in rows if mechanism[row[0]] in kinds]
        right = sum((sum(scores) > 0) == (truth > 0) for _, scores, truth in mine)
        found = table.loc[claim]
        assert found["units"] == len(mine)
        if mine:
            assert found["recovered"] == pytest.approx(right / len(mine))
            assert (found["low"], found["high"]) == wilson(right, len(mine))
            ceiling = sum(SIGN_CEILING[mechanism[row[0]]] for row in mine) / len(mine)
            assert found["planted"] == pytest.approx(ceiling)


def test_correlations_are_those_of_test_loci_and_every_row_says_what_it_is():
    table = compare(TRUTH, GENES, ACCURACY, verdicts([("g1", [1.0, 2.0], 1)]))
    assert tuple(table.columns) == COLUMNS
    assert set(table["status"]) == {STATUS} == {"by construction"}
    row = table.set_index("claim").loc["held-out Pearson r, cage"]
    assert row[["planted", "recovered", "low", "high"]].tolist() == pytest.approx(
        [0.8, 0.8, 0.6, 0.7]
    )


def test_a_gene_that_was_not_planted_is_refused():
    with pytest.raises(InputError, match="'g9' of the verdicts is not among the planted genes"):
        compare(TRUTH, GENES, ACCURACY, verdicts([("g9", [1.0], 1)]))


def test_the_truth_is_read(tmp_path):
    write_text(tmp_path / "truth.json", '{"noise_ceiling": {}}')
    assert read_truth(tmp_path / "truth.json") == {"noise_ceiling": {}}
