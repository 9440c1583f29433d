"""How long an ensemble takes for a sequence set, before it is predicted.

Multiplications are planned exactly for some places of the set, by numbering what their sequences
can see and running nothing, and scaled to all sequences. A few sequences are then really predicted,
which gives the multiplications per second of this network on this device.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from seqtrust.bases import Codes
from seqtrust.errors import InputError
from seqtrust.inference.augment import make_passes
from seqtrust.inference.batches import CHECKED_BASES, NOISE_SEQUENCES, Run
from seqtrust.inference.engine import Engine
from seqtrust.inference.local_graph import Interval, LocalGraph
from seqtrust.inference.predict import length_of, ready
from seqtrust.inference.progress import Progress
from seqtrust.inference.shared import SharedGraph
from seqtrust.models.model import Model
from seqtrust.outputs import resolve_outputs
from seqtrust.sequence_set import SequenceSet

_HOUR = 3600
# a pilot that took so many seconds is long enough
_PILOT_S = 2.0
# of a place
_PILOT_SEQUENCES = 64


class CountedGraph(SharedGraph):
    """Numbers positions and counts multiplications, but runs nothing."""

    @classmethod
    def of(cls, shared: SharedGraph) -> "CountedGraph":
        """The plan of a shared graph."""
        return cls(shared.graph, shared.after, shared.replicates, shared.budget)

    def _whole(
        self,
        graph: LocalGraph,
        shown: torch.Tensor,
        needed: Mapping[int, Interval],
        lengths: Sequence[int],
        keep: Sequence[int] = (),
    ) -> dict[int, torch.Tensor]:
        self.saved.macs += graph.macs(needed)
        return {number: _nothing(1, needed[number], shown) for number in (*keep, max(needed))}

    def _runs(
        self,
        graph: LocalGraph,
        numbers: torch.Tensor,
        table: torch.Tensor,
        needed: Mapping[int, Interval],
        lengths: Sequence[int],
    ) -> Iterator[torch.Tensor]:
        self.saved.macs += len(numbers) * graph.macs(needed)
        yield _nothing(len(numbers), needed[max(needed)], table)

    def _run_changed(
        self,
        numbers: torch.Tensor,
        table: torch.Tensor,
        reached: Mapping[int, Interval],
        kept: Mapping[int, torch.Tensor],
        needed: Mapping[int, Interval],
        lengths: Sequence[int],
    ) -> torch.Tensor:
        self.saved.macs += len(numbers) * self._rest.macs(reached)
        return _nothing(len(numbers), needed[max(needed)], table)


def _nothing(rows: int, span: Interval, like: torch.Tensor) -> torch.Tensor:
    """Values of no channel."""
    return like.new_empty((rows, 0, span[1] - span[0]))


@dataclass(frozen=True)
class Cost:
    """What predicting a set with one replicate takes.

    Attributes:
        sequences: of the set.
        naive: multiplications of full passes of all of them.
        planned: those that will be computed.
        checks: those of the checks at the start of all jobs.
        rate: multiplications per second.
        jobs: shards.
        start_s: seconds until a job begins to predict.
    """

    sequences: int
    naive: int
    planned: int
    checks: int
    rate: float
    jobs: int = 1
    start_s: float = 0.0

    @property
    def hours(self) -> float:
        """Hours of all jobs of one replicate, one after the other."""
        computing = (self.planned + self.checks) / self.rate
        return (computing + self.jobs * self.start_s) / _HOUR


def estimate(
    model: Model,
    sequences: SequenceSet,
    outputs: Mapping[str, Mapping[str, Any]],
    *,
    sample: int = 8,
    rate: float | None = None,
    start_s: float = 0.0,
    jobs: int = 1,
    reverse_complement: bool = False,
    shifts: Sequence[int] = (0,),
    batch_bases: int = 1_048_576,
    savings: bool = True,
    threads: int = 1,
    device: str = "cpu",
    clock: Callable[[], float] = time.monotonic,
) -> Cost:
    """Plan a prediction job.

    Args:
        model: one replicate.
        sequences: the set.
        outputs: what to keep.
        sample: places of the set that are planned, spread evenly.
        rate: multiplications per second; measured if None.
        start_s: seconds that a job needs to start.
        jobs: shards of the set.
        reverse_complement: as for `predict_in_parts`, like all that follow.
        shifts: bp.
        batch_bases: computed bases per batch.
        savings: False for full passes.
        threads: threads of torch.
        device: "cpu", "cuda" or "auto".
        clock: that the rate is measured with, s.

    Raises:
        InputError: a set without sequences, or what predicting it would refuse.
    """
    length = length_of(sequences)
    count = len(sequences.sequences)
    if not count:
        raise InputError("there is no sequence whose cost could be planned")
    specs = resolve_outputs(outputs, model.facts, length)
    passes = make_passes(reverse_complement, shifts, length)
    with ready([model], device, threads):
        engine = Engine([model], specs, passes, length, savings)
        planned = drawn = 0
        sizes = []
        for codes in _sampled(sequences, sample):
            drawn += len(codes)
            sizes.append(len(np.unique(codes, axis=0)))
            planned += planned_macs(engine, codes)
        # the first batch of a job is one place, if that shares, and checked
        batch = sizes[0] if engine.share_worthwhile(sizes[0]) else count
        checked = max(2, min(batch, NOISE_SEQUENCES, max(2, CHECKED_BASES // length)))
        # two sequences of one place are passed through the network once more
        twice = 2 if max(sizes) > 1 and not engine.full_passes else 0
        checks = jobs * (checked + twice) * engine.full_macs
        if rate is None:
            rate = measured_rate(engine, sequences, batch_bases, clock)
        naive = count * engine.full_macs
        return Cost(count, naive, planned * count // drawn, checks, rate, jobs, start_s)


def planned_macs(engine: Engine, codes: Codes) -> int:
    """Multiplications that an engine will compute for sequences of one place.

    Args:
        engine: of one replicate.
        codes: all sequences of the place, (N, L).
    """
    distinct = np.unique(codes, axis=0, return_index=True)[1]
    shown = torch.from_numpy(codes[np.sort(distinct)]).to(engine.device)
    if not engine.share_worthwhile(len(shown)):
        return len(shown) * engine.cropped_macs
    total = 0
    for one, bins, graphs in engine.ways(alike=True):
        for graph in map(CountedGraph.of, graphs):
            graph.predict(one.show(shown), engine.table, bins)
            total += graph.saved.macs
    return total


def measured_rate(
    engine: Engine,
    sequences: SequenceSet,
    batch_bases: int,
    clock: Callable[[], float] = time.monotonic,
) -> float:
    """Multiplications per second of an engine, reading included.

    More and more places are predicted, until that takes some seconds.

    Args:
        engine: of one replicate.
        sequences: the set.
        batch_bases: computed bases per batch.
        clock: gives seconds.
    """
    places = len(sequences.rows_by_location())
    _timed(engine, sequences.part(0, 1), batch_bases, clock)
    sample = 1
    while True:
        rows = [row for rows in _places(sequences, sample) for row in rows[:_PILOT_SEQUENCES]]
        spent, macs = _timed(engine, sequences.some(rows), batch_bases, clock)
        if spent > _PILOT_S or sample >= places:
            return macs / max(spent, 1e-9)
        sample *= 4


def _timed(
    engine: Engine, sequences: SequenceSet, batch_bases: int, clock: Callable[[], float]
) -> tuple[float, int]:
    """Seconds and multiplications of a run without checks."""
    run = Run(engine, sequences, batch_bases, check=False, progress=Progress(0, 0, 0))
    began = clock()
    run.all()
    if engine.device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - began, run.work.computed


def _places(sequences: SequenceSet, sample: int) -> list[list[int]]:
    """Rows of some places, spread evenly."""
    rows = [
        [row for first, last in group for row in range(first, last)]
        for group in sequences.rows_by_location()
    ]
    chosen = np.linspace(0, len(rows) - 1, min(sample, len(rows))).round().astype(int)
    return [rows[index] for index in chosen]


def _sampled(sequences: SequenceSet, sample: int) -> Iterator[Codes]:
    """Codes of all sequences of some places."""
    for rows in _places(sequences, sample):
        yield sequences.some(rows).codes()
