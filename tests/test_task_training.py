"""A task with a model: testing one, and training one on endless fresh examples."""

from dataclasses import dataclass, replace

import pytest
import torch
from sampling import seeded
from test_tasks import EVERY
from torch import Tensor, nn

from minihyena import LanguageModel, LMConfig, TrainConfig, train
from minihyena.tasks import IGNORED, AssociativeRecall, Batch, Examples, Task

every_task = pytest.mark.parametrize("task", EVERY, ids=str)


class Oracle(nn.Module):
    """Knows the answers; `spare` logits more than there are tokens."""

    def __init__(self, task: Task, spare: int = 0) -> None:
        super().__init__()
        self.task, self.spare, self.rows = task, spare, [0]

    def forward(self, ids: Tensor) -> Tensor:
        assert not self.training
        self.rows.append(len(ids))
        said = self.task.solve(ids)
        if said.is_floating_point():
            return said
        logits = torch.zeros(*ids.shape, self.task.vocab_size + self.spare)
        logits[..., self.task.vocab_size :] = 9  # no token: must not be said
        return logits.scatter(2, said.clamp(min=0)[..., None], 1)


@every_task
def test_a_model_that_knows_the_answers_scores_one(task: Task) -> None:
    batch = task.batch(40, generator=seeded())
    model = Oracle(task, spare=3).train()
    assert task.test(model, batch) == pytest.approx(1.0, abs=1e-6)
    assert model.training  # as it was
    few = Oracle(task)
    score = task.test(few, batch, at_once=3 * task.input_length)
    assert score == pytest.approx(1.0, abs=1e-6)
    assert max(few.rows) == 3
    assert sum(few.rows) == 40


def test_a_model_that_has_learnt_nothing_scores_near_chance() -> None:
    task = AssociativeRecall(30, 16)
    config = LMConfig(30, task.input_length, 16)
    model = LanguageModel(config, generator=seeded())
    score = task.test(model, task.batch(2000, generator=seeded()))
    assert score < 3 * task.chance


# ---- examples to train on


@dataclass(frozen=True)
class Copying(Task):
    """Two tokens; the second is the answer: learnt in a few steps."""

    vocab_size: int = 4
    input_length: int = 2  # type: ignore[assignment]

    def batch(self, size: int, *, generator: torch.Generator) -> Batch:
        inputs = torch.randint(4, (size, 2), generator=generator)
        labels = inputs.clone()
        labels[:, 0] = IGNORED
        return Batch(inputs, labels)


def test_training_batches_are_fresh_and_the_held_out_rows_are_always_the_same() -> None:
    task = replace(AssociativeRecall(12, 16), scored="answerable")
    source, generator = Examples(task, held_out=7), seeded()
    one, two = (source.batch("train", 5, 18, generator=generator) for _ in range(2))
    assert not torch.equal(one.inputs, two.inputs)
    held, same = (source.windows("valid", 18) for _ in range(2))
    assert torch.equal(held.inputs, same.inputs)
    assert torch.equal(held.labels, same.labels)
    assert held.inputs.shape == (7, 18)
    other = Examples(task, held_out=7, seed=1).windows("valid", 18)
    assert not torch.equal(held.inputs, other.inputs)


def test_another_length_than_the_tasks_is_refused() -> None:
    source = Examples(AssociativeRecall(12, 16))
    numbers = "inputs of 18 positions; got length = 16"
    with pytest.raises(ValueError, match=numbers):
        source.windows("valid", 16)
    with pytest.raises(ValueError, match=numbers):
        source.batch("train", 2, 16, generator=seeded())


def test_examples_come_from_the_generator_or_from_that_of_torch() -> None:
    task = AssociativeRecall(12, 16)
    source = Examples(task)
    asked = source.batch("train", 3, 18, generator=seeded(4))
    assert torch.equal(asked.inputs, task.batch(3, generator=seeded(4)).inputs)
    torch.manual_seed(4)
    assert torch.equal(asked.inputs, source.batch("train", 3, 18).inputs)


@every_task
def test_lessons_are_the_same_examples_and_leave_out_no_answer(task: Task) -> None:
    lessons = task.for_training.batch(9, generator=seeded())
    batch = task.batch(9, generator=seeded())
    assert torch.equal(lessons.inputs, batch.inputs)
    assert torch.equal(lessons.labels[batch.mask], batch.labels[batch.mask])


def test_a_task_can_be_trained_on() -> None:
    task = Copying()
    config = LMConfig(4, 2, 16, 1)
    model = LanguageModel(config, generator=seeded())
    settings = TrainConfig(steps=60, length=2, batch_size=32, learning_rate=0.01)
    records = [*train(model, Examples(task), settings, generator=seeded())]
    assert records[-1].loss < 0.3 < 1.0 < records[0].loss
    batch = task.batch(200, generator=seeded(9))
    assert task.test(model, batch) > 0.95
