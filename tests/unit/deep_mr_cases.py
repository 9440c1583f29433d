"""Maps and instruments of a planted relation, for the tests of the stage of Deep MR."""

from pathlib import Path

import numpy as np

from seqtrust.ism_maps import MapRow, write_maps
from seqtrust.mendelian.instrument_tables import RULE, Instruments
from seqtrust.predictions import OutputSpec

TASKS = ("x", "y", "z")


def planted(rng, replicates=5, loci=8, positions=12, slope=0.7, noise=0.05):
    """Effects (E, K, P, 4, T) of which y is `slope` times x and z is unrelated, and own bases."""
    bases = rng.integers(0, 4, (loci, positions)).astype(np.uint8)
    x = rng.normal(size=(loci, positions, 4))
    z = rng.normal(size=(loci, positions, 4))
    true = np.stack([x, slope * x, z], axis=-1)
    shape = (replicates, *true.shape)
    effects = true + noise * rng.normal(size=shape)
    effects = np.where(np.eye(4, dtype=bool)[bases][None, ..., None], 0, effects)
    references = 20 + rng.normal(size=(loci, 3)) + 0.1 * rng.normal(size=(replicates, loci, 3))
    return effects.astype(np.float32), references.astype(np.float32), bases


def write_case(folder: Path, effects, references, bases, region=(3, 15), tasks=TASKS, bins=1):
    """Files of maps by replicate."""
    output = OutputSpec("tasks", tuple(range(len(tasks))), tuple(range(bins)), "none", tasks)
    metadata = {"region": f"[{region[0]}, {region[1]}]", "noise_floor": "{}"}
    paths = {}
    for number, (mine, levels) in enumerate(zip(effects, references, strict=True), start=1):
        rows = [
            MapRow(
                f"locus{at}",
                bases[at],
                np.repeat(levels[at][:, None], bins, axis=1),
                np.repeat(mine[at][..., None], bins, axis=-1),
                3 * len(bases[at]),
                0,
                1,
            )
            for at in range(len(bases))
        ]
        paths[f"r{number}"] = folder / f"r{number}.parquet"
        write_maps(paths[f"r{number}"], rows, output, lambda: metadata)
    return paths


def instruments(rng, replicates=5, loci=12, number=10, slope=0.7, noise=0.05, spread=0.0):
    """Instruments of which y is `slope` times x plus `spread` over loci, and z is unrelated."""
    x = rng.normal(size=(loci, number))
    slopes = slope + spread * rng.normal(size=(loci, 1))
    true = np.stack([x, slopes * x, rng.normal(size=x.shape)], axis=-1).reshape(-1, 3)
    each = true + noise * rng.normal(size=(replicates, *true.shape))
    beta, se = each.mean(axis=0), each.std(axis=0, ddof=1) / np.sqrt(replicates)
    rows = loci * number
    return Instruments(
        TASKS,
        tuple(f"locus{at}" for at in range(loci)),
        tuple("train" if at % 2 else "test" for at in range(loci)),
        np.repeat(np.arange(loci), number),
        tuple(f"{at}A>C" for at in range(rows)),
        np.tile(np.arange(number), loci),
        beta,
        se,
        each,
        None,
        np.full((rows, 3), RULE, dtype=np.int8),
        np.ones(3),
        "mean",
    )
