"""From what a learning platform gives to nbgrader's layout, ``grading/submitted/STUDENT/NAME/NAME.ipynb``.

Whose work a file is, is read from the names of its folder, archive or itself, with the roster's help if there is one.
Which assignment a notebook is, is read from the names of its graded cells, so that its file may be called anything.
What does not fit is left where it is and told: nothing is guessed silently, and one student's broken file stops nobody
else's. Earlier work is never lost: it moves to ``grading/superseded``.

Times. nbgrader reads the time of handing in from ``timestamp.txt``. Moodle and Canvas write the time of the download
into their archives, not that of handing in (their source: ``zip_writer.php``, ``content_zipper.rb``), which would make
a whole class late. So the times of a source count only if they differ by more than an hour; those of an archive inside
the source, packed by a student, never count. Where no time is known, no ``timestamp.txt`` is written.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from nbgrader.utils import parse_utc
from tqdm import tqdm

from .errors import CourseError
from .intake import MB, Budget, File, RefusedError, files_of, pieces, shown, unpacked
from .project import ROOT
from .roster import Directory, bad_id, plain, read_roster

STATUSES = ("collected", "replaced", "unchanged", "refused", "unmatched")
LARGEST_NOTEBOOK = 50 * MB
MOST_BRACKETS = 1_000_000  # in a notebook; each becomes an object, so that fifty megabytes could become gigabytes
LONGEST_NAME = 100  # characters of a file that is handed in beside the notebook
TIMESTAMP = "%Y-%m-%d %H:%M:%S.%f UTC"  # nbgrader's own format
MOST_TOLD = 5  # things that are said of one student's files
SHORTEST_TERM = 3600  # seconds; times closer than this are those of a download
WRAPPERS = ("submissions", "submitted", "inbound")

_MOODLE = re.compile(r"(?P<who>.+)_(?P<number>\d+)_assignsubmission_(?:file|onlinetext)_?(?P<rest>.*)", re.S)
_CANVAS = re.compile(r"(?P<who>.+?)(?P<late>_LATE)?_(?P<number>\d+)_(?P<attachment>\d+)_(?P<rest>.+)", re.S)
_BLACKBOARD = re.compile(r"(?P<before>.+)_attempt_(?P<time>\d{4}(?:-\d\d){5})(?:_(?P<rest>.*)|\.txt)", re.S)
_AGAIN = re.compile(r"-\d{1,2}(?=\.\w+$)|-\d{1,2}$")  # what Canvas adds to a name that was handed in before
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.I)  # names that Windows keeps for devices


class Collected(NamedTuple):
    """What became of one student's work, or of files that are nobody's."""

    student: str
    """The student's id, or empty if it is not known."""
    status: str
    """One of ``STATUSES``."""
    why: str
    """For a person: what was wrong or unusual, and the remedy; empty if all is as usual."""
    path: Path
    """The collected notebook, or what was left where it is."""

    def __str__(self) -> str:
        return f"{self.student or '?':<24} {self.status:<9}  {self.why or shown(str(self.path), 400)}"


class Claim(NamedTuple):
    """What the name of a file or folder says of whose it is."""

    students: frozenset[str]
    """Ids of those it may mean: one, if all is well."""
    owner: str
    """The name that says so; work under different names of one platform is kept apart."""
    rest: str
    """The file's own name, without what the platform put before it."""
    time: float | None = None
    """When it was handed in, if the name says so; in seconds since 1970."""
    note: str = ""
    platform: str = ""


class Part(NamedTuple):
    """One file of a student's, with what its name said."""

    file: File
    claim: Claim


def collect(
    name: str, source: Path, root: Path = ROOT, replace: bool = False, *, progress: bool | None = False
) -> list[Collected]:
    """Take an assignment's submissions from a folder or a zip archive; return what became of each.

    A student's newer work replaces what was collected before, which moves to ``grading/superseded/STUDENT/NAME/TIME``.
    Work that is older than what was collected, by times that are both known, is left, unless ``replace``. ``progress``
    shows a bar on stderr; None shows it on a terminal.

    Raises ``CourseError`` if the source cannot be read, if the assignment was not released, or if the roster is bad.
    """
    root, source = Path(root).resolve(), Path(source)
    known = _grade_ids_of_course(name, root)
    source = _only_archive(source, root)
    with files_of(source) as files:
        groups, results = _by_student(name, files, source, root)
        times = _times(groups, source)
        hidden = None if progress is None else not progress
        for student in tqdm(sorted(groups), desc=f"collect {name}", unit="student", disable=hidden):
            parts = [Part(p.file._replace(time=times(p)), p.claim) for p in groups[student]]
            results.append(_collect_one(student, name, parts, source, known, root, replace))
    results.sort(key=lambda r: (not r.student, r.student, str(r.path)))
    _write_record(name, results, root)
    return results


def read_collected(name: str, root: Path = ROOT) -> dict[str, Collected]:
    """What became of each student's work when it was last collected, by id; without what nobody could be matched to."""
    path = _record_path(name, Path(root))
    try:
        entries = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        return {s: Collected(s, e["status"], e["why"], Path(e["path"])) for s, e in entries.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise CourseError(f"{path} cannot be read: remove it and collect again.") from None


def table(results: Iterable[Collected]) -> str:
    """How many there are of each status, and every one that a person should look at."""
    results = list(results)
    lines = [str(r) for r in results if r.why]
    counts = [f"{sum(r.status == status for r in results)} {status}" for status in STATUSES]
    return "\n".join([*lines, ", ".join(c for c in counts if not c.startswith("0 ")) or "nothing found"])


# Which assignment a notebook is


def _grade_ids_of_course(name: str, root: Path) -> dict[str, set[str]]:
    """The names of the graded cells of every released assignment."""
    known = {}
    for path in sorted((root / "exercises").glob("*/*.ipynb")):
        if path.stem == path.parent.name:
            try:
                known[path.stem] = grade_ids(path.read_bytes())
            except RefusedError as error:
                raise CourseError(f"{path} {error}: `make release NAME={path.stem}` makes it anew.") from None
    if name not in known:
        raise CourseError(
            f"There is no exercises/{name}/{name}.ipynb in {root}: `make release NAME={name}` makes it. "
            f"Released: {', '.join(known) or 'none'}."
        )
    return known


def grade_ids(data: bytes) -> set[str]:
    """The names of a notebook's graded cells. Raises ``RefusedError`` if it is no notebook."""
    if data.count(b"[") + data.count(b"{") > MOST_BRACKETS:
        raise RefusedError("is not a plausible notebook (it has over a million brackets)")
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise RefusedError("is not a notebook (not UTF-8)") from None
    except RecursionError:
        raise RefusedError("is not a notebook (nested too deeply)") from None
    except (ValueError, MemoryError) as error:
        raise RefusedError(f"is not a notebook ({shown(str(error)) or 'too large'})" if data else "is empty") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise RefusedError("is not a notebook, or one of before 2015 (it has no cells)")
    found = set()
    for cell in cells:
        for key in ("metadata", "nbgrader", "grade_id"):
            cell = cell.get(key) if isinstance(cell, dict) else None
        if isinstance(cell, str):
            found.add(cell)
    return found


def _check_assignment(found: set[str], name: str, known: dict[str, set[str]]) -> int:
    """How many graded cells of the assignment a notebook has. Raises ``RefusedError`` if it is another one's."""
    matches = {other: len(found & ids) for other, ids in known.items()}
    best = max(matches, key=lambda other: (matches[other], other == name))
    if best != name:
        raise RefusedError(f"is {best}, not {name}")
    if not matches[name]:
        raise RefusedError(
            f"has no graded cell of {name} in it: it is another notebook, or a program removed its metadata"
        )
    return matches[name]


# Whose a file is


def _only_archive(source: Path, root: Path) -> Path:
    """The one zip archive in a folder that holds nothing else, if it names no student: it is the download itself."""
    if not source.is_dir():
        return source
    with files_of(source) as files:
        if len(files) != 1 or len(files[0].parts) != 1 or not files[0].is_zip or files[0].fault:
            return source
    claim = _claim(files[0].parts, "", Directory(read_roster(root)))
    return source if claim and claim.students else source / files[0].name


def _by_student(
    name: str, files: list[File], source: Path, root: Path
) -> tuple[dict[str, list[Part]], list[Collected]]:
    """Each student's files, and what is nobody's."""
    roster = read_roster(root)
    directory = Directory(roster) if roster else None
    skip = 0 if directory else _wrapper(name, files)
    groups: dict[str, list[Part]] = {}
    strays: dict[str, tuple[str, list[File]]] = {}
    for file in files:
        claim = _claim(file.parts[skip:], name, directory)
        if claim is None and directory and len(file.parts) == 1 and source.is_file():
            found = directory.find(source.stem)  # the archive of one student
            claim = Claim(frozenset(found), source.stem, file.name) if found else None
        if claim and len(claim.students) == 1:
            groups.setdefault(next(iter(claim.students)), []).append(Part(file, claim))
        else:
            _note_stray(strays, file, claim, directory is not None)
    _split_namesakes(groups, strays)
    results = [
        Collected("", "unmatched", _told(why, lost), source.joinpath(*lost[0].parts[: len(label.split("/"))]))
        for label, (why, lost) in strays.items()
    ]
    return groups, results


def _told(why: str, files: list[File]) -> str:
    return f"{why}; left: {', '.join(map(str, files[:3]))}{f' and {len(files) - 3} more' if len(files) > 3 else ''}"


def _note_stray(strays: dict[str, tuple[str, list[File]]], file: File, claim: Claim | None, by_roster: bool) -> None:
    if claim and claim.students:
        why = f"may be {' or '.join(sorted(claim.students))}: rename it to the id of one"
    elif by_roster:
        why = "names nobody on the roster: rename it to a student's id, or add the student to grading/roster.csv"
    else:
        why = "names no student: put it into a folder named by the student's id"
    label = "/".join(file.parts[:-1]) or file.name
    strays.setdefault(label, (why, []))[1].append(file)


def _split_namesakes(groups: dict[str, list[Part]], strays: dict[str, tuple[str, list[File]]]) -> None:
    """Take out whom a platform lists twice, or who would share a folder with another by capitals alone."""
    spelled: dict[str, list[str]] = {}
    for student in groups:
        spelled.setdefault(plain(student), []).append(student)
    for student in list(groups):
        owners = {part.claim.owner for part in groups[student] if part.claim.platform in ("Moodle", "Canvas")}
        why = ""
        if len(owners) > 1:
            why = f"two people are called {student}: a roster that tells them apart is needed, or a folder for each id"
        elif len(spelled[plain(student)]) > 1:
            why = f"{' and '.join(sorted(spelled[plain(student)]))} differ by capitals alone: rename one"
        elif fault := bad_id(student):
            why = f"names no possible student ({fault}): rename it to the student's id"
        if why:
            for part in groups.pop(student):
                label = "/".join(part.file.parts[:-1]) or part.file.name
                strays.setdefault(label, (why, []))[1].append(part.file)


def _wrapper(name: str, files: list[File]) -> int:
    """How many folders at the top hold everybody's work and so are no student's."""
    skip = 0
    while files and all(len(file.parts) > skip + 2 for file in files):
        tops = {file.parts[skip] for file in files}
        nexts = {file.parts[skip + 1] for file in files}
        if len(tops) > 1 or _claim_of_platform(next(iter(tops)), None, name):
            return skip
        if plain(next(iter(tops))) not in (*WRAPPERS, plain(name)) and (len(nexts) == 1 or plain(name) in nexts):
            return skip
        skip += 1
    return skip


def _claim(parts: tuple[str, ...], name: str, directory: Directory | None) -> Claim | None:
    """Whose a file is by the outermost name that says so. A platform's name decides, whatever is inside it."""
    for depth, part in enumerate(parts):
        is_last = depth == len(parts) - 1
        claim = _claim_of_platform(part, directory, name)
        if claim:
            return claim if is_last else claim._replace(rest=parts[-1])
        stem = part.rpartition(".")[0] if is_last and "." in part[1:] else part
        texts = list(dict.fromkeys([part, stem, _without(name, stem)]))
        owner = "/".join(parts[: depth + (not is_last)])
        if directory:
            found = next((ids for ids in map(directory.find, filter(None, texts)) if ids), None)
            if found:
                return Claim(frozenset(found), owner, parts[-1])
        elif plain(part) not in ("", plain(name)):
            return Claim(frozenset(filter(None, [texts[-1] if is_last else part])), owner, parts[-1])
    return None


def _without(name: str, text: str) -> str:
    """A file's name without the assignment's name at its beginning or end."""
    if not name:
        return text
    word = re.escape(name)
    again = r"(?:[-_ ]?\(?\d{1,2}\)?)?"
    return re.sub(rf"^{word}{again}[-_ .+]*|[-_ .+]*{word}{again}$", "", text, count=1, flags=re.I)


def _claim_of_platform(part: str, directory: Directory | None, name: str) -> Claim | None:
    for read in (_claim_of_moodle, _claim_of_blackboard, _claim_of_canvas, _claim_of_exchange):
        claim = read(part, directory, name)
        if claim:
            return claim
    return None


def _claim_of_moodle(part: str, directory: Directory | None, name: str) -> Claim | None:
    """``Full Name_12345_assignsubmission_file_``; the number is none of the student's, but one of this assignment's."""
    found = _MOODLE.fullmatch(part)
    if not found:
        return None
    who = found["who"].strip()
    students = {who} if directory is None else directory.find(who) or directory.find(who.partition(" ")[0])
    return Claim(frozenset(students), f"{who}_{found['number']}", found["rest"] or part, platform="Moodle")


def _claim_of_canvas(part: str, directory: Directory | None, name: str) -> Claim | None:
    """``lastnamefirstname_LATE_12345_67890_file``: 12345 is the student's number, 67890 the file's."""
    found = _CANVAS.fullmatch(part)
    if not found:
        return None
    who, number = found["who"], found["number"]
    note = "Canvas marked it as late; its archive does not say by how much" if found["late"] else ""
    students = {who}
    if directory:
        by_number, by_name = directory.find_number(number), directory.find(who)
        students = by_number & by_name or by_number | by_name
    return Claim(frozenset(students), f"{who}_{number}", found["rest"], None, note, "Canvas")


def _claim_of_blackboard(part: str, directory: Directory | None, name: str) -> Claim | None:
    """``Any title_username_attempt_2026-01-30-15-00-00_file``; the time is the platform's, on its own clock."""
    found = _BLACKBOARD.fullmatch(part)
    if not found:
        return None
    words = found["before"].split("_")
    students = {words[-1]}
    if directory:  # a user's name may itself contain "_"
        ends = ["_".join(words[at:]) for at in range(len(words))]
        students = next((ids for ids in map(directory.find, ends) if ids), set())
    with contextlib.suppress(ValueError, OverflowError):
        moment = time.mktime(time.strptime(found["time"], "%Y-%m-%d-%H-%M-%S"))
        return Claim(frozenset(students), words[-1], found["rest"] or "", moment, platform="Blackboard")
    return None


def _claim_of_exchange(part: str, directory: Directory | None, name: str) -> Claim | None:
    """``student+assignment+time``, as nbgrader's exchange names folders."""
    found = re.fullmatch(rf"(.+)\+{re.escape(name)}\+(\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\S* \S+?)(\+\S*)?", part)
    if not name or not found:
        return None
    students = {found[1]} if directory is None else directory.find(found[1])
    with contextlib.suppress(ValueError, OverflowError):
        return Claim(frozenset(students), found[1], part, _seconds(found[2]), platform="exchange")
    return None


# When it was handed in


def _times(groups: dict[str, list[Part]], source: Path) -> Callable[[Part], float | None]:
    """A function that gives the time of a part, or None where only the time of the download is known."""
    known = [[part.file.time for part in parts if part.file.time is not None] for parts in groups.values()]
    moments = sorted(max(times) for times in known if times)
    trusted = bool(moments) and moments[-1] - moments[0] >= SHORTEST_TERM
    if len(moments) == 1:
        # An archive's clock may stand in another time zone.
        made, doubt = (source.stat().st_mtime, 26 * 3600) if source.is_file() else (time.time(), SHORTEST_TERM)
        trusted = abs(moments[0] - made) > doubt
    latest = time.time() + 26 * 3600

    def time_of(part: Part) -> float | None:
        if part.claim.time is not None or part.claim.platform == "Canvas":
            return part.claim.time
        return part.file.time if trusted and part.file.time and part.file.time < latest else None

    return time_of


def _seconds(text: str) -> float:
    """Nbgrader's timestamp in seconds since 1970. Raises ``ValueError`` if it is none."""
    return parse_utc(text.strip()).replace(tzinfo=UTC).timestamp()


def _timestamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime(TIMESTAMP)


# One student


class _Notebook(NamedTuple):
    part: Part
    data: bytes
    matches: int


def _collect_one(
    student: str, name: str, parts: list[Part], source: Path, known: dict[str, set[str]], root: Path, replace: bool
) -> Collected:
    """Stage one student's work in a folder of its own, then put it into place."""
    grading = root / "grading"
    grading.mkdir(exist_ok=True)
    at = source.joinpath(*_shared(part.file.parts for part in parts))
    stage = Path(tempfile.mkdtemp(prefix=".collecting-", dir=grading))
    try:
        notes, moment = _stage(stage, name, parts, known)
        return _put(stage, student, name, moment, notes, root, replace)
    except RefusedError as error:
        return Collected(student, "refused", str(error), at)
    except (OSError, ValueError, MemoryError, RecursionError) as error:
        return Collected(student, "refused", f"cannot be stored ({shown(str(error)) or type(error).__name__})", at)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _shared(paths: Iterable[tuple[str, ...]]) -> list[str]:
    """The folders, or the file, that several paths have in common at their beginning."""
    return [names[0] for names in itertools.takewhile(lambda names: len(set(names)) == 1, zip(*paths, strict=False))]


def _stage(stage: Path, name: str, parts: list[Part], known: dict[str, set[str]]) -> tuple[list[str], float | None]:
    """Write the notebook and its companions into the stage; return what to tell, and the time of handing in."""
    budget = Budget()
    notes = sorted({part.claim.note for part in parts if part.claim.note})
    places = sorted({shown(part.claim.owner) or "the top" for part in parts if not part.claim.platform})
    if len(places) > 1:
        notes.append(f"found in {len(places)} places: {', '.join(places[:4])}")
    faults: list[str] = []
    with contextlib.ExitStack() as stack:
        parts = list(_with_archives_opened(_last_attempt(parts, notes), budget, faults, stack))
        chosen, others = _notebooks(name, parts, known, budget, faults)
        if chosen is None:
            raise RefusedError("; ".join(faults[:MOST_TOLD]) or _nothing_found(parts))
        own = _own_timestamp(name, chosen, others)
        (stage / f"{name}.ipynb").write_bytes(chosen.data.removeprefix(b"\xef\xbb\xbf"))
        companions = [part for part in others if part.file.parts != chosen.part.file.parts]
        _write_companions(stage, companions, budget, faults)
    moment = own if own is not None else chosen.part.file.time
    if moment is not None:
        (stage / "timestamp.txt").write_text(_timestamp(moment), encoding="utf-8")
    if len(faults) > MOST_TOLD:
        faults[MOST_TOLD:] = [f"and {len(faults) - MOST_TOLD} more such things"]
    return notes + faults, moment


def _last_attempt(parts: list[Part], notes: list[str]) -> list[Part]:
    """Of attempts that a platform tells apart by time, the last."""
    attempts = sorted({part.claim.time for part in parts if part.claim.time is not None})
    if len(attempts) < 2:
        return parts
    notes.append(f"{len(attempts)} attempts were handed in; the last was taken, of {_timestamp(attempts[-1])[:19]} UTC")
    return [part for part in parts if part.claim.time == attempts[-1]]


def _with_archives_opened(
    parts: list[Part], budget: Budget, faults: list[str], stack: contextlib.ExitStack
) -> Iterator[Part]:
    for part in parts:
        if part.file.is_zip and not part.file.fault:
            try:
                for file in stack.enter_context(unpacked(part.file, budget)):
                    yield Part(file, part.claim._replace(rest=file.name, platform="archive"))
            except RefusedError as error:
                faults.append(f"{_label(part)}: {error}")
        else:
            budget.spend(files=1)
            yield part


def _label(part: Part) -> str:
    return shown(part.claim.rest or part.file.name)


def _notebooks(
    name: str, parts: list[Part], known: dict[str, set[str]], budget: Budget, faults: list[str]
) -> tuple[_Notebook | None, list[Part]]:
    """The notebook to be graded, if there is one, and the files that are no notebooks."""
    found, others = [], []
    for part in parts:
        is_notebook = part.file.name.lower().endswith(".ipynb")
        if not is_notebook and not _may_be_notebook(part):
            others.append(part)
            continue
        try:
            data = b"".join(pieces(part.file, budget, LARGEST_NOTEBOOK))
            found.append(_Notebook(part, data, _check_assignment(grade_ids(data), name, known)))
        except RefusedError as error:
            if is_notebook:
                faults.append(f"{_label(part)} {_verb(str(error))}")
            else:
                others.append(part)
    if not found:
        return None, others
    found.sort(key=lambda n: (n.matches, n.part.file.time or 0.0))
    chosen = found[-1]
    if any(n.data != chosen.data for n in found):
        faults.append(f"{len(found)} notebooks were handed in; taken: {_label(chosen.part)}, {_reason(found)}")
    return chosen, others


def _verb(words: str) -> str:
    """Words that follow a file's name: "is encrypted", but "has ..." and "cannot ..." as they are."""
    return words if words.split()[0] in ("is", "has", "cannot", "unpacks") else f"is not taken: {words}"


def _reason(found: list[_Notebook]) -> str:
    chosen, next_best = found[-1], found[-2]
    if chosen.matches > next_best.matches:
        return "which has the most graded cells"
    if (chosen.part.file.time or 0.0) > (next_best.part.file.time or 0.0):
        return "the newest"
    return "the last one listed, because nothing says which is the newest"


def _may_be_notebook(part: Part) -> bool:
    """Whether a file of another name may be a notebook: browsers add ".txt" or ".json" to one, or drop the ending."""
    ending = part.file.name.lower().rpartition(".")
    return not part.file.fault and (ending[2] in ("txt", "json") or not ending[1])


def _nothing_found(parts: list[Part]) -> str:
    faults = [f"{_label(part)}{f' ({part.file.fault})' if part.file.fault else ''}" for part in parts[:4]]
    names = ", ".join(dict.fromkeys(faults))
    return f"there is no notebook, only {names}" if names else "there is no notebook"


def _own_timestamp(name: str, chosen: _Notebook, others: list[Part]) -> float | None:
    """The time in nbgrader's own ``timestamp.txt``; one that a student may have packed does not count."""
    place = chosen.part.file.parts[:-1]
    for part in others:
        if part.file.parts == (*place, "timestamp.txt"):
            in_place = place[-1:] == (name,) and f"/{'/'.join(place[:-1])}".endswith(f"/{part.claim.owner}")
            if part.claim.platform == "exchange" or (not part.claim.platform and in_place):
                with contextlib.suppress(RefusedError, ValueError, OverflowError):
                    return _seconds(b"".join(pieces(part.file, Budget(), 200)).decode("utf-8", "replace"))
    return None


def _write_companions(stage: Path, parts: list[Part], budget: Budget, faults: list[str]) -> None:
    """Write what was handed in beside the notebook, all into one folder, under harmless names."""
    parts = [part for part in parts if part.claim.rest or part.claim.platform != "Blackboard"]  # its own notes
    parts.sort(key=lambda part: part.file.time or 0.0, reverse=True)
    taken = {path.name.casefold() for path in stage.iterdir()} | {"timestamp.txt"}
    wanted = {_label(part).casefold() for part in parts}
    for part in parts:
        name = harmless(part.claim.rest or part.file.name)
        original = _AGAIN.sub("", name, count=1)
        if part.claim.platform == "Canvas" and original != name and original.casefold() not in wanted:
            faults.append(f"{name} was renamed to {original}, as it was called before Canvas numbered it")
            name = original
        if name.casefold() in taken:
            if name.casefold() != "timestamp.txt":
                faults.append(f"{name} was handed in more than once; the newest was taken")
            continue
        path = stage / name
        try:
            with path.open("wb") as file:
                for piece in pieces(part.file, budget):
                    file.write(piece)
            taken.add(name.casefold())
        except RefusedError as error:
            path.unlink(missing_ok=True)
            faults.append(f"{name} {_verb(str(error))}")
            if budget.size < 0:
                return


def harmless(name: str) -> str:
    """A file's name that every system can store, and that is no hidden file and no path."""
    name = re.sub(r"[^\w.()+@ -]", "_", name).strip(" .") or "unnamed"
    stem, dot, ending = name.rpartition(".")
    if len(name) > LONGEST_NAME or len(name.encode("utf-8", "replace")) > 2 * LONGEST_NAME:
        ending = ending[:10] if dot else ""
        name = (stem if dot else name).encode("utf-8", "replace")[:LONGEST_NAME].decode("utf-8", "ignore")
        name = f"{name[: LONGEST_NAME - 11]}{dot}{ending}"
    return f"_{name}" if _RESERVED.fullmatch(name) else name


# Into place


def _put(
    stage: Path, student: str, name: str, moment: float | None, notes: list[str], root: Path, replace: bool
) -> Collected:
    """Move the stage to the student's folder, all at once, unless the same or newer work is there."""
    target = root / "grading" / "submitted" / student / name
    why = "; ".join(dict.fromkeys(notes))
    path = target / f"{name}.ipynb"
    if not target.exists():
        _rename(stage, target)
        return Collected(student, "collected", why, path)
    if _digest(target) == _digest(stage):
        return Collected(student, "unchanged", "", path)
    before = _moment_of(target)
    if not replace and before is not None and moment is not None and moment < before:
        words = f"older than what was collected before ({_timestamp(moment)[:19]} and {_timestamp(before)[:19]} UTC)"
        return Collected(student, "unchanged", f"{words}, so it was left; REPLACE=1 takes it all the same", path)
    kept = _place_for(target, root / "grading" / "superseded" / student / name)
    _rename(target, kept)
    try:
        _rename(stage, target)
    except OSError:
        _rename(kept, target)
        raise
    why = "; ".join(filter(None, [f"the earlier work is in {kept.relative_to(root).as_posix()}", why]))
    return Collected(student, "replaced", why, path)


def _rename(folder: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # a temporary folder is its maker's alone
    os.rename(folder, target)


def _digest(folder: Path) -> str:
    """A digest of the files in a folder, without the time of handing in."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.name != "timestamp.txt" and path.is_file() and not path.is_symlink():
            total.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode("utf-8", "replace"))
            with path.open("rb") as file:
                while piece := file.read(MB):
                    total.update(piece)
    return total.hexdigest()


def _moment_of(folder: Path) -> float | None:
    """When the work in a folder was handed in, or None if that is not known."""
    with contextlib.suppress(OSError, ValueError, OverflowError):
        return _seconds((folder / "timestamp.txt").read_text("utf-8"))
    return None


def _place_for(target: Path, folder: Path) -> Path:
    """A new folder for superseded work, named by its time: of handing in if known, else of its last change."""
    moment = _moment_of(target)
    moment = target.stat().st_mtime if moment is None else moment
    name = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H-%M-%S")
    names = [name, *(f"{name}-{number}" for number in range(2, 10_000))]
    return next(folder / n for n in names if not (folder / n).exists())


def _record_path(name: str, root: Path) -> Path:
    return root / "grading" / "collected" / f"{name}.json"


def _write_record(name: str, results: list[Collected], root: Path) -> None:
    """Keep what became of each student's work: grading can then say more than that it is missing."""
    path = _record_path(name, root)
    record = {}
    with contextlib.suppress(CourseError):
        record = read_collected(name, root)
    record |= {result.student: result for result in results if result.student}
    entries = {s: {"status": r.status, "why": r.why, "path": str(r.path)} for s, r in sorted(record.items())}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)
