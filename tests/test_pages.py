"""nbval executes every page and every solution notebook, each as a test of its own.

This is an independent check beside the build of the book: nothing is cached here.
"""

import subprocess
import sys

import jupytext
import pytest

from coursekit import project

SOURCES = [page for page in project.pages() if page.read_text("utf-8").startswith("---\njupytext:")]


@pytest.mark.slow
@pytest.mark.parametrize("source", [*SOURCES, *project.solutions()], ids=lambda p: p.stem)
def test_notebook_runs_from_top_to_bottom(source, tmp_path):
    notebook = tmp_path / f"{source.stem}.ipynb"
    jupytext.write(jupytext.read(source), notebook)
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-cell-timeout=600", "-q"]
    command += ["-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(notebook)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:]
