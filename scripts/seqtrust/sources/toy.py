"""The toy inputs: a small genome, tracks, people and eQTLs whose every truth is planted.

    python -m seqtrust.sources.toy OUTPUT_FOLDER [--seed 1] [--mix 50 25 25]

All files are plain text and are written byte for byte alike on every run.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqtrust import bases
from seqtrust.files import write_text
from seqtrust.motifs import write_meme
from seqtrust.simulation import (
    Floats,
    Grammar,
    Integers,
    correlation,
    expected_rates,
    noisy_counts,
)
from seqtrust.sources.toy_annotations import (
    chromatin_states,
    conservation_bedgraph,
    draw_conservation,
    log_table,
    peak_table,
    soft_motifs,
)
from seqtrust.sources.toy_expression import (
    CIS,
    MODELLED,
    PRIOR_SD,
    SPLIT_TIME,
    TESTED_MAF,
    THETA,
    TREE_SPAN,
    UNMODELLED,
    EqtlRow,
    Mechanism,
    Person,
    Personal,
    Variant,
    draw_linked_alleles,
    draw_personal,
    draw_tag,
    make_people,
)
from seqtrust.sources.toy_genome import (
    ACTIVITY_WEIGHTS,
    ANCHOR_INDEX,
    CAUSAL_EFFECT,
    CONFOUNDER,
    CONTIGS,
    EXPOSURE_MOTIFS,
    OUTCOME_MOTIFS,
    SPLIT_SHARES,
    THETAS,
    UNRELATED,
    WINDOW,
    Gene,
    Locus,
    allele_effects,
    draw_layout,
    draw_locus,
    shared_out,
    toy_grammar,
)
from seqtrust.sources.toy_profiles import cut_files
from seqtrust.verdicts import highest_bins, poisson_peaks

FASTA_COLUMNS = 60
MECHANISMS = ("modelled", "reversed", "tag")


@dataclass(frozen=True)
class Toy:
    """Everything that the files say."""

    seed: int
    grammar: Grammar
    blocks: list[tuple[str, int, int, str]]
    loci: list[Locus]
    genome: dict[str, bases.Codes]
    expected: dict[str, Floats]
    counts: dict[str, Integers]
    people: list[Person]
    mechanisms: list[Mechanism]
    personal: list[Personal]
    conservation: dict[str, list[tuple[int, int, float]]]

    @property
    def genes(self) -> list[Gene]:
        """The genes, along the genome."""
        return [locus.gene for locus in self.loci]


def make_toy(seed: int, mix: Sequence[float] = (50, 25, 25)) -> Toy:
    """Draw the toy; every part has a generator of its own, so that none shifts another.

    Args:
        seed: the one seed.
        mix: shares of modelled, reversed and tag genes, in any unit.
    """
    children = np.random.default_rng(seed).spawn(9)
    layout, motif_rng, locus_rng, count_rng, mix_rng, allele_rng, cis_rng, noise_rng = children[:8]
    grammar = toy_grammar(motif_rng)
    blocks, genes = draw_layout(layout)
    genome = {
        contig: locus_rng.integers(0, 4, size=length).astype(np.uint8)
        for contig, length in CONTIGS.items()
    }
    loci = [
        draw_locus(child, genome[gene.contig], gene, grammar)
        for gene, child in zip(genes, locus_rng.spawn(len(genes)), strict=True)
    ]
    expected = {contig: expected_rates(codes, grammar) for contig, codes in genome.items()}
    counts = {
        contig: noisy_counts(count_rng, rates, grammar.dispersion)
        for contig, rates in expected.items()
    }
    mechanisms = [
        draw_mechanism(child, genome[locus.gene.contig], locus, kind, grammar)
        for locus, kind, child in zip(
            loci,
            draw_kinds(mix_rng, len(genes), mix),
            allele_rng.spawn(len(genes)),
            strict=True,
        )
    ]
    people = make_people()
    personal = [
        draw_personal(cis, noise, genome[gene.contig], gene, mechanism, people, grammar)
        for gene, mechanism, cis, noise in zip(
            genes, mechanisms, cis_rng.spawn(len(genes)), noise_rng.spawn(len(genes)), strict=True
        )
    ]
    conservation = draw_conservation(children[8], loci)
    return Toy(
        *(seed, grammar, blocks, loci, genome, expected, counts),
        *(people, mechanisms, personal, conservation),
    )


def draw_kinds(rng: np.random.Generator, number: int, mix: Sequence[float]) -> list[str]:
    """A mechanism per gene, in exact shares and random order."""
    shares = dict(zip(MECHANISMS, mix, strict=True))
    return rng.permutation(shared_out(shares, number)).tolist()


def draw_mechanism(
    rng: np.random.Generator, contig: bases.Codes, locus: Locus, kind: str, grammar: Grammar
) -> Mechanism:
    """Give the causal SNV its carriers, and a `tag` gene its linked variant."""
    gene, edit = locus.gene, locus.causal
    carried, linked = draw_linked_alleles(rng, with_tag=kind == "tag")
    ref = bases.LETTERS[contig[edit.start]]
    causal = Variant(gene.contig, edit.start, ref, edit.replacement, carried)
    effect = float(allele_effects(contig, gene, [edit], grammar)[0])
    if linked is None:
        return Mechanism(kind, causal, effect, locus.causal_motif, None, 0.0)
    taken = range(edit.start - 1, edit.end + 1)
    tag, tag_effect = draw_tag(rng, contig, gene, linked, taken, grammar)
    return Mechanism(kind, causal, effect, locus.causal_motif, tag, tag_effect)


def noise_ceilings(toy: Toy) -> dict[str, dict[str, float]]:
    """Pearson correlation of expected and observed counts over bins, per track and split."""
    width = toy.grammar.bin_width
    splits = np.concatenate(
        [
            [_split_at(toy.blocks, contig, bin_ * width + width // 2) for bin_ in range(n)]
            for contig, n in ((c, rates.shape[1]) for c, rates in toy.expected.items())
        ]
    )
    expected = np.concatenate(list(toy.expected.values()), axis=1)
    counts = np.concatenate(list(toy.counts.values()), axis=1)
    chosen = {"all": np.ones(len(splits), dtype=bool)}
    chosen |= {split: splits == split for split in SPLIT_SHARES}
    return {
        track: {
            split: round(correlation(expected[row, bins], counts[row, bins]), 4)
            for split, bins in chosen.items()
        }
        for row, track in enumerate(toy.grammar.track_names)
    }


def peak_ceilings(toy: Toy) -> dict[str, dict[str, float]]:
    """Share of the peaks of each track that are among as many highest expected bins."""
    expected = np.concatenate(list(toy.expected.values()), axis=1)
    counts = np.concatenate(list(toy.counts.values()), axis=1)
    found = {}
    for row, track in enumerate(toy.grammar.track_names):
        peaks = poisson_peaks(counts[row])
        highest = highest_bins(expected[row], int(peaks.sum()))
        found[track] = {"all": round(float(highest[peaks].mean()), 4)}
    return found


def _split_at(blocks: Iterable[tuple[str, int, int, str]], contig: str, position: int) -> str:
    return next(s for c, start, end, s in blocks if c == contig and start <= position < end)


def fasta(genome: Mapping[str, bases.Codes]) -> tuple[str, str]:
    """A FASTA and its index, in the format of `samtools faidx`."""
    records: list[str] = []
    index: list[str] = []
    offset = 0
    for contig, codes in genome.items():
        text = bases.decode(codes)
        lines = [text[i : i + FASTA_COLUMNS] for i in range(0, len(text), FASTA_COLUMNS)]
        offset += len(contig) + 2
        index.append(_row(contig, len(text), offset, FASTA_COLUMNS, FASTA_COLUMNS + 1))
        offset += len(text) + len(lines)
        records.append(f">{contig}\n" + "\n".join(lines) + "\n")
    return "".join(records), "".join(index)


def gtf(genes: Iterable[Gene]) -> str:
    """Gene features; GTF is 1-based inclusive."""
    return "".join(
        _row(
            gene.contig,
            "seqtrust_toy",
            "gene",
            min(gene.tss, gene.end) + 1,
            max(gene.tss, gene.end) + 1,
            ".",
            gene.strand,
            ".",
            f'gene_id "{gene.gene_id}"; gene_name "{gene.name}";',
        )
        for gene in genes
    )


def tracks_table(toy: Toy) -> str:
    """Observed counts per bin."""
    rows = [_row("contig", "start", "end", *toy.grammar.track_names)]
    width = toy.grammar.bin_width
    for contig, counts in toy.counts.items():
        rows += [
            _row(contig, bin_ * width, (bin_ + 1) * width, *values)
            for bin_, values in enumerate(counts.T.tolist())
        ]
    return "".join(rows)


def vcf(people: Sequence[Person], variants: Iterable[Variant]) -> str:
    """Phased genotypes; VCF is 1-based."""
    header = [
        "##fileformat=VCFv4.2\n",
        "##source=seqtrust toy\n",
        '##FILTER=<ID=PASS,Description="All filters passed">\n',
        *(f"##contig=<ID={contig},length={length}>\n" for contig, length in CONTIGS.items()),
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Phased genotype">\n',
        _row(
            *("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"),
            *(person.name for person in people),
        ),
    ]
    for variant in variants:
        calls = [f"{a}|{b}" for a, b in variant.carried.reshape(-1, 2).astype(int).tolist()]
        header.append(
            _row(
                *(variant.contig, variant.position + 1, variant.variant_id),
                *(variant.ref, variant.alt, ".", "PASS", ".", "GT", *calls),
            )
        )
    return "".join(header)


def expression_table(toy: Toy) -> str:
    """Log expression, genes by people."""
    rows = [_row("gene", *(person.name for person in toy.people))]
    for gene, personal in zip(toy.genes, toy.personal, strict=True):
        rows.append(_row(gene.gene_id, *(f"{v:.4g}" for v in personal.expression.values)))
    return "".join(rows)


def eqtl_table(rows: Iterable[EqtlRow]) -> str:
    """The eQTL table, in the columns of a published SuSiE table; effects are per `allele2`."""
    lines = [
        _row(
            *("variant", "gene", "allele1", "allele2", "minor_allele", "maf", "beta_marginal"),
            *("se_marginal", "z", "pip", "cs_id", "beta_posterior", "sd_posterior", "tissue"),
        )
    ]
    lines += [
        _row(
            *(row.variant.variant_id, row.gene.gene_id, row.variant.ref, row.variant.alt),
            *(row.minor_allele, f"{row.maf:.4f}", f"{row.beta:z.5f}", f"{row.se:.5f}"),
            *(f"{row.beta / row.se:z.4f}", f"{row.pip:.6f}", 1 if row.credible else -1),
            *(f"{row.beta_posterior:z.6f}", f"{row.sd_posterior:.6f}", "toy"),
        )
        for row in rows
    ]
    return "".join(lines)


def truth_genes_table(toy: Toy) -> str:
    """What was planted per gene; effects are natural logs, alt minus ref; `tss` is 0-based."""
    lines = [
        _row(
            *("gene", "contig", "tss", "strand", "split", "mechanism", "direction", "confounded"),
            *("causal_variant", "causal_motif", "causal_log_effect", "causal_frequency"),
            *("tag_variant", "tag_log_effect", "tag_correlation", "causal_share_of_modelled"),
        )
    ]
    for locus, mechanism, personal in zip(toy.loci, toy.mechanisms, toy.personal, strict=True):
        gene, causal, tag = locus.gene, mechanism.causal, mechanism.tag
        lines.append(
            _row(
                *(gene.gene_id, gene.contig, gene.tss, gene.strand, gene.split, mechanism.kind),
                *(mechanism.direction, int(locus.confounded), causal.variant_id, mechanism.motif),
                *(f"{mechanism.effect:.5f}", f"{causal.carried.mean():.4f}"),
                *(tag.variant_id if tag else ".", f"{mechanism.tag_effect:z.5f}"),
                *(f"{mechanism.tag_correlation:.4f}", f"{personal.expression.causal_share:.4f}"),
            )
        )
    return "".join(lines)


def truth_motifs_table(loci: Iterable[Locus]) -> str:
    """Planted sites, 0-based half-open."""
    lines = [_row("contig", "start", "end", "strand", "motif", "gene", "element")]
    lines += [
        _row(
            *(locus.gene.contig, site.start, site.end, site.strand, site.motif),
            *(locus.gene.gene_id, site.element),
        )
        for locus in loci
        for site in locus.sites
    ]
    return "".join(lines)


def truth_motif_effects_table() -> str:
    """Weight of every activity motif in the log rate of the track `activity`."""
    return _row("motif", "effect") + "".join(_row(*item) for item in ACTIVITY_WEIGHTS.items())


def truth_effects_table() -> str:
    """Planted causal effects between tracks, on the log rate; 0 where there is no path."""
    planted = {("t1", track): theta for track, theta in THETAS.items()}
    planted |= {pair: 0.0 for track in ("t1", *THETAS) for pair in ((track, "t4"), ("t4", track))}
    planted |= {(track, "t1"): 0.0 for track in THETAS}
    rows = (
        _row(*pair, effect, effect, effect, "planted") for pair, effect in sorted(planted.items())
    )
    return _row("exposure", "outcome", "estimate", "low", "high", "source") + "".join(rows)


def truth_record(toy: Toy) -> dict[str, Any]:
    """Constants, the grammar and what the noise leaves to be learned."""
    return {
        "schema_version": 1,
        "seed": toy.seed,
        "grammar": toy.grammar.to_dict(),
        "thetas": THETAS,
        "exposure_motifs": EXPOSURE_MOTIFS,
        "outcome_motifs": OUTCOME_MOTIFS,
        "confounder": CONFOUNDER,
        "unrelated": UNRELATED,
        "confounded_genes": [locus.gene.gene_id for locus in toy.loci if locus.confounded],
        "noise_ceiling": noise_ceilings(toy),
        "peak_ceiling": peak_ceilings(toy),
        "mechanisms": dict(sorted(Counter(m.kind for m in toy.mechanisms).items())),
        "window": {
            "length": WINDOW,
            "anchor": "TSS",
            "anchor_index": ANCHOR_INDEX,
            "orientation": "forward strand, for genes of either strand",
        },
        "expression_variance": {
            "modelled": MODELLED,
            "unmodelled": UNMODELLED,
            "noise": round(1 - MODELLED - UNMODELLED, 6),
        },
        "people": {"theta": THETA, "split_time": SPLIT_TIME, "cis": CIS, "tree_span": TREE_SPAN},
        "eqtl": {"prior_sd": PRIOR_SD, "least_maf": TESTED_MAF, "covariate": "population"},
        "causal_effect_above": CAUSAL_EFFECT,
    }


def write_toy(folder: str | Path, toy: Toy) -> None:
    """Write all files of the toy into a folder."""
    order = {contig: index for index, contig in enumerate(CONTIGS)}
    variants = sorted(
        (variant for personal in toy.personal for variant in personal.variants),
        key=lambda variant: (order[variant.contig], variant.position),
    )
    genome, index = fasta(toy.genome)
    people = [_row("person", "population", "role")]
    people += [_row(person.name, person.population, person.role) for person in toy.people]
    files = {
        "genome.fa": genome,
        "genome.fa.fai": index,
        "genes.gtf": gtf(toy.genes),
        "splits.bed": blocks_bed(toy.blocks),
        **{f"splits_fold{k}.bed": blocks_bed(fold(toy.blocks, k)) for k in range(2, FOLDS + 1)},
        "tracks.tsv": tracks_table(toy),
        "peaks.tsv": peak_table(toy.counts, toy.grammar.track_names, toy.grammar.bin_width),
        "log_tracks.tsv": log_table(
            toy.counts,
            toy.grammar.track_names,
            toy.grammar.bin_width,
            {contig: training_blocks(toy.blocks, contig) for contig in CONTIGS},
        ),
        **cut_files(toy.genome, toy.grammar, toy.seed),
        "motifs.meme": write_meme(toy.grammar.motifs),
        "soft_motifs.meme": write_meme(soft_motifs(toy.grammar.motifs)),
        "people.tsv": "".join(people),
        "evaluation_people.txt": "".join(
            f"{person.name}\n" for person in toy.people if person.role == "evaluation"
        ),
        "variants.vcf": vcf(toy.people, variants),
        "expression.tsv": expression_table(toy),
        "susie.tsv": eqtl_table(row for personal in toy.personal for row in personal.eqtls),
        "conservation.bedgraph": conservation_bedgraph(toy.conservation),
        "chromatin_states.bed": chromatin_states(toy.loci),
        "truth_genes.tsv": truth_genes_table(toy),
        "truth_motifs.tsv": truth_motifs_table(toy.loci),
        "truth_motif_effects.tsv": truth_motif_effects_table(),
        "truth_effects.tsv": truth_effects_table(),
        "truth.json": json.dumps(truth_record(toy), indent=1, sort_keys=True) + "\n",
    }
    for name, text in files.items():
        write_text(Path(folder) / name, text)


Blocks = Sequence[tuple[str, int, int, str]]
FOLDS = 4


def blocks_bed(blocks: Blocks) -> str:
    """BED of (contig, start, end, split)."""
    return "".join(_row(*block) for block in blocks)


def training_blocks(blocks: Blocks, contig: str) -> list[tuple[int, int]]:
    """Joined intervals [start, end) of a contig that are for training."""
    joined: list[tuple[int, int]] = []
    for name, start, end, split in blocks:
        if name != contig or split != "train":
            continue
        if joined and joined[-1][1] == start:
            start = joined.pop()[0]
        joined.append((start, end))
    return joined


def fold(blocks: Blocks, number: int) -> list[tuple[str, int, int, str]]:
    """The blocks with their splits moved on by `number` - 1 quarters of them; 1 is as they are."""
    splits = [split for *_, split in blocks]
    moved = np.roll(splits, (number - 1) * len(splits) // FOLDS).tolist()
    return [
        (contig, start, end, split)
        for (contig, start, end, _), split in zip(blocks, moved, strict=True)
    ]


def _row(*fields: object) -> str:
    return "\t".join(str(field) for field in fields) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the toy from the command line."""
    parser = argparse.ArgumentParser(description="Write the toy inputs.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--mix",
        type=float,
        nargs=3,
        default=(50, 25, 25),
        metavar=tuple(MECHANISMS),
        help="shares of genes per mechanism",
    )
    given = parser.parse_args(arguments)
    write_toy(given.folder, make_toy(given.seed, given.mix))


if __name__ == "__main__":
    main()
