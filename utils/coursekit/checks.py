"""The tests, and the lock that says whether they need to run again."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from .errors import CourseError
from .project import ROOT, data, digest, tracked


def run_tests(root: Path = ROOT, force: bool = False) -> None:
    """Run every test, unless they passed on exactly these files, this data and this Python.

    Raises:
        CourseError: If a test fails.
    """
    note = root / "_build" / "tests-passed.txt"
    files = tracked(root)
    key = digest(files, platform.python_version(), sys.prefix, data(root)) if files else None
    if key and not force and note.is_file() and note.read_text("utf-8") == key:
        print("test: passed on these very files before; `make test FORCE=1` runs them all again")
        return
    note.unlink(missing_ok=True)
    start = time.monotonic()
    # One process per core, each with one thread and one that grades: more of them slow one another down.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    command = [sys.executable, "-m", "pytest", f"--numprocesses={min(cores, 8)}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COURSEKIT_WORKERS": "1"}
    if subprocess.run(command, cwd=root, env=environment).returncode != 0:
        raise CourseError("tests failed: the lines above name them")
    if key and key == digest(tracked(root) or [], platform.python_version(), sys.prefix, data(root)):
        note.write_text(key, "utf-8")
    print(f"test: all passed ({time.monotonic() - start:.0f} s)")


def lock(root: Path = ROOT) -> Path:
    """Make ``requirements.txt`` from ``pyproject.toml``, for every supported Python and system.

    Pins already there are kept where they still fit; delete the file first to move to the newest releases.

    Raises:
        CourseError: If no set of versions fits, or the package index cannot be reached.
    """
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--universal"]
    command += ["--python-version", "3.11", "--quiet"]
    command += ["--custom-compile-command", "make lock", "--output-file", "requirements.txt"]
    # A machine's own wheel folders must not decide what everybody installs.
    unset = ("PIP_FIND_LINKS", "UV_FIND_LINKS")
    env = {name: value for name, value in os.environ.items() if name not in unset}
    if subprocess.run(command, cwd=root, env=env).returncode != 0:
        raise CourseError("the lock could not be made: see the lines above")
    return root / "requirements.txt"
