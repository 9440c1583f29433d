"""Whether lower precision changes the signs of effects, on a sample of windows."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from seqtrust.errors import InputError
from seqtrust.inference.engine import Engine, Parts
from seqtrust.inference.masks import places_of
from seqtrust.sequence_set import SequenceSet

# noise floors below which an effect is a tie
_TIE = 10


@dataclass(frozen=True)
class SignCheck:
    """How lower precision is checked.

    Attributes:
        sample: sequences that are computed in both precisions, at most.
        share: of the effects that may change their sign.
    """

    sample: int = 64
    share: float = 0.02


def check_signs(
    engine: Engine,
    sequences: SequenceSet,
    check: SignCheck,
    noise_floor: Sequence[Mapping[str, float]],
) -> list[dict[str, Any]]:
    """Compare the effects of a sample of sequences with those in float32.

    An effect is the difference to the first sequence of the window, of one track and summed over
    the bins of an output; below ten times the noise floor it is a tie.

    Args:
        engine: in lower precision.
        sequences: the set.
        check: sample and limit.
        noise_floor: of every replicate, per output, in float32.

    Returns:
        Per replicate how many effects were `compared`, how many `changed` their sign, the
        `share` of these, and the `largest_relative_error` of an effect that is no tie; the last
        two are None where there is none.

    Raises:
        InputError: more effects change than may.
    """
    tallies = [_Tally() for _ in engine.models]
    for rows in sampled(sequences.window_indices(), check.sample):
        exact, used = _both(engine, sequences, rows)
        for output in engine.outputs:
            # the rounding errors of the bins of a sum are independent
            width = output.shape[1] ** 0.5
            effects = [
                _effects(values[output.name], len(engine.models)) for values in (exact, used)
            ]
            for replicate, tally in enumerate(tallies):
                tie = _TIE * noise_floor[replicate][output.name] * width
                tally.add(effects[0][replicate], effects[1][replicate], tie)
    found = [tally.result() for tally in tallies]
    for number, result in enumerate(found, start=1):
        logging.getLogger(__name__).info("precision check of replicate %d: %s", number, result)
        if result["compared"] and result["share"] > check.share:
            raise InputError(
                f"precision {engine.precision}: {result['changed']} of {result['compared']} "
                f"effects of replicate {number} have another sign than in float32 "
                f"({result['share']:.1%}, more than {check.share:.1%}; largest relative error "
                f"{_shown(result['largest_relative_error'])}): set precision to float32 under "
                "inference, or allow a larger share under bf16_check"
            )
    return found


def sampled(windows: np.ndarray[Any, np.dtype[np.int64]], sample: int) -> list[list[int]]:
    """Rows of some windows, evenly drawn, with the first sequence of each and some others.

    Args:
        windows: the window of every sequence, those of one window together.
        sample: rows at most.
    """
    bounds = [0, *(np.flatnonzero(np.diff(windows)) + 1).tolist(), len(windows)]
    runs = [range(*ends) for ends in pairwise(bounds)]
    runs = [run for run in runs if len(run) > 1]
    count = min(len(runs), sample // 2)
    if not count:
        return []
    chosen = [runs[index] for index in np.linspace(0, len(runs) - 1, count).round().astype(int)]
    most = sample // count
    return [
        [run[int(place)] for place in np.linspace(0, len(run) - 1, min(len(run), most)).round()]
        for run in chosen
    ]


def _both(engine: Engine, sequences: SequenceSet, rows: Sequence[int]) -> tuple[Parts, Parts]:
    """Predictions of some rows of one window, in float32 and as they are made."""
    codes = np.concatenate([sequences.part(row, row + 1).codes() for row in rows])
    shown = torch.from_numpy(codes).to(engine.device)
    window = sequences.windows[int(sequences.window_indices()[rows[0]])].window
    places = places_of([(window.start, window.strand)])
    alike = engine.share_worthwhile(len(rows))
    return engine.exact(shown, alike, places), engine(shown, alike, places)


def _effects(values: torch.Tensor, replicates: int) -> torch.Tensor:
    """(N, R x tracks, bins) to differences to the first sequence, (R, N - 1, tracks)."""
    total = values.sum(dim=2).unflatten(1, (replicates, -1)).transpose(0, 1)
    return total[:, 1:] - total[:, :1]


@dataclass
class _Tally:
    """Effects that were compared, and those that changed their sign."""

    compared: int = 0
    changed: int = 0
    error: float | None = None

    def add(self, exact: torch.Tensor, used: torch.Tensor, tie: float) -> None:
        """Count effects of one output."""
        signs = [torch.where(one.abs() < tie, 0, one.sign()) for one in (exact, used)]
        self.compared += exact.numel()
        self.changed += int((signs[0] != signs[1]).sum())
        real = signs[0] != 0
        if bool(real.any()):
            largest = float(((used - exact).abs()[real] / exact.abs()[real]).max())
            self.error = max(self.error or 0.0, largest)

    def result(self) -> dict[str, Any]:
        """The figures; see `check_signs`."""
        share = self.changed / self.compared if self.compared else None
        return {
            "compared": self.compared,
            "changed": self.changed,
            "share": share,
            "largest_relative_error": self.error,
        }


def _shown(error: float | None) -> str:
    return "none" if error is None else f"{error:.3g}"
