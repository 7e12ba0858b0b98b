"""What nbgrader's formgrader shows of a submission: nothing active, and formulas that need no network.

Formgrader shows students' work on pages of the Jupyter server on which the instructor works, as nbconvert shows a
notebook that is trusted: a script in an answer, an output or a name would run with the instructor's rights.
``nbgrader_config.py`` names the pieces here, and the template ``templates/formgrader.html.j2``, at nbconvert's own
extension points.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import jinja2
from markupsafe import Markup, escape
from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode

from .feedback import bare
from .markdown import render_markdown

_GRADE_ID = re.compile(r"[\w.-]+", re.ASCII)
_FOREIGN = re.compile(r"""<script\b[^>]*\bsrc=["'](?:https?:)?//[^>]*>\s*</script>""")
_NAMES = ("student", "first_name", "last_name", "notebook_path")


class Harmless(Preprocessor):
    """Leaves of a submission what can be read: text, pictures, errors, and of the metadata what formgrader needs."""

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """Take out what is active, and have names shown as they are written."""
        nb = bare(nb)
        for cell in nb.cells:
            if not _is_sound(cell.metadata.get("nbgrader", {})):
                cell.metadata.clear()
        resources |= {name: escape(resources[name]) for name in _NAMES if resources.get(name)}
        return nb, resources


@jinja2.pass_context
def markdown_to_html(context: Mapping, source: str) -> Markup:
    """Markdown as a filter of nbconvert's templates, by :func:`.markdown.render_markdown`."""
    return render_markdown(source, (context.get("cell") or {}).get("attachments"))


def without_foreign_scripts(html: str) -> str:
    """A page's head without scripts that are loaded from elsewhere."""
    return _FOREIGN.sub("", html)


def _is_sound(known: Mapping) -> bool:
    """Whether formgrader can put this into a page as it is: it escapes none of it."""
    points = known.get("points", 0)
    name = known.get("grade_id", "")
    return isinstance(points, int | float) and (name == "" or bool(_GRADE_ID.fullmatch(str(name))))
