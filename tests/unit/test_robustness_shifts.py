"""Shifts: each changes what its type allows and nothing else, and its ladder gets steeper."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from robustness_worlds import coverage_of, naive_activity, naive_gc, small_world

from seqtrust.calibration.regression import (
    gaussian_components,
    gaussian_intervals,
    interval_components,
    means_of,
    statistics,
)
from seqtrust.errors import InputError
from seqtrust.robustness.artefacts import read_bases, swapped_rows
from seqtrust.robustness.assay import Assay
from seqtrust.robustness.conditions import sample, sample_many, shifted_program
from seqtrust.robustness.count_moments import CountSettings
from seqtrust.robustness.groups import GroupEdges, crossed, group_columns
from seqtrust.robustness.sequences import gc_content
from seqtrust.robustness.shifts import (
    IN_DISTRIBUTION,
    LADDERS,
    Shift,
    every_shift,
    named_shift,
)

EVERY = every_shift()
LABELS = [shift.label for shift in EVERY]
TYPES = {
    "GC": "covariate", "SITE": "covariate", "PWM": "mixed", "REW": "concept", "CELL": "concept",
    "NOISE-M": "technical", "NOISE-A": "technical", "DEPTH": "technical", "BATCH": "technical",
    "GCBIAS": "technical", "ART": "mixed", "COMBO": "mixed",
}  # fmt: skip


@pytest.fixture(scope="module")
def world():
    return small_world()


@pytest.fixture(scope="module")
def training(world):
    return sample(world, IN_DISTRIBUTION, 400, 9)


def readout_of(world, shift):
    return world.drifted(shift.pwm_drift, shift.draw) if shift.pwm_drift else world.readout


def test_ladders_have_the_stated_steps():
    assert {name: len(ladder) for name, ladder in LADDERS.items()} == {
        "GC": 4, "SITE": 4, "PWM": 4, "REW": 4, "CELL": 4, "NOISE-M": 3, "NOISE-A": 3, "DEPTH": 3,
        "BATCH": 3, "GCBIAS": 3, "ART": 3, "COMBO": 3,
    }  # fmt: skip
    assert [shift.gc_mean for shift in LADDERS["GC"]] == [0.50, 0.55, 0.65, 0.75]
    assert [shift.rho for shift in LADDERS["REW"]] == [0.9, 0.7, 0.4, 0.0]
    assert [(shift.offset, shift.gain) for shift in LADDERS["BATCH"]] == [
        (0.25, 1), (0.5, 1.25), (1, 1.5),
    ]  # fmt: skip
    for step in range(3):
        combined = LADDERS["COMBO"][step]
        for name in ("GC", "BATCH", "DEPTH"):
            for factor in LADDERS[name][step].changed:
                assert getattr(combined, factor) == getattr(LADDERS[name][step], factor)
    assert len(set(LABELS)) == len(EVERY)


@pytest.mark.parametrize("shift", EVERY, ids=LABELS)
def test_a_shift_changes_what_its_type_allows(world, training, shift):
    found = sample(world, shift, 400, 9)
    same = {
        name: np.array_equal(getattr(found, name), getattr(training, name))
        for name in ("sequences", "molecules", "activity", "mean", "sd", "observed", "depth")
    }
    # what the shifted world makes of the training molecules
    terms = readout_of(world, shift).terms(training.molecules)
    there = shifted_program(world, shift, int(found.cells[0])).activity(terms)
    concept = not np.array_equal(there, training.activity)
    technical = shift.assay(Assay(), world.activity_sd) != Assay() or shift.swaps > 0
    reads = not np.array_equal(found.sequences, found.molecules)
    covariate = not same["molecules"]

    kinds = {"covariate": covariate, "concept": concept, "technical": technical}
    changed = [name for name, is_changed in kinds.items() if is_changed]
    if reads or len(changed) > 1:
        assert shift.type == "mixed"
    else:
        assert shift.type == (changed[0] if changed else "none")
    assert shift.type == TYPES.get(shift.name, "none")

    if shift.type in ("concept", "technical", "none"):
        assert same["sequences"]
        assert same["molecules"]
    if shift.type == "concept":
        assert not same["activity"]
        assert same["depth"]
    if shift.type == "technical":
        assert same["activity"]
        assert not same["observed"]
    if shift.type == "covariate":
        assert not same["sequences"]
        np.testing.assert_array_equal(there, training.activity)
        # the same assay: a training molecule would be measured with the same mean and sd
        assay = shift.assay(Assay(), world.activity_sd)
        again = assay.measure(there, gc_content(training.molecules), world.activity_sd, 9)
        np.testing.assert_allclose(again.mean, training.mean)
        np.testing.assert_allclose(again.sd, training.sd)
    if shift.type == "none":
        assert all(same.values())


@pytest.mark.parametrize("shift", EVERY, ids=LABELS)
def test_measurements_follow_the_stated_formula_under_every_shift(world, shift):
    found = sample(world, shift, 60, 12, cells=(0, 1))
    owner = swapped_rows(60, shift.swaps, 12)
    readout = readout_of(world, shift)
    unit = world.activity_sd
    for row in range(0, 60, 12):
        program = shifted_program(world, shift, int(found.cells[row]))
        eta = naive_activity(found.molecules[row], readout, program)
        assert found.activity[row] == pytest.approx(eta)
        assert found.gc[row] == pytest.approx(naive_gc(found.molecules[row]))
        measured = int(np.flatnonzero(owner == row)[0])
        mean = shift.offset * unit + shift.gain * eta + shift.gc_bias * (found.gc[row] - 0.45)
        log_noise = math.log(0.35) - 0.30 * min(max(eta / unit, -2.5), 2.5)
        variance = (
            (shift.multiplicative * math.exp(log_noise)) ** 2
            + 2 / found.depth[measured]
            + (shift.additive * unit) ** 2
        )
        assert found.mean[measured] == pytest.approx(mean)
        assert found.sd[measured] == pytest.approx(math.sqrt(variance))


@pytest.mark.parametrize("shift", EVERY, ids=LABELS)
def test_the_oracle_is_calibrated_under_every_shift(world, shift):
    seed = 100 + EVERY.index(shift)
    oracle = sample(world, shift, 2500, seed).oracle()
    parts = gaussian_components(oracle)
    parts |= interval_components(*gaussian_intervals(oracle), oracle.observed)
    found = statistics(means_of(parts, oracle.row_weights))
    # 42 conditions: four standard errors
    assert found["coverage", 0.9].item() == pytest.approx(0.9, abs=4 * math.sqrt(0.09 / 2500))
    assert found["zms", None].item() == pytest.approx(1, abs=4 * math.sqrt(2 / 2500))
    assert found["calibration_error", None].item() < 0.03


def test_the_oracle_is_calibrated_with_counts(world):
    assay = Assay(counts=CountSettings())
    for shift in (IN_DISTRIBUTION, named_shift("DEPTH", 2), named_shift("BATCH", 3)):
        found = sample(world, shift, 8000, 3, assay=assay)
        z = (found.observed - found.mean) / found.sd
        assert np.mean(z**2) == pytest.approx(1, abs=4 * np.sqrt(np.var(z**2) / 8000))
        assert coverage_of(found) == pytest.approx(0.9, abs=0.02)


def test_a_seed_fixes_a_condition_and_another_is_independent(world):
    shift = named_shift("COMBO", 2)
    one, again, other = (sample(world, shift, 200, seed) for seed in (1, 1, 2))
    for name in ("sequences", "mean", "observed", "depth", "planted"):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
    assert (one.sequences != other.sequences).any(axis=1).all()
    assert abs(np.corrcoef(one.depth, other.depth)[0, 1]) < 0.3


def test_many_conditions_are_those_drawn_alone(world):
    shifts = [EVERY[index] for index in (0, 2, 9, 10, 13, 3, 40, 0)]
    for shift, found in zip(shifts, sample_many(world, shifts, 50, 4), strict=True):
        alone = sample(world, shift, 50, 4)
        for name in ("sequences", "terms", "mean", "sd", "observed", "background_gc"):
            np.testing.assert_array_equal(getattr(found, name), getattr(alone, name))


def test_conditions_that_share_molecules_are_scanned_once(world, monkeypatch):
    scans = []
    plain = type(world.readout).terms
    monkeypatch.setattr(
        type(world.readout), "terms", lambda self, codes: scans.append(1) or plain(self, codes)
    )
    assert len(list(sample_many(world, EVERY, 20, 4))) == len(EVERY)
    # training, 4 GC, 4 SITE, 4 PWM, 3 COMBO
    assert len(scans) == 16


def test_gc_rises_by_the_step_times_the_share_of_background(world):
    start = sample(world, IN_DISTRIBUTION, 3000, 7)
    share = start.background_bases.mean() / 48
    for shift in LADDERS["GC"]:
        found = sample(world, shift, 3000, 7)
        rise = found.gc.mean() - start.gc.mean()
        assert rise == pytest.approx((shift.gc_mean - 0.45) * share, abs=0.006)


def test_turnover_weakens_sites_step_by_step(world):
    shifts = (IN_DISTRIBUTION, *LADDERS["SITE"])
    features = [found.features.mean() for found in sample_many(world, shifts, 1500, 7)]
    assert (np.diff(features) < 0).all()
    planted = [found.planted for found in sample_many(world, shifts, 300, 7)]
    assert all(np.array_equal(planted[0], other) for other in planted)


def test_drift_loses_what_the_old_motifs_say():
    """Read with the old motifs, drifted sequences say less and less of their activity."""
    correlations = []
    for seed in range(4):
        world = small_world(seed, width=8, motifs=4, reference=1000)
        program = world.program(0)
        rows = []
        for found in sample_many(world, (IN_DISTRIBUTION, *LADDERS["PWM"]), 600, 7):
            old = program.activity(world.readout.terms(found.molecules))
            rows.append(np.corrcoef(old, found.activity)[0, 1])
        correlations.append(rows)
    mean = np.mean(correlations, axis=0)
    assert mean[0] == pytest.approx(1)
    # the last two steps leave next to nothing
    assert (np.diff(mean[:4]) < 0).all()
    assert max(mean[3:]) < 0.35


@pytest.mark.slow
def test_rewired_activity_correlates_by_rho_and_keeps_its_mean():
    found = {shift.rho: [] for shift in LADDERS["REW"]}
    for seed in range(5):
        world = small_world(seed, motifs=6, reference=3000)
        old = sample(world, IN_DISTRIBUTION, 3000, 50)
        for shift, new in zip(
            LADDERS["REW"], sample_many(world, LADDERS["REW"], 3000, 50), strict=True
        ):
            difference = new.activity - old.activity
            # exact over the sequences of the moments, so an error of both samples is left
            assert abs(difference.mean()) < 4 * difference.std() * np.sqrt(2 / 3000)
            correlation = np.corrcoef(new.activity, old.activity)[0, 1]
            added = np.mean(difference**2) / (2 * old.activity.var())
            found[shift.rho].append((correlation, 1 - added))
    for rho, values in found.items():
        assert np.mean(values, axis=0) == pytest.approx([rho, rho], abs=0.06)


def test_cell_types_grow_apart_step_by_step():
    correlations = []
    for seed in range(12):
        world = small_world(seed, motifs=6, reference=500)
        own = world.program(0)
        correlations.append(
            [world.moments.correlation(own, world.program(2, s.cell_sd)) for s in LADDERS["CELL"]]
        )
    assert (np.diff(np.mean(correlations, axis=0)) < 0).all()
    assert np.mean(correlations, axis=0)[0] > 0.8


def test_the_cell_shift_measures_in_the_test_cell(world):
    trained = sample(world, IN_DISTRIBUTION, 400, 2, cells=(0, 1))
    assert np.unique(trained.cells).tolist() == [0, 1]
    assert trained.cells.mean() == pytest.approx(0.5, abs=0.1)
    shifted = sample(world, named_shift("CELL", 2), 400, 2, cells=(0, 1))
    assert np.unique(shifted.cells).tolist() == [2]
    # the second step is the sd of the world, so the cell is the world's own
    wanted = world.program(2).activity(world.readout.terms(shifted.molecules))
    np.testing.assert_array_equal(shifted.activity, wanted)
    chosen = sample(world, named_shift("CELL", 1), 50, 2, test_cell=1)
    assert np.unique(chosen.cells).tolist() == [1]


def test_concept_shifts_take_the_program_of_their_parameters(world):
    for shift in (*LADDERS["CELL"], *LADDERS["REW"], named_shift("REW", 3, draw=2)):
        found = sample(world, shift, 50, 2)
        if shift.cell_sd is None:
            program = world.rewired(0, shift.rho, shift.draw)
        else:
            program = world.program(2, shift.cell_sd)
        wanted = program.activity(world.readout.terms(found.molecules))
        np.testing.assert_array_equal(found.activity, wanted)


@pytest.mark.parametrize("name", ["NOISE-M", "NOISE-A", "DEPTH"])
def test_noise_grows_step_by_step_and_leaves_the_mean(world, training, name):
    variances = [np.mean(training.sd**2)]
    for found in sample_many(world, LADDERS[name], 400, 9):
        np.testing.assert_array_equal(found.mean, training.mean)
        assert (found.sd > training.sd).all()
        variances.append(np.mean(found.sd**2))
    assert (np.diff(variances) > 0).all()


@pytest.mark.parametrize("name", ["BATCH", "GCBIAS"])
def test_bias_grows_step_by_step_and_leaves_the_noise(world, training, name):
    errors = []
    for found in sample_many(world, LADDERS[name], 400, 9):
        np.testing.assert_array_equal(found.sd, training.sd)
        errors.append(np.mean((found.mean - training.mean) ** 2))
    assert (np.diff([0.0, *errors]) > 0).all()


def test_read_errors_leave_measurements_and_swaps_leave_reads(world, training):
    read = sample(world, named_shift("ART", 3, swaps=0.0), 400, 9)
    np.testing.assert_array_equal(read.molecules, training.molecules)
    np.testing.assert_array_equal(read.observed, training.observed)
    assert (read.sequences != training.sequences).any()
    swapped = named_shift("ART", 3, substitutions=0.0, masked=0.0)
    assert swapped.type == "technical"
    found = sample(world, swapped, 400, 9)
    np.testing.assert_array_equal(found.sequences, training.sequences)
    moved = found.observed != training.observed
    assert moved.sum() == 40
    for name in ("observed", "mean", "sd", "depth"):
        np.testing.assert_array_equal(
            np.sort(getattr(found, name)), np.sort(getattr(training, name))
        )
    np.testing.assert_array_equal(found.activity, training.activity)


def test_read_errors_have_the_stated_rates_and_are_nested():
    codes = np.random.default_rng(0).integers(0, 4, size=(500, 200)).astype(np.uint8)
    mild, severe = (read_bases(codes, rate, 0.0, 1) for rate in (0.005, 0.02))
    for read, rate in ((mild, 0.005), (severe, 0.02)):
        assert (read != codes).mean() == pytest.approx(rate, abs=4 * math.sqrt(rate / 100_000))
        assert read.max() < 4
    changed = mild != codes
    np.testing.assert_array_equal(severe[changed], mild[changed])
    turns = (severe[severe != codes].astype(int) - codes[severe != codes]) % 4
    np.testing.assert_allclose(np.bincount(turns, minlength=4)[1:] / len(turns), 1 / 3, atol=0.05)
    masked = read_bases(codes, 0.0, 0.05, 1)
    assert (masked == 4).mean() == pytest.approx(0.05, abs=0.003)
    np.testing.assert_array_equal(masked[masked < 4], codes[masked < 4])


@pytest.mark.parametrize("swaps", [0.0, 0.001, 0.1, 1.0])
def test_swaps_are_a_permutation_that_leaves_no_chosen_row_alone(swaps):
    owner = swapped_rows(300, swaps, 5)
    assert np.array_equal(np.sort(owner), np.arange(300))
    number = round(300 * swaps)
    assert (owner != np.arange(300)).sum() == (number if number > 1 else 0)


def test_group_columns_cut_a_condition_into_equal_groups(world):
    found = sample(world, IN_DISTRIBUTION, 900, 9, cells=(0, 1))
    columns = group_columns(found)
    tertiles = columns["activity_tertile"]
    assert [(tertiles == name).sum() for name in ("low", "middle", "high")] == [300, 300, 300]
    assert found.activity[tertiles == "low"].max() < found.activity[tertiles == "high"].min()
    deciles = columns["gc_decile"].astype(int)
    assert set(deciles.tolist()) == set(range(1, 11))
    ordered = [found.gc[deciles == step] for step in range(1, 11)]
    assert all(a.max() <= b.min() for a, b in pairwise(ordered))
    for row in range(0, 900, 90):
        sites = int(found.planted[row].sum())
        assert columns["motif_count"][row] == (str(sites) if sites < 6 else "6+")
        assert columns["cell"][row] == str(found.cells[row])
    pairs = crossed(columns, ["cell", "activity_tertile"])
    assert pairs[0] == f"{columns['cell'][0]} {tertiles[0]}"


def test_edges_of_training_data_keep_their_meaning_under_shift(world, training):
    edges = GroupEdges.of(training)
    shifted = sample(world, named_shift("GC", 4), 400, 9)
    deciles = group_columns(shifted, edges)["gc_decile"]
    assert (deciles == "10").mean() > 0.8
    assert (group_columns(shifted)["gc_decile"] == "10").mean() < 0.2


def test_parameters_of_a_step_can_be_named():
    assert named_shift("REW", 3, draw=2) == replace(LADDERS["REW"][2], draw=2)
    assert named_shift("GC", 0) == IN_DISTRIBUTION
    assert named_shift("BATCH", 1, gain=2.0).changed == ("offset", "gain")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: named_shift("RWE", 1), "there is no shift 'RWE'; did you mean 'REW'"),
        (lambda: named_shift("DEPTH", 4), "DEPTH has severities 1 to 3 .0: no shift., not 4"),
        (lambda: named_shift("GC", 1, gc_maen=0.5), "no parameter 'gc_maen'; did you mean 'gc_me"),
        (lambda: named_shift("GC", 1, severity=2), "no parameter 'severity'"),
        (lambda: named_shift("REW", 1, rho=1.1), "shift REW-1: rho is 1.1, it must be from 0 to 1"),
        (lambda: Shift(depth=0), "shift ID: depth is 0"),
        (lambda: Shift(gain=math.inf), "gain is inf, it must be finite"),
        (lambda: Shift(swaps=-0.1), "swaps is -0.1"),
        (lambda: Shift(gc_mean=1.4), "gc_mean is 1.4"),
        (lambda: Shift(rho=0.5, cell_sd=0.2), "rho and cell_sd both set the program"),
        (lambda: sample(small_world(), Shift(gc_mean=0.95), 5, 1), "gc_mean is 0.95"),
        (lambda: sample(small_world(), IN_DISTRIBUTION, 0, 1), "count is 0"),
        (lambda: sample(small_world(), IN_DISTRIBUTION, 5, 1, cells=(0, 7)), r"cells \[0, 7\]"),
        (lambda: sample(small_world(), IN_DISTRIBUTION, 5, 1, cells=()), "name at least one"),
        (lambda: sample(small_world(), IN_DISTRIBUTION, 5, 1, test_cell=3), r"cells \[3\]"),
    ],
)
def test_bad_shifts_are_refused(make, said):
    with pytest.raises(InputError, match=said):
        make()
