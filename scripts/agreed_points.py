"""Find the TSS in the bins on which all replicates are right on most tracks."""

from seqtrust.files import read_input_table
from seqtrust.genes import write_points
from seqtrust.logs import log_to
from seqtrust.sources.agreed import agreed_points

with log_to(snakemake.log[0]) as log:
    settings = snakemake.params.settings
    table = read_input_table(snakemake.input[0], {"contig": str, "sequence_id": str, "point": str})
    points = agreed_points(table, settings["caller"], settings["bins"])
    write_points(snakemake.output[0], points)
    log.info("%d points", len(points))
