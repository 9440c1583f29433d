"""Records that a source could not use: each is counted, with file, line and reason."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from seqtrust.files import write_text

HEADER = "file\tline\trecord\treason\n"


@dataclass(frozen=True)
class Skipped:
    """One record that was left out.

    `line` counts from 1; 0 stands for a file without lines, or one read through its index, whose
    records are found by their names.
    """

    file: str
    line: int
    record: str
    reason: str


def write_skipped(path: str | Path, skipped: Iterable[Skipped]) -> None:
    """Write the skipped records as a TSV; a header alone says that nothing was left out."""
    rows = [f"{row.file}\t{row.line}\t{row.record}\t{row.reason}\n" for row in skipped]
    write_text(path, HEADER + "".join(rows))


def count_reasons(skipped: Iterable[Skipped]) -> str:
    """`reason: count` per reason, for a log line."""
    counts = Counter(row.reason.split(":")[0] for row in skipped)
    return ", ".join(f"{reason}: {count}" for reason, count in counts.most_common()) or "none"
