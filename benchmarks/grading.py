"""How fast a class is graded: this course's grader against plain ``nbgrader autograde``, in one run.

    make bench NAME=grading
    python benchmarks/grading.py [--students 40] [--plain 20] [--workers 2] [--name ps2-kl]

makes a class out of the assignment's bank, wrong and right answers in turn, and grades all of it with
``coursekit.grading.grade``, and the first few with ``nbgrader autograde`` as anybody would run it: one process,
nbgrader's own way of execution. Twenty is a round of the right answers, of which some take many times as long as
others: so plain nbgrader is measured with the mixture that we grade. It runs before and after ours. What it takes to
start is measured by a run with one student and counted once, so that its time for the whole class is not overstated.
Both give the same grades, or the last line says so.
"""

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import nbformat
import psutil
from nbgrader.api import Gradebook

from coursekit.assignments import release
from coursekit.bank import copy_course, fill_in, read_bank, reference_functions
from coursekit.cluster import CPU_COUNT
from coursekit.grading import grade, summary
from coursekit.project import ROOT

PLAIN = """
c = get_config()
c.CourseDirectory.course_id = "vae-course"
c.CourseDirectory.source_directory = "_build/source"
c.CourseDirectory.release_directory = "exercises"
c.CourseDirectory.submitted_directory = "grading/submitted"
c.CourseDirectory.autograded_directory = "grading/autograded"
c.CourseDirectory.db_url = "sqlite:///grading/gradebook.db"
c.IgnorePattern.enabled = True
c.IgnorePattern.pattern = r"[\\s\\S]"
c.Execute.timeout = 60
"""
SECONDS = {"nbgrader": "all of nbgrader", "merge": "merging, in the parent"}


def make_class(name: str, course: Path, students: int) -> None:
    """A course in which so many students have handed in an answer of the bank each."""
    copy_course([name], ROOT, course)
    (released,) = release([name], course)
    reference, bank = reference_functions(name, ROOT), read_bank(name, ROOT)
    wrong, right = ([answer for answer in bank if answer.kind == kind] for kind in ("wrong", "right"))
    for number in range(students):
        answers = (wrong, right)[number % 2]
        functions = reference | answers[number // 2 % len(answers)].functions
        notebook = fill_in(nbformat.read(released, as_version=4), functions)
        folder = course / "grading" / "submitted" / f"student-{number:05d}" / name
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / f"{name}.ipynb")


def time_plain(name: str, course: Path, students: int) -> float:
    """Seconds that ``nbgrader autograde`` takes for the first student, or for all."""
    pattern = "student-00000" if students == 1 else "*"
    command = [sys.executable, "-m", "nbgrader", "autograde", name, "--force", f"--student={pattern}"]
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    start = time.perf_counter()
    done = subprocess.run(command, cwd=course, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"nbgrader autograde failed:\n{done.stderr[-2000:]}")
    return time.perf_counter() - start


class Memory(threading.Thread):
    """The most memory that was used, in bytes: by this process, by a worker, and by the machine since the start."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.parent = self.worker = self.machine = 0
        self.course: list[int] = []
        self._before, self._over = psutil.virtual_memory().available, threading.Event()

    def run(self) -> None:
        me = psutil.Process()
        while not self._over.wait(1.0):
            self.course.append(me.memory_info().rss)
            self.parent = max(self.parent, self.course[-1])
            self.machine = max(self.machine, self._before - psutil.virtual_memory().available)
            for child in me.children():
                try:
                    self.worker = max(self.worker, child.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue

    def stop(self) -> None:
        self._over.set()
        self.join()


def scores(name: str, course: Path, students: int) -> dict[str, dict[str, float | None]]:
    """The automatic scores of the first so many students, by cell."""
    url = f"sqlite:///{(course / 'grading' / 'gradebook.db').as_posix()}"
    with Gradebook(url, "vae-course") as book:
        found = sorted(book.find_assignment(name).submissions, key=lambda s: s.student.id)[:students]
        return {s.student.id: {g.name: g.auto_score for n in s.notebooks for g in n.grades} for s in found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", default="ps2-kl", help="the assignment")
    parser.add_argument("--students", type=int, default=40, help="size of the class")
    parser.add_argument("--plain", type=int, default=20, help="how many plain nbgrader grades, two or more")
    parser.add_argument("--workers", type=int, default=CPU_COUNT, help="worker processes (default: one per core)")
    options = parser.parse_args()
    name, students, few = options.name, options.students, max(2, min(options.plain, options.students))
    with tempfile.TemporaryDirectory() as folder:
        ours, plain = Path(folder, "ours"), Path(folder, "plain")
        for course, size in ((ours, students), (plain, few)):
            course.mkdir()
            make_class(name, course, size)
        (plain / "nbgrader_config.py").write_text(PLAIN, encoding="utf-8")

        one, several = time_plain(name, plain, 1), [time_plain(name, plain, few)]
        clock, memory = Counter(), Memory()
        memory.start()
        start = time.perf_counter()
        standings = grade(name, ours, workers=options.workers, clock=clock)
        seconds = time.perf_counter() - start
        memory.stop()
        several.append(time_plain(name, plain, few))
        each = (sum(several) / 2 - one) / (few - 1)
        whole = one + (students - 1) * each
        same = scores(name, plain, few) == scores(name, ours, few)

    print(summary(standings))
    print(f"\n{name}, {students} submissions, {options.workers} workers on {CPU_COUNT} cores")
    print(f"{'':<26}{'seconds':>9}{'per minute':>12}")
    print(
        f"{'plain nbgrader':<26}{whole:9.1f}{60 * students / whole:12.1f}   from {one:.1f} s for 1, and for {few}: ",
        end="",
    )
    print(" and ".join(f"{t:.1f} s" for t in several))
    print(f"{'coursekit grade':<26}{seconds:9.1f}{60 * students / seconds:12.1f}")
    print(f"{'ratio':<26}{whole / seconds:9.1f}")
    measured = " and ".join(f"{t:.1f} s" for t in several)
    print(f"\nMeasured of plain nbgrader: {one:.1f} s for 1 submission; {measured} for {few}")
    print("\nMemory at most, MB: ", end="")
    print(f"parent {memory.parent / 1e6:.0f}, a worker {memory.worker / 1e6:.0f}, machine {memory.machine / 1e6:.0f}")
    if len(memory.course) >= 4:
        quarters = [memory.course[len(memory.course) * k // 4] for k in (1, 2, 3)] + [memory.course[-1]]
        print("The parent after each quarter of the time, MB: " + ", ".join(f"{m / 1e6:.0f}" for m in quarters))
    print("\nWhere the time goes, ms per submission (in the workers, which run side by side)")
    for step, spent in sorted(clock.items(), key=lambda item: -item[1]):
        print(f"  {SECONDS.get(step, step):<26}{1000 * spent / students:9.0f}")
    print(f"\nThe same grades as plain nbgrader's: {'yes' if same else 'NO'}")


if __name__ == "__main__":
    main()
