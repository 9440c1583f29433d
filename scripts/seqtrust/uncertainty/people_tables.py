"""The tables that the analyses of personal genomes hand on; people are numbers in all of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from seqtrust.errors import InputError, nearest_clause
from seqtrust.files import read_input_table, read_tsv
from seqtrust.genome import SplitRegions
from seqtrust.personal import Floats, people_values, split_of_windows
from seqtrust.predictions import Predictions
from seqtrust.sequence_set import SequenceSet, StoredSequences
from seqtrust.tables import Column, TableSchema, dump, metadata_of, read_table, write_table

PREDICTIONS = TableSchema(
    name="people_predictions",
    version=1,
    path="people/{name}.predictions.parquet",
    description="Predictions across people: one row per gene, genes in the order of the genome.",
    columns=(
        Column("gene", pa.string(), "name of the window"),
        Column("contig", pa.string(), "contig of the window"),
        Column("start", pa.int64(), "start of the window", "bp, 0-based"),
        Column("end", pa.int64(), "end of the window, half-open", "bp"),
        Column("anchor", pa.int64(), "anchor of the window, such as the TSS", "bp, 0-based"),
        Column("split", pa.string(), "train, validation, test or unknown: have the replicates "
               "seen the window?"),
        Column("reference", pa.list_(pa.float64()), "prediction of the reference sequence, per "
               "replicate", "named scale"),
        Column("values", pa.list_(pa.float64()), "mean of a person's haplotypes, then on the named "
               "scale; replicate by replicate, the people of each by their number; NaN for a "
               "person without a haplotype in the window", "named scale"),
    ),
)  # fmt: skip

DRIVERS = TableSchema(
    name="people_drivers",
    version=1,
    path="people/{name}.drivers/{block}.parquet",
    description=(
        "The variants that drive a replicate's prediction of a gene across people: chosen one by "
        "one by the variance that they add to a linear model on dosages."
    ),
    columns=(
        Column("gene", pa.string(), "name of the window"),
        Column("split", pa.string(), "as in people_predictions"),
        Column("replicate", pa.string(), "replicate"),
        Column("step", pa.int16(), "1 for the variant that explains most, then 2, ..."),
        Column("variant", pa.string(), "contig_position_ref_alt, 1-based; of several with the "
               "same dosages the one in the eQTL table, else the nearest to the anchor"),
        Column("alike", pa.int32(), "further variants of the window with the same dosages"),
        Column("frequency", pa.float64(), "of ALT among the people"),
        Column("distance", pa.int64(), "position of the variant minus the anchor", "bp"),
        Column("slope", pa.float64(), "prediction per copy of ALT, all chosen variants together",
               "named scale"),
        Column("gain", pa.float64(), "share of the prediction's variance that it adds"),
        Column("r2", pa.float64(), "share that it and all before it explain"),
        Column("r2_all", pa.float64(), "adjusted share that all variants of the window explain "
               "linearly; NaN where there are as many variants as people"),
        Column("eqtl_beta", pa.float64(), "measured effect of ALT", "expression", True),
        Column("supported", pa.bool_(), "slope and measured effect have one sign", nullable=True),
    ),
)  # fmt: skip

GENES = TableSchema(
    name="people_genes",
    version=1,
    path="people/{name}.genes.parquet",
    description=(
        "One row per gene. Lists are in the order of the replicates in the metadata "
        "(`replicates`). Columns that need expression are empty without it."
    ),
    columns=(
        Column("gene", pa.string(), "name of the window"),
        Column("contig", pa.string(), "contig of the window"),
        Column("anchor", pa.int64(), "anchor of the window", "bp, 0-based"),
        Column("split", pa.string(), "as in people_predictions"),
        Column("people", pa.int32(), "people whose prediction and expression are known"),
        Column("tie", pa.list_(pa.bool_()), "the prediction is the same for all people"),
        Column("pair_pearson", pa.float64(), "mean Pearson r of two replicates' predictions across "
               "people; pairs with a tie count as 0"),
        Column("pair_spearman", pa.float64(), "the same, Spearman"),
        Column("pair_agreement", pa.float64(), "share of pairs without a tie that are positively "
               "correlated (Spearman)", nullable=True),
        Column("pearson", pa.list_(pa.float64()), "Pearson r of prediction and expression across "
               "people; 0 for a tie", nullable=True),
        Column("spearman", pa.list_(pa.float64()), "the same, Spearman", nullable=True),
        Column("p", pa.list_(pa.float64()), "two-sided p-value of the Spearman r, people permuted "
               "within population", nullable=True),
        Column("q", pa.list_(pa.float64()), "Benjamini-Hochberg over the genes of a replicate",
               nullable=True),
        Column("ensemble_pearson", pa.float64(), "Pearson r of the mean of replicates",
               nullable=True),
        Column("ensemble_spearman", pa.float64(), "Spearman r of it", nullable=True),
        Column("ensemble_p", pa.float64(), "its p-value", nullable=True),
        Column("ensemble_q", pa.float64(), "its Benjamini-Hochberg q-value", nullable=True),
        Column("class", pa.string(), "consistently_correct (all replicates positive), "
               "inconsistent, consistently_incorrect or tie", nullable=True),
        Column("linear_r", pa.float64(), "Pearson r of the cis-SNP predictor, per fold, "
               "Fisher-averaged", nullable=True),
        Column("linear_p", pa.float64(), "one-sided p-value of it", nullable=True),
        Column("linear_tie", pa.bool_(), "it is constant in every fold", nullable=True),
        Column("heritability", pa.float64(), "share of expression's variance that cis variants "
               "explain additively (adjusted R2 on the genotypes, or given); may be below 0",
               nullable=True),
        Column("heritability_se", pa.float64(), "its standard error", nullable=True),
        Column("haseman_elston", pa.float64(), "the same by Haseman-Elston regression",
               nullable=True),
        Column("haseman_elston_se", pa.float64(), "its standard error", nullable=True),
        Column("ceiling", pa.float64(), "square root of it, 0 below 0: no additive predictor's r "
               "exceeds it", nullable=True),
        Column("eqtl_p", pa.float64(), "smallest p-value of the gene's eQTLs in other people, "
               "times their number", nullable=True),
        Column("chosen_linear", pa.bool_(), "the cis-SNP predictor is significant", nullable=True),
        Column("chosen_eqtl", pa.bool_(), "the eQTLs are significant", nullable=True),
    ),
)  # fmt: skip

PAIRS = TableSchema(
    name="people_pairs",
    version=1,
    path="people/{name}.pairs.parquet",
    description="Correlation of two replicates across people: one row per gene and pair.",
    columns=(
        Column("gene", pa.string(), "name of the window"),
        Column("split", pa.string(), "as in people_predictions"),
        Column("replicate_a", pa.string(), "replicate"),
        Column("replicate_b", pa.string(), "replicate"),
        Column("pearson", pa.float64(), "0 if either is constant"),
        Column("spearman", pa.float64(), "0 if either is constant"),
        Column("tie", pa.bool_(), "either prediction is the same for all people"),
    ),
)


@dataclass(frozen=True)
class People:
    """Predictions across people.

    Attributes:
        genes: one row per gene with gene, contig, start, end, anchor and split.
        replicates: names of the R replicates.
        values: shape (R, genes, people), NaN where a person has no haplotype.
        reference: predictions of the reference sequences, shape (R, genes).
    """

    genes: pd.DataFrame
    replicates: list[str]
    values: Floats
    reference: Floats

    @property
    def ties(self) -> npt.NDArray[np.bool_]:
        """Predictions that are the same for all people, shape (R, genes)."""
        known = np.isfinite(self.values)
        high = np.where(known, self.values, -np.inf).max(axis=-1)
        low = np.where(known, self.values, np.inf).min(axis=-1)
        return ~(high > low)

    def part(self, block: int, blocks: int) -> "People":
        """One of `blocks` parts of nearly equal numbers of genes, in their order."""
        first, last = (len(self.genes) * (block + i) // blocks for i in (0, 1))
        rows = slice(first, last)
        genes = self.genes.iloc[rows].reset_index(drop=True)
        return People(genes, self.replicates, self.values[:, rows], self.reference[:, rows])


def people_predictions(
    replicates: Mapping[str, Predictions],
    sequences: SequenceSet,
    haplotypes: pd.DataFrame,
    people: int,
    regions: SplitRegions,
    output: str,
    track: str | None,
    scale: str,
) -> People:
    """Predictions of every person and of the reference, gene by gene.

    Args:
        replicates: predictions per replicate.
        sequences: the set, whose windows are named after genes.
        haplotypes: columns window, sample and sequence_id.
        people: number of samples of the set.
        regions: data split of the replicates.
        output: output of one value per track.
        track: which track; None if there is only one.
        scale: as in `people_values`.

    Raises:
        InputError: the track is not one of the output's, or not stated where there are several.
    """
    spec = next(iter(replicates.values())).output(output)
    column = _track(track, spec.track_names, output)
    made = [people_values(p, output, sequences, haplotypes, people, scale)
            for p in replicates.values()]  # fmt: skip
    names = made[0][0]
    windows = {window.name: window for window in sequences.windows}
    rows = reference_rows(sequences)
    ids = sequences.ids()
    alone = pd.DataFrame({"window": names, "sample": 0,
                          "sequence_id": [ids[rows[name]] for name in names]})  # fmt: skip
    reference = [people_values(p, output, sequences, alone, 1, scale)[1][:, column, 0]
                 for p in replicates.values()]  # fmt: skip
    splits = split_of_windows(sequences, regions)
    genes = pd.DataFrame(
        {
            "gene": names,
            "contig": [windows[name].contig for name in names],
            "start": [windows[name].window.start for name in names],
            "end": [windows[name].window.end for name in names],
            "anchor": [windows[name].anchor for name in names],
            "split": [splits[name] for name in names],
        }
    )
    values = np.stack([part[:, column] for _, part in made])
    return People(genes, list(replicates), values, np.stack(reference))


def _track(track: str | None, known: Sequence[str], output: str) -> int:
    if track is None and len(known) == 1:
        return 0
    if track is None:
        raise InputError(
            f"output {output!r} has {len(known)} tracks: say which of them in `track`: "
            f"{', '.join(known)}"
        )
    if track not in known:
        raise InputError(f"output {output!r} has no track {track!r}{nearest_clause(track, known)}")
    return list(known).index(track)


def reference_rows(sequences: SequenceSet) -> dict[str, int]:
    """The row of every window's sequence without edits, by the window's name.

    Raises:
        InputError: a window has no such sequence.
    """
    stored = StoredSequences.of(sequences.sequences)
    found: dict[str, int] = {}
    for row in np.flatnonzero(np.diff(stored.columns.offsets) == 0).tolist():
        found.setdefault(sequences.windows[stored.windows[row]].name, row)
    missing = [window.name for window in sequences.windows if window.name not in found]
    if missing:
        raise InputError(f"window {missing[0]!r} has no reference sequence in the set")
    return found


def write_people(path: str | Path, people: People, about: Mapping[str, str]) -> None:
    """Write the table of predictions across people."""
    columns = {str(name): people.genes[name] for name in people.genes} | {
        "reference": list(people.reference.T),
        "values": list(np.moveaxis(people.values, 0, 1).reshape(len(people.genes), -1)),
    }
    write_table(path, PREDICTIONS, columns, {**about, "replicates": dump(people.replicates)})


def read_people(path: str | Path) -> People:
    """Read the table of predictions across people."""
    table = read_table(path, PREDICTIONS)
    replicates = json.loads(metadata_of(table.schema)["replicates"])
    genes = table.drop_columns(["reference", "values"]).to_pandas()
    flat = table["values"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    values = flat.reshape(len(genes), len(replicates), -1)
    reference = table["reference"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return People(
        genes,
        replicates,
        np.ascontiguousarray(np.moveaxis(values, 0, 1)),
        reference.reshape(len(genes), -1).T.copy(),
    )


def read_gene_numbers(path: str | Path, columns: Sequence[str]) -> pd.DataFrame:
    """Numbers of genes: a TSV with the column gene and the given ones, indexed by gene.

    Raises:
        InputError: a column is missing, a gene is there twice, or a value is no number.
    """
    table = read_input_table(path, {"gene": str})
    missing = [name for name in ("gene", *columns) if name not in table.columns]
    if missing:
        raise InputError(
            f"{path} lacks the column {', '.join(missing)}; it has: {', '.join(table.columns)}"
        )
    repeated = np.flatnonzero(table["gene"].duplicated())
    if repeated.size:
        gene = table["gene"].iloc[repeated[0]]
        raise InputError(f"{path}, line {repeated[0] + 2}: gene {gene!r} again")
    for name in columns:
        numbers = pd.to_numeric(table[name], errors="coerce")
        wrong = np.flatnonzero(~np.isfinite(numbers))
        if wrong.size:
            found = table[name].iloc[wrong[0]]
            raise InputError(f"{path}, line {wrong[0] + 2}: {name} is {found!r}, not a number")
        table[name] = numbers
    return table.set_index("gene")[list(columns)]


def read_covariate_values(path: str | Path | None) -> Floats | None:
    """The covariates that a step before wrote, shape (people, covariates); None without."""
    return None if path is None else read_tsv(path).drop(columns="index").to_numpy(dtype=np.float64)
