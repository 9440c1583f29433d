"""Real sequences whose shuffles are the backgrounds of a world."""

import logging
from pathlib import Path

from seqtrust.errors import InputError

# more add nothing that shuffles do not give, and the pool travels with every world
_MOST = 20_000

logger = logging.getLogger(__name__)


def read_pool(path: str | Path, length: int) -> tuple[str, ...]:
    """The middle of every sequence of a FASTA that is long enough and has no unknown base there.

    The log counts the others. Of more than 20,000, the first are taken.

    Args:
        path: FASTA, plain or compressed.
        length: L, bp.

    Raises:
        InputError: no sequence can serve.
    """
    import pysam

    found, short, unknown = [], 0, 0
    with pysam.FastxFile(str(path)) as records:
        for record in records:
            letters = (record.sequence or "").upper()
            start = (len(letters) - length) // 2
            middle = letters[max(start, 0) :][:length]
            if len(middle) < length:
                short += 1
            elif set(middle) - set("ACGT"):
                unknown += 1
            else:
                found.append(middle)
            if len(found) == _MOST:
                break
    logger.info("%d backgrounds; %d too short, %d with unknown bases", len(found), short, unknown)
    if not found:
        raise InputError(
            f"{path}: no sequence of {length} bp without unknown bases ({short} are shorter, "
            f"{unknown} have unknown bases): give others, or make worlds: sequences: length smaller"
        )
    return tuple(found)
