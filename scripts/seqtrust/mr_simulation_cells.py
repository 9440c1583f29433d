"""Cells of the Deep MR simulations' grids, for rules and jobs; without numpy."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from seqtrust.errors import InputError


@dataclass(frozen=True)
class Cell:
    """One cell of the grid: what data are drawn from.

    Attributes:
        mode: which confounders there are.
        law: name of the law of effects.
        heterogeneity: sd of the effect over loci.
        strength: of the confounders, a factor of their counts.
    """

    mode: str
    law: str
    heterogeneity: float
    strength: float

    @property
    def name(self) -> str:
        """As it stands in file names, with percents of the numbers."""
        parts = (f"h{round(100 * self.heterogeneity)}", f"s{round(100 * self.strength)}")
        return "_".join((self.mode, self.law, *parts))

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, for a rule."""
        return asdict(self)


def cells_of(grid: Sequence[Mapping[str, Any]]) -> dict[str, Cell]:
    """All cells of a list of products, by name; what two products share is there once.

    Raises:
        InputError: numbers that give two cells one name.
    """
    cells: dict[str, Cell] = {}
    for block in grid:
        axes = (block["modes"], block["laws"], block["heterogeneity"], block["strengths"])
        for mode, law, heterogeneity, strength in product(*axes):
            cell = Cell(mode, law, float(heterogeneity), float(strength))
            if cells.setdefault(cell.name, cell) != cell:
                raise InputError(
                    f"two cells of a simulation are called {cell.name!r}: heterogeneity and "
                    "strengths are told apart by whole percents"
                )
    return cells
