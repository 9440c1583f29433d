"""eQTLs as units of analysis: what every way of scoring says of a variant in a tissue."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from seqtrust.effects import on_scale
from seqtrust.errors import InputError
from seqtrust.genome import SPLITS, UNKNOWN_SPLIT
from seqtrust.statistics import Floats
from seqtrust.tables import Column, TableSchema
from seqtrust.verdicts import OUT_OF_REACH, TIE

POSITIVES, NEGATIVES = "positives", "negatives"
EVERY, POOLED = "all", "pooled"

UNITS = TableSchema(
    name="eqtl_units",
    version=1,
    path="eqtls/{eqtls}.units.parquet",
    description=(
        "One row per score (a way of scoring), variant, gene and tissue; lists are in the order "
        "of the replicates of the score's ensemble."
    ),
    columns=(
        Column("score", pa.string(), "way of scoring, a name of the config"),
        Column("kind", pa.string(), f"{POSITIVES} (fine-mapped) or {NEGATIVES}"),
        Column("unit", pa.string(), "contrast_id"),
        Column("variant", pa.string(), "contig_position_ref_alt, 1-based"),
        Column("contig", pa.string(), "contig, as the FASTA spells it"),
        Column("position", pa.int64(), "first base of REF", "bp, 0-based"),
        Column("span", pa.int64(), "bases of REF", "bp"),
        Column("gene", pa.string(), "gene whose expression is measured"),
        Column("tissue", pa.string(), "tissue of the measured effect; may be empty"),
        Column("track", pa.string(), "track of the model"),
        Column("split", pa.string(), "train, validation, test or unknown"),
        Column("locus", pa.string(), "genes and variants that are linked by rows of any tissue; "
               "named after the first gene"),
        Column("distance", pa.int64(), "variant minus TSS, positive downstream", "bp"),
        Column("beta", pa.float64(), "measured effect of ALT", "", True),
        Column("pip", pa.float64(), "posterior inclusion probability", "", True),
        Column("maf", pa.float64(), "frequency of the minor allele", "", True),
        Column("calls", pa.list_(pa.int8()), "+1, -1 or 0 (tie) per replicate"),
        Column("effects", pa.list_(pa.float64()), "ALT - REF per replicate", "model's scale"),
        Column("relative", pa.list_(pa.float64()), "(ALT - REF) / REF per replicate; NaN where "
               "REF is not positive"),
        Column("truth", pa.int8(), "sign of beta; 0 if it is not known"),
        Column("n_correct", pa.int16(), "replicates that call the truth"),
        Column("class", pa.string(), "class of the verdict"),
        Column("conservation", pa.float64(), "mean conservation of the bases of REF", "", True),
        Column("state", pa.string(), "chromatin state at the first base of REF", "", True),
    ),
)  # fmt: skip


def eqtl_units(
    score: str, kind: str, verdicts: pd.DataFrame, contrasts: pd.DataFrame, effects: pd.DataFrame
) -> pd.DataFrame:
    """Units of one score: its verdicts with what is known of their variants.

    Args:
        score: name of the score.
        kind: `POSITIVES` or `NEGATIVES`.
        verdicts: the verdicts table.
        contrasts: the contrasts of its set.
        effects: the effects of its ensemble, set and output.

    Returns:
        The columns of `UNITS` but locus, conservation and state.

    Raises:
        InputError: a contrast has several tracks or bins, or there is one replicate.
    """
    if verdicts["unit"].duplicated().any():
        first = verdicts["unit"][verdicts["unit"].duplicated()].iloc[0]
        raise InputError(
            f"score {score!r}: the contrast {first!r} has several tracks or bins: give the verdict "
            "tissue_tracks, or an output of one track that is reduced over its bins"
        )
    about = contrasts.drop_duplicates("contrast_id").set_index("contrast_id").loc[verdicts["unit"]]
    keys = ["contrast_id", "track", "bin"]
    wanted = verdicts.rename(columns={"unit": "contrast_id"})[keys]
    references = wanted.merge(effects[[*keys, "reference"]], on=keys, how="left")["reference"]
    reference = np.array(references.tolist(), dtype=np.float64)
    values = np.array(verdicts["scores"].tolist(), dtype=np.float64)
    if values.shape[1] < 2:
        raise InputError(
            f"score {score!r}: one replicate cannot agree or disagree: use two or more"
        )
    place = about["position"].to_numpy() + 1
    return pd.DataFrame({
        "score": score,
        "kind": kind,
        "unit": verdicts["unit"].to_numpy(),
        "variant": [
            f"{contig}_{position}_{ref}_{alt}"
            for contig, position, ref, alt in zip(
                about["contig"], place, about["ref"], about["alt"], strict=True
            )
        ],
        "contig": about["contig"].to_numpy(),
        "position": about["position"].to_numpy(),
        "span": about["ref"].str.len().to_numpy(),
        "gene": about["locus"].to_numpy(),
        "tissue": about["context"].to_numpy(),
        "track": verdicts["track"].to_numpy(),
        "split": verdicts["split"].to_numpy(),
        "distance": about["distance"].to_numpy(),
        "beta": about["truth_effect"].to_numpy(dtype=np.float64),
        "pip": about["pip"].to_numpy(dtype=np.float64),
        "maf": about["maf"].to_numpy(dtype=np.float64),
        "calls": list(verdicts["calls"]),
        "effects": list(values),
        "relative": list(relative_effects(reference, values)),
        "truth": verdicts["truth"].fillna(0).to_numpy(dtype=np.int8),
        "n_correct": verdicts["n_correct"].fillna(0).to_numpy(dtype=np.int16),
        "class": verdicts["class"].to_numpy(),
    })  # fmt: skip


def relative_effects(reference: Floats, effects: Floats) -> Floats:
    """(ALT - REF) / REF in the shape of `effects`, as published; NaN where REF is not positive."""
    positive = np.where(reference > 0, reference, np.nan)
    return on_scale(positive, effects, "relative", pseudocount=0.0)


def linked_loci(variants: Sequence[str], genes: Sequence[str]) -> npt.NDArray[np.str_]:
    """The locus of every row: rows that share a gene or a variant, directly or by others, are one.

    The same variant occurs in several tissues, at times with another gene, so a gene alone
    would leave dependent rows in two loci.

    Returns:
        The first name among the genes of the locus, shape (N,).
    """
    gene_names, gene = np.unique(np.array(genes, dtype=str), return_inverse=True)
    _, variant = np.unique(np.array(variants, dtype=str), return_inverse=True)
    size = len(gene_names) + int(variant.max(initial=-1)) + 1
    edges = coo_matrix((np.ones(len(gene)), (gene, variant + len(gene_names))), (size, size))
    _, component = connected_components(edges, directed=False)
    _, first = np.unique(component[: len(gene_names)], return_index=True)
    return gene_names[first][component[gene]]


def decided(units: pd.DataFrame) -> pd.DataFrame:
    """Units with a truth that are neither ties nor out of reach."""
    return units[(units["truth"] != 0) & ~units["class"].isin([TIE, OUT_OF_REACH])]


def split_parts(units: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """All units, then those of every data split, where there are several."""
    yield EVERY, units
    present = [name for name in (*SPLITS, UNKNOWN_SPLIT) if (units["split"] == name).any()]
    for name in present if len(present) > 1 else ():
        yield name, units[units["split"] == name]


def tissue_parts(units: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """All units, then those of every tissue, where there are several."""
    yield POOLED, units
    tissues = sorted(units["tissue"].unique())
    for name in tissues if len(tissues) > 1 else ():
        yield name, units[units["tissue"] == name]


def score_parts(units: pd.DataFrame, kind: str = POSITIVES) -> Iterator[tuple[str, pd.DataFrame]]:
    """The units of one kind, score by score, in their order."""
    mine = units[units["kind"] == kind]
    for name in mine["score"].unique():
        yield name, mine[mine["score"] == name]


def stacked(units: pd.DataFrame, column: str) -> Floats:
    """A column of lists as an array, shape (N, R)."""
    return np.array(units[column].tolist(), dtype=np.float64)


def compared_filters(sources: Mapping[str, pd.DataFrame], units: pd.DataFrame) -> pd.DataFrame:
    """The steps from the rows of the tables to what is judged, for every score and kind.

    Args:
        sources: filter counts of the sets, by `score/kind`.
        units: the units of all scores.

    Returns:
        The filter counts with the columns score and kind before them, and with the steps that
        verdicts make: tissues without a track, units out of reach, ties.
    """
    tables = []
    for name, table in sources.items():
        score, kind = name.split("/")
        mine = units[(units["score"] == score) & (units["kind"] == kind)]
        rows = [table]
        for tissue, before in table.groupby("tissue", sort=False):
            here = mine if tissue == EVERY else mine[mine["tissue"] == tissue]
            classes = here["class"].to_numpy()
            left = [len(here), int((classes != OUT_OF_REACH).sum()), len(decided(here))]
            steps = ["its tissue has a track", "it is in reach", "some replicate makes a call"]
            counts = [int(before["after"].iloc[-1]), *left]
            rows.append(pd.DataFrame({
                "step": steps, "tissue": tissue, "before": counts[:-1], "after": counts[1:],
                "changed": 0,
            }))  # fmt: skip
        combined = pd.concat(rows, ignore_index=True)
        combined.insert(0, "kind", kind)
        combined.insert(0, "score", score)
        tables.append(combined)
    return pd.concat(tables, ignore_index=True)
