"""Trains data/checkpoints/recall.safetensors, in about half a minute on two cores.

python data/make_recall.py
"""

from pathlib import Path

import torch

from minihyena import checkpoints, tasks, train
from minihyena.benchmark import provenance
from minihyena.corpora import CharacterTokenizer
from minihyena.experiments import RECIPES
from minihyena.options import to_fields

TASK = tasks.AssociativeRecall(vocab_size=12, length=128)  # five keys, five values
LETTERS = CharacterTokenizer(".0123456789>")  # its ids, ">" for "=>"
SEED, STEPS = 0, 300

recipe, generator = RECIPES["quick"], torch.Generator().manual_seed(SEED)
model = recipe.build(TASK, generator)
config = recipe.train_config(TASK, steps=STEPS)
*_, last = train(model, tasks.Examples(TASK.for_training), config, generator=generator)
test = TASK.batch(1000, generator=torch.Generator().manual_seed(SEED + 1))
notes = {
    "task": {"kind": "AssociativeRecall"} | to_fields(TASK, {}),
    "licence": "Apache-2.0, as the project; the examples are drawn, not collected",
    "training": to_fields(config, {}),
    "seed": SEED,
    "command": "python data/make_recall.py",
    "loss": last.validation_loss,
    "right": TASK.test(model, test),  # share of 1,000 examples that it never saw
    **provenance(),
}
out = Path(__file__).parent / "checkpoints" / "recall.safetensors"
checkpoints.save(out, model, LETTERS, notes)
print(f"{notes['right']:.1%} of 1,000 test examples, written to {out}")
