"""The one exception for mistakes that a user can mend, and the help that its messages give."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path


class InputError(Exception):
    """An input or a setting is wrong: the message says what, where and what to do."""


def nearest_clause(name: str, known: Iterable[str], shown: int = 12) -> str:
    """The end of a message about an unknown name: the nearest known one, or the known ones."""
    names = list(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    more = ", ..." if len(names) > shown else ""
    return f"; known: {', '.join(sorted(names)[:shown])}{more}" if names else "; none is known"


@contextmanager
def at_line(path: str | Path, line: int, expected: str) -> Iterator[None]:
    """Name the file and the line in whatever is wrong with one row.

    Args:
        path: the file.
        line: from 1.
        expected: what a row should be, for values that cannot be read.
    """
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}, line {line}: {error}") from None
    except (IndexError, ValueError) as error:
        raise InputError(f"{path}, line {line}: expected {expected} ({error})") from None


def first_line(error: Exception) -> str:
    """What an error says, or else what it is."""
    return (str(error).splitlines() or [type(error).__name__])[0]
