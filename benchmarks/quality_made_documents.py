"""Headings, paragraphs and lists of whole made documents: what is found, missed, and taken for something else.

    python benchmarks/quality_made_documents.py [--makers VENV] [--seeds 100-103] [--keep DIR] [--only NAME] [--list]

Draws documents of ten kinds (`made_documents.cases`; a seed is one document, and the seed chooses its kind) with every
producer of PDF that is there: LibreOffice and Chromium where they are installed, and typst and weasyprint where
``--makers``, a virtual environment of its own, has them; the others are named and left out. LibreOffice, which sets no
columns of HTML, gets no document in columns. Reads them by the package's own extractor; texts are compared by their
letters and digits, without case.

Headings are ``missed`` and ``false``; their level is not asked. A paragraph counts as whole where one block holds it
and nothing else, or where successive blocks make it up and each begins a new page or column. Else it is ``joined`` to
something, ``split`` into blocks in their order, or ``mixed``: parts are lost, out of order, or taken for a heading.
Items of lists are to stand on a line, or in blocks as a paragraph. Everything that is neither text nor a picture is of
``other kinds``: the documents have no tables. Addresses and code only stand between, they are not asked for.

What the PDF itself lacks does not count: LibreOffice loses the first heading of some documents. A heading, paragraph or
item whose text is not in the text that PDFium gives, nor over the end of a page, is struck from the truth.

``--script`` writes the documents in Hebrew or Arabic letters, set to the left. What PDFium gives of those is no
measure, so nothing is struck, and LibreOffice, which prints such pages empty, gets none.

Seeds 0 to 23 are for tuning, 100 and up are held out. ``--keep`` keeps the PDFs, and takes those already there;
``--list`` names each document that is not perfect, and what is wrong.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pypdfium2
from made_documents.cases import PARAGRAPHS, STYLES, make_case
from made_documents.draw import PRODUCERS
from made_documents.scripts import SCRIPTS, written_in
from making import run

from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.pdf import PdfExtractor
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nemo_retriever_dagster.model import Box, Element

Case = dict[str, Any]

COLUMNS = (
    "headings",
    "missed",
    "false",
    "paragraphs",
    "joined",
    "split",
    "mixed",
    "items",
    "missed items",
    "other kinds",
)


class Truth(NamedTuple):
    """What a document should give; an item of a numbered list has its number, the others 0."""

    headings: list[str]
    paragraphs: list[str]
    items: list[tuple[int, str]]


class Block(NamedTuple):
    """A block of text that is no heading, as `plain`."""

    text: str
    page: int
    box: Box | None


class Reading(NamedTuple):
    """What the extractor gives; ``lines`` are those of all texts, as `plain`."""

    headings: list[str]
    blocks: list[Block]
    lines: set[str]
    others: list[str]


class Wrong(NamedTuple):
    """One thing that is wrong, by the name of its column."""

    name: str
    text: str


@dataclass(frozen=True)
class Outcome:
    """How many pieces a document has, what is wrong with them, and how many pieces were struck from the truth."""

    style: str
    producer: str
    sizes: Counter[str]
    wrongs: list[Wrong]
    struck: int


def plain(text: str) -> str:
    """Return the letters and digits: neither hyphens at line ends, bullets nor case count."""
    return re.sub(r"[\W_]+", "", text).lower()


def truth_of(case: Case) -> Truth:
    """Return the pieces of a case that are asked for."""
    blocks = case["blocks"]
    return Truth(
        [block["t"] for block in blocks if block["kind"] == "heading"],
        [block["t"] for block in blocks if block["kind"] in PARAGRAPHS],
        [item for block in blocks if block["kind"] == "list" for item in items_of(block)],
    )


def items_of(block: Case) -> list[tuple[int, str]]:
    return [(number if block["ordered"] else 0, item) for number, item in enumerate(block["items"], start=1)]


def standing(truth: Truth, pages: list[str]) -> Truth:
    """Return the pieces that the PDF itself has."""
    return Truth(
        [text for text in truth.headings if stands(plain(text), pages)],
        [text for text in truth.paragraphs if stands(plain(text), pages)],
        [(number, text) for number, text in truth.items if stands(plain(text), pages)],
    )


def pages_of(path: Path) -> list[str]:
    """Return the text that PDFium gives of each page."""
    document = pypdfium2.PdfDocument(path)
    pages = [plain(page.get_textpage().get_text_range()) for page in document]
    document.close()
    return pages


def stands(text: str, pages: list[str]) -> bool:
    """Tell whether a page has the text, or one page its beginning and the next the rest."""
    if any(text in page for page in pages):
        return True
    cuts = range(1, len(text))
    return any(text[:cut] in page and text[cut:] in after for page, after in pairwise(pages) for cut in cuts)


def read(case: Case, path: Path) -> Reading:
    """Return what the package reads as users read it, without page numbers and running headers."""
    header = plain(case["look"]["header"])
    pages = PdfExtractor().extract(path, ExtractOptions(format="pdf"), Budget(Limits()))
    elements = [element for page in pages for element in page.elements if element.inside is None]
    texts = [element for element in elements if element.kind is Kind.TEXT]
    blocks = [
        Block(plain(element.text), element.page, box_of(element, case)) for element in texts if not element.heading
    ]
    return Reading(
        [element.text for element in texts if element.heading],
        [block for block in blocks if block.text and not block.text.isdigit() and block.text != header],
        {plain(line) for element in texts for line in element.text.splitlines()},
        [described(element) for element in elements if element.kind not in {Kind.TEXT, Kind.IMAGE}],
    )


def box_of(element: Element, case: Case) -> Box | None:
    """Return the box of an element, in a mirror where columns follow each other to the left."""
    if element.box is None or element.page_size is None or not leftward(case):
        return element.box
    return element.box.mirrored(element.page_size[0])


def leftward(case: Case) -> bool:
    return bool(case["look"]["language"] != "en")


def described(element: Element) -> str:
    return f"{element.kind.value} on page {element.page}: {element.text}"


def made_up(text: str, blocks: list[Block]) -> bool:
    """Tell whether one block is the text, or successive ones that each begin a page or column."""
    return any(_made_up_from(text, blocks[start:]) for start in range(len(blocks)))


def _made_up_from(text: str, blocks: list[Block]) -> bool:
    rest, last = text, None
    for block in blocks:
        if not rest.startswith(block.text) or (last and not breaks(last, block)):
            return False
        rest, last = rest[len(block.text) :], block
        if not rest:
            return True
    return False


def breaks(before: Block, after: Block) -> bool:
    """Tell whether a page or a column ends between two blocks."""
    if before.page != after.page:
        return True
    return bool(before.box and after.box and after.box.y0 < before.box.y0 and after.box.x0 > before.box.x0)


def wrongs_of(truth: Truth, reading: Reading) -> Iterator[Wrong]:
    """Yield all that is wrong, kind of piece by kind of piece."""
    yield from (Wrong("missed", text) for text in beyond(truth.headings, reading.headings))
    yield from (Wrong("false", text) for text in beyond(reading.headings, truth.headings))
    for text in truth.paragraphs:
        if not made_up(plain(text), reading.blocks):
            yield Wrong(fate(plain(text), reading.blocks), text)
    yield from (Wrong("missed items", text) for number, text in truth.items if not listed(number, text, reading))
    yield from (Wrong("other kinds", text) for text in reading.others)


def beyond(some: list[str], others: list[str]) -> list[str]:
    """Return those of some texts that the others lack; a text that stands twice is to be there twice."""
    left, more = Counter(map(plain, others)), []
    for text in some:
        left[plain(text)] -= 1
        if left[plain(text)] < 0:
            more.append(text)
    return more


def fate(text: str, blocks: list[Block]) -> str:
    """Return what became of a paragraph that is not whole."""
    if any(text in block.text for block in blocks):
        return "joined"
    return "split" if text in "".join(block.text for block in blocks) else "mixed"


def listed(number: int, text: str, reading: Reading) -> bool:
    """Tell whether an item was read, with its number or without."""
    forms = {plain(text), plain(f"{number or ''}{text}")}
    return any(form in reading.lines or made_up(form, reading.blocks) for form in forms)


def judge(producer: str, case: Case, path: Path) -> Outcome:
    whole = truth_of(case)
    truth = whole if leftward(case) else standing(whole, pages_of(path))
    sizes = Counter({name: len(pieces) for name, pieces in truth._asdict().items()})
    struck = sum(len(pieces) for pieces in whole) - sizes.total()
    return Outcome(case["style"], producer, sizes, list(wrongs_of(truth, read(case, path))), struck)


def line(name: str, outcomes: list[Outcome]) -> str:
    """Return one line of the report."""
    total: Counter[str] = Counter()
    for outcome in outcomes:
        total.update(outcome.sizes)
        total.update(wrong.name for wrong in outcome.wrongs)
    return f"{name:<12}{len(outcomes):>10}" + "".join(f"{total[column]:>{len(column) + 2}}" for column in COLUMNS)


def report(outcomes: list[Outcome]) -> None:
    print(f"{'':<12}{'documents':>10}" + "".join(f"  {column}" for column in COLUMNS))
    for key, names in (("style", STYLES), ("producer", PRODUCERS)):
        for name in names:
            if group := [outcome for outcome in outcomes if getattr(outcome, key) == name]:
                print(line(name, group))
        print()
    print(line("all", outcomes))
    print(f"struck: {sum(outcome.struck for outcome in outcomes)} pieces that the PDF itself lacks")


def explain(path: Path, outcome: Outcome) -> None:
    """Name a document that is not perfect, and what is wrong with it."""
    if outcome.wrongs:
        print(f"{outcome.producer}/{path.name}")
    for wrong in outcome.wrongs:
        print(f"    {wrong.name}: {' '.join(wrong.text.split())[:80]}")


def judged(producer: str, python: str, cases: Iterable[Case], folder: Path) -> Iterator[tuple[Path, Outcome]]:
    """Draw what is not yet drawn; yield the documents that the producer has the means for, with their outcomes."""
    drawings = [(case, folder / f"{case['style'].replace(' ', '-')}-{case['seed']}.pdf") for case in cases]
    run.draw("made_documents", producer, python, drawings)
    for case, path in drawings:
        if path.exists():
            yield path, judge(producer, case, path)


def main() -> None:
    arguments = run.arguments(__doc__, "typst, weasyprint", "documents")
    arguments.add_argument("--script", choices=SCRIPTS, help="a script that runs to the left, letter for letter")
    options = arguments.parse_args()
    cases = [make_case(seed) for seed in run.seeds(options.seeds)]
    makers = PRODUCERS
    if options.script:
        cases = [written_in(options.script, case) for case in cases]
        makers = {name: writer for name, writer in PRODUCERS.items() if name != "libreoffice"}
    outcomes = []
    with tempfile.TemporaryDirectory() as scratch:
        for producer, python in run.producers(options.makers, makers).items():
            if options.only in {None, producer}:
                folder = (options.keep or Path(scratch)) / producer
                for path, outcome in judged(producer, python, cases, folder):
                    outcomes.append(outcome)
                    if options.list:
                        explain(path, outcome)
    report(outcomes)


if __name__ == "__main__":
    main()
