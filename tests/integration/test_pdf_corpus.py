"""The PDFs of the development corpus, each held to what its manifest row expects."""

import csv
import re
from pathlib import Path

import pytest

from nemo_retriever_dagster.errors import DataError, EmptyFileError, EncryptedFileError
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.pdf import PdfExtractor
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Kind

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "corpora" / "dev"
TEXT_ONLY = {"tables": False, "charts": False, "images": False}


def manifest() -> list[dict[str, str]]:
    path = CORPUS / "MANIFEST.csv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["file"].endswith(".pdf")]


ROWS = manifest()
pytestmark = pytest.mark.skipif(not ROWS, reason="the shared corpora are not beside the repository")


def named(opening: str) -> list:
    return [pytest.param(row, id=row["file"]) for row in ROWS if opening in row["expected"]]


def read(file: str, **options) -> list[Page]:
    path = CORPUS / file
    return list(PdfExtractor().extract(path, ExtractOptions(format="pdf", **options), Budget(Limits())))


def text_of(pages: list[Page]) -> str:
    return "\n".join(e.text for page in pages for e in page.elements if e.kind is Kind.TEXT)


def squeezed(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()


@pytest.mark.parametrize(
    "row", [param for param in named("text contains '") if not param.values[0]["expected"].startswith("OCR")]
)
def test_the_phrase_is_in_the_text(row):
    phrase = squeezed(re.search(r"text contains '(.*)' \(agreed", row["expected"]).group(1))
    if "password" in row["features"] and (found := re.search(r"password '(\w+)'", row["expected"])):
        plain = read(row["file"], password=found.group(1), **TEXT_ONLY)
    else:
        plain = read(row["file"], **TEXT_ONLY)
    assert phrase in squeezed(text_of(plain))


@pytest.mark.parametrize(
    "name",
    [
        "multi-column-2p.pdf",
        "functional_validation.pdf",
        "woods_frost.pdf",
        "embedded-images.pdf",
        "eu-025.pdf",
        "fake-memo.pdf",
        "invisible_text_layer.pdf",
        "amt_handbook_sample.pdf",
    ],
)
def test_the_phrase_stays_whole_with_everything_on(name):
    row = next(row for row in ROWS if row["file"].endswith(f"/{name}"))
    phrase = re.search(r"text contains '(.*)' \(agreed", row["expected"]).group(1)
    assert squeezed(phrase) in squeezed(text_of(read(row["file"])))


@pytest.mark.parametrize(
    "row", [*named("must fail"), *named("typed empty-file error"), *named("must not be read as a PDF")]
)
def test_what_must_fail_fails_with_its_own_error(row):
    with pytest.raises(DataError) as caught:
        read(row["file"])
    if "encrypted" in row["expected"]:
        assert isinstance(caught.value, EncryptedFileError)
        assert "Give extract() the option password" in caught.value.hint
    if "empty" in row["expected"]:
        assert isinstance(caught.value, EmptyFileError)
    assert caught.value.hint


@pytest.mark.parametrize("row", [*named("either recovered text or one typed"), *named("text or one typed")])
def test_damaged_files_give_text_or_one_error(row):
    try:
        text = text_of(read(row["file"]))
    except DataError as error:
        text = error.hint
    assert text.strip()


@pytest.mark.parametrize(("name", "password"), [("2206.01062_pg3.pdf", "1234"), ("password.pdf", "password")])
def test_passwords_open_what_they_belong_to(name, password):
    assert text_of(read(f"files/{name}", password=password)).strip()
    with pytest.raises(EncryptedFileError, match="does not open"):
        read(f"files/{name}", password="wrong")


@pytest.mark.parametrize("row", [*named("OCR / hybrid needed"), *named("OCR text c")])
def test_scans_have_no_native_text_and_ask_for_ocr(row):
    assert text_of(read(row["file"], **TEXT_ONLY)) == ""
    (page, *_) = read(row["file"], method="pdfium_hybrid", images=False)
    assert page.needs_ocr
    assert page.scan is not None
    assert page.scan.width * page.scan.height <= Limits().page_pixels


@pytest.mark.parametrize("row", [*named("succeeds, no text"), *named("opens;")])
def test_it_opens(row):
    pages = read(row["file"])
    assert len(pages) == int(row["pages"])
    if "no text" in row["expected"]:
        assert text_of(pages) == ""


def test_the_name_of_a_file_does_not_matter():
    (row,) = (row for row in ROWS if row["expected"].startswith("same text as its original"))
    assert text_of(read(row["file"])) == text_of(read("files/multimodal_test.pdf"))


def test_the_sample_has_its_pages_tables_and_pictures():
    pages = read("files/multimodal_test.pdf")
    assert [page.number for page in pages] == [1, 2, 3]
    assert squeezed(text_of(pages[:1])).startswith("testingdocument")
    assert "animalactivityplace" in squeezed(text_of(pages[:1]))
    assert "\u2022 This is the third bullet point" in text_of(pages[1:2])
    assert text_of(pages[2:]).endswith("including 3 bullet points.")
    animals, cars = (e.table.rows() for page in pages for e in page.elements if e.kind is Kind.TABLE)
    assert animals == [
        ["Animal", "Activity", "Place"],
        ["Giraffe", "Driving a car", "At the beach"],
        ["Lion", "Putting on sunscreen", "At the park"],
        ["Cat", "Jumping onto a laptop", "In a home office"],
        ["Dog", "Chasing a squirrel", "In the front yard"],
    ]
    assert cars == [
        ["Car", "Color1", "Color2", "Color3"],
        ["Coupe", "White", "Silver", "Flat Gray"],
        ["Sedan", "White", "Metallic Gray", "Matte Gray"],
        ["Minivan", "Gray", "Beige", "Black"],
        ["Truck", "Dark Gray", "Titanium Gray", "Charcoal"],
        ["Convertible", "Light Gray", "Graphite", "Slate Gray"],
    ]
    pictures = [e for page in pages for e in page.elements if e.kind is Kind.IMAGE]
    assert [e.page for e in pictures] == [1, 2, 3]
    assert all(e.attributes == {"may_be_chart": True} for e in pictures)


def test_invisible_text_is_flagged():
    (page,) = read("files/invisible_text_layer.pdf")
    flagged = [e.text for e in page.elements if e.attributes.get("hidden")]
    assert flagged
    assert all("Invisible" in text for text in flagged)


def test_an_enormous_page_is_bounded():
    limits = Limits(page_pixels=4_000_000)
    options = ExtractOptions(format="pdf", method="ocr")
    (page,) = PdfExtractor().extract(CORPUS / "files" / "enormous.pdf", options, Budget(limits))
    assert page.scan is not None
    assert page.scan.width * page.scan.height <= limits.page_pixels
