"""The class at a glance: one page per assignment for the instructor, in ``grading/overview/NAME.html``.

Points come from the gradebook, standings from ``grading/status``, misconceptions from the messages of failed tests in
the autograded notebooks. The page loads nothing, runs nothing, and links to notebooks and feedback beside it.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from markupsafe import Markup
from nbgrader.api import Assignment, BaseCell, Grade, SubmittedAssignment, SubmittedNotebook

from .course import source_path
from .errors import CourseError
from .grading import gradebook
from .page import NO_WORDS, Mark, in_words, inline, points, templates
from .plain import clean, joined, shorten
from .plan import Plan, course_plan
from .project import ROOT
from .roster import Student, read_roster

STATUS_WORDS = {
    "graded": "graded",
    "flagged": "graded, and a person should look",
    "failed": "could not be graded",
    "missing": "nothing handed in",
}
LARGEST_NOTEBOOK = 64 * 2**20
"""Bytes; the messages in a larger one are not read."""
LONGEST_MESSAGE = 600
MOST_MESSAGES = 60
BINS = 10

_NUMBER = re.compile(r"[-−+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|\b(?:nan|inf)\b")
_LIST = re.compile(r"#(?:,\s*#)+")


class Line(NamedTuple):
    """One student in the overview."""

    student: str
    name: str
    status: str
    why: str
    score: float | None
    late: bool
    waits: float
    """Points of written answers that nobody has read yet."""
    notebook: str
    """Relative address of the autograded notebook, or nothing."""
    feedback: str


class Success(NamedTuple):
    """How a task went in the class: numbers of students."""

    title: Markup
    max_score: float
    full: int
    part: int
    none: int
    open: int
    mean: float
    """Points, over those for whom nothing is open."""
    has_mean: bool


class Met(NamedTuple):
    """A message of failed tests, and who met it."""

    task: Markup
    example: str
    students: list[str]


def overview(name: str, root: Path = ROOT) -> Path:
    """Write the page of an assignment and return its path.

    Raises ``CourseError`` if the assignment is unknown, or if none of it has been graded and no status is known.
    """
    from .status import read_status

    root = Path(root).resolve()
    source_path(name, root)
    truth = course_plan(name, root)
    if truth is None:
        raise CourseError(f"solutions/{name}/{name}.md cannot be read as a notebook: mend it, then try again.")
    marks, scores, max_score = _marks(name, root)
    lines = _lines(name, root, read_status(name, root), marks, scores)
    if not marks and not any(line.status != "missing" for line in lines):
        raise CourseError(f"Nothing of {name} has been graded yet: grade it first, with `make grade NAME={name}`.")
    handed = [line for line in lines if line.score is not None]
    graded = [line.score for line in handed]
    met = _met(name, root, truth, marks)
    text = (
        templates()
        .get_template("overview.html.j2")
        .render(
            title=inline(truth.title) or name,
            assignment=name,
            lines=lines,
            counts=[(s, words, sum(line.status == s for line in lines)) for s, words in STATUS_WORDS.items()],
            late=sum(line.late for line in lines),
            waiting=[line for line in lines if line.waits],
            look=_look(lines),
            missing=[line for line in lines if line.status == "missing"],
            scores=graded,
            max_score=max_score,
            mean=statistics.fmean(graded) if graded else 0.0,
            median=statistics.median(graded) if graded else 0.0,
            histogram=_histogram(graded, max_score),
            tasks=_success(truth, marks),
            met=met[:MOST_MESSAGES],
            rare=met[MOST_MESSAGES:],
        )
    )
    return _write(root / "grading" / "overview" / f"{name}.html", text)


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".overview-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)
    return path


def _marks(name: str, root: Path) -> tuple[dict[str, dict[str, Mark]], dict[str, float], float]:
    """Marks by student and cell, points by student after penalties, and the most that can be had."""
    marks: dict[str, dict[str, Mark]] = {}
    scores: dict[str, float] = {}
    with gradebook(root) as book:
        found = book.db.query(Assignment).filter(Assignment.name == name).one_or_none()
        if found is None:
            return marks, scores, 0.0
        mine = SubmittedAssignment.assignment_id == found.id
        notebooks = (
            book.db.query(
                SubmittedAssignment.student_id,
                SubmittedNotebook.score,
                SubmittedNotebook.late_submission_penalty,
            )
            .join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
            .filter(mine)
        )
        for student, score, penalty in notebooks:
            marks.setdefault(student, {})
            scores[student] = scores.get(student, 0.0) + max(0.0, (score or 0.0) - (penalty or 0.0))
        cells = (
            book.db.query(
                SubmittedAssignment.student_id,
                BaseCell.name,
                Grade.score,
                Grade.max_score,
                Grade.needs_manual_grade,
            )
            .join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
            .join(Grade, Grade.notebook_id == SubmittedNotebook.id)
            .join(BaseCell, BaseCell.id == Grade.cell_id)
            .filter(mine)
        )
        for student, cell, score, most, waits in cells:
            marks[student][cell] = Mark(float(score or 0), float(most or 0), bool(waits))
        return marks, scores, float(found.max_score or 0)


def _lines(name: str, root: Path, standings: dict, marks: dict, scores: dict[str, float]) -> list[Line]:
    """Every student whom the roster, the status or the gradebook knows, by id."""
    roster = {student.id: student for student in read_roster(root)}
    lines = []
    for student in sorted({*roster, *standings, *marks}):
        standing = standings.get(student)
        status = standing.status if standing else ("graded" if student in marks else "missing")
        # A failed rerun leaves older points in the gradebook; they stand, and the status says what happened.
        score = None if status == "missing" and student not in marks else scores.get(student)
        lines.append(
            Line(
                student,
                _full_name(roster.get(student)),
                status,
                clean(standing.why) if standing else "",
                score,
                bool(standing and standing.late > 0),
                sum(mark.max_score for mark in marks.get(student, {}).values() if mark.waits),
                _address(root, "autograded", student, name, f"{name}.ipynb"),
                _address(root, "feedback", student, name, f"{name}.html"),
            )
        )
    return lines


def _full_name(student: Student | None) -> str:
    return clean(f"{student.first_name} {student.last_name}".strip()) if student else ""


def _address(root: Path, *parts: str) -> str:
    """The address of a file below ``grading``, as seen from the overview; nothing if it is not there."""
    return "../" + "/".join(map(quote, parts)) if root.joinpath("grading", *parts).is_file() else ""


def _look(lines: list[Line]) -> list[Line]:
    """Who needs a look, the most urgent first; for the missing and the merely unread there are lists of their own."""
    return sorted((x for x in lines if x.status in ("failed", "flagged")), key=lambda x: (x.status, x.student))


def _success(truth: Plan, marks: dict[str, dict[str, Mark]]) -> list[Success]:
    """For each task that has points, how many students have them all, some, or none."""
    tasks = []
    for position, task in enumerate(truth.tasks):
        names = {name for name, place in truth.place.items() if place == position}
        rows = [[mark for name, mark in mine.items() if name in names] for mine in marks.values()]
        rows = [row for row in rows if row]
        done = [sum(m.score for m in row) for row in rows if not any(m.waits for m in row)]
        most = max((sum(m.max_score for m in row) for row in rows), default=0.0)
        full = sum(score >= most - 1e-9 for score in done)
        none = sum(score <= 1e-9 for score in done)
        title = inline(re.sub(r"\s*\([^()]*\)$", "", task.title))
        mean = statistics.fmean(done) if done else 0.0
        parts = len(done) - full - none
        tasks.append(Success(title, most, full, parts, none, len(rows) - len(done), mean, bool(done)))
    return [task for task in tasks if task.max_score]


def _met(name: str, root: Path, truth: Plan, marks: dict[str, dict[str, Mark]]) -> list[Met]:
    """The messages of failed tests, those that most students met first."""
    found: dict[tuple[int, str], tuple[str, set[str]]] = {}
    for student, mine in marks.items():
        path = root / "grading" / "autograded" / student / name / f"{name}.ipynb"
        for cell, words in _messages(path, truth):
            if cell in mine and mine[cell].score < mine[cell].max_score:
                key = (truth.place[cell], pattern(words))
                found.setdefault(key, (shorten(words, LONGEST_MESSAGE), set()))[1].add(student)
    titles = [inline(task.title.partition(":")[0]) for task in truth.tasks]
    order = sorted(found.items(), key=lambda item: (-len(item[1][1]), item[0]))
    return [
        Met(titles[place] if place >= 0 else Markup("Before"), example, sorted(students))
        for (place, _), (example, students) in order
    ]


def _messages(path: Path, truth: Plan) -> Iterator[tuple[str, str]]:
    """For each test that ended in an error: its cell, and what it says. Nothing from a file that cannot be read."""
    try:
        if path.stat().st_size > LARGEST_NOTEBOOK:
            return
        cells = json.loads(path.read_bytes())["cells"]
        for cell in cells:
            name = (cell["metadata"].get("nbgrader") or {}).get("grade_id")
            if truth.kind.get(name) in ("visible", "hidden"):
                errors = [o for o in cell.get("outputs", []) if o.get("output_type") == "error"]
                for error in errors[:1]:
                    ename, evalue = (clean(str(joined(error.get(k, "")))[:5000]) for k in ("ename", "evalue"))
                    yield name, in_words(ename, evalue)
                if not errors:
                    yield name, NO_WORDS.partition(".")[0] + "."
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return


def pattern(words: str) -> str:
    """A message without its numbers, so that those which differ in nothing else count as one."""
    return _LIST.sub("#", _NUMBER.sub("#", " ".join(words.split())))


class Histogram(NamedTuple):
    """Numbers of students whose points fall in ranges of equal width; the last range includes its end."""

    edges: list[float]
    counts: list[int]

    @property
    def rows(self) -> list[tuple[str, int, float]]:
        """For each range its name, its number and its share of the largest number."""
        top = max(self.counts, default=0) or 1
        names = [f"{points(a)} to {points(b)}" for a, b in zip(self.edges, self.edges[1:], strict=False)]
        return [(name, count, count / top) for name, count in zip(names, self.counts, strict=True)]

    @property
    def words(self) -> str:
        """The picture in one sentence."""
        told = "; ".join(f"{name} points: {count}" for name, count, _ in self.rows if count)
        return f"Numbers of students by points. {told or 'None yet'}."


def _histogram(scores: Iterable[float], max_score: float) -> Histogram:
    top = max([max_score, *scores, 1.0])
    edges = [top * k / BINS for k in range(BINS + 1)]
    counts = [0] * BINS
    for score in scores:
        counts[min(BINS - 1, int(score / top * BINS + 1e-9))] += 1
    return Histogram(edges, counts)
