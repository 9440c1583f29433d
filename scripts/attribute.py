"""Attribution maps of one shard of a sequence set, by one method and with one replicate."""

from seqtrust.attribution.attribute import Request, attribute
from seqtrust.logs import log_to
from seqtrust.models.checkpoint import load_replicate
from seqtrust.sequence_set import read_shard

with log_to(snakemake.log[0]) as log:
    files, params = snakemake.input, snakemake.params
    sequences = read_shard(files.sequences, snakemake.wildcards.scatteritem)
    metadata = attribute(
        snakemake.output[0],
        load_replicate(files.replicate),
        sequences,
        params.outputs,
        Request(**params.settings, seed=params.seed),
        threads=snakemake.threads,
        device="cuda" if snakemake.resources.gpu else "cpu",
    )
    log.info("%d sequences; %s", len(sequences.sequences), metadata)
