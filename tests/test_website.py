"""The writer of the site takes nothing away before it has something to put there."""

import base64
from pathlib import Path

import nbformat
import pytest
from made_pictures import DOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from website.build import build, main
from website.render import Writer, plain

from minihyena.explore.base import STILL

PIXEL = base64.b64decode(DOT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two notebooks to write a site of, each with a picture.png of its own."""
    for number in ("01", "02"):
        here = tmp_path / "notebooks" / f"images{number}"
        here.mkdir(parents=True)
        (here / "picture.png").write_bytes(PIXEL + number.encode())
        cells = [
            new_markdown_cell(
                f"# {number} · One\n\n![A dot](images{number}/picture.png)"
            ),
            new_code_cell("1 + 1"),
        ]
        path = tmp_path / "notebooks" / f"{number}_one.ipynb"
        nbformat.write(new_notebook(cells=cells), path)
    return tmp_path / "notebooks"


def spoil(folder: Path, source: str) -> None:
    """Put a cell with this text into the second notebook."""
    path = folder / "02_one.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells.append(new_markdown_cell(source, id="spoilt"))
    nbformat.write(notebook, path)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_pictures_of_one_name_are_two(folder: Path, tmp_path: Path) -> None:
    build(tmp_path / "site", folder, committed=True)
    kept = {path.read_bytes() for path in (tmp_path / "site" / "images").iterdir()}
    assert kept >= {PIXEL + b"01", PIXEL + b"02"}


def test_a_site_is_replaced_and_any_other_folder_is_left_alone(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "site"
    build(out, folder, committed=True)
    (folder / "02_one.ipynb").unlink()
    build(out, folder, committed=True)
    assert not (out / "02_one.html").exists()
    home = tmp_path / "home"
    home.mkdir()
    build(home, folder, committed=True)  # an empty folder will do

    for name in ("other", "site"):
        (other := tmp_path / name).mkdir(exist_ok=True)
        (other / "thesis.txt").write_text("mine")
        before = contents(other)
        with pytest.raises(ValueError, match="holds something that is no site"):
            build(other, folder, committed=True)
        assert contents(other) == before
    with pytest.raises(ValueError, match="holds something that is no site"):
        build(other / "thesis.txt", folder, committed=True)


def test_the_folder_one_stands_in_and_a_link_to_a_site_are_filled(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "site", folder, committed=True)
    monkeypatch.chdir(tmp_path / "site")
    build(Path("."), folder, committed=True)
    (tmp_path / "link").symlink_to(tmp_path / "site")
    build(tmp_path / "link", folder, committed=True)
    assert (tmp_path / "link" / "01_one.html").exists()


def test_if_the_new_site_cannot_be_put_there_the_old_one_comes_back(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, rename = tmp_path / "site", Path.rename
    build(out, folder, committed=True)
    before = contents(out)

    def refused(self: Path, target: Path) -> Path:
        if self.name == "made":
            raise PermissionError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(PermissionError):
        build(out, folder, committed=True)
    assert contents(out) == before


def test_what_cannot_be_written_is_named_and_the_old_site_stays(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "site"
    build(out, folder, committed=True)
    before = contents(out)
    monkeypatch.setattr("website.render.convert", lambda *args, **options: 1 / 0)
    spoil(folder, r"Then $\frac{$ follows.")
    with pytest.raises(ValueError, match=r"^02_one.ipynb, cell spoilt cannot be writt"):
        build(out, folder, committed=True)
    assert contents(out) == before
    assert {path.name for path in tmp_path.iterdir()} == {"notebooks", "site"}


def test_a_folder_of_somebody_else_is_refused_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(SystemExit) as ended:
        main(["--committed", "--out", str(tmp_path)])
    assert ended.value.code == 2
    assert "nothing was written" in capsys.readouterr().err


def test_code_of_a_language_that_nobody_knows_is_shown_as_it_is(
    folder: Path, tmp_path: Path
) -> None:
    spoil(folder, "```klingon\nnuqneH < 1\n```")
    build(tmp_path / "site", folder, committed=True)
    assert "nuqneH &lt; 1" in (tmp_path / "site" / "02_one.html").read_text("utf-8")


def test_a_notebook_needs_those_that_its_first_sentence_names(
    folder: Path, tmp_path: Path
) -> None:
    needs = "[01 · One](01_one.ipynb), where you began. Of [two](02_one.ipynb) nothing."
    path = folder / "02_one.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells[0].source += f"\n\n**Prerequisites:** {needs}"
    nbformat.write(notebook, path)
    build(tmp_path / "site", folder, committed=True)
    text = (tmp_path / "site" / "index.html").read_text("utf-8")
    assert '<b>Needs</b> <a href="01_one.html">01 · One</a></span>' in text


def test_search_reads_words_apart_and_formulas_as_they_are_typed() -> None:
    html = Writer(str).markdown(
        "Of `a_b`*c*, $\\mathsf{S}_h$ and $e^{i\\theta}$.\n\n- $L \\log L < L^2$\n"
        "- $\\tfrac n2$\n\n| one | two |\n|---|---|\n| $\\hat{x}$ | y |"
    )
    joined = f'<p class="label">Yours</p><pre>def f</pre>{html}'
    words = "Yours def f Of a_bc, S_h and e^{iθ}. L log L < L^2 n/2 one two x̂ y"
    assert plain(joined) == words


def test_words_in_a_figure_cannot_end_or_comment_out_its_page() -> None:
    still = {"title": "<!-- <script> </script>", "notice": ""}
    data = {"image/png": DOT, STILL: still}
    html = Writer(str).figure(nbformat.from_dict(data), "", "")
    inside = html.partition('json">')[2].partition("</script>")[0]
    assert '"title"' in inside
    assert "<" not in inside
