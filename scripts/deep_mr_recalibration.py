"""Fit the recalibration of tasks on one split, and judge it on another."""

from seqtrust.files import write_tsv
from seqtrust.logs import log_to
from seqtrust.mendelian.recalibrated_tasks import (
    fitted,
    predicted_and_measured,
    reliability,
    rows_of_split,
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
    )
    of = splits_of(sequences, regions_of(*map(read_card, files.cards)))
    splits = [of[key] for key in sequences.ids()]
    fit, judge = (rows_of_split(splits, params.settings[key]) for key in ("split", "judged_on"))
    made = {kind: fitted(kind, tasks, members[:, fit], observed[fit]) for kind in params.kinds}
    write_recalibrations(snakemake.output.maps, made)
    table = reliability(
        made[params.kinds[0]], members[:, judge], observed[judge], params.settings["judged_on"]
    )
    write_tsv(snakemake.output.reliability, table)
    log.info("fitted on %d windows, judged on %d", fit.sum(), judge.sum())
