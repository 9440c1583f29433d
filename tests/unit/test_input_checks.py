"""The look at all inputs before the first long job: what it finds, and all of it at once."""

import gzip
from pathlib import Path

import pysam
import pytest
import yaml

from seqtrust.config import checked_config, load_schema
from seqtrust.errors import InputError
from seqtrust.input_checks import COLUMNS, problems, usable_inputs
from seqtrust.input_files import InputFile, input_files

REPOSITORY = Path(__file__).parents[2]
SCHEMA = load_schema(REPOSITORY / "config/schemas/config.schema.json")
MEME = "MEME version 4\n\nMOTIF A\nletter-probability matrix: w= 2\n1 0 0 0\n0 1 0 0\n"


def found(file: InputFile) -> str:
    """The one problem of a file; empty if there is none."""
    return "".join(problem for _, problem in problems([file]))


def genome(folder: Path) -> str:
    path = folder / "genome.fa"
    path.write_text(">chr1\nACGT\nACGT\nAC\n>chr2\nTTTT\n")
    pysam.faidx(str(path))
    return str(path)


def files_of(name: str) -> dict[str, InputFile]:
    config = checked_config(yaml.safe_load((REPOSITORY / name).read_text()), SCHEMA)
    return {file.key: file for file in input_files(config, SCHEMA)}


def test_files_of_the_toy_are_found_and_have_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    files = files_of("config/config.yaml")
    assert {file.kind for file in files.values()} >= {
        "fasta", "variants", "points", "bed", "tsv", "people", "meme", "signal", "json"
    }  # fmt: skip
    assert len({file.path for file in files.values()}) > 15
    rows = usable_inputs(list(files.values()))
    assert len(rows) == len(files)
    assert len(rows[0]) == len(COLUMNS)


def test_a_file_is_looked_at_with_what_stands_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    files = {file.kind: file for file in files_of("config/config.yaml").values()}
    assert files["people"].beside == ("resources/toy/variants.vcf",)
    assert files["variants"].contigs_of == "resources/toy/genome.fa"
    for file in files.values():
        assert InputFile.from_dict(file.as_dict()) == file


@pytest.mark.parametrize(
    "name", sorted(path.name for path in (REPOSITORY / "config").glob("*.yaml"))
)
def test_every_path_of_the_shipped_configs_is_found(name: str) -> None:
    """What begins with {data} or resources/ anywhere in a config is an input of it."""

    def paths(value: object) -> set[str]:
        if isinstance(value, str):
            return {value} if value.startswith(("{data}/", "resources/", "config/")) else set()
        if isinstance(value, dict | list):
            inner = value.values() if isinstance(value, dict) else value
            return {path for one in inner for path in paths(one)}
        return set()

    given = yaml.safe_load((REPOSITORY / "config" / name).read_text())
    wanted = paths({key: part for key, part in given.items() if key not in ("data", "downloads")})
    config = checked_config(given, SCHEMA)
    known = {file.path for file in input_files(config, SCHEMA)}
    assert {path.replace("{data}", config["data"]) for path in wanted} <= known


def test_keys_of_files_are_marked_in_the_schema() -> None:
    """A key whose description speaks of a file has the kind of file, so that it is looked at."""
    unmarked = []

    def walk(node: object, key: str) -> None:
        if isinstance(node, dict):
            words = node.get("description", "")
            if isinstance(words, str) and words.startswith(
                ("MEME file", "TSV ", "BED ", "path", "bigWig", "JSON ")
            ):
                marked = "file" in node or node.get("type") not in ("string", None)
                if not marked and key not in ("external/path",):
                    unmarked.append(f"{key}: {words}")
            for name, inner in node.items():
                walk(inner, f"{key}/{name}" if name not in ("properties", "$defs") else key)

    walk(SCHEMA, "")
    assert unmarked == []


def test_everything_is_listed_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty.bed").touch()
    files = [
        InputFile("a/b", str(tmp_path / "none.tsv"), "tsv"),
        InputFile("c/d", str(tmp_path / "empty.bed"), "bed"),
        InputFile("e", str(tmp_path / "hg38.fa"), "fasta"),
    ]
    with pytest.raises(InputError) as caught:
        usable_inputs(files, {str(tmp_path / "hg38.fa"): "Get it at the rainbow."})
    message = str(caught.value)
    assert message.startswith("3 of 3 inputs cannot be used:")
    assert f"- a/b: {tmp_path}/none.tsv is missing." in message
    assert "- c/d: " in message
    assert "is empty" in message
    assert f"- e: {tmp_path}/hg38.fa is missing. Get it at the rainbow." in message
    assert "--config check_inputs=false" in message
    good = tmp_path / "good.bed"
    good.write_text("chr1\t0\t5\n")
    warned: list[str] = []
    files.append(InputFile("f", str(good), "bed"))
    rows = usable_inputs(files, refuse=False, warn=warned.append)
    assert rows == [("f", str(good), "bed", 9, "")]
    assert [line.split(":")[0] for line in warned] == ["a/b", "c/d", "e"]


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
BGZF = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0"


@pytest.mark.parametrize(
    ("kind", "name", "content", "message"),
    [
        ("any", "x", LFS, "is a pointer of Git LFS"),
        ("weights", "x.h5", b"\n<!DOCTYPE html><html>", "is a web page"),
        ("tsv", "x.tsv.gz", b"a\tb\n", "is not compressed with gzip, as its name says"),
        ("fasta", "x.fa", b">a\nAC\n", "has no index .fai: make it with samtools faidx"),
        ("fasta", "x.fa.gz", gzip.compress(b">a\nAC\n", mtime=0), "cannot be indexed: unpack it"),
        ("variants", "x.vcf.gz", gzip.compress(b"##", mtime=0), "try bcftools view -Oz"),
        ("variants", "x.vcf.gz", BGZF + b"cut", "lacks the end mark of BGZF: it was cut short"),
        ("variants", "x.vcf", b"no header\n", "cannot be opened as VCF or BCF"),
        ("bed", "x.bed", b"chr1 1 5\n", "line 1: expected contig, start and end"),
        ("bed", "x.bed", b"#c\nchr1\t9\t5\n", "line 2: the start is beyond the end"),
        ("bed", "x.bed", b"#only a comment\n", "has no row"),
        ("points", "x.gtf", b"chr1\tgene\n", "line 1: 2 columns by tabs; a .gtf has 9"),
        ("tsv", "x.tsv", b"a,b\n1,2\n", "lacks the columns a, b, separated by tabs"),
        ("tsv", "x.tsv", b"a\tb\n", "has a header and no row"),
        ("meme", "x.meme", b"JASPAR\n", "is not a MEME file"),
        ("meme", "x.meme", MEME.encode(), "has no motif 'B'"),
        ("signal", "x.bw", b"track type=bedGraph", "is no bigWig"),
        ("signal", "x.bedgraph", b"chr1\t1\t2\n", "line 1: a bedGraph has four columns"),
        ("weights", "x.hdf5", b"PK\x03\x04", "is not HDF5, as its name says"),
        ("weights", "x.safetensors", b"\x80\x02}q\0.", "is not a safetensors file"),
        ("weights", "x.pth", b"PK\x03\x04 cut", "was cut short"),
        ("json", "x.json", b"{", "is not JSON"),
        ("folder", "x", b"x", "is not a folder"),
        ("tsv", "x.tsv", b"\xff\xfe\0a", "cannot be read"),
    ],
)
def test_a_bad_file_is_named_with_the_cure(
    tmp_path: Path, kind: str, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    columns = ("a", "b") if kind == "tsv" else ()
    names = ("B",) if kind == "meme" else ()
    problem = found(InputFile("key", str(path), kind, columns=columns, names=names))
    assert message in problem
    assert str(path) in problem


@pytest.mark.parametrize(
    ("kind", "name", "content"),
    [
        ("bed", "x.bed", b"track name=x\nchr1\t0\t5\tname\n2\t0\t1\n"),
        ("points", "x.csv", b"gene,chr1,5,name,+\n"),
        ("tsv", "x.tsv.gz", gzip.compress(b"b\ta\n1\t2\n", mtime=0)),
        ("meme", "x.meme", MEME.encode()),
        ("signal", "x.bw", b"\x26\xfc\x8f\x88rest"),
        ("signal", "x.bedgraph", b"chr1\t1\t2\t0.5\n"),
        ("weights", "x.h5", b"\x89HDF\r\n"),
        ("weights", "x.safetensors", (2).to_bytes(8, "little") + b"{}"),
    ],
)
def test_a_good_file_has_no_problem(tmp_path: Path, kind: str, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    file = InputFile("key", str(path), kind, contigs_of=genome(tmp_path))
    assert found(file) == ""


def test_a_genome_that_was_cut_short_is_found(tmp_path: Path) -> None:
    path = genome(tmp_path)
    assert found(InputFile("k", path, "fasta")) == ""
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[:-1])
    assert found(InputFile("k", path, "fasta")) == "", "the last line needs no end"
    Path(path).write_bytes(whole[:-3])
    assert "ends before its contig chr2 does" in found(InputFile("k", path, "fasta"))


def test_contigs_are_compared_with_the_assembly(tmp_path: Path) -> None:
    """Any unknown contig of a BED is a fault; a VCF or GTF may have more than the assembly."""
    fasta = genome(tmp_path)
    bed, vcf = tmp_path / "x.bed", tmp_path / "x.vcf"
    bed.write_text("1\t0\t5\nchr9\t0\t5\n")
    assert "has no contig '9' or 'chr9'" in found(InputFile("k", str(bed), "bed", contigs_of=fasta))
    head = "##fileformat=VCFv4.2\n"
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    vcf.write_text(f"{head}##contig=<ID=8>\n##contig=<ID=2>\n{columns}")
    assert found(InputFile("k", str(vcf), "variants", contigs_of=fasta)) == ""
    vcf.write_text(f"{head}##contig=<ID=8>\n##contig=<ID=9>\n{columns}")
    assert "has no contig '8'" in found(InputFile("k", str(vcf), "variants", contigs_of=fasta))


def test_people_must_be_in_the_genotypes_and_are_not_named(tmp_path: Path) -> None:
    vcf, people = tmp_path / "x.vcf", tmp_path / "people.txt"
    vcf.write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tAnn\tBob\n"
    )
    file = InputFile("k", str(people), "people", beside=(str(vcf),))
    people.write_text("Bob\nAnn\n")
    assert found(file) == ""
    people.write_text("Bob\nCarla\nDan\n")
    assert f"2 of 3 people are not in {vcf}; the first is number 2" in found(file)
    assert not {"Ann", "Bob", "Carla", "Dan"} & set(found(file).replace(";", " ").split())


@pytest.mark.parametrize("keys", [{}, {"download": "hg38", "source": "Ask."}])
def test_an_external_file_is_fetched_or_asked_for(keys: dict[str, str]) -> None:
    config = {"run": "x", "seed": 1, "assemblies": {}, "sequence_sets": {}, "ensembles": {}}
    entry = {"x": {"path": "x.fa"} | keys}
    with pytest.raises(InputError, match="external/x: expected exactly one of download, source"):
        checked_config(config | {"external": entry}, SCHEMA)
