"""A Chromium that looks at the book as a reader does: found on this machine, or installed by its name."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from playwright.sync_api import Browser, sync_playwright

from .errors import CourseError
from .project import ROOT

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PLACES = (
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
)
PACKAGES = ("chromium", "fonts-dejavu-core")
"""The Debian packages. Without a font every letter is an empty box."""
FLAGS = (
    "--headless",
    "--no-sandbox",  # it is refused to root, and the pages are our own
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",  # containers have 64 MB there, on which pages crash
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
APT = ("apt-get", "--quiet", "--quiet", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=30")
AGAIN = 600.0
"""Seconds after which an installation that failed is tried again."""


def find() -> Path | None:
    """The path of a Chromium of this machine, playwright's own included; None when there is none."""
    named = os.environ.get("COURSEKIT_BROWSER")
    if named:
        return Path(named) if Path(named).is_file() else None
    on_path = (shutil.which(command) for command in COMMANDS)
    known = [Path(path) for path in on_path if path] + [path for path in PLACES if path.is_file()]
    if known:
        return known[0]
    with sync_playwright() as playwright:
        path = Path(playwright.chromium.executable_path)
    return path if path.is_file() else None


def ensure(root: Path = ROOT) -> Path:
    """The path of a Chromium, which is installed first where none is: on Debian and its kin, by root or with sudo.

    Processes that ask at the same time wait for the one that installs.

    Raises:
        CourseError: If there is none and it cannot be installed; the message says why.
    """
    found = find()
    if found:
        return found
    out = root / "_build"
    out.mkdir(exist_ok=True)
    note = out / "no-browser.txt"
    with FileLock(out / "browser.lock"):
        found = find()
        if found:
            return found
        if note.is_file() and time.time() - note.stat().st_mtime < AGAIN:
            raise CourseError(note.read_text("utf-8"))
        try:
            _install(out / "browser.log")
            found = find()
            if not found:
                raise CourseError("no browser: apt-get installed chromium, and it is not to be found")
        except CourseError as error:
            note.write_text(str(error), "utf-8")
            raise
        note.unlink(missing_ok=True)
        return found


@contextmanager
def launch(root: Path = ROOT) -> Iterator[Browser]:
    """A headless Chromium under playwright, closed at the end.

    Raises:
        CourseError: If there is no browser, none can be installed, or it does not start.
    """
    path = ensure(root)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        except Exception as error:
            raise CourseError(f"the browser {path} does not start: {str(error)[:500]}") from error
        try:
            yield browser
        finally:
            browser.close()


def _rights() -> tuple[str, ...] | None:
    """What to write before a command that needs root: nothing, or sudo; None where neither helps."""
    if os.geteuid() == 0:
        return ()
    sudo = ("sudo", "--non-interactive")
    if shutil.which("sudo") and subprocess.run([*sudo, "true"], capture_output=True).returncode == 0:
        return sudo
    return None


def _install(log: Path) -> None:
    """Install Chromium from the distribution's packages, by name; what apt-get says goes to ``log``."""
    if not shutil.which("apt-get"):
        raise CourseError("no browser: install Chromium (this system has no apt-get, so it was not tried)")
    sudo = _rights()
    if sudo is None:
        raise CourseError("no browser: install Chromium as root (`apt-get install chromium`); this user may not")
    print(f"browser: installing {' and '.join(PACKAGES)} with apt-get (log: {log.name})", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with log.open("wb") as file:
        for verb in (("update",), ("install", "--yes", "--no-install-recommends", *PACKAGES)):
            command = [*sudo, *APT, *verb]
            code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=environment).returncode
            if verb[0] == "install" and code != 0:
                raise CourseError(f"no browser: `apt-get install {' '.join(PACKAGES)}` failed; {log} has the reason")
