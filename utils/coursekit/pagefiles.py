"""Files that a page's cells make for readers' browsers: a trained model, a picture."""

from __future__ import annotations

import base64
import json
import re
import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util import logging

log = logging.getLogger(__name__)
PAGE_FILES = "application/vnd.page-files+json"
"""The type of a glued output that holds files: {name: {"text": ...} or {"base64": ...}}."""
NAME = re.compile(r"\w[\w.-]*")
EXPORTED = re.compile(r"_static/exported/([^\"'<>\s]+)")


def place_page_files(app: Sphinx, error: Exception | None) -> None:
    """Write the files that pages glued to ``_static/exported``; warn of one that a page names and no page glued.

    A glued output is kept with the other results of an execution, so that files live exactly as long as these; and of
    a cached result it is the one part that MyST-NB writes to a file of its own whenever it reads the page.
    """
    if error or app.builder.format != "html":
        return
    folder = Path(app.outdir, "_static", "exported")
    shutil.rmtree(folder, ignore_errors=True)
    for page in sorted(app.env.found_docs):
        glued = Path(app.outdir).parent / "jupyter_execute" / f"{page}.glue.json"
        if not glued.is_file():
            continue
        for name, content in _files_of(json.loads(glued.read_text("utf-8"))):
            if not NAME.fullmatch(name) or (folder / name).exists():
                log.warning("%s: a file is glued as %r: not a plain name, or not the first", page, name)
                continue
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    for page in sorted(Path(app.outdir).rglob("*.html")):
        for name in EXPORTED.findall("" if "_static" in page.parts else page.read_text("utf-8")):
            if not (folder / name).is_file():
                log.warning("%s: no page glues the file %s", page.name, name)


def _files_of(glued: dict[str, Any]) -> list[tuple[str, bytes]]:
    return [
        (name, content["text"].encode() if "text" in content else base64.b64decode(content["base64"]))
        for output in glued.values()
        for name, content in output["data"].get(PAGE_FILES, {}).items()
    ]
