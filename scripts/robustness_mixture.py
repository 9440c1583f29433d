"""What an ensemble of all replicates of a model states of the data sets of a world."""

from seqtrust.logs import log_to
from seqtrust.robustness.stated_tables import mixed, read_stated, write_stated

with log_to(snakemake.log[0]) as log:
    members = [read_stated(path) for path in snakemake.input.members]
    write_stated(snakemake.output[0], mixed(members).items())
    log.info("%d members", len(members))
