"""Reporter libraries: designed sequences with measured activities, as an assembly with targets.

Every sequence becomes a contig of one FASTA, its activities one bin of targets, its data split
one row of a BED, so that everything that works on a genome works on a library.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqtrust import bases
from seqtrust.errors import InputError, nearest_clause
from seqtrust.fasta_files import write_fasta
from seqtrust.files import read_input_table, write_text, write_tsv
from seqtrust.genome import SPLITS
from seqtrust.kmers import canonical_kmers

_PLAIN = frozenset("ACGT")
_K = 31
_COMMON = 20


@dataclass(frozen=True)
class Library:
    """N sequences of one length with T measured tracks.

    Attributes:
        table: the table of sequences, whose index are the ids, N rows.
        sequences: base codes, shape (N, L).
        groups: sequences of one group come into one data split, shape (N,); sequences that
            share more than half of their 31-mers are in one group whatever the table says.
        activities: shape (N, T), NaN where not measured.
        tracks: names of the T tracks.
    """

    table: pd.DataFrame
    sequences: bases.Codes
    groups: list[str]
    activities: npt.NDArray[np.float64]
    tracks: tuple[str, ...]


def read_library(
    sequences: str | Path,
    columns: Mapping[str, str],
    activities: str | Path,
    key: str,
    tracks: Mapping[str, Mapping[str, Any]],
) -> Library:
    """Read a library from a table of sequences and one of activities.

    Args:
        sequences: TSV or Parquet with a row per sequence.
        columns: names of its columns: `id`, `sequence` and, if sequences are grouped, `group`;
            a sequence without a group is one of its own.
        activities: TSV or Parquet with a row per measurement; may be the same file.
        key: its column with ids of sequences.
        tracks: name of a track to `value`, the column of its activity, and `where`, the values
            that other columns have in its rows.

    Raises:
        InputError: a file or column is missing; ids are repeated, unknown or no words;
            sequences differ in length or have other letters than A, C, G, T; a track has no
            row, or two rows of one sequence.
    """
    table = _read(sequences, [*columns.values()])
    ids = table[columns["id"]].astype(str)
    _refuse_bad_ids(sequences, ids)
    table.index = pd.Index(ids)
    codes = _codes(sequences, ids, table[columns["sequence"]])
    measured = _read(activities, [key, *_columns_of(tracks)])
    values = [_track(activities, name, measured, key, how, ids) for name, how in tracks.items()]
    given = table[columns["group"]] if "group" in columns else pd.Series(None, index=table.index)
    return Library(table, codes, _groups(given, codes), np.stack(values, axis=1), tuple(tracks))


def split_groups(groups: Sequence[str], validation: float, test: float, seed: int) -> list[str]:
    """The data split of every sequence; a group is never cut.

    Args:
        groups: N groups.
        validation: fraction of the sequences for validation.
        test: fraction of the sequences for testing; the rest is for training.
        seed: seed of the order in which groups are dealt out.

    Raises:
        InputError: a split would be empty.
    """
    names, sizes = np.unique(np.array(groups), return_counts=True)
    wanted = [("test", test * len(groups)), ("validation", validation * len(groups))]
    of_group: dict[str, str] = {}
    dealt = 0
    for index in np.random.default_rng(seed).permutation(len(names)).tolist():
        if wanted and dealt >= wanted[0][1]:
            wanted, dealt = wanted[1:], 0
        of_group[str(names[index])] = wanted[0][0] if wanted else "train"
        dealt += int(sizes[index])
    found = [of_group[group] for group in groups]
    for name in SPLITS:
        if name not in found:
            raise InputError(
                f"{len(names)} groups and fractions {validation} (validation) and {test} (test) "
                f"leave no sequence for {name}: change the fractions"
            )
    return found


def pairs_of(
    library: Library, column: str, reference: str, alternative: str, track: str
) -> pd.DataFrame:
    """Pairs of one group: what `sources.pairs.read_pairs` reads.

    Args:
        library: its groups are the loci.
        column: column of the table of sequences that tells references from alternatives.
        reference: its value in references; a group has at most one.
        alternative: its value in alternatives.
        track: track whose activities are compared, alternative minus reference.

    Raises:
        InputError: a column or track is missing, no pair is found, or a group has two
            references.
    """
    for name, known in ((column, library.table.columns), (track, library.tracks)):
        if name not in known:
            raise InputError(f"pairs: there is no {name!r}{nearest_clause(name, known)}")
    kinds = library.table[column].astype(str).to_numpy()
    names = library.table.index.to_numpy()
    activity = library.activities[:, library.tracks.index(track)]
    of_group: dict[str, int] = {}
    for row in np.flatnonzero(kinds == reference):
        group = library.groups[row]
        if group in of_group:
            raise InputError(
                f"pairs: {names[of_group[group]]!r} and {names[row]!r} are both references "
                f"({column} = {reference!r}) of group {group!r}, which may have one"
            )
        of_group[group] = int(row)
    found = [
        (names[of_group[group]], names[row], activity[row] - activity[of_group[group]], group)
        for row in np.flatnonzero(kinds == alternative)
        if (group := library.groups[row]) in of_group
    ]
    if not found:
        values = sorted(set(kinds))[:8]
        raise InputError(
            f"pairs: no group has {column} {reference!r} and {alternative!r}; its values are: "
            f"{', '.join(values)}"
        )
    return pd.DataFrame(found, columns=["reference", "alternative", "effect", "locus"])


def write_library(
    library: Library,
    splits: Sequence[str],
    fasta: str | Path,
    targets: str | Path,
    bed: str | Path,
    groups: str | Path,
) -> None:
    """Write a library as an assembly, targets, a BED of splits and a TSV of contigs and groups."""
    names = library.table.index.tolist()
    write_fasta(fasta, zip(names, library.sequences, strict=True))
    length = library.sequences.shape[1]
    places = pd.DataFrame({"contig": names, "start": 0, "end": length})
    values = pd.DataFrame(library.activities, columns=list(library.tracks))
    write_tsv(targets, pd.concat([places, values], axis=1))
    write_tsv(groups, pd.DataFrame({"contig": names, "group": library.groups}))
    rows = zip(names, splits, strict=True)
    write_text(bed, "".join(f"{name}\t0\t{length}\t{split}\n" for name, split in rows))


def _read(path: str | Path, columns: Sequence[str]) -> pd.DataFrame:
    if Path(path).suffix == ".parquet":
        try:
            table = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read as Parquet: {error}") from error
    else:
        table = read_input_table(path)
    for column in columns:
        if column not in table.columns:
            raise InputError(
                f"{path} has no column {column!r}{nearest_clause(column, table.columns)}"
            )
    return table


def _refuse_bad_ids(path: str | Path, ids: pd.Series) -> None:
    repeated = ids[ids.duplicated()]
    if len(repeated):
        raise InputError(f"{path}: id {repeated.iloc[0]!r} occurs twice: ids must be unique")
    bad = ids[~ids.str.fullmatch(r"[!-~]+")]
    if len(bad):
        raise InputError(
            f"{path}: id {bad.iloc[0]!r} cannot name a contig: use letters without spaces"
        )


def _codes(path: str | Path, ids: pd.Series, letters: pd.Series) -> bases.Codes:
    length = len(str(letters.iloc[0])) if len(letters) else 0
    rows = []
    for name, text in zip(ids, letters, strict=True):
        if not isinstance(text, str) or not _PLAIN.issuperset(text.upper()):
            raise InputError(f"{path}: sequence {name!r} is not all A, C, G and T")
        if len(text) != length:
            raise InputError(
                f"{path}: sequence {name!r} has {len(text)} bp, the first one {length}: a library "
                "needs one length; cut or pad the sequences with the construct's own bases"
            )
        rows.append(bases.encode(text))
    if not rows:
        raise InputError(f"{path} holds no sequence")
    return np.stack(rows)


def _columns_of(tracks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [column for how in tracks.values() for column in (how["value"], *how["where"])]


def _track(
    path: str | Path,
    name: str,
    measured: pd.DataFrame,
    key: str,
    how: Mapping[str, Any],
    ids: pd.Series,
) -> npt.NDArray[np.float64]:
    """Activities in the order of the ids; NaN where there is none."""
    rows = measured
    for column, value in how["where"].items():
        rows = rows[rows[column] == value]
    if rows.empty:
        raise InputError(f"{path}: no row has {how['where']}, which track {name!r} asks for")
    keys = rows[key].astype(str)
    repeated = keys[keys.duplicated()]
    if len(repeated):
        raise InputError(
            f"{path}: track {name!r} has two rows of sequence {repeated.iloc[0]!r}: say under "
            "where which one counts"
        )
    unknown = keys[~keys.isin(set(ids))]
    if len(unknown):
        raise InputError(
            f"{path}: {len(unknown)} rows of track {name!r} are of sequences that the table of "
            f"sequences does not have, the first of {unknown.iloc[0]!r}"
        )
    values = pd.to_numeric(rows[how["value"]], errors="coerce").to_numpy(dtype=np.float64)
    return pd.Series(values, index=keys).reindex(ids).to_numpy()


def _groups(given: pd.Series, codes: bases.Codes) -> list[str]:
    """Groups as given, those that share sequence joined; what has no group is one of its own."""
    own = pd.Series([f"sequence {row}" for row in range(len(given))], index=given.index)
    names = given.astype(object).where(given.notna(), own).astype(str).tolist()
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for row, other in _alike(codes):
        parent[root(names[row])] = root(names[other])
    return [root(name) for name in names]


def _alike(codes: bases.Codes) -> list[tuple[int, int]]:
    """Pairs of sequences that share more than half of their canonical 31-mers.

    A k-mer of more than `_COMMON` sequences tells none of them from the others and is left out.
    """
    k = min(_K, codes.shape[1])
    kmers = canonical_kmers(codes, k)
    rows = np.repeat(np.arange(len(codes)), kmers.shape[1])
    pairs = np.unique(np.stack([kmers.ravel(), rows.astype(np.uint64)], axis=1), axis=0)
    kmer, row = pairs[:, 0], pairs[:, 1].astype(np.int64)
    _, first, sizes = np.unique(kmer, return_index=True, return_counts=True)
    found: Counter[tuple[int, int]] = Counter()
    for start, size in zip(first.tolist(), sizes.tolist(), strict=True):
        if 1 < size <= _COMMON:
            found.update(combinations(row[start : start + size].tolist(), 2))
    return [pair for pair, shared in found.items() if shared > kmers.shape[1] / 2]
