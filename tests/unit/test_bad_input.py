"""Whatever a file holds, its reader either understands it or says which file is wrong.

Valid files are damaged in one field, line or byte. A reader may still accept the result; it may
not end with anything but an `InputError` that names the file.
"""

import gzip

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seqtrust import variant_files
from seqtrust.errors import InputError
from seqtrust.genes import read_points
from seqtrust.genome import Genome, SplitRegions
from seqtrust.sources.fine_mapped import Selection, read_effect_tables
from seqtrust.sources.reference import bed_windows
from seqtrust.sources.variant_records import read_vcf
from seqtrust.targets import read_targets

JUNK = ["", "x", "-5", "0", "1e9", "99999", "nan", "chr9", "chr2", ".", "-", "3.5", "a\tb", "²"]

FILES = {
    "points.bed": "chr2\t5\t6\ta\t0.5\t+\nchr2\t8\t20\tb\t.\t-\n",
    "points.gtf": 'chr2\tx\tgene\t5\t9\t.\t-\t.\tgene_id "a";\nchr2\tx\texon\t5\t9\t.\t-\t.\t-\n',
    "points.csv": "a,chr2,12,A,+\nb,chr2,30,B,-\n",
    "windows.bed": "chr2\t5\t60\ta\t0\t+\nchr2\t50\t60\n",
    "splits.bed": "chr2\t0\t50\ttrain\nchr2\t50\t90\ttest\n",
    "targets.tsv": "contig\tstart\tend\ta\nchr2\t0\t8\t1.5\nchr2\t8\t16\t2\n",
    "variants.vcf": "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\nchr2\t5\t.\tA\tC\t.\t.\t.\n",
    "susie.tsv": "variant\tgene\tbeta_marginal\tpip\nchr2_5_A_C\tg\t0.5\t0.95\n",
}
READERS = {
    "points.bed": read_points,
    "points.gtf": read_points,
    "points.csv": read_points,
    "windows.bed": lambda path, genome: bed_windows(genome, path, 10),
    "splits.bed": SplitRegions.from_bed,
    "targets.tsv": read_targets,
    "variants.vcf": lambda path, genome: read_vcf(path, None, None, genome, False),
    "susie.tsv": lambda path, genome: read_effect_tables([path], genome, Selection()),
}


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_files_are_valid_before_they_are_damaged(tmp_path, tiny_genome, name):
    (tmp_path / name).write_text(FILES[name])
    assert READERS[name](tmp_path / name, tiny_genome)


@st.composite
def damages(draw):
    """(file, text) with one field, line or byte changed."""
    name = draw(st.sampled_from(sorted(FILES)))
    lines = FILES[name].splitlines()
    row = draw(st.integers(0, len(lines) - 1))
    separator = "," if name.endswith(".csv") else "\t"
    fields = lines[row].split(separator)
    column = draw(st.integers(0, len(fields) - 1))
    kind = draw(st.sampled_from(["field", "lost", "double", "blank", "cut"]))
    if kind == "field":
        fields[column] = draw(st.sampled_from(JUNK))
    elif kind == "lost":
        del fields[column]
    lines[row] = separator.join(fields)
    if kind == "double":
        lines.insert(row, lines[row])
    elif kind == "blank":
        lines.insert(row, draw(st.sampled_from(["", " ", "\t"])))
    text = "\n".join(lines) + "\n"
    return name, text[: draw(st.integers(0, len(text)))] if kind == "cut" else text


@pytest.mark.slow
@given(damages())
@settings(max_examples=400)
@example(("targets.tsv", "contig\tstart\tend\ta\n"))
@example(("susie.tsv", ""))
def test_a_damaged_file_is_understood_or_refused_by_name(tmp_path_factory, tiny_genome, damage):
    name, text = damage
    path = tmp_path_factory.getbasetemp() / name
    path.write_text(text)
    try:
        READERS[name](path, tiny_genome)
    except InputError as refusal:
        message = str(refusal)
    else:
        return
    assert str(path) in message


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_missing_file_is_refused_by_name(tmp_path, tiny_genome, name):
    with pytest.raises(InputError) as refusal:
        READERS[name](tmp_path / name, tiny_genome)
    assert str(tmp_path / name) in str(refusal.value)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_that_is_not_text_is_refused_by_name(tmp_path, tiny_genome, name):
    (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff\xfe" * 9)
    with pytest.raises(InputError) as refusal:
        READERS[name](tmp_path / name, tiny_genome)
    assert str(tmp_path / name) in str(refusal.value)


@pytest.mark.parametrize("act", [variant_files.compress, variant_files.index])
def test_a_missing_vcf_is_named_before_it_is_packed_or_indexed(tmp_path, act):
    with pytest.raises(InputError, match=r"no VCF at .*absent\.vcf\.gz"):
        act(tmp_path / "absent.vcf.gz", tmp_path / "target")
    assert list(tmp_path.iterdir()) == []


VCF = FILES["variants.vcf"]
UNSORTED = VCF + "chr2\t3\t.\tG\tC\t.\t.\t.\n"


@pytest.mark.parametrize("problem", ["plain", "gzip", "unsorted"])
def test_a_vcf_that_cannot_be_indexed_is_refused_and_left_alone(tmp_path, problem):
    path = tmp_path / "v.vcf.gz"
    if problem == "unsorted":
        (tmp_path / "v.vcf").write_text(UNSORTED)
        variant_files.compress(tmp_path / "v.vcf", path)
        (tmp_path / "v.vcf").unlink()
    else:
        path.write_bytes(VCF.encode() if problem == "plain" else gzip.compress(VCF.encode()))
    before = path.read_bytes()
    with pytest.raises(InputError) as refusal:
        variant_files.index(path, tmp_path / "v.tbi")
    for part in (str(path), "bgzipped and sorted", "bcftools sort"):
        assert part in str(refusal.value)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


def test_a_base_that_is_none_is_named(make_genome):
    genome = make_genome({"c": "ACGT-ACGT"})
    with pytest.raises(InputError, match="'-' at index 4"):
        genome.fetch("c", 0, 9)


def test_a_file_that_is_no_fasta_is_refused_by_name(tmp_path):
    (tmp_path / "g.fa").write_text("ACGT\n")
    (tmp_path / "g.fa.fai").write_text("not an index\n")
    with pytest.raises(InputError, match=r"g\.fa"):
        Genome(tmp_path / "g.fa", "toy")
