"""Pool local effects over loci; verdicts, controls and headlines."""

import pandas as pd

from seqtrust.files import write_tsv
from seqtrust.logs import log_to
from seqtrust.mendelian.analysis import DIAGNOSTICS, LOCAL
from seqtrust.mendelian.control_effects import local_q
from seqtrust.mendelian.effect_statistics import read_statistics
from seqtrust.mendelian.global_effects import read_published
from seqtrust.mendelian.instrument_tables import read_counts, read_instruments
from seqtrust.mendelian.stage import stage_of, within_replicates
from seqtrust.mendelian.stage_tables import stage_tables
from seqtrust.tables import read_table, write_table

with log_to(snakemake.log[0]) as log:
    files, params, out = snakemake.input, snakemake.params, snakemake.output
    instruments = read_instruments(files.instruments, within_replicates(params.settings))
    stage = stage_of(params.settings, instruments, params.seed)
    local = local_q(pd.concat([read_table(one, LOCAL).to_pandas() for one in files.local]))
    found = pd.concat([read_table(one, DIAGNOSTICS).to_pandas() for one in files.diagnostics])
    beside = read_published(files.published) if files.get("published") else None
    printed = read_statistics(files.statistics) if files.get("statistics") else None
    given = instruments, stage, local, found, params.settings, params.seed
    shown = {"published": beside, "statistics": printed}
    tables = stage_tables(*given, counts=read_counts(files.instruments), **shown)
    write_table(out.local, LOCAL, local)
    write_table(out.diagnostics, DIAGNOSTICS, found)
    for name, rows in tables.items():
        write_tsv(out[name], rows)
        log.info("%s: %d rows", name, len(rows))
