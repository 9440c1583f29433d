"""Judge stated probabilities of signs, and what leaving out uncertain signs gains."""

from seqtrust.calibration.sign_assessment import SCHEMA, assess_signs
from seqtrust.calibration.sign_rows import locus_groups
from seqtrust.logs import log_to
from seqtrust.tables import read_table, write_table
from seqtrust.verdicts import SCHEMA as VERDICTS

with log_to(snakemake.log[0]):
    settings, files = snakemake.params.settings, snakemake.input
    columns = assess_signs(
        read_table(files.verdicts, VERDICTS).to_pandas(),
        settings["fit"],
        settings["folds"],
        settings["methods"],
        snakemake.params.seed,
        locus_groups(files.groups) if files.get("groups") else None,
    )
    about = {name: settings[name] for name in ("verdict", "fit")}
    write_table(snakemake.output[0], SCHEMA, columns, about)
