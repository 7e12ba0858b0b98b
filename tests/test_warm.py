"""Processes and kernels forked from one that has torch imported."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient

from coursekit import warm

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only"),
]


@pytest.fixture(scope="module", autouse=True)
def _end() -> Iterator[None]:
    yield
    warm.close()


@pytest.fixture
def start(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., warm.Process]:
    """Start a script in ``tmp_path``; its output goes to ``tmp_path / "log"``."""
    runtime = tmp_path_factory.mktemp("r")

    def start(code: str, **arguments: object) -> warm.Process:
        script = runtime / "script.py"
        script.write_text(code, "utf-8")
        arguments = {"init_globals": arguments, "path_name": str(script)}
        return warm.spawn("runpy:run_path", arguments, cwd=tmp_path, env={"GIVEN": "1"}, log=tmp_path / "log")

    return start


@pytest.fixture
def run(start: Callable[..., warm.Process], tmp_path: Path) -> Callable[..., str]:
    """Run a script to its end, which must be a success; return its output."""

    def run(code: str, **arguments: object) -> str:
        (tmp_path / "log").unlink(missing_ok=True)
        code = start(code, **arguments).wait(60)
        output = (tmp_path / "log").read_text("utf-8")
        assert code == 0, output
        return output

    return run


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def read_soon(path: Path) -> str:
    for _ in range(600):
        if path.exists() and path.read_text().strip():
            return path.read_text()
        time.sleep(0.05)
    raise AssertionError(f"{path} was not written")


REPORT = """
import json, os, sys
import torch
layer = torch.nn.Linear(2, 1)
(layer(torch.ones(3, 2)) - 1).pow(2).sum().backward()
print(json.dumps({
    "given": (word, number),
    "path": sys.path,
    "folder": os.getcwd(),
    "variables": sorted(os.environ),
    "gradient": layer.weight.grad.shape == (1, 2),
    "threads": torch.get_num_threads(),
    "leader": os.getsid(0) == os.getpid() == os.getpgid(0),
}))
"""


def test_warm_and_cold_processes_are_the_same(
    run: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = json.loads(run(REPORT, word="ä", number=3))
    assert first["given"] == ["ä", 3]
    assert first["folder"] == str(tmp_path)
    assert first["gradient"]
    assert first["leader"]
    assert first["threads"] == 1
    assert "GIVEN" in first["variables"]
    assert str(tmp_path) not in first["path"]
    assert "" not in first["path"]
    monkeypatch.setenv("COURSEKIT_COLD", "1")
    assert not warm.is_warm()
    assert json.loads(run(REPORT, word="ä", number=3)) == first


def test_the_zygote_has_one_thread_and_has_imported_torch(run: Callable[..., str]) -> None:
    assert "torch" in run("import sys; print([m for m in sys.modules if m == 'torch'])")
    assert warm._zygote is not None
    assert warm._zygote.threads == 1


@pytest.mark.parametrize("cold", ["", "1"])
def test_no_two_processes_draw_the_same_numbers(
    run: Callable[..., str], monkeypatch: pytest.MonkeyPatch, cold: str
) -> None:
    monkeypatch.setenv("COURSEKIT_COLD", cold)
    code = "import random, numpy, torch; print(random.random(), numpy.random.rand(), torch.rand(1).item())"
    first, second = run(code).split(), run(code).split()
    assert len(first) == 3
    assert not set(first) & set(second)


@pytest.mark.parametrize("cold", ["", "1"])
@pytest.mark.parametrize(
    ("code", "expected", "words"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("raise SystemExit('done')", 1, ""),
        ("print('so far', flush=True); 1 / 0", 1, "ZeroDivisionError"),
        ("import os; os._exit(7)", 7, ""),
        ("import os; os.kill(os.getpid(), 11)", -signal.SIGSEGV, ""),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
    ],
)
def test_an_exit_code_is_what_it_would_be(
    start: Callable[..., warm.Process],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    expected: int,
    words: str,
    cold: str,
) -> None:
    monkeypatch.setenv("COURSEKIT_COLD", cold)
    monkeypatch.setattr(warm, "PRELOAD_COLD", ())
    process = start(code)
    assert process.wait(60) == expected
    assert process.poll() == expected
    assert words in (tmp_path / "log").read_text()
    process.kill()  # does nothing
    process.send_signal(signal.SIGINT)  # nor does this


def test_a_target_that_does_not_exist_is_said_in_the_log(tmp_path: Path) -> None:
    process = warm.spawn("coursekit.nowhere:work", {}, cwd=tmp_path, env={}, log=tmp_path / "log")
    assert process.wait(60) == 1
    assert "coursekit.nowhere" in (tmp_path / "log").read_text()


def test_waiting_has_an_end(start: Callable[..., warm.Process]) -> None:
    process = start("import time; time.sleep(600)")
    with pytest.raises(TimeoutError, match="still runs"):
        process.wait(0.1)
    assert process.poll() is None
    process.kill()
    assert process.poll() == -signal.SIGKILL


def test_a_signal_reaches_the_work(start: Callable[..., warm.Process], tmp_path: Path) -> None:
    process = start(
        """
        import time
        try:
            print("ready", flush=True)
            time.sleep(600)
        except KeyboardInterrupt:
            print("interrupted")
        """.replace("\n        ", "\n")
    )
    assert "ready" in read_soon(tmp_path / "log")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert "interrupted" in (tmp_path / "log").read_text()


ORPHAN = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open("orphan.tmp", "w") as file:
            file.write(str(os.getpid()))
        os.rename("orphan.tmp", "orphan")
        time.sleep(600)
    os._exit(0)
while not os.path.exists("orphan"):
    time.sleep(0.01)
"""


@pytest.mark.parametrize("cold", ["", "1"])
def test_an_orphan_ends_when_its_process_is_killed(
    start: Callable[..., warm.Process], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cold: str
) -> None:
    monkeypatch.setenv("COURSEKIT_COLD", cold)
    monkeypatch.setattr(warm, "PRELOAD_COLD", ())
    process = start(ORPHAN + "time.sleep(600)")
    orphan = int(read_soon(tmp_path / "orphan"))
    assert is_running(orphan)
    process.kill()
    assert not is_running(orphan)


@pytest.mark.parametrize("works", [True, False])
def test_other_systems_do_the_work_without_a_supervisor(tmp_path: Path, works: bool) -> None:
    (tmp_path / "request").write_text(
        json.dumps(
            {
                "target": "coursekit.zygote:preload",
                "arguments": {"modules": ["nowhere"]} if works else {"nonsense": 1},
                "cwd": str(tmp_path),
                "env": {},
                "log": str(tmp_path / "log"),
                "runtime": None,
                "sandbox": None,
            }
        )
    )
    code = "import sys; sys.platform = 'darwin'; from coursekit import zygote; zygote.main()"
    with open(tmp_path / "request") as stdin:
        done = subprocess.run([sys.executable, "-c", code, "once", ""], stdin=stdin, timeout=60)
    assert done.returncode == (0 if works else 1)
    assert ("TypeError" in (tmp_path / "log").read_text()) is not works


def test_other_systems_end_the_children_too(
    start: Callable[..., warm.Process], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    monkeypatch.setattr(warm, "PRELOAD_COLD", ())
    monkeypatch.setattr(warm.sys, "platform", "darwin")
    process = start(ORPHAN.replace("if os.fork() == 0:\n        with", "if True:\n        with") + "time.sleep(600)")
    child = int(read_soon(tmp_path / "orphan"))
    process.kill()
    assert process.poll() is not None
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_an_orphan_ends_with_its_process(run: Callable[..., str], tmp_path: Path) -> None:
    run(ORPHAN)
    assert not is_running(int((tmp_path / "orphan").read_text()))


def test_a_process_does_not_outlive_the_one_that_started_it(tmp_path: Path) -> None:
    code = f"""
import os, time
from pathlib import Path
from coursekit import warm
warm.PRELOAD = ()
folder = Path({str(tmp_path)!r})
script = {{"path_name": str(folder / "script.py")}}
process = warm.spawn("runpy:run_path", script, cwd=folder, env={{}}, log=folder / "log")
while not (folder / "pid").exists():
    time.sleep(0.01)
os.kill(os.getpid(), 9)
"""
    (tmp_path / "script.py").write_text(
        "import os, time; open('pid.tmp', 'w').write(str(os.getpid())); os.rename('pid.tmp', 'pid'); time.sleep(600)"
    )
    subprocess.run([sys.executable, "-c", code], timeout=60)
    pid = int(read_soon(tmp_path / "pid"))
    for _ in range(200):
        if not is_running(pid):
            break
        time.sleep(0.1)
    assert not is_running(pid)


def test_a_zygote_that_dies_is_replaced(start: Callable[..., warm.Process], run: Callable[..., str]) -> None:
    process = start("import time; time.sleep(600)")
    assert warm._zygote is not None
    warm._zygote._process.kill()
    warm._zygote._process.wait()
    assert process.wait(60) == -signal.SIGKILL
    assert run("print(6 * 7)") == "42\n"


def test_processes_can_share_a_zygote(
    start: Callable[..., warm.Process], run: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm.close()
    with tempfile.TemporaryDirectory(prefix="ck-", dir="/tmp") as folder:
        with warm.shared(Path(folder)) as variables:
            monkeypatch.setenv(*next(iter(variables.items())))
            first = run("import random, sys; print('torch' in sys.modules, random.random())")
            copy = warm._zygote
            assert copy is not None
            assert copy._process is None
            assert copy.threads == 1
            warm.close()
            second = run("import random, sys; print('torch' in sys.modules, random.random())")
            assert warm._zygote is not copy
            process = start("import time; open('started', 'w').write('1'); time.sleep(600)")
            assert read_soon(tmp_path / "started")
        # A copy outlives what it was copied from, and ends with the process that it serves.
        assert run("print(6 * 7)") == "42\n"
        assert process.poll() is None
        warm.close()
        assert process.wait(60) != 0
        assert first.split()[0] == second.split()[0] == "True"
        assert first != second
        # Where nothing is shared any more a process starts its own.
        assert run("print(6 * 7)") == "42\n"
        assert warm._zygote._process is not None
    warm.close()


@pytest.mark.parametrize(("starts_a_thread", "shared"), [(False, "True"), (True, "False")])
def test_what_a_notebook_imports_is_imported_once(
    run: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    starts_a_thread: bool,
    shared: str,
) -> None:
    warm.close()
    monkeypatch.setattr(warm, "PRELOAD", ("numpy",))
    thread = "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    (tmp_path / "of_the_notebook.py").write_text(thread if starts_a_thread else "")
    (tmp_path / "faulty.py").write_text("1 / 0")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    modules = ["not_installed", "faulty", "of_the_notebook"]
    place = tempfile.TemporaryDirectory(prefix="ck-", dir="/tmp")
    with place as folder, warm.shared(Path(folder), modules) as variables:
        monkeypatch.setenv(*next(iter(variables.items())))
        seen = run("import sys; print('numpy' in sys.modules, 'of_the_notebook' in sys.modules)")
        assert warm._zygote.threads == 1
    assert seen.split() == ["True", shared]
    warm.close()


def test_a_shared_zygote_that_dies_is_done_without(run: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    warm.close()
    first, ordinary = iter([[sys.executable, "-c", ""]]), warm.zygote_command
    monkeypatch.setattr(warm, "zygote_command", lambda *arguments: next(first, None) or ordinary(*arguments))
    with tempfile.TemporaryDirectory(prefix="ck-", dir="/tmp") as folder, warm.shared(Path(folder)) as variables:
        monkeypatch.setenv(*next(iter(variables.items())))
        assert run("print(6 * 7)") == "42\n"
        assert warm._zygote._process is not None
    warm.close()


SEARCH = """
import os, re
pattern, found = re.compile(rb"kangaroo-[4]2"), 0
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
    for line in maps:
        first, last = (int(x, 16) for x in line.split()[0].split("-"))
        if " rw-p" in line and last - first < 2**28:
            memory.seek(first)
            found += len(pattern.findall(memory.read(last - first)))
print(found, os.environ, open("/proc/self/environ").read())
"""


def test_a_process_knows_nothing_of_another_or_of_the_parents_variables(
    run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    warm.close()
    monkeypatch.setenv("TOKEN_OF_THE_INSTRUCTOR", "wombat")
    # The search sees what the process itself was given ...
    assert int(run(SEARCH, secret="kangaroo-42").split()[0]) > 0
    # ... and nothing of that in the next one.
    output = run(SEARCH)
    assert output.split()[0] == "0"
    assert "wombat" not in output
    assert "GIVEN" in output


# -- Kernels ----------------------------------------------------------------------------------------------------


def manager(folder: Path, runtime: Path, **given: object) -> AsyncKernelManager:
    return warm.kernel_manager(cwd=folder, runtime=runtime, env={}, log=runtime / "log", **given)


def execute(manager: AsyncKernelManager, *cells: str, **options: object) -> list[nbformat.NotebookNode]:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])

    async def run() -> None:
        try:
            await NotebookClient(notebook, km=manager, **options).async_execute()
        finally:
            assert await manager.is_alive()
            await manager.shutdown_kernel(now=True)
            assert not await manager.is_alive()

    asyncio.run(run())
    return notebook.cells


@pytest.mark.parametrize("cold", ["", "1"])
def test_a_kernel_runs_a_notebook(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, cold: str
) -> None:
    monkeypatch.setenv("COURSEKIT_COLD", cold)
    (tmp_path / "torch.py").write_text("raise Exception('a shadow')")
    (tmp_path / "colorsys.py").write_text("raise Exception('a shadow')")
    (tmp_path / "helper.py").write_text("answer = 42")
    cells = execute(
        manager(tmp_path, tmp_path_factory.mktemp("r")),
        "import colorsys, torch, helper; x = torch.ones(2); print(x.sum().item() + helper.answer)",
        "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()",
        "import sys, os; (sys.path[-1] == os.getcwd(), '' in sys.path, sys.path.count(os.getcwd()))",
        "x.sum()",
    )
    assert cells[0].outputs[0].text == "44.0\n"
    assert "image/png" in cells[1].outputs[0].data
    assert cells[2].outputs[0].data["text/plain"] == "(True, False, 1)"
    assert cells[3].outputs[0].data["text/plain"] == "tensor(2.)"


def test_a_kernel_can_be_interrupted(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    km = manager(tmp_path, tmp_path_factory.mktemp("r"))
    limits = {"timeout_func": lambda cell: 1 if "while" in cell.source else 60, "interrupt_on_timeout": True}
    cells = execute(km, "while True: pass", "1 + 1", allow_errors=True, **limits)
    assert cells[0].outputs[0].ename == "KeyboardInterrupt"
    assert cells[1].outputs[0].data["text/plain"] == "2"


def test_a_kernel_that_ends_is_seen_to_have_ended(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    async def run() -> None:
        km = manager(tmp_path, tmp_path_factory.mktemp("r"))
        await km.start_kernel()
        client = km.client()
        client.start_channels()
        await client.wait_for_ready(timeout=60)
        assert await km.is_alive()
        client.execute("import os; os._exit(5)")
        for _ in range(600):
            if not await km.is_alive():
                break
            await asyncio.sleep(0.05)
        assert not await km.is_alive()
        client.stop_channels()
        await km.shutdown_kernel(now=True)

    asyncio.run(run())


def test_other_tools_can_use_the_provisioner(tmp_path: Path) -> None:
    km = AsyncKernelManager()
    km.provisioner = warm.WarmProvisioner(kernel_spec=warm.WarmKernelManager().kernel_spec, parent=km)
    cells = execute(km, "import os; os.getcwd()", resources={"metadata": {"path": str(tmp_path)}})
    assert cells[0].outputs[0].data["text/plain"] == repr(str(tmp_path))
