"""What a person sees: the asset, its op graph, its partitions, a good one's facts and why a bad one failed."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from servers.dagster_site import BROKEN, GOOD, Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.server, pytest.mark.timeout(600)]

CHROMIUM = shutil.which("chromium") or ""
_ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_WAIT = 60_000


@pytest.fixture(scope="module")
def page(site: Site) -> Iterator[Page]:
    """A window of Debian's Chromium, which sees this machine only."""
    if not CHROMIUM:
        pytest.skip("there is no chromium on this machine: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    site.discover()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGS)
        window = browser.new_page(viewport={"width": 1500, "height": 1200})
        window.set_default_timeout(_WAIT)
        window.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), lambda route: route.abort())
        yield window
        browser.close()


def shoot(page: Page, name: str) -> None:
    """Keep a picture where ``NRD_SCREENSHOTS`` says, if it does."""
    folder = os.environ.get("NRD_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")


def open_and_see(page: Page, site: Site, path: str, *texts: str) -> None:
    page.goto(f"{site.url}/{path}")
    for text in texts:
        page.get_by_text(text).first.wait_for()


def test_the_op_graph_shows_the_stages(page: Page, site: Site) -> None:
    open_and_see(page, site, "locations/__repository__@site/graphs/notes/notes/", "Expand graph")
    page.get_by_text("Expand graph").first.click()
    for stage in ("plan", "extract", "split", "embed", "upload", "settle"):
        page.get_by_text(stage, exact=True).first.wait_for()
    page.get_by_text("Writes the rows").first.wait_for()
    shoot(page, "graph")


def test_the_asset_page_says_what_it_promises(page: Page, site: Site) -> None:
    open_and_see(page, site, "assets/notes?view=overview", "one partition each", "notes_discovery", "notes_ingest")
    shoot(page, "asset")
    open_and_see(
        page, site, "assets/notes?view=checks&checkDetail=verify", "verify", "silent_loss", "every row has a receipt"
    )
    shoot(page, "checks")


def test_the_partitions_page_counts_97_and_3(page: Page, site: Site) -> None:
    open_and_see(page, site, "assets/notes?view=partitions", f"Materialized ({GOOD})", f"Failed ({len(BROKEN)})")
    shoot(page, "partitions")


def test_a_failed_partition_says_where_why_and_what_next(page: Page, site: Site) -> None:
    key = site.statuses()["failedPartitions"][-1]
    open_and_see(page, site, f"assets/notes?view=partitions&partition={key}", "did not materialize this asset")
    shoot(page, "failed")
    open_and_see(page, site, f"assets/notes?view=events&partition={key}", key)
    for label in ("stage", "extract", "category", "data", "cause", "hint", "attempts"):
        page.get_by_text(label, exact=True).first.wait_for()
    page.get_by_text("cannot be read as a PDF").first.wait_for()
    page.get_by_text("save it again").first.wait_for()
    shoot(page, "failed-why")


def test_a_good_partition_shows_its_facts(page: Page, site: Site) -> None:
    key = site.statuses()["materializedPartitions"][0]
    path = f"assets/notes?view=partitions&partition={key}"
    open_and_see(page, site, path, "sha256", "chunks", "seconds/embed", "source", "preview")
    shoot(page, "good")
