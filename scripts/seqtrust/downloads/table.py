"""The table of published files that the workflow can fetch."""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit

from seqtrust.errors import InputError, at_line, nearest_clause

UNPACK = ("", "gzip", "bgzip", "zip", "tar")
HTTP = ("http", "https")
_DIGITS = {"md5": 32, "sha256": 64}


@dataclass(frozen=True)
class Download:
    """One row of the table.

    Attributes:
        name: what configs call it.
        url: where it is; `http` and `https` are fetched here, other schemes by the storage
            plugin of Snakemake for them.
        bytes: size of what the server sends, or None if it is not known.
        checksum: `md5:` or `sha256:` and the hex digest of what the server sends; empty if
            none is published: the first download is then the one that later ones must equal.
        unpack: `gzip`, `zip`, `tar` or nothing; `bgzip`: of gzip, and compressed anew in blocks,
            as an index needs them.
        member: of a `zip` or `tar`, the one file that is taken.
        index: `faidx` if a FASTA index is made beside it.
        source: who publishes it, for a user who has to get it by hand.
    """

    name: str
    url: str
    bytes: int | None
    checksum: str
    unpack: str
    member: str
    index: str
    source: str

    @property
    def scheme(self) -> str:
        """Scheme of the address, in lower case."""
        return urlsplit(self.url).scheme.lower()

    def __post_init__(self) -> None:
        address = urlsplit(self.url)
        if not re.fullmatch(r"[a-z0-9_]+", self.name):
            raise InputError(f"the name {self.name!r} is not valid: use a-z, 0-9 and _")
        if not address.scheme or not address.netloc:
            raise InputError(f"{self.name}: its url is not of the form scheme://host/path")
        if address.username is not None or address.password is not None:
            raise InputError(
                f"{self.name}: its url holds a user name or password; a table is no place for "
                "secrets: use the environment variables of a storage plugin"
            )
        algorithm, _, digits = self.checksum.partition(":")
        if self.checksum and (
            algorithm not in _DIGITS
            or not re.fullmatch(rf"[0-9a-f]{{{_DIGITS[algorithm]}}}", digits)
        ):
            raise InputError(
                f"{self.name}: the checksum {self.checksum!r} is neither md5: and 32 nor sha256: "
                "and 64 hex digits in lower case"
            )
        if self.unpack not in UNPACK:
            raise InputError(
                f"{self.name}: unpack is {self.unpack!r}; expected gzip, bgzip, zip or tar"
            )
        if bool(self.member) != (self.unpack in ("zip", "tar")):
            raise InputError(f"{self.name}: a member is named for zip and tar, and only there")
        if self.index not in ("", "faidx"):
            raise InputError(f"{self.name}: index is {self.index!r}; expected faidx or nothing")


COLUMNS = tuple(field.name for field in fields(Download))


def read_downloads(paths: Iterable[str | Path]) -> dict[str, Download]:
    """Read tables of downloads; names are unique over all of them.

    Raises:
        InputError: a file is missing, a row cannot be read, or a name comes twice; the message
            names the file and the line.
    """
    found: dict[str, Download] = {}
    for path in paths:
        try:
            lines = Path(path).read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the table of downloads {path} cannot be read: {error}") from error
        header, *rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE) if lines else [()]
        if tuple(header) != COLUMNS:
            raise InputError(f"{path}: the header must be {', '.join(COLUMNS)}, by tabs")
        for number, row in enumerate(rows, start=2):
            if row:
                with at_line(path, number, f"{len(COLUMNS)} columns, bytes a number or empty"):
                    _add(found, row)
    return found


def _add(found: dict[str, Download], row: Sequence[str]) -> None:
    values: dict[str, str] = dict(zip(COLUMNS, row, strict=True))
    size = values.pop("bytes")
    download = Download(bytes=int(size) if size else None, **values)
    if download.name in found:
        raise InputError(f"{download.name!r} is there twice")
    found[download.name] = download


def chosen_downloads(
    external: Mapping[str, Mapping[str, str]], tables: Iterable[str | Path]
) -> dict[str, Download]:
    """The downloads that entries of `external` name, by the names of the entries.

    Raises:
        InputError: a table cannot be read, or an entry names a download that is in none.
    """
    wanted = {name: entry["download"] for name, entry in external.items() if "download" in entry}
    if not wanted:
        return {}
    known = read_downloads(tables)
    unknown = [
        f"external/{name}/download: there is no {download!r} in {', '.join(map(str, tables))}"
        f"{nearest_clause(download, known)}"
        for name, download in wanted.items()
        if download not in known
    ]
    if unknown:
        raise InputError("\n".join(unknown))
    return {name: known[download] for name, download in wanted.items()}


def shown(url: str) -> str:
    """An address without what may be secret: user, password, query and fragment."""
    address = urlsplit(url)
    port = f":{address.port}" if address.port else ""
    return f"{address.scheme}://{address.hostname}{port}{address.path}"
