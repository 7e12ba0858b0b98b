"""The instructor's whole path with the real nbgrader, from release to export."""

import csv
import io

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbgrader.validator import Validator

from coursekit.assignments import release, secret_lines
from coursekit.bank import copy_course, fill_in, lost_cells
from coursekit.course import load_config
from coursekit.errors import CourseError
from coursekit.export import export
from coursekit.feedback import KeepSecrets
from coursekit.grading import autograde, generate_feedback, gradebook
from coursekit.markdown import render_markdown
from coursetools import ROOT, answers, grade_id, hand_in, visible_text

NAME = "ps2-kl"
MARKUP = "<script>alert('marked')</script>"
WORDS = {
    "derive-closed-form": f"From the definition, an average under $q$, if $a < b$. {MARKUP}",
    "forward-or-reverse": "The reverse one, which seeks a mode. ![lost](attachment:lost.png)",
}
# What a person gives for the written answers.
MANUAL = {
    "all-right": {"derive-closed-form": 5, "forward-or-reverse": 4},
    "half-right": {"derive-closed-form": 1.5},
}
HALF_LOSES = {
    "kl-standard-normal-visible",
    "kl-standard-normal-hidden",
    "kl-monte-carlo-hidden",
    "effective-beta-visible",
    "effective-beta-hidden",
}
SCORES = {"all-right": 25.0, "half-right": 5 + 1.5, "blank": 0.0}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course in which three students have handed in: all right, half right, nothing."""
    course = tmp_path_factory.mktemp("course")
    copy_course([NAME], ROOT, course)
    release([NAME], course)
    right = answers(NAME, "right/torch_distributions", "right/loops", "right/box_muller")
    hand_in(course, NAME, "all-right", right, WORDS)
    half = answers(NAME, "right/einsum", "wrong/half_lost", "wrong/one_noise_for_the_batch")
    del half["effective_beta"]
    half["kl_standard_normal"] += "\n\n\n__import__('IPython').display.HTML('<b onclick=x>!</b>')"
    hand_in(course, NAME, "half-right", half, {"derive-closed-form": "An average under $q$."})
    hand_in(course, NAME, "blank", {})
    return course


@pytest.fixture(scope="module")
def grades(course):
    """The grades when the tests have run and before a person has read anything."""
    return {grade.student: grade for grade in autograde(NAME, course)}


@pytest.fixture(scope="module")
def marked(course, grades):
    """The course when a person has marked the written answers, as formgrader would save it."""
    with gradebook(course) as book:
        for student, points in MANUAL.items():
            for cell, score in points.items():
                grade = book.find_grade(cell, NAME, NAME, student)
                grade.manual_score = score
                grade.needs_manual_grade = False
                book.find_comment(cell, NAME, NAME, student).manual_comment = f"Well said. {MARKUP}"
        book.db.commit()
    return course


@pytest.fixture(scope="module")
def pages(marked):
    """The feedback pages by student."""
    paths = generate_feedback(NAME, marked)
    return {path.parts[-3]: path.read_text(encoding="utf-8") for path in paths}


def submitted(course, student) -> str:
    path = course / "grading" / "submitted" / student / NAME / f"{NAME}.ipynb"
    return "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)


def validate(course, path) -> str:
    report = io.StringIO()
    validator = Validator(config=load_config(course))
    validator.stream = report
    validator.validate_and_print(str(path))
    return report.getvalue()


def test_a_student_validates_a_solved_notebook(course, tmp_path):
    released = nbformat.read(course / "exercises" / NAME / f"{NAME}.ipynb", as_version=4)
    path = tmp_path / f"{NAME}.ipynb"
    solved = fill_in(released, answers(NAME, "right/textbook"))
    for cell in solved.cells:
        cell.source = WORDS.get(grade_id(cell), cell.source)
    nbformat.write(solved, path)
    assert "Success! Your notebook passes all the tests." in validate(course, path)


def test_a_student_validates_a_blank_notebook(course):
    report = validate(course, course / "exercises" / NAME / f"{NAME}.ipynb")
    assert "VALIDATION FAILED ON 6 CELL(S)" in report


def test_machine_grades_are_exactly_the_expected(course, grades):
    assert {s: (g.score, g.max_score, g.needs_manual_grade) for s, g in grades.items()} == {
        "all-right": (16.0, 25.0, True),
        "half-right": (5.0, 25.0, True),
        "blank": (0.0, 25.0, False),
    }
    assert lost_cells(NAME, "all-right", course) == set()
    assert lost_cells(NAME, "half-right", course) == HALF_LOSES
    assert "5.00 / 25  (written answers to be graded)" in str(grades["half-right"])


def test_the_grader_reads_the_mark_scheme_beside_the_answer(course, grades):
    path = course / "grading" / "autograded" / "all-right" / NAME / f"{NAME}.ipynb"
    cells = {grade_id(c): c.source for c in nbformat.read(path, as_version=4).cells}
    assert "BEGIN MARK SCHEME" in cells["derive-closed-form-question"]
    assert "BEGIN MARK SCHEME" in cells["forward-or-reverse-question"]
    assert cells["derive-closed-form"] == WORDS["derive-closed-form"]


def test_grading_again_changes_nothing(marked):
    again = {grade.student: grade.score for grade in autograde(NAME, marked)}
    assert again == SCORES


def test_export_gives_every_student_the_right_score(marked):
    rows = list(csv.DictReader(export(marked).read_text(encoding="utf-8").splitlines()))
    assert {row["student_id"]: float(row["score"]) for row in rows} == SCORES
    assert {row["max_score"] for row in rows} == {"25.0"}


def test_no_secret_is_in_any_feedback(marked, pages):
    assert set(pages) == set(SCORES)
    secrets = secret_lines(ROOT)
    for student, page in pages.items():
        text, own = visible_text(page), submitted(marked, student)
        assert not [line for line in secrets if line in text and line not in own], student
        assert "Traceback" not in text.partition("kl-standard-normal-hidden")[2]


def test_feedback_tells_scores_misconceptions_and_comments(pages):
    text = " ".join(visible_text(pages["half-right"]).split())
    assert "Score: 6.5 / 25.0" in text
    assert "your values are 2 times ours at every input" in text
    assert "row needs noise of its own" in text or "does each row have noise of its own" in text
    assert "NotImplementedError" in text
    assert "Well said." in text
    assert "Task 2: every visible check passes." in text


def test_feedback_has_nothing_active_in_it(pages):
    assert "<script>alert" not in "".join(pages.values())
    assert "alert('marked')" in visible_text(pages["all-right"])
    assert "<b onclick" not in pages["half-right"]


def test_an_assignment_nobody_handed_in_is_an_error_in_words(tmp_path):
    copy_course([NAME], ROOT, tmp_path)
    release([NAME], tmp_path)
    with pytest.raises(CourseError, match=f"Autograde failed on {NAME}.*\n.*No notebooks"):
        autograde(NAME, tmp_path)
    with pytest.raises(CourseError, match="no assignment 'ps0'"):
        generate_feedback("ps0", tmp_path)


def clean(*cells: NotebookNode) -> NotebookNode:
    notebook, _ = KeepSecrets().preprocess(new_notebook(cells=list(cells)), {})
    return notebook


def test_of_a_failed_test_only_the_message_is_left():
    secret = "### BEGIN HIDDEN TESTS\nassert twice(2) == 4, 'not twice'\n### END HIDDEN TESTS"
    error = new_output("error", ename="AssertionError", evalue="not twice")
    error.traceback = ["----> 2 assert twice(2) == 4, 'not twice'"]
    metadata = {"nbgrader": {"grade": True, "solution": False, "grade_id": "t"}}
    notebook = clean(new_code_cell(secret, outputs=[error], metadata=metadata))
    assert notebook.cells[0].source == "# Hidden tests ran here."
    assert notebook.cells[0].outputs[0].traceback == ["AssertionError: not twice"]


def test_a_long_message_is_wrapped_and_keeps_its_lines():
    error = new_output("error", ename="ValueError", evalue="first\n" + "word " * 40)
    metadata = {"nbgrader": {"grade": True, "solution": False, "grade_id": "t"}}
    (output,) = clean(new_code_cell("check()", outputs=[error], metadata=metadata)).cells[0].outputs
    lines = "\n".join(output.traceback).splitlines()
    assert lines[0] == "ValueError: first"
    assert len(lines) > 2
    assert max(map(len, lines)) < 100


def test_a_region_that_is_never_closed_is_secret_to_the_end():
    notebook = clean(new_markdown_cell("Say why.\n\n=== BEGIN MARK SCHEME ===\n1 point: because"))
    assert notebook.cells[0].source.strip() == "Say why."


def test_an_output_that_quotes_a_hidden_test_is_withheld():
    secret = "### BEGIN HIDDEN TESTS\nassert twice(2) == 4\n### END HIDDEN TESTS"
    said = new_output("stream", text="found it: assert twice(2) == 4\n")
    shown = new_output("display_data", data={"text/plain": "'assert twice(2) == 4'"})
    metadata = {"nbgrader": {"grade": True, "solution": False, "grade_id": "t"}}
    notebook = clean(new_code_cell(secret, metadata=metadata), new_code_cell("peek()", outputs=[said, shown]))
    assert all("twice" not in output.text for output in notebook.cells[1].outputs)


def test_outputs_that_could_be_active_are_dropped():
    data = {
        "text/html": "<script>x</script>",
        "image/svg+xml": "<svg onload='x'/>",
        "application/javascript": "x",
        "text/plain": "<Figure>",
    }
    shown = new_output("display_data", data=data, metadata={"image/png": {"width": "1 onerror=x"}})
    output = clean(new_code_cell("plot()", outputs=[shown])).cells[0].outputs[0]
    assert output.data == {"text/plain": "<Figure>"}
    assert output.metadata == {}


def test_a_students_own_words_and_markers_are_shown():
    own = "### BEGIN SOLUTION\nx = 1\n### END SOLUTION"
    metadata = {"nbgrader": {"grade": False, "solution": True, "grade_id": "s"}}
    assert clean(new_code_cell(own, metadata=metadata)).cells[0].source == own


def test_markdown_lets_no_html_through():
    page = render_markdown(f"{MARKUP}\n\n*kept* [x](javascript:y) ![p](attachment:none.png)")
    assert "<script" not in page
    assert "javascript:" not in page
    assert "<em>kept</em>" in page


def test_a_fresh_clone_grades_without_a_release(tmp_path):
    """exercises/ is in git, the gradebook is not: grading makes what it lacks."""
    copy_course([NAME], ROOT, tmp_path)
    release([NAME], tmp_path)
    (tmp_path / "grading" / "gradebook.db").unlink()
    hand_in(tmp_path, NAME, "blank", {})
    assert [(grade.student, grade.score) for grade in autograde(NAME, tmp_path)] == [("blank", 0.0)]
