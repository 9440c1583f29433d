"""Made of the toy's sites and tracks: conservation, chromatin states, peaks, softened motifs."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from seqtrust.motifs import Motif
from seqtrust.simulation import Floats, Integers
from seqtrust.sources.toy_genome import ACTIVITY_WEIGHTS, CONTIGS, Locus
from seqtrust.verdicts import highest_bins

CONSERVED_MEAN, NEUTRAL_SD = 3.0, 1.0
NEUTRAL_RUN = 50
STATE_WIDTH = 200
PEAK_WIDTH, PEAK_SHARE = 200, 0.1
PEAK_TRACKS = ("activity", "t1", "t3")
LOG_WIDTH = 512
LOG_TRACKS = ("activity", "t3")
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


def peak_table(counts: Mapping[str, Integers], track_names: Sequence[str], bin_width: int) -> str:
    """A table of 0 and 1 on a grid of `PEAK_WIDTH` bp: the highest tenth of some tracks.

    Args:
        counts: per contig of shape (tracks, bins).
        track_names: of the rows of `counts`; `PEAK_TRACKS` are among them.
        bin_width: bp per bin of `counts`. A place has the mean count of its bases in bins.
    """
    rows = [track_names.index(name) for name in PEAK_TRACKS]
    means = np.concatenate(
        [_mean_counts(counts[contig][rows], bin_width, CONTIGS[contig]) for contig in CONTIGS],
        axis=1,
    )
    highest = round(PEAK_SHARE * means.shape[1])
    peaks = iter(np.stack([highest_bins(mean, highest) for mean in means], axis=1).astype(int))
    lines = ["\t".join(("contig", "start", "end", *PEAK_TRACKS))]
    lines += [
        "\t".join((contig, str(start), str(start + PEAK_WIDTH), *map(str, next(peaks))))
        for contig, length in CONTIGS.items()
        for start in range(0, length, PEAK_WIDTH)
    ]
    return "\n".join(lines) + "\n"


def log_table(
    counts: Mapping[str, Integers],
    track_names: Sequence[str],
    bin_width: int,
    training: Mapping[str, Sequence[tuple[int, int]]],
) -> str:
    """A table of log(1 + count) on a grid of `LOG_WIDTH` bp, standardised over training places.

    Args:
        counts: per contig of shape (tracks, bins); a last place that is not whole is left out.
        track_names: of the rows of `counts`; `LOG_TRACKS` are among them.
        bin_width: bp per bin of `counts`, a divisor of `LOG_WIDTH`.
        training: intervals [start, end) per contig.
    """
    rows, bins = [track_names.index(name) for name in LOG_TRACKS], LOG_WIDTH // bin_width
    logs, places, trained = [], [], []
    for contig in CONTIGS:
        whole = counts[contig][rows][:, : counts[contig].shape[1] // bins * bins]
        logs.append(np.log1p(whole.reshape(len(rows), -1, bins).sum(axis=2)).T)
        for start in range(0, len(logs[-1]) * LOG_WIDTH, LOG_WIDTH):
            end = start + LOG_WIDTH
            places.append((contig, start, end))
            trained.append(any(a <= start and end <= b for a, b in training.get(contig, ())))
    values = np.concatenate(logs)
    known = values[trained]
    standardised = (values - known.mean(axis=0)) / known.std(axis=0)
    lines = ["\t".join(("contig", "start", "end", *LOG_TRACKS))]
    lines += [
        "\t".join((*map(str, place), *(f"{value:.4f}" for value in row)))
        for place, row in zip(places, standardised, strict=True)
    ]
    return "\n".join(lines) + "\n"


def _mean_counts(counts: Integers, bin_width: int, length: int) -> Floats:
    """Mean over the bases of every `PEAK_WIDTH` bp that lie in a bin, shape (tracks, places)."""
    of_bases = np.full((len(counts), length), np.nan)
    in_bins = min(counts.shape[1] * bin_width, length)
    of_bases[:, :in_bins] = np.repeat(counts, bin_width, axis=1)[:, :in_bins]
    means: Floats = np.nanmean(of_bases.reshape(len(counts), -1, PEAK_WIDTH), axis=2)
    return means


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
