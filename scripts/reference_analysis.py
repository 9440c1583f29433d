"""Accuracy, pairs of replicates and classes of peaks on reference sequences."""

import json

from seqtrust.files import write_tsv
from seqtrust.genes import read_points
from seqtrust.genome import Genome
from seqtrust.logs import log_to
from seqtrust.models.card import read_card
from seqtrust.models.facts import Facts
from seqtrust.sequence_set import read_sequence_set
from seqtrust.targets import open_targets
from seqtrust.uncertainty.reference_tables import reference_tables
from seqtrust.uncertainty.track_store import PredictionFiles
from seqtrust.verdicts import regions_of

with log_to(snakemake.log[0]):
    files, settings = snakemake.input, snakemake.params.settings
    points = None
    if "points" in settings:
        points = read_points(files.points, Genome(files.fasta, "", snakemake.params.build))
    predictions = PredictionFiles.of(
        files.predictions, snakemake.params.replicates, settings["output"]
    )
    tables = reference_tables(
        predictions,
        Facts.from_dict(json.loads(predictions.metadata["facts"])),
        read_sequence_set(files.sequences),
        open_targets(files.targets, missing=True),
        regions_of(*map(read_card, files.cards)),
        settings | {"signals": dict(zip(settings["signals"], files.signals, strict=True))},
        snakemake.output.classes,
        points=points,
        assays=files.get("assays"),
        seed=snakemake.params.seed,
    )
    for name, table in tables.items():
        write_tsv(snakemake.output[name], table)
