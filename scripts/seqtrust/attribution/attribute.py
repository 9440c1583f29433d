"""The maps of one entry of the config: one method and replicate over a shard of sequences."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seqtrust.attribution.deep_lift import deep_lift_shap, own_rules, refuse_without_rule
from seqtrust.attribution.explained import (
    Doubles,
    View,
    checked_region,
    explained_model,
    explaining,
    views,
)
from seqtrust.attribution.gradients import Made, input_gradient, saliency, smoothgrad
from seqtrust.attribution.map_tables import MapRows, write_attributions
from seqtrust.attribution.mutagenesis_maps import mutagenesis_maps
from seqtrust.attribution.path_gradients import (
    PathSettings,
    expected_gradients,
    integrated_gradients,
)
from seqtrust.bases import UNKNOWN, Codes, reverse_complement
from seqtrust.errors import InputError
from seqtrust.models.model import Model, resolve_device
from seqtrust.outputs import resolve_outputs
from seqtrust.predictions import OutputSpec
from seqtrust.sequence_set import SequenceSet
from seqtrust.sources.seeds import named_generator

Places = list[tuple[int, str]]
OfOne = Callable[[View, Codes, np.random.Generator], Made]

_MUTAGENESIS = "ism"
_AT_ONCE = {"saliency": saliency, "input_gradient": input_gradient}
_BLOCK_BYTES = 16_000_000
_CURES = {
    "integrated_gradients": "raise its most_steps or choose another method",
    "deep_lift_shap": (
        "a function of the network that is no layer, such as a functional exponential, has no "
        "rule: make it a layer of torch.nn, or choose another method"
    ),
}


@dataclass(frozen=True)
class Request:
    """What is asked for, as the config says.

    Attributes:
        method: its name.
        settings: of the method.
        region: kept positions [first, stop) of every map; all if None.
        reverse_complement: average over both strands.
        least_converged: smallest share of maps within the method's tolerance.
        seed: of all draws.
    """

    method: str
    settings: Mapping[str, Any]
    region: tuple[int, int] | None = None
    reverse_complement: bool = False
    least_converged: float = 0.95
    seed: int = 1


def attribute(
    path: str | Path,
    model: Model,
    sequences: SequenceSet,
    outputs: Mapping[str, Mapping[str, Any]],
    request: Request,
    threads: int = 1,
    device: str = "cpu",
) -> dict[str, Any]:
    """Write the maps of sequences.

    Draws belong to a sequence's id, so that shards do not change them.

    Args:
        path: target; there is none if too few maps converge.
        model: one replicate.
        sequences: of one length.
        outputs: one, of one number per track; see `seqtrust.outputs.resolve_outputs`.
        request: see there.
        threads: of torch.
        device: "cpu", "cuda" or "auto".

    Returns:
        The metadata of the file.

    Raises:
        InputError: outputs, region or strands that cannot be explained, a layer without a rule,
            or fewer maps than asked for within the tolerance.
    """
    codes, target = sequences.codes(), resolve_device(device)
    (output,) = resolve_outputs(outputs, model.facts, codes.shape[1])
    both = request.reverse_complement
    region = checked_region(model, output, codes.shape[1], request.region, both)
    with explaining(model, threads, target):
        explained, how = explained_model(model, codes.shape[1])
        strands = views(explained, output, codes.shape[1], region, both)
        metadata = {
            **asdict(request),
            "region": region,
            "output": asdict(output),
            "scale": "output" if explained is model else "logit",
            "explained": how,
            "architecture": model.architecture,
            "device": target.type,
            "threads": threads,
            "torch_version": str(torch.__version__),
        }
        block = _block(output, region)
        if request.method == _MUTAGENESIS:
            blocks = mutagenesis_maps(
                explained,
                sequences,
                outputs,
                region=region,
                reverse_complement=both,
                savings=request.settings["savings"],
                threads=threads,
                device=target,
                block=block,
            )
        else:
            blocks = _blocks(strands, sequences, request, block)
        write_attributions(path, _converging(blocks, request), metadata)
    return metadata


def _block(output: OutputSpec, region: tuple[int, int]) -> int:
    """Sequences whose maps are in memory at a time."""
    return max(1, _BLOCK_BYTES // (16 * len(output.tracks) * (region[1] - region[0])))


def _blocks(
    strands: list[View], sequences: SequenceSet, request: Request, block: int
) -> Iterator[MapRows]:
    """The maps of some sequences at a time, averaged over strands."""
    ids, codes = sequences.ids(), sequences.codes()
    windows = [sequences.windows[index].window for index in sequences.window_indices()]
    places = [(window.start, window.strand) for window in windows]
    of_some = _of_some(strands[0], request)
    for first in range(0, len(ids), block):
        part = slice(first, first + block)
        made = [of_some(view, ids[part], codes[part], places[part]) for view in strands]
        yield _rows(strands, made, ids[part], codes[part], request.settings.get("tolerance"))


def _of_some(view: View, request: Request) -> Callable[[View, list[str], Codes, Places], Made]:
    """The function that makes maps of some sequences."""
    if request.method in _AT_ONCE:
        return partial(_in_batches, _AT_ONCE[request.method])
    settings = dict(request.settings)
    of_one: OfOne
    if request.method == "smoothgrad":
        of_one = partial(smoothgrad, **settings)
    elif request.method == "integrated_gradients":
        of_one = partial(integrated_gradients, settings=PathSettings(**settings))
    elif request.method == "expected_gradients":
        of_one = partial(expected_gradients, **settings)
    else:
        rules = own_rules()
        refuse_without_rule(view.model.module, view.model.architecture, rules)
        of_one = partial(deep_lift_shap, references=settings["references"], rules=rules)
    return partial(_one_by_one, of_one, request.seed)


def _in_batches(
    make: Callable[[View, Codes], Made], view: View, ids: list[str], codes: Codes, places: Places
) -> Made:
    step = 1 if view.masks else view.at_once
    made = []
    for first in range(0, len(ids), step):
        view.place(places[first : first + step])
        made.append(make(view, _shown(view, codes[first : first + step])))
    return _joined(made)


def _one_by_one(
    make: OfOne, seed: int, view: View, ids: list[str], codes: Codes, places: Places
) -> Made:
    made = []
    for name, sequence, place in zip(ids, codes, places, strict=True):
        view.place([place])
        rng = named_generator(seed, name, "other strand" if view.turned else "")
        made.append(make(view, _shown(view, sequence), rng))
    return _joined(made)


def _shown(view: View, codes: Codes) -> Codes:
    return reverse_complement(codes) if view.turned else codes


def _joined(made: list[Made]) -> Made:
    def of_all(name: str) -> Any:
        parts = [getattr(one, name) for one in made]
        return None if parts[0] is None else np.concatenate(parts)

    return Made(*(of_all(name) for name in ("values", "maps", "errors", "se", "steps")))


def _rows(
    strands: list[View],
    made: list[Made],
    ids: list[str],
    codes: Codes,
    tolerance: float | None,
) -> MapRows:
    """The mean over strands in the orientation of the sequence, as it is stored."""
    bases = codes[:, slice(*strands[0].kept)]
    maps = np.mean(
        [view.turned_back(one.maps) for view, one in zip(strands, made, strict=True)], axis=0
    )
    maps[np.broadcast_to((bases == UNKNOWN)[:, None], maps.shape[:3])] = 0.0
    return MapRows(
        ids,
        strands[0].output.track_names,
        bases,
        np.mean([one.values for one in made], axis=0),
        maps.astype(np.float32),
        errors=_largest([one.errors for one in made]),
        mc_se=None if made[0].se is None else _relative(made, maps),
        steps=_largest([one.steps for one in made]),
        tolerance=tolerance,
    )


def _largest(values: list[Doubles | None]) -> Any:
    known = [one for one in values if one is not None]
    return np.max(known, axis=0) if known else None


def _relative(made: list[Made], maps: Doubles) -> Doubles:
    """Standard error of the mean map over its norm, both centred over bases: (N, tracks)."""
    se = np.sqrt(np.sum([one.se**2 for one in made if one.se is not None], axis=0)) / len(made)
    norm = np.sqrt(((maps - maps.mean(axis=-1, keepdims=True)) ** 2).sum(axis=(-1, -2)))
    with np.errstate(divide="ignore", invalid="ignore"):
        relative: Doubles = np.where(se == 0, 0.0, se / norm)
    return relative


def _converging(blocks: Iterator[MapRows], request: Request) -> Iterator[MapRows]:
    """The blocks, and after the last an error if too few of their maps converged."""
    maps = converged = 0
    worst = (-1.0, "", "")
    for rows in blocks:
        yield rows
        within = rows.converged
        if within is None or rows.errors is None:
            continue
        maps += within.size
        converged += int(within.sum())
        errors = np.where(np.isnan(rows.errors), np.inf, rows.errors)
        row, track = np.unravel_index(int(errors.argmax()), errors.shape)
        worst = max(worst, (float(errors[row, track]), rows.sequence_ids[row], rows.tracks[track]))
    if converged < request.least_converged * maps:
        error, name, label = worst
        raise InputError(
            f"{request.method}: {maps - converged} of {maps} maps miss completeness by more than "
            f"{request.settings['tolerance']} of the change that they explain (the worst by "
            f"{error:.3g}: sequence {name!r}, track {label!r}), but least_converged is "
            f"{request.least_converged}: {_CURES[request.method]}"
        )
