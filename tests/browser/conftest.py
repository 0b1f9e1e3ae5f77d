"""Debian's Chromium, driven by Playwright."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from tests.server.project import project
from tests.server.serving import Site, serving

CHROMIUM = Path("/usr/bin/chromium")
# A browser that talks to nobody but us, in a container, as root.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests of a module; each opens windows of its own. While it is there an event loop runs in this thread."""
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as driver:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS, env=dict(os.environ))
        yield browser
        browser.close()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The site of the analysis project; nobody is logged in yet."""
    monkeypatch.setenv("KIST_HOME", str(tmp_path / "home"))
    with serving(project(), log_in=False) as site:
        yield site
