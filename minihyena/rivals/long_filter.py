"""What the long filters have in common: their call, and the precision they work in."""

from typing import Any

import torch
from torch import Tensor, nn

from minihyena.errors import check_length

__all__ = ["LongFilter"]


class LongFilter(nn.Module):
    """`filter(length)` -> (orders, D, length); a subclass writes `response`.

    A shorter filter is a prefix of a longer one. Half precision and autocast are
    computed in float32; the result has the dtype of the parameters.
    Raises ValueError for a length outside 1 .. max_length.
    """

    def __init__(self, width: int, orders: int, max_length: int, config: Any) -> None:
        super().__init__()
        self.width, self.orders, self.max_length = width, orders, max_length
        self.config = config

    def forward(self, length: int) -> Tensor:
        check_length(length, self.max_length)
        own = next(self.parameters())
        with torch.autocast(own.device.type, enabled=False):
            h = self.response(length, torch.promote_types(own.dtype, torch.float32))
        return h.to(own.dtype)

    def response(self, length: int, dtype: torch.dtype) -> Tensor:
        """(orders, D, length) in `dtype`, float32 or float64."""
        raise NotImplementedError
