"""Effects against a loop over contrasts, replicates, tracks and bins."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqtrust.effects import (
    SCALES,
    SCHEMA,
    TIE_FACTOR,
    aligned_values,
    compute_effects,
    facts_of,
    on_scale,
    reaches,
)
from seqtrust.errors import InputError
from seqtrust.models.facts import Facts, Track
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow
from seqtrust.tables import read_table, write_table

LENGTH = 12
PROFILE = OutputSpec("profile", (0, 1), (1, 2, 4), "none", ("plus", "minus"))
TOTAL = OutputSpec("total", (1,), (1, 2), "sum", ("minus",))
OUTPUTS = [PROFILE, TOTAL]
REACHES = {"profile": [(-3, 4), (2, 6), (7, 20)], "total": [(2, 9)]}
FLOORS = {"profile": 0.01, "total": 0.05}


def sequence_set(codes):
    windows = [
        StoredWindow(f"w{row}", "toy", "c", 0, 0, LENGTH, "+", 0, bases)
        for row, bases in enumerate(codes)
    ]
    return SequenceSet(windows, [Sequence(f"s{row}", row) for row in range(len(codes))])


def contrasts(rows):
    columns = ("contrast_id", "reference_id", "alternative_id")
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(columns)})


@st.composite
def cases(draw):
    """Sequences that differ in few bases, contrasts of one or two pairs, small predictions."""
    count = draw(st.integers(2, 5))
    codes = np.zeros((count, LENGTH), dtype=np.uint8)
    for row in range(count):
        codes[row, draw(st.lists(st.integers(0, LENGTH - 1), max_size=2))] = 1 + row % 3
    pair = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    groups = draw(st.lists(st.lists(pair, min_size=1, max_size=2), min_size=1, max_size=4))
    replicates = {}
    for name in "abc"[: draw(st.integers(1, 3))]:
        order = draw(st.permutations(range(count)))
        values = {
            output.name: draw(
                arrays(
                    np.float32,
                    (count, *output.shape),
                    elements=st.sampled_from([0.0, 0.05, 0.1, 0.125, 0.6, 0.7]),
                )
            )
            for output in OUTPUTS
        }
        ids = [f"s{row}" for row in order]
        replicates[name] = Predictions(ids, values, OUTPUTS, FLOORS)
    return codes, groups, replicates


def naive_rows(codes, groups, replicates):
    for output in OUTPUTS:
        bins = output.bins if output.reduction == "none" else (-1,)
        for number, pairs in enumerate(groups):
            for track, track_name in enumerate(output.track_names):
                for column, bin_number in enumerate(bins):
                    start, stop = REACHES[output.name][column]
                    seen = slice(max(start, 0), stop)
                    references, effects = [], []
                    for replicate in replicates.values():
                        at = {key: row for row, key in enumerate(replicate.sequence_ids)}
                        values = replicate.values[output.name][:, track, column].astype(float)
                        ref = [values[at[f"s{a}"]] for a, _ in pairs]
                        alt = [values[at[f"s{b}"]] for _, b in pairs]
                        references.append(sum(ref) / len(ref))
                        effects.append(sum(alt) / len(alt) - references[-1])
                    yield {
                        "contrast_id": f"v{number}",
                        "output": output.name,
                        "track": track_name,
                        "bin": bin_number,
                        "reference": references,
                        "effect": effects,
                        "tie": [abs(e) <= TIE_FACTOR * FLOORS[output.name] for e in effects],
                        "out_of_reach": all(
                            codes[a][seen].tolist() == codes[b][seen].tolist() for a, b in pairs
                        ),
                    }


@given(cases())
def test_effects_against_a_loop(case):
    codes, groups, replicates = case
    # rows of one contrast need not stand together
    rows = [
        (f"v{number}", f"s{pairs[member][0]}", f"s{pairs[member][1]}")
        for member in (0, 1)
        for number, pairs in enumerate(groups)
        if member < len(pairs)
    ]
    found = compute_effects(contrasts(rows), sequence_set(codes), replicates, REACHES)
    expected = list(naive_rows(codes, groups, replicates))
    assert list(found) == [column.name for column in SCHEMA.columns]
    for column in found:
        values = [np.asarray(value).tolist() for value in found[column]]
        wanted = [row[column] for row in expected]
        if column in ("reference", "effect"):
            np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-15)
        else:
            assert values == wanted


def one_contrast(values, floor):
    """Effect and tie of two sequences with these predictions."""
    output = OutputSpec("total", (0,), (0,), "sum", ("t",))
    made = Predictions(
        ["s0", "s1"],
        {"total": np.array(values, dtype=np.float32).reshape(2, 1, 1)},
        [output],
        {"total": floor},
    )
    codes = np.eye(2, LENGTH, dtype=np.uint8)
    table = contrasts([("v", "s0", "s1")])
    found = compute_effects(table, sequence_set(codes), {"a": made}, {"total": [(0, LENGTH)]})
    return float(found["effect"][0][0]), bool(found["tie"][0][0])


def test_the_tie_is_ten_noise_floors_and_belongs_to_each_replicate():
    # statistics.md, section 3; eighths are exact in float32
    assert one_contrast([1.0, 2.25], 0.125) == (1.25, True)
    assert one_contrast([1.0, 2.375], 0.125) == (1.375, False)
    assert one_contrast([2.375, 1.0], 0.125) == (-1.375, False)
    assert one_contrast([1.0, 1.0], 0.0) == (0.0, True)
    assert one_contrast([1.0, np.nextafter(np.float32(1), np.float32(2))], 0.0)[1] is False


def test_differences_are_taken_in_double_precision():
    effect, _ = one_contrast([16777216.0, 0.5], 0.0)
    assert effect == 0.5 - 16777216.0


def test_the_columns_make_a_table(tmp_path):
    codes = np.eye(2, LENGTH, dtype=np.uint8)
    rng = np.random.default_rng(0)
    values = {o.name: rng.random((2, *o.shape)).astype(np.float32) for o in OUTPUTS}
    made = Predictions(["s0", "s1"], values, OUTPUTS, FLOORS)
    columns = compute_effects(
        contrasts([("v", "s0", "s1")]), sequence_set(codes), {"a": made}, REACHES
    )
    write_table(tmp_path / "effects.parquet", SCHEMA, columns)
    assert read_table(tmp_path / "effects.parquet", SCHEMA).num_rows == 2 * 3 + 1


def test_predictions_of_another_set_are_refused():
    made = Predictions(["s0"], {"total": np.zeros((1, 1, 1), np.float32)}, [TOTAL], FLOORS)
    assert aligned_values(made, TOTAL, ["s0", "s0"]).shape == (2, 1, 1)
    with pytest.raises(InputError, match="2 sequences have no prediction, first 's1'"):
        aligned_values(made, TOTAL, ["s0", "s1", "s2"])


FACTS = Facts(None, 4, 8, (Track("plus"), Track("minus")), 11, "toy1", "counts")


def predictions_with(shifts):
    metadata = {"facts": json.dumps(FACTS.to_dict()), "shifts": json.dumps(shifts)}
    return {"a": Predictions([], {}, OUTPUTS, {}, metadata)}


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=3))
def test_reaches_are_the_union_over_shifts(shifts):
    """A shift of the sequence to the right by s lets a bin see what lies s further left."""
    found = reaches(predictions_with(shifts))
    for output in OUTPUTS:
        kept = [(n, n) for n in output.bins] if output.reduction == "none" else [(1, 2)]
        assert len(found[output.name]) == len(kept)
        for (start, stop), (first, last) in zip(found[output.name], kept, strict=True):
            low, high = FACTS.reach(first, last)
            seen = {p - shift for shift in shifts for p in range(low, high)}
            assert (start, stop) == (min(seen), max(seen) + 1)


def test_facts_travel_with_predictions():
    assert facts_of(predictions_with([0])["a"]) == FACTS


POSITIVE = arrays(np.float64, 5, elements=st.floats(0, 1e3))


@given(POSITIVE, POSITIVE, st.floats(0.1, 10))
@settings(max_examples=50)
def test_scales_by_hand(reference, alternative, pseudocount):
    effect = alternative - reference
    expected = {
        "difference": effect,
        "log2_ratio": np.log2(alternative + pseudocount) - np.log2(reference + pseudocount),
        "relative": effect / (reference + pseudocount),
    }
    for scale in SCALES:
        found = on_scale(reference, effect, scale, pseudocount)
        np.testing.assert_allclose(found, expected[scale], rtol=1e-9, atol=1e-9)


def test_an_unknown_scale_is_refused():
    with pytest.raises(ValueError, match=r"'log2': expected one of difference, log2_ratio"):
        on_scale(np.ones(1), np.ones(1), "log2")
