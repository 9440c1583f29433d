"""Make a sequence set of the distinct haplotypes of phased people, per window."""

from dataclasses import fields

from seqtrust.genome import Genome
from seqtrust.genotypes import GenotypeFile
from seqtrust.logs import log_to
from seqtrust.sequence_set import write_sequence_set
from seqtrust.sources.haplotypes import (
    HAPLOTYPES,
    HaplotypeRules,
    HaplotypeSequences,
    streamed_table,
    write_samples,
    write_windows,
)
from seqtrust.sources.reference import named_windows
from seqtrust.sources.skipped import count_reasons, write_skipped
from seqtrust.sources.variants import CONTRASTS, with_lines

with log_to(snakemake.log[0]) as log:
    settings = snakemake.params.settings
    chosen = settings["source"]["haplotypes"]
    ((kind, choice),) = chosen["windows"].items()
    genome = Genome(snakemake.input.fasta, settings["assembly"], snakemake.params.build)
    genotypes = GenotypeFile(
        snakemake.input.variants, snakemake.input.index, snakemake.input.get("samples")
    )
    source = str(snakemake.input.windows)
    options = {
        rule.name: chosen[rule.name] for rule in fields(HaplotypeRules) if rule.name in chosen
    }
    collection = HaplotypeSequences(
        genome,
        genotypes,
        named_windows(genome, kind, choice, source, settings["length"]),
        HaplotypeRules(**options, beyond_contig=settings["beyond_contig"]),
        source,
    )
    metadata = genome.provenance(settings["length"])
    with (
        streamed_table(snakemake.output.haplotypes, HAPLOTYPES, metadata) as haplotypes,
        streamed_table(snakemake.output.contrasts, CONTRASTS, metadata) as contrasts,
    ):
        content = collection.content(haplotypes, contrasts)
        count = write_sequence_set(snakemake.output.sequences, content, metadata)
    write_samples(snakemake.output.samples, genotypes.names)
    write_windows(snakemake.output.windows, collection.counts)
    write_skipped(snakemake.output.skipped, with_lines(collection.skipped))
    people = sum(row.haplotypes for row in collection.counts)
    log.info("%d windows, %d haplotypes, %d sequences", len(collection.counts), people, count)
    log.info("skipped: %s", count_reasons(collection.skipped))
