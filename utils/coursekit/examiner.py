"""The process that runs the tests of one submission, out of reach of the student's code.

:mod:`coursekit.execution` starts it, sends it the instructor's cells one by one, and gets back what they put out. A
test that calls a student's function reaches it through :mod:`coursekit.bridge`; so tests are written as for one
interpreter.

A name that the instructor's own cells do not define is the student's. It is looked up in the notebook's kernel. What a
test puts into ``globals()`` while it runs is put there too, so that it can replace one of the student's functions.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import json
import linecache
import marshal
import os
import sys
import traceback
import types
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

from .bridge import BridgeError, Peer
from .cells import compile_cell
from .plainfiles import LARGEST_FILES, MOST_FILES, is_plain_name

LONGEST_OUTPUT = 100_000


def main(control: str, key: str, address: str, bridge_key: str) -> None:
    """Answer the requests that come through ``control`` until it is closed.

    Arguments:
        control: Address of the process that grades.
        key: Its key, in hexadecimal.
        address: Where to wait for the student's kernel.
        bridge_key: The key that the kernel will have, in hexadecimal.
    """
    os.environ.setdefault("MPLBACKEND", "agg")
    with Listener(address, authkey=bytes.fromhex(bridge_key)) as listener:
        if os.name == "posix":
            os.chmod(address, 0o666)  # the student's kernel has another user's rights; its folder is private
        with Client(control, authkey=bytes.fromhex(key)) as parent:
            examiner = Examiner(listener)
            with contextlib.suppress(EOFError, OSError):
                while True:
                    request = marshal.loads(parent.recv_bytes())
                    _send(parent, examiner.run(**request))


def _send(parent: Connection, reply: dict) -> None:
    parent.send_bytes(json.dumps(reply).encode())


class Examiner:
    """Runs instructors' cells; borrows what they do not define from the student's kernel."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.names = Namespace(__name__="__main__", __builtins__=builtins)
        self.borrowed: set[str] = set()
        self.own: set[str] = set()
        self.files: dict[str, list[int]] = {}

    def run(self, cell: dict[str, Any], test: bool, leaves: bool = False) -> dict[str, Any]:
        """Run a cell and return its outputs, as a notebook has them.

        Arguments:
            cell: What :func:`coursekit.cells.read_cell` makes of it.
            test: Whether it is a test. Another cell prepares the tests; it is skipped if it uses what is the student's,
                because then it is only there for the student to see.
            leaves: Whether what the cell leaves behind is the student's to use: a visible check's is.
        """
        import torch

        torch.set_grad_enabled(True)
        used, bound = cell["used"], cell["bound"]
        wanted = used - bound - self.own - set(dir(builtins))
        foreign = {n for n in wanted if n in self.borrowed or n not in self.names}
        if not test and cell["used_at_once"] & foreign:
            return {"outputs": [], "lost": ""}
        # A name that a cell is to define stays the tests' own, also if the cell fails before it gets there.
        self.own |= bound
        theirs = {n: self.names.get(n) for n in bound & self.borrowed}
        self.borrowed -= bound
        lost = ""
        try:
            if test:
                self._borrow(foreign)
            before = dict(self.names)
            outputs = self._execute(cell)
            if leaves:
                self._leave(before)
        except Exception as error:  # a test's own became its output
            outputs, lost = [_error(error, [f"{type(error).__name__}: {error}"])], str(error) or type(error).__name__
        finally:
            for taken, value in theirs.items():
                if self.names.get(taken) is value:
                    dict.pop(self.names, taken, None)
            with contextlib.suppress(Exception):
                if test and self.names.peer is not None:
                    self.names.peer.ask("pause")
        return {"outputs": outputs, "lost": lost}

    def _borrow(self, wanted: set[str]) -> None:
        if self.names.peer is None:
            self.names.peer = Peer(self.listener.accept())
        peer = self.names.peer
        self._fetch_files()
        for name in wanted & self.borrowed:
            dict.pop(self.names, name, None)
        found = wanted & set(peer.ask("names"))
        for name in found:
            dict.__setitem__(self.names, name, peer.ask("lookup", name))
        self.borrowed |= found

    def _fetch_files(self) -> None:
        """Bring this process's folder in step with the notebook's: its plain files, as they are now."""
        changed, gone = self.names.peer.ask("files", self.files)
        for name in gone:
            if self.files.pop(name, None):
                Path(name).unlink(missing_ok=True)
        total = sum(size for size, _ in self.files.values())
        for name, state, content in changed:
            total += len(content)
            if not is_plain_name(name) or total > LARGEST_FILES or len(self.files) >= MOST_FILES:
                raise BridgeError("the notebook's files cannot be copied: their names or sizes are not in order")
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_bytes(content.tobytes())
            self.files[name] = [int(state[0]), int(state[1])]

    def _leave(self, before: dict[str, Any]) -> None:
        kept = (type, types.FunctionType, types.ModuleType)
        for name, value in self.names.items():
            if before.get(name, before) is not value and not isinstance(value, kept):
                self.names.peer.ask("assign", name, value)
                self.borrowed.discard(name)

    def _execute(self, cell: dict[str, Any]) -> list[dict]:
        shown, result, outputs = io.StringIO(), None, []
        source, file = cell["source"], cell["file"]
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        try:
            with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
                body, last = cell["code"] or compile_cell(source, file)
                exec(body, self.names)
                if last is not None:
                    result = eval(last, self.names)
        except BridgeError:
            raise
        except BaseException as error:
            outputs.append(_error(error, traceback.format_exception(error)))
        text = shown.getvalue()[:LONGEST_OUTPUT]
        if text:
            outputs.insert(0, {"output_type": "stream", "name": "stdout", "text": text})
        if result is not None:
            data = {"text/plain": repr(result)[:LONGEST_OUTPUT]}
            outputs.append({"output_type": "execute_result", "execution_count": None, "metadata": {}, "data": data})
        return outputs


class Namespace(dict):
    """The globals of the tests. What a function puts into ``globals()`` is put into the student's notebook too."""

    peer: Peer | None = None

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        # A cell's own definitions come from its outermost level, and are nobody else's business.
        if self.peer is not None and sys._getframe(1).f_code.co_name != "<module>":
            self.peer.ask("assign", name, value)

    def update(self, *others: Any, **named: Any) -> None:
        """As a dict's."""
        for name, value in dict(*others, **named).items():
            super().__setitem__(name, value)
            if self.peer is not None:
                self.peer.ask("assign", name, value)


def _error(error: BaseException, lines: list[str]) -> dict:
    text = str(error)[:LONGEST_OUTPUT]
    trace = "".join(lines)[-LONGEST_OUTPUT:].splitlines()
    return {"output_type": "error", "ename": type(error).__name__, "evalue": text, "traceback": trace}
