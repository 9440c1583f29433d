"""Counts of what every filter of a source leaves, in the order in which filters are applied."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from seqtrust.files import write_tsv

COLUMNS = ("step", "tissue", "before", "after", "changed")
EVERY = "all"


class FilterCounts:
    """Rows before and after every step, per tissue and over all; files of one source add up."""

    def __init__(self) -> None:
        """Start without a step."""
        self._steps: dict[str, tuple[Counter[str], Counter[str], Counter[str]]] = {}

    def add(
        self,
        step: str,
        before: Iterable[str],
        after: Iterable[str],
        changed: Iterable[str] = (),
    ) -> None:
        """Count one step.

        Args:
            step: what is kept or changed.
            before: tissue of every row before the step.
            after: tissue of every row after it.
            changed: tissue of every row that the step altered and kept.
        """
        empty: tuple[Counter[str], Counter[str], Counter[str]] = (Counter(), Counter(), Counter())
        for counter, tissues in zip(
            self._steps.setdefault(step, empty), (before, after, changed), strict=True
        ):
            counter.update(map(str, tissues))

    def table(self) -> pd.DataFrame:
        """A row per step for all tissues and, where there are several, for each of them."""
        rows = []
        for step, counters in self._steps.items():
            totals = [counter.total() for counter in counters]
            rows.append((step, EVERY, *totals))
            tissues = sorted(counters[0])
            if len(tissues) > 1:
                rows += [(step, name, *(counter[name] for counter in counters)) for name in tissues]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def write(self, path: str | Path) -> None:
        """Write the table as TSV."""
        write_tsv(path, self.table())
