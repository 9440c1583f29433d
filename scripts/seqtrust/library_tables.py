"""Tables of reporter libraries: sequences with ids, from TSV, CSV, Parquet or FASTA."""

import gzip
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from seqtrust import bases
from seqtrust.errors import InputError, nearest_clause
from seqtrust.files import read_input_table

REFUSE, SKIP = "refuse", "skip"
# the column of ids of a table that has none: row1, row2, ...
ROWS = "row number"

logger = logging.getLogger(__name__)

_PLAIN = frozenset("ACGT")
_FASTA = (".fa", ".fasta", ".fa.gz", ".fasta.gz")


def read_table(path: str | Path, columns: Sequence[str]) -> pd.DataFrame:
    """A table with some columns at least.

    Args:
        path: Parquet, CSV (by their suffix) or tab-separated, plain or gzipped.
        columns: that must be there.

    Raises:
        InputError: the file cannot be read or lacks a column.
    """
    name = Path(path).name
    if name.endswith(".parquet"):
        try:
            table = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read as Parquet: {error}") from error
    elif name.endswith((".csv", ".csv.gz")):
        try:
            table = pd.read_csv(path)
        except (OSError, EOFError, ValueError) as error:
            raise InputError(
                f"{path} cannot be read as a comma-separated table: {error}"
            ) from error
    else:
        table = read_input_table(path)
    if ROWS in columns:
        table[ROWS] = [f"row{number}" for number in range(1, len(table) + 1)]
    for column in columns:
        if column not in table.columns:
            raise InputError(
                f"{path} has no column {column!r}{nearest_clause(column, table.columns)}"
            )
    return table


def read_sequences(
    path: str | Path, columns: Mapping[str, str], unusable: str = REFUSE
) -> pd.DataFrame:
    """A table of sequences of one length, whose index are the ids.

    Args:
        path: as in `read_table`, or a FASTA, whose columns are `id` and `sequence`.
        columns: `id`, `sequence` and perhaps `group` and `pattern`, see
            `libraries.read_library`.
        unusable: `refuse` or `skip` what has another length or other letters.

    Raises:
        InputError: as in `libraries.read_library`.
    """
    wanted = {key: name for key, name in columns.items() if key != "pattern"}
    fasta = Path(path).name.endswith(_FASTA)
    numbered = [ROWS] if wanted["id"] == ROWS else []
    table = _read_fasta(path) if fasta else read_table(path, numbered)
    if pattern := columns.get("pattern"):
        table = _with_named_groups(path, table, wanted["id"], pattern)
    for column in wanted.values():
        if column not in table.columns:
            raise InputError(
                f"{path} has no column {column!r}{nearest_clause(column, table.columns)}"
            )
    ids = table[wanted["id"]].astype(str)
    _refuse_bad_ids(path, ids)
    table.index = pd.Index(ids.to_numpy())
    faults = _faults(table[wanted["sequence"]])
    if unusable == SKIP:
        kept = np.array([not fault for fault in faults], dtype=bool)
        if not kept.all():
            logger.warning(
                "%s: %d of %d sequences are left out: they differ in length from the first, or have"
                " other letters than A, C, G and T",
                path,
                (~kept).sum(),
                len(kept),
            )
        table = table[kept]
    elif found := next(((name, why) for name, why in zip(ids, faults, strict=True) if why), None):
        raise InputError(f"{path}: sequence {found[0]!r} {found[1]}")
    if table.empty:
        raise InputError(f"{path} holds no sequence")
    return table


def codes_of(letters: pd.Series) -> bases.Codes:
    """Base codes of sequences of one length, uint8 (N, L)."""
    return np.stack([bases.encode(text) for text in letters])


def _faults(letters: pd.Series) -> list[str]:
    """What makes each sequence unusable, or ""."""
    length: int | None = None
    found = []
    for text in letters:
        why = ""
        if not isinstance(text, str) or not _PLAIN.issuperset(text.upper()):
            why = "is not all A, C, G and T"
        elif length is None:
            length = len(text)
        elif len(text) != length:
            why = (
                f"has {len(text)} bp, the first one {length}: a library needs one length; cut or "
                "pad the sequences with the construct's own bases"
            )
        found.append(why)
    return found


def _read_fasta(path: str | Path) -> pd.DataFrame:
    opened = gzip.open if str(path).endswith(".gz") else open
    names: list[str] = []
    parts: list[list[str]] = []
    try:
        with opened(path, "rt") as file:
            for line in file:
                if line.startswith(">"):
                    names.append(line[1:].split()[0] if line[1:].split() else "")
                    parts.append([])
                elif parts:
                    parts[-1].append(line.strip())
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as FASTA: {error}") from error
    return pd.DataFrame({"id": names, "sequence": ["".join(part) for part in parts]})


def _with_named_groups(
    path: str | Path, table: pd.DataFrame, key: str, pattern: str
) -> pd.DataFrame:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"pattern {pattern!r} is no regular expression: {error}") from error
    if not compiled.groupindex:
        raise InputError(
            f"pattern {pattern!r} names no group, such as (?P<peak>[^_]+): named groups become "
            "columns"
        )
    if key not in table.columns:
        return table
    found = table[key].astype(str).str.extract(compiled)
    if found.isna().all(axis=None):
        raise InputError(f"{path}: no id fits pattern {pattern!r}: change it")
    return table.drop(columns=[name for name in found if name in table]).join(found)


def _refuse_bad_ids(path: str | Path, ids: pd.Series) -> None:
    repeated = ids[ids.duplicated()]
    if len(repeated):
        raise InputError(f"{path}: id {repeated.iloc[0]!r} occurs twice: ids must be unique")
    bad = ids[~ids.str.fullmatch(r"[!-~]+")]
    if len(bad):
        raise InputError(
            f"{path}: id {bad.iloc[0]!r} cannot name a contig: use letters without spaces"
        )
