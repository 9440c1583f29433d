"""Bgzip a plain VCF."""

from seqtrust.logs import log_to
from seqtrust.variant_files import compress

with log_to(snakemake.log[0]):
    compress(snakemake.input.vcf, snakemake.output[0])
