"""What is done with phased calls, and what is counted per window."""

from dataclasses import dataclass

from seqtrust.errors import InputError

SYMBOLIC = "ALT is symbolic or has other letters than A, C, G, T"
NO_CHANGE = "ALT equals REF"
DUPLICATE = "repeats an earlier record"
OVERLAPPING = "overlaps an earlier variant of the same haplotype"
MIXED_PLOIDY = "ploidy changes within the window"


@dataclass(frozen=True)
class HaplotypeRules:
    """What is done with the calls of a file.

    Attributes:
        variants: `all`, or `snvs`: records of one REF base and one-base alleles only.
        unphased: heterozygous calls without phase: `error`, `reference` (both haplotypes take
            REF at that record) or `skip_sample` (the sample is left out of the window).
        missing: calls that lack an allele: `error`, `reference` (that allele is REF) or
            `skip_sample`.
        min_frequency: smallest frequency of an ALT allele among the called alleles of the chosen
            samples, inclusive.
        max_frequency: largest one, inclusive.
        max_ref_mismatch: largest fraction of records whose REF may differ from the FASTA.
        beyond_contig: windows, with the flank they need, over a contig's end: `error`, `skip`
            or `pad`.
    """

    variants: str = "all"
    unphased: str = "error"
    missing: str = "error"
    min_frequency: float = 0.0
    max_frequency: float = 1.0
    max_ref_mismatch: float = 0.01
    beyond_contig: str = "error"

    def __post_init__(self) -> None:
        _one_of("variants", self.variants, ("all", "snvs"))
        for name in ("unphased", "missing"):
            _one_of(name, getattr(self, name), ("error", "reference", "skip_sample"))
        _one_of("beyond_contig", self.beyond_contig, ("error", "skip", "pad"))
        if not 0 <= self.min_frequency <= self.max_frequency <= 1:
            raise InputError(
                f"min_frequency {self.min_frequency} and max_frequency {self.max_frequency}: "
                "expected 0 <= min_frequency <= max_frequency <= 1"
            )


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"{name} is {value!r}; expected one of {', '.join(allowed)}")


@dataclass
class WindowCounts:
    """One row of the table of windows.

    Attributes:
        window: name of the window.
        contig: contig, as the FASTA spells it.
        start: first base of the stretch examined, 0-based.
        end: end of the stretch, half-open.
        variants: distinct edits in the sequences of the window.
        not_snv: ALT alleles left out because only SNVs are wanted.
        symbolic: ALT alleles left out because they are symbolic.
        no_change: ALT alleles equal to REF.
        ref_differs: records left out because REF differs from the FASTA.
        frequency: ALT alleles left out by their frequency.
        duplicates: ALT alleles that repeat an earlier one.
        overlaps: alleles of haplotypes left out because an earlier one overlaps.
        missing_calls: calls of the used records that lack an allele.
        unphased_calls: calls of the used records without phase.
        samples: samples with haplotypes in this window.
        skipped_samples: samples left out for missing or unphased calls.
        mixed_ploidy: samples left out because their ploidy changes.
        haplotypes: haplotypes of those samples.
        distinct: distinct sequences among them, the reference included if it occurs.
        min_growth: smallest sum of bases gained (negative: lost) over the written edits.
        max_growth: largest one.
        deleted_anchors: haplotypes that lack the anchor base.
    """

    window: str
    contig: str
    start: int = 0
    end: int = 0
    variants: int = 0
    not_snv: int = 0
    symbolic: int = 0
    no_change: int = 0
    ref_differs: int = 0
    frequency: int = 0
    duplicates: int = 0
    overlaps: int = 0
    missing_calls: int = 0
    unphased_calls: int = 0
    samples: int = 0
    skipped_samples: int = 0
    mixed_ploidy: int = 0
    haplotypes: int = 0
    distinct: int = 0
    min_growth: int = 0
    max_growth: int = 0
    deleted_anchors: int = 0
