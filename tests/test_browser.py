"""The built book in a real browser, page by page, as its readers meet it (``make test`` builds it first)."""

import base64
import io
import re
import shutil
import urllib.request
from urllib.parse import parse_qs, urljoin, urlparse

import jupytext
import pytest
import yaml
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont
from PIL import Image

import pagechecks
from browsertools import HTML, Visit, one_browser, rendered, served
from coursekit import browser as chromium
from coursekit import card, icons, pictures, project
from coursekit.errors import CourseError
from coursekit.portable import plain, portable
from coursekit.project import ROOT
from coursekit.webpage import MARK, mend

WIRE = 900_000
"""Bytes that a page may take over the wire."""
PAGES = project.pages()

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)


def parsed(page):
    return BeautifulSoup((HTML / page.relative_to(ROOT).with_suffix(".html")).read_text("utf-8"), "html.parser")


def is_notebook(page):
    return "\nkernelspec:" in page.read_text("utf-8").partition("\n---\n")[0]


@pytest.mark.slow
@every_page
def test_by_day_on_a_desk_and_on_a_phone(page, browser, site):
    with Visit(browser, rendered(page, site)) as visit:
        faults = [] if visit.wire < WIRE else [f"{visit.wire:,} bytes over the wire"]
        faults += pagechecks.scripts(visit.page)
        faults += pagechecks.headings(visit.page)
        faults += pagechecks.pictures(visit.page)
        faults += pagechecks.controls(visit.page)
        faults += pagechecks.width(visit.page, 390, 360)  # what was folded is open now
        faults += pagechecks.focus(visit.page)
        faults += pagechecks.axe(visit.page)
        assert faults + visit.faults == []


@pytest.mark.slow
@every_page
def test_by_night_from_a_folder_without_network(page, browser):
    with Visit(browser, rendered(page, HTML), dark=True, offline=True) as visit:
        faults = pagechecks.dark(visit.page)
        faults += pagechecks.pictures(visit.page)
        faults += pagechecks.axe(visit.page)
        assert faults + visit.faults == []


@every_page
@pytest.mark.slow
def test_page_says_what_it_is_to_those_who_link_to_it(page):
    head = parsed(page).head
    meta = {tag.get("property") or tag.get("name"): tag["content"] for tag in head.find_all("meta", content=True)}
    heading = next(line for line in page.read_text("utf-8").splitlines() if line.startswith("# "))
    assert meta["og:title"].replace("’", "'") == heading.removeprefix("# ").strip()
    assert meta["description"] == meta["og:description"]
    assert meta["og:site_name"] == yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["title"]
    assert 30 <= len(meta["description"]) <= 200
    assert not re.search(r"[\\{}]", meta["description"])
    home = head.find("link", rel="canonical")["href"]
    assert meta["og:url"] == home
    assert home.endswith(f"/{page.relative_to(ROOT).with_suffix('.html').as_posix()}")
    site = home.removesuffix(page.relative_to(ROOT).with_suffix(".html").as_posix())
    with Image.open(HTML / meta["og:image"].removeprefix(site)) as picture:
        assert picture.size == (1200, 630)
    assert len(head.find_all("meta", attrs={"name": "viewport"})) == 1
    assert head.find("link", rel="icon")["href"].endswith("favicon.svg")


@every_page
@pytest.mark.slow
def test_ways_to_the_source_and_to_a_running_notebook(page):
    soup, place = parsed(page), HTML / page.relative_to(ROOT).parent
    links = {a.get_text(strip=True): a["href"] for a in soup.select(".article-header-buttons .dropdown-menu a")}
    assert (place / links[".md"]).read_text("utf-8") == page.read_text("utf-8")
    if not is_notebook(page):
        assert set(links) == {".md"}
        return
    notebook = jupytext.read(place / links[".ipynb"])
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    own = [cell.source for cell in jupytext.read(page).cells if cell.cell_type == "code"]
    assert cells[bool(own) :] == own
    assert not own or "%pip install" in cells[0]
    colab, binder = urlparse(links["Colab"]), urlparse(links["Binder"])
    assert (colab.scheme, colab.netloc) == ("https", "colab.research.google.com")
    branch, _, path = colab.path.partition("/blob/")[2].partition("/")
    assert branch in (ROOT / ".github" / "workflows" / "publish.yml").read_text("utf-8")
    assert (HTML / path).samefile(place / links[".ipynb"])
    assert (binder.scheme, binder.netloc) == ("https", "mybinder.org")
    assert binder.path == "/v2/gh/vae-course/vae-course/main"
    assert (ROOT / parse_qs(binder.query)["urlpath"][0].removeprefix("lab/tree/")).samefile(page)


@pytest.mark.slow
def test_previous_and_next_lead_through_the_book(browser, site):
    with Visit(browser, rendered(PAGES[0], site)) as visit:
        visit.page.click(".prev-next-area .right-next")
        assert visit.page.url == rendered(PAGES[1], site)
        visit.page.click(".prev-next-area .left-prev")
        assert visit.page.url == rendered(PAGES[0], site)
        assert visit.faults == []
    addresses = [rendered(page, "https://book/") for page in PAGES]
    for before, here, after in zip([None, *addresses], addresses, [*addresses[1:], None], strict=False):
        soup = parsed(PAGES[addresses.index(here)])
        for kind, wanted in ((".left-prev", before), (".right-next", after)):
            link = soup.select_one(f".prev-next-area {kind}")
            assert (urljoin(here, link["href"]) if link else None) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("way", ["http", "file"])
def test_search_finds(browser, site, way):
    with Visit(browser, rendered(PAGES[0], site if way == "http" else HTML)) as visit:
        visit.page.keyboard.press("Control+k")
        visit.page.keyboard.type("reparameterization")
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_selector("#search-results li a")
        visit.page.wait_for_function(
            "() => /found/i.test(document.querySelector('.search-summary')?.textContent || '')"
        )
        found = visit.page.eval_on_selector_all("#search-results li a", "links => links.map(a => a.href)")
        assert any("/book/reparameterization.html" in link for link in found)
        assert pagechecks.axe(visit.page) == []
        visit.page.click("#search-results li a")
        visit.page.wait_for_selector("article h1")
        assert visit.faults == []


@pytest.mark.slow
def test_a_phone_opens_and_closes_the_contents(browser, site):
    with Visit(browser, rendered(PAGES[1], site), width=390, height=800) as visit:
        shown = "() => document.querySelector('#pst-primary-sidebar-modal, dialog[open]')?.open"
        visit.page.focus("button.primary-toggle")
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_function(shown)
        assert pagechecks.axe(visit.page) == []
        visit.page.keyboard.press("Escape")
        visit.page.wait_for_function("() => !document.querySelector('dialog[open]')")
        assert visit.faults == []


@pytest.mark.slow
def test_the_choice_of_colours_is_kept(browser, site):
    with Visit(browser, rendered(PAGES[0], site)) as visit:
        for _ in range(3):
            visit.page.click("button.theme-switch-button")
            if visit.page.evaluate("() => document.documentElement.dataset.mode") == "dark":
                break
        visit.page.goto(rendered(PAGES[1], site), wait_until="commit")
        assert visit.page.evaluate("() => document.documentElement.dataset.theme") == "dark"


@pytest.mark.slow
@pytest.mark.parametrize("below", ["", "vae-course/"])
def test_page_for_addresses_that_do_not_exist(browser, tmp_path, below):
    """At any depth, whether the book lies at the root of its host or below it."""
    root = tmp_path / "host"
    if below:
        root.mkdir()
        (root / below.strip("/")).symlink_to(HTML)
        shutil.copy(HTML / "404.html", root)
    else:
        root.symlink_to(HTML)
    with served(root) as host, Visit(browser, f"{host}{below}no/such/place.html") as visit:
        assert [fault for fault in visit.faults if not fault.startswith(("404: ", "console: Failed to load"))] == []
        assert len(visit.requests) == 1  # it needs no other file
        assert pagechecks.axe(visit.page) + pagechecks.headings(visit.page) + pagechecks.width(visit.page, 360) == []
        links = visit.page.eval_on_selector_all("a", "links => links.map(a => a.href)")
        for page in PAGES:
            assert rendered(page, host + below) in links
        visit.page.fill("input[type=search]", "posterior")
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_selector("#search-results li a")


@pytest.mark.slow
def test_the_address_of_the_book_leads_to_its_first_page(browser, site):
    with Visit(browser, site) as visit:
        visit.page.wait_for_url(rendered(PAGES[0], site))
        assert visit.faults == []


@pytest.mark.slow
def test_links_that_leave_the_book(request):
    """All are listed by the build, and well formed; with ``--reach-links`` each is asked for."""
    lines = (ROOT / "_build" / "external-links.txt").read_text("utf-8").splitlines()
    listed = {line.split("\t")[0]: line.split("\t")[1].split(" ") for line in lines}
    linked = {
        a["href"]
        for page in PAGES
        for a in parsed(page).find_all("a", href=True)
        if urlparse(a["href"]).scheme in ("http", "https")
    }
    assert linked
    assert linked <= set(listed)
    for link in listed:
        url = urlparse(link)
        assert url.scheme == "https", link
        assert re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", url.netloc), link
        assert not re.search(r"\s|[<>\"{}|\\^`]", link), link
    if request.config.getoption("--reach-links"):
        assert {link: pages for link, pages in listed.items() if not _reached(link)} == {}


def _reached(link):
    agent = {"User-Agent": "Mozilla/5.0 (a course's link check)"}
    try:
        with urllib.request.urlopen(urllib.request.Request(link, headers=agent), timeout=30) as answer:
            return answer.status < 400
    except OSError as error:
        return getattr(error, "code", 0) in (401, 403, 405, 429)  # there, but not for programs


BAD = """<!DOCTYPE html><html lang="en"><title>t</title><body><main><div class="bd-header-article"></div><article>
<h1>a</h1><h3>b</h3><img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" alt="x.png"><h1>c</h1>
<p style="color: #ccc">pale</p><div style="width: 2000px">wide</div>
<p style="width: 9em; overflow: hidden"><mjx-container style="display: inline-block; width: 19em">x</mjx-container></p>
<button onclick="">dead</button><input type="range" aria-label="r"><a href="#" style="outline: none">x</a>
</article></main></body></html>"""


@pytest.mark.slow
def test_the_checks_find_what_they_look_for(browser, tmp_path):
    (tmp_path / "bad.html").write_text(BAD)
    with served(tmp_path) as address, Visit(browser, address + "bad.html") as visit:
        page = visit.page
        page.add_script_tag(
            content="console.error('oops'); fetch('gone.txt'); new Image().src = 'https://else.invalid/x'"
        )
        page.wait_for_load_state("networkidle")
        assert len(pagechecks.headings(page)) == 2
        assert any("name" in fault for fault in pagechecks.pictures(page))
        assert any("color-contrast" in fault for fault in pagechecks.axe(page))
        narrow = pagechecks.width(page, 390)
        assert any("scrolls to" in fault for fault in narrow)
        assert any("a formula is cut" in fault for fault in narrow)
        assert ["dead" in fault for fault in pagechecks.controls(page)] == [True, True]
        assert any("focus is not seen" in fault for fault in pagechecks.focus(page))
        assert pagechecks.dark(page)[0] == "the page is not dark"
        for word in ("oops", "404", "third party"):
            assert any(word in fault for fault in visit.faults), word


def test_mending_a_page_once_is_enough():
    text = (
        '<html><head><meta charset="utf-8"><script src="_static/scripts/fontawesome.js"></script></head><body>'
        '<table><tr><th></th><th>a</th></tr></table><div role="list" class="citation-list">'
        '<div role="doc-biblioentry">b</div></div><div class="proof admonition" id="proof"><p>Proof. <i>c</i></p></div>'
        '<div class="solution"><p class="admonition-title">Solution to<a href="#d"> Exercise 1</a></p></div>'
        '<table><tr><td><code class="literal"><span class="pre">A.name_that_is_long</span></code></td></tr></table>'
        "</body></html>"
    )
    mended = mend(text)
    assert MARK in mended
    assert "fontawesome" not in mended
    assert "<td></td><th>a</th>" in mended
    assert "role=" not in mended
    assert "<strong>Proof.</strong> <i>c</i>" in mended
    assert 'Solution to <a href="#d">Exercise 1</a>' in mended
    assert "A.<wbr/>name_that_is_long" in mended
    assert mend(mended) == mended


def test_a_page_becomes_plain_markdown():
    source = (
        "(here)=\n# T\n\n:::{admonition} On this page\n:class: objectives\nRead {doc}`elbo` and {eq}`eq-a`.\n:::\n\n"
        "$$\nx\n$$ (eq-a)\n"
    )
    words = plain(source, "https://site.org/book/page.html")
    assert words.startswith("# T\n")
    assert "> **On this page**" in words
    assert "[elbo](https://site.org/book/elbo.html)" in words
    assert "[see the page](https://site.org/book/page.html)" in words
    assert "(eq-a)" not in words
    assert not re.search(r"[:`]{3}|\{\w+\}", words)


def test_a_notebook_gets_its_setup_before_its_first_code():
    text, code = {"cell_type": "markdown", "source": ["a"]}, {"cell_type": "code", "source": "b", "outputs": [1]}
    book = {"cells": [text, code, code], "metadata": {"kernelspec": {}, "source_map": []}, "nbformat": 4}
    done = portable(book, "https://site.org/p.html", "import x")
    assert [cell["source"] for cell in done["cells"]] == ["a", "import x", "b", "b"]
    assert [cell.get("outputs") for cell in done["cells"]] == [None, [], [], []]
    assert done["metadata"] == {"kernelspec": {}}
    assert len(portable({**book, "cells": [text]}, "", "import x")["cells"]) == 1


@pytest.mark.parametrize(
    ("mode", "colour"), [("L", (90, 90, 90, 255)), ("RGB", (9, 90, 200, 255)), ("LA", (9, 9, 9, 3))]
)
def test_a_picture_gets_smaller_and_stays_the_same(mode, colour):
    picture = Image.new("RGBA", (60, 40), colour)
    picture.putpixel((3, 4), (7, 7, 7, colour[3]))
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=0)
    address = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    drawing = pictures.compress(f'<svg><image href="{address}"/></svg>')
    assert len(drawing) < len(address) / 10
    data = base64.b64decode(pictures.EMBEDDED.search(drawing)[1])
    with Image.open(io.BytesIO(data)) as smaller:
        assert smaller.mode == mode
        assert smaller.convert("RGBA").tobytes() == picture.tobytes()
    assert pictures.compress(drawing) == drawing


def test_a_card_has_the_size_that_sites_expect(tmp_path):
    Image.new("RGB", card.SIZE, "white").save(tmp_path / "ground.png")
    card.draw(tmp_path / "ground.png", "A title of some length, " * 6, "The book", tmp_path / "x" / "card.png")
    with Image.open(tmp_path / "x" / "card.png") as drawn:
        assert drawn.size == card.SIZE
        assert drawn.convert("L").getextrema()[0] < 100
    Image.new("RGB", (10, 10)).save(tmp_path / "small.png")
    with pytest.raises(ValueError, match="1200x630"):
        card.draw(tmp_path / "small.png", "t", "b", tmp_path / "c.png")


@pytest.mark.slow
def test_icons_in_use_are_drawn(browser, site):
    """The fonts hold what the pages ask for; a glyph that is not there would be an empty box."""
    with Visit(browser, rendered(PAGES[1], site)) as visit:
        assert any("fa-solid-900.woff" in address for address in visit.requests)
    style = (HTML / "_static" / "styles" / "pydata-sphinx-theme.css").read_text("utf-8")
    rules = dict(
        pair for names, code in icons.RULE.findall(style) for pair in ((n, code) for n in icons.CLASS.findall(names))
    )
    folder = HTML / "_static" / "vendor" / "fontawesome" / "webfonts"
    glyphs = {code for font in folder.glob("*.woff") for code in TTFont(font).getBestCmap()}
    used = {
        c
        for page in PAGES
        for i in parsed(page).select("i[class], span[class]")
        for c in i["class"]
        if c.startswith("fa-")
    }
    used -= {"fa-solid", "fa-lg", "fa-brands", "fa-regular"}
    assert {"fa-bars", "fa-download", "fa-github"} <= used
    for name in used:
        assert int(rules[name].lstrip("\\"), 16) in glyphs, name


def test_a_browser_is_looked_for_by_name(tmp_path, monkeypatch):
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("COURSEKIT_BROWSER", raising=False)
    assert chromium.find() == program
    monkeypatch.setenv("COURSEKIT_BROWSER", str(tmp_path / "none"))
    assert chromium.find() is None


def test_where_no_browser_can_be_installed_there_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setattr(chromium, "find", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CourseError, match="no browser: install Chromium"):
        chromium.ensure(tmp_path)
    monkeypatch.setattr(chromium, "_install", lambda log: pytest.fail("tried again at once"))
    with pytest.raises(CourseError, match="no browser"):
        chromium.ensure(tmp_path)

    monkeypatch.setattr(
        chromium, "ensure", chromium.ensure.__wrapped__ if hasattr(chromium.ensure, "__wrapped__") else _none
    )
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no browser"), one_browser():
        pass
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no browser"), one_browser():
        pass


def _none(root=ROOT):
    raise CourseError("no browser: none here")


def test_an_installed_browser_is_found(tmp_path, monkeypatch):
    found = []
    monkeypatch.setattr(chromium, "find", lambda: found[-1] if found else None)
    monkeypatch.setattr(chromium, "_install", lambda log: found.append(tmp_path / "chromium"))
    assert chromium.ensure(tmp_path) == tmp_path / "chromium"
    assert not (tmp_path / "_build" / "no-browser.txt").exists()
