"""Structural priors inside a network: frozen scans with known motifs, and GC content.

What is known of motifs before training enters behind the pooled body, computed from the one-hot
input, so that predictions, mutagenesis and attributions need nothing beside the sequence.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from seqtrust.bases import Codes
from seqtrust.errors import InputError, nearest_clause
from seqtrust.models.model import exact_float32, one_hot
from seqtrust.models.whole_sequence import WholeSequence
from seqtrust.motifs import SCAN_SOFTENING, UNIFORM, Motif, soften

_KEYS = ("motifs", "gc", "centre", "scale")
_ROWS = 256


@dataclass(frozen=True)
class Prior:
    """Scans and how they are standardised.

    Attributes:
        motifs: M motifs without a probability of 0.
        gc: whether GC content is the last feature.
        centre: of the F features: best log odds and log-sum-exp of every motif, bits, then GC.
        scale: what they are divided by, F numbers.
    """

    motifs: tuple[Motif, ...]
    gc: bool
    centre: tuple[float, ...]
    scale: tuple[float, ...]

    def __post_init__(self) -> None:
        for motif in self.motifs:
            if not (motif.probabilities > 0).all():
                raise InputError(
                    f"prior: motif {motif.name!r} has a probability of 0, whose log odds are not "
                    "finite: mix it with a little of the uniform distribution"
                )
        if not self.size:
            raise InputError("prior: it has no feature: give motifs, or gc: true")
        for name in ("centre", "scale"):
            values = getattr(self, name)
            fine = all(math.isfinite(one) for one in values)
            if len(values) != self.size or not fine or (name == "scale" and min(values) <= 0):
                raise InputError(
                    f"prior: {name} must be {self.size} finite "
                    f"{'positive ' * (name == 'scale')}numbers, two per motif"
                    f"{' and one of GC' * self.gc}; found {list(values)}"
                )

    @property
    def size(self) -> int:
        """Number of features, F."""
        return 2 * len(self.motifs) + self.gc

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Prior":
        """From the parameter `prior` of a network.

        Raises:
            InputError: an unknown or missing key, a malformed motif, or other numbers of means or
                deviations than features.
        """
        for name in plain:
            if name not in _KEYS:
                raise InputError(f"prior has no {name!r}{nearest_clause(name, _KEYS)}")
        missing = [name for name in ("centre", "scale") if name not in plain]
        if missing:
            raise InputError(f"prior: {missing[0]!r} is missing: means and sds of the features")
        try:
            motifs = tuple(
                Motif(one["name"], tuple(map(tuple, one["columns"])))
                for one in plain.get("motifs", ())
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"prior: a motif needs name and columns: {error}") from error
        return cls(
            motifs, bool(plain.get("gc", True)), tuple(plain["centre"]), tuple(plain["scale"])
        )

    def plain(self) -> dict[str, Any]:
        """The inverse of `of`."""
        return {
            "motifs": [
                {"name": one.name, "columns": [list(column) for column in one.columns]}
                for one in self.motifs
            ],
            "gc": self.gc,
            "centre": list(self.centre),
            "scale": list(self.scale),
        }


class PriorScans(WholeSequence):
    """One-hot (N, 4, L) to standardised features (N, F).

    A site counts on its better strand. One with an unknown base is as bad as the worst site; how
    far a base is known is the largest of its four values, times two and at most 1, so that noise
    on a base does not make it unknown and the features stay continuous.

    Args:
        prior: motifs and how features are standardised.
        length: L, bp.

    Raises:
        InputError: sequences are shorter than a motif.
    """

    centre: torch.Tensor
    scale: torch.Tensor

    def __init__(self, prior: Prior, length: int) -> None:
        super().__init__()
        widest = max((motif.width for motif in prior.motifs), default=0)
        if length < widest:
            raise InputError(f"prior: a motif of {widest} bp does not fit into {length} bp")
        self.gc = prior.gc
        self.widths = sorted({motif.width for motif in prior.motifs})
        by_width = np.argsort([motif.width for motif in prior.motifs], kind="stable")
        self.order = np.argsort(by_width).tolist()
        for width in self.widths:
            both = [
                columns.T
                for motif in prior.motifs
                if motif.width == width
                for columns in (motif.bits, motif.bits[::-1, ::-1])
            ]
            weights = torch.tensor(np.stack(both), dtype=torch.float32)
            self.register_buffer(f"bits_{width}", weights, persistent=False)
        for name in ("centre", "scale"):
            values = torch.tensor(getattr(prior, name), dtype=torch.float64)
            self.register_buffer(name, values, persistent=False)

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """One-hot (N, 4, L) to (N, F), in float32 or better whatever the precision around it."""
        with torch.autocast(sequences.device.type, enabled=False):
            inputs = sequences if sequences.dtype == torch.float64 else sequences.float()
            found = torch.cat(self._raw(inputs), dim=1)
            return ((found - self.centre) / self.scale).to(inputs.dtype)

    def _raw(self, inputs: torch.Tensor) -> list[torch.Tensor]:
        known = (2 * inputs.amax(dim=1, keepdim=True)).clamp(0, 1)
        scans = [self._scan(inputs, known, width) for width in self.widths]
        found = []
        if scans:
            features = torch.cat(scans, dim=1)[:, self.order]
            found.append(features.flatten(1).double())
        if self.gc:
            strong = inputs[:, 1:3].sum(dim=(1, 2))
            found.append((strong / known.sum(dim=(1, 2)).clamp(min=1))[:, None].double())
        return found

    def _scan(self, inputs: torch.Tensor, known: torch.Tensor, width: int) -> torch.Tensor:
        """Best log odds and log-sum-exp of the motifs of one width, bits, (N, motifs, 2)."""
        bits = getattr(self, f"bits_{width}").to(inputs.dtype)
        worst = bits[::2].amin(dim=1).sum(dim=1)[None, :, None]
        strands = torch.nn.functional.conv1d(inputs, bits).unflatten(1, (-1, 2))
        whole = -torch.nn.functional.max_pool1d(-known, width, stride=1)
        sites = worst + whole * (strands.amax(dim=2) - worst)
        total = torch.logsumexp(sites * math.log(2), dim=-1) / math.log(2)
        return torch.stack([sites.amax(dim=-1), total], dim=-1)


def fitted_prior(motifs: tuple[Motif, ...], gc: bool, codes: Codes) -> Prior:
    """Scans that are standardised on training windows.

    Args:
        motifs: known ones; bases that they never show are taken for rare.
        gc: GC content is a feature.
        codes: of the training windows, shape (N, L).

    Raises:
        InputError: no feature, a motif wider than the windows, or no window.
    """
    if not len(codes):
        raise InputError("prior: there is no training window to standardise on")
    soft = tuple(soften(motif, SCAN_SOFTENING) for motif in motifs)
    size = 2 * len(soft) + gc
    prior = Prior(soft, gc, (0.0,) * size, (1.0,) * size)
    scans = PriorScans(prior, codes.shape[1])
    with torch.inference_mode(), exact_float32():
        raw = np.concatenate(
            [
                scans(one_hot(torch.from_numpy(codes[first : first + _ROWS]))).double().numpy()
                for first in range(0, len(codes), _ROWS)
            ]
        )
    spread = raw.std(axis=0)
    spread[spread <= 1e-6 * np.maximum(np.abs(raw).max(axis=0), UNIFORM)] = 1.0
    return Prior(soft, gc, tuple(raw.mean(axis=0).tolist()), tuple(spread.tolist()))
