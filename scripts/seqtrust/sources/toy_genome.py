"""The genome of the toy: genes in blocks, a motif grammar, and sites planted around each TSS."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from seqtrust import bases
from seqtrust.edits import Edit, edited_sequence
from seqtrust.genome import Window
from seqtrust.motifs import Motif
from seqtrust.simulation import (
    Floats,
    Grammar,
    LinearTrack,
    Pair,
    SaturatingTrack,
    accept,
    expected_rates,
    occupancy,
    random_motifs,
)

CONTIGS = {"toy1": 400_000, "toy2": 350_000, "toy3": 250_000}
SLOT, BLOCK, JITTER = 5_000, 50_000, 500
GENE_LENGTHS = (600, 1_800)
SPLIT_SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}

ACTIVITY_WEIGHTS = {
    "TOY1": 1.8,
    "TOY2": 1.5,
    "TOY3": 1.2,
    "TOY4": 0.9,
    "TOY5": -1.2,
    "TOY6": -0.9,
}
CONFOUNDER, UNRELATED = "TOYC", "TOYD"
EXPOSURE_MOTIFS, OUTCOME_MOTIFS = ("TOY1", "TOY3", "TOY5"), ("TOY2", "TOY4", "TOY6")
THETAS = {"t2_theta0": 0.0, "t2_theta05": 0.5, "t2_theta1": 1.0, "t2_thetam05": -0.5}
PAIR = Pair("TOY1", "TOY2", weight=0.6, nearest=12, farthest=20)

ENHANCERS = 3
SITES_PER_ELEMENT = 5
PAIRED_ELEMENTS = 0.25
CONFOUNDED_LOCI = 0.5
UNRELATED_SITES = 1
ELEMENT_REACH = 160
PROMOTER_OFFSET = -60
NEAR_ENHANCERS, NEAR, FAR = 0.8, 900, 1_800
CAUSAL_EFFECT = 0.15
HIGHEST_RATE = 500.0
WINDOW_MARGIN = 40
WINDOW = 2048
ANCHOR_INDEX = WINDOW // 2
FLANKED = 2000


@dataclass(frozen=True)
class Gene:
    """A gene of the toy; `tss` and `end` (the far end) are 0-based inclusive positions."""

    gene_id: str
    name: str
    contig: str
    tss: int
    end: int
    strand: str
    split: str

    @property
    def window(self) -> Window:
        """The model input of the gene, in forward orientation whatever the strand."""
        return Window("toy", self.contig, self.tss, ANCHOR_INDEX, WINDOW)

    def sequence(self, contig: bases.Codes, edits: Sequence[Edit]) -> bases.Codes:
        """The window with sorted disjoint edits, from the codes of the whole contig."""
        start = self.tss - FLANKED
        return edited_sequence(contig[start : self.tss + FLANKED], start, self.window, edits)


@dataclass(frozen=True)
class Site:
    """A planted motif instance; [start, end) is 0-based on the forward strand."""

    motif: str
    start: int
    end: int
    strand: str
    element: str


@dataclass(frozen=True)
class Locus:
    """A gene with what was planted around it, before the people are drawn."""

    gene: Gene
    confounded: bool
    sites: tuple[Site, ...]
    causal: Edit
    causal_motif: str


def toy_grammar(rng: np.random.Generator) -> Grammar:
    """The toy's grammar: `activity`, and tracks with a causal graph.

    log t1 = background + exposure motifs; log t2 = background + theta (log t1 - background) +
    outcome motifs; the confounder raises both; t3 saturates in t1 and t2; t4 depends on a
    motif of its own.
    """
    motifs = random_motifs(rng, [*ACTIVITY_WEIGHTS, CONFOUNDER, UNRELATED])
    exposure = {name: ACTIVITY_WEIGHTS[name] for name in EXPOSURE_MOTIFS}
    outcome = {name: ACTIVITY_WEIGHTS[name] for name in OUTCOME_MOTIFS}
    outcomes = [
        LinearTrack(name, {**outcome, CONFOUNDER: 1.0}, parents={"t1": theta})
        for name, theta in THETAS.items()
    ]
    return Grammar(
        motifs,
        (
            LinearTrack("activity", ACTIVITY_WEIGHTS, pairs=(PAIR,)),
            LinearTrack("t1", {**exposure, CONFOUNDER: 1.0}),
            *outcomes,
            SaturatingTrack("t3", ("t1", "t2_theta05"), ceiling=50.0, half=25.0),
            LinearTrack("t4", {UNRELATED: 1.5}),
        ),
    )


def draw_layout(
    rng: np.random.Generator,
) -> tuple[list[tuple[str, int, int, str]], list[Gene]]:
    """Blocks (contig, start, end, split) and one gene per slot, its TSS around the middle."""
    places = [
        (contig, start) for contig, length in CONTIGS.items() for start in range(0, length, BLOCK)
    ]
    splits = rng.permutation(shared_out(SPLIT_SHARES, len(places))).tolist()
    blocks = [
        (contig, start, start + BLOCK, split)
        for (contig, start), split in zip(places, splits, strict=True)
    ]
    genes: list[Gene] = []
    for contig, start, end, split in blocks:
        for slot in range(start, end, SLOT):
            tss = slot + SLOT // 2 + int(rng.integers(-JITTER, JITTER + 1))
            length = int(rng.integers(*GENE_LENGTHS))
            strand = "+" if rng.random() < 0.5 else "-"
            far_end = tss + length - 1 if strand == "+" else tss - length + 1
            number = len(genes) + 1
            genes.append(
                Gene(f"TOYG{number:04d}", f"GENE{number}", contig, tss, far_end, strand, split)
            )
    return blocks, genes


def shared_out(shares: Mapping[str, float], number: int) -> list[str]:
    """`number` labels in proportion to their shares; the last label takes the rounding."""
    total = sum(shares.values())
    labels: list[str] = []
    passed = 0.0
    for label, share in shares.items():
        passed += share
        labels += [label] * (round(number * passed / total) - len(labels))
    return labels


def draw_locus(
    rng: np.random.Generator, contig: bases.Codes, gene: Gene, grammar: Grammar
) -> Locus:
    """Plant a promoter, three enhancers and a causal SNV around a TSS, into `contig` itself.

    The causal SNV lies in an occupied site and moves the log activity of the window by more
    than `CAUSAL_EFFECT`. Its motif is drawn first, in proportion to the absolute weight: left
    to the effects, nearly all would lie in the two strongest motifs, which every replicate
    learns. In half of the genes the assembly has the broken allele.
    """
    here = slice(gene.tss - SLOT // 2 + JITTER, gene.tss + SLOT // 2 - JITTER)
    background = contig[here].copy()
    confounded = bool(rng.random() < CONFOUNDED_LOCI)
    strength = np.abs(list(ACTIVITY_WEIGHTS.values()))
    motif = str(rng.choice(list(ACTIVITY_WEIGHTS), p=strength / strength.sum()))

    def draw() -> list[Locus]:
        contig[here] = background
        sites = plant_elements(rng, contig, gene, confounded, grammar)
        candidates = _causal_candidates(rng, contig, gene, sites, motif, grammar)
        if not candidates:
            return []
        causal = candidates[int(rng.integers(len(candidates)))]
        if rng.random() < 0.5:
            broken, intact = causal.replacement, bases.LETTERS[contig[causal.start]]
            contig[causal.start] = bases.LETTERS.index(broken)
            causal = Edit(causal.start, causal.end, intact)
        # A single bin of thousands of counts would decide every correlation over bins.
        highest = expected_rates(contig[here], grammar, ["activity"]).max()
        return [Locus(gene, confounded, sites, causal, motif)] if highest < HIGHEST_RATE else []

    (locus,) = accept(draw, bool)
    return locus


def plant_elements(
    rng: np.random.Generator,
    contig: bases.Codes,
    gene: Gene,
    confounded: bool,
    grammar: Grammar,
) -> tuple[Site, ...]:
    """Write the sites of a promoter and three enhancers into `contig`; sorted by position."""
    motifs = {motif.name: motif for motif in grammar.motifs}
    centres = [gene.tss + (PROMOTER_OFFSET if gene.strand == "+" else -PROMOTER_OFFSET)]
    while len(centres) < 1 + ENHANCERS:
        draw_centre = partial(_enhancer_centre, rng, gene.tss)
        centres.append(accept(draw_centre, partial(_apart, centres)))
    sites: list[Site] = []
    for centre in centres:
        element = "enhancer" if centre != centres[0] else "promoter"
        for names in _element_content(rng, confounded):
            draw = partial(_draw_sites, rng, names, motifs, element, centre)
            planted = accept(draw, partial(_free, sites))
            for site in planted:
                sampled = motifs[site.motif].sample(rng)
                forward = sampled if site.strand == "+" else bases.reverse_complement(sampled)
                contig[site.start : site.end] = forward
            sites += planted
    return tuple(sorted(sites, key=lambda site: site.start))


def _apart(centres: Sequence[int], centre: int) -> bool:
    return all(abs(centre - other) >= 2 * ELEMENT_REACH for other in centres)


def _free(sites: Sequence[Site], drawn: Sequence[Site]) -> bool:
    return all(new.end <= old.start or old.end <= new.start for new in drawn for old in sites)


def _enhancer_centre(rng: np.random.Generator, tss: int) -> int:
    if rng.random() < NEAR_ENHANCERS:
        return tss + int(rng.integers(-NEAR, NEAR + 1))
    return tss + int(rng.integers(NEAR, FAR + 1)) * (1 if rng.random() < 0.5 else -1)


def _element_content(rng: np.random.Generator, confounded: bool) -> list[tuple[str, ...]]:
    """Motifs of one element; the two of a pair stand together."""
    paired = [(PAIR.first, PAIR.second)] if rng.random() < PAIRED_ELEMENTS else []
    number = max(int(rng.poisson(SITES_PER_ELEMENT)) - 2 * len(paired), 0)
    single = rng.choice(list(ACTIVITY_WEIGHTS), size=number).tolist()
    single += [UNRELATED] * int(rng.poisson(UNRELATED_SITES)) + [CONFOUNDER] * confounded
    return [*paired, *((name,) for name in single)]


def _draw_sites(
    rng: np.random.Generator,
    names: tuple[str, ...],
    motifs: Mapping[str, Motif],
    element: str,
    centre: int,
) -> list[Site]:
    start = centre + int(rng.integers(-ELEMENT_REACH, ELEMENT_REACH - motifs[names[0]].width + 1))
    starts = [start]
    if len(names) == 2:
        starts.append(start + int(rng.integers(PAIR.nearest, PAIR.farthest + 1)))
    return [
        Site(name, at, at + motifs[name].width, "+-"[int(rng.integers(2))], element)
        for name, at in zip(names, starts, strict=True)
    ]


def _causal_candidates(
    rng: np.random.Generator,
    contig: bases.Codes,
    gene: Gene,
    sites: Sequence[Site],
    name: str,
    grammar: Grammar,
) -> list[Edit]:
    """One random substitution per occupied site of a motif, where it moves the activity enough."""
    motif = next(motif for motif in grammar.motifs if motif.name == name)
    inside = range(gene.window.start + WINDOW_MARGIN, gene.window.end - WINDOW_MARGIN)
    edits: list[Edit] = []
    for site in (site for site in sites if site.motif == name):
        position = site.start + int(rng.integers(motif.width))
        alt = bases.LETTERS[(contig[position] + int(rng.integers(1, 4))) % 4]
        occupied = occupancy(contig[site.start : site.end], motif, grammar.threshold)
        if position in inside and occupied.max() > 0.5:
            edits.append(Edit(position, position + 1, alt))
    effects = allele_effects(contig, gene, edits, grammar)
    return [edit for edit, e in zip(edits, effects, strict=True) if abs(e) > CAUSAL_EFFECT]


def activity_of(codes: bases.Codes, grammar: Grammar) -> Floats:
    """Mean expected `activity` of windows of shape (N, window), counts per bin; shape (N,)."""
    return expected_rates(codes, grammar, ["activity"])[:, 0].mean(axis=-1)


def allele_effects(
    contig: bases.Codes, gene: Gene, edits: Sequence[Edit], grammar: Grammar
) -> Floats:
    """Natural log of the gene's mean expected activity with each edit, minus that without.

    Args:
        contig: codes of the gene's whole contig.
        gene: the gene, whose window is scored.
        edits: E edits, each scored by itself.
        grammar: the oracle.

    Returns:
        Effects, shape (E,).
    """
    sequences = [gene.sequence(contig, [edit]) for edit in edits]
    log_activity = np.log(activity_of(np.stack([*sequences, gene.sequence(contig, [])]), grammar))
    return log_activity[:-1] - log_activity[-1]
