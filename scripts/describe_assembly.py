"""Describe an assembly: build, checksum, contigs."""

import json

from seqtrust.files import write_text
from seqtrust.genome import Genome
from seqtrust.logs import log_to

with log_to(snakemake.log[0]) as log:
    genome = Genome(
        snakemake.input.fasta, snakemake.wildcards.assembly, snakemake.params.settings["build"]
    )
    description = genome.description()
    write_text(snakemake.output[0], json.dumps(description, indent=1) + "\n")
    log.info("%d contigs, sha256 %s", len(genome.contigs), description["sha256"])
