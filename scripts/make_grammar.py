"""Simulate the sequences of a grammar, with targets, data splits and the truth."""

from collections import Counter

from seqtrust.logs import log_to
from seqtrust.motifs import read_meme
from seqtrust.sources.grammar import write_truth
from seqtrust.sources.grammar_sequences import simulate_grammar, write_grammar

with log_to(snakemake.log[0]) as log:
    source, outputs = snakemake.input.motifs, snakemake.output
    grammar = simulate_grammar(read_meme(source), snakemake.params.settings, source)
    write_grammar(grammar, outputs.fasta, outputs.targets, outputs.splits, outputs.motifs)
    write_truth(outputs.truth, grammar.truth)
    log.info("motifs: %s", dict(Counter(row["kind"] for row in grammar.pool.rows)))
    log.info("splits: %s", dict(Counter(grammar.truth.splits)))
    log.info("sequences with the artefact: %d", (grammar.truth.artefacts >= 0).sum())
