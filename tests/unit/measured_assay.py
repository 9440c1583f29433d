"""The small assay of tests/config: 150 peaks, an enhancer and its mutant each, 60 bp."""

import copy
from pathlib import Path

import yaml

from seqtrust.config import checked_config, load_schema
from seqtrust.libraries import library_of
from seqtrust.robustness.measured_data import measured_data, read_columns
from seqtrust.robustness.measured_tables import write_split
from seqtrust.robustness.world_tables import open_world

ROOT = Path(__file__).parents[2]
TABLE, COUNTS = (ROOT / f"tests/config/tiny_assay{part}.tsv" for part in ("", "_counts"))
SCHEMA = load_schema(ROOT / "config/schemas/config.schema.json")
CONFIG = yaml.safe_load((ROOT / "tests/config/tiny_assay.yaml").read_text())
FILES = {"sequences": TABLE, "activities": TABLE, "counts_counted": [str(COUNTS)]}


def tables_of(**changed):
    """`tables` of the config with defaults, some keys replaced."""
    config = copy.deepcopy(CONFIG)
    config["robustness"]["assay"]["tables"] |= changed
    return checked_config(config, SCHEMA)["robustness"]["assay"]["tables"]


def assay(**changed):
    """The library of the config, some keys replaced."""
    return library_of(checked_config(CONFIG, SCHEMA)["libraries"]["assay"] | changed, FILES)


def data_of(library, tables, split=1, seed=1):
    """All data sets of a split by name."""
    columns = read_columns(tables["features"], TABLE, library.table.index.tolist())
    return dict(measured_data(library, tables, columns, split, seed))


def written_split(path, library, tables, split=1, seed=1):
    """A split on disk."""
    data = data_of(library, tables, split, seed).items()
    write_split(path, tables, split, [], iter(data))
    return open_world(path)
