"""What is known of an instructor's cell before it is run."""

import marshal

from coursekit.cells import imported_modules, read_cell

CELL = """
import math
from torch import nn

LIMIT = 3

def test():
    assert answer(LIMIT) == math.pi

shown
"""


def test_a_cell_is_read_into_what_can_be_sent() -> None:
    read = marshal.loads(marshal.dumps(read_cell(CELL, "task-1")))
    assert (read["source"], read["file"]) == (CELL, "<task-1>")
    assert {"answer", "shown", "LIMIT"} <= read["used"]
    assert "answer" not in read["used_at_once"]
    assert "shown" in read["used_at_once"]
    assert {"math", "nn", "LIMIT", "test"} <= read["bound"]
    body, last = read["code"]
    names = {"shown": 42}
    exec(body, names)
    assert names["LIMIT"] == 3
    assert eval(last, names) == 42


def test_a_cell_that_cannot_be_parsed_is_left_to_fail_where_it_is_run() -> None:
    for source in ("def (", "x = \0"):
        assert read_cell(source, "broken")["code"] is None


def test_the_modules_that_cells_import_are_found() -> None:
    cells = [
        "import os, a.b as c",
        "from d.e import f",
        "from . import g",
        "%matplotlib inline",
        "def h():\n    import i",
        "print(1)\nimport j",
    ]
    assert imported_modules(cells) == ["a.b", "d.e", "j", "os"]
