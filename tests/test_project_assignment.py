"""The final project: its rubric is public and the same everywhere, and its weights are graded safely."""

import ast
import os
import re
import zipfile
from pathlib import Path

import nbformat
import pytest
import torch

from coursekit.assignments import read_source, release
from coursekit.bank import copy_course, fill_in, reference_functions
from coursekit.grading import autograde, gradebook
from coursetools import ROOT, grade_id
from vaelab.data import digits

NAME = "project"
PAGE = (ROOT / "book" / "project.md").read_text("utf-8")
SOURCE = read_source(NAME, ROOT)
PROSE = "\n\n".join(cell.source for cell in SOURCE.cells if cell.cell_type == "markdown")


def rubric(text: str) -> dict[str, list[str]]:
    """The rows of each report section's table, by its heading."""
    found = {}
    for section in re.split(r"^##+ ", text, flags=re.M):
        if section.startswith("Report "):
            rows = re.search(r"^\| Points \| What they are for \|\n\|---\|---\|\n((?:\|.*\n?)+)", section, re.M)
            found[section.splitlines()[0]] = rows[1].split("\n")[: rows[1].count("\n") + 1]
    return {heading: [row for row in rows if row] for heading, rows in found.items()}


def bars(text: str) -> list[tuple[float, float, float]]:
    """The rows of the table of bars: on MNIST, on the digits, points."""
    (table,) = re.findall(r"ELBO on MNIST at most .*\n\|---\|---\|---\|\n((?:\|.*\n?)+)", text)
    return [tuple(float(n) for n in re.findall(r"\d+", row)) for row in table.splitlines()]


def cell(name: str) -> str:
    """The source of a cell."""
    return next(c.source for c in SOURCE.cells if grade_id(c) == name)


def test_the_rubric_is_the_same_on_the_page_and_in_the_notebook():
    assert rubric(PAGE) == rubric(PROSE)
    assert len(rubric(PAGE)) == 7


def test_the_rubric_adds_up():
    for heading, rows in rubric(PAGE).items():
        stated = int(re.search(r"\((\d+) points\)", heading)[1])
        assert sum(int(row.split("|")[1]) for row in rows) == stated, heading
    points = [c.metadata.nbgrader.get("points", 0) for c in SOURCE.cells if grade_id(c)]
    assert sum(points) == 100


def test_the_rubric_of_an_answer_stands_in_a_locked_cell_above_it():
    locked = ""
    for c in SOURCE.cells:
        metadata = c.metadata.get("nbgrader", {})
        if metadata.get("locked") and c.cell_type == "markdown" and "## " in c.source:
            locked = c.source
        if metadata.get("grade") and metadata.get("solution"):
            assert "| What they are for |" in locked, grade_id(c)
            assert not metadata.locked


def test_the_bars_are_the_same_on_the_page_in_the_notebook_and_in_the_test():
    code = ast.parse(cell("train-hidden"))
    tested = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.walk(code)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple) and "_bars" in ast.unparse(node.targets)
    }
    rows = bars(PAGE)
    assert rows == bars(PROSE)
    assert [(m, p) for m, _, p in rows] == [(float(a), float(b)) for a, b in tested["mnist_bars"]]
    assert [(d, p) for _, d, p in rows] == [(float(a), float(b)) for a, b in tested["digit_bars"]]


def submitted(folder: Path, case: str, good: dict) -> None:
    """Write the files of one case into a submission's folder."""
    path = folder / "model.pt"
    weights = dict(good)
    if case == "code":

        class Trap:
            def __reduce__(self):
                return Path.touch, (folder / "sprung",)

        torch.save({"data": "digits", "weights": Trap()}, path)
        return
    if case == "ignores-z":
        weights["decoder.0.weight"] = torch.zeros_like(weights["decoder.0.weight"])
    torch.save({"data": "digits", "weights": weights}, path)
    if case == "truncated":
        path.write_bytes(path.read_bytes()[:-5000])


def student_space() -> dict:
    """What the reference solution's two functions need, and they."""
    space = {"torch": torch, "nn": torch.nn, "functional": torch.nn.functional}
    functions = reference_functions(NAME, ROOT)
    for name in ("build_model", "train"):
        exec(functions[name], space)
    return space


# Each case with the points of the two machine-graded cells about the file (4 and 18), and words of their messages. The
# bank (solutions/project/wrong) has many more files; here the messages are looked at, and that no code ran.
CASES = {
    "good": (4, 18, "Together 18 of 18 points"),
    "code": (0, 0, "cannot be loaded with weights_only=True"),
    "truncated": (0, 0, "not a file that torch.save writes, or its end is missing"),
    "ignores-z": (4, 0, "decode gives almost the same picture for every z"),
}


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course in which one student for each case has handed in the reference notebook and some model.pt."""
    course = tmp_path_factory.mktemp("course")
    copy_course([NAME], ROOT, course)
    release([NAME], course)
    torch.manual_seed(0)
    space = student_space()
    good = space["build_model"]()
    space["train"](good, digits().train.x)
    released = course / "exercises" / NAME / f"{NAME}.ipynb"
    for case in CASES:
        notebook = fill_in(nbformat.read(released, as_version=4), reference_functions(NAME, ROOT))
        folder = course / "grading" / "submitted" / case / NAME
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / f"{NAME}.ipynb")
        submitted(folder, case, good.state_dict())
    autograde(NAME, course)
    return course


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_file_earns_what_it_should_through_the_real_autograder(course, case):
    with gradebook(course) as book:
        grades = {g.name: g for g in book.find_submission(NAME, case).notebooks[0].grades}
        scores = {name: grade.auto_score for name, grade in grades.items()}
        assert grades["show-samples"].needs_manual_grade, "figures are marked by a person"
    visible, hidden, words = CASES[case]
    assert (scores["model-visible"], scores["model-hidden"]) == (2, 6)
    assert (scores["train-visible"], scores["train-hidden"]) == (visible, hidden)
    folder = course / "grading" / "autograded" / case / NAME
    notebook = nbformat.read(folder / f"{NAME}.ipynb", as_version=4)
    outputs = [str(o) for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    assert words in "\n".join(outputs)
    assert not list(course.rglob("sprung")), "code in the file was run"
    # Grading trains nothing.
    assert not (folder / "results.json").exists()


def run_cell(name: str, space: dict) -> None:
    exec(cell(name), space)


@pytest.fixture
def opener(tmp_path, monkeypatch):
    """The locked function that opens model.pt, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    space = {"Path": Path, "os": os, "torch": torch, "zipfile": zipfile}
    run_cell("files", space)
    return space["open_model_file"]


def test_a_link_is_refused(opener, tmp_path):
    torch.save({"data": "digits", "weights": {}}, tmp_path / "elsewhere.pt")
    (tmp_path / "model.pt").symlink_to("elsewhere.pt")
    with pytest.raises(AssertionError, match="is a link"):
        opener()


def test_a_large_file_is_refused_before_it_is_opened(opener, tmp_path, monkeypatch):
    with (tmp_path / "model.pt").open("wb") as file:
        file.truncate(20_000_001)
    monkeypatch.setattr(zipfile, "is_zipfile", lambda _: pytest.fail("it was opened"))
    with pytest.raises(AssertionError, match="not opened"):
        opener()


def test_no_mnist_on_the_grading_machine_is_told_to_the_grader(tmp_path, monkeypatch):
    """The model says MNIST, the machine has the stand-in only: the message is for a person."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vaelab.data.mnist", lambda **_: digits())
    space = student_space() | {"Path": Path, "math": __import__("math"), "zipfile": zipfile}
    torch.save({"data": "MNIST", "weights": space["build_model"]().state_dict()}, "model.pt")
    with pytest.raises(AssertionError, match="FOR THE GRADER"):
        run_cell("train-hidden", space)
