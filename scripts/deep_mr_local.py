"""Estimate every pair of tasks at every locus of one shard, with diagnostics."""

from seqtrust.logs import log_to
from seqtrust.mendelian.analysis import DIAGNOSTICS, LOCAL, diagnostics, local_effects
from seqtrust.mendelian.instrument_tables import read_instruments
from seqtrust.mendelian.stage import stage_of
from seqtrust.tables import write_table

with log_to(snakemake.log[0]):
    params = snakemake.params
    instruments = read_instruments(snakemake.input)
    stage = stage_of(params.settings, instruments, params.seed)
    local = local_effects(
        instruments, stage.pairs, stage.estimators, stage.main, cross_fit=stage.cross_fit
    )
    # q is over the loci of all shards
    write_table(snakemake.output.local, LOCAL, local.assign(q=float("nan")))
    write_table(snakemake.output.diagnostics, DIAGNOSTICS, diagnostics(instruments, stage.pairs))
