"""Faults of analyses, and of the sequences and measurements that they need."""

from collections.abc import Iterator, Mapping
from typing import Any

from seqtrust.errors import nearest_clause


def faults(config: Mapping[str, Any]) -> Iterator[str]:
    """All of them, of a config with defaults filled in; each begins with the path of its key."""
    yield from _analyses_of_other_sets(config)
    yield from _people_without_haplotypes(config)
    yield from _variants_of_many_files(config)
    yield from _signs_of_other_verdicts(config)
    yield from _scores_of_no_eqtls(config)
    yield from _measured_of_other_kinds(config)


def _analyses_of_other_sets(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of analyses of reference windows and motifs whose set is of another kind."""
    for part, kind in (("reference_analyses", "reference"), ("motif_analyses", "insertions")):
        for name, entry in config[part].items():
            source = config["sequence_sets"].get(entry["set"], {}).get("source", {kind: {}})
            if kind not in source:
                yield (
                    f"{part}/{name}/set: {entry['set']!r} is a set of kind {', '.join(source)}: "
                    f"name one of kind {kind}"
                )
    for name, entry in config["point_sets"].items():
        chosen = entry.get("agreed", {}).get("analysis")
        if chosen and "points" not in config["reference_analyses"].get(chosen, {"points": ""}):
            yield (
                f"point_sets/{name}/agreed/analysis: {chosen!r} has no points, so that no bin "
                f"holds a TSS: give reference_analyses/{chosen} the points"
            )


def _people_without_haplotypes(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of analyses of people on sets that are not made of people's haplotypes."""
    for name, entry in config["people_analyses"].items():
        source = config["sequence_sets"].get(entry["set"], {}).get("source", {"haplotypes": {}})
        if "haplotypes" not in source:
            yield (
                f"people_analyses/{name}/set: {entry['set']!r} is made of {', '.join(source)}, "
                "which have no people: name a set of haplotypes"
            )


def _variants_of_many_files(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of variant sets that read one VCF where the config lists several."""
    for name, entry in config["sequence_sets"].items():
        chosen = entry["source"].get("variants", {}).get("of", {}).get("vcf", {})
        file = config["variant_files"].get(chosen.get("variant_file"), {})
        if isinstance(file.get("path"), list):
            yield (
                f"sequence_sets/{name}/source/variants/of/vcf/variant_file: "
                f"{chosen['variant_file']!r} lists several files, which only haplotypes read: "
                "give every file a set of its own"
            )


def _signs_of_other_verdicts(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of calibrations of signs whose verdict calls none."""
    for name, entry in config["sign_calibration"].items():
        calls = config["verdicts"].get(entry["verdict"], {}).get("calls", {})
        if calls and "signs" not in calls:
            yield (
                f"sign_calibration/{name}/verdict: {entry['verdict']!r} calls {', '.join(calls)}, "
                "which have no sign to calibrate: name a verdict of kind signs"
            )


def _scores_of_no_eqtls(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of eQTL analyses whose verdicts or pairs of scores do not fit."""
    for name, entry in config["eqtl_analyses"].items():
        for score, parts in entry["scores"].items():
            path = f"eqtl_analyses/{name}/scores/{score}"
            kinds = [kind for kind in ("positives", "negatives") if kind in parts]
            verdicts = {kind: config["verdicts"].get(parts[kind]) for kind in kinds}
            judged = {kind: verdict for kind, verdict in verdicts.items() if verdict}
            for kind, verdict in judged.items():
                unknown: dict[str, Any] = {"source": {"variants": {}}}
                source = config["sequence_sets"].get(verdict["set"], unknown)["source"]
                if "signs" not in verdict["calls"] or "variants" not in source:
                    yield (
                        f"{path}/{kind}: {parts[kind]!r} is no verdict on the signs of variants: "
                        "name one of kind signs on a set made of variants"
                    )
            same = [(verdict["ensemble"], verdict["output"]) for verdict in judged.values()]
            if len(set(same)) > 1 and all(name in config["ensembles"] for name, _ in same):
                yield (
                    f"{path}/negatives: judged on output {same[1][1]!r} of {same[1][0]!r}, the "
                    f"positives on {same[0][1]!r} of {same[0][0]!r}: their replicates cannot be "
                    "compared"
                )
        for pair in entry["compare"]:
            for score in pair:
                if score not in entry["scores"]:
                    yield (
                        f"eqtl_analyses/{name}/compare: there is no score {score!r}"
                        f"{nearest_clause(score, entry['scores'])}"
                    )


def _measured_of_other_kinds(config: Mapping[str, Any]) -> Iterator[str]:
    """Faults of measured windows of sets that have edits, and of windows that no BED is made of."""
    for name, entry in config["measured"].items():
        for kind in ("bigwigs", "predictions"):
            chosen = entry.get(kind, {}).get("set")
            source = config["sequence_sets"].get(chosen, {}).get("source", {"reference": {}})
            if "reference" not in source:
                yield (
                    f"measured/{name}/{kind}/set: {chosen!r} is a set of kind "
                    f"{', '.join(source)}: name one of kind reference"
                )
    for name, entry in config["sequence_sets"].items():
        chosen = entry["source"].get("reference", {}).get("bed", {}).get("measured")
        if chosen and "basenji" not in config["measured"].get(chosen, {"basenji": {}}):
            yield (
                f"sequence_sets/{name}/source/reference/bed/measured: {chosen!r} is made of "
                f"{', '.join(config['measured'][chosen])}, whose windows are those of its own "
                "set: name that set"
            )
