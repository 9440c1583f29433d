"""Simulated worlds: motifs, programs of cell types, and the moments of their training inputs.

A world is fixed by its seed. Activities are log2; their mean over training sequences is 0 in every
cell type.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from seqtrust.errors import InputError
from seqtrust.motifs import Motif
from seqtrust.robustness.checks import refuse_outside, refuse_unknown_cells
from seqtrust.robustness.programs import Moments, Program, rewired
from seqtrust.robustness.readout import Readout, drawn_pairs, drifted
from seqtrust.robustness.sequences import SequenceSettings, draw_sequences
from seqtrust.simulation import random_motifs
from seqtrust.sources.seeds import named_generator

Floats = npt.NDArray[np.float64]

BEST_BASE = {0.97: 0.55, 0.85: 0.30, 0.60: 0.15}


@dataclass(frozen=True)
class WorldSettings:
    """Settings of a world.

    Attributes:
        seed: of everything that is drawn.
        sequences: how training sequences are made.
        motifs: K synthetic motifs, unless motifs are given.
        width: of synthetic motifs, bp.
        cells: cell types.
        cell_sd: sd of a cell type's own part of each motif weight.
        positive: probability that the shared part of a weight is positive.
        weight_range: of the size of the shared part, uniform.
        pairs: interactions, shared by all cell types.
        pair_weight: their size; the sign is drawn.
        gc_weight: of GC content, log2 per unit.
        threshold: see `Readout`; so are the next three.
        softness: bits.
        count_weight: of the count of sites.
        pair_spacing: largest distance of interacting sites, bp; None: any.
        reference: training sequences from which moments are taken.

    Raises:
        InputError: a value makes no sense.
    """

    seed: int
    sequences: SequenceSettings = field(default_factory=SequenceSettings)
    motifs: int = 8
    width: int = 10
    cells: int = 3
    cell_sd: float = 0.35
    positive: float = 0.65
    weight_range: tuple[float, float] = (0.5, 1.2)
    pairs: int = 2
    pair_weight: float = 0.5
    gc_weight: float = 1.0
    threshold: float = 0.70
    softness: float = 1.0
    count_weight: float = 0.3
    pair_spacing: int | None = None
    reference: int = 10_000

    def __post_init__(self) -> None:
        limits = {
            "seed": (0, np.inf), "motifs": (1, np.inf), "width": (4, self.sequences.slot),
            "cells": (1, np.inf), "cell_sd": (0, np.inf), "positive": (0, 1),
            "pairs": (0, np.inf), "pair_weight": (-np.inf, np.inf),
            "gc_weight": (-np.inf, np.inf), "reference": (100, np.inf),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            refuse_outside("world", name, getattr(self, name), low, high)
        refuse_outside("world", "weight_range[0]", self.weight_range[0], 0, np.inf)
        refuse_outside("world", "weight_range[1]", self.weight_range[1], self.weight_range[0], 1e9)


@dataclass(frozen=True)
class World:
    """A world: what is true of sequences and cell types.

    Attributes:
        settings: that it was made with.
        readout: motifs, pairs and constants.
        shared: what all cell types have in common.
        deviations: standard normal deviations of motif weights per cell type, shape (C, K).
        moments: of the terms of training sequences.
        activity_sd: root mean variance of activity over cell types: the unit of shifts that are
            stated in sds.
        pool: real sequences whose shuffles are the backgrounds, shape (M, L), or None.
    """

    settings: WorldSettings
    readout: Readout
    shared: Program
    deviations: Floats
    moments: Moments
    activity_sd: float
    pool: npt.NDArray[np.uint8] | None

    @property
    def cells(self) -> int:
        """Number of cell types."""
        return len(self.deviations)

    def program(self, cell: int, cell_sd: float | None = None) -> Program:
        """The program of a cell type.

        Args:
            cell: index, 0-based.
            cell_sd: another sd of its own part than that of the settings; its direction stays.

        Raises:
            InputError: there is no such cell type, or the sd is negative.
        """
        refuse_unknown_cells([cell], self.cells)
        sd = self.settings.cell_sd if cell_sd is None else cell_sd
        refuse_outside("cell", "cell_sd", sd, 0, np.inf)
        return _own_program(self.shared, self.deviations[cell], sd, self.moments)

    def rewired(self, cell: int, rho: float, draw: int = 0) -> Program:
        """The rewired program of a cell type (`programs.rewired`); every `draw` has another v."""
        rng = named_generator(self.settings.seed, "rewiring", str(draw), str(cell))
        return rewired(self.program(cell), self.moments, rho, rng)

    def drifted(self, fraction: float, draw: int = 0) -> Readout:
        """The readout with drifted motifs (`readout.drifted`)."""
        rng = named_generator(self.settings.seed, "drift", str(draw))
        return replace(self.readout, motifs=drifted(self.readout.motifs, fraction, rng))


def make_world(
    settings: WorldSettings,
    motifs: Sequence[Motif] | None = None,
    pool: npt.NDArray[np.uint8] | None = None,
) -> World:
    """Make a world.

    Args:
        settings: of the world.
        motifs: read from a file (`motifs.read_meme`) in the place of synthetic ones.
        pool: real sequences, shape (M, L), whose dinucleotide shuffles are the backgrounds, in
            the place of independent bases.

    Raises:
        InputError: motifs do not fit into slots, or see `draw_sequences`.
    """
    seed = settings.seed
    if motifs is None:
        names = [f"M{index + 1}" for index in range(settings.motifs)]
        rng = named_generator(seed, "motifs")
        chosen = random_motifs(rng, names, settings.width, settings.width // 2, BEST_BASE)
    elif motifs:
        chosen = tuple(motifs)
    else:
        raise InputError("world: the list of motifs is empty: give one or more, or None")
    readout = Readout(
        chosen,
        drawn_pairs(named_generator(seed, "pairs"), len(chosen), settings.pairs),
        settings.threshold,
        settings.softness,
        settings.count_weight,
        settings.pair_spacing,
    )
    drawn = draw_sequences(
        settings.sequences, chosen, settings.reference, _reference_seed(seed), pool=pool
    )
    moments = Moments.of(readout.terms(drawn.codes))
    shared = _shared_program(settings, len(chosen))
    deviations = named_generator(seed, "cells").standard_normal((settings.cells, len(chosen)))
    programs = [_own_program(shared, own, settings.cell_sd, moments) for own in deviations]
    variances = [moments.variance(program) for program in programs]
    sd = float(np.sqrt(np.mean(variances)))
    return World(settings, readout, shared, deviations, moments, sd, pool)


def _shared_program(settings: WorldSettings, motifs: int) -> Program:
    rng = named_generator(settings.seed, "program")
    signs = np.where(rng.random(motifs) < settings.positive, 1.0, -1.0)
    sizes = rng.uniform(*settings.weight_range, size=motifs)
    pairs = settings.pair_weight * rng.choice([-1.0, 1.0], size=settings.pairs)
    return Program(0.0, signs * sizes, pairs, settings.gc_weight)


def _own_program(shared: Program, own: Floats, sd: float, moments: Moments) -> Program:
    return moments.centred(replace(shared, motifs=shared.motifs + sd * own))


def _reference_seed(seed: int) -> int:
    """Sequences of the moments are not those of a data set of the same seed."""
    return int(named_generator(seed, "reference").integers(1 << 62))
