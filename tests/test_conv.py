"""The causal convolution: three ways, one answer, and nothing from the future."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
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

from minihyena import causal_conv, conv, fast_conv, toeplitz

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


@contextmanager
def in_pieces(
    block: int = 700, piece: int = 4, most: int = 5, small: int = 0
) -> Iterator[None]:
    """What is larger than `small` bytes is cut: blocks of `block` bytes, `most` pieces.

    That is, even the smallest convolution.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_conv, "SMALL_BYTES", small)
        patch.setattr(fast_conv, "BLOCK_BYTES", block)
        patch.setattr(fast_conv, "PIECE", piece)
        patch.setattr(fast_conv, "MOST_PIECES", most)
        fast_conv._plan.cache_clear()
        yield
    fast_conv._plan.cache_clear()


every_cut = pytest.mark.parametrize("cut", [nullcontext, in_pieces])


@given(
    length=st.integers(1, 90),
    share=st.floats(0, 1),
    batch=st.integers(1, 3),
    width=st.integers(1, 9),
    block=st.integers(1, 12_000),
    piece=st.integers(1, 40),
    most=st.integers(1, 9),
    method=st.sampled_from(["auto", "fft"]),
    skipping=st.booleans(),
    dtype=st.sampled_from([*DTYPES]),
)
@example(37, 1.0, 3, 7, 2 * 3 * 80 * 8, 37, 1, "fft", True, torch.float64)
@example(37, 0.3, 2, 3, 1, 4, 9, "fft", True, torch.float64)
def test_neither_blocks_of_channels_nor_pieces_of_time_change_result_or_gradients(
    length: int,
    share: float,
    batch: int,
    width: int,
    block: int,
    piece: int,
    most: int,
    method: str,
    skipping: bool,
    dtype: torch.dtype,
) -> None:
    taps = max(1, round(share * length))
    parts = signals(batch, width, length, taps, dtype)[: 3 if skipping else 2]

    def run(method: str) -> tuple[Tensor, ...]:
        inputs = [part.clone().requires_grad_() for part in parts]
        y = causal_conv(*inputs, method=method)
        return y, *torch.autograd.grad(y.square().sum(), inputs)

    with in_pieces(block, piece, most):
        cut = run(method)
    for ours, expected in zip(cut, run("direct"), strict=True):
        assert_near(ours, expected, 10 * DTYPES[dtype])


@pytest.mark.parametrize("method", METHODS)
@every_cut
@pytest.mark.parametrize("taps", [1, 3, 9, 19])
def test_gradients_and_their_gradients_are_right(
    method: str, cut: Callable[[], AbstractContextManager[None]], taps: int
) -> None:
    inputs = [part.requires_grad_() for part in signals(2, 2, 19, taps, torch.float64)]

    def run(u: Tensor, h: Tensor, skip: Tensor) -> Tensor:
        return causal_conv(u, h, skip, method)

    with cut():
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
@every_cut
@pytest.mark.parametrize("taps", [3, 9])
def test_torch_func_sees_through_it(
    method: str, cut: Callable[[], AbstractContextManager[None]], taps: int
) -> None:
    u, h, skip = signals(2, 3, 9, taps, torch.float64)

    def run(u: Tensor, h: Tensor, skip: Tensor) -> Tensor:
        return causal_conv(u[None], h, skip, method)[0]

    with cut():
        over_signals = torch.vmap(run, (0, None, None))(u, h, skip)
        filters = torch.stack([h, 2 * h, -h], 1)
        over_filters = torch.vmap(run, (None, 1, 0))(u[0], filters, skip.repeat(3, 1))
        jacobian = torch.func.jacrev(run)(u[0], h, skip)
        of_filter = torch.func.jacrev(run, 1)(u[0], h, skip)
        each = torch.vmap(
            torch.func.grad(lambda *x: run(*x)[:, 8].sum(), 1), (0, None, None)
        )
        gradients = each(u, h, skip)
    assert_near(over_signals, by_numpy(u, h, skip), 1e-12)
    stacked = [by_numpy(u[:1], h * a, skip)[0] for a in (1, 2, -1)]
    assert_near(over_filters, torch.stack(stacked), 1e-12)
    blocks = jacobian.diagonal(dim1=0, dim2=2).movedim(-1, 0)  # (D, L, L)
    assert_near(
        blocks, toeplitz(h, 9) + torch.diag_embed(skip[:, None].expand(3, 9)), 1e-12
    )
    blocks = of_filter.diagonal(dim1=0, dim2=2).movedim(-1, 0)  # (D, L, K)
    assert_near(blocks, toeplitz(u[0], 9)[..., :taps], 1e-12)
    assert_near(gradients, u.flip(-1)[..., :taps], 1e-12)


@every_method
@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch's
@every_cut
@pytest.mark.parametrize("taps", [3, 9])
def test_derivatives_forward_are_those_backward(
    method: str, cut: Callable[[], AbstractContextManager[None]], taps: int
) -> None:
    inputs = signals(2, 3, 9, taps, torch.float64)

    def energy(h: Tensor) -> Tensor:
        return causal_conv(inputs[0], h, inputs[2], method).square().sum()

    with cut():
        assert torch.autograd.gradcheck(
            lambda *x: causal_conv(*x, method),
            [part.requires_grad_() for part in inputs],
            check_forward_ad=True,
        )
        assert torch.autograd.gradgradcheck(
            lambda *x: causal_conv(*x, method),
            inputs,
            check_fwd_over_rev=True,
        )
        h = inputs[1].detach()
        twice_back = torch.func.jacrev(torch.func.jacrev(energy))(h)
        assert_near(torch.func.hessian(energy)(h), twice_back, 1e-12)


@every_cut
@pytest.mark.parametrize("taps", [3, 9])
def test_what_comes_out_may_be_changed_in_place(
    cut: Callable[[], AbstractContextManager[None]], taps: int
) -> None:
    u, h, skip = signals(2, 3, 9, taps, torch.float64)
    u.requires_grad_()
    with cut():
        changed = causal_conv(u, h, skip).add_(1).mul_(2)
        apart = 2 * (causal_conv(u, h, skip) + 1)
    assert torch.equal(changed, apart)
    one, other = (torch.autograd.grad(y.square().sum(), u)[0] for y in (changed, apart))
    assert torch.equal(one, other)


def test_an_empty_batch_has_gradients_of_zero() -> None:
    u, h = torch.empty(0, 3, 20), torch.randn(3, 20)
    inputs = [u.requires_grad_(), h.requires_grad_()]
    du, dh = torch.autograd.grad(causal_conv(u, h).sum(), inputs)
    assert du.shape == u.shape
    assert not dh.any()
    with torch.no_grad():
        known = conv.filter_spectrum(torch.empty(0, 3, 20), h)
    assert causal_conv(u, known).requires_grad


@every_method
def test_an_empty_batch_reaches_every_input(method: str) -> None:
    inputs = [torch.empty(0, 3, 20), torch.randn(3, 20), torch.randn(3)]
    inputs = [part.requires_grad_() for part in inputs]
    y = causal_conv(*inputs, method)
    assert not any(grad.any() for grad in torch.autograd.grad(y.sum(), inputs))


@every_cut
@pytest.mark.parametrize("taps", [3, 9])
def test_gradients_of_filter_and_skip_are_tensors_of_their_own(
    cut: Callable[[], AbstractContextManager[None]], taps: int
) -> None:
    u, h, skip = signals(2, 1, 9, taps, torch.float64)
    inputs = [h.requires_grad_(), skip.requires_grad_()]
    with cut():
        for _ in range(2):
            causal_conv(u, h, skip).sum().backward()
        right = torch.autograd.grad(causal_conv(u, h, skip).sum(), inputs)
    for part, grad in zip(inputs, right, strict=True):
        assert part.grad is not None
        assert_near(part.grad, 2 * grad, 1e-12)
    of_filter, of_skip = (grad.untyped_storage().data_ptr() for grad in right)
    assert of_filter != of_skip


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch's
@pytest.mark.parametrize("small", [0, 2**9])
def test_a_batch_of_gradients_may_be_cut_where_one_is_not(small: int) -> None:
    u, h, _ = signals(1, 3, 20, 20, torch.float64)  # alone it is larger than `small`
    small_u, small_h = u[:, :1], h[:1]  # alone it is not, but in a batch
    with in_pieces(small=small):
        for x, taps in ((u, h), (small_u, small_h)):
            run = partial(lambda taps, x: causal_conv(x, taps)[0], taps)
            jacobian = torch.func.jacrev(run)(x)
            assert_near(jacobian[0, :, 0, 0], toeplitz(taps[0], 20), 1e-12)
            assert_near(torch.func.jacfwd(run)(x), jacobian, 1e-12)


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
    bare = causal_conv(u.bfloat16(), h, method=method)
    assert_near(bare, by_numpy(u.bfloat16(), h, None), 0.51 * 2**-7)


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

    assert all(fast_conv.fast_length(n) == next_even(n) for n in range(1, 2000))


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
    with pytest.raises(
        ValueError,
        match=r"^unknown convolution method 'toplitz'; known, nearest first: toeplitz",
    ):
        causal_conv(u, h, method="toplitz")


# A filter transformed once.


@given(
    length=st.integers(1, 90),
    taps=st.integers(1, 90),
    batch=st.integers(1, 3),
    cut=st.booleans(),
    skipping=st.booleans(),
    dtypes=st.sampled_from(
        [
            (torch.float32, torch.float32),
            (torch.float64, torch.float64),
            (torch.bfloat16, torch.float32),
            (torch.float32, torch.bfloat16),
        ]
    ),
)
def test_a_filter_transformed_once_gives_what_the_filter_gives(
    length: int,
    taps: int,
    batch: int,
    cut: bool,
    skipping: bool,
    dtypes: tuple[torch.dtype, torch.dtype],
) -> None:
    u, h, skip = signals(batch, 3, length, min(taps, length), torch.float64)
    u, h, skip = u.to(dtypes[0]), h.to(dtypes[1]), skip.to(dtypes[1])
    chosen = skip if skipping else None
    with in_pieces() if cut else nullcontext():
        known = conv.filter_spectrum(u, h, chosen)
        y = causal_conv(u, known)
    assert y.dtype == u.dtype
    tolerance = 0.51 * 2**-7 if y.dtype == torch.bfloat16 else 1e-5
    tolerance = 1e-12 if y.dtype == torch.float64 else tolerance
    assert_near(y, by_numpy(u, h, chosen), tolerance)


@every_cut
def test_gradients_reach_the_signal_past_a_transformed_filter(
    cut: Callable[[], AbstractContextManager[None]],
) -> None:
    u, h, skip = signals(2, 3, 30, 30, torch.float64)
    h.requires_grad_()
    u.requires_grad_()
    with cut():
        known = conv.filter_spectrum(u, h, skip)
        assert not known.bins.requires_grad
        assert torch.autograd.gradcheck(lambda u: causal_conv(u, known), u)


def test_a_filter_is_transformed_in_float32_at_least() -> None:
    u, h, skip = signals(2, 3, 30, 30, torch.float32)
    for dtype in (torch.bfloat16, torch.float16):
        half = [x.to(dtype) for x in (u, h, skip)]
        known = conv.filter_spectrum(*half)
        assert known.h.dtype is torch.float32
        assert torch.equal(causal_conv(half[0], known), causal_conv(*half))


def test_a_filter_that_cannot_be_used_is_not_transformed() -> None:
    u, h, skip = signals(2, 3, 30, 30, torch.float32)
    with pytest.raises(ValueError, match="skip must have one weight a channel"):
        conv.filter_spectrum(u, h, skip[:2])
    with pytest.raises(ValueError, match="31 taps"):
        conv.filter_spectrum(u, torch.ones(3, 31))
    with pytest.raises(TypeError, match="mix float32 and float64"):
        conv.filter_spectrum(u, h, skip.double())


@pytest.mark.parametrize(
    ("shape", "skip", "got"),
    [
        ((2, 3, 31), None, "(2, 3, 31)"),
        ((1, 3, 30), None, "(1, 3, 30)"),
        ((2, 3, 30), torch.ones(3), "(2, 3, 30) and a skip"),
    ],
)
def test_a_transformed_filter_is_for_one_shape_and_has_its_skip_in_it(
    shape: tuple[int, ...], skip: Tensor | None, got: str
) -> None:
    u, h, _ = signals(2, 3, 30, 30, torch.float32)
    known = conv.filter_spectrum(u, h)
    with pytest.raises(ValueError, match="spectrum") as caught:
        causal_conv(torch.zeros(shape), known, skip)
    assert str(caught.value) == (
        f"this spectrum, its skip included, is for u (2, 3, 30); got u {got}"
    )


def test_the_operations_of_a_convolution_are_three_transforms_and_a_product() -> None:
    transform = 2.5 * 16 * 4  # real, of 16 numbers: 2.5 n log2 n
    product = 6 * 8  # of complex numbers: six for each of 8 bins
    assert conv.conv_flops(8) == 3 * transform + product


# Rounding at the lengths where it matters, against the definition in float64.


@pytest.mark.parametrize("length", [1000, 3001, 10_007, 16_384])
def test_float32_is_right_to_five_ten_millionths_at_every_length_to_16384(
    length: int,
) -> None:
    u, h, _ = signals(1, 2, length, length, torch.float32)
    with in_pieces(2**21, 4096, 8):
        y = causal_conv(u, h, method="fft")
    exact = by_numpy(u, h)  # sums of products, term by term
    assert (y - exact).norm() <= 5e-7 * exact.norm()


def test_float32_is_right_to_two_millionths_at_length_262144() -> None:
    length = 2**18
    u, h, _ = signals(1, 2, length, length, torch.float32)
    exact = scipy.signal.fftconvolve(u.double(), h.double()[None], axes=-1)
    exact = torch.from_numpy(exact[..., :length])
    with in_pieces(2**21, 4096, 8):
        y = causal_conv(u, h)
    assert (y - exact).norm() <= 2e-6 * exact.norm()


def test_long_convolutions_are_cut_and_short_ones_are_not() -> None:
    def pieces(*shape: int) -> int:
        return fast_conv.plan(torch.empty(shape), shape[-1]).pieces

    assert [pieces(1, 256, 2**i) for i in (6, 12, 13, 14, 16, 18)] == [1, 1, 2, 4, 8, 8]
    meta = torch.empty(1, 256, 2**16, device="meta")  # as on a GPU: all at once
    whole = fast_conv.plan(meta, 2**16)
    assert (whole.pieces, whole.channels, whole.n) == (1, 256, 2**17)


def kept_for_backward(*inputs: Tensor) -> list[Tensor]:
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        causal_conv(*(part.requires_grad_() for part in inputs))
    return kept


def test_backward_keeps_the_inputs_and_nothing_else() -> None:
    inputs = signals(2, 3, 30, 30, torch.float32)
    with in_pieces():
        kept = kept_for_backward(*inputs)
    assert [x.data_ptr() for x in kept] == [x.data_ptr() for x in inputs]


def test_backward_keeps_the_spectra_where_they_are_small() -> None:
    u, h, skip = signals(2, 3, 30, 30, torch.float32)
    *inputs, U, H = kept_for_backward(u, h, skip)
    assert [x.data_ptr() for x in inputs] == [x.data_ptr() for x in (u, h, skip)]
    with torch.no_grad():
        torch.testing.assert_close(U, torch.fft.rfft(u, 60))
        torch.testing.assert_close(H, torch.fft.rfft(h, 60) + skip[:, None])


@pytest.mark.parametrize(
    ("u", "method", "error", "words"),
    [
        (torch.zeros(1, 3, 20, dtype=torch.float64), "auto", TypeError, "float64"),
        (torch.zeros(1, 3, 20, dtype=torch.complex64), "auto", TypeError, "complex64"),
        (torch.zeros(1, 3, 20, dtype=torch.int64), "auto", TypeError, "int64"),
        (torch.zeros(1, 3, 20, device="meta"), "auto", ValueError, "meta"),
        (
            torch.zeros(1, 3, 20),
            "direct",
            ValueError,
            "^unknown method with a spectrum 'direct'; known, .*: fft, auto$",
        ),
    ],
)
def test_a_spectrum_takes_no_other_kind_of_signal(
    u: Tensor, method: str, error: type[Exception], words: str
) -> None:
    known = conv.filter_spectrum(torch.zeros(1, 3, 20), torch.randn(3, 20))
    with pytest.raises(error, match=words):
        causal_conv(u, known, None, method)
