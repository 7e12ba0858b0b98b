"""From solutions/ to exercises/: what a student gets, and what must not be in it."""

import re

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from coursekit.assignments import check_source, read_source, release, secret_lines
from coursekit.bank import copy_course
from coursekit.course import list_assignments
from coursekit.errors import CourseError
from coursetools import ROOT, grade_id

NAMES = list_assignments(ROOT)


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course elsewhere on the disk, with every assignment of this one released in it."""
    course = tmp_path_factory.mktemp("course")
    copy_course(NAMES, ROOT, course)
    release(None, course)
    return course


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def released(course, name):
    return nbformat.read(course / "exercises" / name / f"{name}.ipynb", as_version=4)


def test_there_are_assignments():
    assert "ps2-kl" in NAMES


def test_release_is_reproducible_to_the_byte(course, name):
    path = course / "exercises" / name / f"{name}.ipynb"
    before = path.read_bytes()
    assert release([name], course) == [path]
    assert path.read_bytes() == before


def test_exercises_are_in_step_with_solutions(course, name):
    file = f"exercises/{name}/{name}.ipynb"
    assert (ROOT / file).read_bytes() == (course / file).read_bytes(), (
        f"{file} is not what its source makes: run `make release`"
    )


def test_exercises_has_nothing_that_no_source_makes():
    made = {f"{name}/{name}.ipynb" for name in NAMES}
    folder = ROOT / "exercises"
    found = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".ipynb_checkpoints" not in path.parts
    }
    assert found == made


def test_source_folder_holds_nothing_but_the_notebook(course, name):
    folder = course / "_build" / "source" / name
    assert [path.name for path in folder.iterdir()] == [f"{name}.ipynb"]


def test_nothing_secret_is_released(course, name):
    secrets = secret_lines(ROOT)
    assert len(secrets) > 100
    text = (course / "exercises" / name / f"{name}.ipynb").read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    lines = {line.strip() for cell in notebook.cells for line in cell.source.splitlines()}
    assert not secrets & lines
    for marker in ("BEGIN SOLUTION", "HIDDEN TESTS\n", "MARK SCHEME", "jupytext"):
        assert marker not in text


def test_every_answer_is_a_stub(released):
    for cell in released.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            stub = {
                "code": r"# YOUR CODE HERE\n +raise NotImplementedError\(\)$",
                "markdown": r"YOUR ANSWER HERE$",
            }[cell.cell_type]
            assert re.search(stub, cell.source), grade_id(cell)
        assert not cell.get("outputs")


def test_cell_ids_come_from_grade_ids(released):
    ids = [cell.id for cell in released.cells]
    assert len(set(ids)) == len(ids)
    for cell in released.cells:
        if grade_id(cell):
            assert cell.id == grade_id(cell)
    assert released.metadata.kernelspec.name == "python3"


def test_every_machine_graded_task_has_instant_and_hidden_tests(name):
    cells = read_source(name, ROOT).cells
    graded = [c for c in cells if c.metadata.get("nbgrader", {}).get("grade")]
    tests = {grade_id(c): c for c in graded if c.cell_type == "code" and not c.metadata.nbgrader.solution}
    for cell in cells:
        metadata = cell.metadata.get("nbgrader", {})
        # Code that has points of its own is read by a person.
        if cell.cell_type == "code" and metadata.get("solution") and not metadata.get("grade"):
            visible, hidden = (tests.pop(f"{grade_id(cell)}-{k}") for k in ("visible", "hidden"))
            assert "HIDDEN" not in visible.source
            assert visible.metadata.nbgrader.points < hidden.metadata.nbgrader.points
    assert not tests, "tests that belong to no task"


def test_a_blank_notebook_runs_to_its_end(released, tmp_path):
    """Only an unsolved task may raise, and only that it is unsolved."""
    notebook = nbformat.from_dict(released)
    client = NotebookClient(notebook, timeout=60, allow_errors=True, shutdown_kernel="immediate")
    client.execute(cwd=str(tmp_path))
    errors = {
        grade_id(cell): output.ename
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    }
    assert set(errors.values()) == {"NotImplementedError"}
    assert all(cell.endswith("-visible") for cell in errors)


def test_unknown_assignment_is_named_with_the_known_ones(course):
    with pytest.raises(CourseError, match=r"no assignment 'ps9-nothing'.*Known: .*ps2-kl"):
        release(["ps9-nothing"], course)


def test_a_folder_without_settings_is_no_course(tmp_path):
    source = tmp_path / "solutions" / "ps2-kl" / "ps2-kl.md"
    source.parent.mkdir(parents=True)
    source.write_bytes((ROOT / "solutions/ps2-kl/ps2-kl.md").read_bytes())
    with pytest.raises(CourseError, match=r"no nbgrader_config\.py"):
        release(None, tmp_path)


def test_a_faulty_source_is_not_released_and_leaves_the_old_release(course, tmp_path):
    copy_course(["ps2-kl"], ROOT, tmp_path)
    (path,) = release(["ps2-kl"], tmp_path)
    before = path.read_bytes()
    source = tmp_path / "solutions" / "ps2-kl" / "ps2-kl.md"
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace("(4 points)", "(7 points)", 1), encoding="utf-8")
    with pytest.raises(CourseError, match="states 7 points, but its cells give 4"):
        release(["ps2-kl"], tmp_path)
    assert path.read_bytes() == before


def test_points_and_names_of_every_source_are_right(name):
    assert check_source(read_source(name, ROOT)) == []


def test_faults_are_told_in_words():
    def cell(source, **metadata):
        flags = {"grade": False, "solution": False, "locked": True, **metadata}
        return new_code_cell(source, metadata={"nbgrader": flags})

    notebook = new_notebook(
        cells=[
            new_markdown_cell("**Points** 9, of which 9 are graded by machine."),
            new_markdown_cell("## Task 1: add (3 points)"),
            cell("a = 1", grade_id="twice", grade=True, points=1),
            cell("b = 1", grade_id="twice", grade=True, points=1),
            cell("c = 1"),
            cell("d = 1", grade_id="unpriced", grade=True),
            new_code_cell("### BEGIN SOLUTION\ne = 1\n### END SOLUTION"),
            new_code_cell("f = " + "1 + " * 30 + "1"),
            new_markdown_cell("## Afterwards"),
            cell("g = 1", grade_id="stray", grade=True, points=2),
        ]
    )
    faults = "\n".join(check_source(notebook))
    for words in (
        "'twice' is used 2 times",
        "'c = 1' has nbgrader metadata but no grade_id",
        "'unpriced' has no points",
        "has a secret region but no nbgrader metadata",
        "states 3 points, but its cells give 2",
        "'stray' is worth points but stands under no heading",
        "but the cells give 4 and 4",
        "A line of code has 125 characters",
    ):
        assert words in faults
