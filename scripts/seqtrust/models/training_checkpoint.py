"""The state of an unfinished training run on disk: safetensors with JSON, nothing pickled."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from seqtrust.errors import InputError
from seqtrust.files import whole_file

FORMAT_VERSION = 1


@dataclass(frozen=True)
class TrainingState:
    """All that a run needs to go on as if it had not been killed.

    Attributes:
        tensors: weights, the optimiser's moments, the generator of dropout, the order.
        plain: counters, history and numpy's generators; plain types.
    """

    tensors: dict[str, torch.Tensor]
    plain: dict[str, Any]

    def part(self, prefix: str) -> dict[str, torch.Tensor]:
        """The tensors whose names begin with `prefix` and a dot, without these."""
        return {
            name.removeprefix(f"{prefix}."): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(f"{prefix}.")
        }


@dataclass(frozen=True)
class Checkpoint:
    """Where and how often the state of a run is kept.

    Attributes:
        path: of the file, beside the replicate.
        minutes: a state is written after every epoch, and within one after so many minutes.
        code: digest of the code that trains; a state of other code is not used.
    """

    path: Path
    minutes: float = 10.0
    code: str = ""

    def __post_init__(self) -> None:
        if not self.minutes > 0:
            raise InputError(f"checkpoint_minutes is {self.minutes}, but must be positive")

    def second_stage(self) -> "Checkpoint":
        """Where the second of two stages is kept, while that of the first one stays."""
        return replace(self, path=self.path.with_name(f"{self.path.stem}.second{self.path.suffix}"))

    def remove(self) -> None:
        """Remove the states, and what a killed job left of unfinished ones."""
        for path in (self.path, self.second_stage().path):
            path.unlink(missing_ok=True)
            for unfinished in path.parent.glob(f".{path.name}.*"):
                unfinished.unlink(missing_ok=True)

    def write(self, run: str, state: TrainingState) -> None:
        """Write a state whole.

        Args:
            run: digest of what the run is, from `run_digest`.
            state: of the run.
        """
        from safetensors.torch import save

        tensors = {name: tensor.detach().cpu().clone() for name, tensor in state.tensors.items()}
        plain = json.dumps(state.plain, sort_keys=True)
        metadata = {
            "format": str(FORMAT_VERSION),
            "run": run,
            "plain": plain,
            "sha256": _checksum(tensors, plain),
        }
        content = save(tensors, metadata=metadata)
        with whole_file(self.path) as temporary:
            temporary.write_bytes(content)

    def read(self, run: str, report: Callable[[str], None]) -> TrainingState | None:
        """The state of this very run, or None; `report` is told of one that is not used.

        Args:
            run: digest of what the run is, from `run_digest`.
            report: gets a line.
        """
        from safetensors import SafetensorError, safe_open

        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                found = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            report(f"the training state {self.path} is damaged ({error}): training starts anew")
            return None
        if (found.get("format"), found.get("run")) != (str(FORMAT_VERSION), run):
            report(
                f"the training state {self.path} is of other settings, data or code: "
                "training starts anew"
            )
            return None
        if found.get("sha256") != _checksum(tensors, found.get("plain", "")):
            report(
                f"the training state {self.path} is damaged (its checksum differs): "
                "training starts anew"
            )
            return None
        return TrainingState(tensors, json.loads(found["plain"]))


def run_digest(parts: Mapping[str, Any]) -> str:
    """SHA-256 of what makes a run this one and no other; plain types."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def tensors_digest(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of tensors and their names."""
    return _checksum({name: tensor.detach().cpu() for name, tensor in tensors.items()}, "")


def _checksum(tensors: Mapping[str, torch.Tensor], plain: str) -> str:
    digest = hashlib.sha256(plain.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
