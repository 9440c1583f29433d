"""Genotypes of one cohort in several files, such as one VCF per chromosome."""

from collections.abc import Sequence
from pathlib import Path

from seqtrust.errors import InputError
from seqtrust.genome import resolve_contig
from seqtrust.genotypes import Calls, GenotypeFile


class GenotypeFiles:
    """The files of a cohort as one; every contig is in one of them.

    Attributes:
        names: names of the chosen samples, in the order of the files.
        path: the file that was asked last, for messages.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        indices: Sequence[str | Path],
        samples: Sequence[str] | str | Path | None = None,
    ) -> None:
        """Open the files and choose samples.

        Args:
            paths: as for `GenotypeFile`.
            indices: of each.
            samples: as for `GenotypeFile`.

        Raises:
            InputError: what `GenotypeFile` refuses; files with other samples or in another
                order, or a contig in two of them.
        """
        pairs = zip(paths, indices, strict=True)
        self._files = [GenotypeFile(path, index, samples) for path, index in pairs]
        first = self._files[0]
        self.names, self.path = first.names, first.path
        self._file_of: dict[str, GenotypeFile] = {}
        for file in self._files:
            if file.known != first.known:
                raise InputError(
                    f"{file.path} has other samples than {first.path}, or in another order: the "
                    "files of one cohort need the same header; try: bcftools view -S"
                )
            for contig in file.contigs:
                if contig in self._file_of:
                    raise InputError(
                        f"contig {contig!r} is in {self._file_of[contig].path} and in "
                        f"{file.path}: leave one of them out"
                    )
                self._file_of[contig] = file

    def contig(self, name: str) -> str:
        """The spelling of a contig in its file.

        Raises:
            InputError: no file has a record on it under either spelling.
        """
        where = f"{self._files[0].path} and {len(self._files) - 1} more"
        return resolve_contig(name, list(self._file_of), where)

    def column(self, sample: int) -> int:
        """The column of the files, from 1, that holds a chosen sample."""
        return self._files[0].column(sample)

    def fetch(self, contig: str, start: int, end: int, slack: int = 0) -> Calls:
        """The records that overlap [start, end): see `GenotypeFile.fetch`."""
        file = self._file_of[contig]
        self.path = file.path
        return file.fetch(contig, start, end, slack)


Genotypes = GenotypeFile | GenotypeFiles


def open_genotypes(
    paths: str | Path | Sequence[str | Path],
    indices: str | Path | Sequence[str | Path],
    samples: Sequence[str] | str | Path | None = None,
) -> Genotypes:
    """Open the file or the files of a cohort; arguments are those of `GenotypeFiles`."""
    if isinstance(paths, str | Path):
        assert isinstance(indices, str | Path)
        return GenotypeFile(paths, indices, samples)
    assert not isinstance(indices, str | Path)
    if len(paths) == 1:
        return GenotypeFile(paths[0], indices[0], samples)
    return GenotypeFiles(paths, indices, samples)
