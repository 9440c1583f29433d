"""Fetch one published file: transfer, size, checksum, unpacking, index."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seqtrust.downloads.table import Download, shown
from seqtrust.downloads.transfer import Patience, transfer
from seqtrust.downloads.unpack import unpack
from seqtrust.errors import InputError
from seqtrust.files import whole_file, write_text


def fetch(
    download: Download,
    target: str | Path,
    local: str | Path | None = None,
    patience: Patience | None = None,
    log: Callable[[str], None] = lambda text: None,
) -> None:
    """Fetch a file, or take one that a storage plugin has fetched, and put it in its place.

    Bytes are compared with the published size and checksum before anything reads them. Beside
    the target lies `.lock.json` with the size and SHA-256 of what was fetched first: where no
    checksum is published, later downloads must equal it. A killed call leaves its bytes in a
    hidden `.part` file, and the next one goes on from there.

    Raises:
        InputError: it cannot be had, or differs from what was expected; the message says where
            to get it by hand and where to put it.
    """
    target = Path(target)
    part = target.with_name(f".{target.name}.part")
    try:
        if local is None:
            transfer(download.url, part, download.bytes, patience, log)
        found = _verified(download, Path(local or part), _lock(target))
        log(f"{found['bytes']} bytes, sha256 {found['sha256']}")
        write_text(lock_path(target), json.dumps(found, indent=1) + "\n")
        with whole_file(target) as temporary:
            if local is None and not download.unpack:
                os.replace(part, temporary)
            elif not download.unpack:
                shutil.copyfile(Path(local or part), temporary)
            else:
                unpack(download, Path(local or part), temporary)
            if download.index == "faidx":
                _index(temporary, target)
    except InputError as error:
        raise InputError(f"{error}. {by_hand(download, target)}") from None
    _forget(part)


def by_hand(download: Download, target: str | Path) -> str:
    """Where to get a file without this program, and where to put it."""
    taken = {
        "": "",
        "gzip": ", unpacked",
        "bgzip": ", unpacked and compressed with bgzip",
        "zip": f", member {download.member}",
        "tar": f", member {download.member}",
    }[download.unpack]
    index = f" and index it with samtools faidx {target}" if download.index == "faidx" else ""
    return (
        f"To get it by hand: {download.source} It is at {shown(download.url)}; "
        f"put it{taken} at {target}{index}"
    )


def lock_path(target: str | Path) -> Path:
    """The file beside a download that says what was fetched."""
    return Path(f"{target}.lock.json")


def _lock(target: Path) -> dict[str, Any]:
    try:
        found = json.loads(lock_path(target).read_text())
        return {"bytes": int(found["bytes"]), "sha256": str(found["sha256"])}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{lock_path(target)} is damaged ({error}); delete it if the file may change"
        ) from None


def _verified(download: Download, path: Path, lock: dict[str, Any]) -> dict[str, Any]:
    """Name, address, size and SHA-256 of a file that is what was expected."""
    size = path.stat().st_size
    if download.bytes is not None and size != download.bytes:
        _forget(path)
        raise InputError(
            f"{shown(download.url)} has {size} bytes, expected {download.bytes}: "
            "it has changed or was damaged on its way"
        )
    found = {"sha256": _digest(path, "sha256")}
    if download.checksum:
        algorithm, _, expected = download.checksum.partition(":")
        given = found.get(algorithm) or _digest(path, algorithm)
        where = "published"
    else:
        algorithm, given = "sha256", found["sha256"]
        expected, where = lock.get("sha256", given), "of the first download"
    if given != expected:
        _forget(path)
        raise InputError(
            f"{shown(download.url)} has the {algorithm} {given}, expected {expected} ({where}): "
            "it has changed or was damaged on its way, and is not used"
        )
    return {"name": download.name, "url": shown(download.url), "bytes": size, **found}


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _index(fasta: Path, target: Path) -> None:
    import pysam
    from pysam.utils import SamtoolsError

    try:
        pysam.faidx(str(fasta))
    except SamtoolsError as error:
        raise InputError(f"{target.name} cannot be indexed as FASTA ({error})") from None
    os.replace(f"{fasta}.fai", f"{target}.fai")


def _forget(part: Path) -> None:
    """Delete a transfer with its state; what a storage plugin fetched is its own."""
    if part.suffix == ".part":
        part.unlink(missing_ok=True)
        part.with_name(f"{part.name}.json").unlink(missing_ok=True)
