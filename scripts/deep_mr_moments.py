"""Sums over the effects of one shard, which errors and the published rule need of all shards."""

from seqtrust.logs import log_to
from seqtrust.mendelian.effect_moments import Moments, write_moments
from seqtrust.mendelian.mutation_effects import mutation_effects
from seqtrust.mendelian.recalibrated_tasks import read_recalibrations

with log_to(snakemake.log[0]):
    files, params = snakemake.input, snakemake.params
    maps = dict(zip(params.replicates, files.maps, strict=True))
    known = read_recalibrations(files.recalibration) if files.get("recalibration") else {}
    how = params.ism, params.se, params.tracks_of
    effects = mutation_effects(maps, params.scale, known.get(params.kind), *how)
    write_moments(snakemake.output[0], Moments.of(effects))
