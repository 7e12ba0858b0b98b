"""Tests of the project as a whole: the lock, the contents, the verbs, the habits."""

import ast
import re
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, version

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from coursekit import project
from coursekit.project import ROOT

NAME = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;]+)(?: ; (.+))?$")


def direct() -> list[Requirement]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return [Requirement(text) for text in tomllib.load(file)["project"]["dependencies"]]


def locked() -> dict[str, list[tuple[str, str, list[str]]]]:
    """Package name to its pins: version, marker, and the packages that ask for it."""
    pins: dict[str, list[tuple[str, str, list[str]]]] = {}
    for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines():
        if found := NAME.match(line):
            name, pin, marker = found.groups()
            asked: list[str] = []
            pins.setdefault(canonicalize_name(name), []).append((pin, marker or "", asked))
        elif line.startswith("    #") and pins:
            asked.append(line.lstrip(" #").removeprefix("via").strip())
        else:
            assert line.startswith("#"), f"not a pin: {line}"
    return pins


def test_lock_holds_exactly_the_direct_dependencies():
    """Out of step in either direction, `make lock` was forgotten."""
    ours = {
        name
        for name, pins in locked().items()
        if any("vae-course (pyproject.toml)" in why for _, _, asked in pins for why in asked)
    }
    assert ours == {canonicalize_name(r.name) for r in direct()}, "run `make lock`"


@pytest.mark.parametrize("requirement", direct(), ids=lambda r: r.name)
def test_lock_satisfies_the_direct_dependency(requirement):
    for pin, _, _ in locked()[canonicalize_name(requirement.name)]:
        assert requirement.specifier.contains(pin), "run `make lock`"


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_lock_pins_each_package_once_for_every_system(system, python):
    machine = {"linux": "x86_64", "darwin": "arm64", "win32": "AMD64"}[system]
    where = {
        "sys_platform": system,
        "platform_system": {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[system],
        "os_name": "nt" if system == "win32" else "posix",
        "platform_machine": machine,
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    for name, pins in locked().items():
        fitting = [pin for pin, marker, _ in pins if not marker or Marker(marker).evaluate(where)]
        assert len(fitting) <= 1, name
    for requirement in direct():
        pins = locked()[canonicalize_name(requirement.name)]
        assert any(not marker or Marker(marker).evaluate(where) for _, marker, _ in pins)


def test_environment_is_the_locked_one():
    for name, pins in locked().items():
        if name == "torch" or name.startswith(("nvidia-", "cuda-")) or name == "triton":
            continue  # a build of one's own is allowed
        wanted = [pin for pin, marker, _ in pins if not marker or Marker(marker).evaluate()]
        try:
            found = version(name)
        except PackageNotFoundError:
            found = None
        assert not wanted or found in (wanted[0], f"{wanted[0]}+cpu"), f"{name}: run `make env`"


def test_every_page_is_in_the_contents():
    assert sorted(project.pages()) == sorted((ROOT / "book").glob("**/*.md"))


def test_contents_show_the_four_parts():
    text = (ROOT / "_toc.yml").read_text("utf-8")
    assert [m[1] for m in re.finditer(r"caption: (I|II|III|IV)\.", text)] == [
        "I",
        "II",
        "III",
        "IV",
    ]


def test_help_lists_every_verb():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    verbs = re.search(r"^\.PHONY: (.+)$", makefile, re.M)[1].split()
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    assert re.findall(r"^  make (\S+)", shown, re.M) == verbs


def test_packages_do_not_import_each_other():
    forbidden = {"vaelab": {"coursekit", "nbgrader", "sphinx"}, "coursekit": {"vaelab"}}
    for package, others in forbidden.items():
        for path in (ROOT / "utils" / package).glob("**/*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module]
                assert not {n.split(".")[0] for n in names} & others, f"{path}: {names}"


def test_repository_is_lean():
    files = project.tracked()
    assert files, "not a git checkout"
    assert [f for f in files if f.is_file() and f.stat().st_size > 1_000_000] == []
    assert [f for f in files if f.suffix == ".ipynb" and ROOT / "exercises" not in f.parents] == []


def test_pages_carry_the_header_that_makes_their_cells_run():
    for page in project.pages():
        text = page.read_text("utf-8")
        if "{code-cell}" in re.sub(r"^(````+).*?^\1$", "", text, flags=re.M | re.S):  # one that is only quoted aside
            assert text.startswith("---\njupytext:"), page
            assert "kernelspec:" in text.split("---")[1], page


@pytest.mark.parametrize("page", [*project.pages(), *project.solutions()], ids=lambda p: p.stem)
def test_lines_of_code_fit_the_column(page):
    for block in re.findall(r"```\{code-cell\}.*?\n(.*?)```", page.read_text("utf-8"), re.S):
        code = re.sub(r"\A---\n.*?\n---\n", "", block, flags=re.S)
        assert [line for line in code.splitlines() if len(line) > 79] == []


def test_every_page_that_cites_cites_what_exists():
    keys = set(re.findall(r"^@\w+\{(\S+),", (ROOT / "book/references.bib").read_text("utf-8"), re.M))
    for page in project.pages():
        for cited in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", page.read_text("utf-8")):
            assert {key.strip() for key in cited.split(",")} <= keys, page
