"""Make a sequence set of windows without edits."""

from seqtrust.genome import Genome
from seqtrust.logs import log_to
from seqtrust.sequence_set import write_sequence_set
from seqtrust.sources.reference import named_windows, reference_sequences
from seqtrust.sources.skipped import Skipped, count_reasons, write_skipped

with log_to(snakemake.log[0]) as log:
    settings = snakemake.params.settings
    genome = Genome(snakemake.input.fasta, settings["assembly"], snakemake.params.build)
    ((kind, choice),) = settings["source"]["reference"].items()
    source = str(snakemake.input.get("windows", kind))
    seed = snakemake.params.seed
    windows = named_windows(genome, kind, choice, source, settings["length"], seed)
    skipped: list[Skipped] = []
    content = reference_sequences(genome, windows, source, settings["beyond_contig"], skipped)
    count = write_sequence_set(
        snakemake.output.sequences, content, genome.provenance(settings["length"])
    )
    write_skipped(snakemake.output.skipped, skipped)
    log.info("%d sequences; skipped: %s", count, count_reasons(skipped))
