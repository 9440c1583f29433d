"""The cheapest exact way to what is asked of models: crop, restricted heads, shared stretches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from seqtrust.inference.augment import Pass
from seqtrust.inference.local_graph import Interval, LocalGraph, NotLocalError
from seqtrust.inference.masks import Masks, Places
from seqtrust.inference.multiplications import macs_of_pass
from seqtrust.inference.precision import BF16, FLOAT32, changes_in_bfloat16, in_bfloat16
from seqtrust.inference.shared import Saved, SharedGraph
from seqtrust.inference.stacked import NotStackedError, stacked, widest
from seqtrust.inference.tracing import local_graph
from seqtrust.models.model import PADDING, Model
from seqtrust.predictions import OutputSpec

# multiplications for which a device needs about as long as sharing takes to plan
_PLANNING = {"cpu": 1_000_000_000, "cuda": 100_000_000_000}

# of a large network whose layers are not known
_MACS_PER_BASE = 1_000_000

# channels of the widest layer up to which replicates side by side are faster than in turn:
# measured on the CPU, taken to hold on a GPU
_NARROW = 512

# networks of which nothing says that replicates are built alike
OWN = ("entrypoint", "program")

Parts = dict[str, torch.Tensor]


@dataclass(frozen=True)
class _Graphs:
    """The graphs of all replicates.

    Attributes:
        own: of each replicate.
        together: of all of them with their channels side by side, where they are computed so.
    """

    own: tuple[SharedGraph, ...]
    together: SharedGraph | None

    @property
    def saved(self) -> Saved:
        """What sharing saved, per replicate."""
        if self.together is None:
            return self.own[0].saved
        abreast = self.together.saved
        return self.own[0].saved + replace(abreast, macs=abreast.macs // len(self.own))


@dataclass(frozen=True)
class _View:
    """What one pass computes.

    Attributes:
        shown: how the sequences are shown.
        tracks: the model's tracks that hold what is wanted, seen from this strand.
        bins: [first, stop) of the model's bins, seen from this strand.
        exact: the graphs of those tracks in float32; None where full passes are run.
        used: those in the precision that is asked for.
    """

    shown: Pass
    tracks: tuple[int, ...]
    bins: Interval
    exact: _Graphs | None
    used: _Graphs | None


class Engine:
    """Predictions of some tracks and bins of replicates for sequences of one length."""

    def __init__(
        self,
        models: Sequence[Model],
        outputs: Sequence[OutputSpec],
        passes: Sequence[Pass],
        length: int,
        savings: bool = True,
        stack: str | bool = "auto",
        precision: str = FLOAT32,
    ) -> None:
        """Plan.

        Args:
            models: R replicates with the same facts, on the device of the batches, in
                evaluation mode.
            outputs: what to keep.
            passes: strands and shifts to average over.
            length: of the sequences, bp.
            savings: False for full passes.
            stack: compute replicates side by side rather than in turn; "auto": where that is
                faster for networks of this size on this device.
            precision: "float32", or "bf16" for bfloat16 operands of products.
        """
        self.models = models
        self.device = models[0].device
        self.outputs = outputs
        self.length = length
        self.precision = precision
        self.tracks = tuple(sorted({track for output in outputs for track in output.tracks}))
        every = [index for output in outputs for index in output.bins]
        self.bins = min(every), max(every) + 1
        self.full_passes = "" if savings else "asked for"
        self.table = models[0].encode(torch.arange(PADDING + 1, dtype=torch.uint8)[None])[0].T
        self.table = self.table.to(self.device)
        self.masks = Masks.of(models, length)
        self._stack = stack
        self._by_full_passes = 0
        bins = models[0].facts.bins(length)
        self._views = [self._view(one, bins, savings) for one in passes]

    def _view(self, shown: Pass, bins: int, savings: bool) -> _View:
        tracks, span = self.tracks, self.bins
        if shown.reverse_complement:
            swapped = self.models[0].facts.swapped_tracks()
            tracks = tuple(swapped[track] for track in tracks)
            span = bins - span[1], bins - span[0]
        if not savings:
            return _View(shown, tracks, span, None, None)
        try:
            own = [local_graph(model.module, tracks) for model in self.models]
        except NotLocalError as reason:
            self.full_passes = str(reason)
            return _View(shown, tracks, span, None, None)
        together = self._together(own)
        exact = self._graphs(own, together, FLOAT32)
        used = exact if self.precision == FLOAT32 else self._graphs(own, together, self.precision)
        return _View(shown, tracks, span, exact, used)

    def _together(self, own: Sequence[LocalGraph]) -> LocalGraph | None:
        """The graph of all replicates, if they are to be computed side by side."""
        if len(own) == 1 or self._stack is False or self.models[0].architecture in OWN:
            return None
        if self._stack == "auto" and widest(own[0]) > _NARROW:
            return None
        try:
            return stacked(own)
        except NotStackedError:
            return None

    def _graphs(
        self, own: Sequence[LocalGraph], together: LocalGraph | None, precision: str
    ) -> _Graphs:
        return _Graphs(
            tuple(_shared(graph, precision) for graph in own),
            _shared(together, precision, len(own)) if together else None,
        )

    @property
    def stacked(self) -> bool:
        """Whether sequences of one window go through all replicates side by side."""
        return any(view.used is not None and view.used.together for view in self._views)

    @property
    def abreast(self) -> int:
        """Replicates that a batch of unlike sequences goes through at a time."""
        return len(self.models) if self.stacked and self._at_once(alike=False) else 1

    def _at_once(self, alike: bool) -> bool:
        """Whether side by side is the faster way, where there is one.

        On the CPU it saves the planning of what is shared, and costs room in the cache.
        """
        return alike or self._stack is True or self.device.type == "cuda"

    @property
    def saved(self) -> Saved:
        """What sharing saved and what was computed, over all passes, per replicate."""
        total = Saved(macs=self._by_full_passes * self.full_macs // len(self._views))
        for view in self._views:
            if view.used:
                total = total + view.used.saved
        return total

    @property
    def macs(self) -> int:
        """Multiplications of a sequence and replicate without sharing, the most over all passes."""
        known = [self._macs(view.used, view.bins) for view in self._views if view.used]
        return max(known, default=_MACS_PER_BASE * self.length)

    @cached_property
    def full_macs(self) -> int:
        """Multiplications of a sequence and replicate by full passes with all tracks."""
        return len(self._views) * macs_of_pass(self.models[0], self.length)

    @property
    def cropped_macs(self) -> int:
        """The same of the bases, bins and tracks that are wanted."""
        full = self.full_macs // len(self._views)
        views = self._views
        return sum(self._macs(view.used, view.bins) if view.used else full for view in views)

    @property
    def reach(self) -> int:
        """Bases of a sequence that are computed, the most over all passes."""
        return max(self._span(view)[1] - self._span(view)[0] for view in self._views)

    def share_worthwhile(self, sequences: int) -> bool:
        """Whether sharing saves more than it takes to plan for so many sequences of a window.

        In lower precision they are always computed together, for the sake of their differences.
        """
        graphs = self._views[0].used
        if graphs is None:
            return False
        if self.precision != FLOAT32:
            return sequences > 1
        spared = self._macs(graphs, self._views[0].bins) * (sequences - 1)
        if graphs.together:
            spared *= len(self.models)
        return spared > _PLANNING[self.device.type]

    def _macs(self, graphs: _Graphs, bins: Interval) -> int:
        graph = graphs.own[0].graph
        needed = graph.needed({len(graph.steps) - 1: bins}, graph.lengths(self.length))
        return graph.macs(needed)

    def __call__(
        self, codes: torch.Tensor, alike: bool = False, places: Places | None = None
    ) -> Parts:
        """Codes uint8 (N, L) to float64 (N, R x tracks, bins) per output; one bin where reduced.

        The tracks of the first replicate come first, then those of the second, and so on.

        Args:
            codes: on the models' device.
            alike: the sequences are of one window: compute what they share once.
            places: where each sequence lies, or one for all; it matters to fixed masks alone.
        """
        return self._mean(
            codes, places, lambda view, shown: self._values(view, shown, alike, self.precision)
        )

    def exact(
        self, codes: torch.Tensor, alike: bool = False, places: Places | None = None
    ) -> Parts:
        """The same in float32."""
        return self._mean(
            codes, places, lambda view, shown: self._values(view, shown, alike, FLOAT32)
        )

    def full(self, codes: torch.Tensor, places: Places | None = None) -> Parts:
        """The same by full passes of the networks, in float32."""
        return self._mean(codes, places, lambda view, shown: self._full(view, shown, FLOAT32))

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

    def _values(
        self, view: _View, codes: torch.Tensor, alike: bool, precision: str
    ) -> torch.Tensor:
        """(N, R x tracks, bins), seen from the strand of the view."""
        graphs = view.exact if precision == FLOAT32 else view.used
        if graphs is None:
            self._by_full_passes += len(codes)
            return self._full(view, codes, precision)
        several = self._several(graphs, alike)
        if alike:
            made = [one.predict(codes, self.table, view.bins) for one in several]
        else:
            made = [self._cropped(one, codes, view.bins) for one in several]
        return made[0] if len(made) == 1 else torch.cat(made, dim=1)

    def ways(self, alike: bool) -> list[tuple[Pass, Interval, tuple[SharedGraph, ...]]]:
        """Per pass the bins and the graphs that sequences go through; none for full passes."""
        return [
            (view.shown, view.bins, self._several(view.used, alike) if view.used else ())
            for view in self._views
        ]

    def _several(self, graphs: _Graphs, alike: bool) -> tuple[SharedGraph, ...]:
        if graphs.together and self._at_once(alike):
            return (graphs.together,)
        return graphs.own

    def _cropped(self, shared: SharedGraph, codes: torch.Tensor, bins: Interval) -> torch.Tensor:
        graph = shared.graph
        lengths = graph.lengths(codes.shape[1])
        last = len(graph.steps) - 1
        needed = graph.needed({last: bins}, lengths)
        shared.saved.macs += len(codes) * graph.macs(needed)
        start, stop = needed[0]
        shown = self.models[0].encode(codes[:, start:stop])
        return graph.run({0: shown}, needed, lengths)[last]

    def _full(self, view: _View, codes: torch.Tensor, precision: str) -> torch.Tensor:
        index = torch.tensor(view.tracks, device=codes.device)
        made = []
        for model in self.models:
            with torch.autocast(codes.device.type, dtype=torch.bfloat16, enabled=precision == BF16):
                predictions = model(codes)
            if predictions.dtype == torch.bfloat16:
                predictions = predictions.float()
            predictions = predictions[:, slice(*view.bins)]
            made.append(predictions.index_select(2, index).transpose(1, 2))
        return made[0] if len(made) == 1 else torch.cat(made, dim=1)

    def _span(self, view: _View) -> Interval:
        if view.used is None:
            return 0, self.length
        graph = view.used.own[0].graph
        return graph.needed({len(graph.steps) - 1: view.bins}, graph.lengths(self.length))[0]

    def _kept(self, values: torch.Tensor, output: OutputSpec) -> torch.Tensor:
        """An output's part of (N, R x tracks, bins), in double precision."""
        tracks = [
            replicate * len(self.tracks) + self.tracks.index(track)
            for replicate in range(len(self.models))
            for track in output.tracks
        ]
        bins = [index - self.bins[0] for index in output.bins]
        kept = values.index_select(1, _index(tracks, values)).index_select(2, _index(bins, values))
        kept = kept.to(torch.float64)
        if output.reduction == "none":
            return kept
        reduce: Any = torch.sum if output.reduction == "sum" else torch.mean
        return reduce(kept, dim=2, keepdim=True)


def _shared(graph: LocalGraph, precision: str, replicates: int = 1) -> SharedGraph:
    if precision == FLOAT32:
        return SharedGraph(graph, replicates=replicates)
    return SharedGraph(in_bfloat16(graph), changes_in_bfloat16(graph), replicates)


def _index(values: Sequence[int], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, device=like.device)
