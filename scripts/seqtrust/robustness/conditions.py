"""Conditions: data sets of one world under one shift, with everything that is true of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqtrust.bases import Codes
from seqtrust.calibration.forecasts import Forecasts
from seqtrust.calibration.grouping import Groups
from seqtrust.robustness.artefacts import read_bases, swapped_rows
from seqtrust.robustness.assay import Assay
from seqtrust.robustness.checks import refuse_unknown_cells
from seqtrust.robustness.programs import Program
from seqtrust.robustness.readout import GC_CENTRE
from seqtrust.robustness.sequences import Drawn, draw_sequences
from seqtrust.robustness.shifts import IN_DISTRIBUTION, Shift
from seqtrust.robustness.worlds import World
from seqtrust.sources.seeds import named_generator

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Condition:
    """N sequences of L bases that were measured under one shift.

    Of a real assay the truth is not known: activity and mean are NaN, sd is that of the
    measurement if the assay tells it, and depth its number of observations.

    Attributes:
        shift: how they differ from training.
        sequences: base codes that a model sees, uint8 (N, L).
        molecules: base codes of what was measured, uint8 (N, L); the same but for read errors.
        terms: what the shifted world reads in the molecules, shape (N, K + pairs + 1).
        activity: their mean activity, log2, shape (N,).
        mean: true mean of the measurement given sequence and depth, log2, shape (N,).
        sd: its true sd, log2, shape (N,).
        observed: measurement, log2, shape (N,).
        depth: barcodes, shape (N,).
        cells: cell type, 0-based, shape (N,).
        planted: instances per motif, shape (N, K).
        background_gc: G and C outside instances, shape (N,).
        background_bases: bases outside instances, shape (N,).
        groups: rows of one group are not independent (a peak with its mutants), shape (N,);
            None where every row is its own.
        columns: numbers that a table gives of every sequence, shape (N, F), or None.
    """

    shift: Shift
    sequences: Codes
    molecules: Codes
    terms: Floats
    activity: Floats
    mean: Floats
    sd: Floats
    observed: Floats
    depth: Floats
    cells: Integers
    planted: Integers
    background_gc: Integers
    background_bases: Integers
    groups: Groups | None = None
    columns: Floats | None = None

    @property
    def known(self) -> bool:
        """Whether true means are known: of a simulation."""
        return bool(np.isfinite(self.mean).all())

    @property
    def gc(self) -> Floats:
        """GC content of the molecules, shape (N,)."""
        return self.terms[:, -1] + GC_CENTRE

    @property
    def features(self) -> Floats:
        """The simulator's own motif features h of the molecules, shape (N, K)."""
        return self.terms[:, : self.planted.shape[1]]

    def forecasts(self, mean: Floats, sd: Floats) -> Forecasts:
        """Predictions beside the measurements, for the calibration metrics; one track.

        Args:
            mean: predicted, log2, shape (N,).
            sd: stated, log2, shape (N,).
        """
        names = np.arange(len(mean)).astype(np.str_)
        return Forecasts(mean[:, None], sd[:, None], self.observed[:, None], names)

    def oracle(self) -> Forecasts:
        """The forecasts that cannot be improved: true means and sds."""
        return self.forecasts(self.mean, self.sd)


def sample(
    world: World,
    shift: Shift,
    count: int,
    seed: int,
    assay: Assay | None = None,
    cells: Sequence[int] = (0,),
    test_cell: int = -1,
) -> Condition:
    """Draw a data set.

    One seed gives the same molecules under every shift that leaves the inputs alone, and the same
    draws of depth and noise under all.

    Args:
        world: what is true.
        shift: how the data differ from training; `IN_DISTRIBUTION` for training itself.
        count: N.
        seed: of sequences and measurements; another one gives independent data.
        assay: of the training data; the default assay if None.
        cells: cell types of training; every row is measured in one of them, drawn.
        test_cell: where a shift of the cell type measures; -1 is the last.

    Raises:
        InputError: the world has no such cell type, or see `draw_sequences`.
    """
    (found,) = sample_many(world, [shift], count, seed, assay, cells, test_cell)
    return found


def sample_many(
    world: World,
    shifts: Iterable[Shift],
    count: int,
    seed: int,
    assay: Assay | None = None,
    cells: Sequence[int] = (0,),
    test_cell: int = -1,
) -> Iterator[Condition]:
    """`sample` under each of several shifts; those that share molecules also share their scan.

    Put shifts with the same inputs next to each other: only the last scan, and that of the
    training inputs, are kept.
    """
    refuse_unknown_cells(cells, world.cells)
    tested = world.cells - 1 if test_cell == -1 else test_cell
    refuse_unknown_cells([tested], world.cells)
    kept: dict[tuple[float | None, float, float, int], tuple[Drawn, Floats]] = {}
    for shift in shifts:
        if shift.inputs not in kept:
            if len(kept) > 1:
                del kept[next(key for key in kept if key != IN_DISTRIBUTION.inputs)]
            kept[shift.inputs] = _inputs(world, shift, count, seed)
        drawn, terms = kept[shift.inputs]
        yield _measured(world, shift, drawn, terms, seed, assay or Assay(), cells, tested)


def _inputs(world: World, shift: Shift, count: int, seed: int) -> tuple[Drawn, Floats]:
    readout = world.drifted(shift.pwm_drift, shift.draw) if shift.pwm_drift else world.readout
    drawn = draw_sequences(
        world.settings.sequences, readout.motifs, count, seed, shift.gc_mean, shift.site_turnover,
        world.pool,
    )  # fmt: skip
    return drawn, readout.terms(drawn.codes)


def _measured(
    world: World,
    shift: Shift,
    drawn: Drawn,
    terms: Floats,
    seed: int,
    assay: Assay,
    training_cells: Sequence[int],
    test_cell: int,
) -> Condition:
    chosen = (test_cell,) if shift.cell_sd is not None else tuple(training_cells)
    places = named_generator(seed, "cells").integers(len(chosen), size=len(terms))
    cells = np.array(chosen, dtype=np.int64)[places]
    activity = np.empty(len(terms))
    for cell in set(chosen):
        mine = cells == cell
        activity[mine] = shifted_program(world, shift, cell).activity(terms[mine])
    now = shift.assay(assay, world.activity_sd)
    measured = now.measure(activity, terms[:, -1] + GC_CENTRE, world.activity_sd, seed)
    owner = swapped_rows(len(terms), shift.swaps, seed)
    return Condition(
        shift,
        read_bases(drawn.codes, shift.substitutions, shift.masked, seed),
        drawn.codes,
        terms,
        activity,
        measured.mean[owner],
        measured.sd[owner],
        measured.observed[owner],
        measured.depth[owner],
        cells,
        drawn.planted,
        drawn.background_gc,
        drawn.background_bases,
    )


def shifted_program(world: World, shift: Shift, cell: int) -> Program:
    """The program of a cell type under a shift.

    Args:
        world: what is true.
        shift: with `rho` or `cell_sd`, another program than in training.
        cell: index, 0-based.
    """
    if shift.rho != 1:
        return world.rewired(cell, shift.rho, shift.draw)
    return world.program(cell, shift.cell_sd)
