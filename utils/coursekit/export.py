"""Grades as tables for other programs: nbgrader's own CSV file, and those that Canvas and Moodle import.

Each is a plugin of nbgrader's, so that ``nbgrader export --exporter=coursekit.export.CanvasExport`` works as well.
Every student of the roster has a line. Who handed nothing in has no points, which is not the same as zero points; what
is not final, because a person has yet to read it or to look at it, says so where the format has a place for it.

The formats are those of "Import CSV File for Carmen Grades" (Ohio State University, on Canvas) and of Canvas's importer
``lib/gradebook_importer.rb``; and of "Grade import" (MoodleDocs 3.11) and Moodle's ``grade/import/csv``.

A text that a spreadsheet would take for a formula begins with an apostrophe: names come from students.
"""

from __future__ import annotations

import csv
import io
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nbgrader.api import Assignment, Gradebook
from nbgrader.plugins import ExportPlugin
from sqlalchemy.exc import SAWarning
from traitlets import Unicode

from .errors import CourseError
from .project import ROOT
from .roster import Student, read_roster

COLUMNS = (
    "assignment",
    "duedate",
    "timestamp",
    "student_id",
    "last_name",
    "first_name",
    "email",
    "raw_score",
    "late_submission_penalty",
    "score",
    "max_score",
    "needs_manual_grade",
    "status",
)
"""The columns of nbgrader's own CSV file, and two more."""

Row = list[str]


class Mark(NamedTuple):
    """One student's result in one assignment."""

    raw_score: float | None = None
    """Points before the late penalty, or None if nothing was graded."""
    penalty: float | None = None
    timestamp: str = ""
    needs_manual_grade: bool = False
    note: str = ""
    """What is not as usual or not final, in words."""

    @property
    def score(self) -> float | None:
        """Points after the late penalty, at least 0; None if nothing was graded."""
        return None if self.raw_score is None else max(0.0, self.raw_score - (self.penalty or 0.0))


def export(root: Path = ROOT, form: str = "nbgrader", name: str | None = None, to: Path | None = None) -> Path:
    """Write the grades of the whole course, or of one assignment, as ``nbgrader``, ``canvas`` or ``moodle`` want them.

    The file is ``grading/grades.csv``, ``grades-canvas.csv`` or ``grades-moodle.csv`` unless ``to`` names another.
    Returns its path.

    Raises ``CourseError`` if there is no such form or assignment, or if the roster is bad.
    """
    from .grading import gradebook

    root = Path(root).resolve()
    if form not in FORMS:
        raise CourseError(f"There is no form {form!r} of export: choose {', '.join(FORMS)}.")
    path = Path(to) if to else root / "grading" / ("grades.csv" if form == "nbgrader" else f"grades-{form}.csv")
    with warnings.catch_warnings():
        # nbgrader's queries are sound; SQLAlchemy 2 comments on the order of their flushes.
        warnings.simplefilter("ignore", SAWarning)
        with gradebook(root) as book:
            FORMS[form](to=str(path), root=str(root), assignment=[name] if name else []).export(book)
    return path


class CourseExport(ExportPlugin):
    """What the three forms share: who and what is exported, and a file that is written all at once."""

    root = Unicode(str(ROOT), help="the root of the course").tag(config=True)

    def export(self, gradebook: Gradebook) -> None:
        """Write the table to ``self.to``. Raises ``CourseError`` if there is no such assignment."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(self.rows(gradebook))
        write_whole(Path(self.to or "grades.csv"), text.getvalue())

    def rows(self, gradebook: Gradebook) -> Iterator[Row]:
        """The table, line by line."""
        raise NotImplementedError

    def assignments(self, gradebook: Gradebook) -> list[Assignment]:
        """The assignments to be exported, by name."""
        known = {assignment.name: assignment for assignment in gradebook.assignments}
        unknown = [name for name in self.assignment if name not in known]
        if unknown or not known:
            raise CourseError(
                f"The gradebook has no assignment {' or '.join(map(repr, unknown)) or 'at all'}: `make release` and "
                f"`make grade` put one in. It has: {', '.join(sorted(known)) or 'none'}."
            )
        return [known[name] for name in sorted(self.assignment or known)]

    def students(self, gradebook: Gradebook, everybody: bool = False) -> list[Student]:
        """Those of the roster, in its order; without one, or if everybody is asked for, those of the gradebook too."""
        students = read_roster(Path(self.root))
        listed = {student.id for student in students}
        others = [
            Student(s.id, s.last_name or "", s.first_name or "", s.email or "", s.lms_user_id or "")
            for s in sorted(gradebook.students, key=lambda s: s.id)
            if s.id not in listed
        ]
        if others and students and not everybody:
            names = ", ".join(student.id for student in others)
            self.log.warning("Not on the roster, so not in this file, but in grades.csv: %s", names)
        else:
            students += others
        return [student for student in students if not self.student or student.id in map(str, self.student)]

    def marks(self, assignment: Assignment) -> dict[str, Mark]:
        """Results by student; who handed nothing in and is not known to be missing has none."""
        standings = self._standings(assignment.name)
        marks = {s.student.id: _mark(s, standings.get(s.student.id)) for s in assignment.submissions}
        for student, standing in standings.items():
            if student not in marks:
                marks[student] = Mark(note=_note(standing, False))
        return marks

    def _standings(self, name: str) -> dict:
        from .status import read_status

        return read_status(name, Path(self.root))


class NbgraderExport(CourseExport):
    """nbgrader's own columns, one line for each student and assignment, and two more at the end."""

    def rows(self, gradebook: Gradebook) -> Iterator[Row]:
        """The table, line by line."""
        yield list(COLUMNS)
        for assignment in self.assignments(gradebook):
            marks = self.marks(assignment)
            for student in self.students(gradebook, everybody=True):
                mark = marks.get(student.id, _MISSING)
                yield [
                    assignment.name,
                    _text(assignment.duedate),
                    mark.timestamp,
                    *map(_safe, (student.id, student.last_name, student.first_name, student.email)),
                    *map(_text, (mark.raw_score, mark.penalty, mark.score, float(assignment.max_score))),
                    "" if mark.raw_score is None else str(mark.needs_manual_grade),
                    _safe(mark.note or "graded"),
                ]


class CanvasExport(CourseExport):
    """Canvas's gradebook: one line for each student, one column for each assignment.

    Canvas finds a student by ``ID``, else ``SIS User ID``, else ``SIS Login ID``, else by name. A number as ``lms_id``
    is the first, another ``lms_id`` the second, and our ``id`` the third. An assignment that Canvas does not know by
    this name is created, after a question. A column that is named like one of Canvas's totals and is read only is
    ignored: there we note what is not final.
    """

    def rows(self, gradebook: Gradebook) -> Iterator[Row]:
        """The table, line by line."""
        assignments = self.assignments(gradebook)
        marks = [self.marks(assignment) for assignment in assignments]
        students = self.students(gradebook)
        names = [assignment.name for assignment in assignments]
        fixed = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
        points = [_number(assignment.max_score) for assignment in assignments]
        yield [*fixed, *names, *(f"{name} note (Current Grade)" for name in names)]
        yield ["    Points Possible", "", "", "", "", *points, *("(read only)" for _ in names)]
        for student in students:
            mine = [by_student.get(student.id, _MISSING) for by_student in marks]
            by_number = student.lms_id.isdecimal()
            yield [
                _safe(_full_name(student)),
                student.lms_id if by_number else "",
                "" if by_number else _safe(student.lms_id),
                _safe(student.id),
                "",
                *(_number(mark.score) for mark in mine),
                *(_safe(mark.note) for mark in mine),
            ]


class MoodleExport(CourseExport):
    """Moodle's grade import: one line for each student, two columns for each assignment, the second for feedback.

    On import, "Map from" is ``ID number`` or ``Email address``. Points are mapped to a grade item or to a new one; the
    column beside them may be mapped to its feedback. ``-`` is how Moodle writes that there is no grade: a cell that is
    empty would stop the import into a new grade item. The ID number is ``lms_id``, or ``id`` where there is none.
    """

    def rows(self, gradebook: Gradebook) -> Iterator[Row]:
        """The table, line by line."""
        assignments = self.assignments(gradebook)
        marks = [self.marks(assignment) for assignment in assignments]
        columns = [text for a in assignments for text in (a.name, f"{a.name} (feedback)")]
        yield ["First name", "Last name", "ID number", "Email address", *columns]
        for student in self.students(gradebook):
            mine = [by_student.get(student.id, _MISSING) for by_student in marks]
            identity = (student.first_name, student.last_name, student.lms_id or student.id, student.email)
            cells = [text for mark in mine for text in (_number(mark.score) or "-", _safe(mark.note))]
            yield [*map(_safe, identity), *cells]


FORMS = {"nbgrader": NbgraderExport, "canvas": CanvasExport, "moodle": MoodleExport}
_MISSING = Mark(note="missing")


def _mark(submission, standing) -> Mark:
    """A submission of the gradebook; one that could not be graded, or only seems to be there, has no points."""
    if standing and standing.status in ("failed", "missing") and standing.score is None:
        return Mark(note=_note(standing, False))
    return Mark(
        submission.score,
        submission.late_submission_penalty or 0.0,
        _text(submission.timestamp),
        bool(submission.needs_manual_grade),
        _note(standing, submission.needs_manual_grade),
    )


def _note(standing, needs_manual_grade: bool) -> str:
    words = []
    if standing and standing.status != "graded":
        words.append(f"{standing.status}: {standing.why}" if standing.why else standing.status)
    if standing and standing.late:
        words.append(f"late by {_duration(standing.late)}")
    if needs_manual_grade:
        words.append("written answers still to be graded")
    return "; ".join(words)


def _duration(seconds: float) -> str:
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    counts = ((days, "d"), (hours, "h"), (minutes, "min"))
    return " ".join(f"{count:g} {unit}" for count, unit in counts if count) or "less than a minute"


def _full_name(student: Student) -> str:
    return ", ".join(filter(None, [student.last_name, student.first_name])) or student.id


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _number(value: float | None) -> str:
    """Points with at most two decimal places, as Canvas keeps them."""
    return "" if value is None else format(round(float(value), 2), ".12g")


def _safe(text: str) -> str:
    """A text that no spreadsheet takes for a formula, on one line."""
    text = " ".join(text.split())
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def write_whole(path: Path, text: str) -> None:
    """Write a text file all at once: whoever reads it sees the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
