"""Personal genomes across people, against loops and closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from seqtrust.errors import InputError
from seqtrust.genome import SplitRegions
from seqtrust.personal import (
    PERMUTED,
    expression_of,
    judge_people,
    on_scale,
    people_values,
    predictions_of_people,
    read_expression,
    read_populations,
)
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow
from seqtrust.verdicts import SCHEMA

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
    names, values = predictions_of_people(made, "activity", sequences(), table, PEOPLE)
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
        predictions_of_people(
            predictions(rng, spec), "profile", sequences(), haplotypes(rng), PEOPLE
        )


def test_a_person_that_no_window_has_is_unknown_and_keeps_a_place() -> None:
    rng = np.random.default_rng(4)
    table, made = haplotypes(rng), predictions(rng)
    _, values = predictions_of_people(made, "activity", sequences(), table, PEOPLE + 2)
    assert values.shape == (2, 2, PEOPLE + 2)
    assert np.isnan(values[..., PEOPLE:]).all()


def test_the_logarithm_is_of_the_mean_and_noise_is_no_difference() -> None:
    rng = np.random.default_rng(5)
    table, made = haplotypes(rng), predictions(rng)
    _, plain = people_values(made, "activity", sequences(), table, PEOPLE)
    _, logged = people_values(made, "activity", sequences(), table, PEOPLE, "log2p1")
    np.testing.assert_allclose(logged, np.log2(1 + plain))
    noisy = Predictions(made.sequence_ids, made.values, made.outputs, {"activity": 1.0})
    _, same = people_values(noisy, "activity", sequences(), table, PEOPLE)
    assert (np.ptp(same, axis=-1) == 0).all()
    with pytest.raises(InputError, match=r"needs predictions above -1; found -2.*Take 'identity'"):
        on_scale(np.array([1.0, -2.0]), "log2p1")


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
    columns, permuted = judge_people(
        replicates, sequences(), table, list(names), expression, regions, "activity",
        [0] * PEOPLE, 20, 1,
    )  # fmt: skip
    assert set(columns) == {column.name for column in SCHEMA.columns}
    assert set(permuted) == {column.name for column in PERMUTED.columns}
    assert (permuted["unit"], permuted["track"]) == (columns["unit"], columns["track"])
    assert np.array(permuted["unanimous"]).shape == (4, 20)
    return columns


def test_the_call_is_the_sign_of_the_correlation_and_positive_is_right() -> None:
    columns = judged(np.random.default_rng(3))
    assert columns["unit"] == ["g1", "g1", "g2", "g2"]
    assert columns["split"] == ["train", "train", "test", "test"]
    scores = np.array(columns["scores"])
    rng = np.random.default_rng(3)
    table, made = haplotypes(rng), [predictions(rng) for _ in range(3)]
    measured = rng.random((2, PEOPLE))
    for row, (window, track) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        for replicate, one in enumerate(made):
            _, values = predictions_of_people(one, "activity", sequences(), table, PEOPLE)
            expected = spearmanr(values[window, track], measured[window]).statistic
            assert scores[row, replicate] == pytest.approx(expected)
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
            [0] * PEOPLE,
            5,
            1,
        )
    with pytest.raises(InputError, match="no sample is a person of the expression table"):
        expression_of(expression, ["other"], ["nobody"])
    block = expression_of(expression, ["not_here"], ["p1", "p9"], missing_genes=True)
    assert np.isnan(block).all()


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
    path.write_text("gene\tp1\tp2\na\t1\t2\nb\t3\thigh\n")
    with pytest.raises(InputError, match="line 3, column 3: 'high' is not a number; leave a field"):
        read_expression(path)
    path.write_text("gene\tp1\tp2\na\t1\t\n")
    assert np.isnan(read_expression(path).loc["a", "p2"])


def test_populations_become_numbers_and_faults_name_nobody(tmp_path) -> None:
    path = tmp_path / "people.tsv"
    path.write_text("person\tpopulation\trole\np2\tYRI\tx\np1\tGBR\tx\np3\tYRI\tx\n")
    assert read_populations(path, ["p1", "p2", "p3"]).tolist() == [0, 1, 1]
    assert read_populations(None, ["p1", "p2"]).tolist() == [0, 0]
    with pytest.raises(InputError, match=r"no population for sample 1 \(and 0 more\)") as error:
        read_populations(path, ["p1", "secret"])
    assert "secret" not in str(error.value)
    path.write_text("person\tpop\np1\tGBR\n")
    with pytest.raises(InputError, match="lacks the column population; it has: person, pop"):
        read_populations(path, ["p1"])
    path.write_text("person\tpopulation\np1\tGBR\np1\tYRI\n")
    with pytest.raises(InputError, match="line 3: the person is there a second time"):
        read_populations(path, ["p1"])
    with pytest.raises(InputError, match="no table of populations at"):
        read_populations(tmp_path / "none.tsv", ["p1"])
