"""The people of the toy: genotypes, expression with a planted mechanism, and an eQTL table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from seqtrust import bases
from seqtrust.edits import Edit
from seqtrust.simulation import (
    Bools,
    Floats,
    Genealogy,
    Grammar,
    SingleEffect,
    accept,
    coalesce,
    correlation,
    single_effect_regression,
)
from seqtrust.sources.toy_genome import Gene, activity_of, allele_effects

Dosages = npt.NDArray[np.int64]

POPULATIONS = ("p1", "p2")
PEOPLE_PER_POPULATION = 100
EQTL_PER_POPULATION = 50
SPLIT_TIME = 0.1
THETA = 0.001
CIS = 1500
TREE_SPAN = 1500
INDEL_SHARE = 0.1
INDEL_MEAN = 3
TSS_CLEARANCE = 12
COMMON = 0.1
TESTED_MAF = 0.05
TAG_R2 = 0.6
TAG_REACH = 1000
TAG_EFFECT = 0.02
MODELLED, UNMODELLED = 0.30, 0.15
PRIOR_SD = 0.5
REFERENCE_LEAF = 0


@dataclass(frozen=True)
class Person:
    """One person; the role says whether they make the eQTL table or evaluate."""

    name: str
    population: str
    role: str


@dataclass(frozen=True)
class Variant:
    """A phased variant; `position` is 0-based and `carried` has one entry per haplotype."""

    contig: str
    position: int
    ref: str
    alt: str
    carried: Bools

    @property
    def end(self) -> int:
        """End of the reference allele, half-open."""
        return self.position + len(self.ref)

    @property
    def variant_id(self) -> str:
        """Contig, 1-based position and alleles."""
        return f"{self.contig}_{self.position + 1}_{self.ref}_{self.alt}"

    @property
    def dosages(self) -> Dosages:
        """Alternative alleles per person, shape (people,)."""
        return self.carried.reshape(-1, 2).sum(axis=1)

    @property
    def edit(self) -> Edit:
        """The alternative allele as an edit."""
        return Edit(self.position, self.end, self.alt)


@dataclass(frozen=True)
class Mechanism:
    """What links a gene's activity to its expression, and which variant the table may see.

    Attributes:
        kind: `modelled`, `reversed` (sign turned downstream of the track) or `tag`
            (the causal variant is not on the panel, a linked one without effect is).
        causal: the causal variant, in an occupied motif.
        effect: natural log of the mean expected activity in the window, alt minus ref.
        motif: the motif that the causal variant breaks or makes.
        tag: the linked variant of a `tag` gene.
        tag_effect: the like effect of the tag.
    """

    kind: str
    causal: Variant
    effect: float
    motif: str
    tag: Variant | None
    tag_effect: float

    @property
    def direction(self) -> int:
        """Sign with which activity acts on expression."""
        return -1 if self.kind == "reversed" else 1

    @property
    def tag_correlation(self) -> float:
        """Correlation of the two variants' alternative alleles; 0 without a tag."""
        return 0.0 if self.tag is None else correlation(self.causal.carried, self.tag.carried)


@dataclass(frozen=True)
class GeneExpression:
    """Log expression of one gene, shape (people,), as written in the table.

    `causal_share` is the share of the modelled component's variance that the causal
    variant's dosage explains.
    """

    values: Floats
    causal_share: float


@dataclass(frozen=True)
class EqtlRow:
    """One variant of one gene in the eQTL table."""

    variant: Variant
    gene: Gene
    minor_allele: str
    maf: float
    beta: float
    se: float
    pip: float
    credible: bool
    beta_posterior: float
    sd_posterior: float


@dataclass(frozen=True)
class Personal:
    """What the people of the toy have at one gene."""

    variants: list[Variant]
    expression: GeneExpression
    eqtls: list[EqtlRow]


def make_people() -> list[Person]:
    """The people, population by population; the first half of each makes the eQTL table."""
    return [
        Person(
            f"{population}_{number:03d}",
            population,
            "eqtl" if number <= EQTL_PER_POPULATION else "evaluation",
        )
        for population in POPULATIONS
        for number in range(1, PEOPLE_PER_POPULATION + 1)
    ]


def draw_personal(
    variant_rng: np.random.Generator,
    noise_rng: np.random.Generator,
    contig: bases.Codes,
    gene: Gene,
    mechanism: Mechanism,
    people: Sequence[Person],
    grammar: Grammar,
) -> Personal:
    """Variants, expression and eQTLs of one gene.

    Args:
        variant_rng: source of the neutral variants.
        noise_rng: source of the unmodelled part and the noise of expression.
        contig: codes of the gene's whole contig.
        gene: the gene.
        mechanism: its planted variants and the direction of its effect.
        people: who is who.
        grammar: the oracle.
    """
    planted = [mechanism.causal] + ([mechanism.tag] if mechanism.tag else [])
    variants = draw_cis_variants(variant_rng, contig, gene, planted)
    expression = express(noise_rng, contig, gene, variants, mechanism, grammar)
    eqtls = map_eqtl(gene, people, variants, mechanism, expression)
    return Personal(variants, expression, eqtls)


def draw_linked_alleles(rng: np.random.Generator, with_tag: bool) -> tuple[Bools, Bools | None]:
    """Carriers of a common causal allele and, on the same local tree, of a tag in strong linkage.

    The causal variant has a tree of its own, as recombination on both sides would give it.
    The tag lies on the same or another branch with r2 above `TAG_R2`, in either phase.

    Returns:
        Carriers among the haplotypes, shape (haplotypes,), of the causal allele and the tag.
    """
    tree = accept(partial(_planting_tree, rng), lambda tree: bool(_are_common(tree.carriers).any()))
    usable = _are_common(tree.carriers)
    causal = tree.carriers[_branch(rng, tree, usable)]
    if not with_tag:
        return causal, None
    linked = [
        common and correlation(carried, causal) ** 2 > TAG_R2
        for common, carried in zip(usable, tree.carriers, strict=True)
    ]
    flipped = rng.random() < 0.5
    return causal, tree.carriers[_branch(rng, tree, np.array(linked))] ^ flipped


def _planting_tree(rng: np.random.Generator) -> Genealogy:
    return coalesce(rng, [2 * PEOPLE_PER_POPULATION] * len(POPULATIONS), SPLIT_TIME)


def _branch(rng: np.random.Generator, tree: Genealogy, usable: Bools) -> int:
    weights = np.where(usable, tree.lengths, 0.0)
    return int(rng.choice(len(weights), p=weights / weights.sum()))


def _are_common(carriers: Bools) -> Bools:
    """Which alleles have frequency .1 to .5 and can be tested in the eQTL half of the people.

    Args:
        carriers: shape (alleles, haplotypes).
    """
    people = carriers.reshape(-1, len(POPULATIONS), PEOPLE_PER_POPULATION, 2)
    everywhere = people.mean(axis=(1, 2, 3))
    tested = people[:, :, :EQTL_PER_POPULATION].mean(axis=(2, 3))
    minor = np.minimum(tested, 1 - tested).min(axis=1)
    pooled = tested.mean(axis=1)
    common = (everywhere >= COMMON) & (everywhere <= 0.5) & (minor >= TESTED_MAF)
    return common & (pooled >= COMMON) & (pooled <= 1 - COMMON)


def draw_tag(
    rng: np.random.Generator,
    contig: bases.Codes,
    gene: Gene,
    carried: Bools,
    taken: range,
    grammar: Grammar,
) -> tuple[Variant, float]:
    """A SNV near the TSS that hardly changes the activity, with its effect.

    Args:
        rng: source of randomness.
        contig: codes of the gene's whole contig.
        gene: the gene.
        carried: who carries the alternative allele.
        taken: positions that are not free.
        grammar: the oracle.
    """

    def draw() -> tuple[Edit, float]:
        position = gene.tss + int(rng.integers(-TAG_REACH, TAG_REACH))
        alt = (int(contig[position]) + int(rng.integers(1, 4))) % 4
        edit = Edit(position, position + 1, bases.LETTERS[alt])
        return edit, float(allele_effects(contig, gene, [edit], grammar)[0])

    edit, effect = accept(
        draw, lambda drawn: drawn[0].start not in taken and abs(drawn[1]) < TAG_EFFECT
    )
    ref = bases.LETTERS[contig[edit.start]]
    return Variant(gene.contig, edit.start, ref, edit.replacement, carried), effect


def draw_cis_variants(
    rng: np.random.Generator, contig: bases.Codes, gene: Gene, planted: Sequence[Variant]
) -> list[Variant]:
    """Neutral variants around a TSS, one genealogy per `TREE_SPAN`, with the planted ones.

    The assembly is one more haplotype of the sample, so that its base is the derived one as
    often as in life. Variants are left-aligned and leave at least one base between them.

    Returns:
        Variants sorted by position.
    """
    variants = list(planted)
    per_population = 2 * PEOPLE_PER_POPULATION
    samples = [per_population + 1] + [per_population] * (len(POPULATIONS) - 1)
    for start in range(gene.tss - CIS, gene.tss + CIS, TREE_SPAN):
        tree = coalesce(rng, samples, SPLIT_TIME)
        for node in tree.mutations(rng, THETA, TREE_SPAN):
            carried = tree.carriers[node] ^ tree.carriers[node, REFERENCE_LEAF]
            carried = np.delete(carried, REFERENCE_LEAF)
            if carried.any() and not carried.all():
                variants.append(_place(rng, contig, gene, start, carried, variants))
    return sorted(variants, key=lambda variant: variant.position)


def _place(
    rng: np.random.Generator,
    contig: bases.Codes,
    gene: Gene,
    start: int,
    carried: Bools,
    others: Sequence[Variant],
) -> Variant:
    def draw() -> Variant:
        position = start + int(rng.integers(TREE_SPAN))
        if rng.random() >= INDEL_SHARE:
            alt = (int(contig[position]) + int(rng.integers(1, 4))) % 4
            alleles = bases.LETTERS[contig[position]], bases.LETTERS[alt]
            return Variant(gene.contig, position, *alleles, carried)
        return Variant(gene.contig, *_draw_indel(rng, contig, position), carried)

    def free(drawn: Variant) -> bool:
        is_snv = len(drawn.ref) == len(drawn.alt)
        near_tss = abs(drawn.position - gene.tss) < TSS_CLEARANCE
        clear = all(drawn.end < other.position or other.end < drawn.position for other in others)
        return clear and (is_snv or not near_tss)

    return accept(draw, free)


def _draw_indel(
    rng: np.random.Generator, contig: bases.Codes, position: int
) -> tuple[int, str, str]:
    size = min(int(rng.geometric(1 / INDEL_MEAN)), TSS_CLEARANCE - 4)
    anchor = bases.decode(contig[position : position + 1])
    if rng.random() < 0.5:
        deleted = bases.decode(contig[position + 1 : position + 1 + size])
        return left_align(contig, position, anchor + deleted, anchor)
    inserted = bases.decode(rng.integers(0, 4, size=size).astype(np.uint8))
    return left_align(contig, position, anchor, anchor + inserted)


def left_align(contig: bases.Codes, position: int, ref: str, alt: str) -> tuple[int, str, str]:
    """The leftmost spelling of an indel, with one base of context (Tan et al. 2015).

    Args:
        contig: codes of the contig.
        position: 0-based position of the first base of `ref`.
        ref: reference allele.
        alt: alternative allele.

    Returns:
        Position, reference and alternative allele.
    """
    while ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
        if not ref or not alt:
            position -= 1
            before = bases.LETTERS[contig[position]]
            ref, alt = before + ref, before + alt
    while ref[0] == alt[0] and min(len(ref), len(alt)) > 1:
        ref, alt, position = ref[1:], alt[1:], position + 1
    return position, ref, alt


def express(
    rng: np.random.Generator,
    contig: bases.Codes,
    gene: Gene,
    variants: Sequence[Variant],
    mechanism: Mechanism,
    grammar: Grammar,
) -> GeneExpression:
    """Log expression of a gene: its activity, an unmodelled genetic part and noise.

    The activities of the two haplotypes are averaged on the linear scale, then logged.

    Args:
        rng: source of randomness.
        contig: codes of the gene's whole contig.
        gene: the gene.
        variants: all variants around it, sorted.
        mechanism: direction of the effect, and the planted variants.
        grammar: the oracle.
    """
    activity = _haplotype_activity(contig, gene, variants, grammar)
    modelled = np.log(activity.reshape(-1, 2).mean(axis=1))
    planted = (mechanism.causal, mechanism.tag)
    others = [v for v in variants if all(v is not p for p in planted) and _maf(v) >= TESTED_MAF]
    weights = rng.normal(size=len(others))
    unmodelled = np.zeros(len(modelled))
    for weight, variant in zip(weights, others, strict=True):
        unmodelled += weight * _standardised(variant.dosages)
    values = (
        mechanism.direction * np.sqrt(MODELLED) * _standardised(modelled)
        + np.sqrt(UNMODELLED) * _standardised(unmodelled)
        + np.sqrt(1 - MODELLED - UNMODELLED) * rng.normal(size=len(modelled))
    )
    written = np.array([float(f"{value:.4g}") for value in values])
    return GeneExpression(written, correlation(mechanism.causal.dosages, modelled) ** 2)


def _haplotype_activity(
    contig: bases.Codes, gene: Gene, variants: Sequence[Variant], grammar: Grammar
) -> Floats:
    """Mean expected activity of every haplotype; equal haplotypes are computed once."""
    patterns = np.stack([variant.carried for variant in variants], axis=1)
    chosen, index = _distinct(patterns)
    sequences = np.stack(
        [
            gene.sequence(contig, [v.edit for v, c in zip(variants, row, strict=True) if c])
            for row in patterns[chosen]
        ]
    )
    chosen, same = _distinct(sequences)
    return activity_of(sequences[chosen], grammar)[same][index]


def _distinct(rows: npt.NDArray[Any]) -> tuple[list[int], npt.NDArray[np.int64]]:
    """Index of the first of every kind of row, and the kind of every row."""
    first: dict[bytes, int] = {}
    kinds = [first.setdefault(row.tobytes(), len(first)) for row in rows]
    _, chosen = np.unique(kinds, return_index=True)
    return chosen.tolist(), np.array(kinds)


def _standardised(values: npt.NDArray[np.float64] | Dosages) -> Floats:
    spread = np.std(values)
    return (values - np.mean(values)) / (spread if spread > 0 else 1.0)


def _maf(variant: Variant, people: slice | Bools = slice(None)) -> float:
    frequency = float(variant.dosages[people].mean() / 2)
    return min(frequency, 1 - frequency)


def map_eqtl(
    gene: Gene,
    people: Sequence[Person],
    variants: Sequence[Variant],
    mechanism: Mechanism,
    expression: GeneExpression,
) -> list[EqtlRow]:
    """Fine-map a gene in the people of the eQTL table, with population as a covariate.

    All variants around the TSS of minor allele frequency .05 or more are tested, except the
    causal one of a `tag` gene.
    """
    chosen = np.array([person.role == "eqtl" for person in people])
    population = np.array([[person.population == POPULATIONS[0]] for person in people], dtype=float)
    tested = [
        variant
        for variant in variants
        if _maf(variant, chosen) >= TESTED_MAF
        and any(np.ptp(variant.dosages[chosen & (population[:, 0] == p)]) for p in (0, 1))
        and not (mechanism.kind == "tag" and variant is mechanism.causal)
    ]
    dosages = np.stack([variant.dosages[chosen] for variant in tested], axis=1)
    fit = single_effect_regression(dosages, expression.values[chosen], population[chosen], PRIOR_SD)
    return list(_rows(gene, tested, dosages, fit))


def _rows(
    gene: Gene, tested: Sequence[Variant], dosages: Dosages, fit: SingleEffect
) -> Iterator[EqtlRow]:
    for index, variant in enumerate(tested):
        frequency = float(dosages[:, index].mean() / 2)
        yield EqtlRow(
            variant,
            gene,
            variant.alt if frequency <= 0.5 else variant.ref,
            min(frequency, 1 - frequency),
            float(fit.beta[index]),
            float(fit.se[index]),
            float(fit.pip[index]),
            bool(fit.credible[index]),
            float(fit.beta_posterior[index]),
            float(fit.sd_posterior[index]),
        )
