"""The sequences of a set as a FASTA, for models that predict elsewhere."""

from pathlib import Path

from seqtrust.bases import decode
from seqtrust.errors import InputError
from seqtrust.files import whole_file
from seqtrust.sequence_set import read_by_group

_LINE = 80


def write_sequences(path: str | Path, sequence_set: str | Path) -> int:
    """Write every sequence as the model sees it: edited, of the window's length, on its strand.

    The file is bgzipped and the set is read in parts, so memory does not grow with it.

    Args:
        path: target.
        sequence_set: the set.

    Returns:
        The number of sequences.

    Raises:
        InputError: an id has white space, which would end its name in a FASTA.
    """
    import pysam

    count = 0
    with whole_file(path) as temporary, pysam.BGZFile(str(temporary), "wb", None) as file:
        for part in read_by_group(sequence_set):
            rows = (row for block in part.blocks() for row in block)
            for sequence_id, codes in zip(part.ids(), rows, strict=True):
                if len(sequence_id.split()) != 1:
                    raise InputError(
                        f"{sequence_set}: sequence id {sequence_id!r} has white space and can be "
                        "no name in a FASTA: take it out of the names of windows or variants"
                    )
                text = decode(codes)
                lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
                file.write("\n".join([f">{sequence_id}", *lines, ""]).encode())
                count += 1
    return count
