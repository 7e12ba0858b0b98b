"""The notebook of a page, for places that know neither MyST nor the course: Colab, a bare Jupyter, GitHub's viewer."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urljoin

TARGET = re.compile(r"^\([\w:-]+\)=\n", re.M)
OPTION = re.compile(r"^:([\w-]+):.*$")
FENCE = re.compile(r"^(?P<marks>`{3,}|:{3,})\{(?P<name>[\w:-]+)\}[ \t]*(?P<title>.*)$")
EQUATION = re.compile(r"^\$\$[ \t]*\([\w:-]+\)[ \t]*$", re.M)
ROLE = re.compile(r"\{(?P<name>[\w:-]+)\}`(?P<text>[^`]+)`")
NAMED = re.compile(r"^(?P<words>.*?)\s*<(?P<target>[^<>]+)>$", re.S)
HEADINGS = {"prf:proof": "Proof", "dropdown": "", "margin": "", "admonition": ""}
SHOWN_AS_IS = ("figure", "image", "code-block", "raw", "bibliography", "toctree")


def portable(notebook: dict[str, Any], page: str, setup: str = "") -> dict[str, Any]:
    """The notebook with plain Markdown, without outputs, and with a first code cell that gets what it needs.

    Arguments:
        notebook: In nbformat 4, as MyST-NB writes it.
        page: The address of the published page, to which links that only the book can follow lead.
        setup: The source of a cell to put before the first code cell; nothing where there is no code.
    """
    cells = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] != "code":
            cells.append({**cell, "source": plain(source, page) if cell["cell_type"] == "markdown" else source})
            continue
        if setup and not any(c["cell_type"] == "code" for c in cells):
            cells.append(_code(setup))
        cells.append({**cell, "source": source, "outputs": [], "execution_count": None})
    metadata = {key: value for key, value in notebook["metadata"].items() if key in ("kernelspec", "language_info")}
    return {**notebook, "cells": cells, "metadata": metadata}


def _code(source: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": "setup",
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": source.strip(),
    }


def plain(source: str, page: str) -> str:
    """MyST as plain Markdown: boxes become quotations, references become words or links to the published page."""
    source = TARGET.sub("", source)
    source = EQUATION.sub("$$", source)
    lines = _boxes(source.split("\n"))
    return ROLE.sub(lambda role: _role(role, page), "\n".join(lines))


def _boxes(lines: list[str]) -> list[str]:
    """Write each directive as a quotation under its title; those in it likewise."""
    out: list[str] = []
    i = 0
    while i < len(lines):
        fence = FENCE.match(lines[i])
        end = _end(lines, i + 1, fence["marks"]) if fence else None
        if not fence or end is None:
            out.append(lines[i])
            i += 1
            continue
        out += _box(fence["name"], fence["title"], lines[i + 1 : end])
        i = end + 1
    return out


def _end(lines: list[str], start: int, marks: str) -> int | None:
    """Where the fence closes that opened with ``marks``."""
    depth = 0
    for i in range(start, len(lines)):
        line = lines[i].rstrip()
        inner = FENCE.match(line)
        if inner and inner["marks"] == marks:
            depth += 1
        elif line == marks:
            if depth == 0:
                return i
            depth -= 1
    return None


def _box(name: str, title: str, body: list[str]) -> list[str]:
    while body and OPTION.match(body[0]):
        body = body[1:]
    if name in SHOWN_AS_IS:
        return body if name == "figure" else []
    word = HEADINGS.get(name, name.rpartition(":")[2].replace("-", " ").capitalize())
    head = ". ".join(part for part in (word, title) if part)
    inner = _boxes(body)
    return (
        [f"> **{head}**", ">", *(f"> {line}".rstrip() for line in inner)] if head else [f"> {line}" for line in inner]
    )


def _role(role: re.Match[str], page: str) -> str:
    named = NAMED.match(role["text"])
    words, target = (named["words"], named["target"]) if named else (role["text"], role["text"])
    if role["name"] == "doc":
        return f"[{words if named else target.replace('-', ' ')}]({urljoin(page, target.lstrip('/') + '.html')})"
    if role["name"] in ("ref", "numref", "eq", "prf:ref", "cite", "cite:p", "cite:t", "term"):
        return words if named or role["name"] == "term" else f"[see the page]({page})"
    return f"`{words}`"
