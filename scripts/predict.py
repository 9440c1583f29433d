"""Predict one shard of a sequence set with one replicate, or with all of an ensemble at once."""

from seqtrust.inference.part_files import digest_of
from seqtrust.inference.parts import predict_to_files
from seqtrust.logs import log_to
from seqtrust.models.checkpoint import load_replicate
from seqtrust.sequence_set import read_shard

with log_to(snakemake.log[0]) as log:
    files, params = snakemake.input, snakemake.params
    shard = snakemake.wildcards.scatteritem
    settings = {name: value for name, value in params.settings.items() if name != "together"}
    settings |= {
        "threads": snakemake.threads,
        "device": "cuda" if snakemake.resources.gpu else "cpu",
    }
    key = digest_of(
        [files.sequences, *files.replicates],
        settings | {"shard": shard, "outputs": params.outputs, "code": params.code},
    )
    replicates = [load_replicate(path) for path in files.replicates]
    sequences = read_shard(files.sequences, shard)
    for path, metadata in zip(
        snakemake.output,
        predict_to_files(snakemake.output, replicates, sequences, params.outputs, key, **settings),
        strict=True,
    ):
        log.info("%s: %d sequences; %s", path, len(sequences.sequences), metadata)
