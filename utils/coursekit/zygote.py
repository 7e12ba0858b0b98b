"""The process that the others are forked from, and what happens in a forked one.

``python -m coursekit.zygote serve MODULE,... FD`` imports the modules and then forks, on request, processes
that have them. It reads no request itself: it passes the file that holds it to the new process, so that
nothing of one request is in the memory of the next. ``python -m coursekit.zygote once MODULE,...`` does the
same for the one request on its input.

A request is what ``warm.spawn`` was called with, as JSON. Between the zygote and the process that does the
work stands a supervisor; it passes signals on, and ends only when nothing that the work started is left.
With a sandbox there is one more supervisor, the first process of the sandbox:

    zygote -- supervisor -- [first in the sandbox --] the work
"""

import gc
import importlib
import json
import os
import random
import signal
import socket
import sys
import sysconfig
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from . import sandbox

WATCH = 0.5  # seconds between two looks at a running process
_PASSED_ON = {"SIGINT", "SIGUSR1", "SIGUSR2"}
_SUBREAPER = 36


def main() -> None:
    """Run the command line: ``serve MODULES FD`` or ``once MODULES``."""
    preload([name for name in sys.argv[2].split(",") if name])
    if sys.argv[1] == "serve":
        serve(socket.socket(fileno=int(sys.argv[3])))
    elif sys.platform == "linux":
        _supervised(os.dup(0))
    else:
        request = json.load(sys.stdin)
        _redirect(request["log"])
        _set_environment(request)
        os.chdir(request["cwd"])
        reseed()
        work(request)


# -- The zygote -------------------------------------------------------------------------------------------------


def serve(control: socket.socket) -> None:
    """Fork, poll and signal processes as asked, until the other end of the socket closes.

    Messages are JSON: ``{"do": "fork"}`` with the request's file attached, answered by ``{"pid": ...}``;
    ``{"do": "poll", "pid": ...}``, answered by ``{"code": ...}``, null while it runs; ``{"do": "signal",
    "pid": ..., "signal": ...}``, which is passed on if the process was not yet found to have ended; ``{"do":
    "serve"}`` with a socket attached, which a copy of this process serves from then on.
    """
    reseed()  # the first time takes longest
    gc.collect()
    gc.freeze()
    gather_memory()
    running: set[int] = set()
    ended: dict[int, int] = {}
    _answer(control, threads=len(os.listdir("/proc/self/task")))
    while True:
        message, files, _, _ = socket.recv_fds(control, 1000, 1)
        if not message:
            break
        asked = json.loads(message)
        if asked["do"] == "serve":
            process = os.fork()
            if process == 0:
                control.close()
                control, running, ended = socket.socket(fileno=files[0]), set(), {}
                _answer(control, threads=1)
            else:
                os.close(files[0])
                _answer(control, pid=process)
            continue
        if asked["do"] == "fork":
            process = os.fork()
            if process == 0:
                _supervised(os.dup(files[0]))
            os.close(files[0])
            running.add(process)
            ended.pop(process, None)
            _answer(control, pid=process)
            continue
        process = asked["pid"]
        if process in running:
            found, status = os.waitpid(process, os.WNOHANG)
            if found:
                running.discard(process)
                ended[process] = os.waitstatus_to_exitcode(status)
            elif asked["do"] == "signal":
                os.kill(process, asked["signal"])
        _answer(control, code=ended.get(process))
    for process in running:
        with suppress(OSError):
            os.kill(process, signal.SIGTERM)
    os._exit(0)  # at once: to take torch apart takes a second


def _answer(control: socket.socket, **fields: int | None) -> None:
    control.send(json.dumps(fields).encode())


def gather_memory() -> None:
    """Let this process's memory lie in huge pages, as far as the machine can (Linux 6.1 or newer).

    Torch takes a hundred thousand ordinary ones, and to fork is to copy the list of them.
    """
    huge, collapse = 2**21, 25
    with suppress(OSError):
        for line in Path("/proc/self/maps").read_text().splitlines():
            addresses, rights, _, _, file, *name = line.split()
            if rights != "rw-p" or file != "0" or (name and name[0] != "[heap]"):
                continue
            first, last = (int(address, 16) for address in addresses.split("-"))
            first, last = -(-first // huge) * huge, last // huge * huge
            if first < last:
                sandbox.advise(first, last - first, collapse)


def preload(modules: list[str]) -> None:
    """Import what is installed of these modules, and works: what does not fails where it is used."""
    for name in modules:
        with suppress(Exception):
            importlib.import_module(name)


# -- The supervisors --------------------------------------------------------------------------------------------


def _supervised(file: int) -> None:
    """Carry out the request in a file, as the supervisor of the process that does. Does not return."""
    code = _fail_loudly(lambda: _start(file, parent=os.getppid()))
    if code < 0:
        with suppress(OSError):  # SIGKILL has no handler to be set
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-code})
        os.kill(os.getpid(), -code)
    os._exit(code)


def _start(file: int, parent: int) -> int:
    """Fork the work, or the sandbox's first process; wait for it; return its exit code."""
    os.dup2(file, 3)
    os.closerange(4, 65_536)
    with open(3, "rb") as text:
        request = json.loads(text.read())
    _redirect(request["log"])
    signal.pthread_sigmask(signal.SIG_BLOCK, _signals())
    sandbox.prctl(_SUBREAPER, 1)
    os.setsid()
    os.chdir("/")
    namespaces = bool(request["sandbox"] and request["sandbox"]["namespaces"])
    if namespaces:
        sandbox.leave_processes()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os._exit(_fail_loudly(lambda: _first(request, writer) if namespaces else _work(request)))
    os.close(writer)
    code = _supervise(child, stop=lambda: os.getppid() != parent or _complains(request))
    if namespaces:
        with open(reader, "rb") as pipe:
            code = int(pipe.read() or (code or -9))
    return code


def _first(request: dict, writer: int) -> int:
    """Be the first process of a sandbox: set it up, start the work in it, and say how it ended."""
    sandbox.die_with_parent()
    sandbox.be_first_to_go()
    sandbox.enter(request["cwd"], request["runtime"], request["sandbox"])
    sandbox.drop_privileges()
    sandbox.be_visible(False)
    sandbox.die_with_parent()
    work = os.fork()
    if work == 0:
        os.close(writer)
        os._exit(_fail_loudly(lambda: _work(request)))
    code = _supervise(work)
    os.write(writer, str(code).encode())
    return 0


def _supervise(child: int, stop: Callable[[], bool] = lambda: False) -> int:
    """Wait until a child ends, then end all that it left; return its exit code.

    End them at once on SIGTERM, and when ``stop``, which is asked twice a second, says so.
    """
    code = None
    while code is None:
        event = signal.sigtimedwait(_signals(), WATCH)
        number = event.si_signo if event else None
        if number == signal.SIGTERM or stop():
            _end_children()
            return -9
        if number is not None and number != signal.SIGCHLD:
            _send(child, number)
        code = _reap(child)
    _end_children()
    return code


def _reap(child: int) -> int | None:
    """Collect the processes that ended; return the child's exit code if it was one of them."""
    code = None
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            if found[0] == child:
                code = os.waitstatus_to_exitcode(found[1])
    return code


def _send(child: int, number: int) -> None:
    """Signal the child's process group: also the programs that it runs."""
    with suppress(ProcessLookupError):
        try:
            os.killpg(child, number)
        except ProcessLookupError:  # it has not made the group yet
            os.kill(child, number)


def _end_children() -> None:
    """Kill all descendants. Those whose parent ends become children of this process, its supervisor."""
    with suppress(ChildProcessError):
        while True:
            for process in descendants():
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            os.waitpid(-1, 0)


def _complains(request: dict) -> bool:
    """Whether a sandbox's processes use more, taken together, than they may; if so, say it in the log."""
    if not request["sandbox"]:
        return False
    limits, processes = request["sandbox"]["limits"], descendants()
    excess = []
    # The quick look counts what processes share, as all do that were forked from the zygote, once for each.
    if all(sum(_memory(process, shared) for process in processes) > limits["memory"] for shared in (False, True)):
        excess.append("memory")
    if request["runtime"] and _disk(request["runtime"], processes) > limits["scratch"]:
        excess.append("disk space")
    for what in excess:
        print(f"Ended: its processes used more {what} than they may.", file=sys.stderr, flush=True)
    return bool(excess)


def _memory(process: int, shared: bool) -> int:
    """Bytes of memory that a process occupies, mapped files left out, its share of shared memory if asked."""
    places = [("smaps_rollup", ("Pss_Anon:", "Pss_Shmem:"))] * shared + [("status", ("RssAnon:", "RssShmem:"))]
    for file, names in places:
        with suppress(OSError):  # it has ended, or does not let itself be looked at so closely
            lines = Path(f"/proc/{process}/{file}").read_text().splitlines()
            return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(names))
    return 0


def _disk(folder: str, processes: list[int]) -> int:
    """Bytes that the files in a folder take, and those deleted from it which a process still holds open."""
    if not os.path.exists(folder):
        return 0
    total, device = 0, os.stat(folder).st_dev
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += 512 * os.lstat(os.path.join(where, name)).st_blocks
    for process in processes:
        with suppress(OSError):
            for handle in os.scandir(f"/proc/{process}/fd"):
                with suppress(OSError):
                    found = handle.stat()
                    total += 512 * found.st_blocks * (found.st_dev == device and found.st_nlink == 0)
    return total


def descendants(process: int | str = "self") -> list[int]:
    """The processes that a process has started, and they in turn."""
    found = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{process}/task"):
            for child in map(int, Path(f"/proc/{process}/task/{task}/children").read_text().split()):
                found += [child, *descendants(child)]
    return found


def _signals() -> set[int]:
    return {signal.SIGCHLD, signal.SIGTERM, *(getattr(signal, name) for name in _PASSED_ON)}


# -- The work ---------------------------------------------------------------------------------------------------


def _work(request: dict) -> int:
    """Do the work in a process that is ready for it; return its exit code."""
    os.setsid()
    box = request["sandbox"]
    if box:
        sandbox.be_visible()
        if not box["namespaces"]:
            sandbox.be_first_to_go()
            sandbox.drop_privileges()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _signals())
    _set_environment(request)
    os.chdir(request["cwd"])
    reseed()
    if box:
        sandbox.limit_resources(box["limits"])
    work(request)
    return 0


def work(request: dict) -> None:
    """Call the function that the request names."""
    module, function = request["target"].split(":")
    getattr(importlib.import_module(module), function)(**request["arguments"])


def reseed() -> None:
    """Give the generators of this process numbers that no other has: a fork inherits their state."""
    seed = int.from_bytes(os.urandom(8), "little") >> 1
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed & 0xFFFFFFFF)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def kernel(connection_file: str, arguments: list[str]) -> None:
    """Be an IPython kernel. Its working folder is the last place where it looks for modules."""
    from ipykernel.kernelapp import IPKernelApp

    sys.path.append(os.getcwd())
    sys.argv = ["ipykernel_launcher", "-f", connection_file, *arguments]  # what a kernel started from a shell sees
    app = IPKernelApp.instance(ignore_cwd=True, parent_handle=1)  # 1: it need not watch for its parent's end
    app.initialize(["-f", connection_file, *arguments])
    app.start()


def _set_environment(request: dict) -> None:
    """Leave of the environment what a program needs, with the request's own variables and folders for caches."""
    env = {name: os.environ[name] for name in (*sandbox.PASSED, *sandbox.THREADS) if name in os.environ}
    isolated = request["sandbox"] and request["sandbox"]["namespaces"]
    home = request["cwd"] if isolated else request["runtime"]
    if home:
        if isolated:
            env["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), "/usr/local/bin", "/usr/bin", "/bin"])
        scratch = os.path.join(home, ".scratch")
        os.makedirs(scratch, exist_ok=True)
        scratch = sandbox.SCRATCH if isolated else scratch
        places = ("TMPDIR", "TMP", "TEMP", "MPLCONFIGDIR", "IPYTHONDIR", "XDG_CACHE_HOME")
        env |= {"HOME": home} | dict.fromkeys(places, scratch)
    os.environ.clear()
    os.environ.update(env | request["env"])
    tempfile.tempdir = None  # chosen anew
    backend = os.environ.get("MPLBACKEND")
    if backend and "matplotlib" in sys.modules:
        sys.modules["matplotlib"].rcParams["backend"] = backend


def _redirect(log: str) -> None:
    """Send this process's output to a file; its input is empty."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
    for source, targets in ((os.open(os.devnull, os.O_RDONLY), [0]), (os.open(log, flags, 0o600), [1, 2])):
        for target in targets:
            os.dup2(source, target)
        os.close(source)


def _fail_loudly(action: Callable[[], int]) -> int:
    """The exit code of a process whose job is this: an exception is printed, and nothing is cleaned up."""
    try:
        code = action()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    return code & 0xFF if code >= 0 else code


if __name__ == "__main__":
    main()
