"""The experiments whose results are recorded, or are to be where a GPU is."""

from dataclasses import replace

from minihyena.experiments.plans import Comparison, Experiment
from minihyena.experiments.recipes import ONE_CYCLE, RECIPES, ROUGH, SMOOTH
from minihyena.experiments.texts import Text, TextExperiment
from minihyena.hyena import HyenaConfig
from minihyena.rivals.attention import AttentionConfig
from minihyena.rivals.gated import MultiHeadHyenaConfig
from minihyena.tasks import (
    MQAR,
    Addition,
    AssociativeRecall,
    Counting,
    LinearFunctions,
    Majority,
)

__all__ = ["EXPERIMENTS"]

USUAL_START = (0.02,)  # of a transformer; the quick recipe's was found for Hyena
HYENA = RECIPES["quick"].model.mixer
KEEPERS = {  # of many keys at once
    "hyena": HYENA,
    "attention": "attention",
    "multi-head hyena": MultiHeadHyenaConfig(filter=SMOOTH, heads=8),
}
SHORT_FIRST = ((0.75, 32), (0.9, 128), (0.95, 512))
COMPARISONS: tuple[Comparison, ...] = (
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
        length_warmup=SHORT_FIRST,
    ),
    Experiment(
        "recall_rivals",
        "Recall over thousands of tokens: Hyena beside attention and the others.",
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
        stds=USUAL_START,
        training=replace(ONE_CYCLE, evaluate_every=120),
        length_warmup=SHORT_FIRST,
    ),
    Experiment(
        "mqar",
        "How many pairs can a layer of this width keep apart?",
        tuple(MQAR(32, 16, pairs) for pairs in (2, 4)),
        KEEPERS,
        widths=(16, 32, 64),
        stds=USUAL_START,
    ),
    Experiment(
        "plateau",
        "What do three times the steps change, where attention had learnt nothing?",
        (MQAR(32, 16, 2),),
        KEEPERS,
        stds=USUAL_START,
        steps=1200,
    ),
    Experiment(
        "reasoning",
        "Majority, counting, addition and functions in context.",
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
        stds=USUAL_START,
    ),
    Experiment(
        "ablation",
        "What recall loses without gate, short convolution or smooth start.",
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
        "The abstract's longest recall, for where a GPU is.",
        (AssociativeRecall(30, 131_072),),
        {"hyena": HYENA, "h3": "h3", "gss": "gss", "aft": "aft", "rwkv": "rwkv"},
        widths=(128,),
        stds=USUAL_START,
        steps=2000,
        tokens=2**20,
        length_warmup=((0.75, 32), (0.85, 512), (0.95, 8192)),
    ),
    TextExperiment(
        "lm-twins",
        "What does Hyena save beside a transformer of its size, on real text?",
        (
            Text("tinyshakespeare", 2048),
            Text("tinyshakespeare", 256, seeds=1),
            Text("python-docs", 2048, seeds=1),
            Text("python-docs", 256, seeds=1),
        ),
        {
            "hyena": HyenaConfig(),
            "transformer": AttentionConfig(),
            "transformer, short convolution": AttentionConfig(short_taps=3),
        },
    ),
)
EXPERIMENTS: dict[str, Comparison] = {made.name: made for made in COMPARISONS}
