"""Write mean and spread of an ensemble's predictions, which a network may be trained on."""

from seqtrust.logs import log_to
from seqtrust.measured_predictions import measure_predictions
from seqtrust.predictions import read_replicates
from seqtrust.sequence_set import read_sequence_set

with log_to(snakemake.log[0]) as log:
    files, params = snakemake.input, snakemake.params
    count = measure_predictions(
        snakemake.output[0],
        read_replicates(files.predictions, params.replicates),
        read_sequence_set(files.sequences),
        params.settings["output"],
        params.settings["scale"],
    )
    log.info("%d windows", count)
