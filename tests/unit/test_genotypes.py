"""Reading genotypes: every fast path against a plain reading, regions, and refused files."""

import numpy as np
import pysam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrust.errors import InputError
from seqtrust.genotype_files import open_genotypes
from seqtrust.genotypes import (
    ABSENT,
    MISSING,
    UNKNOWN,
    Calls,
    GenotypeFile,
    parse_calls,
)
from seqtrust.variant_files import index

HEADER = (
    "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=100000>\n##contig=<ID=chr2,length=100000>\n"
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t"
)


def write_vcf(folder, rows, names=("s0", "s1", "s2"), name="calls.vcf.gz", header=HEADER):
    """Rows are (contig, position from 1, REF, ALT, FORMAT, calls); the index lies elsewhere."""
    text = "".join(
        f"{contig}\t{position}\t.\t{ref}\t{alt}\t.\t.\t.\t{form}\t" + "\t".join(calls) + "\n"
        for contig, position, ref, alt, form, calls in rows
    )
    plain, path = folder / "calls.vcf", folder / name
    plain.write_text(header + "\t".join(names) + "\n" + text)
    if path.suffix == ".bcf":
        source = pysam.VariantFile(str(plain))
        with source, pysam.VariantFile(str(path), "wb", header=source.header) as target:
            for record in source:
                target.write(record)
    else:
        pysam.tabix_compress(str(plain), str(path), force=True)
    (folder / "indices").mkdir(exist_ok=True)
    index(path, folder / "indices" / "calls.idx")
    return path, folder / "indices" / "calls.idx"


def plainly(field):
    """(first, second, phased) of one call, read letter by letter."""
    genotype = field.split(":")[0].lstrip("|/")
    numbers = [MISSING if a == "." else int(a) for a in genotype.replace("/", "|").split("|")]
    if len(numbers) == 1:
        return numbers[0], UNKNOWN if numbers[0] == MISSING else ABSENT, True
    return *numbers, "/" not in genotype


ALLELES = st.sampled_from(["0", "1", "2", "."])
REGULAR = st.tuples(st.sampled_from("019"), st.sampled_from("019")).map("|".join)
PAIRS = st.tuples(ALLELES, st.sampled_from("|/"), ALLELES).map("".join)
WIDE = st.sampled_from(["10|0", "0/12", "126", "|0|1", "/1/1"])
SUFFIXES = st.sampled_from(["", ":7", ":1|1,2", ":."])
CALLS = st.one_of(REGULAR, PAIRS, ALLELES, WIDE)


@st.composite
def records(draw):
    samples = draw(st.integers(1, 5))
    kinds = [REGULAR, PAIRS, st.one_of(PAIRS, ALLELES), CALLS]
    texts = []
    for _ in range(draw(st.integers(0, 6))):
        kind, suffix = draw(st.sampled_from(kinds)), draw(SUFFIXES)
        calls = draw(st.lists(kind, min_size=samples, max_size=samples))
        texts.append("\t".join(call + suffix for call in calls))
    chosen = draw(st.sets(st.integers(0, samples - 1), min_size=1))
    return samples, texts, sorted(chosen)


@given(records(), st.booleans())
@settings(max_examples=300)
def test_calls_are_read_as_they_stand(drawn, subset):
    samples, texts, chosen = drawn
    columns = np.array(chosen) if subset else None
    chosen = chosen if subset else range(samples)
    alleles, phased, regular = parse_calls(texts, samples, columns, ["?"] * len(texts))
    expected = [[plainly(text.split("\t")[c]) for c in chosen] for text in texts]
    for row, calls in enumerate(expected):
        assert alleles[row].tolist() == [allele for call in calls for allele in call[:2]]
        assert phased[row].tolist() == [call[2] for call in calls]
        whole = all(min(call[:2]) >= 0 and call[2] for call in calls)
        assert regular[row] == whole


@pytest.mark.parametrize(
    ("call", "missing", "unphased"),
    [
        ("0|1", False, False),
        ("0/1", False, True),
        ("1/1", False, False),
        ("0/0", False, False),
        ("./.", True, False),
        ("0/.", True, False),
        ("1/.", True, True),
        ("1|.", True, False),
        (".", True, False),
        ("1", False, False),
        ("1/2", False, True),
    ],
)
def test_which_calls_are_missing_and_which_unphased(call, missing, unphased):
    alleles, phased, regular = parse_calls([call], 1, None, ["?"])
    one, none = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=object)
    calls = Calls(one, one, none, none, alleles, phased, regular)
    assert calls.missing().tolist() == [[missing]]
    assert calls.unphased().tolist() == [[unphased]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0|1|1\t0|0\t0|0", r"here, column 10: genotype '0\|1\|1' has 3 alleles"),
        ("0|0\t0|x\t0|0", r"column 11: genotype '0\|x' cannot be read; expected calls like 0\|1"),
        ("0|0\t0|0\t0|127", "column 12: .* more than 126 ALT alleles are not supported"),
        ("0|0\t0|0", "here: 2 columns of samples, but the header names 3"),
    ],
)
def test_calls_that_cannot_be_read_are_named(text, message):
    with pytest.raises(InputError, match=message):
        parse_calls(["0|0\t0|0\t0|0", text], 3, None, ["there", "here"])


def test_an_allele_beyond_alt_is_refused(tmp_path):
    path, idx = write_vcf(tmp_path, [("chr1", 9, "A", "C,G", "GT", ["0|2", "0|3", "0|0"])])
    with pytest.raises(InputError, match=r"chr1:9 A>C,G: a call has allele 3, but .* only 2 ALT"):
        GenotypeFile(path, idx).fetch("chr1", 0, 20)


def test_a_record_without_gt_says_nothing(tmp_path):
    path, idx = write_vcf(tmp_path, [("chr1", 9, "A", "C", "DP", ["1", "2", "3"])])
    calls = GenotypeFile(path, idx).fetch("chr1", 0, 20)
    assert calls.missing().all()


class Many(tuple):
    """Records and files; short when a failing example is shown."""

    def __repr__(self):
        return "many"


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """600 records with REF of 1 to 40 bases on one contig, and a few on another."""
    rng = np.random.default_rng(3)
    positions = np.sort(rng.integers(1, 5000, 600))
    rows = [
        ("chr1", int(p), "A" * int(rng.choice([1, 1, 1, 3, 40])), "C", "GT", draw_calls(rng))
        for p in positions
    ]
    rows += [("chr2", 10, "A", "C", "GT", draw_calls(rng))]
    folders = [tmp_path_factory.mktemp(kind) for kind in ("vcf", "bcf")]
    files = [
        write_vcf(folder, rows, name=name)
        for folder, name in zip(folders, ("calls.vcf.gz", "calls.bcf"), strict=True)
    ]
    return Many((rows, files))


def draw_calls(rng):
    return ["|".join(map(str, pair)) for pair in rng.integers(0, 2, (3, 2))]


@pytest.mark.parametrize("kind", [0, 1], ids=["vcf", "bcf"])
@pytest.mark.parametrize("slack", [0, 70])
@given(st.lists(st.tuples(st.integers(-5, 5100), st.integers(1, 900)), min_size=1, max_size=6))
@settings(max_examples=40)
def test_regions_do_not_depend_on_what_was_read_before(many, kind, slack, spans):
    rows, files = many
    opened = GenotypeFile(*files[kind])
    for start, width in spans:
        found = opened.fetch("chr1", start, start + width, slack)
        expected = [
            row
            for row in rows
            if row[0] == "chr1" and row[1] - 1 < start + width and row[1] - 1 + len(row[2]) > start
        ]
        assert found.positions.tolist() == [row[1] - 1 for row in expected]
        assert found.refs.tolist() == [row[2] for row in expected]
        texts = ["\t".join(row[5]) for row in expected]
        assert np.array_equal(found.alleles, parse_calls(texts, 3, None, texts)[0].reshape(-1, 6))


def test_contigs_are_found_under_either_spelling(many):
    opened = GenotypeFile(*many[1][0])
    assert opened.contig("1") == "chr1"
    assert len(opened.fetch("chr2", 0, 100)) == 1
    with pytest.raises(InputError, match=r"calls.vcf.gz has no contig '7' or 'chr7'"):
        opened.contig("7")


def test_a_csi_index_serves_as_well(many, tmp_path):
    path = many[1][0][0]
    pysam.tabix_index(
        str(path), preset="vcf", csi=True, index=str(tmp_path / "x.csi"), keep_original=True
    )
    found = GenotypeFile(path, tmp_path / "x.csi").fetch("chr1", 0, 6000)
    assert len(found) == 600


def test_chosen_samples_come_in_the_order_of_the_file(many, tmp_path):
    path, idx = many[1][0]
    listed = tmp_path / "samples.txt"
    listed.write_text("s2\n\ns0\n")
    for samples in (["s2", "s0"], listed, str(listed)):
        opened = GenotypeFile(path, idx, samples)
        assert opened.names == ["s0", "s2"]
        assert opened.column(1) == 12
        everyone = GenotypeFile(path, idx).fetch("chr1", 0, 6000).alleles
        assert np.array_equal(opened.fetch("chr1", 0, 6000).alleles, everyone[:, [0, 1, 4, 5]])


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (["s0", "S1"], "the list of samples, entry 2: .* has no such sample among its 3$"),
        (["somebody"], "the list of samples, entry 1: .* has no such sample among its 3$"),
        (["s0", "s1", "s0"], "entry 3 repeats the sample of entry 1"),
        ([], "names no sample"),
        ("nowhere.txt", "there is no list of samples at nowhere.txt"),
    ],
)
def test_wrong_lists_of_samples_are_refused(many, samples, message):
    with pytest.raises(InputError, match=message):
        GenotypeFile(*many[1][0], samples)


def test_a_name_twice_in_the_header_is_refused_by_its_columns(tmp_path):
    row = ("chr1", 9, "A", "C", "GT", ["0|0"] * 3)
    path, idx = write_vcf(tmp_path, [row], names=("a", "b", "a"))
    with pytest.raises(InputError, match="columns 10 and 12 of the header name the same sample"):
        GenotypeFile(path, idx)


def test_a_file_without_genotypes_is_refused(tmp_path):
    plain = tmp_path / "sites.vcf"
    plain.write_text(HEADER.replace("\tFORMAT\t", "\n") + "chr1\t9\t.\tA\tC\t.\t.\t.\n")
    pysam.tabix_compress(str(plain), str(tmp_path / "sites.vcf.gz"))
    index(tmp_path / "sites.vcf.gz", tmp_path / "x.tbi")
    with pytest.raises(InputError, match="has no genotypes: its header names no sample"):
        GenotypeFile(tmp_path / "sites.vcf.gz", tmp_path / "x.tbi")


def test_missing_files_and_indices_are_named(many, tmp_path):
    path, _ = many[1][0]
    with pytest.raises(InputError, match="there is no VCF or BCF at"):
        GenotypeFile(tmp_path / "none.vcf.gz", tmp_path / "x.tbi")
    with pytest.raises(InputError, match=r"there is no index at .*x\.tbi; make it with"):
        GenotypeFile(path, tmp_path / "x.tbi")
    (tmp_path / "x.tbi").write_text("no index")
    for kind in (0, 1):
        with pytest.raises(InputError, match="cannot be opened with the index"):
            GenotypeFile(many[1][kind][0], tmp_path / "x.tbi")


ROWS = [
    ("chr1", 100, "A", "C", "GT", ["0|1", "1|1", "0|0"]),
    ("chr2", 100, "G", "T", "GT", ["1|0", "0|0", "0|1"]),
    ("chr2", 500, "GA", "G", "GT", ["1|1", "0|0", "0|1"]),
]


def parts(folder, names=("s0", "s1", "s2"), rows=None, suffix=".vcf.gz"):
    """One file per contig, each in a folder of its own."""
    made = []
    for contig in ("chr1", "chr2"):
        place = folder / contig
        place.mkdir()
        mine = [row for row in ROWS if row[0] == contig] if rows is None else rows
        header = names if contig == "chr2" else ("s0", "s1", "s2")
        made.append(write_vcf(place, mine, header, f"calls{suffix}"))
    return [path for path, _ in made], [made_index for _, made_index in made]


@pytest.mark.parametrize("suffix", [".vcf.gz", ".bcf"])
def test_several_files_are_read_as_one(tmp_path, suffix):
    paths, indices = parts(tmp_path, suffix=suffix)
    whole = GenotypeFile(*write_vcf(tmp_path, ROWS), ["s2", "s0"])
    several = open_genotypes(paths, indices, ["s2", "s0"])
    assert several.names == whole.names == ["s0", "s2"]
    assert several.column(1) == whole.column(1) == 12
    assert several.contig("2") == "chr2"
    for contig in ("chr1", "chr2"):
        found, expected = (one.fetch(contig, 0, 1000) for one in (several, whole))
        assert found.positions.tolist() == expected.positions.tolist()
        assert (found.alleles == expected.alleles).all()
        assert several.path.parent.name == contig
    assert isinstance(open_genotypes(paths[:1], indices[:1]), GenotypeFile)
    with pytest.raises(InputError, match=r"calls.* and 1 more has no contig 'X' or 'chrX'"):
        several.contig("X")


def test_files_of_other_people_or_of_one_contig_are_refused(tmp_path):
    for name, change in (("people", {"names": ("s0", "s2", "s1")}), ("contigs", {"rows": ROWS})):
        (tmp_path / name).mkdir()
        message = {
            "people": "has other samples than .*chr1.*calls.vcf.gz, or in another order",
            "contigs": "contig 'chr1' is in .* and in .*: leave one of them out",
        }[name]
        with pytest.raises(InputError, match=message):
            open_genotypes(*parts(tmp_path / name, **change))
