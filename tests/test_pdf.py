"""Tests of the book on paper: all of it is there, nothing is cut, what only a screen can do is gone."""

import re
import subprocess
import sys
from html import unescape

import pytest
import yaml
from pypdf import PdfReader

from coursekit import pdf
from coursekit.errors import CourseError
from coursekit.project import ROOT, pages

HTML = ROOT / "_build" / "html"
CONTROLS = (
    "Show code cell source",
    "Hide code cell source",
    "Toggle hidden content",
    "set q to the",
    "redraw",
    "swap p and q",
)
# What is drawn beyond the sheet's margin; what is spoken only is not drawn.
BEYOND = """wide => [...document.querySelectorAll('article *')].filter(e => {
  if (e.closest('mjx-assistive-mml, .ex-hidden, .visually-hidden')) return false;
  const box = e.getBoundingClientRect();
  return box.width > 1 && box.height > 1 && (box.right > wide + 1 || box.left < -1);
}).map(e => `${e.tagName} ${e.className} ${(e.textContent || '').slice(0, 60)}`)"""
pytestmark = pytest.mark.slow


def bare(text):
    """Text without the white space, which paper and screen set differently."""
    return re.sub(r"\s+", "", text)


def words(html):
    """The text of HTML: without tags, entities and the sign of a heading's link."""
    return unescape(re.sub(r"<[^>]+>", "", html)).replace("\u00b6", "").rstrip("#")


def built(page):
    return (HTML / page.relative_to(ROOT).with_suffix(".html")).read_text("utf-8")


def title(page):
    return words(re.search(r"<h1>(.*?)</h1>", built(page).split("<article", 1)[1], re.DOTALL)[1]).strip()


def shown_code(page):
    """The code cells of a page that a reader sees without unfolding them, as lists of lines."""
    html = re.sub(r'<details class="admonition hide above-input">.*?</details>', "", built(page), flags=re.DOTALL)
    cells = re.findall(r'<div class="cell_input.*?<pre>(.*?)</pre>', html, re.DOTALL)
    return [words(cell).strip("\n").splitlines() for cell in cells]


def flat(outline, depth=0, above=()):
    """Every bookmark with its depth and the titles above it."""
    title_before = ""
    for item in outline:
        if isinstance(item, list):
            yield from flat(item, depth + 1, (*above, title_before))
        else:
            title_before = item.title
            yield item, depth, above


@pytest.fixture(scope="module")
def paper(_browser):
    """The PDF of the book as it is built now; ``_browser`` says in one line that there is no browser.

    It is printed by a process of its own: playwright allows one event loop in each.
    """
    subprocess.run([sys.executable, "-c", "from coursekit.pdf import make; make()"], check=True)
    return PdfReader(ROOT / "_build" / "vae-course.pdf")


@pytest.fixture(scope="module")
def chapters(paper):
    """The sheets of every page of the book: its first and the one behind its last, by the page's title."""
    wanted = [title(page) for page in pages()]
    starts = {}
    for item, depth, _ in flat(paper.outline):
        if depth < 2 and item.title in wanted and item.title not in starts:
            starts[item.title] = paper.get_destination_page_number(item)
    assert list(starts) == wanted, "a page of the table of contents has no bookmark, or not in its order"
    ends = [*list(starts.values())[1:], len(paper.pages)]
    return {name: range(start, end) for (name, start), end in zip(starts.items(), ends, strict=True)}


@pytest.fixture(scope="module")
def texts(paper):
    return [page.extract_text() for page in paper.pages]


@pytest.mark.parametrize("page", pages(), ids=lambda p: p.stem)
class TestPage:
    def test_begins_with_its_title(self, page, chapters, texts):
        first = chapters[title(page)][0]
        assert bare(title(page)) in bare(texts[first])

    def test_its_longest_code_is_whole(self, page, chapters, texts):
        cells = shown_code(page)
        if not cells:
            return
        text = bare("".join(texts[i] for i in chapters[title(page)]))
        for line in max(cells, key=len):
            assert bare(line) in text, line

    def test_no_control_is_on_paper(self, page, chapters, texts):
        text = " ".join(texts[i] for i in chapters[title(page)])
        prose = words(re.sub(r"<(script|style|button|summary|label)\b.*?</\1>", "", built(page), flags=re.DOTALL))
        for label in CONTROLS:
            if label not in prose:
                assert label not in text


@pytest.mark.parametrize("page", pages(), ids=lambda p: p.stem)
def test_nothing_reaches_over_the_margin(page, browser):
    with pdf.ready(browser, HTML / page.relative_to(ROOT).with_suffix(".html")) as (sheet, _):
        assert sheet.evaluate(BEYOND, pdf.WIDE) == []


def test_bookmarks_nest_parts_chapters_sections(paper):
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    items = list(flat(paper.outline))
    found = {item.title: (depth, above) for item, depth, above in reversed(items)}
    numbers = [paper.get_destination_page_number(item) for item, _, _ in items]
    assert numbers == sorted(numbers)
    for part in toc["parts"]:
        assert found[part["caption"]] == (0, ())
        for chapter in part["chapters"]:
            name = title(ROOT / f"{chapter['file']}.md")
            assert found[name] == (1, (part["caption"],))
    assert max(depth for _, depth, _ in items) >= 2


def test_every_sheet_but_the_title_has_its_number(texts):
    for number, text in enumerate(texts, 1):
        assert bool(re.search(rf"(?<!\d){number}\s*$", text)) is (number > 1), number


def test_the_contents_name_the_right_sheets(paper, chapters, texts):
    front = " ".join("".join(texts[: next(iter(chapters.values()))[0]]).split())
    for name, sheets in chapters.items():
        assert re.search(rf"{re.escape(' '.join(name.split()))}\s*{sheets[0] + 1}\b", front), name


def test_links_stay_inside(paper):
    inside = 0
    for page in paper.pages:
        for reference in page.get("/Annots", []):
            link = reference.get_object()
            address = str(link.get("/A", {}).get("/URI", ""))
            assert not address.startswith("file:"), address
            inside += "/Dest" in link
    assert inside > 3 * len(pages())


def test_fonts_are_embedded_and_the_file_says_what_it_is(paper):
    for page in paper.pages:
        for font in (page["/Resources"].get("/Font") or {}).values():
            font = font.get_object()
            if font["/Subtype"] == "/Type3":  # drawn in the file itself
                continue
            described = font["/DescendantFonts"][0].get_object() if "/DescendantFonts" in font else font
            assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(described["/FontDescriptor"].get_object())
    assert paper.metadata.title == "Variational Autoencoders"
    assert paper.metadata.author
    assert paper.trailer["/Root"]["/Lang"] == "en"
    width, height = (float(value) for value in paper.pages[5].mediabox[2:])
    assert abs(width - 595.3) < 1
    assert abs(height - 841.9) < 1


def test_without_a_book_it_says_what_to_do(tmp_path):
    (tmp_path / "_toc.yml").write_text("root: book/index\nparts: []\n")
    with pytest.raises(CourseError, match="make book"):
        pdf.make(tmp_path)
