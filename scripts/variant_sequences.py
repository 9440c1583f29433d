"""Make a sequence set of variants: REF and ALT as two sequences that share a window."""

from seqtrust.contrasts import write_contrasts
from seqtrust.genes import read_points
from seqtrust.genome import Genome
from seqtrust.logs import log_to
from seqtrust.sequence_set import write_sequence_set
from seqtrust.sources.skipped import count_reasons, write_skipped
from seqtrust.sources.variant_inputs import IN_WINDOW, read_variants
from seqtrust.sources.variant_records import with_lines
from seqtrust.sources.variants import VariantSequences

with log_to(snakemake.log[0]) as log:
    files, outputs, settings = snakemake.input, snakemake.output, snakemake.params.settings
    chosen = settings["source"]["variants"]
    genome = Genome(files.fasta, settings["assembly"], snakemake.params.build)
    points = read_points(files.points, genome) if files.get("points") else []
    genes = read_points(files.genes, genome) if files.get("genes") else []
    variants, skipped, counts = read_variants(
        genome,
        list(files.variants),
        files.get("index"),
        chosen["of"],
        chosen["max_ref_mismatch"],
        {gene.name: gene for gene in genes},
    )
    collection = VariantSequences(genome, settings["length"], settings["beyond_contig"], skipped)
    if anchor := chosen.get("anchor"):
        pairs = collection.choose_points(variants, points, anchor["by"], anchor["within"])
        content = collection.around_points(pairs, anchor.get("index"))
    else:
        content = collection.around_variants(variants)
    count = write_sequence_set(outputs.sequences, content, genome.provenance(settings["length"]))
    write_contrasts(outputs.contrasts, collection.contrasts)
    write_skipped(outputs.skipped, with_lines(collection.skipped))
    kept = [row["context"] for row in collection.contrasts if row["pair"] in ("only", "left")]
    counts.add(IN_WINDOW, [variant.context for variant in variants], kept)
    counts.write(outputs.filters)
    log.info("%d variants, %d sequences", len(variants), count)
    log.info("skipped: %s", count_reasons(collection.skipped))
