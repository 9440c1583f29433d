"""Assemblies: FASTA access, contig names, windows and the regions of a data split.

Coordinates are 0-based half-open on the forward strand; readers of 1-based formats convert.
"""

import json
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from seqtrust import bases
from seqtrust.errors import InputError, at_line
from seqtrust.files import numbered_lines, sha256

SPLITS = ("train", "validation", "test")
UNKNOWN_SPLIT = "unknown"
_MITOCHONDRIAL = {"M": "MT", "MT": "M"}


@dataclass(frozen=True)
class Window:
    """A stretch of an assembly that becomes one model input.

    Attributes:
        assembly: name of the assembly in the config.
        contig: contig name as the FASTA spells it.
        anchor: position that keeps its place when edits change lengths, 0-based, forward strand.
        anchor_index: index of the anchor in the sequence before any reverse complement, 0-based.
        length: bases of the model input.
        strand: `+`, or `-` for the reverse complement.
    """

    assembly: str
    contig: str
    anchor: int
    anchor_index: int
    length: int
    strand: str = "+"

    def __post_init__(self) -> None:
        if self.strand not in ("+", "-"):
            raise ValueError(f"strand is {self.strand!r}, expected '+' or '-'")
        if not 0 <= self.anchor_index < self.length:
            raise ValueError(f"anchor index {self.anchor_index} lies outside 0..{self.length - 1}")

    @property
    def start(self) -> int:
        """First position without edits, 0-based."""
        return self.anchor - self.anchor_index

    @property
    def end(self) -> int:
        """End without edits, half-open."""
        return self.start + self.length

    def __str__(self) -> str:
        return f"{self.contig}:{self.start}-{self.end}({self.strand})"


def aliases(contig: str) -> tuple[str, ...]:
    """The spellings under which a contig is known: with and without `chr`, `M` and `MT`."""
    plain = contig.removeprefix("chr")
    names = [plain, f"chr{plain}"]
    if plain in _MITOCHONDRIAL:
        names += [_MITOCHONDRIAL[plain], f"chr{_MITOCHONDRIAL[plain]}"]
    return tuple(names)


def resolve_contig(contig: str, known: Iterable[str], where: str) -> str:
    """The spelling of `contig` among the `known` names.

    Raises:
        InputError: neither spelling is known; the message names both and `where` they were sought.
    """
    names = known if isinstance(known, Collection) else set(known)
    if contig in names:
        return contig
    for alias in aliases(contig):
        if alias in names:
            return alias
    tried = " or ".join(repr(alias) for alias in aliases(contig)[:2])
    listed = ", ".join(sorted(names)[:8]) + (", ..." if len(names) > 8 else "")
    raise InputError(f"{where} has no contig {tried}; it has: {listed}")


class Genome:
    """Random access to an indexed FASTA, plain or bgzipped."""

    def __init__(self, fasta: str | Path, assembly: str, build: str = "") -> None:
        """Open a FASTA.

        Args:
            fasta: path; `samtools faidx` must have made the index beside it.
            assembly: name of the assembly in the config.
            build: genome build that the assembly belongs to, such as `GRCh37`.

        Raises:
            InputError: the FASTA or its index is missing.
        """
        import pysam

        self.path = Path(fasta)
        self.assembly = assembly
        self.build = build or assembly
        if not self.path.exists():
            raise InputError(f"assembly {assembly!r}: there is no FASTA at {self.path}")
        suffixes = [".fai", ".gzi"] if self.path.suffix in (".gz", ".bgz") else [".fai"]
        for suffix in suffixes:
            if not Path(f"{self.path}{suffix}").exists():
                raise InputError(
                    f"assembly {assembly!r}: {self.path} has no index {self.path.name}{suffix}; "
                    f"make it with: samtools faidx {self.path}"
                )
        try:
            self._fasta = pysam.FastaFile(str(self.path))
        except (OSError, ValueError) as error:
            raise InputError(
                f"assembly {assembly!r}: {self.path} cannot be opened as an indexed FASTA "
                f"({error}); make its index again with: samtools faidx {self.path}"
            ) from error
        self.contigs = dict(zip(self._fasta.references, self._fasta.lengths, strict=True))

    def resolve(self, contig: str) -> str:
        """The spelling of a contig in this FASTA."""
        return resolve_contig(contig, self.contigs, f"assembly {self.assembly!r} ({self.path})")

    def fetch(self, contig: str, start: int, end: int, pad: bool = False) -> bases.Codes:
        """Base codes of [start, end), shape (end - start,).

        Args:
            contig: name as the FASTA spells it.
            start: first position, 0-based.
            end: end, half-open.
            pad: put N past the ends of the contig instead of refusing.

        Raises:
            InputError: the stretch reaches over an end of the contig and `pad` is false.
        """
        length = self.contigs[contig]
        inside = max(start, 0), min(end, length)
        if inside != (start, end) and not pad:
            raise InputError(
                f"{contig}:{start}-{end} (0-based) reaches over the ends of contig {contig!r} "
                f"of assembly {self.assembly!r}, which has {length:,} bases"
            )
        if inside[0] >= inside[1]:
            return np.full(end - start, bases.UNKNOWN, dtype=np.uint8)
        codes = bases.encode(self._fasta.fetch(contig, *inside))
        if len(codes) == end - start:
            return codes
        return np.pad(codes, (inside[0] - start, end - inside[1]), constant_values=bases.UNKNOWN)

    def covers(self, window: Window) -> bool:
        """Whether a window lies inside its contig."""
        return window.start >= 0 and window.end <= self.contigs[window.contig]

    def provenance(self, length: int) -> dict[str, str]:
        """Where bases come from and how long sequences are, as metadata of a sequence set."""
        return {"assembly": self.assembly, "build": self.build, "length": str(length)}

    def description(self) -> dict[str, Any]:
        """Name, build, checksum and contig lengths, for provenance."""
        return {
            "assembly": self.assembly,
            "build": self.build,
            "fasta": self.path.name,
            "sha256": sha256(self.path),
            "contigs": self.contigs,
        }


def parse_region(region: str, genome: Genome) -> tuple[str, int, int]:
    """`contig` or `contig:start-end` (1-based inclusive, as in samtools) as a 0-based interval.

    Raises:
        InputError: the region cannot be read or reaches over the contig's end.
    """
    contig, _, span = region.partition(":")
    contig = genome.resolve(contig)
    if not span:
        return contig, 0, genome.contigs[contig]
    try:
        start, end = (int(number.replace(",", "")) for number in span.split("-"))
    except ValueError:
        raise InputError(
            f"region {region!r}: expected contig:start-end, 1-based and inclusive"
        ) from None
    if not 1 <= start <= end <= genome.contigs[contig]:
        raise InputError(
            f"region {region!r}: expected 1 <= start <= end <= {genome.contigs[contig]:,}, "
            f"the length of contig {contig!r}"
        )
    return contig, start - 1, end


@dataclass(frozen=True)
class SplitRegions:
    """The regions of an assembly that a model was trained, validated and tested on.

    `regions` maps (split, contig) to sorted disjoint [start, end) intervals.
    """

    regions: Mapping[tuple[str, str], tuple[tuple[int, int], ...]]

    @classmethod
    def from_bed(cls, path: str | Path, genome: Genome) -> Self:
        """Read a BED whose fourth column is `train`, `validation` or `test`.

        Raises:
            InputError: the file is missing or a row cannot be read; the message names the line.
        """
        rows: list[tuple[str, str, int, int]] = []
        for number, line in numbered_lines(path):
            if not line.strip() or line.startswith(("#", "track", "browser")):
                continue
            fields = line.split("\t")
            split = {"valid": "validation"}.get(fields[3], fields[3]) if len(fields) > 3 else ""
            if split not in SPLITS:
                raise InputError(
                    f"{path}, line {number}: the fourth column is {split!r}; "
                    f"expected one of {', '.join(SPLITS)}"
                )
            with at_line(path, number, "contig, start, end and split, separated by tabs"):
                rows.append((split, genome.resolve(fields[0]), int(fields[1]), int(fields[2])))
        return cls.from_rows(rows)

    @classmethod
    def from_rows(cls, rows: Iterable[tuple[str, str, int, int]]) -> Self:
        """From rows (split, contig, start, end); touching and overlapping ones are merged."""
        merged: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for split, contig, start, end in sorted(rows):
            intervals = merged.setdefault((split, contig), [])
            if intervals and start <= intervals[-1][1]:
                intervals[-1] = (intervals[-1][0], max(end, intervals[-1][1]))
            else:
                intervals.append((start, end))
        return cls({key: tuple(intervals) for key, intervals in merged.items()})

    def rows(self) -> list[tuple[str, str, int, int]]:
        """The inverse of `from_rows`."""
        return [
            (split, contig, start, end)
            for (split, contig), intervals in sorted(self.regions.items())
            for start, end in intervals
        ]

    def split_of(self, contig: str, start: int, end: int) -> str:
        """The first of train, validation, test that [start, end) overlaps, else `unknown`.

        A window that only touches training data counts as seen: its verdict must not
        pass for a held-out one.
        """
        for split in SPLITS:
            for alias in (contig, *aliases(contig)):
                intervals = self.regions.get((split, alias), ())
                index = bisect_left(intervals, (end, end)) - 1
                if index >= 0 and intervals[index][1] > start:
                    return split
        return UNKNOWN_SPLIT

    def blocks(self, split: str) -> list[tuple[str, int, int]]:
        """The (contig, start, end) intervals of one split."""
        return [(c, s, e) for name, c, s, e in self.rows() if name == split]


def load_description(path: str | Path) -> dict[str, Any]:
    """Read what `Genome.description` gave."""
    return json.loads(Path(path).read_text())
