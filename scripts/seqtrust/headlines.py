"""Headline numbers: what a run says, in a line each."""

import html
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from seqtrust.accuracy import ENSEMBLE
from seqtrust.consistency import CALLED, CORRELATED, OBSERVED, TRUE_PEAKS
from seqtrust.genome import UNKNOWN_SPLIT
from seqtrust.verdicts import INCONSISTENT

COLUMNS = ("headline", "value", "low", "high", "beside", "beside_is", "units")

TOY_NOTES = (
    "The inputs are simulated. A value beside its planted one holds by construction: it shows that "
    "the workflow recovers what was put in, not that the claim holds for real models.",
)

_SPLITS = ("test", UNKNOWN_SPLIT, "validation", "train")
_SHOWN = ("all", TRUE_PEAKS, CALLED)
_STATISTICS = {
    "single_replicate_accuracy": "right, single replicate",
    "accuracy_if_unanimous": "right, if replicates are unanimous",
    "pairwise_agreement": "pairs of replicates that agree",
}


def from_planted(planted: pd.DataFrame) -> pd.DataFrame:
    """Headlines of a toy's planted claims."""
    names = {"claim": "headline", "recovered": "value", "planted": "beside"}
    return planted.rename(columns=names | {"planted_is": "beside_is"})[list(COLUMNS)]


def from_accuracy(accuracy: pd.DataFrame) -> pd.DataFrame:
    """Correlation of the ensemble with each track, on test loci if any are known."""
    present = set(accuracy["split"])
    split = next((name for name in _SPLITS if name in present), _SPLITS[0])
    rows = []
    for track, mine in accuracy[accuracy["split"] == split].groupby("track", sort=False):
        single = mine[mine["replicate"] != ENSEMBLE]["pearson_r"]
        ensemble = mine[mine["replicate"] == ENSEMBLE].iloc[0]
        rows.append(
            (f"Pearson r, {track}, {split} loci", ensemble["pearson_r"], single.min(),
             single.max(), None, "interval: range of replicates", int(ensemble["bins"]))
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def from_verdict(label: str, fractions: pd.DataFrame, statistics: pd.DataFrame) -> pd.DataFrame:
    """The inconsistent fraction beside what replicate correlation implies, and accuracies.

    Strata are left to the table of class fractions.

    Args:
        label: name of the verdict.
        fractions: its class fractions.
        statistics: its headline statistics.
    """
    rows: list[tuple[Any, ...]] = []
    whole = fractions[(fractions["split"] == "all") & (fractions["class"] == INCONSISTENT)]
    for subset, mine in whole[whole["subset"].isin(_SHOWN)].groupby("subset", sort=False):
        by_level = mine.set_index("level")
        observed: Any = by_level.loc[OBSERVED]
        implied = by_level["fraction"].get(CORRELATED)
        name = label if subset == "all" else f"{label}, {subset}"
        rows.append(
            (f"{name}: inconsistent", observed["fraction"], observed["low"], observed["high"],
             implied, CORRELATED, int(observed["total"]))
        )  # fmt: skip
        known = statistics[(statistics["split"] == "all") & (statistics["subset"] == subset)]
        for row in known.to_dict("records"):
            if row["statistic"] in _STATISTICS:
                title = f"{name}: {_STATISTICS[row['statistic']]}"
                rows.append((title, row["value"], row["low"], row["high"], None, "", row["units"]))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def headline_table(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """All headlines of a run."""
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(COLUMNS))


def line(row: Mapping[str, Any]) -> str:
    """One headline as a line of text."""
    text = f"{row['headline']}: {row['value']:.3f}"
    if pd.notna(row["low"]):
        text += f" [{row['low']:.3f}, {row['high']:.3f}]"
    if pd.notna(row["beside"]):
        text += f" beside {row['beside']:.3f} ({row['beside_is']})"
    return f"{text}, n = {int(row['units']):,}"


def page(title: str, table: pd.DataFrame, notes: Iterable[str]) -> str:
    """A self-contained HTML page of the headlines."""
    shown = pd.DataFrame(
        {
            "": table["headline"],
            "value": [f"{value:.3f}" for value in table["value"]],
            "interval": [
                f"{low:.3f} to {high:.3f}" if pd.notna(low) else ""
                for low, high in zip(table["low"], table["high"], strict=True)
            ],
            "beside": [f"{value:.3f}" if pd.notna(value) else "" for value in table["beside"]],
            "which is": table["beside_is"].fillna(""),
            "n": [f"{int(units):,}" for units in table["units"]],
        }
    )
    paragraphs = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Headline numbers</title>"
        "<style>body{font:14px sans-serif;margin:2em;max-width:70em}"
        "table{border-collapse:collapse}td,th{padding:.25em .8em;border-bottom:1px solid #ddd;"
        "text-align:left}</style></head><body>"
        f"<h1>{html.escape(title)}</h1>{paragraphs}{shown.to_html(index=False, border=0)}"
        "</body></html>\n"
    )
