"""What part of the input one output position of a stack of layers can see; without torch.

Layers act along the sequence by windows (convolutions, pooling) and by cropping. For inputs of
whole bins the answer does not depend on the input's length.
"""

from dataclasses import dataclass, replace

from seqtrust.errors import InputError


@dataclass(frozen=True)
class Reach:
    """How the positions of a layer's output lie over the input.

    Attributes:
        stride: bp of input between neighbouring positions.
        start: first base that position 0 can see; below 0 where it sees padding.
        stop: one beyond the last base that position 0 can see.
        lost: bp of input, at both ends together, that get no position of their own.
    """

    stride: int = 1
    start: int = 0
    stop: int = 1
    lost: int = 0

    def same(self, width: int, stride: int = 1, dilation: int = 1) -> "Reach":
        """After a window that pads what it lacks, the smaller half before the sequence."""
        field = (width - 1) * dilation + 1
        return self._after(field, max(field - stride, 0) // 2, stride)

    def valid(self, width: int, stride: int = 1, dilation: int = 1) -> "Reach":
        """After a window that stays within the sequence."""
        field = (width - 1) * dilation + 1
        after = self._after(field, 0, stride)
        return replace(after, lost=self.lost + max(field - stride, 0) * self.stride)

    def cropped(self, left: int, right: int) -> "Reach":
        """After leaving out positions at the ends."""
        moved = left * self.stride
        return replace(
            self,
            start=self.start + moved,
            stop=self.stop + moved,
            lost=self.lost + (left + right) * self.stride,
        )

    def joined(self, other: "Reach") -> "Reach":
        """What a sum or a concatenation of two outputs can see.

        Raises:
            InputError: the two do not have the same positions.
        """
        if (self.stride, self.lost) != (other.stride, other.lost):
            raise InputError(
                f"it joins layers whose positions differ ({self.stride} bp apart with "
                f"{self.lost} bp left out, {other.stride} bp apart with {other.lost} bp left out)"
            )
        return replace(self, start=min(self.start, other.start), stop=max(self.stop, other.stop))

    @property
    def crop(self) -> int:
        """Bp at each end of the input that get no prediction.

        Raises:
            InputError: the two ends cannot lose equally much.
        """
        if self.lost % 2:
            raise InputError(
                f"the layers leave {self.lost} bp of the input without a prediction, which is "
                "not the same at both ends: crop one more position at one end"
            )
        return self.lost // 2

    @property
    def receptive_field(self) -> int:
        """Bp that one position can see, counted symmetrically around its own `stride` bases."""
        flank = max(self.crop - self.start, self.stop - self.crop - self.stride, 0)
        return self.stride + 2 * flank

    def _after(self, field: int, left: int, stride: int) -> "Reach":
        return replace(
            self,
            stride=self.stride * stride,
            start=self.start - left * self.stride,
            stop=self.stop + (field - 1 - left) * self.stride,
        )
