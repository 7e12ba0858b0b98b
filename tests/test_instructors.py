"""The instructor's guide names only what there is: verbs, options, files, settings, statuses, numbers."""

import importlib
import re
from pathlib import Path

import dask
import jupytext
import pytest
import yaml
from distributed import Security
from distributed.cli.dask_scheduler import main as dask_scheduler
from distributed.cli.dask_worker import main as dask_worker
from nbgrader.apps import NbGraderApp
from nbgrader.coursedir import CourseDirectory
from nbgrader.exchange.default.exchange import Exchange
from nbgrader.preprocessors import AssignLatePenalties, Execute
from nbgrader.utils import parse_utc

from coursekit import cli, collect, export, status
from coursekit.assignments import read_source, secret_lines
from coursekit.course import load_config
from coursekit.edition import idioms, leaks
from coursekit.execution import ExecuteApart
from coursekit.feedback import FeedbackPage
from coursekit.grading import summary
from coursekit.late import LatePolicy
from coursekit.project import ROOT, solutions
from coursekit.roster import read_roster
from coursekit.sandbox import Limits
from coursekit.status import STATUSES, Standing

FOLDER = ROOT / "book" / "instructors"
PAGES = sorted(FOLDER.glob("*.md"))
TEXT = {page.stem: page.read_text("utf-8") for page in PAGES}
ALL = "\n".join(TEXT.values())
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
RECIPES = dict(re.findall(r"^([a-z-]+):[^\n]*\n((?:\t[^\n]*\n)+)", MAKEFILE, re.M))
COMMANDS = next(action for action in cli._parser()._actions if action.choices).choices
MACHINERY = "\n".join(
    path.read_text("utf-8")
    for path in [*(ROOT / "utils" / "coursekit").rglob("*.*"), ROOT / "nbgrader_config.py"]
    if path.suffix in (".py", ".j2")
)
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", ALL, re.M | re.S)
SPANS = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"^```.*?^```", "", ALL, flags=re.M | re.S))
SHELL = [line for kind, block in BLOCKS if kind == "bash" for line in block.replace("\\\n", " ").splitlines()]
CODE = [*SHELL, *SPANS]
CLASSES = {
    kind.__name__: kind
    for kind in (CourseDirectory, Exchange, Execute, ExecuteApart, AssignLatePenalties, LatePolicy, FeedbackPage)
}


def block(page: str, kind: str, *words: str) -> str:
    """The first block of a kind on a page in which these words occur."""
    found = re.findall(rf"^```{kind}\n(.*?)^```", TEXT[page], re.M | re.S)
    return next(text for text in found if all(word in text for word in words))


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the table on a page whose first row begins with a text."""
    lines = TEXT[page].splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {heading}"))
    table = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            return table
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    raise AssertionError("a table at the end of a file")


def without_placeholders(path: str) -> Path:
    return ROOT / path.replace("NAME", "ps2-kl")


@pytest.mark.parametrize("page", TEXT)
class TestPage:
    def test_begins_and_ends_as_pages_do(self, page):
        text = TEXT[page]
        assert f"(page-instructors-{page})=\n# " in text
        assert ":::{admonition} On this page\n:class: objectives\n**You will be able to**" in text
        assert "**Time**" in text
        assert "## To keep in mind" in text

    def test_its_lines_are_no_longer_than_the_editor(self, page):
        kept = [line for line in TEXT[page].splitlines() if not line.startswith(("|", "- nbgrader doc", "- Ubuntu"))]
        assert [line for line in kept if len(line) > 120] == []

    def test_its_links_are_safe_and_its_references_exist(self, page):
        assert re.findall(r"\]\((?!https://)", TEXT[page]) == []
        for name in re.findall(r"\{ref\}`([^`]+)`", TEXT[page]):
            assert f"({name})=" in ALL, name
        for name in re.findall(r"\{doc\}`([^`]+)`", TEXT[page]):
            assert (FOLDER / f"{name}.md").is_file(), name

    def test_its_code_is_code(self, page):
        for kind, text in re.findall(r"^```(\w+)\n(.*?)^```", TEXT[page], re.M | re.S):
            if kind == "python":
                compile(text, page, "exec")
            if kind == "yaml":
                assert yaml.safe_load(text)


def test_every_page_of_the_guide_is_there():
    assert set(TEXT) == {"set-up", "grading-day", "term", "assignments", "platforms", "scaling", "privacy"}


def test_no_secret_is_told():
    secrets = secret_lines(ROOT) - idioms(ROOT)
    assert secrets
    for page in PAGES:
        assert list(leaks(page.name, page.read_bytes(), secrets)) == []


def test_every_verb_and_each_of_its_options_is_in_the_makefile():
    used = set()
    for text in CODE:
        for verb, rest in re.findall(r"(?<![\w-])make ([a-z][a-z-]*)([^#`;&|]*)", text):
            assert verb in RECIPES or verb in ("env", "help"), text
            used.add(verb)
            for option in re.findall(r"\b([A-Z][A-Z_]+)=", rest):
                assert f"$({option})" in RECIPES[verb], text
    assert used >= {"release", "due", "collect", "grade", "formgrader", "feedback", "export", "student-edition", "bank"}


def test_every_option_named_alone_is_in_the_makefile():
    named = {found[1] for span in SPANS if (found := re.fullmatch(r"([A-Z_]+)=\S*", span))}
    assert named >= {"WORKERS", "SCHEDULER", "REQUIRE_SANDBOX", "FORCE", "REPLACE"}
    assert {option for option in named if f"$({option})" not in MAKEFILE} == set()
    assert set(re.findall(r"FORM=(\w+)", ALL)) <= set(export.FORMS)


def test_every_command_of_coursekit_and_its_options_exist():
    found = [text for text in CODE if "-m coursekit" in text]
    assert found
    for text in found:
        command, rest = re.search(r"-m coursekit ([a-z-]+)(.*)", text).groups()
        known = COMMANDS[command].format_help()
        assert [option for option in re.findall(r"--[a-z-]+", rest) if option not in known] == []


def test_every_option_of_dask_exists():
    known = {option for main in (dask_scheduler, dask_worker) for p in main.params for option in p.opts}
    lines = [line for line in SHELL if line.startswith(("dask scheduler", "dask worker"))]
    spans = [span for span in SPANS if re.match(r"--(tls|memory|nthreads|local)", span)]
    wanted = set(re.findall(r"--[a-z-]+", " ".join([*lines, *spans, block("scaling", "yaml", "DaskCluster")])))
    assert len(wanted) > 6
    assert wanted <= known


def test_dask_reads_its_credentials_from_the_variables_that_are_named():
    names = dict(re.findall(r"export (DASK_\w+)=(\S+)", ALL))
    with dask.config.set(dask.config.merge(dask.config.config, dask.config.collect_env(names))):
        credentials = Security()
    found = (credentials.tls_ca_file, credentials.tls_client_cert, credentials.tls_client_key)
    assert found == tuple(names.values())


def test_every_command_of_nbgrader_exists():
    used = {name for text in CODE for name in re.findall(r"(?<![\w/-])nbgrader ([a-z]+(?:_[a-z]+)?)\b", text)}
    assert used >= {"release_assignment", "collect", "release_feedback", "db"}
    assert used <= set(NbGraderApp.subcommands)


def test_every_setting_is_one_of_its_class():
    names = {pair for text in SPANS for pair in re.findall(r"^([A-Z]\w+)\.([a-z_]+)$", text)}
    python = "\n".join(text for kind, text in BLOCKS if kind == "python")
    names |= set(re.findall(r"^c\.(\w+)\.(\w+) = ", python, re.M))
    assert len(names) > 8
    for kind, trait in names:
        assert trait in CLASSES[kind].class_trait_names(config=True), f"{kind}.{trait}"


def test_every_module_and_name_of_coursekit_exists():
    names = set(re.findall(r"\bcoursekit(?:\.\w+)+", " ".join([*SPANS, *(text for _, text in BLOCKS)])))
    assert names
    for name in names:
        module, _, attribute = name.rpartition(".")
        module = importlib.import_module(module if module != "coursekit" else name)
        assert module.__name__ == name or hasattr(module, attribute), name
    assert "from coursekit import sandbox; print(sandbox.not_enforced()" in ALL


def test_every_file_exists_or_is_made_by_the_machinery():
    paths = set(re.findall(r"(?:grading|solutions|exercises|utils|tests|book)/[\w./-]*", " ".join(CODE)))
    assert len(paths) > 15
    made = {f"grades-{form}.csv" for form in export.FORMS}
    for path in paths:
        if not path.startswith("grading/"):
            assert without_placeholders(path).exists(), path
        elif part := path.split("/")[1]:
            assert part in made or re.search(rf'["/]{re.escape(part)}["/]', MACHINERY), path
    for row in rows("privacy", "in `grading/`"):
        for name in re.findall(r"`([\w.-]+)[/`]", row[0]):
            assert name in made or re.search(rf'["/]{re.escape(name)}["/]', MACHINERY), name
    for name in ("nbgrader_config.py", "requirements.txt"):
        assert (ROOT / name).is_file()
    assert status.status_path("ps2-kl", Path()).as_posix() == "grading/status/ps2-kl.json"
    assert status.status_path("ps2-kl", Path()).as_posix() in TEXT["grading-day"]


def test_the_statuses_are_those_that_there_are():
    assert tuple(re.findall(r"^\*\*`(\w+)`\.\*\*", TEXT["grading-day"], re.M)) == STATUSES
    assert tuple(row[0].strip("*") for row in rows("grading-day", "word")) == collect.STATUSES


def test_the_summary_is_printed_like_that():
    standings = [
        *(Standing(f"a{n}", "graded", seconds=2.344, late=float(n < 11)) for n in range(287)),
        *(Standing(f"b{n}", "flagged", "why", seconds=2.903) for n in range(6)),
        *(Standing(f"c{n}", "failed", "why") for n in range(2)),
        *(Standing(f"d{n}", "missing") for n in range(5)),
    ]
    shown = block("grading-day", "text", "in all")
    assert shown.splitlines()[:5] == summary(standings).splitlines()[:5]
    few = [Standing("ada", "graded", seconds=5.0), Standing("ben", "graded"), Standing("cy", "missing")]
    assert block("set-up", "text", "in all").strip() == summary(few)


def test_every_reason_that_is_quoted_can_be_given():
    quoted = [text for row in rows("grading-day", "it says") for text in re.findall(r'"([^"]+)"', row[0])]
    assert len(quoted) > 7
    for text in quoted:
        for part in filter(None, (part.strip(" :") for part in re.split(r"\.\.\.|\d+", text))):
            assert part in MACHINERY, part
    for words in ("isolation of students' code, not enforced:", "names nobody on the roster: rename it"):
        assert words in MACHINERY
        assert words in TEXT["grading-day"]


def test_the_numbers_are_those_of_the_settings():
    settings, limits = load_config(ROOT), Limits()
    shipped = {row[0].strip("`"): row[2].strip("`") for row in rows("set-up", "setting")}
    assert shipped["CourseDirectory.course_id"] == settings.CourseDirectory.course_id
    assert int(shipped["Execute.timeout"]) == settings.Execute.timeout
    assert int(shipped["ExecuteApart.total_timeout"]) == settings.ExecuteApart.total_timeout
    assert shipped["ExecuteApart.memory"] == "4 GiB"
    assert ExecuteApart().memory == limits.memory == 4 * 2**30
    text = " ".join(TEXT["privacy"].split())
    assert f"time: {settings.Execute.timeout} seconds a cell, {settings.ExecuteApart.total_timeout} a notebook" in text
    assert f"{limits.processes} processes and threads, {limits.file_size >> 20} MB for a file" in text
    assert f"{limits.scratch >> 20} MB for all files of the working folder" in text


def test_the_late_policy_is_the_one_in_words():
    policy = LatePolicy()
    for name, value in re.findall(r"c\.LatePolicy\.(\w+) = ([\d.]+)", block("grading-day", "python", "LatePolicy")):
        assert getattr(policy, name) == float(value)
    hours = 3600
    assert policy.late_submission_penalty("a", 10, 15 * 60) is None
    assert policy.late_submission_penalty("a", 10, 16 * 60) == 1
    assert policy.late_submission_penalty("a", 10, 25 * hours) == 2
    assert policy.late_submission_penalty("a", 10, 5 * 24 * hours + 1) == 10


def test_times_are_read_as_the_pages_say():
    (when,) = set(re.findall(r'WHEN="([^"]+)"', ALL))
    assert f"due: ps2-kl {parse_utc(when)}" in TEXT["set-up"]
    moment = block("grading-day", "text", "UTC").strip()
    assert f"{parse_utc(moment)} UTC" == moment


def test_the_roster_can_be_read(tmp_path):
    (tmp_path / "grading").mkdir()
    (tmp_path / "grading" / "roster.csv").write_text(block("set-up", "text", "last_name"), "utf-8")
    assert [student.id for student in read_roster(tmp_path)] == ["ada", "ben", "cy"]
    columns = [name for row in rows("set-up", "column") for name in re.findall(r"`(\w+)`", row[0])]
    assert tuple(columns) == read_roster(tmp_path)[0]._fields


def test_the_kinds_of_cells_are_those_of_the_assignments():
    kinds = {tuple(cell == "true" for cell in row[1:4]) for row in rows("assignments", "cell")}
    cells = [cell.metadata.nbgrader for cell in read_source("ps2-kl").cells if "nbgrader" in cell.metadata]
    assert kinds == {(cell.grade, cell.solution, cell.locked) for cell in cells}


def test_the_example_of_a_check_checks():
    names = {"torch": pytest.importorskip("torch"), "double": lambda x: 2 * x}
    exec(block("assignments", "python", "def check_double"), names)
    exec(block("assignments", "python", "Loses:"), names)  # the wrong answer takes the place of the right one
    with pytest.raises(AssertionError, match="the sign of a negative number is lost"):
        names["check_double"]()


def test_the_bank_is_as_large_as_the_page_says():
    count = {kind: len(list((ROOT / "solutions/ps2-kl" / kind).glob("*.py"))) for kind in ("wrong", "right")}
    wanted = rf"ps2-kl +{count['wrong']} of {count['wrong']} +{count['right']} of {count['right']}$"
    assert re.search(wanted, block("assignments", "text", "wrong caught"), re.M)


def test_points_in_the_calendar_are_those_of_the_assignments():
    stated = {row[0].strip("`"): row[2] for row in rows("term", "part")}
    for source in solutions():
        total, machine = re.search(r"\*\*Points\*\* (\d+), of which (\d+)", source.read_text("utf-8")).groups()
        name = source.stem
        assert stated[name] == f"{total}, of which {machine} by machine"


def test_the_hours_in_the_calendar_are_those_of_the_pages():
    stated = dict(rows("term", "| hours"))
    pages = [name for name in re.findall(r"\{doc\}`\.\./([\w-]+)`", TEXT["term"]) if name != "project"]
    minutes = [
        int(re.search(r"\*\*Time\*\* (\d+) minutes", " ".join((ROOT / f"book/{name}.md").read_text().split()))[1])
        for name in dict.fromkeys(pages)
    ]
    assert len(minutes) == 8
    assert stated["reading and running the pages of Parts I and II"] == str(round(sum(minutes) / 60))


def test_the_arithmetic_of_scaling(capsys):
    names = {}
    for cell in jupytext.read(FOLDER / "scaling.md").cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
    assert "100,000" in capsys.readouterr().out
