"""Grading a class in parallel: the results are nbgrader's, and nothing that goes wrong for one touches another."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
import warnings
from collections import Counter, deque
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import nbformat
import psutil
import pytest
from distributed import Client
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.converters import Autograde
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from sqlalchemy.exc import SAWarning

from coursekit import grading, late, status
from coursekit.cluster import _Piece, _results, cluster, spread
from coursekit.course import convert
from coursekit.errors import CourseError
from coursekit.grading import _only_grader, _Run, grade, gradebook, summary
from coursekit.late import LatePolicy, set_due
from coursekit.status import Standing, append_status, read_status, status_path, write_status
from coursekit.submission import UnusableError, read_submission
from coursekit.task import grade_submission
from coursetools import HEADER, grade_id, small_course

NAME = "tiny"
SOURCE = (
    HEADER
    + """
# A tiny assignment

**Points** 4, of which 3 are graded by machine.

## Task 1: twice (3 points)

```{code-cell} ipython3
---
nbgrader: {schema_version: 3, grade: false, solution: true, locked: false, task: false, grade_id: twice}
---
def twice(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION
```

```{code-cell} ipython3
---
nbgrader: {schema_version: 3, grade: true, solution: false, locked: true, task: false, grade_id: visible, points: 1}
---
assert twice(1) == 2, "one"
```

```{code-cell} ipython3
---
nbgrader: {schema_version: 3, grade: true, solution: false, locked: true, task: false, grade_id: hidden, points: 2}
---
### BEGIN HIDDEN TESTS
assert twice(-3) == -6, "minus three"
### END HIDDEN TESTS
```

## Task 2: words (1 point)

+++ {"nbgrader": {"schema_version": 3, "grade": true, "solution": true, "locked": false, "task": false, \
"grade_id": "words", "points": 1}}

=== BEGIN MARK SCHEME ===
Any.
=== END MARK SCHEME ===
"""
)
# nbgrader calls this in the worker before it converts: it counts, and does what a comment in an answer asks for.
HOOK = """

def _note(assignment, student, notebooks):
    import os, re, signal, time
    from pathlib import Path
    text = Path(notebooks[0]).read_text(encoding="utf-8")
    who = re.search(r"# I am (\\w+)", text)
    who = who[1] if who else "nobody"
    with open(COUNTER, "a", encoding="utf-8") as file:
        file.write(f"{who} {os.getpid()}\\n")
    times = [line.split()[0] for line in open(COUNTER, encoding="utf-8")].count(who)
    if "KILL ALWAYS" in text or ("KILL ONCE" in text and times == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if "HANG" in text:
        time.sleep(1000)

c.Autograde.pre_convert_hook = _note
"""
RIGHT = "return 2 * x"
HALF = "return 2 * abs(x)"
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """The tiny course, released, with nothing handed in."""
    return small_course(tmp_path_factory.mktemp("released"), NAME, SOURCE)


@pytest.fixture
def course(released, tmp_path):
    """A copy of the tiny course, which counts what is graded."""
    root = tmp_path / "course"
    shutil.copytree(released, root)
    with (root / "nbgrader_config.py").open("a", encoding="utf-8") as file:
        file.write(HOOK.replace("COUNTER", repr(str(tmp_path / "counter"))))
    return root


@pytest.fixture(scope="module")
def scheduler():
    """A Dask scheduler and two workers, each a program of its own, as on a cluster."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    run = [sys.executable, "-m", "distributed.cli"]
    here = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": {**os.environ, "PYTHONPATH": here}}
    port = address.rpartition(":")[2]
    started = [
        subprocess.Popen(
            [*run[:2], f"{run[2]}.dask_scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"], **quiet
        )
    ]
    worker = [*run[:2], f"{run[2]}.dask_worker", address, "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1"]
    started += [subprocess.Popen(worker, **quiet) for _ in range(2)]
    with Client(address, timeout=60, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    yield address
    for process in reversed(started):
        process.terminate()
    for process in started:
        process.wait(30)


def notebook(course: Path, who: str, body: str, words: str = "") -> nbformat.NotebookNode:
    """The released notebook with an answer; ``# I am`` tells the hook whose it is."""
    filled = nbformat.read(course / "exercises" / NAME / f"{NAME}.ipynb", as_version=4)
    for cell in filled.cells:
        if grade_id(cell) == "twice":
            cell.source = f"# I am {who}\ndef twice(x):\n    {body}"
        if grade_id(cell) == "words" and words:
            cell.source = words
    return filled


def hand_in(course: Path, student: str, body: str = RIGHT, words: str = "", who: str | None = None) -> Path:
    """Hand in an answer for a student."""
    return put(course, student, nbformat.writes(notebook(course, who or student, body, words)))


def put(course: Path, student: str, text: str | bytes) -> Path:
    path = course / "grading" / "submitted" / student / NAME / f"{NAME}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def graded_by(course: Path) -> list[str]:
    """Who was graded, in order, as often as it happened."""
    counter = course.parent / "counter"
    return [line.split()[0] for line in counter.read_text("utf-8").splitlines()] if counter.exists() else []


def by_student(standings: list[Standing]) -> dict[str, Standing]:
    return {standing.student: standing for standing in standings}


def in_gradebook(course: Path) -> dict:
    """Everything that grading decides, by student and cell."""
    with gradebook(course) as book:
        return {
            submission.student.id: {
                "grades": {g.name: (g.auto_score, g.manual_score, g.needs_manual_grade) for g in notebook.grades},
                "comments": {c.name: (c.auto_comment, c.manual_comment) for c in notebook.comments},
                "penalty": notebook.late_submission_penalty,
            }
            for submission in book.find_assignment(NAME).submissions
            for notebook in submission.notebooks
        }


def autograded(course: Path) -> dict[str, list]:
    """The graded cells by path: sources, and outputs without the parts of a traceback that name temporary files."""
    pages = {}
    for path in sorted((course / "grading" / "autograded").rglob("*")):
        if path.suffix == ".ipynb":
            cells = nbformat.read(path, as_version=4).cells
            pages[path.relative_to(course).as_posix()] = [
                (grade_id(c), c.cell_type, c.source, [(o.output_type, o.get("evalue")) for o in c.get("outputs", [])])
                for c in cells
            ]
        elif path.is_file():
            pages[path.relative_to(course).as_posix()] = path.read_bytes()
    return pages


# -- the class -------------------------------------------------------------------------------------------------------


@SLOW
def test_results_are_those_of_plain_nbgrader(course, tmp_path):
    plain = tmp_path / "plain"
    for student, body, words in (("ada", RIGHT, "Twice."), ("bob", HALF, ""), ("cy", "raise NotImplementedError", "")):
        hand_in(course, student, body, words)
    (course / "grading/submitted/ada/tiny/figure.txt").write_text("beside", encoding="utf-8")
    shutil.copytree(course, plain)
    with (plain / "nbgrader_config.py").open("a", encoding="utf-8") as file:
        file.write('c.Autograde.pop("autograde_preprocessors", None)\n')
    convert(Autograde, NAME, plain)
    standings = grade(NAME, course, workers=1, progress=False)
    assert in_gradebook(course) == in_gradebook(plain)
    assert autograded(course) == autograded(plain)
    assert [s[:2] + s[3:6] for s in standings] == [
        ("ada", "graded", 3.0, 4.0, 0.0),
        ("bob", "graded", 1.0, 4.0, 0.0),
        ("cy", "graded", 0.0, 4.0, 0.0),
    ]
    assert read_status(NAME, course) == by_student(standings)
    assert not list((course / "grading" / ".incoming").iterdir())


@SLOW
@pytest.mark.parametrize(("state", "again"), [("pending", 1), ("error", 0)])
def test_a_result_that_died_with_its_worker_is_not_waited_for(state, again):
    class Lost:
        status = state

        def result(self, timeout):
            assert timeout < 600
            raise TimeoutError

        def cancel(self, force):
            assert force

    waiting = deque()
    found = list(_results({Lost(): _Piece("ada", (), 1, "worker", 0.0)}, waiting))
    assert len(waiting) == again
    assert [key for key, _ in found] == ["ada"] * (1 - again)


def test_a_local_cluster_listens_on_this_machine_only():
    before = set(psutil.Process().children(recursive=True))  # another test's scheduler may be running
    with cluster(None, 1):
        processes = [psutil.Process(), *(set(psutil.Process().children(recursive=True)) - before)]
        addresses = {c.laddr.ip for p in processes for c in p.net_connections() if c.status == psutil.CONN_LISTEN}
    assert addresses <= {"127.0.0.1"}


def test_a_scheduler_that_is_not_there_is_an_error_in_words(monkeypatch):
    monkeypatch.setattr("coursekit.cluster.CONNECT", 0.5)
    with (
        pytest.raises(CourseError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:9"),
        cluster("tcp://127.0.0.1:9"),
    ):
        pass


@SLOW
def test_a_class_is_graded_on_workers_elsewhere_and_only_once(course, scheduler):
    students = [f"s{number}" for number in range(6)]
    for student in students:
        hand_in(course, student, HALF if student == "s3" else RIGHT)
    first = by_student(grade(NAME, course, scheduler=scheduler))
    assert {s: first[s].score for s in students} == {s: 1.0 if s == "s3" else 3.0 for s in students}
    assert sorted(graded_by(course)) == students
    workers = {line.split()[1] for line in (course.parent / "counter").read_text("utf-8").splitlines()}
    assert len(workers) == 2

    hand_in(course, "s0", HALF)
    hand_in(course, "s6")
    again = by_student(grade(NAME, course, scheduler=scheduler))
    assert sorted(graded_by(course)) == sorted([*students, "s0", "s6"])
    assert (again["s0"].score, again["s6"].score) == (1.0, 3.0)
    assert {s: again[s] for s in students[1:]} == {s: first[s] for s in students[1:]}


@SLOW
def test_odd_names_are_graded_like_any_other(course, scheduler):
    odd = ["[a-c]*", "Jörg Müller", "O\"Hara's", "-rf", "{student_id}", "a+b@c.d", "x" * 120]
    for number, student in enumerate(odd):
        hand_in(course, student, who=f"odd{number}")
    standings = by_student(grade(NAME, course, scheduler=scheduler))
    assert {s: (standings[s].status, standings[s].score) for s in odd} == dict.fromkeys(odd, ("graded", 3.0))
    assert set(in_gradebook(course)) == set(odd)
    assert all((course / "grading" / "autograded" / s / NAME / f"{NAME}.ipynb").is_file() for s in odd)


@SLOW
def test_who_holds_up_the_grader_is_stopped(course, scheduler):
    hand_in(course, "hang", f"{RIGHT}  # HANG")
    hand_in(course, "s0")
    standings = by_student(grade(NAME, course, scheduler=scheduler, limit=30))
    assert standings["s0"][:4] == ("s0", "graded", "", 3.0)
    assert standings["hang"].status == "failed"
    assert "longer than 30 seconds" in standings["hang"].why
    assert sorted(graded_by(course)) == ["hang", "s0"]
    assert set(in_gradebook(course)) == {"s0"}


@SLOW
def test_who_kills_the_grader_takes_nobody_along(course, scheduler):
    hand_in(course, "always", f"{RIGHT}  # KILL ALWAYS")
    hand_in(course, "once", f"{RIGHT}  # KILL ONCE")
    for student in ("s0", "s1", "s2"):
        hand_in(course, student)
    standings = by_student(grade(NAME, course, scheduler=scheduler))
    assert {s: standing.status for s, standing in standings.items()} == {
        "always": "failed",
        **dict.fromkeys(["once", "s0", "s1", "s2"], "graded"),
    }
    assert "died twice" in standings["always"].why
    assert Counter(graded_by(course)) == {"always": 2, "once": 2, "s0": 1, "s1": 1, "s2": 1}
    assert set(in_gradebook(course)) == {"once", "s0", "s1", "s2"}
    lines = summary(standings.values()).splitlines()
    counts = dict(line.split()[:2] for line in lines[:4])
    assert counts == {"graded": "4", "flagged": "0", "failed": "1", "missing": "0"}
    assert lines[-1].split()[:2] == ["always", "failed"]


@SLOW
def test_a_grader_that_is_killed_anywhere_is_taken_up_again(course, scheduler, tmp_path):
    students = [f"s{number}" for number in range(6)]
    for student in students:
        hand_in(course, student, HALF if student in ("s1", "s4") else RIGHT)
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(course, undisturbed)
    program = f"""
        from coursekit.grading import grade
        grade({NAME!r}, {str(course)!r}, scheduler={scheduler!r}, progress=False)
    """
    moments = random.Random(5)
    for stop in (2, 4):
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)])
        while len(set(graded_by(course))) < stop and process.poll() is None:
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 1.0))
        process.kill()
        process.wait()
        done, before = set(read_status(NAME, course)) | kept(course), len(graded_by(course))
        in_place = {path.parent.parent.name for path in (course / "grading/autograded").rglob("*.ipynb")}
        assert in_place <= done
    settled = by_student(grade(NAME, course, scheduler=scheduler))
    assert done
    assert not done & set(graded_by(course)[before:])
    assert {s: settled[s].score for s in students} == {s: 1.0 if s in ("s1", "s4") else 3.0 for s in students}
    grade(NAME, undisturbed, scheduler=scheduler)
    assert in_gradebook(course) == in_gradebook(undisturbed)
    assert autograded(course) == autograded(undisturbed)
    assert not list((course / "grading" / ".incoming").iterdir())


def kept(course: Path) -> set[str]:
    """Whose complete results wait to be merged."""
    results = (course / "grading" / ".incoming").glob("*/result.json")
    return {json.loads(path.read_text(encoding="utf-8"))["student"] for path in results}


# -- one submission, in this process ---------------------------------------------------------------------------------


@contextmanager
def running(course: Path):
    """A run over the class that does nothing by itself."""
    with warnings.catch_warnings(), gradebook(course) as book:
        warnings.simplefilter("ignore", SAWarning)
        yield _Run(NAME, course, book, False, Counter())


def grade_here(course: Path, *students: str) -> Standing:
    """Grade some students in this process; return the last one's standing."""
    with running(course) as run:
        for student in students:
            task = run._task(student)
            run._receive(task, grade_submission(run.package, task.submission.files), 1.0)
        return run.standings[student]


class KilledError(BaseException):
    pass


def die(*_, **__):
    raise KilledError


@SLOW
def test_a_stop_between_any_two_steps_of_a_merge_loses_nothing(course, monkeypatch):
    hand_in(course, "ada", HALF)
    with running(course) as run:
        old = grade_submission(run.package, run._task("ada").submission.files)
        run._merge(run._keep(run._task("ada"), dict(old)))
        before = (in_gradebook(course), autograded(course))
        hand_in(course, "ada", RIGHT)
        task = run._task("ada")
        new = grade_submission(run.package, task.submission.files)
    steps = [(grading.json, "dump", 0), (os, "fsync", 0), (os, "replace", 0)]  # the result is kept
    steps += [(_Run, "_record", 0), (_Run, "_with_lateness", 0)]  # the gradebook
    steps += [(_Run, "_move", 0), (os, "replace", 1), (os, "replace", 2)]  # the folder
    steps += [(grading, "append_status", 0), (os, "fsync", 1)]  # the journal
    steps += [(grading, "_remove", 2), (grading, "rmtree", 0)]  # what was kept
    states = []
    for step in steps:
        trial = course.parent / f"trial-{len(states)}"
        shutil.copytree(course, trial)
        with running(trial) as run, monkeypatch.context() as patch:
            dies_after(patch, *step)
            with pytest.raises(KilledError):
                run._merge(run._keep(task, dict(new)))
        complete = kept(trial)
        with running(trial) as run:
            run._finish_interrupted()
            if "ada" not in run.standings and read_status(NAME, trial)["ada"].digest != task.digest:
                assert not complete
                assert (in_gradebook(trial), autograded(trial)) == before
                run._merge(run._keep(task, dict(new)))
        assert not list((trial / "grading" / ".incoming").iterdir())
        assert read_status(NAME, trial)["ada"][:4] == ("ada", "graded", "", 3.0)
        states.append((in_gradebook(trial), autograded(trial)))
    assert all(state == states[0] for state in states)
    assert states[0] != before


def dies_after(patch, where, what: str, calls: int) -> None:
    """Let a function end the process instead of its call number ``calls``, counted from 0."""
    original, left = getattr(where, what), [calls]

    def replacement(*arguments, **options):
        if not left[0]:
            raise KilledError
        left[0] -= 1
        return original(*arguments, **options)

    patch.setattr(where, what, replacement)


@SLOW
def test_a_move_that_was_cut_in_half_is_finished(course, monkeypatch):
    hand_in(course, "ada", HALF)
    with running(course) as run:
        result = grade_submission(run.package, run._task("ada").submission.files)
        run._merge(run._keep(run._task("ada"), dict(result)))
        home = run._keep(run._task("ada"), dict(result))
        with monkeypatch.context() as patch:
            dies_after(patch, grading.os, "replace", 1)
            with pytest.raises(KilledError):
                run._merge(home)
        assert not (course / "grading" / "autograded" / "ada" / NAME).exists()
        run._finish_interrupted()
    assert (course / "grading" / "autograded" / "ada" / NAME / f"{NAME}.ipynb").is_file()


def edited(course: Path, who: str, change) -> str:
    """A right answer, after a change of its notebook."""
    filled = notebook(course, who, RIGHT, "Words.")
    change(filled)
    return nbformat.writes(filled)


def cell_of(filled, name):
    return next(cell for cell in filled.cells if grade_id(cell) == name)


def copied(filled):
    again = new_code_cell("def twice(x):\n    return 3 * x", metadata=cell_of(filled, "twice").metadata)
    filled.cells.insert(0, again)
    filled.cells.insert(3, new_code_cell("1 + 1", metadata=cell_of(filled, "visible").metadata))


def odd_metadata(filled):
    for cell, changes in (("twice", {"schema_version": 9}), ("visible", {"points": 100}), ("hidden", {"grade": 0})):
        cell_of(filled, cell).metadata.nbgrader.update(changes)
    cell_of(filled, "words").metadata.nbgrader["surplus"] = [1]


def skipping(filled):
    for cell in filled.cells:
        cell.metadata["tags"] = ["skip-execution", "raises-exception"]
    cell_of(filled, "twice").source = "# I am skipping\ndef twice(x):\n    return None"
    filled.metadata["coursekit"] = {"flags": ["forged"]}
    filled.metadata["kernelspec"] = {"name": "none", "display_name": "None", "language": "none"}


def without(*names):
    def change(filled):
        filled.cells = [cell for cell in filled.cells if grade_id(cell) not in names]

    return change


def nameless(filled):
    del cell_of(filled, "twice").metadata.nbgrader["grade_id"]


def wrong_type(filled):
    words = cell_of(filled, "words")
    fresh = new_code_cell("Words.", metadata=words.metadata)
    words.clear()
    words.update(fresh)


def old_format(course: Path, who: str) -> str:
    filled = nbformat.convert(notebook(course, who, RIGHT), 3)
    return nbformat.v3.nbjson.writes(filled)


MENDED = {  # score, words of the flag
    "copied": (copied, 3.0, "'twice' is there more than once"),
    "metadata": (odd_metadata, 3.0, ""),
    "skipping": (skipping, 0.0, ""),
    "no_test": (without("visible", "hidden"), 3.0, ""),
    "no_words": (without("words"), 3.0, "'words' was deleted"),
    "no_answer": (without("twice"), 0.0, "'twice' was deleted"),
    "nameless": (nameless, 3.0, "'twice' was lost and has been restored"),
    "wrong_type": (wrong_type, 3.0, ""),
}
BROKEN = {
    "empty": (b"", "empty"),
    "zeros": (b"\0" * 2000, "empty"),
    "cut": (b'{"cells": [{"cell_type": "co', "cut off"),
    "latin": ('{"é": 1}'.encode("latin-1"), "not text in UTF-8"),
    "list": (b"[1, 2]", "not a notebook"),
    "nested": (b"[" * 200_000 + b"]" * 200_000, "nested too deeply"),
    "future": (b'{"nbformat": 5, "cells": []}', "format 5 is unknown"),
    "no_cells": (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "no list of cells"),
    "odd_cells": (b'{"nbformat": 4, "cells": [3, {"cell_type": []}, {"cell_type": "code"}]}', "not the notebook of"),
    "ancient": (b'{"nbformat": 2, "worksheets": 7}', "old kind"),
    "other": (nbformat.writes(new_notebook(cells=[new_code_cell("1 + 1")])).encode(), "not the notebook of"),
}


@SLOW
def test_broken_submissions_leave_the_others_as_they_are(course, scheduler):
    good = {"ada": (RIGHT, 3.0), "zoe": (HALF, 1.0)}
    for student, (body, _) in good.items():
        hand_in(course, student, body)
    alone = course.parent / "alone"
    shutil.copytree(course, alone)
    for student, (change, _, _) in MENDED.items():
        put(course, student, edited(course, student, change))
    put(course, "old", old_format(course, "old"))
    for student, (data, _) in BROKEN.items():
        put(course, student, data)
    for student, name in (("renamed", "my answers.ipynb"), ("deeper", f"{NAME}/{NAME}.ipynb")):
        path = hand_in(course, student)
        (path.parent / name).parent.mkdir(exist_ok=True)
        path.rename(path.parent / f"{name}.part").rename(path.parent / name)
    hand_in(course, "folder").unlink()
    (course / "grading/submitted/folder/tiny/tiny.ipynb").mkdir()
    hand_in(course, "nothing").unlink()
    hand_in(course, "link").unlink()
    (course / "grading/submitted/link/tiny/tiny.ipynb").symlink_to(course / "grading/submitted/ada/tiny/tiny.ipynb")
    (hand_in(course, "leak").parent / "secrets.txt").symlink_to(course / "grading" / "gradebook.db")
    os.truncate(hand_in(course, "huge"), 500 * 10**6)
    with (hand_in(course, "heavy").parent / "data.bin").open("wb") as file:
        file.truncate(500 * 10**6)
    (course / "grading/submitted/absent").mkdir()

    standings = by_student(grade(NAME, course, scheduler=scheduler))
    for student, (_, score) in good.items():
        assert standings[student][:4] == (student, "graded", "", score)
    for student, (_, score, words) in MENDED.items():
        assert standings[student][:2] == (student, "flagged" if words else "graded"), standings[student]
        assert words in standings[student].why
        assert standings[student].score == score, standings[student]
    for student, (_, words) in BROKEN.items():
        assert standings[student][1] == "failed", standings[student]
        assert words in standings[student].why
        assert standings[student].score is None
    assert {s: standings[s].status for s in ("folder", "nothing", "link", "huge", "absent")} == {
        **dict.fromkeys(["folder", "nothing", "link", "huge"], "failed"),
        "absent": "missing",
    }
    assert "clear the outputs" in standings["huge"].why
    assert standings["old"][:4] == ("old", "graded", "", 3.0)
    for student, words in {"renamed": "my answers", "deeper": "tiny/tiny", "leak": "a link", "heavy": "500 MB"}.items():
        assert standings[student][1] == "flagged", standings[student]
        assert words in standings[student].why
        assert standings[student].score == 3.0
    assert not {s for s, standing in standings.items() if standing.status in ("failed", "missing")} & set(
        in_gradebook(course)
    )
    grade(NAME, alone, scheduler=scheduler)
    everybody, few = in_gradebook(course), in_gradebook(alone)
    assert {s: everybody[s] for s in good} == few


class Reporting(NbGraderPreprocessor):
    """Leaves a note for a person, as the course's own way of execution does."""

    def preprocess(self, nb, resources):
        nb.metadata["coursekit"] = {"flags": ["it wrote to a strange place"], "seconds": {"tests": 0.25}}
        return nb, resources


@SLOW
def test_what_the_execution_reports_is_a_flag_and_leaves_the_notebook(course):
    hand_in(course, "ada")
    with running(course) as run:
        run.package.config.Autograde.autograde_preprocessors = [Reporting, SaveAutoGrades]
        task = run._task("ada")
        result = grade_submission(run.package, task.submission.files)
        run._receive(task, result, 1.0)
        assert run.clock["tests"] == 0.25
    standing = read_status(NAME, course)["ada"]
    assert standing[:3] == ("ada", "flagged", "it wrote to a strange place")
    assert "coursekit" not in nbformat.read(course / "grading/autograded/ada/tiny/tiny.ipynb", as_version=4).metadata


@SLOW
def test_what_people_gave_stays_when_work_is_graded_again(course):
    hand_in(course, "ada", HALF, "Words.")
    grade_here(course, "ada")
    with gradebook(course) as book:
        mark = book.find_grade("words", NAME, NAME, "ada")
        mark.manual_score, mark.needs_manual_grade = 0.5, False
        book.find_comment("words", NAME, NAME, "ada").manual_comment = "Nearly."
        book.db.commit()
    hand_in(course, "ada", RIGHT, "Words.")
    grade_here(course, "ada")
    put(course, "ada", b"broken")
    standing = grade_here(course, "ada")
    assert standing[:2] + standing[3:4] == ("ada", "failed", 3.5)
    assert standing.why.endswith("The points of an earlier submission are kept.")
    found = in_gradebook(course)["ada"]
    assert found["grades"] == {"visible": (1.0, None, False), "hidden": (2.0, None, False), "words": (None, 0.5, True)}
    assert found["comments"]["words"] == (None, "Nearly.")


# -- the class around it ---------------------------------------------------------------------------------------------


@SLOW
def test_everybody_on_the_roster_has_a_standing(course, scheduler):
    (course / "grading" / "roster.csv").write_text("id,last_name\nada,Lovelace\nbob,Babbage\n", encoding="utf-8")
    assert [s[:2] for s in grade(NAME, course)] == [("ada", "missing"), ("bob", "missing")]
    put(course, "eve", b"")
    standings = grade(NAME, course, scheduler=scheduler)
    assert [s[:2] for s in standings] == [("ada", "missing"), ("bob", "missing"), ("eve", "failed")]
    hand_in(course, "bob")
    hand_in(course, "zed")
    standings = by_student(grade(NAME, course, scheduler=scheduler))
    assert standings["bob"][:3] == ("bob", "graded", "")
    assert standings["zed"][:3] == ("zed", "flagged", "not on the roster")
    with gradebook(course) as book:
        assert book.find_student("bob").last_name == "Babbage"


def test_two_graders_at_once_are_one_too_many(course):
    (course / "grading" / ".grader").write_text("process 1, long gone", encoding="utf-8")
    (course / "grading" / ".lock").touch()
    with (
        _only_grader(NAME, course),
        pytest.raises(CourseError, match=f"being graded already, by process {os.getpid()} "),
    ):
        grade(NAME, course)
    with _only_grader(NAME, course):
        pass


@SLOW
def test_the_lock_of_a_killed_grader_is_free(course):
    program = f"""
        import time
        from pathlib import Path
        from coursekit.grading import _only_grader
        with _only_grader("tiny", Path({str(course)!r})):
            print("locked", flush=True)
            time.sleep(1000)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "locked\n"
    with pytest.raises(CourseError, match=f"by process {process.pid} "):
        grade(NAME, course)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with _only_grader(NAME, course):
        pass


# -- lateness --------------------------------------------------------------------------------------------------------

MINUTE, DAY = 60, 24 * 3600


@pytest.mark.parametrize(
    ("seconds", "lost"),
    [
        (1, None),
        (15 * MINUTE, None),
        (15 * MINUTE + 1, 2),
        (DAY, 2),
        (DAY + 1, 4),
        (5 * DAY, 10),
        (5 * DAY + 1, 20),
        (400 * DAY, 20),
    ],
)
def test_the_late_policy(seconds, lost):
    penalty = LatePolicy().late_submission_penalty("ada", 20.0, seconds)
    assert penalty == (lost if lost is None else pytest.approx(lost))


def test_the_numbers_of_the_late_policy_can_be_set():
    policy = LatePolicy(grace_minutes=0, lost_per_day=0.5, last_day=10)
    assert policy.late_submission_penalty("ada", 8.0, 1) == 4.0
    assert policy.late_submission_penalty("ada", 8.0, 9 * DAY) == 8.0


def test_a_due_date_is_read_as_nbgrader_does(course):
    assert set_due(NAME, "2026-11-30 18:00 Europe/Berlin", course) == datetime(2026, 11, 30, 17)
    assert set_due(NAME, "2026-11-30T18:00+02:00", course) == datetime(2026, 11, 30, 16)
    with gradebook(course) as book:
        assert book.find_assignment(NAME).duedate == datetime(2026, 11, 30, 16)
    assert set_due(NAME, None, course) is None
    with pytest.raises(CourseError, match="not a date and time"):
        set_due(NAME, "tomorrow-ish", course)
    with pytest.raises(CourseError, match="no assignment 'other'"):
        set_due("other", None, course)


@SLOW
def test_late_work_loses_points_and_a_new_due_date_gives_them_back(course):
    path = hand_in(course, "ada")
    hand_in(course, "bob")
    (path.parent / "timestamp.txt").write_text("2026-12-02 10:00:00 UTC\n", encoding="utf-8")
    set_due(NAME, "2026-12-01 00:00 UTC", course)
    grade_here(course, "ada", "bob")
    standings = by_student(grade(NAME, course))
    assert standings["ada"][1:6] == ("graded", "", pytest.approx(3 * 0.8), 4.0, 34 * 3600)
    assert standings["bob"][1:6] == ("flagged", "handed in without a time, so taken as in time", 3.0, 4.0, 0)
    assert in_gradebook(course)["ada"]["penalty"] == pytest.approx(0.6)
    stamp = course / "grading/autograded/ada/tiny/timestamp.txt"
    assert late.read_time(stamp.read_text(encoding="utf-8")) == datetime(2026, 12, 2, 10)

    with gradebook(course) as book:
        book.grant_extension(NAME, "ada", days=1)
    assert by_student(grade(NAME, course))["ada"][3:6] == (pytest.approx(3 * 0.9), 4.0, 10 * 3600)
    set_due(NAME, None, course)
    standings = by_student(grade(NAME, course))
    assert [standings[s][1:6] for s in ("ada", "bob")] == [("graded", "", 3.0, 4.0, 0)] * 2
    assert len(graded_by(course)) == 2


@pytest.mark.parametrize("text", ["", "soon", "2026-99-99", "\0", "9" * 400])
def test_a_time_that_cannot_be_read_is_none(course, text):
    path = hand_in(course, "ada")
    (path.parent / "timestamp.txt").write_text(text, encoding="utf-8")
    assert read_submission(path.parent, [NAME]).timestamp is None


def test_links_are_not_followed(tmp_path):
    real = tmp_path / "real" / NAME
    real.mkdir(parents=True)
    (tmp_path / "other").symlink_to(tmp_path / "real")
    (tmp_path / "third").mkdir()
    (tmp_path / "third" / NAME).symlink_to(real)
    for student in ("other", "third"):
        with pytest.raises(UnusableError, match="is a link"):
            read_submission(tmp_path / student / NAME, [NAME])


def test_too_many_files_and_folders_are_refused(tmp_path):
    deep = tmp_path.joinpath(*"abcdefghijklmnopqrstuvwxyz")
    deep.mkdir(parents=True)
    with pytest.raises(UnusableError, match="deep in each other"):
        read_submission(tmp_path, [NAME])
    many = tmp_path / "many"
    many.mkdir()
    for number in range(1100):
        (many / f"{number}.txt").touch()
    with pytest.raises(UnusableError, match="more than 1000 files"):
        read_submission(many, [NAME])


# -- the status ------------------------------------------------------------------------------------------------------


def test_a_status_comes_back_as_it_was_written(tmp_path):
    standings = [Standing("zoë", "failed", "Hand in again."), Standing("ada", "graded", "", 3.0, 4.0, 0.0, 1.5, "d")]
    path = write_status(NAME, standings, tmp_path)
    assert path == status_path(NAME, tmp_path)
    assert read_status(NAME, tmp_path) == {"ada": standings[1], "zoë": standings[0]}
    assert list(read_status(NAME, tmp_path)) == ["ada", "zoë"]
    assert read_status("other", tmp_path) == {}
    with pytest.raises(ValueError, match="'fine' is none of"):
        write_status(NAME, [Standing("ada", "fine")], tmp_path)


def test_a_status_is_replaced_all_at_once(tmp_path, monkeypatch):
    write_status(NAME, [Standing("ada", "graded")], tmp_path)
    monkeypatch.setattr(status.os, "replace", die)
    with pytest.raises(KilledError):
        write_status(NAME, [Standing("bob", "graded")], tmp_path)
    assert list(read_status(NAME, tmp_path)) == ["ada"]
    assert len(list(status_path(NAME, tmp_path).parent.iterdir())) == 1


def test_a_journal_that_was_cut_off_counts_as_far_as_it_goes(tmp_path):
    write_status(NAME, [Standing("ada", "graded"), Standing("bob", "graded")], tmp_path)
    append_status(NAME, Standing("bob", "failed", "Why."), tmp_path)
    journal = status_path(NAME, tmp_path).with_suffix(".journal")
    with journal.open("ab") as file:
        file.write('\n{"student": "é'.encode()[:-1])
    append_status(NAME, Standing("cy", "graded"), tmp_path)
    assert {s: standing.status for s, standing in read_status(NAME, tmp_path).items()} == {
        "ada": "graded",
        "bob": "failed",
        "cy": "graded",
    }
    write_status(NAME, read_status(NAME, tmp_path), tmp_path)
    assert not journal.exists()
    status_path(NAME, tmp_path).write_text("{}", encoding="utf-8")
    with pytest.raises(CourseError, match="remove it and grade again"):
        read_status(NAME, tmp_path)


def _square(shared: int, number: int) -> int:
    if number == 3:
        raise ArithmeticError("three")
    return shared * number * number


@SLOW
def test_work_is_spread_and_its_errors_come_back(scheduler):
    with cluster(scheduler) as client:
        results = dict(spread(client, _square, 10, ((n, (n,)) for n in range(5)), 60))
    assert {n: results[n] for n in (0, 1, 2, 4)} == {0: 0, 1: 10, 2: 40, 4: 160}
    assert isinstance(results[3], ArithmeticError)


@SLOW
def test_a_worker_without_the_course_is_an_error_in_words(course, scheduler, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("def square(shared, number):\n    return number**2\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    from only_here import square

    with cluster(scheduler) as client:
        ((_, error),) = spread(client, square, None, [(2, (2,))], 60)
    with running(course) as run, pytest.raises(CourseError, match="install the same version of the course"):
        run._receive(None, error, 1.0)
