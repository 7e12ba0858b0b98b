"""What the book's HTML needs beyond its theme.

While a page is rendered: no dead scripts, a description and a picture for those who link to it, a link to Colab that
works. When all are: every page mended (``webpage``), icons and scripts cut down to what is used, the notebooks, a 404
page, a list of the links that leave the book; and a build that fails on a figure without words and on anything loaded
from elsewhere.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections import defaultdict
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlparse

import jinja2
import pydata_sphinx_theme
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

from . import card, icons, pictures
from .pagefiles import place_page_files
from .portable import portable
from .project import digest
from .webpage import mend

log = logging.getLogger(__name__)
IMAGE = re.compile(r"<img\b[^>]*>")
ALT = re.compile(r'\balt="([^"]*)"')
INLINE_MATH = re.compile(r'(?:(?<=\s)\()?<span class="math[^"]*">[^<]*</span>[.,;:!?)’]+')
LINK = re.compile(r'<a\b[^>]*\bhref="([^"]+)"')
FOREIGN = re.compile(
    r'<(?:script|img|iframe|source|video|audio|input)\b[^>]*\bsrc="(?:https?:)?//'
    r'|<link\b(?=[^>]*\brel="(?:stylesheet|icon|prefetch|preconnect|dns-prefetch|(?:module)?preload)")'
    r'[^>]*\bhref="(?:https?:)?//'
    r"|@import (?:url\()?[\"']?(?:https?:)?//"
)
MENDERS = ("sphinx_ext", "webpage", "icons", "pictures", "card", "portable", "pagefiles")
"""The modules that have a hand in the finished pages."""
LONGEST_DESCRIPTION = 200
"""Characters; search engines and chat programs cut longer ones."""
PUBLISHED_BRANCH = "gh-pages"
"""The branch that holds the built book, from which Colab opens the notebooks."""
MATHJAX_PARTS = ("tex-chtml.js", "output/chtml", "input/tex", "a11y", "ui", "sre")
"""What of MathJax a page can ask for."""


def drop_unused_scripts(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Leave out Thebe: pages have no live kernel, and its scripts come from another server."""
    for kind in ("script_files", "css_files"):
        context[kind] = [
            file for file in context.get(kind, []) if "thebe" not in f"{file} {getattr(file, 'attributes', '')}".lower()
        ]


def say_status_in_words(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Write words where MyST-NB's table of executions has pictographs, which not every font holds."""
    if "body" in context:
        context["body"] = context["body"].replace("\u2705", "passed").replace("\u274c", "failed")


def describe(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Give the page a description, and the picture that other sites show beside a link to it."""
    if doctree is None:
        return
    title, words = app.env.titles[pagename].astext(), description(doctree)
    context["metatags"] = context.get("metatags", "") + metatags(app, pagename, title, words)


def metatags(app: Sphinx, pagename: str, title: str, words: str) -> str:
    """The tags of a page for search engines and chat programs."""
    site = app.config.html_baseurl
    graph = {
        "og:title": title,
        "og:description": words,
        "og:type": "article",
        "og:site_name": app.config.html_title,
        "og:url": urljoin(site, f"{pagename}.html"),
        "og:image": urljoin(site, _card(pagename)),
        "og:image:width": str(card.SIZE[0]),
        "og:image:height": str(card.SIZE[1]),
        "og:image:alt": f"The title of the page: {title}",
    }
    tags = [f'<meta property="{name}" content="{escape(value)}">' for name, value in graph.items()]
    tags += [f'<meta name="description" content="{escape(words)}">']
    tags += ['<meta name="twitter:card" content="summary_large_image">']
    return "\n" + "\n".join(tags) + "\n"


def description(doctree: nodes.document) -> str:
    """The page's first paragraph, outside of boxes if there is one, cut at a sentence or at a word."""
    paragraphs = [p for p in doctree.findall(nodes.paragraph) if isinstance(p.parent, nodes.section)]
    paragraphs = paragraphs or list(doctree.findall(nodes.paragraph))
    text = ""
    for paragraph in paragraphs:
        text = f"{text} {_readable(paragraph)}".strip()
        if len(text) > LONGEST_DESCRIPTION / 3:
            break
    if len(text) <= LONGEST_DESCRIPTION:
        return text
    sentences = re.findall(r".+?(?<!\bal)[.?!](?=\s|$)", text[:LONGEST_DESCRIPTION])
    start = "".join(sentences).strip()
    return start if len(start) > LONGEST_DESCRIPTION / 3 else text[: LONGEST_DESCRIPTION - 1].rpartition(" ")[0] + "…"


def _readable(paragraph: nodes.paragraph) -> str:
    """The paragraph's text, its formulas without TeX's marks."""
    copy = paragraph.deepcopy()
    for formula in list(copy.findall(nodes.math)):
        text = re.sub(r"\\(?:mathbb|mathcal|mathrm|operatorname|text|boldsymbol|mathbf)\b", "", formula.astext())
        text = re.sub(r"\\[!,;: ]", "", text).replace("\\mid", "|").replace("\\|", "‖")
        formula.replace_self(nodes.Text(re.sub(r"[\\{}$]", "", text)))
    return " ".join(copy.astext().split())


def _card(pagename: str) -> str:
    return f"_static/cards/{pagename.replace('/', '-')}.png"


def launch_published(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Let Colab open the notebook that is published beside the page: it cannot open MyST."""
    branch = app.config.html_theme_options.get("repository_branch", "main")
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button.get("text") == "Colab":
                start = button["url"].partition(f"/blob/{branch}/")[0]
                button["url"] = f"{start}/blob/{PUBLISHED_BRANCH}/_sources/{pagename}.ipynb"


def note_changes(app: Sphinx, config: Config) -> None:
    """Have every page written again when a style, a script or the code that mends pages has changed.

    Sphinx itself copies nothing and finishes nothing where no page's source is newer than the page.
    """
    here = Path(__file__).parent
    files = [*(here / f"{name}.py" for name in MENDERS), *(here / "templates").iterdir()]
    for folder in config.html_static_path:
        files += Path(app.confdir, folder).rglob("*")
    config.coursekit_code = digest(sorted(file for file in files if file.is_file()))


def finish(app: Sphinx, error: Exception | None) -> None:
    """Do what can only be done when every page is written."""
    if error or app.builder.format != "html":
        return
    out = Path(app.outdir)
    pages = [page for page in sorted(out.rglob("*.html")) if "_static" not in page.parts]
    for page in pages:
        text = page.read_text("utf-8")
        mended = mend(text) if 'id="main-content"' in text else text
        if mended != text:
            page.write_text(mended, "utf-8")
    _write_notebooks(app, out)
    _draw_cards(app, out)
    _write_own_pages(app, out)
    _shrink(out)
    (out / ".nojekyll").touch()  # GitHub's pages would leave out the folders whose names begin with an underscore
    _list_links(pages, out)
    require_alt_text(pages)
    forbid_foreign_assets(pages, out)


def _write_notebooks(app: Sphinx, out: Path) -> None:
    for path in sorted((out / "_sources").rglob("*.ipynb")):
        notebook = json.loads(path.read_text("utf-8"))
        if any(cell.get("id") == "setup" for cell in notebook["cells"]):
            continue
        page = urljoin(app.config.html_baseurl, path.relative_to(out / "_sources").with_suffix(".html").as_posix())
        notebook = portable(notebook, page, app.config.coursekit_notebook_setup)
        path.write_text(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", "utf-8")


def _draw_cards(app: Sphinx, out: Path) -> None:
    background = Path(app.srcdir) / app.config.coursekit_card if app.config.coursekit_card else None
    if not background:
        return
    for name, title in app.env.titles.items():
        card.draw(background, title.astext(), app.config.html_title, out / _card(name))


def _write_own_pages(app: Sphinx, out: Path) -> None:
    """Write the page for addresses that do not exist, and the one that leads to the first."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    templates = jinja2.Environment(loader=loader, autoescape=True)
    first, title = app.config.root_doc, app.config.html_title
    names = [first, *_in_order(app, first)]
    icon = Path(app.srcdir) / app.config.html_favicon
    fields = {
        "title": title,
        "home": f"{first}.html",
        "root": urlparse(app.config.html_baseurl).path or "/",
        "icon": base64.b64encode(icon.read_bytes()).decode(),
        "pages": [(f"{name}.html", app.env.titles[name].astext()) for name in names],
    }
    (out / "404.html").write_text(templates.get_template("404.html.j2").render(fields), "utf-8")
    words = description(app.env.get_doctree(first))
    tags = jinja2.filters.Markup(metatags(app, first, app.env.titles[first].astext(), words))
    index = out / "index.html"
    index.write_text(templates.get_template("index.html.j2").render(fields, tags=tags), "utf-8")


def _in_order(app: Sphinx, name: str) -> list[str]:
    """The pages below one, as a reader meets them."""
    below = app.env.toctree_includes.get(name, [])
    return [page for child in below for page in (child, *_in_order(app, child))]


def _shrink(out: Path) -> None:
    """Cut fonts and style sheets down to what is used, and drop files that no page asks for."""
    static = out / "_static"
    texts = [p.read_text("utf-8") for p in out.rglob("*.html")]
    texts += [p.read_text("utf-8") for p in (static / "scripts").glob("*theme.js")]
    style = static / "styles" / "pydata-sphinx-theme.css"
    others = [p.read_text("utf-8") for p in static.rglob("*.css") if p != style]
    theme = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
    icons.shrink(style, theme / "vendor" / "fontawesome" / "webfonts", texts, others)
    for drawing in (out / "_images").glob("*.svg"):
        text = drawing.read_text("utf-8")
        smaller = pictures.compress(text)
        if smaller != text:
            drawing.write_text(smaller, "utf-8")
    for pattern in ("scripts/fontawesome*", "**/*.map", "sphinx-thebe.*", "styles/theme.css"):
        for file in static.glob(pattern):
            file.unlink()
    mathjax = static / "mathjax"
    kept = [mathjax / part for part in MATHJAX_PARTS]
    for file in [f for f in mathjax.rglob("*") if f.is_file()]:
        if not any(file == part or part in file.parents for part in kept):
            file.unlink()
    shutil.rmtree(static / "locales", ignore_errors=True)


def _list_links(pages: list[Path], out: Path) -> None:
    """Write the addresses outside of the book that its pages link to, each with those pages."""
    found = defaultdict(set)
    for page in pages:
        for link in LINK.findall(page.read_text("utf-8")):
            if urlparse(link).scheme in ("http", "https"):
                found[link.replace("&amp;", "&")].add(page.relative_to(out).as_posix())
    lines = [f"{link}\t{' '.join(sorted(names))}\n" for link, names in sorted(found.items())]
    (out.parent / "external-links.txt").write_text("".join(lines), "utf-8")


def keep_signs_with_formulas(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Let no line begin with the full stop that ends a formula: browsers may break behind any formula."""
    if "body" in context:
        context["body"] = INLINE_MATH.sub(r'<span class="nobreak">\g<0></span>', context["body"])


def require_alt_text(pages: list[Path]) -> None:
    """Warn, which fails the build, of every image whose alternative text is missing or is only its file's name."""
    for page in pages:
        for tag in IMAGE.findall(page.read_text("utf-8")):
            alt = ALT.search(tag)
            if not alt or not alt[1].strip() or "_images/" in alt[1]:
                log.warning("%s: an image without alternative text: %s", page.name, tag[:160])


def forbid_foreign_assets(pages: list[Path], out: Path) -> None:
    """Warn, which fails the build, of everything that a page or a style sheet would load from another server."""
    for file in (*pages, *(out / "_static").rglob("*.css")):
        for found in FOREIGN.finditer(file.read_text("utf-8")):
            log.warning("%s: loaded from another server: %s", file.name, found[0][:160])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the hooks."""
    app.add_config_value("coursekit_notebook_setup", "", "html", [str])
    app.add_config_value("coursekit_card", "", "html", [str])
    app.add_config_value("coursekit_code", "", "html", [str])
    app.connect("config-inited", note_changes)
    app.connect("html-page-context", drop_unused_scripts, priority=900)
    app.connect("html-page-context", launch_published, priority=900)
    app.connect("html-page-context", say_status_in_words)
    app.connect("html-page-context", keep_signs_with_formulas)
    app.connect("html-page-context", describe)
    app.connect("build-finished", place_page_files)
    app.connect("build-finished", finish, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
