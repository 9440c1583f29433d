"""Training with options: parts and processes, streams, controls, norms, metrics."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from training_cases import (
    BIN,
    LENGTH,
    WINDOWS,
    network,
    plain,
    planted,
    streams,
    trained,
    weights,
    with_control,
    with_holes,
)

from seqtrust.errors import InputError
from seqtrust.models.architectures import build_model
from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.models.distributed import Group
from seqtrust.models.facts import Track
from seqtrust.models.schedules import rate_factor
from seqtrust.models.training import train, train_from
from seqtrust.models.training_data import Control, Windows
from seqtrust.models.training_norms import WindowNorms
from seqtrust.models.training_settings import TrainingSettings


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
