"""Verdicts: the classes of every combination of calls, peaks against the published formula."""

import math
from itertools import pairwise, product

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqtrust.errors import InputError
from seqtrust.genome import SplitRegions
from seqtrust.models.card import Card
from seqtrust.models.facts import Facts, Track
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow
from seqtrust.tables import dump, read_table, write_table
from seqtrust.targets import Targets
from seqtrust.verdicts import (
    CORRECT,
    INCONSISTENT,
    INCORRECT,
    OUT_OF_REACH,
    SCHEMA,
    TIE,
    UNANIMOUS,
    classify,
    distance_strata,
    highest_bins,
    judge_bins,
    judge_effects,
    measured_bins,
    peak_calls,
    poisson_peaks,
    regions_of,
    sign_calls,
    splits_of,
    threshold_calls,
    verdict_columns,
)


def naive_class(calls, truth, out_of_reach):
    if out_of_reach:
        return OUT_OF_REACH
    if not any(calls):
        return TIE
    if len(set(calls)) > 1:
        return INCONSISTENT
    if truth == 0:
        return UNANIMOUS
    return CORRECT if calls[0] == truth else INCORRECT


@pytest.mark.parametrize("replicates", [1, 2, 5])
def test_every_combination_of_calls(replicates):
    units = list(product(product((-1, 0, 1), repeat=replicates), (-1, 0, 1), (False, True)))
    calls, truth, out = (np.array(column) for column in zip(*units, strict=True))
    found = classify(calls.astype(np.int8), truth.astype(np.int8), out)
    assert found.tolist() == [naive_class(*unit) for unit in units]


def test_fair_coins_of_five_replicates():
    # 2 (1/2)^5 = 6.25 % unanimous, half of them right
    calls = np.array(list(product((-1, 1), repeat=5)), dtype=np.int8)
    found = classify(calls, np.ones(32, dtype=np.int8), np.zeros(32, dtype=bool)).tolist()
    assert [found.count(name) for name in (CORRECT, INCONSISTENT, INCORRECT)] == [1, 30, 1]


SHAPES = st.tuples(st.integers(1, 8), st.integers(1, 5))
CALLS = arrays(np.int8, SHAPES, elements=st.integers(-1, 1))


@given(CALLS, st.data())
def test_the_order_of_replicates_and_units_and_the_sign_do_not_matter(calls, data):
    units, replicates = calls.shape
    truth = data.draw(arrays(np.int8, units, elements=st.integers(-1, 1)))
    out = data.draw(arrays(bool, units))
    found = classify(calls, truth, out)
    columns = data.draw(st.permutations(range(replicates)))
    rows = data.draw(st.permutations(range(units)))
    assert classify(calls[:, columns], truth, out).tolist() == found.tolist()
    assert classify(calls[rows], truth[rows], out[rows]).tolist() == found[rows].tolist()
    assert classify(-calls, -truth, out).tolist() == found.tolist()


@given(CALLS, st.data())
def test_counts_of_calls(calls, data):
    units, replicates = calls.shape
    truth = data.draw(arrays(np.int8, units, elements=st.integers(-1, 1)))
    nothing = np.zeros(units, dtype=bool)
    found = verdict_columns({}, calls, calls.astype(float), truth, nothing)
    for row in range(units):
        one = calls[row].tolist()
        counts = [one.count(call) for call in (1, -1, 0)]
        assert [found[f"n_{name}"][row] for name in ("positive", "negative", "tie")] == counts
        assert sum(counts) == replicates
        assert found["truth"][row].as_py() == (int(truth[row]) or None)
        expected = one.count(truth[row]) if truth[row] else None
        assert found["n_correct"][row].as_py() == expected


def test_nothing_to_judge_is_refused():
    empty = np.zeros((0, 5), dtype=np.int8)
    with pytest.raises(InputError, match="nothing to judge"):
        verdict_columns({}, empty, empty.astype(float), empty[:, 0], np.zeros(0, dtype=bool))


def test_a_tie_is_no_call_whatever_its_sign():
    effects = np.array([[-2.0, 3.0, 1e-9], [0.0, -1.0, 1.0]])
    ties = np.array([[False, False, True], [False, True, False]])
    assert sign_calls(effects, ties).tolist() == [[-1, 1, 0], [0, 0, 1]]


@given(st.lists(st.integers(-90, 90)), st.sets(st.integers(0, 60), min_size=1, max_size=3))
def test_strata_of_distance(distances, breaks):
    lows = {high: low + 1 for low, high in pairwise([-1, *sorted(breaks)])}
    for distance, label in zip(distances, distance_strata(distances, list(breaks)), strict=True):
        upper = [edge for edge in sorted(breaks) if abs(distance) <= edge]
        expected = f"{lows[upper[0]]} to {upper[0]} bp" if upper else f"over {max(breaks)} bp"
        assert label == expected


def test_without_breaks_there_is_one_stratum():
    assert distance_strata([1, -5], []) == ["", ""]


def published_peaks(values, fdr):
    """replicate-uncertainty.md, 1.2.3: y = 10 round(x, 1), p = 1 - CDF(y - 1), BH, q < fdr."""
    y = [round(10 * round(value, 1)) for value in values]
    mean = sum(y) / len(y)
    p = []
    for count in y:
        below = math.fsum(mean**k * math.exp(-mean) / math.factorial(k) for k in range(count))
        p.append(1 - below)
    order = sorted(range(len(p)), key=lambda bin_number: p[bin_number])
    peaks, q = [False] * len(p), 1.0
    for rank in range(len(p), 0, -1):
        q = min(q, p[order[rank - 1]] * len(p) / rank)
        peaks[order[rank - 1]] = q < fdr
    return peaks


@given(
    # no hundredths of 5: they lie halfway between two tenths
    st.lists(st.integers(0, 400).filter(lambda x: x % 10 != 5), min_size=1, max_size=40),
    st.sampled_from([0.01, 0.2]),
)
def test_peaks_against_the_published_formula(hundredths, fdr):
    values = [x / 100 for x in hundredths]
    assert poisson_peaks(values, fdr).tolist() == published_peaks(values, fdr)


def test_a_high_bin_is_a_peak_and_a_flat_track_has_none():
    assert np.flatnonzero(poisson_peaks([0.1] * 50 + [5.0])).tolist() == [50]
    assert not poisson_peaks([3.0] * 20).any()
    assert not poisson_peaks([0.0] * 20).any()


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), max_size=12), st.integers(0, 15))
def test_highest_bins_and_the_earlier_of_equal_ones(values, number):
    ranked = sorted(range(len(values)), key=lambda index: (-values[index], index))
    expected = sorted(ranked[:number])
    assert np.flatnonzero(highest_bins(values, number)).tolist() == expected


def test_matched_calls_have_as_many_peaks_as_the_truth():
    rng = np.random.default_rng(1)
    targets = np.where(rng.random(200) < 0.1, 8.0, 0.2)
    # the Poisson caller finds no peak in a prediction of small range
    predictions = targets[:, None] / 100 + rng.normal(0, 1e-3, (200, 3))
    calls, truth = peak_calls(predictions, targets, "matched", 0.01)
    assert (truth == np.where(targets > 1, 1, -1)).all()
    assert (calls == truth[:, None]).all()
    calls, _ = peak_calls(predictions, targets, "poisson", 0.01)
    assert (calls == -1).all()


def test_threshold_is_inclusive():
    assert threshold_calls(np.array([[0.4, 0.5, 0.6]]), 0.5).tolist() == [[-1, 1, 1]]


WIDTH, CROP, LENGTH = 4, 4, 24
FACTS = Facts(None, WIDTH, CROP, (Track("plus"), Track("minus")), 9, "toy1", "counts")
PROFILE = OutputSpec("profile", (1, 0), (0, 2, 3), "none", ("minus", "plus"))
REGIONS = SplitRegions.from_rows([("train", "chr1", 0, 24), ("test", "chr1", 24, 48)])


def windows(strands="++-"):
    return SequenceSet(
        [
            StoredWindow(
                f"w{row}", "toy", "chr1", 24 * row, 0, LENGTH, strand, 24 * row,
                np.zeros(LENGTH, dtype=np.uint8),
            )
            for row, strand in enumerate(strands)
        ],
        [Sequence(f"s{row}", row) for row in range(len(strands))],
    )  # fmt: skip


def replicates_with(values):
    metadata = {"facts": dump(FACTS.to_dict()), "shifts": "[0]"}
    ids = ["s0", "s1", "s2"]
    return {
        f"r{number}": Predictions(ids, {"profile": one}, [PROFILE], {"profile": 0.0}, metadata)
        for number, one in enumerate(values)
    }


TARGETS = Targets(
    ("plus", "minus"),
    WIDTH,
    {"chr1": np.random.default_rng(8).random((18, 2)).astype(np.float32)},
)


def test_measured_bins_against_a_loop():
    found = measured_bins(windows(), TARGETS, PROFILE, FACTS)
    assert found.shape == (3, 2, 3)
    for row, track, column in np.ndindex(found.shape):
        number = PROFILE.bins[column]
        offset = CROP + number * WIDTH
        start = 24 * row + offset if row < 2 else 24 * row + LENGTH - offset - WIDTH
        name = ("plus", "minus").index(PROFILE.track_names[track])
        assert found[row, track, column] == TARGETS.values["chr1"][start // WIDTH, name]


def test_strands_of_an_experiment_are_exchanged_where_a_window_is_on_the_minus_strand():
    tracks = (Track("plus", "", 1), Track("minus", "", 0))
    stranded = Facts(None, WIDTH, CROP, tracks, 9, "toy1", "counts")
    found = measured_bins(windows(), TARGETS, PROFILE, stranded)
    apart = measured_bins(windows(), TARGETS, PROFILE, FACTS)
    assert np.array_equal(found[:2], apart[:2])
    assert np.array_equal(found[2], apart[2, ::-1])


def test_a_track_without_measurement_is_refused():
    other = Targets(("plus",), WIDTH, TARGETS.values)
    with pytest.raises(InputError, match="no track 'minus'; they have: plus"):
        measured_bins(windows(), other, PROFILE, FACTS)


def test_bins_are_judged_against_a_loop(tmp_path):
    rng = np.random.default_rng(9)
    values = rng.random((2, 3, 2, 3)).astype(np.float32)
    columns = judge_bins(replicates_with(values), windows(), REGIONS, "profile", at_least=0.5)
    write_table(tmp_path / "verdicts.parquet", SCHEMA, columns)
    table = read_table(tmp_path / "verdicts.parquet", SCHEMA).to_pylist()
    splits = ["train", "test", "unknown"]
    position = 0
    for track, row, column in product(range(2), range(3), range(3)):
        one = table[position]
        scores = values[:, row, track, column].tolist()
        calls = [1 if score >= 0.5 else -1 for score in scores]
        assert one["unit"] == one["locus"] == f"s{row}"
        assert one["track"] == one["context"] == PROFILE.track_names[track]
        assert (one["bin"], one["split"]) == (PROFILE.bins[column], splits[row])
        assert (one["scores"], one["calls"], one["truth"]) == (scores, calls, None)
        assert one["class"] == naive_class(calls, 0, False)
        position += 1
    assert position == len(table)


def test_predictions_that_equal_the_measurement_are_right():
    targets = Targets(("plus", "minus"), WIDTH, {"chr1": np.full((18, 2), 0.2, np.float32)})
    targets.values["chr1"][[1, 9], 0] = 9
    truth = measured_bins(windows(), targets, PROFILE, FACTS).astype(np.float32)
    columns = judge_bins(
        replicates_with([truth, 2 * truth]), windows(), REGIONS, "profile", targets=targets
    )
    assert set(columns["class"]) == {CORRECT}
    peaks = [i for i, value in enumerate(columns["truth"].to_pylist()) if value == 1]
    assert [columns["track"][i] for i in peaks] == ["plus", "plus"]


def effects_table(rows):
    names = ("contrast_id", "output", "track", "bin", "effect", "tie", "out_of_reach")
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)})


CONTRASTS = pa.table(
    {
        "contrast_id": ["v1", "v2", "v3", "v2"],
        "reference_id": ["s0", "s1", "s2", "s1"],
        "distance": [-3, 70, 0, 70],
        "context": ["liver", "liver", "lung", "liver"],
        "locus": ["g1", "g1", "g2", "g1"],
        "truth_effect": [0.4, -0.1, None, -0.1],
    }
)


def test_effects_are_judged():
    rows = [
        ("v2", "total", "t", -1, [-1.0, -2.0], [False, False], False),
        ("v1", "total", "t", -1, [-1.0, -2.0], [False, False], False),
        ("v3", "total", "t", -1, [1.0, -2.0], [False, False], False),
        ("v1", "total", "t2", -1, [1e-9, 0.0], [True, True], False),
        ("v1", "total", "t3", -1, [1e-9, 1.0], [True, False], False),
        ("v3", "total", "t3", -1, [0.0, 0.0], [True, True], True),
        ("v1", "other", "t", -1, [1.0, 1.0], [False, False], False),
    ]
    columns = judge_effects(effects_table(rows), CONTRASTS, windows(), REGIONS, "total", [60])
    assert columns["unit"] == ["v2", "v1", "v3", "v1", "v1", "v3"]
    assert columns["split"] == ["test", "train", "unknown", "train", "train", "unknown"]
    assert columns["stratum"][:3] == ["over 60 bp", "0 to 60 bp", "0 to 60 bp"]
    assert columns["context"][:3] == ["liver", "liver", "lung"]
    assert columns["locus"][:3] == ["g1", "g1", "g2"]
    assert columns["truth"].to_pylist() == [-1, 1, None, 1, 1, None]
    assert columns["class"].tolist() == [
        CORRECT, INCORRECT, INCONSISTENT, TIE, INCONSISTENT, OUT_OF_REACH
    ]  # fmt: skip


def test_contexts_are_strata_where_there_are_no_breaks():
    rows = [(name, "total", "t", -1, [1.0], [False], False) for name in ("v1", "v3")]
    tables = effects_table(rows), CONTRASTS, windows(), REGIONS, "total"
    assert judge_effects(*tables, by_context=True)["stratum"] == ["liver", "lung"]
    assert judge_effects(*tables)["stratum"] == ["", ""]
    assert judge_effects(*tables, [60], by_context=True)["stratum"] == ["0 to 60 bp"] * 2


@pytest.mark.parametrize("pair", [("s0", "s1"), ("s1", "s0"), ("s1", "s2")])
def test_a_contrast_over_windows_of_two_splits_counts_as_the_one_that_was_seen(pair):
    columns = {name: CONTRASTS[name].to_pylist()[:1] * 2 for name in CONTRASTS.column_names}
    contrasts = pa.table(columns | {"reference_id": list(pair)})
    effects = effects_table([("v1", "total", "t", -1, [1.0], [False], False)])
    found = judge_effects(effects, contrasts, windows(), REGIONS, "total")
    assert found["split"] == ["train" if "s0" in pair else "test"]


def test_an_output_without_effects_is_refused():
    rows = [("v1", "other", "t", -1, [1.0], [False], False)]
    with pytest.raises(InputError, match="no effects of output 'total'; there are: other"):
        judge_effects(effects_table(rows), CONTRASTS, windows(), REGIONS, "total", [])


def test_the_data_split_comes_from_the_card():
    card = Card(1, "cnn", {}, FACTS.to_dict(), {"regions": [list(row) for row in REGIONS.rows()]})
    assert regions_of(card) == REGIONS
    assert splits_of(windows(), regions_of(card)) == {"s0": "train", "s1": "test", "s2": "unknown"}
    imported = Card(1, "cnn", {}, FACTS.to_dict(), {})
    assert set(splits_of(windows(), regions_of(imported)).values()) == {"unknown"}
    # what one replicate was trained on is seen; where one does not say, nothing is held out
    turned = [["train" if row[0] == "test" else "test", *row[1:]] for row in REGIONS.rows()]
    turned_card = Card(1, "cnn", {}, FACTS.to_dict(), {"regions": turned})
    both = splits_of(windows(), regions_of(card, turned_card))
    assert both == {"s0": "train", "s1": "train", "s2": "unknown"}
    partly = splits_of(windows(), regions_of(card, imported))
    assert partly == {"s0": "train", "s1": "unknown", "s2": "unknown"}


@given(arrays(np.float32, (2, 3, 2, 3), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])))
@settings(max_examples=25)
def test_swapping_replicates_keeps_the_classes(values):
    options = {"targets": TARGETS, "fdr": 0.5}
    one, other = (
        judge_bins(replicates_with(order), windows(), REGIONS, "profile", **options)
        for order in (values, values[::-1])
    )
    assert one["class"].tolist() == other["class"].tolist()
    assert one["n_correct"].equals(other["n_correct"])
