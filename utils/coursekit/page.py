"""A student's feedback page: one HTML file without scripts, which loads nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import jinja2
from markupsafe import Markup
from nbformat import NotebookNode

from .errors import CourseError
from .markdown import LONGEST_SOURCE, code_box, page_address, render_markdown, text_box
from .plain import PICTURES, clean, one_line, picture_address, shorten
from .plan import Plan, Task, grade_id
from .roster import Student, read_roster

WITHHELD = "(This output is not shown, because it contains text of a hidden test.)\n"
NO_WORDS = (
    "It did not finish, or says nothing. Run your notebook from the top and look at this task; if all is well there, "
    "ask your instructor."
)
GONE = "Its cell is not in the notebook that you handed in. Start from the notebook of the course, and delete no cell."
MOST_CELLS = 400
MOST_PICTURES = 25_000_000
"""Characters that all the pictures of a page may take together."""
MOST_TEXT = 600_000
"""Characters that the cells and outputs of a page may have together."""


class Mark(NamedTuple):
    """The points of one graded cell."""

    score: float
    max_score: float
    waits: bool
    """Whether a person has still to read it."""


class Record(NamedTuple):
    """What the gradebook says of a submission."""

    marks: dict[str, Mark]
    comments: dict[str, str]
    score: float
    max_score: float
    penalty: float


class Shown(NamedTuple):
    """One piece of the student's work, as the page shows it."""

    kind: str
    """``text``, ``code``, ``answer``, ``visible`` or ``hidden`` (tests), or ``raw``."""
    body: Markup
    outputs: list[Markup]
    mark: Mark | None
    comment: Markup
    found: str
    """What a failed test says."""


class Part(NamedTuple):
    """A task of the assignment with all that belongs to it."""

    anchor: str
    title: Markup
    score: float
    max_score: float
    columns: dict[str, Mark | None]
    """Points of its visible checks, its hidden tests, and what a person reads."""
    task: list[Markup]
    """The task's text."""
    pieces: list[Shown]
    pages: tuple[tuple[str, str], ...]

    waiting: float
    """Points that a person has still to give or to refuse."""

    @property
    def lost(self) -> float:
        """Points that are gone: what a person has still to read is not."""
        return max(0.0, round(self.max_score - self.score - self.waiting, 6))

    @property
    def findings(self) -> list[tuple[str, list[Shown]]]:
        """What failed tests say, each with the tests that say it."""
        found: dict[str, list[Shown]] = {}
        for piece in self.pieces:
            if piece.found:
                found.setdefault(piece.found, []).append(piece)
        return list(found.items())

    @property
    def is_open(self) -> bool:
        """Whether there are no points yet, because a person has still to read the answer."""
        return bool(self.waiting and not self.score)


def web_address(address: str) -> str:
    """The address of the published book, or nothing. Raises ``CourseError`` if it is not one."""
    if address and not re.match(r"https?://[^\s\"'<>]+\Z", address):
        raise CourseError(f"FeedbackPage.book_address is {address!r}: give an address that begins with https://.")
    return address


@lru_cache(maxsize=1)
def templates() -> jinja2.Environment:
    """The templates of coursekit's pages; whatever is put into them is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("coursekit"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["points"] = points
    environment.filters["decimal"] = lambda value: points(value) if value % 1 else f"{value:.1f}"
    return environment


def points(value: float) -> str:
    """Points without zeros that say nothing: 2, 1.5, 0.33."""
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")


def view(nb: NotebookNode, truth: Plan, record: Record, names: Mapping, root: Path, book: str) -> dict[str, object]:
    """All that the template needs."""
    parts = _parts(nb, truth, record, book)
    student = str(names.get("student", ""))
    full = {s.id: f"{s.first_name} {s.last_name}".strip() for s in _students(root)}.get(student, "")
    return {
        "title": inline(truth.title) or str(names.get("assignment", "")),
        "assignment": one_line(names.get("assignment", "")),
        "student": one_line(student),
        "name": one_line(full),
        "record": record,
        "parts": [part for part in parts if part.anchor != "before"],
        "before": next((part for part in parts if part.anchor == "before"), None),
        "waits": _waiting(record.marks.values()),
        "reread": _reread(truth.pages, root, book),
        "own_pages": {part.anchor: _reread(part.pages, root, book) for part in parts},
        "left_out": max(0, len(nb.cells) - MOST_CELLS),
    }


def inline(text: str) -> Markup:
    """One line of Markdown without the paragraph around it, and without links."""
    html = render_markdown(text).strip()
    html = re.sub(r"</?(?:p|a)\b[^>]*>", "", html)
    return Markup(html)


def _students(root: Path) -> list[Student]:
    try:
        return read_roster(root)
    except CourseError:  # whoever collects or exports is told; feedback goes by ids
        return []


def _reread(pages: Iterable[tuple[str, str]], root: Path, book: str) -> list[tuple[str, str, str]]:
    """Title, path and address of each page."""
    return [(_page_title(root, path) or label, path, page_address(f"{path}.md", book)) for label, path in pages]


def _page_title(root: Path, path: str) -> str:
    """The first heading of a page of the course; empty if it is not there."""
    file = root / f"{path}.md"
    if ".." in path or not file.is_file():
        return ""
    lines = file.read_text(encoding="utf-8").splitlines()
    return next((one_line(line[2:]) for line in lines if line.startswith("# ")), "")


def _parts(nb: NotebookNode, truth: Plan, record: Record, book: str) -> list[Part]:
    """The cells of the notebook in the tasks that they belong to, whatever order the student left them in."""
    headings = {task.title: position for position, task in enumerate(truth.tasks)}
    cells: dict[int, list[NotebookNode]] = {position: [] for position in range(-1, len(truth.tasks))}
    here = -1
    for cell in nb.cells[:MOST_CELLS]:
        lines = cell.source.splitlines() if cell.cell_type == "markdown" else []
        named = [headings[line[3:].strip()] for line in lines if line[3:].strip() in headings]
        here = truth.place.get(grade_id(cell), named[-1] if named else here)
        cells[here].append(cell)
    budget = _Budget(MOST_PICTURES, MOST_TEXT)
    parts = [_part(position, found, truth, record, book, budget) for position, found in cells.items()]
    rest = {name: mark for name, mark in record.marks.items() if name not in truth.place}
    if rest:  # the gradebook knows cells that the source does not, as after a new release
        columns = {**dict.fromkeys(("visible", "hidden")), "answer": _sum(rest.values())}
        score, most = sum(m.score for m in rest.values()), sum(m.max_score for m in rest.values())
        parts.append(Part("others", Markup("Other cells"), score, most, columns, [], [], (), _waiting(rest.values())))
    return [part for part in parts if part.anchor != "before" or part.task or part.pieces or part.max_score]


class _Budget:
    """What a page may still take, so that one with many cells, each within its limits, stays a page."""

    def __init__(self, pictures: int, text: int) -> None:
        self.pictures = pictures
        self.text = text

    def picture(self, data: object, kind: str) -> str | None:
        """The address of a picture; None if it is not sound, or if the page is full."""
        address = picture_address(data, kind) if self.pictures > 0 else None
        if address is None or len(address) > self.pictures:
            return None
        self.pictures -= len(address)
        return address

    def words(self, text: str) -> str:
        """The text, or a note if the page is full."""
        self.text -= min(len(text), LONGEST_SOURCE) + 100
        return text if self.text > 0 else "(Not shown: this page is full.)"


def _part(position: int, cells: list[NotebookNode], truth: Plan, record: Record, book: str, budget: _Budget) -> Part:
    names = [name for name, place in truth.place.items() if place == position and name in record.marks]
    columns = {
        kind: _sum(record.marks[name] for name in names if _column(truth.kind[name]) == kind)
        for kind in ("visible", "hidden", "answer")
    }
    given, pieces = [], []
    for cell in cells:
        if not pieces and cell.cell_type == "markdown" and cell.metadata["coursekit"] == "given":
            given.append(_prose(cell, truth, book, budget))
        else:
            pieces.append(_piece(cell, record, book, budget))
    present = {grade_id(cell) for cell in cells}
    for name in names:
        mark, kind = record.marks[name], truth.kind[name]
        if name not in present and kind in ("visible", "hidden") and mark.score < mark.max_score:
            pieces.append(Shown(kind, Markup(""), [], mark, Markup(""), GONE))
    task = truth.tasks[position] if position >= 0 else Task("Before the tasks", ())
    return Part(
        f"task-{position + 1}" if position >= 0 else "before",
        inline(re.sub(r"\s*\([^()]*\)$", "", task.title)),
        sum(record.marks[name].score for name in names),
        sum(record.marks[name].max_score for name in names),
        columns,
        given,
        [piece for piece in pieces if piece.body or piece.outputs or piece.mark],
        task.pages,
        _waiting(record.marks[name] for name in names),
    )


def _waiting(marks: Iterable[Mark]) -> float:
    return sum(mark.max_score - mark.score for mark in marks if mark.waits)


def _column(kind: str) -> str:
    return kind if kind in ("visible", "hidden") else "answer"


def _sum(marks: Iterable[Mark]) -> Mark | None:
    marks = list(marks)
    if not marks:
        return None
    return Mark(sum(m.score for m in marks), sum(m.max_score for m in marks), any(m.waits for m in marks))


def _prose(cell: NotebookNode, truth: Plan, book: str, budget: _Budget) -> Markup:
    """A cell of the assignment's text, without the heading that the page repeats."""
    titles = {task.title for task in truth.tasks}
    lines = [line for line in cell.source.splitlines() if not (line.startswith("## ") and line[3:].strip() in titles)]
    text = "\n".join(lines)
    text = budget.words(text.removeprefix(f"# {truth.title}"))
    return render_markdown(text, cell.get("attachments"), book, budget.picture)


def _piece(cell: NotebookNode, record: Record, book: str, budget: _Budget) -> Shown:
    kind, name = cell.metadata["coursekit"], grade_id(cell)
    mark, comment = record.marks.get(name), record.comments.get(name, "")
    comment = render_markdown(comment) if comment else Markup("")
    source = budget.words(cell.source)
    if cell.cell_type == "markdown":
        body = render_markdown(source, cell.get("attachments"), book, budget.picture)
        return Shown("answer" if kind == "answer" else "text", body, [], mark, comment, "")
    if cell.cell_type != "code":
        return Shown("raw", text_box(shorten(clean(source), LONGEST_SOURCE), "Text"), [], None, comment, "")
    if kind in ("visible", "hidden"):
        body = code_box(source, "Code of the check") if _has_code(cell.source) else Markup("")
        found = _found(cell.outputs, mark) if mark else ""
        outputs = [] if kind == "hidden" else [o for output in cell.outputs for o in _output(output, budget)]
        return Shown(kind, body, outputs, mark, comment, found)
    outputs = [o for output in cell.outputs for o in _output(output, budget, errors=True)]
    body = code_box(source, "Your code") if cell.source.strip() else Markup("")
    return Shown("answer" if kind == "answer" else "code", body, outputs, mark, comment, "")


def _has_code(source: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("#") for line in source.splitlines())


def _found(outputs: list[NotebookNode], mark: Mark) -> str:
    """What a test that took points says, in words; empty if it took none."""
    if mark.score >= mark.max_score:
        return ""
    for output in outputs:
        if output.output_type == "error":
            return in_words(output.ename, output.evalue)
        if output.get("text") == WITHHELD:
            return WITHHELD.strip()
    return NO_WORDS


def in_words(ename: str, evalue: str) -> str:
    """What the exception that ended a test means to the student."""
    if ename == "AssertionError":
        return evalue.strip() or "Something is not as it should be, but the test does not say what."
    if ename == "NotImplementedError" and not evalue.strip():
        return "There is no answer yet: your code raises NotImplementedError."
    return f"The test could not go on: {ename}{': ' if evalue.strip() else ''}{evalue.strip()}"


def _output(output: NotebookNode, budget: _Budget, errors: bool = False) -> Iterable[Markup]:
    """An output as the page shows it: nothing, one box or one picture."""
    if output.output_type == "error":
        if errors:
            yield text_box(budget.words("\n".join(output.traceback)), "Error")
    elif output.output_type == "stream":
        if output.text.strip():
            yield text_box(budget.words(output.text), "Output")
    else:
        kinds = [kind for kind in PICTURES if kind in output.data]
        address = next(filter(None, (budget.picture(output.data[kind], kind) for kind in kinds)), None)
        if address:
            alt = "A picture that the code above draws. It has no description."
            yield Markup('<img src="{}" alt="{}">').format(address, alt)
        elif kinds:
            yield Markup('<p class="absent">(A picture is not shown: it is broken or too large.)</p>')
        elif output.data.get("text/plain", "").strip():
            yield text_box(budget.words(output.data["text/plain"]), "Output")
