"""What several tests of the assignments share: notebooks filled in, cells found, pages as text."""

from html.parser import HTMLParser
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from coursekit.assignments import release
from coursekit.bank import Answer, fill_in, read_bank, reference_functions

ROOT = Path(__file__).resolve().parents[1]


HEADER = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3 (ipykernel)
  language: python
  name: python3
---
"""


def small_course(root: Path, name: str, source: str) -> Path:
    """A course of one assignment, with this course's settings, released."""
    path = root / "solutions" / name / f"{name}.md"
    path.parent.mkdir(parents=True)
    path.write_text(source, encoding="utf-8")
    (root / "nbgrader_config.py").write_bytes((ROOT / "nbgrader_config.py").read_bytes())
    release([name], root)
    return root


def grade_id(cell: NotebookNode) -> str | None:
    """The name of a cell that nbgrader knows, or None."""
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def answers(name: str, *files: str) -> dict[str, str]:
    """The reference solution's functions, replaced by those of files such as ``right/loops``."""
    bank = {f"{a.kind}/{a.path.stem}": a for a in read_bank(name, ROOT)}
    chosen: list[Answer] = [bank[file] for file in files]
    functions = reference_functions(name, ROOT)
    for answer in chosen:
        functions |= answer.functions
    return functions


def hand_in(
    course: Path,
    name: str,
    student: str,
    functions: dict[str, str],
    words: dict[str, str] | None = None,
) -> Path:
    """Hand in a student's notebook: the released one with these functions and written answers."""
    released = course / "exercises" / name / f"{name}.ipynb"
    notebook = fill_in(nbformat.read(released, as_version=4), functions)
    for cell in notebook.cells:
        cell.source = (words or {}).get(grade_id(cell), cell.source)
    path = course / "grading" / "submitted" / student / name / f"{name}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(notebook, path)
    return path


def visible_text(html: str) -> str:
    """All the text of a page, scripts and styles included, tags left out."""
    parser = _Text()
    parser.feed(html)
    return "".join(parser.pieces)


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)
