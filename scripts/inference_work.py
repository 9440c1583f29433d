"""Collect what inference computed and saved."""

from pathlib import Path

from seqtrust.files import write_tsv
from seqtrust.inference_tables import Group, work_table
from seqtrust.logs import log_to

with log_to(snakemake.log[0]) as log:
    files = iter(map(Path, snakemake.input))
    groups = [
        Group(kind, name, sequence_set, [next(files) for _ in range(count)])
        for kind, name, sequence_set, count in snakemake.params.groups
    ]
    table = work_table(groups)
    write_tsv(snakemake.output[0], table)
    log.info("%d rows", len(table))
