"""Cuts at every base of the toy: footprints around sites, an enzyme's preference, and a control.

Expected cuts follow from the sequence alone, so that any sequence has a truth. What the control
shows (copies, repeats) comes on top and does not follow from the sequence.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from seqtrust import bases
from seqtrust.motifs import Motif
from seqtrust.simulation import Floats, Grammar, occupancy

BACKGROUND = 0.002
HOTSPOTS_PER_MB = 300
HOTSPOT_CUTS = 40.0
HOTSPOT_WIDTH = 60.0
# log preference of the enzyme for A, C, G and T from two bases before a cut to two after it
PREFERENCE = (
    (0.4, 0.0, 0.0, -0.4),
    (0.0, 0.6, -0.6, 0.0),
    (0.7, -0.7, 0.0, 0.0),
    (-0.5, 0.0, 0.5, 0.0),
    (0.0, 0.0, 0.3, -0.3),
)
# windows of a bias network: they hold hardly any cut that is of a site
TILE, STEP, FEW_CUTS = 288, 224, 4.0
_BEFORE = 2


@dataclass(frozen=True)
class Footprint:
    """What an occupied site adds to the cuts around it.

    Attributes:
        cuts: expected number, over both strands.
        offset: bp from the site's centre to the middle of the cuts, which lie upstream of it
            as seen from their own strand.
        width: standard deviation of the cuts' positions, bp.
        own: share of the cuts that is on the strand of the motif.
    """

    cuts: float
    offset: int
    width: float
    own: float


FOOTPRINTS = {"TOY1": Footprint(40.0, 8, 2.0, 0.75), "TOY2": Footprint(30.0, 16, 5.0, 0.5)}


def expected_cuts(codes: bases.Codes, motifs: Mapping[str, Motif], threshold: float) -> Floats:
    """Expected cuts of a sequence without what the control shows.

    Args:
        codes: base codes, shape (L,); bases outside are taken as absent.
        motifs: by name; those of `FOOTPRINTS` are used.
        threshold: of `occupancy`.

    Returns:
        Shape (2, L): cuts whose first base is read on the forward and on the reverse strand.
    """
    rates = np.full((2, len(codes)), BACKGROUND)
    for name, footprint in FOOTPRINTS.items():
        sites = occupancy(codes, motifs[name], threshold)
        for strand in range(2):
            share = footprint.own * sites[strand] + (1 - footprint.own) * sites[1 - strand]
            rates[strand] += _spread(footprint, share, strand, motifs[name].width)
    return rates * preference(codes)


def preference(codes: bases.Codes) -> Floats:
    """Factors (2, L) by which the enzyme prefers a base on either strand; 1 in the mean."""
    weights = np.array(PREFERENCE)
    scale = np.exp(weights).mean(axis=1).prod()
    forward = _scores(codes, weights)
    backward = _scores(bases.reverse_complement(codes), weights)[::-1]
    return np.exp(np.stack([forward, backward])) / scale


def _scores(codes: bases.Codes, weights: Floats) -> Floats:
    with_unknown = np.column_stack([weights, np.zeros(len(weights))])
    padded = np.pad(codes, (_BEFORE, len(weights) - 1 - _BEFORE), constant_values=bases.UNKNOWN)
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(weights))
    return with_unknown[np.arange(len(weights)), windows].sum(axis=1)


def _spread(footprint: Footprint, share: Floats, strand: int, width: int) -> Floats:
    """Expected cuts (L,) of one strand, from the occupancy at the first base of each site."""
    reach = footprint.offset + round(4 * footprint.width)
    distances = np.arange(-reach, reach + 1)
    # the centre of a site of even width lies between two bases: the strands round apart
    first, last = (width - 1) // 2, width // 2
    upstream = -footprint.offset if strand == 0 else footprint.offset
    kernel = np.exp(-(((distances - upstream) / footprint.width) ** 2) / 2)
    kernel *= footprint.cuts / kernel.sum()
    centred = np.zeros(len(share))
    shift = first if strand == 0 else last
    centred[shift:] = share[: len(share) - shift]
    return np.convolve(centred, kernel, mode="same")


def hotspots(rng: np.random.Generator, length: int) -> Floats:
    """Expected cuts (length,) that do not follow from the sequence, both strands together."""
    rates = np.full(length, 2 * BACKGROUND)
    positions = np.arange(length)
    reach = round(4 * HOTSPOT_WIDTH)
    for centre in rng.integers(0, length, size=round(HOTSPOTS_PER_MB * length / 1e6)):
        near = slice(max(0, centre - reach), centre + reach)
        shape = np.exp(-(((positions[near] - centre) / HOTSPOT_WIDTH) ** 2) / 2)
        rates[near] += rng.exponential(HOTSPOT_CUTS) * shape / shape.sum()
    return rates


def background(expected: Floats) -> list[tuple[int, int]]:
    """Tiles (start, end) of a contig whose expected cuts (2, L) are few."""
    sums = np.concatenate([[0.0], expected.sum(axis=0).cumsum()])
    starts = range(0, expected.shape[1] - TILE + 1, STEP)
    return [(at, at + TILE) for at in starts if sums[at + TILE] - sums[at] < FEW_CUTS]


def cut_files(genome: Mapping[str, bases.Codes], grammar: Grammar, seed: int) -> dict[str, str]:
    """Texts by file name: observed cuts of both strands, of a control, and what was planted.

    `cut_tracks.tsv` is the table of both strands, `cut_tracks_control.tsv` has the control too;
    `cut_background.bed` are windows for a bias network.
    """
    motifs = {motif.name: motif for motif in grammar.motifs}
    rows: dict[str, list[str]] = {name: [] for name in ("plus", "minus", "control")}
    outside = []
    for number, (contig, codes) in enumerate(genome.items()):
        rng = np.random.default_rng([seed, number])
        shown = hotspots(rng, len(codes))
        expected = expected_cuts(codes, motifs, grammar.threshold)
        outside += [f"{contig}\t{start}\t{end}\n" for start, end in background(expected)]
        expected = expected + (shown - 2 * BACKGROUND) / 2 * preference(codes)
        observed = rng.poisson(np.vstack([expected, shown]))
        for name, counts in zip(rows, observed, strict=True):
            rows[name] += [
                f"{contig}\t{at}\t{at + 1}\t{counts[at]}\n" for at in np.flatnonzero(counts)
            ]
    planted = {
        "background": BACKGROUND,
        "footprints": {name: asdict(footprint) for name, footprint in FOOTPRINTS.items()},
        "preference": PREFERENCE,
        "hotspots": {
            "per_mb": HOTSPOTS_PER_MB,
            "mean_cuts": HOTSPOT_CUTS,
            "width": HOTSPOT_WIDTH,
        },
    }
    table = ["name\tfile\tstrand_pair\tdescription\n"]
    for name, partner in zip(rows, (1, 0, 2), strict=True):
        table.append(f"cuts_{name}\tcuts_{name}.bedgraph\t{partner}\tcuts: {name}\n")
    return {
        **{f"cuts_{name}.bedgraph": "".join(lines) for name, lines in rows.items()},
        "cut_tracks.tsv": "".join(table[:-1]),
        "cut_tracks_control.tsv": "".join(table),
        "cut_background.bed": "".join(outside),
        "truth_cuts.json": json.dumps(planted, indent=1, sort_keys=True) + "\n",
    }
