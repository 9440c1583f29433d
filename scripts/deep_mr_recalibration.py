"""Fit the recalibration of tasks on one split, and judge it on another."""

from seqtrust.files import write_tsv
from seqtrust.logs import log_to
from seqtrust.mendelian.recalibrated_tasks import (
    fitted_and_judged,
    predicted_and_measured,
    write_recalibrations,
)
from seqtrust.models.card import read_card
from seqtrust.predictions import read_replicates
from seqtrust.sequence_set import read_sequence_set
from seqtrust.targets import open_targets
from seqtrust.verdicts import regions_of, splits_of

with log_to(snakemake.log[0]) as log:
    files, params = snakemake.input, snakemake.params
    sequences = read_sequence_set(files.sequences)
    tasks, members, observed = predicted_and_measured(
        read_replicates(files.predictions, params.replicates),
        sequences,
        open_targets(files.targets, missing=True),
        params.output,
        params.scale,
        params.tracks_of,
    )
    splits = list(splits_of(sequences, regions_of(*map(read_card, files.cards))).values())
    names = params.settings["split"], params.settings["judged_on"]
    made, table = fitted_and_judged(params.kinds, tasks, members, observed, splits, *names)
    write_recalibrations(snakemake.output.maps, made)
    write_tsv(snakemake.output.reliability, table)
    log.info("fitted on %d windows of %s", splits.count(names[0]), names[0])
