"""Haplotypes against `bcftools consensus`, on random VCFs and on a real locus.

Random records hold SNVs, MNVs, insertions, deletions, complex and multi-allelic alleles, `*`,
symbolic alleles, duplicates and overlaps; calls are phased, haploid, missing, half-missing and
unphased but homozygous. Whole contigs are compared with the anchor far from their ends, then
windows are cut from bcftools' bases at the anchor.

Where the two differ on purpose, so that the oracle gets another VCF or another rule:

- `*` and symbolic alleles are set to REF in bcftools' copy: bcftools 1.16 writes a literal `*`
  where no deletion was applied before, and applies `<DEL>`; we do neither.
- Overlaps. Both keep the first record. bcftools compares whole REF strings: a record that starts
  at or before the last base of the REF applied last is skipped, unless it starts at exactly that
  base, is a pure insertion or deletion behind it, and the record applied last was no insertion. We
  compare what is left after the shared prefix is trimmed, so we also keep an SNV after an insertion
  behind the same base, a deletion after one, and a complex change behind a replaced base.
  `kept_by_bcftools` is that rule; the test shows that it explains bcftools' output on every
  haplotype, and that ours is bcftools' wherever both rules keep the same records.
- The second haplotype of a haploid sample does not exist here; bcftools writes the reference.
- Unphased heterozygous calls are left to the rules in `test_haplotypes.py`; bcftools takes them
  as if they were phased.
"""

import csv
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twins import carried_edits, kept_by_us, records, vcf_of, written_sequences

from seqtrust import bases
from seqtrust.edits import apply_edits, edited_anchor, sorted_disjoint
from seqtrust.genome import Genome, Window
from seqtrust.genotypes import GenotypeFile
from seqtrust.sources.haplotype_rules import HaplotypeRules
from seqtrust.sources.reference import tss_windows
from seqtrust.variant_files import index

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("bcftools", "samtools"))),
    reason="bcftools and samtools are not on PATH",
)

SIZE, FIRST, LAST = 420, 110, 310
SAMPLES = 8
LENGTH = 81


def for_bcftools(rows):
    """The records with `*` and symbolic alleles set to REF in the calls, and left out of ALT."""
    found = []
    for position, ref, alts, calls in rows:
        plain = [alt for alt in alts if alt[0] not in "*<"]
        numbers = {"0": "0", ".": "."}
        for number, alt in enumerate(alts, start=1):
            numbers[str(number)] = str(plain.index(alt) + 1) if alt in plain else "0"
        if plain:
            again = ["".join(numbers.get(letter, letter) for letter in call) for call in calls]
            found.append((position, ref, plain, again))
    return found


def kept_by_bcftools(carried):
    """The edits that bcftools 1.16 keeps, by whole REF strings."""
    kept = []
    frozen, after_insertion = -1, False
    for position, ref, alt, edit in carried:
        growth = len(alt) - len(ref)
        if position <= frozen:
            indel = growth and (alt.startswith(ref) or ref.startswith(alt))
            joins = position == frozen and indel and not after_insertion
            if not joins:
                continue
        kept.append(edit)
        frozen, after_insertion = position + len(ref) - 1, growth > 0
    return kept


def consensus(fasta, vcf, sample, haplotype, *options):
    command = ["bcftools", "consensus", "-f", fasta, "-s", sample, "-H", str(haplotype + 1)]
    done = subprocess.run(
        [*map(str, command), *map(str, options), str(vcf)], capture_output=True, check=True
    )
    return "".join(done.stdout.decode().split("\n")[1:])


@pytest.fixture(scope="module")
def contig(make_genome) -> tuple[str, Genome]:
    rng = np.random.default_rng(5)
    sequence = "".join(rng.choice(list("ACGT"), SIZE))
    return sequence, make_genome({"c": sequence})


def test_random_haplotypes_are_those_of_bcftools(contig, tmp_path_factory):
    """Also that half of all haplotypes or more carry records on which both rules agree."""
    sequence, genome = contig
    folder = tmp_path_factory.mktemp("oracle")
    codes = bases.encode(sequence)
    # tabix knows only contigs with records
    outside = (5, sequence[5], ["AC"[sequence[5] == "A"]], ["0"] * SAMPLES)
    agreeing = []

    @given(
        records(sequence, FIRST, LAST, SAMPLES),
        st.integers(FIRST + 60, LAST - 60),
        st.integers(0, LENGTH - 1),
        st.sampled_from("+-"),
        st.sampled_from(["", ":7"]),
    )
    @settings(max_examples=100, derandomize=True)
    def check(rows, anchor, anchor_index, strand, suffix):
        window = Window("toy", "c", anchor, anchor_index, LENGTH, strand)
        vcf_of(folder / "ours.vcf.gz", [outside, *rows], suffix)
        vcf_of(folder / "theirs.vcf.gz", for_bcftools([outside, *rows]))
        rules = HaplotypeRules(missing="reference")
        opened = GenotypeFile(folder / "ours.vcf.gz", folder / "ours.vcf.gz.elsewhere")
        found = written_sequences(folder, genome, opened, [("w", window)], rules)
        pairs = list(product(range(SAMPLES), range(2)))
        with ThreadPoolExecutor(2) as pool:
            whole = pool.map(
                lambda pair: consensus(
                    genome.path, folder / "theirs.vcf.gz", f"s{pair[0]}", pair[1]
                ),
                pairs,
            )
        for (sample, haplotype), text in zip(pairs, whole, strict=True):
            if haplotype and not sample:
                haploid = any(
                    window.start <= position < window.end and calls[0] != "."
                    for position, _, _, calls in rows
                )
                assert not haploid or (sample, haplotype, "w") not in found.codes
                continue
            carried = carried_edits(rows, sample, haplotype)
            ours, theirs = kept_by_us(carried), kept_by_bcftools(carried)
            expected = apply_edits(codes, 0, sorted_disjoint(theirs))
            assert bases.decode(expected) == text, (carried, theirs)
            if ours != theirs:
                agreeing.append(False)
                continue
            agreeing.append(True)
            first = edited_anchor(anchor, sorted_disjoint(ours), strand)[0] - anchor_index
            cut = bases.encode(text[first : first + LENGTH])
            cut = cut if strand == "+" else bases.reverse_complement(cut)
            assert np.array_equal(found.codes[sample, haplotype, "w"], cut)

    check()
    assert np.mean(agreeing) > 0.5
    assert len(agreeing) >= 300


GENES = {
    "ENSG00000088832": "FKBP1A",
    "ENSG00000125775": "SDCBP2",
    "ENSG00000234684": "SDCBP2-AS1",
    "ENSG00000125818": "PSMF1",
}
LENGTHS = (10_000, 56_000, 131_072)
EXTENDED = 20_000
"""Bases around the longest windows that bcftools edits too; net deletions are far shorter."""


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.parametrize("variants", ["snvs", "all"])
def test_real_haplotypes_are_those_of_bcftools(shared_data, tmp_path, variants):
    """Every haplotype of 300 people over 12 windows, byte for byte.

    bcftools edits one extended region per haplotype; its chain file says where the anchors are.
    """
    locus = shared_data / "locus_chr20_grch37"
    vcf = locus / "shapeit4_reference_1kg300.vcf.gz"
    genome = Genome(locus / "GRCh37.20_1-2Mb.fa.gz", "grch37")
    windows = real_windows(genome, locus / "gene_list.csv", tmp_path)
    index(vcf, tmp_path / "index.tbi")
    opened = GenotypeFile(vcf, tmp_path / "index.tbi")
    found = written_sequences(tmp_path, genome, opened, windows, HaplotypeRules(variants))
    start = min(window.start for _, window in windows) - EXTENDED
    end = max(window.end for _, window in windows) + EXTENDED
    fasta, copy = extended_region(tmp_path, genome, vcf, variants, start, end)
    compared = 0

    def compare(pair):
        sample, haplotype = pair
        chain = tmp_path / f"{sample}.{haplotype}.chain"
        text = consensus(fasta, copy, opened.names[sample], haplotype, "-c", chain)
        for name, window in windows:
            first = lifted(chain, start, window) - window.anchor_index
            cut = bases.encode(text[first : first + window.length])
            cut = cut if window.strand == "+" else bases.reverse_complement(cut)
            assert np.array_equal(found.codes[sample, haplotype, name], cut), (pair, name)
        return len(windows)

    with ThreadPoolExecutor(2) as pool:
        compared = sum(pool.map(compare, product(range(len(opened.names)), range(2))))
    assert compared == 300 * 2 * 12


def real_windows(genome, gene_list, folder):
    with open(gene_list) as file:
        rows = [row for row in csv.reader(file) if row[0] in GENES]
    chosen = folder / "genes.csv"
    chosen.write_text("".join(",".join(row) + "\n" for row in rows))
    return [
        (f"{GENES[name]}_{length}", window)
        for length in LENGTHS
        for name, window in tss_windows(genome, chosen, length)
    ]


def extended_region(folder, genome, vcf, variants, start, end):
    """A FASTA of [start, end) named so that bcftools keeps coordinates, and a VCF for it."""
    fasta = folder / "region.fa"
    text = bases.decode(genome.fetch("20", start, end))
    fasta.write_text(f">20:{start + 1}-{end}\n{text}\n")
    copy = folder / "region.vcf.gz"
    kinds = ["-V", "indels,mnps,other"] if variants == "snvs" else []
    local = folder / "local.vcf.gz"
    local.symlink_to(vcf)
    subprocess.run(["bcftools", "index", "-t", local], check=True)
    subprocess.run(
        ["bcftools", "view", *kinds, "-r", f"20:{start + 1}-{end}", "-Oz", "-o", copy, local],
        check=True,
        capture_output=True,
    )
    subprocess.run(["bcftools", "index", "-t", copy], check=True)
    return fasta, copy


def lifted(chain: Path, start: int, window: Window) -> int:
    """Where the anchor stands in bcftools' sequence, by its chain file."""
    reference = query = 0
    last = -1
    for line in chain.read_text().splitlines()[1:]:
        size, *gaps = map(int, line.split() or [0])
        here = window.anchor - start
        if here < reference:
            return query if window.strand == "+" else last
        if here < reference + size:
            return query + here - reference
        last = query + size - 1
        reference += size + (gaps[0] if gaps else 0)
        query += size + (gaps[1] if gaps else 0)
    raise AssertionError("the anchor lies behind the chain")
