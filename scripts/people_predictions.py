"""Gather the predictions of every person, gene by gene."""

from seqtrust.files import read_tsv
from seqtrust.logs import log_to
from seqtrust.models.card import read_card
from seqtrust.predictions import read_replicates
from seqtrust.sequence_set import read_sequence_set
from seqtrust.sources.haplotypes import HAPLOTYPES
from seqtrust.tables import read_table
from seqtrust.uncertainty.people_tables import people_predictions, write_people
from seqtrust.verdicts import regions_of

with log_to(snakemake.log[0]) as log:
    files, settings = snakemake.input, snakemake.params.settings
    people = people_predictions(
        read_replicates(files.predictions, snakemake.params.replicates),
        read_sequence_set(files.sequences),
        read_table(files.haplotypes, HAPLOTYPES).to_pandas(),
        len(read_tsv(files.samples)),
        regions_of(*map(read_card, files.cards)),
        settings["output"],
        settings.get("track"),
        settings["scale"],
    )
    write_people(snakemake.output[0], people, {"scale": settings["scale"]})
    log.info("%d replicates, %d genes, %d people", *people.values.shape)
    log.info("%d predictions are the same for all people", people.ties.sum())
