"""Write the sequences of a set as a FASTA."""

from seqtrust.logs import log_to
from seqtrust.sequence_fasta import write_sequences

with log_to(snakemake.log[0]) as log:
    count = write_sequences(snakemake.output[0], snakemake.input[0])
    log.info("%d sequences", count)
