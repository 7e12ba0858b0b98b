"""A course on disk: its assignments, its nbgrader configuration, and a call of nbgrader."""

import logging
import os
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nbgrader.converters import BaseConverter
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.exc import SAWarning
from traitlets.config import Config
from traitlets.config.loader import ConfigFileNotFound, PyFileConfigLoader

from .errors import CourseError
from .project import solutions


def list_assignments(root: Path) -> list[str]:
    """Names of the assignments that have a source, ``solutions/NAME/NAME.md``, in order."""
    return [path.stem for path in solutions(root)]


def source_path(name: str, root: Path) -> Path:
    """The source of an assignment. Raises ``CourseError`` if there is none of that name."""
    known = list_assignments(root)
    if name not in known:
        raise CourseError(
            f"There is no assignment {name!r}: no file solutions/{name}/{name}.md in {root}. "
            f"Known: {', '.join(known) or 'none'}."
        )
    return root / "solutions" / name / f"{name}.md"


def load_config(root: Path) -> Config:
    """The course's nbgrader settings. Raises ``CourseError`` without ``nbgrader_config.py``."""
    try:
        return PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()
    except ConfigFileNotFound:
        raise CourseError(f"There is no nbgrader_config.py in {root}: is this the root of a course?") from None


def course_directory(root: Path, **traits: str) -> CourseDirectory:
    """Nbgrader's view of the course, with the gradebook's folder in place."""
    directory = CourseDirectory(config=load_config(root), **traits)
    if directory.db_url.startswith("sqlite:///"):
        Path(directory.db_url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return directory


@contextmanager
def programs_on_path() -> Iterator[None]:
    """Let nbgrader find ``alembic``, which it calls by name whenever it opens a gradebook."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before


def convert(converter: type[BaseConverter], name: str, root: Path, student: str = "*") -> None:
    """Run one of nbgrader's converters on an assignment, replacing what it made before.

    Raises ``CourseError`` with nbgrader's own words if it does not succeed for every student.
    """
    errors = _Errors()
    log = logging.getLogger(f"coursekit.{converter.__name__}")
    log.propagate = False
    log.handlers = [errors]
    directory = course_directory(root, assignment_id=name, student_id=student)
    config = load_config(root)
    with programs_on_path(), warnings.catch_warnings():
        # nbgrader's queries are sound; SQLAlchemy 2 comments on the order of their flushes.
        warnings.simplefilter("ignore", SAWarning)
        step = converter(coursedir=directory, config=config, force=True, log=log)
        try:
            step.start()
        except Exception as error:
            words = "\n  ".join([*errors.lines, str(error)])
            raise CourseError(f"nbgrader's {converter.__name__} failed on {name}:\n  {words}") from error


class _Errors(logging.Handler):
    """Keeps the last line of every error that nbgrader logs: of a traceback, the exception."""

    def __init__(self) -> None:
        super().__init__(level=logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage().strip().splitlines()[-1]
        if line not in self.lines:
            self.lines.append(line)
