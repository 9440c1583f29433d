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
from seqtrust.barcode_counts import BarcodeCounts, BarcodeSettings, read_counts
from seqtrust.errors import InputError, nearest_clause
from seqtrust.fasta_files import write_fasta
from seqtrust.files import write_text, write_tsv
from seqtrust.genome import SPLITS
from seqtrust.kmers import canonical_kmers
from seqtrust.library_tables import REFUSE, ROWS, codes_of, read_sequences, read_table

_K = 31
_COMMON = 20
_VALUES = ("value", "sd", "observation_sd", "observations")

Floats = npt.NDArray[np.float64]


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
        sds: standard deviations of the activities, shape (N, T), NaN where not known.
        observations: numbers of observations, shape (N, T), NaN where not known.
        barcodes: counts of tracks that are made of them.
    """

    table: pd.DataFrame
    sequences: bases.Codes
    groups: list[str]
    activities: Floats
    tracks: tuple[str, ...]
    sds: Floats
    observations: Floats
    barcodes: Mapping[str, BarcodeCounts]

    def track(self, name: str) -> int:
        """The column of a track.

        Raises:
            InputError: there is none of this name.
        """
        if name not in self.tracks:
            raise InputError(
                f"the library has no track {name!r}{nearest_clause(name, self.tracks)}"
            )
        return self.tracks.index(name)


def read_library(
    sequences: str | Path,
    columns: Mapping[str, str],
    activities: str | Path | None,
    key: str,
    tracks: Mapping[str, Mapping[str, Any]],
    unusable: str = REFUSE,
) -> Library:
    """Read a library from a table of sequences and one of activities.

    Args:
        sequences: TSV, CSV, Parquet or FASTA with a row per sequence.
        columns: names of its columns: `id`, `sequence` and, if sequences are grouped, `group`;
            a sequence without a group is one of its own. `pattern`, a regular expression on
            ids, makes further columns of its named groups.
        activities: TSV, CSV or Parquet with a row per measurement; may be the same file; None
            where all tracks are made of counts of barcodes.
        key: its column with ids of sequences.
        tracks: name of a track to `value`, the column of its activity, `where`, the values
            that other columns have in its rows, and columns of its uncertainty: `sd` of the
            activity, or `observation_sd` of one of `observations`; or to `barcodes`, fields of
            `BarcodeSettings`.
        unusable: `skip` leaves out sequences of another length than the first or with other
            letters; `refuse` does not read such a file.

    Raises:
        InputError: a file or column is missing; ids are repeated, unknown or no words;
            sequences differ in length or have other letters than A, C, G, T; a track has no
            row, or two rows of one sequence.
    """
    table = read_sequences(sequences, columns, unusable)
    ids = pd.Series(table.index)
    codes = codes_of(table[columns["sequence"]])
    plain = {name: how for name, how in tracks.items() if "barcodes" not in how}
    measured = None
    if plain:
        if activities is None:
            raise InputError(f"track {next(iter(plain))!r} needs a table of activities")
        measured = read_table(activities, [key, *_columns_of(plain)])
    counts = {
        name: read_counts(BarcodeSettings(**how["barcodes"]), ids.tolist())
        for name, how in tracks.items()
        if "barcodes" in how
    }
    parts = []
    for name, how in tracks.items():
        if name in counts:
            found = counts[name].activity()
            parts.append((found.value, found.sd, found.barcodes))
        else:
            assert measured is not None
            parts.append(_track(str(activities), name, measured, key, how, ids, unusable))
    values, sds, observations = (np.stack(part, axis=1) for part in zip(*parts, strict=True))
    given = table[columns["group"]] if "group" in columns else pd.Series(None, index=table.index)
    return Library(
        table, codes, _groups(given, codes), values, tuple(tracks), sds, observations, counts
    )


def library_of(settings: Mapping[str, Any], files: Mapping[str, Any]) -> Library:
    """A library as the config describes it.

    Args:
        settings: an entry of `libraries`.
        files: paths of `sequences` and `activities`, and those of the counts of a track under
            its name with `counts_` before it.
    """
    columns = {"id": ROWS} | {
        key: settings["sequences"][key]
        for key in ("id", "sequence", "group", "pattern")
        if key in settings["sequences"]
    }
    tracks = {
        name: {"barcodes": {**how["barcodes"], "paths": _listed(files[f"counts_{name}"])}}
        if "barcodes" in how
        else how
        for name, how in settings["tracks"].items()
    }
    activities = settings.get("activities")
    return read_library(
        files["sequences"],
        columns,
        files["activities"] if activities else None,
        activities.get("id", ROWS) if activities else "",
        tracks,
        settings["sequences"]["unusable"],
    )


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
    found = dealt_groups(groups, {"test": test, "validation": validation}, seed)
    for name in SPLITS:
        if name not in found:
            raise InputError(
                f"{len(set(groups))} groups and fractions {validation} (validation) and {test} "
                f"(test) leave no sequence for {name}: change the fractions"
            )
    return found


def dealt_groups(groups: Sequence[str], fractions: Mapping[str, float], seed: int) -> list[str]:
    """The part that every sequence falls into; a group is never cut.

    Groups are dealt out in a drawn order until a part holds its share; what is left is `train`.

    Args:
        groups: N groups.
        fractions: of the sequences, by the name of their part.
        seed: of the order.
    """
    names, sizes = np.unique(np.array(groups), return_counts=True)
    wanted = [(name, share * len(groups)) for name, share in fractions.items()]
    of_group: dict[str, str] = {}
    dealt = 0
    for index in np.random.default_rng(seed).permutation(len(names)).tolist():
        if wanted and dealt >= wanted[0][1]:
            wanted, dealt = wanted[1:], 0
        of_group[str(names[index])] = wanted[0][0] if wanted else "train"
        dealt += int(sizes[index])
    return [of_group[group] for group in groups]


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


def _columns_of(tracks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [
        column
        for how in tracks.values()
        for column in (*(how[key] for key in _VALUES if key in how), *how["where"])
    ]


def _track(
    path: str,
    name: str,
    measured: pd.DataFrame,
    key: str,
    how: Mapping[str, Any],
    ids: pd.Series,
    unusable: str,
) -> tuple[Floats, Floats, Floats]:
    """Activities, sds and observations in the order of the ids; NaN where there is none."""
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
    if len(unknown) and unusable == REFUSE:
        raise InputError(
            f"{path}: {len(unknown)} rows of track {name!r} are of sequences that the table of "
            f"sequences does not have, the first of {unknown.iloc[0]!r}"
        )

    def numbers(column: str) -> Floats:
        values = pd.to_numeric(rows[column], errors="coerce").to_numpy(dtype=np.float64)
        return pd.Series(values, index=keys).reindex(ids).to_numpy()

    nothing = np.full(len(ids), np.nan)
    activity = numbers(how["value"])
    observations = numbers(how["observations"]) if "observations" in how else nothing
    sd = numbers(how["sd"]) if "sd" in how else nothing
    if "observation_sd" in how:
        sd = numbers(how["observation_sd"]) / np.sqrt(observations)
    if (wrong := np.flatnonzero((sd < 0) | (observations <= 0))).size:
        raise InputError(
            f"{path}: track {name!r} has a negative standard deviation or a number of observations "
            f"that is not positive, the first of sequence {ids.iloc[wrong[0]]!r}: mend the table"
        )
    return activity, sd, observations


def _listed(paths: Any) -> list[str]:
    return [str(paths)] if isinstance(paths, (str, Path)) else [str(path) for path in paths]


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
