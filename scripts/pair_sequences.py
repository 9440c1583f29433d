"""Make a sequence set of pairs of whole contigs."""

from seqtrust.contrasts import write_contrasts
from seqtrust.genome import Genome
from seqtrust.logs import log_to
from seqtrust.sequence_set import write_sequence_set
from seqtrust.sources.pairs import pair_contrasts, pair_sequences, read_pairs
from seqtrust.sources.skipped import write_skipped

with log_to(snakemake.log[0]) as log:
    settings = snakemake.params.settings
    genome = Genome(snakemake.input.fasta, settings["assembly"], snakemake.params.build)
    pairs = read_pairs(snakemake.input.pairs, genome)
    content = pair_sequences(genome, pairs, settings["length"])
    count = write_sequence_set(
        snakemake.output.sequences, content, genome.provenance(settings["length"])
    )
    write_contrasts(snakemake.output.contrasts, pair_contrasts(pairs))
    write_skipped(snakemake.output.skipped, [])
    log.info("%d pairs of %d sequences", len(pairs), count)
