"""Coverage of Deep MR where the truth is known and no network is in between.

    OMP_NUM_THREADS=1 PYTHONPATH=scripts python tests/benchmark/mendelian_coverage.py [--rounds 500]

Every round draws loci with both motifs, their true effects, and errors of five replicates. Coverage
of the mean is of the same estimator on noise-free effects of 2,000 other loci, which has to be .95
for `per_replicate`; coverage of loci is of each locus' own noise-free effect. Where the effect is 0
at all loci, the type I error is the share of rounds whose interval leaves out 0, which has to be
.05. Errors of exposure and outcome correlate by .3 unless it says otherwise.
"""

import argparse
import time

import pandas as pd

from seqtrust.mendelian.simulated_grammar import Process, chosen_motifs
from seqtrust.mendelian.simulated_study import ROUNDS, columns_of, simulated_round
from seqtrust.mendelian.simulated_summary import summary_table
from seqtrust.mr_simulation_cells import Cell

ANY, ZERO = {"uniform": [0, 3]}, {"fixed": 0}
# law of the effect, its sd over loci, and errors
SETTINGS = {
    "sd of loci .2, gain .1": (ANY, 0.2, {"gain": 0.1}),
    "sd of loci 0, gain .2": (ANY, 0.0, {"gain": 0.2}),
    "sd of loci .5, gain 0": (ANY, 0.5, {"gain": 0.0}),
    "effect 0, gain .2": (ZERO, 0.0, {"gain": 0.2}),
    "effect 0, gain .2, errors correlate by .8": (ZERO, 0.0, {"gain": 0.2, "psi": 0.8}),
}
SHOWN = [
    ("bias", "population"),
    ("coverage", "population"),
    ("local_coverage", "oracle"),
    ("prediction_coverage", "loci"),
    ("type_I", ""),
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
    parser.add_argument("--settings", type=int, nargs="*", default=range(1, len(SETTINGS) + 1))
    given = parser.parse_args()
    process = Process(
        chosen_motifs("resources/toy/motifs.meme", ["TOY1", "TOY2", "TOY3"]),
        potential=(-8.0, -8.0, -8.0),
    )
    began = time.process_time()
    print(f"{given.rounds} rounds of {given.loci} loci, effects uniform in [0, 3] or 0\n")
    print("| setting | estimator | bias | coverage of the mean | of loci | of new loci | type I |")
    print("|---|---|---|---|---|---|---|")
    for number, (name, (law, heterogeneity, oracle)) in enumerate(SETTINGS.items(), start=1):
        if number not in given.settings:
            continue
        rows = [
            row
            for turn in range(1, given.rounds + 1)
            for row in simulated_round(
                process,
                Cell("none", next(iter(law)), heterogeneity, 1.0),
                turn,
                seed=1,
                law=law,
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
                f"{mine.loc[key, 'value']:.3f} ± {mine.loc[key, 'mc_se']:.3f}"
                if key in mine.index
                else ""
                for key in SHOWN
            ]
            print(f"| {name} | `{estimator}` | {' | '.join(cells)} |", flush=True)
    print(f"\n{time.process_time() - began:.0f} CPU seconds, {time.strftime('%Y-%m-%d')}")


if __name__ == "__main__":
    main()
