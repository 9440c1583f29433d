"""What is taken out of a download: one stream, or one named member of an archive.

A member's name chooses what is read and never where it is written, so no archive can write
outside its target. Links, folders and devices are refused.
"""

import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, cast

from seqtrust.downloads.table import Download
from seqtrust.errors import InputError, first_line

_DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile)


def unpack(download: Download, packed: Path, target: Path) -> None:
    """Write the contents of a download to `target`.

    Raises:
        InputError: the file is damaged, or the archive has no such plain member.
    """
    try:
        with _opened(download, packed) as source, _written(download, target) as file:
            shutil.copyfileobj(source, file, 1 << 20)
    except _DAMAGE as error:
        raise InputError(
            f"{download.name}: the download cannot be unpacked as {download.unpack} "
            f"({first_line(error)})"
        ) from error


def _written(download: Download, target: Path) -> IO[bytes]:
    if download.unpack == "bgzip":
        from pysam import BGZFile

        return cast(IO[bytes], BGZFile(str(target), "wb", None))
    return target.open("wb")


@contextmanager
def _opened(download: Download, packed: Path) -> Iterator[IO[bytes]]:
    with ExitStack() as stack:
        yield _stream(download, packed, stack)


def _stream(download: Download, packed: Path, stack: ExitStack) -> IO[bytes]:
    if download.unpack == "zip":
        archive = stack.enter_context(zipfile.ZipFile(packed))
        return stack.enter_context(archive.open(_zipped(archive, download)))
    if download.unpack == "tar":
        tape = stack.enter_context(tarfile.TarFile.open(packed, "r:*"))
        member = next((one for one in tape if one.name == download.member), None)
        stream = tape.extractfile(member) if member and member.isreg() else None
        if stream is None:
            raise _no_member(download)
        return stack.enter_context(stream)
    return stack.enter_context(cast(IO[bytes], gzip.open(packed, "rb")))


def _zipped(archive: zipfile.ZipFile, download: Download) -> zipfile.ZipInfo:
    found = [info for info in archive.infolist() if info.filename == download.member]
    if len(found) != 1 or found[0].flag_bits & 1:
        raise _no_member(download)
    kind = stat.S_IFMT(found[0].external_attr >> 16)
    if found[0].is_dir() or kind not in (0, stat.S_IFREG):
        raise _no_member(download)
    return found[0]


def _no_member(download: Download) -> InputError:
    return InputError(
        f"{download.name}: the archive has no plain, unencrypted file {download.member!r}"
    )
