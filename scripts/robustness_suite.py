"""What shifts do to the data of all worlds."""

from seqtrust.files import write_tsv
from seqtrust.logs import log_to
from seqtrust.robustness.suite import suite_table
from seqtrust.robustness.world_tables import open_world

with log_to(snakemake.log[0]) as log:
    worlds = [open_world(path) for path in snakemake.input.worlds]
    table = suite_table(worlds, snakemake.params.numbers)
    write_tsv(snakemake.output[0], table)
    log.info("%d worlds", len(worlds))
