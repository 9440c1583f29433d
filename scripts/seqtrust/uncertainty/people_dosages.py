"""Dosages of the variants around genes, and the principal components of genotypes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from seqtrust.errors import InputError
from seqtrust.files import read_input_table
from seqtrust.genotypes import ABSENT, MISSING, Calls, GenotypeFile
from seqtrust.tables import Column, TableSchema
from seqtrust.uncertainty.people_correlations import Floats

Dosages = npt.NDArray[np.int8]

NO_CALL = -1
SNVS = "snvs"

DOSAGES = TableSchema(
    name="people_dosages",
    version=1,
    path="people/{name}.dosages/{block}.parquet",
    description=(
        "Copies of ALT of the people of a set: a row per gene and allele in the gene's window and "
        "its flanks that differs between them."
    ),
    columns=(
        Column("gene", pa.string(), "name of the window"),
        Column("variant", pa.string(), "contig_position_ref_alt, 1-based"),
        Column("position", pa.int64(), "first base of REF", "bp, 0-based"),
        Column("in_window", pa.bool_(), "REF shares a base with the window"),
        Column("frequency", pa.float64(), "of ALT among the known alleles"),
        Column("dosages", pa.list_(pa.int8()), f"copies of ALT per person; {NO_CALL} if not known"),
    ),
)


@dataclass(frozen=True)
class CisVariants:
    """The variants around one gene.

    Attributes:
        names: contig_position_ref_alt with a 1-based position, V of them.
        positions: first base of REF, 0-based, shape (V,).
        in_window: whether REF shares a base with the window, shape (V,).
        frequency: of ALT among the known alleles, shape (V,).
        dosages: copies of ALT, -1 where a call is missing, shape (V, people).
    """

    names: list[str]
    positions: npt.NDArray[np.int64]
    in_window: npt.NDArray[np.bool_]
    frequency: Floats
    dosages: Dosages

    def select(self, rows: npt.NDArray[np.bool_]) -> "CisVariants":
        """The variants of a mask of shape (V,)."""
        names = [name for name, keep in zip(self.names, rows, strict=True) if keep]
        return CisVariants(
            names,
            self.positions[rows],
            self.in_window[rows],
            self.frequency[rows],
            self.dosages[rows],
        )

    def common(self, frequency: float) -> "CisVariants":
        """The variants whose rarer allele is at least this frequent."""
        return self.select(np.minimum(self.frequency, 1 - self.frequency) >= frequency)


def dosages_of(calls: Calls, allele: npt.NDArray[np.int64], rows: Sequence[int]) -> Dosages:
    """Copies of one ALT allele per row and person; -1 where a call lacks an allele.

    A haploid call counts its one allele once.

    Args:
        calls: records with their calls.
        allele: number of the ALT allele, from 1, per row.
        rows: the records.
    """
    alleles = calls.alleles[list(rows)]
    copies = (alleles == allele[:, None]).astype(np.int8)
    first, second = alleles[:, ::2], alleles[:, 1::2]
    unknown = (first == MISSING) | ((second < 0) & (second != ABSENT))
    return np.where(unknown, NO_CALL, copies[:, ::2] + copies[:, 1::2]).astype(np.int8)


def cis_variants(
    genotypes: GenotypeFile, contig: str, start: int, end: int, flank: int, snvs_only: bool
) -> CisVariants:
    """The alleles around a window that differ between people; symbolic ones are left out.

    Args:
        genotypes: calls of the people.
        contig: contig of the window.
        start: start of the window, 0-based.
        end: its end, half-open.
        flank: bases on either side.
        snvs_only: leave out alleles that change the length or several bases.
    """
    name = genotypes.contig(contig)
    calls = genotypes.fetch(name, start - flank, end + flank)
    rows, alleles, names = [], [], []
    for row, (position, ref, alts) in enumerate(
        zip(calls.positions.tolist(), calls.refs, calls.alts, strict=True)
    ):
        for number, alt in enumerate(alts.split(","), start=1):
            plain = alt.isalpha() and (not snvs_only or len(ref) == len(alt) == 1)
            if plain:
                rows.append(row)
                alleles.append(number)
                names.append(f"{contig}_{position + 1}_{ref}_{alt.upper()}")
    dosages = dosages_of(calls, np.array(alleles, dtype=np.int64), rows)
    known = dosages != NO_CALL
    ploidy = np.where(calls.alleles[rows, 1::2] == ABSENT, 1, 2)
    counted = np.where(known, ploidy, 0).sum(axis=1)
    frequency = np.where(known, dosages, 0).sum(axis=1) / np.maximum(counted, 1)
    positions = calls.positions[rows]
    inside = (positions < end) & (calls.ends[rows] > start)
    found = CisVariants(names, positions, inside, frequency, dosages)
    most = np.where(known, dosages, -1).max(axis=1, initial=-1)
    least = np.where(known, dosages, 3).min(axis=1, initial=3)
    return found.select(most > least)


def rows_of(gene: str, variants: CisVariants) -> dict[str, Any]:
    """Rows of `DOSAGES` of one gene."""
    return {
        "gene": [gene] * len(variants.names),
        "variant": variants.names,
        "position": variants.positions,
        "in_window": variants.in_window,
        "frequency": variants.frequency,
        "dosages": list(variants.dosages),
    }


def variants_by_gene(table: pa.Table, genes: Sequence[str]) -> Iterator[tuple[str, CisVariants]]:
    """The variants of each gene of a `DOSAGES` table, also of genes that have none.

    Args:
        table: rows of a gene are together.
        genes: names of the genes.
    """
    names = table["gene"].to_numpy(zero_copy_only=False)
    bounds = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), len(names)]
    spans = {names[first]: (first, last) for first, last in pairwise(bounds) if first < last}
    people = pc.list_value_length(table["dosages"])[0].as_py() if table.num_rows else 0
    for gene in genes:
        first, last = spans.get(gene, (0, 0))
        part = table.slice(first, last - first)
        flat = part["dosages"].combine_chunks().flatten().to_numpy()
        yield (
            gene,
            CisVariants(
                part["variant"].to_pylist(),
                part["position"].to_numpy(),
                part["in_window"].to_numpy(zero_copy_only=False),
                part["frequency"].to_numpy(),
                flat.reshape(last - first, people).astype(np.int8),
            ),
        )


def filled(dosages: Dosages) -> Floats:
    """Dosages with the mean of a variant where a call is missing, shape as given."""
    values = dosages.astype(np.float64)
    known = dosages != NO_CALL
    mean = np.where(known, values, 0).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1)
    return np.where(known, values, mean[..., None])


def standard_dosages(dosages: Dosages) -> Floats:
    """Dosages of mean 0 and variance 1 per variant; rows that do not vary are left out."""
    values = filled(dosages)
    centred = values - values.mean(axis=-1, keepdims=True)
    spread = centred.std(axis=-1)
    return centred[spread > 0] / spread[spread > 0][:, None]


def gram(dosages: Dosages) -> tuple[Floats, int]:
    """Products of people's standardised dosages, shape (people, people), and their number."""
    values = standard_dosages(dosages)
    return values.T @ values, len(values)


def principal_components(grams: Sequence[Floats], number: int) -> Floats:
    """The first principal components of genotypes, shape (people, number).

    The sign of a component is free: its largest entry is made positive.

    Args:
        grams: `gram` of disjoint lots of variants.
        number: how many components.

    Raises:
        InputError: the variants of the people do not span as many.
    """
    values, vectors = np.linalg.eigh(np.sum(grams, axis=0))
    rank = int((values > values.max() * 1e-10).sum()) if values.max() > 0 else 0
    if number > rank:
        raise InputError(
            f"the common variants of {len(values)} people span {rank} principal components, not "
            f"{number}: ask for fewer"
        )
    chosen = vectors[:, np.argsort(values)[::-1][:number]]
    largest = np.abs(chosen).argmax(axis=0)
    return chosen * np.sign(chosen[largest, np.arange(number)])


def read_covariates(path: str | Path, samples: Sequence[str]) -> Floats:
    """Covariates of a set's samples: a TSV whose first column is `person`, the others numbers.

    Raises:
        InputError: a sample is not there, or a value is no number; the message gives the
            sample's number and no name.
    """
    table = read_input_table(path, {"person": str})
    if table.columns[0] != "person" or len(table.columns) < 2:
        raise InputError(
            f"{path}: expected the column person and at least one covariate; found: "
            f"{', '.join(table.columns)}"
        )
    repeated = np.flatnonzero(table["person"].duplicated())
    if repeated.size:
        raise InputError(f"{path}, line {repeated[0] + 2}: the person is there a second time")
    numbers = table.set_index("person").apply(pd.to_numeric, errors="coerce")
    values = numbers.reindex(list(samples)).to_numpy(dtype=np.float64)
    missing = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if missing.size:
        raise InputError(
            f"{path} lacks covariates of sample {missing[0]} (and {missing.size - 1} more) of the "
            f"set's {len(samples)}, counted from 0: give every person of the set a number in "
            "every column"
        )
    return values


def covariate_table(values: Floats) -> pd.DataFrame:
    """Covariates with the numbers of the people."""
    names = [f"covariate_{number}" for number in range(1, values.shape[1] + 1)]
    table = pd.DataFrame(values, columns=names)
    table.insert(0, "index", np.arange(len(values)))
    return table
