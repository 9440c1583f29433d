"""Copy a replicate of another ensemble, to be predicted in another way."""

import shutil

from seqtrust.files import whole_file
from seqtrust.logs import log_to

with log_to(snakemake.log[0]) as log:
    source, parameters = snakemake.input[0], snakemake.params.parameters
    if parameters:
        # torch is only needed here
        from seqtrust.models.checkpoint import change_replicate

        change_replicate(source, snakemake.output[0], parameters)
    else:
        with whole_file(snakemake.output[0]) as temporary:
            shutil.copyfile(source, temporary)
    log.info("copied %s%s", source, f" with {parameters}" if parameters else "")
