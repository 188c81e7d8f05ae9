"""The preview as a browser shows it: chunks light their boxes by pointer and keyboard, and nothing hostile runs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster.preview import DEFAULT, preview
from nemo_retriever_dagster.preview.variants import variants
from nemo_retriever_dagster.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

CHROMIUM = shutil.which("chromium") or ""
SAMPLE = Path(__file__).parents[2] / "assets/sample"
_ARGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
HOSTILE = """# <script>document.title = 'taken'</script>

[press me](javascript:document.title='taken')

<img src=x onerror="document.title='taken'"> <svg onload="document.title='taken'"> &lt;b&gt;

"><style>*{display:none}</style><iframe src="https://example.org"></iframe>
"""


@pytest.fixture(scope="module")
def window() -> Iterator[Page]:
    if not CHROMIUM:
        pytest.skip("there is no chromium on this machine: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGS)
        page = browser.new_page(viewport={"width": 1600, "height": 1300})
        page.set_default_timeout(20_000)
        yield page
        browser.close()


@pytest.fixture
def opened(window: Page, tmp_path: Path) -> Callable[..., tuple[Page, list[str]]]:
    """Open the preview of a file; return the window, and all that was requested or complained of since."""

    def open_(path: Path, **options: object) -> tuple[Page, list[str]]:
        told: list[str] = []
        target = tmp_path / "preview.html"
        settings = Settings(state_dir=tmp_path / "state")
        target.write_text(preview(path, settings=settings, **options), encoding="utf-8")  # type: ignore[arg-type]
        window.on("console", lambda message: told.append(f"{message.type}: {message.text}"))
        window.on("pageerror", lambda error: told.append(str(error)))
        window.on("request", lambda request: told.append(request.url.partition(",")[0]))
        window.goto(target.as_uri())
        return window, told

    return open_


def shoot(page: Page, name: str) -> None:
    """Keep a picture where ``NRD_SCREENSHOTS`` says, if it does."""
    folder = os.environ.get("NRD_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"preview-{name}.png")


def lit(page: Page) -> int:
    return page.locator("svg.boxes .box.lit").count()


def test_a_chunk_lights_its_boxes_by_pointer_and_by_keyboard(opened) -> None:
    page, told = opened(SAMPLE / "travel-policy.pdf")
    chunk = page.locator("#c0-1")
    wanted = len((chunk.get_attribute("data-es") or "").split())
    assert lit(page) == 0
    chunk.hover()
    assert lit(page) == wanted == page.locator("article[data-e].lit").count()
    assert page.locator(".outline.lit").first.evaluate("one => getComputedStyle(one).stroke") != "none"
    shoot(page, "light")
    page.keyboard.press("Escape")
    assert lit(page) == 0
    page.locator("#c0-0").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "c0-1"
    assert lit(page) == wanted
    assert [one for one in told if not one.startswith(("file:", "data:"))] == []


def test_a_box_that_is_clicked_leads_to_its_card(opened) -> None:
    page, _ = opened(SAMPLE / "travel-policy.pdf")
    box = page.locator("rect.box.k-table").first
    box.click(position={"x": 5, "y": 3})
    assert page.evaluate("document.activeElement.dataset.e") == box.get_attribute("data-e")


def test_boxes_of_a_kind_can_be_hidden_and_the_picture_is_there(opened) -> None:
    page, _ = opened(SAMPLE / "travel-policy.pdf")
    assert page.locator("img.paper").first.evaluate("one => one.complete && one.naturalWidth > 600")
    assert page.locator("rect.box.k-text").first.is_visible()
    page.locator("#show-text").uncheck()
    assert not page.locator("rect.box.k-text").first.is_visible()
    assert page.locator("rect.box.k-table").first.is_visible()


def test_boxes_lie_on_what_they_are_of(opened) -> None:
    page, _ = opened(SAMPLE / "travel-policy.pdf")
    paper, box = page.locator("img.paper").first.bounding_box(), page.locator('rect[data-e="0"]').first.bounding_box()
    assert paper
    assert box
    assert abs((box["x"] + box["width"] / 2) - (paper["x"] + paper["width"] / 2)) < 4, "the title is centred"


def test_it_is_readable_in_the_dark_on_paper_and_on_a_phone(opened) -> None:
    page, _ = opened(SAMPLE / "travel-policy.pdf", compare=variants(DEFAULT, "chunk_size=20,100"))
    colour = "getComputedStyle(document.body).backgroundColor"
    bright = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(colour) != bright
    shoot(page, "compare-dark")
    page.emulate_media(color_scheme="light", media="print")
    assert not page.locator(".legend").is_visible()
    page.emulate_media(media="screen")
    page.set_viewport_size({"width": 420, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    page.set_viewport_size({"width": 1600, "height": 1300})


def test_hostile_text_is_shown_and_does_nothing(opened, tmp_path: Path) -> None:
    path = tmp_path / "<b onmouseover=alert(1)>hostile.md"
    path.write_text(HOSTILE)
    page, told = opened(path)
    assert page.title() == f"Preview of {path.name}"
    assert page.get_by_text("document.title = 'taken'").first.is_visible()
    for card in page.locator("article").all():
        card.hover()
    assert page.title() == f"Preview of {path.name}"
    assert page.locator("article a[href^=javascript], iframe, img").count() == 0
    assert [one for one in told if not one.startswith("file:")] == []


def test_the_policy_stops_a_script_that_would_get_in(opened) -> None:
    page, told = opened(SAMPLE / "workshop-safety.txt")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')")
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'document.title = 2'}))"
    )
    assert page.title() == "Preview of workshop-safety.txt"
    assert any("Content Security Policy" in one for one in told)
