"""Write the site: `make site` runs every notebook and fills build/site/.

The pages link to each other and load nothing from elsewhere; they can be read from a
folder, without a server. `--committed` runs nothing: it shows the notebooks' files.
"""

import argparse
import json
import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from posixpath import normpath
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote

import plotly
from additions import (
    REPOSITORY,
    badges,
    binder,
    colab,
    divide,
    is_setup,
    mark_slides,
    open_elsewhere,
)
from hygiene import named, read
from jinja2 import Environment, FileSystemLoader
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_notebook
from publish import execute

from minihyena.explore.base import STILL
from minihyena.explore.style import STYLE

from .render import Writer, plain, slug

__all__ = ["build", "main"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OURS = {".html", ".js", ".css"}
INDEX = "window.SECTIONS = "
IMAGES = {".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp"}


@dataclass
class Slide:
    """What is on one screen, and what only the speaker sees."""

    shown: str = ""
    notes: str = ""


@dataclass
class Page:
    """A page of the site, made of a notebook or of a page of markdown."""

    source: Path
    cells: list[NotebookNode]
    title: str = ""
    promise: str = ""
    needs: str = ""
    time: str = ""
    body: str = ""
    slides: list[Slide] = field(default_factory=list)
    contents: list[tuple[str, str]] = field(default_factory=list)

    @property
    def file(self) -> str:
        return f"{self.source.stem}.html"

    @property
    def is_notebook(self) -> bool:
        return self.source.suffix == ".ipynb"

    @property
    def number(self) -> str:
        return self.title.partition(" · ")[0] if " · " in self.title else ""

    @property
    def name(self) -> str:
        return self.title.rpartition(" · ")[2]


class Site:
    """What the pages share: which there are, and where things are put."""

    def __init__(self, out: Path, sources: Iterable[Path]) -> None:
        self.out = out
        self.pages = [open_page(path) for path in sources]
        self.files = {page.source: page.file for page in self.pages}
        folder = FileSystemLoader(HERE)
        environment = Environment(loader=folder, autoescape=True, trim_blocks=True)
        self.template = environment.get_template("page.html")
        (out / "images").mkdir(parents=True)

    def writer(self, source: Path) -> Writer:
        """For one page: knows where its links lead and where its pictures go."""

        return Writer(lambda url: self.address(url, source), self.picture)

    def picture(self, data: bytes, suffix: str = ".png") -> str:
        """Keep it, named by what it holds; its address."""
        name = f"images/{sha256(data).hexdigest()[:16]}{suffix}"
        (self.out / name).write_bytes(data)
        return name

    def address(self, url: str, source: Path) -> str:
        """Where a link of `source` leads: a page here, a picture, or the repository."""
        path, _, place = url.partition("#")
        place = f"#{slug(unquote(place))}" if place else ""
        if re.match(r"[a-z]+:", url) or not path:
            return url if path else place
        target = Path(normpath(source.parent / unquote(path)))
        if target in self.files:
            return self.files[target] + place
        if target.suffix in IMAGES:
            return self.picture(target.read_bytes(), target.suffix)
        return f"{REPOSITORY}/blob/HEAD/{target.relative_to(ROOT).as_posix()}{place}"

    def write(self, file: str, **values: Any) -> None:
        text = self.template.render(pages=self.pages, repository=REPOSITORY, **values)
        (self.out / file).write_text(text, "utf-8")


def open_page(path: Path) -> Page:
    """Read a source; nothing of it is written yet."""
    if path.suffix == ".md":
        cells = [new_markdown_cell(path.read_text("utf-8"))]
        return Page(path, cells)
    notebook = read(path)
    divide(notebook)
    open_elsewhere(notebook, path.name)
    mark_slides(notebook)
    return Page(path, notebook.cells)


def run(page: Page) -> None:
    """Execute, and keep the committed pictures: they are of the same figures."""
    notebook = new_notebook(cells=page.cells)
    drawn = [output.data["image/png"] for output in pictures(page)]
    print(f"{page.source.name} ...", flush=True)
    execute(notebook, page.source.parent, static="site")
    page.cells = notebook.cells
    shown = pictures(page)
    if len(shown) != len(drawn):
        raise SystemExit(f"{page.source.name} was changed: first `make notebooks`")
    for output, png in zip(shown, drawn, strict=True):
        output.data["image/png"] = png


def pictures(page: Page) -> list[NotebookNode]:
    """The outputs that show a figure."""
    outputs = (o for cell in page.cells for o in cell.get("outputs", []))
    return [o for o in outputs if {"image/png", STILL} & set(o.get("data", {}))]


def fill(page: Page, writer: Writer) -> None:
    """Write a page's HTML, its contents and its slides."""
    title = page.cells[0]
    if page.is_notebook:
        title.source = title.source.replace(f"\n{badges(page.source.name)}\n", "")
        page.promise = writer.inline(found(r"^\*(.+)\*$", title.source))
        needs = found(r"^\*\*Prerequisites:\*\* (.+?)\.(?: |$)", title.source)
        links = re.findall(r"\[[^]]+\]\(\d\d_\w+\.ipynb\)", needs)
        page.needs = writer.inline(", ".join(links) or needs)
        page.time = found(r"^\*\*Time:\*\* (.+?)(?:, |$)", title.source)
    page.title = found("^# (.+)", title.source).replace("`", "")
    for cell in page.cells:
        try:
            html = "" if is_setup(cell) else writer.cell(cell)
        except Exception as error:
            where = f"{page.source.name}, cell {cell.id}"
            raise ValueError(f"{where} cannot be written: {error!r}") from error
        html = re.sub(r"^(<h1.*\n)<p><em>(.*?)</em>", r'\1<p class="promise">\2', html)
        page.body += html
        kind = cell.metadata.get("slideshow", {}).get("slide_type", "slide")
        if kind in ("slide", "subslide"):
            page.slides.append(Slide())
        if kind == "notes":
            page.slides[-1].notes += html
        elif kind != "skip":
            page.slides[-1].shown += html
    page.contents = [(own, html) for level, own, html in writer.headings if level == 2]


def found(pattern: str, text: str) -> str:
    """What stands in the brackets of the pattern, or nothing."""
    match = re.search(pattern, text, re.M)
    return match[1] if match else ""


def sections(page: Page) -> list[list[str]]:
    """For the search: address, page, heading and words of each part."""
    parts = re.split(r'<h[1-6] id="([^"]+)">(.*?)</h[1-6]>', page.body, flags=re.S)[1:]
    silent = r"<script.*?</script>|<pre class=\"output.*?</pre>"
    return [
        [
            f"{page.file}#{own}",
            page.title,
            plain(heading),
            plain(re.sub(silent, " ", text, flags=re.S)),
        ]
        for own, heading, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    ]


def build(
    out: Path,
    folder: Path = HERE.parent,
    names: Iterable[str] = (),
    committed: bool = False,
) -> None:
    """Make `out` the site of a folder of notebooks, once all of it is written.

    `names` are the beginnings of those notebooks that are run, all by default. A site
    that was there is replaced. Raises ValueError for a folder that holds anything else,
    for a beginning that no notebook has, and for a cell that cannot be written.
    """
    chosen, out = named(folder, names), out.resolve()
    if out.exists() and not is_site(out):
        raise ValueError(f"{out} holds something that is no site: nothing was written")
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent) as room:
        made, old = Path(room) / "made", Path(room) / "old"
        fill_folder(made, folder, [] if committed else chosen)
        if out.exists():
            out.rename(old)
        try:
            made.rename(out)
        except OSError:
            if old.exists():
                old.rename(out)
            raise


def is_site(out: Path) -> bool:
    """Whether a folder is empty, or holds what is written here and nothing else."""
    if not out.is_dir() or not any(out.iterdir()):
        return out.is_dir()
    ours = [path.name == "images" or path.suffix in OURS for path in out.iterdir()]
    index = out / "search.js"
    return all(ours) and index.exists() and index.read_text("utf-8").startswith(INDEX)


def fill_folder(out: Path, folder: Path, chosen: list[Path]) -> None:
    """Write every page and all they need; those of the chosen notebooks after a run."""
    site = Site(out, [*sorted(folder.glob("*.ipynb")), *sorted(folder.glob("*.md"))])
    for page in site.pages:
        if page.source in chosen:
            run(page)
        fill(page, site.writer(page.source))
    notebooks = [page for page in site.pages if page.is_notebook]
    around = [None, *notebooks, None]
    for page in site.pages:
        here: dict[str, Any] = {"page": page}
        if page.is_notebook:
            place = notebooks.index(page)
            here |= {"before": around[place], "after": around[place + 2]}
            here |= {"colab": colab(page.source.name)}
            here |= {"binder": binder(page.source.name)}
            site.write(f"{page.source.stem}.slides.html", slides=page.slides, **here)
        site.write(page.file, **here)
    readme = ROOT / "README.md"
    intro = readme.read_text("utf-8").partition("\n## ")[0].partition("\n")[2]
    site.write("index.html", intro=site.writer(readme).markdown(intro))
    index = [part for page in site.pages for part in sections(page)]
    text = json.dumps(index, ensure_ascii=False, separators=(",", ":"))
    (out / "search.js").write_text(f"{INDEX}{text};\n", "utf-8")
    style = STYLE.replace("<style>", "").replace("</style>", "")
    own = (HERE / "style.css").read_text("utf-8")
    (out / "style.css").write_text(style + own, "utf-8")
    shutil.copy(HERE / "page.js", out)
    script = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    shutil.copy(script, out)


def main(arguments: list[str] | None = None) -> int:
    """Build the site and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help='which to run, "09"; default: all')
    parser.add_argument("--committed", action="store_true", help="run nothing")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site")
    options = parser.parse_args(arguments)
    try:
        build(options.out, names=options.names, committed=options.committed)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    print(f"open {options.out / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
