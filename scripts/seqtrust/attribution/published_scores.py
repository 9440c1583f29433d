"""Published consistency scores of models (Majdandzic et al. 2022), and what follows from them."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import pearsonr, spearmanr

from seqtrust.errors import InputError
from seqtrust.files import read_input_table

ACCESSIBILITY = ("model", "activation", "kmer", "embedding", "pearson_r", "nan_maps")
SYNTHETIC = ("model", "activation", "auroc", "snr", "kmer", "embedding")


def read_accessibility(path: str | Path) -> pd.DataFrame:
    """The 26 chromatin models: both scores and generalisation.

    Raises:
        InputError: another table.
    """
    return _read(path, ACCESSIBILITY)


def read_synthetic(path: str | Path) -> pd.DataFrame:
    """The models on synthetic data whose numbers were printed.

    Raises:
        InputError: another table.
    """
    return _read(path, SYNTHETIC)


def _read(path: str | Path, columns: tuple[str, ...]) -> pd.DataFrame:
    table = read_input_table(path)
    if tuple(table.columns) != columns:
        raise InputError(
            f"{path}: expected the columns {', '.join(columns)}; found: {', '.join(table.columns)}"
        )
    return table


def accessibility_correlations(table: pd.DataFrame) -> pd.DataFrame:
    """Correlations over the chromatin models, which the publication does not print.

    Args:
        table: from `read_accessibility`.

    Returns:
        A row per pair of columns and choice of models (all, or those without NaN maps) with
        Pearson's and Spearman's correlation.
    """
    rows = []
    whole = table[table["nan_maps"] == 0]
    for models, mine in (("all", table), ("without NaN maps", whole)):
        for first, second in (("kmer", "pearson_r"), ("embedding", "pearson_r"),
                              ("kmer", "embedding")):  # fmt: skip
            x, y = mine[first].to_numpy(np.float64), mine[second].to_numpy(np.float64)
            values = pearsonr(x, y).statistic, spearmanr(x, y).statistic
            rows.append((models, first, second, *values, len(mine)))
    columns = ["models", "first", "second", "pearson", "spearman", "count"]
    return pd.DataFrame(rows, columns=columns)


def activation_pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Models that differ in the first layer's activation only, exponential minus ReLU.

    Args:
        table: from `read_accessibility`.

    Returns:
        A row per pair: its name, the differences of both scores, and whether a map holds NaN.
    """
    by_name = table.set_index("model")
    rows = []
    for name in by_name.index[by_name["activation"] == "exponential"]:
        plain = name.removesuffix("_exp") + "_relu"
        if plain in by_name.index:
            pair = by_name.loc[[name, plain]]
            scores = pair[["kmer", "embedding"]].to_numpy(np.float64)
            rows.append((name.removesuffix("_exp"), *(scores[0] - scores[1]),
                         bool(pair["nan_maps"].any())))  # fmt: skip
    return pd.DataFrame(rows, columns=["pair", "kmer", "embedding", "nan_maps"])
