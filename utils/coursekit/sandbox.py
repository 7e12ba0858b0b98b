"""Isolation of a process that runs a student's code: what it may see, and how much it may use.

The process gets namespaces of its own (files, network, processes, interprocess communication) and a
file system that is built from nothing: Python, the system's libraries, the course's packages and the
folders named in ``Sandbox.readable`` are mounted read-only, its working folder is a copy in memory, and
nothing else exists. It runs without privileges, under a private user id where the machine has them to
give, and under the limits in ``Limits``.

With ``CAP_SYS_ADMIN`` (root) this is done directly, otherwise in a user namespace. It needs Linux 5.12
and, in a container, a seccomp profile that allows ``unshare`` and ``mount``. ``not_enforced`` says what a
machine cannot do; it finds out by trying.
"""

import ctypes
import json
import os
import shutil
import site
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from .errors import CourseError

PACKAGES = Path(__file__).resolve().parents[1]  # the folder that coursekit and its neighbours are imported from
SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/fonts"),
    *("/etc/localtime", "/etc/timezone", "/etc/nsswitch.conf", "/etc/mime.types", "/var/cache/fontconfig"),
    *("/nix/store", "/gnu/store"),
)
PASSED = (  # variables of the environment
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "PYTHONPATH"),
    *("TMPDIR", "TEMP", "TMP", "SYSTEMROOT"),
)
# One thread each: the class is what runs in parallel. Few heaps, for the sake of the limit on addresses.
THREADS = dict.fromkeys(["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"], "1")
THREADS["MALLOC_ARENA_MAX"] = "2"
QUIET = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}  # ipykernel's debugger warns of frozen modules whenever it is imported
DEVICES = ("null", "zero", "full", "random", "urandom")
SCRATCH = "/scratch"  # leads to the working folder's own: in a longer path, Python's sockets have no room

FILES = "files outside the working folder"
NETWORK = "the network"
PROCESSES = "other processes"
LEFTOVERS = "processes that outlive the task"
NUMBER = "the number of processes"
MEMORY = "memory"
SIZES = "the size of files"
PHRASES = (FILES, NETWORK, PROCESSES, LEFTOVERS, NUMBER, MEMORY, SIZES)


@dataclass(frozen=True)
class Limits:
    """What a sandboxed process may use; sizes in bytes.

    ``memory`` is what one process may map beyond what it has mapped at its start, where torch alone takes
    3 GB of addresses, and about what all of its processes together may occupy. ``processes`` counts
    threads too, ``cpu_seconds`` holds for each process, ``scratch`` is the size of the working folder.
    """

    memory: int = 4 * 2**30
    processes: int = 64
    file_size: int = 100 * 2**20
    open_files: int = 256
    cpu_seconds: int | None = None
    scratch: int = 256 * 2**20


@dataclass(frozen=True)
class Sandbox:
    """Isolation under limits; ``readable`` are folders that may be read beside Python's and the course's packages."""

    limits: Limits = Limits()
    readable: tuple[Path, ...] = ()

    def request(self) -> dict:
        """The sandbox as JSON, with what this machine can do of it."""
        return {
            "limits": asdict(self.limits),
            "readable": [os.path.abspath(path) for path in self.readable],
            "namespaces": _has_namespaces(),
        }


def not_enforced() -> list[str]:
    """What this machine cannot keep a sandboxed process from, in plain phrases; ``[]`` if there is nothing."""
    return list(_findings()[1])


def require() -> None:
    """Raise ``CourseError`` if this machine cannot enforce all of a sandbox."""
    missing = not_enforced()
    if missing:
        raise CourseError(
            f"Students' code cannot be isolated on this machine. Not enforced: {', '.join(missing)}. Grade on Linux "
            "(kernel 5.12 or newer) as root, or as a user who may create user namespaces; in a container, start it "
            "with --cap-add SYS_ADMIN --security-opt seccomp=unconfined (and apparmor=unconfined where it applies). "
            "Or leave out --require-sandbox if you trust every submission."
        )


# -- What the machine can do: a small sandboxed process tries ---------------------------------------------------


def _has_namespaces() -> bool:
    return _findings()[0]


@cache
def _findings() -> tuple[bool, tuple[str, ...]]:
    """Whether namespaces work, and what is not enforced."""
    if sys.platform != "linux":
        return False, PHRASES
    for namespaces in (True, False):
        missing = _try(namespaces)
        if missing is not None:
            return namespaces, missing
    return False, PHRASES


def _try(namespaces: bool) -> tuple[str, ...] | None:
    """What a sandbox fails to enforce; None if it does not even start."""
    limits = Limits(memory=2**30, processes=12, file_size=2**20, scratch=2**22)
    with tempfile.TemporaryDirectory(prefix="ck-") as name, socket.create_server(("127.0.0.1", 0)) as server:
        folder = Path(name)
        (folder / "secret").write_text("secret")
        (folder / "cwd").mkdir()
        request = {
            "target": "coursekit.sandbox:_probe",
            "arguments": {"secret": str(folder / "secret"), "port": server.getsockname()[1], "parent": os.getpid()},
            "cwd": str(folder / "cwd"),
            "env": {},
            "log": str(folder / "log"),
            "runtime": None,
            "sandbox": {"limits": asdict(limits), "readable": [], "namespaces": namespaces},
        }
        (folder / "request").write_text(json.dumps(request))
        with open(folder / "request", "rb") as stdin:
            try:
                subprocess.run(zygote_command("once", ""), stdin=stdin, env=zygote_environment(), cwd="/", timeout=60)
                return tuple(json.loads((folder / "log").read_text().splitlines()[-1]))
            except (OSError, ValueError, IndexError, subprocess.TimeoutExpired):
                return None


def zygote_command(*arguments: str) -> list[str]:
    """The command of a process of ``coursekit.zygote``: ``-P`` keeps its folder off ``sys.path``."""
    return [sys.executable, "-P", "-m", "coursekit.zygote", *arguments]


def zygote_environment() -> dict[str, str]:
    """The environment of such a process. A student's code can read it: no more than Python needs is passed on."""
    env = {name: os.environ[name] for name in PASSED if name in os.environ}
    if Path(sysconfig.get_path("purelib")).resolve() != PACKAGES:
        env["PYTHONPATH"] = os.pathsep.join([str(PACKAGES), *filter(None, [env.get("PYTHONPATH")])])
    return env | THREADS | QUIET


def _probe(secret: str, port: int, parent: int) -> None:
    """Run inside a sandbox: print as JSON what it does not keep this process from."""
    missing = []
    if os.path.exists(secret):
        missing.append(FILES)
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        missing.append(NETWORK)
    except OSError:
        pass
    if os.path.exists(f"/proc/{parent}/status") or os.getppid() != 1:
        missing += [PROCESSES, LEFTOVERS]
    if _can_fork(40):
        missing.append(NUMBER)
    try:
        bytearray(2**31)
        missing.append(MEMORY)
    except MemoryError:
        pass
    try:
        with open("file", "wb") as file:
            file.write(bytes(2**20 + 1))
        missing.append(SIZES)
    except OSError:
        pass
    print(json.dumps(missing))


def _can_fork(number: int) -> bool:
    children = []
    try:
        for _ in range(number):
            child = os.fork()
            if child == 0:
                time.sleep(60)
                os._exit(0)
            children.append(child)
        return True
    except OSError:
        return False
    finally:
        for child in children:
            os.kill(child, 9)
            os.waitpid(child, 0)


# -- Calls of the system ----------------------------------------------------------------------------------------

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 1 << 17, 1 << 26, 1 << 27, 1 << 28, 1 << 29, 1 << 30
_RDONLY, _NOSUID, _NODEV, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 1 << 5, 1 << 12, 1 << 14, 1 << 18
_DETACH = 2
_AT_FDCWD, _AT_RECURSIVE = -100, 1 << 15
_MOUNT_SETATTR = 442  # the same on every architecture
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "loongarch64": 41, "ppc64le": 203, "s390x": 217}
_CAPSET = {"x86_64": 126, "aarch64": 91, "riscv64": 91, "loongarch64": 91, "ppc64le": 184, "s390x": 185}
_SET_PDEATHSIG, _SET_DUMPABLE, _NO_NEW_PRIVS = 1, 4, 38


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def advise(address: int, length: int, advice: int) -> None:
    """Give the kernel advice on a range of memory, which it may decline."""
    _libc().madvise(ctypes.c_void_p(address), ctypes.c_size_t(length), advice)


def _unshare(flags: int) -> None:
    _check(_libc().unshare(flags), "unshare")


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> None:
    texts = [text and text.encode() for text in (source, target, kind)]
    _check(_libc().mount(*texts, ctypes.c_ulong(flags), options.encode()), f"mount {target}")


def _system_call(number: int, *arguments: object, what: str) -> None:
    longs = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    _check(_libc().syscall(ctypes.c_long(number), *longs), what)


def prctl(option: int, value: int) -> None:
    """Change a setting of this process: the system call of that name."""
    _check(_libc().prctl(option, ctypes.c_ulong(value), 0, 0, 0), f"prctl {option}")


def die_with_parent() -> None:
    """Have this process killed when the one that forked it ends. To be called after a change of user."""
    prctl(_SET_PDEATHSIG, 9)


# -- The steps, in their order. A supervisor forks the first process of a pid namespace -----------------------------


def leave_processes() -> None:
    """Let the next child of this process be the first in a pid namespace (and a user namespace, if need be)."""
    if not _is_privileged():
        user, group = os.geteuid(), os.getegid()
        _unshare(_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"1000 {user} 1")
        Path("/proc/self/gid_map").write_text(f"1000 {group} 1")
    _unshare(_NEWPID)


def enter(cwd: str, runtime: str | None, sandbox: dict) -> None:
    """Build the file system and go there, without network and privileges. Call it in that child."""
    privileged = os.geteuid() == 0
    user = _private_user() if privileged else os.geteuid()
    _unshare(_NEWNS | _NEWNET | _NEWIPC | _NEWUTS)
    _build_root(cwd, runtime, sandbox, user)
    os.chdir(cwd)
    if privileged:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)


def drop_privileges() -> None:
    """Give up all capabilities, also those that a program could bring (``sudo``)."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    _system_call(_CAPSET[os.uname().machine], header, (ctypes.c_uint32 * 6)(), what="capset")
    prctl(_NO_NEW_PRIVS, 1)


def limit_resources(limits: dict) -> None:
    """Set the limits of this process and of those that it starts."""
    import resource

    chosen = {
        # Addresses, not RLIMIT_DATA: that one does not count shared mappings (Python's own mmap makes these).
        # The libraries that are mapped by now (3 GB with torch) come on top of what the student may use.
        "AS": _addresses() + limits["memory"],
        "NPROC": limits["processes"],
        "FSIZE": limits["file_size"],
        "NOFILE": limits["open_files"],
        "CORE": 0,
        "CPU": limits["cpu_seconds"],
    }
    for name, value in chosen.items():
        if value is not None:
            number = getattr(resource, f"RLIMIT_{name}")
            hard = resource.getrlimit(number)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(number, (value, value))


def be_first_to_go() -> None:
    """Let the kernel, if memory runs out, end this process before any other."""
    Path("/proc/self/oom_score_adj").write_text("1000")


def be_visible(visible: bool = True) -> None:
    """Let this process, and others of its user, read its ``/proc`` folder; a change of user forbids it."""
    prctl(_SET_DUMPABLE, int(visible))


def _is_privileged() -> bool:
    words = Path("/proc/self/status").read_text().split("CapEff:")[1].split()
    return os.geteuid() == 0 and bool(int(words[0], 16) >> 21 & 1)


def _private_user() -> int:
    """A user id that no other process has: made of the process id, where such high ids exist."""
    ranges = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    process = int(os.readlink("/proc/self"))  # as the file system's own namespace numbers it
    user = 2**30 + process
    return user if any(first <= user < first + length for first, _, length in ranges) else 20_000 + process % 40_000


def _addresses() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


# -- The file system --------------------------------------------------------------------------------------------


def visible_folders(readable: Iterable[str] = ()) -> list[str]:
    """What a sandboxed process may read, apart from its own folders: an absolute path each."""
    python = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, os.path.dirname(sys.executable)]
    python += [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib", "scripts")]
    if site.ENABLE_USER_SITE:
        python.append(site.getusersitepackages())
    paths = {os.path.abspath(path) for path in [*SYSTEM, *python, str(PACKAGES), *readable]}
    return sorted(path for path in paths | {os.path.realpath(p) for p in paths} if path != "/")


def _build_root(cwd: str, runtime: str | None, sandbox: dict, user: int) -> None:
    """Make a file system in memory of what may be seen, and make it the root of this process."""
    limits = sandbox["limits"]
    own = f"uid={user},gid={user}," if os.geteuid() == 0 else ""
    size = f"{own}mode=700,size={limits['scratch']},nr_inodes=20000"
    _mount(None, "/", None, _REC | _PRIVATE)
    # Opened now: once the root has changed, absolute links lead elsewhere.
    folders, links = _open_all(visible_folders(sandbox["readable"]), runtime)

    # The new root is mounted over the working folder, which surely exists, and then moved to /.
    _mount("root", cwd, "tmpfs", _NOSUID | _NODEV, "size=1m,mode=755")
    os.chdir(cwd)
    os.mkdir("old", 0o700)
    _system_call(_PIVOT_ROOT[os.uname().machine], b".", b"old", what="pivot_root")
    os.chdir("/")
    for path in sorted([*folders, cwd]):
        if path == cwd:
            os.makedirs(path, exist_ok=True)
            _mount("work", path, "tmpfs", _NOSUID | _NODEV, size)
            _copy_files(f"/old{path}", path, user)
        else:
            _show(folders[path], path, writable=path == runtime)
    for path, target in links.items():
        if not os.path.lexists(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.symlink(target, path)
    if runtime and os.geteuid() == 0:
        _hand_over(runtime, user)
    _mount_devices(size)
    for folder in ("/proc", "/tmp", "/etc"):
        os.makedirs(folder, exist_ok=True)
    _mount("proc", "/proc", "proc", _NOSUID | _NODEV)
    os.symlink(os.path.join(cwd, ".scratch"), SCRATCH)
    number = user if os.geteuid() == 0 else os.getuid()
    Path("/etc/passwd").write_text(f"student:x:{number}:{number}::{cwd}:/bin/sh\n")
    _check(_libc().umount2(b"/old", _DETACH), "umount")
    os.rmdir("/old")
    _mount(None, "/", None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV)


def _open_all(paths: list[str], runtime: str | None) -> tuple[dict[str, int], dict[str, str]]:
    """Handles of the files and folders, those within another left out, and the links with where they lead."""
    folders: dict[str, int] = {}
    links: dict[str, str] = {}
    for path in sorted({*paths, *filter(None, [runtime])}):
        if path != runtime and any(path.startswith(f"{folder}/") for folder in folders if folder != runtime):
            continue
        if os.path.islink(path):
            links[path] = os.path.realpath(path)
        elif os.path.exists(path):
            folders[path] = os.open(path, os.O_PATH)
    return folders, links


def _show(handle: int, path: str, writable: bool) -> None:
    """Mount a file or folder of the old root at the same path in the new one."""
    source = f"/old/proc/self/fd/{handle}"
    if os.path.isdir(source):
        os.makedirs(path, exist_ok=True)
    elif not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(path).touch()
    _mount(source, path, None, _BIND | _REC)
    os.close(handle)
    attributes = _NOSUID | _NODEV | (0 if writable else _RDONLY)
    structure = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    _system_call(_MOUNT_SETATTR, _AT_FDCWD, path.encode(), _AT_RECURSIVE, structure, 32, what=f"mount_setattr {path}")


def _copy_files(source: str, target: str, user: int) -> None:
    """Copy the regular files of a folder, its notebooks left out and no link followed."""
    for entry, place in _entries(source, target):
        if entry.is_dir(follow_symlinks=False):
            os.mkdir(place)
        elif entry.is_file(follow_symlinks=False) and not entry.name.endswith(".ipynb"):
            shutil.copyfile(entry.path, place, follow_symlinks=False)
        else:
            continue
        if os.geteuid() == 0:
            os.chown(place, user, user)


def _entries(source: str, target: str) -> Iterator[tuple[os.DirEntry, str]]:
    with os.scandir(source) as entries:
        for entry in entries:
            place = os.path.join(target, entry.name)
            yield entry, place
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(entry.path, place)


def _hand_over(runtime: str, user: int) -> None:
    """Let the private user own its runtime folder and the sockets that are there."""
    with os.scandir(runtime) as entries:
        for path in [runtime, *(entry.path for entry in entries)]:
            os.chown(path, user, user, follow_symlinks=False)


def _mount_devices(size: str) -> None:
    os.makedirs("/dev/shm")
    for name in DEVICES:
        Path(f"/dev/{name}").touch()
        _mount(f"/old/dev/{name}", f"/dev/{name}", None, _BIND)
    for name, target in {"fd": "fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}.items():
        os.symlink(f"/proc/self/{target}", f"/dev/{name}")
    os.mkdir("/dev/pts")
    _mount("devpts", "/dev/pts", "devpts", _NOSUID, "newinstance,ptmxmode=0666,mode=620")  # IPython's ! uses them
    os.symlink("pts/ptmx", "/dev/ptmx")
    _mount("shm", "/dev/shm", "tmpfs", _NOSUID | _NODEV, size)
