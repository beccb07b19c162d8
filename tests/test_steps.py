"""Token by token: every mixer and model says what it says of the whole at once."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from minihyena import LanguageModel, LMConfig, mixers, sample
from minihyena.bidirectional import BidirectionalHyena
from minihyena.generation import decoders_of
from minihyena.hyena import HyenaConfig, HyenaOperator
from minihyena.mixer import State
from minihyena.model import drawing_from
from minihyena.rivals.attention import SlidingWindowConfig
from minihyena.rivals.gated import H3Config, MultiHeadHyenaConfig
from minihyena.rivals.kv_cache import KVCache

WIDTH, LONGEST = 8, 1000
CASES: dict[str, Any] = {
    **{name: kind() for name, kind in mixers.items()},
    **{f"hyena-{name}": HyenaConfig(filter=name) for name in ("fir", "s4d", "modal")},
    "hyena-3": HyenaConfig(3),
    "hyena-paper": HyenaConfig(2, "paper"),
    "hyena-1": HyenaConfig(1),
    "window-300": SlidingWindowConfig(window=300),
    "h3-implicit": H3Config(filter="implicit"),
    "multihead-modal": MultiHeadHyenaConfig(filter="modal"),
}
every_mixer = pytest.mark.parametrize("case", CASES)
WAYS = [
    (case, decoder)
    for case, config in CASES.items()
    for decoder in config.build(WIDTH, 4).decoders
]
every_way = pytest.mark.parametrize(("case", "decoder"), WAYS)


def build(case: str, seed: int = 0, longest: int = LONGEST) -> Any:
    with drawing_from(torch.Generator().manual_seed(seed)):
        return CASES[case].build(WIDTH, longest).double()


def draw(*shape: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stepped(mixer: Any, u: Tensor, prompt: int, decoder: str | None = None) -> Tensor:
    """All outputs: those of the prompt at once, then one after the other."""
    y, state = mixer.prefill(u[:, :prompt], u.shape[1], decoder)
    ys = [y]
    for now in u[:, prompt:].unbind(1):
        y, state = mixer.step(now, state)
        ys.append(y[:, None])
    assert state.time == state.max_length == u.shape[1]
    return torch.cat(ys, dim=1)


def assert_close(y: Tensor, expected: Tensor, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(y, expected, atol=tolerance, rtol=tolerance)


# Steps are the parallel form.


def test_which_mixers_have_which_decoders() -> None:
    found = {case: config.build(WIDTH, 4).decoders for case, config in CASES.items()}
    both = {case for case, known in found.items() if known == ("recurrent", "online")}
    assert both == {
        "sliding_window", "linear_attention", "aft", "h3", "gss", "rwkv", "gru",
        "hyena-s4d", "hyena-modal", "hyena-1", "window-300", "multihead-modal",
    }  # fmt: skip
    assert all(known == ("online",) for c, known in found.items() if c not in both)


@torch.no_grad()
@every_way
@pytest.mark.parametrize("prompt", [0, 512])
def test_a_thousand_steps_are_the_parallel_form(
    case: str, decoder: str, prompt: int
) -> None:
    mixer, u = build(case), draw(1, LONGEST, WIDTH)
    assert_close(stepped(mixer, u, prompt, decoder), mixer(u))


@torch.no_grad()
@every_way
def test_steps_are_the_parallel_form_in_single_precision(
    case: str, decoder: str
) -> None:
    mixer, u = build(case).float(), draw(2, LONGEST, WIDTH).float()
    exact = build(case)(u.double())
    size = float(exact.abs().max())
    y = stepped(mixer, u, 33, decoder)
    assert_close(y.double() / size, exact / size, 1e-5)


@torch.no_grad()
@every_way
def test_every_length_and_prompt_up_to_70(case: str, decoder: str) -> None:
    mixer, u = build(case, longest=70), draw(2, 70, WIDTH)
    for length in range(1, 71):
        expected = mixer(u[:, :length])
        prompts = {max(0, length - 3), length}
        if length % 16 in (1, 2, 6):
            prompts |= {p for p in (0, 1, 33) if p < length}
        for prompt in prompts:
            assert_close(stepped(mixer, u[:, :length], prompt, decoder), expected)


@torch.no_grad()
@every_way
def test_steps_cannot_be_changed_by_what_comes_after(case: str, decoder: str) -> None:
    """To the last bit: there is no transform over the future here."""
    mixer, u = build(case), draw(1, 150, WIDTH)
    changed = u.clone()
    changed[:, 100:] *= 1e6
    y, other = (stepped(mixer, x, 20, decoder) for x in (u, changed))
    assert torch.equal(y[:, 20:100], other[:, 20:100])
    assert not torch.equal(y[:, 100:], other[:, 100:])


@torch.no_grad()
@every_way
def test_gradients_can_pass_through_steps(case: str, decoder: str) -> None:
    mixer, u = build(case, longest=20), draw(1, 20, WIDTH)
    weights = draw(1, 20, WIDTH, seed=1)
    with torch.enable_grad():
        u.requires_grad_()
        (expected,) = torch.autograd.grad((mixer(u) * weights).sum(), u)
        y = stepped(mixer, u, 7, decoder)
        (found,) = torch.autograd.grad((y * weights).sum(), u)
    assert_close(found, expected)


# States.


@torch.no_grad()
@every_way
def test_an_old_state_stays_valid_wherever_it_went_on(case: str, decoder: str) -> None:
    mixer, u, w = build(case), draw(2, 200, WIDTH), draw(2, 200, WIDTH, seed=1)
    both = torch.cat([u[:, :80], w[:, 80:]], dim=1)
    state = mixer.start(u[:, :33], 200, decoder)
    for t in range(33, 80):
        _, state = mixer.step(u[:, t], state)
    one = other = state
    for t in range(80, 200):  # in turn
        y, one = mixer.step(u[:, t], one)
        z, other = mixer.step(w[:, t], other)
    assert_close(y, mixer(u)[:, -1])
    assert_close(z, mixer(both)[:, -1])
    again, _ = mixer.step(u[:, 80], state)
    assert_close(again, mixer(u)[:, 80])


@torch.no_grad()
@every_way
def test_a_state_is_saved_and_goes_on_in_another_mixer_of_the_same_weights(
    case: str, decoder: str, tmp_path: Path
) -> None:
    mixer, u = build(case), draw(2, 100, WIDTH)
    state = mixer.start(u[:, :40], 100, decoder)
    for t in range(40, 70):
        _, state = mixer.step(u[:, t], state)
    state.save(tmp_path / "state.pt")
    same, read = build(case), State.load(tmp_path / "state.pt")
    for t in range(70, 100):
        y, read = same.step(u[:, t], read)
    assert_close(y, mixer(u)[:, -1])


class Hostile:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return (exec, ("raise SystemExit('it ran')",))


@pytest.mark.parametrize(
    "content",
    [b"", b"no state", Hostile(), {"batch": 1}, torch.zeros(2)],
    ids=["empty", "text", "code", "dict", "tensor"],
)
def test_a_file_that_holds_no_state_is_refused_and_not_run(
    content: Any, tmp_path: Path
) -> None:
    path = tmp_path / "state.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match="holds"):
        State.load(path)


@torch.no_grad()
@every_way
def test_a_state_moves_to_another_device_and_says_so(case: str, decoder: str) -> None:
    mixer, u = build(case), draw(2, 50, WIDTH)
    state = mixer.start(u[:, :40], 60, decoder)
    moved = state.to("meta")
    if case != "hyena-1":  # with one tap, or none but gates, there may be no tensor
        with pytest.raises(ValueError, match=r"is on meta, the (input|convolution) on"):
            mixer.step(u[:, 40], moved)
    y, _ = mixer.step(u[:, 40], state.to("cpu"))
    assert_close(y, mixer(u)[:, 40])
    assert mixer.to("meta").step(u[:, 40].to("meta"), moved)[0].is_meta


@every_mixer
def test_a_state_of_other_weights_is_refused(case: str) -> None:
    mixer, u = build(case), draw(2, 50, WIDTH)
    state = mixer.start(u[:, :9])
    with pytest.raises(ValueError, match="belongs to other weights"):
        build(case, seed=1).step(u[:, 9], state)
    for name in ("hyena", "gru", "attention"):
        if name != case:
            with pytest.raises(ValueError, match="belongs to other weights"):
                build(name).step(u[:, 9], state)
    with pytest.raises(TypeError, match="takes the State of a start, no tuple"):
        mixer.step(u[:, 9], tuple(state))
    y, _ = mixer.step(u[:, 9], state)
    assert_close(y, mixer(u[:, :10])[:, -1])
    with torch.no_grad():
        mixer.out_proj.weight += 1
    other = mixer.start(u[:, :9])  # from here on it knows that it has changed
    with pytest.raises(ValueError, match="before it was trained further"):
        mixer.step(u[:, 9], state)
    mixer.step(u[:, 9], other)


@every_mixer
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_prompt_that_is_not_finite_is_refused(case: str, value: float) -> None:
    mixer, u = build(case), draw(2, 50, WIDTH)
    u[1, 31, 3] = value
    with pytest.raises(ValueError, match=r"the prompt is not finite.* at step 31"):
        mixer.start(u)


@every_mixer
def test_a_refused_step_leaves_the_state_as_it_was(case: str) -> None:
    mixer, u = build(case), draw(2, 50, WIDTH)
    state = mixer.start(u[:, :40], 41)
    wrong: list[tuple[Tensor, type[Exception]]] = [
        (u[:1, 40], ValueError),
        (u[:, 40, :3], ValueError),
        (u[:, 40:41], ValueError),
        (u[:, 40].float(), TypeError),
        (u[:, 40].to("meta"), ValueError),
    ]
    for bad, error in wrong:
        with pytest.raises(error):
            mixer.step(bad, state)
    y, last = mixer.step(u[:, 40], state)
    assert_close(y, mixer(u[:, :41])[:, -1])
    with pytest.raises(ValueError, match="all max_length = 41 steps are taken"):
        mixer.step(u[:, 41], last)


@every_mixer
def test_a_decoder_that_a_mixer_has_not_is_refused(case: str) -> None:
    mixer, u = build(case), draw(1, 5, WIDTH)
    with pytest.raises(ValueError, match=r"unknown decoder 'recurent'; .*: recurrent"):
        mixer.start(u, decoder="recurent")
    if "recurrent" not in mixer.decoders:
        with pytest.raises(ValueError, match=r"no recurrent form.*distill\(order\)"):
            mixer.start(u, decoder="recurrent")


@pytest.mark.parametrize("call", ["start", "prefill", "step"])
def test_a_two_sided_mixer_cannot_go_step_by_step(call: str) -> None:
    mixer = BidirectionalHyena(WIDTH, 20)
    assert mixer.decoders == ()
    options = [None] if call == "step" else []
    with pytest.raises(NotImplementedError, match="reads the future"):
        getattr(mixer, call)(torch.zeros(1, WIDTH), *options)


@torch.no_grad()
def test_recurrent_memory_does_not_grow() -> None:
    def size(memory: Any) -> int:
        if isinstance(memory, Tensor):
            return memory.numel()
        if isinstance(memory, list | tuple):
            return sum(map(size, memory))
        return sum(map(size, vars(memory).values())) if hasattr(memory, "to") else 0

    def after(case: str, decoder: str, steps: int) -> int:
        mixer, u = build(case), draw(1, steps, WIDTH)
        state = mixer.start(u[:, :0], LONGEST, decoder)
        for now in u.unbind(1):
            _, state = mixer.step(now, state)
        return size(state.memory)

    for case, decoder in WAYS:
        if decoder == "recurrent":
            assert after(case, decoder, 610) == after(case, decoder, 730) > 0, case
    assert after("hyena", "online", 730) > after("hyena", "online", 610)


# The cache of keys and values.


def keys(n: int, seed: int) -> tuple[Tensor, Tensor]:
    k, v = draw(2, 1, 2, n, 3, seed=seed)
    return k, v


@pytest.mark.parametrize("window", [None, 1, 2, 5, 50])
@pytest.mark.parametrize("prompt", [0, 1, 7, 20])
def test_a_cache_holds_the_last_of_the_window(window: int | None, prompt: int) -> None:
    k, v = keys(40, 0)
    cache = KVCache(40, window)
    if prompt:
        cache.extend(k[:, :, :prompt], v[:, :, :prompt])
    for t in range(prompt, 40):
        k_now, v_now = cache.extend(k[:, :, t : t + 1], v[:, :, t : t + 1])
        first = 0 if window is None else max(0, t + 1 - window)
        assert torch.equal(k_now, k[:, :, first : t + 1])
        assert torch.equal(v_now, v[:, :, first : t + 1])


def test_copies_of_a_cache_share_memory_until_both_go_on() -> None:
    k, v = keys(9, 0)
    cache = KVCache(9)
    cache.extend(k[:, :, :5], v[:, :, :5])
    one, other = cache.copy(), cache.copy()
    a, _ = one.extend(k[:, :, 5:6], v[:, :, 5:6])
    b, _ = other.extend(k[:, :, 6:7], v[:, :, 6:7])
    assert one.buffer is cache.buffer is not other.buffer
    assert torch.equal(a, k[:, :, :6])
    assert torch.equal(b, k[:, :, [0, 1, 2, 3, 4, 6]])
    c, _ = cache.extend(k[:, :, 7:8], v[:, :, 7:8])
    assert torch.equal(c, k[:, :, [0, 1, 2, 3, 4, 7]])
    assert torch.equal(a, k[:, :, :6])


@pytest.mark.parametrize("window", [None, 1, 3, 8])
def test_any_tree_of_branches_of_a_cache_reads_its_own_past(
    window: int | None,
) -> None:
    rng = random.Random(0)
    k, v = keys(400, 0)
    branches: list[tuple[KVCache, list[int]]] = [(KVCache(24, window), [])]
    for i in range(400):
        cache, seen = rng.choice(branches)
        if len(seen) == 24:
            continue
        new = cache.to("cpu") if i % 3 else cache.copy()
        k_now, v_now = new.extend(k[:, :, i : i + 1], v[:, :, i : i + 1])
        branches.append((new, [*seen, i]))
        read = [*seen, i][-(window or 24) :]
        assert torch.equal(k_now, k[:, :, read])
        assert torch.equal(v_now, v[:, :, read])


def test_a_cache_moved_away_and_back_is_its_own() -> None:
    k, v = keys(3, 0)
    cache = KVCache(9)
    cache.extend(k[:, :, :1], v[:, :, :1])
    moved = cache.to("meta")
    moved.extend(k[:, :, 1:2].to("meta"), v[:, :, 1:2].to("meta"))
    buffer = cache.buffer
    a, _ = cache.extend(k[:, :, 2:], v[:, :, 2:])
    assert cache.buffer is buffer  # nobody else has written into it
    assert torch.equal(a, k[:, :, [0, 2]])


def test_of_threads_that_go_on_from_one_cache_each_reads_its_own() -> None:
    k, v = keys(60, 0)
    for trial in range(100):
        cache, barrier = KVCache(9), threading.Barrier(4)
        cache.extend(k[:, :, :5], v[:, :, :5])

        def go(i: int, cache: KVCache = cache, wait: Any = barrier.wait) -> bool:
            mine = cache.copy()
            wait()
            now, _ = mine.extend(k[:, :, i : i + 1], v[:, :, i : i + 1])
            wait()
            return torch.equal(now, k[:, :, [0, 1, 2, 3, 4, i]])

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(go, range(10, 14))), trial


# Models.


def model_of(case: str, longest: int = 64, **options: Any) -> LanguageModel:
    """With weights that are larger than at the start, so that texts are no monotone."""
    config = LMConfig(17, longest, 16, 2, mixer=CASES[case], tied=False, **options)
    model = LanguageModel(config, seeded()).double().eval()
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() == 2:
                p *= 4
    return model


def words(n: int, batch: int = 2, seed: int = 0) -> Tensor:
    return torch.randint(17, (batch, n), generator=seeded(seed))


@torch.no_grad()
@every_way
@pytest.mark.parametrize("prompt", [1, 33])
def test_a_model_says_token_by_token_what_it_says_of_all(
    case: str, decoder: str, prompt: int
) -> None:
    model, ids = model_of(case), words(64)
    expected = model(ids)
    logits, state = model.prefill(ids[:, :prompt], decoder=decoder)
    assert_close(logits, expected[:, prompt - 1])
    for t in range(prompt, 64):
        logits, state = model.step(ids[:, t], state)
        assert_close(logits, expected[:, t])
    with pytest.raises(ValueError, match="all max_length = 64 steps are taken"):
        model.step(ids[:, 0], state)


@torch.no_grad()
@every_way
def test_greedy_text_of_500_tokens_is_what_recomputing_says(
    case: str, decoder: str
) -> None:
    """A prefix says the same as the whole does there, so one forward tells them all."""
    model, ids = model_of(case, 540), words(33)
    new = torch.stack([*sample(model, ids, 500, temperature=0, decoder=decoder)], dim=1)
    expected = model(torch.cat([ids, new], dim=1))[:, 32:-1].argmax(-1)
    assert torch.equal(new, expected)
    assert len(new.unique()) > 2


@pytest.mark.parametrize(
    ("case", "temperature", "length"),
    [
        ("hyena", 0, 500),
        ("attention", 0, 500),
        ("hyena", 1, 150),
        ("gru", 1, 150),
        ("multihead-modal", 1, 150),
    ],
)
def test_text_is_the_same_from_every_exact_decoder(
    case: str, temperature: float, length: int
) -> None:
    model, ids = model_of(case, 540), words(33, batch=1)
    known = decoders_of(model)
    assert len(known) == len({*known}) > 1

    def text(decoder: str) -> Tensor:
        options: Any = {"temperature": temperature, "decoder": decoder}
        return torch.cat([*sample(model, ids, length, generator=seeded(), **options)])

    texts = [text(decoder) for decoder in known]
    assert all(torch.equal(text, texts[0]) for text in texts)
    assert len(texts[0].unique()) > (10 if temperature else 0)


@torch.no_grad()
def test_a_model_refuses_a_state_that_is_not_its_own() -> None:
    model, ids = model_of("hyena"), words(20)
    _, state = model.prefill(ids)
    for other in (model_of("hyena", 65), model_of("gru"), model_of("hyena").float()):
        with pytest.raises(ValueError, match="belongs to other weights"):
            other.step(ids[:, 0], state)
    with pytest.raises(ValueError, match="belongs to other weights"):
        model.step(ids[:, 0], state.memory[0])
    with pytest.raises(TypeError, match="takes the State of a start, no list"):
        model.step(ids[:, 0], [state])
    for bad, words_of_it in (
        (ids[:1, 0], r"with B = 2; got \(1, 1\)"),
        (ids, r"with B = 2; got \(2, 20, 1\)"),
        (ids[:, 0] + 17, "the vocabulary has 17"),
    ):
        with pytest.raises(ValueError, match=words_of_it):
            model.step(bad, state)
    with pytest.raises(TypeError, match="ids must be integers"):
        model.step(ids[:, 0].double(), state)
    logits, _ = model.step(ids[:, 0], state)
    assert_close(logits, model(torch.cat([ids, ids[:, :1]], 1))[:, -1])


@torch.no_grad()
def test_a_models_state_is_saved_and_read(tmp_path: Path) -> None:
    model, ids = model_of("hyena"), words(60)
    _, state = model.prefill(ids[:, :50])
    state.save(tmp_path / "state.pt")
    logits, _ = model_of("hyena").step(ids[:, 50], State.load(tmp_path / "state.pt"))
    assert_close(logits, model(ids[:, :51])[:, -1])


def test_a_watched_or_changed_model_is_asked_for_whole_sequences() -> None:
    model = model_of("hyena")
    assert model.decoders == ("online",)
    hook = model.blocks[1].mlp.register_forward_hook(lambda *_: None)
    assert decoders_of(model) == ("recompute",)
    hook.remove()
    assert decoders_of(model) == ("online", "recompute")

    class Louder(LanguageModel):
        def forward(self, ids: Tensor) -> Tensor:
            return 2 * super().forward(ids)

    assert decoders_of(Louder(model.config)) == ("recompute",)
    mixer = model.blocks[0].mixer
    model.blocks[0].mixer = torch.nn.Identity()
    assert decoders_of(model) == ("recompute",)

    class Gated(HyenaOperator):
        def streams(self, u: Tensor) -> Any:
            v, stages = super().streams(u)
            return 2 * v, stages

    model.blocks[0].mixer = Gated(16, 64).double()
    assert decoders_of(model) == ("recompute",)
    model.blocks[0].mixer = mixer
    assert decoders_of(model) == ("online", "recompute")


def test_a_short_convolution_of_ones_own_cannot_go_step_by_step() -> None:
    class Louder(torch.nn.Conv1d):
        def forward(self, u: Tensor) -> Tensor:
            return 2 * super().forward(u)

    mixer = HyenaConfig().build(4, 9)
    mixer.short_filter = Louder(12, 12, 3, groups=12)
    assert mixer(torch.zeros(1, 5, 4)).shape == (1, 5, 4)
    with pytest.raises(ValueError, match="a Louder cannot go step by step"):
        mixer.start(torch.zeros(1, 5, 4))


@torch.no_grad()
@pytest.mark.parametrize("change", ["load", "assign", "part", "step", "hand"])
def test_a_state_ends_with_the_weights_it_began_with(change: str) -> None:
    model, ids = model_of("hyena"), words(20)
    _, state = model.prefill(ids)
    if change == "load":
        model.load_state_dict(LanguageModel(model.config).double().state_dict())
    elif change == "assign":
        other = LanguageModel(model.config).double().state_dict()
        model.load_state_dict(other, assign=True)
    elif change == "part":
        model.blocks[1].mixer.filter = HyenaConfig().build(WIDTH, 40).double().filter
    elif change == "step":
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        for p in model.parameters():
            p.grad = torch.ones_like(p)
        optimizer.step()
    else:
        model.blocks[1].mixer.skips.mul_(1.5)
    with pytest.raises(ValueError, match="before it was trained further"):
        model.step(ids[:, 0], state)


def test_a_prompt_longer_than_what_it_asks_for_is_refused() -> None:
    for most in (19, 65):
        with pytest.raises(ValueError, match=f"20 tokens .* from 20 to 64; got {most}"):
            model_of("hyena").prefill(words(20), most)


@torch.no_grad()
def test_steps_under_autocast_follow_the_whole_under_autocast() -> None:
    model, ids = model_of("hyena").float(), words(60)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = model(ids)[:, -1].float()
        logits, state = model.prefill(ids[:, :40])
        for t in range(40, 60):
            logits, state = model.step(ids[:, t], state)
    assert (logits.float() - expected).abs().max() < 0.1 * expected.abs().max()
