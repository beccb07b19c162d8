"""A GPU changes the time and the last digits, and nothing else. Skipped without one."""

from pathlib import Path
from typing import Any

import pytest
import torch
from test_mixers import (
    CASES,
    LONGEST,
    WIDTH,
    WITHOUT_MATRIX,
    assert_equal,
    build,
    draw,
    every_mixer,
    seen,
    stepped,
)
from torch import Tensor

from minihyena import (
    LanguageModel,
    LMConfig,
    TrainConfig,
    causal_conv,
    checkpoints,
    corpora,
    matrices,
    runs,
    sample,
    tasks,
    train,
)
from minihyena.auditing import audit
from minihyena.conv import OnlineConv

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


def there(x: Tensor) -> Tensor:
    """A leaf of its own on the GPU."""
    return x.detach().to("cuda").requires_grad_(x.requires_grad)


@pytest.mark.parametrize("length", [1, 2, 7, 97, 1000, 4096, 65_536])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", ["fft", "direct"])
def test_the_convolution_and_its_gradients_are_those_of_the_cpu(
    length: int, dtype: torch.dtype, method: str
) -> None:
    if method == "direct" and length > 4096:
        pytest.skip("every tap is a copy of the signal")
    u, h = draw(2, 3, length), draw(3, length, seed=1) / length**0.5
    here = [x.to(dtype).requires_grad_() for x in (u, h)]
    away = [there(x) for x in here]
    y, z = causal_conv(*here), causal_conv(*away, method=method)
    tolerance = 1e-10 if dtype == torch.float64 else 2e-4
    assert_equal(z.cpu(), y, tolerance)
    upstream = draw(2, 3, length, seed=2).to(dtype)
    y.backward(upstream)
    z.backward(upstream.cuda())
    for mine, theirs in zip(away, here, strict=True):
        scale = theirs.grad.abs().max()
        assert_equal(mine.grad.cpu() / scale, theirs.grad / scale, tolerance)


def test_the_convolution_that_goes_on_is_exact_there_too() -> None:
    u, h = draw(2, 3, 300), draw(3, 300, seed=1)
    whole = causal_conv(u, h)
    online, found = OnlineConv(h.cuda()), []
    for x in u.cuda().unbind(-1):
        found.append(online.step(x))
    assert_equal(torch.stack(found, -1).cpu(), whole)


@every_mixer
def test_every_mixer_has_its_three_views_there_and_they_are_those_of_the_cpu(
    case: str,
) -> None:
    mixer, u = build(case), draw(2, LONGEST, WIDTH)
    with torch.no_grad():
        y = mixer(u)
        mixer, u = mixer.cuda(), u.cuda()
        assert_equal(mixer(u).cpu(), y)
        assert_equal(stepped(mixer, u, 20).cpu(), y[:, 20:])
        if case not in WITHOUT_MATRIX:
            assert_equal(seen(mixer, u).cpu(), y)


@every_mixer
def test_gradients_of_every_mixer_are_those_of_the_cpu(case: str) -> None:
    gradients: list[dict[str, Tensor]] = []
    for device in "cpu", "cuda":
        mixer, u = build(case).to(device), draw(2, LONGEST, WIDTH).to(device)
        (mixer(u) * draw(2, LONGEST, WIDTH, seed=1).to(device)).sum().backward()
        gradients.append({n: p.grad.cpu() for n, p in mixer.named_parameters()})
    for name, gradient in gradients[0].items():
        assert_equal(gradients[1][name], gradient, 1e-9)


@pytest.mark.parametrize("case", [c for c in CASES if c != "hyena-rough"])
def test_mixed_precision_stays_near_the_exact_answer(case: str) -> None:
    mixer, u = build(case).float().cuda(), draw(2, LONGEST, WIDTH).float().cuda()
    exact = mixer(u)
    with torch.autocast("cuda", torch.bfloat16):
        y = mixer(u)
    assert y.isfinite().all()
    assert (y.float() - exact).abs().max() < 0.2 * exact.abs().max()


def begin(device: str, **config: Any) -> Any:
    """A run of eight steps."""
    task = tasks.AssociativeRecall(12, 32)
    length, g = task.input_length, torch.Generator().manual_seed(0)
    model = LanguageModel(LMConfig(task.vocab_size, length, width=32, **config), g)
    settings = TrainConfig(steps=8, batch_size=8, length=length, device=device)
    return train(model, tasks.Examples(task.for_training), settings, generator=g)


@pytest.mark.parametrize("mixer", ["hyena", "attention", "gru", "multihead_hyena"])
def test_a_model_learns_as_it_does_on_the_cpu(mixer: str) -> None:
    here, there = (begin(device, mixer=mixer) for device in ("cpu", "cuda"))
    losses = [record.loss for record in there]
    assert losses == pytest.approx([record.loss for record in here], rel=1e-3)
    assert next(there.model.parameters()).is_cuda


def test_a_run_goes_on_bit_for_bit_there(tmp_path: Path) -> None:
    """With dropout, whose draws come from the GPU's own generator."""
    torch.cuda.manual_seed(1)
    whole = begin("cuda", dropout=0.1)
    losses = [record.loss for record in whole]
    torch.cuda.manual_seed(1)
    for record in runs.keep(begin("cuda", dropout=0.1), tmp_path / "run"):
        if record.step == 4:
            break
    torch.cuda.manual_seed(99)  # whatever else was drawn meanwhile
    other = begin("cuda", dropout=0.1)
    rest = [record.loss for record in runs.keep(other, tmp_path / "run")]
    assert rest[-4:] == losses[-4:]
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, other.model.state_dict()[name]), name


@pytest.mark.parametrize("name", ["python_docs", "python_docs_transformer"])
def test_a_trained_model_says_the_same_there(name: str) -> None:
    model, tokenizer, _ = checkpoints.load(name)
    ids = tokenizer.encode("The value of the argument is ")[None]
    with torch.no_grad():
        logits = model(ids)
        assert_equal(model.cuda()(ids.cuda()).cpu(), logits, 1e-3)
    model = model.double()
    (online,) = written(model, ids.cuda(), "online")
    (again,) = written(model, ids.cuda(), "recompute")
    (here,) = written(model.cpu(), ids, "online")
    assert online == again == here


def written(model: LanguageModel, ids: Tensor, decoder: str) -> list[list[int]]:
    steps = list(sample(model, ids, 60, temperature=0, decoder=decoder))
    return torch.stack([step.cpu() for step in steps], dim=1).tolist()


def test_a_distilled_model_lives_there() -> None:
    model, tokenizer, _ = checkpoints.load("python_docs")
    ids = tokenizer.encode("The value of ")[None].cuda()
    small = model.cuda().distill(order=8)
    assert {p.device.type for p in small.parameters()} == {"cuda"}
    assert len(written(small, ids, "recurrent")[0]) == 60


def test_pictures_of_a_matrix_can_be_taken_there() -> None:
    mixer, u = build("hyena"), draw(1, 12, WIDTH)
    matrix = mixer.matrix(u)
    away = mixer.cuda().matrix(u.cuda())
    assert_equal(away.cpu(), matrix)
    for measure in matrices.effective_distance, matrices.row_sums:
        assert_equal(measure(away).cpu(), measure(matrix))


def test_a_module_that_lives_there_is_audited_there() -> None:
    length = 8
    found = audit(build("hyena").cuda(), length, WIDTH)
    assert found.causal
    assert found.dtype is torch.float64
    leaky = torch.nn.Conv1d(length, length, 3, padding=1).cuda()  # along the width
    both = torch.nn.Sequential(leaky, torch.nn.ReLU())
    assert len(audit(both, length, WIDTH).leaks) == length * (length - 1) // 2


def test_things_on_two_devices_are_told_apart() -> None:
    mixer, u = build("hyena"), draw(1, 12, WIDTH)
    with pytest.raises(ValueError, match="u is on cuda:0, the weights on cpu"):
        mixer(u.cuda())
    with pytest.raises(ValueError, match="on different devices"):
        causal_conv(draw(1, 2, 5).cuda(), draw(2, 5))
    state = mixer.start(u)
    with pytest.raises(ValueError, match=r"\.to\(device\)"):
        mixer.cuda().step(u[:, 0].cuda(), state)


def test_a_batch_beyond_its_memory_says_how_many_rows_fit() -> None:
    corpus = corpora.load("python-docs")
    shape = LMConfig(corpus.tokenizer.vocab_size, 4096, width=512, depth=8)
    model = LanguageModel(shape)
    settings = TrainConfig(steps=1, batch_size=2**14, length=4096, device="cuda")
    run = train(model, corpus, settings)
    with pytest.raises(MemoryError, match="rows"):
        next(iter(run))
