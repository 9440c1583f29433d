"""A toy's planted truth beside what a run recovered.

On a toy a claim holds by construction: it shows that the workflow finds what was put in,
not that the claim holds for real models. Every row says so.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from seqtrust.accuracy import ENSEMBLE
from seqtrust.errors import InputError
from seqtrust.statistics import wilson

STATUS = "by construction"
COLUMNS = ("claim", "planted", "recovered", "low", "high", "units", "planted_is", "status")
SIGN_CEILING = {"modelled": 1.0, "tag": 0.5, "reversed": 0.0}


def compare(
    truth: Mapping[str, Any],
    genes: pd.DataFrame,
    accuracy: pd.DataFrame,
    verdicts: pd.DataFrame,
    claims: Iterable[tuple[Any, ...]] = (),
) -> pd.DataFrame:
    """Planted and recovered values, claim by claim.

    Args:
        truth: what the toy's generator recorded.
        genes: planted genes with their mechanism.
        accuracy: correlation of predictions with the tracks.
        verdicts: verdicts on the signs of eQTLs, one per gene and variant.
        claims: further rows without the status, see `seqtrust.planted_claims`.

    Raises:
        InputError: a judged gene is not among the planted ones.
    """
    rows = [*_held_out_correlations(truth, accuracy), *_signs(genes, verdicts), *claims]
    return pd.DataFrame([(*row, STATUS) for row in rows], columns=list(COLUMNS))


def _held_out_correlations(
    truth: Mapping[str, Any], accuracy: pd.DataFrame
) -> list[tuple[Any, ...]]:
    """R of the ensemble on test loci beside the noise ceiling; the range is the replicates'."""
    test = accuracy[accuracy["split"] == "test"]
    rows = []
    for track, mine in test.groupby("track", sort=False):
        single = mine[mine["replicate"] != ENSEMBLE]["pearson_r"]
        ensemble = mine[mine["replicate"] == ENSEMBLE].iloc[0]
        rows.append(
            (f"held-out Pearson r, {track}", truth["noise_ceiling"][str(track)]["test"],
             ensemble["pearson_r"], single.min(), single.max(), int(ensemble["bins"]),
             "noise ceiling; interval: range of replicates")
        )  # fmt: skip
    return rows


def _signs(genes: pd.DataFrame, verdicts: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Share of signs that the mean effect gets right, in all and by planted mechanism."""
    mechanism = genes.set_index("gene")["mechanism"]
    unknown = sorted(set(verdicts["locus"]) - set(mechanism.index))
    if unknown:
        raise InputError(f"gene {unknown[0]!r} of the verdicts is not among the planted genes")
    kinds = mechanism.loc[verdicts["locus"]].to_numpy()
    mean = verdicts["scores"].map(lambda scores: sum(scores) / len(scores))
    right = (mean > 0) == (verdicts["truth"] > 0)
    rows = []
    for kind, ceiling in SIGN_CEILING.items():
        mine = right[kinds == kind]
        rows.append((f"eQTL signs right, {kind} genes", ceiling, *_share(mine),
                     "a model that knows the grammar"))  # fmt: skip
    ceiling = sum(SIGN_CEILING[kind] for kind in kinds) / len(kinds)
    rows.insert(0, ("eQTL signs right", ceiling, *_share(right), "a model that knows the grammar"))
    return rows


def _share(right: pd.Series) -> tuple[float, float, float, int]:
    count, total = int(right.sum()), len(right)
    share = count / total if total else float("nan")
    return (share, *wilson(count, total), total)


def read_truth(path: str | Path) -> dict[str, Any]:
    """Read what the toy's generator recorded."""
    return json.loads(Path(path).read_text())
