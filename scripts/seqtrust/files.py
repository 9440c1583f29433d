"""Files that are either whole or absent."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

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


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, as hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
