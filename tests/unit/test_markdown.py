"""Whole documents as Markdown, of every kind, with what the pipeline makes of pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemo_retriever_dagster import Ingestor
from nemo_retriever_dagster.errors import InvalidOptionError
from nemo_retriever_dagster.extract.workers import ParserPool
from nemo_retriever_dagster.preview import PreviewError, markdown
from nemo_retriever_dagster.settings import Settings

SAMPLE = Path(__file__).parents[2] / "assets/sample"
WARRANTY = """# Warranty

The frame is guaranteed for ten years, the motor for three, the battery for two years or 700 full charges, \
whichever comes first.

## What is not covered

- Wear of chain, tyres and brake pads

- Damage from pressure washers

- Racing

## How to claim

| Part | Proof needed | Answer within |
| --- | --- | --- |
| Frame | Serial number and photograph | 10 days |
| Battery | Diagnostic report from a dealer | 5 days |
| Motor | Error code from the display | 5 days |
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(state_dir=tmp_path_factory.mktemp("state"))


def test_a_document_is_read_whole_and_in_order(settings: Settings) -> None:
    assert markdown(SAMPLE / "warranty.docx", settings=settings) == WARRANTY


def test_markdown_comes_back_as_it_was_written(settings: Settings) -> None:
    assert markdown(SAMPLE / "about-this-folder.md", settings=settings) == (SAMPLE / "about-this-folder.md").read_text()


@pytest.mark.parametrize(("name", "language"), [("flash-firmware.sh", "sh"), ("service-intervals.json", "json")])
def test_code_is_fenced(settings: Settings, name: str, language: str) -> None:
    code = (SAMPLE / name).read_text().rstrip("\n")
    assert markdown(SAMPLE / name, settings=settings) == f"```{language}\n{code}\n```\n"


def test_a_fence_is_longer_than_those_in_the_code(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "a.sh").write_text("echo '````'")
    assert markdown(tmp_path / "a.sh", settings=settings) == "`````sh\necho '````'\n`````\n"


def test_pages_that_are_wanted(settings: Settings) -> None:
    second = markdown(SAMPLE / "travel-policy.pdf", settings=settings, pages=(2, 2))
    assert second.startswith("# Hotels\n\nThe limit for one night")
    assert markdown(SAMPLE / "travel-policy.pdf", settings=settings).endswith(f"\n\n{second}")
    with pytest.raises(InvalidOptionError, match="no page 3"):
        markdown(SAMPLE / "travel-policy.pdf", settings=settings, pages=(3, 4))
    with pytest.raises(InvalidOptionError, match="pages are 0 to 1"):
        markdown(SAMPLE / "travel-policy.pdf", settings=settings, pages=(0, 1))


def test_what_was_extracted_before_is_not_read_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = Ingestor(settings=settings, workers=1).files(str(SAMPLE / "expenses.html")).extract()
    chain.ingest()
    monkeypatch.setattr(ParserPool, "pages", None)
    assert markdown(SAMPLE / "expenses.html", chain.pipeline, settings=settings).startswith("# Expenses\n\nSubmit ")


def test_a_picture_is_what_its_caption_says(settings: Settings, tmp_path: Path) -> None:
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    (tmp_path / "a.html").write_text(f"<p>Before.</p><img alt='A red dot' src='data:image/png;base64,{pixel}'>")
    assert markdown(tmp_path / "a.html", settings=settings) == "Before.\n\nA red dot\n"
    captioned = markdown(tmp_path / "a.html", Ingestor().extract().caption().pipeline, settings=settings)
    assert captioned.startswith("Before.\n\nA red dot. ")


def test_a_bad_file_fails_as_in_an_ingest(settings: Settings) -> None:
    with pytest.raises(PreviewError, match="cannot be read as a PDF"):
        markdown(SAMPLE / "broken.pdf", settings=settings)
