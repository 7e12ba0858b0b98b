"""Where things lie in the project, and what a result depends on."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def pages(root: Path = ROOT) -> list[Path]:
    """The book's pages, in the order of ``_toc.yml``."""
    toc = yaml.safe_load((root / "_toc.yml").read_text("utf-8"))
    names = [toc["root"]]
    for part in toc["parts"]:
        for chapter in part["chapters"]:
            names += [chapter["file"], *(s["file"] for s in chapter.get("sections", []))]
    return [root / f"{name}.md" for name in names]


def solutions(root: Path = ROOT) -> list[Path]:
    """The instructor sources, ``solutions/NAME/NAME.md``."""
    return sorted(p for p in (root / "solutions").glob("*/*.md") if p.stem == p.parent.name)


def digest(files: Iterable[Path], *more: str, root: Path = ROOT) -> str:
    """A digest of the files' contents and names, and of further strings; wherever the project's folder lies."""
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(os.path.relpath(path, root).encode() + b"\0")
        total.update(path.read_bytes() if path.is_file() else b"absent")
    for text in more:
        total.update(text.encode() + b"\0")
    return total.hexdigest()


def environment(root: Path = ROOT) -> str:
    """A digest of all that a page's result depends on beside its own code.

    The lock, the library that pages import, the Python version and the data: a cache that is keyed on code alone goes
    green on results that nobody could repeat.
    """
    library = sorted((root / "utils" / "vaelab").glob("*.py"))
    return digest([root / "requirements.txt", *library], platform.python_version(), data(root), root=root)


def data(root: Path = ROOT) -> str:
    """Which data files the pages will find: their names, sizes and times of change, wherever they lie."""
    named = os.environ.get("VAELAB_DATA")
    folder = (root / named if named else root / "data") / "MNIST" / "raw"
    if not folder.is_dir():
        return "none"
    files = sorted(folder.glob("*-ubyte"))
    return " ".join(f"{p.name}:{p.stat().st_size}:{p.stat().st_mtime_ns}" for p in files)


def tracked(root: Path = ROOT) -> list[Path] | None:
    """The files that make up the project: those git tracks or would track; None outside a git checkout."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return [root / name for name in listing.decode().split("\0") if name]
