"""Tables of predictions: what is written is read, shards in their order."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqtrust.errors import InputError
from seqtrust.predictions import (
    OutputSpec,
    Predictions,
    read_predictions,
    read_replicates,
    write_predictions,
)

PROFILE = OutputSpec("profile", (0, 2), (3, 4, 5), "none", ("plus", "open"))
TOTAL = OutputSpec("total", (1,), (3, 4, 5), "sum", ("minus",))
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def predictions(ids, outputs=(PROFILE, TOTAL), seed=0, floor=0.5, **metadata):
    rng = np.random.default_rng(seed)
    values = {o.name: rng.normal(size=(len(ids), *o.shape)).astype(np.float32) for o in outputs}
    return Predictions(list(ids), values, list(outputs), {o.name: floor for o in outputs}, metadata)


def assert_equal(found, expected):
    assert found.sequence_ids == expected.sequence_ids
    assert found.outputs == expected.outputs
    for name, values in expected.values.items():
        assert found.values[name].dtype == np.float32
        assert np.array_equal(found.values[name], values)


def test_the_shape_follows_the_reduction():
    assert PROFILE.shape == (2, 3)
    assert TOTAL.shape == (1, 1)


@given(arrays(np.float32, st.tuples(st.integers(1, 5), st.just(2), st.just(3)), elements=FLOATS))
@settings(max_examples=30)
def test_round_trip_keeps_every_bit(tmp_path_factory, values):
    path = tmp_path_factory.getbasetemp() / "round_trip.parquet"
    ids = [f"s{row}" for row in range(len(values))]
    made = Predictions(ids, {"profile": values}, [PROFILE], {"profile": 1e-7}, {"build": "toy"})
    write_predictions(path, made)
    found = read_predictions([path])
    assert_equal(found, made)
    assert found.noise_floor == {"profile": 1e-7}
    assert found.metadata["build"] == "toy"
    assert json.loads(found.metadata["outputs"])[0]["bins"] == [3, 4, 5]


def test_shards_keep_their_order_and_the_largest_noise_floor(tmp_path):
    parts = [
        predictions(["b", "a"], seed=1, floor=0.1),
        predictions(["d"], seed=2, floor=0.3),
        predictions(["c"], seed=3, floor=0.2),
    ]
    paths = [tmp_path / f"{index}.parquet" for index in range(3)]
    for path, part in zip(paths, parts, strict=True):
        write_predictions(path, part)
    found = read_predictions(paths)
    assert found.sequence_ids == ["b", "a", "d", "c"]
    assert found.noise_floor == {"profile": 0.3, "total": 0.3}
    joined = np.concatenate([part.values["profile"] for part in parts])
    assert np.array_equal(found.values["profile"], joined)


def test_an_id_in_two_shards_is_refused(tmp_path):
    for name in "ab":
        write_predictions(tmp_path / name, predictions(["twin", name]))
    with pytest.raises(InputError, match="occurs in two shards"):
        read_predictions([tmp_path / "a", tmp_path / "b"])


def test_shards_with_different_outputs_are_refused(tmp_path):
    write_predictions(tmp_path / "a", predictions(["a"]))
    write_predictions(tmp_path / "b", predictions(["b"], outputs=(PROFILE,)))
    with pytest.raises(InputError, match="different outputs"):
        read_predictions([tmp_path / "a", tmp_path / "b"])


def test_replicates_own_consecutive_paths(tmp_path):
    paths = []
    for replicate in ("one", "two"):
        for shard in ("x", "y"):
            paths.append(tmp_path / f"{replicate}.{shard}")
            write_predictions(paths[-1], predictions([shard], source=replicate))
    found = read_replicates(paths, ["one", "two"])
    assert list(found) == ["one", "two"]
    for name, replicate in found.items():
        assert replicate.sequence_ids == ["x", "y"]
        assert replicate.metadata["source"] == name


def test_an_unknown_output_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"no output 'profil' .* profile, total"):
        predictions(["a"]).output("profil")
    assert predictions(["a"]).output("total") == TOTAL


def test_a_shard_without_sequences_is_a_table_too(tmp_path):
    write_predictions(tmp_path / "empty", predictions([]))
    write_predictions(tmp_path / "full", predictions(["a"]))
    assert_equal(read_predictions([tmp_path / "empty"]), predictions([]))
    assert_equal(read_predictions([tmp_path / "empty", tmp_path / "full"]), predictions(["a"]))
