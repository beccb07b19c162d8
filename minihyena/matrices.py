"""Pictures as numbers: what a mixing matrix reads, how far back, and against chance.

M (..., L, L) is any mixing matrix: row t is what output t reads, column s the input it
reads from. Leading axes (batch, channel or head) are kept. Entries may be negative and
rows need not sum to one: shares are of the absolute weight |M|, so that no + cancels
a -. A row (or matrix) of zeros reads nothing: its shares, distance and inputs are 0.
All but `row_sums` are the same for M and for any multiple of it.
"""

import math
from collections.abc import Callable, Iterator
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

__all__ = [
    "effective_distance",
    "jacobian",
    "locality",
    "null_distribution",
    "numerical_rank",
    "p_value",
    "participation",
    "redrawn",
    "row_sums",
    "shuffled",
    "sign_balance",
    "summary",
]

JACOBIAN_NUMBERS = 2**22  # gradients held at once: 16 MB in float32


def effective_distance(matrix: Tensor) -> Tensor:
    """(..., L, L) -> (...): the mean of |t - s|, in steps, weighted by |M[t, s]|.

    0 if every output reads its own input only, 1 for a delay by one step; never above
    L - 1. In a causal matrix |t - s| is the lag t - s.
    """
    weight = _magnitude(matrix)
    return _share((weight * _distances(weight)).sum((-2, -1)), weight.sum((-2, -1)))


def row_sums(matrix: Tensor) -> Tensor:
    """(..., L, L) -> (..., L): what each output makes of an input that is 1 everywhere.

    Softmax attention: exactly 1. Hyena: anything, as the entries have signs.
    """
    _check(matrix)
    return matrix.sum(-1)


def sign_balance(matrix: Tensor) -> Tensor:
    """(..., L, L) -> (...): the negative share of the absolute weight, in 0 .. 1.

    0: nothing is subtracted (softmax attention); 1/2: + and - weigh the same.
    """
    weight = _magnitude(matrix)
    negative = weight.where(matrix < 0, 0)
    return _share(negative.sum((-2, -1)), weight.sum((-2, -1)))


def participation(matrix: Tensor) -> Tensor:
    """(..., L, L) -> (..., L): how many inputs each row reads, 1 .. L.

    The participation ratio 1 / sum_s p_s^2 of p = |row| / sum |row|: k for a row that
    reads k inputs equally, near 1 for one that reads little besides one input.
    """
    weight = _magnitude(matrix)
    p = _share(weight, weight.sum(-1, keepdim=True))
    squares = p.square().sum(-1)
    return _share((squares > 0).to(p.dtype), squares)


def numerical_rank(matrix: Tensor, tolerance: float | None = None) -> Tensor:
    """(..., L, L) -> (...), int64: singular values above `tolerance` * the largest one.

    None: L * eps, as numpy's, with eps of the dtype of M, but at most a tenth, which
    long matrices in half precision would exceed. Two equal rows count once.
    """
    weight = _magnitude(matrix)
    if tolerance is None:
        tolerance = min(0.1, matrix.shape[-1] * torch.finfo(matrix.dtype).eps)
    work = weight.copysign(matrix)  # no entry above 1, so no norm overflows
    rank: Tensor = torch.linalg.matrix_rank(work, rtol=tolerance)
    return rank


def locality(matrix: Tensor, lag: int) -> Tensor:
    """(..., L, L) -> (...): the share of |M| with |t - s| <= lag, in 0 .. 1.

    lag 0 is the diagonal; locality(M, 1) - locality(M, 0) is, in a causal matrix, the
    share read from the token before. Raises ValueError for a negative lag.
    """
    if lag < 0:
        raise ValueError(f"lag counts steps and must not be negative; got {lag}")
    weight = _magnitude(matrix)
    near = weight.where(_distances(weight) <= lag, 0)
    return _share(near.sum((-2, -1)), weight.sum((-2, -1)))


def summary(matrix: Tensor, lag: int = 1) -> dict[str, float]:
    """The numbers above as floats, averaged over rows and leading axes.

    Of the row sums, the smallest and the largest: are they all one?
    """
    sums = row_sums(matrix)
    return {
        "effective_distance": float(effective_distance(matrix).mean()),
        "sign_balance": float(sign_balance(matrix).mean()),
        "participation": float(participation(matrix).mean()),
        "numerical_rank": float(numerical_rank(matrix).float().mean()),
        "locality": float(locality(matrix, lag).mean()),
        "smallest_row_sum": float(sums.min()),
        "largest_row_sum": float(sums.max()),
    }


def jacobian(module: nn.Module, u: Tensor, channel: int) -> Tensor:
    """J (B, L, L), J[b, t, s] = d y[b, t, channel] / d u[b, s, channel], y = module(u).

    For any module (B, L, D) -> (B, L, D) that treats the rows of the batch one by one;
    with dropout, call `.eval()` first. For a module that listens to its input this is
    not its mixing matrix: the gates, or the attention, are differentiated too.
    Raises ValueError for a wrong shape or channel.
    """
    if u.dim() != 3 or not 0 <= channel < u.shape[-1]:
        raise ValueError(
            "jacobian wants u (B, L, D) and 0 <= channel < D; "
            f"got {tuple(u.shape)} and {channel}"
        )
    chosen = torch.arange(u.shape[-1], device=u.device) == channel

    def one_channel(x: Tensor) -> Tensor:
        y: Tensor = module(torch.where(chosen, x[..., None], u))
        if y.shape != u.shape:
            raise ValueError(
                f"the module turned {tuple(u.shape)} into {tuple(y.shape)}; "
                "a mixer keeps the shape (B, L, D)"
            )
        return y[..., channel]

    with sdpa_kernel(SDPBackend.MATH):  # the gradient of the fused one has no vmap
        y, back = torch.func.vjp(one_channel, u[..., channel])  # type: ignore[misc]
        one_output = torch.eye(u.shape[1], dtype=y.dtype, device=y.device)
        rows: Tensor = torch.vmap(
            lambda output: back(output.expand_as(y))[0],
            chunk_size=max(1, JACOBIAN_NUMBERS // max(1, u.numel())),
        )(one_output)
    return rows.transpose(0, 1).detach()


def shuffled(
    module: nn.Module, *, generator: torch.Generator | None = None
) -> nn.Module:
    """A copy in which the entries of every parameter tensor have changed places.

    Every tensor keeps its numbers and loses their order: what such copies do as well
    as the original was not learnt. Tied parameters stay tied; buffers stay as they
    are, and so does `module`. Draws from `generator` (None: torch's global one).
    """
    copy = deepcopy(module)
    for p, draws_on in _parameters(copy, generator):
        order = torch.randperm(p.numel(), generator=generator, device=draws_on)
        p.copy_(p.flatten()[order.to(p.device)].view_as(p))
    return copy


def redrawn(
    module: nn.Module, *, generator: torch.Generator | None = None
) -> nn.Module:
    """A copy in which every parameter tensor is drawn anew from a normal distribution.

    Its mean and standard deviation are those of the tensor's entries, so a tensor of
    equal numbers stays as it is. Else as `shuffled`.
    """
    copy = deepcopy(module)
    for p, draws_on in _parameters(copy, generator):
        noise = torch.randn(
            p.shape, generator=generator, dtype=p.dtype, device=draws_on
        )
        p.copy_(p.mean() + p.std(correction=0) * noise.to(p.device))
    return copy


def null_distribution(
    statistic: Callable[[nn.Module], float | Tensor],
    module: nn.Module,
    n: int,
    *,
    control: Callable[..., nn.Module] = shuffled,
    generator: torch.Generator | None = None,
) -> Tensor:
    """(n,) float64: the statistic of n copies made by control(module, generator=...).

    The null model changes the weights, never the input. Raises ValueError for n < 1.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1; got {n}")
    copies = (control(module, generator=generator) for _ in range(n))
    values = [_number(statistic(copy)) for copy in copies]
    return torch.tensor(values, dtype=torch.float64)


def p_value(observed: float | Tensor, null: Tensor) -> float:
    """The share of `null` (n,) at least as large as `observed`: (count + 1) / (n + 1).

    One-sided: for "at least as small" negate both. The observed model counts as one of
    its own controls, so p is never 0. Raises ValueError for NaN.
    """
    observed = _number(observed)
    if math.isnan(observed) or bool(null.isnan().any()):
        raise ValueError("a statistic is NaN, which is neither larger nor smaller")
    return (int((null >= observed).sum()) + 1) / (null.numel() + 1)


def _check(matrix: Tensor) -> None:
    """ValueError unless M is (..., L, L), real and finite."""
    shape = tuple(matrix.shape)
    if len(shape) < 2 or shape[-1] != shape[-2] or not shape[-1]:
        raise ValueError(f"a mixing matrix is (..., L, L) with L >= 1; got {shape}")
    if not matrix.is_floating_point():
        raise ValueError(f"a mixing matrix holds real numbers; got {matrix.dtype}")
    if not bool(matrix.isfinite().all()):
        raise ValueError("the mixing matrix has entries that are not finite")


def _magnitude(matrix: Tensor) -> Tensor:
    """|M| over its largest entry, in float32 at least: no sum or square overflows."""
    _check(matrix)
    weight = matrix.abs().to(torch.promote_types(matrix.dtype, torch.float32))
    return _share(weight, weight.amax((-2, -1), keepdim=True))


def _distances(matrix: Tensor) -> Tensor:
    """(L, L): |t - s|, in the dtype of M."""
    time = torch.arange(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    return (time[:, None] - time).abs()


def _share(part: Tensor, whole: Tensor) -> Tensor:
    """part / whole, and 0 where the whole is 0."""
    return part / whole.where(whole > 0, 1)


def _number(value: float | Tensor) -> float:
    return float(value.detach() if isinstance(value, Tensor) else value)


def _parameters(
    module: nn.Module, generator: torch.Generator | None
) -> Iterator[tuple[Tensor, torch.device]]:
    """Each parameter's data once, tied or not, and the device its draws come from."""
    for p in module.parameters():
        yield p.data, p.device if generator is None else generator.device
