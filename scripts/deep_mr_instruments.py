"""Choose the instruments of one shard of loci."""

from seqtrust.logs import log_to
from seqtrust.mendelian.effect_moments import read_moments
from seqtrust.mendelian.instrument_tables import write_instruments
from seqtrust.mendelian.recalibrated_tasks import read_recalibrations
from seqtrust.mendelian.shard_instruments import shard_instruments
from seqtrust.models.card import read_card
from seqtrust.sequence_set import read_shard
from seqtrust.verdicts import regions_of

with log_to(snakemake.log[0]) as log:
    files, params = snakemake.input, snakemake.params
    made, counts = shard_instruments(
        dict(zip(params.replicates, files.maps, strict=True)),
        read_moments(files.moments),
        read_shard(files.sequences, snakemake.wildcards.part),
        regions_of(*map(read_card, files.cards)),
        params.settings,
        entry=params.ism,
        kind=params.kind,
        recalibrations=files.get("recalibration") and read_recalibrations(files.recalibration),
        motifs=files.get("motifs"),
    )
    write_instruments(snakemake.output[0], made, counts)
    log.info("%d instruments of %d loci", len(made.names), len(made.loci))
