"""The web site as a person meets it, in a real browser."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, expect
from tests.server.project import readings
from tests.server.serving import Site

from kist.server.render import address

pytestmark = pytest.mark.peer("chromium")

PAGES = {
    "versions": "/",
    "history": address("/", path="results/daily.csv"),
    "folder": "/files",
    "text": address("/files", path="analysis.py", ref="report-october"),
    "table": address("/files", path="data/readings.csv"),
    "image": address("/files", path="results/plots/temperature.png"),
    "changes": address("/changes", b="v4"),
    "lines": address("/changes", b="v4", path="analysis.py"),
    "images": address("/changes", b="v4", path="results/plots/temperature.png"),
    "missing": address("/files", path="nothing"),
}
OUTSIDE = {"home": "/", "organisation": "/local", "account": "/login", "api": "/api/v1"}


def url_of(site: Site, name: str) -> str:
    """Return where a page is."""
    return f"http://127.0.0.1:{site.port}{OUTSIDE[name] if name in OUTSIDE else site.base + PAGES[name]}"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A window of a browser that knows nothing, 1120 pixels wide."""
    with browser.new_context(viewport={"width": 1120, "height": 760}, accept_downloads=True) as context:
        context.set_default_timeout(20_000)
        yield context.new_page()


def log_in(page: Page, site: Site) -> None:
    """Use the link, and wait for where it leads."""
    page.goto(site.link)
    page.get_by_role("link", name=site.repository.name).click()
    expect(page.get_by_role("heading", name="Versions")).to_be_visible()


def test_from_the_link_to_a_file_of_an_old_version(site: Site, page: Page, tmp_path: Path) -> None:
    log_in(page, site)
    page.screenshot(path=tmp_path / "versions.png")
    page.get_by_role("link", name="v2", exact=True).click()
    page.get_by_role("link", name="data", exact=True).click()
    page.get_by_role("link", name="readings.csv").click()
    expect(page.get_by_role("columnheader", name="humidity")).to_be_visible()
    page.screenshot(path=tmp_path / "table.png")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "readings.csv"
    assert Path(download.value.path()).read_bytes() == readings(4, dropouts=True)


def test_from_two_versions_to_the_lines_that_changed(site: Site, page: Page, tmp_path: Path) -> None:
    log_in(page, site)
    page.get_by_role("radio", name="compare v3").check()
    page.get_by_role("radio", name="with v4").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("2 added")).to_be_visible()
    page.screenshot(path=tmp_path / "changes.png")
    page.get_by_role("link", name="analysis.py").click()
    expect(page.get_by_role("row", name="readings = readings[readings.temperature > -90].dropna()")).to_be_visible()
    page.screenshot(path=tmp_path / "lines.png")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download old").click()
    assert download.value.suggested_filename == "analysis.py"


def test_a_folder_is_downloaded_under_its_name(site: Site, page: Page) -> None:
    log_in(page, site)
    page.goto(f"http://127.0.0.1:{site.port}{site.base}{address('/files', path='results', ref='v4')}")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download .tar.gz").click()
    assert download.value.suggested_filename == "results-v4.tar.gz"


def test_a_link_on_another_site_logs_in_after_a_button(site: Site, page: Page) -> None:
    page.goto(f"data:text/html,<a href='{site.link}'>the link</a>")
    page.get_by_role("link").click()
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Repositories")).to_be_visible()


def test_images_are_seen(site: Site, page: Page) -> None:
    log_in(page, site)
    page.goto(url_of(site, "images"))
    page.wait_for_load_state("load")
    assert page.eval_on_selector_all("figure img", "images => images.map(image => image.naturalWidth)") == [640, 640]


def test_what_a_repository_holds_never_runs(site: Site, page: Page) -> None:
    evil = "<script>document.title='run'</script><svg onload=\"document.title='run'\">"
    site.repository.save("evil.html", evil.encode(), message=evil, author=evil)
    site.repository.save("evil.svg", evil.encode(), labels=[evil], tags={evil: evil})
    log_in(page, site)
    for place in ("/?", "/files?", "/files?path=evil.html", "/files?path=evil.svg", "/changes?path=evil.svg", "/files?path=<script>"):
        page.goto(f"http://127.0.0.1:{site.port}{site.base}{place}")
        assert "run" not in page.title()
    for path in ("evil.html", "evil.svg"):
        with pytest.raises(Error, match="Download is starting"):
            page.goto(f"http://127.0.0.1:{site.port}{site.base}{address('/download', path=path)}")


@pytest.mark.parametrize("name", [*PAGES, *OUTSIDE])
def test_a_page_fits_a_telephone(site: Site, page: Page, name: str) -> None:
    log_in(page, site)
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(url_of(site, name))
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize(("scheme", "rules"), [("light", "{}"), ("dark", "{runOnly: ['color-contrast']}")])
def test_pages_are_accessible_and_keep_their_own_policy(site: Site, page: Page, scheme: str, rules: str) -> None:
    spec = importlib.util.find_spec("axe_playwright_python")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("axe-core is not installed: pip install axe-playwright-python")
    axe = Path(spec.submodule_search_locations[0], "axe.min.js").read_text()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text) if re.search("Content.Security.Policy", message.text) else None)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    log_in(page, site)
    found = {}
    for name in (*PAGES, *OUTSIDE):
        page.goto(url_of(site, name))
        page.evaluate("document.querySelectorAll('tr:nth-child(n+40)').forEach(row => row.remove())")  # axe is slow, and they are all alike
        page.evaluate(axe)
        violations = page.evaluate(f"axe.run({rules}).then(done => done.violations.map(one => [one.id, one.nodes.map(node => node.html)]))")
        if violations:
            found[name] = violations
    assert found == {}
    assert refused == []
