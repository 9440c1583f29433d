"""Collect the headline numbers of a run."""

from seqtrust import headlines
from seqtrust.files import read_tsv, write_text, write_tsv
from seqtrust.logs import log_to

with log_to(snakemake.log[0]) as log:
    fractions = map(read_tsv, snakemake.input.fractions)
    statistics = map(read_tsv, snakemake.input.statistics)
    chosen, correlated = (map(read_tsv, snakemake.input[key]) for key in ("chosen", "correlated"))
    maps, agreement = (map(read_tsv, snakemake.input[key]) for key in ("maps", "agreement"))
    simulated = map(read_tsv, snakemake.input.simulated)
    table = headlines.headline_table(
        [
            *map(headlines.from_planted, map(read_tsv, snakemake.input.planted)),
            *map(read_tsv, snakemake.input.deep_mr),
            *map(headlines.from_simulation, snakemake.params.simulations, simulated),
            *map(headlines.from_accuracy, map(read_tsv, snakemake.input.accuracy)),
            *map(headlines.from_verdict, snakemake.params.labels, fractions, statistics),
            *map(headlines.from_attributions, snakemake.params.attributions, maps, agreement),
            *map(headlines.from_population, snakemake.params.populations, chosen, correlated),
            *map(read_tsv, snakemake.input.robustness),
        ]
    )
    write_tsv(snakemake.output.table, table)
    notes = headlines.TOY_NOTES if snakemake.params.toy else ()
    write_text(snakemake.output.page, headlines.page(snakemake.params.title, table, notes))
    for row in table.to_dict("records"):
        log.info("%s", headlines.line(row))
