"""Feedback pages: what they show, what they withhold, and that nothing in them is active."""

import base64
import io
import re
import struct
import zlib
from html.parser import HTMLParser
from itertools import pairwise

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output, new_raw_cell
from nbgrader.converters import Autograde, GenerateFeedback
from PIL import Image
from traitlets.config import Config

from coursekit.assignments import read_source, release
from coursekit.course import convert
from coursekit.errors import CourseError
from coursekit.feedback import FeedbackPage, KeepSecrets
from coursekit.formulas import LONGEST, to_mathml
from coursekit.grading import gradebook
from coursekit.markdown import page_address, render_markdown
from coursekit.page import Mark, Record, points
from coursekit.plain import LONGEST_TEXT, clean, picture_address
from coursekit.plan import course_plan, grade_id
from coursekit.project import solutions
from coursetools import ROOT, visible_text

NAME = "tiny"
HIDDEN = "assert twice(21) == 42, 'not twice as much'"
SCHEME = "1 point for naming the doubling map"
SAMPLE = "return number + number  # the sample answer"
NEITHER = '"solution": false, "task": false'
ANSWER = '"solution": true, "task": false, "locked": false'
SOURCE = f"""---
jupytext:
  text_representation: {{extension: .md, format_name: myst}}
kernelspec: {{display_name: Python 3, language: python, name: python3}}
---

# Twice the number

**You need** the page [`doubling`](../../book/doubling.md). **Points** 6, of which 4 are graded by machine.

## Task 1: double (4 points)

Write `twice`, which returns $2x$. See [`sums`](../../book/part/sums.md#more).

```{{code-cell}} ipython3
---
nbgrader: {{schema_version: 3, grade_id: twice, grade: false, solution: true, locked: false, task: false}}
---
def twice(number):
    ### BEGIN SOLUTION
    {SAMPLE}
    ### END SOLUTION
```

```{{code-cell}} ipython3
---
nbgrader:
  {{schema_version: 3, grade_id: twice-visible, grade: true, solution: false, locked: true, task: false, points: 1}}
---
assert twice(1) == 2, "twice 1 is 2"
print("Task 1: fine.")
```

```{{code-cell}} ipython3
---
nbgrader:
  {{schema_version: 3, grade_id: twice-hidden, grade: true, solution: false, locked: true, task: false, points: 3}}
---
# Hidden tests run here.
### BEGIN HIDDEN TESTS
{HIDDEN}
assert twice(1) == 2, "twice 1 is 2"
### END HIDDEN TESTS
```

+++ {{"nbgrader": {{"schema_version": 3, "grade_id": "why-question", "locked": true, "grade": false, {NEITHER}}}}}

## Task 2: why (2 points)

Say why.

=== BEGIN MARK SCHEME ===
{SCHEME}
=== END MARK SCHEME ===

+++ {{"nbgrader": {{"schema_version": 3, "grade_id": "why", "grade": true, "points": 2, {ANSWER}}}}}

Because a sum of equals is a product.
"""
MARKS = {
    "twice-visible": Mark(0, 1, False),
    "twice-hidden": Mark(0, 3, False),
    "why": Mark(1.5, 2, False),
}
OWN = "def twice(number):\n    return number * 3"


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course with one tiny assignment."""
    return tiny_course(tmp_path_factory.mktemp("tiny"))


def tiny_course(root):
    (root / "solutions" / NAME).mkdir(parents=True)
    (root / "solutions" / NAME / f"{NAME}.md").write_text(SOURCE, encoding="utf-8")
    (root / "book").mkdir()
    (root / "book" / "doubling.md").write_text("---\nx: y\n---\n# How doubling works\n", encoding="utf-8")
    settings = (ROOT / "nbgrader_config.py").read_text(encoding="utf-8")
    settings += (
        '\nc.GenerateFeedback.exporter_class = "coursekit.feedback.FeedbackPage"\n'
        'c.GenerateFeedback.preprocessors = ["coursekit.feedback.Grades", "coursekit.feedback.KeepSecrets"]\n'
    )
    (root / "nbgrader_config.py").write_text(settings, encoding="utf-8")
    return root


def submission(course):
    """What nbgrader hands to feedback: the source with the student's answer, and the outputs of failed tests."""
    notebook = read_source(NAME, course)
    cells = {cell.id: cell for cell in notebook.cells}
    cells["twice"].source = OWN
    for name, words in (("twice-visible", "twice 1 is 2"), ("twice-hidden", "not twice as much")):
        code = f"----> 1 {HIDDEN if 'hidden' in name else 'assert twice(1) == 2'}"
        traceback = ["Traceback (most recent call last)", f"Cell In[3], line 1\n{code}", f"AssertionError: {words}"]
        cells[name].outputs = [new_output("error", ename="AssertionError", evalue=words, traceback=traceback)]
    return notebook, cells


def render(notebook, course=None, marks=MARKS, student="ana", comments=None, penalty=0.0, book=""):
    config = Config()
    config.Exporter.default_preprocessors = []
    config.FeedbackPage.book_address = book
    if course:
        config.CourseDirectory.root = str(course)
    exporter = FeedbackPage(config=config)
    exporter.register_preprocessor(KeepSecrets, enabled=True)
    score, most = sum(m.score for m in marks.values()), sum(m.max_score for m in marks.values())
    record = Record(marks, comments or {}, max(0.0, score - penalty), most, penalty)
    names = {"student": student, "assignment": NAME, "notebook": NAME, "db_url": "sqlite://"}
    return exporter.from_notebook_node(notebook, {"nbgrader": names, "feedback": record})[0]


class Elements(HTMLParser):
    """Every start tag of a page with its attributes, in order, and the text of each style."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.styles = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "style":
            self.styles.append(data)


ACTIVE = "script iframe frame object embed applet link base form input button textarea video audio source portal"
PICTURE = re.compile(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]*\Z")


def assert_harmless(page):
    """Nothing runs, nothing is fetched, nothing leads to a script; ids are unique and anchors exist."""
    elements = Elements(page)
    ids = [attributes["id"] for _, attributes in elements.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in elements.tags:
        assert tag not in ACTIVE.split(), tag
        assert not [name for name in attributes if name.startswith("on")], attributes
        assert not {"style", "srcset", "xlink:href", "action", "formaction", "background", "poster"} & set(attributes)
        assert attributes.get("http-equiv", "Content-Security-Policy") == "Content-Security-Policy"
        if "src" in attributes:
            assert tag == "img"
            assert PICTURE.match(attributes["src"]), attributes["src"][:80]
        if "href" in attributes:
            assert tag == "a"
            target = attributes["href"]
            assert target.startswith(("#", "http://", "https://", "../")), target
            assert not target.startswith("#") or target[1:] in ids
    assert sum(tag == "style" for tag, _ in elements.tags) == 1
    for style in elements.styles:
        assert "url(" not in style
        assert "@import" not in style


def assert_well_formed(page):
    """One h1, no heading that skips a level, a language, a title, names for pictures and scrolling boxes."""
    tags = Elements(page).tags
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert ("html", {"lang": "en"}) in tags
    assert re.search(r"<title>[^<]+</title>", page)
    assert all(a.get("alt") for tag, a in tags if tag == "img")
    assert all(a.get("tabindex") == "0" and a.get("aria-label") for tag, a in tags if tag == "pre" and "class" not in a)
    assert all(a.get("scope") in ("col", "row") for tag, a in tags if tag == "th")
    assert tags[[tag for tag, _ in tags].index("body") + 1][1].get("class") == "skip"


def text_of(page):
    return " ".join(visible_text(page).split())


# ---------------------------------------------------------------- what it shows


@pytest.fixture(scope="module")
def page(course):
    notebook, _ = submission(course)
    return render(
        notebook, course, comments={"why": "Well **said**, $x^2$."}, penalty=1, book="https://book.example/v1/"
    )


def test_the_page_tells_scores_findings_comments_and_the_late_penalty(page):
    text = text_of(page)
    assert "Score: 0.5 / 6.0" in text
    assert "What this test found: twice 1 is 2" in text
    assert "What this test found: not twice as much" in text
    assert "Handed in late: 1 point is taken off" in text
    assert "Comment from your grader Well said" in text
    assert "return number * 3" in text
    assert "Your answer: 1.5 of 2 points" in text


def test_the_page_is_harmless_and_well_formed(page):
    assert_harmless(page)
    assert_well_formed(page)


def test_points_per_task_add_up_to_the_total(page):
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</th>(.*?)</tr>", page)
    cells = [[visible_text(c).strip() for c in re.findall("<td>(.*?)</td>", row, re.S)] for _, row in rows]
    assert [row[-1] for row in cells] == ["0 / 4", "1.5 / 2", "−1", "0.5 / 6"]
    assert cells[0][:3] == ["0 / 1", "0 / 3", "–"]
    assert cells[1][:3] == ["–", "–", "1.5 / 2"]


def test_points_of_cells_that_the_source_does_not_know_are_counted_all_the_same(course):
    notebook, _ = submission(course)
    page = render(notebook, course, marks=MARKS | {"gone": Mark(1, 2, False)})
    assert "Other cells" in text_of(page)
    assert "Score: 2.5 / 8.0" in text_of(page)


def test_the_next_step_names_pages_and_links_to_the_published_book(page, course):
    assert '<a href="https://book.example/v1/doubling.html" rel="noopener noreferrer">How doubling works</a>' in page
    assert '"https://book.example/v1/part/sums.html"' in page
    notebook, _ = submission(course)
    alone = render(notebook, course)
    assert "How doubling works (book/doubling)" in text_of(alone)
    assert "book/part/sums.html" not in alone


def test_all_right_says_so(course):
    notebook, _ = submission(course)
    marks = {name: Mark(m.max_score, m.max_score, False) for name, m in MARKS.items()}
    assert "Nothing is lost." in text_of(render(notebook, course, marks=marks))


def test_points_that_wait_for_a_person_are_not_called_lost(course):
    notebook, _ = submission(course)
    marks = {name: Mark(m.max_score, m.max_score, False) for name, m in MARKS.items()}
    text = text_of(render(notebook, course, marks=marks | {"why": Mark(0, 2, True)}))
    assert "Not final: 2 more points wait" in text
    assert "Nothing is lost." in text
    assert "open / 2" in text


def test_a_test_without_words_is_told_in_words(course):
    notebook, cells = submission(course)
    cells["twice-hidden"].outputs = []
    assert "It did not finish, or says nothing." in text_of(render(notebook, course))
    cells["twice-hidden"].outputs = [new_output("error", ename="NotImplementedError", evalue="")]
    assert "There is no answer yet: your code raises NotImplementedError." in text_of(render(notebook, course))
    cells["twice-hidden"].outputs = [new_output("error", ename="TypeError", evalue="can only add")]
    assert "The test could not go on: TypeError: can only add" in text_of(render(notebook, course))


def test_a_test_whose_cell_was_deleted_is_told_in_words(course):
    notebook, cells = submission(course)
    notebook.cells.remove(cells["twice-hidden"])
    text = text_of(render(notebook, course))
    assert "Its cell is not in the notebook that you handed in." in text
    assert "Hidden tests: 0 of 3 points" in text


def test_an_error_in_the_students_own_cell_keeps_their_code_and_nothing_else(course):
    notebook, cells = submission(course)
    frames = [
        "\x1b[31mZeroDivisionError\x1b[39m Traceback",
        "Cell In[2], line 2\n      1 def twice(number):\n----> 2     return number * 3",
        f"Cell In[4], line 1\n----> 1 {HIDDEN}",
        "Cell In[4], line 1\n----> 1 short()",
        "File /srv/course/lib/secret.py:3, in f()\n----> 3 peek()",
    ]
    cells["twice"].outputs = [new_output("error", ename="ZeroDivisionError", evalue="by zero", traceback=frames)]
    page = render(notebook, course)
    text = visible_text(page)
    assert "----> 2     return number * 3" in text
    assert "ZeroDivisionError: by zero" in text
    assert not [word for word in ("secret.py", "short()", HIDDEN, "\x1b", "[31m") if word in text]


def test_a_student_with_markup_in_the_name_is_only_text(course):
    notebook, _ = submission(course)
    page = render(notebook, course, student='"><script>alert(1)</script>\u202e')
    assert_harmless(page)
    assert '"><script>alert(1)</script>[U+202E]' in visible_text(page)


def test_the_cells_are_in_their_tasks_in_whatever_order_they_were_handed_in(course):
    notebook, _ = submission(course)
    notebook.cells.reverse()
    page = render(notebook, course)
    first, second = page.index('id="task-1"'), page.index('id="task-2"')
    assert first < page.index("not twice as much", first) < second < page.index("a sum of equals")
    assert_well_formed(page)


# ---------------------------------------------------------------- what it withholds


def assert_keeps_secrets(page):
    text = visible_text(page)
    assert not [secret for secret in (HIDDEN, SCHEME, SAMPLE, "twice(21)") if secret in text]


def put_in_error(cells):
    cells["twice"].outputs = [new_output("error", ename="E", evalue=f"got {HIDDEN}", traceback=[HIDDEN])]


def put_in_stream(cells):
    cells["twice"].outputs = [new_output("stream", text=f"\x1b[1m{HIDDEN[:15]}\x1b[0m{HIDDEN[15:]}\n")]


def put_in_pieces(cells):
    cells["twice"].outputs = [new_output("stream", text=letter) for letter in HIDDEN]


def put_behind_much_text(cells):
    cells["twice"].outputs = [new_output("stream", text="x" * (LONGEST_TEXT - 30) + HIDDEN)]


def put_in_display(cells):
    cells["twice"].outputs = [new_output("display_data", data={"text/plain": [HIDDEN], "text/html": HIDDEN})]


def put_in_answer_metadata(cells):
    cells["twice-hidden"].metadata.nbgrader |= {"solution": True, "grade": False, "locked": False}


def put_in_no_metadata(cells):
    cells["twice-hidden"].metadata = {}


def put_in_odd_metadata(cells):
    cells["twice-hidden"].metadata = {"nbgrader": ["grade"], "coursekit": "answer"}


def put_in_scheme_metadata(cells):
    cells["why-question"].metadata.nbgrader |= {"solution": True, "grade": True}


def put_in_answer(cells):
    cells["twice"].source = f"{OWN}\n### BEGIN HIDDEN TESTS\n{HIDDEN}\n### END HIDDEN TESTS"


def put_in_raw(cells):
    cells["why-question"].cell_type = "raw"


def put_in_attachment(cells):
    data = base64.b64encode(HIDDEN.encode()).decode()
    cells["why"]["attachments"] = {"a.png": {"image/png": data, "text/plain": HIDDEN}}
    cells["why"].source += "\n\n![my notes](attachment:a.png)"


PLACES = [value for name, value in list(globals().items()) if name.startswith("put_")]


@pytest.mark.parametrize("place", PLACES, ids=[place.__name__ for place in PLACES])
def test_secrets_are_withheld_wherever_they_stand(course, place):
    notebook, cells = submission(course)
    place(cells)
    page = render(notebook, course)
    assert_keeps_secrets(page)
    assert_harmless(page)
    # without the course's source there is only the notebook's word, which still says what is hidden
    assert_keeps_secrets(render(notebook, None))


def test_a_line_that_every_student_reads_is_no_secret(course):
    notebook, cells = submission(course)
    cells["twice"].outputs = [new_output("stream", text='assert twice(1) == 2, "twice 1 is 2"\n')]
    assert "This output is not shown" not in text_of(render(notebook, course))


def test_hidden_tests_print_nothing_and_draw_nothing(course):
    notebook, cells = submission(course)
    cells["twice-hidden"].outputs.insert(0, new_output("stream", text="inputs 17 and 4\n"))
    assert "inputs 17" not in visible_text(render(notebook, course))


def test_a_students_answer_equal_to_the_sample_is_shown(course):
    notebook, cells = submission(course)
    cells["twice"].source = f"def twice(number):\n    {SAMPLE}"
    assert SAMPLE in visible_text(render(notebook, course))


# ---------------------------------------------------------------- nothing active

VECTORS = {
    "script": "<script>alert(1)</script>",
    "svg": "<svg onload=alert(1)><script>1</script></svg>",
    "iframe": '<iframe src="https://example.org"></iframe>',
    "style": "<style>@import url(https://example.org/x.css)</style>",
    "refresh": '<meta http-equiv="refresh" content="0;url=https://example.org">',
    "handler": "<img src=x onerror=alert(1)> <b onclick='x'>",
    "javascript link": "[click](javascript:alert(1)) [c](JaVaScRiPt&#58;alert(1)) <javascript:alert(1)>",
    "spaced link": "[click](java\tscript:alert(1)) [c]( javascript:alert(1) ) [d](&#106;avascript:alert(1))",
    "vbscript": "[click](vbscript:x) [f](file:///etc/passwd) [b](blob:x)",
    "data link": "[click](data:text/html;base64,PHNjcmlwdD4=) ![p](data:image/svg+xml;base64,PHN2Zz4=)",
    "remote picture": "![p](https://example.org/pixel.png) ![q](//example.org/x.png) ![r](../../secret.png)",
    "quotes": '[x](https://example.org/"onmouseover="alert(1)) ![a" onerror="x](attachment:n.png)',
    "titles": "[x](https://example.org '\"><script>alert(1)</script>')",
    "href in a formula": r"$\href{javascript:alert(1)}{x}$ $$\unicode{x}<script>alert(1)</script>$$",
    "text in a formula": r"$\text{<img src=x onerror=alert(1)>}$ $\style{background:url(x)}{y}$",
    "environment": "\\begin{align}<script>alert(1)</script>\\end{align}",
    "entities": "&lt;script&gt;alert(1)&lt;/script&gt; &#60;script&#62;",
    "reference link": "[x][y]\n\n[y]: javascript:alert(1)",
    "auto link": "<https://example.org/><script> https://example.org/?<script>",
    "code fence": "```mermaid\n<script>alert(1)</script>\n```\n\n```html\n<script>\n```\n\n```python\n<script>\n```",
    "table": "| <script>1</script> | b |\n|---|---|\n| [x](javascript:1) | <b onclick=x> |",
    "comment": "<!-- --><script>alert(1)</script><!-- ><img src=x onerror=1>",
    "template": "{{ 7 * 7 }} {% include 'page.html.j2' %} {{ config }}",
    "closing": "</pre></code></details></main></body></html><script>alert(1)</script>",
}


KINDS = ["text/plain", "text/html", "text/markdown", "text/latex", "image/svg+xml", "image/png"]
KINDS += ["application/javascript", "application/vnd.jupyter.widget-view+json", "application/vnd.plotly.v1+json"]


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)
def test_nothing_is_active_whatever_a_student_writes(course, vector):
    notebook, cells = submission(course)
    cells["why"].source = vector
    cells["twice"].source = f"{OWN}\n{vector}"
    bundle = dict.fromkeys(KINDS, vector)
    cells["twice"].outputs = [
        new_output("stream", text=vector),
        new_output("display_data", data=dict(bundle), metadata={"image/png": {"width": '1" onload="x'}}),
        new_output("execute_result", data=dict(bundle), execution_count=1),
        new_output("error", ename=vector, evalue=vector, traceback=[vector]),
    ]
    cells["twice-visible"].outputs = [new_output("error", ename=vector, evalue=vector, traceback=[vector])]
    notebook.cells += [new_raw_cell(vector), new_markdown_cell(vector), new_code_cell(vector)]
    notebook.metadata = {"title": vector, "language": vector, "language_info": [vector], "widgets": {vector: vector}}
    page = render(notebook, course, student=vector, comments={"why": vector, "twice": vector})
    assert_harmless(page)
    assert_well_formed(page)
    assert_keeps_secrets(page)
    assert "49" not in visible_text(page)


def test_cell_ids_and_metadata_with_quotes_do_no_harm(course):
    notebook, cells = submission(course)
    extra = new_code_cell("x = 1", metadata={"tags": ['"><script>'], "nbgrader": {"grade_id": '"onclick="x'}})
    notebook.cells.append(extra)
    cells["twice"].metadata["collapsed"] = '"><script>alert(1)</script>'
    cells["twice"].outputs = [new_output("display_data", metadata={"isolated": "x"}) for _ in range(2)]
    cells["twice"].outputs[0].data = 7
    cells["twice"].outputs[1].data = {"text/plain": {"a": 1}, "image/png": 3}
    cells["twice-visible"].outputs = [{"output_type": "pyout"}, {"output_type": "stream", "text": ["a", "b"]}]
    cells["why"].metadata = {"nbgrader": {"grade_id": "why", "points": {}}, "attachments": 1}
    assert_harmless(render(notebook, course))


# ---------------------------------------------------------------- too much, or broken


def test_long_outputs_are_cut_with_a_note(course):
    notebook, cells = submission(course)
    cells["twice"].outputs = [new_output("stream", text="y" * 3_000_000)]
    page = render(notebook, course)
    assert len(page) < 100_000
    assert f"(Shortened: the first {LONGEST_TEXT:,} characters are shown.)" in visible_text(page)


def test_of_thousands_of_outputs_the_first_are_shown(course):
    notebook, cells = submission(course)
    cells["twice"].outputs = [
        new_output("display_data", data={"text/plain": f"number {number}."}) for number in range(3000)
    ]
    text = visible_text(render(notebook, course))
    assert "number 39." in text
    assert "number 40." not in text
    assert "(2,960 further outputs are not shown.)" in text


def test_of_thousands_of_cells_the_first_are_shown(course):
    notebook, _ = submission(course)
    notebook.cells += [new_code_cell("x = 1") for _ in range(1000)]
    assert "further cells of the notebook are not shown" in visible_text(render(notebook, course))


def test_many_cells_within_their_limits_do_not_make_an_endless_page(course):
    notebook, cells = submission(course)
    outputs = [new_output("display_data", data={"text/plain": "z" * 19_000}) for _ in range(30)]
    notebook.cells += [new_code_cell("x = 1", outputs=outputs) for _ in range(20)]
    photo = picture("PNG", 700)
    cells["why"]["attachments"] = {"a.png": {"image/png": photo}}
    cells["why"].source = "![a](attachment:a.png)\n" * (40_000_000 // len(photo))
    page = render(notebook, course)
    assert len(page) < 28_000_000
    assert "(Not shown: this page is full.)" in visible_text(page)
    assert "(A picture is not shown: a.)" in visible_text(page)


def png(width, height):
    """A picture's file that claims a size, with hardly anything in it."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    parts = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()


def picture(kind="PNG", size=2):
    """A picture of noise, in base64."""
    buffer = io.BytesIO()
    Image.effect_noise((size, size), 99).convert("RGB").save(buffer, kind)
    return base64.b64encode(buffer.getvalue()).decode()


def test_only_sound_pictures_are_shown():
    assert picture_address(picture(), "image/png").startswith("data:image/png;base64,")
    assert picture_address(picture("JPEG"), "image/jpeg").startswith("data:image/jpeg;base64,")
    # what it is counts, not what it is called
    assert picture_address(picture("JPEG"), "image/png").startswith("data:image/jpeg;base64,")
    for broken in ("", "no base64!", picture()[:40], picture("GIF"), png(60_000, 60_000), 7, "A" * 9_000_000):
        assert picture_address(broken, "image/png") is None
    assert picture_address(picture(), "image/svg+xml") is None


def test_pictures_that_are_left_out_are_told_in_words(course):
    notebook, cells = submission(course)
    cells["twice"].outputs = [
        new_output("display_data", data={"image/png": "x" * 100}),
        new_output("display_data", data={"image/png": picture()}),
    ]
    cells["why"]["attachments"] = {"a.png": {"image/png": picture()}, "b.png": "x", "c.png": {"image/png": [1]}}
    cells["why"].source = "![mine](attachment:a.png) ![b](attachment:b.png) ![c](attachment:c.png)"
    page = render(notebook, course)
    assert page.count("<img") == 2
    assert "(A picture is not shown: it is broken or too large.)" in visible_text(page)
    assert 'alt="mine"' in page
    assert_well_formed(page)


def test_control_characters_and_marks_that_turn_text_are_named_or_gone():
    assert clean("a\x00b\x07\x1b[31mc\x1b[0m\u202ed\u2066\ud800") == "abc[U+202E]d[U+2066]\ufffd"
    assert clean("10%\r50%\r100%\r\nnext\tline") == "100%\nnext\tline"
    clean("\ud800").encode("utf-8")


def test_an_answer_that_nests_too_deeply_is_shown_as_it_is(course):
    notebook, cells = submission(course)
    for monster in ("> " * 5000, "[" * 5000, "*a" * 5000, "- " * 3000, "$" + "{" * 1500 + "$", "`" * 9999):
        cells["why"].source = monster
        page = render(notebook, course)
        assert_harmless(page)
        assert_well_formed(page)


# ---------------------------------------------------------------- formulas and links


def test_every_formula_of_the_courses_assignments_becomes_mathml():
    shown = []
    for path in solutions(ROOT):
        for cell in read_source(path.stem, ROOT).cells:
            if cell.cell_type == "markdown":
                html = str(render_markdown(cell.source))
                shown.append(html.count("<math"))
                assert 'class="latex"' not in html
                assert "\\" not in re.sub(r"<(pre|code).*?</\1>", "", html, flags=re.S)
                assert "$" not in visible_text(html)
    assert sum(shown) > 150


def test_a_wide_formula_in_a_line_scrolls_by_itself():
    wide = str(render_markdown("so $" + "x + " * 30 + "y$ it is"))
    assert '<span class="in-line" tabindex="0" role="group" aria-label="Formula"><math>' in wide
    assert "<span" not in str(render_markdown("so $x + y$ it is"))


def test_formulas_keep_their_parts():
    assert to_mathml(r"\frac12").count("<mn>") == 2
    assert "𝒩" in to_mathml(r"\mathcal N(\mu)") or "𝓝" in to_mathml(r"\mathcal N(\mu)")
    assert "‖" in to_mathml(r"\mathrm{KL}\bigl(q\,\big\|\,p\bigr)")
    assert 'display="block"' in to_mathml("x", block=True)
    assert to_mathml(r"\begin{align*} a &= b \\ c &= d \end{align*}").count("<mtr>") == 2


@pytest.mark.parametrize(
    "latex", [r"\frac{", r"\unknown x", "a & b", "", "x" * (LONGEST + 1), r"\href{x}{y}", r"\sqrt" * 300, "}{"]
)
def test_a_formula_that_cannot_be_set_is_shown_as_its_source(latex):
    assert to_mathml(latex) is None
    assert latex.strip() in visible_text(str(render_markdown(f"so ${latex}$ it is")))


def test_links_lead_to_the_web_or_the_book_or_nowhere():
    book = "https://example.org/course"
    assert page_address("../../book/elbo.md", book) == f"{book}/elbo.html"
    assert page_address("book/a/elbo.md#part", book) == f"{book}/a/elbo.html#part"
    assert page_address("../../book/elbo.md") == ""
    assert page_address("https://example.com/x?y=1") == "https://example.com/x?y=1"
    for bad in ("javascript:alert(1)", "data:text/html,x", "//example.org", "../../solutions/x.py", "#x", "\\\\x\\y"):
        assert page_address(bad, book) == ""


def test_an_address_of_the_book_that_is_none_is_an_error_in_words(course):
    notebook, _ = submission(course)
    with pytest.raises(CourseError, match="book_address"):
        render(notebook, course, book="javascript:alert(1)")


def test_the_plan_of_an_assignment_is_read_from_its_source(course):
    plan = course_plan(NAME, course)
    assert plan.title == "Twice the number"
    assert [task.title for task in plan.tasks] == ["Task 1: double (4 points)", "Task 2: why (2 points)"]
    assert plan.kind == {
        "twice": "answer",
        "twice-visible": "visible",
        "twice-hidden": "hidden",
        "why-question": "given",
        "why": "answer",
    }
    assert plan.place["why-question"] == plan.place["why"] == 1
    assert plan.secrets == {HIDDEN, SCHEME}
    assert course_plan("nothing", course) is None


def test_points_are_written_without_empty_zeros():
    assert [points(x) for x in (2.0, 1.5, 1 / 3, 0.0, -0.0, 10)] == ["2", "1.5", "0.33", "0", "0", "10"]


# ---------------------------------------------------------------- with nbgrader


@pytest.mark.slow
def test_nbgrader_writes_pages_that_keep_secrets_from_a_student_whose_metadata_lies(tmp_path):
    root = tiny_course(tmp_path)
    (released,) = release([NAME], root)
    for student in ("honest", "liar"):
        notebook = nbformat.read(released, as_version=4)
        for cell in notebook.cells:
            cell.source = OWN if grade_id(cell) == "twice" else cell.source
        path = root / "grading" / "submitted" / student / NAME / f"{NAME}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(notebook, path)
    convert(Autograde, NAME, root)
    path = root / "grading" / "autograded" / "liar" / NAME / f"{NAME}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if grade_id(cell) in ("twice-hidden", "why-question"):
            cell.metadata.nbgrader |= {"solution": True, "grade": False, "locked": False}
    nbformat.write(notebook, path)
    convert(GenerateFeedback, NAME, root)
    for student in ("honest", "liar"):
        page = (root / "grading" / "feedback" / student / NAME / f"{NAME}.html").read_text(encoding="utf-8")
        assert_keeps_secrets(page)
        assert_harmless(page)
        assert_well_formed(page)
        with gradebook(root) as book:
            found = book.find_submission(NAME, student)
            assert f"Score: {found.score:.1f} / {found.max_score:.1f}" in text_of(page)
    assert "What this test found: not twice as much" in text_of(
        (root / "grading" / "feedback" / "honest" / NAME / f"{NAME}.html").read_text(encoding="utf-8")
    )
