"""The command line: what the Makefile's verbs call."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

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
    test = command("test", _test, "Run every test, unless nothing changed since they passed.")
    test.add_argument("--force", action="store_true", help="run them even so")
    command("lock", _lock, "Make requirements.txt from pyproject.toml.")
    release = command("release", _release, "Make the student notebooks in exercises/.")
    release.add_argument("name", nargs="*", help="assignments, such as ps2-kl (default: all)")
    for name, run, text in (
        ("grade", _grade, "Autograde the submissions in grading/submitted."),
        ("feedback", _feedback, "Write each student's feedback into grading/feedback."),
    ):
        sub = command(name, run, text)
        sub.add_argument("name", help="the assignment, such as ps2-kl")
    command("export", _export, "Write all grades to a CSV file.")
    return parser


# Each command imports what it needs: `coursekit --help` answers at once.


def _book(options: argparse.Namespace) -> None:
    from .book import build

    build()


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

    for path in release(options.name or None):
        print(f"release: {path}")


def _grade(options: argparse.Namespace) -> None:
    from .grading import autograde

    print(*autograde(options.name), sep="\n")


def _feedback(options: argparse.Namespace) -> None:
    from .grading import generate_feedback

    print(*(f"feedback: {path}" for path in generate_feedback(options.name)), sep="\n")


def _export(options: argparse.Namespace) -> None:
    from .grading import export

    print(f"export: {export()}")
