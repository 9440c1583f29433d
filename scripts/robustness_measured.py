"""The data sets of one split of a reporter assay."""

from seqtrust.libraries import library_of
from seqtrust.logs import log_to
from seqtrust.motifs import read_meme
from seqtrust.robustness.measured_data import measured_data, read_columns
from seqtrust.robustness.measured_tables import write_split
from seqtrust.robustness.world_tables import open_world

with log_to(snakemake.log[0]) as log:
    files, params = snakemake.input, snakemake.params
    tables, split = params.tables, int(snakemake.wildcards.world)
    library = library_of(params.library, files)
    columns = None
    if "features" in tables:
        columns = read_columns(tables["features"], files.features, library.table.index.tolist())
    given = files.get("motifs")
    motifs = read_meme(given) if given else []
    data = measured_data(library, tables, columns, split, params.seed)
    write_split(snakemake.output[0], tables, split, motifs, data)
    world = open_world(snakemake.output[0])
    sizes = {name: len(world.condition(name).observed) for name in world.shifts}
    log.info("%s", ", ".join(f"{name} {size}" for name, size in sizes.items()))
