"""A browser, and the panel's page in each version of gradio."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ui.editor import Editor

ROOT = Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PYTHONS = {
    "gradio-3.41.2": ROOT / ".venv-gradio3" / "bin" / "python",
    "gradio-4.40.0": ROOT / ".venv-gradio4" / "bin" / "python",
    "gradio-newest": Path(sys.executable),
}
NOT_OURS = ("fonts", "Failed to load resource", "non-interactive or hidden tab", "manifest")
"""What gradio itself says on the console where there is no network."""


APP = ROOT / "tests" / "ui" / "app.py"
"""The panel's page, without a WebUI."""


def chromium_path() -> str | None:
    """Of the browser, where there is one."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def served(*words, **how):
    """The address of what a command serves at the port that comes after its words, until it is no longer wanted."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen([*map(str, words), str(port)], env=environment, **how)
    url = f"http://127.0.0.1:{port}/"
    try:
        _wait(url, process)
        yield url
    finally:
        _end(process)


def _wait(url, process):
    end = time.monotonic() + 120
    while time.monotonic() < end:
        assert process.poll() is None, "the page's server ended"
        try:
            urllib.request.urlopen(url, timeout=2).read()
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
        else:
            return
    raise TimeoutError("the page's server did not start")


def _end(process):
    """A server that does not end when it is asked to is an error, and gone all the same."""
    process.terminate()
    try:
        process.wait(60)
    finally:
        process.kill()


def missing(what: str) -> None:
    """Fails where everything has to be there, and skips elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def browser():
    """Chromium without a window."""
    path = chromium_path()
    if path is None:
        missing("no Chromium is installed: the page cannot be tested")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def new_page(browser):
    """Makes pages of their own, which are closed whatever happens: a server waits for those that are open."""
    contexts = []

    def make(**how):
        contexts.append(browser.new_context(**how))
        return contexts[-1].new_page()

    yield make
    for context in contexts:
        context.close()


@pytest.fixture(scope="session", params=PYTHONS)
def address(request):
    """The address of the page."""
    python = PYTHONS[request.param]
    if not python.exists():
        missing(f"{request.param} is not installed: `make test` does it")
    with served(python, APP) as url:
        yield url


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """The studio's address, and the folder of its pictures."""
    out = tmp_path_factory.mktemp("studio")
    words = ["-m", "tiled_diffusion", "studio", "--out", out, "--device", "cpu", "--port"]
    with served(sys.executable, *words, cwd=ROOT) as url:
        yield url, out


@pytest.fixture
def page(browser, address):
    """A fresh page; it must not report errors."""
    context = browser.new_context(viewport={"width": 1300, "height": 1400})
    tab = context.new_page()
    errors = []
    tab.on("pageerror", lambda e: errors.append(str(e)))
    tab.on("console", lambda m: errors.append(m.text) if m.type == "error" and "ERR_NAME" not in m.text else None)
    tab.goto(address)
    tab.wait_for_selector("#td_txt2img_status:not(:empty)", timeout=60000)
    yield tab
    context.close()
    serious = [e for e in errors if not any(word in e for word in NOT_OURS)]
    assert not serious


@pytest.fixture
def editor(page):
    """The region editor of the txt2img tab, unfolded."""
    return Editor(page)


AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
"""Rules of accessibility; `make test` installs it."""


def serious(page, *selectors):
    """What axe-core finds of serious and critical kinds within elements of a page, one line each."""
    if not AXE.is_file():
        missing("axe-core is not installed: `npm ci` does it")
    page.evaluate(AXE.read_text(encoding="utf-8") + "; window.axe = axe; undefined")
    found = page.evaluate("include => axe.run({include})", [[selector] for selector in selectors])
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in found["violations"] if rule["impact"] in ("serious", "critical") for node in rule["nodes"]
    ]  # fmt: skip
