"""Processes and Jupyter kernels that start with torch imported: forked from a process that has done it.

The first use starts that process, the zygote (see ``zygote.py``), which serves this process until it ends. A process
that starts others of this machine lets them share one (``shared``), as to import torch takes seconds.
Where there is no safe fork (macOS, Windows), or with ``COURSEKIT_COLD=1``, the same work runs in ordinary
new processes, with the same results.
"""

import asyncio
import atexit
import json
import os
import queue
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from jupyter_client import AsyncKernelClient, AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.provisioning import LocalProvisioner
from traitlets import Bool, Dict, Instance, Type, Unicode

from .errors import CourseError
from .sandbox import Sandbox, zygote_command, zygote_environment

# What the zygote imports, where installed; more can be named in COURSEKIT_PRELOAD, with commas between them.
# None of these may start a thread. Making the first optimizer imports torch._dynamo, which takes a second.
# Not the backend that shows figures in notebooks: it joins the shell that exists when it is imported.
PRELOAD = (
    *("numpy", "torch", "torch.testing", "torch.utils.data", "torch._dynamo", "matplotlib.pyplot", "ipywidgets"),
    *("ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell", "IPython.core.completer"),
    # What every kernel imports as it starts: its debugger, and asyncio for tornado. And what this course's tests need.
    *("ipykernel.debugger", "tornado.platform.asyncio", "IPython.core.debugger", "IPython.core.completerlib"),
    *("IPython.core.oinspect", "IPython.core.logger", "IPython.extensions.storemagic", "sqlite3", "faulthandler"),
    "coursekit.examiner",
)
# What an ordinary new process imports before it is restricted: what takes many addresses, or reads the user's caches.
PRELOAD_COLD = ("numpy", "torch", "matplotlib.font_manager")
PATIENCE = 5.0  # seconds that a supervisor has for ending what it supervises
SHARED = "COURSEKIT_ZYGOTE"  # the variable that tells another process where to ask for a zygote
_LONGEST_SOCKET = 107  # characters in the path of a unix socket


class Process:
    """A process started by ``spawn``: what ``subprocess.Popen`` tells of one, and ``kill`` ends all of its kin."""

    stdin = stdout = stderr = None  # Jupyter looks for them

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self.returncode is None:
            self._ended(self._poll())
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code. Raises ``TimeoutError`` after so many seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        pause = 0.001
        while self.poll() is None:
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"Process {self.pid} still runs after {timeout} seconds.")
            time.sleep(pause)
            pause = min(2 * pause, 0.02)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to the process and the programs it runs; nothing happens if it has ended."""
        if number == getattr(signal, "SIGKILL", None):
            self.kill()
        elif self.poll() is None:
            self._send(number)

    def terminate(self) -> None:
        """End the process and all that it started."""
        self.kill()

    def kill(self) -> None:
        """End the process and all that it started, and wait until they are gone."""
        if self.poll() is None:
            self._end()

    def _ended(self, code: int | None) -> None:
        if code is not None:
            self.returncode = code

    def _poll(self) -> int | None:
        raise NotImplementedError

    def _send(self, number: int) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        self._send(signal.SIGTERM)  # which has the supervisor end everything
        try:
            self.wait(PATIENCE)
        except TimeoutError:
            self._send(signal.SIGKILL)
            self.wait()


class _Forked(Process):
    def __init__(self, pid: int, zygote: "_Zygote") -> None:
        super().__init__(pid)
        self._zygote = zygote
        self._handle = None
        with suppress(OSError, AttributeError):  # no other process gets this number until the zygote is asked
            self._handle = os.pidfd_open(pid)
            weakref.finalize(self, os.close, self._handle)

    def wait(self, timeout: float | None = None) -> int:
        """As every process's, but awake as soon as it has ended."""
        if self._handle is not None and self.returncode is None:
            self._may_have_ended(timeout)
            timeout = timeout and 0.0
        return super().wait(timeout)

    def _may_have_ended(self, timeout: float | None) -> bool:
        if self._handle is None:
            return True
        watch = select.poll()  # one for each call: two threads cannot share it
        watch.register(self._handle, select.POLLIN)
        return bool(watch.poll(None if timeout is None else 1000 * timeout))

    def _poll(self) -> int | None:
        return self._zygote.ask(do="poll", pid=self.pid)["code"] if self._may_have_ended(0) else None

    def _send(self, number: int) -> None:
        self._ended(self._zygote.ask(do="signal", pid=self.pid, signal=int(number))["code"])


class _Ordinary(Process):
    def __init__(self, process: subprocess.Popen) -> None:
        super().__init__(process.pid)
        self._process = process

    def _poll(self) -> int | None:
        return self._process.poll()

    def _send(self, number: int) -> None:
        self._process.send_signal(number)

    def _end(self) -> None:
        if sys.platform == "linux":
            super()._end()
            return
        import psutil  # a dependency of ipykernel

        children = []
        with suppress(psutil.Error):
            children = psutil.Process(self.pid).children(recursive=True)
        for child in children:
            with suppress(psutil.Error):
                child.kill()
        self._process.kill()
        self.wait()
        psutil.wait_procs(children, PATIENCE)


class _Zygote:
    """The near end of the zygote: of a new one, or of a copy of the one that is shared at an address."""

    def __init__(self, address: str | None = None, modules: Sequence[str] = ()) -> None:
        self._lock = threading.Lock()
        self._process = None
        if address is None:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = subprocess.Popen(
                    zygote_command("serve", ",".join([*preloaded(), *modules]), str(theirs.fileno())),
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    cwd="/",
                    env=zygote_environment(),
                )
        else:
            self._control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._control.connect(address)
        self.threads = self._receive()["threads"]

    def ask(self, file: IO[bytes] | socket.socket | None = None, **message: Any) -> dict[str, Any]:
        """Send a message, with a file if there is one, and return the answer.

        If the zygote has ended, then so has what it started: the answer to a question is the code -9.
        """
        with self._lock:
            try:
                socket.send_fds(self._control, [json.dumps(message).encode()], [file.fileno()] if file else [])
                return self._receive()
            except OSError:
                if file:
                    raise
                return {"code": -9}

    def _receive(self) -> dict[str, Any]:
        answer = self._control.recv(1000)
        if not answer:
            raise ConnectionError("The process that others are forked from has ended.")
        return json.loads(answer)

    def close(self) -> None:
        """End it, and with it all that it started."""
        self._control.close()
        if self._process is None:
            return
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def forget(self) -> None:
        """Let go of it, in a process that was itself forked from the one that it serves."""
        self._control.close()


_zygote: _Zygote | None = None
_starting = threading.Lock()


def spawn(
    target: str,
    arguments: dict[str, Any],
    *,
    cwd: Path,
    env: dict[str, str],
    log: Path,
    sandbox: Sandbox | None = None,
    runtime: Path | None = None,
) -> Process:
    """Run ``module:function(**arguments)`` in a new process that has torch imported, and return at once.

    ``arguments`` must be what JSON can hold. The process sees of the environment only what any program
    needs, and ``env``. Its output goes to the end of the file ``log``, as do the words of a failure to start.
    With a sandbox it works on a copy of the files in ``cwd``, notebooks left out; nothing it writes there
    survives. ``runtime`` is a private folder that it shares with this process, for sockets. The sandbox may
    have a user id of its own: it owns what is in ``runtime`` when the process starts, so listen before that.
    Its generators of random numbers start from numbers that nobody knows. It ends when the function returns,
    and with it all threads and processes that the function left.
    """
    request = {
        "target": target,
        "arguments": arguments,
        "cwd": os.path.realpath(cwd),
        "env": env,
        "log": os.path.abspath(log),
        "runtime": runtime and os.path.realpath(runtime),
        "sandbox": sandbox and sandbox.request(),
    }
    with tempfile.TemporaryFile() as file:
        file.write(json.dumps(request).encode())
        file.seek(0)
        zygote = _get_zygote()
        if zygote is None:
            command, new = zygote_command("once", ",".join(preloaded())), zygote_environment()
            return _Ordinary(subprocess.Popen(command, stdin=file, cwd=request["cwd"], env=new))
        try:
            return _Forked(zygote.ask(file, do="fork")["pid"], zygote)
        except OSError:  # it has died, perhaps for want of memory: once more, with a new one
            close()
            zygote = _get_zygote()
            assert zygote is not None
            return _Forked(zygote.ask(file, do="fork")["pid"], zygote)


def close() -> None:
    """End this process's zygote, and all that was forked from it; a later ``spawn`` starts another."""
    global _zygote
    with _starting:
        if _zygote is not None:
            _zygote.close()
        _zygote = None


@contextmanager
def shared(folder: Path, modules: Sequence[str] = ()) -> Iterator[dict[str, str]]:
    """Start one zygote for processes that are started meanwhile; yield the variables of the environment they need.

    Each gets a copy of it, forked, so that they stay apart. Who may enter the folder may ask for one. Where nothing can
    be shared there are no variables, and each process starts its own. The zygote imports the ``modules`` too, unless
    one of them starts a thread.
    """
    address = os.path.join(folder, "zygote")
    if not is_warm() or len(address.encode()) > _LONGEST_SOCKET:
        yield {}
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen(1000)
        sharing = threading.Thread(target=_share, args=(listener, modules), daemon=True)
        sharing.start()
        try:
            yield {SHARED: address}
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # which ends its waiting
            sharing.join()


def _share(listener: socket.socket, modules: Sequence[str]) -> None:
    """Give each process that connects a copy of a new zygote, until the listener is shut down or the zygote dies."""
    with listener, suppress(OSError):
        zygote = _Zygote(modules=modules)
        if zygote.threads != 1 and modules:
            zygote.close()
            zygote = _Zygote()
        try:
            while True:
                near = listener.accept()[0]
                with near:
                    zygote.ask(near, do="serve")
        finally:
            zygote.close()


def preloaded() -> list[str]:
    """The modules that a spawned process has imported, if they are installed."""
    return [
        *(PRELOAD if is_warm() else PRELOAD_COLD),
        *filter(None, os.environ.get("COURSEKIT_PRELOAD", "").split(",")),
    ]


def is_warm() -> bool:
    """Whether processes are forked from one that has torch imported."""
    return sys.platform == "linux" and os.environ.get("COURSEKIT_COLD", "") in ("", "0")


def _get_zygote() -> _Zygote | None:
    global _zygote
    if not is_warm():
        return None
    with _starting:
        if _zygote is None:
            with suppress(OSError):  # it is not shared any more
                _zygote = _Zygote(os.environ[SHARED]) if SHARED in os.environ else None
            _zygote = _zygote or _Zygote()
            if _zygote.threads != 1:
                warnings.warn(
                    f"An import of {', '.join(preloaded())} started a thread: processes forked after it may hang. "
                    "Name none of that kind in COURSEKIT_PRELOAD.",
                    stacklevel=3,
                )
        return _zygote


def _forget() -> None:
    global _zygote, _starting
    if _zygote is not None:
        _zygote.forget()
    _zygote, _starting = None, threading.Lock()


atexit.register(close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


# -- Kernels ----------------------------------------------------------------------------------------------------


class WarmProvisioner(LocalProvisioner):
    """Starts an IPython kernel with ``spawn``: the entry point ``coursekit-warm`` of jupyter_client.

    For a kernelspec: ``{"metadata": {"kernel_provisioner": {"provisioner_name": "coursekit-warm"}}}``, with
    ``"config": {"isolated": true}`` for a sandbox with its ordinary limits.
    """

    isolated = Bool(False, help="Run the kernel in a sandbox.").tag(config=True)
    log_file = Unicode(os.devnull, help="Where the output of the kernel's process goes.").tag(config=True)
    runtime = Unicode(help="The folder of the kernel's sockets; a temporary one by default.").tag(config=True)
    sandbox = Instance(Sandbox, allow_none=True)
    folder = Unicode(help="The working folder, unless one is given at the start.")
    variables = Dict(allow_none=True, default_value=None, help="Replaces the environment given at the start.")
    process: Process | None = None
    _temporary: tempfile.TemporaryDirectory | None = None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Choose sockets in a private folder, write the connection file."""
        if not self.runtime:
            self._temporary = tempfile.TemporaryDirectory(prefix="ck-")
            self.runtime = self._temporary.name
        use_sockets(self.parent, Path(self.runtime))
        return await super().pre_launch(**kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> dict[str, Any]:
        """Start the kernel that the command names; only its arguments matter."""
        start = cmd.index("-f")
        sandbox = self.sandbox or (Sandbox() if self.isolated else None)
        env = kwargs.get("env", {}) if self.variables is None else self.variables
        self.process = spawn(
            "coursekit.zygote:kernel",
            {"connection_file": cmd[start + 1], "arguments": cmd[start + 2 :]},
            cwd=Path(self.folder or kwargs.get("cwd") or os.getcwd()),
            env={"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
            | {name: value for name, value in env.items() if name != "JPY_PARENT_PID"},
            log=Path(self.log_file),
            sandbox=sandbox,
            runtime=Path(self.runtime),
        )
        self.pid = self.process.pid
        return self.connection_info

    async def post_launch(self, **kwargs: Any) -> None:
        """Wait for the kernel's sockets: who connects too early is asked to come back a tenth of a second later."""
        manager, end = self.parent, time.monotonic() + PATIENCE
        if manager.transport != "ipc":
            return
        sockets = [f"{manager.ip}-{port}" for port in manager.ports]
        while not all(map(os.path.exists, sockets)) and self.process.poll() is None and time.monotonic() < end:
            await asyncio.sleep(0.005)

    async def wait(self) -> int | None:
        """Wait for the kernel's end."""
        process = self.process
        self.process = None
        return process.wait() if process else 0

    async def send_signal(self, signum: int) -> None:
        """Signal the kernel and the programs it runs."""
        if self.process:
            self.process.send_signal(signum)

    async def cleanup(self, restart: bool = False) -> None:
        """Remove the temporary folder, if there is one."""
        await super().cleanup(restart)
        if self._temporary and not restart:
            self._temporary.cleanup()


class WarmKernelClient(AsyncKernelClient):
    """A client that is ready as soon as the kernel is: the ordinary one then listens for 0.2 seconds more."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers on both channels. Raises ``RuntimeError`` if it does not in time."""
        end = time.monotonic() + (float("inf") if timeout is None else timeout)
        while time.monotonic() < end:
            question = self.kernel_info()
            with suppress(queue.Empty):
                await self.get_shell_msg(timeout=0.5)
                while True:
                    message = await self.get_iopub_msg(timeout=0.2)
                    idle = message["content"].get("execution_state") == "idle"
                    if idle and message["parent_header"].get("msg_id") == question:
                        return
            if not await self.is_alive():
                raise RuntimeError("The kernel ended before it was ready.")
        raise RuntimeError(f"The kernel was not ready after {timeout} seconds.")


class WarmKernelManager(AsyncKernelManager):
    """A manager of kernels started by ``WarmProvisioner``, whatever kernelspecs are installed."""

    client_factory = Type(WarmKernelClient)

    @property
    def kernel_spec(self) -> KernelSpec:
        """IPython's."""
        argv = ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python", name="python3")


def kernel_manager(
    *,
    cwd: Path,
    runtime: Path,
    env: dict[str, str],
    log: Path,
    sandbox: Sandbox | None = None,
) -> AsyncKernelManager:
    """A manager, not yet started, of an IPython kernel in ``cwd``; the arguments are those of ``spawn``.

    Its sockets and connection file are in ``runtime``. Raises ``CourseError`` if that folder's path is too
    long for sockets and the kernel is to be sandboxed.
    """
    manager = WarmKernelManager()
    use_sockets(manager, runtime, required=sandbox is not None)
    manager.provisioner = WarmProvisioner(
        kernel_spec=manager.kernel_spec,
        parent=manager,
        runtime=os.path.realpath(runtime),
        log_file=os.path.abspath(log),
        sandbox=sandbox,
        folder=os.path.realpath(cwd),
        variables=env,
    )
    return manager


def use_sockets(manager: AsyncKernelManager, runtime: Path, required: bool = False) -> None:
    """Have a kernel's manager talk to it through files in a folder, not through ports, where that is possible."""
    folder = os.path.realpath(runtime)
    manager.connection_file = os.path.join(folder, "kernel.json")
    if os.name != "posix":
        return
    name = os.path.join(folder, "k")
    if len(f"{name}-99".encode()) <= _LONGEST_SOCKET:
        manager.transport, manager.ip = "ipc", name
    elif required:
        raise CourseError(f"The path of {folder} is too long for the kernel's sockets. Use a shorter one, under /tmp.")
