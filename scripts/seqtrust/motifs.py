"""Motifs: position weight matrices, MEME files, instances and their knock-outs."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqtrust.bases import Codes
from seqtrust.errors import InputError, nearest_clause

Floats = npt.NDArray[np.float64]

UNIFORM = 0.25
# keeps the log odds of bases that a motif never shows finite in a scan
SCAN_SOFTENING = 1e-3
_SUM_TOLERANCE = 0.02
_FACT = re.compile(r"(\w+)=\s*(\d+)")


@dataclass(frozen=True)
class Motif:
    """A position weight matrix, w columns of probabilities of A, C, G, T that sum to 1."""

    name: str
    columns: tuple[tuple[float, float, float, float], ...]

    def __post_init__(self) -> None:
        values = np.array(self.columns)
        if values.ndim != 2 or values.shape[1] != 4:
            raise ValueError(f"motif {self.name!r} needs columns of four probabilities")
        if not np.isfinite(values).all() or (values < 0).any():
            raise ValueError(f"motif {self.name!r} has a probability that is not 0 or more")
        wrong = np.flatnonzero(np.abs(values.sum(axis=1) - 1) > _SUM_TOLERANCE)
        if wrong.size:
            raise ValueError(
                f"motif {self.name!r}: column {wrong[0] + 1} sums to "
                f"{values[wrong[0]].sum():.3f}, not to 1"
            )

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.columns)

    @property
    def probabilities(self) -> Floats:
        """Probabilities, normalised to sum to 1 exactly, shape (w, 4)."""
        values = np.array(self.columns)
        return values / values.sum(axis=1, keepdims=True)

    @property
    def bits(self) -> Floats:
        """Log2 odds against a uniform background, -inf for what never occurs, shape (w, 4)."""
        with np.errstate(divide="ignore"):
            return np.log2(self.probabilities / UNIFORM)

    @property
    def consensus(self) -> Codes:
        """The most likely base of every column, the first of equals, shape (w,)."""
        return np.argmax(self.probabilities, axis=1).astype(np.uint8)

    @property
    def entropy(self) -> Floats:
        """Entropy of every column, bits, shape (w,)."""
        p = self.probabilities
        return -np.sum(p * np.log2(p, where=p > 0, out=np.zeros_like(p)), axis=1)

    def sample(self, rng: np.random.Generator) -> Codes:
        """An instance, every base drawn from its column, shape (w,)."""
        cumulative = np.cumsum(self.probabilities, axis=1)
        drawn = (rng.random((self.width, 1)) >= cumulative).sum(axis=1)
        return np.minimum(drawn, 3).astype(np.uint8)

    @property
    def knock_out(self) -> tuple[int, int, float]:
        """Column of lowest entropy, its least likely base, and that base's probability.

        The first of equals, as in Bajwa et al. 2024; both in motif orientation.
        """
        column = int(np.argmin(self.entropy))
        base = int(np.argmin(self.probabilities[column]))
        return column, base, float(self.probabilities[column, base])

    def knocked_out(self, instance: Codes) -> Codes:
        """An instance with the knock-out base at the knock-out column, shape (w,)."""
        column, base, _ = self.knock_out
        changed = instance.copy()
        changed[column] = base
        return changed


def soften(motif: Motif, share: float) -> Motif:
    """A motif mixed with the uniform distribution: (1 - share) x PWM + share / 4."""
    mixed = (1 - share) * motif.probabilities + share * UNIFORM
    return Motif(motif.name, tuple(map(tuple, mixed.tolist()))) if share else motif


def read_meme(path: str | Path) -> list[Motif]:
    """Read the motifs of a MEME file (version 4 or 5, DNA).

    Raises:
        InputError: the file is missing or is no MEME file of DNA motifs, or a motif is
            malformed or named twice; the message names the file and the motif.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no motif file at {path}")
    lines = path.read_text().splitlines()
    if not lines or not lines[0].startswith("MEME version"):
        raise InputError(f"{path} is not a MEME file: its first line is not `MEME version ...`")
    motifs: dict[str, Motif] = {}
    for name, number, rows in _motif_blocks(path, lines):
        if name in motifs:
            raise InputError(f"{path}, line {number}: motif {name!r} occurs twice")
        try:
            motifs[name] = Motif(name, tuple(rows))
        except ValueError as error:
            raise InputError(f"{path}, line {number}: {error}") from error
    if not motifs:
        raise InputError(f"{path} holds no motif")
    return list(motifs.values())


def _motif_blocks(
    path: Path, lines: Sequence[str]
) -> Iterator[tuple[str, int, list[tuple[float, float, float, float]]]]:
    """(name, line, rows) of every motif."""
    name, start = "", 0
    index = 0
    while index < len(lines):
        line = lines[index].strip()
        index += 1
        if line.startswith("MOTIF"):
            name, start = _second_word(path, line, index), index
        elif line.startswith("letter-probability matrix"):
            facts = dict(_FACT.findall(line))
            width = int(facts.get("w", 0))
            if not name or facts.get("alength", "4") != "4" or width < 1:
                raise InputError(
                    f"{path}, line {index}: motif {name!r} needs alength= 4 and a positive w="
                )
            rows = lines[index : index + width]
            yield name, start, [_row(path, name, index + i + 1, row) for i, row in enumerate(rows)]
            if len(rows) < width:
                raise InputError(f"{path}: motif {name!r} ends after {len(rows)} of {width} rows")
            index += width
            name = ""


def _second_word(path: Path, line: str, number: int) -> str:
    words = line.split()
    if len(words) < 2:
        raise InputError(f"{path}, line {number}: a MOTIF without a name")
    return words[1]


def _row(path: Path, name: str, number: int, line: str) -> tuple[float, float, float, float]:
    try:
        a, c, g, t = (float(word) for word in line.split())
    except ValueError:
        raise InputError(
            f"{path}, line {number}: motif {name!r} needs four probabilities, found {line!r}"
        ) from None
    return a, c, g, t


def write_meme(motifs: Sequence[Motif]) -> str:
    """Motifs as the text of a MEME 4 file."""
    text = (
        "MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\n"
        "Background letter frequencies\nA 0.25 C 0.25 G 0.25 T 0.25\n"
    )
    for motif in motifs:
        text += f"\nMOTIF {motif.name}\n"
        text += f"letter-probability matrix: alength= 4 w= {motif.width} nsites= 1\n"
        text += "".join(
            " ".join(f"{probability:.6f}" for probability in column) + "\n"
            for column in motif.columns
        )
    return text


def choose_motifs(motifs: Sequence[Motif], names: Sequence[str], path: str | Path) -> list[Motif]:
    """The motifs with these names, in this order.

    Raises:
        InputError: there is no motif of a name; the message names the nearest one.
    """
    by_name = {motif.name: motif for motif in motifs}
    for name in names:
        if name not in by_name:
            raise InputError(f"{path} has no motif {name!r}{nearest_clause(name, by_name)}")
    return [by_name[name] for name in names]
