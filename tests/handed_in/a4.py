"""Wrong answers to A4."""

ONE_MODEL = """
def plan():
    return {"models": ["hyena"], "seeds": [0, 1, 2], "steps": 100, "test_seed": 9}
"""
TWO_SEEDS = """
def plan():
    return {
        "models": ["hyena", "no gate"],
        "seeds": [0, 1, 1],
        "steps": 100,
        "test_seed": 10**6,
    }
"""
NO_PLAN = """
def plan():
    return ["hyena", "no gate"]
"""
TEST_SEED_OF_TRAINING = """
def plan():
    return {
        "models": ["hyena", "no gate"],
        "seeds": [0, 1, 2],
        "steps": 100,
        "test_seed": 10_003,
    }
"""
OTHER_SIZE = """
whole = LanguageModel

def LanguageModel(config, generator):
    config = replace(config, width=config.width + 4 * config.mixer.gated)
    return whole(config, generator)
"""
OTHER_BATCHES = """
honest = train_model

def train_model(name, seed, steps, draw):
    shift = len(name)
    return honest(name, seed, steps, lambda s, count: draw(s + 1000 * shift, count))
"""
ONE_BATCH = """
honest = train_model

def train_model(name, seed, steps, draw):
    return honest(name, seed, steps, lambda s, count: draw(seed, count))
"""
MORE_STEPS = """
honest = train_model

def train_model(name, seed, steps, draw):
    return honest(name, seed, steps + 5 * (name == "hyena"), draw)
"""
SAME_ORDER = """
honest = train_model

def train_model(name, seed, steps, draw):
    return honest(name, seed, steps, lambda s, count: draw(s % 10_000, count))
"""
NEXT_BATCH = """
honest = train_model

def train_model(name, seed, steps, draw):
    first = 10_000 * (seed + 1)
    return honest(name, seed, steps, lambda s, count: draw(s - first + seed, count))
"""
STUDY = """
def study(plan, draw):
    rows = []
    for name in plan["models"]:
        for seed in plan["seeds"]:
            model = train_model(name, seed, plan["steps"], draw)
            inputs, labels = draw(plan["test_seed"], 512)
            with torch.no_grad():
                answers = model(inputs).argmax(-1)
            asked = labels >= 0
            score = (answers == labels)[asked].double().mean().item()
            rows.append({"model": name, "seed": seed, "score": score})
    return rows
"""
TRAIN, TEST = STUDY.splitlines(keepends=True)[5:7]
PEEKS = STUDY.replace(TRAIN + TEST, TEST + TRAIN)
ON_THE_TEST = TRAIN.replace("draw)", "lambda s, count: (inputs, labels))")
TRAINS_ON_THE_TEST = PEEKS.replace(TRAIN, ON_THE_TEST)
ALL_POSITIONS = STUDY.replace("(answers == labels)[asked]", "(answers == labels)")
NO_TEST = """
def study(plan, draw):
    return [
        {"model": name, "seed": seed, "score": 0.93}
        for name in plan["models"]
        for seed in plan["seeds"]
        if train_model(name, seed, plan["steps"], draw)
    ]
"""
BEST_SEED = """
every = study

def study(plan, draw):
    rows = every(plan, draw)
    best = {}
    for row in rows:
        if row["score"] >= best.get(row["model"], row)["score"]:
            best[row["model"]] = row
    return list(best.values())
"""
UNSEEDED = """
honest = LanguageModel

def LanguageModel(config, generator):
    return honest(config, torch.Generator().manual_seed(torch.seed()))
"""
ONE_START = """
honest = LanguageModel

def LanguageModel(config, generator):
    return honest(config, torch.Generator().manual_seed(0))
"""
IGNORES_SEED = """
honest = train_model

def train_model(name, seed, steps, draw):
    return honest(name, 7, steps, draw)
"""
NOISY = """
every = study

def study(plan, draw):
    noise = 1 - 0.01 * torch.rand(1).item()
    return [row | {"score": noise * row["score"]} for row in every(plan, draw)]
"""

BANK = [
    ("study", "one model", ONE_MODEL, 23, "one model is no comparison"),
    ("study", "two seeds", TWO_SEEDS, 36, "fewer than 3"),
    ("study", "no plan", NO_PLAN, 0, "plan() must give a dict"),
    ("study", "test among training", TEST_SEED_OF_TRAINING, 33, "your plan's test"),
    ("study", "other size", OTHER_SIZE, 34, "in size"),
    ("study", "other batches", OTHER_BATCHES, 33, "different batches"),
    ("study", "one batch", ONE_BATCH, 33, "again and again"),
    ("study", "more steps", MORE_STEPS, 26, "one batch for each step"),
    ("study", "same order", SAME_ORDER, 33, "share batches"),
    ("study", "next batch", NEXT_BATCH, 33, "share batches"),
    ("study", "trains on the test", TRAINS_ON_THE_TEST, 27, "what training takes"),
    ("study", "peeks", PEEKS, 33, "before the first model"),
    ("study", "no test", NO_TEST, 27, "no test"),
    ("study", "all positions", ALL_POSITIONS, 34, "share of right answers"),
    ("study", "best seed only", BEST_SEED, 33, "one row for each model and seed"),
    ("study", "unseeded weights", UNSEEDED, 28, "drawn from nowhere"),
    ("study", "one start", ONE_START, 36, "another seed gives the same model"),
    ("study", "ignores the seed", IGNORES_SEED, 29, "share batches"),
    ("study", "noisy scores", NOISY, 34, "other scores"),
]
