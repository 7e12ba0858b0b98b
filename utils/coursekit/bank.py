"""The bank: wrong answers that the grader must catch, right ones that it must accept.

Each file in ``solutions/NAME/wrong/`` and ``solutions/NAME/right/`` is a Python module that defines
one or more of the functions that an assignment grades; the reference solution supplies the others.
A wrong answer's docstring ends with a line such as ``Loses: task-visible, task-hidden``: exactly
these graded cells, and no others, must fail. A right answer's names none, and must lose nothing.

    python -m coursekit.bank [--apart] [NAME ...]

puts the files into student notebooks, hands those to nbgrader's own autograder, and prints which
wrong answers were caught and which right ones accepted.
"""

import argparse
import ast
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from .assignments import read_source, release
from .course import list_assignments
from .errors import CourseError
from .grading import autograde, gradebook
from .project import ROOT
from .regions import split_regions

KINDS = ("wrong", "right")
# Some wrong answers are slow on purpose, and the machine may be busy.
PATIENCE = """
c.Execute.timeout = 300
c.ExecuteApart.total_timeout = 1200
"""


class Answer(NamedTuple):
    """One file of the bank."""

    assignment: str
    kind: str
    path: Path
    functions: dict[str, str]
    loses: frozenset[str]


class Verdict(NamedTuple):
    """What the autograder took from an answer, beside what it should have taken."""

    answer: Answer
    lost: frozenset[str]

    @property
    def expected(self) -> bool:
        """Whether exactly the right points were lost."""
        return self.lost == self.answer.loses

    def __str__(self) -> str:
        mark = "ok " if self.expected else "BAD"
        file = f"{self.answer.kind}/{self.answer.path.stem}"
        line = f"{mark} {file:<40} lost: {', '.join(sorted(self.lost)) or 'nothing'}"
        wanted = ", ".join(sorted(self.answer.loses)) or "nothing"
        return line if self.expected else f"{line}\n    should lose: {wanted}"


def read_bank(name: str, root: Path) -> list[Answer]:
    """Every answer in the bank of an assignment. Raises ``CourseError`` for an unusable file."""
    reference = set(reference_functions(name, root))
    folder = Path(root) / "solutions" / name
    files = [(kind, path) for kind in KINDS for path in sorted((folder / kind).glob("*.py"))]
    return [_read_answer(name, kind, path, reference) for kind, path in files]


def _read_answer(name: str, kind: str, path: Path, reference: set[str]) -> Answer:
    text = path.read_text(encoding="utf-8")
    module = ast.parse(text, filename=str(path))
    last = (ast.get_docstring(module) or "").strip().rpartition("\n")[2]
    loses = frozenset()
    if last.startswith("Loses:"):
        loses = frozenset(word.strip(" .") for word in last.removeprefix("Loses:").split(","))
    if (kind == "wrong") != bool(loses):
        raise CourseError(
            f"{path}: the docstring of a wrong answer ends with a line 'Loses: ...' that names the "
            "graded cells it must fail; that of a right answer has none."
        )
    functions = _split(text, module, reference)
    if not functions:
        raise CourseError(f"{path} defines none of {', '.join(sorted(reference))}.")
    return Answer(name, kind, path, functions, loses)


def _split(text: str, module: ast.Module, reference: set[str]) -> dict[str, str]:
    """A module's graded functions by name, each with everything in it that is not graded."""
    lines = text.splitlines()
    graded, shared = {}, []
    for node in module.body:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        source = "\n".join(lines[first - 1 : node.end_lineno])
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in reference:
            graded[node.name] = source
        elif not (node is module.body[0] and ast.get_docstring(module)):
            shared.append(source)
    return {name: "\n\n\n".join([*shared, source]) for name, source in graded.items()}


def reference_functions(name: str, root: Path) -> dict[str, str]:
    """The reference solution's functions by name, each its solution cell without the markers."""
    functions = {}
    for cell in read_source(name, root).cells:
        if _is_solution_code(cell):
            source = "\n".join(line for line, _ in split_regions(cell.source))
            functions.update(dict.fromkeys(_defined(cell.source), source))
    return functions


def fill_in(released: NotebookNode, answers: dict[str, str]) -> NotebookNode:
    """Put answers into a student notebook, in place: each into the cell whose stub has its name."""
    for cell in released.cells:
        if _is_solution_code(cell):
            for function in _defined(cell.source):
                cell.source = answers.get(function, cell.source)
    return released


def _is_solution_code(cell: NotebookNode) -> bool:
    return cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("solution", False)


def _defined(source: str) -> list[str]:
    """Names of the functions and classes that a cell defines at its top level."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [node.name for node in ast.parse(source).body if isinstance(node, kinds)]


def run_bank(name: str, root: Path, course: Path, apart: bool = False) -> list[Verdict]:
    """Grade every answer in the bank with nbgrader, in the empty folder ``course``.

    Answers to different tasks are handed in together, which takes a third of the time; what nobody
    was to lose is then charged to each of them. With ``apart``, each has a student of its own.
    """
    root, course = Path(root).resolve(), Path(course).resolve()
    copy_course([name], root, course)
    with (course / "nbgrader_config.py").open("a", encoding="utf-8") as settings:
        settings.write(PATIENCE)
    (released,) = release([name], course)
    reference = reference_functions(name, root)
    answers = read_bank(name, root)
    groups = [[answer] for answer in answers] if apart else _together(answers)
    for number, group in enumerate(groups):
        functions = reference | {f: code for a in group for f, code in a.functions.items()}
        notebook = fill_in(nbformat.read(released, as_version=4), functions)
        folder = course / "grading" / "submitted" / f"student-{number:03d}" / name
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / f"{name}.ipynb")
    autograde(name, course)
    verdicts = []
    for number, group in enumerate(groups):
        lost = lost_cells(name, f"student-{number:03d}", course)
        surprising = lost.difference(*(answer.loses for answer in group))
        verdicts += [Verdict(a, lost & a.loses | surprising) for a in group]
    return sorted(verdicts, key=lambda verdict: answers.index(verdict.answer))


def _together(answers: list[Answer]) -> list[list[Answer]]:
    """Answers in groups of one kind, no two of which define the same function."""
    groups: list[list[Answer]] = []
    for answer in answers:
        for group in groups:
            taken = {function for other in group for function in other.functions}
            if group[0].kind == answer.kind and taken.isdisjoint(answer.functions):
                group.append(answer)
                break
        else:
            groups.append([answer])
    return groups


def copy_course(names: Iterable[str], root: Path, course: Path) -> None:
    """Make a course of its own, with the same settings, out of some assignments of another."""
    settings = "nbgrader_config.py"
    (course / settings).write_bytes((root / settings).read_bytes())
    for name in names:
        source = Path("solutions", name, f"{name}.md")
        (course / source).parent.mkdir(parents=True)
        (course / source).write_bytes((root / source).read_bytes())


def lost_cells(name: str, student: str, root: Path) -> frozenset[str]:
    """Names of the machine-graded cells in which a student lost points."""
    with gradebook(root) as book:
        (notebook,) = book.find_submission(name, student).notebooks
        by_hand = {cell.name for cell in notebook.notebook.solution_cells}
        return frozenset(
            grade.name
            for grade in notebook.grades
            if grade.cell.cell_type == "code" and grade.name not in by_hand and grade.auto_score != grade.max_score
        )


def table(verdicts: Iterable[Verdict]) -> str:
    """The mutation table: for each assignment, wrong answers caught and right ones accepted."""
    verdicts = list(verdicts)
    rows = [f"{'assignment':<24} {'wrong caught':>14} {'right accepted':>16}"]
    for name in dict.fromkeys(v.answer.assignment for v in verdicts):
        counts = []
        for kind in KINDS:
            mine = [v for v in verdicts if (v.answer.assignment, v.answer.kind) == (name, kind)]
            counts.append(f"{sum(v.expected for v in mine)} of {len(mine)}")
        rows.append(f"{name:<24} {counts[0]:>14} {counts[1]:>16}")
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the banks of some assignments, or of all; print every verdict and the table."""
    parser = argparse.ArgumentParser(prog="python -m coursekit.bank")
    parser.add_argument("name", nargs="*", help="assignments, such as ps2-kl (default: all)")
    parser.add_argument("--apart", action="store_true", help="hand each answer in by itself")
    options = parser.parse_args(arguments)
    verdicts = []
    try:
        for name in options.name or list_assignments(ROOT):
            with tempfile.TemporaryDirectory() as course:
                verdicts += run_bank(name, ROOT, Path(course), options.apart)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(map(str, verdicts)), table(verdicts), sep="\n\n")
    return 0 if all(verdict.expected for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
