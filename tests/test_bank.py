"""Every wrong and right answer of every assignment, through nbgrader's own autograder."""

import pytest

from coursekit.bank import read_bank, run_bank, table
from coursekit.course import list_assignments
from coursekit.errors import CourseError
from coursetools import ROOT

NAMES = list_assignments(ROOT)


@pytest.mark.parametrize("name", NAMES)
def test_the_bank_is_large_enough(name):
    kinds = [answer.kind for answer in read_bank(name, ROOT)]
    assert kinds.count("wrong") >= 15
    assert kinds.count("right") >= 5


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_wrong_answers_lose_their_points_and_right_ones_lose_none(name, tmp_path):
    verdicts = run_bank(name, ROOT, tmp_path)
    print(table(verdicts))
    assert len(verdicts) == len(read_bank(name, ROOT))
    surprises = [str(verdict) for verdict in verdicts if not verdict.expected]
    assert not surprises, "\n" + "\n".join(surprises)


FUNCTION = "def kl_standard_normal(mu, logvar):\n    return mu\n"


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("wrong", f'"""A thought."""\n\n\n{FUNCTION}', "Loses"),
        ("right", f'"""A style.\n\nLoses: a-cell\n"""\n\n\n{FUNCTION}', "Loses"),
        ("right", '"""A style."""\n\nx = 1\n', "defines none of"),
    ],
)
def test_a_file_that_the_bank_cannot_use_is_named(tmp_path, kind, text, words):
    source = tmp_path / "solutions" / "ps2-kl" / "ps2-kl.md"
    source.parent.mkdir(parents=True)
    source.write_bytes((ROOT / "solutions" / "ps2-kl" / "ps2-kl.md").read_bytes())
    file = source.parent / kind / "odd_one.py"
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CourseError, match=rf"(?s)odd_one\.py.*{words}"):
        read_bank("ps2-kl", tmp_path)
