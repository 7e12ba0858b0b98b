"""A class with attackers in it: everybody else's grade is what it would be without them, and nobody learns a secret.

The cases are in ``hostile.py``.
"""

import hashlib
import html
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import nbformat
import psutil
import pytest

from coursekit import warm
from coursekit.grading import generate_feedback, grade, gradebook
from coursekit.sandbox import not_enforced
from coursekit.status import Standing
from coursetools import small_course, visible_text
from hostile import CASES, HONEST, MARKER, NAME, OTHERS_WORDS, SECRETS, SOURCE, Case, hand_in

pytestmark = pytest.mark.slow

SETTINGS = """
c.Execute.timeout = 10
c.ExecuteApart.total_timeout = 34
c.ExecuteApart.sandboxed = {sandboxed}
"""
HARMLESS = {"dask-scratch-space", "torchinductor_root"}
# Without a sandbox, only what changes its own interpreter can be expected to gain nothing.
UNSANDBOXED = [
    case for case in CASES if case.name.startswith(("patches-", "ships-modules")) and case.status == "graded"
]


class Outcome(NamedTuple):
    """What a batch did."""

    standings: dict[str, Standing]
    grades: dict[str, dict]
    """What the gradebook has, by student."""
    pages: dict[str, str]
    """What each student receives."""
    notebooks: dict[str, nbformat.NotebookNode]
    changed: set[str]
    """Files of the course, other than grading's own, that are not what they were."""
    left: list[str]
    """Processes, temporary files and mounts that are still there."""


def batch(released: Path, folder: Path, cases: list[Case], workers: int = 1, sandboxed: bool = True) -> Outcome:
    """Grade these students together in a fresh copy of the course, and give everybody feedback."""
    course = folder / "course"
    shutil.copytree(released, course)
    with (course / "nbgrader_config.py").open("a", encoding="utf-8") as file:
        file.write(SETTINGS.format(sandboxed=sandboxed))
    notebook = nbformat.read(course / "exercises" / NAME / f"{NAME}.ipynb", as_version=4)
    for case in cases:
        hand_in(case, notebook, course)
    before = digests(course)
    # In /tmp, because the paths of sockets must be short.
    with (
        tempfile.TemporaryDirectory(prefix="h-", dir="/tmp", ignore_cleanup_errors=True) as temporary,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("TMPDIR", temporary)
        patch.setattr(tempfile, "tempdir", temporary)
        warm.close()  # an earlier one has other temporary files
        standings = {s.student: s for s in grade(NAME, course, workers=workers, progress=False)}
        generate_feedback(NAME, course)
        warm.close()
        left = leftovers(temporary)
    after = digests(course)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    place = course / "grading"
    return Outcome(
        standings,
        in_gradebook(course),
        {path.parts[-3]: path.read_text("utf-8") for path in place.glob(f"feedback/*/{NAME}/*.html")},
        {path.parts[-3]: nbformat.read(path, 4) for path in place.glob(f"autograded/*/{NAME}/*.ipynb")},
        changed,
        left,
    )


def digests(course: Path) -> dict[str, str]:
    """What every file is that grading must leave alone."""
    own = ("gradebook.db", "autograded", "feedback", "status", ".incoming", ".lock", ".grader")
    found = {}
    for where, folders, names in os.walk(course):
        if where == str(course / "grading"):
            folders[:], names = [f for f in folders if f not in own], [n for n in names if n not in own]
        for path in (Path(where, name) for name in [*folders, *names]):
            status = path.lstat()
            data = path.read_bytes() if path.is_file() and not path.is_symlink() and status.st_size < 10**7 else b""
            found[str(path.relative_to(course))] = f"{oct(status.st_mode)} {hashlib.sha256(data).hexdigest()}"
    return found


def leftovers(temporary: str) -> list[str]:
    """What of a batch is still there."""
    # Dask and torch make these two in any program.
    left = [f"file {path}" for path in Path(temporary).rglob("*") if not {*path.parts} & HARMLESS]
    left += [line for line in Path("/proc/mounts").read_text().splitlines() if temporary in line]
    for process in psutil.process_iter():
        try:
            ours = process.pid == os.getpid() or "resource_tracker" in str(process.cmdline())
            if not ours and (process.environ().get("TMPDIR") == temporary or str(MARKER) in process.cmdline()):
                left.append(f"process {process.pid} {process.cmdline()}")
        except psutil.Error:
            pass
    return left


def in_gradebook(course: Path) -> dict[str, dict]:
    """Everything that grading decides, by student."""
    with gradebook(course) as book:
        return {
            submission.student.id: {
                g.name: (g.auto_score, g.manual_score, g.needs_manual_grade) for g in notebook.grades
            }
            for submission in book.find_assignment(NAME).submissions
            for notebook in submission.notebooks
        }


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """The tiny course, released."""
    return small_course(tmp_path_factory.mktemp("released"), NAME, SOURCE)


@pytest.fixture(scope="module")
def alone(released, tmp_path_factory):
    """The honest students by themselves."""
    return batch(released, tmp_path_factory.mktemp("alone"), HONEST)


@pytest.fixture(scope="module")
def together(released, tmp_path_factory):
    """The honest students and all attackers in one batch."""
    if not_enforced():
        pytest.skip(f"this machine cannot isolate: {', '.join(not_enforced())}")
    return batch(released, tmp_path_factory.mktemp("together"), [*HONEST, *CASES], workers=3)


@pytest.fixture(scope="module")
def open_air(released, tmp_path_factory):
    """Honest students and those who patch, without a sandbox."""
    return batch(released, tmp_path_factory.mktemp("open"), [*HONEST[:3], *UNSANDBOXED], sandboxed=False)


def check(case: Case, outcome: Outcome) -> None:
    """What every case asks."""
    standing = outcome.standings[case.who]
    if case.score is not None:
        assert outcome.grades.get(case.who) is not None, standing
    points = sum(auto or 0.0 for auto, _, _ in outcome.grades.get(case.who, {}).values())
    assert points == case.score if case.score is not None else points <= 4.0, standing
    assert standing.status == case.status or not case.status, standing
    assert case.why.lower() in standing.why.lower(), standing
    assert standing.status == "graded" or standing.why, standing
    own = json.dumps([case.first, case.double, case.width, case.between, case.last, case.words])
    secrets = [secret for secret in (*SECRETS, OTHERS_WORDS) if secret not in own]
    page = outcome.pages.get(case.who, "")
    for text in (page, html.unescape(page), visible_text(page), outputs(outcome.notebooks.get(case.who))):
        assert [secret for secret in secrets if secret in text] == []
    assert "<script" not in page.lower()
    said = outputs(outcome.notebooks.get(case.who))
    assert [word for word in ("LOOT connected", "LOOT attached", "LOOT wrote", "LOOT did") if word in said] == []


def outputs(notebook: nbformat.NotebookNode | None) -> str:
    """All that a notebook's cells put out, the instructor's own cells left out."""
    cells = [] if notebook is None else notebook.cells
    theirs = [c for c in cells if not (known := c.metadata.get("nbgrader", {})).get("grade") or known.get("solution")]
    return "\n".join(str(c.get("outputs", "")) for c in theirs)


@pytest.mark.parametrize("case", HONEST, ids=lambda case: case.name)
def test_honest_students_are_graded_as_without_attackers(case, alone, together):
    check(case, alone)
    check(case, together)
    assert together.grades[case.who] == alone.grades[case.who]
    ours, theirs = (o.standings[case.who]._replace(seconds=0.0, digest="") for o in (alone, together))
    assert ours == theirs


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_attacker_gains_nothing(case, together):
    check(case, together)


@pytest.mark.parametrize("case", [*HONEST[:3], *UNSANDBOXED], ids=lambda case: case.name)
def test_patching_gains_nothing_without_a_sandbox_either(case, open_air):
    check(case, open_air)


def test_nothing_is_left_or_touched(alone, together, open_air):
    for outcome in (alone, together, open_air):
        assert outcome.changed == set()
        assert outcome.left == []
