"""Markdown, mathematics, code and outputs as HTML: no script, no network."""

import json
import re
import struct
from base64 import b64decode
from collections.abc import Callable
from html import escape, unescape
from typing import Any

from latex2mathml.converter import convert
from latex2mathml.symbols_parser import convert_symbol
from mistune import import_plugin
from nbconvert.filters.markdown_mistune import (
    IPythonRenderer,
    MarkdownWithMath,
    MathBlockParser,
)
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from minihyena.explore.base import STILL

__all__ = ["Writer", "mathml", "plain", "slug"]

FUNCTION = re.compile(r"(</\w+>)?((?:<msub>|<msup>)?)<mi>(log|ln|sin|cos|exp)</mi>")
BARE = re.compile(r"\\(math\w+|text|overline)\s+(\w)")  # \mathsf S, without braces
BIG = re.compile(r"\\[bB]ig[lr]?(?![a-zA-Z])")
FRACTION = re.compile(r"\\[td]?frac *(\{.+?\}|\w) *(\{.+?\}|\w)")
STYLE = re.compile(r"\\(?:math\w+|text|operatorname|left|right)\b *(?:\{(.*?)\})?")
IN_LINE = "a|b|code|em|i|span|strong|sub|sup"  # what leaves no gap between words


def plain(html: str) -> str:
    """The words of some HTML, formulas as one types them."""
    html = re.sub(
        r'<math alttext="(.*?)".*?</math>',
        lambda math: escape(typed(unescape(math[1]))),
        html,
        flags=re.S,
    )
    html = re.sub(rf"</?(?:{IN_LINE})\b[^>]*>", "", html)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def typed(tex: str) -> str:
    """TeX on a line of text: n \\log n is n log n, e^{i\\theta} is e^{iθ}."""

    def symbol(found: re.Match[str]) -> str:
        known = convert_symbol(found[0])
        return chr(int(known, 16)) if known else found[1]

    tex = FRACTION.sub(r"\1/\2", STYLE.sub(r"\1", BIG.sub("", tex)))
    tex = re.sub(r"\\q?quad\b|\\[^a-zA-Z]", " ", tex)
    tex = re.sub(r"\\([a-zA-Z]+)", symbol, tex)
    tex = re.sub(r"([\u0300-\u036f]) *\{?(\w)\}?", r"\2\1", tex)  # a hat or a bar
    return re.sub(r"\{(.)\}", r"\1", tex)


def slug(text: str) -> str:
    """The id of a heading; the same from its words and from a link as Lab makes it."""
    return re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")


def mathml(tex: str, display: str = "inline") -> str:
    """TeX as MathML: \\log and its like are given their room, sizes find themselves."""

    def spaced(found: re.Match[str]) -> str:
        before, script, name = found[1] or "", found[2], found[3]
        left = "0" if before in ("", "</mo>") else "0.17em"
        return f'{before}{script}<mo lspace="{left}" rspace="0.17em">{name}</mo>'

    tex = tex.strip()
    html = convert(BIG.sub("", BARE.sub(r"\\\1{\2}", tex)), display=display)
    html = FUNCTION.sub(spaced, html)
    for function in ("log", "ln", "sin", "cos", "exp"):  # no room before a bracket
        html = html.replace(
            f'rspace="0.17em">{function}</mo><mo stretchy="false">&#x00028;',
            f'rspace="0">{function}</mo><mo stretchy="false">&#x00028;',
        )
    return html.replace("<math ", f'<math alttext="{escape(tex)}" ', 1)


def code(source: str, language: str = "python") -> str:
    """Coloured by kinds of words; the colours are in style.css."""
    try:
        lexer = get_lexer_by_name(language or "text")
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    lines = highlight(source, lexer, HtmlFormatter(nowrap=True)).rstrip("\n")
    return f'<pre class="code"><code>{lines}</code></pre>'


class Writer(IPythonRenderer):
    """Writes one page. `address` turns the links of the source into links of the page.

    `headings` holds (level, id, HTML) of what was written, in order; `picture` keeps
    the bytes of a PNG somewhere and returns its address.
    """

    def __init__(
        self,
        address: Callable[[str], str],
        picture: Callable[[bytes], str] = lambda data: "",
    ) -> None:
        super().__init__(escape=False)
        self.address, self.picture = address, picture
        self.headings: list[tuple[int, str, str]] = []
        plugins = map(import_plugin, MarkdownWithMath.DEFAULT_PLUGINS)
        self._markdown = MarkdownWithMath(self, MathBlockParser(), plugins=plugins)

    def markdown(self, source: str) -> str:
        return self._markdown.render(source)

    def inline(self, source: str) -> str:
        """Markdown of one paragraph, without the paragraph."""
        return re.sub(r"^<p>|</p>\s*$", "", self.markdown(source))

    # ---- pieces of markdown

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        own = base = slug(plain(text)) or "section"
        taken = {name for _, name, _ in self.headings}
        for number in range(2, 99):
            if own not in taken:
                break
            own = f"{base}-{number}"
        self.headings.append((level, own, text))
        return f'<h{level} id="{own}">{text}</h{level}>\n'

    def block_code(self, code_: str, info: str | None = None) -> str:
        return code(code_.rstrip("\n"), (info or "text").split()[0])

    def block_math(self, body: str) -> str:
        return f'<span class="formula">{mathml(body, "block")}</span>'

    def inline_math(self, body: str) -> str:
        return mathml(body)

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return super().link(text, self.address(url), title)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return super().image(text, self.address(url), title)

    def table(self, text: str) -> str:
        return f'<div class="scroll"><table>{text}</table></div>\n'

    # ---- cells

    def cell(self, cell: NotebookNode) -> str:
        """One cell with its outputs."""
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown":
            return self.markdown(cell.source)
        kind = "cell exercise" if "exercise" in tags else "cell"
        label = '<p class="label">Yours to write</p>' if "exercise" in tags else ""
        outputs = "".join(map(self.output, cell.outputs))
        head = f'<div class="{kind}" id="cell-{escape(cell.id)}">{label}'
        return f"{head}{code(cell.source)}{outputs}</div>\n"

    def output(self, output: NotebookNode) -> str:
        """Text, a card, or a picture with the sentence that says what it shows."""
        if "data" not in output:
            text = output.get("text") or "\n".join(output.get("traceback", []))
            return f'<pre class="output">{escape("".join(text))}</pre>'
        data = output.data
        sentence = escape("".join(data.get("text/plain", "")))
        caption = f'<figcaption class="mh-caption">{sentence}</figcaption>'
        if html := "".join(data.get("text/html", "")):
            html = re.sub(r"<style>.*?</style>", "", html, flags=re.S)
            return f'<figure class="card">{html}{caption}</figure>'
        if "image/png" not in data:
            note = '<p class="away">Numbers of a machine: run it to see yours.</p>'
            return f'<figure class="minihyena">{caption}{note}</figure>'
        return self.figure(data, sentence, caption)

    def figure(self, data: NotebookNode, sentence: str, caption: str) -> str:
        png = b64decode("".join(data["image/png"]))
        width, height = struct.unpack(">II", png[16:24])
        still = data.get(STILL) or {}
        head = drawn = ""
        if still:
            head = f'<div class="mh-title">{escape(still["title"])}</div>'
            head += f'<div class="mh-notice">{escape(still["notice"])}</div>'
            text = json.dumps(still, ensure_ascii=False, separators=(",", ":"))
            text = text.replace("<", "\\u003c")  # no tag, no comment
            drawn = f'<script type="application/json">{text}</script>'
        return (
            f'<figure class="minihyena">{head}<div class="stage">'
            f'<img src="{self.picture(png)}" alt="{sentence}"'
            f' width="{width}" height="{height}"></div>{caption}{drawn}</figure>'
        )
