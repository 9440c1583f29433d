"""The reference analysis against loops over bins, and against verdicts on the same predictions."""

from itertools import permutations

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.stats import pearsonr

from seqtrust import bases, reference_levels
from seqtrust.accuracy import correlation_table
from seqtrust.consistency import CORRELATED, INDEPENDENT, OBSERVED, PERMUTED
from seqtrust.edits import Edit
from seqtrust.errors import InputError
from seqtrust.genes import Point
from seqtrust.genome import SplitRegions
from seqtrust.models.facts import Facts, Track
from seqtrust.predictions import OutputSpec, Predictions, write_predictions
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow
from seqtrust.statistics import locus_bootstrap
from seqtrust.tables import dump
from seqtrust.targets import Targets
from seqtrust.uncertainty.assays import chosen_tracks, panels_of
from seqtrust.uncertainty.bins import (
    distances_to_points,
    gc_contents,
    judged_bins,
    points_in_bins,
)
from seqtrust.uncertainty.peaks import CALLERS
from seqtrust.uncertainty.reference_classes import expected_permuted, percentiles, window_draws
from seqtrust.uncertainty.reference_tables import reference_tables
from seqtrust.uncertainty.track_store import PredictionFiles
from seqtrust.verdicts import CORRECT, INCONSISTENT, INCORRECT, judge_bins, peak_calls

WIDTH, BINS, WINDOWS, CROP = 4, 12, 9, 8
LENGTH = WIDTH * BINS + 2 * CROP
TRACKS = ("a", "b", "c")
KEPT = (1, 2, 3, 5, 8, 9, 10, 11)
FACTS = Facts(None, WIDTH, CROP, tuple(Track(t, "DNASE") for t in TRACKS), 9, "toy1", "counts")
SPEC = OutputSpec("profile", (0, 1, 2), KEPT, "none", TRACKS)
REGIONS = SplitRegions.from_rows([("train", "c", 0, 5 * LENGTH), ("test", "c", 5 * LENGTH, 10**6)])
REPLICATES = ("r1", "r2", "r3")
SETTINGS = {
    "subsample": {"step": 1, "offset": 0},
    "fdr": 0.05,
    "tracks": ["b", 2],
    "signals": {},
    "least_peaks": 1,
    "least_tss_bins": 1,
    "assays": {"a": "one", "*": "two"},
}
POINTS = [
    Point("g1", "c", 2 * LENGTH + CROP + 9, "+"),
    Point("g2", "c", 2 * LENGTH + CROP + 10, "-"),
    Point("g3", "c", 6 * LENGTH + CROP + 35, "-"),
]


def sequences():
    rng = np.random.default_rng(5)
    strands = "+-+++-++-"
    windows = [
        StoredWindow(
            f"w{i}", "toy", "c", LENGTH * i, 0, LENGTH, strands[i], LENGTH * i,
            rng.choice([0, 1, 2, 3, 4], LENGTH, p=[0.2, 0.3, 0.2, 0.2, 0.1]).astype(np.uint8),
        )
        for i in range(WINDOWS)
    ]  # fmt: skip
    return SequenceSet(windows, [Sequence(f"s{i}", i) for i in range(WINDOWS)])


def measured(seed=1):
    rng = np.random.default_rng(seed)
    rate = rng.gamma(0.3, 5, (WINDOWS * LENGTH // WIDTH, len(TRACKS)))
    return rate, rng.poisson(rate).astype(np.float32)


def predicted(seed=2, noise=0.8):
    """Predictions that follow the rates, shape (R, N, tracks, bins)."""
    rate, _ = measured()
    found = np.empty((len(REPLICATES), WINDOWS, len(TRACKS), len(KEPT)), dtype=np.float32)
    rng = np.random.default_rng(seed)
    stored = sequences()
    truth = Targets(TRACKS, WIDTH, {"c": rate.astype(np.float32)})
    for window in range(WINDOWS):
        values = truth.of_window(stored.windows[window], CROP)[list(KEPT)].T
        found[:, window] = values * rng.lognormal(0, noise, (len(REPLICATES), *values.shape))
    return found


def written(folder, values, shards=2):
    paths = []
    for index, replicate in enumerate(REPLICATES):
        for shard, rows in enumerate(np.array_split(np.arange(WINDOWS), shards)):
            path = folder / f"{replicate}.{shard}.parquet"
            write_predictions(path, predictions_of(values[index][rows], rows))
            paths.append(path)
    return PredictionFiles.of(paths, REPLICATES, "profile")


def predictions_of(values, rows):
    metadata = {"facts": dump(FACTS.to_dict()), "shifts": "[0]"}
    return Predictions(
        [f"s{i}" for i in rows], {"profile": values}, [SPEC], {"profile": 1e-6}, metadata
    )


def in_memory(values):
    return {r: predictions_of(values[i], range(WINDOWS)) for i, r in enumerate(REPLICATES)}


def run(folder, targets, settings=SETTINGS, points=POINTS):
    classes = folder / "classes.parquet"
    tables = reference_tables(
        written(folder, predicted()), FACTS, sequences(), targets, REGIONS, settings, classes,
        points=points, seed=3,
    )  # fmt: skip
    return tables | {"classes": pq.read_table(classes).to_pandas()}


@pytest.fixture(scope="module")
def targets():
    return Targets(TRACKS, WIDTH, {"c": measured()[1]})


@pytest.fixture(scope="module")
def tables(tmp_path_factory, targets):
    return run(tmp_path_factory.mktemp("reference"), targets)


def test_accuracy_is_that_of_the_whole_table(tables, targets):
    expected = correlation_table(in_memory(predicted()), sequences(), targets, REGIONS, "profile")
    found = tables["accuracy"]
    both = found[found["split"] != "all"].merge(
        expected, on=["track", "split", "replicate"], suffixes=("", "_expected")
    )
    assert len(both) == len(expected) == len(TRACKS) * 2 * 4
    np.testing.assert_allclose(both["pearson_r"], both["pearson_r_expected"], atol=1e-6)
    assert (both["bins"] == both["bins_expected"]).all()


def test_pairs_are_correlations_of_logs(tables):
    values = predicted()
    found = tables["pairs"]
    assert len(found) == len(TRACKS) * 3 * 3
    for row in found[found["split"] == "test"].to_dict("records"):
        track = TRACKS.index(row["track"])
        a, b = (REPLICATES.index(row[f"replicate_{x}"]) for x in "ab")
        logs = [np.log2(values[i, 5:, track].astype(float).ravel() + 1) for i in (a, b)]
        assert row["pearson_r"] == pytest.approx(pearsonr(*logs).statistic, abs=1e-9)
        assert row["bins"] == 4 * len(KEPT)


@pytest.mark.parametrize("caller", CALLERS)
def test_classes_are_those_of_verdicts(tables, targets, caller):
    columns = judge_bins(
        in_memory(predicted()), sequences(), REGIONS, "profile",
        targets=targets, method=caller, fdr=0.05,
    )  # fmt: skip
    names = ["unit", "track", "bin", "split", "class"]
    verdicts = pd.DataFrame({name: columns[name] for name in names})
    verdicts["truth"] = columns["truth"].to_pylist()
    found = tables["classes"]
    mine = found[(found["level"] == OBSERVED) & (found["caller"] == caller)]
    holding = {("s2", 2), ("s6", 8)}
    places = zip(verdicts["unit"], verdicts["bin"], strict=True)
    at_tss = np.array([key in holding for key in places])
    peaks = verdicts["truth"] == 1
    subsets = {
        "all bins": peaks | True,
        "true peaks": peaks,
        "true peaks at a TSS": peaks & at_tss,
    }
    counted = 0
    for row in mine.to_dict("records"):
        chosen = verdicts[subsets[row["subset"]] & (verdicts["track"] == row["track"])]
        if row["split"] != "all":
            chosen = chosen[chosen["split"] == row["split"]]
        assert row["total"] == len(chosen)
        assert row["count"] == (chosen["class"] == row["class"]).sum()
        assert row["fraction"] == pytest.approx(row["count"] / row["total"])
        counted += row["count"]
    every = {CORRECT, INCONSISTENT, INCORRECT}
    assert set(mine["class"]) == every
    assert counted > 0


def test_intervals_are_bootstraps_over_windows(tables, targets):
    columns = judge_bins(
        in_memory(predicted()), sequences(), REGIONS, "profile", targets=targets, fdr=0.05
    )
    mine = np.array(columns["track"]) == "a"
    classes = np.array(columns["class"])[mine]
    sums = np.stack([classes == name for name in (CORRECT, INCONSISTENT, INCORRECT)], axis=1)
    low, high = locus_bootstrap(
        sums.astype(float), list(np.array(columns["unit"])[mine]),
        lambda s: s / s.sum(axis=-1, keepdims=True), seed=3,
    )  # fmt: skip
    found = tables["classes"].query(
        "track == 'a' and caller == 'matched' and subset == 'all bins' and split == 'all' "
        f"and level == '{OBSERVED}'"
    )
    np.testing.assert_allclose(found["low"], low, atol=1e-12)
    np.testing.assert_allclose(found["high"], high, atol=1e-12)


def test_levels_are_those_of_reference_levels(tables, targets):
    values = predicted()[:, :, 1].reshape(len(REPLICATES), -1).astype(float)
    stored = sequences()
    truth = np.stack([targets.of_window(w, CROP)[list(KEPT), 1] for w in stored.windows]).ravel()
    calls, of = peak_calls(values.T, truth, "matched", 0.05)
    correlation = reference_levels.replicate_correlation(values.T, False)
    expected = reference_levels.implied_by_correlation(
        correlation,
        [float(rate) for rate in (calls > 0).mean(axis=0)],
        float((calls == of[:, None]).mean()),
        float((of > 0).mean()),
        reference_levels.TRUE_POSITIVE,
    )
    where = "track == 'b' and caller == 'matched' and subset == 'true peaks' and split == 'all'"
    found = tables["classes"].query(where).set_index(["level", "class"])["fraction"]
    assert found[CORRELATED, CORRECT] == pytest.approx(expected.correct, abs=1e-6)
    assert found[CORRELATED, INCORRECT] == pytest.approx(expected.incorrect, abs=1e-6)
    assert found[INDEPENDENT, INCONSISTENT] == pytest.approx(0.75)
    rounds = reference_levels.permuted_truth(
        calls, of, ["b"] * len(of), np.repeat(np.arange(WINDOWS), len(KEPT)).astype(str).tolist(),
        seed=1, rounds=4000, positive_only=True,
    )  # fmt: skip
    assert found[PERMUTED, CORRECT] == pytest.approx(np.mean([r.correct for r in rounds]), abs=0.01)


@pytest.mark.parametrize("given", [reference_levels.EVERY, reference_levels.TRUE_POSITIVE])
def test_the_expected_permutation_is_the_mean_over_all_of_them(given):
    rng = np.random.default_rng(8)
    windows, bins = 4, 5
    calls = rng.random((3, windows * bins)) < 0.5
    calls[:, ::2] = calls[0, ::2]
    truth = rng.random(windows * bins) < 0.4
    found = expected_permuted(calls, truth, np.tile(np.arange(bins), windows), given)
    right, wrong = [], []
    for order in permutations(range(windows)):
        moved = truth.reshape(windows, bins)[list(order)].ravel()
        member = moved if given == reference_levels.TRUE_POSITIVE else np.full(len(moved), True)
        right.append(((calls == moved).all(axis=0) & member).sum() / member.sum())
        wrong.append(((calls != moved).all(axis=0) & member).sum() / member.sum())
    assert found.correct == pytest.approx(np.mean(right))
    assert found.incorrect == pytest.approx(np.mean(wrong))


def test_agreement_and_correctness_add_up_to_the_classes(tables):
    table = tables["agreement"]
    assert set(table["track"]) == {"b", "c"}
    for _, mine in table.groupby(["track", "caller", "split"]):
        assert mine["count"].sum() == mine["total"].iloc[0]
        valid = {(2, 1), (2, 2), (3, 0), (3, 3)}
        assert set(zip(mine["n_agree"], mine["n_correct"], strict=True)) == valid
    classes = tables["classes"].query(
        f"subset == 'true peaks' and level == '{OBSERVED}' and split == 'all' and track == 'b'"
    )
    for caller in CALLERS:
        mine = table.query(f"track == 'b' and caller == '{caller}' and split == 'all'")
        of = classes[classes["caller"] == caller].set_index("class")["count"]
        assert mine[mine["n_correct"] == 3]["count"].sum() == of[CORRECT]
        assert mine[mine["n_correct"] == 0]["count"].sum() == of[INCORRECT]


def test_attributes_are_of_the_named_track(tables, targets):
    """The published code took the tracks 0 and 1 instead of those named."""
    values = predicted()
    stored = sequences()
    found = tables["attributes"].query("caller == 'matched' and split == 'all'")
    for name in ("b", "c"):
        track = TRACKS.index(name)
        truth = np.stack([targets.of_window(w, CROP)[list(KEPT), track] for w in stored.windows])
        flat = values[:, :, track].reshape(len(REPLICATES), -1).astype(float)
        calls, of = peak_calls(flat.T, truth.ravel(), "matched", 0.05)
        right = (of > 0) & (calls > 0).all(axis=1)
        mine = found[(found["track"] == name) & (found["class"] == CORRECT)].set_index("attribute")
        assert mine.loc["target", "count"] == right.sum() > 0
        assert mine.loc["target", "median"] == pytest.approx(np.median(truth.ravel()[right]))
        means = flat.mean(axis=0)[right]
        assert mine.loc["mean prediction", "q75"] == pytest.approx(np.quantile(means, 0.75))
    assert {"distance to TSS", "GC content", "target", "mean prediction"} == set(found["attribute"])


def test_bins_with_a_tss_count_tracks_on_which_all_are_right(tables, targets):
    table = tables["tss_bins"]
    assert table["point"].tolist() == ["g1", "g2", "g3"]
    assert table["sequence_id"].tolist() == ["s2", "s2", "s6"]
    assert table["bin"].tolist() == [2, 2, 8]
    columns = judge_bins(
        in_memory(predicted()), sequences(), REGIONS, "profile", targets=targets, fdr=0.05
    )
    for row in table.to_dict("records"):
        right = [
            kind == CORRECT
            for unit, number, kind in zip(
                columns["unit"], columns["bin"], columns["class"], strict=True
            )
            if (unit, number) == (row["sequence_id"], row["bin"])
        ]
        assert (row["correct_matched"], row["tracks"]) == (sum(right), len(TRACKS))


def test_the_published_subsample_counts_from_bin_one(tmp_path, targets):
    subsample = {"subsample": {"step": 10, "offset": 1}}
    found = run(tmp_path, targets, SETTINGS | subsample)["classes"]
    whole = found.query("subset == 'all bins' and split == 'all'")
    assert set(whole["total"]) == {len(range(1, WINDOWS * len(KEPT), 10))}
    bins = judged_bins(sequences(), SPEC, FACTS, 10, 1)
    flat = bins.window * len(KEPT) + bins.column
    assert flat.tolist() == list(range(1, WINDOWS * len(KEPT), 10))


def test_what_was_not_measured_is_left_out(tmp_path):
    values = measured()[1]
    values[24:30, 0] = np.nan
    found = run(tmp_path, Targets(TRACKS, WIDTH, {"c": values}))
    whole = found["classes"].query(
        "subset == 'all bins' and split == 'all' and caller == 'matched'"
    )
    totals = whole.groupby("track")["total"].first()
    missing = sum(
        np.isnan(Targets(TRACKS, WIDTH, {"c": values}).of_window(w, CROP)[list(KEPT), 0]).sum()
        for w in sequences().windows
    )
    assert missing > 0
    assert totals["a"] == WINDOWS * len(KEPT) - missing
    assert totals["b"] == WINDOWS * len(KEPT)


def test_tracks_with_few_peaks_are_left_out_and_counted(tmp_path, targets):
    found = run(tmp_path, targets, SETTINGS | {"least_peaks": 10**6})["assays"]
    peaks = found.query("subset == 'true peaks' and split == 'all' and caller == 'matched'")
    assert dict(zip(peaks["assay"], peaks["left_out"], strict=True)) == {"one": 1, "two": 2}
    assert (peaks["tracks"] == 0).all()
    everywhere = found.query(f"subset == 'all bins' and split == 'all' and level == '{OBSERVED}'")
    assert (everywhere["left_out"] == 0).all()
    assert set(everywhere["tracks"]) == {1, 2}


def test_medians_over_tracks(tables):
    single = tables["classes"].query(
        f"subset == 'all bins' and split == 'all' and level == '{OBSERVED}' and assay == 'two'"
    )
    summary = tables["assays"].query(
        f"subset == 'all bins' and split == 'all' and level == '{OBSERVED}' and assay == 'two'"
    )
    for row in summary.to_dict("records"):
        mine = single[(single["class"] == row["class"]) & (single["caller"] == row["caller"])]
        assert row["median"] == pytest.approx(mine["fraction"].median())
        assert row["low"] <= row["median"] <= row["high"]


def test_no_tss_no_subset(tmp_path, targets):
    found = run(tmp_path, targets, points=None)
    assert set(found["classes"]["subset"]) == {"all bins", "true peaks"}
    assert found["tss_bins"].empty


def test_predictions_below_minus_one_are_refused(tmp_path, targets):
    values = predicted()
    values[1, 3, 2, 0] = -1.5
    with pytest.raises(InputError, match=r"a prediction of -1\.5.* needs predictions above -1"):
        reference_tables(
            written(tmp_path, values), FACTS, sequences(), targets, REGIONS, SETTINGS,
            tmp_path / "c.parquet",
        )  # fmt: skip


def test_another_set_is_refused(tmp_path, targets):
    files = written(tmp_path, predicted())
    whole = sequences()
    few = SequenceSet(whole.windows, whole.sequences[:-1])
    with pytest.raises(InputError, match="sequence 's8' is not in the set: predict it again"):
        reference_tables(files, FACTS, few, targets, REGIONS, SETTINGS, tmp_path / "c.parquet")
    more = SequenceSet(whole.windows, [*whole.sequences, Sequence("s9", 0)])
    with pytest.raises(InputError, match="1 of 10 windows have no prediction"):
        reference_tables(files, FACTS, more, targets, REGIONS, SETTINGS, tmp_path / "c.parquet")


def test_bins_lie_where_the_window_says():
    bins = judged_bins(sequences(), SPEC, FACTS)
    stored = sequences()
    gc = gc_contents(bins, stored, FACTS)
    distances = distances_to_points(bins, POINTS)
    inside = points_in_bins(bins, POINTS)
    for unit in range(len(bins)):
        window = stored.windows[bins.window[unit]]
        place = window.window
        first = CROP + bins.number[unit] * WIDTH
        if place.strand == "+":
            span = range(place.start + first, place.start + first + WIDTH)
        else:
            span = range(place.end - first - WIDTH, place.end - first)
        assert (bins.start[unit], bins.end[unit]) == (span.start, span.stop)
        letters = bases.decode(window.bases[span.start - place.start : span.stop - place.start])
        known = len(letters) - letters.count("N")
        strong = letters.count("G") + letters.count("C")
        np.testing.assert_allclose(gc[unit], strong / known if known else np.nan)
        away = [min(abs(base - point.position) for base in span) for point in POINTS]
        assert distances[unit] == min(away)
        holds = [point.name for point in POINTS if point.position in span]
        assert [point.name for row, point in inside if row == unit] == holds
    assert np.isnan(distances_to_points(bins, [Point("x", "elsewhere", 3, "+")])).all()


def test_edits_and_reduced_outputs_are_refused():
    whole = sequences()
    edited = SequenceSet(whole.windows, [Sequence("s0", 0, (Edit(1, 2, "A"),))])
    with pytest.raises(InputError, match="sequence 's0' has edits"):
        judged_bins(edited, SPEC, FACTS)
    reduced = OutputSpec("sum", (0,), (0, 1), "sum", ("a",))
    with pytest.raises(InputError, match="output 'sum' has reduction 'sum'"):
        judged_bins(whole, reduced, FACTS)
    with pytest.raises(InputError, match="no bin is left of 72 with offset 100"):
        judged_bins(whole, SPEC, FACTS, 1, 100)


def test_panels_and_chosen_tracks(tmp_path):
    assert panels_of(SPEC, FACTS, None) == ["DNASE"] * 3
    assert panels_of(SPEC, FACTS, {"b": "two", "*": "rest"}) == ["rest", "two", "rest"]
    path = tmp_path / "assays.tsv"
    path.write_text("track\tassay\na\tx\n1\ty\nc\tz\n")
    assert panels_of(SPEC, FACTS, path) == ["x", "y", "z"]
    path.write_text("track\tassay\na\tx\n")
    with pytest.raises(InputError, match=r"track 'b' \(index 1\) has no assay"):
        panels_of(SPEC, FACTS, path)
    path.write_text("track\tpanel\na\tx\n")
    with pytest.raises(InputError, match="needs the columns track and assay"):
        panels_of(SPEC, FACTS, path)
    some = OutputSpec("p", (687, 12), (0,), "none", ("CTCF", "DNASE"))
    assert chosen_tracks(some, ["DNASE", 687]) == [1, 0]
    with pytest.raises(InputError, match="tracks: 0 is not among those of output 'p': 687, 12"):
        chosen_tracks(some, [0])


def test_percentiles_leave_out_rounds_without_a_value():
    rounds = np.array([[1.0, 2.0], [np.nan, 3.0], [3.0, 4.0]])
    low, high = percentiles(rounds)
    np.testing.assert_allclose([low, high], np.percentile(rounds[[0, 2]], [2.5, 97.5], axis=0))
    assert np.isnan(percentiles(rounds[1:2])[0]).all()
    assert (window_draws(6, 1, 9).sum(axis=1) == 6).all()
