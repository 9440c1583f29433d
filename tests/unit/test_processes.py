"""Two processes on a CPU train what one trains, repeatably, and say what is wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pysam
import pytest
import torch
from safetensors.torch import load_file, save_file
from training_cases import Streamed, network, plain, planted

from seqtrust.errors import InputError
from seqtrust.models import training_processes
from seqtrust.models.architectures import build_model
from seqtrust.models.checkpoint import load_replicate
from seqtrust.models.distributed import Group
from seqtrust.models.facts import Track
from seqtrust.models.training import train, train_from
from seqtrust.models.training_checkpoint import Checkpoint
from seqtrust.models.training_job import TrainingJob
from seqtrust.models.training_processes import run_job
from seqtrust.sequence_set import StoredWindow, write_sequence_set

EVERY_STEP = 1e-9
COMMON = {"seed": 3, "epochs": 3, "batch_size": 10, "max_shift": 2}
PLAIN = COMMON | {"optimiser": "sgd", "learning_rate": 0.05, "missing_targets": "mask"}
RANDOM = COMMON | {
    "regularisation": {"mixup": 0.3, "manifold_noise": 0.1, "spectral_norm": True},
    "accumulate": 2,
}
KEPT_STATE, LONG = 7, 256


def data(training, seed=0):
    """Arrays with so many training windows, of whose targets some are missing."""
    codes, targets, splits = planted(seed)
    random = np.random.default_rng(seed)
    targets[random.random(targets.shape) < 0.2] = np.nan
    chosen = [row for row, split in enumerate(splits) if split == "validation"]
    chosen += [row for row, split in enumerate(splits) if split == "train"][:training]
    return codes[chosen], targets[chosen], [splits[row] for row in chosen]


class Keeping(Checkpoint):
    """Keeps a copy of one state, for a run that goes on from it."""

    def write(self, run, state):
        super().write(run, state)
        count = getattr(self, "count", 0) + 1
        object.__setattr__(self, "count", count)
        if count == KEPT_STATE:
            self.path.with_suffix(".kept").write_bytes(self.path.read_bytes())


def classes(training):
    codes, targets, splits = data(training)
    targets = np.where(np.isnan(targets), targets, targets > 1).astype(np.float32)
    return codes, targets, splits


class Shown(Streamed):
    """Notes the windows of every epoch's order, and those that a process is given."""

    def __init__(self, codes, targets):
        super().__init__(codes, targets)
        self.epochs = []

    def batches(self, order, size, skip, part):
        orders = [] if order is None else [int(order)]
        rows = []
        self.epochs.append({"order": orders, "rows": rows})
        for batch in super().batches(order, size, skip, part):
            rows.extend(batch.rows.tolist())
            yield batch


def sources():
    codes, targets, _ = planted()
    return Shown(codes[:41], targets[:41]), Shown(codes[41:], targets[41:])


def dense():
    """A classifier whose dense layer has a norm over windows."""
    return build_model("cnn_dist", {"input_length": LONG}, [Track("a")], "toy")


def labelled(training):
    codes, targets, splits = classes(training)
    whole = np.nanmax(targets[:, :4, :1], axis=1, keepdims=True)
    return codes, np.nan_to_num(whole), splits


def runs(folder, processes):
    """Models and records by name."""
    found = {}

    def note(name, model, record):
        found[name] = (model, record)

    more = {"processes": processes}
    # 41 windows in batches of 10: the last step has one window, so none in the second process
    for name, training, settings in (("uneven", 41, {}), ("even", 40, {"accumulate": 3})):
        model = plain()
        note(name, model, train(model, *data(training), **PLAIN, **settings, **more))
    for name, attempt in (("random", 0), ("again", 1), ("resumed", 2)):
        model, path = network(dropout=0.3), folder / "random.state"
        checkpoint = [None, Keeping(path, EVERY_STEP), Checkpoint(path.with_suffix(".kept"))]
        arguments = RANDOM | {"missing_targets": "mask"} | more
        record = train(model, *data(41), checkpoint=checkpoint[attempt], **arguments)
        note(name, model, record)
    model, shown = plain(), sources()
    note("streamed", model, train_from(model, *shown, **COMMON, **more))
    rank = torch.distributed.get_rank() if processes > 1 else 0
    (folder / f"shown.{rank}.json").write_text(json.dumps([source.epochs for source in shown]))
    # the last window of an epoch is alone in the first process
    model = dense()
    note("dense", model, train(model, *labelled(41), **COMMON, **more, loss="bce"))
    model = plain()
    metric = {"validation_metric": "auroc"}
    note("classes", model, train(model, *classes(41), **PLAIN, **metric, **more))
    return found


def main(folder):
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    group = Group.current(2, torch.device("cpu"))
    rows = torch.arange(3.0 * (rank + 1)).reshape(-1, 1)
    parts = [part.tolist() for part in group.gathered(rows)]
    for name, (model, record) in runs(folder, 2).items():
        save_file(model.module.state_dict(), folder / f"{name}.{rank}.safetensors")
        if rank == 0:
            (folder / f"{name}.json").write_text(json.dumps(record.to_dict()))
    (folder / f"gathered.{rank}.json").write_text(json.dumps(parts))
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    root = Path(__file__).parents[2]
    environment = os.environ | {
        "PYTHONPATH": f"{root / 'scripts'}{os.pathsep}{root / 'tests/unit'}",
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*launcher, "--nproc-per-node=2", __file__, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return runs(tmp_path_factory.mktemp("alone"), 1)


def tensors(folder, name, rank=0):
    return load_file(folder / f"{name}.{rank}.safetensors")


def record(folder, name):
    return SimpleNamespace(**json.loads((folder / f"{name}.json").read_text()))


@pytest.mark.parametrize("name", ["uneven", "even", "classes"])
def test_two_processes_train_what_one_trains(together, alone, name):
    model, expected = alone[name]
    found = tensors(together, name)
    assert len(found) == len(model.module.state_dict())
    for weight, values in model.module.state_dict().items():
        assert torch.allclose(found[weight], values, rtol=0, atol=1e-6)
    assert record(together, name).train_loss == pytest.approx(expected.train_loss, rel=1e-5)
    assert record(together, name).validation_r == pytest.approx(expected.validation_r, abs=1e-5)
    assert record(together, name).validation_auroc == pytest.approx(
        expected.validation_auroc, abs=1e-3
    )


@pytest.mark.parametrize("name", ["uneven", "random", "streamed", "dense"])
def test_both_processes_end_with_equal_weights(together, name):
    """Also in the statistics of norms, which each process computes over windows of its own."""
    first, second = tensors(together, name), tensors(together, name, rank=1)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_window_that_is_alone_in_a_process_moves_no_norm(together):
    found = tensors(together, "dense")
    steps = [found[key] for key in found if key.endswith("num_batches_tracked")]
    epochs = record(together, "dense").best_epoch
    assert len(steps) == 5
    assert all(count == 4 * epochs for count in steps)


@pytest.mark.parametrize("name", ["again", "resumed"])
def test_equal_runs_and_runs_that_go_on_are_equal_to_the_last_bit(together, name):
    first, second = tensors(together, "random"), tensors(together, name)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert record(together, "random") == record(together, name)


def test_dropout_differs_between_processes_and_numbers_of_them(together, alone):
    assert record(together, "random").train_loss != alone["random"][1].train_loss


def test_a_stream_is_shown_in_equal_parts(together):
    """Of 41 windows one is left out of an epoch of two processes, of validation windows none."""
    assert record(together, "streamed").windows == {"train": 41, "validation": 19}
    first, second = (json.loads((together / f"shown.{rank}.json").read_text()) for rank in range(2))
    training, validation = (
        list(zip(*pair, strict=True)) for pair in zip(first, second, strict=True)
    )
    assert len(training) == len(validation) == COMMON["epochs"]
    for one, other in training:
        assert one["order"] == other["order"]
        drawn = np.random.default_rng(one["order"][0]).permutation(41)[:40]
        assert len(one["rows"]) == len(other["rows"]) == 20
        assert sorted(one["rows"] + other["rows"]) == sorted(drawn)
    for one, other in validation:
        assert sorted(one["rows"] + other["rows"]) == list(range(19))


def test_what_is_gathered_may_differ_in_length(together):
    expected = [torch.arange(3.0 * count).reshape(-1, 1).tolist() for count in (1, 2)]
    for rank in range(2):
        assert json.loads((together / f"gathered.{rank}.json").read_text()) == expected


LENGTH, BIN, WINDOWS = 64, 16, 24
SETTINGS = {
    "architecture": "cnn",
    "parameters": {"channels": 4, "pool": [BIN]},
    "training_fraction": 1.0,
    "bootstrap": False,
    "fixed_seeds": {},
    "checkpoint_minutes": 10,
    "missing_targets": "error",
    "batch_size": 4,
    "epochs": 2,
}


def job(folder, processes=2, **changes):
    """Files of a small job; the last window, a test one, is a copy of the first."""
    random = np.random.default_rng(1)
    codes = random.integers(0, 4, WINDOWS * LENGTH).astype(np.uint8)
    codes[-LENGTH:] = codes[:LENGTH]
    (folder / "g.fa").write_text(">c1\n" + "".join("ACGT"[code] for code in codes) + "\n")
    pysam.faidx(str(folder / "g.fa"))
    rows = np.arange(WINDOWS * LENGTH // BIN)[:, None] * BIN + [0, BIN]
    values = random.gamma(1, 1, len(rows))
    lines = [f"c1\t{a}\t{b}\t{x:.4f}" for (a, b), x in zip(rows, values, strict=True)]
    (folder / "t.tsv").write_text("\n".join(["contig\tstart\tend\ta", *lines]) + "\n")
    (folder / "s.bed").write_text(
        f"c1\t0\t{16 * LENGTH}\ttrain\nc1\t{16 * LENGTH}\t{20 * LENGTH}\tvalidation\n"
        f"c1\t{20 * LENGTH}\t{WINDOWS * LENGTH}\ttest\n"
    )
    windows = [
        StoredWindow(
            f"w{row}", "toy", "c1", row * LENGTH, 0, LENGTH, "+", row * LENGTH,
            codes[row * LENGTH : (row + 1) * LENGTH],
        )
        for row in range(WINDOWS)
    ]  # fmt: skip
    content = [(window, [(f"s{row}", [])]) for row, window in enumerate(windows)]
    write_sequence_set(folder / "w.parquet", content, {})
    names = {"sequences": "w.parquet", "targets": "t.tsv", "splits": "s.bed", "fasta": "g.fa"}
    return TrainingJob(
        inputs={name: str(folder / file) for name, file in names.items()},
        output=str(folder / "r1.safetensors"),
        state=str(folder / "r1.training.safetensors"),
        code="",
        assembly="toy",
        build="toy1",
        seed=1,
        threads=1,
        device="cpu",
        settings=SETTINGS | {"processes": processes} | changes,
    )


@pytest.mark.parametrize("processes", [1, 2])
def test_a_job_writes_a_replicate_and_reports(tmp_path, processes):
    lines = []
    run_job(job(tmp_path, processes), lines.append)
    model = load_replicate(tmp_path / "r1.safetensors")
    assert model.record["settings"]["processes"] == processes
    warned = [line for line in lines if line.startswith("WARNING a test window shares more")]
    assert len(warned) == processes - 1, "one process warns in the log of the rule itself"
    begins = [line.split(":")[0] for line in lines if line not in warned]
    assert begins == ["validation", "test", "epoch 1/2", "epoch 2/2"]
    assert not list(tmp_path.glob("*.training.*"))


def test_what_is_wrong_in_a_process_is_one_message(tmp_path):
    with pytest.raises(InputError, match=r"^max_shift 64 is not below 64 bp$"):
        run_job(job(tmp_path, max_shift=64), print)
    assert not (tmp_path / "r1.safetensors").exists()


def test_a_process_that_fails_shows_its_traceback(tmp_path):
    broken = job(tmp_path)
    Path(broken.inputs["sequences"]).unlink()
    message = r"(?s)^training process [01] failed:\nTraceback.*w\.parquet.*exitcode\s*: 1"
    with pytest.raises(RuntimeError, match=message):
        run_job(broken, print)


WORKER = """
import atexit, os, sys, time
from pathlib import Path
from seqtrust.models import training_processes
from seqtrust.models.training_loop import Trainer

folder, ours = Path(sys.argv[1]), Path({ours!r})

def step(trainer, batch):
    rank = trainer.group.rank
{step}

Trainer._take_step = step
training_processes.main(folder)
"""
SECOND_FAILS = """
    if rank == 1:
        atexit.register(time.sleep, 1)
        raise ValueError("the disk of the second process is full")
    while not (folder / "traceback.1.txt").exists():
        time.sleep(0.01)
    time.sleep(0.1)
    raise ValueError("connection closed")
"""
BOTH_WAIT = """
    text = f"{os.getpid()} {os.getppid()}"
    (ours / f"unfinished.{rank}").write_text(text)
    (ours / f"unfinished.{rank}").rename(ours / f"pids.{rank}")
    time.sleep(600)
"""
RULE = """
import sys
from pathlib import Path
from seqtrust.models import training_processes
from seqtrust.models.training_job import TrainingJob

command = training_processes._command
training_processes._command = lambda *of: [*command(*of)[:-3], sys.argv[2], of[1]]
training_processes.run_job(TrainingJob.from_json(Path(sys.argv[1]).read_text()), print)
"""


def worker(folder, step):
    """A program that is one of the processes, whose steps are replaced."""
    path = folder / "worker.py"
    path.write_text(WORKER.format(ours=str(folder), step=step))
    return str(path)


def test_the_process_that_fails_first_is_the_one_that_is_shown(tmp_path, monkeypatch):
    command, program = training_processes._command, worker(tmp_path, SECOND_FAILS)
    monkeypatch.setattr(
        training_processes, "_command", lambda *of: [*command(*of)[:-3], program, of[1]]
    )
    with pytest.raises(RuntimeError) as failure:
        run_job(job(tmp_path), print)
    cause, _, tail = str(failure.value).partition("\ntraining processes failed:\n")
    assert cause.startswith("training process 1 failed:\nTraceback")
    assert "ValueError: the disk of the second process is full" in cause
    assert "connection closed" not in cause
    assert "exitcode" in tail


def running(process):
    """Whether a process is there and no zombie."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


def until(condition, seconds):
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    return condition()


def test_nothing_goes_on_when_the_rule_is_killed(tmp_path):
    (tmp_path / "job.json").write_text(job(tmp_path).to_json())
    (tmp_path / "rule.py").write_text(RULE)
    root = Path(__file__).parents[2]
    files = [tmp_path / f"pids.{rank}" for rank in range(2)]
    with (tmp_path / "log").open("w") as log:
        rule = subprocess.Popen(
            [sys.executable, "rule.py", "job.json", worker(tmp_path, BOTH_WAIT)],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(root / "scripts"), "TMPDIR": str(tmp_path)},
            stdout=log,
            stderr=log,
        )
    started = set()
    try:
        until(lambda: all(file.exists() for file in files) or rule.poll() is not None, 240)
        assert all(file.exists() for file in files), (tmp_path / "log").read_text()
        started = {int(pid) for file in files for pid in file.read_text().split()}
        assert len(started) == 3
        assert all(running(pid) for pid in started)
        rule.kill()
        rule.wait()
        assert until(lambda: not any(running(pid) for pid in started), 20)
    finally:
        rule.kill()
        rule.wait()
        for pid in filter(running, started):
            os.kill(pid, signal.SIGKILL)


def test_more_processes_than_gpus_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    several = TrainingJob.from_json(job(tmp_path).to_json().replace('"cpu"', '"cuda"'))
    with pytest.raises(InputError, match="2 processes need as many GPUs, but torch sees 1"):
        run_job(several, print)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
