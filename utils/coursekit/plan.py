"""What an assignment consists of, read off its source: tasks, the kinds of its cells, and what is secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from nbconvert.filters import strip_ansi
from nbformat import NotebookNode

from .assignments import TASK, read_source, tells
from .errors import CourseError
from .regions import split_regions

_LINK = re.compile(r"\[([^\]\n]+)\]\(([^)\s#]+\.md)(?:#[^)\s]*)?\)")


class Task(NamedTuple):
    """A part of the assignment that has points and a heading of its own."""

    title: str
    pages: tuple[tuple[str, str], ...]
    """Pages that its text links to: each a label and a path, such as ``book/elbo``."""


class Plan(NamedTuple):
    """What an assignment consists of, as its source says."""

    title: str
    tasks: tuple[Task, ...]
    place: dict[str, int]
    """For each cell that nbgrader knows, the position of its task, or -1 if it stands before all tasks."""
    kind: dict[str, str]
    """For each of them ``visible`` or ``hidden`` (tests), ``answer``, or ``given``."""
    pages: tuple[tuple[str, str], ...]
    """Pages that the assignment asks to have read."""
    secrets: frozenset[str]
    """Lines of hidden tests and mark schemes that tell something and stand nowhere else, with single spaces."""
    public: frozenset[str]
    """Lines that every student reads, with single spaces."""


def read_plan(notebook: NotebookNode) -> Plan:
    """Read off an instructor's notebook what the parts of the assignment are."""
    title, headings, texts = "", [], [""]
    place, kind, secrets, public = {}, {}, set(), set()
    for cell in notebook.cells:
        shown, found = parted(cell.source, keep_solutions=False)
        public |= {single_spaced(line) for line in shown.splitlines()}
        if cell.cell_type == "markdown":
            title = title or next((line[2:].strip() for line in shown.splitlines() if line.startswith("# ")), "")
            for line in shown.splitlines():
                if TASK.match(line):
                    headings.append(line[3:].strip())
                    texts.append("")
                texts[-1] += line + "\n"
        if name := grade_id(cell):
            place[name], kind[name] = len(headings) - 1, kind_of(cell)
            if kind[name] != "answer":
                secrets |= found
    tasks = tuple(Task(heading, _pages(text)) for heading, text in zip(headings, texts[1:], strict=True))
    return Plan(title, tasks, place, kind, _pages(texts[0]), frozenset(secrets - public), frozenset(public))


def kind_of(cell: NotebookNode) -> str:
    """One of the kinds of ``Plan.kind``, as the cell itself says."""
    metadata = _metadata(cell)
    if metadata.get("solution") or metadata.get("task"):
        return "answer"
    if not metadata.get("grade"):
        return "given"
    return "hidden" if any(kind == "HIDDEN TESTS" for _, kind in split_regions(cell.source)) else "visible"


def _pages(text: str) -> tuple[tuple[str, str], ...]:
    """The links to pages of the course in a text, each with its path from the root of the course."""
    found = {path.lstrip("./").removesuffix(".md"): label.strip("`* ") for label, path in _LINK.findall(text)}
    return tuple((label, path) for path, label in found.items() if not path.startswith(("http:", "https:")))


def grade_id(cell: NotebookNode) -> str | None:
    """The name by which nbgrader knows a cell, if it has one."""
    name = _metadata(cell).get("grade_id")
    return name if isinstance(name, str) and name else None


def _metadata(cell: NotebookNode) -> Mapping:
    metadata = cell.metadata.get("nbgrader")
    return metadata if isinstance(metadata, Mapping) else {}


def course_plan(name: str, root: Path) -> Plan | None:
    """The plan of an assignment of the course in ``root``; None if the course has no such source."""
    path = Path(root) / "solutions" / name / f"{name}.md"
    return _course_plan(name, Path(root), path.stat().st_mtime_ns) if path.is_file() else None


@lru_cache(maxsize=32)
def _course_plan(name: str, root: Path, changed: int) -> Plan | None:
    try:
        return read_plan(read_source(name, root))
    except CourseError:
        return None


def plan_of(resources: Mapping, config: Mapping, nb: NotebookNode) -> Plan:
    """The plan by the course's source, or else by the notebook itself."""
    name = resources.get("nbgrader", {}).get("assignment")
    return (course_plan(str(name), course_root(config)) if name else None) or read_plan(nb)


def course_root(config: Mapping) -> Path:
    """The course's folder; nbgrader's converters work in it if the settings do not name it."""
    return Path(str(config.get("CourseDirectory", {}).get("root") or "."))


def parted(source: str, keep_solutions: bool) -> tuple[str, set[str]]:
    """What may be shown of a source, and the secret lines that tell something, with single spaces."""
    lines = list(split_regions(source))
    kinds = {kind for _, kind in lines if kind is not None}
    if not kinds or (keep_solutions and kinds == {"SOLUTION"}):
        return source, set()
    shown = "\n".join(line for line, kind in lines if kind is None or (keep_solutions and kind == "SOLUTION"))
    secrets = {single_spaced(line) for line, kind in lines if kind in ("HIDDEN TESTS", "MARK SCHEME")}
    if not keep_solutions:
        secrets |= {single_spaced(line) for line, kind in lines if kind == "SOLUTION"}
    return shown, set(filter(tells, secrets))


def single_spaced(text: str) -> str:
    """Text without colours, and with one space for each stretch of white space."""
    return " ".join(strip_ansi(text).split())
