"""Personal genomes across people, against loops and closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from seqtrust.errors import InputError
from seqtrust.genome import SplitRegions
from seqtrust.personal import judge_people, predictions_of_people, read_expression, spearman
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow

SPEC = OutputSpec("activity", (0, 1), (0, 1), "sum", ("a", "b"))
GENES, PEOPLE = ("g1", "g2"), 6


def sequences() -> SequenceSet:
    bases = np.zeros(10, dtype=np.uint8)
    windows = [
        StoredWindow(gene, "toy", "c", 100 * i, 0, 10, "+", 100 * i, bases)
        for i, gene in enumerate(GENES)
    ]
    rows = [Sequence(f"{gene}.h{k}", i) for i, gene in enumerate(GENES) for k in range(4)]
    return SequenceSet(windows, rows)


def haplotypes(rng: np.random.Generator) -> pd.DataFrame:
    rows = [
        (gene, person, copy, f"{gene}.h{rng.integers(4)}")
        for gene in GENES
        for person in range(PEOPLE)
        for copy in (0, 1)
    ]
    return pd.DataFrame(rows, columns=["window", "sample", "haplotype", "sequence_id"])


def predictions(rng: np.random.Generator, spec: OutputSpec = SPEC) -> Predictions:
    ids = sequences().ids()
    values = {spec.name: rng.random((len(ids), *spec.shape), dtype=np.float32)}
    order = rng.permutation(len(ids))
    return Predictions(
        [ids[i] for i in order], {spec.name: values[spec.name]}, [spec], {spec.name: 0.0}
    )


def test_a_person_is_the_mean_of_the_haplotypes() -> None:
    rng = np.random.default_rng(1)
    table, made = haplotypes(rng), predictions(rng)
    # haploid in one window, absent from another
    table = table.drop(index=[1, 12, 13])
    names, values = predictions_of_people(made, "activity", sequences(), table)
    assert names == ["g1", "g2"]
    by_id = dict(zip(made.sequence_ids, made.values["activity"], strict=True))
    for window, gene in enumerate(names):
        for person in range(PEOPLE):
            mine = table[(table["window"] == gene) & (table["sample"] == person)]
            parts = [by_id[key][:, 0].astype(np.float64) for key in mine["sequence_id"]]
            if parts:
                np.testing.assert_allclose(values[window, :, person], np.mean(parts, axis=0))
            else:
                assert np.isnan(values[window, :, person]).all()


def test_an_output_with_bins_is_refused() -> None:
    spec = OutputSpec("profile", (0,), (0, 1), "none", ("a",))
    rng = np.random.default_rng(1)
    with pytest.raises(InputError, match=r"output .profile. has 2 bins.*give it a reduction"):
        predictions_of_people(predictions(rng, spec), "profile", sequences(), haplotypes(rng))


def test_spearman_is_scipys_and_a_constant_is_a_tie() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.integers(0, 5, 30).astype(float), rng.random(30)
    assert spearman(x, y) == pytest.approx(spearmanr(x, y).statistic)
    x[3] = np.nan
    known = np.isfinite(x)
    assert spearman(x, y) == pytest.approx(spearmanr(x[known], y[known]).statistic)
    assert spearman(np.ones(30), y) == 0


def judged(rng: np.random.Generator, order: np.ndarray | None = None) -> dict[str, object]:
    table = haplotypes(rng)
    replicates = {f"r{i}": predictions(rng) for i in (1, 2, 3)}
    measured = rng.random((2, PEOPLE))
    names = np.array([f"p{i}" for i in range(PEOPLE)])
    if order is not None:
        # the same people under other indices
        table["sample"] = np.argsort(order)[table["sample"]]
        names = names[order]
    expression = pd.DataFrame(measured, index=list(GENES), columns=[f"p{i}" for i in range(PEOPLE)])
    regions = SplitRegions.from_rows([("train", "c", 0, 50), ("test", "c", 100, 150)])
    return judge_people(
        replicates, sequences(), table, list(names), expression, regions, "activity"
    )


def test_the_call_is_the_sign_of_the_correlation_and_positive_is_right() -> None:
    columns = judged(np.random.default_rng(3))
    assert columns["unit"] == ["g1", "g1", "g2", "g2"]
    assert columns["split"] == ["train", "train", "test", "test"]
    scores = np.array(columns["scores"])
    np.testing.assert_array_equal(np.sign(scores), np.array(columns["calls"]))
    assert columns["n_correct"].to_pylist() == (scores > 0).sum(axis=1).tolist()


def test_permuting_people_changes_nothing() -> None:
    order = np.random.default_rng(9).permutation(PEOPLE)
    first = judged(np.random.default_rng(3))
    second = judged(np.random.default_rng(3), order)
    np.testing.assert_allclose(np.array(first["scores"]), np.array(second["scores"]))


def test_names_that_do_not_meet_are_refused() -> None:
    rng = np.random.default_rng(3)
    expression = pd.DataFrame(np.ones((1, 2)), index=["other"], columns=["p0", "p1"])
    with pytest.raises(InputError, match="no window is a gene of the expression table"):
        judge_people(
            {"r1": predictions(rng)},
            sequences(),
            haplotypes(rng),
            [f"p{i}" for i in range(PEOPLE)],
            expression,
            SplitRegions({}),
            "activity",
        )


def test_a_bad_expression_table_is_refused(tmp_path) -> None:
    path = tmp_path / "e.tsv"
    with pytest.raises(InputError, match=r"no expression table at .*e\.tsv"):
        read_expression(path)
    path.write_text("id\tp1\na\t1\n")
    with pytest.raises(InputError, match="first column is 'id', expected `gene`"):
        read_expression(path)
    path.write_text("gene\tp1\na\t1\na\t2\n")
    with pytest.raises(InputError, match="line 3: gene 'a' again"):
        read_expression(path)
