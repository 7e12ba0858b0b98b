"""What the book's HTML needs beyond its theme: no dead scripts, and a build that fails on a figure without words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util import logging

from .pagefiles import place_page_files

log = logging.getLogger(__name__)
IMAGE = re.compile(r"<img\b[^>]*>")
ALT = re.compile(r'\balt="([^"]*)"')


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


def require_alt_text(app: Sphinx, error: Exception | None) -> None:
    """Warn, which fails the build, of every image whose alternative text is missing or is only its file's name."""
    if error or app.builder.format != "html":
        return
    for page in sorted(Path(app.outdir).rglob("*.html")):
        if "_static" in page.parts:
            continue
        for tag in IMAGE.findall(page.read_text("utf-8")):
            alt = ALT.search(tag)
            if not alt or not alt[1].strip() or "_images/" in alt[1]:
                log.warning("%s: an image without alternative text: %s", page.name, tag[:160])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the hooks."""
    app.connect("html-page-context", drop_unused_scripts, priority=900)
    app.connect("html-page-context", say_status_in_words)
    app.connect("build-finished", require_alt_text)
    app.connect("build-finished", place_page_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
