"""Makes the pictures of the documentation, on a server like that of a small team: ``PYTHONPATH=src python -m tests.browser.pictures``.

They have the fonts of the machine; those that are there were made with Inter and JetBrains Mono.
"""

import os
import sys
import tempfile
from pathlib import Path

import httpx
from playwright.sync_api import Page, sync_playwright
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.server.installation import Installation
from tests.server.project import project

from kist.catalog.database import open_database
from kist.models.requests import CreateBucketConfig, CreateOrg, CreateRepo, ImportRepo, SetMember, UserName
from kist.operations import CREATE_BUCKET_CONFIG, CREATE_LOGIN_LINK, CREATE_ORG, CREATE_REPO, IMPORT_REPO, SET_MEMBER
from kist.stores.urls import open_store

IMAGES = Path(__file__).parents[2] / "docs" / "images"
WIDTH, SHARPNESS, MARGIN = 960, 2, 32
PAGES = {"web.png": "/lab/roof-station", "repositories.png": "/"}


def fill(one: Installation) -> None:
    """Make the organisations, with mara as an admin of one and a reader of the other."""
    for name in ("mara", "jonas"):
        one.add(name)
    for org, owner, buckets in (("lab", "mara", ("garage", "archive")), ("survey", "jonas", ("coast",)), ("mara", "mara", ("own",))):
        if org != owner:  # the organisation of a user's own is there
            one.do(CREATE_ORG, CreateOrg(name=org), owner)
        for nickname in buckets:
            place = one.folder / nickname
            place.mkdir()
            one.do(CREATE_BUCKET_CONFIG, CreateBucketConfig(org=org, nickname=nickname, uri=place.as_uri()), owner)
    one.do(SET_MEMBER, SetMember(org="survey", user="mara", role="reader"), "jonas")
    project(store=open_store(str(one.folder / "garage" / "roof"), create=True))
    roof = ImportRepo(org="lab", name="roof-station", prefix="roof", description="Weather station on the roof, since October")
    one.do(IMPORT_REPO, roof, "mara")
    for org, who, name, bucket, description in (
        ("lab", "mara", "calibration", "garage", "Sensors against the reference in the cellar"),
        ("lab", "mara", "theses", "archive", "Data behind finished theses"),
        ("mara", "mara", "notebooks", "own", "First looks at new readings, before anybody counts on them"),
        ("survey", "jonas", "tide-gauges", "coast", "Six gauges along the coast, every minute"),
    ):
        one.do(CREATE_REPO, CreateRepo(org=org, name=name, bucket_config_nickname=bucket, description=description), who)


def take(page: Page, url: httpx.URL, path: str, target: Path) -> None:
    """Take a picture of a page, down to its last table."""
    page.goto(str(url.join(path)))
    page.wait_for_load_state("networkidle")
    last = page.locator("main table").last.bounding_box()
    assert last is not None
    page.screenshot(path=target, full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": last["y"] + last["height"] + MARGIN})


def main() -> int:
    """Make all of them."""
    with tempfile.TemporaryDirectory(prefix="kist-pictures-") as name, sync_playwright() as driver:
        os.environ["HOME"] = name
        database = open_database(f"{name}/kist.sqlite")
        database.migrate()
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        one = Installation(database, Path(name))
        fill(one)
        with one.serving() as client:
            page = browser.new_page(viewport={"width": WIDTH, "height": 1}, device_scale_factor=SHARPNESS, color_scheme="light")
            link = one.do(CREATE_LOGIN_LINK, UserName(user="mara"), "root")
            page.goto(str(client.base_url.join(f"/login?token={link.token}")))
            for file, path in PAGES.items():
                take(page, client.base_url, path, IMAGES / file)
        browser.close()
        database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
