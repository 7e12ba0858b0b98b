"""Grading a whole class: in parallel, resumable, with a standing for every student.

``grade`` hands each submission to a worker process (``task``), merges what comes back into nbgrader's gradebook and
the folder ``grading/autograded``, and says what became of every student (``status``). It may be stopped at any
moment, even by a power cut, and run again:

1. A result is first kept as a complete folder in ``grading/.incoming``; ``result.json`` is its last file.
2. It is merged into the gradebook in one transaction.
3. The graded folder is moved into its place.
4. The standing is appended to the journal, and only then the folder in ``.incoming`` is removed.

A run begins with what an earlier one left in ``.incoming``: each step can be repeated without harm. Work whose files,
assignment and settings are unchanged is not graded again.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from filelock import FileLock, Timeout
from nbformat import NotebookNode
from nbgrader.api import Assignment, Base, BaseCell, Gradebook, Notebook, SubmittedAssignment, TaskCell
from nbgrader.converters import Autograde, GenerateFeedback
from nbgrader.preprocessors import AssignLatePenalties
from nbgrader.utils import is_solution, rmtree
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError, SAWarning
from sqlalchemy.orm import scoped_session, sessionmaker
from tqdm import tqdm
from traitlets.config import Config

from .assignments import read_source, release
from .cells import imported_modules
from .cluster import CPU_COUNT, DiedError, TooLongError, cluster, spread
from .collect import read_collected
from .course import convert, course_directory, load_config, programs_on_path, source_path
from .errors import CourseError
from .project import ROOT
from .roster import read_roster
from .status import STATUSES, Standing, append_status, read_status, write_status
from .submission import TIMESTAMP, Cell, Submission, UnusableError, read_submission
from .task import Package, grade_submission

LIMIT = 600.0
"""Seconds that the grading of one submission may take, all in all."""
UNRELATED = ("GenerateFeedback", "HTMLExporter", "AssignLatePenalties", "LatePolicy")
"""Sections of the settings on which no result of a machine depends."""
UNTIMED = "handed in without a time, so taken as in time"
KEPT = "The points of an earlier submission are kept."


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


def grade(
    name: str,
    root: Path = ROOT,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    require_sandbox: bool = False,
    force: bool = False,
    progress: bool | None = None,
    limit: float = LIMIT,
    clock: Counter | None = None,
) -> list[Standing]:
    """Grade what was handed in of an assignment and is not graded yet; return every student's standing, by id.

    The students are those on the roster; without one, those in the gradebook; and whoever handed something in.
    An assignment that the gradebook does not know yet, as in a fresh clone, is released first.

    ``scheduler`` is the address of a Dask scheduler, which replaces the worker processes on this machine, ``workers``
    of them or one per core. With ``require_sandbox`` nothing is graded where student's code cannot be isolated. With
    ``force`` everything is graded again. ``progress`` shows a bar on stderr; None shows it on a terminal. A submission
    may take ``limit`` seconds. ``clock`` collects seconds of work by step.

    Raises ``CourseError`` if the assignment is unknown, if nobody is known who could have handed in, if somebody is
    grading the course already, or if there are no workers.
    """
    root = Path(root).resolve()
    source_path(name, root)
    with _only_grader(name, root), warnings.catch_warnings():
        # nbgrader's queries are sound; SQLAlchemy 2 comments on the order of their flushes.
        warnings.simplefilter("ignore", SAWarning)
        if not _is_known(name, root):
            release([name], root)
        with gradebook(root) as book:
            run = _Run(name, root, book, require_sandbox, Counter() if clock is None else clock)
            try:
                return run.start(scheduler, workers, force, progress, limit)
            except OperationalError as error:
                raise CourseError(
                    f"The gradebook cannot be used ({error.orig}). Is another program writing to it? What was graded "
                    "is kept: run again."
                ) from error


def autograde(name: str, root: Path = ROOT) -> list[Grade]:
    """Run the tests on every submission of an assignment; return the grades, by student.

    Raises ``CourseError`` if the assignment is unknown, if nothing was submitted, or if a submission could not be
    graded (the others are graded all the same).
    """
    root = Path(root).resolve()
    standings = grade(name, root, progress=False)
    if all(standing.status == "missing" for standing in standings):
        raise CourseError(_nobody(name))
    failed = [f"{standing.student}: {standing.why}" for standing in standings if standing.status == "failed"]
    if failed:
        raise CourseError("\n  ".join([f"Autograde failed on {name}:", *failed]))
    with gradebook(root) as book:
        return [
            Grade(s.student.id, s.score, s.max_score, s.needs_manual_grade)
            for s in sorted(book.find_assignment(name).submissions, key=lambda s: s.student.id)
        ]


def summary(standings: Iterable[Standing]) -> str:
    """What became of a class: how many of each status, and a line for everyone who needs a look."""
    standings = list(standings)
    counts = Counter(standing.status for standing in standings)
    seconds = sum(standing.seconds for standing in standings)
    late = sum(standing.late > 0 for standing in standings)
    lines = [f"{status:<8} {counts[status]:>6}" for status in STATUSES]
    lines.append(f"{'in all':<8} {len(standings):>6}   of whom late: {late}; seconds of grading: {seconds:.0f}")
    look = [standing for standing in standings if standing.status in ("flagged", "failed")]
    lines += ["", *(f"{s.student:<24} {s.status:<8} {s.why}" for s in look)] if look else []
    return "\n".join(lines)


def generate_feedback(name: str, root: Path = ROOT) -> list[Path]:
    """Write an HTML page for every graded submission of an assignment; return their paths.

    Raises ``CourseError`` if the assignment is unknown or nothing of it was graded.
    """
    root = Path(root).resolve()
    source_path(name, root)
    convert(_Feedback, name, root)
    directory = course_directory(root)
    pattern = directory.format_path(directory.feedback_directory, "*", name)
    return sorted(root.glob(str(Path(pattern, "*.html").relative_to(root))))


class _Feedback(GenerateFeedback):
    """nbgrader's converter, for whatever a student is called: nbgrader looks for folders with patterns of their ids."""

    def init_notebooks(self) -> None:
        """Find the autograded notebooks of the assignment."""
        name = self.coursedir.assignment_id
        students = sorted(path.name for path in Path(self._format_source(name, "-")).parents[1].glob("*"))
        self.assignments, self.notebooks = {}, []
        for student in students:
            folder = Path(self._format_source(name, student))
            found = sorted(str(path) for path in folder.glob("*.ipynb"))
            if found:
                self.assignments[str(folder)] = found
        if not self.assignments:
            super().init_notebooks()


def _is_known(name: str, root: Path) -> bool:
    with gradebook(root) as book:
        return name in {assignment.name for assignment in book.assignments}


def _imports(package: Package) -> list[str]:
    """The modules that the assignment's notebooks import: from sklearn takes a second, which need not be every time."""
    notebooks = [nbformat.reads(data.decode(), as_version=4) for data in package.source.values()]
    return imported_modules(cell.source for nb in notebooks for cell in nb.cells if cell.cell_type == "code")


def _nobody(name: str) -> str:
    return (
        f"Autograde failed on {name}: there is nothing to grade.\n  No notebooks are in grading/submitted/STUDENT/"
        f"{name}: put them there."
    )


@contextmanager
def _only_grader(name: str, root: Path) -> Iterator[None]:
    """Let one process at a time grade a course. The lock ends with its holder, however that ends."""
    folder = root / "grading"
    folder.mkdir(exist_ok=True)
    owner = folder / ".grader"
    try:
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        who = owner.read_text(encoding="utf-8") if owner.exists() else "another process"
        raise CourseError(f"This course is being graded already, by {who}: wait until that is done.") from None
    try:
        owner.write_text(f"process {os.getpid()} ({name}, since {time.strftime('%H:%M:%S')})", encoding="utf-8")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


class _Task(NamedTuple):
    """A submission that is to be graded."""

    student: str
    submission: Submission
    digest: str


class _Run:
    """One run over a class."""

    def __init__(self, name: str, root: Path, book: Gradebook, require_sandbox: bool, clock: Counter) -> None:
        self.name, self.root, self.book, self.clock = name, root, book, clock
        self.directory = course_directory(root)
        self.config = load_config(root)
        self.roster = {student.id: student for student in read_roster(root)}
        self.incoming = root / "grading" / ".incoming"
        self.permissions = int(str(Autograde(coursedir=self.directory, config=self.config).permissions), 8)
        self.late = AssignLatePenalties(config=self.config)
        self.late.init_plugin()
        self.package = _package(name, root, book, _task_config(self.config), require_sandbox)
        self.salt = _salt(self.package)
        self.standings: dict[str, Standing] = {}
        collected = read_collected(name, root).values()
        self.refused = {found.student: found.why for found in collected if found.status == "refused"}
        self.warned = False

    def start(
        self, scheduler: str | None, workers: int | None, force: bool, progress: bool | None, limit: float
    ) -> list[Standing]:
        """Settle what is known, grade the rest, write the status."""
        self._finish_interrupted()
        before = read_status(self.name, self.root)
        students = self._students()
        if not students:
            raise CourseError(_nobody(self.name))
        todo = [student for student in students if not self._settle(student, before.get(student), force)]
        with tqdm(
            total=len(students),
            initial=len(students) - len(todo),
            desc=self.name,
            unit="student",
            disable=None if progress is None else not progress,
        ) as bar:
            if todo:
                modules = _imports(self.package)
                with cluster(scheduler, min(workers or CPU_COUNT, len(todo)), modules) as client:
                    tasks = ((task, (task.submission.files,)) for task in map(self._task, todo) if task)
                    for task, result in spread(client, grade_submission, self.package, tasks, limit):
                        self._receive(task, result, limit)
                        bar.update()
        write_status(self.name, self.standings, self.root)
        return [standing for _, standing in sorted(self.standings.items())]

    def _students(self) -> list[str]:
        folder = self._folder(self.directory.submitted_directory, "-").parent.parent
        handed_in = {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()
        known = set(self.roster) or {student.id for student in self.book.students}
        return sorted(known | {student for student in handed_in if not student.startswith(".")})

    def _folder(self, step: str, student: str) -> Path:
        return Path(self.directory.format_path(step, student, self.name))

    def _settle(self, student: str, before: Standing | None, force: bool) -> bool:
        """Give a student a standing without grading, if that is possible."""
        if not os.path.lexists(self._folder(self.directory.submitted_directory, student)):
            score, best = self._score(student)
            kept = KEPT if score is not None else ""
            refused = self.refused.get(student, "")
            status, why = ("failed", f"Refused when collected: {refused}") if refused else ("missing", "")
            self.standings[student] = Standing(student, status, " ".join(filter(None, [why, kept])), score, best)
            return True
        if _is_broken(student):
            shown = student.encode("utf-8", "replace").decode()
            self.standings[shown] = Standing(shown, "failed", "The folder's name is not valid UTF-8: rename it.")
            return True
        task = self._task(student)
        if task is None:
            return True
        done = before is not None and before.status in ("graded", "flagged") and before.digest == task.digest
        if force or not done or not self._is_merged(student):
            return False
        with _transaction(self.book) as book:
            submission = book.find_submission(self.name, student)
            self.standings[student] = self._with_lateness(before, submission, task.submission.timestamp)
        return True

    def _task(self, student: str) -> _Task | None:
        """Read a submission; if that cannot be done, the student's standing says why."""
        try:
            submission = read_submission(
                self._folder(self.directory.submitted_directory, student), self.package.cells, self.directory.ignore
            )
        except UnusableError as error:
            self._fail(student, str(error), 0.0)
            return None
        total = hashlib.sha256(self.salt.encode())
        for file, data in sorted(submission.files.items()):
            total.update(f"{len(file.encode())} {file} {len(data)} ".encode() + data)
        total.update(repr(submission.notes).encode())
        return _Task(student, submission, total.hexdigest())

    def _is_merged(self, student: str) -> bool:
        folder = self._folder(self.directory.autograded_directory, student)
        return self._score(student)[0] is not None and any(folder.glob("*.ipynb"))

    def _score(self, student: str) -> tuple[float | None, float | None]:
        """The points that the gradebook has for a student, if any, and the most there are."""
        assignment = self.book.find_assignment(self.name)
        found = self.book.db.query(SubmittedAssignment).filter_by(assignment_id=assignment.id, student_id=student)
        submission = found.one_or_none()
        score = None if submission is None else max(0.0, submission.score - submission.late_submission_penalty)
        return score, assignment.max_score

    def _receive(self, task: _Task, result: Any, limit: float) -> None:
        """Take in what came back for a submission: a result, or the exception in its place."""
        start = time.perf_counter()
        if isinstance(result, Exception) and _is_foreign(result):
            raise CourseError(
                "A worker cannot run the grading: install the same version of the course, with the same packages, on "
                f"every machine. ({result!s:.200})"
            ) from result
        if isinstance(result, CourseError):
            raise result
        if isinstance(result, DiedError):
            words = "The grading process died twice: the notebook may use too much memory, or kill processes."
            self._fail(task.student, words, 0.0)
        elif isinstance(result, TooLongError):
            self._fail(task.student, f"It took longer than {limit:g} seconds: look for an endless loop.", limit)
        elif isinstance(result, Exception):
            self._fail(task.student, f"The grading program failed on it ({result!r:.200}).", 0.0)
        elif result["failed"]:
            self._fail(task.student, result["failed"], result["seconds"])
        else:
            self._merge(self._keep(task, result))
        if isinstance(result, dict):
            self._warn(result["unenforced"])
            self.clock.update(result["times"])
        self.clock["merge"] += time.perf_counter() - start

    def _warn(self, unenforced: list[str]) -> None:
        """Say once what the isolation of the students' code lacks."""
        if unenforced and not self.warned:
            self.warned = True
            tqdm.write(f"coursekit: isolation of students' code, not enforced: {', '.join(unenforced)}", sys.stderr)

    def _fail(self, student: str, why: str, seconds: float) -> None:
        score, best = self._score(student)
        why = f"{why} {KEPT}" if score is not None else why
        self.standings[student] = Standing(student, "failed", why, score, best, seconds=round(seconds, 3))

    def _keep(self, task: _Task, result: dict[str, Any]) -> Path:
        """Keep a result as a complete folder; return that folder."""
        home = self.incoming / hashlib.sha256(f"{self.name}/{task.student}".encode()).hexdigest()[:24]
        _remove(home)
        texts = {f"{stem}.ipynb": text.encode() for stem, text in result.pop("notebooks").items()}
        submitted = {name: data for name, data in task.submission.files.items() if not name.endswith(".ipynb")}
        timestamp = task.submission.timestamp
        stamp = {} if timestamp is None else {TIMESTAMP: f"{timestamp.isoformat(' ')} UTC\n".encode()}
        for name, data in {**submitted, **self.package.files, **stamp, **texts}.items():
            path = home / "folder" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(self.permissions)
        entry = {
            "assignment": self.name,
            "student": task.student,
            "digest": task.digest,
            "timestamp": timestamp.isoformat() if timestamp else None,
            "flags": [*task.submission.notes, *result["flags"]],
            **{key: result[key] for key in ("grades", "comments", "seconds")},
        }
        handle, temporary = tempfile.mkstemp(dir=home)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(entry, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, home / "result.json")
        return home

    def _finish_interrupted(self) -> None:
        """Merge the complete results that a stopped run left behind, and remove the incomplete."""
        for home in sorted(self.incoming.iterdir()) if self.incoming.is_dir() else []:
            if not (home / "result.json").exists():
                _remove(home)
            elif json.loads((home / "result.json").read_text(encoding="utf-8"))["assignment"] == self.name:
                self._merge(home)

    def _merge(self, home: Path) -> None:
        """Merge a result that is kept: gradebook, folder, journal. Every step may be repeated."""
        entry = json.loads((home / "result.json").read_text(encoding="utf-8"))
        student, flags = entry["student"], entry["flags"]
        if self.roster and student not in self.roster:
            flags = [*flags, "not on the roster"]
        why = "; ".join(dict.fromkeys(flags))
        standing = Standing(student, "graded", why, seconds=round(entry["seconds"], 3), digest=entry["digest"])
        timestamp = datetime.fromisoformat(entry["timestamp"]) if entry["timestamp"] else None
        with _transaction(self.book) as book:
            submission = self._record(book, student, timestamp, entry)
            standing = self._with_lateness(standing, submission, timestamp)
        self._move(home, self._folder(self.directory.autograded_directory, student))
        append_status(self.name, standing, self.root)
        self.standings[student] = standing
        _remove(home)

    def _record(
        self, book: Gradebook, student: str, timestamp: datetime | None, entry: dict[str, Any]
    ) -> SubmittedAssignment:
        """Write scores and comments of the machine; what people gave stays, as nbgrader keeps it."""
        known = self.roster.get(student)
        details = {} if known is None else {key: value for key, value in known._asdict().items() if value}
        details.pop("id", None)
        details["lms_user_id"] = details.pop("lms_id", None)
        book.update_or_create_student(student, **{key: value for key, value in details.items() if value})
        submission = book.update_or_create_submission(self.name, student, timestamp=timestamp)
        for notebook in submission.notebooks:
            # While they are held, asking a grade or a comment for its name asks for nothing else.
            cells = book.db.query(BaseCell).filter_by(notebook_id=notebook.notebook_id).all()  # noqa: F841
            scores = entry["grades"].get(notebook.name, {})
            comments = entry["comments"].get(notebook.name, {})
            for grade in notebook.grades:
                if grade.name in scores and not isinstance(grade.cell, TaskCell):
                    grade.auto_score = scores[grade.name]
                    grade.needs_manual_grade = grade.manual_score is not None or grade.auto_score is None
            for comment in notebook.comments:
                if comment.name in comments:
                    comment.auto_comment = comments[comment.name]
        return submission

    def _with_lateness(
        self, standing: Standing, submission: SubmittedAssignment, timestamp: datetime | None
    ) -> Standing:
        """Judge how late a submission is, set its penalty, and complete the standing."""
        database = self.book.db
        if submission.timestamp != timestamp:
            submission.timestamp = timestamp
        due = submission.assignment.duedate
        late = 0.0 if due is None else submission.total_seconds_late
        database.flush()
        for notebook in submission.notebooks:
            database.refresh(notebook, ["score"])
            penalty = self._penalty(standing.student, notebook.score, late) if late else None
            if notebook.late_submission_penalty != penalty:
                notebook.late_submission_penalty = penalty
        database.flush()
        database.refresh(submission, ["score", "max_score", "late_submission_penalty"])
        why = standing.why.removesuffix(UNTIMED).removesuffix("; ")
        untimed = due is not None and timestamp is None and self._some_have_times()
        why = "; ".join(filter(None, [why, UNTIMED if untimed else ""]))
        return standing._replace(
            status="flagged" if why else "graded",
            why=why,
            score=max(0.0, submission.score - submission.late_submission_penalty),
            max_score=submission.max_score,
            late=late,
        )

    def _some_have_times(self) -> bool:
        """Whether it is known of anybody when the work came in: of nobody, if the platform does not tell."""
        folder = self._folder(self.directory.submitted_directory, "-").parent.parent
        return any(folder.glob(f"*/{self.name}/{TIMESTAMP}"))

    def _penalty(self, student: str, score: float, late: float) -> float | None:
        """Points that the course's policy takes, never more than there are."""
        penalty = self.late.plugin_inst.late_submission_penalty(student, score, late)
        return None if penalty is None or math.isnan(penalty) else min(max(penalty, 0.0), score)

    def _move(self, home: Path, place: Path) -> None:
        """Put the graded folder in its place, if it is not there since an earlier attempt."""
        if (home / "folder").is_dir():
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.exists():
                _remove(home / "old")
                os.replace(place, home / "old")
            os.replace(home / "folder", place)


def _is_foreign(error: Exception) -> bool:
    """Whether a worker did not even know the task."""
    return isinstance(error, ImportError | AttributeError) or "deserialization of the task" in str(error)


def _remove(folder: Path) -> None:
    if folder.exists():
        # First out of the way, in one step: a folder that is half removed must not look complete.
        (folder / "result.json").unlink(missing_ok=True)
        rmtree(str(folder))


def _is_broken(student: str) -> bool:
    try:
        student.encode()
    except UnicodeEncodeError:
        return True
    return False


@contextmanager
def _transaction(book: Gradebook) -> Iterator[Gradebook]:
    """One transaction around calls of the gradebook, each of which would commit by itself."""
    outer = book.db
    outer.remove()
    with book.engine.begin() as connection:
        # The session's own commits only flush; the block commits, or nothing is.
        book.db = scoped_session(sessionmaker(bind=connection, join_transaction_mode="rollback_only", autoflush=True))
        try:
            yield book
            book.db.flush()
        finally:
            book.db.remove()
            book.db = outer


def _task_config(config: Config) -> Config:
    """The settings for a worker: the course's, without its folders, which only the parent has.

    How notebooks are executed is among them: nbgrader takes it from ``Autograde.autograde_preprocessors``, where the
    course's ``nbgrader_config.py`` names ``coursekit.execution.ExecuteApart``.
    """
    ours = Config({section: value for section, value in config.items() if section != "CourseDirectory"})
    ours.CourseDirectory = Config(
        {key: value for key, value in config.CourseDirectory.items() if key in ("ignore", "include", "max_file_size")}
    )
    return ours


def _package(name: str, root: Path, book: Gradebook, config: Config, require_sandbox: bool) -> Package:
    """All that a worker needs to know of an assignment, and nothing of anybody else."""
    assignment = book.find_assignment(name)
    folder = root / course_directory(root).source_directory / name
    paths = sorted(folder.rglob("*")) if folder.is_dir() else []
    source = {path.name: nbformat.read(path, as_version=4) for path in sorted(folder.glob("*.ipynb"))}
    source = source or {f"{name}.ipynb": read_source(name, root)}
    order = [cell.metadata.get("nbgrader", {}).get("grade_id") for book in source.values() for cell in book.cells]
    cells = {notebook.name: _cells(notebook, order) for notebook in assignment.notebooks}
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in paths
        if path.is_file() and path.suffix not in (".ipynb", ".md")
    }
    return Package(
        name=name,
        course_id=book.course_id,
        config=config,
        gradebook=_copy(assignment, cells, book.course_id),
        cells=cells,
        files=files,
        source={file: _without_answers(notebook) for file, notebook in source.items()},
        require_sandbox=require_sandbox,
    )


def _without_answers(notebook: NotebookNode) -> bytes:
    for cell in notebook.cells:
        cell.source = "" if is_solution(cell) else cell.source
    return nbformat.writes(notebook).encode()


def _cells(notebook: Notebook, order: list[str]) -> list[Cell]:
    grades = {cell.name: cell.max_score for cell in notebook.grade_cells}
    tasks = {cell.name: cell.max_score for cell in notebook.task_cells}
    solutions = {cell.name for cell in notebook.solution_cells}
    place = {name: position for position, name in enumerate(order)}
    return [
        Cell(
            name=cell.name,
            cell_type=cell.cell_type,
            source=cell.source or "",
            checksum=cell.checksum,
            grade=cell.name in grades,
            solution=cell.name in solutions,
            locked=cell.locked,
            task=cell.name in tasks,
            points=(grades | tasks).get(cell.name, 0.0),
        )
        for cell in sorted(notebook.source_cells, key=lambda cell: (place.get(cell.name, len(place)), cell.name))
    ]


def _copy(assignment: Assignment, cells: dict[str, list[Cell]], course_id: str) -> bytes:
    """A gradebook with this assignment, without its due date, and with no student."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "gradebook.db")
        url = f"sqlite:///{path.as_posix()}"
        engine = create_engine(url)
        Base.metadata.create_all(engine)
        engine.dispose()
        with Gradebook(url, course_id) as copy:
            name = assignment.name
            copy.add_assignment(name, course_id=course_id)
            for notebook in assignment.notebooks:
                copy.add_notebook(notebook.name, name, kernelspec=notebook.kernelspec)
                for cell in cells[notebook.name]:
                    _add(copy, cell, notebook.name, name)
        return path.read_bytes()


def _add(copy: Gradebook, cell: Cell, notebook: str, assignment: str) -> None:
    where = (cell.name, notebook, assignment)
    points = {"max_score": cell.points, "cell_type": cell.cell_type}
    if cell.grade:
        copy.add_grade_cell(*where, **points)
    if cell.solution:
        copy.add_solution_cell(*where)
    if cell.task:
        copy.add_task_cell(*where, **points)
    kept = {"cell_type": cell.cell_type, "locked": cell.locked, "source": cell.source, "checksum": cell.checksum}
    copy.add_source_cell(*where, **kept)


def _salt(package: Package) -> str:
    """What every result depends on: the assignment, its files, the settings."""
    settings = {section: value for section, value in package.config.items() if section not in UNRELATED}
    total = hashlib.sha256(repr(sorted(package.cells.items())).encode())
    for name, data in sorted({**package.files, **package.source}.items()):
        total.update(name.encode() + b"\0" + data)
    total.update(json.dumps(settings, sort_keys=True, default=_named).encode())
    return total.hexdigest()


def _named(value: Any) -> str:
    """A setting that is no plain data, by a name that is the same in every run."""
    if isinstance(value, Callable):
        code = getattr(getattr(value, "__code__", None), "co_code", b"")
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value))}{code.hex()}"
    return f"{type(value).__qualname__}{sorted(vars(value).items()) if hasattr(value, '__dict__') else value}"
