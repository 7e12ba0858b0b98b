"""Tests of the built book (``make test`` builds it first) and of the builder."""

import re
import shutil
from html import unescape
from html.parser import HTMLParser
from urllib.parse import unquote, urlparse

import pytest

from coursekit import book, project
from coursekit.assignments import secret_lines
from coursekit.errors import CourseError
from coursekit.project import ROOT

HTML = ROOT / "_build" / "html"


class Links(HTMLParser):
    """The targets of links and sources, and the ids, of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links, self.sources, self.ids = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids.update(v for k, v in attrs if k in ("id", "name") and v)
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if tag in ("script", "img", "iframe") and values.get("src"):
            self.sources.append(values["src"])
        if tag == "link" and values.get("rel") in ("stylesheet", "preload", "icon"):
            self.sources.append(values.get("href", ""))


def rendered(page):
    return HTML / page.relative_to(ROOT).with_suffix(".html")


@pytest.fixture(scope="module", autouse=True)
def _built():
    assert (HTML / "index.html").is_file(), "run `make book` first"


@pytest.mark.slow
@pytest.mark.parametrize("page", project.pages(), ids=lambda p: p.stem)
class TestPage:
    def test_is_there_without_a_traceback(self, page):
        text = rendered(page).read_text("utf-8")
        assert "Traceback (most recent call last)" not in text
        assert "cell_output stderr" not in text

    def test_says_which_data_it_used(self, page):
        if "mnist(" in page.read_text("utf-8"):
            assert re.search(r"This run used (MNIST|stand-in data)", rendered(page).read_text("utf-8"))

    def test_internal_links_resolve(self, page):
        path = rendered(page)
        for link in Links(path.read_text("utf-8")).links:
            url = urlparse(link)
            if url.scheme or url.netloc:
                assert url.scheme in ("https", "mailto"), link
                assert url.netloc or url.path, link
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            assert target.exists(), link
            if url.fragment and target.suffix == ".html":
                ids = Links(target.read_text("utf-8")).ids
                assert unquote(url.fragment) in ids, link

    def test_loads_nothing_from_other_servers(self, page):
        sources = Links(rendered(page).read_text("utf-8")).sources
        assert [s for s in sources if urlparse(s).netloc] == []


def lines_of(path) -> set[str]:
    """The lines of a file of the book as a reader sees them: without tags, colours and indentation."""
    text = path.read_text("utf-8", errors="replace")
    if path.suffix == ".html":
        text = unescape(re.sub(r"<[^>]+>", "", text))
    return {line.strip() for line in text.splitlines()}


@pytest.mark.slow
def test_no_answer_and_no_hidden_test_is_in_the_book():
    secrets = secret_lines(ROOT)
    assert len(secrets) > 50
    files = [path for path in HTML.rglob("*") if path.suffix in (".html", ".md", ".txt", ".ipynb")]
    assert len(files) > len(project.pages())
    for path in files:
        assert lines_of(path) & secrets == set(), path


@pytest.mark.slow
def test_a_failing_page_fails_the_build_and_is_not_published(tmp_path, capsys):
    shutil.copy(ROOT / "_config.yml", tmp_path)
    shutil.copytree(ROOT / "book" / "_static", tmp_path / "book" / "_static")
    shutil.copy(ROOT / "book" / "references.bib", tmp_path / "book")
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/index\n")
    page = tmp_path / "book" / "index.md"
    header = (ROOT / "book" / "status.md").read_text("utf-8").split("---\n")[1]
    page.write_text(f"---\n{header}---\n\n# T\n\n```{{code-cell}} ipython3\nassert 1 + 1 == 3\n```\n")
    for _ in range(2):  # the second, incremental build must not be green either
        with pytest.raises(CourseError, match="was not built"):
            book.build(tmp_path)
        assert not (tmp_path / "_build" / "html").exists()
        assert "assert 1 + 1 == 3" in (tmp_path / "_build" / "book.log").read_text()
        shown = capsys.readouterr().out
        assert "book/index.md" in shown
        assert "AssertionError" in shown
    page.write_text(page.read_text().replace("== 3", "== 2"))
    assert book.build(tmp_path).is_file()

    # A style sheet of ours has changed, no page has: it is taken all the same.
    style = tmp_path / "book" / "_static" / "type.css"
    style.write_text(style.read_text("utf-8") + "\n.new {color: red}\n", "utf-8")
    book.build(tmp_path)
    assert ".new {color: red}" in (tmp_path / "_build" / "html" / "_static" / "type.css").read_text("utf-8")

    page.write_text(page.read_text() + "\n{ref}`nowhere`\n")
    for _ in range(2):
        with pytest.raises(CourseError, match="was not built"):
            book.build(tmp_path)


def test_results_are_forgotten_when_what_they_rest_on_changes(tmp_path, monkeypatch):
    monkeypatch.delenv("VAELAB_DATA", raising=False)
    (tmp_path / "utils" / "vaelab").mkdir(parents=True)
    module = tmp_path / "utils" / "vaelab" / "models.py"
    module.write_text("a = 1\n")
    (tmp_path / "requirements.txt").write_text("torch==1\n")
    first = project.environment(tmp_path)
    assert project.environment(tmp_path) == first
    cache = tmp_path / "_build" / ".jupyter_cache"
    cache.mkdir(parents=True)
    book._forget_stale_results(tmp_path / "_build", first)
    cache.mkdir(exist_ok=True)
    book._forget_stale_results(tmp_path / "_build", first)
    assert cache.exists()
    for change in (
        lambda: module.write_text("a = 2\n"),
        lambda: (tmp_path / "requirements.txt").write_text("torch==2\n"),
        lambda: monkeypatch.setenv("VAELAB_DATA", str(_fake_data(tmp_path))),
    ):
        change()
        key = project.environment(tmp_path)
        assert key != first
        cache.mkdir(exist_ok=True)
        book._forget_stale_results(tmp_path / "_build", key)
        assert not cache.exists()
        first = key


def _fake_data(tmp_path):
    raw = tmp_path / "elsewhere" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte").write_bytes(b"x")
    return tmp_path / "elsewhere"
