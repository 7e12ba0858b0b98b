"""Building the book: pages executed once per change, warnings are errors, a failed build leaves nothing to publish."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from .errors import CourseError
from .project import ROOT, environment

# What people see of Sphinx's log while it runs; all of it goes to the log file.
SHOWN = re.compile(r"Execut(ing|ed) notebook|: (WARNING|ERROR|CRITICAL):|^\w*(Error|Exception|Interrupt)\b")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def build(root: Path = ROOT) -> Path:
    """Build the book into ``_build/html`` and return its first page.

    Raises:
        CourseError: If a page fails, a warning appears, or the builder itself breaks.
    """
    out = root / "_build"
    out.mkdir(exist_ok=True)
    _forget_stale_results(out, environment(root))
    log = out / "book.log"
    print(f"book: building (log: {log.relative_to(root)})", flush=True)
    start = time.monotonic()
    if _run(root, log) != 0:
        _withdraw(out)
        raise CourseError(
            f"the book was not built: see the lines above, and {log.relative_to(root)} for the whole story"
        )
    index = out / "html" / "index.html"
    print(f"book: {index.relative_to(root)} ({time.monotonic() - start:.0f} s)")
    return index


def _run(root: Path, log: Path) -> int:
    command = [
        str(Path(sys.executable).with_name("jupyter-book")),
        "build",
        str(root),
        "-W",
        "--keep-going",
    ]
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process,
    ):
        for line in process.stdout or ():
            plain = COLOUR.sub("", line)
            file.write(plain)
            if SHOWN.search(plain):
                print("  " + plain.rstrip().replace(f"{root}/", ""), flush=True)
    return process.returncode


def _forget_stale_results(out: Path, key: str) -> None:
    """Drop the results of pages that were executed with other packages, another library or other data."""
    note = out / "environment.txt"
    if note.is_file() and note.read_text("utf-8") == key:
        return
    for folder in (out / ".jupyter_cache", out / ".doctrees", out / "html"):
        shutil.rmtree(folder, ignore_errors=True)
    note.write_text(key, "utf-8")


def _withdraw(out: Path) -> None:
    """Remove the pages and what Sphinx remembers of them, so that the next build reports every fault again."""
    shutil.rmtree(out / "html", ignore_errors=True)
    shutil.rmtree(out / ".doctrees", ignore_errors=True)
