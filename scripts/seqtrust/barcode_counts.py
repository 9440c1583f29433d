"""Activities from counts of barcodes, and what fewer reads would have made of them.

A sequence has a few barcodes, each read in DNA and in replicates of RNA. Its activity in a
replicate is log2 of the ratio of shares of all reads, RNA over DNA, with one read added to each:

    y_r = log2(((R_r + 1) / (T_r + E)) / ((D + 1) / (T_D + E)))

R_r and D are sums over the barcodes, T totals of the library, E the number of its sequences. The
activity is the mean over replicates; a sequence of two libraries has the mean over both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqtrust.errors import InputError
from seqtrust.files import read_input_table

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BarcodeSettings:
    """Where counts stand.

    Attributes:
        paths: tables with a row per barcode; each is a library that was sequenced by itself.
        id: column with ids of sequences.
        dna: column of DNA reads.
        rna: columns of RNA reads, one per replicate.
        least_dna: barcodes with fewer DNA reads are left out; they say nothing of their RNA.
    """

    paths: Sequence[str]
    id: str
    dna: str
    rna: Sequence[str]
    least_dna: int = 10


@dataclass(frozen=True)
class Activity:
    """Of N sequences.

    Attributes:
        value: log2, shape (N,), NaN where a sequence has no barcode left.
        sd: of the value, from the spread of replicates and from counting, shape (N,).
        barcodes: shape (N,), NaN where there is none.
    """

    value: Floats
    sd: Floats
    barcodes: Floats


@dataclass(frozen=True)
class BarcodeCounts:
    """Counts of B barcodes of N sequences in R replicates.

    Attributes:
        sequence: of every barcode, 0-based, shape (B,).
        library: that was sequenced by itself, 0-based, shape (B,).
        dna: reads, shape (B,).
        rna: reads, shape (B, R).
        sequences: N.
    """

    sequence: Integers
    library: Integers
    dna: Integers
    rna: Integers
    sequences: int

    def thinned(self, depth: float, rng: np.random.Generator) -> "BarcodeCounts":
        """Every read is kept with probability `depth`, all else as it was.

        What is left of a count is binomial: the assay with so many fewer reads, exactly.

        Raises:
            InputError: the depth is not above 0 and at most 1.
        """
        if not 0 < depth <= 1:
            raise InputError(f"depth {depth:g}: reads are thinned to a share above 0, at most 1")
        return BarcodeCounts(
            self.sequence,
            self.library,
            rng.binomial(self.dna, depth),
            rng.binomial(self.rna, depth),
            self.sequences,
        )

    def activity(self) -> Activity:
        """Activities of all sequences, log2."""
        barcodes = np.bincount(self.sequence, minlength=self.sequences)
        there = self._there()
        libraries = np.maximum(there.sum(axis=0), 1)
        share = self._shares(self.dna, there)
        columns = []
        for reads in self.rna.T:
            ratio = np.where(there, np.log2(self._shares(reads, there) / share), 0.0)
            columns.append(ratio.sum(axis=0) / libraries)
        per_replicate = np.stack(columns, axis=1)
        sd = np.sqrt(self._variance(per_replicate))
        known = barcodes > 0
        return Activity(
            np.where(known, per_replicate.mean(axis=1), np.nan),
            np.where(known, sd, np.nan),
            np.where(known, barcodes, np.nan),
        )

    def _variance(self, per_replicate: Floats) -> Floats:
        """Variance of the mean over replicates, shape (N,).

        That of replicates, but no less than counting alone makes: where no RNA was read replicates
        agree by having nothing. They share their DNA, whose counting noise is added.
        """
        dna = np.bincount(self.sequence, self.dna, self.sequences)
        rna = np.stack(
            [np.bincount(self.sequence, reads, self.sequences) for reads in self.rna.T], axis=1
        )
        replicates = per_replicate.shape[1]
        counting = (1 / (rna + 1)).sum(axis=1) / (replicates * np.log(2)) ** 2
        spread = np.zeros(self.sequences)
        if replicates > 1:
            spread = per_replicate.var(axis=1, ddof=1) / replicates
        found: Floats = np.maximum(spread, counting) + 1 / ((dna + 1) * np.log(2) ** 2)
        return found

    def _there(self) -> npt.NDArray[np.bool_]:
        """Which library has barcodes of which sequence, shape (libraries, N)."""
        found = np.zeros((self.library.max() + 1, self.sequences), dtype=bool)
        found[self.library, self.sequence] = True
        return found

    def _shares(self, reads: Integers, there: npt.NDArray[np.bool_]) -> Floats:
        """Share of a library's reads that every sequence has, one read added: (libraries, N)."""
        counts = np.zeros(there.shape)
        np.add.at(counts, (self.library, self.sequence), reads)
        total = counts.sum(axis=1) + there.sum(axis=1)
        found: Floats = (counts + 1) / total[:, None]
        return found


def read_counts(settings: BarcodeSettings, ids: Sequence[str]) -> BarcodeCounts:
    """Read counts of barcodes; those of sequences that are not asked for are left out.

    Args:
        settings: where they stand.
        ids: of the N sequences.

    Raises:
        InputError: a table or column is missing, a count is no whole number of reads, or no
            barcode is left.
    """
    place = {name: index for index, name in enumerate(ids)}
    parts = []
    for library, path in enumerate(settings.paths):
        columns = [settings.id, settings.dna, *settings.rna]
        table = read_input_table(path)
        for column in columns:
            if column not in table.columns:
                raise InputError(
                    f"{path} has no column {column!r}; it has {', '.join(table.columns)}"
                )
        reads = table[columns[1:]].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
        wrong = np.flatnonzero(~((reads >= 0) & (reads == np.floor(reads))).all(axis=1))
        if wrong.size:
            raise InputError(
                f"{path}: row {wrong[0] + 1} has a count that is no whole number of reads: mend it"
            )
        rows = table[settings.id].astype(str).map(place)
        kept = rows.notna().to_numpy() & (reads[:, 0] >= settings.least_dna)
        parts.append((rows[kept].to_numpy(np.int64), reads[kept].astype(np.int64), library))
    sequence = np.concatenate([rows for rows, _, _ in parts])
    if not sequence.size:
        raise InputError(
            f"{', '.join(settings.paths)}: no barcode of a sequence of the library has "
            f"{settings.least_dna} or more DNA reads: see column {settings.id!r} and least_dna"
        )
    reads = np.concatenate([found for _, found, _ in parts])
    own = np.repeat([number for _, _, number in parts], [len(rows) for rows, _, _ in parts])
    return BarcodeCounts(sequence, own, reads[:, 0], reads[:, 1:], len(ids))
