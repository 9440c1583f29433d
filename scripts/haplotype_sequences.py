"""Make a sequence set of the distinct haplotypes of phased people, per window."""

from seqtrust.contrasts import CONTRASTS
from seqtrust.genome import Genome
from seqtrust.genotype_files import open_genotypes
from seqtrust.logs import log_to
from seqtrust.sequence_set import write_sequence_set
from seqtrust.sources.haplotype_rules import HaplotypeRules
from seqtrust.sources.haplotypes import HAPLOTYPES, HaplotypeSequences, write_samples, write_windows
from seqtrust.sources.reference import named_windows
from seqtrust.sources.skipped import count_reasons, write_skipped
from seqtrust.tables import streamed_table

RULES = (
    "variants",
    "unphased",
    "missing",
    "min_frequency",
    "max_frequency",
    "max_ref_mismatch",
)

with log_to(snakemake.log[0]) as log:
    settings = snakemake.params.settings
    chosen = settings["source"]["haplotypes"]
    files, outputs = snakemake.input, snakemake.output
    genome = Genome(files.fasta, settings["assembly"], snakemake.params.build)
    genotypes = open_genotypes(files.variants, files.index, files.get("samples"))
    ((kind, choice),) = chosen["windows"].items()
    windows = named_windows(genome, kind, choice, str(files.windows), settings["length"])
    rules = HaplotypeRules(
        **{name: chosen[name] for name in RULES if name in chosen},
        beyond_contig=settings["beyond_contig"],
    )
    source = HaplotypeSequences(genome, genotypes, windows, rules, str(files.windows))
    metadata = genome.provenance(settings["length"])
    with (
        streamed_table(outputs.haplotypes, HAPLOTYPES, metadata) as haplotypes,
        streamed_table(outputs.contrasts, CONTRASTS, metadata) as contrasts,
    ):
        count = write_sequence_set(
            outputs.sequences, source.content(haplotypes, contrasts), metadata
        )
    write_windows(outputs.windows, source.counts)
    write_samples(outputs.samples, genotypes.names)
    write_skipped(outputs.skipped, source.skipped)
    log.info("%d samples, %d sequences", len(genotypes.names), count)
    log.info("%d haplotypes in %d windows", source.haplotypes, len(source.counts))
    log.info("skipped: %s", count_reasons(source.skipped))
