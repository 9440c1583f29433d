"""Replicates from a config's settings: what the record says, and what is warned of."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from seqtrust.config import load_schema
from seqtrust.errors import InputError
from seqtrust.genome import SplitRegions
from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.models.facts import Track
from seqtrust.models.training_checkpoint import Checkpoint
from seqtrust.models.training_set import (
    bootstrapped,
    exchanged,
    tracks_and_control,
    train_replicate,
)
from seqtrust.models.training_settings import Seeds
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow
from seqtrust.targets import Targets, read_targets

LENGTH, BIN, WINDOWS = 128, 16, 40
REGIONS = SplitRegions.from_rows(
    [
        ("train", "c1", 0, 30 * LENGTH),
        ("validation", "c1", 30 * LENGTH, 36 * LENGTH),
        ("test", "c1", 36 * LENGTH, WINDOWS * LENGTH),
    ]
)
SETTINGS = {
    "replicates": 2,
    "architecture": "cnn",
    "parameters": {"channels": 4, "pool": [BIN]},
    "set": "tiles",
    "targets": "t.tsv",
    "splits": "s.bed",
    "training_fraction": 0.5,
    "bootstrap": False,
    "fixed_seeds": {},
    "checkpoint_minutes": 10,
    "epochs": 1,
}


def inputs(copied=()):
    """Tiles of a random contig with random targets; rows (to, from) of `copied` are equal."""
    random = np.random.default_rng(1)
    bases = random.integers(0, 4, (WINDOWS, LENGTH)).astype(np.uint8)
    for target, source in copied:
        bases[target] = bases[source]
    windows = [
        StoredWindow(f"w{row}", "toy", "c1", row * LENGTH, 0, LENGTH, "+", row * LENGTH, bases[row])
        for row in range(WINDOWS)
    ]
    values = random.gamma(1, 1, (WINDOWS * LENGTH // BIN, 2)).astype(np.float32)
    sequences = SequenceSet(windows, [Sequence(f"s{row}", row) for row in range(WINDOWS)])
    return sequences, Targets(("a", "b"), BIN, {"c1": values})


def trained(data=None, checkpoint=None, **changes):
    lines = []
    model = train_replicate(
        *(data or inputs()),
        REGIONS,
        seed=1,
        threads=1,
        device="cpu",
        build="toy1",
        settings=SETTINGS | changes,
        progress=lines.append,
        checkpoint=checkpoint,
    )
    return model, lines


def test_the_record_says_what_was_trained_on(tmp_path):
    model, lines = trained(fixed_seeds={"order": 5})
    record = model.record
    assert record["regions"] == REGIONS.rows()
    assert record["windows"] == {"test": 4, "train": 15, "unused": 15, "validation": 6}
    assert record["seeds"]["order"] == 5
    assert record["settings"]["fixed_seeds"] == {"order": 5}
    assert record["split_overlap"]["k"] == 31
    assert set(record["split_overlap"]["splits"]) == {"validation", "test"}
    assert [line.split(":")[0] for line in lines] == ["validation", "test", "epoch 1/1"]
    save_replicate(tmp_path / "r", model)


def test_a_held_out_copy_of_a_training_window_is_warned_of(caplog):
    with caplog.at_level(logging.WARNING):
        quiet, _ = trained()
        assert not caplog.records
        loud, lines = trained(inputs(copied=[(38, 0)]))
    assert quiet.record["split_overlap"]["splits"]["test"]["fraction"] < 0.1
    assert loud.record["split_overlap"]["splits"]["test"] == {
        "fraction": 1.0,
        "window": "w38",
        "training_window": "w0",
        "without_kmers": 0,
    }
    assert "(w38 in w0)" in lines[1]
    (warning,) = caplog.messages
    assert warning.startswith("a test window shares more than half of its k-mers with a training")


def test_copies_of_windows_that_are_not_trained_on_do_not_count():
    """Of 30 training windows every second is used; window 1 is not."""
    model, _ = trained(inputs(copied=[(38, 1)]))
    assert model.record["windows"]["unused"] == 15
    assert model.record["split_overlap"]["splits"]["test"]["fraction"] < 0.1


def test_columns_of_the_targets_and_a_prior_reach_the_network(tmp_path):
    """One value per window; only `a` is predicted, and the prior is of the training windows."""
    sequences, _ = inputs()
    values = np.random.default_rng(2).gamma(1, 1, (WINDOWS, 4)).astype(np.float32)
    targets = Targets(("a", "depth", "w", "a_sd"), LENGTH, {"c1": values})
    small = {"input_length": LENGTH, "channels": 4, "dense": 4, "control": 1}
    changes = {
        "architecture": "pooled_cnn",
        "parameters": small,
        "loss": "gaussian_nll",
        "control": ["depth"],
        "sample_weights": {"column": "w"},
        "target_sd": {"a": "a_sd"},
        "prior": {"gc": True},
        "training_fraction": 1.0,
    }
    model, _ = trained((sequences, targets), **changes)
    assert [track.name for track in model.facts.tracks] == ["a", "a:log_variance"]
    assert model.record["control"] == ["depth"]
    codes = sequences.codes()
    gc = ((codes == 1) | (codes == 2)).mean(axis=1)
    assert model.parameters["prior"]["centre"] == pytest.approx([gc[:30].mean()])
    save_replicate(tmp_path / "r", model)
    assert torch.equal(load_replicate(tmp_path / "r").predict(codes), model.predict(codes))
    unweighed, _ = trained(
        (sequences, Targets(("a", "depth", "a_sd"), LENGTH, {"c1": values[:, [0, 1, 3]]})),
        **changes | {"sample_weights": {"gc": {"bins": 4}}},
    )
    assert unweighed.record["data_sha256"] != model.record["data_sha256"]
    with pytest.raises(InputError, match="prior: it has no feature"):
        trained((sequences, targets), **changes | {"prior": {"gc": False}})
    with pytest.raises(InputError, match="'depth' is of the control and tells weights, groups or"):
        trained((sequences, targets), **changes | {"groups": {"column": "depth"}})


def test_a_state_is_left_for_the_script_to_remove(tmp_path):
    path = tmp_path / "r1.training.safetensors"
    trained(checkpoint=Checkpoint(path))
    assert path.exists()
    _, lines = trained(checkpoint=Checkpoint(path))
    assert "training goes on from 0 windows into epoch 2" in lines[2]


@pytest.mark.parametrize("missing", ["", "NA"])
def test_targets_with_empty_fields_train_with_a_mask(tmp_path, missing):
    sequences, targets = inputs()
    rows = [f"c1\t{i * BIN}\t{(i + 1) * BIN}\t{a}\t{b}" for i, (a, b)
            in enumerate(targets.values["c1"])]  # fmt: skip
    rows[5] = f"c1\t{5 * BIN}\t{6 * BIN}\t{missing}\t1"
    (tmp_path / "t.tsv").write_text("contig\tstart\tend\ta\tb\n" + "\n".join(rows) + "\n")
    holes = read_targets(tmp_path / "t.tsv", missing=True)
    assert np.argwhere(np.isnan(holes.values["c1"])).tolist() == [[5, 0]]
    model, _ = trained((sequences, holes), missing_targets="mask")
    assert model.record["settings"]["missing_targets"] == "mask"


def test_the_schema_offers_the_settings_of_training(request):
    """Every default of the schema is taken as it is."""
    schema = load_schema(request.config.rootpath / "config/schemas/config.schema.json")
    defaults = {
        name: entry["default"]
        for name, entry in schema["$defs"]["train"]["properties"].items()
        if "default" in entry
    }
    model, _ = trained(**(defaults | {"epochs": 1, "parameters": SETTINGS["parameters"]}))
    with_defaults, plain = model.record["settings"], trained(training_fraction=1.0)[0].record
    assert with_defaults == plain["settings"]


def test_a_bootstrap_draws_training_windows_only():
    splits = ["train"] * 200 + ["validation", "test", "unused"] * 5
    rows = bootstrapped(splits, seed=3)
    assert (rows[200:] == range(200, 215)).all()
    assert set(rows[:200]) < set(range(200))
    # a share of (1 - 1/n)^n is left out
    assert abs(len(set(rows[:200])) / 200 - 0.632) < 0.06
    assert (bootstrapped(splits, seed=3) == rows).all()
    assert (bootstrapped(splits, seed=4) != rows).any()


def test_targets_are_exchanged_within_each_split():
    splits = ["train"] * 200 + ["validation", "test"] * 20
    rows = exchanged(splits, seed=3)
    for split in set(splits):
        mine = [row for row, name in enumerate(splits) if name == split]
        assert sorted(rows[mine]) == mine
        assert (rows[mine] != mine).mean() > 0.8
    assert (exchanged(splits, seed=3) == rows).all()
    assert (exchanged(splits, seed=4) != rows).any()


def test_shuffled_targets_are_those_of_exchanged_windows():
    """Training is that on windows whose targets somebody has exchanged before."""
    sequences, targets = inputs()
    splits = [REGIONS.split_of("c1", row * LENGTH, (row + 1) * LENGTH) for row in range(WINDOWS)]
    rows = exchanged(splits, Seeds.derive(1).data)
    by_window = targets.values["c1"].reshape(WINDOWS, -1, 2)
    by_hand = Targets(targets.tracks, BIN, {"c1": by_window[rows].reshape(-1, 2)})
    whole = {"training_fraction": 1.0}
    shuffled = trained((sequences, targets), shuffled_targets=True, **whole)[0]
    same = trained((sequences, by_hand), **whole)[0]
    plain = trained((sequences, targets), **whole)[0]
    assert shuffled.record["data_sha256"] == same.record["data_sha256"]
    assert shuffled.record["data_sha256"] != plain.record["data_sha256"]
    assert (shuffled.record["shuffled_targets"], plain.record["shuffled_targets"]) == (True, False)


def test_replicates_of_a_bootstrap_differ_by_their_windows_alone():
    fixed = dict.fromkeys(("initialisation", "order", "dropout", "augmentation"), 1)
    same = {"bootstrap": True, "epochs": 4, "fixed_seeds": fixed | {"data": 5}}
    first, second = (trained(**same)[0].module.state_dict() for _ in range(2))
    assert all(bool((first[name] == second[name]).all()) for name in first)
    other = trained(**same | {"fixed_seeds": fixed | {"data": 6}})[0]
    assert other.record["bootstrap"] is True
    weight = other.module.state_dict()["read_out.weight"]
    assert bool((weight != first["read_out.weight"]).any())


def measured(*names, partners=None):
    values = np.random.default_rng(1).gamma(1, 1, (WINDOWS * LENGTH // BIN, len(names)))
    targets = Targets(names, BIN, {"c1": values.astype(np.float32)})
    return SimpleNamespace(
        tracks=names,
        partners=partners or targets.partners,
        bin_width=BIN,
        of_window=targets.of_window,
    )


def test_control_tracks_leave_the_targets_and_strands_become_partners():
    targets = measured("in_minus", "x_plus", "y", "in_plus", "x_minus")
    strands = [["x_plus", "x_minus"], ["in_plus", "in_minus"]]
    columns, tracks, control = tracks_and_control(targets, ["in_plus", "in_minus"], strands)
    assert columns == [1, 2, 4, 3, 0]
    assert tracks == [
        Track("x_plus", reverse_complement_index=2),
        Track("y"),
        Track("x_minus", reverse_complement_index=0),
    ]
    assert (control.names, control.swapped) == (("in_plus", "in_minus"), (1, 0))


def test_partners_of_the_targets_reach_the_model():
    targets = measured("a", "b", "c", partners=(2, None, 0))
    _, tracks, _ = tracks_and_control(targets, ["b"], [])
    assert [track.reverse_complement_index for track in tracks] == [1, 0]
    model, _ = trained((inputs()[0], targets))
    assert model.facts.swapped_tracks() == (2, 1, 0)


@pytest.mark.parametrize(
    ("control", "strands", "message"),
    [
        (["d"], [], "train: there is no measured track 'd'"),
        ([], [["a", "d"]], "train: there is no measured track 'd'"),
        (["a", "b", "c"], [], "control leaves no track to be predicted"),
        (["a", "a"], [], "or names one twice: found 'a', 'a'"),
        ([], [["a", "a"]], "'a' and 'a' are not the two strands of one experiment"),
        ([], [["a", "b"], ["b", "c"]], "'b' and 'c' are not the two strands"),
        (["a"], [["a", "b"]], "control holds only one strand of 'a' and 'b': name both"),
    ],
)
def test_controls_and_strands_that_do_not_fit_are_refused(control, strands, message):
    with pytest.raises(InputError, match=message):
        tracks_and_control(measured("a", "b", "c"), control, strands)


def test_a_control_trains_and_is_zero_at_inference():
    values = np.random.default_rng(1).poisson(2, (WINDOWS * LENGTH, 2)).astype(np.float32)
    network = {"channels": 4, "layers": 2, "first_kernel": 5, "profile_kernel": 5}
    model, _ = trained(
        (inputs()[0], Targets(("a", "b"), 1, {"c1": values})),
        architecture="bpnet",
        parameters=network | {"input_length": LENGTH, "control": 1},
        control=["b"],
        loss="multinomial_counts",
    )
    assert model.record["control"] == ["b"]
    assert model.facts.labels() == ("a",)
    codes = torch.from_numpy(inputs()[0].codes()[:3])
    with torch.inference_mode():
        zeros = model.module(model.encode(codes), torch.zeros(3, LENGTH, 1))
        assert torch.equal(model.predict(codes.numpy()), zeros)
        assert not torch.equal(model.module(model.encode(codes), zeros), zeros)
