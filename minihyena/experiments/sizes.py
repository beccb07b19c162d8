"""What is compared with what, and fairly: models of the same size."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count as upwards

import torch

from minihyena.model import LanguageModel, LMConfig

Build = Callable[[LMConfig], LanguageModel]

__all__ = ["equal_parameters", "parameter_count"]


def equal_parameters(
    configs: Sequence[LMConfig], tolerance: float = 0.02, build: Build = LanguageModel
) -> list[LMConfig]:
    """The same models, their widths chosen so that all are as large as the first.

    Depth, vocabulary and mixer stay. Each gets the width nearest to that size; where
    heads allow none that is near enough, the inner width of the MLPs (mlp_ratio) makes
    up for the rest. Raises ValueError if one still misses by more than `tolerance`.
    """
    target = parameter_count(configs[0], build)
    resized = [_resized(c, target, tolerance, build) for c in configs[1:]]
    return [configs[0], *resized]


def parameter_count(config: LMConfig, build: Build = LanguageModel) -> int:
    """Trained numbers of the model, which is not made for it."""
    with torch.device("meta"):
        return build(config).parameter_count()


def _resized(config: LMConfig, target: int, tolerance: float, build: Build) -> LMConfig:
    width = config.width
    for _ in range(5):  # a size grows a little slower than the width's square
        near, size = min(
            _allowed(config, width, build), key=lambda made: abs(made[1] - target)
        )
        width = round(near.width * (target / size) ** 0.5)
    if abs(size / target - 1) > tolerance:
        inner = round(near.mlp_ratio * near.width)
        inner += round((target - size) / (near.depth * (2 * near.width + 1)))
        near = replace(near, mlp_ratio=max(inner, 1) / near.width)
        size = parameter_count(near, build)
    if abs(size / target - 1) > tolerance:
        raise ValueError(
            f"{type(config.mixer).__name__} cannot have {target:,} parameters within "
            f"{tolerance:.1%}: "
            f"at width {near.width} it has {size:,}; change its heads or all widths"
        )
    return near


def _allowed(
    config: LMConfig, width: int, build: Build
) -> Iterator[tuple[LMConfig, int]]:
    """The configs with the nearest widths, up and down, that the mixer can have, and
    their sizes.
    """
    for way in (upwards(max(width, 1)), range(max(width - 1, 1), 0, -1)):
        for wide in way:
            found = replace(config, width=wide)
            try:
                yield found, parameter_count(found, build)
            except ValueError:  # heads do not divide it
                continue
            break
