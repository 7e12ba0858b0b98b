"""What feedback shows: a student's own work and what the tests say about it, and nothing that is secret.

nbgrader's own feedback contains the hidden tests, in the test cells and in the tracebacks of failed ones.
``nbgrader_config.py`` names three pieces here, at nbgrader's own extension points: ``Grades`` and ``KeepSecrets`` are
preprocessors, the second of which takes out whatever is secret or active; ``FeedbackPage`` is the exporter, which makes
one HTML file without scripts that loads nothing. What the cells are, and which lines are secret, is read from the
assignment's source; what a submitted notebook says of itself is believed only where there is no source.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import Any

from nbconvert.exporters import Exporter
from nbformat import NotebookNode, from_dict
from nbgrader.api import Gradebook
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Unicode, default

from .page import WITHHELD, Mark, Record, templates, view, web_address
from .plain import LONGEST_TEXT, PICTURES, clean, joined, shorten
from .plan import course_root, grade_id, kind_of, parted, plan_of, single_spaced

NOTE = "# Hidden tests ran here."
SAFE_OUTPUTS = ("text/plain", *PICTURES)
WIDTH = 76
MOST_OUTPUTS = 40
"""Outputs shown of one cell; streams that follow each other count once."""

_NUMBERED = re.compile(r"^\s*(?:-+>)?\s*\d+ ?(.*)$")


class Grades(NbGraderPreprocessor):
    """Reads a submission's points and comments from the gradebook into ``resources["feedback"]``.

    nbgrader's ``GetGrades`` writes them into the cells, and relies on what the notebook says of its cells.
    """

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """Leave the notebook as it is; add the ``Record``."""
        names = resources["nbgrader"]
        course = self.config.get("CourseDirectory", {}).get("course_id") or "default_course"
        with Gradebook(names["db_url"], str(course)) as book:
            found = book.find_submission_notebook(names["notebook"], names["assignment"], names["student"])
            marks = {
                grade.name: Mark(float(grade.score), float(grade.max_score), bool(grade.needs_manual_grade))
                for grade in found.grades
            }
            comments = {c.name: c.manual_comment for c in found.comments if c.manual_comment}
            penalty = float(found.late_submission_penalty or 0)
            score, max_score = float(found.score), float(found.max_score)
        resources["feedback"] = Record(marks, comments, max(0.0, score - penalty), max_score, penalty)
        return nb, resources


class KeepSecrets(NbGraderPreprocessor):
    """Blanks secret regions, shortens the errors of tests to their message, drops active outputs.

    Only the instructor's cells have secret regions; an answer is shown as the student wrote it. An
    output in which a line of a secret region occurs is withheld, wherever it stands.
    """

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """Clean the whole notebook."""
        truth = plan_of(resources, self.config, nb)
        secrets = set(truth.secrets)
        for cell in nb.cells:
            kind = truth.kind.get(grade_id(cell), "given") if truth.kind else kind_of(cell)
            cell.metadata["coursekit"] = kind
            secrets |= _blank(cell) - truth.public
        shown = {line.strip() for cell in nb.cells if cell.cell_type == "code" for line in cell.source.splitlines()}
        for cell in nb.cells:
            of_a_test = cell.metadata["coursekit"] in ("visible", "hidden")
            if cell.cell_type == "code":
                outputs = [_safe(output, of_a_test, shown) for output in _few(cell.outputs)]
                cell.outputs = [_short(_without(secrets, output)) for output in outputs]
            else:
                cell.pop("outputs", None)
        return nb, resources


def _blank(cell: NotebookNode) -> set[str]:
    """Take the secret regions out of a cell; return the lines that tell something.

    A student's own answer may contain nbgrader's markers of a solution, and they mean nothing there. Hidden tests
    and mark schemes are nobody's answer: whatever the notebook says of such a cell, they are taken out.
    """
    source, secrets = parted(cell.source, keep_solutions=cell.metadata["coursekit"] == "answer")
    cell.source = source if source.strip() or not secrets or cell.cell_type != "code" else NOTE
    return secrets


def _few(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """The first outputs, with streams that follow each other put together, and a note on what is left out."""
    few: list[NotebookNode] = []
    for position, output in enumerate(outputs):
        last = few[-1] if few else {}
        if output.output_type == "stream" == last.get("output_type") and output.get("name") == last.get("name"):
            last["parts"].append(str(output.get("text", "")))
        elif len(few) == MOST_OUTPUTS:
            words = f"({len(outputs) - position:,} further outputs are not shown.)\n"
            few.append(NotebookNode(output_type="stream", name="note", text=words, parts=[words]))
            break
        else:
            if output.output_type == "stream":
                output = NotebookNode(output_type="stream", name=str(output.get("name")), text="")
                output["parts"] = [str(outputs[position].get("text", ""))]
            few.append(output)
    for output in few:
        if output.output_type == "stream":
            output.text = "".join(output.pop("parts"))
            output.name = "stderr" if output.name == "stderr" else "stdout"
    return few


def _safe(output: NotebookNode, of_a_test: bool, shown: set[str]) -> NotebookNode:
    """The output without anything active, and without code that the student did not write."""
    if output.output_type == "error":
        output.ename, output.evalue = _cut(output.get("ename", "")), _cut(output.get("evalue", ""))
        if of_a_test:
            lines = ": ".join(filter(None, [output.ename, output.evalue])).splitlines()
            output.traceback = [textwrap.fill(line, WIDTH) for line in lines]
        else:
            frames = [_cut(frame) for frame in output.get("traceback", [])[:MOST_OUTPUTS]]
            output.traceback = [*_own_frames(frames, shown), _message(output)]
    elif output.output_type in ("display_data", "execute_result"):
        output.data = NotebookNode({k: joined(v) for k, v in output.data.items() if k in SAFE_OUTPUTS})
        output.metadata = NotebookNode()
        if "text/plain" in output.data:
            output.data["text/plain"] = _cut(output.data["text/plain"])
    else:
        output.text = _cut(output.get("text", ""))
    return output


def _cut(value: object) -> str:
    """A text, cleaned; of a long one somewhat more than will be shown, so that no secret hides at the end."""
    return clean(str(joined(value))[: 2 * LONGEST_TEXT])


def _short(output: NotebookNode) -> NotebookNode:
    """The output with no text longer than the page can show."""
    if output.output_type == "error":
        output.evalue = shorten(output.evalue)
        output.traceback = shorten("\n".join(output.traceback)).split("\n")
    elif output.output_type == "stream":
        output.text = shorten(output.text)
    elif "text/plain" in output.data:
        output.data["text/plain"] = shorten(output.data["text/plain"])
    return output


def _own_frames(frames: list[str], shown: set[str]) -> list[str]:
    """Of a traceback, the steps in the student's own cells: each line of code must be one that the page shows."""
    kept = []
    for frame in frames:
        lines = frame.splitlines()
        code = [match[1].strip() for line in lines[1:] if (match := _NUMBERED.match(line))]
        if lines and lines[0].lstrip().startswith("Cell In[") and code and all(c in shown or not c for c in code):
            kept.append(frame.strip("\n") + "\n")
    return kept


def _message(error: NotebookNode) -> str:
    return ": ".join(filter(None, [error.ename, error.evalue]))


def _without(secrets: set[str], output: NotebookNode) -> NotebookNode:
    """The output, or a note in its place if it contains a secret line."""
    if output.output_type == "error":
        text = "\n".join([output.ename, output.evalue, *output.traceback])
    else:
        text = str(output.get("text") or output.get("data", {}).get("text/plain", ""))
    text = single_spaced(text)
    if any(secret in text for secret in secrets):
        return NotebookNode(output_type="stream", name="stdout", text=WITHHELD)
    return output


class FeedbackPage(Exporter):
    """One HTML file for one student, without scripts, which loads nothing."""

    book_address = Unicode("", help="Where the course's book is published; links to its pages lead there.").tag(
        config=True
    )
    output_mimetype = "text/html"
    export_from_notebook = "Feedback of a course"

    @default("file_extension")
    def _file_extension_default(self) -> str:
        return ".html"

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **kw: Any) -> tuple[str, dict]:
        """The page as a text."""
        nb, resources = super().from_notebook_node(bare(nb), resources, **kw)
        book = web_address(self.book_address)
        facts = view(
            nb,
            plan_of(resources, self.config, nb),
            resources["feedback"],
            resources.get("nbgrader", {}),
            course_root(self.config),
            book,
        )
        return templates().get_template("feedback.html.j2").render(facts), resources


def bare(nb: NotebookNode) -> NotebookNode:
    """The notebook with nothing in it but what a page may show: nbconvert refuses or trusts whatever is beside it."""
    cells = [_bare_cell(cell) for cell in nb.cells if cell.get("cell_type") in ("code", "markdown", "raw")]
    return from_dict({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})


def _bare_cell(cell: Mapping) -> dict:
    known = (cell.get("metadata") or {}).get("nbgrader")
    metadata = {"nbgrader": dict(known)} if isinstance(known, Mapping) else {}
    kept = {"cell_type": cell["cell_type"], "metadata": metadata, "source": str(joined(cell.get("source", "")))}
    if cell["cell_type"] == "code":
        outputs = cell.get("outputs") or []
        return kept | {"execution_count": None, "outputs": [o for o in map(_bare_output, outputs) if o]}
    attachments = cell.get("attachments")
    attachments = attachments if isinstance(attachments, Mapping) else {}
    bundles = {str(k): _bare_data(v, PICTURES) for k, v in attachments.items() if isinstance(v, Mapping)}
    return kept | {"attachments": bundles}


def _bare_output(output: Mapping) -> dict | None:
    kind = output.get("output_type")
    if kind == "stream":
        text = str(joined(output.get("text", "")))
        return {"output_type": kind, "name": str(output.get("name", "stdout")), "text": text}
    if kind == "error":
        frames = output.get("traceback")
        frames = [str(frame) for frame in frames] if isinstance(frames, list) else []
        words = {key: str(output.get(key, "")) for key in ("ename", "evalue")}
        return {"output_type": kind, **words, "traceback": frames}
    if kind in ("display_data", "execute_result") and isinstance(output.get("data"), Mapping):
        return {"output_type": "display_data", "data": _bare_data(output["data"], SAFE_OUTPUTS), "metadata": {}}
    return None


def _bare_data(data: Mapping, kinds: tuple[str, ...]) -> dict[str, str]:
    return {kind: str(joined(data[kind])) for kind in kinds if isinstance(data.get(kind), str | list)}
