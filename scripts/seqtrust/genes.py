"""Genes and other named points that windows are anchored at."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seqtrust.errors import InputError, at_line
from seqtrust.files import numbered_lines, write_text
from seqtrust.genome import Genome, aliases, parse_region

_GENE_ID = re.compile(r'gene_id "([^"]+)"')


@dataclass(frozen=True)
class Point:
    """A named position with a strand: a TSS, a splice site, the middle of a peak.

    Attributes:
        name: unique name, such as a gene id.
        contig: contig, as the FASTA spells it.
        position: 0-based, forward strand.
        strand: `+` or `-`.
        score: larger is preferred where two points are equally near.
        line: line of the file, from 1.
    """

    name: str
    contig: str
    position: int
    strand: str
    score: float = 0.0
    line: int = 0


def read_points(path: str | Path, genome: Genome, region: str | None = None) -> list[Point]:
    """Read points from a GTF, a BED or a gene list; the file's name decides which.

    - `.gtf`: features `gene`; the point is the TSS (start on plus, end on minus).
    - `.bed`: six columns; the point is the first base in the direction of the strand, so that
      a one-base interval is that base and a gene's interval gives its TSS.
    - `.csv`: gene id, contig, TSS (1-based), symbol, strand, without a header, as in the gene
      list of Huang et al. 2023.

    Each may be gzipped.

    Args:
        path: the file.
        genome: assembly of the positions.
        region: `contig` or `contig:start-end` (1-based inclusive); points elsewhere are left
            out, also those on contigs that the assembly does not have.

    Raises:
        InputError: the file is missing, empty or of another form, a row lacks a strand, or a
            name occurs twice.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no file of points or genes at {path}")
    suffix = (path.with_suffix("") if path.suffix == ".gz" else path).suffix
    parsers = {".gtf": _from_gtf, ".bed": _from_bed, ".csv": _from_gene_list}
    if suffix not in parsers:
        raise InputError(f"{path}: expected a name that ends in .gtf, .bed or .csv (or .gz)")
    inside = parse_region(region, genome) if region else None
    points: dict[str, Point] = {}
    for number, line in numbered_lines(path):
        if not line.strip() or line.startswith("#"):
            continue
        with at_line(path, number, f"a {suffix} row"):
            point = parsers[suffix](line, number)
            if point is None or (inside and not _within(point, *inside)):
                continue
            point = replace(point, contig=genome.resolve(point.contig))
        if point.strand not in ("+", "-"):
            raise InputError(f"{path}, line {number}: strand {point.strand!r}, expected + or -")
        if point.name in points:
            first = points[point.name].line
            raise InputError(f"{path}, line {number}: {point.name!r} is already on line {first}")
        points[point.name] = point
    if not points:
        where = f" in {region}" if region else ""
        raise InputError(f"{path} holds no gene or point{where}")
    return list(points.values())


def _within(point: Point, contig: str, start: int, end: int) -> bool:
    return contig in (point.contig, *aliases(point.contig)) and start <= point.position < end


def _from_gtf(line: str, number: int) -> Point | None:
    contig, _, feature, start, end, _, strand, _, attributes = line.split("\t")
    if feature != "gene":
        return None
    found = _GENE_ID.search(attributes)
    if not found:
        raise ValueError("no gene_id among the attributes")
    tss = int(start) - 1 if strand == "+" else int(end) - 1
    return Point(found[1], contig, tss, strand, line=number)


def _from_bed(line: str, number: int) -> Point:
    contig, start, end, name, score, strand = line.split("\t")[:6]
    position = int(start) if strand == "+" else int(end) - 1
    score_value = float(score) if score != "." else 0.0
    return Point(name, contig, position, strand, score_value, number)


def _from_gene_list(line: str, number: int) -> Point | None:
    gene, contig, tss, _, strand = line.split(",")[:5]
    return Point(gene, contig, int(tss) - 1, strand, line=number)


def write_points(path: str | Path, points: Sequence[Point]) -> None:
    """Write points as a BED of one-base intervals, as `read_points` reads it."""
    rows = [
        f"{p.contig}\t{p.position}\t{p.position + 1}\t{p.name}\t{p.score:.6f}\t{p.strand}\n"
        for p in points
    ]
    write_text(path, "".join(rows))
