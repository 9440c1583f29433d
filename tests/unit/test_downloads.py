"""Downloads against a server of the test's own: cut, changed, missing, slow and hostile ones."""

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request

import pytest

from seqtrust.downloads.fetch import fetch, lock_path
from seqtrust.downloads.table import COLUMNS, Download, chosen_downloads, read_downloads, shown
from seqtrust.downloads.transfer import NoLowering, Patience, transfer
from seqtrust.errors import InputError

REPOSITORY = Path(__file__).parents[2]
BODY = bytes(range(256)) * 1200
QUICK = Patience(seconds=20, least=1000, attempts=2, pause=0.01)
IMPATIENT = Patience(seconds=0.4, least=1000, attempts=2, pause=0.01)


class Server(ThreadingHTTPServer):
    """What is served, what it does wrong, and what it was asked for."""

    body = BODY
    etag = '"one"'
    fault = ""
    ranges = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.address = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range", "")
        server.asked.append(wanted)
        fault, body = server.fault, server.body
        if fault.isdigit():
            self.send_error(int(fault))
            return
        if fault.startswith("to "):
            self.send_response(302)
            self.send_header("Location", fault[3:])
            self.end_headers()
            return
        start = 0
        if server.ranges and wanted and self.headers.get("If-Range") == server.etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("ETag", server.etag)
        self.send_header("Content-Length", str(len(body) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        if fault == "cut once":
            server.fault = ""
        if fault in ("cut", "cut once"):
            self.wfile.write(body[start : start + 100_000])
        elif fault == "silent":
            time.sleep(1.5)
        elif fault == "slow":
            for number in range(15):
                self.wfile.write(body[start + number : start + number + 1])
                time.sleep(0.1)
        else:
            self.wfile.write(body[start:])


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def sha(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def download(server: Server, **changed: object) -> Download:
    values = {
        "name": "genome",
        "url": f"{server.address}/genome.fa",
        "bytes": len(BODY),
        "checksum": sha(BODY),
        "unpack": "",
        "member": "",
        "index": "",
        "source": "It is the genome of the rainbow.",
    }
    return Download(**(values | changed))  # type: ignore[arg-type]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("checksum", [sha(BODY), f"md5:{hashlib.md5(BODY).hexdigest()}", ""])
def test_a_file_arrives_with_its_lock_and_nothing_else(
    server: Server, tmp_path: Path, checksum: str
) -> None:
    target = tmp_path / "deep" / "genome.fa"
    fetch(download(server, checksum=checksum), target, patience=QUICK)
    assert target.read_bytes() == BODY
    assert names(target.parent) == {"genome.fa", "genome.fa.lock.json"}
    lock = json.loads(lock_path(target).read_text())
    assert lock["bytes"] == len(BODY)
    assert sha(BODY) == f"sha256:{lock['sha256']}"


def test_a_cut_connection_is_taken_up_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.fault = "cut once"
    fetch(download(server), tmp_path / "genome.fa", patience=QUICK)
    assert (tmp_path / "genome.fa").read_bytes() == BODY
    assert server.asked == ["", "bytes=100000-"]


def test_a_killed_call_is_taken_up_by_the_next(server: Server, tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    def kill(text: str) -> None:
        if "so far" in text:
            raise KilledError

    server.fault = "cut"
    with pytest.raises(KilledError):
        fetch(download(server), tmp_path / "genome.fa", patience=QUICK, log=kill)
    assert not (tmp_path / "genome.fa").exists()
    server.fault = ""
    fetch(download(server), tmp_path / "genome.fa", patience=QUICK)
    assert (tmp_path / "genome.fa").read_bytes() == BODY
    assert server.asked[-1] == "bytes=100000-"


def test_a_transfer_that_was_whole_is_not_repeated(server: Server, tmp_path: Path) -> None:
    part = tmp_path / "part"
    transfer(f"{server.address}/genome.fa", part, patience=QUICK)
    transfer(f"{server.address}/genome.fa", part, patience=QUICK)
    assert part.read_bytes() == BODY
    assert server.asked == ["", f"bytes={len(BODY)}-"]


@pytest.mark.parametrize("change", ["another file", "no parts"])
def test_bytes_of_two_files_are_never_joined(server: Server, tmp_path: Path, change: str) -> None:
    """When the file changed meanwhile, or parts cannot be had, the transfer starts again."""
    part = tmp_path / "part"
    server.fault = "cut"
    with pytest.raises(InputError, match="kept in"):
        transfer(
            f"{server.address}/genome.fa", part, patience=Patience(20, 10**6, attempts=1, pause=0)
        )
    assert part.stat().st_size == 100_000
    server.fault = ""
    if change == "another file":
        server.etag, server.body = '"two"', BODY[::-1]
    else:
        server.ranges = False
    transfer(f"{server.address}/genome.fa", part, patience=QUICK)
    assert part.read_bytes() == server.body


def test_a_wrong_checksum_is_refused_before_anything_reads_it(
    server: Server, tmp_path: Path
) -> None:
    target = tmp_path / "genome.fa"
    with pytest.raises(InputError) as caught:
        fetch(download(server, checksum=sha(b"other")), target, patience=QUICK)
    message = str(caught.value)
    assert "has the sha256" in message
    assert "is not used" in message
    assert "It is the genome of the rainbow." in message
    assert f"put it at {target}" in message
    assert names(tmp_path) == set()


def test_another_size_is_refused_before_it_is_fetched(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"has changed: the server has {len(BODY)} bytes"):
        fetch(download(server, bytes=10), tmp_path / "genome.fa", patience=QUICK)
    assert not (tmp_path / "genome.fa").exists()


def test_without_a_checksum_the_first_download_is_the_one_to_equal(
    server: Server, tmp_path: Path
) -> None:
    target = tmp_path / "genome.fa"
    one = download(server, checksum="", bytes=None)
    fetch(one, target, patience=QUICK)
    target.unlink()
    fetch(one, target, patience=QUICK)
    target.unlink()
    server.body, server.etag = BODY[::-1], '"two"'
    with pytest.raises(InputError, match=r"\(of the first download\): it has changed"):
        fetch(one, target, patience=QUICK)
    assert not target.exists()
    lock_path(target).write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        fetch(one, target, patience=QUICK)


@pytest.mark.parametrize(
    ("fault", "message", "asked"),
    [
        ("404", "the server answers 404", 1),
        ("403", "the server answers 403", 1),
        ("503", "given up after 2 connections without progress", 2),
        ("silent", "given up after 2 connections without progress", 2),
        ("slow", "only .* bytes in 0.4 s", 2),
        ("to file:///etc/passwd", "the server answers 302", 1),
    ],
)
def test_a_server_that_does_not_serve_ends_in_a_message_with_the_cure(
    server: Server, tmp_path: Path, fault: str, message: str, asked: int
) -> None:
    server.fault = fault
    with pytest.raises(InputError, match=message) as caught:
        fetch(download(server), tmp_path / "genome.fa", patience=IMPATIENT)
    assert "To get it by hand: It is the genome of the rainbow." in str(caught.value)
    assert len(server.asked) == asked
    assert not (tmp_path / "genome.fa").exists()


@pytest.mark.parametrize(("before", "after"), [("https", "http"), ("http", "ftp")])
def test_a_secure_address_does_not_lead_to_an_open_one(before: str, after: str) -> None:
    request = Request(f"{before}://example.org/x?token=hunter2")
    with pytest.raises(InputError, match=f"leads to an address of scheme {after}") as caught:
        NoLowering().redirect_request(
            request, io.BytesIO(), 302, "", HTTPMessage(), f"{after}://example.org/y"
        )
    assert "hunter2" not in str(caught.value)


def test_no_connection_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no connection"):
        transfer("http://127.0.0.1:9/x", tmp_path / "part", patience=QUICK)


def test_two_processes_do_not_write_one_file(server: Server, tmp_path: Path) -> None:
    import fcntl

    part = tmp_path / ".genome.fa.part"
    with part.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process is fetching"):
            fetch(download(server), tmp_path / "genome.fa", patience=QUICK)


def test_no_secret_is_logged(server: Server, tmp_path: Path) -> None:
    """A signed address carries its secret in the query; a table with a password is refused."""
    lines: list[str] = []
    server.fault = "cut once"
    signed = f"{server.address}/genome.fa?X-Signature=hunter2#hunter2"
    target = tmp_path / "genome.fa"
    fetch(download(server, url=signed), target, patience=QUICK, log=lines.append)
    server.fault = "404"
    with pytest.raises(InputError) as caught:
        fetch(download(server, url=signed), tmp_path / "b.fa", patience=QUICK, log=lines.append)
    kept = [path.read_text() for path in tmp_path.rglob("*.json")]
    assert lines
    assert "hunter2" not in " ".join([*lines, *kept, str(caught.value)])
    with pytest.raises(InputError, match="no place for secrets") as caught:
        download(server, url="https://me:hunter2@example.org/x")
    assert "hunter2" not in str(caught.value)
    assert shown("https://me:hunter2@example.org:8/x?token=1") == "https://example.org:8/x"


FASTA = b">one\nACGT\nACGT\nAC\n>two\nTTTT\n"


def archived(kind: str, members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    held = io.BytesIO()
    if kind == "gzip":
        return gzip.compress(next(iter(members.values())), mtime=0)
    if kind == "zip":
        with zipfile.ZipFile(held, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
            for name, to in (links or {}).items():
                info = zipfile.ZipInfo(name)
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
                archive.writestr(info, to)
        return held.getvalue()
    with tarfile.open(fileobj=held, mode="w:gz") as tape:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tape.addfile(entry, io.BytesIO(content))
        for name, to in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, to
            tape.addfile(entry)
    return held.getvalue()


def unpacked(server: Server, target: Path, body: bytes, **changed: object) -> None:
    server.body = body
    settings = {"bytes": len(body), "checksum": sha(body)} | changed
    fetch(download(server, **settings), target, patience=QUICK)


@pytest.mark.parametrize("kind", ["gzip", "zip", "tar"])
def test_what_is_packed_is_unpacked_and_indexed(server: Server, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "genome.fa"
    member = "" if kind == "gzip" else "data/genome.fa"
    body = archived(kind, {member: FASTA} if kind == "gzip" else {"other": b"no", member: FASTA})
    unpacked(server, target, body, unpack=kind, member=member, index="faidx")
    assert target.read_bytes() == FASTA
    assert Path(f"{target}.fai").read_text() == "one\t10\t5\t4\t5\ntwo\t4\t23\t4\t5\n"
    assert names(tmp_path) == {"genome.fa", "genome.fa.fai", "genome.fa.lock.json"}


def test_gzip_is_made_indexable(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "v.vcf.gz"
    unpacked(server, target, gzip.compress(BODY, mtime=0), unpack="bgzip")
    assert target.read_bytes()[12:14] == b"BC"
    assert gzip.decompress(target.read_bytes()) == BODY


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_no_archive_writes_outside_its_target(server: Server, tmp_path: Path, kind: str) -> None:
    """A member's name never becomes a path, be it harmless, climbing or absolute."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("../evil", "/tmp/seqtrust_evil", "a/../../evil"):
        body = archived(kind, {name: b"evil", "good": b"good"})
        unpacked(server, folder / "good", body, unpack=kind, member="good")
        unpacked(server, folder / "named", body, unpack=kind, member=name)
        assert (folder / "named").read_bytes() == b"evil"
    assert names(tmp_path) == {"in"}
    assert names(folder) == {"good", "good.lock.json", "named", "named.lock.json"}
    assert not Path("/tmp/seqtrust_evil").exists()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_links_and_folders_are_not_taken_for_files(
    server: Server, tmp_path: Path, kind: str
) -> None:
    body = archived(kind, {"plain": b"x"}, {"link": "/etc/passwd"})
    for member in ("link", "absent"):
        with pytest.raises(InputError, match="has no plain, unencrypted file"):
            unpacked(server, tmp_path / "target", body, unpack=kind, member=member)
        assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("kind", ["gzip", "zip", "tar"])
def test_a_damaged_archive_is_named(server: Server, tmp_path: Path, kind: str) -> None:
    member = "" if kind == "gzip" else "one"
    body = archived(kind, {"one": os.urandom(50_000)})[:20_000]
    with pytest.raises(InputError, match=f"cannot be unpacked as {kind}"):
        unpacked(server, tmp_path / "target", body, unpack=kind, member=member)
    assert not (tmp_path / "target").exists()


def test_what_a_storage_plugin_fetched_is_checked_too(server: Server, tmp_path: Path) -> None:
    copy, target = tmp_path / "copy", tmp_path / "genome.fa"
    copy.write_bytes(BODY)
    fetch(download(server, url="s3://bucket/genome.fa"), target, local=copy)
    assert target.read_bytes() == copy.read_bytes() == BODY
    with pytest.raises(InputError, match="is not used"):
        fetch(download(server, checksum=sha(b"")), tmp_path / "other", local=copy)
    assert copy.exists()
    assert server.asked == []


ROW = ("x", "https://example.org/x", "5", "", "", "", "", "It is X.")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({0: "X y"}, "line 2: the name 'X y' is not valid"),
        ({1: "example.org/x"}, "line 2: x: its url is not of the form"),
        ({2: "many"}, "line 2: expected 8 columns, bytes a number or empty"),
        ({3: "sha1:00"}, "line 2: x: the checksum 'sha1:00' is neither md5"),
        ({3: "md5:00"}, "line 2: x: the checksum 'md5:00' is neither md5"),
        ({4: "rar"}, "line 2: x: unpack is 'rar'"),
        ({4: "zip"}, "line 2: x: a member is named for zip and tar, and only there"),
        ({5: "a"}, "line 2: x: a member is named for zip and tar, and only there"),
        ({6: "tabix"}, "line 2: x: index is 'tabix'"),
    ],
)
def test_a_row_that_cannot_be_meant_is_named(
    tmp_path: Path, changed: dict[int, str], message: str
) -> None:
    row = [changed.get(place, value) for place, value in enumerate(ROW)]
    path = tmp_path / "downloads.tsv"
    path.write_text("\t".join(COLUMNS) + "\n" + "\t".join(row) + "\n")
    with pytest.raises(InputError, match=message):
        read_downloads([path])


def test_names_of_downloads_are_unique_and_known(tmp_path: Path) -> None:
    path = tmp_path / "downloads.tsv"
    path.write_text("\t".join(COLUMNS) + "\n" + "\t".join(ROW) + "\n")
    assert read_downloads([path])["x"].bytes == 5
    with pytest.raises(InputError, match="'x' is there twice"):
        read_downloads([path, path])
    assert chosen_downloads({"a": {"path": "p", "source": "s"}}, ["nowhere.tsv"]) == {}
    with pytest.raises(InputError, match=r"there is no 'xx' in .*; did you mean 'x'"):
        chosen_downloads({"a": {"path": "p", "download": "xx"}}, [path])
    with pytest.raises(InputError, match="cannot be read"):
        read_downloads([tmp_path / "none"])
    path.write_text("name\turl\n")
    with pytest.raises(InputError, match="the header must be name, url, bytes"):
        read_downloads([path])


def test_the_shipped_table_is_whole() -> None:
    """Every row can be read, and says who publishes the file to a user who gets it by hand."""
    rows = read_downloads([REPOSITORY / "resources/downloads.tsv"])
    assert len(rows) >= 20
    for row in rows.values():
        assert row.scheme in ("https", "gs", "s3"), row.name
        assert row.source.startswith(("It is ", "They are ")), row.name
        assert row.source.endswith("."), row.name
    assert sum(bool(row.checksum) for row in rows.values()) >= 19
