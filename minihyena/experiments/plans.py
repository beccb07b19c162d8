"""What is compared with what: recipes and experiments, as data."""

import hashlib
import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any

import torch

from minihyena.experiments.results import Run
from minihyena.experiments.sizes import equal_parameters, parameter_count
from minihyena.filters import ImplicitConfig
from minihyena.hyena import HyenaConfig
from minihyena.model import LanguageModel, LMConfig
from minihyena.rivals.gated import MultiHeadHyenaConfig
from minihyena.tasks import (
    MQAR,
    Addition,
    AssociativeRecall,
    Counting,
    LinearFunctions,
    Majority,
    Task,
)
from minihyena.training import TrainConfig
from minihyena.vector_model import VectorModel

__all__ = ["EXPERIMENTS", "RECIPES", "Experiment", "Recipe", "Trial"]

# (share of the steps, length): up to there prompts are so short, see running.Lessons
Stages = tuple[tuple[float, int], ...]

SMOOTH = ImplicitConfig()  # bands=4, sine_frequency=1
ROUGH = ImplicitConfig(bands=2, sine_frequency=10.0)


@dataclass(frozen=True)
class Recipe:
    """A model and its training, for a task of any size."""

    model: LMConfig  # vocab_size and max_length come from the task
    training: TrainConfig  # length too

    def config(self, task: Task) -> LMConfig:
        """The model's configuration for this task."""
        return fitted(self.model, task)

    def build(self, task: Task, generator: torch.Generator) -> LanguageModel:
        """A fresh, untrained model for this task."""
        return builder(task, generator)(self.config(task))

    def train_config(self, task: Task, **changes: Any) -> TrainConfig:
        """The training for this task, with some fields changed."""
        return replace(self.training, length=task.input_length, **changes)


def fitted(model: LMConfig, task: Task) -> LMConfig:
    """The same model with the task's vocabulary and length."""
    vocab_size = max(task.vocab_size, 1)
    return replace(model, vocab_size=vocab_size, max_length=task.input_length)


def builder(
    task: Task, generator: torch.Generator | None = None
) -> Callable[[LMConfig], LanguageModel]:
    """What makes a model for this task: one of ids, or one of vectors."""
    if isinstance(task, LinearFunctions):
        return lambda config: VectorModel(config, task.features, generator)
    return lambda config: LanguageModel(config, generator)


# One architecture, one optimiser; only how the weights start is different. A layer's
# answer is a product of three projections (two gates, one value), and a filter that
# reaches back evenly is what lets it gather pairs from anywhere:
# - std 0.02 makes that product about 1e-4 of its input, so that its gradient, too, is
#   next to nothing until the weights have grown: a long plateau. 1 / sqrt(inputs)
#   keeps the size of what comes in.
# - sine_frequency 10 starts with filters that wiggle about 0, which add up pairs from
#   far back with random signs; frequency 1 starts with nearly even ones.
_TWO_LAYERS = LMConfig(1, width=64, depth=2)
_ONE_CYCLE = TrainConfig(
    steps=600,
    batch_size=32,
    learning_rate=5e-3,
    warmup=0.1,
    final_rate=0.0,
    evaluate_every=25,
)
_TESTED_SELDOM = replace(_ONE_CYCLE, evaluate_every=50)
RECIPES: dict[str, Recipe] = {
    "quick": Recipe(
        replace(_TWO_LAYERS, std=None, mixer=HyenaConfig(filter=SMOOTH)), _ONE_CYCLE
    ),
    "textbook": Recipe(
        replace(_TWO_LAYERS, mixer=HyenaConfig(filter=ROUGH)), _ONE_CYCLE
    ),
}


@dataclass(frozen=True)
class Trial:
    """One model on one task, from one seed: everything that decides what comes out."""

    model: str  # its name in the experiment
    task: Task
    width: int  # of the model that sets the size
    config: LMConfig
    training: TrainConfig
    stages: Stages
    goal: float
    seed: int

    @property
    def key(self) -> str:
        """The same for trials that differ in seed, learning rate and device alone."""
        settings = [
            self.model,
            *map(plain, (self.task, self.config, self.training)),
            self.width,
            self.stages,
            self.goal,
        ]
        text = json.dumps(settings, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def identity(self) -> tuple[str, float, int]:
        """Key, learning rate and seed: no two trials share all three."""
        return self.key, self.training.learning_rate, self.seed

    def build(self, generator: torch.Generator) -> LanguageModel:
        """The untrained model."""
        return builder(self.task, generator)(self.config)

    @property
    def parameters(self) -> int:
        """Trained numbers of the model."""
        return parameter_count(self.config, builder(self.task))


NO_PART = {("TrainConfig", "learning_rate"), ("TrainConfig", "device")}
# Fields younger than some record: at their default they play no part in the key, so
# that older runs stay what they are. (Class, field.)
LATER: set[tuple[str, str]] = set()


def plain(config: Any) -> Any:
    """Every value of a configuration that decides what comes out, for the key."""
    if not is_dataclass(config):
        return config
    kind = type(config).__name__
    values = {f.name: (getattr(config, f.name), f.default) for f in fields(config)}
    return {"kind": kind} | {
        name: plain(value)
        for name, (value, default) in values.items()
        if (kind, name) not in NO_PART
        and not ((kind, name) in LATER and value == default)
    }


@dataclass(frozen=True)
class Experiment:
    """Every model on every task, at its best learning rate, from several seeds.

    The first model of a task sets the size; the others get as many parameters. All get
    the same batches, `tokens` a step (one row at least), for as many steps; a run ends
    early once it has reached `goal` twice in a row on held-out rows. The learning rates
    are tried from the first on with seed 0, as long as none has reached the goal; the
    best one on held-out rows is used for the other seeds. For `stages` see
    running.Lessons.
    """

    name: str
    question: str
    tasks: tuple[Task, ...]
    models: Mapping[str, Any]  # name -> a mixer, or a function of an LMConfig
    widths: tuple[int, ...] = (64,)
    base: LMConfig = RECIPES["quick"].model
    learning_rates: tuple[float, ...] = (5e-3, 1.5e-3)
    steps: int = 400
    tokens: int = 2048
    goal: float = 0.99
    training: TrainConfig = _TESTED_SELDOM
    stages: Stages = ()

    def __post_init__(self) -> None:
        for name in ("tasks", "models", "widths", "learning_rates"):
            if not getattr(self, name):
                raise ValueError(f"experiment {self.name} has no {name}")
        if self.stages and not all(
            isinstance(t, AssociativeRecall) for t in self.tasks
        ):
            raise ValueError(
                f"experiment {self.name} has stages of length: its tasks must be recall"
            )

    def configs(self, task: Task, width: int) -> dict[str, LMConfig]:
        """Name -> the models' configurations for this task, all as large."""
        base = fitted(replace(self.base, width=width), task)
        found = [
            made(base) if callable(made) else replace(base, mixer=made)
            for made in self.models.values()
        ]
        build = builder(task)
        return dict(zip(self.models, equal_parameters(found, build=build), strict=True))

    @cached_property
    def trials(self) -> list[Trial]:
        """One for each task, width and model: seed 0, the first learning rate."""
        return [
            Trial(
                name,
                task,
                width,
                config,
                self.train_config(task),
                self.stages,
                self.goal,
                seed=0,
            )
            for task in self.tasks
            for width in self.widths
            for name, config in self.configs(task, width).items()
        ]

    def train_config(self, task: Task) -> TrainConfig:
        """How all models are trained on this task."""
        return replace(
            self.training,
            steps=self.steps,
            length=task.input_length,
            batch_size=max(1, self.tokens // task.input_length),
            learning_rate=self.learning_rates[0],
        )

    def plan(self, seeds: int) -> Generator[Trial, Run, None]:
        """Trials in the order they are run, task after task; each wants to be sent the
        run that came out of it.
        """
        for _, firsts in groupby(self.trials, key=lambda trial: trial.task):
            best: list[Trial] = []
            for first in firsts:
                tried: list[tuple[Run, Trial]] = []
                for rate in self.learning_rates:
                    training = replace(first.training, learning_rate=rate)
                    trial = replace(first, training=training)
                    tried.append(((yield trial), trial))
                    if tried[-1][0].held_out >= self.goal:
                        break
                best.append(max(tried, key=lambda pair: pair[0].merit)[1])
            for seed in range(1, seeds):
                for trial in best:
                    yield replace(trial, seed=seed)


HYENA = RECIPES["quick"].model.mixer
SHORT_FIRST: Stages = ((0.75, 32), (0.9, 128), (0.95, 512))
EXPERIMENTS: dict[str, Experiment] = {
    made.name: made
    for made in (
        Experiment(
            "first_look",
            "Does a minute of training tell a gate from no gate?",
            (AssociativeRecall(6, 16),),
            {"hyena": HYENA, "no gate": replace(HYENA, gated=False)},
            widths=(16,),
            learning_rates=(5e-3,),
            steps=100,
            tokens=512,
        ),
        Experiment(
            "recall_filters",
            "Which long filter lets Hyena recall, as vocabulary and length grow?",
            tuple(
                AssociativeRecall(vocab_size, length)
                for length in (128, 2048, 512)
                for vocab_size in (10, 20, 30, 40)
            ),
            {
                "implicit": HYENA,
                "implicit, rough start": HyenaConfig(filter=ROUGH),
                **{
                    name: HyenaConfig(filter=name)
                    for name in ("fir", "fourier", "s4d", "transfer", "ckconv")
                },
            },
            stages=SHORT_FIRST,
        ),
        Experiment(
            "recall_rivals",
            "Recall over thousands of tokens: Hyena beside attention and the others",
            tuple(AssociativeRecall(30, length) for length in (2048, 8192)),
            {
                "hyena": HYENA,
                "attention": "attention",
                "h3": "h3",
                "gss": "gss",
                "aft": "aft",
                "rwkv": "rwkv",
                "gru": "gru",
                "linear attention": "linear_attention",
                "sliding attention": "sliding_window",
            },
            widths=(128,),
            steps=600,
            training=replace(_ONE_CYCLE, evaluate_every=120),
            stages=SHORT_FIRST,
        ),
        Experiment(
            "mqar",
            "How many pairs can a layer of this width keep apart?",
            tuple(MQAR(32, 16, pairs) for pairs in (2, 4)),
            {
                "hyena": HYENA,
                "multi-head hyena": MultiHeadHyenaConfig(filter=SMOOTH, heads=8),
                "attention": "attention",
            },
            widths=(16, 32, 64),
        ),
        Experiment(
            "reasoning",
            "Majority, counting, addition and functions in context: one table",
            (
                Majority(4, 64, margin=2),
                Counting(3, 16, most=5),
                Addition(3),
                LinearFunctions(3, 16),
            ),
            {
                "hyena": HYENA,
                "attention": "attention",
                "h3": "h3",
                "gru": "gru",
                "linear attention": "linear_attention",
            },
        ),
        Experiment(
            "ablation",
            "What recall loses without gate, short convolution or smooth start",
            (AssociativeRecall(12, 128),),
            {
                "hyena": HYENA,
                "no gate": replace(HYENA, gated=False),
                "no short convolution": replace(HYENA, short_taps=1),
                "no window": HyenaConfig(filter=replace(SMOOTH, window=False)),
                "rough filter": HyenaConfig(filter=ROUGH),
                "small matrices": lambda base: replace(base, mixer=HYENA, std=0.02),
            },
        ),
        Experiment(
            "recall_131k",
            "The abstract's longest recall, for where a GPU is",
            (AssociativeRecall(30, 131_072),),
            {"hyena": HYENA, "h3": "h3", "gss": "gss", "aft": "aft", "rwkv": "rwkv"},
            widths=(128,),
            steps=2000,
            tokens=2**20,
            stages=((0.75, 32), (0.85, 512), (0.95, 8192)),
        ),
    )
}
