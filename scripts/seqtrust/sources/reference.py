"""Reference sequences: tiles, BED rows, windows around points and contigs, without edits."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from seqtrust.edits import Edit
from seqtrust.errors import InputError, at_line
from seqtrust.files import numbered_lines
from seqtrust.genes import Point, read_points
from seqtrust.genome import Genome, SplitRegions, Window, parse_region
from seqtrust.sequence_set import StoredWindow, store_window
from seqtrust.sources.chosen_rows import chosen_windows
from seqtrust.sources.skipped import Skipped

BEYOND_CONTIG = ("error", "skip", "pad")


def tile_windows(
    genome: Genome, regions: Iterable[str], length: int, step: int, strand: str
) -> list[tuple[str, Window]]:
    """Windows of one length, `step` apart, that lie inside the regions.

    Raises:
        InputError: a region is shorter than a window.
    """
    tiles = []
    for region in regions:
        contig, start, end = parse_region(region, genome)
        if end - start < length:
            raise InputError(
                f"region {region!r} has {end - start:,} bp, less than a tile of {length:,} bp"
            )
        for first in range(start, end - length + 1, step):
            window = Window(
                genome.assembly, contig, first + length // 2, length // 2, length, strand
            )
            tiles.append((f"{contig}_{first}", window))
    return tiles


def bed_windows(genome: Genome, path: str | Path, length: int) -> list[tuple[str, Window]]:
    """Windows around the middle of every BED row; column six is the strand, `+` if absent.

    Raises:
        InputError: a row is not `contig, start, end, ...`.
    """
    windows = []
    for number, line in numbered_lines(path):
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        fields = line.split("\t")
        with at_line(path, number, "contig, start and end, separated by tabs"):
            start, end = int(fields[1]), int(fields[2])
            contig = genome.resolve(fields[0])
        name = fields[3] if len(fields) > 3 else f"{contig}_{start}"
        strand = fields[5] if len(fields) > 5 and fields[5] in ("+", "-") else "+"
        middle = (start + end) // 2
        windows.append((name, centred_window(genome, contig, middle, strand, length)))
    return windows


def tss_windows(
    genome: Genome, path: str | Path, length: int, anchor_index: int | None = None
) -> list[tuple[str, Window]]:
    """Windows in the orientation of genes, with the TSS as the anchor.

    Args:
        genome: assembly of the genes.
        path: a file that `seqtrust.genes.read_points` reads.
        length: bases of each window.
        anchor_index: index of the TSS in the model's input (after the reverse complement on
            the minus strand), 0-based; the middle, length // 2, if None.
    """
    index = length // 2 if anchor_index is None else anchor_index
    return [
        (point.name, point_window(genome, point, length, index))
        for point in read_points(path, genome)
    ]


def contig_windows(
    genome: Genome,
    length: int,
    index: int | None = None,
    matching: str = "*",
    split: tuple[str, str] | None = None,
) -> list[tuple[str, Window]]:
    """Contigs of an assembly of given sequences, each as a whole.

    Args:
        genome: the assembly.
        length: of every sequence, bp.
        index: index of the anchor, 0-based; length // 2 if None.
        matching: pattern of the contigs' names, `*` standing for anything.
        split: a BED of data splits and the one that contigs have to be in; None: any.

    Raises:
        InputError: no contig matches or is in the split, or one has another length.
    """
    chosen = [name for name in genome.contigs if fnmatchcase(name, matching)]
    if not chosen:
        raise InputError(f"{genome.path}: no contig matches {matching!r}")
    if split is not None:
        path, wanted = split
        regions = SplitRegions.from_bed(path, genome)
        chosen = [
            name for name in chosen if regions.split_of(name, 0, genome.contigs[name]) == wanted
        ]
        if not chosen:
            raise InputError(f"{path}: no contig that matches {matching!r} is in split {wanted!r}")
    for contig in chosen:
        if genome.contigs[contig] != length:
            raise InputError(
                f"{genome.path}: contig {contig!r} has {genome.contigs[contig]:,} bp, but the set "
                f"asks for {length:,} bp: given sequences need one length"
            )
    anchor = length // 2 if index is None else index
    return [(name, Window(genome.assembly, name, anchor, anchor, length)) for name in chosen]


def centred_window(genome: Genome, contig: str, position: int, strand: str, length: int) -> Window:
    """A window with `position` at index length // 2 of the forward strand."""
    return Window(genome.assembly, contig, position, length // 2, length, strand)


def point_window(genome: Genome, point: Point, length: int, index: int) -> Window:
    """A window in a point's orientation, whose input has the point at `index` (0-based)."""
    forward = index if point.strand == "+" else length - 1 - index
    return Window(genome.assembly, point.contig, point.position, forward, length, point.strand)


def named_windows(
    genome: Genome, kind: str, choice: Mapping[str, Any], path: str, length: int, seed: int = 0
) -> list[tuple[str, Window]]:
    """The windows of one `reference` entry of the config.

    Args:
        genome: assembly of the windows.
        kind: `tiles`, `bed`, `points` or `contigs`.
        choice: the settings of that kind.
        path: the BED, the file of points, or the BED of the contigs' data splits.
        length: bases of each window.
        seed: of a draw that has none of its own.
    """
    if kind == "tiles":
        return tile_windows(genome, choice["regions"], length, choice["step"], choice["strand"])
    if kind == "bed":
        windows = bed_windows(genome, path, length)
        if "rows" not in choice:
            return windows
        return chosen_windows(genome, windows, {"seed": seed} | choice["rows"], path)
    if kind == "contigs":
        split = (path, choice["split"]) if "split" in choice else None
        found = contig_windows(genome, length, None, choice.get("matching", "*"), split)
        return found[: choice.get("first")]
    return tss_windows(genome, path, length, choice.get("index"))


def reference_sequences(
    genome: Genome,
    windows: Sequence[tuple[str, Window]],
    source: str,
    beyond_contig: str,
    skipped: list[Skipped],
) -> Iterator[tuple[StoredWindow, list[tuple[str, tuple[Edit, ...]]]]]:
    """The windows as sequences without edits.

    Args:
        genome: assembly of the windows.
        windows: names and windows; a name becomes the sequence id.
        source: file or setting that the windows come from, for messages.
        beyond_contig: what to do with a window over a contig's end: `error`, `skip` (counted in
            `skipped`) or `pad` (N past the end).
        skipped: grows by what is left out.

    Raises:
        InputError: a window reaches over a contig's end and `beyond_contig` is `error`.
    """
    for name, window in windows:
        if reason := beyond_contig_reason(genome, name, window, source, beyond_contig):
            skipped.append(Skipped(source, 0, name, reason))
            continue
        stored = store_window(genome, window, name, pad=beyond_contig == "pad")
        yield stored, [(name, ())]


def beyond_contig_reason(genome: Genome, name: str, window: Window, source: str, rule: str) -> str:
    """Why a window is left out by the `beyond_contig` rule; empty if it is used.

    Raises:
        InputError: the window reaches over a contig's end and the rule is `error`.
    """
    if rule == "pad" or genome.covers(window):
        return ""
    size = genome.contigs[window.contig]
    if rule == "error":
        raise InputError(
            f"{source}: window {name!r} at {window} (0-based) reaches over the end of contig "
            f"{window.contig!r} ({size:,} bp). Shorten the window, or set beyond_contig to "
            "'skip' or 'pad'"
        )
    return f"window beyond contig: {window}, {size} bp"
