"""Join the verdicts of every score of an eQTL analysis with what is known of the variants."""

import pandas as pd
import pyarrow.compute as pc

from seqtrust.contrasts import CONTRASTS
from seqtrust.effects import SCHEMA as EFFECTS
from seqtrust.logs import log_to
from seqtrust.tables import read_table, write_table
from seqtrust.uncertainty.eqtl_report import annotated
from seqtrust.uncertainty.eqtls import UNITS, eqtl_units
from seqtrust.uncertainty.states import read_states
from seqtrust.verdicts import SCHEMA as VERDICTS

with log_to(snakemake.log[0]) as log:
    files, parts = snakemake.input, []
    for index, (score, kind, output) in enumerate(snakemake.params.parts):
        effects = read_table(files.effects[index], EFFECTS)
        parts.append(
            eqtl_units(
                score,
                kind,
                read_table(files.verdicts[index], VERDICTS).to_pandas(),
                read_table(files.contrasts[index], CONTRASTS).to_pandas(),
                effects.filter(pc.equal(effects["output"], output)).to_pandas(),
            )
        )
    states = zip(snakemake.params.tissues, files.get("states", []), strict=True)
    of_states = {tissue: read_states(path) for tissue, path in states}
    units = annotated(pd.concat(parts, ignore_index=True), files.get("conservation"), of_states)
    write_table(snakemake.output[0], UNITS, units)
    log.info("%d units of %d loci", len(units), units["locus"].nunique())
