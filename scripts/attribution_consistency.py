"""Score the consistency of all methods and replicates of an entry of attributions."""

from seqtrust.attribution.consistency_tables import entry_tables, shards_by_model
from seqtrust.attribution.drawn_maps import LOGOS, SPECTRA, SPHERES
from seqtrust.files import write_tsv
from seqtrust.logs import log_to
from seqtrust.sequence_set import read_sequence_set
from seqtrust.tables import write_table

with log_to(snakemake.log[0]):
    params, files = snakemake.params, snakemake.output
    found = entry_tables(
        shards_by_model(snakemake.input.maps, params.methods, params.replicates),
        read_sequence_set(snakemake.input.sequences),
        params.region,
        params.settings,
        params.logos,
        params.seed,
    )
    write_tsv(files.scores, found.scores)
    write_tsv(files.nulls, found.nulls)
    write_tsv(files.differences, found.differences)
    write_tsv(files.sensitivity, found.sensitivity)
    for path, schema in ((files.spectra, SPECTRA), (files.spheres, SPHERES), (files.logos, LOGOS)):
        rows = found.drawn[schema]
        columns = {column.name: [row[column.name] for row in rows] for column in schema.columns}
        write_table(path, schema, columns)
