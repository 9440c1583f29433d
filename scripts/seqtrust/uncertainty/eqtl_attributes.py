"""Attributes of eQTLs by class and by the number of correct replicates."""

import numpy as np
import pandas as pd

from seqtrust.statistics import Floats
from seqtrust.uncertainty.attributes import attribute_summary, attribute_tests
from seqtrust.uncertainty.eqtls import decided, score_parts, split_parts, stacked

BY_CLASS, BY_NUMBER = "class", "n_correct"


def eqtl_attributes(units: pd.DataFrame) -> dict[str, Floats]:
    """What is known of every unit by name, shape (N,) each; NaN where it is not known."""
    effects, relative = stacked(units, "effects"), stacked(units, "relative")
    return {
        "|beta|": np.abs(units["beta"].to_numpy(dtype=np.float64)),
        "|distance to TSS|": np.abs(units["distance"].to_numpy(dtype=np.float64)),
        "PIP": units["pip"].to_numpy(dtype=np.float64),
        "minor allele frequency": units["maf"].to_numpy(dtype=np.float64),
        "mean |effect|": np.abs(effects).mean(axis=1),
        "mean effect": effects.mean(axis=1),
        "mean |relative effect|": np.abs(relative).mean(axis=1),
        "conservation": units["conservation"].to_numpy(dtype=np.float64),
    }


def attribute_tables(units: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Quartiles of attributes and tests between classes, per score and data split.

    Decided units only. Attributes that nothing is known of are left out.

    Returns:
        Quartiles, with the columns score, split, grouping (`BY_CLASS` or `BY_NUMBER` of correct
        replicates) before those of `attribute_summary`; and the tests of `attribute_tests`, whose
        q-values are over the tests of one score and split.
    """
    summaries, tests = [], []
    for score, mine in score_parts(units):
        for split, part in split_parts(decided(mine)):
            values = {
                name: found
                for name, found in eqtl_attributes(part).items()
                if np.isfinite(found).any()
            }
            classes = part["class"].to_numpy(dtype=np.str_)
            numbers = part["n_correct"].astype(str).to_numpy(dtype=np.str_)
            for grouping, groups in ((BY_CLASS, classes), (BY_NUMBER, numbers)):
                table = attribute_summary(groups, values)
                summaries.append(_placed(table, score=score, split=split, grouping=grouping))
            tested = attribute_tests(classes, values, part["locus"].tolist())
            tests.append(_placed(tested, score=score, split=split))
    return pd.concat(summaries, ignore_index=True), pd.concat(tests, ignore_index=True)


def _placed(table: pd.DataFrame, **columns: str) -> pd.DataFrame:
    """The table with constant columns before its own."""
    return pd.DataFrame({**{name: [value] * len(table) for name, value in columns.items()},
                         **{name: table[name] for name in table.columns}})  # fmt: skip
