"""Score the true maps of a population's sequences like those of a model."""

from seqtrust.attribution.cell_scores import read_cell, score_truth, write_cell
from seqtrust.attribution.model_scores import Settings
from seqtrust.logs import log_to

with log_to(snakemake.log[0]):
    params = snakemake.params
    cell = read_cell(snakemake.input, params.cell)
    settings = Settings(params.metric, params.consistency, params.seed)
    write_cell(snakemake.output, score_truth(cell, settings), cell)
