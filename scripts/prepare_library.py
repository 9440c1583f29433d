"""Turn a reporter library into an assembly, targets and data splits."""

from collections import Counter

from seqtrust.files import write_text, write_tsv
from seqtrust.libraries import library_of, pairs_of, split_groups, write_library
from seqtrust.logs import log_to

with log_to(snakemake.log[0]) as log:
    settings = snakemake.params.settings
    library = library_of(settings, snakemake.input)
    splits = split_groups(
        library.groups, settings["validation"], settings["test"], snakemake.params.seed
    )
    outputs = snakemake.output
    write_library(library, splits, outputs.fasta, outputs.targets, outputs.splits, outputs.groups)
    if "pairs" in settings:
        write_tsv(outputs.pairs, pairs_of(library, **settings["pairs"]))
    else:
        write_text(outputs.pairs, "reference\talternative\teffect\n")
    log.info("%d sequences in %d groups", len(library.groups), len(set(library.groups)))
    log.info("splits: %s", dict(Counter(splits)))
