"""Writing an indexed FASTA."""

from collections.abc import Iterable
from pathlib import Path

from seqtrust import bases
from seqtrust.files import write_text

_LINE = 80


def write_fasta(target: str | Path, contigs: Iterable[tuple[str, bases.Codes]]) -> int:
    """Write contigs (name, base codes) as a FASTA, its index beside it.

    Returns:
        The number of contigs.
    """
    text: list[str] = []
    index: list[str] = []
    offset = 0
    for name, codes in contigs:
        header, body = f">{name}\n", _wrapped(bases.decode(codes))
        offset += len(header)
        index.append(f"{name}\t{len(codes)}\t{offset}\t{_LINE}\t{_LINE + 1}\n")
        offset += len(body)
        text += [header, body]
    write_text(target, "".join(text))
    write_text(f"{target}.fai", "".join(index))
    return len(index)


def _wrapped(letters: str) -> str:
    lines = (letters[start : start + _LINE] for start in range(0, len(letters), _LINE))
    return "".join(f"{line}\n" for line in lines)
