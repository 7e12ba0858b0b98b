"""Markdown, formulas and code as HTML in which nothing is active, whoever wrote them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup, escape
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from .formulas import to_mathml
from .plain import PICTURES, clean, joined, one_line, picture_address, shorten

LONGEST_SOURCE = 30_000
"""Characters shown of one cell's text or code."""


def render_markdown(
    source: str,
    attachments: Mapping | None = None,
    book: str = "",
    picture: Callable[[object, str], str | None] = picture_address,
) -> Markup:
    """Markdown as HTML: formulas as MathML, raw HTML as text, only the pictures that are attached.

    Headings become bold paragraphs, so that no text disturbs the order of the page's headings. Links to the web stay;
    links to pages of the course lead to ``book``, the address of the published book, or become text without one.
    ``picture`` gives the address of a picture, or None to leave it out.
    """
    text = shorten(clean(source), LONGEST_SOURCE)
    renderer = _Renderer(attachments if isinstance(attachments, Mapping) else {}, book, picture)
    try:
        return Markup(MarkdownWithMath(renderer=renderer).render(text))
    except Exception:  # mistune on a text that nests too deeply: shown as it was written
        return Markup('<pre class="wrap">{}</pre>').format(text)


class _Renderer(IPythonRenderer):
    def __init__(self, attachments: Mapping, book: str, picture: Callable) -> None:
        super().__init__(escape=True, allow_harmful_protocols=False, exclude_anchor_links=True)
        self.pictures = attachments
        self.book = book
        self.picture = picture

    def heading(self, text: str, level: int, **attributes: Any) -> str:
        return f'<p class="heading">{text}</p>\n'

    def block_math(self, body: str) -> str:
        return _formula(body, block=True)

    def inline_math(self, body: str) -> str:
        return _formula(body)

    def latex_environment(self, name: str, body: str) -> str:
        return _formula(f"\\begin{{{name}}}{body}\\end{{{name}}}", block=True)

    def block_code(self, code: str, info: str | None = None) -> str:
        return code_box(code) if (info or "").strip() in ("python", "py") else text_box(code, "Text")

    def table(self, text: str) -> str:
        return f'<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>{text}</table></div>\n'

    def table_cell(self, text: str, align: str | None = None, head: bool = False) -> str:
        return f'<th scope="col">{text}</th>\n' if head else f"<td>{text}</td>\n"

    def task_list_item(self, text: str, checked: bool = False) -> str:
        return f"<li>{'☑' if checked else '☐'} {text}</li>\n"

    def link(self, text: str, url: str, title: str | None = None) -> str:
        address = page_address(url, self.book)
        words = text or escape(one_line(url))
        return f'<a href="{escape(address)}" rel="noopener noreferrer">{words}</a>' if address else str(words)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        found = self.pictures.get(url.removeprefix("attachment:"), {}) if url.startswith("attachment:") else {}
        found = found if isinstance(found, Mapping) else {}
        for kind in PICTURES:
            if address := self.picture(joined(found.get(kind)), kind):
                words = escape(one_line(Markup(text).striptags()) or "A picture in the answer, without a description")
                return f'<img src="{address}" alt="{words}">'
        words = escape(one_line(Markup(text).striptags()) or "without a description")
        return f'<span class="absent">(A picture is not shown: {words}.)</span>'


def page_address(url: str, book: str = "") -> str:
    """Where a link leads: a web address as it is, a page of the course below ``book``; empty if nowhere."""
    url = "".join(url.split())
    if re.match(r"https?://[^\s\"'<>\\]+\Z", url, re.IGNORECASE):
        return url
    page = re.match(r"(?:\.\./|\./)*(?:book/)?((?:[\w-]+/)*[\w-]+)(?:\.md)?(#[\w-]+)?\Z", url)
    if page and book and (url.endswith(".md") or ".md#" in url or url.startswith("book/")):
        return f"{book.rstrip('/')}/{page[1]}.html{page[2] or ''}"
    return ""


def _formula(latex: str, block: bool = False) -> str:
    mathml = to_mathml(latex, block)
    if mathml is None:
        return f'<code class="latex">{escape(latex.strip())}</code>'
    # What may be wider than a phone scrolls by itself, and can be reached by the keyboard.
    scrolls = ' tabindex="0" role="group" aria-label="Formula"' if len(latex) > 50 else ""
    if block:
        return f'<span class="formula"{scrolls}>{mathml}</span>'
    return f'<span class="in-line"{scrolls}>{mathml}</span>' if scrolls else mathml


def code_box(source: str, label: str = "Code") -> Markup:
    """Code with its words coloured, in a box that scrolls by itself."""
    spans = highlight(shorten(clean(source), LONGEST_SOURCE), PythonLexer(stripnl=False), HtmlFormatter(nowrap=True))
    return Markup(f'<pre class="code" tabindex="0" role="group" aria-label="{label}"><code>{spans}</code></pre>\n')


def text_box(text: str, label: str) -> Markup:
    """Plain text in a box that scrolls by itself."""
    box = '<pre tabindex="0" role="group" aria-label="{}">{}</pre>\n'
    return Markup(box).format(label, text.rstrip("\n"))
