"""Contrast the predictions of alternatives with those of their references."""

from seqtrust.contrasts import CONTRASTS
from seqtrust.effects import SCHEMA, compute_effects, reaches
from seqtrust.logs import log_to
from seqtrust.predictions import read_replicates
from seqtrust.sequence_set import read_sequence_set
from seqtrust.tables import dump, read_table, write_table

with log_to(snakemake.log[0]):
    replicates = read_replicates(snakemake.input.predictions, snakemake.params.replicates)
    columns = compute_effects(
        read_table(snakemake.input.contrasts, CONTRASTS),
        read_sequence_set(snakemake.input.sequences),
        replicates,
        reaches(replicates),
    )
    outputs = next(iter(replicates.values())).outputs
    tracks = {out.name: dict(zip(out.tracks, out.track_names, strict=True)) for out in outputs}
    metadata = {"replicates": dump(list(replicates)), "tracks": dump(tracks)}
    write_table(snakemake.output[0], SCHEMA, columns, metadata)
