"""Judge the signs of effects: do replicates agree, and rightly?"""

from seqtrust.contrasts import CONTRASTS
from seqtrust.effects import SCHEMA as EFFECTS
from seqtrust.logs import log_to
from seqtrust.models.card import read_card
from seqtrust.sequence_set import read_sequence_set
from seqtrust.tables import dump, read_table, write_table
from seqtrust.tissues import read_tissue_tracks
from seqtrust.verdicts import SCHEMA, judge_effects, regions_of

with log_to(snakemake.log[0]):
    settings = snakemake.params.settings
    effects, calls = read_table(snakemake.input.effects, EFFECTS), settings["calls"]["signs"]
    tracks = None
    if chosen := calls.get("tissue_tracks"):
        path = snakemake.input.table
        tracks = read_tissue_tracks(path, chosen["assay"], effects, settings["output"])
    columns = judge_effects(
        effects,
        read_table(snakemake.input.contrasts, CONTRASTS),
        read_sequence_set(snakemake.input.sequences),
        regions_of(*map(read_card, snakemake.input.cards)),
        settings["output"],
        calls["distance_breaks"],
        calls["by_context"],
        tracks,
    )
    write_table(
        snakemake.output[0], SCHEMA, columns, {"replicates": dump(snakemake.params.replicates)}
    )
