"""The causality auditor shows what the audit found, of any operator."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from minihyena import LanguageModel, LMConfig, mixers
from minihyena.auditing import audit
from minihyena.explore import CausalityAuditor
from minihyena.model import drawing_from

pytestmark = pytest.mark.usefixtures("widget_errors_fail")


class Student(nn.Module):
    """A learner's own layer: no base class, nothing but (B, L, D) -> (B, L, D)."""

    causal = True

    def __init__(self, width=3):
        super().__init__()
        with drawing_from(torch.Generator().manual_seed(0)):
            self.conv = nn.Conv1d(width, width, 3, padding=1)

    def forward(self, u):
        return self.conv(u.mT).mT


@pytest.fixture
def auditor():
    return CausalityAuditor()


def test_it_shows_what_the_audit_says(auditor):
    for state, facts in auditor.sweep():
        op = auditor.ops[state["operator"]]
        generator = torch.Generator().manual_seed(0)
        loud = (1.0, 2.0, 4.0) * 4
        found = audit(
            op, 8, backgrounds=loud[: state["tries"]] or (0.0,), generator=generator
        )
        assert facts["audit"] == found
        s = state["changed"]
        moved = [t for t in range(8) if found.moves[t][s]]
        assert list(facts["moved"]) == moved
        assert list(facts["early"]) == [t for t in moved if t < s]
        only_facts = SimpleNamespace(facts=lambda facts=facts: facts)
        assert CausalityAuditor.describe(only_facts) == auditor.describe()


def test_the_sentence_counts_the_leaks_and_tells_of_one_input(auditor):
    said = auditor.describe()
    assert said.startswith(
        "“centred short convolution”: 7 of 28 (output, later input) pairs move; the "
        "first is output 0, moved by input 1, by "
    )
    assert said.endswith(
        "; changing input 4 moves outputs 3 to 5, and 3 came before it."
    )
    auditor.set("operator", "sum so far")
    assert "0 of 28 (output, later input) pairs move by more than" in auditor.describe()
    assert auditor.describe().endswith("; changing input 4 moves outputs 4 to 7.")


def test_a_gate_is_caught_on_many_backgrounds_only(auditor):
    auditor.set("operator", "gate that opens on content")
    caught = []
    for tries in auditor.controls["tries"]:
        auditor.set("tries", tries)
        caught.append(auditor.facts()["audit"].leaks)
    assert caught[0] == ()
    assert caught[-1] == ((1, 6),)


def test_leaks_are_hatched_in_the_square_and_in_the_bars(auditor):
    cells, hatching, signs, border, bars, early = auditor.figure.data
    leaks = auditor.facts()["audit"].leaks
    assert len(hatching.x) == 9 * len(leaks)
    centres = {
        (round(sum(y) / 2), round(sum(x) / 2))
        for x, y in (
            (hatching.x[i : i + 2], hatching.y[i : i + 2])
            for i in range(3, len(hatching.x), 9)
        )
    }
    assert centres == set(leaks)
    assert list(early.x) == [3]
    assert early.marker.pattern.shape == "/"
    assert sorted([*bars.x, *early.x]) == list(range(8))
    assert len(signs.x) == len(auditor.facts()["audit"].moved)
    assert set(border.x) - {None} == {3.5, 4.5}
    assert auditor.figure.layout.shapes[0].x1 == 3.5
    assert cells.customdata[0][1] == auditor.facts()["audit"].moves[0][1]


def test_a_learners_module_and_every_mixer_fit():
    own = CausalityAuditor(Student(), width=3, length=6)
    assert own.facts()["audit"].leaks == tuple((t, t + 1) for t in range(5))
    assert "calls itself causal" in own.details.value
    with drawing_from(torch.Generator().manual_seed(1)):
        built = {name: kind().build(8, 8) for name, kind in mixers.items()}
    shown = CausalityAuditor(built, width=8)
    for name in built:
        shown.set("operator", name)
        assert shown.facts()["audit"].causal


def test_a_model_of_ids_fits():
    model = LanguageModel(LMConfig(11, 16, 8), torch.Generator().manual_seed(0))
    shown = CausalityAuditor(model, vocab=11, length=5)
    assert shown.describe().startswith("“yours”: 0 of 10 (output, later input) pairs")
    assert shown.facts()["moved"] == (2, 3, 4)


def test_another_shape_is_refused_with_both():
    with pytest.raises(ValueError, match=r"\(11, 8, 1\) into \(11, 7, 1\)"):
        CausalityAuditor(lambda u: u[:, 1:])


def test_no_operator_at_all_is_refused():
    with pytest.raises(ValueError, match="nothing to choose from for 'Operator'"):
        CausalityAuditor({})


def test_the_table_tells_every_pair(auditor):
    header, rows = auditor._numbers()
    assert len(rows) == 64
    assert len(header) == 4
    verdicts = {(t, s): verdict for t, s, _, verdict in rows}
    assert verdicts[0, 1] == "leak"
    assert verdicts[1, 0] == "reads the past or the present"
    assert verdicts[0, 7] == "does not move"
