"""Convolution one step at a time: exact, in any order of prompts, steps and copies."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from torch import Tensor

from minihyena.conv import DirectConv, OnlineConv, causal_conv
from minihyena.online import RunningConv, tiles
from minihyena.rivals.modal import ModalConv, Modes

KINDS: dict[str, Callable[..., RunningConv]] = {
    "direct": DirectConv,
    **{
        f"online-{b}": lambda h, s=None, b=b: OnlineConv(h, s, b) for b in (1, 2, 8, 64)
    },
    "online": OnlineConv,
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=dtype)


def run(conv: RunningConv, u: Tensor, prompt: int = 0) -> Tensor:
    """Outputs (B, D, L): a prompt at once, then step by step."""
    ys = [conv.absorb(u[..., :prompt])] if prompt else []
    ys += [conv.step(now)[..., None] for now in u[..., prompt:].unbind(-1)]
    return torch.cat(ys, dim=-1)


def assert_close(y: Tensor, expected: Tensor, tolerance: float = 1e-12) -> None:
    size = max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(y, expected, atol=tolerance * size, rtol=0)


# Exact.


@every_kind
@pytest.mark.parametrize("prompt", [0, 1, 5, 33])
def test_steps_are_the_convolution_for_every_number_of_them(
    kind: str, prompt: int
) -> None:
    h, skip, u = draw(3, 290), draw(3, seed=1), draw(2, 3, 290, seed=2)
    for steps in [*range(1, 71), 100, 257]:
        length = prompt + steps
        conv = KINDS[kind](h[:, :length], skip)
        y = run(conv, u[..., :length], prompt)
        assert_close(y, causal_conv(u[..., :length], h[:, :length], skip, "direct"))


@every_kind
@examples(25)
@given(
    batch=st.integers(1, 3),
    width=st.integers(1, 4),
    length=st.integers(1, 300),
    share=st.floats(0, 1),
    skipping=st.booleans(),
    double=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_shape_prompt_and_precision(
    kind: str,
    batch: int,
    width: int,
    length: int,
    share: float,
    skipping: bool,
    double: bool,
    seed: int,
) -> None:
    h = draw(width, length, seed=seed) / length**0.5
    u, skip = draw(batch, width, length, seed=seed + 1), draw(width, seed=seed + 2)
    expected = causal_conv(u, h, skip if skipping else None, "toeplitz")
    if not double:
        h, skip, u = h.float(), skip.float(), u.float()
    conv = KINDS[kind](h, skip if skipping else None)
    y = run(conv, u, round(share * length))
    assert y.dtype == u.dtype
    assert_close(y.double(), expected, 1e-12 if double else 1e-5)


@every_kind
@pytest.mark.parametrize("prompt", [0, 512])
def test_the_next_input_may_depend_on_the_last_output(kind: str, prompt: int) -> None:
    h, first = draw(2, 1000) / 30, draw(1, 2, max(prompt, 1), seed=1)
    conv = KINDS[kind](h)
    inputs = [*first.unbind(-1)]
    outputs = [*run(conv, first, prompt).unbind(-1)]
    while len(inputs) < 1000:
        inputs.append(torch.tanh(outputs[-1] + 0.1))
        outputs.append(conv.step(inputs[-1]))
    u = torch.stack(inputs, -1)
    assert_close(torch.stack(outputs, -1), causal_conv(u, h), 1e-10)


@pytest.mark.parametrize("taps", [1, 2, 3, 70])
def test_a_direct_convolution_never_ends(taps: int) -> None:
    h, u = draw(3, taps), draw(2, 3, 200, seed=1)
    expected = causal_conv(u, h)
    for prompt in (0, 1, 2, 70, 150):
        conv = DirectConv(h)
        assert_close(run(conv, u, prompt), expected)
        assert conv.past.shape[-1] == taps - 1  # "a two-token cache" for three taps


def test_outputs_are_causal_to_the_last_bit() -> None:
    """A transform of the whole would spread the rounding of a huge later input."""
    h, u = draw(2, 300, dtype=torch.float32), draw(1, 2, 300, dtype=torch.float32)
    changed = u.clone()
    changed[..., 200:] = 1e6
    conv, other = OnlineConv(h), OnlineConv(h)
    assert torch.equal(run(conv, u)[..., :200], run(other, changed)[..., :200])
    assert not torch.equal(run(OnlineConv(h), u)[..., 200:], changed[..., 200:])


def test_gradients_pass_through_steps() -> None:
    h, u = draw(2, 90).requires_grad_(), draw(1, 2, 90, seed=1).requires_grad_()
    weights = draw(1, 2, 90, seed=2)
    expected = torch.autograd.grad((causal_conv(u, h) * weights).sum(), (u, h))
    for prompt in (0, 20):
        y = run(OnlineConv(h, base=8), u, prompt)
        found = torch.autograd.grad((y * weights).sum(), (u, h))
        for a, b in zip(found, expected, strict=True):
            assert_close(a, b, 1e-10)


# Tiles.


@pytest.mark.parametrize("base", [1, 4, 64])
@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 100, 257])
def test_every_pair_is_in_one_tile_or_in_a_direct_product(
    length: int, base: int
) -> None:
    counted = torch.zeros(length, length, dtype=torch.int64)
    for t in range(length):
        counted[t, t - t % base : t + 1] += 1
    for n, w, m in tiles(length, base):
        assert n + m <= length
        counted[n : n + m, n - w : n] += 1
    assert torch.equal(counted, torch.ones_like(counted).tril())


def test_tiles_are_the_ones_that_the_convolution_makes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[tuple[int, int, int]] = []
    send = OnlineConv._send

    def watch(self: OnlineConv, n: int, block: Tensor) -> None:
        send(self, n, block)
        if self.sent and self.sent[-1][0] == n:
            w = self.blocks[-1].shape[-1]
            made.append((n, w, self.sent[-1][1].shape[-1]))

    monkeypatch.setattr(OnlineConv, "_send", watch)
    run(OnlineConv(draw(1, 300), base=4), draw(1, 1, 300))
    assert made == [*tiles(300, 4)]


def test_the_work_of_n_steps_grows_like_n_log_squared_n() -> None:
    """Multiplications: w log2 w for every tile, base for every direct product."""

    def work(length: int) -> float:
        return length * 64 + sum(w * w.bit_length() for _, w, _ in tiles(length))

    growth = [work(2 * n) / work(n) for n in (2**12, 2**14, 2**16)]
    assert all(2 < g < 2.4 for g in growth)
    assert work(2**16) < 2**32 / 2 / 100  # a hundredth of the direct products


def test_spectra_are_made_once_and_shared_by_copies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    conv = OnlineConv(draw(2, 300), base=8)
    u = draw(1, 2)
    conv.step(u)
    sides = {w for _, w, _ in tiles(300, 8)}
    assert {*conv.spectra} == sides
    other = conv.copy()
    known = {w: spectrum.data_ptr() for w, spectrum in conv.spectra.items()}
    for _ in range(299):
        other.step(u)
    assert {w: s.data_ptr() for w, s in other.spectra.items()} == known


def test_what_is_remembered_grows_with_the_steps_and_no_faster() -> None:
    conv = OnlineConv(draw(1, 4096), base=64)
    for t in range(1, 4097):
        conv.step(draw(1, 1))
        if t % 64 == 0:
            inputs = sum(b.shape[-1] for b in conv.blocks)
            assert inputs == t
            assert sum(s.shape[-1] for _, s in conv.sent) <= 2 * t


# Copies, devices, and what cannot be.


@every_kind
def test_a_copy_goes_its_own_way(kind: str) -> None:
    h, u, w = draw(2, 90), draw(1, 2, 90, seed=1), draw(1, 2, 90, seed=2)
    conv = KINDS[kind](h)
    start = run(conv, u[..., :37], 5)
    other = conv.copy()
    deep = copy.deepcopy(conv)
    both = torch.cat([u[..., :37], w[..., 37:]], -1)
    ys = [torch.stack([*map(c.step, x[..., 37:].unbind(-1))], -1)
          for c, x in ((conv, u), (other, both), (deep, u))]  # fmt: skip
    for y, x in zip(ys, (u, both, u), strict=True):
        assert_close(torch.cat([start, y], -1), causal_conv(x, h))


def modal(h: Tensor, skip: Tensor | None = None) -> ModalConv:
    rates = torch.complex(-draw(len(h), 3).abs(), draw(len(h), 3))
    return ModalConv(Modes(rates, rates.exp(), draw(len(h))), skip)


@pytest.mark.parametrize("kind", [*KINDS, "modal"])
@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (torch.zeros(2, 4), ValueError, r"in 3 channels; got \(2, 4\)"),
        (torch.zeros(2, 3, 1), ValueError, "3 channels; got"),
        (torch.zeros(2, 3, dtype=torch.int64), TypeError, "real floating.*int64"),
        (torch.zeros(2, 3, dtype=torch.complex64), TypeError, "real floating"),
        (torch.zeros(2, 3), TypeError, "is torch.float32, the filter torch.float64"),
        (torch.zeros(2, 3, device="meta"), ValueError, "on meta, the convolution on"),
    ],
)
def test_a_wrong_step_is_refused_and_changes_nothing(
    kind: str, started: bool, wrong: Tensor, error: type[Exception], words: str
) -> None:
    h, u = draw(3, 40), draw(2, 3, 40, seed=1)
    make = {**KINDS, "modal": modal}[kind]
    conv, same = make(h), make(h)
    if started:
        run(conv, u[..., :9], 4), run(same, u[..., :9], 4)
    with pytest.raises(error, match=words):
        conv.step(wrong)
    assert torch.equal(run(conv, u[..., 9:]), run(same, u[..., 9:]))


@every_kind
def test_a_batch_stays_a_batch(kind: str) -> None:
    conv = KINDS[kind](draw(3, 40))
    conv.step(draw(2, 3))
    with pytest.raises(ValueError, match=r"is of 2 sequences .* got \(1, 3\)"):
        conv.step(draw(1, 3))


@pytest.mark.parametrize("base", [1, 64])
def test_no_step_beyond_the_last_tap(base: int) -> None:
    h, u = draw(2, 5), draw(1, 2, 6, seed=1)
    conv = OnlineConv(h, base=base)
    with pytest.raises(ValueError, match="0 of 5 steps are taken, 6 more are too many"):
        conv.absorb(u)
    y = run(conv, u[..., :5])
    with pytest.raises(ValueError, match="5 of 5 steps are taken, 1 more"):
        conv.step(u[..., 5])
    assert_close(y, causal_conv(u[..., :5], h))


@every_kind
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_prompt_that_is_not_finite_is_refused(kind: str, value: float) -> None:
    h, u = draw(2, 30), draw(3, 2, 30, seed=1)
    spoilt = u.clone()
    spoilt[1, 0, 7] = spoilt[2, 1, 9] = value
    conv = KINDS[kind](h)
    with pytest.raises(ValueError, match=r"the prompt is not finite.* at step 7"):
        conv.absorb(spoilt)
    assert_close(run(conv, u, 20), causal_conv(u, h))


@every_kind
def test_a_step_that_is_nan_spoils_nothing_before_it_and_no_other_row(
    kind: str,
) -> None:
    h, u = draw(2, 200), draw(2, 2, 200, seed=1)
    spoilt = u.clone()
    spoilt[0, 0, 77] = float("nan")
    y = run(KINDS[kind](h), spoilt)
    assert y[0, 0, 77:].isnan().all()
    expected = causal_conv(u, h)
    assert_close(y[0, 0, :77], expected[0, 0, :77])
    assert_close(y[1], expected[1])
    assert_close(y[0, 1], expected[0, 1])


@every_kind
def test_a_prompt_comes_first(kind: str) -> None:
    conv = KINDS[kind](draw(2, 30))
    conv.step(draw(1, 2))
    with pytest.raises(ValueError, match="a prompt comes first; 1 steps are already"):
        conv.absorb(draw(1, 2, 3))


def test_a_base_that_is_no_power_of_two_is_refused() -> None:
    for base in (0, -4, 3, 48):
        with pytest.raises(ValueError, match=f"power of two; got {base}"):
            OnlineConv(draw(2, 9), base=base)


@every_kind
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_single(kind: str, dtype: torch.dtype) -> None:
    h, u = draw(2, 100).to(dtype), draw(1, 2, 100, seed=1).to(dtype)
    y = run(KINDS[kind](h), u, 20)
    assert y.dtype == dtype
    exact = causal_conv(u.double(), h.double())
    assert_close(y.double(), exact, 2.0 * torch.finfo(dtype).eps)


@every_kind
def test_an_empty_batch_has_steps_too(kind: str) -> None:
    conv = KINDS[kind](draw(2, 100))
    assert conv.absorb(draw(0, 2, 30)).shape == (0, 2, 30)
    for _ in range(70):
        assert conv.step(draw(0, 2)).shape == (0, 2)
    assert conv.time == 100


@every_kind
def test_a_step_that_is_not_finite_is_the_callers_whichever_it_is(kind: str) -> None:
    """Only a prompt is refused: transforming it would spoil what came before."""
    for steps in range(3):
        conv, u = KINDS[kind](draw(2, 9)), draw(1, 2, 4, seed=1)
        for t in range(steps):
            conv.extend(u[..., t : t + 1])
        assert conv.extend(torch.full_like(u[..., :1], math.nan)).isnan().all()


@pytest.mark.parametrize("kind", [*KINDS, "modal"])
def test_it_moves_to_another_device_whole(kind: str) -> None:
    make: Any = {**KINDS, "modal": modal}[kind]
    conv = make(draw(2, 90))
    run(conv, draw(1, 2, 70), 5)
    moved = conv.to("meta")
    assert moved.device.type == "meta"
    assert moved.step(torch.zeros(1, 2, dtype=torch.float64, device="meta")).is_meta
    assert conv.step(draw(1, 2)).device.type == "cpu"
