"""Take one shard of one replicate's predictions from a table."""

from seqtrust.logs import log_to
from seqtrust.models.card import read_card
from seqtrust.models.facts import Facts
from seqtrust.prediction_tables import tabled_predictions
from seqtrust.predictions import write_predictions
from seqtrust.sequence_set import read_ids, read_shard

with log_to(snakemake.log[0]) as log:
    predictions = tabled_predictions(
        snakemake.input.table,
        read_shard(snakemake.input.sequences, snakemake.wildcards.scatteritem),
        read_ids(snakemake.input.sequences),
        snakemake.wildcards.set,
        snakemake.params.outputs,
        Facts.from_dict(read_card(snakemake.input.replicate).facts),
        noise_floor=snakemake.params.noise_floor,
        inference=snakemake.params.inference,
    )
    write_predictions(snakemake.output[0], predictions)
    log.info("%d sequences", len(predictions.sequence_ids))
