"""Judge the bins of reference sequences: do replicates agree, and rightly?"""

from seqtrust.logs import log_to
from seqtrust.models.card import read_card
from seqtrust.predictions import read_replicates
from seqtrust.sequence_set import read_sequence_set
from seqtrust.tables import dump, write_table
from seqtrust.targets import open_targets
from seqtrust.verdicts import SCHEMA, judge_bins, regions_of

with log_to(snakemake.log[0]):
    ((rule, settings),) = snakemake.params.settings["calls"].items()
    options = {key: value for key, value in settings.items() if key != "targets"}
    if rule == "peaks":
        options["targets"] = open_targets(snakemake.input.targets)
    columns = judge_bins(
        read_replicates(snakemake.input.predictions, snakemake.params.replicates),
        read_sequence_set(snakemake.input.sequences),
        regions_of(*map(read_card, snakemake.input.cards)),
        snakemake.params.settings["output"],
        **options,
    )
    write_table(
        snakemake.output[0], SCHEMA, columns, {"replicates": dump(snakemake.params.replicates)}
    )
