"""One pass over shards gives what whole arrays give."""

import json
from itertools import combinations

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrust.errors import InputError
from seqtrust.predictions import OutputSpec, Predictions, write_predictions
from seqtrust.uncertainty.track_store import Moments, PredictionFiles, scratch


def spec(tracks, bins, name="profile"):
    names = tuple(f"t{i}" for i in range(tracks))
    return OutputSpec(name, tuple(range(tracks)), tuple(range(bins)), "none", names)


def write(folder, values, ids, output, shards=2, floor=1e-6):
    """Shards of one replicate's values, shape (N, tracks, bins); their paths."""
    paths = []
    for shard, rows in enumerate(np.array_split(np.arange(len(ids)), shards)):
        path = folder / f"{shard}.parquet"
        part = Predictions(
            [ids[row] for row in rows],
            {output.name: values[rows].astype(np.float32)},
            [output],
            {output.name: floor * (shard + 1)},
            {"facts": "{}", "shifts": "[0]"},
        )
        write_predictions(path, part)
        paths.append(path)
    return paths


@pytest.mark.parametrize("bytes_at_once", [1, 300, 10**9])
def test_replicates_are_read_side_by_side_in_any_portions(tmp_path, bytes_at_once):
    rng = np.random.default_rng(1)
    values = rng.normal(size=(2, 7, 3, 4)).astype(np.float32)
    ids = [f"w{i}" for i in range(7)]
    paths = []
    for replicate in range(2):
        (tmp_path / str(replicate)).mkdir()
        paths += write(tmp_path / str(replicate), values[replicate], ids, spec(3, 4))
    files = PredictionFiles.of(paths, ["r1", "r2"], "profile")
    assert files.noise_floor == {"r1": 2e-6, "r2": 2e-6}
    parts = list(files.together(bytes_at_once))
    assert [key for keys, _ in parts for key in keys] == ids
    for replicate in range(2):
        found = np.concatenate([of[replicate] for _, of in parts])
        np.testing.assert_array_equal(found, values[replicate])


def test_replicates_in_another_order_and_unknown_outputs_are_refused(tmp_path):
    values = np.zeros((4, 2, 3))
    ids = ["a", "b", "c", "d"]
    for name, order in (("r1", ids), ("r2", ids[::-1])):
        (tmp_path / name).mkdir()
        write(tmp_path / name, values, order, spec(2, 3))
    paths = sorted(tmp_path.glob("r*/*.parquet"))
    files = PredictionFiles.of(paths, ["r1", "r2"], "profile")
    with pytest.raises(InputError, match="hold other sequences, or in another order"):
        list(files.together())
    with pytest.raises(InputError, match=r"there is no output 'profil' .* there are: profile"):
        PredictionFiles.of(paths, ["r1", "r2"], "profil")


@given(seed=st.integers(0, 10_000), tracks=st.integers(1, 3), parts=st.integers(1, 4))
def test_moments_of_parts_are_those_of_the_whole(seed, tracks, parts):
    rng = np.random.default_rng(seed)
    observations = int(rng.integers(parts, 60))
    # a large offset: sums of squares would lose the spread
    values = rng.normal(size=(tracks, 3, observations)) + 1e6
    values[:, 1] += values[:, 0] - 1e6
    used = rng.random((tracks, observations)) < 0.7
    bounds = np.sort(rng.integers(0, observations + 1, parts - 1))
    pieces = np.split(np.arange(observations), bounds)
    one, several = Moments(tracks, 3), []
    for piece in pieces:
        if not piece.size:
            continue
        apart = Moments(tracks, 3)
        for moments in (one, apart):
            moments.add(slice(0, tracks), values[:, :, piece], used[:, piece])
        several.append(apart)
    for moments in (one, Moments.joined(several)):
        found = moments.correlations()
        for track in range(tracks):
            mine = values[track][:, used[track]]
            assert moments.count[track] == mine.shape[1]
            if mine.shape[1] > 2:
                np.testing.assert_allclose(found[track], np.corrcoef(mine), atol=1e-7)


def test_the_mean_of_variables_has_the_moments_of_the_mean():
    rng = np.random.default_rng(4)
    values = rng.normal(size=(2, 3, 50)) + 5
    moments = Moments(2, 3)
    moments.add(slice(0, 2), values)
    found = moments.with_mean_of([0, 1]).correlations()
    for track in range(2):
        rows = np.vstack([values[track], values[track, :2].mean(axis=0)])
        np.testing.assert_allclose(found[track], np.corrcoef(rows), atol=1e-12)


def test_what_does_not_vary_has_no_correlation():
    values = np.random.default_rng(0).normal(size=(1, 3, 20))
    values[:, 0] = 0.1
    values[:, 2] = -values[:, 1]
    moments = Moments(1, 3)
    for part in np.split(values, 4, axis=2):
        moments.add(slice(0, 1), part)
    found = moments.with_mean_of([1, 2]).correlations()[0]
    for a, b in combinations(range(4), 2):
        assert np.isnan(found[a, b]) == (a == 0 or b == 3), (a, b)


def test_scratch_files_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch((3, 4)) as values:
        values[:] = 2
        assert list(tmp_path.iterdir())
        assert values.sum() == 24
    assert not list(tmp_path.iterdir())


def test_shards_that_differ_in_an_output_are_refused(tmp_path):
    for name, bins in (("r1", 3), ("r2", 4)):
        (tmp_path / name).mkdir()
        write(tmp_path / name, np.zeros((2, 2, bins)), ["a", "b"], spec(2, bins), shards=1)
    paths = sorted(tmp_path.glob("r*/*.parquet"))
    assert json.loads(pq.read_schema(paths[0]).metadata[b"outputs"])
    with pytest.raises(InputError, match="different outputs named 'profile'"):
        PredictionFiles.of(paths, ["r1", "r2"], "profile")
