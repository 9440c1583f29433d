"""Write the card of a replicate whose predictions come as a table."""

from seqtrust.genome import Genome, SplitRegions
from seqtrust.logs import log_to
from seqtrust.models.own_facts import stated_facts
from seqtrust.prediction_tables import write_table_card

with log_to(snakemake.log[0]):
    params, regions = snakemake.params, None
    if snakemake.input.get("regions"):
        genome = Genome(snakemake.input.fasta, params.assembly, params.build)
        regions = SplitRegions.from_bed(snakemake.input.regions, genome)
    facts = stated_facts(params.facts, params.build)
    write_table_card(snakemake.output[0], snakemake.input.table, facts, regions)
