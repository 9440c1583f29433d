"""What networks that attend or recur have in common: every output may see the whole sequence."""

import torch


class WholeSequence(torch.nn.Module):
    """A layer whose positions see all others: the savings of inference end at it, by its name."""


def whole_field(length: int, crop: int, bin_width: int) -> int:
    """The receptive field, bp, with which every bin reaches both ends of the sequence.

    Receptive fields are counted symmetrically around a bin, so the first bin decides.

    Args:
        length: of the input, bp.
        crop: bp at each end without a prediction.
        bin_width: bp per bin.
    """
    return 2 * (length - crop) - bin_width
