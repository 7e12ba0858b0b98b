"""The whole book as one PDF: Chromium prints the built pages, pypdf joins them and mends what leads to other pages.

A page is printed after its formulas are set. Links between pages, and the bookmarks, need the places of their targets
on paper; Chromium tells those of fragments that the page itself links to, so each page gets links to all of its
targets, too small to be seen, which are taken out again.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urldefrag, urljoin

import yaml
from playwright.sync_api import Browser, Page
from pypdf import PageObject, PdfReader, PdfWriter
from pypdf.generic import (
    ArrayObject,
    BooleanObject,
    DictionaryObject,
    Fit,
    FloatObject,
    NameObject,
    NullObject,
    TextStringObject,
)

from . import browser
from .errors import CourseError
from .page import templates
from .project import ROOT

WIDE = 627
"""Pixels between the margins of a sheet; print.css has the margins."""
NOTES = (
    "This is the book on paper. Answers that its pages fold away are open here. Code that they fold away, which draws "
    "the figures, is left out, and of what can be moved or played there is one picture.",
    "Text under CC BY 4.0, code under the MIT licence.",
)

# Waits until a page is as a reader sees it, and returns its headings.
READY = """async () => {
  document.documentElement.dataset.theme = document.documentElement.dataset.mode = 'light';
  document.querySelectorAll('details:not(.above-input)').forEach(d => { d.open = true; });
  document.querySelectorAll('.toggle-hidden').forEach(a => a.classList.remove('toggle-hidden'));
  document.querySelectorAll('img').forEach(i => { i.loading = 'eager'; });
  if (window.MathJax) {
    while (!(window.MathJax.startup || {}).promise) await new Promise(f => setTimeout(f, 20));
    await window.MathJax.startup.promise;
  }
  await document.fonts.ready;
  await Promise.all([...document.images].map(i => i.decode().catch(() => null)));
  await new Promise(f => requestAnimationFrame(() => requestAnimationFrame(f)));
  return [...document.querySelectorAll('article h1, article h2, article h3')].map(h => {
    const words = h.cloneNode(true);
    words.querySelectorAll('.headerlink').forEach(e => e.remove());
    words.querySelectorAll('mjx-container').forEach(e => {
      const spoken = e.querySelector('mjx-assistive-mml');
      e.replaceWith(spoken ? spoken.textContent : '');
    });
    const section = h.closest('section[id]');
    const title = words.textContent.replace(/\\s+/g, ' ').trim();
    return { level: +h.tagName[1], id: section ? section.id : '', title };
  });
}"""

# Makes what is wider than the sheet as small as it must be, and keeps together what is low; says what was too wide.
FIT = """wide => {
  const shrunk = [];
  for (const e of document.querySelectorAll('article :is(.cell_input, .admonition, .proof, pre, table)')) {
    const code = e.closest('.cell_input') || e;
    if (code.getBoundingClientRect().height < 330) e.classList.add('short');
  }
  for (const e of document.querySelectorAll('article mjx-container[display="true"], article table')) {
    const inner = e.matches('table') ? e : e.querySelector('mjx-math') || e;
    const box = e.parentElement.closest('li, dd, .admonition, .proof, td, figure, section') || e.parentElement;
    const room = box.clientWidth || wide;
    const size = Math.max(inner.scrollWidth, inner.getBoundingClientRect().width);
    if (size > room) {
      e.style.fontSize = `${Math.max(0.5, 0.98 * room / size) * 100}%`;
      shrunk.push(Math.round(size - room));
    }
  }
  return shrunk;
}"""

# Small links to every target on the page; Chromium then tells where the targets lie.
LINK = """ids => {
  const box = document.createElement('div');
  box.style.cssText = 'position:absolute;top:0;left:0;width:600px;line-height:1px;font-size:1px;color:transparent';
  for (const id of ids) {
    if (!document.getElementById(id)) continue;
    const link = document.createElement('a');
    link.href = '#' + encodeURIComponent(id);
    link.style.cssText = 'display:inline-block;width:1px;height:1px';
    box.append(link);
  }
  document.querySelector('article').prepend(box);
}"""


class Heading(NamedTuple):
    """A heading of a page: its depth from 1 on, the id of its section, its words."""

    level: int
    id: str
    title: str


class Sheets(NamedTuple):
    """A page of the book in print."""

    address: str
    headings: list[Heading]
    reader: PdfReader

    @property
    def title(self) -> str:
        """What the page is called."""
        return self.headings[0].title


class _Links(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def make(root: Path = ROOT) -> Path:
    """Print the built book into ``_build/vae-course.pdf``, or what the folder is called, and return the file.

    Raises:
        CourseError: If the book is not built, or if there is no browser to print it.
    """
    parts = _parts(root)
    files = [file for _, pages in parts for file in pages]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise CourseError(f"the book is not built ({missing[0]} is missing): run `make book` first")
    config = yaml.safe_load((root / "_config.yml").read_text("utf-8"))
    start = time.monotonic()
    targets = _targets(files)
    with browser.launch(root) as chromium:
        sheets = [_print(chromium, file, targets[file.as_uri()]) for file in files]
        pages, front = _assemble(chromium, config, parts, sheets)
        writer = _join(chromium, config, front, sheets)
    _bookmarks(writer, parts, sheets, pages)
    out = root / "_build" / "vae-course.pdf"
    writer.write(out)
    size = out.stat().st_size / 1e6
    print(f"pdf: {out.relative_to(root)} ({len(writer.pages)} pages, {size:.1f} MB, {time.monotonic() - start:.0f} s)")
    return out


def _parts(root: Path) -> list[tuple[str, list[Path]]]:
    """The parts of the table of contents, each with its built pages; the first, without a name, is the landing page."""
    toc = yaml.safe_load((root / "_toc.yml").read_text("utf-8"))
    built = root / "_build" / "html"
    parts = [("", [built / f"{toc['root']}.html"])]
    for part in toc["parts"]:
        names: list[str] = []
        for chapter in part["chapters"]:
            names += [chapter["file"], *(section["file"] for section in chapter.get("sections", []))]
        parts.append((part["caption"], [built / f"{name}.html" for name in names]))
    return parts


def _targets(files: list[Path]) -> dict[str, set[str]]:
    """For each page's address, the ids on it that any page links to."""
    targets: dict[str, set[str]] = {file.as_uri(): set() for file in files}
    for file in files:
        for link in _Links(file.read_text("utf-8")).found:
            address, fragment = urldefrag(urljoin(file.as_uri(), link))
            if fragment and address in targets:
                targets[address].add(unquote(fragment))
    return targets


@contextmanager
def ready(chromium: Browser, file: Path) -> Iterator[tuple[Page, list[Heading]]]:
    """A page as it goes to paper, and its headings: formulas set, answers open, nothing wider than the sheet."""
    context = chromium.new_context(viewport={"width": WIDE, "height": 900}, color_scheme="light")
    try:
        page = context.new_page()
        page.emulate_media(media="print", color_scheme="light")
        page.goto(file.as_uri(), wait_until="load")
        headings = [Heading(h["level"], h["id"], h["title"]) for h in page.evaluate(READY)]
        page.evaluate(FIT, WIDE)
        yield page, headings
    finally:
        context.close()


def _print(chromium: Browser, file: Path, targets: set[str]) -> Sheets:
    """One page on A4, with the places of its targets."""
    with ready(chromium, file) as (page, headings):
        page.evaluate(LINK, sorted(targets | {heading.id for heading in headings}))
        return Sheets(file.as_uri(), headings, _pdf(page))


def _pdf(page: Page) -> PdfReader:
    return PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True, print_background=True)))


def _render(chromium: Browser, template: str, **values: object) -> PdfReader:
    page = chromium.new_page()
    try:
        page.set_content(templates().get_template(template).render(values))
        return _pdf(page)
    finally:
        page.close()


def _places(sheets: list[Sheets], before: int) -> dict[str, tuple[int, float | None]]:
    """Where each address with its fragment lies: the page's index in the whole, and the height on it, points."""
    places: dict[str, tuple[int, float | None]] = {}
    for sheet in sheets:
        places[sheet.address] = (before, None)
        for name, target in sheet.reader.named_destinations.items():
            number = sheet.reader.get_destination_page_number(target)
            if number is not None and number >= 0:
                top = target.top
                places[f"{sheet.address}#{unquote(name.lstrip('/'))}"] = (
                    before + number,
                    None if top is None else float(top),
                )
        before += len(sheet.reader.pages)
    return places


def _assemble(
    chromium: Browser, config: dict, parts: list[tuple[str, list[Path]]], sheets: list[Sheets]
) -> tuple[dict[str, tuple[int, float | None]], PdfReader]:
    """The title page and the contents, and where everything lies behind them.

    How long the contents are decides which numbers stand in them: they are set again until their length is as assumed.
    """
    length = 2
    for _ in range(4):
        places = _places(sheets, length)
        shown = _contents(parts, sheets, places)
        front = _render(
            chromium,
            "pdf-front.html",
            title=config["title"],
            author=config["author"],
            language=_language(config),
            notes=NOTES,
            parts=shown,
        )
        if len(front.pages) == length:
            return places, front
        length = len(front.pages)
    raise CourseError("the contents of the PDF do not settle on a length")


def _contents(parts, sheets: list[Sheets], places) -> list[dict]:
    by_address = {sheet.address: sheet for sheet in sheets}
    shown = []
    for title, files in parts:
        chapters = []
        for file in files:
            sheet = by_address[file.as_uri()]
            chapter, *rest = sheet.headings
            sections = [_line(sheet, heading, places) for heading in rest if heading.level == 2]
            chapters.append({**_line(sheet, chapter, places), "address": sheet.address, "sections": sections})
        shown.append({"title": title, "chapters": chapters})
    return shown


def _line(sheet: Sheets, heading: Heading, places) -> dict[str, object]:
    address = f"{sheet.address}#{heading.id}"
    return {"title": heading.title, "address": address, "number": places.get(address, places[sheet.address])[0] + 1}


def _language(config: dict) -> str:
    return config.get("sphinx", {}).get("config", {}).get("language", "en")


def _join(chromium: Browser, config: dict, front: PdfReader, sheets: list[Sheets]) -> PdfWriter:
    """All sheets in one file, with numbers at their feet and links that stay inside."""
    writer = PdfWriter()
    places = _places(sheets, len(front.pages))
    feet: list[dict | None] = [None] * len(front.pages)
    for number in range(1, len(front.pages)):
        feet[number] = {"title": "Contents", "number": number + 1}
    for sheet in sheets:
        for _ in sheet.reader.pages:
            feet.append({"title": sheet.title, "number": len(feet) + 1})
    numbers = _render(chromium, "pdf-feet.html", feet=feet)
    if len(numbers.pages) != len(feet):
        raise CourseError(f"{len(feet)} pages were to be numbered, and the browser made {len(numbers.pages)} numbers")
    named: list[tuple[str, PageObject]] = [("", page) for page in front.pages]
    named += [(sheet.address, page) for sheet in sheets for page in sheet.reader.pages]
    for _, page in named:
        writer.add_page(page)
    for (address, _), page, foot in zip(named, writer.pages, numbers.pages, strict=True):
        page.merge_page(foot)
        _mend_links(writer, page, address, places)
    for page in writer.pages:
        page.compress_content_streams()
    writer.compress_identical_objects(remove_duplicates=True, remove_unreferenced=True)
    writer.add_metadata(
        {"/Title": config["title"], "/Author": config["author"], "/Subject": "The whole book, for paper"}
    )
    root = writer.root_object
    root[NameObject("/Lang")] = TextStringObject(_language(config))
    root[NameObject("/ViewerPreferences")] = DictionaryObject({NameObject("/DisplayDocTitle"): BooleanObject(True)})
    root[NameObject("/PageMode")] = NameObject("/UseOutlines")
    return writer


def _mend_links(writer: PdfWriter, page: PageObject, address: str, places) -> None:
    """Links to places in the book lead there; those to other files of the site are dropped; the small ones too."""
    kept = ArrayObject()
    for reference in page.get("/Annots") or ():
        link = reference.get_object()
        rect = [float(value) for value in link["/Rect"]]
        if abs(rect[3] - rect[1]) < 2.0:
            continue
        target = _target(link, address)
        if target is not None and not target.startswith(("https:", "http:", "mailto:")):
            place = places.get(target) or places.get(urldefrag(target)[0])
            if place is None:
                continue
            for key in ("/A", "/Dest"):
                link.pop(key, None)
            link[NameObject("/Dest")] = _destination(writer, *place)
        kept.append(reference)
    page[NameObject("/Annots")] = kept


def _target(link: DictionaryObject, address: str) -> str | None:
    """The address that a link names; None if it is of another kind."""
    action = link.get("/A", DictionaryObject()).get_object()
    if "/URI" in action:
        base, fragment = urldefrag(str(action["/URI"]))
        return f"{base}#{unquote(fragment)}" if fragment else base
    name = link.get("/Dest", action.get("/D"))
    return None if name is None else f"{address}#{unquote(str(name).lstrip('/'))}"


def _destination(writer: PdfWriter, number: int, top: float | None) -> ArrayObject:
    page = writer.pages[number].indirect_reference
    height = NullObject() if top is None else FloatObject(top)
    return ArrayObject([page, NameObject("/XYZ"), NullObject(), height, NullObject()])


def _bookmarks(writer: PdfWriter, parts, sheets: list[Sheets], places) -> None:
    """Parts, in them chapters, in them sections and their subsections."""
    by_address = {sheet.address: sheet for sheet in sheets}
    for title, files in parts:
        first = places[files[0].as_uri()][0]
        part = writer.add_outline_item(title, first, bold=True, is_open=True) if title else None
        for file in files:
            sheet = by_address[file.as_uri()]
            above = {0: part}
            for heading in sheet.headings:
                number, top = places.get(f"{sheet.address}#{heading.id}", places[sheet.address])
                if heading.level == 1:
                    number, top = places[sheet.address]
                parent = above[max(level for level in above if level < heading.level)]
                item = writer.add_outline_item(
                    heading.title, number, parent=parent, fit=Fit.xyz(top=top), is_open=heading.level > 1
                )
                above = {level: kept for level, kept in above.items() if level < heading.level} | {heading.level: item}
