"""Two processes on a CPU train what one trains, repeatably, and say what is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pysam
import pytest
import torch
from safetensors.torch import load_file, save_file
from test_training import Streamed, network, plain, planted

from seqtrust.errors import InputError
from seqtrust.models.checkpoint import load_replicate
from seqtrust.models.distributed import Group
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
KEPT_STATE = 7


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


def sources():
    codes, targets, _ = planted()
    return Streamed(codes[:41], targets[:41]), Streamed(codes[41:], targets[41:])


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
    model = plain()
    note("streamed", model, train_from(model, *sources(), **COMMON, **more))
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


@pytest.mark.parametrize("name", ["uneven", "random", "streamed"])
def test_both_processes_end_with_equal_weights(together, name):
    """Also in the statistics of norms, which each process computes over windows of its own."""
    first, second = tensors(together, name), tensors(together, name, rank=1)
    tracked = "num_batches_tracked"
    assert all(torch.equal(first[key], second[key]) for key in first if tracked not in key)


@pytest.mark.parametrize("name", ["again", "resumed"])
def test_equal_runs_and_runs_that_go_on_are_equal_to_the_last_bit(together, name):
    first, second = tensors(together, "random"), tensors(together, name)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert record(together, "random") == record(together, name)


def test_dropout_differs_between_processes_and_numbers_of_them(together, alone):
    assert record(together, "random").train_loss != alone["random"][1].train_loss


def test_a_stream_is_shown_in_equal_parts(together, alone):
    """Of 41 windows one is left out of an epoch of two processes."""
    assert record(together, "streamed").windows == {"train": 41, "validation": 19}
    assert record(together, "streamed").train_loss == pytest.approx(
        alone["streamed"][1].train_loss, rel=0.2
    )


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
    message = r"(?s)^training process [01] failed:\nTraceback.*w\.parquet"
    with pytest.raises(RuntimeError, match=message):
        run_job(broken, print)


def test_more_processes_than_gpus_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    several = TrainingJob.from_json(job(tmp_path).to_json().replace('"cpu"', '"cuda"'))
    with pytest.raises(InputError, match="2 processes need as many GPUs, but torch sees 1"):
        run_job(several, print)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
