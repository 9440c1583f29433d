"""Bases as uint8 codes: A, C, G, T, N = 0..4."""

import numpy as np
import numpy.typing as npt

from seqtrust.errors import InputError

Codes = npt.NDArray[np.uint8]

LETTERS = "ACGTN"
UNKNOWN = 4
_AMBIGUOUS = "RYSWKMBDHVN"
_REFUSED = 255

_CODE_OF_BYTE = np.full(256, _REFUSED, dtype=np.uint8)
for _letter in _AMBIGUOUS + _AMBIGUOUS.lower():
    _CODE_OF_BYTE[ord(_letter)] = UNKNOWN
for _code, _letter in enumerate("ACGT"):
    _CODE_OF_BYTE[[ord(_letter), ord(_letter.lower())]] = _code
_BYTE_OF_CODE = np.frombuffer(LETTERS.encode(), dtype=np.uint8)
_COMPLEMENT = np.array([3, 2, 1, 0, 4], dtype=np.uint8)
_ONE_HOT = np.eye(5, 4, dtype=np.float32)


def encode(sequence: str | bytes) -> Codes:
    """Base codes of a sequence, shape (L,).

    Case is ignored (soft-masking carries no information for a model) and every IUPAC
    ambiguity code becomes N, so that the result never depends on a random choice.

    Raises:
        InputError: a character is neither a base nor an IUPAC ambiguity code.
    """
    raw = sequence.encode() if isinstance(sequence, str) else sequence
    codes = _CODE_OF_BYTE[np.frombuffer(raw, dtype=np.uint8)]
    refused = np.flatnonzero(codes == _REFUSED)
    if refused.size:
        index = int(refused[0])
        raise InputError(
            f"{chr(raw[index])!r} at index {index} (0-based) is not a base: "
            "expected A, C, G, T, N or an IUPAC ambiguity code"
        )
    return codes


def decode(codes: Codes) -> str:
    """The upper-case string of base codes of shape (L,)."""
    return _BYTE_OF_CODE[codes].tobytes().decode()


def reverse_complement(codes: Codes) -> Codes:
    """Reverse complement along the last axis; N stays N."""
    return _COMPLEMENT[codes[..., ::-1]]


def one_hot(codes: Codes) -> npt.NDArray[np.float32]:
    """One-hot rows in the order A, C, G, T, shape (..., 4, L); an N is all zeros."""
    return np.moveaxis(_ONE_HOT[codes], -1, -2)
