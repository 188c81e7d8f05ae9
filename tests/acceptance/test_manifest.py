"""Every file of the development corpus through the front door, held to what its manifest row expects.

The default run takes a short selection; ``-m slow`` takes all rows.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nemo_retriever_dagster import Ingestor, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nemo_retriever_dagster.model import Failure

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "corpora" / "dev"
MANIFEST = CORPUS / "MANIFEST.csv"
PHRASE = re.compile(r"text contains '(.*?)'(?: \((?:from|agreed|UTF)|; |$)", re.DOTALL)
WORDS = re.compile(r"OCR contains the words: ([^(]*)")
PASSWORD = re.compile(r"opens with password '(\w+)'")
CODE = re.compile(r"<(script|style)\b[^>]*>(.*?)</\1", re.DOTALL | re.IGNORECASE)
MUST_FAIL = ("must fail", "must be refused", "typed empty-file error", "a typed unsupported-format error")
EITHER = ("either text or one typed", "or one typed per-file error", "typed error or detected", "or a typed empty-file")
EITHER = (*EITHER, "or fail with a typed error", "unsupported format or plain text", "must not be resolved")
KINDS = {
    "encrypted": {"EncryptedFileError"},
    "empty-file": {"EmptyFileError"},
    "refused": {"LimitExceededError"},
    "unsupported": {"UnsupportedFormatError"},
    "per-file": {"CorruptFileError"},
    "EOF": {"CorruptFileError", "EmptyFileError"},
}
OCR_RECALL, SPEECH_RECALL = 0.8, 0.6
SHORT = {
    "table_test.pdf", "right_to_left_01.pdf", "eu-003.pdf", "table.png", "graph.pdf", "bmp_24.bmp", "blank.pdf",
    "no_contents.pdf", "docx_lists.docx", "word_tables.docx", "pptx_chart.pptx", "testWORD_charts.docx", "silent_1s.wav",
}  # fmt: skip
QUICK_KINDS = {"txt", "md", "html", "htm", "json", "sh", "xml", "svg"}

pytestmark = [
    pytest.mark.skipif(not MANIFEST.exists(), reason="the development corpus is not here"),
    pytest.mark.timeout(600),  # the first test of a module waits for all its files
]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of the files: elements of those that got through, failures of the others, by file."""

    elements: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    failures: dict[str, list[Failure]] = field(default_factory=dict)

    def text(self, file: str) -> str:
        return "\n".join(filter(None, map(shown, self.elements[file])))


def rows() -> list[dict[str, str]]:
    if not MANIFEST.exists():
        return []
    with MANIFEST.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def is_short(row: dict[str, str]) -> bool:
    refused = any(phrase in row["expected"] for phrase in (*MUST_FAIL, *EITHER, "same text as its original"))
    return refused or row["kind"] in QUICK_KINDS or Path(row["file"]).name in SHORT


def needs_ocr(row: dict[str, str]) -> bool:
    return row["kind"] == "pdf" and "OCR" in row["expected"]


def shown(element: dict[str, Any]) -> str:
    """Return the text of an element, wherever its type keeps it."""
    found = element["metadata"]
    places = (("table_metadata", "table_content"), ("image_metadata", "text"), ("audio_metadata", "audio_transcript"))
    text = "" if element["document_type"] == "image" else found["content"]
    return next((found[part][name] for part, name in places if found[part]), text)


def squeezed(text: str) -> str:
    """Leave letters and digits: blanks, hyphens and line ends differ between engines."""
    return "".join(sign for sign in text.casefold() if sign.isalnum())


def recall(words: Iterable[str], text: str) -> float:
    wanted, found = list(words), squeezed(text)
    return sum(squeezed(word) in found for word in wanted) / len(wanted)


def ingest(wanted: list[dict[str, str]], state: Path, **options: Any) -> Outcome:
    """Take the files through one call of `Ingestor.ingest`; results come in the order of the inputs."""
    settings = Settings(state_dir=state)
    ingestor = Ingestor(settings=settings).files([str(CORPUS / row["file"]) for row in wanted]).extract(**options)
    results, failures = ingestor.ingest(return_failures=True)
    outcome = Outcome()
    for failure in failures:
        file = Path(failure.uri).relative_to(CORPUS).as_posix()
        outcome.failures.setdefault(file, []).append(failure)
    through = [row["file"] for row in wanted if row["file"] not in outcome.failures]
    assert len(results) == len(through), "a document is in neither list, or in both"
    outcome.elements.update({file: list(found) for file, found in zip(through, results, strict=True)})
    return outcome


def ingest_all(wanted: list[dict[str, str]], state: Path) -> Outcome:
    """Pages are read by OCR where the manifest says that they need it; every other file by its default method."""
    scanned = ingest([row for row in wanted if needs_ocr(row)], state, extract_method="pdfium_hybrid")
    others = ingest([row for row in wanted if not needs_ocr(row)], state)
    return Outcome(elements={**scanned.elements, **others.elements}, failures={**scanned.failures, **others.failures})


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return ingest_all([row for row in rows() if is_short(row)], tmp_path_factory.mktemp("short"))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return ingest_all(rows(), tmp_path_factory.mktemp("full"))


def named(wanted: Iterable[dict[str, str]]) -> list[Any]:
    return [pytest.param(row, id=row["file"].removeprefix("files/")) for row in wanted]


@pytest.mark.parametrize("row", named(row for row in rows() if is_short(row)))
def test_short(row: dict[str, str], short: Outcome) -> None:
    check(row, short)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("row", named(rows()))
def test_full(row: dict[str, str], full: Outcome) -> None:
    check(row, full)


@pytest.mark.parametrize(
    "row", named(row for row in rows() if row["kind"] == "pdf" and PASSWORD.search(row["expected"]))
)
def test_the_password_opens_it(row: dict[str, str], tmp_path: Path) -> None:
    password = PASSWORD.search(row["expected"])[1]  # type: ignore[index]
    outcome = ingest([row], tmp_path, password=password, extract_tables=False, extract_charts=False)
    assert outcome.text(row["file"]).strip()


def test_no_row_is_left_out_and_none_is_taken_twice() -> None:
    files = [row["file"] for row in rows()]
    assert len(files) == len(set(files)) >= 194
    assert {name for name in SHORT if f"files/{name}" not in files} == set()


def check(row: dict[str, str], outcome: Outcome) -> None:
    file, expected = row["file"], row["expected"]
    got = file in outcome.elements
    assert got != (file in outcome.failures), "in exactly one of results and failures"
    if not got:
        check_failure(file, expected, outcome.failures[file])
        return
    for element in outcome.elements[file]:
        assert element["metadata"]["source_metadata"]["source_name"] == str(CORPUS / file)
    if any(phrase in expected for phrase in EITHER):
        check_either(row, outcome)
    else:
        assert not must_fail(expected), "it got through and must not"
        check_text(row, outcome)


def must_fail(expected: str) -> bool:
    return any(phrase in expected for phrase in MUST_FAIL) and "or text if" not in expected


def check_failure(file: str, expected: str, failures: list[Failure]) -> None:
    assert must_fail(expected) or any(phrase in expected for phrase in EITHER), failures[0].message
    (failure,) = failures
    assert failure.category == "data", failure.message
    assert failure.cause
    assert failure.hint
    kind = next((kinds for word, kinds in KINDS.items() if word in expected and must_fail(expected)), None)
    assert kind is None or failure.kind in kind, failure


def check_either(row: dict[str, str], outcome: Outcome) -> None:
    """A file that got through where a failure would do has text, or a warning that says why it has none."""
    file = row["file"]
    text = outcome.text(file)
    warned = [one for one in outcome.elements[file] if (one["metadata"]["custom_content"] or {}).get("warnings")]
    assert text.strip() or warned, "an empty success without a word"
    assert "\x00" not in text
    assert "root:x:" not in text


def check_text(row: dict[str, str], outcome: Outcome) -> None:
    file, expected = row["file"], row["expected"]
    text = outcome.text(file)
    if phrase := PHRASE.search(expected):
        assert squeezed(phrase[1]) in squeezed(text)
    if words := WORDS.search(expected):
        assert recall(words[1].split(), text) >= OCR_RECALL
    if "truth/linn.txt" in expected:
        assert recall((CORPUS / "truth" / "linn.txt").read_text(encoding="utf-8").split(), text) >= OCR_RECALL
    if spoken := re.search(r"transcript: '([^']*)'", expected):
        assert recall(spoken[1].split(), text) >= SPEECH_RECALL
    if expected.startswith(("succeeds, no text", "no text elements", "succeeds, empty transcript")):
        assert not squeezed(text)
    if "image element stored" in expected:
        assert any(one["document_type"] == "image" for one in outcome.elements[file])
    if "no script/style text" in expected:
        check_no_code(CORPUS / file, text)
    if expected.startswith("same text as its original"):
        assert squeezed("is the third bullet point") in squeezed(text)


def check_no_code(path: Path, text: str) -> None:
    for _, code in CODE.findall(path.read_text(encoding="utf-8", errors="replace")):
        assert not squeezed(code) or squeezed(code) not in squeezed(text)
