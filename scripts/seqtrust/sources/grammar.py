"""Simulated sequences with known motifs: the truth that attribution maps are held against.

Every sequence is drawn from a position weight matrix of its own, uniform but for its motifs, and
this matrix is what an explanation should find.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqtrust.errors import InputError
from seqtrust.tables import Column, TableSchema, read_table, write_table

BASES = 4

GRAMMAR_TRUTH = TableSchema(
    name="grammar_truth",
    version=1,
    path="grammars/{grammar}.truth.parquet",
    description="What the sequences of a simulated grammar were made of: a row per contig.",
    columns=(
        Column("contig", pa.string(), "`{split}_pos_{number}` or `{split}_neg_{number}`"),
        Column("label", pa.int8(), "1 for positives, 0 for negatives"),
        Column("split", pa.string(), "train, validation or test"),
        Column(
            "pwm",
            pa.list_(pa.float32()),
            "the sequence's own probabilities of A, C, G, T: positions x 4",
        ),
        Column("motifs", pa.list_(pa.string()), "names of its motifs, from the left"),
        Column("starts", pa.list_(pa.int32()), "their first positions", "bp, 0-based"),
        Column("strands", pa.list_(pa.string()), "`-`: the reverse complement of the motif"),
        Column(
            "artefact",
            pa.int32(),
            "first position of the planted word, which the matrix does not show; empty without",
            "bp, 0-based",
            nullable=True,
        ),
    ),
)


@dataclass(frozen=True)
class GrammarTruth:
    """What N sequences of L bases were made of.

    Attributes:
        contigs: N names.
        labels: 1 or 0, shape (N,).
        splits: N names of data splits.
        pwms: probabilities of A, C, G, T, float32 (N, L, 4).
        motifs: names of every sequence's motifs, from the left.
        starts: their first positions, 0-based.
        strands: `+` or `-` of each.
        artefacts: first position of the planted word, 0-based; -1 without, shape (N,).
    """

    contigs: list[str]
    labels: npt.NDArray[np.int8]
    splits: list[str]
    pwms: npt.NDArray[np.float32]
    motifs: list[list[str]]
    starts: list[list[int]]
    strands: list[list[str]]
    artefacts: npt.NDArray[np.int32]

    def rows_of(self, sequence_ids: Sequence[str]) -> npt.NDArray[np.intp]:
        """The rows of sequences that are whole contigs, whose ids are the contigs' names.

        Raises:
            InputError: an id is no contig of the grammar.
        """
        place = {name: row for row, name in enumerate(self.contigs)}
        unknown = [name for name in sequence_ids if name not in place]
        if unknown:
            raise InputError(
                f"{len(unknown)} sequences are no contigs of the simulated grammar, the first is "
                f"{unknown[0]!r}: use a set of kind contigs on the assembly of this grammar"
            )
        return np.array([place[name] for name in sequence_ids], dtype=np.intp)

    def taken(self, rows: Sequence[int] | npt.NDArray[np.intp]) -> "GrammarTruth":
        """The same for some sequences, in the order of `rows`."""
        return GrammarTruth(
            [self.contigs[row] for row in rows],
            self.labels[rows],
            [self.splits[row] for row in rows],
            self.pwms[rows],
            [self.motifs[row] for row in rows],
            [self.starts[row] for row in rows],
            [self.strands[row] for row in rows],
            self.artefacts[rows],
        )


def write_truth(path: str | Path, truth: GrammarTruth) -> None:
    """Write the table of the truth."""
    columns: dict[str, Any] = {
        "contig": truth.contigs,
        "label": truth.labels,
        "split": truth.splits,
        "pwm": pa.FixedSizeListArray.from_arrays(
            truth.pwms.ravel(), truth.pwms.shape[1] * BASES
        ).cast(pa.list_(pa.float32())),
        "motifs": truth.motifs,
        "starts": truth.starts,
        "strands": truth.strands,
        "artefact": pa.array(truth.artefacts, mask=truth.artefacts < 0),
    }
    write_table(path, GRAMMAR_TRUTH, columns)


def read_truth(path: str | Path) -> GrammarTruth:
    """Read the truth of a grammar.

    Raises:
        InputError: the file is another table, or of another version.
    """
    table = read_table(path, GRAMMAR_TRUTH)
    pwms = table["pwm"].combine_chunks().flatten().to_numpy()
    return GrammarTruth(
        table["contig"].to_pylist(),
        table["label"].to_numpy(),
        table["split"].to_pylist(),
        pwms.reshape(len(table), -1, BASES),
        table["motifs"].to_pylist(),
        table["starts"].to_pylist(),
        table["strands"].to_pylist(),
        table["artefact"].fill_null(-1).to_numpy(),
    )
