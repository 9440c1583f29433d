"""Resumable transfers over HTTP with the standard library.

Snakemake's storage plugin for HTTP starts again from the first byte and compares no checksum; a
genome over a slow line needs both, so transfers are made here.
"""

import fcntl
import json
import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from seqtrust.downloads.table import HTTP, shown
from seqtrust.errors import InputError, first_line
from seqtrust.files import write_text

_PASSING = (408, 425, 429, 500, 502, 503, 504)
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Patience:
    """When to give up on a server.

    Attributes:
        seconds: a connection that brings fewer than `least` bytes in this time is cut.
        least: bytes that count as progress.
        attempts: connections without progress, one after the other, before giving up.
        pause: seconds before the second attempt; doubled for each further one.
    """

    seconds: float = 60.0
    least: int = 100_000
    attempts: int = 5
    pause: float = 2.0


class NoLowering(HTTPRedirectHandler):
    """Follows no redirection from https to http, or to anything else."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """The next request, or an error."""
        before, after = (urlsplit(url).scheme for url in (req.full_url, newurl))
        if after not in HTTP or (before, after) == ("https", "http"):
            raise InputError(f"{shown(req.full_url)} leads to an address of scheme {after}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_opener = build_opener(NoLowering)


def transfer(
    url: str,
    part: Path,
    size: int | None = None,
    patience: Patience | None = None,
    log: Callable[[str], None] = lambda text: None,
) -> None:
    """Fetch an address into a file, going on where an earlier call stopped.

    Beside `part` lies `part`.json with the address and the ETag or date of the file that its
    bytes are of. A later call asks for the rest of that very file; when the server has another
    one, or cannot send parts, it starts again.

    Args:
        url: address, of scheme http or https.
        part: the file that grows.
        size: bytes that the whole file must have; None: as the server says.
        patience: when to give up.
        log: gets a line per connection; never a query or password.

    Raises:
        InputError: the server refuses, has a file of another size, or brings nothing.
    """
    patience = patience or Patience()
    part.parent.mkdir(parents=True, exist_ok=True)
    vain = 0
    with _alone(part):
        while True:
            before = part.stat().st_size
            try:
                _receive(url, part, size, patience, log)
                return
            except HTTPError as error:
                if error.code not in _PASSING:
                    raise InputError(
                        f"{shown(url)}: the server answers {error.code} {error.reason}"
                    ) from None
                reason = f"the server answers {error.code} {error.reason}"
            except URLError as error:
                if isinstance(error.reason, ssl.SSLCertVerificationError):
                    raise InputError(f"{shown(url)}: {error.reason}") from None
                reason = f"no connection ({error.reason})"
            except (OSError, HTTPException) as error:
                reason = first_line(error)
            size_now = part.stat().st_size
            vain = 0 if size_now - before >= patience.least else vain + 1
            log(f"{shown(url)}: {reason}, {size_now} bytes so far")
            if vain >= patience.attempts:
                raise InputError(
                    f"{shown(url)}: given up after {vain} connections without progress "
                    f"({reason}); {size_now} bytes are kept in {part}, and the next run goes on "
                    "from there"
                )
            time.sleep(patience.pause * 2 ** max(vain - 1, 0))


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Hold the file for this process, where the file system has locks."""
    with part.open("ab") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"another process is fetching {part}: wait for it") from None
        except OSError:
            pass
        yield


def _receive(
    url: str, part: Path, size: int | None, patience: Patience, log: Callable[[str], None]
) -> None:
    """One connection; returns when the file is whole."""
    state = part.with_name(f"{part.name}.json")
    begun, validator = part.stat().st_size, _validator_of(state, url)
    headers = {"Accept-Encoding": "identity", "User-Agent": "seqtrust"}
    if begun and validator:
        headers |= {"Range": f"bytes={begun}-", "If-Range": validator}
    try:
        response = _opener.open(Request(url, headers=headers), timeout=patience.seconds)
    except HTTPError as error:
        if error.code == 416 and "Range" in headers:
            if error.headers.get("Content-Range", "").strip() == f"bytes */{begun}":
                return
            part.write_bytes(b"")
            raise OSError("the server cannot go on from there: starting again") from None
        raise
    with response:
        start, total = _extent(response)
        if start != begun and start:
            raise OSError(f"the server sends bytes from {start}, asked for {begun}")
        if size is not None and total is not None and total != size:
            raise InputError(
                f"{shown(url)} has changed: the server has {total} bytes, expected {size}"
            )
        if not start:
            kept = response.headers.get("ETag", "")
            kept = response.headers.get("Last-Modified", "") if kept[:2] in ("", "W/") else kept
            write_text(state, json.dumps({"url": shown(url), "validator": kept}))
        log(f"{shown(url)}: from byte {start} of {'unknown' if total is None else total}")
        _append(response, part, start, patience)
    found = part.stat().st_size
    if total is not None and found < total:
        raise OSError(f"the connection ended after {found} of {total} bytes")


def _extent(response: HTTPResponse) -> tuple[int, int | None]:
    """First byte that the response brings, and bytes of the whole file if they are known."""
    if response.status == 206:
        match = re.fullmatch(
            r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip()
        )
        if not match:
            raise OSError("the server sends a part without saying which")
        return int(match[1]), None if match[2] == "*" else int(match[2])
    length = response.headers.get("Content-Length")
    return 0, None if length is None else int(length)


def _append(response: HTTPResponse, part: Path, start: int, patience: Patience) -> None:
    with part.open("r+b") as file:
        file.truncate(start)
        file.seek(start)
        since, brought = time.monotonic(), 0
        while block := response.read1(_BLOCK):
            file.write(block)
            brought += len(block)
            if time.monotonic() - since > patience.seconds:
                if brought < patience.least:
                    raise OSError(f"only {brought} bytes in {patience.seconds:g} s")
                since, brought = time.monotonic(), 0


def _validator_of(state: Path, url: str) -> str:
    """ETag or date of the file that the bytes so far are of; empty if they are of no known one."""
    try:
        kept = json.loads(state.read_text())
        return kept["validator"] if kept["url"] == shown(url) else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""
