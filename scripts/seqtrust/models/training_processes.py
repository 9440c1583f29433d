"""Several processes of one machine that train one replicate, started by torch's own launcher.

As a program (`python -m seqtrust.models.training_processes FOLDER`) this is one of them.
"""

import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from pathlib import Path

import torch

from seqtrust.errors import InputError
from seqtrust.models.training_job import TrainingJob

_KEPT_LINES = 100
_ERROR, _TRACEBACK = "error.{}.txt", "traceback.{}.txt"
_JOB = "job.json"
_RULE = "SEQTRUST_RULE_PROCESS"


def run_job(job: TrainingJob, progress: Callable[[str], None]) -> None:
    """Train a replicate in as many processes as its settings say.

    Args:
        job: what is to be done.
        progress: gets what the first process reports.

    Raises:
        InputError: what a process found wrong, the first one's where several did.
        RuntimeError: a process failed otherwise; with the first traceback, in time, and the end of
            the launcher's output, where the exit codes are.
    """
    if job.processes == 1:
        job.run(progress)
        return
    if job.device == "cuda" and torch.cuda.device_count() < job.processes:
        raise InputError(
            f"{job.processes} processes need as many GPUs, but torch sees "
            f"{torch.cuda.device_count()}: lower `gpu` of the ensemble"
        )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / _JOB).write_text(job.to_json())
        tail: deque[str] = deque(maxlen=_KEPT_LINES)
        with subprocess.Popen(
            _command(job.processes, folder),
            env=_environment(job),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    _pass_on(line.rstrip("\n"), progress, tail)
            except BaseException:
                process.terminate()
                raise
        if process.returncode == 0:
            return
        for error in _left(folder, _ERROR, job.processes):
            raise InputError(error.read_text())
        # the first one in time: others fail because it is gone
        tracebacks = _left(folder, _TRACEBACK, job.processes)
        tracebacks.sort(key=lambda path: path.stat().st_mtime_ns)
        cause = [path.read_text() for path in tracebacks[:1]]
        raise RuntimeError("\n".join([*cause, "training processes failed:", *tail]))


def _left(folder: str, kind: str, processes: int) -> list[Path]:
    """Messages that processes have left, by rank."""
    paths = (Path(folder) / kind.format(rank) for rank in range(processes))
    return [path for path in paths if path.exists()]


_MARK = "progress: "


def _pass_on(line: str, progress: Callable[[str], None], tail: deque[str]) -> None:
    if line.startswith(_MARK):
        progress(line.removeprefix(_MARK))
    else:
        tail.append(line)


def _command(processes: int, folder: str) -> list[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--max-restarts=0"]
    return [*launcher, f"--nproc-per-node={processes}", "-m", __name__, folder]


def _environment(job: TrainingJob) -> dict[str, str]:
    """The library is found, threads are as asked for, and no other machine is spoken to."""
    root = str(Path(__file__).parents[2])
    paths = [root, os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "OMP_NUM_THREADS": str(job.threads),
        _RULE: str(os.getpid()),
    }
    if sys.platform == "linux":
        environment.setdefault("GLOO_SOCKET_IFNAME", "lo")
    return environment


def main(folder: Path) -> None:
    """Be one of the processes; the launcher says in the environment which one."""
    rank = int(os.environ["RANK"])
    others = os.getppid(), int(os.environ[_RULE])
    threading.Thread(target=_end_with, args=others, daemon=True).start()
    job = TrainingJob.from_json((folder / _JOB).read_text())
    if rank == 0:
        _report_warnings()
    try:
        if job.device == "cuda":
            torch.cuda.set_device(rank)
        torch.distributed.init_process_group("nccl" if job.device == "cuda" else "gloo")
        job.run(_reported if rank == 0 else _silent, first=rank == 0)
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
    except InputError as error:
        (folder / _ERROR.format(rank)).write_text(str(error))
        sys.exit(1)
    except Exception:
        text = f"training process {rank} failed:\n{traceback.format_exc()}"
        (folder / _TRACEBACK.format(rank)).write_text(text)
        raise


def _report_warnings() -> None:
    """Warnings of the library go to the log of the rule, too."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter(f"{_MARK}%(levelname)s %(message)s"))
    logging.getLogger("seqtrust").addHandler(handler)


def _reported(line: str) -> None:
    print(f"{_MARK}{line}", flush=True)


def _silent(_: str) -> None:
    """Only the first process reports."""


def _end_with(launcher: int, rule: int) -> None:
    """Leave nothing behind when either is killed: two runs would write one state."""
    while os.getppid() == launcher and _runs(rule):
        time.sleep(0.5)
    os._exit(1)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main(Path(sys.argv[1]))
