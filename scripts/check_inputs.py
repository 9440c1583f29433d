"""Look at all inputs of a run and list everything that is wrong with them."""

import pandas as pd

from seqtrust.files import write_tsv
from seqtrust.input_checks import COLUMNS, usable_inputs
from seqtrust.input_files import InputFile
from seqtrust.logs import log_to

with log_to(snakemake.log[0]) as log:
    params = snakemake.params
    files = [InputFile.from_dict(values) for values in params.files]
    present = [one for one in files if one.path not in params.later]
    rows = usable_inputs(present, params.missing, params.refuse, log.warning)
    write_tsv(snakemake.output[0], pd.DataFrame(rows, columns=COLUMNS))
    log.info("%d of %d inputs can be used", len(rows), len(files))
