"""Map the effects of all substitutions in one shard of a sequence set, with one replicate."""

from seqtrust.inference.ism_parts import map_to_file
from seqtrust.inference.part_files import digest_of
from seqtrust.logs import log_to
from seqtrust.models.checkpoint import load_replicate
from seqtrust.sequence_set import read_shard

with log_to(snakemake.log[0]) as log:
    files, params = snakemake.input, snakemake.params
    shard = snakemake.wildcards.scatteritem
    settings = {
        "region": params.region,
        "reverse_complement": params.inference["reverse_complement"],
        "shifts": params.inference["shifts"],
        "savings": params.savings,
        "batch_bytes": None,
        "threads": snakemake.threads,
        "device": "cuda" if snakemake.resources.gpu else "cpu",
    }
    key = digest_of(
        [files.sequences, files.replicate],
        settings | {"shard": shard, "outputs": params.outputs, "code": params.code},
    )
    replicate, sequences = load_replicate(files.replicate), read_shard(files.sequences, shard)
    metadata = map_to_file(
        snakemake.output[0], replicate, sequences, params.outputs, key, **settings
    )
    log.info("%d sequences; %s", len(sequences.sequences), metadata)
