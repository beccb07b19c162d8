"""What a page without a kernel is given: the states are those of the live widget."""

import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from minihyena.explore import TurningHands, WrapAround
from minihyena.explore import still as module
from minihyena.explore.base import STILL
from minihyena.explore.still import changes, drawn, light, still


def changed(old: Any, by: Any) -> Any:
    """What page.js makes of a state."""
    if not isinstance(by, dict):
        return by
    made = dict(enumerate(old)) if isinstance(old, list) else dict(old or {})
    made |= {key: changed(made.get(key), part) for key, part in by.items()}
    made = {key: part for key, part in made.items() if part is not None}
    return list(made.values()) if isinstance(old, list) else made


@pytest.mark.parametrize("kind", [TurningHands, WrapAround])
def test_every_state_is_what_the_live_widget_shows(kind: type) -> None:
    explorer = kind()
    before = explorer.state()
    page = still(explorer)
    assert explorer.state() == before
    assert [c["label"] for c in page["controls"]] == [
        picker.description for picker in explorer.pickers.values()
    ]
    for name, control in zip(explorer.controls, page["controls"], strict=True):
        values = explorer.controls[name]
        assert values[control["first"]] == before[name]
        for value, state in zip(values, control["states"], strict=True):
            explorer.reset()
            explorer.set(name, value)
            assert state["sentence"] == explorer.describe()
            assert changed(page["figure"], state["changes"]) == drawn(explorer)


def test_controls_that_fail_are_slow_or_large_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    explorer = TurningHands()
    assert len(still(explorer)["controls"]) == 3
    with monkeypatch.context() as patch:
        patch.setattr(module, "LARGEST", 10)
        assert still(explorer)["controls"] == []
    with monkeypatch.context() as patch:
        patch.setattr(module, "SLOWEST", 0)
        assert still(explorer)["controls"] == []
    with monkeypatch.context() as patch:
        patch.setattr(TurningHands, "moves_alone", False)
        assert still(explorer)["controls"] == []


def test_numbers_are_unpacked_and_rounded() -> None:
    figure = go.Figure(go.Heatmap(z=np.arange(6).reshape(2, 3) / 3))
    packed = figure.to_plotly_json() | {"n": [65_536, 2.0, 0.123456789]}
    assert light(packed)["n"] == [65_536, 2, 0.12346]
    z = light(json.loads(figure.to_json()))["data"][0]["z"]
    assert z == [[0, 0.33333, 0.66667], [1, 1.3333, 1.6667]]


def test_changes_name_what_differs_and_what_is_gone() -> None:
    old = {"data": [{"y": [1, 2], "name": "a"}, {"y": [3]}], "title": "old"}
    new = {"data": [{"y": [1, 5], "name": "a"}, {"y": [3]}]}
    assert changes(old, new) == {"title": None, "data": {0: {"y": [1, 5]}}}
    assert changes(old, old) == {}


def test_only_the_site_is_given_states(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIHYENA_STATIC", raising=False)
    assert STILL not in TurningHands()._repr_mimebundle_()[0]
    monkeypatch.setenv("MINIHYENA_STATIC", "site")
    data, _ = TurningHands()._repr_mimebundle_()
    assert data[STILL]["controls"]
    assert "image/png" not in data
