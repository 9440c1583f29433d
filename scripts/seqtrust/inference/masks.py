"""Where in the genome the positions of dropout layers with fixed masks are."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from seqtrust.inference.local_graph import NotLocalError, Step
from seqtrust.inference.tracing import local_graph
from seqtrust.models.fixed_dropout import FixedDropout
from seqtrust.models.model import Model


@dataclass(frozen=True)
class Places:
    """Where sequences lie.

    Attributes:
        starts: first base of every window in the assembly's 0-based coordinates, int64 (N,).
        turned: whether a sequence is of the minus strand, bool (N,).
    """

    starts: torch.Tensor
    turned: torch.Tensor

    @classmethod
    def unknown(cls) -> "Places":
        """Of sequences that lie nowhere: all begin at 0."""
        return cls(torch.zeros(1, dtype=torch.long), torch.zeros(1, dtype=torch.bool))

    def __getitem__(self, rows: slice) -> "Places":
        return Places(self.starts[rows], self.turned[rows])


@dataclass(frozen=True)
class _Layer:
    """A dropout layer and its grid.

    Attributes:
        module: the layer.
        first: base of the sequence at which position 0 begins.
        width: bases from one position to the next; 0 where the layer is behind one that is not
            local, so that its positions count from the sequence's start.
    """

    module: FixedDropout
    first: int
    width: int


class Masks:
    """Sets the masks of a network for the sequences that it is about to see."""

    def __init__(self, model: Model, length: int) -> None:
        """Find the layers.

        Args:
            model: may have no layer with fixed masks.
            length: of the sequences, bp.
        """
        self.length = length
        layers = [one for one in model.module.modules() if isinstance(one, FixedDropout)]
        grids = _grids(model.module, length) if layers else {}
        self._layers = [_Layer(one, *grids.get(one, (0, 0))) for one in layers]

    @classmethod
    def of(cls, models: Sequence[Model], length: int) -> "Masks":
        """Those of several networks."""
        masks = cls(models[0], length)
        for model in models[1:]:
            masks._layers += cls(model, length)._layers
        return masks

    def __bool__(self) -> bool:
        return bool(self._layers)

    def place(self, places: Places, other_strand: bool) -> None:
        """The masks for sequences at these places.

        Args:
            places: of N sequences, or one for all of them.
            other_strand: the network is shown their reverse complements.
        """
        turned = places.turned ^ other_strand
        for layer in self._layers:
            width = max(layer.width, 1)
            up = torch.div(places.starts + layer.first, width, rounding_mode="floor")
            end = places.starts + self.length - layer.first - width
            down = torch.div(end, width, rounding_mode="floor")
            if not layer.width:
                up = down = torch.zeros_like(up)
            layer.module.origin = torch.where(turned, down, up)
            backwards = turned & bool(layer.width)
            layer.module.direction = 1 - 2 * backwards.long()


def _grids(module: torch.nn.Module, length: int) -> dict[torch.nn.Module, tuple[int, int]]:
    """First base and bases per position of the dropout layers of a local network."""
    try:
        graph = local_graph(module)
    except NotLocalError:
        return {}
    lengths = graph.lengths(length)
    grid = [(0, 1)]
    for step in graph.steps[1:]:
        source = step.inputs[0]
        first, width = grid[source]
        grid.append((first + width * _shift(step, lengths[source]), width * step.stride))
    return {
        step.layer: place
        for step, place in zip(graph.steps, grid, strict=True)
        if isinstance(step.layer, FixedDropout)
    }


def _shift(step: Step, positions: int) -> int:
    """Input position that output position 0 lies at."""
    middle = (step.field - 1) // 2 if step.stride == 1 else 0
    return step.needs((0, 1), positions)[0] + middle


def places_of(windows: Sequence[tuple[int, str]]) -> Places:
    """Places of windows, given as (start, strand "+" or "-")."""
    starts = torch.tensor([start for start, _ in windows], dtype=torch.long)
    return Places(starts, torch.tensor([strand == "-" for _, strand in windows]))
