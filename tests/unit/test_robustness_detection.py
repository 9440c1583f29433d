"""Tests for a shift: what each can see, and what none without labels can."""

import numpy as np
import pytest
from robustness_benchmark import values_of, written_world

from seqtrust.robustness.label_tests import (
    ALLOWANCE,
    BETS,
    JUMP,
    NEVER,
    conformal_p,
    cusum,
    cusum_threshold,
    first_alarms,
    jumper,
    martingale,
)
from seqtrust.robustness.sequence_tests import (
    areas_under_roc,
    classifier_test,
    mmd_test,
    permuted_labels,
    sequence_features,
    stated_features,
)
from seqtrust.robustness.shift_detection import (
    DELAY,
    DETECTED,
    LABELS,
    SCHEMA,
    SEQUENCES,
    STATED,
    STATISTIC,
    DetectionSettings,
    detections,
)
from seqtrust.robustness.shift_rows import read_fits, write_rows
from seqtrust.robustness.stated_tables import ideal

SHIFTS = {"GC": [4], "REW": [4], "NOISE-A": [3], "BATCH": [3], "NOISE-M": [3]}
SAME_INPUTS = ("REW-4", "NOISE-A-3", "BATCH-3", "NOISE-M-3")
SETTINGS = DetectionSettings(
    batches=(40,), draws=4, reference=200, permutations=59, within=(20, 100), streams=40
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    return written_world(folder / "1.parquet", shifts=SHIFTS, sizes=(600, 100, 600, 400))


@pytest.fixture(scope="module")
def found(world):
    """Of the ideal model: {(data set, test, looks at, samples, metric): value}."""
    stated = ideal(world, world.names(taught=False))
    return values_of(detections(world, stated, SETTINGS, seed=1))


# without labels


@pytest.mark.parametrize("test", ["classifier", "mmd"])
@pytest.mark.parametrize("looks_at", [SEQUENCES, STATED])
def test_equal_inputs_have_the_very_statistics_of_unshifted_data(found, test, looks_at):
    for metric in (STATISTIC, DETECTED):
        unshifted = found["ID", test, looks_at, 40, metric]
        for name in SAME_INPUTS:
            assert found[name, test, looks_at, 40, metric] == unshifted
    assert found["GC-4", test, SEQUENCES, 40, DETECTED] == 1
    assert found["ID", test, SEQUENCES, 40, DETECTED] <= 0.5


@pytest.mark.parametrize("run", [classifier_test, mmd_test])
def test_p_values_are_uniform_where_samples_are_alike(run):
    rng = np.random.default_rng(3)
    p = []
    for _ in range(200):
        features = rng.standard_normal((60, 3)) ** 3
        p.append(run(features, permuted_labels(40, 20, 39, rng)).p)
    # 200 draws: two standard errors are .031 at .05 and .07 at .5
    assert np.mean(np.array(p) <= 0.05) < 0.05 + 0.031
    assert abs(np.mean(np.array(p) <= 0.5) - 0.5) < 0.1


def test_both_see_another_mean_and_mmd_another_shape():
    rng = np.random.default_rng(5)
    labels = permuted_labels(150, 150, 99, rng)
    moved = np.concatenate([rng.standard_normal((150, 2)), rng.standard_normal((150, 2)) + 0.7])
    assert classifier_test(moved, labels).p == mmd_test(moved, labels).p == 0.01
    apart = rng.choice([-1.0, 1.0], size=(150, 1)) + 0.1 * rng.standard_normal((150, 1))
    shape = np.concatenate([rng.standard_normal((150, 1)), apart])
    assert mmd_test(shape, labels).p == 0.01


def test_statistics_are_those_of_their_naive_twins():
    rng = np.random.default_rng(7)
    scores = rng.integers(0, 6, size=(25, 4)).astype(float)
    labels = permuted_labels(15, 10, 3, rng)
    for column, area in enumerate(areas_under_roc(scores, labels)):
        new, old = (scores[labels[:, column] == one, column] for one in (1, 0))
        pairs = [(a > b) + 0.5 * (a == b) for a in new for b in old]
        assert area == pytest.approx(np.mean(pairs))
    features = rng.standard_normal((25, 2))
    unit = (features - features.mean(axis=0)) / features.std(axis=0)
    apart = [[float(((a - b) ** 2).sum()) for b in unit] for a in unit]
    middle = np.median([apart[i][j] for i in range(25) for j in range(i + 1, 25)])
    new = labels[:, 0] == 1
    kernel = np.exp(-np.array(apart) / middle)
    expected = (
        kernel[np.ix_(new, new)].mean() + kernel[np.ix_(~new, ~new)].mean()
        - 2 * kernel[np.ix_(new, ~new)].mean()
    )  # fmt: skip
    assert mmd_test(features, labels).statistic == pytest.approx(expected)


def test_a_classifier_of_noise_is_no_better_than_chance():
    rng = np.random.default_rng(9)
    areas = [
        classifier_test(rng.standard_normal((80, 20)), permuted_labels(40, 40, 1, rng)).statistic
        for _ in range(40)
    ]
    assert abs(np.mean(areas) - 0.5) < 0.05


def test_features_are_shares_of_words_and_squares(world):
    codes = world.condition("ID").sequences[:50]
    features = sequence_features(codes)
    assert features.shape == (50, 34)
    assert np.allclose(features[:, :32].sum(axis=1), 1)
    stated = stated_features(np.arange(4.0), np.ones(4))
    assert np.allclose(stated[:, 0], np.arange(4))
    assert np.allclose(stated[:, [1, 3]], 0)
    assert np.allclose(stated[:, 2], (np.arange(4) - 1.5) ** 2)


# with labels


def test_labels_see_what_sequences_cannot(found):
    alarms = {(name, test): found[name, test, LABELS, 100, DETECTED]
              for name in (*SAME_INPUTS, "ID")
              for test in ("cusum_mean", "cusum_spread", "martingale")}  # fmt: skip
    assert alarms["BATCH-3", "cusum_mean"] == 1
    for name in ("REW-4", "NOISE-A-3", "NOISE-M-3"):
        assert alarms[name, "cusum_spread"] == 1
        assert alarms[name, "martingale"] > 0.8
    # streams are orders of the same 400 rows, so that false alarms come together
    for test in ("cusum_mean", "cusum_spread", "martingale"):
        assert alarms["ID", test] < 0.4


def test_delays_shrink_with_what_is_seen_and_never_exceed_the_stream(found):
    delay = {name: found[name, "cusum_spread", LABELS, 100, DELAY]
             for name in ("ID", "NOISE-A-3", "REW-4")}  # fmt: skip
    assert delay["NOISE-A-3"] < delay["REW-4"] < delay["ID"] <= 100
    shares = [found["REW-4", "cusum_spread", LABELS, within, DETECTED] for within in (20, 100)]
    assert shares[0] <= shares[1]


def naive_cusum(values):
    up = down = 0.0
    path = []
    for value in values:
        up, down = max(up + value - ALLOWANCE, 0), max(down - value - ALLOWANCE, 0)
        path.append(max(up, down))
    return path


def naive_jumper(p):
    capital = {bet: 1 / len(BETS) for bet in BETS}
    path = []
    for value in p:
        total = sum(capital.values())
        capital = {
            bet: ((1 - JUMP) * own + JUMP * total / len(BETS)) * (1 + bet * (value - 0.5))
            for bet, own in capital.items()
        }
        path.append(sum(capital.values()))
    return path


def test_paths_are_those_of_their_naive_twins():
    rng = np.random.default_rng(11)
    streams = rng.standard_normal((3, 30))
    assert np.allclose(cusum(streams), [naive_cusum(row) for row in streams])
    p = rng.random((3, 30))
    assert np.allclose(jumper(p), [naive_jumper(row) for row in p])
    calibration = rng.integers(0, 4, size=12).astype(float)
    whole = rng.integers(0, 4, size=(2, 8)).astype(float)
    ties = rng.random((2, 8))
    for row, own, found in zip(whole, ties, conformal_p(calibration, whole, ties), strict=True):
        for place, value in enumerate(row):
            before = [*calibration, *row[:place]]
            larger = sum(one > value for one in before)
            equal = sum(one == value for one in before) + 1
            assert found[place] == pytest.approx((larger + own[place] * equal) / (len(before) + 1))


def test_conformal_p_values_are_uniform_and_independent_without_a_shift():
    rng = np.random.default_rng(13)
    streams = np.stack([rng.standard_normal(40) for _ in range(400)])
    p = np.stack([
        conformal_p(rng.standard_normal(30), row[None], rng.random((1, 40)))[0] for row in streams
    ])  # fmt: skip
    # 16,000 values: the standard error of a mean of uniforms is .0023
    assert abs(p.mean() - 0.5) < 0.01
    assert abs(p.std() - np.sqrt(1 / 12)) < 0.01
    neighbours = np.corrcoef(p[:, :-1].ravel(), p[:, 1:].ravel())[0, 1]
    assert abs(neighbours) < 0.03


def test_false_alarms_stay_at_their_level():
    rng = np.random.default_rng(17)
    level, horizon = 0.1, 80
    alarms = {"cusum": [], "martingale": []}
    for _ in range(60):
        calibration = rng.standard_normal(400)
        streams = rng.standard_normal((10, horizon))
        values = (streams - calibration.mean()) / calibration.std()
        height = cusum_threshold(calibration, horizon, level, rng, streams=300)
        alarms["cusum"] += (first_alarms(cusum(values), height) != NEVER).tolist()
        path = martingale(calibration, streams, rng)
        alarms["martingale"] += (first_alarms(path, 1 / level) != NEVER).tolist()
    # streams of one calibration set depend on each other: a wide margin
    assert np.mean(alarms["cusum"]) < 0.1 + 0.06
    assert np.mean(alarms["martingale"]) < 0.1


def test_alarms_are_counted_from_one():
    path = np.array([[0.0, 3.0, 1.0], [0.0, 1.0, 2.0], [5.0, 0.0, 0.0]])
    assert first_alarms(path, 2).tolist() == [2, NEVER, 1]


def test_rows_come_back_with_their_shifts(world, found, tmp_path):
    stated = ideal(world, world.names(taught=False))
    quick = DetectionSettings(batches=(20,), draws=1, reference=50, permutations=19,
                              within=(10,), streams=10)  # fmt: skip
    rows = list(detections(world, stated, quick, seed=1))
    count = write_rows(tmp_path / "x.parquet", SCHEMA, world, rows)
    table = read_fits([tmp_path / "x.parquet"], [("ideal", 1, 1)], SCHEMA)
    assert count == len(table) == len(rows)
    kinds = table.drop_duplicates("data_set").set_index("data_set")["type"]
    assert kinds["GC-4"] == "covariate"
    assert kinds["REW-4"] == "concept"
    assert list(table["value"]) == [row.value for row in rows]
    again = list(detections(world, stated, quick, seed=1))
    assert again == rows
