"""The cheapest exact way to what is asked of a model: crop, restricted heads, shared stretches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from seqtrust.inference.augment import Pass
from seqtrust.inference.local_graph import Interval, NotLocalError
from seqtrust.inference.masks import Masks, Places
from seqtrust.inference.shared import Saved, SharedGraph
from seqtrust.inference.tracing import local_graph
from seqtrust.models.model import PADDING, Model
from seqtrust.predictions import OutputSpec

# multiplications for which a device needs about as long as sharing takes to plan
_PLANNING = {"cpu": 1_000_000_000, "cuda": 100_000_000_000}

# of a large network whose layers are not known
_MACS_PER_BASE = 1_000_000

Parts = dict[str, torch.Tensor]


@dataclass(frozen=True)
class _View:
    """What one pass computes.

    Attributes:
        shown: how the sequences are shown.
        tracks: the model's tracks that hold what is wanted, seen from this strand.
        bins: [first, stop) of the model's bins, seen from this strand.
        shared: the graph of those tracks; None where full passes are run.
    """

    shown: Pass
    tracks: tuple[int, ...]
    bins: Interval
    shared: SharedGraph | None


class Engine:
    """Predictions of some tracks and bins of one model for sequences of one length."""

    def __init__(
        self,
        model: Model,
        outputs: Sequence[OutputSpec],
        passes: Sequence[Pass],
        length: int,
        savings: bool = True,
    ) -> None:
        """Plan.

        Args:
            model: on the device of the batches, in evaluation mode.
            outputs: what to keep.
            passes: strands and shifts to average over.
            length: of the sequences, bp.
            savings: False for full passes.
        """
        self.model = model
        self.outputs = outputs
        self.length = length
        self.tracks = tuple(sorted({track for output in outputs for track in output.tracks}))
        every = [index for output in outputs for index in output.bins]
        self.bins = min(every), max(every) + 1
        self.full_passes = "" if savings else "asked for"
        self.table = model.encode(torch.arange(PADDING + 1, dtype=torch.uint8)[None])[0].T
        self.table = self.table.to(model.device)
        self.masks = Masks(model, length)
        self._views = [self._view(one, model.facts.bins(length), savings) for one in passes]

    def _view(self, shown: Pass, bins: int, savings: bool) -> _View:
        tracks, span = self.tracks, self.bins
        if shown.reverse_complement:
            swapped = self.model.facts.swapped_tracks()
            tracks = tuple(swapped[track] for track in tracks)
            span = bins - span[1], bins - span[0]
        try:
            graph = local_graph(self.model.module, tracks) if savings else None
        except NotLocalError as reason:
            self.full_passes, graph = str(reason), None
        return _View(shown, tracks, span, SharedGraph(graph) if graph else None)

    @property
    def saved(self) -> Saved:
        """What sharing saved, over all passes."""
        total = Saved()
        for view in self._views:
            if view.shared:
                total = total + view.shared.saved
        return total

    @property
    def macs(self) -> int:
        """Multiplications of a sequence without sharing, the most over all passes."""
        known = [self._macs(view.shared, view.bins) for view in self._views if view.shared]
        return max(known, default=_MACS_PER_BASE * self.length)

    @property
    def reach(self) -> int:
        """Bases of a sequence that are computed, the most over all passes."""
        return max(self._span(view)[1] - self._span(view)[0] for view in self._views)

    def share_worthwhile(self, sequences: int) -> bool:
        """Whether sharing saves more than it takes to plan for so many sequences of a window."""
        shared = self._views[0].shared
        if shared is None:
            return False
        spared = self._macs(shared, self._views[0].bins) * (sequences - 1)
        return spared > _PLANNING[self.model.device.type]

    def _macs(self, shared: SharedGraph, bins: Interval) -> int:
        graph = shared.graph
        needed = graph.needed({len(graph.steps) - 1: bins}, graph.lengths(self.length))
        return graph.macs(needed)

    def __call__(
        self, codes: torch.Tensor, alike: bool = False, places: Places | None = None
    ) -> Parts:
        """Codes uint8 (N, L) to float64 (N, tracks, bins) per output; one bin where reduced.

        Args:
            codes: on the model's device.
            alike: the sequences are of one window: compute what they share once.
            places: where each sequence lies, or one for all; it matters to fixed masks alone.
        """
        return self._mean(codes, places, lambda view, shown: self._values(view, shown, alike))

    def full(self, codes: torch.Tensor, places: Places | None = None) -> Parts:
        """The same by full passes of the network."""
        return self._mean(codes, places, self._full)

    def _mean(
        self,
        codes: torch.Tensor,
        places: Places | None,
        compute: Callable[[_View, torch.Tensor], torch.Tensor],
    ) -> Parts:
        """The mean over passes of every output, in double precision."""
        total: Parts = {}
        for view in self._views:
            self.masks.place(places or Places.unknown(), view.shown.reverse_complement)
            values = compute(view, view.shown.show(codes))
            if view.shown.reverse_complement:
                values = values.flip(-1)
            for output in self.outputs:
                kept = self._kept(values, output)
                before = total.get(output.name)
                total[output.name] = kept if before is None else before + kept
        return {name: value / len(self._views) for name, value in total.items()}

    def _values(self, view: _View, codes: torch.Tensor, alike: bool) -> torch.Tensor:
        """(N, tracks, bins), seen from the strand of the view."""
        if view.shared is None:
            return self._full(view, codes)
        if alike:
            return view.shared.predict(codes, self.table, view.bins)
        graph = view.shared.graph
        lengths = graph.lengths(codes.shape[1])
        last = len(graph.steps) - 1
        needed = graph.needed({last: view.bins}, lengths)
        start, stop = needed[0]
        return graph.run({0: self.model.encode(codes[:, start:stop])}, needed, lengths)[last]

    def _full(self, view: _View, codes: torch.Tensor) -> torch.Tensor:
        predictions = self.model(codes)[:, slice(*view.bins)]
        index = torch.tensor(view.tracks, device=predictions.device)
        return predictions.index_select(2, index).transpose(1, 2)

    def _span(self, view: _View) -> Interval:
        if view.shared is None:
            return 0, self.length
        graph = view.shared.graph
        return graph.needed({len(graph.steps) - 1: view.bins}, graph.lengths(self.length))[0]

    def _kept(self, values: torch.Tensor, output: OutputSpec) -> torch.Tensor:
        """An output's part of (N, tracks, bins), in double precision."""
        tracks = [self.tracks.index(track) for track in output.tracks]
        bins = [index - self.bins[0] for index in output.bins]
        kept = values.index_select(1, _index(tracks, values)).index_select(2, _index(bins, values))
        kept = kept.to(torch.float64)
        if output.reduction == "none":
            return kept
        reduce: Any = torch.sum if output.reduction == "sum" else torch.mean
        return reduce(kept, dim=2, keepdim=True)


def _index(values: Sequence[int], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, device=like.device)
