"""Activity and mutation effects of motifs, and how many replicates agree on them."""

from seqtrust.contrasts import CONTRASTS
from seqtrust.files import write_tsv
from seqtrust.logs import log_to
from seqtrust.models.card import read_card
from seqtrust.motifs import read_meme
from seqtrust.sequence_set import read_sequence_set
from seqtrust.tables import read_table
from seqtrust.uncertainty.motif_tables import motif_tables
from seqtrust.uncertainty.track_store import PredictionFiles
from seqtrust.verdicts import regions_of

with log_to(snakemake.log[0]):
    files, settings = snakemake.input, snakemake.params.settings
    tables = motif_tables(
        PredictionFiles.of(files.predictions, snakemake.params.replicates, settings["output"]),
        read_table(files.contrasts, CONTRASTS),
        read_sequence_set(files.sequences),
        regions_of(*map(read_card, files.cards)),
        read_meme(files.pwms),
        snakemake.params.insertions,
        settings,
        snakemake.output.effects,
        assays=files.get("assays"),
        seed=snakemake.params.seed,
    )
    for name, table in tables.items():
        write_tsv(snakemake.output[name], table)
