"""Draw distinct haplotypes per window against window length."""

from seqtrust.figures.sequences import haplotype_count_table, haplotype_counts
from seqtrust.figures.style import save_figure
from seqtrust.files import read_tsv
from seqtrust.logs import log_to

with log_to(snakemake.log[0]):
    table = haplotype_count_table(
        [read_tsv(path) for path in snakemake.input], snakemake.params.sets
    )
    save_figure(haplotype_counts(table), snakemake.output, table, snakemake.params.toy)
