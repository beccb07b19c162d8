"""The site: read from a folder, without a network, by mouse, keyboard and ear."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from bs4 import BeautifulSoup, Tag
from made_pictures import DOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import Browser, Page, expect
from website.build import build

from minihyena.explore import TurningHands

from .accessible import barriers

Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the notebooks as they are committed."""
    out = tmp_path_factory.mktemp("site")
    build(out, committed=True)
    return out


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one small notebook, which is run."""
    folder = tmp_path_factory.mktemp("moving")
    cells = [
        new_markdown_cell("# 99 · Hands\n\n*You will turn them.*\n\n## Play"),
        new_code_cell("from minihyena.explore import TurningHands\n\nTurningHands()"),
    ]
    png = {"image/png": DOT, "text/plain": "Published before."}
    cells[1].outputs = [new_output("execute_result", png, execution_count=1)]
    nbformat.write(new_notebook(cells=cells), folder / "99_hands.ipynb")
    build(folder / "site", folder)
    return folder / "site"


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Open a page; whatever it asks for outside its folder, or complains of, fails."""
    wrong: list[str] = []
    contexts = []

    def visit(page: Path, width: int = 1280, **options: object) -> Page:
        size = {"width": width, "height": 900}
        context = browser.new_context(viewport=size, **options)  # type: ignore[arg-type]
        contexts.append(context)
        made = context.new_page()
        made.on("console", lambda message: wrong.append(message.text))
        made.on("pageerror", lambda error: wrong.append(str(error)))
        made.on("request", lambda asked: wrong.extend(outside(asked.url, page.parent)))
        made.goto(page.as_uri())
        return made

    yield visit
    for context in contexts:
        context.close()
    assert wrong == []


def outside(url: str, folder: Path) -> list[str]:
    """The address, if it is neither in the folder nor in the page itself."""
    return [] if url.startswith((folder.as_uri(), "data:")) else [url]


@pytest.fixture(scope="module")
def soups(site: Path) -> dict[str, BeautifulSoup]:
    """File name -> its HTML."""
    return {
        path.name: BeautifulSoup(path.read_text("utf-8"), "html.parser")
        for path in sorted(site.glob("*.html"))
    }


def tags(soup: BeautifulSoup | Tag, name: str, **attributes: bool) -> list[Tag]:
    return list(soup.find_all(name, attributes))


# ---- what is written


def test_there_is_a_page_for_every_notebook_and_one_that_leads_to_all(
    site: Path, soups: dict[str, BeautifulSoup]
) -> None:
    sources = Path(__file__).parents[2] / "notebooks"
    written = {path.stem for path in [*sources.glob("*.ipynb"), *sources.glob("*.md")]}
    assert {f"{name}.html" for name in written} <= set(soups)
    linked = {str(link["href"]) for link in tags(soups["index.html"], "a", href=True)}
    assert {f"{name}.html" for name in written} <= linked


def test_every_link_and_every_place_in_a_page_is_there(
    site: Path, soups: dict[str, BeautifulSoup]
) -> None:
    places = {
        name: {str(tag["id"]) for tag in soup.find_all(id=True)}
        for name, soup in soups.items()
    }
    missing = []
    for name, soup in soups.items():
        for tag in soup.find_all(["a", "img", "link", "script"]):
            url = str(tag.get("href") or tag.get("src") or "")
            file, _, place = unquote(url).partition("#")
            if re.match(r"[a-z]+:", url):
                assert tag.name == "a" or url == "data:,", f"{name} would load {url}"
                continue
            there = not file or (site / file).exists()
            if not there or (place and place not in places[file or name]):
                missing.append(f"{name}: {url}")
    assert missing == []


def test_every_page_says_its_language_has_one_title_and_landmarks(
    soups: dict[str, BeautifulSoup],
) -> None:
    for name, soup in soups.items():
        assert soup.html is not None
        assert soup.html["lang"] == "en"
        assert len(tags(soup, "main")) == 1, name
        assert len(tags(soup, "h1")) == 1, name
        assert tags(soup, "nav") or name == "index.html", name
        ids = [tag["id"] for tag in soup.find_all(id=True)]
        assert len(ids) == len(set(ids)), name


def test_every_picture_says_what_it_shows_to_eyes_and_ears(
    soups: dict[str, BeautifulSoup],
) -> None:
    figures = 0
    for name, soup in soups.items():
        for picture in tags(soup, "img"):
            assert len(str(picture["alt"]).split()) > 3, f"{name}: {picture}"
        for figure in tags(soup, "figure"):
            caption = figure.find("figcaption")
            picture = figure.find("img")
            if isinstance(picture, Tag):
                assert isinstance(caption, Tag)
                assert caption.get_text() == picture["alt"]
                figures += 1
    assert figures > 20


def test_all_mathematics_is_written_as_mathml(soups: dict[str, BeautifulSoup]) -> None:
    formulas = 0
    for name, soup in soups.items():
        formulas += len(tags(soup, "math"))
        for silent in soup.find_all(["pre", "code", "script", "style"]):
            silent.decompose()
        assert "$" not in soup.get_text(), name
        assert "\\" not in soup.get_text(), name
    assert formulas > 500


# ---- what is seen and done


def test_no_page_complains_asks_the_net_or_scrolls_sideways_on_a_phone(
    visit: Visit, site: Path, soups: dict[str, BeautifulSoup]
) -> None:
    page = visit(site / "index.html", width=390)
    wide = []
    for name in soups:
        page.goto((site / name).as_uri())
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(name)
    assert wide == []


@pytest.mark.parametrize(
    ("name", "width", "theme"),
    [
        ("index.html", 1440, "light"),
        ("index.html", 390, "dark"),
        ("03_the_fourier_shortcut.html", 1440, "dark"),
        ("05_gating.html", 390, "light"),
        ("05_gating.slides.html", 1440, "light"),
        ("05_gating.slides.html", 390, "dark"),
    ],
)
def test_nothing_keeps_anybody_out(
    visit: Visit, site: Path, name: str, width: int, theme: str
) -> None:
    assert barriers(visit(site / name, width, color_scheme=theme)) == []


def test_search_finds_toeplitz_by_keyboard(visit: Visit, site: Path) -> None:
    page = visit(site / "index.html")
    page.keyboard.press("/")
    page.keyboard.type("Toeplitz")
    links = page.locator("#results a")
    expect(links.first).to_be_visible()
    found = re.compile(r"^\d+ places found, the first 12 shown$")
    expect(page.get_by_role("status")).to_have_text(found)
    expect(links).to_have_count(12)
    marked = page.locator("#results mark").all_inner_texts()
    assert {word.lower() for word in marked} == {"toeplitz"}
    assert barriers(page, "header") == []
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(links.nth(1)).to_be_focused()
    address = str(links.nth(1).get_attribute("href"))
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{address}")
    assert page.locator("main").inner_text().lower().count("toeplitz")


def test_a_word_that_only_a_heading_has_marks_nothing_else(
    visit: Visit, site: Path
) -> None:
    sections = json.loads((site / "search.js").read_text("utf-8")[18:-2])
    word = next(
        word
        for _, _, heading, text in sections
        for word in heading.lower().split()
        if word not in text.lower()
    )
    page = visit(site / "index.html")
    page.get_by_label("Search").fill(word)
    expect(page.locator("#results a").first).to_be_visible()
    marked = page.locator("#results mark").all_inner_texts()
    assert {each.lower() for each in marked} <= {word}


def test_search_marks_every_word_and_finds_what_stands_in_a_formula(
    visit: Visit, site: Path
) -> None:
    page = visit(site / "index.html", width=400)
    box = page.get_by_placeholder("Search the course")
    expect(box).to_be_visible()
    results, first = page.locator("#results"), page.locator("#results li").first
    box.fill("causal convolution")
    expect(results.locator("mark", has_text="causal").first).to_be_visible()
    expect(results.locator("mark", has_text="convolution").first).to_be_visible()
    box.fill("n log n")
    expect(first.locator("mark", has_text="log").first).to_be_visible()
    marked = results.locator("mark").all_inner_texts()
    assert {each.lower() for each in marked} == {"n", "log"}
    expect(first).to_contain_text("O(n log n)")
    box.fill("λ^2 u_{t-2}")
    expect(first).to_contain_text("y_t = u_t + λ u_{t-1} + λ^2 u_{t-2}")


def test_search_says_when_there_is_nothing(visit: Visit, site: Path) -> None:
    page = visit(site / "index.html")
    page.get_by_label("Search").fill("zzyzx")
    expect(page.locator("#results")).to_contain_text("Nothing found")
    page.keyboard.press("Escape")
    expect(page.locator("#results")).to_be_hidden()


def test_notebooks_follow_one_another(soups: dict[str, BeautifulSoup]) -> None:
    notebooks = [name for name in soups if re.match(r"\d\d_\w+\.html", name)]
    for way, names in (("next", notebooks), ("prev", notebooks[::-1])):
        links = [soups[name].find("a", rel=way) for name in names]
        led = [str(link["href"]) for link in links[:-1] if isinstance(link, Tag)]
        assert led == names[1:]
        assert links[-1] is None


def test_the_text_can_be_reached_past_the_navigation(visit: Visit, site: Path) -> None:
    page = visit(site / "05_gating.html")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the text")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_paper_gets_the_text_and_all_of_it(visit: Visit, site: Path) -> None:
    page = visit(site / "03_the_fourier_shortcut.html", width=700)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    for hidden in (".top", ".course", ".contents", ".neighbours", "footer"):
        expect(page.locator(hidden)).to_be_hidden()
    assert page.locator("details:not([open])").count() == 0
    cut = "e => e.scrollWidth > e.clientWidth + 1"
    assert page.locator("pre").evaluate_all(f"all => all.filter({cut}).length") == 0


def test_without_scripts_all_is_there_to_read(visit: Visit, site: Path) -> None:
    page = visit(site / "03_the_fourier_shortcut.html", java_script_enabled=False)
    expect(page.locator("figure img").first).to_be_visible()
    expect(page.locator("#query")).to_be_hidden()
    page.goto((site / "03_the_fourier_shortcut.slides.html").as_uri())
    expect(page.locator(".slide").last).to_be_visible()


# ---- pictures that move


def test_a_picture_is_drawn_when_it_comes_near_and_its_controls_move_it(
    visit: Visit, moving: Path
) -> None:
    hands = TurningHands()
    page = visit(moving / "99_hands.html")
    figure = page.locator("figure")
    caption, plot = figure.locator("figcaption"), figure.locator(".plot")
    expect(plot).to_have_attribute("aria-label", hands.describe())
    expect(figure.locator(".main-svg").first).to_be_visible()
    expect(figure.locator(".stage img")).to_be_hidden()
    assert barriers(page) == []

    hands.set("bin", hands.state()["bin"] + 1)
    figure.get_by_label("Bin k").press("ArrowRight")
    expect(caption).to_have_text(hands.describe())
    expect(plot).to_have_attribute("aria-label", hands.describe())

    hands.reset()
    hands.set("signal", "cosine")
    figure.get_by_label("Signal").select_option(label="cosine")
    expect(caption).to_have_text(hands.describe())  # the bin went back
    expect(figure).to_contain_text("the others go back to where they were first")

    hands.reset()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    expect(figure.locator(".stage img")).to_be_visible()
    expect(plot).to_be_hidden()
    expect(caption).to_have_text(hands.describe())


def test_a_picture_that_is_wider_than_a_phone_says_so(
    visit: Visit, moving: Path
) -> None:
    page = visit(moving / "99_hands.html", width=400)
    stage = page.locator(".stage.drawn")
    hint = "e => getComputedStyle(e, '::before').content"
    veil = "e => getComputedStyle(e).maskImage"
    expect(stage).to_have_attribute("tabindex", "0")
    assert "sideways" in stage.evaluate(hint)
    assert "gradient" in stage.evaluate(veil)
    stage.evaluate("e => e.scrollLeft = e.scrollWidth")
    expect(stage).not_to_have_class(re.compile("more"))
    assert stage.evaluate(veil) == "none"
    page.set_viewport_size({"width": 1280, "height": 900})
    expect(stage).not_to_have_attribute("tabindex", "0")
    assert stage.evaluate(hint) == "none"


def test_a_page_of_a_widget_stays_light(moving: Path) -> None:
    text = (moving / "99_hands.html").read_text("utf-8")
    assert 10_000 < len(text) < 1_000_000
    assert base64.b64decode(DOT) in [p.read_bytes() for p in moving.glob("images/*")]


# ---- slides


def test_slides_are_shown_one_by_one(visit: Visit, site: Path) -> None:
    page = visit(site / "05_gating.slides.html")
    shown = page.locator(".slide:visible")
    expect(shown).to_have_count(1)
    expect(shown.locator("h1")).to_have_text("05 · Gating: making a convolution listen")
    turn(page)
    expect(page.locator("#deck-place")).to_have_text(re.compile("^2 / "))
    expect(shown).to_have_attribute("id", "slide-2")
    page.keyboard.press("End")
    page.get_by_role("button", name="Previous slide").click()
    last = page.locator(".slide").count()
    expect(shown).to_have_attribute("id", f"slide-{last - 1}")
    page.reload()
    expect(shown).to_have_attribute("id", f"slide-{last - 1}")


def turn(page: Page) -> list[tuple[int, int]]:
    """Go to the next slide; the parts (top, bottom) that were seen of this one."""
    number, parts = page.locator(".now").get_attribute("id"), []
    while page.locator(".now").get_attribute("id") == number:
        top, height = page.locator(".now").evaluate(
            "e => [e.scrollTop, e.clientHeight]"
        )
        parts.append((top, top + height))
        page.keyboard.press("PageDown")
    return parts


def test_all_of_a_slide_is_shown_before_the_next(visit: Visit, site: Path) -> None:
    page = visit(site / "03_the_fourier_shortcut.slides.html")
    page.set_viewport_size({"width": 1280, "height": 720})
    longest = 0
    for _ in range(9):
        place, slide = page.locator("#deck-place"), page.locator(".now")
        height, seen = slide.evaluate("e => [e.scrollHeight, e.clientHeight]")
        bar = page.locator(".deck-bar").evaluate("e => e.getBoundingClientRect().top")
        assert seen <= bar
        told = re.compile("more below" if height > seen + 1 else r"^\d+ / \d+$")
        expect(place).to_have_text(told)
        parts = turn(page)
        assert parts[-1][1] >= height - 1
        assert all(below[0] < above[1] for above, below in pairwise(parts))
        longest = max(longest, len(parts))
    assert longest > 1
    number = page.locator(".now").get_attribute("id")
    page.keyboard.press("PageUp")
    expect(page.locator(".now")).not_to_have_attribute("id", str(number))


@pytest.mark.parametrize("width", [1024, 1280, 1920])
def test_no_slide_cuts_code_or_output(
    visit: Visit, site: Path, soups: dict[str, BeautifulSoup], width: int
) -> None:
    decks = [name for name in soups if name.endswith(".slides.html")]
    page = visit(site / decks[0], width, java_script_enabled=False)  # all at once
    cut = "all => all.filter(e => e.scrollWidth > e.clientWidth + 1).length"
    for name in decks:
        page.goto((site / name).as_uri())
        assert page.locator(".sheet pre").evaluate_all(cut) == 0, name


def test_answers_are_for_the_speaker(visit: Visit, site: Path) -> None:
    page = visit(site / "05_gating.slides.html")
    number = page.locator(".slide:has(.notes)").first.get_attribute("id")
    page.goto(f"{(site / '05_gating.slides.html').as_uri()}#{number}")
    notes = page.locator(f"#{number} .notes")
    expect(notes).to_be_hidden()
    page.keyboard.press("n")
    expect(notes).to_be_visible()
    assert page.locator(".sheet details").count() == 0


def test_words_on_slides_are_large(visit: Visit, site: Path) -> None:
    page = visit(site / "05_gating.slides.html", width=1600)
    sizes = page.locator(".sheet :is(p, li, pre)").evaluate_all(
        "all => all.map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 20
