"""Motifs that replicates share, and the known and planted ones among them."""

from seqtrust.attribution.motif_consistency import as_motifs
from seqtrust.attribution.motif_discovery import read_patterns
from seqtrust.attribution.motif_report import Judged, known_motifs, motif_tables
from seqtrust.attribution.motif_tables import MOTIFS
from seqtrust.files import write_text, write_tsv
from seqtrust.logs import log_to
from seqtrust.motifs import write_meme
from seqtrust.tables import write_table

with log_to(snakemake.log[0]) as log:
    files, params, outputs = snakemake.input, snakemake.params, snakemake.output
    settings = params.settings
    known, planted = known_motifs(files.get("known"), files.get("pool"), settings.get("planted"))
    judged = Judged(known, planted, settings["similarity"], settings["nulls"], params.seed)
    remaining = iter(files.patterns)
    found = {
        method: {name: read_patterns(next(remaining)) for name in params.replicates}
        for method in params.methods
    }
    motifs, sharing, named = motif_tables(found, judged)
    write_table(outputs.matrices, MOTIFS, motifs.to_dict("list"))
    write_tsv(outputs.motifs, motifs.drop(columns=["ppm", "cwm"]))
    write_tsv(outputs.sharing, sharing)
    write_text(outputs.meme, write_meme(as_motifs(named)))
    log.info("%d motifs of %s", len(motifs), ", ".join(found))
