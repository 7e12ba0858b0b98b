"""The student edition: the course without solutions, and without anything that reveals them.

It is made of the files that git tracks, less ``solutions/``, the tests that read them or test coursekit, and what only
the instructors' own checks need. Before it is written, every line of every file in it is compared with every line of
every solution, hidden test and mark scheme (``assignments.secret_lines``). A line of these that tells nothing, and
stands elsewhere by coincidence, is to be listed in ``solutions/idioms.txt``.

The archive, unpacked, may be made a public repository.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from .assignments import secret_lines
from .errors import CourseError
from .project import ROOT, solutions, tracked

LEFT_OUT = ("solutions", "grading", "_build", ".ci", ".github/workflows/test.yml", ".github/workflows/weekly.yml")
"""Files and folders that are not in the edition, beside some tests."""
PUBLIC_MODULES = ("coursekit.book", "coursekit.browser", "coursekit.errors", "coursekit.project")
"""What a test that is in the edition may import of coursekit."""
MOST_TOLD = 10
MARKS = " \t#>*|`+-"
"""What may stand before or after a line that was commented out, quoted or listed."""


def student_edition(root: Path = ROOT, to: Path | None = None) -> Path:
    """Write the student edition to ``_build/NAME-student.zip``, or to another path; return the path.

    The same files make the same bytes. Raises ``CourseError`` naming file and line if a line of a solution, a hidden
    test or a mark scheme is in a file that would be in it, and if this is no git checkout with solutions.
    """
    root = Path(root).resolve()
    need_solutions(root)
    name = f"{_name(root)}-student"
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in edition_files(root)}
    _refuse_leaks(files.items(), root)
    path = Path(to) if to else root / "_build" / f"{name}.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, data in sorted(files.items()):
                archive.writestr(_entry(f"{name}/{file}", root / file), data)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def check_edition(path: Path, root: Path = ROOT) -> int:
    """Search an edition, as an archive or unpacked (a public repository, say); return how many files were searched.

    Raises ``CourseError`` naming file and line of what is secret, or if nothing can be searched.
    """
    path = Path(path)
    need_solutions(Path(root))
    if path.is_file():
        try:
            with zipfile.ZipFile(path) as archive:
                files = {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}
        except (zipfile.BadZipFile, OSError) as error:
            raise CourseError(f"{path} cannot be read: {error}.") from None
    else:
        found = (file for file in path.rglob("*") if file.is_file() and ".git" not in file.relative_to(path).parts)
        files = {file.relative_to(path).as_posix(): file.read_bytes() for file in found}
    if not files:
        raise CourseError(f"There is nothing to search in {path}: give an archive or a folder.")
    _refuse_leaks(files.items(), Path(root))
    return len(files)


def need_solutions(root: Path = ROOT) -> None:
    """Raises ``CourseError`` in the student edition, which can build the book and train, but not release or grade."""
    if not solutions(Path(root)):
        raise CourseError(
            "This is the student edition of the course: without solutions/ nothing can be released, collected or "
            "graded. The book, the exercises and the library are all here; instructors use the full repository."
        )


def edition_files(root: Path = ROOT) -> list[Path]:
    """The files that make up the edition, sorted. Raises ``CourseError`` outside a git checkout, or for a link."""
    root = Path(root).resolve()
    files = tracked(root)
    if files is None:
        raise CourseError(f"{root} is no git checkout, so it is not known which files make up the course: use a clone.")
    chosen = sorted(path for path in set(files) if path.is_file() and _belongs(path.relative_to(root).as_posix()))
    links = [path.relative_to(root).as_posix() for path in chosen if path.is_symlink()]
    if links:
        raise CourseError(f"{', '.join(links)}: a link may lead to what is secret. Put a file in its place.")
    tests = _public_tests([path for path in chosen if path.parent == root / "tests" and path.suffix == ".py"])
    return [path for path in chosen if root / "tests" not in path.parents or path in tests]


def _belongs(file: str) -> bool:
    return not any(file == name or file.startswith(f"{name}/") for name in LEFT_OUT)


def _public_tests(paths: list[Path]) -> set[Path]:
    """Tests that neither name the solutions nor import coursekit's machinery, nor a helper that does."""
    sources = {path: path.read_text(encoding="utf-8") for path in paths}
    imported = {path: set(_imports(source)) for path, source in sources.items()}
    out = {
        path
        for path, source in sources.items()
        if "solutions" in source
        or any(name.split(".")[0] == "coursekit" and name not in PUBLIC_MODULES for name in imported[path])
    }
    while helpers := {path for path in paths if imported[path] & {other.stem for other in out}} - out:
        out |= helpers
    return set(paths) - out


def _imports(source: str) -> Iterator[str]:
    """The modules that a file imports; of ``from coursekit import x``, ``coursekit.x``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "coursekit":
            yield from (f"coursekit.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def _name(root: Path) -> str:
    try:
        return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return "course"


def _entry(name: str, path: Path) -> zipfile.ZipInfo:
    """An archive's entry that depends on the file only, not on when and by whom it was checked out."""
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.create_system, entry.compress_type = 3, zipfile.ZIP_DEFLATED
    entry.external_attr = (0o100755 if path.stat().st_mode & 0o100 else 0o100644) << 16
    return entry


# What must not be in it


def _refuse_leaks(files: Iterable[tuple[str, bytes]], root: Path) -> None:
    secrets = secret_lines(root) - idioms(root)
    copies = {_digest(path.read_bytes()): path for path in (root / "solutions").rglob("*") if path.is_file()}
    found = []
    for file, data in files:
        if data.strip() and _digest(data) in copies:
            found.append(f"{file} is a copy of {copies[_digest(data)].relative_to(root).as_posix()}")
        found += [f"{file}, line {number}: {line}" for number, line in leaks(file, data, secrets)]
    if found:
        more = f"\n  and {len(found) - MOST_TOLD} more" if len(found) > MOST_TOLD else ""
        raise CourseError(
            "The student edition was not made, because these lines are also lines of a solution, a hidden test or a "
            "mark scheme. Change them, or, if they tell nothing of an answer, add them to solutions/idioms.txt:\n  "
            + "\n  ".join(found[:MOST_TOLD])
            + more
        )


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def idioms(root: Path = ROOT) -> set[str]:
    """The lines in ``solutions/idioms.txt``, which may stand anywhere."""
    path = Path(root) / "solutions" / "idioms.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


def leaks(file: str, data: bytes, secrets: set[str]) -> Iterator[tuple[int, str]]:
    """The lines of a file that are secret, each with its number; in a notebook also the lines of its texts.

    A line is found with or without what comments it out or quotes it. The number of a line in a text within a notebook
    is that of the line in the file where the text begins, as far as that can be told, and else 1.
    """
    text = data.decode("utf-8", errors="replace")
    lines = text.splitlines()
    found = [(number, _secret(line, secrets)) for number, line in enumerate(lines, 1)]
    if PurePosixPath(file).suffix in (".ipynb", ".json"):
        inside = {_secret(line, secrets) for value in _strings(text) for line in value.splitlines()}
        found += [(_place(line, lines), line) for line in sorted(filter(None, inside))]
    yield from dict.fromkeys((number, line) for number, line in found if line)


def _secret(line: str, secrets: set[str]) -> str | None:
    """The secret that a line is, or None."""
    return next((form for form in (line.strip(), line.strip(MARKS)) if form in secrets), None)


def _strings(text: str) -> Iterator[str]:
    """Every text in a JSON file; none if it is no JSON."""
    try:
        stack = [json.loads(text)]
    except (ValueError, RecursionError):
        return
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            stack += value
        elif isinstance(value, dict):
            stack += [*value, *value.values()]


def _place(secret: str, lines: list[str]) -> int:
    quoted = (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    return next((number for number, line in enumerate(lines, 1) if any(q in line for q in quoted)), 1)
