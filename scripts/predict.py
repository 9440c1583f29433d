"""Predict one shard of a sequence set with one replicate."""

from seqtrust.inference.predict import predict
from seqtrust.logs import log_to
from seqtrust.models.checkpoint import load_replicate
from seqtrust.predictions import write_predictions
from seqtrust.sequence_set import read_shard

with log_to(snakemake.log[0]) as log:
    sequences = read_shard(snakemake.input.sequences, snakemake.wildcards.scatteritem)
    replicate = load_replicate(snakemake.input.replicate)
    predictions = predict(
        replicate,
        sequences,
        snakemake.params.outputs,
        threads=snakemake.threads,
        device="cuda" if snakemake.resources.gpu else "cpu",
        **snakemake.params.settings,
    )
    write_predictions(snakemake.output[0], predictions)
    log.info("%d sequences; %s", len(sequences.sequences), predictions.metadata)
