"""Sizes of architecture "chromatin": those of GOPHER (Toneyan et al. 2022) unless given."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from seqtrust.errors import InputError
from seqtrust.models.activations import ACTIVATIONS, refuse_unknown
from seqtrust.models.layers import labelled_crop, refuse_bad_sizes, refuse_no_positions
from seqtrust.models.receptive_field import Reach

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
PROFILE_KERNEL = 7

# the residual network that is read off its own 32-bp positions
LOCAL_BIN = 32
LOCAL_CHANNELS, LOCAL_POOL, LOCAL_RATES = (256, 512, 1024), (4, 4, 2), (0.2, 0.2, 0.5)
LOCAL_LAYERS = (5, 5, 3, 0)


@dataclass(frozen=True)
class ChromatinParameters:
    """Parameters of architecture "chromatin"; 0, nothing or null means as published.

    Attributes:
        trunk: "cnn", "residual", "basset" or "basenji".
        head: "binary" or "profile".
        shared: "all" for one head, "task" for one per track.
        activation: of the first layer, one of `ACTIVATIONS`.
        input_length: bp of every sequence.
        bin_width: bp per bin of a profile (default 32), or bp in the middle of the sequence that
            binary labels are of (default all).
        channels: of the convolutions; of "basenji": of the first convolution, between the layers
            of a residual, and of the last.
        kernels: widths of the convolutions.
        pool: poolings after the convolutions.
        layers: convolutions of the dilated stacks of "residual", that of a profile last; or the
            number of residuals of "basenji".
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
    activation: str = "relu"
    input_length: int = 2048
    bin_width: int = 0
    channels: tuple[int, ...] = ()
    kernels: tuple[int, ...] = ()
    pool: tuple[int, ...] = ()
    layers: tuple[int, ...] = ()
    dense: tuple[int, ...] | None = None
    bottleneck: int | None = None
    profile: int = 256
    task: int = 64
    dropout: float | None = None

    def __post_init__(self) -> None:
        for name, allowed in (
            ("trunk", TRUNKS),
            ("head", HEADS),
            ("shared", SHARED),
            ("activation", tuple(ACTIVATIONS)),
        ):
            refuse_unknown("chromatin", name, getattr(self, name), allowed)
        for name, value in self._resolved().items():
            object.__setattr__(self, name, value)
        self._refuse_bad_values()

    def _resolved(self) -> dict[str, object]:
        """The parameters with what is published in the place of what is not given."""
        profile = self.head == "profile"
        bin_width = self.bin_width or (LOCAL_BIN if profile else self.input_length)
        bottleneck = self.bottleneck
        if self.trunk == "basenji" or not profile:
            bottleneck = 0
        elif bottleneck is None:
            bottleneck = 0 if self.trunk == "residual" and bin_width == LOCAL_BIN else 8
        wide = profile and self.trunk == "residual" and not bottleneck
        pool = LOCAL_POOL if wide else POOL[self.trunk]
        if profile and self.trunk == "basenji" and bin_width % 2:
            pool = (1,)
        # heads per task have a convolution in the place of the dense layer at each position
        dense = ((256,) if self.shared == "all" else ()) if wide else DENSE[self.trunk]
        layers = LOCAL_LAYERS if wide else LAYERS[self.trunk]
        return {
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
            input_length=self.input_length,
            channels=self.channels,
            kernels=self.kernels,
            pool=self.pool,
            profile=self.profile,
            task=self.task,
        )
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
        if min(self.dense or (1,)) < 1 or min(self.layers, default=0) < 0:
            raise InputError(
                f"chromatin: dense is {list(self.dense or ())} and layers {list(self.layers)}, but "
                "units must be at least 1 and layers at least 0"
            )
        if self.bottleneck is not None and self.bottleneck < 0:
            raise InputError(f"chromatin: bottleneck is {self.bottleneck}, but must be at least 0")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise InputError(f"chromatin: dropout is {self.dropout}, but must be in [0, 1)")
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
    def task_kernel(self) -> int:
        """Width of the first layer of a head per task, in bins."""
        return PROFILE_KERNEL if self.head == "profile" else 1

    @property
    def receptive_field(self) -> int:
        """Bp of input that one bin can see: the whole input but for local profiles."""
        if not self.local:
            return self.input_length if self.head == "binary" else self._whole_input()
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

    def _whole_input(self) -> int:
        """Counted symmetrically around a bin, so that the first one reaches the other end."""
        return 2 * self.input_length - self.bin_width

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
