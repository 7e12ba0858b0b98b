"""What became of every student: one line of facts for each, in ``grading/status/NAME.json``.

Nobody is ever just a 0. A student's work was ``graded``; or graded but ``flagged``, because a person should look and
``why`` says at what; or it ``failed``, and ``why`` says what the student or the instructor can do; or it is
``missing``. While a class is being graded, each standing is appended to a journal beside the file as soon as it is
known, so that nothing is lost if the run is stopped; a later run, or ``read_status``, takes both together.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from .errors import CourseError
from .project import ROOT

STATUSES = ("graded", "flagged", "failed", "missing")


class Standing(NamedTuple):
    """One student's standing in one assignment."""

    student: str
    status: str
    """One of ``STATUSES``."""
    why: str = ""
    """For a person: what to look at, or what went wrong and the remedy; empty if graded."""
    score: float | None = None
    """Points after any late penalty, or None if the work has never been graded."""
    max_score: float | None = None
    late: float = 0.0
    """Seconds after the due date, 0 if in time."""
    seconds: float = 0.0
    """How long the grading took."""
    digest: str = ""
    """What the result depends on: the files handed in, the assignment, the settings."""

    def __str__(self) -> str:
        points = "" if self.score is None else f"{self.score:6.2f} / {self.max_score or 0:g}"
        return f"{self.student:<24} {self.status:<8} {points:>14}  {self.why}".rstrip()


def status_path(name: str, root: Path = ROOT) -> Path:
    """Where the status of an assignment is kept."""
    return Path(root) / "grading" / "status" / f"{name}.json"


def read_status(name: str, root: Path = ROOT) -> dict[str, Standing]:
    """Every student's standing by id, sorted, a run in progress included; empty if never graded.

    Raises ``CourseError`` if the file is not one that ``write_status`` wrote.
    """
    path = status_path(name, root)
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["students"] if path.exists() else {}
        standings = {student: _standing(student, entry) for student, entry in entries.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CourseError(f"{path} cannot be read ({error}): remove it and grade again.") from None
    standings.update(_read_journal(path))
    return dict(sorted(standings.items()))


def write_status(name: str, standings: Iterable[Standing] | Mapping[str, Standing], root: Path = ROOT) -> Path:
    """Replace the status of an assignment by these standings, all at once, and remove the journal."""
    path = status_path(name, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    values = standings.values() if isinstance(standings, Mapping) else standings
    students = {s.student: _entry(s) for s in sorted(values, key=lambda s: s.student)}
    text = json.dumps({"assignment": name, "students": students}, indent=1, ensure_ascii=False, allow_nan=False)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{name}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _journal(path).unlink(missing_ok=True)
    return path


def append_status(name: str, standing: Standing, root: Path = ROOT) -> None:
    """Note one standing in the journal; it counts from now on, even if the machine stops here."""
    path = _journal(status_path(name, root))
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"student": standing.student, **_entry(standing)}, ensure_ascii=False, allow_nan=False)
    with path.open("ab") as file:
        # A line that was cut off by a stop ends here; this one begins on a line of its own.
        file.write(f"\n{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def _journal(path: Path) -> Path:
    return path.with_suffix(".journal")


def _read_journal(path: Path) -> dict[str, Standing]:
    try:
        lines = _journal(path).read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    standings = {}
    for line in lines:
        try:
            entry = json.loads(line)
            student = entry.pop("student")
            standings[student] = _standing(student, entry)
        except (ValueError, TypeError, KeyError, AttributeError):
            continue  # cut off when a run was stopped: that student is graded again
    return standings


def _entry(standing: Standing) -> dict:
    if standing.status not in STATUSES:
        raise ValueError(f"{standing.status!r} is none of {', '.join(STATUSES)}")
    return {key: value for key, value in standing._asdict().items() if key != "student"}


def _standing(student: str, entry: dict) -> Standing:
    return Standing(student, **entry)
