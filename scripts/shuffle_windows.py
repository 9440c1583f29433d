"""Shuffle windows, dinucleotide counts kept, into an assembly of their own."""

from seqtrust.genome import Genome
from seqtrust.logs import log_to
from seqtrust.sources.reference import tss_windows
from seqtrust.sources.shuffled import write_shuffled

with log_to(snakemake.log[0]) as log:
    settings = snakemake.params.settings
    genome = Genome(snakemake.input.fasta, settings["assembly"], snakemake.params.build)
    windows = tss_windows(genome, snakemake.input.windows, settings["length"])
    inside = [(name, window) for name, window in windows if genome.covers(window)]
    count = write_shuffled(
        snakemake.output.fasta,
        genome,
        inside[: settings.get("first")],
        settings["copies"],
        snakemake.params.seed,
    )
    log.info("%d contigs; %d windows over a contig's end", count, len(windows) - len(inside))
