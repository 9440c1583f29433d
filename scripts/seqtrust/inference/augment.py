"""Test-time averaging over strands and small shifts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from seqtrust.errors import InputError
from seqtrust.models.model import PADDING, other_strand, reverse_complement, shift


@dataclass(frozen=True)
class Pass:
    """One way of showing a sequence to a model.

    Attributes:
        shift: bp by which the sequence is moved to the right; the model's `shift_padding` says
            what it sees in the gap. Bins stay where they are in the input, so they see bases
            further left.
        reverse_complement: show the other strand, after the shift, and turn the predictions
            back.
    """

    shift: int = 0
    reverse_complement: bool = False

    def show(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (N, L) as the model sees them."""
        moved = shift(codes, self.shift, PADDING) if self.shift else codes
        return reverse_complement(moved) if self.reverse_complement else moved

    def turn_back(self, predictions: torch.Tensor, swapped_tracks: Sequence[int]) -> torch.Tensor:
        """Predictions (N, bins, tracks) in the orientation of the sequence."""
        if self.reverse_complement:
            return other_strand(predictions, swapped_tracks)
        return predictions


def make_passes(
    with_reverse_complement: bool, shifts: Sequence[int], length: int
) -> tuple[Pass, ...]:
    """Every shift on every strand asked for.

    Args:
        with_reverse_complement: also show the other strand.
        shifts: bp to the right, negative to the left.
        length: of the sequences, bp.

    Raises:
        InputError: no shift, one that occurs twice, or one that leaves nothing of a sequence.
    """
    if not shifts or len(set(shifts)) < len(shifts):
        raise InputError(f"shifts are {list(shifts)}: give different ones, or [0] for none")
    if max(abs(distance) for distance in shifts) >= length:
        raise InputError(f"shifts {list(shifts)} leave nothing of sequences of {length} bp")
    strands = (False, True) if with_reverse_complement else (False,)
    return tuple(Pass(distance, turned) for distance in shifts for turned in strands)


def mean_over_passes(
    predict: Callable[[torch.Tensor], torch.Tensor],
    codes: torch.Tensor,
    passes: Sequence[Pass],
    swapped_tracks: Sequence[int],
    select: Callable[[torch.Tensor], Sequence[torch.Tensor]],
) -> list[torch.Tensor]:
    """Mean of what is selected from the predictions of every pass, in double precision.

    Args:
        predict: codes (N, L) to predictions (N, bins, tracks).
        codes: base codes uint8, shape (N, L).
        passes: at least one.
        swapped_tracks: for every track the index of its other strand.
        select: predictions (N, bins, tracks) to the parts to keep.

    Returns:
        The mean of each part, float64.
    """
    total: list[torch.Tensor] = []
    for one in passes:
        predictions = one.turn_back(predict(one.show(codes)), swapped_tracks)
        parts = [part.to(torch.float64) for part in select(predictions)]
        total = [a + b for a, b in zip(total, parts, strict=True)] if total else parts
    return [part / len(passes) for part in total]
