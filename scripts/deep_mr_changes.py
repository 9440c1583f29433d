"""Estimate global effects with every published choice."""

from seqtrust.files import write_tsv
from seqtrust.logs import log_to
from seqtrust.mendelian.analysis import chosen_pairs
from seqtrust.mendelian.instrument_tables import read_instruments
from seqtrust.mendelian.published_choices import changes
from seqtrust.mendelian.stage import stage_of

with log_to(snakemake.log[0]):
    settings, seed = snakemake.params.settings, snakemake.params.seed
    compared = settings["compare_published"]
    instruments = read_instruments(snakemake.input)
    stage = stage_of(settings, instruments, seed)
    pairs = chosen_pairs(instruments, settings["tasks"], compared.get("pairs", settings["pairs"]))
    table = changes(
        instruments,
        pairs,
        stage.main,
        cross_fit=stage.cross_fit,
        few=compared["few"],
        modes=compared["modes"],
        seed=seed,
    )
    write_tsv(snakemake.output[0], table)
