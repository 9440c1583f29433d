"""Columns of the tables of worlds, simulated or measured."""

import pyarrow as pa

from seqtrust.tables import Column, TableSchema

SCHEMA = TableSchema(
    "robustness_world",
    2,
    "robustness/{robustness}/worlds/{world}.parquet",
    "Sequences of one simulated world, or of one split of a reporter assay, one row per data set "
    "and sequence; every data set is one row group. Metadata: `facts`, the settings of the world "
    "and what follows from them, and `data_sets`, their names and shifts in the order of the row "
    "groups. What is true is empty of an assay.",
    (
        Column("data_set", pa.string(), "train, validation, calibration, or a tested condition"),
        Column("shift", pa.string(), "family of the shift; ID without one"),
        Column("severity", pa.int16(), "step of its ladder; 0 without a shift"),
        Column("type", pa.string(), "none, covariate, concept, technical or mixed"),
        Column("row", pa.int32(), "number of the sequence in its data set, from 0"),
        Column("sequence", pa.binary(), "base codes that a model sees"),
        Column("molecule", pa.binary(), "base codes of what was measured, if other", "", True),
        Column("terms", pa.list_(pa.float64()), "features of motifs, pairs, GC content - .45"),
        Column("activity", pa.float64(), "mean activity", "log2", True),
        Column("mean", pa.float64(), "true mean of the measurement", "log2", True),
        Column("sd", pa.float64(), "its standard deviation, true or as the assay tells it", "log2",
               True),
        Column("observed", pa.float64(), "measurement; of an assay in its own units", "log2"),
        Column("depth", pa.float64(), "barcodes or observations", "", True),
        Column("gc", pa.float64(), "GC content of the molecule"),
        Column("planted", pa.list_(pa.int64()), "instances of every motif"),
        Column("background_gc", pa.int64(), "G and C outside instances", "bp"),
        Column("background_bases", pa.int64(), "bases outside instances", "bp"),
        Column("gc_decile", pa.string(), "of GC content, by edges of the training data"),
        Column("activity_tertile", pa.string(), "of activity, by edges of the training data", "",
               True),
        Column("motif_count", pa.string(), "planted instances", "", True),
        Column("cell", pa.string(), "cell type, from 0", "", True),
        Column("ideal_mean", pa.float64(), "of the best model of the training data", "log2", True),
        Column("ideal_sd", pa.float64(), "that it states; none for counts", "log2", True),
        Column("group", pa.string(), "rows that are not independent, such as a peak's", "", True),
        Column("columns", pa.list_(pa.float64()), "numbers that are known of it", "", True),
    ),
)  # fmt: skip
