"""Networks without knowledge: all weights of a replicate drawn anew, as a control."""

from pathlib import Path

from seqtrust.errors import InputError
from seqtrust.files import sha256
from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.models.training import initialise


def randomise_replicate(source: str | Path, path: str | Path, seed: int) -> None:
    """Write a replicate once more, with the weights of all layers as before training.

    Explanations that stay the same are of the architecture, not of what was learned (Adebayo et
    al. 2018). Layers draw as they do before training, and the running statistics of norms are
    reset; frozen layers, such as the bias network of a ChromBPNet, stay.

    Args:
        source: a replicate's file.
        path: the file to write.
        seed: of the weights.

    Raises:
        InputError: a layer has weights but does not say how they are drawn.
    """
    model = load_replicate(source)
    try:
        initialise(model.module, seed)
    except ValueError as error:
        raise InputError(
            f"{source}: {error}, so its weights cannot be drawn anew: give the layer that method, "
            "or leave this control out"
        ) from error
    model.record = model.record | {"randomised_seed": seed, "randomised_sha256": sha256(source)}
    save_replicate(path, model)
