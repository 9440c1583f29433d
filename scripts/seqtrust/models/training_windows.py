"""What a config says of single windows: their weights, groups and known variances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from seqtrust.bases import UNKNOWN, Codes
from seqtrust.errors import InputError
from seqtrust.models.architectures import ARCHITECTURES
from seqtrust.models.per_window import balanced_weights
from seqtrust.models.prior_scans import fitted_prior
from seqtrust.motifs import Motif

Floats = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]


def with_prior(
    settings: Mapping[str, Any], motifs: Sequence[Motif], training: Codes
) -> dict[str, Any]:
    """Parameters of the architecture, with a prior that is standardised on training windows.

    Args:
        settings: the `train` entry of the config.
        motifs: of its `prior`, if it names a file.
        training: codes of the training windows.

    Raises:
        InputError: the architecture takes no prior, or it is given twice.
    """
    parameters = dict(settings["parameters"])
    wanted = settings.get("prior")
    if wanted is None:
        return parameters
    taking = [
        name
        for name, family in ARCHITECTURES.items()
        if "prior" in {one.name for one in fields(family.parameters)}
    ]
    if settings["architecture"] not in taking:
        raise InputError(
            f"train: architecture {settings['architecture']!r} takes no prior: use one of "
            f"{', '.join(taking)}, or leave prior out"
        )
    if "prior" in parameters:
        raise InputError("train: prior is a parameter as well: leave one of the two out")
    return parameters | {"prior": fitted_prior(tuple(motifs), wanted["gc"], training).plain()}


@dataclass(frozen=True)
class Beside:
    """Measured tracks that are neither predicted nor read, but tell something of others.

    Attributes:
        weight: track whose value is the weight of a window, if any.
        group: track whose value names the group of a window, if any.
        deviations: for every predicted track the one that holds its standard deviation.
    """

    weight: str | None = None
    group: str | None = None
    deviations: Mapping[str, str] | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Beside":
        """Those that the `train` entry of a config names."""
        return cls(
            settings.get("sample_weights", {}).get("column"),
            settings.get("groups", {}).get("column"),
            settings.get("target_sd") or None,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Of all of them, each once."""
        others = (self.weight, self.group, *(self.deviations or {}).values())
        return tuple(dict.fromkeys(name for name in others if name is not None))


def known_of_windows(
    settings: Mapping[str, Any],
    values: Floats,
    predicted: Sequence[str],
    codes: Codes,
    training: Mask,
) -> dict[str, Any]:
    """The arguments `weights`, `groups` and `variances` of `train`.

    Args:
        settings: the `train` entry of the config.
        values: of the tracks `Beside.of(settings).names`, shape (N, bins, those).
        predicted: names of the target tracks.
        codes: of the windows, shape (N, L).
        training: which of them are for training, shape (N,).

    Raises:
        InputError: a track without a standard deviation, or a window without a weight or group.
    """
    beside = Beside.of(settings)
    place = {name: index for index, name in enumerate(beside.names)}
    known: dict[str, Any] = {}
    if weighing := settings.get("sample_weights"):
        if beside.weight is not None:
            known["weights"] = _of_window(values[..., place[beside.weight]], beside.weight)
        else:
            known["weights"] = np.ones(len(codes), dtype=np.float32)
            gc = _gc_content(codes[training])
            known["weights"][training] = balanced_weights(gc, **weighing["gc"])
    if grouping := settings.get("groups"):
        if beside.group is not None:
            numbers = _of_window(values[..., place[beside.group]], beside.group)
            known["groups"] = [f"{number:g}" for number in numbers]
        else:
            gc = _gc_content(codes)
            ends = np.quantile(gc[training], np.arange(1, grouping["gc"]) / grouping["gc"])
            known["groups"] = [f"gc {index + 1}" for index in np.searchsorted(ends, gc)]
    if beside.deviations is not None:
        missing = [name for name in predicted if name not in beside.deviations]
        strange = [name for name in beside.deviations if name not in predicted]
        if missing or strange:
            raise InputError(
                f"train: target_sd names {', '.join(map(repr, beside.deviations))}, but the "
                f"predicted tracks are {', '.join(map(repr, predicted))}: give a standard "
                "deviation for each of them"
            )
        columns = [place[beside.deviations[name]] for name in predicted]
        deviations = values[..., columns]
        if (deviations < 0).any():
            raise InputError("train: target_sd: a standard deviation is negative")
        known["variances"] = deviations**2
    return known


def _of_window(values: Floats, name: str) -> Floats:
    """The one value of every window, (N, bins) to (N,).

    Raises:
        InputError: a window has none, or several.
    """
    first = values[:, 0]
    wrong = np.flatnonzero(~np.isfinite(first) | (values != first[:, None]).any(axis=1))
    if wrong.size:
        raise InputError(
            f"train: track {name!r} must have one finite value for all bins of a window; window "
            f"{wrong[0]} (from 0) has {', '.join(f'{one:g}' for one in values[wrong[0]][:3])}"
        )
    return first


def _gc_content(codes: Codes) -> Floats:
    known = (codes != UNKNOWN).sum(axis=1)
    return ((codes == 1) | (codes == 2)).sum(axis=1) / np.maximum(known, 1)
