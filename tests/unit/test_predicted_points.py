"""Points at which the replicates' mean prediction is high, against a loop over bins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqtrust.errors import InputError
from seqtrust.genes import Point, read_points, write_points
from seqtrust.models.facts import Facts, Track
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow
from seqtrust.sources.predicted import high_positions, position_of_bin
from seqtrust.tables import dump

LENGTH, CROP = 24, 4
SPEC = OutputSpec("site", (0,), (0, 1, 3), "none", ("t",))


def facts(width=4):
    return Facts(None, width, CROP, (Track("t"),), 9, "toy1", "probability")


def window(start, strand, name="w"):
    codes = np.zeros(LENGTH, dtype=np.uint8)
    return StoredWindow(name, "toy", "chr2", start, 0, LENGTH, strand, start, codes)


def replicates_with(values, spec=SPEC, width=4):
    metadata = {"facts": dump(facts(width).to_dict())}
    return {
        f"r{number}": Predictions(
            [f"s{row}" for row in range(len(one))], {spec.name: one}, [spec], {}, metadata
        )
        for number, one in enumerate(values)
    }


def sequences(strands, step=LENGTH):
    windows = [window(step * row, strand, f"w{row}") for row, strand in enumerate(strands)]
    return SequenceSet(windows, [Sequence(f"s{row}", row) for row in range(len(windows))])


@given(st.integers(1, 8), st.integers(0, 3), st.sampled_from("+-"))
def test_a_bin_stands_for_its_middle_base(width, number, strand):
    start, end = CROP + number * width, CROP + (number + 1) * width
    assembly = list(range(100, 100 + LENGTH))
    seen = assembly if strand == "+" else assembly[::-1]
    inside = (seen + [0] * 20)[start:end]
    if end <= LENGTH:
        found = position_of_bin(window(100, strand), facts(width), number)
        assert found == inside[width // 2]


VALUES = arrays(np.float32, (2, 2, 1, 3), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0]))


@given(VALUES, st.sampled_from(["++", "+-", "-+"]))
def test_high_positions_against_a_loop(values, strands):
    mean = values.astype(float).mean(axis=0)[:, 0]
    set_ = sequences(strands)
    expected = {}
    for row in range(2):
        for column, number in enumerate(SPEC.bins):
            if mean[row, column] >= 0.5:
                offset = CROP + 4 * number + 2
                forward = LENGTH * row + offset
                backward = LENGTH * (row + 1) - 1 - offset
                position = forward if strands[row] == "+" else backward
                expected[position, strands[row]] = mean[row, column]
    replicates = replicates_with(values)
    if not expected:
        with pytest.raises(InputError, match=r"no position of output 'site' .* the selection is"):
            high_positions(replicates, set_, "site", 0.5)
        return
    found = high_positions(replicates, set_, "site", 0.5)
    assert {(point.position, point.strand): point.score for point in found} == expected
    assert len(found) == len(expected)
    assert [point.position for point in found] == sorted(point.position for point in found)


def test_a_position_in_two_windows_keeps_the_higher_mean():
    # windows 8 bp apart: bin 3 of the first and bin 1 of the second are one
    values = np.zeros((1, 2, 1, 3), dtype=np.float32)
    values[0, 0, 0, 2], values[0, 1, 0, 1] = 0.5, 0.75
    found = high_positions(replicates_with(values), sequences("++", step=8), "site", 0.5)
    assert found == [Point("chr2_19_+", "chr2", 18, "+", 0.75)]


def test_the_order_of_predictions_is_that_of_their_ids():
    values = np.zeros((2, 1, 3), dtype=np.float32)
    values[1, 0, 0] = 1
    one = replicates_with([values])["r0"]
    turned = Predictions(["s1", "s0"], {"site": values[::-1]}, [SPEC], {}, one.metadata)
    set_ = sequences("++")
    assert high_positions({"a": turned}, set_, "site", 0.5) == high_positions(
        {"a": one}, set_, "site", 0.5
    )


@pytest.mark.parametrize(
    "spec",
    [
        OutputSpec("site", (0, 1), (0,), "none", ("t", "u")),
        OutputSpec("site", (0,), (0, 1), "sum", ("t",)),
    ],
)
def test_an_output_of_several_tracks_or_a_sum_is_refused(spec):
    values = np.ones((1, 2, *spec.shape), dtype=np.float32)
    with pytest.raises(InputError, match=r"'site' has . tracks and reduction"):
        high_positions(replicates_with(values, spec), sequences("++"), "site", 0.5)


def test_points_are_read_back_as_they_were_written(tmp_path, tiny_genome):
    points = [
        Point("chr2_19_+", "chr2", 18, "+", 0.75, 1),
        Point("chr2_8_-", "chr2", 7, "-", 0.123457, 2),
    ]
    write_points(tmp_path / "points.bed", points)
    assert read_points(tmp_path / "points.bed", tiny_genome) == points
