"""Global effects by the distance between the motifs of exposure and outcome."""

from seqtrust.files import write_tsv
from seqtrust.logs import log_to
from seqtrust.mendelian.analysis import chosen_pairs
from seqtrust.mendelian.instrument_tables import read_instruments
from seqtrust.mendelian.spacing import read_published_spacing, spacing_effects
from seqtrust.mendelian.stage import stage_of, task_spans
from seqtrust.sequence_set import read_sequence_set

with log_to(snakemake.log[0]):
    files, settings = snakemake.input, snakemake.params.settings
    chosen = settings["spacing"]
    instruments = read_instruments(files.instruments)
    stage = stage_of(settings, instruments, snakemake.params.seed)
    sequences = read_sequence_set(files.sequences)
    spans = task_spans(chosen, files.motifs, sequences, instruments.tasks)
    pairs = chosen_pairs(instruments, settings["tasks"], chosen.get("pairs", settings["pairs"]))
    beside = read_published_spacing(files.published) if files.get("published") else None
    how = {"whole": chosen["whole"], "published": beside}
    table = spacing_effects(instruments, pairs, stage.main, spans, chosen["breaks"], **how)
    write_tsv(snakemake.output[0], table)
