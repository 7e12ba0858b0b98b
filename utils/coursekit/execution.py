"""Running a submission: the student's cells in a kernel, the tests in a process of their own.

:class:`ExecuteApart` takes the place of nbgrader's ``Execute`` in its autograder (``nbgrader_config.py`` names it).
Each submission gets two processes, both forked from one that has imported torch (:mod:`coursekit.warm`):

- the **kernel** runs the student's cells, and nothing else. It sees its own working folder and the course's library;
- the **examiner** runs the tests, visible and hidden, and calls the student's functions across a socket. It works in a
  folder of its own, into which the plain files are copied that were handed in and that the notebook has written.

So no test is ever in reach of a student's code: not in its interpreter, its history or its folder. Whatever that code
changes there (torch, builtins, IPython, the kernel itself), the tests compare with a torch of their own. What the tests
put out becomes the output of their cells, and nbgrader takes the points from it as always.
"""

from __future__ import annotations

import contextlib
import json
import marshal
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

import nbformat
from nbclient.exceptions import DeadKernelError
from nbclient.util import run_sync
from nbformat import NotebookNode
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import Execute
from nbgrader.utils import is_grade, is_solution
from traitlets import Bool, Dict, Integer, List, Unicode

from . import warm
from .cells import read_cell
from .sandbox import Limits, Sandbox

REPORT = "coursekit"  # the notebook's metadata under which the report of this run stands
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
ANSWER = 5  # seconds that a process has to react to being interrupted
LONGEST_PRINT = 20_000
MOST_REPLIES = 100
MOST_OUTPUT = 20_000_000  # characters of all outputs of a notebook
ENDLESS_OUTPUT = 50 * MOST_OUTPUT


class ExecuteApart(Execute):
    """Executes a submission with its tests apart from it."""

    sandboxed = Bool(True, help="Isolate the student's kernel as far as this machine can.").tag(config=True)
    total_timeout = Integer(480, help="Seconds for a whole notebook; cells that are left then fail.").tag(config=True)
    memory = Integer(Limits().memory, help="Bytes of memory for the student's kernel.").tag(config=True)
    readable = List(Unicode(), help="Folders, such as of data, that a notebook may read.").tag(config=True)
    variables = Dict(help="Variables of the environment, with which notebooks and tests run.").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: dict, km: Any = None) -> tuple[NotebookNode, dict]:
        """Execute the notebook; its metadata then say what a person should know, and how long the steps took."""
        self.flags: list[str] = []
        self.seconds = {"kernel start": 0.0, "cells": 0.0, "tests": 0.0}
        self.over = ""  # why the rest of the notebook is not run, once it is not
        self.deadline = time.monotonic() + self.total_timeout
        self.preparations = self._read_preparations(resources)
        self.characters = 0  # of outputs so far
        self.watchdog = threading.Timer(0, lambda: None)
        folder = Path(resources["metadata"]["path"]).resolve()
        with tempfile.TemporaryDirectory(prefix="grade-") as scratch:
            self.runtime, self.private = Path(scratch, "kernel"), Path(scratch, "examiner")
            for place in (self.runtime, self.private, self.private / "work"):
                place.mkdir(mode=0o700)
            readable = tuple(Path(folder) for folder in self.readable if Path(folder).is_dir())
            sandbox = Sandbox(Limits(memory=self.memory), readable) if self.sandboxed else None
            stage = os.environ.get("NBGRADER_EXECUTION", "autograde")
            environment = {**ENVIRONMENT, **self.variables, "NBGRADER_EXECUTION": stage}
            self.km_given = warm.kernel_manager(
                cwd=folder, runtime=self.runtime, env=environment, log=self.private / "kernel.log", sandbox=sandbox
            )
            try:
                with self._examiner(environment):
                    try:
                        super().preprocess(nb, resources, km=self.km_given)
                    finally:
                        self.watchdog.cancel()
                        ending = threading.Thread(target=self.examiner.kill)  # while the kernel ends
                        ending.start()
                        self._stop_kernel()
                        ending.join()
            except (RuntimeError, OSError, TimeoutError) as error:
                self.flags.append(f"the notebook could not be run to its end ({type(error).__name__}: {error})")
                self._fail_rest(nb)
        for cell in nb.cells:
            cell.get("metadata", {}).pop("coursekit_ran", None)
        nb.metadata[REPORT] = {"flags": list(dict.fromkeys(self.flags)), "seconds": self.seconds}
        return nb, resources

    # ---- cells

    def preprocess_cell(self, cell: NotebookNode, resources: dict, index: int) -> tuple[NotebookNode, dict]:
        """Run a cell where it belongs."""
        self._check_assign_resources(resources)
        if cell.cell_type != "code":
            return cell, self.resources
        test = is_grade(cell) and not is_solution(cell)
        # nbgrader gives all the points to a test that puts out nothing: so it never does before it has been run.
        cell.outputs = [_failure("NotRun", "This test did not come to its end.")] if test else []
        cell.metadata["coursekit_ran"] = True
        if not self.over and time.monotonic() > self.deadline:
            self._give_up(f"the whole notebook took longer than {self.total_timeout} seconds")
        if self.over:
            if test or cell.source.strip():
                cell.outputs = [_failure("NotRun", f"This cell was not run, because {self.over}.")]
        elif test:
            with self._clock("tests"):
                self._prepare(cell)
                self._examine(cell)
        else:
            with self._clock("cells"):
                self._run_students(cell, index)
        return cell, self.resources

    def start_new_kernel_client(self) -> Any:
        """As nbclient's. The time of the notebook counts from here: the first process to fork from takes long."""
        with self._clock("kernel start"):
            started = super().start_new_kernel_client()
            self.control: Connection = self.listener.accept()  # the examiner has started meanwhile
        self.deadline = time.monotonic() + self.total_timeout
        self.watchdog = threading.Timer(self.total_timeout + 2 * ANSWER, self._kill)
        self.watchdog.daemon = True
        self.watchdog.start()
        return started

    def process_message(self, msg: dict, cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        """As nbclient's, until the outputs of the notebook are too long."""
        if msg["msg_type"] != "status":
            self.characters += len(repr(msg["content"]))
            if self.characters > MOST_OUTPUT:
                self.flags.append("very long outputs were left out")
                if self.characters > ENDLESS_OUTPUT:  # faster than it can be read, it would fill this process
                    self.km_given.provisioner.process.kill()
                return None
        return super().process_message(msg, cell, cell_index)

    @contextlib.contextmanager
    def _clock(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[step] += time.perf_counter() - start

    def _run_students(self, cell: NotebookNode, index: int) -> None:
        try:
            self.execute_cell(cell, index, store_history=True)
        except DeadKernelError:
            cell.outputs.append(_failure("DeadKernelError", "The kernel died while this cell ran."))
            self._give_up(f"the kernel died in {_called(cell, index)}")
        except Exception as error:  # nbclient's own: no answer in time, or one that cannot be read
            cell.outputs.append(_failure(type(error).__name__, str(error)[:1000]))
            self._give_up(f"the kernel stopped answering in {_called(cell, index)}")
        if any(o.output_type == "error" and o.ename == "CellTimeoutError" for o in cell.outputs):
            self.flags.append(f"{_called(cell, index)} took longer than {self.timeout} seconds")

    def _prepare(self, cell: NotebookNode) -> None:
        """Let the examiner run the instructor's cells that stand before a test, from the assignment's own notebook."""
        name = cell.metadata.nbgrader.grade_id
        while self.preparations and name in self.positions:
            position, source = self.preparations[0]
            if position > self.positions[name]:
                break
            self.preparations.pop(0)
            self._ask_examiner(cell=read_cell(source, f"cell {position}"), test=False, seconds=self.timeout)

    def _examine(self, cell: NotebookNode) -> None:
        name = cell.metadata.nbgrader.grade_id
        visible = "BEGIN HIDDEN TESTS" not in cell.source
        serving = self._serve()
        asked = read_cell(cell.source, name)
        reply = self._ask_examiner(cell=asked, test=True, leaves=visible, seconds=self.timeout)
        printed = self._end_serving(serving)
        if reply is None:
            seconds = self.timeout
            cell.outputs = [_failure("TimeoutError", f"This test was stopped after {seconds} seconds: {SLOW}")]
            self.flags.append(f"the test {name} took longer than {seconds} seconds")
            return
        cell.outputs = [nbformat.from_dict(output) for output in reply["outputs"]]
        if reply["lost"]:
            self.flags.append(f"the test {name} could not reach the notebook: {reply['lost'][:200]}")
        if printed:
            cell.outputs.insert(0, nbformat.v4.new_output("stream", name="stdout", text=printed))

    # ---- the kernel

    def _serve(self) -> str:
        """Make the student's kernel answer the examiner; return the request's number."""
        code = (
            "__import__('importlib').import_module('coursekit.bridge')"
            f".attach({self.address!r}, {self.bridge_key!r}, get_ipython().user_ns)"
        )
        return self.kc.execute(code, silent=False, store_history=False, allow_stdin=False)

    def _end_serving(self, request: str) -> str:
        """Wait until the kernel is at rest; return what the student's functions printed for the tests."""
        return run_sync(self._async_end_serving)(request)

    async def _async_end_serving(self, request: str) -> str:
        printed: list[str] = []
        deadline, interrupted = time.monotonic() + ANSWER, False
        while True:
            kind, content = "", {}
            with contextlib.suppress(Exception):  # nothing came, or nothing that can be read
                message = await self.kc.get_iopub_msg(timeout=max(0.05, min(0.5, deadline - time.monotonic())))
                if message["parent_header"]["msg_id"] == request:
                    kind, content = message["msg_type"], dict(message["content"])
            if kind == "stream" and sum(map(len, printed)) < LONGEST_PRINT:
                printed.append(str(content.get("text", ""))[:LONGEST_PRINT])
            if kind == "status" and content.get("execution_state") == "idle":
                break
            if not await self.km.is_alive():
                self._give_up("the kernel died while a test called the notebook's functions")
                break
            if time.monotonic() > deadline:
                if interrupted:
                    self._give_up("the kernel did not come back from a test")
                    break
                await self.km.interrupt_kernel()
                deadline, interrupted = time.monotonic() + ANSWER, True
        with contextlib.suppress(Exception):  # the reply to the request, which nobody else reads
            for _ in range(MOST_REPLIES):
                reply = await self.kc.get_shell_msg(timeout=0.01)
                if reply["parent_header"]["msg_id"] == request:
                    break
        return "".join(printed)

    def _give_up(self, why: str) -> None:
        self.over = self.over or why
        self.flags.append(why)
        self._stop_kernel()

    def _kill(self) -> None:
        """End what keeps on talking, whatever this process waits for; called from another thread."""
        self.flags.append(f"the whole notebook took longer than {self.total_timeout} seconds")
        with contextlib.suppress(Exception):
            self.km_given.provisioner.process.kill()
        with contextlib.suppress(Exception):
            self.examiner.kill()

    def _stop_kernel(self) -> None:
        with contextlib.suppress(Exception):
            if self.kc is not None:
                self.kc.stop_channels()
        with contextlib.suppress(Exception):
            run_sync(self.km_given.shutdown_kernel)(now=True)

    # ---- the examiner

    @contextlib.contextmanager
    def _examiner(self, environment: dict[str, str]):
        """The process that runs the tests, with its two sockets."""
        key, self.bridge_key = secrets.token_hex(16), secrets.token_hex(16)
        control, self.address = _address(self.private, "control"), _address(self.runtime, "tests")
        with Listener(control, authkey=bytes.fromhex(key)) as self.listener:
            self.examiner = warm.spawn(
                "coursekit.examiner:main",
                {"control": control, "key": key, "address": self.address, "bridge_key": self.bridge_key},
                cwd=self.private / "work",
                env={**environment, "MPLBACKEND": "agg"},
                log=self.private / "examiner.log",
            )
            try:
                yield
            finally:
                self.examiner.kill()

    def _ask_examiner(self, seconds: float, **request: Any) -> dict | None:
        """Have a cell run; None if it does not end in time, and not after an interrupt either."""
        seconds = min(seconds, max(1.0, self.deadline - time.monotonic()))
        try:
            self.control.send_bytes(marshal.dumps(request))
            if self.control.poll(seconds):
                return json.loads(self.control.recv_bytes())
            # The student's function is interrupted, and the test that called it fails.
            run_sync(self.km.interrupt_kernel)()
            if self.control.poll(ANSWER):
                self.control.recv_bytes()
            else:
                self._give_up("a test could not be stopped otherwise")
                self.examiner.kill()
        except (EOFError, OSError):
            self._give_up("the process that runs the tests ended")
        return None

    # ---- what stands in the assignment itself

    def _read_preparations(self, resources: dict) -> list[tuple[int, str]]:
        """The instructor's code cells that are neither tests nor answers, by position; not the student's versions."""
        course = CourseDirectory(config=self.config)
        grader = resources["nbgrader"]
        file = f"{grader['notebook']}.ipynb"
        for folder in (course.source_directory, course.release_directory):
            path = Path(course.root, course.format_path(folder, ".", grader["assignment"]), file)
            if path.is_file():
                break
        else:
            raise FileNotFoundError(
                f"{file} of {grader['assignment']} is neither in the source nor in the release folder"
            )
        cells = nbformat.read(path, as_version=4).cells
        self.positions = {c.metadata.nbgrader.grade_id: i for i, c in enumerate(cells) if is_grade(c)}
        code = [(i, c) for i, c in enumerate(cells) if c.cell_type == "code"]
        return [(i, c.source) for i, c in code if not is_grade(c) and not is_solution(c)]

    def _fail_rest(self, nb: NotebookNode) -> None:
        for cell in nb.cells:
            if cell.cell_type == "code" and not cell.metadata.get("coursekit_ran"):
                cell.outputs = [_failure("NotRun", "This cell was not run, because the notebook could not be.")]


SLOW = "is there a loop that does not end, or much more work than is needed?"


def _address(folder: Path, name: str) -> str:
    """Where two processes meet: a socket in the folder, on Windows a named pipe."""
    return str(folder / name) if os.name == "posix" else rf"\\.\pipe\{folder.parent.name}-{folder.name}-{name}"


def _called(cell: NotebookNode, index: int) -> str:
    name = cell.metadata.get("nbgrader", {}).get("grade_id")
    return f"the cell {name}" if name else f"cell {index + 1}"


def _failure(name: str, text: str) -> NotebookNode:
    return nbformat.v4.new_output("error", ename=name, evalue=text, traceback=[f"{name}: {text}"])
