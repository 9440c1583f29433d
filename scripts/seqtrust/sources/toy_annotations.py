"""Made of what was planted in the toy: conservation, chromatin states, softened motifs."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from seqtrust.motifs import Motif
from seqtrust.simulation import Floats
from seqtrust.sources.toy_genome import ACTIVITY_WEIGHTS, CONTIGS, Locus

CONSERVED_MEAN, NEUTRAL_SD = 3.0, 1.0
NEUTRAL_RUN = 50
STATE_WIDTH = 200
SOFTENED = (0.0, 0.1, 0.2, 0.3, 0.45, 0.6)
PROMOTER, ENHANCER, QUIESCENT = "promoter", "enhancer", "quiescent"


def draw_conservation(
    rng: np.random.Generator, loci: Sequence[Locus]
) -> dict[str, list[tuple[int, int, float]]]:
    """Conservation scores per contig: runs (start, end, score) that cover it, 0-based half-open.

    A planted site is one run around `CONSERVED_MEAN`; what lies between is cut into runs of at
    most `NEUTRAL_RUN` bp around zero. All have sd `NEUTRAL_SD`.
    """
    drawn = {}
    for contig, length in CONTIGS.items():
        sites = sorted(
            (site.start, site.end)
            for locus in loci
            for site in locus.sites
            if locus.gene.contig == contig
        )
        runs = list(_runs(sites, length))
        noise: Floats = rng.normal(0.0, NEUTRAL_SD, size=len(runs))
        drawn[contig] = [
            (start, end, CONSERVED_MEAN * conserved + float(value))
            for (start, end, conserved), value in zip(runs, noise, strict=True)
        ]
    return drawn


def _runs(sites: Iterable[tuple[int, int]], length: int) -> Iterable[tuple[int, int, bool]]:
    """(start, end, whether it is a site) along a contig; sites are sorted and disjoint."""
    last = 0
    for start, end in (*sites, (length, length)):
        for first in range(last, start, NEUTRAL_RUN):
            yield first, min(first + NEUTRAL_RUN, start), False
        if end > start:
            yield start, end, True
        last = end


def conservation_bedgraph(
    conservation: Mapping[str, Sequence[tuple[int, int, float]]],
) -> str:
    """A bedGraph of the scores."""
    return "".join(
        f"{contig}\t{start}\t{end}\t{value:z.2f}\n"
        for contig, runs in conservation.items()
        for start, end, value in runs
    )


def chromatin_states(loci: Sequence[Locus]) -> str:
    """A BED of chromatin states on a grid of `STATE_WIDTH` bp; runs of one state are one row.

    A place is a promoter if it holds a base of a site planted at a promoter, an enhancer if it
    holds one of an enhancer's and none of a promoter's, and quiescent otherwise.
    """
    rows = []
    for contig, length in CONTIGS.items():
        states = [QUIESCENT] * -(-length // STATE_WIDTH)
        for element in (ENHANCER, PROMOTER):
            for locus in loci:
                for site in locus.sites:
                    if locus.gene.contig == contig and site.element == element:
                        first, last = site.start // STATE_WIDTH, (site.end - 1) // STATE_WIDTH
                        states[first : last + 1] = [element] * (last + 1 - first)
        edges = [0, *(i for i in range(1, len(states)) if states[i] != states[i - 1]), len(states)]
        rows += [
            f"{contig}\t{start * STATE_WIDTH}\t{min(end * STATE_WIDTH, length)}\t{states[start]}\n"
            for start, end in pairwise(edges)
        ]
    return "".join(rows)


def soft_motifs(motifs: Sequence[Motif]) -> list[Motif]:
    """Every activity motif mixed with growing shares of a uniform one.

    The softer a motif, the likelier is its knock-out base, and the less an instance or its
    knock-out does.
    """
    return [
        Motif(
            f"{motif.name}_{round(100 * share):02d}",
            tuple(
                (a, c, g, t)
                for a, c, g, t in ((1 - share) * motif.probabilities + share / 4).tolist()
            ),
        )
        for motif in motifs
        if motif.name in ACTIVITY_WEIGHTS
        for share in SOFTENED
    ]
