"""Choose models of a population, and correlate consistency with truth."""

from seqtrust.attribution.model_scores import SEQUENCES
from seqtrust.attribution.population_report import population_tables
from seqtrust.files import read_tsv, write_tsv
from seqtrust.logs import log_to
from seqtrust.tables import read_table

with log_to(snakemake.log[0]):
    files, params = snakemake.input, snakemake.params
    sequences = {
        name: read_table(path, SEQUENCES).to_pandas()
        for name, path in zip(params.models, files.sequences, strict=True)
    }
    found = population_tables(
        [read_tsv(path) for path in files.scores],
        sequences,
        params.settings.get("class"),
        params.settings["within"],
        params.settings.get("least_generalisation"),
        params.settings["published"],
        params.seed,
    )
    write_tsv(snakemake.output.models, found.models)
    write_tsv(snakemake.output.selection, found.selection)
    write_tsv(snakemake.output.correlations, found.correlations)
