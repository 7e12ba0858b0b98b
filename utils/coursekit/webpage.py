"""One rendered page, mended: what the theme gets wrong for readers of its pages, put right in the finished HTML.

Each function takes the parsed page and changes it; ``MENDINGS`` names them all, in order. A page that was mended
carries a mark, so that an incremental build leaves it alone.
"""

from __future__ import annotations

import re

from bs4 import BeautifulSoup, NavigableString, Tag

MARK = '<meta content="coursekit" name="generator"/>'

THEME_SCRIPT = """
(() => {
  const root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)").matches;
  let mode = "auto", theme;
  try { mode = localStorage.getItem("mode") || mode; theme = localStorage.getItem("theme"); } catch { /* private */ }
  root.dataset.mode = mode;
  root.dataset.theme = mode === "auto" || !theme || theme === "auto" ? (dark ? "dark" : "light") : theme;
})();
"""
"""Chooses the colours before the first paint; the theme alone flashes a light page at those who read in the dark."""

FORMULA_SCRIPT = """
addEventListener("DOMContentLoaded", () => MathJax.startup.promise.then(() => {
  const stops = () => document.querySelectorAll("mjx-container").forEach((formula) => {
    if (formula.scrollWidth > formula.clientWidth + 1) formula.tabIndex = 0;
    else formula.removeAttribute("tabindex");
  });
  stops();
  addEventListener("resize", stops);
}));
"""
"""Of the formulas only those that scroll take the focus: MathJax lets the tab key stop at each of hundreds."""

SCROLL_SCRIPT = """
addEventListener("load", () => {
  const boxes = document.getElementsByClassName("bd-article")[0]?.querySelectorAll("pre, table, div.math") ?? [];
  const stops = () => boxes.forEach((box) => {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  });
  stops();
  addEventListener("resize", stops);
});
"""
"""What scrolls sideways can be scrolled with the keyboard."""

SEARCH_SCRIPT = """
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
"""
"""Browsers do not let a page from a folder read others, from which the search takes the words around a find."""

USES = {
    "copybutton": "div.highlight",
    "clipboard": "div.highlight",
    "togglebutton": ".toggle, .admonition.dropdown, .tag_hide-input, .tag_hide-output, .tag_hide-cell",
    "togglebuttonSelector": ".toggle, .admonition.dropdown, .tag_hide-input, .tag_hide-output, .tag_hide-cell",
    "toggleHint": ".toggle, .admonition.dropdown, .tag_hide-input, .tag_hide-output, .tag_hide-cell",
    "toggleOpenOnPrint": ".toggle, .admonition.dropdown, .tag_hide-input, .tag_hide-output, .tag_hide-cell",
    "design-tabs": ".sd-tab-set",
    "sphinx-design": "[class*='sd-']",
    "mathjax": ".math",
    "MathJax": ".math",
    "explorers.css": ".explorer, .player",
    "exercise.css": ".exercise, .solution",
    "proof.css": ".proof",
    "copybutton.css": "div.highlight",
    "togglebutton.css": ".toggle, .admonition.dropdown, .tag_hide-input, .tag_hide-output, .tag_hide-cell",
    "mystnb": ".cell, table.dataframe",
    "embed": "script[type='application/vnd.jupyter.widget-view+json']",
}
"""Parts of the names of scripts and style sheets, and the elements that need them."""


def mend(text: str) -> str:
    """The page's HTML, mended; a page that already is comes back as it was."""
    if MARK in text[:2000]:
        return text
    page = BeautifulSoup(text, "html.parser")
    for step in MENDINGS:
        step(page)
    return str(page)


def _head(page: BeautifulSoup) -> Tag:
    assert page.head is not None, "a page has a head"
    return page.head


def _script(page: BeautifulSoup, text: str) -> Tag:
    script = page.new_tag("script")
    script.string = text
    return script


def mark(page: BeautifulSoup) -> None:
    """Say who made the page, which also says that it was mended."""
    page.find("meta", charset=True).insert_after(BeautifulSoup(MARK, "html.parser"))


def one_viewport(page: BeautifulSoup) -> None:
    """Three parts of the theme each declare the viewport."""
    for again in page.find_all("meta", attrs={"name": "viewport"})[1:]:
        again.decompose()
    for name in ("docsearch:language", "docsearch:version"):
        for tag in page.find_all("meta", attrs={"name": name}):
            tag.decompose()


def theme_at_once(page: BeautifulSoup) -> None:
    """Replace the theme's first script, which leaves the choice between light and dark to a later one."""
    for script in page.find_all("script", attrs={"data-cfasync": True}):
        script.replace_with(_script(page, THEME_SCRIPT))
    if page.html.get("data-theme") == "auto":
        page.html["data-theme"] = "light"  # for those without scripts


def used_assets_only(page: BeautifulSoup) -> None:
    """Drop the scripts and style sheets that this page does not use, and what stands there twice."""
    seen = set()
    for tag in page.find_all(["script", "link"]):
        if tag.name == "link" and tag.get("rel") != ["stylesheet"] and tag.get("as") != "script":
            continue
        source = tag.get("src") or tag.get("href") or tag.string or ""
        key = (tag.name, tag.get("rel") and " ".join(tag["rel"]), source)
        unused = any(part in source and not page.select_one(needed) for part, needed in USES.items())
        # The webfonts draw the same icons; the search's files are wanted on its own page, where Sphinx links them.
        idle = "fontawesome.js" in source or (
            re.search(r"(searchtools|language_data|searchindex)\.js", source) and not page.select_one("#search-results")
        )
        if key in seen or unused or idle:
            tag.decompose()
        seen.add(key)


def direct_styles(page: BeautifulSoup) -> None:
    """Link the style sheet that another one only imports: one round trip less."""
    for link in page.find_all("link", href=re.compile(r"styles/theme\.css")):
        link["href"] = re.sub(r"styles/theme\.css.*", "basic.css", link["href"])


def own_scripts(page: BeautifulSoup) -> None:
    """Add the few lines that make keyboard and search work."""
    if page.select_one(".math"):
        _head(page).append(_script(page, FORMULA_SCRIPT))
    if page.select_one("pre, table, div.math"):
        _head(page).append(_script(page, SCROLL_SCRIPT))
    if page.select_one("#search-results"):
        _head(page).append(_script(page, SEARCH_SCRIPT))


def landmarks(page: BeautifulSoup) -> None:
    """Name the side bars as the regions that they are."""
    for name, role, label in (
        ("pst-primary-sidebar", "complementary", "Book"),
        ("pst-secondary-sidebar", "complementary", "Page"),
    ):
        bar = page.find(id=name)
        if bar:
            bar["role"], bar["aria-label"] = role, label
    advertisement = page.find(id="ethical-ad-placement")
    if advertisement:
        section = advertisement.find_parent(class_="sidebar-primary__section") or advertisement
        section.decompose()


def one_h1(page: BeautifulSoup) -> None:
    """The theme repeats the title for print in a second h1, and calls captions of its menu headings."""
    block = page.find(id="jb-print-docs-body")
    if block:
        for heading in block.find_all(["h1", "h2"]):
            heading["class"] = [*heading.get("class", []), f"print-{heading.name}"]
            heading.name = "p"
    for caption in page.select("nav [role=heading]"):
        del caption["role"], caption["aria-level"]


def bibliography(page: BeautifulSoup) -> None:
    """The roles of citations are outdated, and so is the list that they say they are in."""
    for entry in page.find_all(attrs={"role": "doc-biblioentry"}):
        del entry["role"]
    for group in page.select("div.citation-list[role=list]"):
        del group["role"]


def empty_headers(page: BeautifulSoup) -> None:
    """The empty corner of a table is no header."""
    for cell in page.find_all("th"):
        if not cell.get_text(strip=True) and not cell.find("img"):
            cell.name = "td"


def proofs(page: BeautifulSoup) -> None:
    """The word that opens a proof is told from its text."""
    for paragraph in page.select("div.proof[id=proof] > p:first-child"):
        start = paragraph.contents[0] if paragraph.contents else None
        if isinstance(start, NavigableString) and start.startswith("Proof. "):
            word = page.new_tag("strong")
            word.string = "Proof."
            start.replace_with(word, start.removeprefix("Proof."))


def labels(page: BeautifulSoup) -> None:
    """A control's name begins with the words that are seen on it; icons are silent."""
    for button in page.select(".search-button-field[aria-label]"):
        del button["aria-label"]
    for summary in page.select("summary[aria-label]"):
        del summary["aria-label"]
    for icon in page.select("i[class*='fa']"):
        icon["aria-hidden"] = "true"
        icon.attrs.pop("title", None)
    for link in page.select("a.headerlink"):
        heading = link.find_parent(["h1", "h2", "h3", "h4", "h5", "h6", "p", "figcaption", "caption", "dt", "div"])
        words = " ".join(s for s in heading.strings if s.strip() and s.strip() != "#")[:80] if heading else ""
        link["aria-label"] = f"Link to this place: {' '.join(words.split())}"
        link.attrs.pop("title", None)
    for link in page.find_all("a", target="_blank"):
        link["rel"] = "noopener"


def solution_titles(page: BeautifulSoup) -> None:
    """The space before an exercise's number is no part of the link, and not underlined."""
    for link in page.select(".solution > .admonition-title > a"):
        if link.string and link.string.startswith(" "):
            link.insert_before(" ")
            link.string = link.string.lstrip()


def code_in_tables(page: BeautifulSoup) -> None:
    """Long code in a table may be broken after a dot or a slash: on a phone the columns beside it stay wide enough."""
    for span in page.select("table code.literal span.pre"):
        parts = re.split(r"(?<=\w[./])(?=\w)", span.string or "")
        if len(parts) > 1 and len(span.string) > 16:
            span.string.replace_with(parts[0])
            for part in parts[1:]:
                span.append(page.new_tag("wbr"))
                span.append(part)


MENDINGS = (
    mark,
    one_viewport,
    theme_at_once,
    used_assets_only,
    direct_styles,
    own_scripts,
    landmarks,
    one_h1,
    bibliography,
    empty_headers,
    proofs,
    labels,
    solution_titles,
    code_in_tables,
)
