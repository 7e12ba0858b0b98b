"""The instructor's path after release: thin calls of nbgrader's own autograder and exporter."""

from pathlib import Path
from typing import NamedTuple

from nbgrader.api import Gradebook
from nbgrader.converters import Autograde, GenerateFeedback
from nbgrader.plugins import CsvExportPlugin

from .assignments import release
from .course import convert, course_directory, programs_on_path, source_path
from .project import ROOT


class Grade(NamedTuple):
    """One student's standing in one assignment, as the gradebook has it."""

    student: str
    score: float
    max_score: float
    needs_manual_grade: bool

    def __str__(self) -> str:
        note = "  (written answers to be graded)" if self.needs_manual_grade else ""
        return f"{self.student:<24} {self.score:6.2f} / {self.max_score:g}{note}"


def gradebook(root: Path = ROOT) -> Gradebook:
    """The course's gradebook, to be used as a context manager."""
    directory = course_directory(Path(root).resolve())
    with programs_on_path():
        return Gradebook(directory.db_url, directory.course_id)


def autograde(name: str, root: Path = ROOT) -> list[Grade]:
    """Run the tests on every submission of an assignment; return the grades, by student.

    An assignment that the gradebook does not know yet, as in a fresh clone, is released first.

    Raises ``CourseError`` if the assignment is unknown, if nothing was submitted, or if a
    submission could not be graded (the others are graded all the same).
    """
    root = Path(root).resolve()
    source_path(name, root)
    if not _is_known(name, root):
        release([name], root)
    convert(Autograde, name, root)
    with gradebook(root) as book:
        return [
            Grade(s.student.id, s.score, s.max_score, s.needs_manual_grade)
            for s in sorted(book.find_assignment(name).submissions, key=lambda s: s.student.id)
        ]


def _is_known(name: str, root: Path) -> bool:
    with gradebook(root) as book:
        return name in {assignment.name for assignment in book.assignments}


def generate_feedback(name: str, root: Path = ROOT) -> list[Path]:
    """Write an HTML page for every graded submission of an assignment; return their paths.

    Raises ``CourseError`` if the assignment is unknown or nothing of it was graded.
    """
    root = Path(root).resolve()
    source_path(name, root)
    convert(GenerateFeedback, name, root)
    directory = course_directory(root)
    pattern = directory.format_path(directory.feedback_directory, "*", name)
    return sorted(root.glob(str(Path(pattern, "*.html").relative_to(root))))


def export(root: Path = ROOT) -> Path:
    """Write every grade of the course to ``grading/grades.csv`` and return its path."""
    path = Path(root).resolve() / "grading" / "grades.csv"
    with gradebook(root) as book:
        CsvExportPlugin(to=str(path)).export(book)
    return path
