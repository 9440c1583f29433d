"""Judge the stated uncertainty of an ensemble, and methods that mend it."""

from seqtrust.calibration.assessment import SCHEMA, assessed
from seqtrust.calibration.ensembles import block_groups, calibration_data, table_groups
from seqtrust.logs import log_to
from seqtrust.models.card import read_card
from seqtrust.predictions import read_replicates
from seqtrust.sequence_set import read_sequence_set
from seqtrust.tables import dump, streamed_table
from seqtrust.targets import open_targets
from seqtrust.verdicts import regions_of

with log_to(snakemake.log[0]) as log:
    params, files = snakemake.params, snakemake.input
    settings = params.settings
    sequences = read_sequence_set(files.sequences)
    if files.get("groups"):
        groups = table_groups(sequences, files.groups)
    else:
        groups = block_groups(sequences, settings["group"]["block"])
    data = calibration_data(
        read_replicates(files.predictions, params.replicates),
        sequences,
        open_targets(files.targets, missing=True),
        regions_of(*map(read_card, files.cards)),
        settings["output"],
        groups,
        settings["scale"],
    )
    log.info("%d validation windows left out: they share a group with a test one", data.left_out)
    about = {"replicates": dump(params.replicates), "scale": settings["scale"]}
    about["left_out"] = str(data.left_out)
    with streamed_table(snakemake.output[0], SCHEMA, about) as add:
        for part in assessed(data, settings["methods"], params.seed):
            add(part)
