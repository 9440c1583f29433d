"""Tables of motifs in attribution maps: of one replicate, and of all together."""

import pyarrow as pa

from seqtrust.tables import Column, TableSchema

PATTERNS = TableSchema(
    name="attribution_motifs",
    version=1,
    path="attributions/{attribution}/motifs/{method}/{replicate}.parquet",
    description=(
        "Patterns that TF-MoDISco finds in the attribution maps of one replicate, or of the mean "
        "map (replicate `ensemble`): one row per pattern, none where it finds none. "
        "Matrices are positions x 4 (A, C, G, T). The metadata hold the settings (`settings`), the "
        "number of maps that were used (`maps`), that were left out because they are zero, hold "
        "NaN or did not converge (`unusable`), and that were not drawn (`not_drawn`)."
    ),
    columns=(
        Column("pattern", pa.string(), "sign and number, the pattern of most seqlets first"),
        Column("sign", pa.string(), "`positive` or `negative`: of its contributions"),
        Column("seqlets", pa.int32(), "stretches of sequence that it is made of"),
        Column("ppm", pa.list_(pa.float64()), "probability of every base among the seqlets"),
        Column("cwm", pa.list_(pa.float64()), "mean contribution of the bases that are there"),
        Column("hypothetical", pa.list_(pa.float64()), "mean contribution of every base"),
        Column("sequence_ids", pa.list_(pa.string()), "sequence of every seqlet"),
        Column(
            "starts", pa.list_(pa.int32()), "position in the map that every seqlet starts at", "bp"
        ),
        Column("reverse", pa.list_(pa.bool_()), "whether a seqlet is on the other strand"),
    ),
)

MOTIFS = TableSchema(
    name="shared_motifs",
    version=1,
    path="attributions/{attribution}.motifs.parquet",
    description=(
        "Motifs of the replicates of an entry of `attributions`: clusters of similar patterns, in "
        "the orientation of the known motif that they are most like. `.motifs.tsv` is the same "
        "without matrices, which are positions x 4 (A, C, G, T)."
    ),
    columns=(
        Column("method", pa.string(), "method of attribution"),
        Column("motif", pa.string(), "m1, m2, ...: motifs of most replicates first"),
        Column("sign", pa.string(), "`positive` or `negative`: of its contributions"),
        Column("consensus", pa.string(), "most likely bases, lower case where below one half"),
        Column("replicates", pa.int32(), "number of replicates that have it"),
        Column("of", pa.int32(), "number of replicates"),
        Column("seqlets", pa.int32(), "of all replicates"),
        Column("seqlets_by_replicate", pa.string(), "of each that has it, as `r1:20 r2:31`"),
        Column(
            "similarity",
            pa.float64(),
            "mean over pairs of patterns of different replicates; empty of one",
            nullable=True,
        ),
        Column("known", pa.string(), "known motif that it is most like; empty without any"),
        Column("known_similarity", pa.float64(), "with the known motif", nullable=True),
        Column(
            "known_p",
            pa.float64(),
            "share of sets of known motifs with permuted columns whose best is as similar",
            nullable=True,
        ),
        Column(
            "matched", pa.bool_(), "whether the known motif is as similar as patterns of a cluster"
        ),
        Column("planted", pa.bool_(), "whether it is matched and the known motif is planted"),
        Column("ppm", pa.list_(pa.float64()), "probability of every base, core of the motif"),
        Column("cwm", pa.list_(pa.float64()), "contributions, scaled to length 1; core"),
    ),
)

SHARING = (
    "method", "motifs_of", "replicate", "replicates", "maps", "unusable", "not_drawn", "motifs",
    "motifs_by_chance", "planted", "recovered", "recovered_by_chance", "names", "precision",
)  # fmt: skip
