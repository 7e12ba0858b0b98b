"""What feedback may show: a student's own work and what the tests say, nothing that is secret.

nbgrader's feedback contains the hidden tests, in the test cells and in the tracebacks of failed
ones. ``nbgrader_config.py`` names the two pieces here that take them out: a preprocessor, which
runs after nbgrader's ``GetGrades``, and a Markdown filter, which lets no HTML through.
"""

import textwrap

import jinja2
from nbconvert.filters import strip_ansi
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_grade, is_solution

from .regions import split_regions

NOTE = "# Hidden tests ran here."
WITHHELD = "(This output is not shown, because it contains text of a hidden test.)\n"
SAFE_OUTPUTS = ("text/plain", "image/png", "image/jpeg")
PICTURES = ("image/png", "image/jpeg")
SHORTEST_SECRET = 12
WIDTH = 76


class KeepSecrets(NbGraderPreprocessor):
    """Blanks secret regions, shortens the errors of tests to their message, drops active outputs.

    Only the instructor's cells have secret regions; an answer is shown as the student wrote it. An
    output in which a line of a secret region occurs is withheld, wherever it stands.
    """

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """Clean the whole notebook."""
        secrets = set()
        for cell in nb.cells:
            secrets |= _blank(cell)
        for cell in nb.cells:
            if cell.cell_type == "code":
                outputs = [_safe(output, is_grade(cell)) for output in cell.outputs]
                cell.outputs = [_without(secrets, output) for output in outputs]
        return nb, resources


def _blank(cell: NotebookNode) -> set[str]:
    """Take the secret regions out of an instructor's cell; return the lines that tell something."""
    if is_solution(cell):
        return set()
    lines = list(split_regions(cell.source))
    shown = "\n".join(line for line, kind in lines if kind is None)
    cell.source = shown if shown.strip() or cell.cell_type != "code" else NOTE
    secrets = {_plain(line) for line, kind in lines if kind is not None}
    return {line for line in secrets if len(line) >= SHORTEST_SECRET}


def _safe(output: NotebookNode, of_a_test: bool) -> NotebookNode:
    """The output without anything active, and without the code of a test that failed."""
    if output.output_type == "error" and of_a_test:
        lines = ": ".join(filter(None, [output.ename, output.evalue])).splitlines()
        output.traceback = [textwrap.fill(line, WIDTH) for line in lines]
    elif output.output_type in ("display_data", "execute_result"):
        output.data = NotebookNode({k: v for k, v in output.data.items() if k in SAFE_OUTPUTS})
        output.metadata = NotebookNode()
    return output


def _without(secrets: set[str], output: NotebookNode) -> NotebookNode:
    """The output, or a note in its place if it contains a secret line."""
    if output.output_type == "error":
        text = "\n".join([output.ename, output.evalue, *output.traceback])
    else:
        text = str(output.get("text") or output.get("data", {}).get("text/plain", ""))
    text = _plain(text)
    if any(secret in text for secret in secrets):
        return NotebookNode(output_type="stream", name="stdout", text=WITHHELD)
    return output


def _plain(text: str) -> str:
    """Text without colours, and with one space for each stretch of white space."""
    return " ".join(strip_ansi(text).split())


@jinja2.pass_context
def markdown_to_html(context: jinja2.runtime.Context, source: str) -> str:
    """Markdown as nbconvert renders it, but with raw HTML shown as text and unsafe links cut."""
    cell = context.get("cell") or {}
    pictures = _Pictures(cell.get("attachments", {}))
    renderer = IPythonRenderer(escape=True, allow_harmful_protocols=False, attachments=pictures, anchor_link_text="")
    return MarkdownWithMath(renderer=renderer).render(source)


class _Pictures(dict):
    """A cell's attached pictures by name; a name that is not attached gives none, not an error."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> dict[str, str]:
        return {"image/png": ""}

    def __getitem__(self, name: str) -> dict[str, str]:
        found = super().__getitem__(name)
        return {k: v for k, v in found.items() if k in PICTURES} or {"image/png": ""}
