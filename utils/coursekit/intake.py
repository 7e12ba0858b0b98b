"""Files from an archive or a folder that nobody has checked: read in pieces, never trusted, never unpacked blindly.

What a header says of a file's size is not believed: everything is read in pieces that are counted, and reading stops at
a limit. Links, devices, encrypted entries and paths that lead out of the archive are listed with their fault, so that
a person can be told; nothing of them is read.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import struct
import tempfile
import time
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from .errors import CourseError

MB = 2**20
MOST_FILES = 200_000  # in a whole class's folder or archive
MOST_FILES_OF_ONE = 1_000  # of one student
MOST_BYTES_OF_ONE = 250 * MB  # of one student, unpacked
LARGEST_RATIO = 200  # unpacked to packed; a notebook full of blank pictures reaches about 100
SMALL = 20 * MB  # below this, any ratio will do
PIECE = 2**18  # bytes read at a time

_JUNK = re.compile(r"__MACOSX|\._.*|\.DS_Store|Thumbs\.db|desktop\.ini|\.ipynb_checkpoints|__pycache__", re.I)
_DRIVE = re.compile(r"[A-Za-z]:")
_DIRECTORY_LIMIT = 256  # bytes of an archive's directory for each file that is allowed


class RefusedError(Exception):
    """A file of a student cannot be taken; the message says why, to a person."""


class File(NamedTuple):
    """One file of a source, not read yet."""

    parts: tuple[str, ...]
    """Its path, from the top of the source."""
    time: float | None
    """Seconds since 1970 of its last change, or None if that is not known."""
    fault: str
    """Why it cannot be read, in words; empty if it can."""
    open: Callable[[], IO[bytes]]
    packed: int | None = None
    """Bytes that it takes in its archive, None outside of one."""

    @property
    def name(self) -> str:
        """The file's own name, without its folders."""
        return self.parts[-1]

    @property
    def is_zip(self) -> bool:
        """Whether the name says that this is an archive."""
        return self.name.lower().endswith(".zip")

    def __str__(self) -> str:
        return shown("/".join(self.parts))


class Budget:
    """What one student may still unpack, in bytes and in files."""

    def __init__(self, size: int = MOST_BYTES_OF_ONE, files: int = MOST_FILES_OF_ONE) -> None:
        self.size, self.files = size, files

    def spend(self, size: int = 0, files: int = 0) -> None:
        """Take this much. Raises ``RefusedError`` if it is more than is left."""
        self.size -= size
        self.files -= files
        if self.size < 0:
            raise RefusedError(f"unpacked, the files have more than {MOST_BYTES_OF_ONE // MB} MB together")
        if self.files < 0:
            raise RefusedError(f"there are more than {MOST_FILES_OF_ONE} files")


def shown(text: str, longest: int = 120) -> str:
    """A name from outside as a person may safely read it: one line, printable, not too long."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text if len(text) <= longest else f"{text[: longest - 1]}\N{HORIZONTAL ELLIPSIS}"


@contextlib.contextmanager
def files_of(source: Path) -> Iterator[list[File]]:
    """The files in a folder or a zip archive; those in an archive can be read until this context ends.

    What operating systems leave behind (``__MACOSX``, ``Thumbs.db``, checkpoints) is left out.

    Raises ``CourseError`` if there is no such folder or archive, or if it cannot be read at all.
    """
    if source.is_dir():
        yield _files_of_folder(source)
    elif source.is_file():
        with source.open("rb") as stream, contextlib.ExitStack() as stack:
            try:
                archive = stack.enter_context(_open_zip(stream, MOST_FILES))
                files = _files_of_zip(archive)
            except RefusedError as error:
                raise CourseError(f"{source}: {error}. Give a zip archive, or a folder with its files.") from None
            yield files
    else:
        raise CourseError(f"There is no folder or archive {source}: give the path of the downloaded submissions.")


@contextlib.contextmanager
def unpacked(file: File, budget: Budget) -> Iterator[list[File]]:
    """The files in a student's zip archive, with the archive's own time. Raises ``RefusedError`` in words."""
    with contextlib.ExitStack() as stack:
        if file.packed is None:
            stream = stack.enter_context(reading(file))
        else:
            stream = stack.enter_context(tempfile.SpooledTemporaryFile(max_size=8 * MB))
            for piece in pieces(file, budget):
                stream.write(piece)
        archive = stack.enter_context(_open_zip(stream, MOST_FILES_OF_ONE))
        inside = _files_of_zip(archive)
        budget.spend(files=len(inside))
        # The times within were set by the student's computer; the archive's own was not.
        yield [
            inner._replace(
                parts=file.parts + inner.parts,
                time=file.time,
                fault=inner.fault or ("a zip archive within a zip archive" if inner.is_zip else ""),
            )
            for inner in inside
        ]


@contextlib.contextmanager
def reading(file: File) -> Iterator[IO[bytes]]:
    """The file opened for reading. Raises ``RefusedError`` if it cannot be."""
    if file.fault:
        raise RefusedError(file.fault)
    try:
        stream = file.open()
    except RefusedError:
        raise
    except Exception as error:  # an archive's fault may show as nearly any error
        raise RefusedError(f"cannot be read ({_words(error)})") from None
    with stream:
        yield stream


def pieces(file: File, budget: Budget, limit: int | None = None) -> Iterator[bytes]:
    """The file's bytes, in pieces, counted as they come.

    Raises ``RefusedError`` if the file cannot be read, is larger than ``limit`` bytes, or unpacks to more than is left
    of the budget or than is plausible.
    """
    total = 0
    with reading(file) as stream:
        while True:
            try:
                piece = stream.read(PIECE)
            except Exception as error:  # a corrupt archive may raise nearly any error
                raise RefusedError(f"cannot be read ({_words(error)})") from None
            if not piece:
                return
            total += len(piece)
            if limit is not None and total > limit:
                raise RefusedError(f"has more than {limit // MB} MB")
            if file.packed is not None and total > max(SMALL, LARGEST_RATIO * file.packed):
                raise RefusedError(f"unpacks to more than {LARGEST_RATIO} times its size")
            budget.spend(size=len(piece))
            yield piece


def _words(error: Exception) -> str:
    return shown(str(error)) or type(error).__name__


def _is_junk(parts: tuple[str, ...]) -> bool:
    return any(_JUNK.fullmatch(part) for part in parts)


def _files_of_folder(source: Path) -> list[File]:
    files = []
    for folder, names, plain in os.walk(source):
        names.sort()
        here = Path(folder)
        # A link to a folder is not followed, and a folder may be called "x.ipynb": both are told, not read.
        special = [name for name in names if name.lower().endswith(".ipynb") or (here / name).is_symlink()]
        for name in sorted(plain + special):
            file = _file_of_folder(source, here / name)
            if not _is_junk(file.parts):
                files.append(file)
        if len(files) > MOST_FILES:
            raise CourseError(f"{source} holds more than {MOST_FILES} files: are these the submissions?")
    return files


def _file_of_folder(source: Path, path: Path) -> File:
    parts = tuple(unicodedata.normalize("NFC", part) for part in path.relative_to(source).parts)
    try:
        status = path.lstat()
    except OSError as error:
        return File(parts, None, f"cannot be read ({error.strerror})", lambda: _open_ordinary(path))
    return File(parts, status.st_mtime, _fault_of_mode(status.st_mode), lambda: _open_ordinary(path))


def _fault_of_mode(mode: int) -> str:
    if stat.S_ISREG(mode):
        return ""
    if stat.S_ISLNK(mode):
        return "a link, not a file"
    return "a folder, not a file" if stat.S_ISDIR(mode) else "a device or a pipe, not a file"


def _open_ordinary(path: Path) -> IO[bytes]:
    """Open a file that was ordinary when listed, and must still be."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise RefusedError("not an ordinary file")
    return os.fdopen(handle, "rb")


def _open_zip(stream: IO[bytes], most: int) -> zipfile.ZipFile:
    """An archive whose directory is not absurdly long. Raises ``RefusedError`` if it cannot be read."""
    try:
        _check_directory(stream, most)
        archive = zipfile.ZipFile(stream)
    except RefusedError:
        raise
    except UnicodeDecodeError:
        raise RefusedError("names in this zip archive are not UTF-8, although it says so") from None
    except Exception as error:  # a corrupt archive may raise nearly any error
        raise RefusedError(f"not a zip archive that can be read ({_words(error)})") from None
    if len(archive.infolist()) > most:
        archive.close()
        raise RefusedError(f"a zip archive of more than {most} files")
    return archive


def _check_directory(stream: IO[bytes], most: int) -> None:
    """Look at the end record before Python makes an object of each entry in the archive's directory."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - 2**16 - 22))
    tail = stream.read()
    at = tail.rfind(b"PK\5\6")
    if at >= 0 and len(tail) >= at + 20:
        count, length = struct.unpack("<HL", tail[at + 10 : at + 16])
        is_large = length == 0xFFFFFFFF  # the true length stands elsewhere, as it may for a whole class only
        too_long = most <= MOST_FILES_OF_ONE if is_large else length > most * _DIRECTORY_LIMIT + 4 * MB
        if too_long or (count != 0xFFFF and count > most):
            raise RefusedError(f"a zip archive of more than {most} files")
    stream.seek(0)


def _files_of_zip(archive: zipfile.ZipFile) -> list[File]:
    files = []
    for info in archive.infolist():
        parts, fault = _parts_of(info)
        is_folder = info.filename.endswith("/")  # `info.is_dir()` fails for an empty name
        named_folder = is_folder and parts and parts[-1].lower().endswith(".ipynb")
        if not parts or _is_junk(parts) or (is_folder and not named_folder):
            continue
        fault = "a folder, not a file" if named_folder else fault or _fault_of_entry(info)
        files.append(File(parts, _time_of(info), fault, _opener(archive, info), info.compress_size))
    return files


def _opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: archive.open(info)


def _parts_of(info: zipfile.ZipInfo) -> tuple[tuple[str, ...], str]:
    """The path of an entry, and what is wrong with it."""
    name = info.filename
    if not info.flag_bits & 0x800:
        # Without the flag it should be an old code page; macOS and others write UTF-8 all the same.
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    pieces_ = unicodedata.normalize("NFC", name).replace("\\", "/").split("/")
    leads_out = name[:1] in ("/", "\\") or ".." in pieces_ or _DRIVE.match(name)
    parts = tuple(piece for piece in pieces_ if piece not in ("", ".", ".."))
    return parts, "its path leads out of the archive" if leads_out else ""


def _fault_of_entry(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & 0x1:
        return "encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "packed by an unusual method"
    mode = info.external_attr >> 16
    made_by_unix = info.create_system == 3 and stat.S_IFMT(mode)
    return _fault_of_mode(mode) if made_by_unix else ""


def _time_of(info: zipfile.ZipInfo) -> float | None:
    """When the entry was changed: exactly if the archive says so, else by the clock of the one who packed it."""
    extra = info.extra
    while len(extra) >= 4:
        kind, length = struct.unpack("<HH", extra[:4])
        if kind == 0x5455 and length >= 5 and len(extra) >= 9 and extra[4] & 1:
            return float(struct.unpack("<l", extra[5:9])[0])
        extra = extra[4 + length :]
    if info.date_time[0] <= 1980:
        return None
    try:
        return time.mktime((*info.date_time, 0, 0, -1))
    except (ValueError, OverflowError):
        return None
