"""Torch layers that compute what Keras layers do.

Values are (N, channels, length) where Keras has (N, length, channels). Weights keep torch's
layout; `seqtrust.models.keras_weights` turns the arrays of a file.
"""

import math

import torch

# Keras cuts its normal draws at two standard deviations and scales them up to keep the variance.
_CUT_NORMAL_SD = 0.87962566103423978


class SigmoidGelu(torch.nn.Module):
    """x sigmoid(1.702 x), the older approximation of GELU (Hendrycks and Gimpel 2016)."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Elementwise."""
        return values * torch.sigmoid(1.702 * values)


class Convolution(torch.nn.Conv1d):
    """A convolution with Keras's padding and He-normal initialisation."""

    def __init__(
        self,
        channels_in: int,
        channels: int,
        width: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        same: bool = True,
        bias: bool = False,
    ) -> None:
        super().__init__(channels_in, channels, width, stride=stride, dilation=dilation, bias=bias)
        self.same = same

    def reset_parameters(self) -> None:
        """He-normal weights, bias zero."""
        _he_normal(self.weight, self.weight[0].numel())
        if self.bias is not None:
            torch.nn.init.zeros_(self.bias)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels in, length) to (N, channels, length out)."""
        if self.same:
            field = (self.kernel_size[0] - 1) * self.dilation[0] + 1
            values = same_padded(values, field, self.stride[0], 0.0)
        return super().forward(values)


class Dense(torch.nn.Linear):
    """A dense layer: on (N, features), or at every position of (N, channels, length)."""

    def reset_parameters(self) -> None:
        """He-normal weights, bias zero."""
        _he_normal(self.weight, self.in_features)
        if self.bias is not None:
            torch.nn.init.zeros_(self.bias)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The features, or the channels, become `out_features` many."""
        if values.ndim == 2:
            return super().forward(values)
        return super().forward(values.transpose(1, 2)).transpose(1, 2)


class Normalisation(torch.nn.BatchNorm1d):
    """Batch normalisation; without `scale` or `shift` that part stays 1 or 0."""

    def __init__(
        self,
        channels: int,
        *,
        momentum: float,
        epsilon: float = 1e-3,
        scale: bool = True,
        shift: bool = True,
    ) -> None:
        super().__init__(channels, eps=epsilon, momentum=1 - momentum)
        self.weight.requires_grad_(scale)
        self.bias.requires_grad_(shift)


class ClosedNormalisation(Normalisation):
    """Batch normalisation whose scale starts at zero, so that a residual block starts closed."""

    def reset_parameters(self) -> None:
        """Scale 0, shift 0, mean 0, variance 1."""
        super().reset_parameters()
        torch.nn.init.zeros_(self.weight)


class SamePadding(torch.nn.Module):
    """Pads so that a window of this width and stride meets every position."""

    def __init__(self, width: int, stride: int, value: float) -> None:
        super().__init__()
        self.width, self.stride, self.value = width, stride, value

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels, length) to (N, channels, padded length)."""
        return same_padded(values, self.width, self.stride, self.value)


class SameAverage(torch.nn.Module):
    """Mean over windows that pad; padding does not count."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.padding = SamePadding(width, stride, 0.0)
        self.mean = torch.nn.AvgPool1d(width, stride)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels, length) to (N, channels, ceil(length / stride))."""
        share = self.mean(self.padding(torch.ones_like(values[:1, :1])))
        return self.mean(self.padding(values)) / share


class GlobalMax(torch.nn.Module):
    """Largest value over the positions."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels, length) to (N, channels)."""
        return values.amax(dim=-1)


class GlobalAverage(torch.nn.Module):
    """Mean over the positions."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels, length) to (N, channels)."""
        return values.mean(dim=-1)


class Flatten(torch.nn.Module):
    """All channels of the first position, then of the second, and so on, as Keras has them."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels, length) to (N, length * channels)."""
        return values.transpose(1, 2).flatten(1) if values.ndim == 3 else values


class Crop(torch.nn.Module):
    """Leaves out positions at both ends."""

    def __init__(self, left: int, right: int) -> None:
        super().__init__()
        self.left, self.right = left, right

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels, length) to (N, channels, length - left - right)."""
        return values[..., self.left : values.shape[-1] - self.right]


class Constant(torch.nn.Module):
    """The same values for every sequence."""

    def __init__(self, values: torch.Tensor) -> None:
        super().__init__()
        # The values are parameters of the architecture, so they are no part of the weights.
        self.register_buffer("values", values, persistent=False)

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """Any tensor with a row per sequence, to (N, values)."""
        return self.get_buffer("values").expand(len(sequences), -1)


class Concatenate(torch.nn.Module):
    """Channels, or features, one after the other."""

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        """Tensors that differ in axis 1 alone, to one."""
        return torch.cat(values, dim=1)


class Add(torch.nn.Module):
    """Sum of equally shaped values."""

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        """Tensors of one shape, to one of that shape."""
        total = values[0]
        for other in values[1:]:
            total = total + other
        return total


def same_padded(values: torch.Tensor, field: int, stride: int, value: float) -> torch.Tensor:
    """Values (N, channels, length) padded for ceil(length / stride) windows of `field` bases.

    An odd number of padded positions has its larger half at the end, other than in torch.
    """
    length = values.shape[-1]
    total = max((math.ceil(length / stride) - 1) * stride + field - length, 0)
    return torch.nn.functional.pad(values, (total // 2, total - total // 2), value=value)


def _he_normal(weight: torch.Tensor, fan_in: int) -> None:
    sd = math.sqrt(2 / fan_in) / _CUT_NORMAL_SD
    torch.nn.init.trunc_normal_(weight, std=sd, a=-2 * sd, b=2 * sd)
