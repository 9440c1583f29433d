"""Keep the points of a file that lie in a region."""

from seqtrust.genes import read_points, write_points
from seqtrust.genome import Genome
from seqtrust.logs import log_to

with log_to(snakemake.log[0]) as log:
    settings = snakemake.params.settings
    genome = Genome(snakemake.input.fasta, settings["assembly"])
    points = read_points(snakemake.input.points, genome, settings["region"])
    write_points(snakemake.output[0], points)
    log.info("%d points in %s", len(points), settings["region"])
