"""What tests need to look at the built book in a browser: a server of it, and visits that note what goes wrong."""

import asyncio
import functools
import gzip
import http.server
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from coursekit import browser
from coursekit.errors import CourseError
from coursekit.project import ROOT

HTML = ROOT / "_build" / "html"
COMPRESSED = {".html", ".css", ".js", ".json", ".svg", ".txt", ".map", ".ipynb", ".md", ".xml", ".ico", ".ttf", ".otf"}
"""What web servers compress on the way; fonts in woff and pictures are compressed already."""


class _Loop:
    """Playwright's event loop counts as running in this thread as long as playwright lives.

    Other tests of the same process call ``asyncio.run``, which refuses that: so it is put aside between uses.
    """

    def __init__(self):
        self.loop = None

    @contextmanager
    def running(self):
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self.loop)
        try:
            yield
        finally:
            self.loop = asyncio._get_running_loop()
            asyncio._set_running_loop(before)


@contextmanager
def one_browser():
    """A browser for the whole process, and the context manager in which to use it.

    Skips, with the reason, where no browser can be installed; fails there under continuous integration.
    """
    loop, launched = _Loop(), browser.launch()
    with loop.running():
        try:
            shared = launched.__enter__()
        except CourseError as error:
            if os.environ.get("CI"):
                pytest.fail(str(error), pytrace=False)
            pytest.skip(str(error))
    try:
        yield shared, loop.running
    finally:
        with loop.running():
            launched.__exit__(None, None, None)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files as a host of static pages does: compressed, kept alive, and with the site's own 404 page."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if path.is_dir() else path
        status, path = (200, path) if path.is_file() else (404, Path(self.directory) / "404.html")
        body = path.read_bytes() if path.is_file() else b"not found"
        self.send_response(status)
        if path.suffix in COMPRESSED:
            body = _compressed(path, path.stat().st_mtime_ns) if path.is_file() else body
            self.send_header("Content-Encoding", "gzip" if path.is_file() else "identity")
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@functools.lru_cache(maxsize=512)
def _compressed(path, _time):
    return gzip.compress(path.read_bytes(), compresslevel=6, mtime=0)


@contextmanager
def served(folder=HTML):
    """Serve a folder on this machine; yields its address, ``http://127.0.0.1:PORT/``."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


class Visit:
    """One page in a context of its own, with all that it asked for and all that went wrong.

    Arguments:
        browser: Playwright's browser.
        address: Where the page lies: http or file.
        dark: Whether the reader's system asks for dark colours.
        width, height: Of the window, in CSS pixels.
        more: Further options of playwright's ``new_context``.
    """

    def __init__(self, browser, address, *, dark=False, width=1280, height=900, **more):
        scheme = "dark" if dark else "light"
        size = {"width": width, "height": height}
        self.context = browser.new_context(color_scheme=scheme, viewport=size, reduced_motion="reduce", **more)
        self.context.set_default_timeout(10_000)
        self.address, self.faults, self.requests, self.sizes = address, [], [], {}
        self.page = self.context.new_page()
        self.page.on("console", lambda m: m.type in ("error", "warning") and self.faults.append(f"console: {m.text}"))
        self.page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)
        self.page.on("requestfailed", self._failed)

    def _asked(self, request):
        self.requests.append(request.url)
        home, url = urlparse(self.address), urlparse(request.url)
        if url.scheme not in ("data", "blob") and (url.scheme, url.netloc) != (home.scheme, home.netloc):
            self.faults.append(f"third party: {request.url}")

    def _failed(self, request):
        if "ERR_ABORTED" not in request.failure:  # who goes on to another page no longer waits for this one
            self.faults.append(f"failed: {request.url} {request.failure}")

    def _answered(self, response):
        if response.status >= 400:
            self.faults.append(f"{response.status}: {response.url}")
        self.sizes[response.url] = int(response.headers.get("content-length", 0))

    def __enter__(self):
        self.page.goto(self.address, wait_until="load")
        self.settle()
        return self

    def __exit__(self, *_):
        self.context.close()

    def settle(self):
        """Wait until formulas are set, fonts are there and nothing more is asked for."""
        self.page.wait_for_load_state("networkidle")
        self.page.evaluate("() => window.MathJax?.startup?.promise?.then(() => null)")
        self.page.evaluate("() => document.fonts.ready.then(() => null)")
        self.page.wait_for_function(
            "() => [...document.querySelectorAll('.explorer[data-explorer]')].every(e => e.dataset.ready)"
        )

    @property
    def wire(self):
        """Bytes over the wire, from first request to last."""
        return sum(self.sizes.values())


def rendered(page, base):
    """The address of a page's HTML under ``base``: a folder or an http address that ends in a slash."""
    relative = page.relative_to(ROOT).with_suffix(".html").as_posix()
    return (base / relative).as_uri() if isinstance(base, Path) else base + relative


def local(address, base):
    """The file of the built book that an address of the server stands for."""
    return HTML / unquote(urlparse(address).path.removeprefix(urlparse(base).path))
