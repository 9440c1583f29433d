"""Detection, repair and curves over worlds, headlines, and the page of the tests."""

import pandas as pd

from seqtrust.files import read_tsv, write_text, write_tsv
from seqtrust.headlines import line
from seqtrust.logs import log_to
from seqtrust.robustness import few_label_repair, findings, shift_curves, shift_detection
from seqtrust.robustness.shift_rows import read_fits

with log_to(snakemake.log[0]) as log:
    files, params = snakemake.input, snakemake.params

    schemas = {
        "detection": shift_detection.SCHEMA,
        "repair": few_label_repair.SCHEMA,
        "curves": shift_curves.SCHEMA,
    }
    fits = {
        part: read_fits(files[part], params.replicates[part], schema)
        for part, schema in schemas.items()
    }
    detection = findings.detection_table(fits["detection"], params.seed)
    repair = findings.repair_table(fits["repair"], params.seed)
    write_tsv(snakemake.output.detection, detection)
    write_tsv(snakemake.output.repair, repair)
    findings.write_curves(
        snakemake.output.curves, findings.curves_table(fits["curves"], params.seed)
    )
    summary, tests = pd.read_parquet(files.summary), read_tsv(files.tests)
    table = findings.robustness_headlines(
        params.label, params.model, params.calibrator, summary, detection, repair
    )
    write_tsv(snakemake.output.headlines, table)
    notes = findings.TOY_NOTES if params.toy else ()
    write_text(snakemake.output.page, findings.claims_page(params.label, tests, notes))
    for row in table.to_dict("records"):
        log.info("%s", line(row))
