"""The slow way to haplotypes, one sample at a time, that the fast way is compared with."""

from functools import cache
from itertools import product
from types import SimpleNamespace

import pyarrow.parquet as pq
import pysam
from hypothesis import strategies as st

from seqtrust.contrasts import CONTRASTS
from seqtrust.edits import Edit, sorted_disjoint
from seqtrust.errors import InputError
from seqtrust.sequence_set import read_sequence_set, write_sequence_set
from seqtrust.sources.haplotypes import HAPLOTYPES, HaplotypeSequences
from seqtrust.tables import read_table, streamed_table
from seqtrust.variant_files import index

HEADER = (
    "##fileformat=VCFv4.2\n##contig=<ID=c,length=420>\n"
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">\n'
    '##ALT=<ID=DEL,Description="Deletion">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t"
)


@st.composite
def records(draw, sequence, first, last, samples):
    """Records (position, REF, ALT alleles, calls) in [first, last), consistent with a contig.

    Sample 0 is haploid.
    """
    found = []
    position = first
    for gap in draw(st.lists(st.integers(0, 14), max_size=30)):
        position += gap
        if position >= last:
            break
        ref = sequence[position : position + draw(st.sampled_from([1, 1, 1, 2, 3, 6]))]
        count = draw(st.sampled_from([1, 1, 1, 2, 3]))
        alts = [draw(alternatives(ref)) for _ in range(count)]
        calls = [draw(st.sampled_from(calls_of(count, sample == 0))) for sample in range(samples)]
        found.append((position, ref, alts, calls))
        if draw(st.integers(0, 9)) == 9:
            found.append(found[-1])
    return found


@cache
def calls_of(count, haploid):
    """Calls with every allele, ordinary ones more often than missing ones."""
    alleles = [str(number) for number in range(count + 1)]
    if haploid:
        return [*alleles, *alleles, "."]
    pairs = [f"{first}|{second}" for first, second in product(alleles, repeat=2)]
    same = [f"{one}/{one}" for one in alleles]
    return [*pairs, *pairs, *same, ".|.", "./.", "0|.", ".|1", "."]


@st.composite
def alternatives(draw, ref):
    kind = draw(st.sampled_from(["snv", "insertion", "deletion", "any", "odd"]))
    text = st.text("ACGT", min_size=1, max_size=5)
    if kind == "insertion":
        return ref + draw(text)
    if kind == "deletion" and len(ref) > 1:
        return ref[: draw(st.integers(1, len(ref) - 1))]
    if kind == "odd":
        return draw(st.sampled_from(["*", "<DEL>"]))
    if kind == "any":
        return draw(text.filter(lambda alt: alt != ref))
    other = draw(st.sampled_from([base for base in "ACGT" if base != ref[-1]]))
    return ref[:-1] + other


def vcf_of(path, rows, suffix=""):
    """Write records as a bgzipped VCF with an index elsewhere."""
    names = "\t".join(f"s{sample}" for sample in range(len(rows[0][3])))
    form = "GT:DP" if suffix else "GT"
    text = "".join(
        f"c\t{position + 1}\t.\t{ref}\t{','.join(alts)}\t.\t.\t.\t{form}\t"
        + "\t".join(call + suffix for call in calls)
        + "\n"
        for position, ref, alts, calls in rows
    )
    plain = path.with_suffix("")
    plain.write_text(HEADER + names + "\n" + text)
    pysam.tabix_compress(str(plain), str(path), force=True)
    pysam.tabix_index(str(path), preset="vcf", force=True)
    index(path, f"{path}.elsewhere")


def written_sequences(folder, genome, genotypes, windows, rules):
    """Write and read a haplotype set.

    Returns:
        The source, the set, the contrasts, and the codes and ids of every
        (sample, haplotype, window).
    """
    source = HaplotypeSequences(genome, genotypes, windows, rules, "genes.bed")
    paths = [folder / f"{name}.parquet" for name in ("set", "haplotypes", "contrasts")]
    with (
        streamed_table(paths[1], HAPLOTYPES, {}) as haplotypes,
        streamed_table(paths[2], CONTRASTS, {}) as contrasts,
    ):
        write_sequence_set(paths[0], source.content(haplotypes, contrasts), {})
    found = read_sequence_set(paths[0])
    by_id = {s.sequence_id: found.windows[s.window].sequence(s.edits) for s in found.sequences}
    table = read_table(paths[1], HAPLOTYPES).to_pylist()
    ids = {(r["sample"], r["haplotype"], r["window"]): r["sequence_id"] for r in table}
    return SimpleNamespace(
        source=source,
        set=found,
        contrasts=pq.read_table(paths[2]).to_pylist(),
        ids=ids,
        codes={key: by_id[sequence_id] for key, sequence_id in ids.items()},
    )


def carried_edits(rows, sample, haplotype):
    """(position, REF, ALT, edit) of every record that a haplotype carries, in file order."""
    found = []
    for position, ref, alts, calls in rows:
        parts = calls[sample].replace("/", "|").split("|")
        if haplotype >= len(parts) or not parts[haplotype].isdigit() or parts[haplotype] == "0":
            continue
        alt = alts[int(parts[haplotype]) - 1]
        if set(alt) <= set("ACGT") and alt != ref:
            shared = 0
            while shared < min(len(ref), len(alt)) and ref[shared] == alt[shared]:
                shared += 1
            edit = Edit(position + shared, position + len(ref), alt[shared:])
            found.append((position, ref, alt, edit))
    return found


def kept_by_us(carried):
    """The edits of one haplotype without those that overlap an earlier one."""
    kept = []
    for *_, edit in carried:
        try:
            sorted_disjoint([*kept, edit])
        except InputError:
            continue
        kept.append(edit)
    return kept
