"""The files that a config names, found by what its schema says of each key.

A key of a file has `file` in the schema: the `kind` of file, the `columns` that a table must
have, the key beside it whose motif `names` must be in the file, and `each` if it may map names
to files. Keys that name something else there, such as a library, are mappings and are passed over.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self


@dataclass(frozen=True)
class InputFile:
    """One file of a config.

    Attributes:
        key: path of its key in the config, such as `assemblies/hg38/fasta`.
        path: where it is.
        kind: fasta, variants, points, bed, tsv, people, meme, signal, weights, json, folder, any.
        columns: columns that it must have.
        names: motifs that it must hold.
        contigs_of: FASTA whose contigs it should use, if it is known.
        beside: files that it must fit: of a list of people, the genotypes.
    """

    key: str
    path: str
    kind: str
    columns: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    contigs_of: str = ""
    beside: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for the parameters of a rule."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if value
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The file of `as_dict`."""
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**plain)


def input_files(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[InputFile]:
    """All files that a config with defaults filled in names, each once, in the config's order.

    Files under `external` that no other key names, such as those of a folder, come last. What
    the run itself makes, below its results, is no input.
    """
    found: dict[tuple[str, str], InputFile] = {}
    place = _Place(config, schema)
    for file in _files(config, schema, place):
        if file.path.startswith(f"results/{config['run']}/"):
            continue
        known = found.setdefault((file.path, file.kind), file)
        if known is not file:
            names = tuple(dict.fromkeys(known.names + file.names))
            found[file.path, file.kind] = replace(known, names=names)
    named = {path for path, _ in found}
    external = [
        InputFile(f"external/{name}", place.path(entry["path"]), "any")
        for name, entry in config["external"].items()
    ]
    return [*found.values(), *(file for file in external if file.path not in named)]


@dataclass(frozen=True)
class _Place:
    """Where the walk through a config is: the roots, the key, and the assembly around it."""

    config: Mapping[str, Any]
    schema: Mapping[str, Any]
    key: str = ""
    assembly: str = ""
    around: Mapping[str, Any] | None = None

    def path(self, value: str) -> str:
        return value.replace("{data}", self.config["data"])

    def fasta(self) -> str:
        entry = self.config["assemblies"].get(self.assembly, {})
        return self.path(entry.get("fasta", ""))

    def genotypes(self) -> tuple[str, ...]:
        name = (self.around or {}).get("variant_file", "")
        paths = self.config["variant_files"].get(name, {}).get("path", [])
        return tuple(self.path(one) for one in ([paths] if isinstance(paths, str) else paths))


def _files(value: Any, schema: Mapping[str, Any], place: _Place) -> Iterator[InputFile]:
    annotation = schema.get("file")
    while "$ref" in schema:
        target: Any = place.schema
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    if annotation:
        yield from _named(value, annotation, place)
    elif isinstance(value, Mapping):
        choices = [one for one in schema.get("anyOf", ()) if one.get("type") == "object"]
        schema = choices[0] if choices else schema
        other = schema.get("additionalProperties")
        known = schema.get("properties", {})
        assembly = value.get("assembly", place.assembly)
        for key, inner in value.items():
            part = known.get(key, other if isinstance(other, Mapping) else {})
            below = replace(
                place,
                key=f"{place.key}/{key}".removeprefix("/"),
                assembly=assembly if isinstance(assembly, str) else place.assembly,
                around=value,
            )
            yield from _files(inner, part, below)
    elif isinstance(value, list):
        for inner in value:
            yield from _files(inner, schema.get("items", {}), place)


def _named(value: Any, annotation: Mapping[str, Any], place: _Place) -> Iterator[InputFile]:
    if isinstance(value, Mapping):
        paths = list(value.values()) if annotation.get("each") else []
    else:
        paths = [value] if isinstance(value, str) else list(value)
    names = (place.around or {}).get(annotation.get("names", ""), ())
    for path in paths:
        yield InputFile(
            key=place.key,
            path=place.path(path),
            kind=annotation["kind"],
            columns=tuple(annotation.get("columns", ())),
            names=tuple(name for name in names if isinstance(name, str)),
            contigs_of=place.fasta() if annotation["kind"] in ("variants", "bed", "points") else "",
            beside=place.genotypes() if annotation["kind"] == "people" else (),
        )
