"""Training: repeatable from its seeds, better than chance on a planted motif, strict on input."""

import json
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from training_twins import pearson_per_track

from seqtrust import bases
from seqtrust.errors import InputError
from seqtrust.models.architectures import build_model
from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.models.distributed import Group
from seqtrust.models.facts import Facts, Track
from seqtrust.models.losses import PoissonLoss
from seqtrust.models.model import Model
from seqtrust.models.schedules import rate_factor
from seqtrust.models.training import initialise, train, train_from
from seqtrust.models.training_data import Control, Windows, data_digest, swapped_targets
from seqtrust.models.training_norms import WindowNorms
from seqtrust.models.training_settings import Seeds, TrainingSettings
from seqtrust.models.window_source import Batch, share

MOTIF = bases.encode("TGACTCAGC")
WINDOWS, LENGTH, BIN = 60, 256, 16


def planted(seed=0):
    """Windows whose two tracks count a motif, on the forward and on the reverse strand."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, 4, (WINDOWS, LENGTH)).astype(np.uint8)
    targets = np.full((WINDOWS, LENGTH // BIN, 2), 0.2, dtype=np.float32)
    for window in range(WINDOWS):
        for at in random.choice(LENGTH // BIN, 6, replace=False):
            strand = int(random.integers(2))
            motif = bases.reverse_complement(MOTIF) if strand else MOTIF
            codes[window, at * BIN + 3 : at * BIN + 3 + len(MOTIF)] = motif
            targets[window, at, strand] += 4
    splits = ["validation" if window % 5 == 0 else "train" for window in range(WINDOWS)]
    return codes, targets, splits


def network(dropout=0.1):
    tracks = (Track("forward", "CAGE", 1), Track("reverse", "CAGE", 0))
    parameters = {"channels": 8, "pool": [4, 4], "kernel": 11, "dropout": dropout}
    return build_model("cnn", parameters | {"dilations": [1]}, tracks, "toy")


def trained(seed=0, data=None, epochs=2, **settings):
    model = network()
    record = train(model, *(data or planted()), seed=seed, epochs=epochs, **settings)
    return model, record


def weights(model):
    return torch.cat([tensor.flatten().double() for tensor in model.module.state_dict().values()])


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
        ({"optimiser": "lamb"}, "optimiser 'lamb' is unknown: use one of adamw, adam, sgd"),
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


class Plain(torch.nn.Module):
    """A network without norms and dropout, which may read a control."""

    def __init__(self, control=0):
        super().__init__()
        self.motifs = torch.nn.Conv1d(4, 8, 11, padding=5)
        self.activation = torch.nn.ReLU()
        self.pool = torch.nn.MaxPool1d(BIN)
        self.read_out = torch.nn.Conv1d(8 + control, 2, 1)
        self.output = torch.nn.Softplus()
        self.control = control

    def forward(self, sequences, control=None):
        values = self.pool(self.activation(self.motifs(sequences)))
        if self.control:
            if control is None:
                control = values.new_zeros((len(values), values.shape[2], self.control))
            values = torch.cat([values, control.transpose(1, 2)], dim=1)
        return self.output(self.read_out(values)).transpose(1, 2)


def plain(control=0):
    tracks = (Track("forward", "CAGE", 1), Track("reverse", "CAGE", 0))
    facts = Facts(None, BIN, 0, tracks, 26, "toy", "counts")
    return Model(Plain(control), facts, "plain", {})


def with_holes():
    codes, targets, splits = planted()
    targets[np.random.default_rng(1).random(targets.shape) < 0.3] = np.nan
    targets[1:4] = np.nan
    return codes, targets, splits


@pytest.mark.parametrize("parts", [2, 3, 16, 40])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_accumulated_gradients_are_those_of_the_whole_batch(parts, precision):
    """48 windows in batches of 20 leave 8; parts differ in size and in what is missing."""
    settings = {"seed": 2, "epochs": 3, "batch_size": 20, "missing_targets": "mask",
                "optimiser": "sgd", "learning_rate": 0.1, "max_shift": 2,
                "precision": precision}  # fmt: skip
    whole, cut = plain(), plain()
    first = train(whole, *with_holes(), **settings)
    second = train(cut, *with_holes(), accumulate=parts, **settings)
    near = {"float32": 1e-6, "bfloat16": 2e-3}[precision]
    assert (weights(whole) - weights(cut)).abs().max() < near
    assert second.train_loss == pytest.approx(first.train_loss, rel=10 * near)
    assert not torch.equal(weights(whole), weights(cut))


def test_basenji2s_published_settings_learn():
    """Momentum of .99 and a constant rate without warm-up, clipped, no decay."""
    model = plain()
    record = train(
        model, *planted(), seed=1, epochs=40, optimiser="sgd", learning_rate=0.15, momentum=0.99,
        gradient_clip=2, gradient_clip_of="each", batch_size=4, patience=16, schedule="constant",
        warm_up=0, weight_decay=0,
    )  # fmt: skip
    shuffled = planted()
    shuffled[1][:] = shuffled[1][np.random.default_rng(0).permutation(WINDOWS)]
    other = train(plain(), *shuffled, seed=1, epochs=8, batch_size=4)
    assert max(record.validation_r) > 0.5 > 0.2 > max(other.validation_r)


def test_steps_end_the_run_within_an_epoch_which_counts():
    """Of 12 steps per epoch 20 are made; the cosine ends with the last one."""
    lines = []
    record = trained(epochs=9, steps=20, batch_size=4, progress=lines.append)[1]
    assert record.epochs == len(record.train_loss) == len(record.validation_r) == 2
    assert [line.split(":")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert lines[-1].endswith(" 0 s left")
    fewer = trained(epochs=9, steps=7, batch_size=4)[1]
    assert fewer.epochs == 1
    same = trained(epochs=2, steps=999, batch_size=4)
    assert torch.equal(weights(same[0]), weights(trained(epochs=2, batch_size=4)[0]))
    rates = [rate_factor("cosine", step, 20, []) for step in range(20)]
    assert rates[-1] < 0.01


@pytest.mark.parametrize(
    "settings",
    [
        {"optimiser": "adam"},
        {"optimiser": "sgd", "momentum": 0.9},
        {"warm_up": 0.0},
        {"epsilon": 1e-3},
        {"accumulate": 3},
        {"regularisation": {"gaussian_noise": 0.1}},
        {"regularisation": {"manifold_noise": 0.1}},
        {"regularisation": {"mixup": 0.5}},
        {"regularisation": {"manifold_mixup": 0.5}},
        {"regularisation": {"spectral_norm": True}},
        {"regularisation": {"adversarial": {"steps": 2}}},
        {"regularisation": {"l2": 1e-2}},
    ],
)
def test_every_option_changes_the_weights_and_is_repeatable(settings, tmp_path):
    first, record = trained(seed=3, epochs=1, **settings)
    second, _ = trained(seed=3, epochs=1, **settings)
    assert torch.equal(weights(first), weights(second))
    usual = trained(seed=3, epochs=1)[0]
    assert list(first.module.state_dict()) == list(usual.module.state_dict())
    assert not torch.equal(weights(first), weights(usual))
    assert all(record.settings[name] == value for name, value in settings.items())
    save_replicate(tmp_path / "r", first)
    assert torch.equal(weights(load_replicate(tmp_path / "r")), weights(first))


def test_the_plateau_is_lowered_as_asked_for():
    settings = {"schedule": "plateau", "epochs": 6, "learning_rate": 0.1}
    usual = trained(**settings)[0]
    same = trained(plateau_epochs=3, plateau_factor=0.5, **settings)[0]
    other = trained(plateau_epochs=1, plateau_factor=0.01, **settings)[0]
    assert torch.equal(weights(usual), weights(same))
    assert not torch.equal(weights(usual), weights(other))


def test_auroc_chooses_the_epoch_of_classifiers():
    codes, targets, splits = planted()
    model = build_model("cnn", {"channels": 8, "pool": [16], "output": "sigmoid"}, [Track("a")], "")
    called = (targets[..., :1] > 1).astype(np.float32)
    lines = []
    settings = {"seed": 0, "epochs": 6, "loss": "bce", "validation_metric": "auroc"}
    record = train(model, codes, called, splits, progress=lines.append, **settings)
    assert record.best_epoch == 1 + int(np.argmax(record.validation_auroc))
    assert f"AUROC {record.validation_auroc[-1]:.3f}" in lines[-1]
    held_out = np.array(splits) == "validation"
    predicted = model.predict(codes[held_out]).numpy()
    expected = roc_auc_score(called[held_out].ravel(), predicted.ravel())
    assert max(record.validation_auroc) == pytest.approx(expected, abs=1e-12)
    assert trained()[1].validation_auroc == []
    with pytest.raises(InputError, match="validation_metric: auroc needs targets of 0 and 1"):
        train(network(), *planted(), seed=0, validation_metric="auroc")


class Streamed:
    """A source that gives its windows one by one from a list, for an epoch's drawn seed."""

    def __init__(self, codes, targets):
        self.codes, self.targets = torch.from_numpy(codes), torch.from_numpy(targets)

    def __len__(self):
        return len(self.codes)

    @property
    def shape(self):
        return self.codes.shape[1], self.targets.shape[1], self.targets.shape[2]

    def digest(self):
        return data_digest(self.codes.numpy(), self.targets.numpy(), [])

    def epoch_windows(self, processes):
        return len(self) // processes * processes

    def order(self, generator):
        return torch.tensor([int(generator.integers(2**31))])

    def batches(self, order, size, skip, part):
        rows = np.arange(len(self))
        if order is not None:
            rows = np.random.default_rng(int(order)).permutation(len(self))
            rows = rows[: self.epoch_windows(part[1])]
        for first in range(skip, len(rows), size):
            step = rows[first : first + size]
            mine = torch.from_numpy(step[share(len(step), part)])
            yield Batch(self.codes[mine], self.targets[mine], mine)


def streams():
    codes, targets, splits = planted()
    names = np.array(splits)
    splits = [names == name for name in ("train", "validation")]
    return [Streamed(codes[split], targets[split]) for split in splits]


def test_a_streamed_source_learns_and_is_repeatable():
    first, second = plain(), plain()
    settings = {"seed": 1, "epochs": 3, "learning_rate": 0.05}
    record = train_from(first, *streams(), **settings)
    assert train_from(second, *streams(), **settings) == record
    assert torch.equal(weights(first), weights(second))
    assert record.windows == {"train": 48, "validation": 12}
    assert record.validation_r[-1] > 0.3


def test_a_source_in_memory_trains_as_its_arrays_do():
    codes, targets, splits = planted()
    first, second = plain(), plain()
    sources = [
        Windows.of_split(name, codes, targets, splits, torch.device("cpu"))
        for name in ("train", "validation")
    ]
    records = [
        train(first, codes, targets, splits, seed=4, epochs=2),
        train_from(second, *sources, seed=4, epochs=2),
    ]
    assert torch.equal(weights(first), weights(second))
    assert records[0].validation_r == records[1].validation_r
    assert all(len(source.digest()) == 64 for source in sources)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_bad_targets_of_a_stream_are_located_where_they_are_met(split):
    sources = dict(zip(("train", "validation"), streams(), strict=True))
    sources[split].targets[7, 2, 1] = -1
    message = f"target -1.0 in window 7 .from 0. of the split '{split}', bin 2, track 'reverse'"
    with pytest.raises(InputError, match=message):
        train_from(plain(), *sources.values(), seed=0)


def test_streams_that_teach_nothing_or_do_not_fit_are_refused():
    def refused(message, change, **settings):
        training, validation = streams()
        change(training, validation)
        with pytest.raises(InputError, match=message):
            train_from(plain(), training, validation, seed=0, epochs=1, **settings)

    def empty(source):
        source.targets[:] = float("nan")

    masked = {"missing_targets": "mask"}
    refused("every target of the train windows is missing", lambda t, v: empty(t), **masked)
    refused("every target of the validation windows is m", lambda t, v: empty(v), **masked)
    refused("no track varies over the validation", lambda t, v: v.targets.fill_(1))
    refused(
        r"validation windows of 256 bp have targets of bins x tracks = \[16, 1\], but the model "
        r"predicts \[16, 2\]",
        lambda t, v: setattr(v, "targets", v.targets[..., :1]),
    )
    refused("max_shift 256 is not below", lambda t, v: None, max_shift=256)
    refused(
        "the split 'train' has 0 windows, too few for 1 processes",
        lambda t, v: (setattr(t, "codes", t.codes[:0]), setattr(t, "targets", t.targets[:0])),
    )


def with_control(seed=0):
    """The motif tells where, the control how much; both of two strands."""
    codes, targets, splits = planted(seed)
    control = np.random.default_rng(seed + 1).gamma(1, 1, targets.shape).astype(np.float32)
    return codes, np.concatenate([targets + 3 * control, control], axis=2), splits


def test_a_control_is_read_and_turned_with_the_targets():
    """Better than without it, and than where its strands stay while those of the targets turn."""
    names = ("input_forward", "input_reverse")
    scores = []
    for control in (Control(names, (1, 0)), Control(names, (0, 1)), Control()):
        codes, targets, splits = with_control()
        record = train(
            plain(len(control)), codes, targets[..., : 2 + len(control)], splits, seed=0,
            epochs=25, learning_rate=0.05, control=control,
        )  # fmt: skip
        assert record.control == list(control.names)
        scores.append(max(record.validation_r))
    assert scores[0] > 0.85 > scores[1] + 0.03 > scores[2] + 0.06


def test_a_control_that_is_not_finite_is_located():
    codes, targets, splits = with_control()
    targets[5, 3, 2] = np.nan
    control = Control(("input_forward", "input_reverse"), (1, 0))
    message = "control nan in window 5 .from 0., bin 3, track 'input_forward': inputs must be"
    with pytest.raises(InputError, match=message):
        train(plain(2), codes, targets, splits, seed=0, control=control, missing_targets="mask")


def dense_run(training, architecture="cnn_dist", **settings):
    """A classifier, of which `cnn_dist` has a norm behind a dense layer, and so many windows."""
    codes, targets, splits = planted()
    rows = [row for row, split in enumerate(splits) if split == "validation"]
    rows += [row for row, split in enumerate(splits) if split == "train"][:training]
    sizes = {"cnn_dist": {"input_length": LENGTH}, "cnn": {"output": "sigmoid", "pool": [BIN]}}
    model = build_model(architecture, sizes[architecture], [Track("a")], "toy")
    labels = (targets[..., :1] > 1).astype(np.float32)
    if architecture == "cnn_dist":
        labels = labels[:, :3].max(axis=1, keepdims=True)
    arguments = {"seed": 0, "epochs": 1, "batch_size": 4, "loss": "bce"} | settings
    record = train(model, codes[rows], labels[rows], [splits[row] for row in rows], **arguments)
    assert np.isfinite(record.train_loss).all()
    return model


def tracked(model):
    """Batches that every batch norm has seen."""
    state = model.module.state_dict()
    return {int(state[name]) for name in state if name.endswith("num_batches_tracked")}


@pytest.mark.parametrize(
    ("training", "settings", "seen"),
    [
        (5, {}, 1),
        (6, {}, 2),
        (4, {"accumulate": 3}, 1),
        (5, {"accumulate": 3}, 1),
        (5, {"precision": "bfloat16"}, 1),
        (5, {"regularisation": {"adversarial": {"steps": 1}, "gaussian_noise": 0.1}}, 2),
    ],
)
def test_a_window_that_is_alone_moves_no_norm_behind_a_dense_layer(training, settings, seen):
    first, second = (dense_run(training, **settings) for _ in range(2))
    assert tracked(first) == {seen}
    assert torch.equal(weights(first), weights(second))
    assert not first.module.training


def test_a_window_that_is_alone_moves_norms_that_are_over_positions_too():
    assert tracked(dense_run(5, "cnn")) == {2}


def test_norms_of_a_lone_window_are_those_of_evaluation_inside_alone():
    module = torch.nn.Sequential(
        torch.nn.Conv1d(4, 3, 8), torch.nn.Flatten(), torch.nn.BatchNorm1d(3), torch.nn.Dropout(0.5)
    )
    window = torch.rand(1, 4, 8, generator=torch.Generator().manual_seed(0))
    norms = WindowNorms(module, (window,))
    module.train()
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        module(window)
    with norms.shown(1):
        assert [layer.training for layer in module] == [True, True, False, True]
        shown = module[2](module[1](module[0](window)))
    assert all(layer.training for layer in module)
    with norms.shown(2):
        assert all(layer.training for layer in module)
    module.eval()
    assert torch.equal(shown, module(window))


@pytest.mark.parametrize(
    ("training", "settings"),
    [(20, {"accumulate": 4}), (20, {"batch_size": 1}), (1, {}), (3, {"accumulate": 3})],
)
def test_norms_that_would_never_see_two_windows_are_refused_before_training(training, settings):
    asked = {"batch_size": 4, "accumulate": 1} | settings
    message = (
        f"^batch_size {asked['batch_size']}, accumulate {asked['accumulate']} and processes 1 show "
        f"every one of {training} training windows alone, but the network has a batch norm over "
        f"windows: .* above accumulate x processes = {asked['accumulate']}$"
    )
    with pytest.raises(InputError, match=message):
        dense_run(training, **settings)
    dense_run(training, "cnn", **settings)


def test_processes_with_a_window_each_are_refused_too():
    module = dense_run(6).module
    norms = WindowNorms(module, (torch.zeros(1, 4, LENGTH),))
    message = "accumulate 2 and processes 3 show .* above accumulate x processes = 6"
    with pytest.raises(InputError, match=message):
        norms.refuse_lone_windows(TrainingSettings(batch_size=6, accumulate=2, processes=3), 99)
    norms.refuse_lone_windows(TrainingSettings(batch_size=9, accumulate=2, processes=3), 99)


class Placed(Exception):
    """Where a run would have put its windows."""


@pytest.mark.parametrize(
    ("asked", "device"), [("cuda:1", "cuda:1"), ("cuda", "cuda"), ("auto", "cuda"), ("cpu", "cpu")]
)
def test_a_run_goes_to_the_very_gpu_that_is_asked_for(monkeypatch, asked, device):
    def of_split(*arguments):
        raise Placed(str(arguments[-1]))

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(Windows, "of_split", of_split)
    with pytest.raises(Placed, match=f"^{device}$"):
        trained(device=asked)


@pytest.mark.parametrize("streamed", [False, True])
def test_gpus_of_processes_that_were_not_started_are_refused(monkeypatch, streamed):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    run, data = (train_from, streams()) if streamed else (train, planted())
    with pytest.raises(InputError, match="2 processes asked for, but this is one of 1"):
        run(plain(), *data, seed=0, processes=2, device="cuda")


def test_every_process_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    assert Group.current(2, torch.device("cuda")).device == torch.device("cuda:1")
    assert Group.current(2, torch.device("cpu")).device == torch.device("cpu")
    with pytest.raises(InputError, match="2 processes take a GPU each, but device is 'cuda:0': u"):
        Group.current(2, torch.device("cuda:0"))
