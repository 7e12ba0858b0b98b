"""Grades for nbgrader, Canvas and Moodle: everybody is in, nobody gets a 0 for nothing, no cell is a formula."""

import csv
import os
from datetime import datetime
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from coursekit import export as exporting
from coursekit.bank import copy_course
from coursekit.errors import CourseError
from coursekit.export import FORMS, CanvasExport, export
from coursekit.grading import gradebook
from coursekit.status import Standing, write_status
from coursetools import ROOT

# nbgrader's queries are sound; SQLAlchemy 2 comments on the order of their flushes.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")

ROSTER = """id,last_name,first_name,email,lms_id
anna,Müller,Anna,anna@example.org,901
"b,[1]""q",O'Brien,Seán,sean@example.org,SIS-7
late,=cmd|' /C calc'!A0,+Lou,lou@example.org,903
gone,Nobody,Yet,gone@example.org,904
broken,-Dash,@At,,
"""


def fill(book: Gradebook) -> None:
    """Two assignments, and what some students have of them."""
    for name in ("ps1", "ps2"):
        book.add_assignment(name, duedate="2026-01-05 12:00:00 UTC")
        book.add_notebook(name, name)
        book.add_grade_cell("auto", name, name, cell_type="code", max_score=10)
        book.add_solution_cell("written", name, name)
        book.add_grade_cell("written", name, name, cell_type="markdown", max_score=5.5)
    points = {"anna": 10, 'b,[1]"q': 6.125, "late": 1, "stranger": 3}
    for student, score in points.items():
        book.add_student(student, last_name="=BOOK()", first_name=None)
        book.add_submission("ps1", student, timestamp=datetime(2026, 1, 5))
        for cell in ("auto", "written"):
            grade = book.find_grade(cell, "ps1", "ps1", student)
            grade.auto_score = score if cell == "auto" else None
            grade.needs_manual_grade = cell == "written" and student == "anna"
        notebook = book.find_submission_notebook("ps1", "ps1", student)
        notebook.late_submission_penalty = 4.0 if student == "late" else None
    book.add_student("broken")
    book.add_submission("ps1", "broken")
    book.db.commit()


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    root = tmp_path_factory.mktemp("course")
    copy_course([], ROOT, root)
    with gradebook(root) as book:
        fill(book)
    (root / "grading" / "roster.csv").write_text(ROSTER, "utf-8")
    write_status(
        "ps1",
        [
            Standing("anna", "graded", score=10, max_score=15.5),
            Standing('b,[1]"q', "flagged", "took an unusually long time", 6.125, 15.5),
            Standing("late", "graded", score=0, max_score=15.5, late=90_000),
            Standing("gone", "missing"),
            Standing("broken", "failed", "=the notebook cannot be read"),
        ],
        root,
    )
    return root


def table(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def by_student(course, form, key, **options) -> dict[str, dict[str, str]]:
    header, *rows = table(export(course, form, **options))
    return {row[header.index(key)]: dict(zip(header, row, strict=True)) for row in rows}


def test_nbgraders_own_file_has_its_columns_and_everybody(course):
    header, *rows = table(export(course))
    columns = "assignment duedate timestamp student_id last_name first_name email raw_score late_submission_penalty"
    assert header[:11] == [*columns.split(), "score", "max_score"]
    assert len(rows) == 2 * 6
    assert {row[3] for row in rows} == {"anna", 'b,[1]"q', "late", "gone", "broken", "stranger"}
    lines = by_student(course, "nbgrader", "student_id", name="ps1")
    assert {s: (r["raw_score"], r["score"]) for s, r in lines.items()} == {
        "anna": ("10.0", "10.0"),
        'b,[1]"q': ("6.125", "6.125"),
        "late": ("1.0", "0.0"),
        "gone": ("", ""),
        "broken": ("", ""),
        "stranger": ("3.0", "3.0"),
    }
    assert {r["max_score"] for r in lines.values()} == {"15.5"}
    assert lines["anna"]["needs_manual_grade"] == "True"
    assert lines["anna"]["timestamp"] == "2026-01-05 00:00:00"


def test_what_is_not_final_is_noted(course):
    notes = {s: r["status"] for s, r in by_student(course, "nbgrader", "student_id", name="ps1").items()}
    assert notes == {
        "anna": "written answers still to be graded",
        'b,[1]"q': "flagged: took an unusually long time",
        "late": "late by 1 d 1 h",
        "gone": "missing",
        "broken": "failed: =the notebook cannot be read",
        "stranger": "graded",
    }
    assert {r["status"] for r in by_student(course, "nbgrader", "student_id", name="ps2").values()} == {"missing"}


def test_canvas_finds_students_points_and_nothing_else(course):
    header, points, *rows = table(export(course, "canvas"))
    assert header[:7] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "ps1", "ps2"]
    assert points[0].strip() == "Points Possible"
    assert points[1:7] == ["", "", "", "", "15.5", "15.5"]
    # Canvas drops what is named like one of its totals.
    assert all("Current Grade" in name for name in header[7:])
    assert points[7:] == ["(read only)"] * 2
    assert [row[:7] for row in rows] == [
        ["Müller, Anna", "901", "", "anna", "", "10", ""],
        ["O'Brien, Seán", "", "SIS-7", 'b,[1]"q', "", "6.12", ""],
        ["'=cmd|' /C calc'!A0, +Lou", "903", "", "late", "", "0", ""],
        ["Nobody, Yet", "904", "", "gone", "", "", ""],
        ["'-Dash, @At", "", "", "broken", "", "", ""],
    ]


def test_moodle_finds_students_points_and_feedback(course):
    header, *rows = table(export(course, "moodle", name="ps1"))
    assert header == ["First name", "Last name", "ID number", "Email address", "ps1", "ps1 (feedback)"]
    assert [row[2:5] for row in rows] == [
        ["901", "anna@example.org", "10"],
        ["SIS-7", "sean@example.org", "6.12"],
        ["903", "lou@example.org", "0"],
        ["904", "gone@example.org", "-"],
        ["broken", "", "-"],
    ]
    assert rows[0][5] == "written answers still to be graded"


@pytest.mark.parametrize("form", FORMS)
def test_no_cell_is_a_formula_and_every_name_survives(course, form):
    rows = table(export(course, form))
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "@", "\t") or (cell[:1] == "-" and cell != "-")]
    assert {len(row) for row in rows} == {len(rows[0])}
    assert any("Müller" in cell for cell in cells)
    assert any("calc" in cell for cell in cells)


def test_who_is_not_on_the_roster_is_told_not_exported_to_a_platform(course, caplog, monkeypatch):
    told = []
    monkeypatch.setattr(CanvasExport, "log", type("Log", (), {"warning": lambda self, *words: told.append(words)})())
    assert "stranger" not in by_student(course, "canvas", "SIS Login ID")
    assert told[0][1] == "stranger"


def test_without_a_roster_the_gradebooks_students_are_exported(tmp_path):
    copy_course([], ROOT, tmp_path)
    with gradebook(tmp_path) as book:
        fill(book)
    rows = by_student(tmp_path, "canvas", "SIS Login ID", name="ps1")
    assert set(rows) == {"", "anna", 'b,[1]"q', "late", "stranger", "broken"}
    assert rows["stranger"]["Student"] == "'=BOOK()"
    assert rows["stranger"]["ps1 note (Current Grade)"] == ""


def test_an_unknown_form_or_assignment_is_an_error_in_words(course, tmp_path):
    with pytest.raises(CourseError, match="choose nbgrader, canvas, moodle"):
        export(course, "excel")
    with pytest.raises(CourseError, match=r"no assignment 'ps9'.*It has: ps1, ps2"):
        export(course, name="ps9")
    copy_course([], ROOT, tmp_path)
    with pytest.raises(CourseError, match="no assignment at all"):
        export(tmp_path)


def test_a_file_is_written_whole_or_not_at_all(course, tmp_path, monkeypatch):
    path = export(course, to=tmp_path / "new" / "all.csv")
    assert path == tmp_path / "new" / "all.csv"
    before = path.read_bytes()

    def fail(*names):
        raise OSError("disk full")

    monkeypatch.setattr(exporting.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        export(course, "canvas", to=path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["all.csv"]
