"""Files that a page's cells make: written beside the pages by the build, and missed where they are missing."""

import base64
import json
import shutil
from types import SimpleNamespace

import pytest

from coursekit import book, pagefiles
from coursekit.errors import CourseError
from coursekit.project import ROOT


@pytest.fixture
def app(tmp_path, monkeypatch):
    """A build whose page ``book/one`` made two files; its warnings are in ``app.warned``."""
    out = tmp_path / "_build" / "html"
    (out / "book").mkdir(parents=True)
    warned = []
    monkeypatch.setattr(pagefiles.log, "warning", lambda message, *values: warned.append(message % values))
    app = SimpleNamespace(
        outdir=str(out),
        builder=SimpleNamespace(format="html"),
        env=SimpleNamespace(found_docs={"book/one", "book/two"}),
        warned=warned,
        out=out,
    )
    cells(app, "one", {"a.js": {"text": "é"}, "b.webp": {"base64": base64.b64encode(b"\xff").decode()}})
    return app


def cells(app, page, files):
    glued = {
        "number": {"data": {"text/plain": "1"}, "metadata": {}, "output_type": "display_data"},
        "files": {"data": {"text/plain": "", pagefiles.PAGE_FILES: files}, "output_type": "display_data"},
    }
    path = app.out.parent / "jupyter_execute" / "book" / f"{page}.glue.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(glued), "utf-8")


def exported(app):
    return {path.name: path.read_bytes() for path in (app.out / "_static" / "exported").glob("*")}


def test_files_are_written_and_those_that_no_cell_makes_any_more_go(app):
    pagefiles.place_page_files(app, None)
    assert exported(app) == {"a.js": "é".encode(), "b.webp": b"\xff"}
    cells(app, "one", {"a.js": {"text": "new"}})
    pagefiles.place_page_files(app, None)
    assert exported(app) == {"a.js": b"new"}
    assert app.warned == []


def test_pages_that_are_no_longer_in_the_book_leave_nothing(app):
    cells(app, "gone", {"c.js": {"text": ""}})
    pagefiles.place_page_files(app, None)
    assert "c.js" not in exported(app)


def test_a_file_that_a_page_names_and_no_cell_makes_is_warned_of(app):
    (app.out / "book" / "two.html").write_text(
        '<img src="../_static/exported/b.webp"><i data-x="../_static/exported/c.js">'
    )
    pagefiles.place_page_files(app, None)
    assert app.warned == ["two.html: no page glues the file c.js"]


@pytest.mark.parametrize("name", ["../a.js", "/a.js", "..", ""])
def test_a_name_that_leads_elsewhere_is_refused(app, name):
    cells(app, "two", {name: {"text": ""}})
    pagefiles.place_page_files(app, None)
    assert [name in message and "plain name" in message for message in app.warned] == [True]
    assert len(exported(app)) == 2


def test_a_name_is_given_once(app):
    cells(app, "two", {"a.js": {"text": "other"}})
    pagefiles.place_page_files(app, None)
    assert len(app.warned) == 1
    assert exported(app)["a.js"] == "é".encode()


def test_a_build_that_failed_or_makes_no_pages_writes_nothing(app):
    pagefiles.place_page_files(app, RuntimeError())
    app.builder.format = "text"
    pagefiles.place_page_files(app, None)
    assert exported(app) == {}


@pytest.mark.slow
def test_a_book_whose_results_are_cached_has_its_files(tmp_path):
    shutil.copy(ROOT / "_config.yml", tmp_path)
    shutil.copytree(ROOT / "book" / "_static", tmp_path / "book" / "_static")
    shutil.copy(ROOT / "book" / "references.bib", tmp_path / "book")
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/index\n")
    header = (ROOT / "book" / "status.md").read_text("utf-8").split("---\n")[1]
    page = tmp_path / "book" / "index.md"
    named = '```{raw} html\n<script src="../_static/exported/%s"></script>\n```\n'
    cell = (
        "from pathlib import Path\nfrom myst_nb import glue\nfrom vaelab.export import PageFiles\n"
        f"with Path({str(tmp_path / 'runs.txt')!r}).open('a') as file:\n    file.write('x')\n"
        "glue('files', PageFiles({'a.js': '1;'}))"
    )
    page.write_text(f"---\n{header}---\n\n# T\n\n```{{code-cell}} ipython3\n{cell}\n```\n\n" + named % "a.js")
    for _ in range(2):
        html = book.build(tmp_path).parent
        assert (html / "_static" / "exported" / "a.js").read_text() == "1;"
        shutil.rmtree(html)
        shutil.rmtree(tmp_path / "_build" / ".doctrees")
    assert (tmp_path / "runs.txt").read_text() == "x"  # the second time the page was not executed
    page.write_text(page.read_text() + named % "b.js")
    with pytest.raises(CourseError, match="was not built"):
        book.build(tmp_path)
    assert "no page glues the file b.js" in (tmp_path / "_build" / "book.log").read_text("utf-8")
