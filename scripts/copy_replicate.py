"""Copy a replicate of another ensemble, to be predicted in another way."""

import shutil

from seqtrust.files import whole_file
from seqtrust.logs import log_to

with log_to(snakemake.log[0]) as log:
    with whole_file(snakemake.output[0]) as temporary:
        shutil.copyfile(snakemake.input[0], temporary)
    log.info("copied %s", snakemake.input[0])
