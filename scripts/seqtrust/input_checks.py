"""Look at all inputs before the first long job: heads, sizes and magic numbers, never all bytes.

A problem names what is wrong and what to do; it never holds a person's name or a genotype.
"""

import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from seqtrust.downloads.fetch import lock_path
from seqtrust.errors import InputError, first_line
from seqtrust.files import numbered_lines
from seqtrust.genome import resolve_contig
from seqtrust.input_files import InputFile
from seqtrust.motifs import choose_motifs, read_meme

ROWS = 1000
COLUMNS = ["key", "path", "kind", "bytes", "sha256"]
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_BIGWIG = (b"\x26\xfc\x8f\x88", b"\x88\x8f\xfc\x26")
_POINT_COLUMNS = {".gtf": 9, ".bed": 6}


def problems(
    files: Iterable[InputFile], missing: Mapping[str, str] | None = None
) -> Iterator[tuple[InputFile, str]]:
    """Everything that is wrong with a run's inputs.

    Args:
        files: the inputs.
        missing: what to say of files that are known to be missing, by their paths.
    """
    missing = missing or {}
    for file in files:
        if file.path in missing or not Path(file.path).exists():
            yield file, f"{file.path} is missing. {missing.get(file.path, '')}".rstrip()
            continue
        try:
            _check(file)
        except InputError as error:
            yield file, str(error)
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            yield file, f"{file.path} cannot be read ({first_line(error)})"


def usable_inputs(
    files: Sequence[InputFile],
    missing: Mapping[str, str] | None = None,
    refuse: bool = True,
    warn: Callable[[str], None] = lambda text: None,
) -> list[tuple[str, str, str, int, str]]:
    """Look at all inputs; a row of `COLUMNS` for each, the SHA-256 only of what was fetched.

    Args:
        files: the inputs.
        missing: what to say of files that are known to be missing, by their paths.
        refuse: whether a problem is an error; if not, the file has no row.
        warn: gets every problem that is no error.

    Raises:
        InputError: something is wrong; the message lists everything.
    """
    found = list(problems(files, missing))
    if found and refuse:
        listed = "".join(f"\n  - {file.key}: {problem}" for file, problem in found)
        raise InputError(
            f"{len(found)} of {len(files)} inputs cannot be used:{listed}\n"
            "For targets that need only some of the inputs: --config check_inputs=false"
        )
    for file, problem in found:
        warn(f"{file.key}: {problem}")
    unusable = [file for file, _ in found]
    return [
        (file.key, file.path, file.kind, Path(file.path).stat().st_size, _fetched(file.path))
        for file in files
        if file not in unusable
    ]


def _fetched(path: str) -> str:
    """The SHA-256 that a download of the file had, if it is one."""
    try:
        return json.loads(lock_path(path).read_text())["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _check(file: InputFile) -> None:
    path = Path(file.path)
    if file.kind == "folder":
        if not path.is_dir() or not any(path.iterdir()):
            raise InputError(f"{path} is not a folder, or is empty")
        return
    if not path.is_file():
        raise InputError(f"{path} is not a file")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} must not be read by this user: see ls -l {path}")
    head = path.open("rb").read(512)
    if not head:
        raise InputError(f"{path} is empty")
    if head.startswith(b"version https://git-lfs"):
        raise InputError(f"{path} is a pointer of Git LFS, not the file: run git lfs pull there")
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        raise InputError(f"{path} is a web page: what was saved is not the file itself")
    if path.suffix in (".gz", ".bgz") and not head.startswith(b"\x1f\x8b"):
        raise InputError(f"{path} is not compressed with gzip, as its name says")
    _KINDS.get(file.kind, lambda file, head: None)(file, head)


def _fasta(file: InputFile, head: bytes) -> None:
    zipped = file.path.endswith((".gz", ".bgz"))
    if zipped and head[12:14] != b"BC":
        raise InputError(
            f"{file.path} is compressed with gzip, which cannot be indexed: unpack it, compress it "
            f"with bgzip, then samtools faidx {file.path}"
        )
    for suffix in (".fai", ".gzi") if zipped else (".fai",):
        if not Path(f"{file.path}{suffix}").exists():
            raise InputError(
                f"{file.path} has no index {suffix}: make it with samtools faidx {file.path}"
            )
    if zipped:
        _end_of_bgzf(file.path)
        return
    size = Path(file.path).stat().st_size
    for number, line in numbered_lines(f"{file.path}.fai"):
        fields = line.split("\t")
        try:
            length, offset, bases, width = map(int, fields[1:5])
            end = offset + (length // bases * width + length % bases if bases else 0)
        except ValueError:
            raise InputError(f"{file.path}.fai, line {number}: not a line of an index") from None
        if end > size + width - bases:
            raise InputError(
                f"{file.path} ends before its contig {fields[0]} does: it was cut short, or its "
                f"index is of another file: samtools faidx {file.path}"
            )


def _variants(file: InputFile, head: bytes) -> None:
    if file.path.endswith((".gz", ".bcf")):
        if head[12:14] != b"BC":
            raise InputError(
                f"{file.path} is compressed with gzip, which cannot be indexed: "
                f"try bcftools view -Oz -o new.vcf.gz {file.path}"
            )
        _end_of_bgzf(file.path)
    contigs, _ = _header(file.path)
    if contigs:
        _known_contigs(file, contigs, every=False)


def _header(path: str) -> tuple[list[str], list[str]]:
    """Contigs and people of a VCF or BCF."""
    import pysam

    # htslib would warn of a missing index, which the workflow makes itself
    before = pysam.set_verbosity(0)
    try:
        with pysam.VariantFile(path) as variants:
            contigs = [str(name) for name in variants.header.contigs]
            return contigs, list(variants.header.samples)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be opened as VCF or BCF ({first_line(error)})") from None
    finally:
        pysam.set_verbosity(before)


def _end_of_bgzf(path: str) -> None:
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - len(_BGZF_END)))
        if file.read() != _BGZF_END:
            raise InputError(f"{path} lacks the end mark of BGZF: it was cut short; get it again")


def _bed(file: InputFile, head: bytes) -> None:
    contigs = []
    for number, fields in _rows(file.path):
        if fields[0].split(" ")[0] in ("track", "browser"):
            continue
        if len(fields) < 3 or not (fields[1].isdigit() and fields[2].isdigit()):
            raise InputError(
                f"{file.path}, line {number}: expected contig, start and end, separated by tabs"
            )
        if int(fields[1]) > int(fields[2]):
            raise InputError(f"{file.path}, line {number}: the start is beyond the end")
        contigs.append(fields[0])
    _known_contigs(file, contigs, every=True)


def _points(file: InputFile, head: bytes) -> None:
    suffix = Path(file.path.removesuffix(".gz")).suffix
    expected = _POINT_COLUMNS.get(suffix, 0)
    contigs = []
    for number, fields in _rows(file.path):
        if len(fields) < expected:
            raise InputError(
                f"{file.path}, line {number}: {len(fields)} columns by tabs; "
                f"a {suffix} has {expected}"
            )
        contigs.append(fields[0])
    if expected:
        _known_contigs(file, contigs, every=False)


def _table(file: InputFile, head: bytes) -> None:
    rows = islice(_rows(file.path, comments=False), 2)
    _, header = next(rows, (0, []))
    lacking = [column for column in file.columns if column not in header]
    if lacking:
        raise InputError(
            f"{file.path} lacks the columns {', '.join(lacking)}, separated by tabs; "
            f"it has {len(header)} columns, the first is {header[0]!r}"
        )
    if next(rows, None) is None:
        raise InputError(f"{file.path} has a header and no row")


def _people(file: InputFile, head: bytes) -> None:
    wanted = [fields[0].strip() for _, fields in _rows(file.path, limit=None)]
    for path in file.beside:
        if Path(path).exists():
            known = set(_header(path)[1])
            unknown = [number for number, name in enumerate(wanted, start=1) if name not in known]
            if unknown:
                raise InputError(
                    f"{file.path}: {len(unknown)} of {len(wanted)} people are not in {path}; "
                    f"the first is number {unknown[0]}"
                )


def _meme(file: InputFile, head: bytes) -> None:
    choose_motifs(read_meme(file.path), file.names, file.path)


def _signal(file: InputFile, head: bytes) -> None:
    if file.path.lower().endswith((".bw", ".bigwig")):
        if head[:4] not in _BIGWIG:
            raise InputError(f"{file.path} is no bigWig: it does not begin like one")
        return
    for number, fields in _rows(file.path):
        if fields[0].split(" ")[0] not in ("track", "browser") and len(fields) != 4:
            raise InputError(f"{file.path}, line {number}: a bedGraph has four columns by tabs")


def _weights(file: InputFile, head: bytes) -> None:
    suffix = Path(file.path).suffix
    if suffix in (".h5", ".hdf5") and not head.startswith(b"\x89HDF"):
        raise InputError(f"{file.path} is not HDF5, as its name says")
    if suffix == ".safetensors":
        size = Path(file.path).stat().st_size
        if head[8:9] != b"{" or 8 + int.from_bytes(head[:8], "little") > size:
            raise InputError(f"{file.path} is not a safetensors file, as its name says")
    if head.startswith(b"PK") and not zipfile.is_zipfile(file.path):
        raise InputError(f"{file.path} was cut short; get it again")


def _json(file: InputFile, head: bytes) -> None:
    try:
        json.loads(Path(file.path).read_text())
    except ValueError as error:
        raise InputError(f"{file.path} is not JSON ({error})") from None


def _rows(
    path: str, comments: bool = True, limit: int | None = ROWS
) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and fields of the first rows of a text file."""
    lines = ((number, line) for number, line in numbered_lines(path) if line.strip())
    kept = (row for row in lines if not comments or not row[1].startswith("#"))
    found = False
    for number, line in islice(kept, limit):
        found = True
        yield number, line.split("\t")
    if not found:
        raise InputError(f"{path} has no row")


def _known_contigs(file: InputFile, contigs: Iterable[str], every: bool) -> None:
    """Refuse names of contigs that the assembly lacks: all of them, or any of them."""
    index = Path(f"{file.contigs_of}.fai")
    if not file.contigs_of or not index.exists():
        return
    known = {line.split("\t")[0] for _, line in numbered_lines(index)}
    faults = []
    for contig in dict.fromkeys(contigs):
        try:
            resolve_contig(contig, known, file.contigs_of)
        except InputError as error:
            faults.append(f"{file.path}: {error}")
            if every:
                raise InputError(faults[0]) from None
        else:
            if not every:
                return
    if faults:
        raise InputError(faults[0])


_KINDS: dict[str, Callable[[InputFile, bytes], None]] = {
    "fasta": _fasta,
    "variants": _variants,
    "bed": _bed,
    "points": _points,
    "tsv": _table,
    "people": _people,
    "meme": _meme,
    "signal": _signal,
    "weights": _weights,
    "json": _json,
}
