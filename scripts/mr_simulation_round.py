"""One round of one cell of a Deep MR simulation."""

from seqtrust.logs import log_to
from seqtrust.mendelian.simulated_grammar import Process, chosen_motifs
from seqtrust.mendelian.simulated_study import ROUNDS, columns_of, simulated_round
from seqtrust.mr_simulation_cells import Cell
from seqtrust.tables import write_table

with log_to(snakemake.log[0]) as log:
    settings, names = snakemake.params.settings, snakemake.params.motifs
    networks = settings.get("networks")
    if networks is not None:
        device = "cuda" if snakemake.resources.gpu else "cpu"
        networks = networks | {"threads": snakemake.threads, "device": device}
    rows = simulated_round(
        Process(chosen_motifs(snakemake.input.motifs, names), **settings["process"]),
        Cell(**snakemake.params.cell),
        int(snakemake.wildcards.round),
        seed=snakemake.params.seed,
        law=settings["laws"][snakemake.params.cell["law"]],
        data=settings["data"],
        oracle=settings.get("oracle"),
        networks=networks,
        analyses=settings["analyses"],
    )
    write_table(snakemake.output[0], ROUNDS, columns_of(rows))
    log.info("%d rows", len(rows))
