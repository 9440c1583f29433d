"""Dropout with masks that stay the same: MC dropout as replicates (Gal and Ghahramani 2016).

A mask is a function of a seed, the layer, the channel and the position in the genome. One seed
is one replicate: what it drops for a reference sequence it drops for every mutant and haplotype
of the window and for overlapping windows, so that differences are those of one network.
"""

import torch

from seqtrust.errors import InputError

_OTHERS = (
    torch.nn.Dropout1d,
    torch.nn.Dropout2d,
    torch.nn.Dropout3d,
    torch.nn.AlphaDropout,
    torch.nn.FeatureAlphaDropout,
)


class FixedDropout(torch.nn.Module):
    """Drops the same units at every call.

    Attributes:
        rate: probability that a unit is dropped; the others are divided by 1 - rate.
        seed: of the replicate.
        layer: number of the layer among the network's dropout layers.
        origin: genome position of position 0, in positions of this layer: shape (N,) or (1,).
        direction: +1 where positions go up the genome, -1 where they go down; as `origin`.
    """

    def __init__(self, rate: float, seed: int, layer: int) -> None:
        super().__init__()
        self.rate = rate
        self.seed = seed
        self.layer = layer
        self.origin = torch.zeros(1, dtype=torch.long)
        self.direction = torch.ones(1, dtype=torch.long)

    def forward(self, values: torch.Tensor, first: int = 0) -> torch.Tensor:
        """Values (N, channels, positions) from position `first` on, or (N, features)."""
        flat = values.ndim == 2
        shown = values[:, :, None] if flat else values
        if shown.ndim != 3:
            raise InputError(
                f"dropout layer {self.layer} reads {values.ndim} axes, but fixed masks need "
                "(N, channels, positions) or (N, features)"
            )
        mask = self.mask(shown.shape[1], first, shown.shape[2], shown.device)
        made = shown * mask.to(shown.dtype)
        return made[:, :, 0] if flat else made

    def mask(self, channels: int, first: int, positions: int, device: torch.device) -> torch.Tensor:
        """Factors of 0 or 1 / (1 - rate), float32 (N or 1, channels, positions)."""
        at = torch.arange(first, first + positions, device=device)
        origin, direction = self.origin.to(device), self.direction.to(device)
        place = origin[:, None, None] + direction[:, None, None] * at
        channel = torch.arange(channels, device=device)[None, :, None]
        network = mixed(torch.tensor(self.seed, device=device))
        bits = mixed(mixed(mixed(network ^ self.layer) ^ channel) ^ place)
        drawn = _shifted(bits, 40).to(torch.float32) / 2**24
        return (drawn >= self.rate).to(torch.float32) / (1 - self.rate)


def fix_masks(module: torch.nn.Module, seed: int) -> None:
    """Replace the dropout layers of a network by ones with fixed masks.

    Args:
        module: changed in place.
        seed: of the masks, from 0.

    Raises:
        InputError: there is no dropout layer with a rate above 0, or one of another kind.
    """
    found = 0
    for name, parent in list(module.named_modules()):
        for attribute, child in list(parent.named_children()):
            if isinstance(child, _OTHERS):
                where = f"{name}.{attribute}".strip(".")
                raise InputError(
                    f"layer {where} is {type(child).__name__}, which has no fixed masks: only "
                    "torch.nn.Dropout has"
                )
            if isinstance(child, torch.nn.Dropout) and child.p > 0:
                setattr(parent, attribute, FixedDropout(child.p, seed, found))
                found += 1
    if not found:
        raise InputError(
            "the network has no layer torch.nn.Dropout with a rate above 0, so that all masks "
            "would give the same predictions: use replicates that were trained with dropout"
        )


def mixed(bits: torch.Tensor) -> torch.Tensor:
    """Int64 of any shape to random-looking ones, the same on every device (SplitMix64)."""
    bits = bits + _STEP
    bits = (bits ^ _shifted(bits, 30)) * _FIRST
    bits = (bits ^ _shifted(bits, 27)) * _SECOND
    return bits ^ _shifted(bits, 31)


# the constants of Steele et al. 2014, as signed numbers; products wrap around
_STEP = 0x9E3779B97F4A7C15 - 2**64
_FIRST = 0xBF58476D1CE4E5B9 - 2**64
_SECOND = 0x94D049BB133111EB - 2**64


def _shifted(bits: torch.Tensor, places: int) -> torch.Tensor:
    """A logical shift to the right."""
    return (bits >> places) & ((1 << (64 - places)) - 1)
