"""Processes that train one model together: sums, gathers and copies over all of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.distributed

from seqtrust.errors import InputError
from seqtrust.models.window_source import Part


@dataclass(frozen=True)
class Group:
    """This process among those of a run; with one process nothing is exchanged.

    Attributes:
        rank: of this process, from 0; the first one writes files.
        processes: of the run.
        device: where what is exchanged must be.
    """

    rank: int = 0
    processes: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @classmethod
    def current(cls, processes: int, device: torch.device) -> "Group":
        """The group that torch's launcher has started, or this process alone.

        Args:
            processes: asked for.
            device: asked for; each of several processes gets a GPU of its own.

        Raises:
            InputError: there are fewer or more processes than asked for, or one GPU for several.
        """
        started = torch.distributed.is_available() and torch.distributed.is_initialized()
        found = torch.distributed.get_world_size() if started else 1
        if found != processes:
            raise InputError(
                f"{processes} processes asked for, but this is one of {found}: only the rule "
                "train_replicate starts processes of its own; elsewhere use torchrun"
            )
        rank = torch.distributed.get_rank() if started else 0
        if processes > 1 and device.type == "cuda":
            if device.index is not None:
                raise InputError(
                    f"{processes} processes take a GPU each, but device is {str(device)!r}: "
                    "use cuda"
                )
            device = torch.device("cuda", rank)
        return cls(rank, processes, device)

    @property
    def part(self) -> Part:
        """Rank and number of processes."""
        return self.rank, self.processes

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.processes == 1

    def total(self, value: float) -> float:
        """Sum over all processes, in double precision, the same in each."""
        if self.alone:
            return value
        summed = torch.tensor([value], dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(summed)
        return float(summed)

    def gathered(self, values: torch.Tensor) -> list[torch.Tensor]:
        """The tensors of all processes, by rank; they may differ in their first axis only."""
        if self.alone:
            return [values]
        lengths = [int(self.total(len(values) * (self.rank == r))) for r in range(self.processes)]
        padded = values.new_zeros((max(lengths), *values.shape[1:]))
        padded[: len(values)] = values
        found = [torch.empty_like(padded) for _ in lengths]
        torch.distributed.all_gather(found, padded)
        return [one[:length] for one, length in zip(found, lengths, strict=True)]

    def wait(self) -> None:
        """Return when all processes have come here."""
        if not self.alone:
            torch.distributed.barrier()

    def add_gradients(self, module: torch.nn.Module) -> None:
        """Gradients become their sums over processes, running statistics of norms their means.

        All other buffers become those of the first process.
        """
        if self.alone:
            return
        weights = list(module.parameters())
        present = weights[0].new_tensor([w.grad is not None for w in weights], dtype=torch.float32)
        gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
        running, others = _buffers(module)
        self._reduce([present, *gradients, *running])
        for statistic in running:
            statistic.div_(self.processes)
        for weight, gradient, count in zip(weights, gradients, present.tolist(), strict=True):
            weight.grad = gradient if count else None
        for buffer in others:
            torch.distributed.broadcast(buffer, 0)

    def _reduce(self, tensors: Sequence[torch.Tensor]) -> None:
        """Sum in place, in one exchange."""
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        torch.distributed.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))


def _buffers(module: torch.nn.Module) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Running means and variances, and all other buffers that are kept with the weights."""
    kept = {id(buffer) for buffer in module.state_dict(keep_vars=True).values()}
    running: list[torch.Tensor] = []
    others: list[torch.Tensor] = []
    for name, buffer in module.named_buffers():
        if id(buffer) in kept:
            is_running = name.rpartition(".")[2] in ("running_mean", "running_var")
            (running if is_running else others).append(buffer)
    return running, others
