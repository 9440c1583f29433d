"""Time and memory of the analyses across people at the published size.

    OMP_NUM_THREADS=1 PYTHONPATH=scripts python tests/benchmark/people.py [--genes N]

3,259 genes, 421 people in two populations, 5 replicates, 1,000 permutations: everything of the
table of genes is timed whole. The cis-SNP predictor, heritability and drivers go gene by gene;
they are timed on some genes with 400 common variants each and scaled.
"""

import argparse
import resource
import time

import numpy as np
import pandas as pd

from seqtrust.uncertainty.people_dosages import CisVariants, filled, standard_dosages
from seqtrust.uncertainty.people_drivers import driver_rows
from seqtrust.uncertainty.people_linear import explained_by_genotypes, haseman_elston, linear_fit
from seqtrust.uncertainty.people_summary import class_table, gene_table, pair_table
from seqtrust.uncertainty.people_tables import People

PEOPLE, REPLICATES, PERMUTATIONS = 421, 5, 1000
FROM_YRI = 77
VARIANTS = 400
SOME = 10


def simulated(genes: int) -> tuple[People, np.ndarray, np.ndarray]:
    """Correlated replicates, expression that follows them a little, and populations."""
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(genes, PEOPLE))
    values = np.stack([shared + rng.normal(size=shared.shape) for _ in range(REPLICATES)])
    measured = 0.2 * shared + rng.normal(size=shared.shape)
    table = pd.DataFrame(
        {"gene": [f"g{i}" for i in range(genes)], "contig": "c", "start": 0, "end": 1,
         "anchor": 0, "split": "unknown"}
    )  # fmt: skip
    names = [f"r{i + 1}" for i in range(REPLICATES)]
    people = People(table, names, values, np.zeros((REPLICATES, genes)))
    return people, measured, (np.arange(PEOPLE) < FROM_YRI).astype(np.int64)


def linked_variants() -> CisVariants:
    """Dosages of common variants in linkage."""
    rng = np.random.default_rng(2)
    walk = rng.normal(size=(VARIANTS, 2 * PEOPLE))
    for row in range(1, VARIANTS):
        walk[row] = 0.9 * walk[row - 1] + np.sqrt(0.19) * walk[row]
    dosages = (walk > 0.6).reshape(VARIANTS, PEOPLE, 2).sum(axis=2).astype(np.int8)
    places = 300 * np.arange(VARIANTS)
    inside = np.ones(VARIANTS, dtype=bool)
    names = [f"c_{place + 1}_A_C" for place in places]
    return CisVariants(names, places, inside, dosages.mean(axis=1) / 2, dosages)


def memory() -> float:
    """Largest resident memory of the process so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--genes", type=int, default=3259)
    genes = parser.parse_args().genes
    people, measured, populations = simulated(genes)
    started = time.perf_counter()
    pairs = pair_table(people)
    table, null = gene_table(people, pairs, measured, populations, PERMUTATIONS, 1)
    class_table(table, null)
    print(f"{genes:,} genes x {PEOPLE} people x {REPLICATES} replicates x {PERMUTATIONS:,} "
          f"permutations: {time.perf_counter() - started:.1f} s, {memory():.2f} GiB")  # fmt: skip
    variants = linked_variants()
    rng = np.random.default_rng(3)
    steps = {
        "cis-SNP predictor": lambda y: linear_fit(filled(variants.dosages), y, 5, 1),
        "heritability": lambda y: [
            estimate(standard_dosages(variants.dosages), y)
            for estimate in (explained_by_genotypes, haseman_elston)
        ],
        "drivers": lambda y: driver_rows(
            {"gene": "g", "split": "test", "anchor": 0}, np.stack([y] * REPLICATES),
            people.replicates, variants, {}, 0.9, 10,
        ),
    }  # fmt: skip
    for name, step in steps.items():
        started = time.perf_counter()
        for _ in range(SOME):
            weights = rng.normal(size=VARIANTS) * (rng.random(VARIANTS) < 0.02)
            y = weights @ filled(variants.dosages)
            step(y + y.std() * rng.normal(size=PEOPLE))
        seconds = (time.perf_counter() - started) / SOME
        print(f"{name}: {seconds:.2f} s per gene with {VARIANTS} variants, "
              f"{seconds * genes / 60:.0f} min for {genes:,} genes on one core")  # fmt: skip
    print(f"largest memory: {memory():.2f} GiB")


if __name__ == "__main__":
    main()
