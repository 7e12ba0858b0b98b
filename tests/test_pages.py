"""nbval executes every page and every solution notebook, each as a test of its own.

The build of the book has executed every page on MNIST, where there is MNIST. Here nothing is cached, and the data are
the stand-in: so all that a page asserts holds for a reader without MNIST, too.
"""

import os
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
    environment = {**os.environ, "VAELAB_DATA": "digits"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:]
