"""From what learning platforms give, good and hostile, to nbgrader's layout."""

import io
import json
import os
import random
import shutil
import struct
import sys
import time
import unicodedata
import zipfile
from pathlib import Path

import pytest
from nbgrader.utils import parse_utc

from coursekit import collect as collecting
from coursekit import intake
from coursekit.collect import collect, grade_ids, harmless, read_collected, table
from coursekit.errors import CourseError
from coursekit.roster import Directory, Student, read_roster
from coursetools import ROOT

NAME = "ps2-kl"
NOTEBOOK = (ROOT / "exercises" / NAME / f"{NAME}.ipynb").read_bytes()
OTHER = (ROOT / "exercises" / "ps1-elbo" / "ps1-elbo.ipynb").read_bytes()
LINK = 0o120777 << 16
DEVICE = 0o020666 << 16


@pytest.fixture
def course(tmp_path):
    """A course in which everything is released and nobody has handed in."""
    for path in (ROOT / "exercises").glob("*/*.ipynb"):
        copy = tmp_path / "course" / "exercises" / path.parent.name / path.name
        copy.parent.mkdir(parents=True)
        shutil.copy(path, copy)
    return tmp_path / "course"


def enrol(course: Path, text: str, encoding: str = "utf-8") -> None:
    (course / "grading").mkdir(exist_ok=True)
    (course / "grading" / "roster.csv").write_text(text, encoding)


def with_note(note: str, data: bytes = NOTEBOOK) -> bytes:
    """A notebook of this assignment that differs from the released one, by a note in its first cell."""
    notebook = json.loads(data)
    notebook["cells"][0]["source"] = note
    return json.dumps(notebook).encode()


def without_cells(data: bytes, keep: int) -> bytes:
    notebook = json.loads(data)
    graded = [cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader")]
    notebook["cells"] = graded[:keep]
    return json.dumps(notebook).encode()


def archive(path: Path, *entries, method=zipfile.ZIP_DEFLATED) -> Path:
    """A zip of (name or ZipInfo, bytes[, date]) entries, in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data, *date in entries:
            info = name
            if isinstance(name, str):
                info = zipfile.ZipInfo(name, *date or [(2026, 1, 2, 3, 4, 0)])
                info.filename, info.create_system = name, 3  # as it is, "\\" and all
            info.compress_type = method
            file.writestr(info, data)
    return path


def packed(*entries, **kwargs) -> bytes:
    path = io.BytesIO()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **kwargs) as file:
        for name, data in entries:
            file.writestr(name, data)
    return path.getvalue()


def special(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, (2026, 1, 2, 3, 4, 0))
    info.create_system, info.external_attr = 3, mode
    return info


def folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def statuses(results) -> dict[str, str]:
    return {r.student: r.status for r in results}


def why(results, student: str) -> str:
    (found,) = [r.why for r in results if r.student == student]
    return found


def submitted(course: Path, student: str) -> dict[str, bytes]:
    place = course / "grading" / "submitted" / student / NAME
    return {path.name: path.read_bytes() for path in place.iterdir()}


def nothing_beside(course: Path) -> None:
    """No stage is left behind, and nothing was written outside of grading/."""
    assert sorted(p.name for p in course.iterdir()) == ["exercises", "grading"]
    known = {"submitted", "collected", "superseded", "roster.csv"}
    assert {p.name for p in (course / "grading").iterdir()} <= known


# The platforms' layouts

ROSTER = (
    "id,last_name,first_name,email,lms_id\n"
    "anna,Müller,Anna,anna.mueller@example.org,901\n"
    "b[1]+x@y,O'Brien,Seán,sean@example.org,902\n"
    '"c, ""d""",van der Berg,Mia Lou,mia@example.org,903\n'
)
IDS = ["anna", "b[1]+x@y", 'c, "d"']


@pytest.mark.parametrize("by_roster", [True, False])
def test_moodle_folders(course, tmp_path, by_roster):
    if by_roster:
        enrol(course, ROSTER)
    source = archive(
        tmp_path / "download.zip",
        ("Anna Müller_1234_assignsubmission_file_/ps2.ipynb", with_note("a")),
        ("Anna Müller_1234_assignsubmission_onlinetext_/onlinetext.html", b"<p>"),
        ("Seán O_Brien_1235_assignsubmission_file_/my final version (2).ipynb", with_note("b")),
        ("Mia Lou van der Berg_1236_assignsubmission_file_/answers/ps2-kl.ipynb", with_note("c")),
    )
    results = collect(NAME, source, course)
    ids = IDS if by_roster else ["Anna Müller", "Mia Lou van der Berg", "Seán O_Brien"]
    assert statuses(results) == dict.fromkeys(ids, "collected")
    assert submitted(course, ids[0])[f"{NAME}.ipynb"] == with_note("a")
    nothing_beside(course)


def test_moodle_without_folders_and_with_user_names(course, tmp_path):
    enrol(course, ROSTER)
    source = folder(
        tmp_path / "download",
        {
            "Anna Müller_1234_assignsubmission_file_ps2-kl.ipynb": NOTEBOOK,
            "Anna Müller_1234_assignsubmission_file_model.pt": b"weights",
            "b[1]+x@y Seán OBrien_1235_assignsubmission_file_x.ipynb": NOTEBOOK,
        },
    )
    assert statuses(collect(NAME, source, course)) == dict.fromkeys(IDS[:2], "collected")
    assert submitted(course, "anna") == {f"{NAME}.ipynb": NOTEBOOK, "model.pt": b"weights"}


@pytest.mark.parametrize("by_roster", [True, False])
def test_canvas_flat_files(course, tmp_path, by_roster):
    if by_roster:
        enrol(course, ROSTER)
    source = archive(
        tmp_path / "submissions.zip",
        ("mülleranna_901_70001_ps2-kl-1.ipynb", NOTEBOOK),
        ("mülleranna_901_70002_results-1.json", b"{}"),
        ("obriensean_LATE_902_70003_solution.ipynb", with_note("b")),
        ("vanderbergmialou_903_70004_ps2-kl.zip", packed(("ps2-kl/ps2-kl.ipynb", NOTEBOOK))),
    )
    results = collect(NAME, source, course)
    ids = IDS if by_roster else ["mülleranna", "obriensean", "vanderbergmialou"]
    assert statuses(results) == dict.fromkeys(ids, "collected")
    assert submitted(course, ids[0]) == {f"{NAME}.ipynb": NOTEBOOK, "results.json": b"{}"}
    assert "Canvas marked it as late" in why(results, ids[1])
    assert "timestamp.txt" not in submitted(course, ids[1]), "Canvas's times are those of the download"


def test_canvas_whose_number_and_name_disagree_is_nobodys(course, tmp_path):
    enrol(course, ROSTER)
    source = folder(tmp_path / "d", {"mülleranna_902_70001_ps2-kl.ipynb": NOTEBOOK})
    (result,) = collect(NAME, source, course)
    assert (result.student, result.status) == ("", "unmatched")
    assert "may be anna or b[1]+x@y" in result.why


def test_blackboard_takes_the_last_attempt_and_its_time(course, tmp_path):
    enrol(course, "id\nam_901\nbo\n")
    source = folder(
        tmp_path / "d",
        {
            "Problem set 2_am_901_attempt_2026-01-30-15-00-00_first.ipynb": with_note("first"),
            "Problem set 2_am_901_attempt_2026-01-31-15-00-00_second.ipynb": with_note("second"),
            "Problem set 2_am_901_attempt_2026-01-31-15-00-00.txt": b"Name: A",
            "Problem set 2_bo_attempt_2026-01-31-15-00-00_x.ipynb": NOTEBOOK,
        },
    )
    results = collect(NAME, source, course)
    assert statuses(results) == {"am_901": "collected", "bo": "collected"}
    assert "2 attempts" in why(results, "am_901")
    files = submitted(course, "am_901")
    assert set(files) == {f"{NAME}.ipynb", "timestamp.txt"}
    assert files[f"{NAME}.ipynb"] == with_note("second")
    local = time.mktime((2026, 1, 31, 15, 0, 0, 0, 0, -1))
    assert parse_utc(files["timestamp.txt"].decode()).isoformat() == time.strftime(
        "%Y-%m-%dT%H:%M:%S", time.gmtime(local)
    )


@pytest.mark.parametrize("as_zip", [True, False])
def test_nbgraders_own_layout_with_its_timestamp(course, tmp_path, as_zip):
    files = {
        f"submitted/anna/{NAME}/{NAME}.ipynb": NOTEBOOK,
        f"submitted/anna/{NAME}/timestamp.txt": b"2026-01-02 03:04:05.000000 UTC",
        f"submitted/bert/{NAME}/{NAME}.ipynb": NOTEBOOK,
    }
    source = tmp_path / "d"
    source = archive(tmp_path / "d.zip", *files.items()) if as_zip else folder(source, files)
    assert statuses(collect(NAME, source, course)) == {"anna": "collected", "bert": "collected"}
    assert submitted(course, "anna")["timestamp.txt"] == b"2026-01-02 03:04:05.000000 UTC"


def test_nbgraders_exchange_folders(course, tmp_path):
    place = f"an+na+{NAME}+2026-01-0%d 03:04:05.000000 UTC+abc"
    source = folder(tmp_path / "inbound", {f"{place % day}/{NAME}.ipynb": with_note(str(day)) for day in (1, 2)})
    (result,) = collect(NAME, source, course)
    assert (result.student, result.status) == ("an+na", "collected")
    assert submitted(course, "an+na")["timestamp.txt"] == b"2026-01-02 03:04:05.000000 UTC"


def test_one_archive_or_folder_per_student_by_id_email_or_name(course, tmp_path):
    enrol(course, ROSTER + "d4,Lee,Kim,,\ne5,,,,\n")
    source = folder(
        tmp_path / "d",
        {
            "anna.zip": packed(("deep/er/x.ipynb", NOTEBOOK), ("deep/model.pt", b"m")),
            "SEAN@example.org/x.ipynb": NOTEBOOK,
            "van der Berg, Mia Lou/x.ipynb": NOTEBOOK,
            "ps2-kl_LeeKim.ipynb": NOTEBOOK,
            "e5 - ps2-kl (1).ipynb": NOTEBOOK,
        },
    )
    assert statuses(collect(NAME, source, course)) == dict.fromkeys([*IDS, "d4", "e5"], "collected")
    assert submitted(course, "anna")["model.pt"] == b"m"


def test_a_folder_that_holds_only_the_download(course, tmp_path):
    archive(tmp_path / "d" / "submissions.zip", ("anna/x.ipynb", NOTEBOOK), ("bert/x.ipynb", NOTEBOOK))
    assert statuses(collect(NAME, tmp_path / "d", course)) == {"anna": "collected", "bert": "collected"}


def test_the_archive_of_one_student(course, tmp_path):
    enrol(course, ROSTER)
    source = archive(tmp_path / "anna.zip", ("ps2-kl.ipynb", NOTEBOOK))
    assert statuses(collect(NAME, source, course)) == {"anna": "collected"}


def test_names_packed_by_a_mac_without_the_utf8_flag(course, tmp_path):
    enrol(course, ROSTER)
    name = unicodedata.normalize("NFD", "Müller Anna.ipynb").encode()
    source = tmp_path / "mac.zip"
    with zipfile.ZipFile(source, "w") as file:
        file.writestr("P" * len(name), NOTEBOOK)
    source.write_bytes(source.read_bytes().replace(b"P" * len(name), name))
    assert statuses(collect(NAME, source, course)) == {"anna": "collected"}


# Whose it is


def test_nothing_is_guessed(course, tmp_path):
    enrol(course, ROSTER + "anna2,Müller,Anna,,\n")
    source = folder(
        tmp_path / "d",
        {
            "Anna Mueller_77_assignsubmission_file_/x.ipynb": NOTEBOOK,
            "Stranger_78_assignsubmission_file_/anna.ipynb": NOTEBOOK,
            "anna/x.ipynb": NOTEBOOK,
        },
    )
    results = collect(NAME, source, course)
    assert [(r.student, r.status) for r in results] == [("anna", "collected"), ("", "unmatched"), ("", "unmatched")]
    assert "may be anna or anna2" in results[1].why
    assert "names nobody on the roster" in results[2].why
    assert all(r.path.exists() for r in results)
    assert sorted(p.name for p in (course / "grading" / "submitted").iterdir()) == ["anna"]


@pytest.mark.parametrize("by_roster", [True, False])
def test_two_people_of_one_name_are_kept_apart(course, tmp_path, by_roster):
    if by_roster:
        enrol(course, ROSTER)
    source = folder(
        tmp_path / "d",
        {
            "Anna Müller_77_assignsubmission_file_/x.ipynb": with_note("one"),
            "Anna Müller_78_assignsubmission_file_/x.ipynb": with_note("two"),
        },
    )
    results = collect(NAME, source, course)
    assert [r.status for r in results] == ["unmatched", "unmatched"]
    assert "two people are called" in results[0].why
    assert not (course / "grading" / "submitted").exists()


def test_work_found_in_two_places_is_told(course, tmp_path):
    enrol(course, ROSTER)
    files = {"anna/x.ipynb": with_note("her own"), "stranger/anna/x.ipynb": with_note("not hers")}
    (result,) = collect(NAME, folder(tmp_path / "d", files), course)
    assert "found in 2 places: anna, stranger/anna" in result.why
    assert "2 notebooks were handed in" in result.why


def test_without_a_roster_a_bare_notebook_is_nobodys(course, tmp_path):
    source = folder(tmp_path / "d", {"ps2-kl.ipynb": NOTEBOOK, "anna_ps2-kl.ipynb": NOTEBOOK})
    results = collect(NAME, source, course)
    assert [(r.student, r.status) for r in results] == [("anna", "collected"), ("", "unmatched")]
    assert "names no student" in results[1].why


@pytest.mark.parametrize("name", ["..hidden", "a*b", "x" * 120, "bell\a", "tr\N{RIGHT-TO-LEFT OVERRIDE}ick"])
def test_impossible_ids_are_nobodys(course, tmp_path, name):
    source = archive(tmp_path / "d.zip", (f"{name}/x.ipynb", NOTEBOOK), ("anna/x.ipynb", NOTEBOOK))
    results = collect(NAME, source, course)
    assert [(r.student, r.status) for r in results] == [("anna", "collected"), ("", "unmatched")]
    assert "no possible student" in results[1].why
    assert all(c.isprintable() for c in table(results).replace("\n", ""))


def test_ids_that_differ_by_capitals_alone_are_told(course, tmp_path):
    source = archive(tmp_path / "d.zip", ("anna/x.ipynb", NOTEBOOK), ("Anna/x.ipynb", with_note("other")))
    results = collect(NAME, source, course)
    assert {r.status for r in results} == {"unmatched"}
    assert "capitals" in results[0].why


# Which notebook it is


def test_the_wrong_assignment_is_refused_in_words(course, tmp_path):
    source = folder(tmp_path / "d", {"anna/ps2-kl.ipynb": OTHER, "bert/ps2-kl.ipynb": NOTEBOOK})
    results = collect(NAME, source, course)
    assert statuses(results) == {"anna": "refused", "bert": "collected"}
    assert why(results, "anna") == "ps2-kl.ipynb is ps1-elbo, not ps2-kl"
    assert not (course / "grading" / "submitted" / "anna").exists()


def test_of_several_notebooks_the_one_with_most_graded_cells(course, tmp_path):
    files = {"z.ipynb": OTHER, "y.ipynb": without_cells(NOTEBOOK, 3), "a.ipynb": NOTEBOOK}
    source = folder(tmp_path / "d", {f"anna/{name}": data for name, data in files.items()})
    results = collect(NAME, source, course)
    assert submitted(course, "anna") == {f"{NAME}.ipynb": NOTEBOOK}
    assert "taken: a.ipynb, which has the most graded cells" in why(results, "anna")
    assert "z.ipynb is ps1-elbo, not ps2-kl" in why(results, "anna")


def test_of_two_equal_notebooks_the_newest(course, tmp_path):
    source = archive(
        tmp_path / "d.zip",
        ("anna/new.ipynb", with_note("new"), (2026, 1, 9, 0, 0, 0)),
        ("anna/old.ipynb", with_note("old"), (2026, 1, 1, 0, 0, 0)),
    )
    results = collect(NAME, source, course)
    assert "taken: new.ipynb, the newest" in why(results, "anna")
    assert submitted(course, "anna")[f"{NAME}.ipynb"] == with_note("new")


@pytest.mark.parametrize("ending", ["ps2-kl.ipynb.txt", "ps2-kl.json", "notebook"])
def test_a_notebook_under_another_ending_is_found(course, tmp_path, ending):
    source = folder(tmp_path / "d", {f"anna/{ending}": NOTEBOOK, "anna/results.json": b'{"a": 1}'})
    assert statuses(collect(NAME, source, course)) == {"anna": "collected"}
    assert submitted(course, "anna") == {f"{NAME}.ipynb": NOTEBOOK, "results.json": b'{"a": 1}'}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (NOTEBOOK[:3000], "is not a notebook"),
        (b"\xff\xfe" + NOTEBOOK, "is not a notebook (not UTF-8)"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"cells": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested too deeply"),
        (b'{"cells": [1, null, {"metadata": []}, {"metadata": {"nbgrader": {"grade_id": [1]}}}]}', "no graded cell"),
        (b'{"worksheets": [], "nbformat": 3}', "it has no cells"),
        (b'{"cells": [], "nbformat": 4}', "no graded cell of ps2-kl"),
        (b"null", "is not a notebook"),
        (b"PK\3\4 not really", "is not a notebook"),
        (b'{"cells": [' + b"[]," * 1_100_000 + b"1]}", "over a million brackets"),
    ],
    ids=range(11),
)
def test_broken_notebooks_are_refused_in_words_and_stop_nobody(course, tmp_path, data, words):
    source = folder(tmp_path / "d", {"anna/ps2-kl.ipynb": data, "bert/ps2-kl.ipynb": NOTEBOOK})
    results = collect(NAME, source, course)
    assert statuses(results) == {"anna": "refused", "bert": "collected"}
    assert words in why(results, "anna")
    nothing_beside(course)


def test_a_byte_order_mark_is_taken_off(course, tmp_path):
    source = folder(tmp_path / "d", {"anna/x.ipynb": b"\xef\xbb\xbf" + NOTEBOOK})
    collect(NAME, source, course)
    assert submitted(course, "anna")[f"{NAME}.ipynb"] == NOTEBOOK


def test_a_huge_notebook_is_refused_without_being_read(course, tmp_path):
    source = folder(tmp_path / "d", {"bert/x.ipynb": NOTEBOOK, "anna/x.ipynb": b""})
    with (source / "anna" / "x.ipynb").open("wb") as file:
        file.truncate(300 * 2**20)
    results = collect(NAME, source, course)
    assert statuses(results) == {"anna": "refused", "bert": "collected"}
    assert why(results, "anna") == "x.ipynb has more than 50 MB"


def test_a_folder_called_like_a_notebook(course, tmp_path):
    source = folder(tmp_path / "d", {"bert/x.ipynb": NOTEBOOK})
    (source / "anna" / "ps2-kl.ipynb").mkdir(parents=True)
    results = collect(NAME, source, course)
    assert statuses(results) == {"anna": "refused", "bert": "collected"}
    assert "a folder, not a file" in why(results, "anna")
    zipped = archive(tmp_path / "d.zip", ("anna/ps2-kl.ipynb/", b""), ("bert/x.ipynb", NOTEBOOK))
    assert "a folder, not a file" in why(collect(NAME, zipped, course), "anna")


# Hostile archives


def is_harmless(course: Path, tmp_path: Path, source: Path, expected: dict[str, str]) -> list:
    """Collect, and see that each got what they should and that nothing appeared elsewhere."""
    before = {p for p in tmp_path.rglob("*") if course not in p.parents}
    results = collect(NAME, source, course)
    assert statuses(results) == expected
    assert {p for p in tmp_path.rglob("*") if course not in p.parents} == before
    nothing_beside(course)
    assert not [p for p in course.rglob("*") if p.is_symlink()]
    return results


@pytest.mark.parametrize(
    "path",
    [
        "anna/../../../../evil.ipynb",
        "anna/..\\..\\evil.ipynb",
        "/anna/evil.ipynb",
        "\\anna\\evil.ipynb",
        "C:/anna/evil.ipynb",
    ],
)
def test_paths_that_lead_out(course, tmp_path, path):
    enrol(course, "id\nanna\nbert\n")
    source = archive(tmp_path / "d.zip", (path, NOTEBOOK), ("bert/x.ipynb", NOTEBOOK))
    results = is_harmless(course, tmp_path, source, {"anna": "refused", "bert": "collected"})
    assert "leads out of the archive" in why(results, "anna")


def test_backslashes_as_windows_writes_them(course, tmp_path):
    source = archive(tmp_path / "d.zip", ("anna\\ps2\\x.ipynb", NOTEBOOK), ("bert\\x.ipynb", NOTEBOOK))
    is_harmless(course, tmp_path, source, {"anna": "collected", "bert": "collected"})


@pytest.mark.parametrize(("mode", "words"), [(LINK, "a link"), (DEVICE, "a device")])
def test_links_and_devices_in_an_archive(course, tmp_path, mode, words):
    entries = [
        (special("anna/x.ipynb", mode), b"/etc/passwd"),
        ("bert/x.ipynb", NOTEBOOK),
        (special("bert/model.pt", mode), b"../../../solutions"),
    ]
    source = archive(tmp_path / "d.zip", *entries)
    results = is_harmless(course, tmp_path, source, {"anna": "refused", "bert": "collected"})
    assert words in why(results, "anna")
    assert f"model.pt is not taken: {words}" in why(results, "bert")
    assert "model.pt" not in submitted(course, "bert")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no links and pipes on this system")
def test_links_and_pipes_in_a_folder(course, tmp_path):
    source = folder(tmp_path / "d", {"bert/x.ipynb": NOTEBOOK})
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "x.ipynb").write_bytes(NOTEBOOK)
    (source / "anna").symlink_to(tmp_path / "secret")
    (source / "carl").mkdir()
    (source / "carl" / "x.ipynb").symlink_to(tmp_path / "secret" / "x.ipynb")
    (source / "dora").mkdir()
    os.mkfifo(source / "dora" / "x.ipynb")
    expected = {"anna": "refused", "bert": "collected", "carl": "refused", "dora": "refused"}
    results = is_harmless(course, tmp_path, source, expected)
    assert "a link" in why(results, "anna")
    assert "a link" in why(results, "carl")
    assert "a device or a pipe" in why(results, "dora")


def bomb(size: int) -> bytes:
    return packed(("ps2-kl.ipynb", b" " * size))


@pytest.mark.parametrize("nested", [True, False])
def test_a_notebook_that_unpacks_to_300_mb(course, tmp_path, nested):
    bert = ("bert/x.ipynb", NOTEBOOK)
    blank = b" " * (300 * 2**20)
    anna = ("anna/x.zip", packed(("x.ipynb", blank))) if nested else ("anna/x.ipynb", blank)
    source = archive(tmp_path / "d.zip", anna, bert)
    results = is_harmless(course, tmp_path, source, {"anna": "refused", "bert": "collected"})
    assert why(results, "anna") == "x.ipynb has more than 50 MB"


def test_a_companion_that_unpacks_to_300_mb(course, tmp_path):
    source = archive(tmp_path / "d.zip", ("anna/x.ipynb", NOTEBOOK), ("anna/model.pt", b" " * (300 * 2**20)))
    results = is_harmless(course, tmp_path, source, {"anna": "collected"})
    assert why(results, "anna") == "model.pt unpacks to more than 200 times its size"
    assert "model.pt" not in submitted(course, "anna")


def test_many_large_files_stop_at_the_budget(course, tmp_path, monkeypatch):
    monkeypatch.setattr(intake, "MOST_BYTES_OF_ONE", 2**20)
    monkeypatch.setattr(collecting, "Budget", lambda: intake.Budget(2**20))
    noise = os.urandom(600_000)
    source = folder(tmp_path / "d", {"anna/x.ipynb": NOTEBOOK, "bert/x.ipynb": NOTEBOOK})
    for number in range(5):
        (source / "anna" / f"{number}.bin").write_bytes(noise)
    results = is_harmless(course, tmp_path, source, {"anna": "collected", "bert": "collected"})
    assert "more than 1 MB together" in why(results, "anna")
    assert len(submitted(course, "anna")) == 2


def test_sizes_in_headers_are_not_believed(course, tmp_path):
    data = bytearray(packed(("x.ipynb", b" " * (30 * 2**20))))
    at = data.rfind(b"PK\1\2")
    data[at + 24 : at + 28] = struct.pack("<L", 10)  # the directory says: ten bytes
    source = archive(tmp_path / "d.zip", ("anna/x.zip", bytes(data)), ("bert/x.ipynb", NOTEBOOK))
    is_harmless(course, tmp_path, source, {"anna": "refused", "bert": "collected"})


def test_archives_of_very_many_files(course, tmp_path):
    many = packed(*((f"{n}.txt", b"") for n in range(3000)))
    source = archive(tmp_path / "d.zip", ("anna/x.zip", many), ("bert/x.ipynb", NOTEBOOK))
    results = is_harmless(course, tmp_path, source, {"anna": "refused", "bert": "collected"})
    assert "more than 1000 files" in why(results, "anna")


def test_a_zip_within_a_zip_within_a_zip(course, tmp_path):
    inner = packed(("x.ipynb", NOTEBOOK))
    source = archive(tmp_path / "d.zip", ("anna/a.zip", packed(("b.zip", inner))), ("bert/b.zip", inner))
    results = is_harmless(course, tmp_path, source, {"anna": "refused", "bert": "collected"})
    assert "no notebook, only b.zip" in why(results, "anna")


def test_an_archive_that_holds_itself_many_times_over(course, tmp_path):
    """Entries that all point at the same bytes: small outside, endless inside."""
    data = bytearray(packed(("x.ipynb", b" " * 2**20)))
    start, end = data.rfind(b"PK\1\2"), data.rfind(b"PK\5\6")
    entry, tail = bytes(data[start:end]), bytearray(data[end:])
    copies = 900
    tail[8:12] = struct.pack("<HH", copies, copies)
    tail[12:16] = struct.pack("<L", len(entry) * copies)
    source = archive(
        tmp_path / "d.zip",
        ("anna/x.zip", bytes(data[:start]) + entry * copies + bytes(tail)),
        ("bert/x.ipynb", NOTEBOOK),
    )
    is_harmless(course, tmp_path, source, {"anna": "refused", "bert": "collected"})


@pytest.mark.parametrize(
    "data",
    [b"", b"PK", b"no zip", bomb(1000)[:-30], b"PK\3\4" + bytes(range(256)) * 20],
    ids=["empty", "tiny", "text", "cut off", "noise"],
)
def test_corrupt_archives_of_a_student(course, tmp_path, data):
    source = archive(tmp_path / "d.zip", ("anna/x.zip", data), ("bert/x.ipynb", NOTEBOOK))
    results = is_harmless(course, tmp_path, source, {"anna": "refused", "bert": "collected"})
    assert "x.zip" in why(results, "anna")


def test_entries_without_a_name(course, tmp_path):
    nameless = packed(("x", NOTEBOOK)).replace(b"x" + b"PK\5\6", b"\0" + b"PK\5\6")
    assert zipfile.ZipFile(io.BytesIO(nameless)).namelist() == [""]
    source = archive(tmp_path / "d.zip", ("anna/x.zip", nameless), ("bert/x.ipynb", NOTEBOOK))
    is_harmless(course, tmp_path, source, {"anna": "refused", "bert": "collected"})


def test_an_entry_whose_bytes_are_damaged(course, tmp_path):
    source = archive(tmp_path / "d.zip", ("anna/x.ipynb", NOTEBOOK), ("bert/x.ipynb", NOTEBOOK))
    data = bytearray(source.read_bytes())
    data[200:260] = bytes(60)
    source.write_bytes(bytes(data))
    results = is_harmless(course, tmp_path, source, {"anna": "refused", "bert": "collected"})
    assert "cannot be read" in why(results, "anna")


def test_encrypted_entries(course, tmp_path):
    source = archive(tmp_path / "d.zip", ("anna/x.ipynb", NOTEBOOK), ("bert/x.ipynb", NOTEBOOK))
    data = bytearray(source.read_bytes())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.find(mark) + offset] |= 1
    source.write_bytes(bytes(data))
    results = is_harmless(course, tmp_path, source, {"anna": "refused", "bert": "collected"})
    assert why(results, "anna") == "x.ipynb is not taken: encrypted"


def test_an_unusual_method_of_packing(course, tmp_path):
    lzma = io.BytesIO()
    with zipfile.ZipFile(lzma, "w", zipfile.ZIP_LZMA) as file:
        file.writestr("x.ipynb", NOTEBOOK)
    source = archive(tmp_path / "d.zip", ("anna/x.zip", lzma.getvalue()), ("bert/x.ipynb", NOTEBOOK))
    results = is_harmless(course, tmp_path, source, {"anna": "refused", "bert": "collected"})
    assert "unusual method" in why(results, "anna")


@pytest.mark.parametrize("seed", range(5))
def test_archives_damaged_at_random_stop_nobody(course, tmp_path, seed):
    chance = random.Random(seed)
    whole = packed(("x.ipynb", NOTEBOOK), ("model.pt", b"m" * 500))
    entries = [("bert/x.ipynb", NOTEBOOK)]
    for number in range(20):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 8)):
            # Mostly near the end, where the directory is.
            data[-chance.randrange(1, chance.choice([250, len(data)]))] = chance.choice([0, 255, chance.randrange(256)])
        entries.append((f"s{number}/x.zip", bytes(data)))
    results = collect(NAME, archive(tmp_path / "d.zip", *entries), course)
    assert statuses(results)["bert"] == "collected"
    assert {r.status for r in results} <= {"collected", "refused"}
    assert all(r.why for r in results if r.status == "refused")
    assert len(results) == 21
    nothing_beside(course)


def test_what_operating_systems_leave_behind_is_nobodys_work(course, tmp_path):
    source = archive(
        tmp_path / "d.zip",
        ("anna/x.ipynb", NOTEBOOK),
        ("anna/Thumbs.db", b"x"),
        ("anna/.ipynb_checkpoints/x-checkpoint.ipynb", with_note("old")),
        ("__MACOSX/anna/._x.ipynb", b"x"),
        ("anna/._x.ipynb", b"x"),
        ("anna/.DS_Store", b"x"),
    )
    results = is_harmless(course, tmp_path, source, {"anna": "collected"})
    assert (why(results, "anna"), set(submitted(course, "anna")) - {"timestamp.txt"}) == ("", {f"{NAME}.ipynb"})


def test_names_that_are_wild_become_harmless(course, tmp_path):
    source = archive(
        tmp_path / "d.zip",
        ("anna/x.ipynb", NOTEBOOK),
        ("anna/" + "n" * 4000 + ".pt", b"long"),
        ("anna/we\n\x1b[31mird.txt", b"weird"),
        ("anna/.bashrc", b"hidden"),
        ("anna/CON.txt", b"device"),
        ("anna/timestamp.txt", b"2001-01-01 00:00:00.000000 UTC"),
    )
    is_harmless(course, tmp_path, source, {"anna": "collected"})
    files = submitted(course, "anna")
    assert "timestamp.txt" not in files or b"2001" not in files["timestamp.txt"], "a student cannot choose the time"
    names = set(files) - {f"{NAME}.ipynb", "timestamp.txt"}
    assert len(names) == 4
    assert all(name == harmless(name) and len(name) <= 100 for name in names)
    assert {"bashrc", "_CON.txt", "we__[31mird.txt".replace("[", "_")} < names


def test_two_entries_of_one_name_or_of_names_that_differ_by_case(course, tmp_path):
    first = (2026, 1, 1, 0, 0, 0)
    source = archive(
        tmp_path / "d.zip",
        ("anna/x.ipynb", NOTEBOOK),
        ("anna/model.pt", b"old", first),
        ("anna/MODEL.PT", b"new"),
        ("bert/x.ipynb", with_note("old"), first),
    )
    with zipfile.ZipFile(source, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr(zipfile.ZipInfo("bert/x.ipynb", (2026, 1, 5, 0, 0, 0)), with_note("new"))
    results = is_harmless(course, tmp_path, source, {"anna": "collected", "bert": "collected"})
    assert "model.pt was handed in more than once" in why(results, "anna")
    assert b"new" in submitted(course, "anna").values()
    assert "2 notebooks" in why(results, "bert")
    assert submitted(course, "bert")[f"{NAME}.ipynb"] == with_note("new")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_not_utf8(course, tmp_path):
    source = folder(tmp_path / "d", {"bert/x.ipynb": NOTEBOOK})
    bad = os.fsencode(source) + b"/an\xff\xfena"
    os.mkdir(bad)
    Path(os.fsdecode(bad), "x.ipynb").write_bytes(NOTEBOOK)
    results = collect(NAME, source, course)
    assert [(r.student, r.status) for r in results] == [("bert", "collected"), ("", "unmatched")]
    table(results).encode()


def test_an_archive_whose_names_are_not_the_utf8_it_promises(course, tmp_path):
    source = archive(tmp_path / "d.zip", ("bert/é.ipynb", NOTEBOOK))
    source.write_bytes(source.read_bytes().replace("é".encode(), b"\xff\xff"))
    with pytest.raises(CourseError, match="not UTF-8"):
        collect(NAME, source, course)


@pytest.mark.parametrize("data", [b"", b"not a zip", b"PK\5\6" + b"\xff" * 18], ids=range(3))
def test_a_source_that_is_no_archive_is_an_error_in_words(course, tmp_path, data):
    source = tmp_path / "d.zip"
    source.write_bytes(data)
    with pytest.raises(CourseError, match="Give a zip archive, or a folder"):
        collect(NAME, source, course)
    with pytest.raises(CourseError, match="There is no folder or archive"):
        collect(NAME, tmp_path / "nowhere", course)
    with pytest.raises(CourseError, match="make release NAME=ps9"):
        collect("ps9", source, course)


# Again, and later


def test_collecting_again_changes_nothing(course, tmp_path):
    source = folder(tmp_path / "d", {"anna/x.ipynb": NOTEBOOK, "anna/model.pt": b"m"})
    collect(NAME, source, course)
    before = {p: p.stat().st_mtime_ns for p in (course / "grading" / "submitted").rglob("*")}
    assert statuses(collect(NAME, source, course)) == {"anna": "unchanged"}
    assert {p: p.stat().st_mtime_ns for p in (course / "grading" / "submitted").rglob("*")} == before


def handed_in(path: Path, note: str, day: int) -> Path:
    """A class of two, of whom anna handed this in on a day of January, and bert in time."""
    return archive(
        path,
        ("anna/x.ipynb", with_note(note), (2026, 1, day, 12, 0, 0)),
        ("bert/x.ipynb", NOTEBOOK, (2026, 1, 1, 12, 0, 0)),
    )


def test_newer_work_replaces_and_older_does_not(course, tmp_path):
    collect(NAME, handed_in(tmp_path / "1.zip", "first", 2), course)
    results = collect(NAME, handed_in(tmp_path / "2.zip", "second", 3), course)
    assert statuses(results) == {"anna": "replaced", "bert": "unchanged"}
    (kept,) = (course / "grading" / "superseded" / "anna" / NAME).iterdir()
    assert why(results, "anna") == f"the earlier work is in {kept.relative_to(course).as_posix()}"
    assert (kept / f"{NAME}.ipynb").read_bytes() == with_note("first")
    assert kept.name.startswith("2026-01-0")

    results = collect(NAME, tmp_path / "1.zip", course)
    assert statuses(results) == {"anna": "unchanged", "bert": "unchanged"}
    assert "older than what was collected before" in why(results, "anna")
    assert submitted(course, "anna")[f"{NAME}.ipynb"] == with_note("second")

    assert statuses(collect(NAME, tmp_path / "1.zip", course, replace=True))["anna"] == "replaced"
    assert submitted(course, "anna")[f"{NAME}.ipynb"] == with_note("first")
    assert len(list((course / "grading" / "superseded" / "anna" / NAME).iterdir())) == 2
    nothing_beside(course)


def test_times_of_handing_in_are_kept_in_utc(course, tmp_path):
    collect(NAME, handed_in(tmp_path / "1.zip", "x", 5), course)
    local = time.mktime((2026, 1, 5, 12, 0, 0, 0, 0, -1))
    written = submitted(course, "anna")["timestamp.txt"].decode()
    assert written == time.strftime("%Y-%m-%d %H:%M:%S.000000 UTC", time.gmtime(local))
    assert parse_utc(written).isoformat() == time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(local))


def test_times_of_the_download_make_nobody_late(course, tmp_path):
    now = time.localtime()[:6]
    source = archive(tmp_path / "d.zip", *((f"s{n}/x.ipynb", NOTEBOOK, now) for n in range(3)))
    assert statuses(collect(NAME, source, course)) == {f"s{n}": "collected" for n in range(3)}
    assert set(submitted(course, "s0")) == {f"{NAME}.ipynb"}


def test_times_inside_a_students_archive_do_not_count(course, tmp_path):
    inside = io.BytesIO()
    with zipfile.ZipFile(inside, "w") as file:
        file.writestr(zipfile.ZipInfo("x.ipynb", (1999, 1, 1, 0, 0, 0)), NOTEBOOK)
        file.writestr(f"anna/{NAME}/timestamp.txt", b"1999-01-01 00:00:00.000000 UTC")
    source = archive(
        tmp_path / "d.zip",
        ("anna/x.zip", inside.getvalue(), (2026, 1, 5, 12, 0, 0)),
        ("bert/x.ipynb", NOTEBOOK, (2026, 1, 1, 12, 0, 0)),
    )
    collect(NAME, source, course)
    assert submitted(course, "anna")["timestamp.txt"].startswith(b"2026-01-0")


def test_a_stage_that_cannot_be_put_into_place_leaves_the_earlier_work(course, tmp_path, monkeypatch):
    collect(NAME, handed_in(tmp_path / "1.zip", "first", 2), course)
    rename = os.rename

    def refuse(old, new):
        if ".collecting-" in str(old) and "anna" in str(new):
            raise OSError("disk full")
        rename(old, new)

    monkeypatch.setattr(collecting.os, "rename", refuse)
    results = collect(NAME, handed_in(tmp_path / "2.zip", "second", 3), course)
    assert statuses(results) == {"anna": "refused", "bert": "unchanged"}
    assert "disk full" in why(results, "anna")
    assert submitted(course, "anna")[f"{NAME}.ipynb"] == with_note("first")
    nothing_beside(course)


def test_what_became_of_each_is_kept_for_grading(course, tmp_path):
    collect(NAME, folder(tmp_path / "d", {"anna/x.ipynb": NOTEBOOK, "bert/x.ipynb": OTHER}), course)
    collect(NAME, folder(tmp_path / "e", {"carl/x.ipynb": NOTEBOOK}), course)
    assert statuses(read_collected(NAME, course).values()) == {
        "anna": "collected",
        "bert": "refused",
        "carl": "collected",
    }
    assert read_collected("ps1-elbo", course) == {}


def test_a_bar_is_shown_when_asked_for(course, tmp_path, capsys):
    source = folder(tmp_path / "d", {"anna/x.ipynb": NOTEBOOK})
    collect(NAME, source, course)
    assert capsys.readouterr() == ("", "")
    collect(NAME, source, course, progress=True)
    assert "collect ps2-kl: 100%" in capsys.readouterr().err


def test_the_table_counts_and_names_what_needs_a_look(course, tmp_path):
    results = collect(NAME, folder(tmp_path / "d", {"anna/x.ipynb": NOTEBOOK, "bert/x.ipynb": OTHER}), course)
    assert table(results).splitlines() == [
        f"{'bert':<24} refused    x.ipynb is ps1-elbo, not ps2-kl",
        "1 collected, 1 refused",
    ]
    assert table([]) == "nothing found"


def test_the_released_notebook_is_recognised_by_its_own_cells():
    assert {"derive-closed-form", "kl-standard-normal-hidden"} <= grade_ids(NOTEBOOK)


# The roster


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_roster_as_spreadsheets_save_it(course, encoding, separator):
    lines = ["Last Name,ID,E-Mail,First name,Section", "Müller,a1,a@b.c,Anna,3", ",,,,", "Đặng,b 2,,Linh,"]
    enrol(course, "\r\n".join(lines).replace(",", separator).replace("E-Mail", "email"), encoding)
    assert read_roster(course) == [
        Student("a1", "Müller", "Anna", "a@b.c"),
        Student("b 2", "Đặng", "Linh"),
    ]


def test_without_a_roster_there_are_no_students(course):
    assert read_roster(course) == []


def test_ids_may_be_odd(course):
    ids = ["two words", "ümlaut", "a[b]", "a+b", "a@b.c", "it's", 'q"q', "a,b", "-x", "#1", "100%", "x" * 100]
    enrol(course, "id\n" + "\n".join('"' + i.replace('"', '""') + '"' for i in ids) + "\n")
    assert [s.id for s in read_roster(course)] == ids


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id\na\nb\nA\n", "line 4: the id 'A' is also that of line 2"),
        ("id,email\na,x\n,y\n", "line 3: the id is empty"),
        ("id\n../x\n", "line 2: .*slash"),
        ("id\na\\b\n", "line 2: .*slash"),
        ("id\n.x\n", "line 2: .*dot"),
        ("id\na..b\n", "line 2: .*dot"),
        ("id\na\x07b\n", "line 2: .*control"),
        ("id\na\u200bb\n", "line 2: .*invisible"),
        ("id\n" + "x" * 101 + "\n", "line 2: .*more than 100"),
        ("id\na*\n", r"line 2: .*\*"),
        ("name\na\n", "line 1: there is no column 'id'"),
        ("id,ID\na,b\n", "line 1: there are two columns"),
        ("", "line 1: there is no column 'id'"),
        ("id,last_name\na,b,c\n", "line 2: there are more cells than columns"),
        ('id,last_name\na,"b\n', "line 2: "),
    ],
)
def test_a_bad_roster_is_an_error_that_names_the_line(course, text, words):
    enrol(course, text)
    with pytest.raises(CourseError, match=f"roster.csv, {words}"):
        read_roster(course)


def test_a_roster_in_another_encoding_is_an_error_that_names_the_line(course):
    enrol(course, "id,last_name\na,b\nc,Müller\n", "latin-1")
    with pytest.raises(CourseError, match="line 3: this is not UTF-8"):
        read_roster(course)


@pytest.mark.parametrize(
    "text",
    [
        "Strauß Jürgen",
        "Juergen Strauss",
        "straussjurgen",
        "STRAUSS, JÜRGEN",
        "straußjürgen",
        "77",
        "X1",
    ],
)
def test_a_student_is_found_by_name_number_or_id(text):
    students = [Student("x1", "Strauß", "Jürgen", "j@s.de", "77"), Student("x2", "Strauß", "Ute")]
    assert Directory(students).find(text) == {"x1"}
