"""Sizes of architecture "chromatin": those of GOPHER (Toneyan et al. 2022) unless given."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from seqtrust.errors import InputError
from seqtrust.models.activations import ACTIVATIONS, refuse_unknown
from seqtrust.models.layers import (
    labelled_crop,
    refuse_bad_rate,
    refuse_bad_sizes,
    refuse_no_positions,
)
from seqtrust.models.receptive_field import Reach
from seqtrust.models.whole_sequence import whole_field

TRUNKS = ("cnn", "residual", "basset", "basenji")
HEADS = ("binary", "profile")
SHARED = ("all", "task")
CHANNELS = {
    "cnn": (192, 256, 512),
    "residual": (192, 256, 512),
    "basset": (300, 200, 200),
    "basenji": (256, 128, 2048),
}
KERNELS = {"cnn": (19, 7, 7), "residual": (19, 7, 7), "basset": (10, 11, 7), "basenji": (15,)}
POOL = {"cnn": (8, 4, 4), "residual": (4, 4, 4), "basset": (3, 4, 4), "basenji": (2,)}
DENSE = {"cnn": (256,), "residual": (512,), "basset": (1000, 1000), "basenji": ()}
LAYERS = {"cnn": (), "residual": (5, 5, 4, 5), "basset": (), "basenji": (11,)}
RATES = {"cnn": (0.1, 0.1, 0.2), "residual": (0.1, 0.1, 0.2), "basset": (0.0, 0.0, 0.0)}
RATE_OF_DILATION = 1.5
PROFILE_KERNEL, PROFILE_CHANNELS, TASK_UNITS = 7, 256, 64
NO_ACTIVATION = "none"

# the residual network that is read off its own 32-bp positions
LOCAL_BIN = 32
LOCAL_CHANNELS, LOCAL_POOL, LOCAL_RATES = (256, 512, 1024), (4, 4, 2), (0.2, 0.2, 0.5)
LOCAL_LAYERS = (5, 5, 3, 0)


@dataclass(frozen=True)
class ChromatinParameters:
    """Parameters of architecture "chromatin"; 0, nothing or null means as published.

    What the layers of a form do not use is refused.

    Attributes:
        trunk: "cnn", "residual", "basset" or "basenji".
        head: "binary" or "profile".
        shared: "all" for one head, "task" for one per track.
        activation: of the first layer, one of `ACTIVATIONS` or "none"; published are all, but
            "none" for profiles of "basenji". Nothing means that, or "relu".
        input_length: bp of every sequence.
        bin_width: bp per bin of a profile (default 32), or bp in the middle of the sequence that
            binary labels are of (default all).
        channels: of the convolutions; of "basenji": of the first convolution, between the layers
            of a residual, and of the last.
        kernels: widths of the convolutions.
        pool: poolings after the convolutions.
        layers: convolutions of the dilated stacks of "residual", that of a profile from a
            bottleneck last; or the number of residuals of "basenji".
        dense: units of the dense layers.
        bottleneck: values per bin of the dense layer before a profile; 0 reads the profile off
            the trunk, whose poolings then multiply to the bin width.
        profile: channels of the convolution across bins before the head of a profile.
        task: units of every head per task.
        dropout: one rate for all layers in the place of the published ones.
    """

    trunk: str = "cnn"
    head: str = "binary"
    shared: str = "all"
    activation: str = ""
    input_length: int = 2048
    bin_width: int = 0
    channels: tuple[int, ...] = ()
    kernels: tuple[int, ...] = ()
    pool: tuple[int, ...] = ()
    layers: tuple[int, ...] = ()
    dense: tuple[int, ...] | None = None
    bottleneck: int | None = None
    profile: int = PROFILE_CHANNELS
    task: int = TASK_UNITS
    dropout: float | None = None

    def __post_init__(self) -> None:
        for name, allowed in (
            ("trunk", TRUNKS),
            ("head", HEADS),
            ("shared", SHARED),
        ):
            refuse_unknown("chromatin", name, getattr(self, name), allowed)
        refuse_bad_sizes("chromatin", input_length=self.input_length)
        refuse_bad_sizes("chromatin", 0, bin_width=self.bin_width)
        for name, value in self._resolved().items():
            object.__setattr__(self, name, value)
        refuse_unknown("chromatin", "activation", self.activation, (*ACTIVATIONS, NO_ACTIVATION))
        self._refuse_bad_values()
        self._refuse_unused()

    def _resolved(self) -> dict[str, object]:
        """The parameters with what is published in the place of what is not given."""
        profile = self.head == "profile"
        bin_width = self.bin_width or (LOCAL_BIN if profile else self.input_length)
        bottleneck = self.bottleneck
        if bottleneck is None:
            published_local = self.trunk == "residual" and bin_width == LOCAL_BIN
            bottleneck = 0 if self.trunk == "basenji" or not profile or published_local else 8
        wide = profile and self.trunk == "residual" and not bottleneck
        pool = LOCAL_POOL if wide else POOL[self.trunk]
        if profile and self.trunk == "basenji" and bin_width % 2:
            pool = (1,)
        # heads per task have a convolution in the place of the dense layer at each position
        dense = ((256,) if self.shared == "all" else ()) if wide else DENSE[self.trunk]
        layers = LOCAL_LAYERS if wide else LAYERS[self.trunk]
        activation = NO_ACTIVATION if profile and self.trunk == "basenji" else "relu"
        return {
            "activation": self.activation or activation,
            "bin_width": bin_width,
            "bottleneck": bottleneck,
            "channels": tuple(self.channels) or (LOCAL_CHANNELS if wide else CHANNELS[self.trunk]),
            "kernels": tuple(self.kernels) or KERNELS[self.trunk],
            "pool": tuple(self.pool) or pool,
            "layers": tuple(self.layers) or layers,
            "dense": dense if self.dense is None else tuple(self.dense),
        }

    def _refuse_bad_values(self) -> None:
        refuse_bad_sizes(
            "chromatin",
            channels=self.channels,
            kernels=self.kernels,
            pool=self.pool,
            dense=self.dense or (),
            profile=self.profile,
            task=self.task,
        )
        refuse_bad_sizes("chromatin", 0, layers=self.layers, bottleneck=self.bottleneck or 0)
        for name, default in (
            ("channels", CHANNELS),
            ("kernels", KERNELS),
            ("pool", POOL),
            ("layers", LAYERS),
        ):
            given, wanted = getattr(self, name), len(default[self.trunk])
            if len(given) != wanted:
                raise InputError(
                    f"chromatin: {name} is {list(given)}, but trunk {self.trunk!r} takes {wanted}"
                )
        if self.dropout is not None:
            refuse_bad_rate("chromatin", self.dropout)
        if self.head == "binary":
            labelled_crop("chromatin", self.input_length, self.bin_width)
        elif self.input_length % self.bin_width:
            raise InputError(
                f"chromatin: bin_width is {self.bin_width}, which does not divide input_length "
                f"{self.input_length}"
            )
        product = math.prod(self.pool)
        relation = "divide" if self.trunk == "basenji" else "be"
        fits = self.bin_width % product == 0 if relation == "divide" else self.bin_width == product
        if self.local and not fits:
            raise InputError(
                f"chromatin: pool is {list(self.pool)}, but without a bottleneck their product "
                f"must {relation} the bin_width {self.bin_width}"
            )
        refuse_no_positions("chromatin", self.input_length, self.positions)

    def _refuse_unused(self) -> None:
        """What only other forms use must have the value that stands for nothing, or its default."""
        basenji = self.trunk == "basenji"
        used = {
            "dense": not basenji,
            "bottleneck": not basenji and self.head == "profile",
            "profile": self.profile_kernel > 0,
            "task": self.shared == "task",
        }
        nothing = {"dense": (), "bottleneck": 0, "profile": PROFILE_CHANNELS, "task": TASK_UNITS}
        form = f"trunk {self.trunk!r} with head {self.head!r} and shared {self.shared!r}"
        for name, is_used in used.items():
            value = getattr(self, name)
            if not is_used and value != nothing[name]:
                shown = list(value) if isinstance(value, tuple) else value
                raise InputError(
                    f"chromatin: {name} is {shown}, which {form} does not use: leave it out"
                )
        last = LAYERS["residual"][-1]
        if self.trunk == "residual" and not self.bottleneck and self.layers[-1] not in (0, last):
            raise InputError(
                f"chromatin: layers is {list(self.layers)}, of which {form} does not use the last "
                "without a bottleneck: let it be 0"
            )

    @property
    def local(self) -> bool:
        """Whether a profile is read off the trunk, so that any length of whole bins is allowed."""
        return self.head == "profile" and not self.bottleneck

    @property
    def crop(self) -> int:
        """Bp at each end without a prediction."""
        if self.head == "profile":
            return 0
        return labelled_crop("chromatin", self.input_length, self.bin_width)

    @property
    def positions(self) -> int:
        """Positions that the poolings leave of the input."""
        left = self.input_length
        for width in self.pool:
            left //= width
        return left

    @property
    def averaged(self) -> int:
        """Positions of "basenji" that the mean before the head is of."""
        if self.head == "binary":
            return self.positions
        return self.bin_width // self.pool[0]

    @property
    def profile_kernel(self) -> int:
        """Width of the convolution across bins before the head; 0 where there is none."""
        if self.head == "binary" or self.trunk == "basenji":
            return 0
        return PROFILE_KERNEL if self.bottleneck or self.shared == "task" else 0

    @property
    def profile_rate(self) -> float:
        """Published dropout after that convolution."""
        return 0.1 if self.trunk == "residual" and self.shared == "all" else 0.2

    @property
    def task_kernel(self) -> int:
        """Width of the first layer of a head per task, in bins."""
        return PROFILE_KERNEL if self.head == "profile" else 1

    @property
    def receptive_field(self) -> int:
        """Bp of input that one bin can see: the whole input but for local profiles."""
        if not self.local:
            whole = whole_field(self.input_length, 0, self.bin_width)
            return self.input_length if self.head == "binary" else whole
        reach = Reach()
        for number, (kernel, pool) in enumerate(zip(self.kernels, self.pool, strict=True)):
            reach = reach.same(kernel)
            if self.trunk == "residual":
                for power in range(self.layers[number]):
                    reach = reach.same(3, dilation=2**power)
            reach = reach.valid(pool, stride=pool)
        if self.trunk == "basenji":
            for dilation in self.dilations():
                reach = reach.same(3, dilation=dilation)
            reach = reach.valid(self.averaged, stride=self.averaged)
        for kernel in (self.profile_kernel, self.task_kernel if self.shared == "task" else 0):
            reach = reach.same(kernel or 1)
        return reach.receptive_field

    def convolutions(self) -> Iterator[tuple[int, int, int, float]]:
        """Channels, width, pooling and dropout of every convolution of the trunk."""
        rates = LOCAL_RATES if self.local and self.trunk == "residual" else RATES[self.trunk]
        own = (self.rate(rate) for rate in rates)
        return zip(self.channels, self.kernels, self.pool, own, strict=True)

    def rate(self, published: float) -> float:
        """The dropout rate of a layer."""
        return published if self.dropout is None else self.dropout

    def dilations(self) -> Iterator[int]:
        """Of the residuals of "basenji": rounded powers of `RATE_OF_DILATION`."""
        return (round(RATE_OF_DILATION**power) for power in range(self.layers[0]))
