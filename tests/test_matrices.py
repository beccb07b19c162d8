"""Pictures as numbers: each against a loop, on matrices whose answer is known."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from minihyena import HyenaOperator, causal_conv, matrices, toeplitz
from minihyena.matrices import (
    effective_distance,
    jacobian,
    locality,
    null_distribution,
    numerical_rank,
    p_value,
    participation,
    redrawn,
    row_sums,
    shuffled,
    sign_balance,
    summary,
)
from minihyena.model import drawing_from
from minihyena.rivals.attention import SoftmaxAttention

L = 6
EYE = torch.eye(L, dtype=torch.float64)
DELAY = torch.eye(L, dtype=torch.float64).roll(1, 0).tril()  # row 0 reads nothing
AVERAGE = torch.ones(L, L, dtype=torch.float64).tril()
AVERAGE = AVERAGE / AVERAGE.sum(-1, keepdim=True)
ONES = torch.ones(L, L, dtype=torch.float64)
NUMBERS: dict[str, Callable[[Tensor], Tensor]] = {
    "effective_distance": effective_distance,
    "row_sums": row_sums,
    "sign_balance": sign_balance,
    "participation": participation,
    "numerical_rank": numerical_rank,
    "locality": lambda m: locality(m, 2),
}
every_number = pytest.mark.parametrize("name", NUMBERS)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def by_loops(m: Tensor) -> dict[str, float | list[float]]:
    """Every number of one matrix (L, L), entry by entry."""
    size = len(m)
    total = distance = negative = near = 0.0
    sums, inputs = [], []
    for t in range(size):
        row = squares = plain = 0.0
        for s in range(size):
            entry = float(m[t, s])
            total += abs(entry)
            distance += abs(entry) * abs(t - s)
            negative += abs(entry) if entry < 0 else 0
            near += abs(entry) if abs(t - s) <= 2 else 0
            plain += entry
            row += abs(entry)
            squares += entry**2
        sums.append(plain)
        inputs.append(row**2 / squares if squares else 0.0)
    return {
        "effective_distance": distance / total,
        "row_sums": sums,
        "sign_balance": negative / total,
        "participation": inputs,
        "numerical_rank": float(np.linalg.matrix_rank(m.numpy())),
        "locality": near / total,
    }


@given(size=st.integers(1, 9), seed=st.integers(0, 999), causal=st.booleans())
@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_equals_its_loop(
    name: str, size: int, seed: int, causal: bool
) -> None:
    m = normal(size, size, seed=seed)
    m = m.tril() if causal else m
    expected = torch.tensor(by_loops(m)[name], dtype=torch.float64)
    torch.testing.assert_close(NUMBERS[name](m).double(), expected)


@every_number
def test_leading_axes_are_kept_and_do_not_mix(name: str) -> None:
    m = normal(2, 3, L, L)
    batched = NUMBERS[name](m)
    assert batched.shape[:2] == (2, 3)
    for b in range(2):
        for c in range(3):
            torch.testing.assert_close(batched[b, c], NUMBERS[name](m[b, c]))


@pytest.mark.parametrize("scale", [-3.0, 1e-30, 5e37])
@every_number
def test_only_row_sums_know_the_scale(name: str, scale: float) -> None:
    m = normal(L, L).float()
    expected = NUMBERS[name](m)
    if name == "row_sums":
        expected = scale * expected
    elif name == "sign_balance" and scale < 0:
        expected = 1 - expected
    torch.testing.assert_close(NUMBERS[name](scale * m), expected)


@pytest.mark.parametrize(
    ("m", "distance", "negative", "rank", "near"),
    [
        (EYE, 0, 0, L, 1),
        (-EYE, 0, 1, L, 1),
        (DELAY, 1, 0, L - 1, 1),
        (AVERAGE, sum(t / 2 for t in range(L)) / L, 0, L, None),
        (ONES, (L**2 - 1) / (3 * L), 0, 1, None),
        (EYE - DELAY, 5 / 11, 5 / 11, L, 1),
        (0 * EYE, 0, 0, 0, 0),
    ],
    ids=["identity", "minus", "delay", "average", "rank one", "difference", "zero"],
)
def test_matrices_whose_numbers_are_known(
    m: Tensor, distance: float, negative: float, rank: int, near: float | None
) -> None:
    assert effective_distance(m).item() == pytest.approx(distance)
    assert sign_balance(m).item() == pytest.approx(negative)
    assert numerical_rank(m).item() == rank
    if near is not None:
        assert locality(m, 1).item() == pytest.approx(near)


def test_a_row_reads_as_many_inputs_as_it_weighs_equally() -> None:
    counts = torch.arange(1, L + 1, dtype=torch.float64)
    torch.testing.assert_close(participation(AVERAGE), counts)
    signs = torch.where(normal(L, L) < 0, -1.0, 1.0)
    torch.testing.assert_close(participation(AVERAGE * signs), counts)
    assert participation(DELAY).tolist() == [0, 1, 1, 1, 1, 1]


def test_the_number_of_inputs_lies_between_one_and_all() -> None:
    inputs = participation(normal(50, L, L))
    assert inputs.min() > 1
    assert inputs.max() < L


def test_rows_of_an_average_sum_to_one_and_signs_cancel() -> None:
    torch.testing.assert_close(row_sums(AVERAGE), torch.ones(L, dtype=torch.float64))
    assert row_sums(EYE - DELAY).tolist() == [1, 0, 0, 0, 0, 0]


def test_a_plus_does_not_cancel_a_minus_in_a_distance() -> None:
    m = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    assert effective_distance(m).item() == 1.5
    assert effective_distance(m.mT).item() == 1.5  # future inputs are distant too


def test_locality_grows_with_the_lag_from_the_diagonal_to_everything() -> None:
    m = normal(L, L)
    shares = [locality(m, lag).item() for lag in range(L)]
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx((m.diagonal().abs().sum() / m.abs().sum()).item())
    assert shares[-1] == pytest.approx(1)
    assert locality(DELAY, 0).item() == 0


def test_equal_rows_add_one_to_the_rank_and_the_tolerance_is_relative() -> None:
    m = torch.diag(torch.tensor([1.0, 1.0, 1e-3, 1e-9]))
    assert numerical_rank(m).item() == 3  # 1e-9 < 4 * 1.2e-7
    assert numerical_rank(m.double()).item() == 4
    assert numerical_rank(m, tolerance=0.01).item() == 2
    assert numerical_rank(1e-20 * m, tolerance=0.01).item() == 2
    repeated = normal(1, L).expand(L, L)
    assert numerical_rank(repeated).item() == 1


@every_number
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_nearly_the_same_numbers(
    name: str, dtype: torch.dtype
) -> None:
    m = (100 * torch.randn(L, L, generator=seeded())).to(dtype)
    expected = NUMBERS[name](m.double())
    torch.testing.assert_close(
        NUMBERS[name](m).double(), expected.double(), rtol=1e-2, atol=1.0
    )


def test_a_summary_is_the_average_of_every_number() -> None:
    m = normal(2, 3, L, L).tril()
    found = summary(m, lag=2)
    assert all(type(value) is float for value in found.values())
    for name in NUMBERS.keys() - {"row_sums"}:
        assert found[name] == pytest.approx(NUMBERS[name](m).double().mean().item())
    assert found["smallest_row_sum"] == row_sums(m).min().item()
    assert found["largest_row_sum"] == row_sums(m).max().item()
    assert all(math.isfinite(value) for value in summary(0 * m).values())


def test_attention_rows_sum_to_one_and_hyenas_do_not() -> None:
    with drawing_from(seeded(1)), torch.no_grad():
        u = torch.randn(2, 12, 8)
        attention = summary(SoftmaxAttention(8, 12).matrix(u))
        hyena = summary(HyenaOperator(8, 12).matrix(u))
    sums = [attention["smallest_row_sum"], attention["largest_row_sum"]]
    assert sums == pytest.approx([1, 1])
    assert attention["sign_balance"] == 0
    assert hyena["smallest_row_sum"] < 0 < hyena["largest_row_sum"]
    assert 0.2 < hyena["sign_balance"] < 0.8


@pytest.mark.parametrize(
    ("m", "words"),
    [
        (torch.zeros(3, 4), r"\(\.\.\., L, L\).*\(3, 4\)"),
        (torch.zeros(3), r"\(3,\)"),
        (torch.zeros(2, 0, 0), "L >= 1"),
        (torch.zeros(3, 3, dtype=torch.int64), "torch.int64"),
        (torch.tensor([[1, math.nan], [1, 1]]), "not finite"),
        (torch.full((3, 3), math.inf), "not finite"),
    ],
)
@every_number
def test_what_is_no_mixing_matrix_is_refused(name: str, m: Tensor, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        NUMBERS[name](m)


def test_a_negative_lag_is_refused() -> None:
    with pytest.raises(ValueError, match="negative; got -1"):
        locality(EYE, -1)


class Lambda(nn.Module):
    """A function (B, L, D) -> (B, L, D) as a module."""

    def __init__(self, run: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.run = run

    def forward(self, u: Tensor) -> Tensor:
        return self.run(u)


class Recurrent(nn.Module):
    """PyTorch's own GRU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gru = nn.GRU(width, width, batch_first=True)

    def forward(self, u: Tensor) -> Tensor:
        y: Tensor = self.gru(u)[0]
        return y


def outsiders() -> dict[str, nn.Module]:
    with drawing_from(seeded(2)):
        found = {
            "hyena": HyenaOperator(8, 12),
            "attention": SoftmaxAttention(8, 12),
            "gru": Recurrent(8),
            "encoder": nn.TransformerEncoderLayer(8, 2, 8, batch_first=True),
        }
    h = normal(8, 9)
    found["conv"] = Lambda(lambda u: causal_conv(u.mT, h, method="fft").mT)
    return {name: module.double().eval() for name, module in found.items()}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["hyena", "attention", "gru", "encoder", "conv"])
def test_the_jacobian_is_autograds_one_output_at_a_time(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = outsiders()[name]
    u = normal(2, 9, 8).requires_grad_()
    y = module(u)
    expected = torch.stack(
        [
            torch.autograd.grad(y[:, t, 1].sum(), u, retain_graph=True)[0][..., 1]
            for t in range(9)
        ],
        dim=1,
    )
    assert expected.abs().max() > 1e-3
    found = jacobian(module, u, 1)
    torch.testing.assert_close(found, expected)
    assert not found.requires_grad
    monkeypatch.setattr(matrices, "JACOBIAN_NUMBERS", 300)  # two outputs at a time
    with torch.no_grad():
        torch.testing.assert_close(jacobian(module, u, 1), expected)
    assert all(p.grad is None for p in module.parameters())


def test_the_jacobian_of_a_convolution_is_its_toeplitz_matrix() -> None:
    found = jacobian(outsiders()["conv"], normal(3, 9, 8), 2)
    expected = toeplitz(normal(8, 9)[2], 9).expand(3, 9, 9)
    torch.testing.assert_close(found, expected)


def test_the_jacobian_of_a_gated_mixer_is_not_its_matrix() -> None:
    hyena = outsiders()["hyena"]
    u = normal(1, 9, 8)
    assert (jacobian(hyena, u, 0) - hyena.matrix(u)[:, 0]).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("u", "channel", "run", "words"),
    [
        (torch.zeros(9, 4), 0, torch.tanh, r"\(B, L, D\).*\(9, 4\)"),
        (torch.zeros(2, 9, 4), 4, torch.tanh, "channel < D.* 4$"),
        (torch.zeros(2, 9, 4), -1, torch.tanh, "channel < D.* -1$"),
        (torch.zeros(2, 9, 4), 0, lambda u: u[:, 1:], r"keeps the shape"),
    ],
)
def test_what_has_no_jacobian_of_one_channel_is_refused(
    u: Tensor, channel: int, run: Callable[[Tensor], Tensor], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        jacobian(Lambda(run), u, channel)


def model() -> nn.Module:
    """Two tied layers, a norm that starts constant, a buffer and a scalar."""
    with drawing_from(seeded(3)):
        made = nn.Sequential(nn.Linear(30, 30), nn.Linear(30, 30), nn.BatchNorm1d(30))
        made[1].weight = made[0].weight
        made.scalar = nn.Parameter(torch.tensor(2.5))
        made[2].running_mean += torch.randn(30)
    return made


CONTROLS = {"shuffled": shuffled, "redrawn": redrawn}
every_control = pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)


@every_control
def test_a_control_leaves_original_buffers_and_ties_alone(
    control: Callable[..., nn.Module],
) -> None:
    original = model().eval()
    before = {name: t.clone() for name, t in original.state_dict().items()}
    state = torch.get_rng_state()
    copy = control(original, generator=seeded())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(t, before[n]) for n, t in original.state_dict().items())
    assert copy[1].weight is copy[0].weight is not original[0].weight
    assert all(map(torch.equal, copy.buffers(), original.buffers()))
    assert not torch.equal(copy[0].weight, original[0].weight)
    assert not copy.training
    assert all(p.requires_grad and p.is_leaf for p in copy.parameters())


def test_shuffling_keeps_every_tensors_numbers_and_moves_nearly_all() -> None:
    original = model()
    copy = shuffled(original, generator=seeded())
    for old, new in zip(original.parameters(), copy.parameters(), strict=True):
        assert torch.equal(old.flatten().sort()[0], new.flatten().sort()[0])
    moved = (copy[0].weight != original[0].weight).float().mean()
    assert moved > 0.9
    assert (copy[0].bias != original[0].bias).float().mean() > 0.5


def test_redrawing_keeps_mean_and_spread_and_no_number() -> None:
    original = model()
    with torch.no_grad():
        original[0].weight += 0.7
    copy = redrawn(original, generator=seeded())
    old, new = original[0].weight, copy[0].weight
    assert new.mean().item() == pytest.approx(old.mean().item(), abs=0.02)
    assert new.std().item() == pytest.approx(old.std().item(), rel=0.1)
    assert not (new == old).any()
    assert torch.equal(copy[2].weight, original[2].weight)  # all ones: no spread
    assert copy.scalar.item() == 2.5


@every_control
def test_the_same_generator_draws_the_same_control(
    control: Callable[..., nn.Module],
) -> None:
    def draw(seed: int) -> Tensor:
        weight: Tensor = control(model(), generator=seeded(seed))[0].weight
        return weight

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def corner(module: nn.Module) -> Tensor:
    entry: Tensor = module[0].weight[0, 0]  # type: ignore[index]
    return entry.detach()


@every_control
def test_a_null_distribution_holds_n_different_controls(
    control: Callable[..., nn.Module],
) -> None:
    null = null_distribution(corner, model(), 7, control=control, generator=seeded())
    assert null.shape == (7,)
    assert len(null.unique()) == 7
    g = seeded()
    one_by_one = [float(corner(control(model(), generator=g))) for _ in range(7)]
    assert null.tolist() == one_by_one


def test_an_ordinary_statistic_is_no_surprise_and_a_planted_one_is() -> None:
    planted = model()
    with torch.no_grad():
        planted[0].weight[0, 0] = 10
    null = null_distribution(corner, planted, 99, generator=seeded())
    assert p_value(corner(planted), null) <= 0.02
    null = null_distribution(corner, model(), 99, generator=seeded())
    assert 0.05 < p_value(corner(model()), null) < 0.95


def test_p_counts_the_observed_model_and_is_never_zero() -> None:
    null = torch.tensor([1.0, 2.0, 3.0, 3.0])
    assert p_value(4.0, null) == 1 / 5
    assert p_value(3.0, null) == 3 / 5  # a tie is at least as large
    assert p_value(torch.tensor(0.0), null) == 1.0
    assert p_value(-3.0, -null) == 1.0


def test_a_statistic_the_weights_cannot_change_has_p_one() -> None:
    third = torch.tensor(1 / 3)
    null = null_distribution(lambda _: third, model(), 3, generator=seeded())
    assert p_value(third, null) == 1.0


def test_p_of_a_true_null_is_uniform() -> None:
    weight = nn.Linear(40, 1, bias=False)
    ps = []
    for seed in range(200):
        g = seeded(seed)
        with drawing_from(g):
            weight.reset_parameters()
        null = null_distribution(lambda m: m.weight[0, 0], weight, 9, generator=g)  # type: ignore[arg-type,index,return-value]
        ps.append(p_value(weight.weight[0, 0].detach(), null))
    assert sum(ps) / 200 == pytest.approx(0.55, abs=0.08)  # 0.1, 0.2 ... 1.0
    assert sum(p <= 0.1 for p in ps) / 200 == pytest.approx(0.1, abs=0.07)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1; got 0"):
        null_distribution(corner, model(), 0)
    for observed, null in ((math.nan, [1.0]), (1.0, [math.nan])):
        with pytest.raises(ValueError, match="NaN"):
            p_value(observed, torch.tensor(null))


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e37])
def test_the_rank_is_that_of_any_multiple(scale: float) -> None:
    assert int(numerical_rank(torch.full((64, 64), scale))) == 1
    assert int(numerical_rank(scale * torch.eye(7))) == 7
    signed = torch.tensor([[1.0, 2.0], [-1.0, -2.0]])
    assert int(numerical_rank(scale * signed)) == 1


def test_a_long_matrix_in_half_precision_has_a_rank() -> None:
    assert int(numerical_rank(torch.eye(256).bfloat16())) == 256
    assert int(numerical_rank(torch.zeros(256, 256).half())) == 0
