"""A training run that is killed and started again ends as if it had not been killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from training_cases import Streamed

from seqtrust.errors import InputError
from seqtrust.models.architectures import build_model
from seqtrust.models.checkpoint import save_replicate
from seqtrust.models.facts import Track
from seqtrust.models.training import train, train_from
from seqtrust.models.training_checkpoint import Checkpoint

EVERY_STEP = 1e-9
STEPS = 3 * 4
STATES = STEPS + 3


class Killed(BaseException):
    """Stands for a kill: no handler of the library may catch it."""


class Killing(Checkpoint):
    """Kills the run before or after it has written a given number of states."""

    def write(self, run, state):
        left = getattr(self, "left", None)
        if left is not None:
            if left == 0:
                raise Killed
            object.__setattr__(self, "left", left - 1)
        super().write(run, state)


def killed_after(path, states, **changes):
    checkpoint = Killing(path, EVERY_STEP, **changes)
    object.__setattr__(checkpoint, "left", states)
    return checkpoint


def windows():
    random = np.random.default_rng(0)
    codes = random.integers(0, 4, (28, 64)).astype(np.uint8)
    targets = random.gamma(1, 1, (28, 4, 2)).astype(np.float32)
    return codes, targets, ["train"] * 20 + ["validation"] * 8


def trained(checkpoint=None, seed=3, **changes):
    """A run of 3 epochs of 4 steps with all that is random; its model and log."""
    tracks = (Track("forward", "", 1), Track("reverse", "", 0))
    model = build_model("cnn", {"channels": 4, "pool": [16], "dropout": 0.3}, tracks, "toy")
    lines = []
    settings = {"epochs": 3, "batch_size": 5, "max_shift": 3, "learning_rate": 0.1} | changes
    train(model, *windows(), seed=seed, checkpoint=checkpoint, progress=lines.append, **settings)
    return model, lines


def content(path, model):
    save_replicate(path, model)
    return path.read_bytes()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return content(tmp_path_factory.mktemp("whole") / "r.safetensors", trained()[0])


@pytest.mark.parametrize("states", range(STATES + 1))
def test_a_run_killed_at_any_step_ends_with_equal_bytes(tmp_path, uninterrupted, states):
    """Weights and record; the last case is a run that nothing kills, but that writes states."""
    path = tmp_path / "r.training.safetensors"
    if states < STATES:
        with pytest.raises(Killed):
            trained(killed_after(path, states))
    else:
        trained(killed_after(path, states))
    assert path.exists() == (states > 0)
    model, lines = trained(Checkpoint(path))
    assert content(tmp_path / "r.safetensors", model) == uninterrupted
    epoch, steps = divmod(max(0, states), 5)
    expected = f"training goes on from {steps * 5} windows into epoch {epoch + 1}, from {path}"
    assert (lines[0] == expected) == (states > 0)


def finished_between_kills(path, changes):
    """A model whose run was killed after every second state, and how often."""
    kills = 0
    while True:
        try:
            return trained(killed_after(path, 2), **changes)[0], kills
        except Killed:
            kills += 1


@pytest.mark.parametrize("metric", ["pearson", "loss"])
@pytest.mark.parametrize("schedule", ["plateau", "constant"])
def test_a_run_killed_at_every_step_in_turn_ends_with_equal_bytes(tmp_path, schedule, metric):
    """Early stopping and the plateau go by the history, which a run has only from its states."""
    changes = {"schedule": schedule, "validation_metric": metric, "patience": 4, "epochs": 9}
    whole = content(tmp_path / "whole", trained(**changes)[0])
    model, kills = finished_between_kills(tmp_path / "r.training.safetensors", changes)
    assert kills > 10
    assert content(tmp_path / "r", model) == whole


@pytest.mark.parametrize(
    "changes",
    [
        {"optimiser": "sgd", "momentum": 0.9, "learning_rate": 0.02},
        {"optimiser": "adam", "accumulate": 2, "precision": "bfloat16"},
        {"steps": 10, "batch_size": 7},
        {"regularisation": {"manifold_noise": 0.1, "mixup": 0.3, "l2": 1e-3}},
        {"regularisation": {"manifold_mixup": 0.3, "gaussian_noise": 0.1}, "accumulate": 3},
        {"regularisation": {"spectral_norm": True, "adversarial": {"steps": 2}}},
        {"missing_targets": "mask", "schedule": "plateau", "plateau_epochs": 1},
        {"augmentation": {"mutation": 0.1, "noise": 0.2, "finetune": {"epochs": 2}}},
        {"groups": ["a", "b"] * 14, "weights": np.arange(28.0)},
    ],
)
def test_every_way_of_training_goes_on_as_if_not_killed(tmp_path, changes):
    """Killed at every second state, the last ones of epochs among them."""
    whole = content(tmp_path / "whole", trained(**changes)[0])
    model, kills = finished_between_kills(tmp_path / "r.training.safetensors", changes)
    assert kills > 3
    assert content(tmp_path / "r", model) == whole


def test_a_stream_goes_on_as_if_not_killed(tmp_path):
    """Of the order its drawn seed alone is kept."""
    codes, targets, _ = windows()

    def run(checkpoint=None):
        tracks = (Track("forward", "", 1), Track("reverse", "", 0))
        model = build_model("cnn", {"channels": 4, "pool": [16], "dropout": 0.3}, tracks, "toy")
        sources = Streamed(codes[:20], targets[:20]), Streamed(codes[20:], targets[20:])
        train_from(model, *sources, seed=3, epochs=3, batch_size=6, checkpoint=checkpoint)
        return model

    whole = content(tmp_path / "whole", run())
    path = tmp_path / "r.training.safetensors"
    model, kills = None, 0
    while model is None:
        try:
            model = run(killed_after(path, 2))
        except Killed:
            kills += 1
            if path.exists():
                assert load_file(path)["order"].numel() <= 1
    assert kills > 5
    assert content(tmp_path / "r", model) == whole


@pytest.mark.parametrize(
    "changes",
    [
        {"regularisation": {"l2": 0.1}},
        {"steps": 8},
        {"seed": 4},
        {"learning_rate": 0.2},
        {"patience": 2},
        {"fixed_seeds": {"order": 1}},
        {"code": "other"},
        {"loss": "mse"},
    ],
)
def test_a_state_of_another_run_is_not_used(tmp_path, changes):
    path = tmp_path / "r.training.safetensors"
    with pytest.raises(Killed):
        trained(killed_after(path, 7, code="first"))
    code = changes.pop("code", "first")
    model, lines = trained(Checkpoint(path, code=code), **changes)
    assert lines[0] == (
        f"the training state {path} is of other settings, data or code: training starts anew"
    )
    assert content(tmp_path / "a", model) == content(tmp_path / "b", trained(**changes)[0])


def test_a_state_of_other_first_weights_is_not_used(tmp_path):
    path = tmp_path / "r.training.safetensors"
    model, other = trained()[0], trained(seed=8)[0]
    settings = {"seed": 1, "epochs": 2, "keep_weights": True}
    with pytest.raises(Killed):
        train(model, *windows(), checkpoint=killed_after(path, 2), **settings)
    lines = []
    train(other, *windows(), checkpoint=Checkpoint(path), progress=lines.append, **settings)
    assert "other settings, data or code" in lines[0]


def cut(path):
    path.write_bytes(path.read_bytes()[:-10])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("not a state" * 20)


@pytest.mark.parametrize("damage", [cut, flip, empty, text])
def test_a_damaged_state_is_not_used(tmp_path, uninterrupted, damage):
    path = tmp_path / "r.training.safetensors"
    with pytest.raises(Killed):
        trained(killed_after(path, 7))
    damage(path)
    model, lines = trained(Checkpoint(path))
    assert f"the training state {path} is damaged (" in lines[0]
    assert lines[0].endswith("): training starts anew")
    assert content(tmp_path / "r", model) == uninterrupted


def test_a_file_without_a_state_is_not_used(tmp_path, uninterrupted):
    """Such as a replicate of that name."""
    path = tmp_path / "r.training.safetensors"
    content(path, trained()[0])
    for metadata in (None, {"format": "1"}):
        save_file(load_file(path), path, metadata=metadata)
        model, lines = trained(Checkpoint(path))
        assert "other settings, data or code" in lines[0]
        assert content(tmp_path / "r", model) == uninterrupted
        content(path, model)


def test_states_are_written_after_epochs_and_after_minutes(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(Checkpoint, "write", lambda _, __, state: written.append(state.plain))
    trained(Checkpoint(tmp_path / "r", minutes=60))
    assert [state["place"]["step"] for state in written] == [4, 8, 12]
    written.clear()
    trained(Checkpoint(tmp_path / "r", minutes=EVERY_STEP))
    assert [state["place"]["step"] for state in written] == [1, 2, 3, 4, 4, *range(5, 9), 8,
                                                            *range(9, 13), 12]  # fmt: skip
    with pytest.raises(InputError, match="checkpoint_minutes is 0, but must be positive"):
        Checkpoint(tmp_path / "r", minutes=0)


def test_removal_takes_what_a_kill_left(tmp_path):
    path = tmp_path / "r1.training.safetensors"
    trained(Checkpoint(path))
    for name in (".r1.training.safetensors.0123", "r1.safetensors", "r2.training.safetensors"):
        (tmp_path / name).write_bytes(b"")
    Checkpoint(path).remove()
    Checkpoint(path).remove()
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "r1.safetensors",
        "r2.training.safetensors",
    ]


PROGRAM = """
import sys
from pathlib import Path
from seqtrust.models.checkpoint import save_replicate
from seqtrust.models.training_checkpoint import Checkpoint
import test_resume
target = Path(sys.argv[1])
checkpoint = Checkpoint(target.with_suffix(".training.safetensors"), test_resume.EVERY_STEP)
save_replicate(target, test_resume.trained(checkpoint, epochs=80)[0])
checkpoint.remove()
"""


def started(target):
    scripts = Path(__file__).parents[2] / "scripts"
    environment = os.environ | {
        "PYTHONPATH": f"{scripts}{os.pathsep}{Path(__file__).parent}",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen([sys.executable, "-c", PROGRAM, target], env=environment)


def killed(target, seconds):
    """Start the program and kill it so long after its first new state; its exit status."""
    state = target.with_suffix(".training.safetensors")
    before = state.stat().st_mtime_ns if state.exists() else 0
    process = started(target)
    while process.poll() is None and (not state.exists() or state.stat().st_mtime_ns == before):
        time.sleep(0.002)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    return process.wait()


@pytest.mark.slow
def test_a_process_killed_several_times_ends_with_equal_bytes(tmp_path):
    target = tmp_path / "r1.safetensors"
    for seconds in (0.01, 0.13, 0.21):
        assert killed(target, seconds) == -signal.SIGKILL
    assert not target.exists()
    assert started(target).wait() == 0
    assert target.read_bytes() == content(tmp_path / "whole", trained(epochs=80)[0])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r1.safetensors", "whole"]
