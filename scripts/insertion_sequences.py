"""Make a sequence set of motifs inserted into backgrounds."""

from seqtrust.contrasts import write_contrasts
from seqtrust.genome import Genome
from seqtrust.logs import log_to
from seqtrust.motifs import read_meme
from seqtrust.sequence_set import write_sequence_set
from seqtrust.sources.insertions import (
    InsertionSequences,
    arrangements_of,
    background_windows,
    read_truth,
)
from seqtrust.sources.skipped import count_reasons, write_skipped

with log_to(snakemake.log[0]) as log:
    settings = snakemake.params.settings
    chosen = settings["source"]["insertions"]
    genome = Genome(snakemake.input.fasta, settings["assembly"], snakemake.params.build)
    source = str(snakemake.input.get("windows", snakemake.input.fasta))
    backgrounds = background_windows(
        genome, chosen["backgrounds"], source, settings["length"], chosen.get("index")
    )
    arrangements = arrangements_of(
        read_meme(snakemake.input.motifs), chosen, snakemake.input.motifs
    )
    truth = snakemake.input.get("truth")
    collection = InsertionSequences(
        genome,
        chosen["instances"],
        chosen["placement"],
        snakemake.params.seed,
        read_truth(truth) if truth else None,
    )
    content = collection.content(backgrounds, arrangements, source, settings["beyond_contig"])
    metadata = genome.provenance(settings["length"]) | {"seed": str(snakemake.params.seed)}
    count = write_sequence_set(snakemake.output.sequences, content, metadata)
    write_contrasts(snakemake.output.contrasts, collection.contrasts)
    write_skipped(snakemake.output.skipped, collection.skipped)
    log.info("%d arrangements, %d sequences", len(arrangements), count)
    log.info("skipped: %s", count_reasons(collection.skipped))
