"""The generated parts of the docs: tables of the Parquet files and of the config's keys.

python -m seqtrust.documentation docs
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seqtrust import (
    contrasts,
    effects,
    inference_tables,
    ism_maps,
    measured,
    personal,
    predictions,
    sequence_set,
    verdicts,
)
from seqtrust.attribution import drawn_maps, map_tables, model_scores, motif_tables
from seqtrust.calibration import assessment, sign_assessment
from seqtrust.config import load_schema
from seqtrust.files import write_text
from seqtrust.mendelian import analysis, instrument_tables, simulated_study
from seqtrust.robustness import (
    few_label_repair,
    findings,
    measured_peaks,
    score_tables,
    shift_curves,
    shift_detection,
    stated_tables,
    world_schema,
)
from seqtrust.sources import grammar, haplotypes
from seqtrust.tables import TableSchema
from seqtrust.uncertainty import (
    eqtls,
    motifs,
    people_dosages,
    people_tables,
    reference_classes,
)

TABLES = (
    sequence_set.SCHEMA,
    contrasts.CONTRASTS,
    haplotypes.HAPLOTYPES,
    measured.MEASURED,
    predictions.SCHEMA,
    ism_maps.SCHEMA,
    instrument_tables.SCHEMA,
    analysis.LOCAL,
    analysis.DIAGNOSTICS,
    simulated_study.ROUNDS,
    world_schema.SCHEMA,
    stated_tables.SCHEMA,
    score_tables.SCORES,
    score_tables.SUMMARY,
    shift_curves.SCHEMA,
    findings.CURVES,
    shift_detection.SCHEMA,
    few_label_repair.SCHEMA,
    measured_peaks.PEAKS,
    map_tables.SCHEMA,
    drawn_maps.SPECTRA,
    drawn_maps.SPHERES,
    drawn_maps.LOGOS,
    motif_tables.PATTERNS,
    motif_tables.MOTIFS,
    grammar.GRAMMAR_TRUTH,
    model_scores.SEQUENCES,
    inference_tables.WORK,
    inference_tables.COST,
    effects.SCHEMA,
    verdicts.SCHEMA,
    assessment.SCHEMA,
    sign_assessment.SCHEMA,
    eqtls.UNITS,
    reference_classes.SCHEMA,
    motifs.SCHEMA,
    personal.PERMUTED,
    people_tables.PREDICTIONS,
    people_dosages.DOSAGES,
    people_tables.GENES,
    people_tables.PAIRS,
    people_tables.DRIVERS,
)
NOTE = "<!-- made by `make docs`; do not edit -->\n\n"


def tables_page() -> str:
    """docs/tables.md."""
    head = (
        "# Tables\n\n"
        "Paths are below `results/{run}/`. Files that do not end in `.tsv` are Parquet (`.arrow`: "
        "Arrow IPC); their metadata hold the kind of table (`seqtrust_table`) and the version of "
        "its schema (`schema_version`), and each column its description and unit.\n\n"
        "Positions are 0-based, intervals half-open, on the forward strand.\n"
    )
    return NOTE + head + "".join(_table_section(schema) for schema in TABLES)


def _table_section(schema: TableSchema) -> str:
    rows = "".join(
        f"| `{column.name}` | {column.type} | {column.unit} | {'yes' if column.nullable else ''} "
        f"| {column.description} |\n"
        for column in schema.columns
    )
    return (
        f"\n## {schema.name} (version {schema.version})\n\n`{schema.path}`\n\n"
        f"{schema.description}\n\n"
        f"| column | type | unit | may be empty | meaning |\n|---|---|---|---|---|\n{rows}"
    )


def config_page(schema: Mapping[str, Any]) -> str:
    """docs/config-keys.md."""
    head = "# Config keys\n\nA key that is not listed is an error, which names the nearest one.\n"
    return NOTE + head + "".join(_sections("top level", schema, schema["$defs"]))


def _sections(
    title: str, schema: Mapping[str, Any], definitions: Mapping[str, Any]
) -> Iterator[str]:
    yield f"\n## {title}\n\n{schema.get('description', '')}\n\n"
    yield "| key | kind | default | meaning |\n|---|---|---|---|\n"
    yield from _rows(schema, definitions, "")
    if title == "top level":
        for name, inner in definitions.items():
            yield from _sections(name, inner, definitions)


def _rows(schema: Mapping[str, Any], definitions: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for key, inner in schema.get("properties", {}).items():
        required = key in schema.get("required", ())
        default = "required" if required else f"`{inner['default']}`" if "default" in inner else ""
        yield f"| `{prefix}{key}` | {_kind(inner)} | {default} | {inner.get('description', '')} |\n"
        yield from _rows(inner, definitions, f"{prefix}{key}/")


def _kind(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name})"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_kind(part) for part in schema["anyOf"])
    if "const" in schema:
        return f"`{schema['const']}`"
    other = schema.get("additionalProperties")
    if isinstance(other, Mapping) and "$ref" in other:
        return f"name: {_kind(other)}"
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    return str(schema.get("type", ""))


def pages(config_schema: str | Path) -> dict[str, str]:
    """File names and texts of all generated pages."""
    return {
        "tables.md": tables_page(),
        "config-keys.md": config_page(load_schema(config_schema)),
    }


def main() -> None:
    """Write the generated pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for name, text in pages("config/schemas/config.schema.json").items():
        write_text(folder / name, text)


if __name__ == "__main__":
    main()
