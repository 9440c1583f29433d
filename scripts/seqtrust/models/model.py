"""A model is a network plus the facts about it, and the tensor operations all models share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from seqtrust.bases import LETTERS, UNKNOWN, Codes
from seqtrust.errors import InputError

OUTPUT_SCALES = ("counts", "probability", "log_expression")


@dataclass(frozen=True)
class Track:
    """One predicted track.

    Attributes:
        name: unique within its model.
        assay: what was measured, free text.
        reverse_complement_index: index of the track that holds the other strand;
            None means the track itself (an unstranded assay).
    """

    name: str
    assay: str = ""
    reverse_complement_index: int | None = None


@dataclass(frozen=True)
class Facts:
    """What a user of a model must know, and cannot read from its weights.

    Attributes:
        input_length: bp, or None where any length that fills whole bins is allowed.
        bin_width: bp per predicted bin.
        crop: bp at each end of the input that get no prediction.
        tracks: the predicted tracks, in the order of the network's last axis.
        receptive_field: bp of input that one bin can see, its own bases included.
        build: genome build of the training data, "" where it has none.
        output_scale: "counts", "probability" or "log_expression".
        alphabet: order of the four input channels.
    """

    input_length: int | None
    bin_width: int
    crop: int
    tracks: tuple[Track, ...]
    receptive_field: int
    build: str
    output_scale: str
    alphabet: str = "ACGT"

    def __post_init__(self) -> None:
        _refuse_bad_numbers(self)
        _refuse_bad_tracks(self.tracks)
        if self.output_scale not in OUTPUT_SCALES:
            raise InputError(
                f"output scale {self.output_scale!r} is not one of {', '.join(OUTPUT_SCALES)}"
            )
        if sorted(self.alphabet) != sorted("ACGT"):
            raise InputError(f"alphabet {self.alphabet!r} is not an order of A, C, G and T")

    def bins(self, length: int) -> int:
        """Number of bins predicted for an input of `length` bp.

        Raises:
            InputError: the model takes no input of this length.
        """
        if self.input_length is not None and length != self.input_length:
            raise InputError(
                f"sequences of {length} bp, but the model takes {self.input_length} bp: "
                "make the sequence set with that length"
            )
        if length <= 2 * self.crop:
            raise InputError(
                f"sequences of {length} bp, but the model leaves {self.crop} bp at each end "
                f"without a prediction: use more than {2 * self.crop} bp"
            )
        bins, rest = divmod(length - 2 * self.crop, self.bin_width)
        if rest:
            raise InputError(
                f"sequences of {length} bp do not fill whole bins of {self.bin_width} bp "
                f"({rest} bp over): use {length - rest} or {length - rest + self.bin_width} bp"
            )
        return bins

    def reach(self, first_bin: int, last_bin: int) -> tuple[int, int]:
        """Input interval that bins `first_bin` to `last_bin` (inclusive) can see.

        Half-open, in the sequence's own 0-based coordinates; it may begin below 0 and end
        beyond the sequence, where the network sees padding.
        """
        if not 0 <= first_bin <= last_bin:
            raise ValueError(f"bins {first_bin} to {last_bin} are not an interval")
        flank = -((self.bin_width - self.receptive_field) // 2)
        start = self.crop + first_bin * self.bin_width - flank
        stop = self.crop + (last_bin + 1) * self.bin_width + flank
        return start, stop

    def swapped_tracks(self) -> tuple[int, ...]:
        """For every track the index of the one that holds its other strand."""
        return tuple(
            index if track.reverse_complement_index is None else track.reverse_complement_index
            for index, track in enumerate(self.tracks)
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, for a model card."""
        plain = asdict(self)
        plain["tracks"] = [asdict(track) for track in self.tracks]
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Facts":
        """The inverse of `to_dict`.

        Raises:
            InputError: a field is missing, unknown or has a refused value.
        """
        try:
            tracks = tuple(Track(**track) for track in plain["tracks"])
            return cls(**{**plain, "tracks": tracks})
        except (KeyError, TypeError) as error:
            raise InputError(f"the model's facts are incomplete or unknown: {error}") from error


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
        """Where the network's parameters are."""
        return next(self.module.parameters()).device

    def __call__(self, codes: torch.Tensor) -> torch.Tensor:
        """Predictions (N, bins, tracks) for codes uint8 (N, L) on the network's device."""
        return self.module(one_hot(codes, self.facts.alphabet))

    def predict(self, codes: Codes) -> torch.Tensor:
        """Predictions (N, bins, tracks) for base codes (N, L), in evaluation mode.

        All of `codes` is one batch; `seqtrust.inference.predict` splits what is larger.
        """
        self.facts.bins(codes.shape[-1])
        batch = torch.from_numpy(codes).to(self.device)
        with evaluation(self.module), torch.inference_mode(), exact_float32():
            return self(batch)


def one_hot(codes: torch.Tensor, alphabet: str = "ACGT") -> torch.Tensor:
    """One-hot float32 (N, 4, L) of codes uint8 (N, L), on the codes' device; N is all zeros.

    The channels are in the order of `alphabet`.
    """
    order = [LETTERS.index(letter) for letter in alphabet]
    letters = torch.tensor(order, dtype=codes.dtype, device=codes.device)
    return (codes.unsqueeze(-2) == letters[:, None]).to(torch.float32)


def reverse_complement(codes: torch.Tensor) -> torch.Tensor:
    """Reverse complement of codes (..., L); N stays N."""
    backwards = codes.flip(-1)
    return torch.where(backwards == UNKNOWN, backwards, 3 - backwards)


def shift(codes: torch.Tensor, distance: int) -> torch.Tensor:
    """Codes (..., L) moved `distance` bp to the right; N fills the gap, the end drops off.

    A negative distance moves them to the left.
    """
    length = codes.shape[-1]
    if abs(distance) >= length:
        raise ValueError(f"a shift of {distance} bp leaves nothing of {length} bp")
    moved = torch.full_like(codes, UNKNOWN)
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


def _refuse_bad_numbers(facts: Facts) -> None:
    if facts.bin_width < 1 or facts.crop < 0 or facts.receptive_field < facts.bin_width:
        raise InputError(
            f"bin width {facts.bin_width}, crop {facts.crop} and receptive field "
            f"{facts.receptive_field} bp do not fit: a bin has at least one base, sees at "
            "least itself, and the crop is not negative"
        )


def _refuse_bad_tracks(tracks: tuple[Track, ...]) -> None:
    if not tracks:
        raise InputError("a model needs at least one track")
    names = [track.name for track in tracks]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"track names must be unique, these are not: {', '.join(repeated)}")
    for index, track in enumerate(tracks):
        partner = track.reverse_complement_index
        if partner is None:
            continue
        if not 0 <= partner < len(tracks) or _partner(tracks, partner) != index:
            raise InputError(
                f"track {track.name!r} names track {partner} as its other strand, "
                "which does not name it back"
            )


def _partner(tracks: tuple[Track, ...], index: int) -> int:
    partner = tracks[index].reverse_complement_index
    return index if partner is None else partner
