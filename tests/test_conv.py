"""The causal convolution: three ways, one answer, and nothing from the future."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import scipy.signal
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from minihyena import causal_conv, conv, toeplitz

METHODS = ["auto", *conv.METHODS]
EXACT = ["direct", "toeplitz"]
LENGTHS = st.one_of(st.integers(1, 70), st.sampled_from([97, 101, 127, 128, 129, 251]))
DTYPES = {torch.float64: 1e-12, torch.float32: 1e-5}
every_method = pytest.mark.parametrize("method", METHODS)


def signals(
    batch: int, width: int, length: int, taps: int, dtype: torch.dtype, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """u (B, D, L), h (D, K), skip (D,), all normal."""
    g = torch.Generator().manual_seed(seed)
    shapes = (batch, width, length), (width, taps), (width,)
    u, h, skip = (torch.randn(shape, generator=g, dtype=dtype) for shape in shapes)
    return u, h, skip


def by_numpy(u: Tensor, h: Tensor, skip: Tensor | None = None) -> Tensor:
    """numpy.convolve for every row, in float64."""
    length = u.shape[-1]
    rows = [
        [np.convolve(u[b, d].double(), h[d].double())[:length] for d in range(len(h))]
        for b in range(len(u))
    ]
    y = torch.from_numpy(np.array(rows))
    return y if skip is None else y + skip.double()[:, None] * u.double()


def assert_near(y: Tensor, expected: Tensor, tolerance: float) -> None:
    """Errors are relative to the largest entry: an FFT knows no smaller ones."""
    assert y.shape == expected.shape
    error = (y.double() - expected.double()).abs().max()
    assert error <= tolerance * expected.abs().max().clamp(min=1)


@given(
    length=LENGTHS,
    share=st.floats(0, 1),
    batch=st.integers(1, 3),
    width=st.integers(1, 4),
    dtype=st.sampled_from([*DTYPES]),
    method=st.sampled_from(METHODS),
    skipping=st.booleans(),
    seed=st.integers(0, 99),
)
@example(1, 1.0, 1, 1, torch.float32, "fft", True, 0)
@example(257, 1.0, 2, 3, torch.float64, "fft", False, 0)
def test_every_method_equals_numpy_for_every_shape(
    length: int,
    share: float,
    batch: int,
    width: int,
    dtype: torch.dtype,
    method: str,
    skipping: bool,
    seed: int,
) -> None:
    taps = max(1, round(share * length))
    u, h, beta = signals(batch, width, length, taps, dtype, seed)
    skip = beta if skipping else None
    y = causal_conv(u, h, skip, method)
    assert y.dtype == dtype
    assert_near(y, by_numpy(u, h, skip), DTYPES[dtype])


@given(size=st.integers(1, 12_000), width=st.integers(1, 9), batch=st.integers(1, 3))
@example(2 * 3 * 80 * 8, 7, 3)
def test_blocks_of_channels_change_neither_result_nor_gradients(
    size: int, width: int, batch: int
) -> None:
    u, h, skip = signals(batch, width, 37, 29, torch.float64)

    def run(method: str) -> tuple[Tensor, ...]:
        inputs = [part.clone().requires_grad_() for part in (u, h, skip)]
        y = causal_conv(*inputs, method=method)
        return y, *torch.autograd.grad(y.square().sum(), inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conv, "SPECTRUM_BYTES", size)
        blocked = run("fft")
    for ours, expected in zip(blocked, run("direct"), strict=True):
        assert_near(ours, expected, 1e-12)


@pytest.mark.parametrize(
    ("method", "size"),
    [*((name, conv.SPECTRUM_BYTES) for name in conv.METHODS), ("fft", 700)],
)
@pytest.mark.parametrize("taps", [3, 9])
def test_gradients_and_their_gradients_are_right(
    method: str, size: int, taps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conv, "SPECTRUM_BYTES", size)
    inputs = [part.requires_grad_() for part in signals(2, 3, 9, taps, torch.float64)]

    def run(u: Tensor, h: Tensor, skip: Tensor) -> Tensor:
        return causal_conv(u, h, skip, method)

    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)


@every_method
@pytest.mark.parametrize("wanted", ["signal", "filter"])
def test_the_gradient_of_one_argument_alone_is_right(method: str, wanted: str) -> None:
    u, h, _ = signals(2, 3, 9, 9, torch.float64)
    u.requires_grad_(wanted == "signal")
    h.requires_grad_(wanted == "filter")
    assert torch.autograd.gradcheck(
        lambda u, h: causal_conv(u, h, None, method), (u, h)
    )


@every_method
def test_torch_func_sees_through_it(method: str) -> None:
    u, h, _ = signals(2, 3, 9, 9, torch.float64)

    def run(u: Tensor, h: Tensor) -> Tensor:
        return causal_conv(u[None], h, method=method)[0]

    expected = by_numpy(u, h)
    assert_near(torch.vmap(run, (0, None))(u, h), expected, 1e-12)
    jacobian = torch.func.jacrev(run)(u[0], h)
    blocks = jacobian.diagonal(dim1=0, dim2=2).movedim(-1, 0)  # (D, L, L)
    assert_near(blocks, toeplitz(h, 9), 1e-12)


def test_float32_stays_within_a_millionth_at_length_16384() -> None:
    u, h, _ = signals(1, 2, 16_384, 16_384, torch.float32)
    exact = scipy.signal.fftconvolve(u.double(), h.double()[None], axes=-1)
    exact = torch.from_numpy(exact[..., :16_384])
    error = (causal_conv(u, h, method="fft") - exact).norm() / exact.norm()
    assert error < 1e-6


@every_method
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(method: str, dtype: torch.dtype) -> None:
    u, h, skip = signals(2, 3, 60, 41, dtype)
    y = causal_conv(u, h, skip, method)
    assert y.dtype == dtype
    # Only the result is rounded: half a unit in the last place of the largest entry.
    assert_near(y, by_numpy(u, h, skip), 0.51 * torch.finfo(dtype).eps)


@every_method
def test_a_half_precision_signal_meets_a_float32_filter(method: str) -> None:
    u, h, skip = signals(2, 3, 60, 41, torch.float32)
    y = causal_conv(u.bfloat16(), h, skip, method)
    assert y.dtype == torch.bfloat16
    assert_near(y, by_numpy(u.bfloat16(), h, skip), 0.51 * 2**-7)


@every_method
def test_autocast_does_not_spoil_the_convolution(method: str) -> None:
    u, h, skip = signals(2, 3, 60, 41, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = causal_conv(u, h, skip, method)
    assert_near(y, by_numpy(u, h, skip), 1e-5)


@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("outlier", [1.0, 1e6])
def test_the_future_leaves_the_past_exactly_alone(method: str, outlier: float) -> None:
    u, h, _ = signals(2, 3, 40, 40, torch.float32)
    changed = u.clone()
    changed[..., 25] += outlier
    before, after = (causal_conv(x, h, method=method) for x in (u, changed))
    assert torch.equal(before[..., :25], after[..., :25])
    assert not torch.equal(before[..., 25:], after[..., 25:])


@pytest.mark.parametrize("outlier", [1.0, 1e3, 1e6])
def test_the_future_changes_the_past_of_an_fft_by_rounding_alone(
    outlier: float,
) -> None:
    u, h, _ = signals(2, 3, 1000, 1000, torch.float32)
    changed = u.clone()
    changed[..., 600] = outlier
    leak = (causal_conv(u, h, method="fft") - causal_conv(changed, h, method="fft"))[
        ..., :600
    ].abs()
    bound = 1e-6 * changed.abs().max() * h.abs().sum(-1, keepdim=True)
    assert (leak <= bound).all()


@every_method
def test_no_gradient_flows_from_an_output_to_a_later_input(method: str) -> None:
    u, h, _ = signals(1, 2, 20, 20, torch.float64)
    u.requires_grad_()
    (gradient,) = torch.autograd.grad(causal_conv(u, h, method=method)[..., 8].sum(), u)
    assert gradient[..., 9:].abs().max() < 1e-14
    assert gradient[..., :9].abs().min() > 1e-4  # and from earlier ones it does


@given(method=st.sampled_from(METHODS), length=LENGTHS, a=st.floats(-3, 3))
def test_it_is_linear_in_signal_and_in_filter(
    method: str, length: int, a: float
) -> None:
    u, h, _ = signals(2, 3, length, length, torch.float64)
    v, g, _ = signals(2, 3, length, length, torch.float64, seed=1)

    def run(u: Tensor, h: Tensor) -> Tensor:
        return causal_conv(u, h, method=method)

    assert_near(run(u + a * v, h), run(u, h) + a * run(v, h), 1e-12)
    assert_near(run(u, h + a * g), run(u, h) + a * run(u, g), 1e-12)


@given(method=st.sampled_from(METHODS), length=LENGTHS, data=st.data())
def test_a_delayed_impulse_delays_the_signal(
    method: str, length: int, data: st.DataObject
) -> None:
    delay = data.draw(st.integers(0, length - 1))
    u, _, _ = signals(2, 3, length, length, torch.float64)
    impulse = torch.zeros(3, delay + 1, dtype=torch.float64)
    impulse[:, delay] = 1
    y = causal_conv(u, impulse, method=method)
    assert_near(y[..., delay:], u[..., : length - delay], 1e-13)
    assert y[..., :delay].abs().sum() < 1e-11


@every_method
def test_delaying_the_signal_delays_the_output(method: str) -> None:
    u, h, _ = signals(2, 3, 50, 50, torch.float64)
    late = torch.nn.functional.pad(u, (7, 0))[..., :50]
    y, y_late = (causal_conv(x, h, method=method) for x in (u, late))
    assert_near(y_late[..., 7:], y[..., :-7], 1e-12)


@every_method
def test_a_short_filter_is_a_long_one_that_ends_in_zeros(method: str) -> None:
    u, h, _ = signals(2, 3, 50, 9, torch.float64)
    padded = torch.nn.functional.pad(h, (0, 41))
    y, y_padded = (causal_conv(u, taps, method=method) for taps in (h, padded))
    assert_near(y, y_padded, 1e-12)


@every_method
def test_an_empty_batch_gives_an_empty_result(method: str) -> None:
    u, h, skip = torch.zeros(0, 3, 40), torch.ones(3, 20), torch.ones(3)
    assert causal_conv(u, h, skip, method).shape == (0, 3, 40)


@every_method
def test_inputs_are_left_as_they_were(method: str) -> None:
    given_ = signals(2, 3, 30, 30, torch.float32)
    kept = [part.clone() for part in given_]
    causal_conv(*given_, method=method)
    assert all(map(torch.equal, given_, kept))


@every_method
def test_strided_inputs_are_read_right(method: str) -> None:
    u, h, skip = signals(2, 3, 30, 30, torch.float64)
    y = causal_conv(u.mT.contiguous().mT, h.T.contiguous().T, skip.expand(3), method)
    assert_near(y, by_numpy(u, h, skip), 1e-12)


@given(length=st.integers(1, 40), taps=st.integers(1, 60))
def test_the_toeplitz_matrix_is_scipys(length: int, taps: int) -> None:
    h = signals(1, 2, 1, taps, torch.float64)[1]
    column = np.zeros((2, length))
    column[:, : min(taps, length)] = h[:, :length]
    expected = [scipy.linalg.toeplitz(c, np.zeros(length)) for c in column]
    assert torch.equal(toeplitz(h, length), torch.from_numpy(np.array(expected)))


def test_a_filter_that_is_not_finite_does_not_reach_above_the_diagonal() -> None:
    matrix = toeplitz(torch.tensor([float("inf"), 1.0]), 4)
    assert torch.equal(matrix.triu(1), torch.zeros(4, 4))


def test_transform_lengths_are_the_next_even_product_of_small_primes() -> None:
    def next_even(n: int) -> int:
        while (good := scipy.fft.next_fast_len(n, real=True)) % 2:
            n = good + 1
        return int(good)

    assert all(conv.fast_length(n) == next_even(n) for n in range(1, 2000))


def zeros(*shapes: tuple[int, ...], **options: Any) -> Callable[[], list[Tensor]]:
    return lambda: [torch.zeros(shape, **options) for shape in shapes]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (zeros((3, 8), (3, 8)), ValueError, ["(B, D, L)", "(3, 8)"]),
        (zeros((2, 3, 8), (1, 3, 8)), ValueError, ["(D, K)", "(1, 3, 8)"]),
        (zeros((2, 3, 8), (4, 8)), ValueError, ["same D", "(2, 3, 8)", "(4, 8)"]),
        (zeros((2, 3, 8), (3, 9)), ValueError, ["9 taps", "8 steps", "h[:, :8]"]),
        (zeros((2, 3, 8), (3, 0)), ValueError, ["no taps"]),
        (zeros((2, 3, 8), (3, 8), (4,)), ValueError, ["(3,)", "(4,)"]),
        (zeros((2, 3, 8), (3, 8), (1, 3)), ValueError, ["(3,)", "(1, 3)"]),
        (zeros((2, 3, 8), (3, 8), dtype=torch.int64), TypeError, ["torch.int64"]),
        (zeros((2, 3, 8), (3, 8), dtype=torch.cfloat), TypeError, ["complex64"]),
        (
            lambda: [torch.zeros(2, 3, 8), torch.zeros(3, 8).double()],
            TypeError,
            ["float32", "float64"],
        ),
        (
            lambda: [torch.zeros(2, 3, 8), torch.zeros(3, 8), torch.zeros(3).double()],
            TypeError,
            ["skip", "float64"],
        ),
        (
            lambda: [torch.zeros(2, 3, 8), torch.zeros(3, 8, device="meta")],
            ValueError,
            ["cpu, meta", ".to(device)"],
        ),
    ],
)
@every_method
def test_a_wrong_input_is_refused_with_its_numbers(
    make: Callable[[], list[Tensor]],
    error: type[Exception],
    words: list[str],
    method: str,
) -> None:
    with pytest.raises(error) as caught:
        causal_conv(*make(), method=method)
    assert all(word in str(caught.value) for word in words)


def test_an_unknown_method_is_told_the_known_ones_nearest_first() -> None:
    u, h, _ = signals(1, 1, 4, 4, torch.float32)
    with pytest.raises(ValueError, match=r"'toplitz'; known, nearest first: toeplitz"):
        causal_conv(u, h, method="toplitz")
