"""Coverage of Deep MR where the truth is known and no network is in between.

    OMP_NUM_THREADS=1 PYTHONPATH=scripts python tests/benchmark/mendelian_coverage.py [--rounds 500]

Every round draws loci with both motifs, their true effects, and errors of five replicates. Coverage
of the mean is of the same estimator on noise-free effects of 2,000 other loci, which has to be .95
for `per_replicate`; coverage of loci is of each locus' own noise-free effect.
"""

import argparse
import time

import pandas as pd

from seqtrust.mendelian.simulated_grammar import Process, chosen_motifs
from seqtrust.mendelian.simulated_study import ROUNDS, columns_of, simulated_round
from seqtrust.mendelian.simulated_summary import summary_table
from seqtrust.mr_simulation_cells import Cell

SETTINGS = {
    "sd of loci .2, gain .1": (0.2, {"gain": 0.1}),
    "sd of loci 0, gain .2": (0.0, {"gain": 0.2}),
    "sd of loci .5, gain 0": (0.5, {"gain": 0.0}),
}
SHOWN = [
    ("bias", "population"),
    ("coverage", "population"),
    ("local_coverage", "oracle"),
    ("prediction_coverage", "loci"),
]
ANALYSES = {
    "members": [5],
    "rules": {"strong": {}},
    "estimators": ["per_replicate", "ivw", "egger"],
    "calibration": ["none"],
    "published": False,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--loci", type=int, default=60)
    parser.add_argument("--settings", type=int, default=len(SETTINGS))
    given = parser.parse_args()
    process = Process(
        chosen_motifs("resources/toy/motifs.meme", ["TOY1", "TOY2", "TOY3"]),
        potential=(-8.0, -8.0, -8.0),
    )
    began = time.process_time()
    print(f"{given.rounds} rounds of {given.loci} loci, effects uniform in [0, 3]\n")
    print("| setting | estimator | bias | coverage of the mean | of loci | of new loci |")
    print("|---|---|---|---|---|---|")
    for name, (heterogeneity, oracle) in list(SETTINGS.items())[: given.settings]:
        rows = [
            row
            for number in range(1, given.rounds + 1)
            for row in simulated_round(
                process,
                Cell("none", "uniform", heterogeneity, 1.0),
                number,
                seed=1,
                law={"uniform": [0, 3]},
                data={"loci": given.loci},
                oracle=oracle,
                networks=None,
                analyses=ANALYSES,
            )
        ]
        made = pd.DataFrame(columns_of(rows), columns=[one.name for one in ROUNDS.columns])
        summary = summary_table(made.infer_objects()).set_index(["metric", "truth"])
        for estimator in ANALYSES["estimators"]:
            mine = summary[summary["estimator"] == estimator]
            cells = [
                f"{mine.loc[key, 'value']:.3f} ± {mine.loc[key, 'mc_se']:.3f}" for key in SHOWN
            ]
            print(f"| {name} | `{estimator}` | {' | '.join(cells)} |", flush=True)
    print(f"\n{time.process_time() - began:.0f} CPU seconds, {time.strftime('%Y-%m-%d')}")


if __name__ == "__main__":
    main()
