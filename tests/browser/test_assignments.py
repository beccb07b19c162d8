"""An assignment in JupyterLab: as it is handed out, and with an answer in it."""

from pathlib import Path

import pytest

from minihyena.grading import assignments

from .laboratory import Notebook

RELEASE = Path(__file__).resolve().parents[2] / "notebooks" / "assignments" / "release"
NAMES = [
    f"assignments/release/{id}/{path.name}"
    for id in assignments
    for path in sorted((RELEASE / id).glob("*.ipynb"))
]
ANSWER = """
def conv_direct(u, h):
    y = torch.zeros_like(u)
    for s in range(min(len(h), u.shape[-1])):
        y[..., s:] += h[s] * u[..., : u.shape[-1] - s]
    return y

a1.check("routes", conv_direct, conv_matrix, conv_fft)
"""
EACH = pytest.mark.parametrize("notebook", NAMES, indirect=True)


@EACH
def test_a_release_runs_to_its_end_and_says_that_nothing_was_attempted(
    notebook: Notebook,
) -> None:
    assert notebook.faults() == []
    outputs = [cell["outputs"] for cell in notebook.code_cells().values()]
    texts = [str(one.get("text", "")) for shown in outputs for one in shown]
    assert any("not attempted, 0 of" in text for text in texts)
    assert not any(one["output_type"] == "error" for shown in outputs for one in shown)


@EACH
@pytest.mark.parametrize("width", [1280, 640])
def test_a_release_is_not_wider_than_its_page(notebook: Notebook, width: int) -> None:
    notebook.resize(width)
    wide = "e => e.scrollWidth - e.clientWidth"
    texts = notebook.page.locator(".jp-RenderedMarkdown, .jp-OutputArea-output")
    assert max(texts.evaluate_all(f"all => all.map({wide})")) <= 1
    notebook.resize()


@pytest.mark.parametrize("notebook", NAMES[:1], indirect=True)
def test_an_answer_is_told_what_it_is_worth(notebook: Notebook) -> None:
    said = notebook.run(ANSWER)
    assert "✗ Three routes that agree: 8 of 30 points." in said
    assert "✓  8 of  8  conv_direct is the definition" in said
    assert "not attempted: the stub is untouched" in said
    assert notebook.faults() == []
