"""The plain files of a working folder, which the tests may see."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MOST_FILES = 200
LARGEST_FILES = 100 * 2**20  # bytes of all files
PLAIN_PART = re.compile(r"\w[\w .()+=@-]{0,99}")


def is_plain_name(name: Any) -> bool:
    """Whether a name is that of a file below the working folder, of at most five parts, none of them hidden."""
    parts = str(name).split("/")
    return isinstance(name, str) and len(parts) <= 5 and all(PLAIN_PART.fullmatch(part) for part in parts)


def plain_files(folder: Path) -> Iterator[tuple[str, list[int]]]:
    """Name, and size and time of change, of the files below a folder; links and hidden folders are not followed."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            name = (folder / entry.name).as_posix()
            if not is_plain_name(name):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from plain_files(folder / entry.name)
            elif entry.is_file(follow_symlinks=False) and not name.endswith((".ipynb", ".py")):
                state = entry.stat(follow_symlinks=False)
                yield name, [state.st_size, state.st_mtime_ns]
