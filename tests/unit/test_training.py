"""Training: repeatable from its seeds, better than chance on a planted motif, strict on input."""

import json
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from training_cases import (
    network,
    planted,
    trained,
    weights,
)
from training_twins import pearson_per_track

from seqtrust.errors import InputError
from seqtrust.models.architectures import build_model
from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.models.facts import Facts, Track
from seqtrust.models.losses import PoissonLoss
from seqtrust.models.training import initialise, train
from seqtrust.models.training_data import swapped_targets
from seqtrust.models.training_settings import Seeds


def test_equal_seeds_give_equal_weights_and_records():
    first, second = trained(seed=3, max_shift=2), trained(seed=3, max_shift=2)
    assert torch.equal(weights(first[0]), weights(second[0]))
    assert first[1] == second[1]


def test_another_seed_gives_other_weights():
    assert not torch.equal(weights(trained(seed=3)[0]), weights(trained(seed=4)[0]))


@pytest.mark.parametrize("name", ["initialisation", "order", "dropout", "augmentation"])
def test_each_seed_matters_by_itself(name):
    seeds = Seeds.derive(3)
    other = Seeds(**(vars(seeds) | {name: 12345}))
    first, again, changed = (trained(seed=one)[0] for one in (seeds, 3, other))
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(changed))


def test_training_leaves_the_process_as_it_was():
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    model, _ = trained(threads=threads + 1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert not model.module.training


@pytest.mark.slow
def test_a_planted_motif_is_learned_on_its_strand():
    codes, targets, splits = planted()
    model, record = trained(epochs=40, learning_rate=2e-2)
    assert max(record.validation_r) > 0.8
    held_out = np.array(splits) == "validation"
    predicted = model.predict(codes[held_out]).numpy()
    per_track = pearson_per_track(predicted, targets[held_out])
    best = record.best_validation_r_per_track
    assert per_track == pytest.approx([best["forward"], best["reverse"]])


def test_the_best_epoch_is_kept():
    codes, targets, splits = planted()
    model, record = trained(epochs=6, learning_rate=5e-2)
    assert record.validation_r[record.best_epoch - 1] == max(record.validation_r)
    held_out = np.array(splits) == "validation"
    scores = pearson_per_track(model.predict(codes[held_out]).numpy(), targets[held_out])
    assert np.mean(np.nan_to_num(scores)) == pytest.approx(max(record.validation_r))


def test_held_out_windows_do_not_shape_the_weights():
    codes, targets, splits = planted()
    with_test = (
        np.concatenate([codes, codes[:4]]),
        np.concatenate([targets, 9 * targets[:4]]),
        [*splits, "test", "test", "unknown", "test"],
    )
    first, second = trained(), trained(data=with_test)
    assert torch.equal(weights(first[0]), weights(second[0]))
    assert second[1].windows == {"test": 3, "train": 48, "unknown": 1, "validation": 12}
    assert first[1].data_sha256 != second[1].data_sha256


def test_the_record_goes_with_the_model(tmp_path):
    model, record = trained()
    save_replicate(tmp_path / "r", model)
    loaded = load_replicate(tmp_path / "r")
    assert loaded.record == json.loads(json.dumps(record.to_dict()))
    assert loaded.record["seed"] == 0
    assert len(loaded.record["train_loss"]) == 2


def test_fine_tuning_starts_from_the_given_weights():
    model, _ = trained()
    before = weights(model)
    train(model, *planted(), seed=9, epochs=1, learning_rate=1e-12, keep_weights=True)
    names = [name for name, _ in model.module.named_parameters()]
    assert len(names) > 0
    after = weights(model)
    assert (after - before).abs().median() < 1e-9


def test_progress_has_one_line_per_epoch_with_the_time_left():
    lines = []
    trained(epochs=3, progress=lines.append)
    assert [line.split(":")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert all(re.search(r", \d+ windows/s, \d+ s left$", line) for line in lines)
    assert lines[-1].endswith(" 0 s left")


def test_mean_squared_error_trains_models_of_any_scale():
    codes, targets, splits = planted()
    model = build_model("cnn", {"pool": [16], "output": "identity"}, [Track("a")], "toy")
    one_track = np.log(targets[..., :1])
    train(model, codes, one_track, splits, seed=0, epochs=1, loss="mse")
    with pytest.raises(InputError, match="needs a model that predicts counts"):
        train(model, codes, targets[..., :1], splits, seed=0, epochs=1, loss="poisson")


@pytest.mark.parametrize("empty", ["train", "validation"])
def test_an_empty_split_is_refused(empty):
    codes, targets, splits = planted()
    renamed = ["test" if split == empty else split for split in splits]
    with pytest.raises(InputError, match=f"no window has the split '{empty}'"):
        trained(data=(codes, targets, renamed))


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_targets_that_the_loss_cannot_take_are_located(value):
    codes, targets, splits = planted()
    targets[7, 2, 1] = value
    with pytest.raises(InputError, match=r"window 7 .* bin 2, track 'reverse'"):
        trained(data=(codes, targets, splits))


def test_a_loss_that_explodes_is_refused():
    codes, targets, splits = planted()
    with pytest.raises(InputError, match=r"loss became .* lower the learning rate"):
        trained(data=(codes, targets * np.float32(5e37), splits), loss="mse")


def test_arrays_that_do_not_belong_together_are_refused():
    codes, targets, splits = planted()
    for data in (
        (codes, targets[:, 1:], splits),
        (codes, targets[:-1], splits),
        (codes, targets, splits[1:]),
    ):
        with pytest.raises(InputError, match="do not belong to 60 windows of 256 bp"):
            trained(data=data)
    constant = targets.copy()
    constant[np.array(splits) == "validation"] = 1
    with pytest.raises(InputError, match=r"no track varies .* validation_metric: loss"):
        trained(data=(codes, constant, splits))
    assert trained(data=(codes, constant, splits), validation_metric="loss")[1].epochs == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs is 0, but must be positive"),
        ({"batch_size": 0}, "batch_size is 0, but must be positive"),
        ({"learning_rate": -1}, "learning_rate is -1, but must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate is nan, but must be positive"),
        ({"weight_decay": -1}, "weight_decay is -1, but must not be negative"),
        ({"loss": "huber"}, "loss 'huber' is unknown: use one of poisson, mse, bce, "),
        ({"schedule": "step"}, "schedule 'step' is unknown: use one of cosine, plateau, constant"),
        ({"validation_metric": "r"}, "validation_metric 'r' is unknown: use one of pearson, auroc"),
        ({"precision": "float16"}, "precision 'float16' is unknown: use one of float32, bfloat16"),
        ({"missing_targets": "zero"}, "missing_targets 'zero' is unknown: use one of error, mask"),
        ({"beta": 2}, "beta is 2, but must be between 0 and 1"),
        ({"patience": 0}, "patience is 0, but must be at least 1 epoch, or none at all"),
        (
            {"optimiser": "lamb"},
            "optimiser 'lamb' is unknown: use one of adamw, adam, amsgrad, sgd",
        ),
        ({"momentum": 0.9}, "momentum is of optimiser sgd, not of 'adamw'"),
        ({"momentum": 1, "optimiser": "sgd"}, "momentum is 1, but must be from 0 to below 1"),
        ({"warm_up": 1}, "warm_up is 1, but must be from 0 to below 1"),
        ({"epsilon": 0}, "epsilon is 0, but must be positive"),
        ({"plateau_epochs": 0}, "plateau_epochs is 0, but must be positive"),
        ({"plateau_factor": 1}, "plateau_factor is 1, but must be between 0 and 1"),
        ({"steps": 0}, "steps is 0, but must be at least 1, or none at all"),
        ({"accumulate": 0}, "accumulate is 0, but must be positive"),
        ({"processes": 3}, "batch_size is 16, which 3 processes do not share evenly: make it a mu"),
        ({"processes": 2}, "2 processes asked for, but this is one of 1: only the rule train_rep"),
        ({"regularisation": {"mixin": 1}}, "regularisation has no 'mixin'; did you mean 'mixup'"),
        ({"max_shift": -1}, "max_shift is -1, but must not be negative"),
        ({"max_shift": 256}, "max_shift 256 is not below 256 bp"),
        ({"max_shift": 32}, "max_shift 32 moves sequences by whole bins of"),
        ({"fixed_seeds": {"ordre": 1}}, "fixed_seeds has no 'ordre'; did you mean 'order'"),
        ({"fixed_seeds": {"order": -1}}, "order is -1, but must be a whole number from 0"),
        ({"fixed_seeds": {"order": True}}, "order is True, but must be a whole number from 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        trained(**settings)


@pytest.mark.parametrize("name", ["initialisation", "order", "dropout", "augmentation"])
def test_a_fixed_seed_takes_the_place_of_the_derived_one(name):
    """Replicates with other seeds share what is fixed and nothing else, and say so."""
    records = [trained(seed=seed, epochs=1, fixed_seeds={name: 7})[1] for seed in (3, 4)]
    for seed, record in zip((3, 4), records, strict=True):
        assert vars(record.seeds) == vars(Seeds.derive(seed)) | {name: 7}
        assert record.settings["fixed_seeds"] == {name: 7}
    first = trained(seed=3, epochs=1, fixed_seeds={name: 7})[0]
    given = trained(seed=Seeds(**(vars(Seeds.derive(3)) | {name: 7})), epochs=1)[0]
    assert torch.equal(weights(first), weights(given))


def test_all_seeds_fixed_give_equal_replicates():
    fixed = vars(Seeds.derive(5))
    first, second = (trained(seed=seed, epochs=1, fixed_seeds=fixed)[0] for seed in (1, 2))
    assert torch.equal(weights(first), weights(second))


def test_patience_stops_training_and_changes_nothing_before():
    """With a constant rate, the run that stops is the beginning of the one that does not."""
    whole = trained(epochs=12, schedule="constant", learning_rate=0.1)[1]
    lines = []
    short = trained(
        epochs=12, schedule="constant", learning_rate=0.1, patience=2, progress=lines.append
    )[1]
    expected = next(
        epochs
        for epochs in range(1, 13)
        if epochs == 12 or epochs - 1 - int(np.argmax(whole.validation_r[:epochs])) == 2
    )
    assert short.epochs == expected < 12
    assert short.validation_r == whole.validation_r[:expected]
    assert short.train_loss == whole.train_loss[:expected]
    assert lines[-1] == (
        f"stopped after epoch {expected}: none was better in the 2 after epoch {short.best_epoch}"
    )


@pytest.mark.parametrize("metric", ["pearson", "loss"])
def test_the_kept_epoch_is_the_best_by_the_metric(metric):
    codes, targets, splits = planted()
    model, record = trained(epochs=6, learning_rate=5e-2, validation_metric=metric)
    scores = record.validation_r if metric == "pearson" else [-x for x in record.validation_loss]
    assert record.best_epoch == 1 + int(np.argmax(scores))
    held_out = np.array(splits) == "validation"
    predicted = torch.from_numpy(model.predict(codes[held_out]).numpy())
    loss = PoissonLoss()(predicted, torch.from_numpy(targets[held_out]))
    assert float(loss) == pytest.approx(record.validation_loss[record.best_epoch - 1], rel=1e-5)


def test_bfloat16_trains_other_but_near_weights_and_validates_in_float32():
    codes, targets, splits = planted()
    exact, rounded = (trained(precision=name) for name in ("float32", "bfloat16"))
    assert not torch.equal(weights(exact[0]), weights(rounded[0]))
    assert rounded[1].train_loss == pytest.approx(exact[1].train_loss, rel=0.05)
    assert {value.dtype for value in rounded[0].module.parameters()} == {torch.float32}
    held_out = np.array(splits) == "validation"
    scores = pearson_per_track(rounded[0].predict(codes[held_out]).numpy(), targets[held_out])
    assert np.mean(np.nan_to_num(scores)) == pytest.approx(max(rounded[1].validation_r))


def test_rates_are_not_rounded_to_bfloat16():
    model = network()
    codes = torch.from_numpy(planted()[0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rates = model(codes)
    assert rates.dtype == torch.float32
    assert not torch.equal(rates, rates.bfloat16().float())


def test_missing_targets_are_refused_or_left_out():
    codes, targets, splits = planted()
    holes = targets.copy()
    holes[np.random.default_rng(1).random(targets.shape) < 0.3] = np.nan
    with pytest.raises(InputError, match=r"target nan .* missing_targets: mask leaves out"):
        trained(data=(codes, holes, splits))
    model, record = trained(data=(codes, holes, splits), missing_targets="mask")
    filled = np.where(np.isnan(holes), 1e6, holes).astype(np.float32)
    assert all(np.isfinite(record.train_loss + record.validation_loss + record.validation_r))
    assert not torch.equal(weights(model), weights(trained(data=(codes, filled, splits))[0]))
    held_out = np.array(splits) == "validation"
    predicted = model.predict(codes[held_out]).numpy()
    for track, r in enumerate(record.best_validation_r_per_track.values()):
        there = ~np.isnan(holes[held_out][..., track])
        pairs = predicted[..., track][there], holes[held_out][..., track][there]
        assert r == pytest.approx(np.corrcoef(*pairs)[0, 1])


def test_a_mask_without_missing_targets_changes_the_result_by_rounding_alone():
    plain, masked = trained(), trained(missing_targets="mask")
    assert masked[1].train_loss == pytest.approx(plain[1].train_loss, rel=1e-4)


def test_masked_targets_still_need_something_to_learn():
    codes, targets, splits = planted()
    for split in ("train", "validation"):
        holes = targets.copy()
        holes[np.array(splits) == split] = np.nan
        with pytest.raises(InputError, match=f"every target of the {split} windows is missing"):
            trained(data=(codes, holes, splits), missing_targets="mask")


def test_probabilities_are_trained_with_cross_entropy_and_targets_outside_are_located():
    codes, targets, splits = planted()
    model = build_model("cnn", {"pool": [16], "output": "sigmoid"}, [Track("a")], "toy")
    called = (targets[..., :1] > 1).astype(np.float32)
    record = train(model, codes, called, splits, seed=0, epochs=2, loss="bce")
    assert record.train_loss[1] < record.train_loss[0] < 1
    called[3, 1, 0] = 1.5
    with pytest.raises(InputError, match=r"1.5 in window 3 .* 'bce' needs values between 0 and 1"):
        train(model, codes, called, splits, seed=0, loss="bce")


def test_a_track_is_turned_with_one_that_has_a_target():
    tracks = (Track("a", "", 1), Track("va", "", 0, variance_of=0))
    facts = Facts(None, 8, 0, tracks, 8, "toy", "log_expression")
    with pytest.raises(InputError, match="'a' has a variance for its other strand"):
        swapped_targets(facts)


def test_initialise_draws_from_its_seed_alone():
    first, second = network(), network()
    initialise(first.module, 1)
    initialise(second.module, 2)
    assert not torch.equal(weights(first), weights(second))
    initialise(second.module, 1)
    assert torch.equal(weights(first), weights(second))


def test_initialise_overlooks_no_layer():
    layer = torch.nn.Module()
    layer.scale = torch.nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match="'0' has weights but no reset_parameters"):
        initialise(torch.nn.Sequential(layer), 1)


@given(st.integers(0, 2**32 - 1))
def test_pearson_equals_numpy_and_is_nan_for_constants(seed):
    random = np.random.default_rng(seed)
    predicted = random.normal(size=(3, 5, 2)).astype(np.float32)
    target = random.normal(size=(3, 5, 2)).astype(np.float32)
    target[..., 1] = 2
    first, second = pearson_per_track(predicted, target)
    expected = np.corrcoef(predicted[..., 0].ravel(), target[..., 0].ravel())[0, 1]
    assert first == pytest.approx(expected)
    assert np.isnan(second)
