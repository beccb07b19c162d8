"""Checks accept what is right, name what is wrong, and never stop a notebook.

`pytest tests/test_lessons.py -k running_mean` lists what an exercise lacks.
"""

import ast
import math
import pickle
import random
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from wrong_answers import (
    BANK,
    nb01,
    nb02,
    nb03,
    nb04,
    nb05,
    nb06,
    nb07,
    nb08,
    nb10,
    nb11,
    nb12,
)

from minihyena import (
    ImplicitConfig,
    ImplicitFilter,
    causal_conv,
    lessons,
    toeplitz,
)
from minihyena.lessons import Incorrect, NotAttempted, checking
from minihyena.lessons.comparing import attempt, show, truth
from minihyena.lessons.notebook_09.train_step import Descent
from minihyena.model import drawing_from

SEEDS = range(20)
ALL = pytest.mark.parametrize("ex", lessons.exercises.values(), ids=lambda ex: ex.id)
BANKED = pytest.mark.parametrize(
    ("id", "wrong", "keyword"),
    [
        pytest.param(id, wrong, keyword, id=f"{id}: {name}")
        for id, bank in BANK.items()
        for name, wrong, keyword in bank
    ],
)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def compiled(text, name):
    """The function that a cell with this text defines, after the notebook's imports."""
    cell = {"deepcopy": deepcopy, "math": math, "torch": torch}
    cell |= {"causal_conv": causal_conv, "toeplitz": toeplitz}
    cell |= {"ImplicitConfig": ImplicitConfig, "ImplicitFilter": ImplicitFilter}
    cell |= {"drawing_from": drawing_from, "replace": replace}
    cell |= {"conv": nb02.conv}  # which the notebook defines
    exec(text, cell)
    return cell[name]


def only_in_the_solution(ex):
    """The lines that a learner has to find, at least one."""
    known = ex.stub.splitlines()
    found = [line for line in ex.source.splitlines() if line and line not in known]
    assert found
    return found


def mean_by_matrix(u):
    seen = torch.ones(u.shape[-1], u.shape[-1], dtype=u.dtype).tril()
    return u @ (seen / seen.sum(-1, keepdim=True)).T


def moved_by_noise(mixer, t, length):
    u = torch.randn(length, dtype=torch.float64)
    v = u + 3 * torch.eye(length, dtype=torch.float64)[t]
    return ~torch.isclose(mixer(u), mixer(v))


def box_muller(n, *, generator):
    u, v = torch.rand(2, n, generator=generator, dtype=torch.float64)
    return (-2 * (1 - u).log()).sqrt() * (2 * math.pi * v).cos()


def windows_by_slices(ids, length):
    starts = range(len(ids) - length)
    inputs = [ids[i : i + length] for i in starts]
    return [torch.stack(inputs), torch.stack([ids[i + 1 :][:length] for i in starts])]


def step_by_gather(model, optimiser, batch):
    logs = model(batch[0]).log_softmax(-1)
    loss = -logs.gather(-1, batch[1][..., None]).mean()
    loss.backward()
    optimiser.step()
    model.zero_grad()
    return loss.item()


def sample_by_gumbel(logits, temperature, *, generator):
    noise = torch.rand(logits.shape, generator=generator, dtype=torch.float64)
    return (logits - temperature * (-noise.log()).log()).argmax(-1)


ALSO_RIGHT = {
    "00.running_mean": mean_by_matrix,
    "00.moved_outputs": lambda *args: moved_by_noise(*args).nonzero(),
    "00.count_pairs": lambda length: sum(range(length + 1)),
    "00.draw": box_muller,
    **nb01.ALSO_RIGHT,
    **nb02.ALSO_RIGHT,
    **nb03.ALSO_RIGHT,
    **nb04.ALSO_RIGHT,
    **nb05.ALSO_RIGHT,
    "06.hyena_operator": nb06.right,
    "06.as_paper": lambda h, d: [nb06.impulse(h)[0], *nb06.shifted(h, d)],
    "06.count_parameters": nb06.count_a_real_operator,
    "06.unit_gain": lambda h: h / torch.linalg.vector_norm(h, dim=-1)[:, None],
    "06.diagnose": nb06.by_elimination,
    **nb07.ALSO_RIGHT,
    **nb08.ALSO_RIGHT,
    "09.windows": windows_by_slices,
    "09.initial_loss": lambda vocab: torch.tensor(vocab).log(),
    "09.train_step": step_by_gather,
    "09.sample": sample_by_gumbel,
    "09.perplexity": lambda losses, counts: math.exp(
        np.average(losses.numpy(), weights=counts.numpy())
    ),
    **nb10.ALSO_RIGHT,
    **nb11.ALSO_RIGHT,
    **nb12.ALSO_RIGHT,
}


def mean_off_by(amount, dtype):
    def mean(u):
        return mean_by_matrix(u) + amount * (u.dtype == dtype)

    return mean


def step_off_by(amount, dtype):
    def step(model, optimiser, batch):
        loss = step_by_gather(model, optimiser, batch)
        return loss + amount * (next(model.parameters()).dtype == dtype)

    return step


def sample_half_greedy(logits, temperature, *, generator):
    drawn = sample_by_gumbel(logits, temperature, generator=generator)
    return torch.where(torch.arange(len(logits)) % 4 < 2, drawn, logits.argmax(-1))


# Right answers, off by ten times the tolerance of their check in one precision only.
TOO_FAR = {
    "00.running_mean": [
        mean_off_by(1e-4, torch.float32),
        mean_off_by(1e-9, torch.float64),
    ],
    "00.moved_outputs": [lambda *args: [*moved_by_noise(*args).nonzero(), 0]],
    "00.count_pairs": [lambda length: length * (length + 1) // 2 + 1],
    "00.draw": [lambda n, *, generator: box_muller(n, generator=generator) + 0.8],
    **nb01.TOO_FAR,
    **nb02.TOO_FAR,
    **nb03.TOO_FAR,
    **nb04.TOO_FAR,
    **nb05.TOO_FAR,
    "06.hyena_operator": [
        lambda v, *stages: nb06.right(v, *stages) + 1e-3 * v,
        nb06.half_tracked,
    ],
    "06.as_paper": [
        lambda h, d: torch.cat([nb06.impulse(h), nb06.shifted(h, d) + 1e-4 * h])
    ],
    "06.count_parameters": [lambda *sizes: nb06.true_count(*sizes) + 1],
    "06.unit_gain": [lambda h: h / h.norm(dim=-1, keepdim=True) * (1 + 2e-4)],
    "06.diagnose": [nb06.with_open_gates],
    **nb07.TOO_FAR,
    **nb08.TOO_FAR,
    "09.windows": [lambda *args: [part + 1 for part in windows_by_slices(*args)]],
    "09.initial_loss": [lambda vocab: math.log(vocab) + 1e-4 * math.log(vocab + 1)],
    "09.train_step": [
        step_off_by(1e-3, torch.float32),
        step_off_by(1e-8, torch.float64),
    ],
    "09.sample": [sample_half_greedy],
    "09.perplexity": [lambda *args: ALSO_RIGHT["09.perplexity"](*args) * (1 + 1e-4)],
    **nb10.TOO_FAR,
    **nb11.TOO_FAR,
    **nb12.TOO_FAR,
}


@pytest.fixture(autouse=True)
def _new_kernel():
    lessons.forget()


@ALL
def test_a_record_is_complete(ex):
    assert ex.id == f"{ex.notebook}.{ex.name}"
    assert ex.answer.__name__ == ex.name
    assert ex.objective.endswith(".")
    assert len(ex.hints) >= 2
    assert ex.hints[0].endswith("?"), "the first hint is a question"
    assert 1 <= ex.stars <= 3
    assert ex.points > 0
    assert ex.minutes > 0
    names = [name for name, _, _ in BANK[ex.id]]
    assert len(names) >= 5
    assert {"zeros", "identity", "None"} <= set(names)
    assert ex.id in ALSO_RIGHT
    assert ex.id in TOO_FAR


@ALL
def test_the_solution_passes_under_twenty_seeds(ex):
    for seed in SEEDS:
        ex.verify(ex.answer, generator=seeded(seed))


@ALL
def test_a_differently_written_answer_passes_under_twenty_seeds(ex):
    for seed in SEEDS:
        ex.verify(ALSO_RIGHT[ex.id], generator=seeded(seed))


@ALL
def test_a_right_answer_off_by_ten_tolerances_fails(ex):
    for far in TOO_FAR[ex.id]:
        for seed in SEEDS:
            with pytest.raises(Incorrect):
                ex.verify(far, generator=seeded(seed))


@ALL
def test_the_printed_solution_is_correct_as_a_cell(ex):
    ex.verify(compiled(ex.source, ex.name))


@ALL
def test_the_stub_is_a_cell_without_types_that_reports_not_attempted(ex):
    stub = compiled(ex.stub, ex.name)
    assert stub.__doc__ == ex.answer.__doc__
    assert not stub.__annotations__
    assert ex.stub.endswith("    raise NotImplementedError")
    for node in ast.walk(ast.parse(ex.stub)):
        if isinstance(node, ast.FunctionDef):
            *doc, last = node.body
            assert len(doc) == (ast.get_docstring(node) is not None)
            assert ast.unparse(last) == "raise NotImplementedError"
    assert not any(line.strip() in ex.stub for line in only_in_the_solution(ex))
    with pytest.raises(NotAttempted):
        ex.verify(stub)


@ALL
def test_dots_instead_of_an_answer_are_no_attempt(ex):
    with pytest.raises(NotAttempted):
        ex.verify(lambda *args, **options: ...)
    with pytest.raises(NotAttempted):
        ex.verify(...)


@BANKED
def test_a_wrong_answer_is_named_and_again_in_the_same_words(id, wrong, keyword):
    words = []
    for seed in (0, 1, 0):
        with pytest.raises(Incorrect) as caught:
            lessons.exercise(id).verify(wrong, generator=seeded(seed))
        assert keyword in caught.value.misconception
        assert caught.value.given, "the smallest failing input is shown"
        assert caught.value.question.endswith("?")
        words.append(str(caught.value))
        torch.rand(1)  # the world moves on in between
    assert words[0] == words[2]


def test_tensors_that_are_given_must_stay_and_the_list_around_them_is_ones_own():
    def pops(parts):
        return parts.pop() + 0

    def scales(parts):
        return parts[0].mul_(2)

    given = [torch.ones(2), torch.zeros(2)]
    assert torch.equal(attempt(pops, given), torch.zeros(2))
    with pytest.raises(Incorrect, match="in place"):
        attempt(scales, given)
    assert len(given) == 2


@ALL
def test_a_check_tells_apart_every_mistake_it_knows_and_keeps_the_solution(
    ex, capsys, monkeypatch
):
    known, made = set(), set()

    def explains(mistake, failures, explains=checking._explains):
        known.add(mistake.sentence)
        found = explains(mistake, failures)
        made.update({mistake.sentence} if found else ())
        return found

    monkeypatch.setattr(checking, "_explains", explains)
    for _, wrong, _ in BANK[ex.id]:
        ex.check(wrong)
    assert known == made, "each is made by a wrong answer of the bank"
    printed = capsys.readouterr().out
    told = [line for line in printed.splitlines() if line.startswith("✗ Incorrect: ")]
    assert len(told) == len(BANK[ex.id])
    assert len(set(told)) >= 3
    assert not any(line.strip() in printed for line in only_in_the_solution(ex))
    assert show(torch.arange(9.0)) == "[0, 1, 2, 3, 4, 5, 6, 7, …]"
    assert show(-torch.zeros(2)) == "[0, 0]"
    shown = [line for line in printed.splitlines() if line.startswith("  got")]
    assert all(line.count(",") <= 9 for line in shown)


@ALL
def test_a_check_leaves_the_global_random_states_untouched(ex):
    def reseed(*args, **options):
        torch.manual_seed(1)
        np.random.seed(1)
        random.seed(1)
        return ex.answer(*args, **options)

    before = torch.get_rng_state(), np.random.get_state()[1], random.getstate()
    ex.check(reseed)
    ex.check(ex.answer)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])
    assert before[2] == random.getstate()


def test_the_outcome_of_a_check_is_a_symbol_a_word_and_a_message(capsys):
    ex = lessons.exercise("00.running_mean")
    ex.check(compiled(ex.stub, ex.name))
    assert capsys.readouterr().out.startswith("○ Not attempted: running_mean ")
    ex.check(lambda u: u.cumsum(-1) / u.shape[-1])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("✗ Incorrect: at t = 0 one value has been seen")
    assert [line.split()[0] for line in lines[1:4]] == ["given", "expected", "got"]
    assert lines[4] == "  How many values has step t seen?"
    assert lines[1].endswith("shape (2,)"), "length 1 is right by luck, 2 is not"
    ex.check(ex.answer)
    assert capsys.readouterr().out == "✓ Correct: running_mean passes every case.\n"


def test_a_check_never_raises(capsys):
    class Odd(torch.Tensor):
        @classmethod
        def __torch_function__(cls, *args, **options):
            raise LookupError("odd")

    ex = lessons.exercise("00.running_mean")
    oddities = [
        None,
        3,
        "text",
        ex.answer(torch.ones(2)),
        lambda: 1,
        lambda u: object(),
    ]
    for fn in (*oddities, lambda u: torch.ones(2).as_subclass(Odd), lambda u: {}):
        ex.check(fn)
    assert capsys.readouterr().out.count("✗ Incorrect") == len(oddities) + 2


def test_calling_the_function_inside_check_is_explained():
    with pytest.raises(Incorrect, match="itself"):
        lessons.exercise("00.count_pairs").verify(36)


def test_an_error_of_torch_is_a_crash_and_not_an_untouched_stub():
    ex = lessons.exercise("00.draw")
    with pytest.raises(Incorrect, match="NotImplementedError"):
        ex.verify(lambda n, *, generator: torch.randn(n, dtype=torch.long))


def test_a_mistake_is_named_only_if_it_reproduces_every_failing_case():
    def sum_sometimes(u):
        mean = lessons.exercise("00.running_mean").answer(u)
        return u.cumsum(-1) if u.dim() == 1 else mean + 1

    with pytest.raises(Incorrect) as caught:
        lessons.exercise("00.running_mean").verify(sum_sometimes)
    assert "the sum so far" not in caught.value.misconception


def test_a_right_number_of_the_wrong_type_is_told_by_its_type():
    span = lessons.exercise("12.context_span")
    count = lessons.exercise("02.free_parameters")

    def with_a_slash(kind, n):
        return n * (n + 1) / 2 if "lower" in kind else count.answer(kind, n)

    for ex, other in (
        (span, lambda lengths: float(span.answer(lengths))),
        (span, lambda lengths: span.answer(lengths) if lengths else 1.0),
        (count, with_a_slash),
    ):
        with pytest.raises(Incorrect, match="of type float, not int"):
            ex.verify(other)


def test_yes_and_no_are_understood_from_whoever_says_them():
    for yes in (True, torch.tensor(True), torch.tensor([True]), np.True_):
        assert truth(yes) is True
    for no in (False, torch.tensor(False), np.bool_(False), np.array(False)):
        assert truth(no) is False
    with pytest.raises(Incorrect, match="3 times yes or no"):
        truth(torch.ones(3) > 0)
    for neither in (1, 0.0, None, "yes", torch.ones(()), np.ones(2)):
        with pytest.raises(Incorrect, match="not bool"):
            truth(neither)


def test_inputs_drawn_otherwise_and_many_at_once_find_leaks_as_well():
    def whole_numbers(op, length, *, generator):
        for _ in range(20):
            u, v = torch.randint(-9, 10, (2, length), generator=generator).float()
            for now in range(1, length):
                moved = op(torch.cat([u[:now], v[now:]])) - op(u)
                if moved[:now].abs().max() > 1e-4:
                    return False
        return True

    def at_once(op, length, *, generator):
        u, v = torch.randn(2, 50, length, generator=generator)
        for now in range(1, length):
            changed = torch.cat([u[:, :now], v[:, now:]], 1)
            moved = torch.vmap(op)(changed) - torch.vmap(op)(u)
            if moved[:, :now].abs().max() > 1e-4:
                return False
        return True

    for right in (whole_numbers, at_once):
        for seed in range(5):
            lessons.exercise("02.is_causal").verify(right, generator=seeded(seed))


def test_hints_come_one_by_one_and_the_last_one_stays(capsys):
    ex = lessons.exercise("09.sample")
    for _ in range(3):
        ex.hint()
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == f"Hint 1 of 2: {ex.hints[0]}"
    assert second == third == f"Hint 2 of 2: {ex.hints[1]}"


def test_the_solution_wants_one_real_attempt_or_force(capsys):
    ex = lessons.exercise("00.count_pairs")
    ex.check(compiled(ex.stub, ex.name))
    ex.solution()
    assert ex.source not in capsys.readouterr().out
    ex.solution(force=True)
    assert ex.source in capsys.readouterr().out
    ex.solution()
    assert ex.source not in capsys.readouterr().out, "force opens it only once"
    ex.check(lambda length: 0)
    ex.solution()
    assert ex.source in capsys.readouterr().out


def test_later_cells_get_a_correct_function_or_the_librarys(capsys):
    ex = lessons.exercise("00.running_mean")
    assert ex.or_library(mean_by_matrix) is mean_by_matrix
    assert ex.or_library(lambda u: u).answer is ex.answer
    assert ex.or_library(compiled(ex.stub, ex.name)).answer is ex.answer
    assert capsys.readouterr().out.splitlines() == [
        "running_mean: your function is used from here on.",
        "running_mean: the library's version is used (yours: incorrect).",
        "running_mean: the library's version is used (yours: not attempted).",
    ]


def test_an_unknown_exercise_names_the_nearest_first():
    with pytest.raises(ValueError, match=r"nearest first: 00\.running_mean,"):
        lessons.exercise("00.runing_mean")


def test_an_incorrect_outcome_survives_another_process():
    first = Incorrect("why", "u = 1", "2", "3", "How?")
    assert str(pickle.loads(pickle.dumps(first))) == str(first)


def test_a_prediction_and_the_fact_stand_side_by_side(capsys):
    lessons.predict("00.pairs", "How many pairs?", answer=64)
    lessons.confront("00.pairs", 36)
    assert capsys.readouterr().out.splitlines()[2:] == [
        "How many pairs?",
        "  predicted  64",
        "  actual     36",
        "  ≠ not as predicted",
    ]


def test_running_ahead_without_a_prediction_is_noted(capsys):
    lessons.predict("00.pairs", "How many pairs?", answer=...)
    lessons.confront("00.pairs", 36)
    assert capsys.readouterr().out.count("no prediction recorded") == 2


@pytest.mark.parametrize(
    ("answer", "fact", "tolerance"),
    [
        (4.17, math.log(65), 0.01),
        ([3, 4, 5], torch.tensor([3, 4, 5]), 0),
        ({5, 4, 3}, range(3, 6), 0),
        (" Yes", "yes", 0),
        (True, True, 0),
    ],
)
def test_a_prediction_comes_true_however_it_is_typed(answer, fact, tolerance, capsys):
    lessons.predict("00.x", "What?", answer=answer)
    lessons.confront("00.x", fact, tolerance=tolerance)
    assert capsys.readouterr().out.endswith("  = as predicted\n")


@pytest.mark.parametrize(
    ("answer", "fact"),
    [(4.17, math.log(65)), ([3], [3, 4]), ("no", "yes"), (3, "three")],
)
def test_another_answer_does_not_come_true(answer, fact, capsys):
    lessons.predict("00.x", "What?", answer=answer)
    lessons.confront("00.x", fact)
    assert capsys.readouterr().out.endswith("  ≠ not as predicted\n")


def test_a_prediction_cannot_be_improved_after_the_reveal(capsys):
    lessons.predict("00.pairs", "How many pairs?", answer=64)
    lessons.confront("00.pairs", 36)
    lessons.predict("00.pairs", "How many pairs?", answer=36)
    assert capsys.readouterr().out.endswith("the prediction made before it stands.\n")
    assert "64" in lessons.summary_text("00")
    lessons.confront("00.late", 36)
    lessons.predict("00.late", "And at 8?", answer=36)
    assert "36 (after the reveal)" in lessons.summary_text("00")


def test_running_cells_again_changes_nothing(capsys):
    def cells():
        lessons.predict("00.pairs", "How many pairs?", answer=36)
        lessons.exercise("00.count_pairs").check(lambda length: length)
        lessons.confront("00.pairs", 36)
        lessons.summary("00")
        return capsys.readouterr().out

    assert cells() == cells()


def test_the_summary_counts_predictions_and_checks(capsys):
    lessons.predict("00.pairs", "How many pairs?", answer=36)
    lessons.predict("00.moved", "Which outputs move?", answer=...)
    lessons.predict("09.first", "The first loss?", answer=4.17)
    lessons.confront("00.pairs", 36)
    ex = lessons.exercise("00.count_pairs")
    ex.check(ex.answer)
    lessons.exercise("00.draw").check(lambda n, *, generator: None)
    capsys.readouterr()
    lessons.summary("00")
    assert capsys.readouterr().out.splitlines() == [
        "Predictions",
        "  = How many pairs?",
        "      predicted  36",
        "      actual     36",
        "  ○ Which outputs move?",
        "      predicted  no prediction recorded",
        "      actual     not revealed yet",
        "Exercises",
        "  ○ running_mean: not attempted",
        "  ○ moved_outputs: not attempted",
        "  ✓ count_pairs: correct",
        "  ✗ draw: incorrect",
        "1 of 2 predictions recorded, 1 as it came out.",
        "1 of 4 checks passed.",
    ]


def test_a_summary_of_an_unknown_notebook_is_an_error():
    with pytest.raises(ValueError, match="known: 00, "):
        lessons.summary("77")


def test_the_optimiser_of_the_check_is_the_one_of_torch():
    start = torch.randn(4, 3, generator=seeded(0))
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    pairs = [
        (ours, Descent([ours], 0.1, 0.9)),
        (theirs, torch.optim.SGD([theirs], lr=0.1, momentum=0.9)),
    ]
    for _ in range(3):
        for weights, optimiser in pairs:
            optimiser.zero_grad()
            weights.pow(4).sum().backward()
            optimiser.step()
    torch.testing.assert_close(ours, theirs)


def test_one_batch_is_learned_by_heart_in_the_check():
    last = []

    def step(model, optimiser, batch):
        last.append(lessons.exercise("09.train_step").answer(model, optimiser, batch))
        return last[-1]

    lessons.exercise("09.train_step").verify(step)
    assert last[-1] < 0.1


def test_the_librarys_version_checked_again_is_no_attempt(capsys):
    ex = lessons.exercise("00.running_mean")
    mine = ex.or_library(compiled(ex.stub, ex.name))
    u = torch.arange(4.0)
    assert torch.equal(mine(u), ex.answer(u))
    ex.check(mine)
    assert "Not attempted: this is the library's version" in capsys.readouterr().out
    ex.check(lambda u: u)
    ex.check(ex.or_library(lambda u: u))
    assert ex.progress.outcome == "incorrect"
    with pytest.raises(lessons.NotAttempted):
        ex.verify(mine)
