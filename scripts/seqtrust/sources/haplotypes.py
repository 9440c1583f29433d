"""Personal genomes: the distinct haplotypes of phased people, per window.

What a haplotype is. A haplotype carries one allele of every record. Each ALT allele becomes an
edit: the bases that REF and ALT begin with are trimmed, the rest of REF is replaced by the rest
of ALT (`Variant.edit`). `*` is no edit, because the deletion that it speaks of is a record of its
own; symbolic alleles are left out and counted.

Overlaps. Two edits overlap if `edits.sorted_disjoint` refuses them: they replace a common base,
an insertion stands inside replaced bases, or two insertions stand before the same base. Of the
overlapping edits of one haplotype the first in the order of the file is kept, and every later
one that overlaps a kept one is left out and counted. So an insertion right before or right after
a replaced base is kept, and of two records with equal position, REF and ALT the second changes
only the haplotypes that do not carry the first.

Which edits. With `variants="all"` a window's haplotypes are cut from the whole edited contig:
the anchor stays at its index, a net deletion pulls in flank with that flank's edits, and the
stretch that is examined grows until every haplotype has enough bases. It is the same for every
run, and the rules for unphased and missing calls look at it and not beyond. With
`variants="snvs"` coordinates do not change. An edit that leaves the window's bytes as they are
is not written.

Ploidy. A sample whose calls in the stretch are haploid has haplotype 0 only; one with haploid and
diploid calls (a window over the end of a pseudo-autosomal region) is left out of the window and
counted. Where a stretch has no record, a sample is diploid.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from seqtrust.edit_columns import EditColumns
from seqtrust.errors import InputError
from seqtrust.files import write_tsv
from seqtrust.genome import Genome, Window
from seqtrust.genotype_files import Genotypes
from seqtrust.haplotype_edits import Integers
from seqtrust.sequence_set import StoredWindow
from seqtrust.sources.haplotype_rules import HaplotypeRules, WindowCounts
from seqtrust.sources.haplotype_stretch import Stretch
from seqtrust.sources.reference import beyond_contig_reason
from seqtrust.sources.skipped import Skipped
from seqtrust.sources.variant_records import REF_DIFFERS
from seqtrust.tables import Column, Sink, TableSchema

_EARLY_RECORDS = 1000

HAPLOTYPES = TableSchema(
    name="haplotypes",
    version=1,
    path="haplotypes/{set}.parquet",
    description=(
        "Which sequence each haplotype of each sample has in each window. Samples are numbers; "
        "their names are in a table of their own."
    ),
    columns=(
        Column("sample", pa.int32(), "number of the sample, from 0, in the order of the VCF"),
        Column("haplotype", pa.int8(), "0 or 1, as phased; haploid samples have 0 only"),
        Column("window", pa.dictionary(pa.int32(), pa.string()), "window_name of the set"),
        Column("sequence_id", pa.dictionary(pa.int32(), pa.string()), "sequence of the set"),
    ),
)


class HaplotypeSequences:
    """The distinct haplotypes of windows, written window by window.

    Iterate over `content` first: it fills `counts` and `skipped`. Windows come in the order of
    contigs and positions, so that what overlapping windows share is read once.
    """

    def __init__(
        self,
        genome: Genome,
        genotypes: Genotypes,
        windows: Sequence[tuple[str, Window]],
        rules: HaplotypeRules,
        source: str = "windows",
    ) -> None:
        """Start.

        Args:
            genome: assembly of the windows and of the VCF.
            genotypes: calls of the chosen samples.
            windows: names and windows; all on contigs that the VCF has.
            rules: what is done with the calls.
            source: where the windows come from, for messages.

        Raises:
            InputError: the VCF has no record on the contig of a window.
        """
        self.genome = genome
        self.genotypes = genotypes
        self.rules = rules
        self.source = source
        self.windows = sorted(windows, key=lambda row: (row[1].contig, row[1].start))
        self.counts: list[WindowCounts] = []
        self._skipped: dict[tuple[str, str], Skipped] = {}
        for contig in {window.contig for _, window in windows}:
            genotypes.contig(contig)
        self._examined = 0
        self._differing = 0
        self._checked = False

    @property
    def skipped(self) -> list[Skipped]:
        """Records and windows left out, each once.

        What the settings ask for (SNVs only, frequencies) is counted per window and not listed.
        """
        return list(self._skipped.values())

    @property
    def haplotypes(self) -> int:
        """Haplotypes of all windows written so far."""
        return sum(row.haplotypes for row in self.counts)

    def content(
        self, haplotypes: Sink, contrasts: Sink
    ) -> Iterator[tuple[StoredWindow, EditColumns]]:
        """Windows with their sequences.

        Args:
            haplotypes: takes the rows of `HAPLOTYPES` of a window.
            contrasts: takes the rows of `CONTRASTS`: distinct haplotypes against the reference.

        Raises:
            InputError: what the rules refuse; the message names record and column, no sample.
        """
        for name, window in self.windows:
            counts = WindowCounts(name, window.contig)
            found = self._haplotypes(name, window, counts)
            if found is None:
                continue
            self.counts.append(counts)
            stored, columns, carriers, sequence_of = found
            haplotypes(
                {
                    "sample": carriers // 2,
                    "haplotype": carriers % 2,
                    "window": _repeated(name, len(carriers)),
                    "sequence_id": pa.DictionaryArray.from_arrays(
                        pa.array(sequence_of, type=pa.int32()), pa.array(columns.ids)
                    ),
                }
            )
            contrasts(_contrasts(stored, columns.ids))
            yield stored, columns
        self._refuse_differing(0)

    def _haplotypes(
        self, name: str, window: Window, counts: WindowCounts
    ) -> tuple[StoredWindow, EditColumns, Integers, Integers] | None:
        reason = beyond_contig_reason(
            self.genome, name, window, self.source, self.rules.beyond_contig
        )
        if reason:
            self._leave_out(self.source, name, reason)
            return None
        start, end = window.start, window.end
        while True:
            part = Stretch(self.genome, self.genotypes, self.rules, window, start, end)
            wider = part.needed()
            if wider == (start, end):
                break
            start, end = wider
            if not self._inside(name, window, start, end):
                return None
        part.count(counts)
        for record, reason in part.left_out(counts):
            self._leave_out(str(self.genotypes.path), record, reason)
        self._examined += part.examined
        self._differing += counts.ref_differs
        self._refuse_differing(_EARLY_RECORDS)
        stored, columns, sequence_of = part.sequences(name, counts, not self._checked)
        self._checked |= len(columns) > 1
        return stored, columns, part.columns, sequence_of

    def _inside(self, name: str, window: Window, start: int, end: int) -> bool:
        size = self.genome.contigs[window.contig]
        if self.rules.beyond_contig == "pad" or (start >= 0 and end <= size):
            return True
        if self.rules.beyond_contig == "error":
            raise InputError(
                f"{self.source}: window {name!r} at {window} (0-based): haplotypes with net "
                f"deletions need the bases {start}-{end}, over the end of contig "
                f"{window.contig!r} ({size:,} bp). Move or shorten the window, or set "
                "beyond_contig to 'skip' or 'pad'"
            )
        reason = f"flank beyond contig: {window} needs {start}-{end}, {size} bp"
        self._leave_out(self.source, name, reason)
        return False

    def _refuse_differing(self, at_least: int) -> None:
        """Refuse too many records whose REF differs, once enough have been seen."""
        allowed = self.rules.max_ref_mismatch * self._examined
        if self._examined >= at_least and self._differing > allowed:
            first = next(row for row in self.skipped if row.reason.startswith(REF_DIFFERS))
            raise InputError(
                f"{self.genotypes.path}: REF of {self._differing} of {self._examined} records "
                f"differs from assembly {self.genome.assembly!r}, more than "
                f"max_ref_mismatch={self.rules.max_ref_mismatch}. First: {first.record}, "
                f"{first.reason}. Is the VCF of build {self.genome.build!r}?"
            )

    def _leave_out(self, file: str, record: str, reason: str) -> None:
        self._skipped.setdefault((record, reason), Skipped(file, 0, record, reason))


def _repeated(value: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, dtype=np.int32)), [value])


def _contrasts(stored: StoredWindow, ids: Sequence[str]) -> dict[str, Any]:
    """Rows of `CONTRASTS`: every haplotype of a window against its reference."""
    constant: dict[str, Any] = {
        "pair": "only",
        "reference_id": ids[0],
        "contig": stored.contig,
        "position": stored.anchor,
        "ref": "",
        "alt": "",
        "anchor": stored.name,
        "distance": 0,
        "context": "",
        "locus": stored.name,
        "truth_effect": None,
        "pip": None,
        "z": None,
        "maf": None,
        "flipped": None,
    }
    rows = {name: [value] * (len(ids) - 1) for name, value in constant.items()}
    return rows | {"contrast_id": list(ids[1:]), "alternative_id": list(ids[1:])}


def write_windows(path: str | Path, counts: Sequence[WindowCounts]) -> None:
    """Write the table of windows."""
    names = [column.name for column in fields(WindowCounts)]
    rows = [[getattr(row, name) for name in names] for row in counts]
    write_tsv(path, pd.DataFrame(rows, columns=names))


def write_samples(path: str | Path, names: Sequence[str]) -> None:
    """Write the names of the samples beside their numbers, the only place that has them."""
    write_tsv(path, pd.DataFrame({"index": range(len(names)), "name": list(names)}))
