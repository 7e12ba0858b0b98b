"""The instructor's page: numbers, scores, misconceptions, who needs a look; harmless for five students and for 500."""

import json
import re

import nbformat
import pytest

from coursekit.assignments import read_source
from coursekit.errors import CourseError
from coursekit.grading import gradebook
from coursekit.overview import _histogram, overview, pattern
from coursekit.status import Standing, write_status
from test_feedback import NAME, assert_harmless, assert_well_formed, text_of, tiny_course

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")

MARKUP = "<script>alert(1)</script>"
CELLS = {"twice-visible": (1, "code"), "twice-hidden": (3, "code"), "why": (2, "markdown")}


def new_gradebook(root):
    """A gradebook that knows the tiny assignment, as a release would leave it."""
    with gradebook(root) as book:
        book.add_assignment(NAME)
        book.add_notebook(NAME, NAME)
        for cell, (most, kind) in CELLS.items():
            book.add_grade_cell(cell, NAME, NAME, max_score=most, cell_type=kind)
        book.add_solution_cell("why", NAME, NAME)


def grade(root, students):
    """Enter points by student and cell; None is an answer that waits for a person. Write autograded notebooks."""
    with gradebook(root) as book:
        for student, (scores, _) in students.items():
            book.add_student(student)
            book.add_submission(NAME, student)
            submitted = book.find_submission_notebook(NAME, NAME, student)
            for found in submitted.grades:
                score = scores[list(CELLS).index(found.cell.name)]
                found.auto_score, found.needs_manual_grade = score, score is None
        book.db.commit()
    source = read_source(NAME, root)
    for student, (_, messages) in students.items():
        notebook = nbformat.from_dict(json.loads(json.dumps(source)))
        for cell in notebook.cells:
            words = messages.get(cell.id)
            if words:
                cell.outputs = [nbformat.v4.new_output("error", ename="AssertionError", evalue=words, traceback=[])]
        path = root / "grading" / "autograded" / student / NAME / f"{NAME}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(notebook, path)


STUDENTS = {
    "ana": ((1, 3, 2), {}),
    "ben": ((1, 0, 1), {"twice-hidden": "your values are 2.5 times ours at [1, 2]"}),
    "cleo": ((0, 0, None), {"twice-visible": "wrong", "twice-hidden": "your values are -3e4 times ours at [7, 8, 9]"}),
    "d[x] & Söhne": ((0, 0, 0), {"twice-visible": f"wrong {MARKUP}\x1b[31m\u202e", "twice-hidden": "wrong"}),
}


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    root = tiny_course(tmp_path_factory.mktemp("class"))
    new_gradebook(root)
    grade(root, STUDENTS)
    (root / "grading" / "roster.csv").write_text(
        f"id,last_name,first_name\nana,Álvarez,Ana\nerin,{MARKUP},Erin\nfay,F,F\n", encoding="utf-8"
    )
    feedback = root / "grading" / "feedback" / "d[x] & Söhne" / NAME / f"{NAME}.html"
    feedback.parent.mkdir(parents=True)
    feedback.write_text("page", encoding="utf-8")
    standings = [
        Standing("ana", "graded", "", 6, 6),
        Standing("ben", "flagged", f"a test was shadowed {MARKUP}", 2, 6, late=7200.0),
        Standing("cleo", "graded", "", 0, 6),
        Standing("d[x] & Söhne", "graded", "", 0, 6),
        Standing("erin", "missing"),
        Standing("gus", "failed", "The notebook is empty: ask for it again."),
    ]
    write_status(NAME, standings, root)
    return root


@pytest.fixture(scope="module")
def page(course):
    path = overview(NAME, course)
    assert path == course / "grading" / "overview" / f"{NAME}.html"
    return path.read_text(encoding="utf-8")


def test_the_page_is_harmless_and_well_formed(page):
    assert_harmless(page)
    assert_well_formed(page)
    assert re.search(r'<svg class="chart"[^>]*role="img" aria-label="Numbers of students by points', page)


def test_numbers_by_status(page):
    text = text_of(page)
    assert "Assignment tiny, 7 students" in text  # with fay, whom only the roster knows
    assert "3 graded 1 graded, and a person should look 1 could not be graded 2 nothing handed in" in text
    assert "1 handed in late" in text
    assert "1 with written answers to mark" in text


def test_scores_come_from_the_gradebook(page):
    assert "4 scores, of 6 points: mean 2, median 1, from 0 to 6." in text_of(page)
    assert "0 to 0.6 points: 2; 1.8 to 2.4 points: 1; 5.4 to 6 points: 1." in page


def test_success_per_task(page):
    rows = dict(re.findall(r'<tr><th scope="row">(Task \d).*?</th>(.*?)</tr>', page, re.S))
    assert re.findall("<td>(.*?)</td>", rows["Task 1"]) == ["1", "1", "2", "0", "1.25 / 4"]
    assert re.findall("<td>(.*?)</td>", rows["Task 2"]) == ["1", "1", "1", "1", "1 / 2"]


def test_misconceptions_are_counted_without_their_numbers(page):
    items = [text_of(item) for item in re.findall(r"<li><p class=\"found\">(.*?)</li>", page, re.S)]
    assert len(items) == 3
    assert items[0].startswith("Task 1, 2 students: wrong") or items[0].startswith("Task 1, 2 students: your values")
    assert any("times ours at [" in item and "ben, cleo" in item for item in items[:2])
    assert any(item.startswith(f"Task 1, 1 student: wrong {MARKUP}[U+202E]") for item in items)


def test_who_needs_a_look_and_why(page):
    look = text_of(page[page.index('id="look"') : page.index('id="scores"')])
    assert look.index("failed: The notebook is empty: ask for it again.") < look.index("flagged: a test was")
    assert "cleo: 2 points open" in look
    assert f"erin Erin {MARKUP}" in look
    assert "fay F F" in look
    assert "ana" not in look


def test_links_lead_to_files_that_exist(page, course):
    links = re.findall(r'href="(\.\./[^"]*)"', page)
    assert len(set(links)) == 5  # four notebooks and one page of feedback
    assert "../feedback/d%5Bx%5D%20%26%20S%C3%B6hne/tiny/tiny.html" in links


def test_without_a_status_the_gradebook_says_who_was_graded(course, tmp_path):
    status = course / "grading" / "status"
    status.rename(tmp_path / "status")
    try:
        assert "4 graded" in text_of(overview(NAME, course).read_text(encoding="utf-8"))
    finally:
        (tmp_path / "status").rename(status)


def test_notebooks_that_cannot_be_read_are_passed_over(course):
    path = course / "grading" / "autograded" / "ben" / NAME / f"{NAME}.ipynb"
    before = path.read_bytes()
    for broken in (b"", b"[" * 100_000, b'{"cells": 7}', b'{"cells": [{"metadata": {"nbgrader": [1]}}]}', b"\xff"):
        path.write_bytes(broken)
        assert_harmless(overview(NAME, course).read_text(encoding="utf-8"))
    path.write_bytes(before)


def test_nothing_graded_is_an_error_in_words(tmp_path):
    root = tiny_course(tmp_path)
    with pytest.raises(CourseError, match=f"Nothing of {NAME} has been graded yet"):
        overview(NAME, root)
    with pytest.raises(CourseError, match="no assignment 'ps0'"):
        overview("ps0", root)


def test_a_class_of_which_nothing_could_be_graded(tmp_path):
    root = tiny_course(tmp_path)
    write_status(NAME, [Standing("x", "failed", "broken")], root)
    page = overview(NAME, root).read_text(encoding="utf-8")
    assert_harmless(page)
    assert_well_formed(page)
    assert "There are no scores yet." in text_of(page)


def test_numbers_do_not_matter_to_a_pattern():
    assert pattern("you return 4.0000, not -1e-3 at [1, 2, 3]") == pattern("you return nan, not 17 at [0.5, 2]")
    assert pattern("row 1 is wrong") != pattern("row is wrong")


def test_a_histogram_counts_everybody_once():
    scores = [0, 0.6, 1.2, 5.999, 6, 6, 7]
    histogram = _histogram(scores, 6)
    assert sum(histogram.counts) == len(scores)
    assert histogram.edges[-1] == 7
    assert sum(_histogram([], 0).counts) == 0


def test_a_class_of_five_hundred(tmp_path):
    root = tiny_course(tmp_path)
    new_gradebook(root)
    grade(root, {f"s{n:03d}": ((1, n % 4, None), {"twice-hidden": f"off by {n}"}) for n in range(20)})
    write_status(NAME, [Standing(f"s{n:03d}", "graded" if n < 20 else "missing") for n in range(500)], root)
    page = overview(NAME, root).read_text(encoding="utf-8")
    assert_harmless(page)
    assert "480 nothing handed in" in text_of(page)
    assert "Task 1, 15 students: off by" in text_of(page)
    assert len(page) < 400_000
