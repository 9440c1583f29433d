"""Facts of a model that the config states, for models of the user's own; without torch."""

from collections.abc import Mapping
from typing import Any

from seqtrust.errors import InputError, nearest_clause
from seqtrust.models.facts import Facts


def stated_facts(settings: Mapping[str, Any], build: str) -> Facts:
    """The facts of the config's `facts:`.

    Args:
        settings: as in the config; a track is its name, or a mapping with `name` and, where
            they apply, `assay`, `reverse_complement_index` and `variance_of`.
        build: genome build of the ensemble's assembly.

    Raises:
        InputError: a fact is missing, unknown or has a refused value.
    """
    known = Facts.__dataclass_fields__
    for name in settings:
        if name not in known:
            raise InputError(f"facts: {name!r} is no fact{nearest_clause(name, known)}")
    tracks = [
        {"name": track} if isinstance(track, str) else dict(track) for track in settings["tracks"]
    ]
    given = {"input_length": None, **settings, "tracks": tracks, "build": build}
    try:
        return Facts.from_dict(given)
    except InputError as error:
        raise InputError(f"facts: {error}") from error
