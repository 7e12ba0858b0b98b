"""From an assignment's source, a Markdown file, to the notebook that students get.

``solutions/NAME/NAME.md`` is what people write. ``release`` turns it into
``_build/source/NAME/NAME.ipynb``, alone in its folder, and nbgrader turns that into
``exercises/NAME/NAME.ipynb``. Both steps give the same bytes each time.
"""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode
from nbgrader.converters import GenerateAssignment

from .course import convert, list_assignments, source_path
from .errors import CourseError
from .project import ROOT
from .regions import split_regions

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LONGEST_LINE = 79
SHORTEST_SECRET = 12

_EMPTY_TALK = re.compile(r"(import|from) |\w+=[\w.]+,?$|.*[(\[{]$")
TASK = re.compile(r"^## .*\((\d+(?:\.\d+)?) points?\)\s*$")
_TOTAL = re.compile(r"\*\*Points\*\* (\d+), of which (\d+) are graded by machine")


def release(names: list[str] | None = None, root: Path = ROOT) -> list[Path]:
    """Make the student notebooks of the named assignments, or of all; return their paths.

    Raises ``CourseError`` if a name is unknown, if ``check_source`` finds a fault, or if nbgrader
    refuses, for instance because the gradebook holds submissions with other cells.
    """
    root = Path(root).resolve()
    return [_release(name, root) for name in (names or list_assignments(root))]


def _release(name: str, root: Path) -> Path:
    notebook = read_source(name, root)
    problems = check_source(notebook)
    if problems:
        faults = "\n  ".join(problems)
        raise CourseError(f"solutions/{name}/{name}.md cannot be released:\n  {faults}")
    folder = root / "_build" / "source" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / f"{name}.ipynb")
    released = root / "exercises" / name
    before = root / "_build" / "released" / name
    if released.is_dir():
        shutil.rmtree(before, ignore_errors=True)
        shutil.copytree(released, before)
    try:
        convert(GenerateAssignment, name, root)
    except CourseError:
        # nbgrader takes the old notebook away before it refuses.
        if before.is_dir():
            shutil.copytree(before, released, dirs_exist_ok=True)
        raise
    return released / f"{name}.ipynb"


def read_source(name: str, root: Path = ROOT) -> NotebookNode:
    """The instructor's notebook, with stable cell ids and nothing of jupytext left in it.

    Raises ``CourseError`` if there is no such assignment or its header cannot be read.
    """
    path = source_path(name, Path(root))
    try:
        notebook = jupytext.read(path, fmt="md:myst")
    except Exception as error:
        raise CourseError(f"{path} cannot be read as a MyST notebook: {error}") from error
    notebook.metadata = NotebookNode(kernelspec=KERNEL, language_info={"name": "python"})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for position, cell in enumerate(notebook.cells):
        cell.id = _metadata(cell).get("grade_id") or f"cell-{position:02d}"
    return notebook


def check_source(notebook: NotebookNode) -> list[str]:
    """Faults of an instructor's notebook, each a sentence; none if it may be released.

    Looks at the names of graded cells, at secrets in cells that are not graded, at points stated
    in the text against points in the metadata, and at the length of lines of code.
    """
    return [*_faults_of_names(notebook), *_faults_of_points(notebook), *_faults_of_code(notebook)]


def _faults_of_names(notebook: NotebookNode) -> Iterator[str]:
    names = Counter()
    for cell in notebook.cells:
        metadata = _metadata(cell)
        if metadata and not metadata.get("grade_id"):
            yield f"The cell {_first_line(cell)!r} has nbgrader metadata but no grade_id: add one."
        if metadata.get("grade") and "points" not in metadata:
            yield f"The graded cell {metadata.get('grade_id')!r} has no points: add them."
        if not metadata and any(kind for _, kind in split_regions(cell.source)):
            yield (
                f"The cell {_first_line(cell)!r} has a secret region but no nbgrader metadata, so "
                "that nbgrader cannot restore it: add some."
            )
        names.update([metadata["grade_id"]] if metadata.get("grade_id") else [])
    for name, count in names.items():
        if count > 1:
            yield f"The grade_id {name!r} is used {count} times: every cell needs its own."


def _faults_of_points(notebook: NotebookNode) -> Iterator[str]:
    task, stated = None, {}
    found, by_machine = Counter(), 0.0
    totals = None
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            totals = totals or _TOTAL.search(cell.source)
            for line in cell.source.splitlines():
                if line.startswith("## "):
                    heading = TASK.match(line)
                    task = line if heading else None
                    stated.update({line: float(heading[1])} if heading else {})
        points = float(_metadata(cell).get("points", 0))
        if points and task is None:
            yield (
                f"The cell {_metadata(cell).get('grade_id')!r} is worth points but stands under "
                'no heading such as "## Task 1: its name (4 points)".'
            )
        found[task] += points
        by_machine += points if cell.cell_type == "code" and not _metadata(cell).get("solution") else 0
    for heading, points in stated.items():
        if found[heading] != points:
            yield f"{heading!r} states {points:g} points, but its cells give {found[heading]:g}."
    if totals is None:
        yield 'The text does not say "**Points** N, of which M are graded by machine".'
    elif (float(totals[1]), float(totals[2])) != (found.total(), by_machine):
        yield (f"The text says {totals[0]!r}, but the cells give {found.total():g} and {by_machine:g}.")


def _faults_of_code(notebook: NotebookNode) -> Iterator[str]:
    for cell in notebook.cells:
        if cell.cell_type == "code":
            for line in cell.source.splitlines():
                if len(line) > LONGEST_LINE:
                    yield f"A line of code has {len(line)} characters, over {LONGEST_LINE}: {line}"


def secret_lines(root: Path = ROOT) -> set[str]:
    """Every line that only instructors may read: of solutions, hidden tests and mark schemes.

    Lines are stripped. Left out are lines that also stand where students may read them, and lines
    that tell nothing: short ones, imports, ``name=value,`` and what ends in an opening bracket.
    """
    root = Path(root)
    secret, public = set(), set()
    for name in list_assignments(root):
        for cell in read_source(name, root).cells:
            for line, is_secret in _lines(cell):
                (secret if is_secret else public).add(line.strip())
    return {line for line in secret - public if tells(line)}


def _lines(cell: NotebookNode) -> Iterator[tuple[str, bool]]:
    """The lines of a cell, each with whether nbgrader takes it out of the student's notebook."""
    lines = list(split_regions(cell.source))
    whole = _metadata(cell).get("solution") and all(kind != "SOLUTION" for _, kind in lines)
    for line, kind in lines:
        yield line, bool(whole or kind)


def tells(line: str) -> bool:
    """Whether a line says anything of an answer: not if it is short, an import or an opening bracket."""
    return len(line) >= SHORTEST_SECRET and not _EMPTY_TALK.match(line)


def _metadata(cell: NotebookNode) -> dict:
    return cell.metadata.get("nbgrader", {})


def _first_line(cell: NotebookNode) -> str:
    return cell.source.strip().partition("\n")[0][:60]
