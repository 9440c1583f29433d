"""Choose the instruments of one shard of loci."""

from seqtrust.logs import log_to
from seqtrust.mendelian.effect_moments import read_moments
from seqtrust.mendelian.instrument_tables import write_instruments
from seqtrust.mendelian.mutation_effects import mutation_effects
from seqtrust.mendelian.recalibrated_tasks import read_recalibrations
from seqtrust.mendelian.selected_instruments import selected_instruments
from seqtrust.mendelian.stage import published_threshold, rule_of, task_spans
from seqtrust.models.card import read_card
from seqtrust.sequence_set import read_shard
from seqtrust.verdicts import regions_of, splits_of

with log_to(snakemake.log[0]) as log:
    files, params = snakemake.input, snakemake.params
    settings = params.settings
    maps = dict(zip(params.replicates, files.maps, strict=True))
    known = read_recalibrations(files.recalibration) if files.get("recalibration") else {}
    kind, spans = params.kind, settings["instruments"].get("spans")
    effects = mutation_effects(maps, settings["scale"], known.get(kind), params.ism)
    published = known.get("published") if settings["compare_published"] else None
    moved = published and mutation_effects(maps, settings["scale"], published, params.ism)
    sequences = read_shard(files.sequences, snakemake.wildcards.part)
    made = selected_instruments(
        effects,
        read_moments(files.moments),
        splits_of(sequences, regions_of(*map(read_card, files.cards))),
        rule_of(settings["instruments"]),
        se=settings["se"],
        published_threshold=published_threshold(settings),
        recalibrated=moved,
        spans=spans and task_spans(spans, files.motifs, sequences, effects.tasks),
    )
    write_instruments(snakemake.output[0], made, effects.counts)
    log.info("%d instruments of %d loci", len(made.names), len(made.loci))
