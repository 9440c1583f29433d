"""Structural priors of any data of the benchmark: a simulated world's, or those of an assay."""

from typing import Any

from seqtrust.errors import InputError
from seqtrust.motifs import Motif
from seqtrust.robustness.conditions import Condition
from seqtrust.robustness.structural_priors import (
    Kind,
    StructuralPrior,
    fit_prior,
    known_motifs,
    shuffled_motifs,
    standardised_prior,
)
from seqtrust.robustness.world_tables import WorldTable


def prior_of(
    world: WorldTable, training: Condition, seed: int, settings: dict[str, Any]
) -> StructuralPrior:
    """The prior of a model, standardised on training data.

    Motifs of an assay are those of a file, all of them and as they stand unless the settings say
    otherwise: nobody made the assay with them.

    Args:
        world: with its data sets.
        training: its training data.
        seed: of what is random in the prior.
        settings: `kind`, and perhaps `known` and `perturbation`.

    Raises:
        InputError: the assay has no motifs or columns, or there is no such kind.
    """
    if world.known:
        return fit_prior(world.world, training, seed=seed, **settings)
    kind: Kind = settings["kind"]
    motifs: tuple[Motif, ...] = ()
    if kind in ("scans", "shuffled"):
        if not world.motifs:
            raise InputError(f"prior {kind}: name a MEME file under motifs of the benchmark")
        known = settings.get("known", len(world.motifs))
        motifs = known_motifs(world.motifs, known, settings.get("perturbation", 0.0), seed)
    if kind == "shuffled":
        motifs = shuffled_motifs(motifs, world.motifs, seed)
    if kind == "upper_bound":
        raise InputError("prior upper_bound: nobody knows the features of an assay; use columns")
    names = world.names_of_columns if kind == "columns" else ()
    return standardised_prior(kind, motifs, training, names)
