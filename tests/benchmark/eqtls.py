"""How long do the statistics of a published eQTL table take? Simulated at its size."""

import argparse
import resource
import time

import numpy as np
import pandas as pd

from seqtrust.uncertainty.eqtl_report import annotated, eqtl_tables
from seqtrust.uncertainty.eqtls import NEGATIVES, POSITIVES
from seqtrust.uncertainty.states import States
from seqtrust.verdicts import classify

# Bajwa et al. 2024: eQTLs per tissue, five replicates, CAGE and DNase
TISSUES = (1859, 1534, 1228, 748, 723, 574, 448, 395, 277, 270, 227, 138, 124)
REPLICATES = 5
SETTINGS = {
    "matched_within": 0.25,
    "distance_breaks": [1000, 10000, 30000],
    "compare": [["CAGE", "DNase"]],
    "bounds": [10, 20, 50],
}


def units(score: str, kind: str, seed: int) -> pd.DataFrame:
    """Units of one score whose effects correlate .65 between replicates."""
    rng = np.random.default_rng(seed)
    parts = []
    for tissue, count in enumerate(TISSUES):
        shared = rng.normal(size=(count, 1))
        effects = 0.65**0.5 * shared + 0.35**0.5 * rng.normal(size=(count, REPLICATES))
        beta = 0.3 * shared[:, 0] + rng.normal(size=count)
        truth = np.sign(beta).astype(np.int8)
        calls = np.sign(effects).astype(np.int8)
        positions = rng.integers(0, 10_000_000, count)
        parts.append(
            pd.DataFrame(
                {
                    "score": score,
                    "kind": kind,
                    "unit": [f"{kind}{tissue}_{row}" for row in range(count)],
                    "variant": [f"chr1_{position}_A_C" for position in positions],
                    "contig": "chr1",
                    "position": positions,
                    "span": 1,
                    "gene": [f"gene{row % 900}" for row in range(count)],
                    "tissue": f"tissue{tissue}",
                    "track": score,
                    "split": "unknown",
                    "distance": rng.integers(-57216, 57216, count),
                    "beta": beta,
                    "pip": 0.95,
                    "maf": rng.uniform(0.01, 0.5, count),
                    "calls": list(calls),
                    "effects": list(effects),
                    "relative": list(effects / 10),
                    "truth": truth,
                    "n_correct": (calls == truth[:, None]).sum(axis=1).astype(np.int16),
                    "class": classify(calls, truth, np.zeros(count, dtype=bool)),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def main() -> None:
    """Print seconds and memory."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    parts = [
        units("CAGE", POSITIVES, 1),
        units("CAGE", NEGATIVES, 2),
        units("DNase", POSITIVES, 1),
    ]
    states: dict[str, States] = {}
    began = time.perf_counter()
    every = annotated(pd.concat(parts, ignore_index=True), None, states)
    rows = {"step": "read", "tissue": "all", "before": 0, "after": len(every), "changed": 0}
    filters = {f"CAGE/{POSITIVES}": pd.DataFrame([rows])}
    tables = eqtl_tables(every, SETTINGS, filters, {}, states, seed=1)
    seconds = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    found = sum(len(table) for table in tables.values())
    print(f"{len(every):,} rows of {sum(TISSUES):,} eQTLs: {found:,} rows of results")
    print(f"{seconds:.1f} s, {memory:.2f} GiB at most")


if __name__ == "__main__":
    main()
