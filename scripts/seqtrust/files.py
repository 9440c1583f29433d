"""Files: written whole or not at all, and read with a message that names them."""

from __future__ import annotations

import gzip
import hashlib
import os
import uuid
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from seqtrust.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def whole_file(target: str | Path) -> Iterator[Path]:
    """A temporary path beside `target` that replaces it when the block ends without an error.

    The temporary name is unique, so a second writer of the same target does no harm, and a
    killed job leaves nothing that looks finished.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(target: str | Path, text: str) -> None:
    """Write a text file whole."""
    with whole_file(target) as temporary:
        temporary.write_text(text)


def write_tsv(target: str | Path, table: pd.DataFrame) -> None:
    """Write a table as tab-separated text, numbers with six significant digits."""
    write_text(target, table.to_csv(sep="\t", index=False, float_format="%.6g", na_rep=""))


def read_tsv(path: str | Path) -> pd.DataFrame:
    """Read a table that `write_tsv` wrote."""
    import pandas as pd

    return pd.read_csv(path, sep="\t")


def numbered_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Lines of a user's text file, plain or gzipped, from 1 and without their ends.

    Raises:
        InputError: the file is missing, cut short or not text.
    """
    path = Path(path)
    zipped = path.suffix in (".gz", ".bgz")
    try:
        with gzip.open(path, "rt") if zipped else path.open() as file:
            for number, line in enumerate(file, start=1):
                yield number, line.rstrip("\n")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def read_input_table(
    path: str | Path,
    types: Mapping[str, type] | None = None,
    columns: Collection[str] | None = None,
) -> pd.DataFrame:
    """Read a user's tab-separated table with a header, plain or gzipped.

    Args:
        path: the table.
        types: types of columns that must not be guessed.
        columns: columns to read where they are there; all if None.

    Raises:
        InputError: the file is missing, empty, cut short or not such a table.
    """
    import pandas as pd

    try:
        used = None if columns is None else columns.__contains__
        table = pd.read_csv(path, sep="\t", dtype=types, usecols=used)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(f"{path} cannot be read as a tab-separated table: {error}") from error
    # pandas takes the first column for row names where rows are longer than the header
    if not isinstance(table.index, pd.RangeIndex):
        raise InputError(f"{path}: rows have more columns than the header")
    return table


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, as hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
