"""The command line: what the Makefile's verbs call."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .errors import CourseError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status, 1 with one plain message where a person must mend something."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except CourseError as error:
        print(f"coursekit: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="coursekit", description="The course's machinery.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    command("book", _book, "Build the book into _build/html.")
    command("pdf", _pdf, "Build the book and print it into one file, _build/vae-course.pdf.")
    test = command("test", _test, "Run every test, unless nothing changed since they passed.")
    test.add_argument("--force", action="store_true", help="run them even so")
    command("lock", _lock, "Make requirements.txt from pyproject.toml.")
    release = command("release", _release, "Make the student notebooks in exercises/.")
    release.add_argument("name", nargs="*", help="assignments, such as ps2-kl (default: all)")

    def of_assignment(name: str, run, text: str) -> argparse.ArgumentParser:
        sub = command(name, run, text)
        sub.add_argument("name", help="the assignment, such as ps2-kl")
        return sub

    due = of_assignment("due", _due, "Set when an assignment is due; without a time, say when it is.")
    due.add_argument("when", nargs="?", help='such as "2026-12-01 23:59 Europe/Berlin" (UTC without a zone), or "none"')
    collect = of_assignment("collect", _collect, "Take submissions from an LMS download into grading/submitted.")
    collect.add_argument("source", type=Path, help="a folder or a zip archive")
    collect.add_argument("--replace", action="store_true", help="let older files replace newer ones")
    grade = of_assignment("grade", _grade, "Grade what was handed in and is not graded yet.")
    grade.add_argument("--workers", type=int, metavar="N", help="processes (default: one per core)")
    grade.add_argument("--scheduler", metavar="ADDRESS", help="use a running Dask scheduler and its workers")
    grade.add_argument("--require-sandbox", action="store_true", help="refuse where student code cannot be isolated")
    grade.add_argument("--force", action="store_true", help="grade again what is graded")
    of_assignment("feedback", _feedback, "Write each student's feedback, and the picture of the class.")
    export = command("export", _export, "Write the grades to a CSV file.")
    export.add_argument("name", nargs="?", help="only this assignment")
    export.add_argument("--form", choices=["nbgrader", "canvas", "moodle"], default="nbgrader", help="whose CSV")
    export.add_argument("--to", type=Path, help="the file (default: in grading/)")
    command("formgrader", _formgrader, "Open nbgrader's formgrader in JupyterLab, to mark written answers.")
    edition = command("student-edition", _student_edition, "Make the archive of the course without its solutions.")
    edition.add_argument("--to", type=Path, help="the file (default: in _build/)")
    return parser


# Each command imports what it needs: `coursekit --help` answers at once.


def _book(options: argparse.Namespace) -> None:
    from .book import build

    build()


def _pdf(options: argparse.Namespace) -> None:
    from .book import build
    from .pdf import make

    build()
    make()


def _test(options: argparse.Namespace) -> None:
    from .book import build
    from .checks import run_tests

    build()
    run_tests(force=options.force)


def _lock(options: argparse.Namespace) -> None:
    from .checks import lock

    print(f"lock: {lock().name}")


def _release(options: argparse.Namespace) -> None:
    from .assignments import release
    from .edition import need_solutions

    need_solutions()
    for path in release(options.name or None):
        print(f"release: {path}")


def _due(options: argparse.Namespace) -> None:
    from .grading import gradebook
    from .late import set_due

    if options.when is not None:
        moment = set_due(options.name, None if options.when == "none" else options.when)
    else:
        with gradebook() as book:
            moment = book.find_assignment(options.name).duedate
    print(f"due: {options.name} {f'{moment:%Y-%m-%d %H:%M} UTC' if moment else 'has no due date'}")


def _collect(options: argparse.Namespace) -> None:
    from .collect import collect, table
    from .edition import need_solutions

    need_solutions()
    print(table(collect(options.name, options.source, replace=options.replace, progress=None)))


def _grade(options: argparse.Namespace) -> None:
    from .edition import need_solutions
    from .grading import grade, summary

    need_solutions()
    chosen = {key: getattr(options, key) for key in ("workers", "scheduler", "require_sandbox", "force")}
    print(summary(grade(options.name, **chosen)))


def _feedback(options: argparse.Namespace) -> None:
    from .edition import need_solutions
    from .grading import generate_feedback
    from .overview import overview

    need_solutions()
    pages = generate_feedback(options.name)
    print(f"feedback: {len(pages)} pages, in grading/feedback/STUDENT/{options.name}/")
    print(f"the class: {overview(options.name)}")


def _export(options: argparse.Namespace) -> None:
    from .edition import need_solutions
    from .export import export

    need_solutions()
    print(f"export: {export(form=options.form, name=options.name, to=options.to)}")


def _formgrader(options: argparse.Namespace) -> None:
    from .course import programs_on_path
    from .project import ROOT

    with programs_on_path():
        subprocess.run([sys.executable, "-m", "jupyter", "lab", "--notebook-dir", str(ROOT)], cwd=ROOT, check=False)


def _student_edition(options: argparse.Namespace) -> None:
    from .edition import need_solutions, student_edition

    need_solutions()
    print(f"student-edition: {student_edition(to=options.to)}")
