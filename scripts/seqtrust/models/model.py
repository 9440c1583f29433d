"""A model is a network plus the facts about it, and the tensor operations all models share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from seqtrust.bases import LETTERS, UNKNOWN, Codes
from seqtrust.errors import InputError
from seqtrust.models.facts import Facts

PADDING = 5  # beyond the codes of `seqtrust.bases`: the gap of a shifted sequence


@dataclass
class Model:
    """A network with its facts.

    Attributes:
        module: maps one-hot float32 (N, 4, L) to (N, bins, tracks).
        facts: what a user must know.
        architecture: name in the registry of architectures.
        parameters: all parameters of the architecture, defaults filled in; plain types.
        record: how the weights came about (training or import); plain types.
    """

    module: torch.nn.Module
    facts: Facts
    architecture: str
    parameters: dict[str, Any]
    record: dict[str, Any] = field(default_factory=dict)

    def to(self, device: torch.device | str) -> "Model":
        """Move the network; returns the model itself."""
        self.module.to(device)
        return self

    @property
    def device(self) -> torch.device:
        """Where the network's parameters or buffers are; the CPU where it has none."""
        tensors = chain(self.module.parameters(), self.module.buffers())
        return next((tensor.device for tensor in tensors), torch.device("cpu"))

    def __call__(self, codes: torch.Tensor, control: torch.Tensor | None = None) -> torch.Tensor:
        """Predictions (N, bins, tracks) for codes uint8 (N, L) on the network's device."""
        inputs = self.encode(codes)
        return self.module(inputs) if control is None else self.module(inputs, control)

    def encode(self, codes: torch.Tensor) -> torch.Tensor:
        """What the network sees of codes uint8 (N, L): float32 (N, 4, L), on their device."""
        padding = 0.25 if self.facts.shift_padding == "uniform" else 0.0
        return one_hot(codes, self.facts.alphabet, padding)

    def predict(self, codes: Codes, control: npt.NDArray[np.float32] | None = None) -> torch.Tensor:
        """Predictions (N, bins, tracks) for base codes (N, L), in evaluation mode.

        All of `codes` is one batch; `seqtrust.inference.predict` splits what is larger.

        Args:
            codes: uint8.
            control: what the network reads beside the sequence, shape (N, bins, K); None where
                it reads nothing, or for zeros.
        """
        self.facts.bins(codes.shape[-1])
        batch = torch.from_numpy(codes).to(self.device)
        read = None if control is None else torch.from_numpy(control).to(self.device)
        with evaluation(self.module), torch.inference_mode(), exact_float32():
            return self(batch, read)


def one_hot(codes: torch.Tensor, alphabet: str = "ACGT", padding: float = 0.0) -> torch.Tensor:
    """One-hot float32 (N, 4, L) of codes uint8 (N, L), on the codes' device; N is all zeros.

    The channels are in the order of `alphabet`; `PADDING` has the value `padding` in all four.
    """
    order = [LETTERS.index(letter) for letter in alphabet]
    if codes.device.type == "cpu":
        # numpy asks for large pages of memory, which makes this five times faster than torch
        letters = np.array(order, dtype=np.uint8)[:, None]
        channels = torch.from_numpy((codes.numpy()[..., None, :] == letters).astype(np.float32))
    else:
        channels = _one_hot_on_device(codes, order)
    return channels + padding * (codes == PADDING).unsqueeze(-2) if padding else channels


def _one_hot_on_device(codes: torch.Tensor, order: Sequence[int]) -> torch.Tensor:
    """Float32 (..., 4, L): 1 where a code is the channel's; on the codes' device."""
    letters = torch.tensor(order, dtype=codes.dtype, device=codes.device)
    return (codes.unsqueeze(-2) == letters[:, None]).to(torch.float32)


def reverse_complement(codes: torch.Tensor) -> torch.Tensor:
    """Reverse complement of codes (..., L); N and padding stay what they are."""
    backwards = codes.flip(-1)
    return torch.where(backwards >= UNKNOWN, backwards, 3 - backwards)


def shift(codes: torch.Tensor, distance: int, filler: int = UNKNOWN) -> torch.Tensor:
    """Codes (..., L) moved `distance` bp to the right; `filler` fills the gap, the end drops off.

    A negative distance moves them to the left.
    """
    length = codes.shape[-1]
    if abs(distance) >= length:
        raise ValueError(f"a shift of {distance} bp leaves nothing of {length} bp")
    moved = torch.full_like(codes, filler)
    if distance >= 0:
        moved[..., distance:] = codes[..., : length - distance]
    else:
        moved[..., :distance] = codes[..., -distance:]
    return moved


def other_strand(predictions: torch.Tensor, swapped_tracks: Sequence[int]) -> torch.Tensor:
    """Predictions (N, bins, tracks) as the reverse complement would have them.

    Bins are reversed and every track is replaced by the one that holds its other strand.
    """
    return predictions.flip(1)[..., list(swapped_tracks)]


@contextmanager
def evaluation(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode inside, the former mode afterwards."""
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Torch uses `count` threads inside, as many as before afterwards."""
    if count < 1:
        raise InputError(f"{count} threads: at least one is needed")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def exact_float32() -> Iterator[None]:
    """Float32 convolutions on a GPU are float32 (not TF32) and repeatable inside."""
    with torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    ):
        yield


def resolve_device(device: str) -> torch.device:
    """The torch device of "cpu", "cuda", "cuda:1", ... or "auto" (a GPU where there is one).

    Raises:
        InputError: the name is unknown, or there is no such GPU.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"device {device!r} is unknown: use cpu, cuda or auto") from error
    if resolved.type not in ("cpu", "cuda"):
        raise InputError(f"device {device!r} is not supported: use cpu, cuda or auto")
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device {device!r} asked for, but torch sees {torch.cuda.device_count()} GPUs: "
            "use cpu or auto, or start the job where a GPU is"
        )
    return resolved
