"""What is made once in evaluation is made again when what it was made of changes."""

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from minihyena import HyenaConfig, HyenaOperator, causal_conv, mixers
from minihyena.kept import Kept

LENGTH, WIDTH = 24, 6


class Counted(nn.Module):
    """A filter that counts how often it is made."""

    def __init__(self) -> None:
        super().__init__()
        self.taps = nn.Parameter(torch.randn(1, WIDTH, LENGTH) / LENGTH)
        self.register_buffer("scale", torch.ones(1))
        self.config = 1
        self.made = 0

    def forward(self, length: int) -> Tensor:
        self.made += 1
        h: Tensor = self.scale * self.config * self.taps[..., :length]
        return h


@pytest.fixture
def operator() -> HyenaOperator:
    op = HyenaConfig().build(WIDTH, LENGTH).eval()
    op.filter = Counted()
    return op.eval()


def as_if_new(op: HyenaOperator, u: Tensor) -> Tensor:
    """The output of the same operator with nothing kept, by the slow convolution."""
    v, stages = copy.deepcopy(op).streams(u)
    for gate, h, skip in stages:
        if h is not None:
            v = causal_conv(v, h, skip, "direct")
        v = gate * v
    return op.output(v[..., None])


CHANGES: dict[str, Callable[[HyenaOperator], object]] = {
    "a hook": lambda op: op.filter.register_forward_hook(lambda m, x, y: 2 * y),
    "another forward": lambda op: setattr(
        op.filter, "forward", lambda length: op.filter.taps[..., :length] * 3
    ),
    "a config": lambda op: setattr(op.filter, "config", 2),
    "an optimiser's step": lambda op: step(op),
    "a hand in place": lambda op: op.filter.taps.detach().mul_(2),
    "a hand on .data": lambda op: op.filter.taps.data.mul_(2),
    "new .data": lambda op: setattr(op.filter.taps, "data", -op.filter.taps.data),
    "one number": lambda op: op.filter.taps.data[0, 1, 2].add_(1),
    "a buffer": lambda op: op.filter.scale.mul_(3),
    "a loaded state": lambda op: op.load_state_dict(
        {k: v + 0.5 for k, v in op.state_dict().items()}
    ),
    "the skip": lambda op: op.skips.data.add_(1),
    "another filter": lambda op: setattr(op, "filter", Counted()),
    "another precision": lambda op: op.double(),
}


def step(op: HyenaOperator) -> None:
    with torch.enable_grad():
        op(torch.randn(1, LENGTH, WIDTH)).sum().backward()
    torch.optim.SGD(op.parameters(), 0.1).step()


@torch.no_grad()
def test_in_evaluation_a_filter_is_made_once(operator: HyenaOperator) -> None:
    for _ in range(3):
        operator(torch.randn(2, LENGTH, WIDTH))
    assert operator.filter.made == 1
    operator(torch.randn(2, 7, WIDTH))  # another length, another filter
    assert operator.filter.made == 2


@torch.no_grad()
@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_a_number_the_next_output_is_the_new_one(
    operator: HyenaOperator, change: str
) -> None:
    u = torch.randn(2, LENGTH, WIDTH)
    before = operator(u)
    torch.testing.assert_close(before, as_if_new(operator, u), rtol=1e-4, atol=1e-5)
    CHANGES[change](operator)
    u = u.to(operator.out_proj.weight.dtype)
    after = operator(u)
    torch.testing.assert_close(after, as_if_new(operator, u), rtol=1e-4, atol=1e-5)
    assert change == "another precision" or (after - before).abs().max() > 1e-4


def test_nothing_is_kept_while_gradients_are_on_or_the_mixer_trains(
    operator: HyenaOperator,
) -> None:
    u = torch.randn(2, LENGTH, WIDTH)
    for _ in range(2):
        operator(u)
    assert operator.filter.made == 2
    with torch.no_grad():
        operator.train()
        for _ in range(2):
            operator(u)
    assert operator.filter.made == 4


@torch.no_grad()
def test_batches_of_other_sizes_are_right_too(operator: HyenaOperator) -> None:
    for batch in (1, 3, 2, 3):
        u = torch.randn(batch, LENGTH, WIDTH)
        torch.testing.assert_close(
            operator(u), as_if_new(operator, u), rtol=1e-4, atol=1e-5
        )
    assert operator.filter.made == 1


@torch.no_grad()
def test_a_copy_or_a_pickle_keeps_nothing(operator: HyenaOperator) -> None:
    operator(torch.randn(2, LENGTH, WIDTH))
    for twin in (copy.deepcopy(operator), pickle.loads(pickle.dumps(operator))):
        assert twin._filters.state[2] is None
        assert twin._spectra.state[2] is None
        assert operator._filters.state[2] is not None


@torch.no_grad()
def test_vmap_over_the_parameters_sees_every_set_of_them(
    operator: HyenaOperator,
) -> None:
    u = torch.randn(2, LENGTH, WIDTH)
    sets = {k: torch.stack([v, 2 * v]) for k, v in operator.state_dict().items()}
    both = torch.vmap(lambda state: torch.func.functional_call(operator, state, (u,)))(
        sets
    )
    for i in range(2):
        state = {name: value[i] for name, value in sets.items()}
        alone = torch.func.functional_call(operator, state, (u,))
        torch.testing.assert_close(both[i], alone, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", mixers)
def test_every_mixer_evaluates_to_what_it_trains_on(name: str) -> None:
    mixer = mixers[name]().build(8, LENGTH)
    u = torch.randn(2, LENGTH, 8)
    trained = mixer.train()(u)
    for _ in range(2):
        torch.testing.assert_close(mixer.eval()(u), trained, rtol=1e-4, atol=1e-5)


def test_a_kept_thing_is_made_again_for_another_key_only() -> None:
    kept, made, numbers = Kept(), [], torch.ones(3)

    def make() -> int:
        made.append(0)
        return len(made)

    assert [kept([numbers], key, make) for key in "aabba"] == [1, 1, 2, 2, 3]
    numbers[1] = torch.nan  # which is not even equal to itself
    assert [kept([numbers], "a", make) for _ in range(2)] == [4, 5]


def test_threads_do_not_get_what_another_asked_for() -> None:
    kept, numbers = Kept(), torch.ones(3)

    def ask(key: int) -> list[int]:
        return [kept([numbers], key, lambda: key) for _ in range(2000)]

    with ThreadPoolExecutor(4) as pool:
        answers = [*pool.map(ask, range(4))]
    assert answers == [[key] * 2000 for key in range(4)]


def test_what_is_made_under_autocast_is_not_kept(operator: HyenaOperator) -> None:
    u = torch.randn(1, LENGTH, WIDTH)
    with torch.no_grad():
        with torch.autocast("cpu"):
            operator(u)
        assert operator.filter.made == 1
        torch.testing.assert_close(operator(u), as_if_new(operator, u))
        assert operator.filter.made == 2


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("hyena", "in_proj"),
        ("hyena", "short_filter"),
        ("hyena", "filter.readout"),
        ("multihead_hyena", "short_filter"),
        ("h3", "in_proj"),
        ("gss", "in_proj"),
    ],
)
def test_hooks_of_the_parts_are_called(name: str, part: str) -> None:
    """Low-rank adapters, pruning and old weight norms live in such hooks."""
    mixer = mixers[name]().build(8, LENGTH)
    module = mixer.get_submodule(part)
    u = torch.randn(1, LENGTH, 8)
    before = mixer(u)
    seen = []
    module.register_forward_pre_hook(lambda module, given: seen.append(given))
    torch.testing.assert_close(mixer(u), before, rtol=1e-4, atol=1e-5)
    assert len(seen) == 1
    forward = module.forward
    module.forward = lambda x: 2 * forward(x)  # as some adapters do
    assert not torch.allclose(mixer(u), before)


def test_weight_norm_and_pruning_train() -> None:
    mixer = mixers["hyena"]().build(8, LENGTH)
    for module in (mixer.in_proj, mixer.short_filter, mixer.filter.readout):
        prune.random_unstructured(module, "weight", 0.5)
    u = torch.randn(1, LENGTH, 8)
    for _ in range(2):
        mixer(u).sum().backward()
    assert all(p.grad is not None for p in mixer.parameters())
