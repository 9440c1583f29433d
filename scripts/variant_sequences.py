"""Make a sequence set of variants: REF and ALT as two sequences that share a window."""

from seqtrust.contrasts import write_contrasts
from seqtrust.genes import read_points
from seqtrust.genome import Genome
from seqtrust.logs import log_to
from seqtrust.sequence_set import write_sequence_set
from seqtrust.sources.skipped import count_reasons, write_skipped
from seqtrust.sources.variant_records import read_variants, with_lines
from seqtrust.sources.variants import VariantSequences

with log_to(snakemake.log[0]) as log:
    settings = snakemake.params.settings
    chosen = settings["source"]["variants"]
    genome = Genome(snakemake.input.fasta, settings["assembly"], snakemake.params.build)
    variants, skipped = read_variants(
        genome,
        snakemake.input.variants,
        snakemake.input.get("index"),
        chosen["of"],
        chosen["max_ref_mismatch"],
    )
    collection = VariantSequences(genome, settings["length"], settings["beyond_contig"], skipped)
    if anchor := chosen.get("anchor"):
        points = read_points(snakemake.input.points, genome)
        pairs = collection.choose_points(variants, points, anchor["by"], anchor["within"])
        content = collection.around_points(pairs, anchor.get("index"))
    else:
        content = collection.around_variants(variants)
    count = write_sequence_set(
        snakemake.output.sequences, content, genome.provenance(settings["length"])
    )
    write_contrasts(snakemake.output.contrasts, collection.contrasts)
    write_skipped(snakemake.output.skipped, with_lines(collection.skipped))
    log.info("%d variants, %d sequences", len(variants), count)
    log.info("skipped: %s", count_reasons(collection.skipped))
