"""What formgrader shows an instructor: the student's work, nothing active, formulas that need no network."""

from html.parser import HTMLParser

import nbformat
import pytest
from nbconvert.exporters import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell
from nbgrader.server_extensions.formgrader import handlers

from coursekit.course import load_config
from coursekit.project import ROOT

ATTACK = "<script>attack()</script><img src=x onerror=attack()><iframe src='javascript:attack()'></iframe>"
DATA = {
    "text/html": ATTACK,
    "text/markdown": ATTACK,
    "text/latex": ATTACK,
    "image/svg+xml": f"<svg onload='attack()'>{ATTACK}</svg>",
    "application/javascript": "attack()",
    "application/vnd.jupyter.widget-view+json": {"model_id": "attack"},
}
NAMES = {"student": ATTACK, "first_name": ATTACK, "last_name": ATTACK, "notebook_path": f'"{ATTACK}'}


class Tags(HTMLParser):
    """The elements of a page, each with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found.append((tag, dict(attrs)))


def page(tmp_path, cells, metadata=None, **names):
    """The page of a submission with these cells, by the exporter that formgrader makes for itself."""
    config = load_config(ROOT)
    config.HTMLExporter.template_name = "formgrade"
    config.HTMLExporter.extra_template_basedirs = [handlers.template_path]
    path = tmp_path / "n.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata=metadata or {}), path)
    resources = {"base_url": "", "index": 0, "total": 1, "assignment_id": "a", "notebook_id": "n", "submission_id": "s"}
    return HTMLExporter(config=config).from_filename(str(path), resources=resources | names)[0]


def answer(cell_type="markdown", **fields):
    """A cell's metadata, of an answer that a person marks."""
    known = {"grade": True, "solution": True, "locked": False, "task": False, "schema_version": 3, "points": 2}
    return {"nbgrader": known | {"grade_id": "words", "cell_type": cell_type} | fields}


@pytest.mark.filterwarnings("ignore")
def test_nothing_that_a_student_wrote_is_active(tmp_path):
    shown = [new_output("display_data", data=DATA | {"text/plain": kind}, metadata={kind: {}}) for kind in ("a", "b")]
    picture = {"image/png": "iVBORw0KGgo=", "text/plain": "picture"}
    odd = {"width": "1 onerror=attack()", "alt": '" onerror="attack()', "isolated": True}
    shown.append(new_output("display_data", data=picture, metadata={"image/png": odd, "text/html": {"isolated": True}}))
    shown.append(new_output("stream", text=ATTACK))
    shown.append(new_output("error", ename=ATTACK, evalue=ATTACK, traceback=[ATTACK]))
    cells = [
        new_markdown_cell(ATTACK, metadata=answer()),
        new_markdown_cell(f"[link](javascript:attack()) ![p](x){{onerror=attack()}} ${ATTACK}$"),
        new_code_cell(f"x = '''{ATTACK}'''", outputs=shown, metadata=answer("code", grade_id="code")),
        new_raw_cell(ATTACK),
        new_markdown_cell("mine", metadata=answer(grade_id=f'"{ATTACK}')),
        new_markdown_cell("mine", metadata=answer(grade_id="p", points=f'"{ATTACK}')),
    ]
    widgets = {"widgets": {"application/vnd.jupyter.widget-state+json": {"state": {"x": f"</script>{ATTACK}"}}}}
    harmless, attacked = (
        Tags(page(tmp_path, cells, metadata, **names)).found
        for cells, metadata, names in (
            ([new_markdown_cell("mine", metadata=answer())], None, dict.fromkeys(NAMES, "Ada")),
            (cells, widgets, NAMES),
        )
    )
    own = [tag for tag, _ in harmless if tag == "script"]
    assert [tag for tag, _ in attacked if tag == "script"] == own
    assert not [tag for tag, _ in attacked if tag in ("iframe", "object", "embed", "svg")]
    assert sum("onclick" in attributes for _, attributes in attacked) == sum("onclick" in a for _, a in harmless)
    for tag, attributes in attacked:
        events = [name for name in attributes if name.startswith("on") and name != "onclick"]
        assert not events, (tag, attributes)
        assert "javascript:" not in str(attributes.get("href")) + str(attributes.get("src"))


@pytest.mark.filterwarnings("ignore")
def test_what_a_student_wrote_is_shown_and_can_be_marked(tmp_path):
    words = "# My answer\n\nBecause $q$ is *narrow*:\n\n$$\\sigma^2 < 1$$\n\nand `code`."
    outputs = [
        new_output("stream", text="printed"),
        new_output("display_data", data={"image/png": "iVBORw0KGgo=", "text/html": "<b>x</b>"}),
        new_output("error", ename="AssertionError", evalue="off by one", traceback=["\x1b[31moff by one\x1b[0m"]),
    ]
    cells = [
        new_markdown_cell(words, metadata=answer()),
        new_code_cell("y = x + 1", outputs=outputs, metadata=answer("code", grade_id="code")),
    ]
    text = page(tmp_path, cells)
    assert text.count("<math") == 2
    assert ".rendered_html .formula {" in text
    addresses = [a.get("src") or a.get("href") or "" for tag, a in Tags(text).found if tag in ("script", "link", "img")]
    assert not [address for address in addresses if "//" in address]
    assert "<em>narrow</em>" in text
    assert "My answer" in text
    for part in ("printed", "off by one", 'src="data:image/png;base64,iVBORw0KGgo="'):
        assert part in text
    tags = Tags(text).found
    assert {a.get("id") for tag, a in tags if tag == "input" and "score" in a.get("class", "")} == {"words", "code"}
    assert {a.get("id") for tag, a in tags if tag == "textarea"} == {"words-comment", "code-comment"}
