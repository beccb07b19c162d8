"""Comparisons are between models of the same size."""

from dataclasses import replace

import pytest

from minihyena import HyenaConfig, LanguageModel, LMConfig, filter_families, mixers
from minihyena.experiments import equal_parameters, parameter_count
from minihyena.rivals.attention import AttentionConfig

WORDS = ["hyena", *(word for word in mixers if word != "hyena")]


@pytest.mark.parametrize("width", [32, 64, 100])
def test_every_mixer_gets_as_many_parameters_as_the_first(width: int) -> None:
    configs = [LMConfig(65, 256, width, mixer=mixer) for mixer in WORDS]
    sizes = [
        sum(p.numel() for p in LanguageModel(config).parameters())
        for config in equal_parameters(configs)
    ]
    assert all(abs(size / sizes[0] - 1) <= 0.02 for size in sizes)


def test_every_filter_gets_as_many_parameters_as_the_first() -> None:
    configs = [
        LMConfig(30, 512, 64, mixer=HyenaConfig(filter=f)) for f in filter_families
    ]
    made = equal_parameters(configs)
    sizes = [parameter_count(config) for config in made]
    assert all(abs(size / sizes[0] - 1) <= 0.02 for size in sizes)
    assert len({config.width for config in made}) > 1


def test_only_the_widths_change() -> None:
    configs = [LMConfig(65, 256, 64, 3, mixer, mlp_ratio=4.0) for mixer in WORDS]
    for before, after in zip(configs, equal_parameters(configs), strict=True):
        same = replace(after, width=before.width, mlp_ratio=before.mlp_ratio)
        assert same == before
    assert equal_parameters(configs)[0] == configs[0]


def test_the_mlp_makes_up_for_what_the_heads_do_not_allow() -> None:
    heads = LMConfig(65, 64, 64, mixer=AttentionConfig(heads=16))
    [first, twin] = equal_parameters([LMConfig(65, 64, 64), heads])
    assert twin.width % 32 == 0  # 16 heads of an even width
    assert twin.mlp_ratio != 2.0
    assert abs(parameter_count(twin) / parameter_count(first) - 1) <= 0.02


def test_the_width_it_was_given_does_not_matter() -> None:
    first = LMConfig(65, 64, 48)
    twins = [LMConfig(65, 64, width, mixer="attention") for width in (8, 47, 400)]
    made = [equal_parameters([first, twin])[1] for twin in twins]
    assert made[0] == made[1] == made[2]


def test_a_count_needs_no_model() -> None:
    config = LMConfig(65, 64, 48)
    assert parameter_count(config) == LanguageModel(config).parameter_count()
    assert parameter_count(LMConfig(50_000, 2048, 2048, 36)) > 10**9


def test_what_cannot_be_as_large_is_refused() -> None:
    many = LMConfig(65, 64, 512, mixer=AttentionConfig(heads=256))
    with pytest.raises(ValueError, match=r"cannot have .* within 2.0%: at width 512"):
        equal_parameters([LMConfig(65, 64, 8), many])
