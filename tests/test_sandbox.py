"""What a sandboxed process can see and use: tried from inside."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import nbformat
import pytest
from nbclient import NotebookClient

from coursekit import sandbox, warm
from coursekit.errors import CourseError
from coursekit.sandbox import Limits, Sandbox

ROOT = Path(__file__).resolve().parents[1]
MISSING = sandbox.not_enforced()

pytestmark = pytest.mark.slow
isolated = pytest.mark.skipif(bool(MISSING), reason=f"this machine does not enforce: {', '.join(MISSING)}")


@pytest.fixture(scope="module", autouse=True)
def _end() -> Iterator[None]:
    yield
    warm.close()


@pytest.fixture
def runtime() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ck-") as name:
        yield Path(name)


@pytest.fixture
def start(tmp_path: Path, runtime: Path) -> Callable[..., warm.Process]:
    """Start code in a sandbox that works in ``tmp_path / "work"``; its output goes to ``tmp_path / "log"``."""
    (tmp_path / "work").mkdir()

    def start(code: str, box: Sandbox | None = None, **limits: int) -> warm.Process:
        (tmp_path / "work" / "script.py").write_text(dedent(code), "utf-8")
        (tmp_path / "log").unlink(missing_ok=True)
        return warm.spawn(
            "runpy:run_path",
            {"path_name": str(tmp_path / "work" / "script.py")},
            cwd=tmp_path / "work",
            env={},
            log=tmp_path / "log",
            sandbox=box or Sandbox(Limits(**limits)),
            runtime=runtime,
        )

    return start


@pytest.fixture
def inside(start: Callable[..., warm.Process], tmp_path: Path) -> Callable[..., str]:
    """Run code in a sandbox to its end, which must be a success; return its output."""

    def inside(code: str, box: Sandbox | None = None, **limits: int) -> str:
        end = start(code, box, **limits).wait(60)
        output = (tmp_path / "log").read_text("utf-8")
        assert end == 0, output
        return output

    return inside


# -- Files ------------------------------------------------------------------------------------------------------


@isolated
def test_only_python_the_packages_and_its_own_folders_exist(
    inside: Callable[..., str], tmp_path: Path, runtime: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notebook.ipynb").write_text("another student's")
    with tempfile.TemporaryDirectory(prefix="ck-") as another:
        Path(another, "secret").write_text("another runtime folder")
        hidden = [
            *(ROOT / name for name in ("solutions", "tests", "exercises", "grading", "book", ".git", "pyproject.toml")),
            *(tmp_path / "other", tmp_path / "log", Path(another)),
            *(Path(name) for name in ("/etc/shadow", "/etc/hosts", "/boot", "/sys/kernel", "/old", "/run", "/opt")),
        ]
        output = inside(
            f"""
            import json, os
            import coursekit.sandbox, torch
            def names(folder):
                return sorted(os.listdir(folder))
            print(json.dumps({{
                "hidden": [path for path in {list(map(str, hidden))!r} if os.path.lexists(path)],
                "course": names({str(ROOT)!r}),
                "near": names({str(tmp_path)!r}),
                "temporary": names({tempfile.gettempdir()!r}),
                "devices": names("/dev"),
                "accounts": open("/etc/passwd").read(),
                "variables": "".join(os.environ.values()),
            }}))
            """
        )
    seen = json.loads(output)
    assert seen["hidden"] == []
    assert set(seen["course"]) - {".venv"} == {"utils"}  # Python itself may live there
    assert seen["near"] == ["work"]
    assert Path(another).name not in seen["temporary"]
    assert runtime.name in seen["temporary"]
    assert seen["devices"] == sorted([*sandbox.DEVICES, "fd", "ptmx", "pts", "shm", "stderr", "stdin", "stdout"])
    assert seen["accounts"].count("\n") == 1
    assert f"{ROOT}/" not in seen["variables"].replace(f"{ROOT}/utils", "").replace(f"{ROOT}/.venv", "")


@isolated
def test_of_the_home_folder_at_most_the_way_to_python_can_be_seen(inside: Callable[..., str]) -> None:
    home = Path.home()
    seen = json.loads(
        inside(f"import json, os; p = {str(home)!r}; print(json.dumps(os.path.exists(p) and os.listdir(p)))")
    )
    for name in seen or []:
        assert any(Path(path).is_relative_to(home / name) for path in sandbox.visible_folders())


@isolated
def test_the_working_folder_is_a_copy_without_notebooks_and_links(inside: Callable[..., str], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    work = tmp_path / "work"
    (work / "sub").mkdir()
    (work / "sub" / "data.txt").write_text("data")
    (work / "sub" / "copy.ipynb").write_text("{}")
    (work / "name.ipynb").write_text("hidden tests")
    (work / "link").symlink_to(secret)
    (work / "folder-link").symlink_to(tmp_path)
    os.mkfifo(work / "pipe")
    code = """
        import os
        found = [os.path.join(a, f) for a, _, files in os.walk(".") for f in files]
        print(sorted(f for f in found if not f.startswith("./.scratch")), os.path.lexists("folder-link"))
        print(open("sub/data.txt").read(), os.path.exists("new"))
        open("new", "w").write("new")
        open("sub/data.txt", "w").write("changed")
        os.remove("script.py")
    """
    expected = "['./script.py', './sub/data.txt'] False\ndata False\n"
    assert inside(code) == expected
    assert inside(code) == expected  # nothing of the first time is left
    assert (work / "sub" / "data.txt").read_text() == "data"
    assert not (work / "new").exists()


@isolated
def test_nothing_can_be_written_outside(inside: Callable[..., str]) -> None:
    utils = Path(sandbox.__file__).parent
    output = inside(
        f"""
        import os, sys
        places = ["/", "/tmp", "/etc", "/dev", "/usr", "/usr/lib", "/proc", {str(utils)!r}, {str(ROOT)!r}, sys.prefix,
                  sys.base_prefix, os.path.dirname(os.__file__), os.path.dirname(os.getcwd()), "/var", "/home"]
        for place in places:
            try:
                with open(os.path.join(place, "written"), "w"):
                    print("wrote to", place)
            except OSError:
                pass
        try:
            os.chmod({str(utils)!r}, 0o777)
            print("changed")
        except OSError:
            pass
        """
    )
    assert output == ""


@isolated
def test_further_folders_can_be_read_if_named(inside: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("words")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    box = Sandbox(readable=(tmp_path / "data", tmp_path / "link", tmp_path / "absent"))
    output = inside(
        f"""
        print(open({str(tmp_path / "data" / "file")!r}).read(), open({str(tmp_path / "link" / "file")!r}).read())
        try:
            open({str(tmp_path / "data" / "new")!r}, "w")
        except OSError as error:
            print(error.strerror)
        """,
        box,
    )
    assert output == "words words\nRead-only file system\n"


# -- Processes, network, privileges -----------------------------------------------------------------------------


@isolated
def test_no_other_process_is_seen_or_reached(inside: Callable[..., str]) -> None:
    output = inside(
        f"""
        import os
        print(os.getpid(), sorted(int(name) for name in os.listdir("/proc") if name.isdigit()))
        for pid in {os.getpid()}, {os.getppid()}, 1:
            try:
                os.kill(pid, 9)
            except OSError as error:
                print(error.strerror)
        try:
            os.kill(-1, 9)
        except OSError as error:
            print(error.strerror)
        try:
            os.listdir("/proc/1/root")
        except OSError as error:
            print(error.strerror)
        print("alive")
        """
    ).splitlines()
    assert output[0] == "2 [1, 2]"
    assert output[1:3] == ["No such process"] * 2
    assert output[-1] == "alive"
    assert is_alive(os.getpid())


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@isolated
def test_there_is_no_network_and_no_socket_of_others(inside: Callable[..., str], tmp_path: Path, runtime: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as hidden,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_UNIX) as shared,
    ):
        hidden.bind(str(tmp_path / "socket"))
        abstract.bind(f"\0coursekit-{os.getpid()}")
        shared.bind(str(runtime / "socket"))
        for listener in (hidden, abstract, shared):
            listener.listen()
        output = inside(
            f"""
            import socket
            def reaches(family, address):
                with socket.socket(family) as s:
                    s.settimeout(2)
                    try:
                        s.connect(address)
                        return True
                    except OSError:
                        return False
            print(reaches(socket.AF_INET, ("127.0.0.1", {server.getsockname()[1]})),
                  reaches(socket.AF_INET, ("1.1.1.1", 53)),
                  reaches(socket.AF_UNIX, {str(tmp_path / "socket")!r}),
                  reaches(socket.AF_UNIX, "\\0coursekit-{os.getpid()}"),
                  reaches(socket.AF_UNIX, {str(runtime / "socket")!r}),
                  [name for _, name in socket.if_nameindex()])
            """
        )
        assert output == "False False False False True ['lo']\n"
        shared.accept()[0].close()


@isolated
def test_the_parent_reaches_a_socket_that_is_opened_inside(start: Callable[..., warm.Process], runtime: Path) -> None:
    path = runtime / "inner"
    process = start(
        f"""
        import socket
        with socket.socket(socket.AF_UNIX) as s:
            s.bind({str(path)!r})
            s.listen()
            s.accept()[0].sendall(b"hello")
        """
    )
    with socket.socket(socket.AF_UNIX) as client:
        for _ in range(600):
            try:
                client.connect(str(path))
                break
            except OSError:
                time.sleep(0.05)
        assert client.recv(100) == b"hello"
    assert process.wait(60) == 0


@isolated
def test_there_are_no_privileges_to_be_had(inside: Callable[..., str]) -> None:
    output = inside(
        f"""
        import os, subprocess
        status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
        print([int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")], status["NoNewPrivs"])
        print(os.getuid() != 0, os.getuid() == os.geteuid(), os.getgroups() in ([], [os.getgid()], [65534]))
        try:
            os.setuid(0)
        except OSError as error:
            print(error.strerror)
        # With namespaces of its own it has privileges of a kind; they uncover nothing.
        command = "umount -l /usr /proc /tmp; umount -a; mount -t proc p /proc; ls /proc/1/root {ROOT}/solutions"
        done = subprocess.run(["unshare", "-Urmpf", "sh", "-c", command], capture_output=True, text=True)
        print("wrong" in done.stdout, "{ROOT.name}" in done.stdout)
        """
    ).splitlines()
    assert output[:3] == ["[0, 0, 0, 0] 1", "True True True", "Operation not permitted"]
    assert output[3] == "False False"


@isolated
def test_orphans_die_when_the_process_is_killed_or_ends(
    start: Callable[..., warm.Process], runtime: Path, tmp_path: Path
) -> None:
    # The orphan holds a socket open: that it hangs up tells that it is gone.
    orphan = f"""
        import os, socket, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                s = socket.socket(socket.AF_UNIX)
                s.connect({str(runtime / "s")!r})
                s.sendall(b"here")
                time.sleep(600)
            os._exit(0)
        while not os.path.exists({str(runtime / "go")!r}):
            time.sleep(0.01)
        """
    with socket.socket(socket.AF_UNIX) as server:
        server.settimeout(60)
        server.bind(str(runtime / "s"))
        server.listen()
        for kill in (True, False):
            process = start(orphan)
            connection, _ = server.accept()
            with connection:
                connection.settimeout(60)
                assert connection.recv(4) == b"here"
                if kill:
                    process.kill()
                else:
                    (runtime / "go").touch()
                    assert process.wait(60) == 0
                assert process.poll() is not None
                connection.settimeout(0.001)  # by now: the end was waited for
                assert connection.recv(4) == b""


# -- Limits -----------------------------------------------------------------------------------------------------


@isolated
def test_a_fork_bomb_is_bounded(inside: Callable[..., str]) -> None:
    output = inside(
        """
        import os, time
        number = 0
        try:
            while number < 200:
                if os.fork() == 0:
                    time.sleep(600)
                    os._exit(0)
                number += 1
        except OSError as error:
            print(error.strerror)
        print(number)
        """,
        processes=20,
    )
    words, number = output.splitlines()
    assert words == "Resource temporarily unavailable"
    assert 10 < int(number) < 20


@isolated
def test_two_fork_bombs_do_not_share_a_bound(start: Callable[..., warm.Process], runtime: Path) -> None:
    code = f"""
        import os, time
        for _ in range(8):
            if os.fork() == 0:
                time.sleep(600)
        if not os.path.exists({str(runtime / "first")!r}):
            open({str(runtime / "first")!r}, "w").close()
            time.sleep(600)
        """
    first = start(code, processes=12)
    while not (runtime / "first").exists():
        time.sleep(0.01)
        assert first.poll() is None
    assert start(code, processes=12).wait(60) == 0
    first.kill()


def test_a_memory_bomb_is_bounded(inside: Callable[..., str]) -> None:
    output = inside(
        """
        import mmap, torch
        torch.zeros(2**26).sum()
        for bomb in (lambda: bytearray(2**31), lambda: torch.ones(2**29), lambda: mmap.mmap(-1, 2**31)):
            try:
                bomb()
                print("boom")
            except (MemoryError, RuntimeError, OSError):
                print("bounded")
        """,
        memory=2**30,
    )
    assert output == "bounded\n" * 3


@isolated
def test_memory_is_bounded_in_all_processes_together(start: Callable[..., warm.Process], tmp_path: Path) -> None:
    process = start(
        """
        import os, time
        for _ in range(3):
            if os.fork() == 0:
                block = bytearray(b"1") * (400 * 2**20)
                time.sleep(600)
        time.sleep(600)
        """,
        memory=2**30,
    )
    assert process.wait(60) == -9
    assert "more memory than they may" in (tmp_path / "log").read_text()


@isolated
def test_files_are_bounded(inside: Callable[..., str]) -> None:
    output = inside(
        """
        import os
        def fill(name, size):
            with open(name, "wb") as file:
                for _ in range(size >> 20):
                    file.write(bytes(2**20))
        try:
            fill("large", 2**24)
        except OSError as error:
            print(error.strerror)
        try:
            for i in range(100):
                fill(f"file{i}", 2**22)
        except OSError as error:
            print(error.strerror, i)
        try:
            files = [open("large") for _ in range(100)]
        except OSError as error:
            print(error.strerror)
        try:
            for i in range(100):
                fill(f"/dev/shm/file{i}", 2**22)
        except OSError as error:
            print(error.strerror, i)
        """,
        file_size=2**23,
        scratch=2**25,
        open_files=50,
    )
    assert output.splitlines() == [
        "File too large",
        "No space left on device 5",
        "Too many open files",
        "No space left on device 8",
    ]


@isolated
@pytest.mark.parametrize("remove", [False, True])
def test_the_runtime_folder_is_bounded(
    start: Callable[..., warm.Process], runtime: Path, tmp_path: Path, remove: bool
) -> None:
    process = start(
        f"""
        import os, time
        files = []
        for i in range(10):
            path = {str(runtime)!r} + f"/file{{i}}"
            files.append(open(path, "wb"))
            files[-1].write(bytes(2**22))
            files[-1].flush()
            if {remove}:
                os.remove(path)
        time.sleep(600)
        """,
        scratch=2**24,
    )
    assert process.wait(60) == -9
    assert "more disk space than they may" in (tmp_path / "log").read_text()


def test_output_is_bounded(start: Callable[..., warm.Process], tmp_path: Path) -> None:
    process = start("while True:\n    print('x' * 1000)", file_size=2**20)
    assert process.wait(60) != 0
    assert (tmp_path / "log").stat().st_size <= 2**20


def test_processor_time_is_bounded(start: Callable[..., warm.Process]) -> None:
    assert start("while True: pass", cpu_seconds=1).wait(60) < 0


# -- Kernels ----------------------------------------------------------------------------------------------------


def execute(folder: Path, runtime: Path, *cells: str) -> list[nbformat.NotebookNode]:
    """Run cells in a sandboxed kernel; one with an endless loop is interrupted."""
    options = {
        "timeout_func": lambda cell: 1 if "while True" in cell.source else 60,
        "interrupt_on_timeout": True,
        "allow_errors": True,
    }

    async def run() -> None:
        box = Sandbox()
        km = warm.kernel_manager(cwd=folder, runtime=runtime, env={}, log=runtime.parent / "log", sandbox=box)
        try:
            await NotebookClient(notebook, km=km, **options).async_execute()
        finally:
            await km.shutdown_kernel(now=True)

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    asyncio.run(run())
    return notebook.cells


CELLS = (
    """
import os, torch, helper
from torch.utils.data import DataLoader
model = torch.nn.Linear(3, 1)
step = torch.optim.Adam(model.parameters())
for x in DataLoader(torch.randn(64, 3), batch_size=32, num_workers=1):
    step.zero_grad()
    model(x).pow(2).mean().backward()
    step.step()
print(os.getpid(), helper.answer, "torch.py" in os.listdir(), model.weight.grad is None)
""",
    "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()",
    "while True: pass",
    "import socket; socket.create_connection(('127.0.0.1', 22))",
    "!echo done",
)


def check_cells(cells: list[nbformat.NotebookNode]) -> None:
    assert cells[0].outputs[0].text == "2 42 True False\n"
    assert any("image/png" in output.get("data", {}) for output in cells[1].outputs)
    assert cells[2].outputs[0].ename == "KeyboardInterrupt"
    assert cells[3].outputs[0].ename == "OSError"
    assert "done" in cells[4].outputs[0].text


@isolated
@pytest.mark.parametrize("cold", ["", "1"])
def test_a_sandboxed_kernel_runs_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cold: str) -> None:
    monkeypatch.setenv("COURSEKIT_COLD", cold)
    folders = prepare(tmp_path)
    check_cells(execute(*folders, *CELLS))


def prepare(path: Path) -> tuple[Path, Path]:
    """A working folder and one for sockets."""
    folder, runtime = path / ("a-long-name-" * 10) / "work", path / "r"
    folder.mkdir(parents=True)
    runtime.mkdir()
    (folder / "torch.py").write_text("raise Exception('a shadow')")
    (folder / "helper.py").write_text("answer = 42")
    return folder, runtime


def test_a_path_too_long_for_sockets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="too long for the kernel's sockets"):
        warm.kernel_manager(cwd=tmp_path, runtime=tmp_path / ("x" * 100), env={}, log=tmp_path / "l", sandbox=Sandbox())


# -- Where not all can be enforced ------------------------------------------------------------------------------


def test_what_is_missing_is_named_and_can_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_findings", lambda: (False, (sandbox.FILES, sandbox.NETWORK)))
    assert sandbox.not_enforced() == ["files outside the working folder", "the network"]
    with pytest.raises(CourseError, match=r"Not enforced: files outside the working folder, the network\. Grade on"):
        sandbox.require()
    monkeypatch.setattr(sandbox, "_findings", lambda: (True, ()))
    sandbox.require()


@pytest.mark.skipif(sys.platform != "linux", reason="sandboxes are for Linux")
def test_the_limits_hold_without_namespaces(
    inside: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missing = sandbox._try(namespaces=False)
    assert missing is not None
    assert {sandbox.FILES, sandbox.NETWORK, sandbox.PROCESSES} <= set(missing)
    assert sandbox.MEMORY not in missing
    monkeypatch.setattr(sandbox, "_findings", lambda: (False, missing))
    output = inside(
        """
        import os
        print(os.getpid() > 2, [line for line in open("/proc/self/status") if line.startswith(("CapEff", "NoNewP"))])
        try:
            bytearray(2**31)
        except MemoryError:
            print("bounded")
        """,
        memory=2**30,
    )
    assert output == "True ['CapEff:\\t0000000000000000\\n', 'NoNewPrivs:\\t1\\n']\nbounded\n"


def test_a_machine_that_is_not_linux_enforces_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert sandbox._findings.__wrapped__() == (False, sandbox.PHRASES)


AS_NOBODY = """
set -e
if [ -n "$1" ]; then  # Python lies in a folder that only root may enter: show nobody that part of it
    mount --bind "$2" "$3"
    mount -t tmpfs -o mode=755 none "$1"
    mkdir -p "$2"
    mount --bind "$3" "$2"
fi
shift 3
exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all env HOME=/tmp "$@"
"""

WHOLE = """
import sys
from pathlib import Path
import test_sandbox as tests
print(tests.sandbox.not_enforced(), flush=True)
assert not tests.sandbox._is_privileged()
tests.check_cells(tests.execute(*tests.prepare(Path(sys.argv[1])), *tests.CELLS))
print("kernel ran")
"""


@isolated
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(not (shutil.which("setpriv") and shutil.which("unshare")), reason="setpriv or unshare is missing")
def test_it_works_for_an_ordinary_user() -> None:
    closed = [p for p in Path(sys.base_prefix).parents if not p.stat().st_mode & 0o001]
    with tempfile.TemporaryDirectory(prefix="ck-") as name, tempfile.TemporaryDirectory() as point:
        os.chmod(name, 0o777)
        preparation = [str(closed[-1]) if closed else "", sys.base_prefix, point]
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", AS_NOBODY, "sh", *preparation, sys.executable, "-c", WHOLE, name],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=Path(__file__).parent,
        )
        shutil.rmtree(Path(name, "work"), ignore_errors=True)
    if "Permission denied" in done.stderr and "kernel ran" not in done.stdout and "[" not in done.stdout:
        pytest.skip(f"another user cannot run this Python: {done.stderr.splitlines()[-1]}")
    assert done.stdout == "[]\nkernel ran\n", done.stderr
