"""The grading of one student's assignment, in a worker process that knows of no other student.

It gets the files that were handed in and the assignment as ``Package``; nbgrader's own ``Autograde`` runs in a
temporary course with one student, ``student``, so that no name can confuse it; what comes back is plain data.
"""

from __future__ import annotations

import copy
import logging
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from distributed import get_worker
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.exc import SAWarning
from traitlets.config import Config

from . import sandbox
from .course import programs_on_path
from .errors import CourseError
from .frugal import frugal, spare
from .submission import Cell, UnusableError, mend

STUDENT = "student"
LARGEST_RESULT = 20 * 2**20
"""Characters of a graded notebook; above it, long outputs are cut."""
LONGEST_OUTPUT = 50_000
"""Characters that are left of an output that is cut."""
CUT = "\n... The rest of this output was cut off when the notebook was graded ...\n"

_REASONS = {
    "DeadKernelError": "The notebook's Python process died while it ran: look for os._exit, exit, or too much memory.",
    "UnresponsiveKernelError": "A cell ran too long and could not be interrupted: look for an endless loop.",
    "MemoryError": "There was not enough memory for the notebook.",
    "NoSuchKernel": "The kernel of the assignment is not installed where the grading runs.",
}


class Package(NamedTuple):
    """What a worker needs to know of an assignment."""

    name: str
    course_id: str
    config: Config
    gradebook: bytes
    """An SQLite gradebook with this assignment and no student."""
    cells: dict[str, list[Cell]]
    """For each of its notebooks the cells that nbgrader knows, in order."""
    files: dict[str, bytes]
    """What is copied beside the notebook, by name."""
    source: dict[str, bytes]
    """The instructor's notebooks, their answers left out."""
    require_sandbox: bool


class FailedError(Exception):
    """The submission could not be graded; the message says why."""


def grade_submission(package: Package, files: dict[str, bytes]) -> dict[str, Any]:
    """Grade one submission.

    The result has ``failed``, in words, or what nbgrader found: for each notebook, ``notebooks`` (as text), ``grades``
    (by cell, the automatic score or None) and ``comments``; also ``flags`` for a person, and ``times``, seconds by
    step; and ``unenforced``, what the isolation of a student's code lacks on this machine.

    Raises ``CourseError`` if the package requires a sandbox and anything is lacking.
    """
    start = time.perf_counter()
    result: dict[str, Any] = {"failed": "", "flags": [], "notebooks": {}, "grades": {}, "comments": {}, "times": {}}
    result["unenforced"] = _unenforced(package)
    try:
        with _folder() as root:
            _grade(package, files, root, result)
    except (UnusableError, FailedError) as error:
        result["failed"] = str(error)
    except Exception as error:
        logging.getLogger(__name__).exception("A submission could not be graded")
        result["failed"] = f"The grading program failed on it ({_last_line(error)}). Please tell its makers."
    result["seconds"] = time.perf_counter() - start
    return result


def _unenforced(package: Package) -> list[str]:
    """What the isolation of a student's code lacks, in plain phrases."""
    steps = str(package.config.Autograde.get("autograde_preprocessors", []))
    if "ExecuteApart" not in steps or not package.config.ExecuteApart.get("sandboxed", True):
        missing = "all of it (nbgrader_config.py does not choose coursekit.execution.ExecuteApart, sandboxed)"
        if package.require_sandbox:
            raise CourseError(f"Students' code is not isolated. Not enforced: {missing}.")
        return [missing]
    if package.require_sandbox:
        sandbox.require()
    return sandbox.not_enforced()


@contextmanager
def _folder() -> Iterator[Path]:
    """An empty folder for one task, in the worker's own, which Dask clears if the worker dies."""
    try:
        base = get_worker().local_directory
    except ValueError:  # not in a worker
        base = None
    with tempfile.TemporaryDirectory(prefix="t-", dir=base, ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


def _grade(package: Package, files: dict[str, bytes], root: Path, result: dict[str, Any]) -> None:
    with _timed(result["times"], "prepare"):
        config = _lay_out(package, files, root, result["flags"])
        directory = CourseDirectory(config=config)
    errors = _Errors()
    log = logging.Logger("coursekit.task")
    log.addHandler(errors)
    with programs_on_path(), frugal(root / "gradebook.db"), warnings.catch_warnings():
        # nbgrader's queries are sound; SQLAlchemy 2 comments on the order of their flushes.
        warnings.simplefilter("ignore", SAWarning)
        with _timed(result["times"], "nbgrader"):
            try:
                _Autograde(result["times"], coursedir=directory, config=config, log=log).start()
            except Exception as error:
                raise FailedError(errors.reason(error)) from error
        with _timed(result["times"], "collect"):
            _collect(package, directory, result)


def _lay_out(package: Package, files: dict[str, bytes], root: Path, flags: list[str]) -> Config:
    """Make the temporary course: the mended submission, the assignment's files, the gradebook; return its settings."""
    (root / "gradebook.db").write_bytes(package.gradebook)
    for name, data in {**package.files, **package.source}.items():
        _write(root / "source" / package.name / name, data)
    submitted = root / "submitted" / STUDENT / package.name
    for name, data in files.items():
        stem = name.removesuffix(".ipynb")
        if name.endswith(".ipynb") and stem in package.cells:
            notebook, notes = mend(data, package.cells[stem])
            flags.extend(notes)
            data = nbformat.writes(notebook).encode()
        _write(submitted / name, data)
    # In the settings, because the preprocessors look there too.
    config = copy.deepcopy(package.config)
    config.CourseDirectory.update(
        root=str(root),
        db_url=f"sqlite:///{(root / 'gradebook.db').as_posix()}",
        course_id=package.course_id,
        source_directory="source",
        submitted_directory="submitted",
        autograded_directory="autograded",
        assignment_id=package.name,
        student_id=STUDENT,
    )
    spare(config)
    return config


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _collect(package: Package, directory: CourseDirectory, result: dict[str, Any]) -> None:
    """Read the graded notebooks and what nbgrader wrote into the temporary gradebook."""
    folder = Path(directory.format_path(directory.autograded_directory, STUDENT, package.name))
    for path in sorted(folder.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        report = notebook.metadata.pop("coursekit", {})
        result["flags"].extend(str(flag) for flag in report.get("flags", []))
        for step, seconds in report.get("seconds", {}).items():
            result["times"][step] = result["times"].get(step, 0.0) + seconds
        result["notebooks"][path.stem] = _text(notebook, result["flags"])
    with Gradebook(directory.db_url, package.course_id) as book:
        for notebook in book.find_submission(package.name, STUDENT).notebooks:
            result["grades"][notebook.name] = {grade.name: grade.auto_score for grade in notebook.grades}
            result["comments"][notebook.name] = {comment.name: comment.auto_comment for comment in notebook.comments}


def _text(notebook: NotebookNode, flags: list[str]) -> str:
    text = nbformat.writes(notebook)
    if len(text) > LARGEST_RESULT:
        flags.append("very long outputs were cut off")
        for cell in notebook.cells:
            cell.update({"outputs": [_cut(output) for output in cell.outputs]} if cell.cell_type == "code" else {})
        text = nbformat.writes(notebook)
    if len(text) > LARGEST_RESULT:
        raise FailedError(f"The graded notebook is too large ({len(text) / 1e6:.0f} MB): print and show less.")
    return text


def _cut(output: NotebookNode) -> NotebookNode:
    if output.output_type == "stream" and len(output.text) > LONGEST_OUTPUT:
        output.text = output.text[:LONGEST_OUTPUT] + CUT
    elif output.output_type == "error":
        output.traceback = [line[:LONGEST_OUTPUT] for line in output.traceback]
        output.evalue = output.evalue[:LONGEST_OUTPUT]
    elif output.output_type in ("display_data", "execute_result"):
        output.data = {kind: data for kind, data in output.data.items() if len(str(data)) <= LONGEST_OUTPUT}
        output.data = output.data or {"text/plain": CUT.strip()}
    return output


class _Autograde(Autograde):
    """nbgrader's converter with a clock at each of its steps."""

    def __init__(self, times: dict[str, float], **options: Any) -> None:
        super().__init__(**options)
        self._times = times

    def _init_preprocessors(self) -> None:
        super()._init_preprocessors()
        self.exporter._preprocessors = [self._with_clock(step) for step in self.exporter._preprocessors]

    def _with_clock(self, step: Callable) -> Callable:
        def run(notebook: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
            with _timed(self._times, type(step).__name__):
                return step(notebook, resources)

        return run


@contextmanager
def _timed(times: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        times[step] = times.get(step, 0.0) + time.perf_counter() - start


class _Errors(logging.Handler):
    """Keeps what nbgrader logs about an error: the tracebacks that it swallows."""

    def __init__(self) -> None:
        super().__init__(level=logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage().strip())

    def reason(self, error: Exception) -> str:
        """Why nbgrader gave up, in words."""
        log = "\n".join(self.lines)
        for kind, words in _REASONS.items():
            if kind in log or kind in type(error).__name__:
                return words
        tracebacks = [line for line in self.lines if line.startswith("Traceback")]
        last = (tracebacks or self.lines or [_last_line(error)])[-1].splitlines()[-1]
        return f"nbgrader could not grade it: {last[:300]}"


def _last_line(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip().splitlines()[-1][:300]
