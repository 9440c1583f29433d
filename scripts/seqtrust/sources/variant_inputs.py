"""The variants that an entry of the config names: read, checked against the FASTA, normalised."""

from collections.abc import Mapping, Sequence
from typing import Any

from seqtrust.errors import InputError
from seqtrust.genes import Point
from seqtrust.genome import Genome
from seqtrust.sources.filter_counts import FilterCounts
from seqtrust.sources.fine_mapped import Selection, read_effect_tables
from seqtrust.sources.skipped import Skipped, count_reasons
from seqtrust.sources.variant_records import (
    Variant,
    check_reference,
    left_normalise,
    read_vcf,
)

REF_AS_IN_FASTA = "REF is that of the FASTA"
IN_WINDOW = "variant and flank lie in a window"


def read_variants(
    genome: Genome,
    paths: Sequence[str],
    index: str | None,
    chosen: Mapping[str, Any],
    max_ref_mismatch: float,
    points: Mapping[str, Point] | None = None,
) -> tuple[list[Variant], list[Skipped], FilterCounts]:
    """The left-normalised variants of one `variants` entry of the config, and what is left out.

    Args:
        genome: assembly of the variants.
        paths: the VCF, or one or more tables.
        index: the VCF's tabix index.
        chosen: `{"vcf": settings}` or `{"table": settings}`.
        max_ref_mismatch: as `allowed_fraction` in `check_reference`.
        points: TSS of every gene by name, for `nearest_gene` of a table.

    Raises:
        InputError: no variant is left, or see the readers.
    """
    if "vcf" in chosen:
        settings = chosen["vcf"]
        variants, skipped = read_vcf(
            paths[0], index, settings.get("region"), genome, settings["snvs_only"]
        )
        counts = FilterCounts()
    else:
        settings = chosen["table"]
        variants, skipped, counts = read_effect_tables(
            paths, genome, selection_of(settings, points), settings["context"]
        )
    checked, differing = check_reference(variants, genome, max_ref_mismatch)
    skipped += differing
    if not checked:
        raise InputError(
            f"{', '.join(paths)}: no variant is left; skipped: {count_reasons(skipped)}"
        )
    counts.add(REF_AS_IN_FASTA, *([row.context for row in rows] for rows in (variants, checked)))
    return [left_normalise(variant, genome) for variant in checked], skipped, counts


def selection_of(
    settings: Mapping[str, Any], points: Mapping[str, Point] | None = None
) -> Selection:
    """The rows of a table that its settings choose.

    Args:
        settings: `sources/variants/of/table` of the config.
        points: TSS of every gene by name, if `nearest_gene` is set.
    """
    nearest = settings.get("nearest_gene", {})
    return Selection(
        settings["sign_conflicts"],
        settings["pip_above"],
        settings.get("pip_below"),
        settings.get("abs_z_above"),
        points if nearest else None,
        nearest.get("within", Selection.within),
    )
