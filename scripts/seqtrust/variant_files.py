"""VCF files made ready for random access, beside the results and not beside the input."""

from pathlib import Path

from seqtrust.errors import InputError
from seqtrust.files import whole_file


def compress(source: str | Path, target: str | Path) -> None:
    """Write a plain VCF as a bgzipped one.

    Raises:
        InputError: there is no such file.
    """
    import pysam

    if not Path(source).exists():
        raise InputError(f"there is no VCF at {source}")
    with whole_file(target) as temporary:
        pysam.tabix_compress(str(source), str(temporary), force=True)


def index(source: str | Path, target: str | Path) -> None:
    """Write the tabix index of a bgzipped VCF, or the CSI index of a BCF (a name in `.bcf`).

    Raises:
        InputError: the file is missing, not bgzipped or not sorted.
    """
    import pysam

    if not Path(source).exists():
        raise InputError(f"there is no VCF at {source}")
    with whole_file(target) as temporary:
        try:
            if not _is_bgzipped(source):
                raise OSError("not bgzipped")
            preset = "bcf" if Path(source).suffix == ".bcf" else "vcf"
            pysam.tabix_index(
                str(source),
                preset=preset,  # type: ignore[arg-type] # its stub lacks "bcf"
                index=str(temporary),
                keep_original=True,
                force=True,
            )
        except OSError as error:
            raise InputError(
                f"{source} cannot be indexed ({error}): it must be bgzipped and sorted; "
                f"try: bcftools sort -Oz -o sorted.vcf.gz {source}"
            ) from error


def _is_bgzipped(path: str | Path) -> bool:
    with open(path, "rb") as file:
        head = file.read(14)
    return head[:4] == b"\x1f\x8b\x08\x04" and head[12:14] == b"BC"
