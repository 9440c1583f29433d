"""Headline numbers: what a run says, in a line each."""

import html
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from seqtrust.accuracy import ENSEMBLE
from seqtrust.attribution.attribution_maps import CORRECTED
from seqtrust.attribution.scored_maps import NULL_OF
from seqtrust.attribution.selection import AVERAGE, BEST, CONSTRAINED
from seqtrust.consistency import CALLED, CORRELATED, OBSERVED, TRUE_PEAKS
from seqtrust.genome import UNKNOWN_SPLIT
from seqtrust.mendelian.simulated_summary import ANALYSIS, EVERY
from seqtrust.statistics import wilson
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


def from_attributions(label: str, scores: pd.DataFrame, agreement: pd.DataFrame) -> pd.DataFrame:
    """Consistency of a method's maps over the null, and agreement of replicates' maps.

    Means over replicates, or pairs of them, of what each has on average over tracks.

    Args:
        label: name of the entry of attributions.
        scores: its consistency scores.
        agreement: its agreement of maps; without rows where there is one model.
    """
    rows: list[tuple[Any, ...]] = []
    fits = scores["null"] == scores["score"].map(NULL_OF)
    known = scores[fits & (scores["mode"] == CORRECTED) & scores["excess"].notna()]
    single = known[known["replicate"] != ENSEMBLE]
    for (method, score), mine in single.groupby(["method", "score"], sort=False):
        excess = mine.groupby("replicate", sort=False)["excess"].mean()
        rows.append(
            (f"{label}, {str(method).replace('_', ' ')}: {score} consistency over its null",
             excess.mean(), excess.min(), excess.max(), None, "interval: range of replicates",
             int(mine["maps"].max()))
        )  # fmt: skip
    if agreement.empty:
        return pd.DataFrame(rows, columns=list(COLUMNS))
    pairs = agreement[(agreement["comparison"] == "replicates") & agreement["pearson"].notna()]
    for method, mine in pairs.groupby("method", sort=False):
        r = mine.groupby(["replicate", "other_replicate"])["pearson"].mean()
        rows.append(
            (f"{label}, {str(method).replace('_', ' ')}: Pearson r of two replicates' maps",
             r.mean(), r.min(), r.max(), None, "interval: range of pairs",
             int(mine["sequences"].max()))
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def from_population(
    label: str, selection: pd.DataFrame, correlations: pd.DataFrame
) -> pd.DataFrame:
    """What consistency says of truth, or of generalisation where no truth is known, and regret.

    Args:
        label: name of the population.
        selection: what rules choose.
        correlations: of scores.
    """
    known = selection["target"].notna().any()
    target = "snr" if known else "generalisation"
    plain = correlations[
        (correlations["statistic"] == "pearson") & (correlations["subset"] == "all")
    ]
    plain = plain[plain["against"] == target].set_index(["score", "level"])
    # fractions of vectors that were published for simulated and for measured data
    versions = {
        "kmer": "kmer_published",
        "embedding": f"embedding_published{'_wide' if known else ''}",
    }
    names = {"kmer": "k-mer score", "embedding": "embedding score"}
    words = "signal to noise of maps" if known else "generalisation"
    rows: list[tuple[Any, ...]] = []
    for score, version in versions.items():
        for column, extra in ((score, ""), (version, ", as published,")):
            row: Any = plain.loc[(column, "all")]
            inside = plain["value"].get((column, "within classes"))
            beside = (inside, "within classes") if not extra else (row["published"], "published")
            rows.append(
                (f"{label}: Pearson r of the {names[score]}{extra} and {words}", row["value"],
                 row["low"], row["high"], *beside, int(row["models"]))
            )  # fmt: skip
    if known:
        mine = selection[selection["target"] == target]
        at_random = mine.loc[mine["rule"] == AVERAGE, "regret"].iloc[0]
        by_rule = mine.set_index(["rule", "score"])
        for (rule, score), said in {
            (BEST, "generalisation"): "the best generalising model",
            (CONSTRAINED, "kmer"): "the most consistent of the best (k-mer)",
            (CONSTRAINED, "embedding"): "the most consistent of the best (embedding)",
        }.items():
            chosen: Any = by_rule.loc[(rule, score)]
            rows.append(
                (f"{label}: regret in signal to noise of {said}, {chosen['chosen']}",
                 chosen["regret"], chosen["low"], chosen["high"], at_random, "a model at random",
                 int(chosen["sequences"]))
            )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def from_simulation(label: str, summary: pd.DataFrame) -> pd.DataFrame:
    """How often intervals of a Deep MR simulation hold each truth, and zero effects are called.

    All cells together, by the first analysis of the config; of the oracle and of networks.

    Args:
        label: name of the simulation.
        summary: of `seqtrust.mendelian.simulated_summary.summary_table`.
    """
    rows = []
    for path, all_of_path in summary.groupby("path", sort=False):
        first = all_of_path[ANALYSIS].iloc[0]
        mine = all_of_path[(all_of_path[ANALYSIS] == first).all(axis=1)]
        shares = mine[(mine["cluster"] == EVERY) & mine["metric"].isin(["coverage", "type_I"])]
        for (metric, truth), part in shares.fillna({"truth": ""}).groupby(
            ["metric", "truth"], sort=False
        ):
            rounds = int(part["rounds"].sum())
            held = round(float((part["value"] * part["rounds"]).sum()))
            said = f"intervals that hold the truth {truth!r}"
            if metric == "type_I":
                said = "effects of 0 called"
            rows.append(
                (f"{label}, {path}: {said} by {first['estimator']}", held / rounds,
                 *wilson(held, rounds), 0.05 if metric == "type_I" else 0.95, "nominal", rounds)
            )  # fmt: skip
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
