"""Options: a word, a dataclass and plain values mean the same, and survive a file."""

import json
from dataclasses import asdict, dataclass

import pytest

from minihyena import HyenaConfig, ImplicitConfig, LMConfig, filter_families, mixers
from minihyena.options import configure, from_fields, to_fields

KINDS = mixers | filter_families


@pytest.mark.parametrize("name", mixers)
def test_a_word_means_the_defaults_of_its_kind(name: str) -> None:
    assert LMConfig(5, mixer=name) == LMConfig(5, mixer=mixers[name]())
    assert LMConfig(5, mixer={"kind": name}) == LMConfig(5, mixer=name)


@pytest.mark.parametrize("filter", filter_families)
@pytest.mark.parametrize("order", [1, 3])
def test_options_survive_a_file(filter: str, order: int) -> None:
    config = LMConfig(7, 32, mixer=HyenaConfig(order, "paper", 4, filter))
    plain = json.loads(json.dumps(to_fields(config, KINDS)))
    assert plain["mixer"]["kind"] == "hyena"
    assert plain["mixer"]["filter"]["kind"] == filter
    assert from_fields(LMConfig, plain) == config


@pytest.mark.parametrize("name", mixers)
def test_every_mixer_survives_a_file(name: str) -> None:
    config = LMConfig(7, mixer=name)
    plain = json.loads(json.dumps(to_fields(config, KINDS)))
    assert from_fields(LMConfig, plain) == config
    assert type(from_fields(LMConfig, plain).mixer) is mixers[name]


def test_a_kind_without_a_name_is_its_fields_alone() -> None:
    @dataclass(frozen=True)
    class Mine:
        inner: ImplicitConfig
        size: int = 3

    mine = Mine(ImplicitConfig(bands=2))
    assert to_fields(mine, {}) == asdict(mine)
    assert to_fields(mine, KINDS)["inner"]["kind"] == "implicit"


def test_a_dict_of_names_can_be_extended() -> None:
    @dataclass(frozen=True)
    class Mine:
        size: int = 3

    known = mixers | {"mine": Mine}
    assert configure("mixer", "mine", known) == Mine()
    assert configure("mixer", {"kind": "mine", "size": 4}, known) == Mine(4)


def test_a_misspelt_word_or_field_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"unknown mixer 'hyna'; .* first: hyena"):
        LMConfig(5, mixer="hyna")
    with pytest.raises(ValueError, match=r"HyenaConfig field 'ordr'; .* first: order"):
        LMConfig(5, mixer={"kind": "hyena", "ordr": 2})
    with pytest.raises(ValueError, match=r"LMConfig field 'deep'; .* first: depth"):
        from_fields(LMConfig, {"vocab_size": 5, "deep": 3})


def test_from_fields_leaves_what_it_is_given_alone() -> None:
    plain = {"kind": "hyena", "order": 3}
    LMConfig(5, mixer=plain)
    assert plain == {"kind": "hyena", "order": 3}
