"""What is to be known of an instructor's cell before it is run: its code, and which global names it uses and binds."""

from __future__ import annotations

import ast
import contextlib
import symtable
from collections.abc import Iterable
from functools import lru_cache
from types import CodeType
from typing import Any


@lru_cache(maxsize=1000)
def read_cell(source: str, name: str) -> dict[str, Any]:
    """What is to be known of a cell that is called so in tracebacks, worked out once for all submissions.

    Its ``source`` and ``file``; its ``code``, of all and of the expression at its end, None if it cannot be parsed; and
    the global names that are ``used``, ``used_at_once`` and ``bound``: all of which ``marshal`` can send.
    """
    used, bound = _globals_of(source)
    file, code = f"<{name}>", None
    with contextlib.suppress(SyntaxError, ValueError):
        code = compile_cell(source, file)
    names = {"used": used, "used_at_once": _globals_of(source, at_once=True)[0], "bound": bound}
    return {"source": source, "file": file, "code": code, **names}


def compile_cell(source: str, file: str) -> tuple[CodeType, CodeType | None]:
    """The code of a cell, and that of the expression at its end, if it ends with one."""
    tree = ast.parse(source, file)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    code = compile(tree, file, "exec")
    return code, None if last is None else compile(ast.Expression(last.value), file, "eval")


def imported_modules(sources: Iterable[str]) -> list[str]:
    """The modules that these cells import at their outermost level; of one that cannot be parsed, none."""
    found = set()
    for source in sources:
        with contextlib.suppress(SyntaxError, ValueError):
            for node in ast.parse(source).body:
                if isinstance(node, ast.Import):
                    found |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module)
    return sorted(found)


def _globals_of(source: str, at_once: bool = False) -> tuple[set[str], set[str]]:
    """The global names that a cell uses, and those that it binds at its outermost level.

    With ``at_once``, only what it uses before any of its functions is called. A cell that cannot be parsed has none.
    """
    try:
        if at_once:
            kept = [n for n in ast.parse(source).body if not isinstance(n, ast.FunctionDef | ast.ClassDef)]
            source = ast.unparse(ast.Module(kept, []))
        outermost = symtable.symtable(source, "cell", "exec")
    except (SyntaxError, ValueError):
        return set(), set()
    used, tables = set(), [outermost]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        used |= {
            s.get_name() for s in table.get_symbols() if s.is_referenced() and (table is outermost or s.is_global())
        }
    return used, {s.get_name() for s in outermost.get_symbols() if s.is_assigned() or s.is_imported()}
