"""Draws in tests: a seeded generator, and whether rows came from a distribution."""

import math
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction

import torch
from torch import Tensor

__all__ = ["Row", "assert_drawn_from", "seeded"]

Row = tuple[int, ...]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def assert_drawn_from(rows: Tensor, shares: Mapping[Row, Fraction | float]) -> None:
    """Chi-square: rows (n, L) came from a distribution that is known exactly."""
    assert math.isclose(float(sum(shares.values())), 1, abs_tol=1e-9)
    n, counts = len(rows), Counter(map(tuple, rows.tolist()))
    assert set(counts) <= set(shares)
    expected = {row: n * float(share) for row, share in shares.items()}
    assert min(expected.values()) > 4, "too few draws for this test"
    total = sum((counts[row] - e) ** 2 / e for row, e in expected.items())
    freedom = len(shares) - 1
    assert total <= freedom + 5 * math.sqrt(2 * freedom)
