"""A batch that memory cannot hold is refused before it takes the machine down."""

import pytest
import torch

from minihyena import LanguageModel, LMConfig, TrainConfig, batch_memory, train
from minihyena.batch_memory import batch_bytes, check_batch
from minihyena.benchmark import peak_bytes
from minihyena.corpora import ByteTokenizer, Corpus
from minihyena.losses import token_loss


def build(mixer: str = "hyena", length: int = 256) -> LanguageModel:
    config = LMConfig(256, max_length=length, width=64, mixer=mixer, dropout=0.1)
    return LanguageModel(config, torch.Generator().manual_seed(0))


def batch(rows: int, length: int = 256) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(256, (rows, length + 1))
    return ids[:, :-1], ids[:, 1:]


@pytest.mark.parametrize("mixer", ["hyena", "attention", "gru"])
def test_a_row_takes_as_much_whatever_the_batch(mixer: str) -> None:
    model = build(mixer)
    (four, row), (twelve, same) = (batch_bytes(model, *batch(n)) for n in (4, 12))
    assert row == same
    assert twelve - four == 8 * row


@pytest.mark.parametrize("mixer", ["hyena", "attention"])
def test_the_estimate_is_near_what_a_step_takes(mixer: str) -> None:
    """From below, as temporaries are not counted; at most a factor of two."""
    model, rows = build(mixer), batch(48)
    fixed = 3 * 4 * model.parameter_count()

    def step() -> None:
        token_loss(model, *rows).backward()
        model.zero_grad()

    step()
    taken = peak_bytes(step)
    assert taken is not None
    need, row = batch_bytes(model, *rows)
    kept = need - fixed
    assert abs(kept - 48 * row) < row  # the first row costs as much as the others
    assert 0.5 * taken < kept < 1.1 * taken


def test_looking_changes_neither_model_nor_generators() -> None:
    model = build().train()
    weights = [p.clone() for p in model.parameters()]
    before = torch.get_rng_state()
    rows = batch(3)
    torch.set_rng_state(before)
    batch_bytes(model, *rows)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(map(torch.equal, model.parameters(), weights))
    assert all(p.grad is None for p in model.parameters())


def test_a_batch_too_large_says_what_it_needs_and_what_would_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = build()
    need, row = batch_bytes(model, *batch(100))
    monkeypatch.setattr(batch_memory, "free_bytes", lambda _: need - 9 * row - 1)
    with pytest.raises(
        MemoryError, match=r"100 rows of 256 needs 0\.\d GiB or more; .* for 90 rows"
    ):
        check_batch(model, *batch(100))
    check_batch(model, *batch(90))
    with pytest.raises(MemoryError, match="enough for 90 rows"):
        check_batch(model, *batch(91))


def test_training_refuses_it_before_the_first_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch_memory, "free_bytes", lambda _: 2**20)
    ids = torch.randint(256, (4000,))
    corpus = Corpus("noise", "", ByteTokenizer(), ids[:3000], ids[3000:])
    model = build()
    before = [p.clone() for p in model.parameters()]
    run = train(model, corpus, TrainConfig(steps=2, batch_size=64, length=256))
    with pytest.raises(MemoryError, match="64 rows of 256"):
        next(run)
    assert all(map(torch.equal, model.parameters(), before))
