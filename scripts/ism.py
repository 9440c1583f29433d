"""Map the effects of all substitutions in one shard of a sequence set, with one replicate."""

from seqtrust.inference.ism import mutagenesis
from seqtrust.ism_maps import write_maps
from seqtrust.logs import log_to
from seqtrust.models.checkpoint import load_replicate
from seqtrust.sequence_set import read_shard

with log_to(snakemake.log[0]) as log:
    params = snakemake.params
    sequences = read_shard(snakemake.input.sequences, snakemake.wildcards.scatteritem)
    with mutagenesis(
        load_replicate(snakemake.input.replicate),
        sequences.codes().shape[1],
        params.outputs,
        region=params.region,
        reverse_complement=params.inference["reverse_complement"],
        shifts=params.inference["shifts"],
        savings=params.savings,
        batch_bytes=None,
        threads=snakemake.threads,
        device="cuda" if snakemake.resources.gpu else "cpu",
    ) as run:
        write_maps(
            snakemake.output[0], run.rows(sequences), run.outputs[0], run.metadata, run.totals
        )
        log.info("%s; %s", run.counts, run.metadata())
