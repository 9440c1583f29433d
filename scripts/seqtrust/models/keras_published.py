"""Architectures "xpresso" and "mpra_dragonn": published Keras networks, layers built in."""

from dataclasses import dataclass
from typing import Any

from seqtrust.errors import InputError
from seqtrust.models.facts import Track
from seqtrust.models.keras_network import KerasParameters, network_model
from seqtrust.models.model import Model

XPRESSO_LENGTH = 10_500
HALF_LIFE_INPUTS = 6
MPRA_LENGTH = 145
MPRA_TRACKS = tuple(
    Track(f"{cell}_{promoter}_{replicate}".lower(), f"MPRA {cell} {promoter}")
    for cell in ("K562", "HepG2")
    for promoter in ("minP", "SV40p")
    for replicate in ("rep1", "rep2", "pooled")
)


@dataclass(frozen=True)
class XpressoParameters:
    """Parameters of architecture "xpresso".

    Attributes:
        half_life: the six features of mRNA half-life, equal for all genes; zeros leave the
            promoter alone to tell genes apart.
    """

    half_life: tuple[float, ...] = (0.0,) * HALF_LIFE_INPUTS

    def __post_init__(self) -> None:
        object.__setattr__(self, "half_life", tuple(float(value) for value in self.half_life))
        if len(self.half_life) != HALF_LIFE_INPUTS:
            raise InputError(
                f"xpresso: half_life has {len(self.half_life)} values, expected {HALF_LIFE_INPUTS}"
            )


@dataclass(frozen=True)
class MpraDragonnParameters:
    """Architecture "mpra_dragonn" has no parameters."""


def build_xpresso(
    parameters: XpressoParameters, tracks: tuple[Track, ...], genome_build: str
) -> Model:
    """A model with random weights and one track, unless the tracks name it otherwise.

    The promoter goes in as transcribed, with the TSS at index 6,999; the prediction is
    standardised log expression (Agarwal and Shendure 2020).
    """
    network = KerasParameters(
        _xpresso_layers(), "log_expression", {"halflife": parameters.half_life}, True
    )
    plain = {"half_life": list(parameters.half_life)}
    named = tracks or (Track("expression", "RNA-seq"),)
    return network_model("xpresso", network, plain, named, genome_build)


def build_mpra_dragonn(
    parameters: MpraDragonnParameters, tracks: tuple[Track, ...], genome_build: str
) -> Model:
    """A model with random weights and the twelve tracks of Movva et al. 2019.

    Raises:
        InputError: `tracks` is not empty and names other tracks.
    """
    if tracks and tracks != MPRA_TRACKS:
        raise InputError("mpra_dragonn: the tracks are fixed: leave the table of tracks out")
    network = KerasParameters(_mpra_dragonn_layers(), "log_expression")
    return network_model("mpra_dragonn", network, {}, MPRA_TRACKS, genome_build)


def _layer(name: str, kind: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "class": kind, **options}


def _xpresso_layers() -> list[dict[str, Any]]:
    return [
        _layer("promoter", "InputLayer", shape=[XPRESSO_LENGTH, 4]),
        _layer("motifs", "Conv1D", filters=128, kernel_size=6, padding="same", activation="relu"),
        _layer("pool_30", "MaxPooling1D", pool_size=30),
        _layer("pairs", "Conv1D", filters=32, kernel_size=9, padding="same", activation="relu"),
        _layer("pool_10", "MaxPooling1D", pool_size=10),
        _layer("flat", "Flatten"),
        _layer("halflife", "InputLayer", shape=[HALF_LIFE_INPUTS]),
        _layer("both", "Concatenate", inputs=["flat", "halflife"]),
        _layer("dense_64", "Dense", units=64, activation="relu"),
        _layer("dropout_64", "Dropout", rate=0.00099),
        _layer("dense_2", "Dense", units=2, activation="relu"),
        _layer("dropout_2", "Dropout", rate=0.01546),
        _layer("expression", "Dense", units=1),
    ]


def _mpra_dragonn_layers() -> list[dict[str, Any]]:
    layers = [_layer("sequence", "InputLayer", shape=[MPRA_LENGTH, 4])]
    for number in (1, 2, 3):
        layers += [
            _layer(
                f"convolution_{number}", "Conv1D", filters=120, kernel_size=5, activation="relu"
            ),
            _layer(f"normalisation_{number}", "BatchNormalization"),
            _layer(f"dropout_{number}", "Dropout", rate=0.1),
        ]
    return [*layers, _layer("flat", "Flatten"), _layer("activities", "Dense", units=12)]
