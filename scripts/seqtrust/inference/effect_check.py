"""Whether effects of the sequences of one place are those of full passes.

An effect is the difference to the first sequence of the place. Its error is held against the
standard deviation of the predictions of all sequences of the place in the batch.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

EFFECT_TOLERANCE = 1e-3
# differences of full passes with themselves below which effects are noise
_NOISE = 10
# of the largest value: float32 full passes of deep networks are no better
_ROUNDING = 32 * float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class EffectError:
    """How far effects were off.

    Attributes:
        size: largest prediction; 1 where all are zero.
        of_sd: largest error of an effect relative to the standard deviation, over tracks and
            bins where that is above the noise; 0 where there is none.
    """

    size: float
    of_sd: float


class EffectCheck:
    """Compares effects of one batch with those of full passes.

    Attributes:
        found: predictions of the batch, per output (R, N, tracks, bins).
    """

    def __init__(self, found: Mapping[str, torch.Tensor], places: Sequence[Hashable]) -> None:
        """Take the batch.

        Args:
            found: as above.
            places: where each of the N sequences lies.
        """
        self.found = found
        self._places = places
        self._full: dict[str, dict[int, torch.Tensor]] = {name: {} for name in found}
        self._noise: dict[str, torch.Tensor] = {}

    def add(self, name: str, row: int, full: torch.Tensor) -> None:
        """Note the full pass of a row, (R, tracks, bins)."""
        self._full[name][row] = full

    def twice(self, rows: Sequence[int], full: Mapping[str, torch.Tensor]) -> None:
        """Note full passes of some rows in one batch, (R, rows, tracks, bins) per output."""
        for name, values in full.items():
            alone = torch.stack([self._full[name][row] for row in rows], dim=1)
            self._noise[name] = (values - alone).abs().amax(dim=(1, 2, 3))

    def error(self, name: str, replicate: int, refuse: bool) -> EffectError:
        """The error of the effects on an output.

        Args:
            name: of the output.
            replicate: number of the replicate, from 0.
            refuse: raise if it is too large.

        Raises:
            RuntimeError: an effect is off by more than a thousandth of the standard deviation,
                and by more than full passes can tell.
        """
        found = self.found[name][replicate]
        size = float(found.abs().max()) or 1.0
        noise = float(self._noise[name][replicate]) if name in self._noise else 0.0
        lowest = max(_NOISE * noise, _ROUNDING * size)
        worst = 0.0
        for first, others in self._compared(name):
            mine = [row for row, place in enumerate(self._places) if place == self._places[first]]
            sd = found[mine].std(dim=0, correction=0)
            for row in others:
                full = self._full[name][row][replicate] - self._full[name][first][replicate]
                error = (full - (found[row] - found[first])).abs()
                real = sd > lowest
                if bool(real.any()):
                    worst = max(worst, float((error[real] / sd[real]).max()))
                over = error > (EFFECT_TOLERANCE * sd).clamp_min(lowest)
                if refuse and bool(over.any()):
                    raise RuntimeError(
                        f"output {name!r}: an effect, the difference between two sequences of "
                        f"one window, is off by {float(error[over].max()):.3g} from that of full "
                        f"passes, more than {EFFECT_TOLERANCE:g} of the standard deviation "
                        f"{float(sd[over].min()):.3g} of the window's sequences and than the "
                        f"rounding of full passes, {lowest:.3g}: set savings to false under "
                        "inference, and report the model"
                    )
        return EffectError(size, worst)

    def _compared(self, name: str) -> list[tuple[int, list[int]]]:
        """The first checked row of every place and the others."""
        rows: dict[Hashable, list[int]] = {}
        for row in sorted(self._full[name]):
            rows.setdefault(self._places[row], []).append(row)
        return [(first, others) for first, *others in rows.values() if others]


def checked_rows(places: Sequence[Hashable], count: int) -> list[int]:
    """Rows of a batch to compare: spread evenly, each with another one of its place if any.

    Args:
        places: where each of the N sequences lies.
        count: rows at most.
    """
    if count >= len(places):
        return list(range(len(places)))
    first_of: dict[Hashable, int] = {}
    last_of: dict[Hashable, int] = {}
    for row, place in enumerate(places):
        first_of.setdefault(place, row)
        last_of[place] = row
    spread = [int(row) for row in np.linspace(0, len(places) - 1, count)]
    chosen: list[int] = []
    for row in [*spread[::2], *spread]:
        first, last = first_of[places[row]], last_of[places[row]]
        for one in (first, last if row == first else row):
            if one not in chosen and len(chosen) < count:
                chosen.append(one)
    return sorted(chosen)
