"""What all tests share."""

from pathlib import Path

import pytest
import torch
from xdist.scheduler import LoadScopeScheduling

# What the tests of one of these files look at takes long to make: one process makes it, and runs them all.
ONE_PROCESS = {f"test_{name}.py" for name in ("grading", "hostile", "latent_explorer", "pdf", "project_assignment")}


class ByFile(LoadScopeScheduling):
    """Hands out single tests, and the tests of ``ONE_PROCESS`` file by file."""

    def _split_scope(self, nodeid):
        file = Path(nodeid.partition("::")[0]).name
        return file if file in ONE_PROCESS else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """As ``--dist=load`` otherwise."""
    return ByFile(config, log)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def _browser():
    """One browser for each process that runs tests: it starts in half a second, playwright in another."""
    from browsertools import one_browser

    with one_browser() as shared_and_loop:
        yield shared_and_loop


@pytest.fixture
def browser(_browser):
    """Playwright's Chromium. Skipped where none can be installed; a failure there under continuous integration."""
    shared, in_use = _browser
    with in_use():
        yield shared


@pytest.fixture(scope="session")
def site():
    """The built book over http: the address of its folder, which ends in a slash."""
    from browsertools import HTML, served

    assert (HTML / "index.html").is_file(), "run `make book` first"
    with served() as address:
        yield address


def pytest_addoption(parser):
    """Links to other sites are asked for only on demand: tests depend on no network."""
    parser.addoption("--reach-links", action="store_true", help="ask for every link that leaves the book")
