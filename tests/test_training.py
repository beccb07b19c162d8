"""The training loop: lazy, honest about time, and never lost when it diverges."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from minihyena import (
    Diverged,
    LanguageModel,
    LMConfig,
    Record,
    TrainConfig,
    evaluate,
    train,
    training,
)
from minihyena.corpora import CharacterTokenizer, Corpus

TEXT = "the hyena laughs, the hyena listens. " * 40
LENGTH = 16


def corpus(text: str = TEXT, validation: int = 300) -> Corpus:
    tokenizer = CharacterTokenizer.of(text)
    ids = tokenizer.encode(text)
    cut = len(ids) - validation
    return Corpus("laughs", text, tokenizer, ids[:cut], ids[cut:])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(seed: int = 0, **options: Any) -> LanguageModel:
    vocab_size = corpus().tokenizer.vocab_size
    sizes = {"vocab_size": vocab_size, "max_length": LENGTH, "width": 16, "depth": 1}
    return LanguageModel(LMConfig(**(sizes | options)), seeded(seed))


def recipe(**options: Any) -> TrainConfig:
    defaults = {"steps": 6, "length": LENGTH, "batch_size": 4, "evaluate_every": 3}
    if "minutes" in options:
        del defaults["steps"]
    return TrainConfig(**(defaults | options))


def run(model: nn.Module, source: Any = None, **options: Any) -> Iterator[Record]:
    return train(model, source or corpus(), recipe(**options), generator=seeded(1))


class Bigrams(nn.Module):
    """A plain module: neither parameter_groups nor flops nor config."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(vocab_size, vocab_size))

    def forward(self, ids: Tensor) -> Tensor:
        return self.table[ids]


# What one step says


def test_one_record_a_step_counting_tokens_and_flops() -> None:
    model = build()
    records = list(run(model, steps=5))
    assert [r.step for r in records] == [1, 2, 3, 4, 5]
    assert [r.tokens for r in records] == [4 * LENGTH * n for n in range(1, 6)]
    a_step = 3 * model.flops(LENGTH, batch=4)
    assert [r.flops for r in records] == pytest.approx(
        [a_step * n for n in range(1, 6)]
    )
    assert all(r.gradient_norm > 0 for r in records)
    seconds = [r.seconds for r in records]
    assert seconds == sorted(seconds)


def test_the_first_loss_is_that_of_the_untrained_model_on_its_batch() -> None:
    model, source = build(), corpus()
    inputs, targets = source.batch("train", 4, LENGTH, generator=seeded(1))
    expected = cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
    assert next(run(model)).loss == pytest.approx(float(expected.detach()))


def test_validation_is_measured_every_so_often_and_at_the_end() -> None:
    records = list(run(build(), steps=8, evaluate_every=3))
    measured = [r.step for r in records if r.validation_loss is not None]
    assert measured == [3, 6, 8]


def test_the_validation_loss_of_a_record_is_that_after_its_update() -> None:
    model, source = build(), corpus()
    last = list(run(model, source))[-1]
    assert last.validation_loss == pytest.approx(evaluate(model, source, LENGTH))


def test_evaluation_covers_the_held_out_windows_one_after_the_other() -> None:
    model, source = build(), corpus(validation=150)
    held, losses = source.validation, []
    for start in range(0, len(held) - LENGTH, LENGTH):
        x = held[start : start + LENGTH][None]
        y = held[start + 1 : start + LENGTH + 1]
        losses.append(float(cross_entropy(model(x)[0], y).detach()))
    assert len(losses) == 149 // LENGTH
    for batch_size in (1, 4, 32):
        found = evaluate(model, source, LENGTH, batch_size=batch_size)
        assert found == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    with pytest.raises(ValueError, match="at least one window; got windows = 0"):
        evaluate(model, source, LENGTH, windows=0)
    few = evaluate(model, source, LENGTH, windows=3)
    spread = [losses[0], losses[4], losses[8]]
    assert few == pytest.approx(sum(spread) / 3, rel=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_leaves_the_model_as_it_was(training: bool) -> None:
    model = build(dropout=0.5).train(training)
    before = [p.clone() for p in model.parameters()]
    first, second = (evaluate(model, corpus(), LENGTH) for _ in range(2))
    assert first == second  # without dropout
    assert model.training is training
    assert all(p.grad is None for p in model.parameters())
    assert all(map(torch.equal, before, model.parameters()))


def test_an_interrupted_evaluation_leaves_the_model_in_training() -> None:
    class Interrupting(Bigrams):
        def forward(self, ids: Tensor) -> Tensor:
            raise KeyboardInterrupt

    model = Interrupting(99)
    with pytest.raises(KeyboardInterrupt):
        evaluate(model, corpus(), LENGTH)
    assert model.training


# Laziness and time


def test_nothing_happens_until_the_first_record_is_asked_for() -> None:
    model = build()
    before = [p.clone() for p in model.parameters()]
    records = run(model)
    assert all(map(torch.equal, before, model.parameters()))
    next(records)
    changed = [p.clone() for p in model.parameters()]
    assert all(map(torch.equal, changed, model.parameters()))


class Clocked:
    """A source and the only clock: a batch takes 1 s, evaluation windows 100 s."""

    def __init__(self) -> None:
        self.corpus, self.now = corpus(), 0.0

    def perf_counter(self) -> float:
        return self.now

    def batch(self, *args: Any, **options: Any) -> tuple[Tensor, Tensor]:
        self.now += 1
        return self.corpus.batch(*args, **options)

    def windows(self, split: str, length: int) -> tuple[Tensor, Tensor]:
        self.now += 100
        return self.corpus.windows(split, length)


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> Clocked:
    source = Clocked()
    monkeypatch.setattr(training, "time", source)
    return source


def test_pauses_and_evaluations_cost_no_training_time(clocked: Clocked) -> None:
    seconds = []
    for record in run(build(), clocked, steps=4, evaluate_every=1):
        seconds.append(record.seconds)
        clocked.now += 1000  # the caller does something else
    assert seconds == [1, 2, 3, 4]


def test_minutes_end_the_run_and_shape_its_schedule(clocked: Clocked) -> None:
    options = {"minutes": 10 / 60, "warmup": 0.25, "evaluate_every": 4}
    records = list(run(build(), clocked, learning_rate=1.0, final_rate=0.0, **options))
    assert [r.step for r in records if r.validation_loss is not None] == [4, 8, 10]
    rates = [r.learning_rate for r in records]
    # The rate of a step knows only the time before it.
    wave = [0.5 * (1 + math.cos(math.pi * (t - 2.5) / 7.5)) for t in range(3, 10)]
    assert rates[1:] == pytest.approx([0.4, 0.8, *wave])


def test_whichever_of_steps_and_minutes_comes_first_ends_the_run(
    clocked: Clocked,
) -> None:
    assert len(list(run(build(), clocked, steps=3, minutes=60))) == 3
    assert len(list(run(build(), clocked, steps=100, minutes=5 / 60))) == 5


def test_leaving_the_loop_ends_training() -> None:
    model, losses = build(), []
    for record in run(model, steps=1000):
        losses.append(record.loss)
        if record.step == 4:
            break
    assert len(losses) == 4


# The recipe


def test_the_learning_rate_warms_up_and_decays_as_a_cosine() -> None:
    config = recipe(steps=100, warmup=0.1, learning_rate=2.0, final_rate=0.2)
    records = train(Bigrams(99), corpus(), config, generator=seeded())
    found = [record.learning_rate for record in records]
    for step, rate in enumerate(found, start=1):
        if step <= 10:
            assert rate == pytest.approx(2.0 * step / 10)
        else:
            wave = 0.5 * (1 + math.cos(math.pi * (step - 10) / 90))
            assert rate == pytest.approx(2.0 * (0.2 + 0.8 * wave))
    assert found[-1] == pytest.approx(0.4)


def test_without_warmup_the_first_step_has_nearly_the_full_rate() -> None:
    first = next(run(build(), steps=100, warmup=0.0, learning_rate=2.0))
    assert 1.99 < first.learning_rate < 2.0


def test_each_group_keeps_its_own_rate_through_the_schedule() -> None:
    class TwoRates(Bigrams):
        def __init__(self, vocab_size: int) -> None:
            super().__init__(vocab_size)
            self.frozen = nn.Parameter(torch.ones(vocab_size))

        def forward(self, ids: Tensor) -> Tensor:
            return super().forward(ids) * self.frozen

        def parameter_groups(self, rate: float, decay: float) -> list[dict[str, Any]]:
            return [
                {"params": [self.table], "lr": rate, "weight_decay": 0.0},
                {"params": [self.frozen], "lr": 0.0, "weight_decay": 0.0},
            ]

    model = TwoRates(99)
    list(run(model))
    assert model.table.any()
    assert torch.equal(model.frozen, torch.ones(99))


def test_weight_decay_shrinks_matrices_that_get_no_gradient() -> None:
    class Idle(Bigrams):
        def __init__(self, vocab_size: int) -> None:
            super().__init__(vocab_size)
            self.idle = nn.Parameter(torch.ones(3))

        def forward(self, ids: Tensor) -> Tensor:
            return super().forward(ids) + 0 * self.idle.sum()

        def parameter_groups(self, rate: float, decay: float) -> list[dict[str, Any]]:
            return [{"params": [*self.parameters()], "lr": rate, "weight_decay": decay}]

    model = Idle(99)
    rates = [r.learning_rate for r in run(model, weight_decay=0.5, learning_rate=0.1)]
    expected = math.prod(1 - 0.5 * rate for rate in rates)
    torch.testing.assert_close(model.idle.detach(), torch.full((3,), expected))


def test_the_gradient_is_clipped_but_its_own_norm_is_reported() -> None:
    norms = [next(run(build(), clip=clip)).gradient_norm for clip in (1e-3, 10.0)]
    assert norms[0] == norms[1] > 1e-2
    model = build()
    records = run(model, clip=1e-3)
    next(records)
    clipped = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
    assert float(clipped) == pytest.approx(1e-3, rel=1e-3)


def test_the_same_generator_gives_the_same_losses() -> None:
    one, same = ([r.loss for r in run(build())] for _ in range(2))
    assert one == same
    other = train(build(), corpus(), recipe(), generator=seeded(2))
    assert one != [r.loss for r in other]


def test_it_learns_a_text_that_repeats() -> None:
    records = list(run(build(width=32), steps=120, learning_rate=1e-2, batch_size=8))
    assert records[0].loss > 2.5
    assert records[-1].validation_loss is not None
    assert records[-1].validation_loss < 0.3


def test_attention_learns_through_the_same_loop() -> None:
    model = build(width=32, mixer="attention")
    last = list(run(model, steps=120, learning_rate=1e-2, batch_size=8))[-1]
    assert last.validation_loss is not None
    assert last.validation_loss < 0.5


def test_a_plain_module_trains_too() -> None:
    model = Bigrams(corpus().tokenizer.vocab_size)
    records = list(run(model, steps=60, learning_rate=0.1))
    assert records[0].loss == pytest.approx(math.log(corpus().tokenizer.vocab_size))
    assert records[-1].loss < 1.0
    assert math.isnan(records[-1].flops)  # it cannot say


def test_a_frozen_parameter_stays() -> None:
    model = build()
    model.embedding.weight.requires_grad_(False)
    before = model.embedding.weight.clone()
    list(run(model))
    assert torch.equal(model.embedding.weight, before)


# Early stop


class Scripted(Bigrams):
    """Counts training steps in a weight and gives scripted validation losses."""

    def __init__(self, vocab_size: int, losses: list[float]) -> None:
        super().__init__(vocab_size)
        self.losses = iter(losses)

    def forward(self, ids: Tensor) -> Tensor:
        if self.training:
            return super().forward(ids)
        # One row of logits whose cross-entropy for token 0 is the scripted loss.
        rest = math.log(math.expm1(next(self.losses))) - math.log(self.size - 1)
        logits = torch.full((*ids.shape, self.size), rest)
        logits[..., 0] = 0
        return logits

    @property
    def size(self) -> int:
        return len(self.table)


class Zeros:
    """A source of nothing but token 0."""

    def batch(
        self, split: str, batch_size: int, length: int, *, generator: Any = None
    ) -> tuple[Tensor, Tensor]:
        zeros = torch.zeros(batch_size, length, dtype=torch.int64)
        return zeros, zeros

    def windows(self, split: str, length: int) -> tuple[Tensor, Tensor]:
        return self.batch(split, 1, length)


def test_patience_ends_the_run_and_puts_the_best_model_back() -> None:
    model = Scripted(5, [3.0, 2.0, 2.5, 2.2, 1.0])
    tables, losses = [], []
    for record in run(model, Zeros(), steps=100, evaluate_every=2, patience=2):
        if record.validation_loss is not None:
            losses.append(record.validation_loss)
            tables.append(model.table.detach().clone())
    assert losses == pytest.approx([3.0, 2.0, 2.5, 2.2])
    assert torch.equal(model.table, tables[1])
    assert torch.equal(tables[-1], tables[1])  # put back with the last record
    assert not torch.equal(tables[-2], tables[1])


def test_without_patience_the_last_model_is_kept() -> None:
    model = Scripted(5, [3.0, 2.0, 2.5, 2.2])
    tables = []
    for record in run(model, Zeros(), steps=4, evaluate_every=1):
        assert record.validation_loss is not None
        tables.append(model.table.detach().clone())
    assert torch.equal(model.table, tables[-1])


# Divergence


class Poisoned(Bigrams):
    """Its output is not finite from the n-th training step on."""

    def __init__(self, vocab_size: int, step: int, poison: float = math.nan) -> None:
        super().__init__(vocab_size)
        self.step, self.poison, self.calls = step, poison, 0

    def forward(self, ids: Tensor) -> Tensor:
        self.calls += self.training
        logits = super().forward(ids)
        return logits * self.poison if self.calls >= self.step else logits


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_names_the_step_and_keeps_the_last_good_state(
    poison: float,
) -> None:
    model = Poisoned(corpus().tokenizer.vocab_size, 4, poison)
    tables = [model.table.detach().clone()]
    with pytest.raises(Diverged, match=r"step 4: loss nan.*learning rate below 0.01$"):
        tables.extend(
            model.table.detach().clone()
            for _ in run(model, steps=10, evaluate_every=100, learning_rate=0.01)
        )
    assert len(tables) == 4
    # Step 3 had the last finite loss, with the table that step 2 left.
    assert torch.equal(model.table, tables[2])


def test_a_gradient_that_is_not_finite_stops_before_the_update() -> None:
    class Infinite(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Tensor:
            return gradients[0] * math.inf

    class Steep(Bigrams):
        def forward(self, ids: Tensor) -> Tensor:
            return Infinite.apply(super().forward(ids))

    model = Steep(corpus().tokenizer.vocab_size)
    with pytest.raises(Diverged, match=r"step 1: loss 2\.64, gradient norm (inf|nan)"):
        list(run(model))
    assert not model.table.any()


def test_a_model_spoilt_by_the_last_update_is_put_back_too() -> None:
    model = build()
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(Diverged, match="step 1: validation loss nan"):
        list(run(model, steps=1, learning_rate=1e38, warmup=0.0, final_rate=1.0))
    assert all(map(torch.equal, before, model.parameters()))


def test_training_goes_on_after_a_divergence_with_a_lower_rate() -> None:
    model = build()
    with pytest.raises(Diverged):
        list(run(model, learning_rate=1e30))
    last = list(run(model, learning_rate=1e-3))[-1]
    assert math.isfinite(last.loss)


# Refusals


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "steps must be above 0 and finite; got 0"),
        ({"minutes": -1.0}, "minutes must be above 0 and finite; got -1.0"),
        ({"minutes": math.nan}, "minutes must be above 0 and finite; got nan"),
        ({"length": 0}, "length must be above 0"),
        ({"batch_size": 0}, "batch_size must be above 0"),
        ({"evaluate_every": 0}, "evaluate_every must be above 0"),
        ({"evaluate_windows": 0}, "evaluate_windows must be above 0"),
        ({"patience": 0}, "patience must be above 0"),
        ({"learning_rate": -1.0}, "learning_rate must be above 0"),
        ({"clip": 0.0}, "clip must be above 0"),
    ],
)
def test_an_impossible_recipe_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        recipe(**options)


def test_a_recipe_must_say_when_to_end() -> None:
    with pytest.raises(ValueError, match=r"steps=\.\.\., minutes=\.\.\. or both"):
        TrainConfig()


def test_a_misspelt_option_is_refused() -> None:
    with pytest.raises(TypeError, match="learning_rat"):
        TrainConfig(steps=1, learning_rat=1.0)  # type: ignore[call-arg]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_corpus_shorter_than_one_window_is_refused_before_the_first_step(
    split: str,
) -> None:
    short = corpus(TEXT[:100], validation=90 if split == "train" else 10)
    model = build()
    before = [p.clone() for p in model.parameters()]
    with pytest.raises(
        ValueError,
        match=f"{split} split of 'laughs' has 10 tokens, one of length 16 needs 17",
    ):
        next(run(model, short))
    assert all(map(torch.equal, before, model.parameters()))


def test_a_window_longer_than_the_model_reads_is_refused() -> None:
    with pytest.raises(ValueError, match=r"length 17 .* max_length = 16"):
        next(run(build(), length=17))


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("cuda:99", "device 'cuda:99' cannot be used here"),
        ("gpu", "unknown device 'gpu'; known, nearest first: cpu, "),
    ],
)
def test_a_device_that_is_not_here_is_refused(device: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        next(run(build(), device=device))


def test_a_plain_module_gets_the_weight_decay_of_the_configuration() -> None:
    config = TrainConfig(steps=1, weight_decay=0.3)
    (group,) = training._groups(torch.nn.Linear(2, 2), config)
    assert group["weight_decay"] == 0.3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("minutes", math.inf),
        ("learning_rate", math.inf),
        ("warmup", 2.0),
        ("warmup", -1.0),
        ("weight_decay", -1.0),
    ],
)
def test_a_number_out_of_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        TrainConfig(**{"steps": 1, name: value})


# Several processes (what two of them do together: tests/test_experiments.py)


def test_more_processes_than_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 5)
    with pytest.raises(ValueError, match="4 rows cannot be shared by 5 processes"):
        next(run(build()))


# Targets that are not scored, or are numbers


def test_only_scored_targets_count() -> None:
    model, (x, y) = Bigrams(5), torch.randint(5, (2, 3, 7), generator=seeded())
    nn.init.normal_(model.table, generator=seeded())
    y[:, ::2] = -100
    expected = cross_entropy(model(x).flatten(0, 1), y.flatten())
    torch.testing.assert_close(training.token_loss(model, x, y), expected)


def test_numbers_are_compared_by_squared_error_where_they_are_known() -> None:
    said, asked = torch.randn(2, 3, 4, generator=seeded())
    said.requires_grad_()
    asked[0, 1:] = torch.nan
    loss = training.token_loss(lambda _: said, asked, asked)  # type: ignore[arg-type]
    known = ~asked.isnan()
    torch.testing.assert_close(loss, (said - asked)[known].square().mean())
    loss.backward()
    assert said.grad is not None
    assert torch.equal(said.grad != 0, known)


def test_shares_of_a_batch_add_up_to_its_loss() -> None:
    """However the scored positions are spread; a share may have none."""
    model, (x, y) = Bigrams(5), torch.randint(5, (2, 4, 7), generator=seeded())
    nn.init.normal_(model.table, generator=seeded())
    y[0], y[1, 2:] = -100, -100
    count = (y != -100).sum()
    parts = [training.token_loss(model, x[i::2], y[i::2], count) for i in range(2)]
    torch.testing.assert_close(sum(parts), training.token_loss(model, x, y))
    none = training.token_loss(model, x[:1], y[:1], count)
    assert none == 0


def test_held_out_rows_with_many_questions_weigh_as_many_times() -> None:
    model, (x, y) = Bigrams(5), torch.randint(5, (2, 64, 7), generator=seeded())
    nn.init.normal_(model.table, generator=seeded())
    y[32:, 1:] = -100

    class Source:
        def windows(self, split: str, length: int) -> tuple[Tensor, Tensor]:
            return x, y

    found = evaluate(model, Source(), 7)  # type: ignore[arg-type]
    assert found == pytest.approx(training.token_loss(model, x, y).item(), rel=1e-5)
