"""Who takes the course: ``grading/roster.csv``, a table that any spreadsheet can save."""

from __future__ import annotations

import csv
import unicodedata
from pathlib import Path
from typing import NamedTuple

from .errors import CourseError
from .project import ROOT

LONGEST_ID = 100
LONGEST_ID_BYTES = 200  # file systems allow 255 bytes for a name, and copies get a suffix
LARGEST_ROSTER = 64 * 2**20  # bytes
DELIMITERS = ",;\t"


class Student(NamedTuple):
    """One line of the roster. Only ``id`` is always there; it names the student's folders."""

    id: str
    last_name: str = ""
    first_name: str = ""
    email: str = ""
    lms_id: str = ""


def read_roster(root: Path = ROOT) -> list[Student]:
    """The students in ``grading/roster.csv``, in its order; an empty list if there is no such file.

    The table is UTF-8, with or without a byte order mark, separated by commas, semicolons or tabs. Its first line names
    the columns, in any order and case: ``id``, and optionally ``last_name``, ``first_name``, ``email``, ``lms_id``.
    Other columns are ignored.

    Raises ``CourseError`` naming the line and the remedy if the table cannot be read, if it has no column ``id``, or if
    an id is missing, impossible as the name of a folder, or there twice.
    """
    path = Path(root) / "grading" / "roster.csv"
    if not path.is_file():
        return []
    rows = _rows(path)
    header = [_column(cell) for cell in rows[0][1]] if rows else []
    for name in Student._fields:
        if header.count(name) > 1:
            raise CourseError(f"{path}, line 1: there are two columns {name!r}. Remove or rename one.")
    if "id" not in header:
        raise CourseError(
            f"{path}, line 1: there is no column 'id'. Let the first line name the columns: "
            f"id, and if you have them {', '.join(Student._fields[1:])}."
        )
    students, seen = [], {}
    for line, cells in rows[1:]:
        if any(cell.strip() for cell in cells):
            student = _student(path, line, header, cells)
            _refuse_twice(path, line, student.id, seen)
            students.append(student)
    return students


def bad_id(text: str) -> str | None:
    """Why this cannot be the id of a student, in words; None if it can."""
    if not text.strip():
        return "the id is empty"
    if text != text.strip():
        return "the id begins or ends with a space"
    if len(text) > LONGEST_ID or len(text.encode("utf-8", "replace")) > LONGEST_ID_BYTES:
        return f"the id has more than {LONGEST_ID} characters (or {LONGEST_ID_BYTES} bytes)"
    if "/" in text or "\\" in text:
        return "the id contains a slash or backslash"
    if text.startswith(".") or ".." in text:
        return "the id begins with a dot or contains two dots in a row"
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in text):
        return "the id contains a control character or an invisible one"
    if any(c in "*?" for c in text):
        return "the id contains * or ?, which nbgrader takes for any other id"
    return None


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """The table's rows, each with the number of the line it ends in."""
    if path.stat().st_size > LARGEST_ROSTER:
        raise CourseError(f"{path} has more than {LARGEST_ROSTER // 2**20} MB: is it a table of students?")
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise CourseError(f'{path}, line {line}: this is not UTF-8. Save the table as "CSV UTF-8".') from None
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    # Spreadsheets of some languages say so in a line of their own.
    told = first.strip().lower().startswith("sep=")
    delimiter = first.strip()[4:5] or "," if told else delimiter
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    try:
        return [(reader.line_num, row) for row in reader][1 if told else 0 :]
    except csv.Error as error:
        raise CourseError(
            f"{path}, line {reader.line_num}: {error}. Put a text that contains quotes, separators or line breaks in "
            'quotes, and double the quotes within it: "O""Hara".'
        ) from None


def _column(cell: str) -> str:
    return "_".join(cell.strip().lower().replace("-", " ").split()).replace("__", "_")


def _student(path: Path, line: int, header: list[str], cells: list[str]) -> Student:
    values = {name: unicodedata.normalize("NFC", cell.strip()) for name, cell in zip(header, cells, strict=False)}
    student = Student(**{name: values.get(name, "") for name in Student._fields})
    fault = bad_id(student.id)
    if len(cells) > len(header) and any(cell.strip() for cell in cells[len(header) :]):
        fault = "there are more cells than columns; put a text that contains the separator in quotes"
    if fault:
        raise CourseError(f"{path}, line {line}: {fault}: {student.id[:120]!r}. Change it, or remove the line.")
    return student


def _refuse_twice(path: Path, line: int, student: str, seen: dict[str, int]) -> None:
    """Ids that differ by case only would share a folder on macOS and Windows."""
    key = student.casefold()
    if key in seen:
        raise CourseError(
            f"{path}, line {line}: the id {student!r} is also that of line {seen[key]} (capitals do not count). "
            "Give each student an id of their own."
        )
    seen[key] = line


class Directory:
    """Finds the student whom a text names: by id, by email, by the LMS's id, or by first and last name in either order.

    Capitals, accents, spaces and punctuation in names do not count, because learning platforms drop them in file names.
    """

    def __init__(self, students: list[Student]) -> None:
        self._ids = {plain(s.id): {s.id} for s in students}
        self._lms: dict[str, set[str]] = {}
        self._others: dict[str, set[str]] = {}
        for student in students:
            _note(self._lms, plain(student.lms_id), student.id)
            _note(self._others, plain(student.email), student.id)
            for first, last in _spellings(student):
                _note(self._others, first + last, student.id)
                _note(self._others, last + first, student.id)

    def find(self, text: str) -> set[str]:
        """Ids of the students whom a text may mean: none, one, or several who share a name."""
        found = self._ids.get(plain(text)) or self._lms.get(plain(text), set()) | self._others.get(plain(text), set())
        return found or self._others.get(squash(text), set())

    def find_number(self, number: str) -> set[str]:
        """Ids of the students with this number as their LMS's id, or, failing that, as their id."""
        return self._lms.get(plain(number)) or self._ids.get(plain(number), set())


def _note(index: dict[str, set[str]], key: str, student: str) -> None:
    if key:
        index.setdefault(key, set()).add(student)


def _spellings(student: Student) -> set[tuple[str, str]]:
    """First and last name squashed, also with ae, oe and ue for the letters with two dots."""
    pairs = {(student.first_name, student.last_name)}
    pairs |= {tuple(part.lower().translate(_TWO_LETTERS) for part in pair) for pair in pairs}
    return {(squash(first), squash(last)) for first, last in pairs}


def plain(text: str) -> str:
    """Text without regard to capitals and to how its accents are stored."""
    return unicodedata.normalize("NFC", text).casefold().strip()


def squash(text: str) -> str:
    """Only the letters and digits of a text, lower case, without accents."""
    letters = unicodedata.normalize("NFKD", text.casefold().translate(_ONE_LETTER))
    return "".join(c for c in letters if c.isalnum())


_TWO_LETTERS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_ONE_LETTER = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"})
