"""What a student handed in: read with care, and mended where that is safe.

nbgrader trusts submissions: a copied cell or an odd version number stops it for the whole class, and a damaged file
is recorded as 0 points. Here a submission is looked at first. What can be put right without touching an answer is,
with a note for the instructor; what cannot raises ``UnusableError`` with words for the student.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Iterator
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell

from .late import read_time

LARGEST_NOTEBOOK = 32 * 2**20
"""Bytes of a notebook, its outputs included."""
LARGEST_SUBMISSION = 100 * 2**20
"""Bytes of all files together."""
MOST_FILES = 1000
DEEPEST = 20
MB = 1e6
TIMESTAMP = "timestamp.txt"

_NEW_CELL = {"code": new_code_cell, "markdown": new_markdown_cell, "raw": new_raw_cell}


class UnusableError(Exception):
    """The submission cannot be graded; the message says why and what to do, for the student."""


class Submission(NamedTuple):
    """The files of a submission, by their names in its folder, with what a person should know of them."""

    files: dict[str, bytes]
    notes: list[str]
    timestamp: datetime | None


class Cell(NamedTuple):
    """A cell that nbgrader knows, as the gradebook has it."""

    name: str
    cell_type: str
    source: str
    checksum: str | None
    grade: bool
    solution: bool
    locked: bool
    task: bool
    points: float

    @property
    def metadata(self) -> dict:
        """The cell's nbgrader metadata, complete."""
        kept = {"grade": self.grade, "solution": self.solution, "locked": self.locked, "task": self.task}
        kept |= {"points": self.points} if self.grade or self.task else {}
        kept |= {"checksum": self.checksum} if self.checksum else {}
        return {"schema_version": 3, "grade_id": self.name, "cell_type": self.cell_type, **kept}


def read_submission(folder: Path, notebooks: Iterable[str], ignore: Iterable[str] = ()) -> Submission:
    """Read a submission in which these notebooks are expected, such as ``ps2-kl``.

    Links and special files are never followed, files that match ``ignore`` do not count, other notebooks than those
    expected are left out. A single notebook under a wrong name, or in a folder of its own, is taken for the expected.

    Raises ``UnusableError`` if there is no notebook, or if it is too large, a link or unreadable.
    """
    wanted = [f"{name}.ipynb" for name in notebooks]
    if folder.is_symlink() or folder.parent.is_symlink() or not folder.is_dir():
        raise UnusableError(f"{folder.name} is a link or a file, not a folder: hand in the files themselves.")
    try:
        found, notes = _look(folder, list(ignore))
        _refuse(folder, wanted)
        chosen = _choose(wanted, [name for name in found if name.endswith(".ipynb")], found, notes)
        others = {name: name for name in found if not name.endswith(".ipynb") and name != TIMESTAMP}
        files = _read(folder, {**chosen, **others}, found, notes)
        timestamp = read_time(_text(folder / TIMESTAMP)) if TIMESTAMP in found else None
    except OSError as error:
        raise UnusableError(f"A file cannot be read: {error.strerror or error}. Hand in again.") from None
    return Submission(files, notes, timestamp)


def _look(folder: Path, ignore: list[str]) -> tuple[dict[str, int], list[str]]:
    """The sizes of all ordinary files by name, and notes on what is no ordinary file."""
    found: dict[str, int] = {}
    notes: list[str] = []
    for name, entry in _walk(folder, "", ignore):
        mode = entry.stat(follow_symlinks=False).st_mode
        if not _is_text(name):
            notes.append(f"left out {_shown(name)}: its name is not valid UTF-8")
        elif stat.S_ISLNK(mode):
            notes.append(f"left out {_shown(name)}: a link")
        elif not stat.S_ISREG(mode):
            notes.append(f"left out {_shown(name)}: not a file")
        else:
            found[name] = entry.stat(follow_symlinks=False).st_size
        if len(found) + len(notes) > MOST_FILES:
            raise UnusableError(f"There are more than {MOST_FILES} files: hand in the notebook and what it needs.")
    return found, notes


def _walk(folder: Path, prefix: str, ignore: list[str]) -> Iterator[tuple[str, os.DirEntry]]:
    if prefix.count("/") > DEEPEST:
        raise UnusableError(f"Folders lie more than {DEEPEST} deep in each other: hand in the notebook only.")
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if any(fnmatch(entry.name, pattern) for pattern in ignore):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", ignore)
            else:
                yield f"{prefix}{entry.name}", entry


def _refuse(folder: Path, wanted: list[str]) -> None:
    """Say what is wrong with something that has a notebook's name but is no file."""
    for name in wanted:
        if (folder / name).is_symlink():
            raise UnusableError(f"{name} is a link, not a file: hand in the notebook itself.")
        if (folder / name).is_dir():
            raise UnusableError(f"{name} is a folder, not a file: hand in the notebook itself.")


def _choose(wanted: list[str], notebooks: list[str], found: dict[str, int], notes: list[str]) -> dict[str, str]:
    """Which file stands for which expected notebook: names as they should be, to names as they are."""
    chosen = {name: name for name in wanted if name in notebooks}
    if len(wanted) == 1 and not chosen:
        same = [name for name in notebooks if name.rpartition("/")[2] == wanted[0]] or notebooks
        if len(same) > 1:
            raise UnusableError(f"There is no {wanted[0]}, but {len(same)} other notebooks: hand in one of that name.")
        chosen = dict(zip(wanted, same, strict=False))
        notes.extend(f"handed in as {_shown(name)}" for name in same)
    if not chosen:
        others = ", ".join(map(_shown, list(found)[:5])) or "nothing"
        raise UnusableError(f"There is no notebook: hand in {' and '.join(wanted)}. Found: {others}.")
    notes.extend(f"{name} is missing" for name in wanted if name not in chosen)
    return chosen


def _read(folder: Path, chosen: dict[str, str], sizes: dict[str, int], notes: list[str]) -> dict[str, bytes]:
    files, total = {}, 0
    for name, actual in chosen.items():
        size = sizes[actual]
        if name.endswith(".ipynb") and size > LARGEST_NOTEBOOK:
            raise UnusableError(
                f"{_shown(actual)} has {size / MB:.0f} MB, more than {LARGEST_NOTEBOOK / MB:.0f}: clear the outputs "
                "of all cells, save, and hand in again."
            )
        if total + size > LARGEST_SUBMISSION:
            notes.append(f"left out {_shown(actual)}: {size / MB:.0f} MB are too much")
            continue
        files[name] = (folder / actual).read_bytes()
        total += size
    return files


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(200).decode("utf-8", "replace")


def _is_text(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def _shown(name: str) -> str:
    """A file's name for a message: one line, of bearable length, nothing invisible."""
    name = "".join(c if c.isprintable() else "?" for c in name)
    return repr(name if len(name) <= 60 else f"{name[:57]}...")


def mend(data: bytes, cells: list[Cell]) -> tuple[NotebookNode, list[str]]:
    """A notebook that nbgrader can grade, and notes on what was put right.

    Only sources, attachments and the names of cells are taken from the file. ``cells`` are the assignment's, in
    order: each gets the metadata that the gradebook has for it, a cell that was copied or split keeps its name once,
    and a test that was deleted is put back.

    Raises ``UnusableError`` if this is no notebook, or none of this assignment.
    """
    known = {cell.name: cell for cell in cells}
    notes: list[str] = []
    mended = [_rebuild(number, raw, notes) for number, raw in enumerate(_cells_of(data), start=1)]
    mended = [pair for pair in mended if pair is not None]
    names = _names(mended, known, notes)
    notebook = new_notebook(cells=[cell for cell, _ in mended])
    for cell, name in zip(notebook.cells, names, strict=True):
        if name is not None:
            _adopt(cell, known[name])
    _check(cells, names)
    _put_back(notebook, cells, names, notes)
    for number, cell in enumerate(notebook.cells):
        cell.id = cell.metadata.get("nbgrader", {}).get("grade_id", f"cell-{number}")[:64]
    if len({cell.id for cell in notebook.cells}) < len(notebook.cells):
        for number, cell in enumerate(notebook.cells):
            cell.id = f"c{number}"
    return notebook, notes


def _cells_of(data: bytes) -> list:
    """The raw cells of a notebook file of any age."""
    if not data.strip(b"\0 \t\r\n"):
        raise UnusableError("The notebook is empty: save it again in Jupyter and hand in that file.")
    again = "Open it in Jupyter, save it, and hand in again."
    try:
        text = data.decode("utf-8-sig")
        content = json.loads(text)
        if isinstance(content, dict) and content.get("nbformat") in (1, 2, 3):
            content = nbformat.reads(text, as_version=4)
    except RecursionError:
        raise UnusableError(f"The notebook is nested too deeply to be one. {again}") from None
    except UnicodeDecodeError:
        raise UnusableError(f"The notebook is damaged: it is not text in UTF-8. {again}") from None
    except ValueError as error:
        raise UnusableError(f"The notebook is damaged or was cut off ({error}). {again}") from None
    except Exception as error:
        raise UnusableError(f"The notebook is of an old kind that cannot be read ({error}). {again}") from None
    if not isinstance(content, dict) or "nbformat" not in content:
        raise UnusableError(f"The file is not a notebook. {again}")
    if content["nbformat"] != 4:
        raise UnusableError(f"The notebook's format {str(content['nbformat'])[:20]} is unknown. {again}")
    if not isinstance(content.get("cells"), list):
        raise UnusableError(f"The notebook has no list of cells. {again}")
    return content["cells"]


def _rebuild(number: int, raw: object, notes: list[str]) -> tuple[NotebookNode, tuple[object, object]] | None:
    """A clean cell and the two names it may go by, its grade_id and its id; None if it is damaged."""
    kind = raw.get("cell_type") if isinstance(raw, dict) else None
    source = raw.get("source") if isinstance(raw, dict) else None
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(kind, str) or kind not in _NEW_CELL or not isinstance(source, str):
        notes.append(f"cell {number} is damaged and was left out")
        return None
    # A lone surrogate, possible in JSON, cannot be written to a file.
    cell = _NEW_CELL[kind](source.encode("utf-8", "replace").decode())
    if kind == "markdown" and (pictures := _attachments(raw.get("attachments"))):
        cell.attachments = pictures
    metadata = raw.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    return cell, (grade_id, raw.get("id"))


def _attachments(raw: object) -> dict[str, dict[str, str]]:
    if not isinstance(raw, dict):
        return {}
    return {
        name: {mime: data for mime, data in bundle.items() if isinstance(data, str)}
        for name, bundle in raw.items()
        if isinstance(bundle, dict)
    }


def _names(mended: list[tuple[NotebookNode, tuple]], known: dict[str, Cell], notes: list[str]) -> list[str | None]:
    """For each cell the name under which it counts, each name at most once."""
    names: list[str | None] = []
    for _, (grade_id, _) in mended:
        name = grade_id if isinstance(grade_id, str) else None
        if name is not None and name not in known:
            notes.append(f"the cell {_shown(name)} does not belong to this assignment")
            name = None
        elif name in names and name is not None:
            notes.append(f"the cell {_shown(name)} is there more than once: the first counts")
            name = None
        names.append(name)
    # The release gives each cell its grade_id as id too: what lost the one may still have the other.
    for position, (_, (_, identity)) in enumerate(mended):
        if names[position] is None and isinstance(identity, str) and identity in known and identity not in names:
            names[position] = identity
            notes.append(f"the name of the cell {_shown(identity)} was lost and has been restored")
    return names


def _adopt(cell: NotebookNode, known: Cell) -> None:
    """Let a cell be the assignment's cell of that name, whatever the file said of it."""
    cell.metadata = NotebookNode(nbgrader=NotebookNode(known.metadata))
    if cell.cell_type != known.cell_type:
        fresh = _NEW_CELL[known.cell_type](cell.source, metadata=cell.metadata)
        cell.clear()
        cell.update(fresh)


def _check(cells: list[Cell], names: list[str | None]) -> None:
    answers = [cell.name for cell in cells if cell.solution]
    if not any(name in names for name in (answers or [cell.name for cell in cells])):
        raise UnusableError(
            "This is not the notebook of this assignment, or its cells have lost their names: copy your answers into "
            "a fresh copy of the assignment and hand that in."
        )


def _put_back(notebook: NotebookNode, cells: list[Cell], names: list[str | None], notes: list[str]) -> None:
    """Insert the assignment's cells that were deleted, each after the one before it.

    An empty answer that is code is not: it would replace what the student may have written in another cell.
    """
    names, before = list(names), None
    for cell in cells:
        if cell.name not in names:
            if cell.solution:
                notes.append(f"the cell {_shown(cell.name)} was deleted")
            if cell.solution and cell.cell_type == "code":
                continue
            position = 0 if before is None else names.index(before) + 1
            restored = _NEW_CELL[cell.cell_type](cell.source)
            _adopt(restored, cell)
            notebook.cells.insert(position, restored)
            names.insert(position, cell.name)
        before = cell.name
