"""Variants as files name them: read, left-normalised, and checked against the FASTA."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from seqtrust import bases
from seqtrust.edits import Edit
from seqtrust.errors import InputError, at_line
from seqtrust.files import numbered_lines
from seqtrust.genome import Genome, parse_region, resolve_contig
from seqtrust.sources.skipped import Skipped

SYMBOLIC_ALT = "ALT is symbolic, * or missing"
REF_DIFFERS = "REF differs from the FASTA"

VARIANT_ID = re.compile(
    r"^(?P<contig>.+)_(?P<position>\d+)_(?P<ref>[^_]+)_(?P<alt>[^_]+?)(_b\d+)?$"
)
ALLELE = re.compile(r"^[ACGTacgt]+$")


@dataclass(frozen=True)
class Variant:
    """One REF/ALT pair, with what a table says of it.

    Attributes:
        contig: contig, as the FASTA spells it.
        position: first base of REF, 0-based.
        ref: reference allele.
        alt: alternative allele.
        file: file that it comes from.
        line: line of that file, from 1; 0 if read through an index.
        record: how that file names it.
        gene: gene whose expression it changes, or empty.
        context: tissue of the measured effect, or empty.
        truth_effect: measured effect of ALT, or None.
        pip: posterior inclusion probability, or None.
        z: z-score of ALT's effect, or None.
        maf: frequency of the minor allele, or None.
        flipped: the table's effect was that of REF, and was negated.
        distance: bp from the gene's TSS, positive downstream of it, or None.
    """

    contig: str
    position: int
    ref: str
    alt: str
    file: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)
    record: str = field(default="", compare=False)
    gene: str = ""
    context: str = ""
    truth_effect: float | None = None
    pip: float | None = None
    z: float | None = None
    maf: float | None = None
    flipped: bool = False
    distance: int | None = None

    @property
    def name(self) -> str:
        """contig_position_ref_alt, with a 1-based position."""
        return f"{self.contig}_{self.position + 1}_{self.ref}_{self.alt}"

    @property
    def is_snv(self) -> bool:
        """Whether one base replaces one base."""
        return len(self.ref) == len(self.alt) == 1

    @property
    def edit(self) -> Edit:
        """The change without the bases that both alleles begin with."""
        shared = 0
        while shared < min(len(self.ref), len(self.alt)) and self.ref[shared] == self.alt[shared]:
            shared += 1
        return Edit(self.position + shared, self.position + len(self.ref), self.alt[shared:])


def left_normalise(variant: Variant, genome: Genome) -> Variant:
    """The leftmost, shortest form of a variant (Tan et al. 2015)."""
    position, ref, alt = variant.position, variant.ref, variant.alt
    while True:
        if ref and alt and ref[-1] == alt[-1] and ref != alt:
            ref, alt = ref[:-1], alt[:-1]
        if not (ref and alt):
            if position == 0:
                # nothing stands before the contig's first base: the base behind is the context
                base = bases.decode(genome.fetch(variant.contig, len(ref), len(ref) + 1, pad=True))
                ref, alt = ref + base, alt + base
                break
            position -= 1
            base = bases.decode(genome.fetch(variant.contig, position, position + 1))
            ref, alt = base + ref, base + alt
        elif ref[-1] != alt[-1] or ref == alt:
            break
    while len(ref) > 1 and len(alt) > 1 and ref[0] == alt[0]:
        position, ref, alt = position + 1, ref[1:], alt[1:]
    return replace(variant, position=position, ref=ref, alt=alt)


def read_vcf(
    path: str | Path, index: str | Path | None, region: str | None, genome: Genome, snvs_only: bool
) -> tuple[list[Variant], list[Skipped]]:
    """Variants of a VCF, plain or bgzipped; genotypes are not read.

    Args:
        path: the VCF.
        index: its tabix index, needed for a region.
        region: `contig:start-end`, 1-based inclusive; all records if None.
        genome: assembly; contig names are matched to it.
        snvs_only: leave out everything else, counted.

    Returns:
        One variant per ALT allele, and the records left out.

    Raises:
        InputError: the VCF is missing, or a row is not a record.
    """
    variants: list[Variant] = []
    skipped: list[Skipped] = []
    for line, text in _vcf_lines(Path(path), index, region, genome):
        with at_line(path, line, "a VCF record"):
            name, number, identifier, ref, alts = text.split("\t", 5)[:5]
            contig, position = genome.resolve(name), int(number) - 1
        record = _record_name(name, number, identifier, ref, alts)
        for alt in alts.split(","):
            if not ALLELE.match(alt):
                skipped.append(Skipped(str(path), line, record, f"{SYMBOLIC_ALT}: {alt}"))
            elif alt.upper() == ref.upper():
                skipped.append(Skipped(str(path), line, record, "ALT equals REF"))
            elif snvs_only and not len(ref) == len(alt) == 1:
                skipped.append(Skipped(str(path), line, record, "not an SNV"))
            else:
                variants.append(
                    Variant(contig, position, ref.upper(), alt.upper(), str(path), line, record)
                )
    return variants, skipped


def _record_name(contig: str, position: str, _: str, ref: str, alts: str) -> str:
    return f"{contig}:{position} {ref}>{alts}"


def _vcf_lines(
    path: Path, index: str | Path | None, region: str | None, genome: Genome
) -> Iterator[tuple[int, str]]:
    if not path.exists():
        raise InputError(f"there is no VCF at {path}")
    if region is None:
        yield from ((number, text) for number, text in numbered_lines(path) if text[:1] != "#")
        return
    import pysam

    contig, start, end = parse_region(region, genome)
    with pysam.TabixFile(str(path), index=str(index)) as tabix:
        name = resolve_contig(contig, tabix.contigs, str(path))
        for text in tabix.fetch(name, start, end):
            # tabix also returns records that only reach into the region
            if start <= int(text.split("\t", 2)[1]) - 1 < end:
                yield 0, text


def check_reference(
    variants: Sequence[Variant], genome: Genome, allowed_fraction: float
) -> tuple[list[Variant], list[Skipped]]:
    """Leave out variants whose REF is not what the FASTA has.

    Args:
        variants: variants with positions on `genome`.
        genome: assembly.
        allowed_fraction: largest fraction that may differ; more says that the assembly is wrong.

    Raises:
        InputError: more than `allowed_fraction` differ.
    """
    good: list[Variant] = []
    skipped: list[Skipped] = []
    for variant in variants:
        end = min(variant.position + len(variant.ref), genome.contigs[variant.contig])
        start = min(max(variant.position, 0), end)
        found = bases.decode(genome.fetch(variant.contig, start, end))
        if found == variant.ref:
            good.append(variant)
        else:
            reason = f"{REF_DIFFERS}: FASTA has {found or 'nothing'}"
            skipped.append(Skipped(variant.file, variant.line, variant.record, reason))
    if len(skipped) > allowed_fraction * len(variants):
        (first,) = with_lines(skipped[:1])
        raise InputError(
            f"{first.file}: REF of {len(skipped)} of {len(variants)} variants differs from the "
            f"FASTA {genome.path} (allowed: {allowed_fraction:.1%}), first on line {first.line}: "
            f"{first.record}, {first.reason}. Is the table of build {genome.build!r}?"
        )
    return good, skipped


def with_lines(skipped: Sequence[Skipped]) -> list[Skipped]:
    """Skipped records with the numbers of their lines, also those read through an index.

    An index gives records without line numbers; their file is read once more only if some
    record was left out.
    """
    lines: dict[tuple[str, str], int] = {}
    for file in {row.file for row in skipped if row.file and not row.line}:
        wanted = {row.record for row in skipped if row.file == file}
        for number, text in numbered_lines(file):
            if text.startswith("#"):
                continue
            record = _record_name(*text.split("\t", 5)[:5])
            if record in wanted:
                lines[file, record] = number
    return [replace(row, line=row.line or lines.get((row.file, row.record), 0)) for row in skipped]
