"""Predict one shard of a sequence set with one replicate."""

from seqtrust.inference.parts import digest_of, predict_to_file
from seqtrust.logs import log_to
from seqtrust.models.checkpoint import load_replicate
from seqtrust.sequence_set import read_shard

with log_to(snakemake.log[0]) as log:
    files, params = snakemake.input, snakemake.params
    shard = snakemake.wildcards.scatteritem
    settings = params.settings | {
        "threads": snakemake.threads,
        "device": "cuda" if snakemake.resources.gpu else "cpu",
    }
    key = digest_of(
        [files.sequences, files.replicate],
        settings | {"shard": shard, "outputs": params.outputs, "code": params.code},
    )
    replicate, sequences = load_replicate(files.replicate), read_shard(files.sequences, shard)
    metadata = predict_to_file(
        snakemake.output[0], replicate, sequences, params.outputs, key, **settings
    )
    log.info("%d sequences; %s", len(sequences.sequences), metadata)
