"""Score the models of one cell of a population."""

from seqtrust.attribution.cell_scores import read_cell, score_cell, write_cell
from seqtrust.attribution.model_scores import Settings
from seqtrust.logs import log_to
from seqtrust.predictions import read_replicates
from seqtrust.sequence_set import read_sequence_set
from seqtrust.targets import open_targets

with log_to(snakemake.log[0]):
    files, params = snakemake.input, snakemake.params
    cell = read_cell(files, params.cell)
    predicted = read_sequence_set(files.sequences), open_targets(files.targets), params.output
    scores = score_cell(
        cell,
        read_replicates(files.predictions, params.replicates),
        predicted,
        {part: files[f"{part}_maps"] for part in cell.sets},
        Settings(params.metric, params.consistency, params.seed),
    )
    write_cell(snakemake.output, scores, cell)
