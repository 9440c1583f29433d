"""Phased genotypes of a bgzipped VCF or a BCF, read by region into arrays.

Calls are parsed many records at a time. A record whose calls all look like `0|1` is read as
two-byte words; single-digit alleles with other FORMAT fields, unphased, missing and haploid
calls by their distance from the tabs; what is left, such as alleles above 9, call by call.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from seqtrust.errors import InputError
from seqtrust.genome import resolve_contig

MISSING = -1
ABSENT = -2
UNKNOWN = -3

_REFUSED = -9
_LARGEST_ALLELE = 126
_BATCH_CHARACTERS = 32_000_000
_FIXED_COLUMNS = 9

# `0|` and `0<tab>` as little-endian words: what is left after xor is the allele
_WORDS = np.frombuffer(b"0|0\t", dtype="<u2")
_ALLELE = np.full(256, _REFUSED, dtype=np.int8)
_ALLELE[ord("0") : ord("9") + 1] = np.arange(10)
_ALLELE[ord(".")] = MISSING
_IS_SEPARATOR = np.zeros(256, dtype=bool)
_IS_SEPARATOR[[ord("|"), ord("/")]] = True
_IS_END = np.zeros(256, dtype=bool)
_IS_END[[ord(":"), ord("\t")]] = True


@dataclass(frozen=True)
class Calls:
    """Records of one contig in file order, V of them, and the calls of S samples.

    Attributes:
        positions: first base of REF, 0-based, shape (V,).
        ends: end of REF, half-open, shape (V,).
        refs: REF in upper case, shape (V,).
        alts: ALT as the file has it, alleles separated by commas, shape (V,).
        alleles: number of the allele on each haplotype, 0 for REF, shape (V, 2 S); the
            haplotypes of sample s are columns 2 s and 2 s + 1. `MISSING` stands for a dot,
            `ABSENT` for the second haplotype of a haploid call, `UNKNOWN` for the second of a
            call that is a single dot and so does not tell the ploidy.
        phased: false where the alleles are separated by a slash, shape (V, S).
        regular: records whose calls are all diploid, phased and complete, shape (V,).
    """

    positions: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    refs: npt.NDArray[np.object_]
    alts: npt.NDArray[np.object_]
    alleles: npt.NDArray[np.int8]
    phased: npt.NDArray[np.bool_]
    regular: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.positions)

    def select(self, rows: npt.NDArray[np.bool_]) -> Self:
        """The records of a mask of shape (V,)."""
        if rows.all():
            return self
        return type(self)(*(array[rows] for array in self._arrays()))

    def after(self, others: Self) -> Self:
        """These records behind others."""
        pairs = zip(others._arrays(), self._arrays(), strict=True)
        return type(self)(*(np.concatenate(pair) for pair in pairs))

    def overlapping(self, start: int, end: int) -> Self:
        """The records whose REF shares a base with [start, end)."""
        return self.select((self.positions < end) & (self.ends > start))

    def missing(self) -> npt.NDArray[np.bool_]:
        """Whether a call lacks an allele, shape (V, S)."""
        return (self.alleles[:, ::2] == MISSING) | (self.alleles[:, 1::2] == MISSING)

    def unphased(self) -> npt.NDArray[np.bool_]:
        """Whether it is open which haplotype carries what, shape (V, S).

        A call of two equal alleles is not, whatever separates them. A missing allele counts
        as REF here, so that `./.` and `0/.` are missing and `1/.` is both.
        """
        known = np.maximum(self.alleles, 0)
        differ = known[:, ::2] != known[:, 1::2]
        return ~self.phased & differ & (self.alleles[:, 1::2] > ABSENT)

    def _arrays(self) -> tuple[npt.NDArray[Any], ...]:
        return (
            self.positions,
            self.ends,
            self.refs,
            self.alts,
            self.alleles,
            self.phased,
            self.regular,
        )


class GenotypeFile:
    """Random access to the calls of chosen samples.

    Attributes:
        path: the VCF or BCF.
        known: names of all samples, in the order of the file.
        names: names of the chosen samples, in that order.
    """

    def __init__(
        self,
        path: str | Path,
        index: str | Path,
        samples: Sequence[str] | str | Path | None = None,
    ) -> None:
        """Open a file and choose samples.

        Args:
            path: bgzipped VCF, or BCF if the name ends in `.bcf`.
            index: its tabix or CSI index, which need not lie beside it.
            samples: names, or a text file with a name per line; all samples if None.

        Raises:
            InputError: the file or its index is missing or unreadable, it has no genotypes, a
                name occurs twice in its header or in `samples`, or is not in the header.
        """
        self.path = Path(path)
        self._file = (
            _BcfLines(path, index) if self.path.suffix == ".bcf" else _VcfLines(path, index)
        )
        self.known = known = _checked_header(self._file.samples, str(path))
        self._of_file = len(known)
        chosen = _chosen(known, samples, str(path))
        self.names = [known[number] for number in chosen]
        # None: all columns, which saves a copy
        self._columns = None if len(chosen) == len(known) else np.array(chosen, dtype=np.int64)
        self._numbers = chosen
        self._held: tuple[str, int, int, Calls] | None = None

    @property
    def contigs(self) -> list[str]:
        """Contigs with records."""
        return list(self._file.contigs)

    def contig(self, name: str) -> str:
        """The spelling of a contig in this file.

        Raises:
            InputError: the file has no record on it under either spelling.
        """
        return resolve_contig(name, self._file.contigs, str(self.path))

    def column(self, sample: int) -> int:
        """The column of the file, from 1, that holds a chosen sample."""
        return _FIXED_COLUMNS + self._numbers[sample] + 1

    def fetch(self, contig: str, start: int, end: int, slack: int = 0) -> Calls:
        """The records whose REF shares a base with [start, end), in file order.

        The stretch read last is kept: what overlaps it is not read again.

        Args:
            contig: contig, as this file spells it.
            start: first position, 0-based.
            end: end, half-open.
            slack: bases on either side that are read ahead.

        Raises:
            InputError: a record or a call cannot be read.
        """
        start, end = max(start, 0), max(end, 0)
        held = self._held
        if held is None or held[0] != contig or held[2] < start or held[1] > end:
            first, last = max(start - slack, 0), end + slack
            held = contig, first, last, self._read(contig, first, last)
        _, first, last, calls = held
        if start < first:
            added = max(start - slack, 0)
            calls = calls.select(calls.positions >= first).after(self._read(contig, added, first))
            first = added
        if end > last:
            added = end + slack
            right = self._read(contig, last, added)
            calls = right.select(right.positions >= last).after(calls)
            last = added
        if start - first > slack or last - end > slack:
            first, last = max(first, start - slack), min(last, end + slack)
            calls = calls.overlapping(first, last)
        self._held = contig, first, last, calls
        return calls.overlapping(start, end)

    def _read(self, contig: str, start: int, end: int) -> Calls:
        lines = self._file.lines(contig, start, end) if start < end else iter(())
        parts = [self._parse(batch) for batch in _batches(lines)]
        calls = parts[0] if parts else self._parse([])
        for part in parts[1:]:
            calls = part.after(calls)
        return calls.overlapping(start, end)

    def _parse(self, lines: list[str]) -> Calls:
        rows = [line.split("\t", _FIXED_COLUMNS) for line in lines]
        for row in rows:
            if len(row) <= _FIXED_COLUMNS:
                raise InputError(f"{self.path}: record {':'.join(row[:2])} has no genotypes")
        positions = np.array([int(row[1]) - 1 for row in rows], dtype=np.int64)
        refs = _objects([row[3].upper() for row in rows])
        alts = _objects([row[4] for row in rows])
        # a record without GT says nothing of any sample
        texts = [
            row[9] if row[8].split(":", 1)[0] == "GT" else "\t".join(["."] * self._of_file)
            for row in rows
        ]
        where = [f"{self.path}: record {row[0]}:{row[1]} {row[3]}>{row[4]}" for row in rows]
        alleles, phased, regular = parse_calls(texts, self._of_file, self._columns, where)
        largest = alleles.max(axis=1, initial=0)
        for number in np.flatnonzero(largest > 1).tolist():
            count = alts[number].count(",") + 1
            if largest[number] > count:
                raise InputError(
                    f"{where[number]}: a call has allele {largest[number]}, but there are only "
                    f"{count} ALT alleles"
                )
        lengths = np.array([len(ref) for ref in refs], dtype=np.int64)
        return Calls(positions, positions + lengths, refs, alts, alleles, phased, regular)


class _VcfLines:
    """Lines of a bgzipped VCF by region."""

    def __init__(self, path: str | Path, index: str | Path) -> None:
        import pysam

        _require(path, index)
        try:
            self._tabix = pysam.TabixFile(str(path), index=str(index), encoding="utf-8")
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path} cannot be opened with the index {index} ({error}): it must be a "
                f"bgzipped, sorted VCF; try: bcftools sort -Oz -o sorted.vcf.gz {path}"
            ) from error
        self.contigs = self._tabix.contigs
        header = next((line for line in self._tabix.header if line.startswith("#CHROM")), "")
        self.samples = header.split("\t")[_FIXED_COLUMNS:]

    def lines(self, contig: str, start: int, end: int) -> Iterator[str]:
        return self._tabix.fetch(contig, start, end)


class _BcfLines:
    """Records of a BCF by region, as lines of a VCF."""

    def __init__(self, path: str | Path, index: str | Path) -> None:
        import pysam

        _require(path, index)
        try:
            self._file = pysam.VariantFile(str(path), index_filename=str(index))
            if self._file.index is None:
                raise OSError("not an index of a BCF")
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path} cannot be opened with the index {index} ({error}); if its header names "
                "a sample twice, rename it with: bcftools reheader"
            ) from error
        named = [str(name) for name in self._file.header.contigs]
        self.contigs = [name for name in named if next(self._file.fetch(name), None) is not None]
        self.samples = list(self._file.header.samples)

    def lines(self, contig: str, start: int, end: int) -> Iterator[str]:
        for record in self._file.fetch(contig, start, end):
            yield str(record).rstrip("\n")


def _require(path: str | Path, index: str | Path) -> None:
    if not Path(path).exists():
        raise InputError(f"there is no VCF or BCF at {path}")
    if not Path(index).exists():
        raise InputError(f"{path}: there is no index at {index}; make it with: bcftools index")


def _checked_header(names: Sequence[str], path: str) -> list[str]:
    if not names:
        raise InputError(
            f"{path} has no genotypes: its header names no sample after the column FORMAT. "
            "Haplotypes need a VCF with phased calls"
        )
    first: dict[str, int] = {}
    for number, name in enumerate(names):
        if name in first:
            columns = first[name] + _FIXED_COLUMNS + 1, number + _FIXED_COLUMNS + 1
            raise InputError(
                f"{path}: columns {columns[0]} and {columns[1]} of the header name the same "
                "sample; rename one with: bcftools reheader"
            )
        first[name] = number
    return list(names)


def _chosen(
    known: Sequence[str], samples: Sequence[str] | str | Path | None, path: str
) -> list[int]:
    """Numbers of the chosen samples in the file, ascending."""
    if samples is None:
        return list(range(len(known)))
    listed = _named(samples)
    where = str(samples) if isinstance(samples, str | Path) else "the list of samples"
    row = "line" if isinstance(samples, str | Path) else "entry"
    number_of = {name: number for number, name in enumerate(known)}
    first: dict[str, int] = {}
    for line, name in listed:
        if name in first:
            raise InputError(
                f"{where}: {row} {line} repeats the sample of {row} {first[name]}; remove one"
            )
        if name not in number_of:
            # names of people must not be in a log
            raise InputError(
                f"{where}, {row} {line}: {path} has no such sample among its {len(known)}"
            )
        first[name] = line
    if not first:
        raise InputError(f"{where} names no sample")
    return sorted(number_of[name] for name in first)


def _named(samples: Sequence[str] | str | Path) -> list[tuple[int, str]]:
    if not isinstance(samples, str | Path):
        return list(enumerate(samples, start=1))
    if not Path(samples).exists():
        raise InputError(f"there is no list of samples at {samples}")
    lines = enumerate(Path(samples).read_text().splitlines(), start=1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def _batches(lines: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if size >= _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _objects(values: Sequence[str]) -> npt.NDArray[np.object_]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def parse_calls(
    texts: Sequence[str],
    samples: int,
    columns: npt.NDArray[np.int64] | None,
    where: Sequence[str],
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Read the sample columns of V records.

    Args:
        texts: what follows FORMAT and its tab, per record.
        samples: number of sample columns.
        columns: numbers of the chosen samples, ascending, S of them; all if None.
        where: file and record, for messages.

    Returns:
        `alleles`, `phased` and `regular`, as in `Calls`.

    Raises:
        InputError: a record has another number of columns, or a call cannot be read.
    """
    chosen = samples if columns is None else len(columns)
    alleles = np.empty((len(texts), 2 * chosen), dtype=np.int8)
    phased = np.ones((len(texts), chosen), dtype=bool)
    regular = np.zeros(len(texts), dtype=bool)
    fixed = np.flatnonzero([len(text) == 4 * samples - 1 for text in texts])
    if fixed.size:
        words = _fixed_width([texts[row] for row in fixed.tolist()], samples, columns)
        good = words.max(axis=1) <= 9
        regular[fixed[good]] = True
        alleles[fixed[good]] = words[good]
    rest = np.flatnonzero(~regular)
    if rest.size:
        for row in rest.tolist():
            if (found := texts[row].count("\t") + 1) != samples:
                raise InputError(
                    f"{where[row]}: {found} columns of samples, but the header names {samples}"
                )
        several = [texts[row] for row in rest.tolist()]
        alleles[rest], phased[rest], good = _single_digits(several, samples, columns)
        for row in rest[~good].tolist():
            alleles[row], phased[row] = _call_by_call(texts[row], columns, where[row])
        regular[rest] = phased[rest].all(axis=1) & (alleles[rest].min(axis=1) >= 0)
    return alleles, phased, regular


def _fixed_width(
    texts: Sequence[str], samples: int, columns: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.uint16]:
    """Alleles of calls like `0|1`, shape (V, 2 S); a value above 9 marks any other call."""
    raw = ("\t".join(texts) + "\t").encode("latin-1", "replace")
    pairs = np.frombuffer(raw, dtype="<u2").reshape(len(texts), samples, 2)
    if columns is not None:
        pairs = pairs[:, columns]
    return (pairs ^ _WORDS).reshape(len(texts), -1)


def _single_digits(
    texts: Sequence[str], samples: int, columns: npt.NDArray[np.int64] | None
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Calls whose alleles are one character; the last array says which records could be read."""
    raw = np.frombuffer(
        ("\t".join(texts) + "\t\t\t\t").encode("latin-1", "replace"), dtype=np.uint8
    )
    tabs = np.flatnonzero(raw == ord("\t"))
    fields = np.zeros(len(texts) * samples, dtype=np.int64)
    fields[1:] = tabs[: len(fields) - 1] + 1
    starts = fields.reshape(len(texts), samples)
    if columns is not None:
        starts = starts[:, columns]
    first, second = _ALLELE[raw[starts]], _ALLELE[raw[starts + 2]]
    alone = _IS_END[raw[starts + 1]]
    paired = _IS_SEPARATOR[raw[starts + 1]] & _IS_END[raw[starts + 3]] & (second != _REFUSED)
    second = np.where(alone, np.where(first == MISSING, UNKNOWN, ABSENT), second)
    good = ((first != _REFUSED) & (alone | paired)).all(axis=1)
    alleles = np.stack([first, second], axis=2).reshape(len(texts), -1)
    return alleles, raw[starts + 1] != ord("/"), good


def _call_by_call(
    text: str, columns: npt.NDArray[np.int64] | None, where: str
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
    fields = text.split("\t")
    chosen = range(len(fields)) if columns is None else columns
    calls = [_call(fields[column], int(column), where) for column in chosen]
    alleles = np.array([call[:2] for call in calls], dtype=np.int8).reshape(-1)
    return alleles, np.array([call[2] for call in calls], dtype=bool)


def _call(field: str, column: int, where: str) -> tuple[int, int, bool]:
    """Both alleles of one call, and whether it is phased."""
    genotype = field.split(":", 1)[0]
    # since VCF 4.4 a separator may stand before the first allele
    parts = genotype.lstrip("|/").replace("/", "|").split("|")
    place = f"{where}, column {_FIXED_COLUMNS + column + 1}: genotype {genotype!r}"
    if len(parts) > 2:
        raise InputError(
            f"{place} has {len(parts)} alleles; only haploid and diploid calls are read"
        )
    if not all(part == "." or part.isdecimal() for part in parts):
        raise InputError(f"{place} cannot be read; expected calls like 0|1")
    numbers = [MISSING if part == "." else int(part) for part in parts]
    if max(numbers) > _LARGEST_ALLELE:
        raise InputError(f"{place}: more than {_LARGEST_ALLELE} ALT alleles are not supported")
    if len(numbers) == 1:
        return numbers[0], UNKNOWN if numbers[0] == MISSING else ABSENT, True
    return numbers[0], numbers[1], "/" not in genotype
