"""The auditor finds what reads the future, clears what does not, and says how sure."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from minihyena import LanguageModel, LMConfig, mixers
from minihyena.auditing import BACKGROUNDS, Audit, audit
from minihyena.model import drawing_from

LENGTH, WIDTH = 8, 8
UPPER = {(t, s) for t in range(LENGTH) for s in range(t + 1, LENGTH)}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def later(u: Tensor, steps: int) -> Tensor:
    """(B, L, D) -> (B, L, D): every output reads the input so many steps later."""
    return pad(u[:, steps:], (0, 0, 0, steps))


class Wrapping(nn.Module):
    """A long filter by FFT, without room for the tail."""

    def forward(self, u: Tensor) -> Tensor:
        steps = torch.arange(u.shape[1], dtype=u.dtype)
        spectrum = torch.fft.rfft(0.7**steps)[:, None]
        y: Tensor = torch.fft.irfft(
            torch.fft.rfft(u, dim=1) * spectrum, u.shape[1], dim=1
        )
        return y


class Centred(nn.Module):
    """A short convolution with as many zeros behind as in front."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(WIDTH, WIDTH, 3, padding=1)

    def forward(self, u: Tensor) -> Tensor:
        y: Tensor = self.conv(u.mT).mT
        return y


class NormOverTime(nn.Module):
    def forward(self, u: Tensor) -> Tensor:
        return u / (1e-3 + u.square().mean(1, keepdim=True)).sqrt()


class CausalNorm(nn.Module):
    def forward(self, u: Tensor) -> Tensor:
        seen = torch.arange(1, u.shape[1] + 1, dtype=u.dtype)[:, None]
        return u / (1e-3 + u.square().cumsum(1) / seen).sqrt()


class Secret(nn.Module):
    """Output 1 reads input 6, if channel 0 of input 0 is loud enough."""

    def __init__(self, loud: float = 1.0) -> None:
        super().__init__()
        self.loud = loud

    def forward(self, u: Tensor) -> Tensor:
        y = u.clone()
        y[:, 1] += u[:, 6] * (u[:, :1, 0] > self.loud)
        return y


def one_far_leak(u: Tensor) -> Tensor:
    y = u.cumsum(1)
    y[:, 0, 3] += 0.01 * u[:, 7, 2]
    return y


LEAKS: dict[str, tuple[Callable[[], Any], set[tuple[int, int]]]] = {
    "one step ahead": (
        lambda: lambda u: u + 0.1 * later(u, 1),
        {(t, t + 1) for t in range(LENGTH - 1)},
    ),
    "a distant one": (lambda: one_far_leak, {(0, 7)}),
    "wrap-around": (Wrapping, UPPER),
    "a centred convolution": (Centred, {(t, t + 1) for t in range(LENGTH - 1)}),
    "normalised over time": (NormOverTime, UPPER),
    "a gate that opens on content": (Secret, {(1, 6)}),
}


def mixer(name: str) -> Any:
    return lambda: mixers[name]().build(WIDTH, LENGTH)


SOUND: dict[str, Callable[[], Any]] = {
    "hyena": mixer("hyena"),
    "attention": mixer("attention"),
    "gru": mixer("gru"),
    "a delay": lambda: lambda u: pad(u[:, :-2], (0, 0, 2, 0)),
    "normalised over the past": CausalNorm,
    "an offset": lambda: lambda u: 3 - u.cumsum(1),
}


def audited(make: Callable[[], Any], seed: int = 0, **options: Any) -> Audit:
    with drawing_from(seeded(seed)):
        op = make()
    return audit(op, LENGTH, WIDTH, generator=seeded(seed), **options)


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_leak_is_found_where_it_is(name: str) -> None:
    make, where = LEAKS[name]
    for seed in range(5):
        found = audited(make, seed)
        assert not found.causal
        assert set(found.leaks) == where
        assert found.dtype is torch.float64


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_operator_is_cleared(name: str) -> None:
    for seed in range(5):
        found = audited(SOUND[name], seed)
        assert found.causal
        assert found.moved, "and it is not because nothing ever moves"
        assert found.noise < 1e-7


def test_a_small_leak_is_a_leak_in_float64_and_rounding_in_float32() -> None:
    def whisper(u: Tensor) -> Tensor:
        return u + 1e-7 * later(u, 3)

    assert len(audited(lambda: whisper).leaks) == LENGTH - 3
    single = audited(lambda: lambda u: whisper(u.float()))
    assert single.dtype is torch.float32
    assert single.causal
    assert single.noise > 1e-5
    strict = audited(lambda: lambda u: whisper(u.float()), tolerance=1e-9)
    assert strict.leaks


def test_what_is_shut_on_one_background_is_open_on_another() -> None:
    assert audited(Secret, backgrounds=(0.0,)).causal
    assert audited(Secret, backgrounds=(0.2,)).causal
    assert not audited(Secret).causal
    assert audited(lambda: Secret(9.0)).causal, "one that opens rarely escapes"
    assert not audited(lambda: Secret(9.0), backgrounds=BACKGROUNDS * 40).causal


def test_the_moves_of_a_linear_operator_have_the_signs_of_its_matrix() -> None:
    matrix = torch.randn(LENGTH, LENGTH, generator=seeded(), dtype=torch.float64)
    found = audit(lambda u: matrix @ u, LENGTH, generator=seeded())
    moves = torch.tensor(found.moves, dtype=torch.float64)
    assert torch.equal(moves.sign(), matrix.sign())
    ratio = moves / matrix  # one change for a whole column
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))
    assert ratio.min() >= 0.5


def test_the_sentence_counts_the_pairs_and_names_the_first() -> None:
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[1, 3] = matrix[2, 3] = -1
    said = str(audit(lambda u: matrix @ u, 4, generator=seeded()))
    assert re.fullmatch(
        r"2 of 6 \(output, later input\) pairs move; the first is output 1, "
        r"moved by input 3, by \d\.?\d*\.",
        said,
    )
    matrix[1, 3] = 0
    assert str(audit(lambda u: matrix @ u, 4)).startswith(
        "1 of 6 (output, later input) pairs moves; the first is output 2,"
    )
    said = str(audit(lambda u: u, 4, generator=seeded()))
    assert re.fullmatch(
        r"0 of 6 \(output, later input\) pairs move by more than \de-10 on 12 "
        r"backgrounds in float64\.",
        said,
    )


class Centrist(nn.Module):
    """ids (B, L) -> logits (B, L, V), with a look at the next token."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(11, 4), nn.Linear(4, 11)

    def forward(self, ids: Tensor) -> Tensor:
        u = self.embed(ids)
        logits: Tensor = self.head(u + later(u, 1))
        return logits


def test_a_model_of_ids_is_audited_by_exchanging_tokens() -> None:
    with drawing_from(seeded()):
        peeping = Centrist()
        model = LanguageModel(LMConfig(11, 16, 8))
    found = audit(peeping, 6, vocab=11, generator=seeded())
    assert found.leaks == tuple((t, t + 1) for t in range(5))
    sound = audit(model, 6, vocab=11, generator=seeded())
    assert sound.causal
    assert len(sound.moved) == 21
    assert sound.dtype is torch.float64
    assert next(model.parameters()).dtype is torch.float32, "a copy was asked"


def test_the_same_generator_makes_the_same_audit_and_no_other_draws() -> None:
    world = torch.get_rng_state()
    assert audited(Secret) == audited(Secret)
    assert audited(Secret) != audited(Secret, 1)
    assert torch.equal(world, torch.get_rng_state())


def test_an_operator_that_refuses_float64_is_asked_in_float32() -> None:
    weights = torch.randn(WIDTH, WIDTH, generator=seeded())
    found = audited(lambda: lambda u: u @ weights)
    assert found.dtype is torch.float32
    assert found.causal
    assert not audited(lambda: lambda u: later(u, 1) @ weights).causal


def by_fft(u: Tensor) -> Tensor:
    """A sum so far; its rounding reads the whole sequence."""
    n = 2 * u.shape[1]
    ones = torch.fft.rfft(torch.ones_like(u), n, dim=1)
    y: Tensor = torch.fft.irfft(torch.fft.rfft(u, n, dim=1) * ones, n, dim=1)
    return y[:, : u.shape[1]]


def filled(u: Tensor) -> Tensor:
    y = torch.zeros(u.shape)  # in float32, whatever comes in
    y[:] = by_fft(u)
    return y


def by_hand(u: Tensor) -> Tensor:
    kept = torch.zeros(len(u), u.shape[1], WIDTH)  # in float32, and read in float64
    kept[:] = u
    return by_fft(kept.double())


@pytest.mark.parametrize(
    "op",
    [
        filled,
        by_hand,
        lambda u: by_fft(u.mT.float().mT).double(),
        lambda u: by_fft(u.transpose(0, 1).float().transpose(0, 1)).double(),
        lambda u: by_fft(u.reshape(-1, WIDTH).float().reshape(u.shape)).double(),
        lambda u: by_fft(torch.mean(input=u[None], dim=0, dtype=torch.float32)) + 0 * u,
        lambda u: by_fft(torch.zeros(u.shape).copy_(u)).double(),
        lambda u: by_fft(u.float()).double(),
        lambda u: u + by_fft(u.to(torch.float32)),
        lambda u: u + by_fft(u.half().float()),
        lambda u: by_fft(u).to(torch.complex64),
    ],
)
def test_the_rounding_of_narrower_numbers_on_the_way_is_no_leak(op: Any) -> None:
    for seed in range(5):
        found = audited(lambda: op, seed)
        assert found.causal
        assert found.dtype is not torch.float64
        assert found.dtype is not torch.complex128


def test_constants_in_float32_take_nothing_from_the_precision() -> None:
    found = audited(lambda: lambda u: u * (0.5 * torch.linspace(0, 1, 8)[:, None]))
    assert found.dtype is torch.float64


@pytest.mark.parametrize("length", [1, 2, 7, 8, 31, 60, 61, 63, 122])
def test_a_constant_that_was_put_in_float32_hides_no_leak(length: int) -> None:
    for size in {0, 2, 8, 64, 128, length, 2 * length, length + 1, 2 * length + 2}:

        def op(u: Tensor, size: int = size) -> Tensor:
            constant = torch.ones(size, dtype=torch.float64).float()
            return u * (constant.sum() - size + 1) + 1e-6 * later(u, 1)

        assert len(audit(op, length, 8, generator=seeded()).leaks) == length - 1


def test_a_mask_that_was_put_in_bfloat16_hides_no_leak() -> None:
    mask = torch.ones(LENGTH, LENGTH, dtype=torch.float64).tril()

    def op(u: Tensor) -> Tensor:
        return mask.to(torch.bfloat16).to(u.dtype) @ u + 0.02 * later(u, 1)

    assert len(audited(lambda: op).leaks) == LENGTH - 1


def test_a_function_of_ids_may_compute_in_float32() -> None:
    table = torch.randn(11, WIDTH, generator=seeded())
    found = audit(lambda ids: by_fft(table[ids]).double(), 8, vocab=11)
    assert found.causal
    assert found.dtype is torch.float32


def test_a_small_leak_beside_something_large_is_found() -> None:
    def channels(u: Tensor) -> Tensor:
        return torch.stack([1e12 * u[..., 0].cumsum(1), later(u, 1)[..., 0]], -1)

    def backgrounds(u: Tensor) -> Tensor:
        loud = u.abs().mean((1, 2), keepdim=True).detach() > 6
        return torch.where(loud, 1e15 * u.cumsum(1), later(u, 1))

    assert len(audited(lambda: channels).leaks) == LENGTH - 1
    levels = (1.0, 1.0, 30.0)
    assert len(audited(lambda: backgrounds, backgrounds=levels).leaks) == LENGTH - 1


def test_the_rounding_of_a_loud_channel_is_no_leak_of_a_silent_one() -> None:
    def op(u: Tensor) -> Tensor:
        return torch.cat([u.cumsum(1), by_fft(u) - u.cumsum(1)], -1)

    assert all(audited(lambda: op, seed).causal for seed in range(5))


def test_a_leak_in_the_imaginary_part_is_found() -> None:
    found = audited(lambda: lambda u: torch.complex(u, later(u, 2)))
    assert found.leaks == tuple((t, t + 2) for t in range(LENGTH - 2))


def test_what_only_a_lowered_input_moves_is_found() -> None:
    def op(u: Tensor) -> Tensor:
        return u + later(u, 1).clamp(max=0)

    assert audited(lambda: op, backgrounds=(0.0,)).causal
    assert audited(lambda: op, backgrounds=(0.0, 0.0)).leaks == tuple(
        (t, t + 1) for t in range(LENGTH - 1)
    )


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.int64])
def test_counts_and_truth_values_are_audited_too(kind: torch.dtype) -> None:
    found = audited(lambda: lambda u: (later(u, 1) > 0).to(kind))
    assert found.leaks == tuple((t, t + 1) for t in range(LENGTH - 1))
    assert audited(lambda: lambda u: (u.cumsum(1) > 0).to(kind)).causal


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_randomness_is_refused_however_small(dtype: torch.dtype) -> None:
    size = 10 * torch.finfo(dtype).eps ** 0.5
    generator = seeded()

    def op(u: Tensor) -> Tensor:
        kept = torch.ones(WIDTH, dtype=dtype)
        return u * kept + size * torch.randn(u.shape, generator=generator)

    with pytest.raises(ValueError, match="the same input got two answers"):
        audit(op, LENGTH, WIDTH, generator=seeded())


def wants_three(u: Tensor) -> Tensor:
    assert u.shape[-1] == 3, "three channels"
    return u


@pytest.mark.parametrize(
    ("op", "error", "message"),
    [
        (lambda u: u[:, 1:], ValueError, r"\(11, 8, 8\) into \(11, 7, 8\).*\(11, 8\)"),
        (lambda u: (u, u), TypeError, r"gave a tuple, not a tensor: wrap it"),
        (lambda u: u / 0, ValueError, "the output is not finite"),
        (nn.Dropout(0.5), ValueError, "two answers, .* apart: call .eval"),
        (lambda u: u - u.mean(0), ValueError, "rows of a batch must not read"),
        (nn.Linear(3, 3), ValueError, r"refused .* \(11, 8, 8\).* width= ask.*multipl"),
        (lambda u: u[:, [9]], ValueError, "refused .*length= and width= ask"),
        (wants_three, ValueError, "refused .*: three channels"),
        (lambda u: u[..., :0], ValueError, r"\(11, 8, 0\).*a channel at least"),
    ],
)
def test_what_cannot_be_audited_is_refused_with_the_reason(
    op: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message), drawing_from(seeded()):
        audited(lambda: op)


@pytest.mark.parametrize(
    "options",
    [
        {"length": 0},
        {"width": 0},
        {"backgrounds": ()},
        *({"backgrounds": (1.0, x)} for x in (-1.0, float("nan"), float("inf"))),
        *({"vocab": v} for v in (1, 0, -3)),
        *({"tolerance": x} for x in (-1.0, float("nan"), float("inf"))),
    ],
)
def test_an_audit_of_nothing_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least; got"):
        audit(lambda u: u, **{"length": 4, **options})


def test_many_sequences_are_asked_in_parts() -> None:
    asked = []

    def op(u: Tensor) -> Tensor:
        asked.append(len(u))
        return u.cumsum(1)

    assert audit(op, 130, backgrounds=(1.0,)).causal
    # whether it takes float64, all in calls of one size, the first again
    assert asked == [1, 59, 59, 59, 1]
