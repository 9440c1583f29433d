"""Counts of attribution maps, and their agreement between replicates and between methods."""

from seqtrust.attribution.agreement import agreement_table, counts_table
from seqtrust.files import write_tsv
from seqtrust.logs import log_to

with log_to(snakemake.log[0]):
    params, paths = snakemake.params, list(snakemake.input)
    each = len(paths) // (len(params.methods) * len(params.replicates))
    remaining = iter(paths)
    shards = {
        method: {name: [next(remaining) for _ in range(each)] for name in params.replicates}
        for method in params.methods
    }
    write_tsv(snakemake.output.counts, counts_table(shards))
    write_tsv(snakemake.output.agreement, agreement_table(shards, params.seed))
