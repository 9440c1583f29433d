"""Make the tabix index of a VCF."""

from seqtrust.logs import log_to
from seqtrust.variant_files import index

with log_to(snakemake.log[0]):
    index(snakemake.input.vcf, snakemake.output[0])
