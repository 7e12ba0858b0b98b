"""The student edition: what it lacks, that it works, and that nothing secret gets into it."""

import ast
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from coursekit import edition, project
from coursekit.edition import check_edition, edition_files, idioms, need_solutions, student_edition
from coursekit.errors import CourseError
from coursetools import ROOT

NAME = "ps2-kl"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return student_edition(ROOT, tmp_path_factory.mktemp("edition") / "student.zip")


@pytest.fixture(scope="module")
def unpacked(archive):
    with zipfile.ZipFile(archive) as file:
        file.extractall(archive.parent)
    (folder,) = (path for path in archive.parent.iterdir() if path.is_dir())
    assert folder.name == "vae-course-student"
    return folder


def files(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


def secret_in(source: str) -> set[str]:
    """The lines between the markers of secret regions; found by themselves, without coursekit."""
    inside, lines = False, set()
    for line in source.splitlines():
        if re.search("BEGIN (SOLUTION|HIDDEN TESTS|MARK SCHEME)", line):
            inside = True
        elif re.search("END (SOLUTION|HIDDEN TESTS|MARK SCHEME)", line):
            inside = False
        elif inside and len(line.strip()) >= 12 and not re.match(r"(import|from) |.*[(\[{]$", line.strip()):
            lines.add(line.strip())
    return lines


def cells(path: Path) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(path.read_text("utf-8"))["cells"]]


def test_no_line_of_a_solution_or_hidden_test_is_in_any_file(unpacked):
    sources = [path.read_text("utf-8") for path in project.solutions(ROOT)]
    secrets = set().union(*map(secret_in, sources))
    assert len(secrets) > 1000
    exercises = (unpacked / "exercises").glob("*/*.ipynb")
    asked = {line.strip() for path in exercises for cell in cells(path) for line in cell.splitlines()}
    secrets -= asked | idioms(ROOT)
    for name, path in files(unpacked).items():
        text = path.read_text("utf-8", errors="replace")
        texts = [text, *cells(path)] if name.endswith(".ipynb") else [text]
        found = {line.strip() for text in texts for line in text.splitlines()} & secrets
        assert not found, name


def test_what_shows_students_the_answers_is_asked_nowhere_else(unpacked):
    """Of an exercise only the released notebook is there, and it is the one in the repository."""
    for path in (ROOT / "exercises").glob("*/*.ipynb"):
        assert (unpacked / path.relative_to(ROOT)).read_bytes() == path.read_bytes()
        assert not secret_in("\n".join(cells(path)))


def test_solutions_and_their_tests_are_not_there(unpacked):
    names = set(files(unpacked))
    first = {name.split("/")[0] for name in names}
    assert not first & {"solutions", "grading", "_build", ".ci", ".git"}
    assert not {"tests/coursetools.py", "tests/test_bank.py", "tests/test_edition.py"} & names
    assert {"tests/conftest.py", "tests/test_models.py", "tests/test_training.py"} <= names
    for name in names:
        if name.startswith("tests/"):
            text = (unpacked / name).read_text("utf-8")
            assert "solutions" not in text, name
            assert "coursetools" not in text, name
    assert not [name for name in names if re.search(r"__pycache__|\.pyc$|\.ipynb_checkpoints|cache/", name)]


def test_what_a_student_needs_is_there(unpacked):
    names = set(files(unpacked))
    wanted = "Makefile README.md pyproject.toml requirements.txt _config.yml _toc.yml nbgrader_config.py LICENSE"
    assert set(wanted.split()) <= names
    pages = project.pages(unpacked)
    assert len(pages) > 10
    assert [page for page in pages if not page.is_file()] == []
    for folder in ("book/_static", "utils/vaelab", "utils/coursekit"):
        ours = {path.name for path in (ROOT / folder).iterdir() if path.suffix in (".py", ".js", ".css", ".svg")}
        assert ours <= {path.name for path in (unpacked / folder).iterdir()}, folder


@pytest.mark.slow
def test_exercises_import_what_they_need(unpacked, tmp_path):
    """Every import of every exercise, with the edition's own packages and from a folder of its own."""
    lines = []
    for path in sorted((unpacked / "exercises").glob("*/*.ipynb")):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                nodes = ast.parse("".join(cell["source"])).body
                lines += [ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    assert any("vaelab" in line for line in lines)
    code = "\n".join([*dict.fromkeys(lines), "import coursekit.cli, vaelab; print(vaelab.__file__)"])
    environment = {**os.environ, "PYTHONPATH": str(unpacked / "utils")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(unpacked))


@pytest.mark.slow
def test_tests_that_are_there_can_be_collected(unpacked):
    environment = {**os.environ, "PYTHONPATH": str(unpacked / "utils")}
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=unpacked, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:]
    shutil.rmtree(unpacked / "tests" / "__pycache__", ignore_errors=True)


@pytest.mark.slow
def test_the_book_is_built_from_it(archive, tmp_path):
    """With the results that pages had here: what they need is not executed again, and nothing else is taken along."""
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path)
    root = tmp_path / "vae-course-student"
    data = os.environ.get("VAELAB_DATA")
    environment = {**os.environ, "PYTHONPATH": str(root / "utils")}
    environment |= {"VAELAB_DATA": str((ROOT / data).resolve())} if data else {}

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        return done.stdout

    shutil.copytree(ROOT / "_build" / ".jupyter_cache", root / "_build" / ".jupyter_cache")
    known = run("-c", "from coursekit.project import environment; print(environment(), end='')")
    (root / "_build" / "environment.txt").write_text(known, "utf-8")
    run("-m", "coursekit", "book")
    pages = {path.name for path in (root / "_build" / "html" / "book").glob("*.html")}
    assert {path.with_suffix(".html").name for path in project.pages(ROOT) if path.parent.name == "book"} <= pages
    executed = (root / "_build" / "book.log").read_text("utf-8").count("Executing notebook")
    assert executed == 0


def test_the_same_files_make_the_same_bytes(archive, tmp_path):
    assert student_edition(ROOT, tmp_path / "again.zip").read_bytes() == archive.read_bytes()


def test_programs_stay_programs(archive):
    with zipfile.ZipFile(archive) as file:
        modes = {info.filename.partition("/")[2]: info.external_attr >> 16 for info in file.infolist()}
    assert modes["README.md"] == 0o100644
    assert list(modes) == sorted(modes)


def test_in_the_edition_what_needs_solutions_says_so(unpacked):
    need_solutions(ROOT)
    for act in (need_solutions, student_edition):
        with pytest.raises(CourseError, match="This is the student edition"):
            act(unpacked)


# What is planted is found


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A small course whose files are all tracked: one assignment, a page, a test and a library."""
    root = tmp_path / "course"
    for name in (f"solutions/{NAME}/{NAME}.md", f"exercises/{NAME}/{NAME}.ipynb", "Makefile", "solutions/idioms.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    put(root, "book/index.md", "# A page\n")
    put(root, "tests/test_library.py", "def test_it():\n    pass\n")
    monkeypatch.setattr(edition, "tracked", lambda root: [path for path in root.rglob("*") if path.is_file()])
    return root


def put(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, "utf-8")


def secret() -> str:
    """A line of the reference solution."""
    text = (ROOT / "solutions" / NAME / f"{NAME}.md").read_text("utf-8")
    lines = re.search(r"BEGIN SOLUTION\n(.*?)### END SOLUTION", text, re.S)[1].splitlines()
    return max((line.strip() for line in lines), key=len)


def test_a_clean_course_passes(course):
    path = student_edition(course)
    assert path == course / "_build" / "course-student.zip"
    assert check_edition(path, course) == 4
    with zipfile.ZipFile(path) as file:
        file.extractall(course.parent / "unpacked")
    assert check_edition(course.parent / "unpacked", course) == 4


PLACES = {
    "book/index.md": "# A page\n\n    {}\n",
    "book/quoted.md": "> {}\n",
    "utils/library.py": "def f():\n    # {}\n    pass\n",
    "tests/test_library.py": 'TEXT = """\n{}\n"""\n',
    "notes.txt": "\r\n{}\r\n",
    "Makefile": "all:\n\t{}\n",
}


@pytest.mark.parametrize("name", PLACES)
def test_a_planted_line_is_refused_by_file_and_line(course, name):
    text = PLACES[name].format(secret())
    put(course, name, text)
    number = text[: text.index(secret())].count("\n") + 1
    with pytest.raises(CourseError, match=re.escape(f"{name}, line {number}: {secret()}")):
        student_edition(course)
    assert not list(course.glob("_build/*"))


@pytest.mark.parametrize("place", ["source", "text", "stdout", "metadata"])
def test_a_line_in_a_notebook_is_refused(course, place):
    path = course / "exercises" / NAME / f"{NAME}.ipynb"
    notebook = json.loads(path.read_text("utf-8"))
    said = {
        "source": {"source": ["x = 1\n", f"    {secret()}"]},
        "text": {"source": f"x = 1\n{secret()}\n"},
        "stdout": {"outputs": [{"output_type": "stream", "name": "stdout", "text": [f"{secret()}\n"]}]},
        "metadata": {"metadata": {"note": secret()}},
    }[place]
    notebook["cells"].append({"cell_type": "code", "source": "", "metadata": {}, "outputs": [], **said})
    path.write_text(json.dumps(notebook, ensure_ascii=place == "text"), "utf-8")
    with pytest.raises(CourseError, match=re.escape(f"exercises/{NAME}/{NAME}.ipynb, line ")):
        student_edition(course)


def test_a_hidden_test_and_a_mark_scheme_are_as_secret(course):
    text = (course / "solutions" / NAME / f"{NAME}.md").read_text("utf-8")
    for kind in ("HIDDEN TESTS", "MARK SCHEME"):
        lines = re.search(rf"BEGIN {kind}[^\n]*\n(.*?)\n[^\n]*END {kind}", text, re.S)[1].splitlines()
        put(course, "book/index.md", max(lines, key=len))
        with pytest.raises(CourseError, match=r"book/index\.md, line 1"):
            student_edition(course)


def test_a_copy_of_a_solution_under_another_name_is_refused(course):
    put(course, f"solutions/{NAME}/right/short.py", "def f(x):\n    return x\n")
    put(course, "utils/short.py", "def f(x):\n    return x\n")
    with pytest.raises(CourseError, match=re.escape(f"utils/short.py is a copy of solutions/{NAME}/right/short.py")):
        student_edition(course)


def test_an_idiom_may_stand_anywhere(course):
    put(course, "book/index.md", secret())
    with (course / "solutions" / "idioms.txt").open("a", encoding="utf-8") as file:
        file.write(f"{secret()}\n")
    assert student_edition(course).is_file()


def test_an_earlier_edition_is_checked_again(course):
    path = course.parent / "public"
    put(path, "README.md", secret())
    with pytest.raises(CourseError, match=r"README\.md, line 1"):
        check_edition(path, course)
    with pytest.raises(CourseError, match="nothing to search"):
        check_edition(course.parent / "nowhere", course)
    put(course, "broken.zip", "PK")
    with pytest.raises(CourseError, match="cannot be read"):
        check_edition(course / "broken.zip", course)


def test_bytes_that_are_no_text_are_no_obstacle(course):
    (course / "picture.png").write_bytes(base64.b64decode("iVBORw0KGgo=") + bytes(range(256)))
    assert student_edition(course).is_file()


def test_tests_that_lead_to_solutions_are_left_out(course):
    put(course, "tests/helper.py", "from coursekit.bank import read_bank\n")
    put(course, "tests/second.py", "import helper\n")
    put(course, "tests/test_far.py", "from second import x\n")
    put(course, "tests/test_names.py", "PATH = 'solutions/ps2-kl'\n")
    put(course, "tests/test_machinery.py", "from coursekit import grading\n")
    put(course, "tests/test_public.py", "from coursekit import project\nfrom coursekit.project import ROOT\n")
    names = {path.name for path in edition_files(course) if path.parent.name == "tests"}
    assert names == {"test_library.py", "test_public.py"}


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_is_refused(course):
    (course / "shortcut.md").symlink_to(course / "solutions" / NAME / f"{NAME}.md")
    with pytest.raises(CourseError, match=r"shortcut\.md: a link"):
        student_edition(course)


def test_outside_of_git_it_is_refused_in_words(course, monkeypatch):
    monkeypatch.setattr(edition, "tracked", lambda root: None)
    with pytest.raises(CourseError, match="no git checkout"):
        student_edition(course)
