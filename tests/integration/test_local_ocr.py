"""The OCR engines on pictures drawn here: words, places, order, turned pages, errors."""

import asyncio
import io
import shutil
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image, ImageDraw, ImageFont

from nemo_retriever_dagster.engines.local.ocr import RapidOcr
from nemo_retriever_dagster.engines.local.tesseract import TesseractOcr
from nemo_retriever_dagster.engines.usage import metered
from nemo_retriever_dagster.errors import MissingDependencyError, RejectedInputError
from nemo_retriever_dagster.model import Picture

SENTENCES = [
    "The quick brown fox jumps",
    "over the lazy dog while",
    "seven wizards quietly watch",
    "from behind the old mill",
    "near the river bank today",
    "and nobody says anything",
]
TEXT = " ".join(SENTENCES).split()
TWINS = Path(__file__).resolve().parents[2].parent / "shared" / "bench" / "layout-twin" / "pdfs"

needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="Tesseract is not installed")
TWINS = Path(__file__).resolve().parents[2].parent / "shared" / "bench" / "layout-twin" / "pdfs"
ENGINES = ["rapidocr", pytest.param("tesseract", marks=needs_tesseract)]


def picture(image):
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return Picture(data=stream.getvalue(), width=image.width, height=image.height)


def drawn(sentences=SENTENCES, turn=0):
    image = Image.new("RGB", (760, 90 + 60 * len(sentences)), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(36)
    for number, sentence in enumerate(sentences):
        draw.text((60, 50 + 60 * number), sentence, fill="black", font=font)
    return image.rotate(turn, expand=True)


@pytest.fixture(scope="module")
def engines():
    made = {"rapidocr": RapidOcr(), "tesseract": TesseractOcr()}
    yield made
    for engine in made.values():
        asyncio.run(engine.aclose())


def read(engine, *images, merge="word"):
    return asyncio.run(engine.read([picture(image) for image in images], merge=merge))


@pytest.mark.parametrize("name", ENGINES)
def test_words_places_and_order(engines, name):
    with metered() as meter:
        (words,) = read(engines[name], drawn())
    assert [word.text for word in words] == TEXT
    fox = words[TEXT.index("fox")].box
    font = ImageFont.load_default(36)
    left = 60 + font.getlength("The quick brown ")
    assert abs(fox.x0 - left) < 15
    assert abs(fox.x1 - left - font.getlength("fox")) < 15
    assert 40 < fox.y0 < fox.y1 < 105
    assert all(word.confidence > 0.5 for word in words)
    assert meter.totals[engines[name].name].items == 1


@pytest.mark.parametrize("name", ENGINES)
def test_lines(engines, name):
    (lines,) = read(engines[name], drawn(SENTENCES[:2]), merge="sentence")
    assert [line.text for line in lines] == SENTENCES[:2]


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_turned_page_is_read_upright(engines, name, turn):
    image = drawn(turn=turn)
    (words,) = read(engines[name], image)
    assert [word.text for word in words] == TEXT
    first = words[0].box  # the page's first word lies where its top left corner went
    x, y = {90: (75, image.height - 80), 180: (image.width - 80, image.height - 75), 270: (image.width - 75, 80)}[turn]
    assert first.x0 - 30 < x < first.x1 + 30
    assert first.y0 - 30 < y < first.y1 + 30


@pytest.mark.parametrize("turn", [90, 270])
def test_the_words_of_an_upright_line_are_where_they_stand(engines, turn):
    page = drawn()
    page.paste(drawn(["seven wizards watch"]).crop((40, 40, 480, 110)).rotate(turn, expand=True), (690, 0))
    words = read(engines["rapidocr"], page)[0]
    title = [word for word in words if word.box.x0 > 680]
    upwards = sorted(title, key=lambda word: -word.box.y0)
    assert [word.text for word in (upwards if turn == 90 else upwards[::-1])] == ["seven", "wizards", "watch"]


def test_few_lines_on_their_head_are_turned_too(engines):
    (words,) = read(engines["rapidocr"], drawn(SENTENCES[:2], turn=180))
    assert [word.text for word in words] == TEXT[:10]


@pytest.mark.parametrize("name", ENGINES)
def test_a_picture_without_text_has_no_words(engines, name):
    assert read(engines[name], Image.new("RGB", (300, 200), "white"), Image.new("L", (40, 40), 90)) == [[], []]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1"])
def test_every_kind_of_picture_is_read(engines, mode):
    (words,) = read(engines["rapidocr"], drawn(SENTENCES[:1]).convert(mode))
    assert [word.text for word in words] == SENTENCES[0].split()


@pytest.mark.parametrize("name", ENGINES)
def test_a_damaged_picture_is_refused(engines, name):
    good = picture(drawn(SENTENCES[:1])).data
    for data in (b"", b"not a picture", good[: len(good) // 2]):
        with pytest.raises(RejectedInputError):
            asyncio.run(engines[name].read([Picture(data=data, width=1, height=1)]))


def test_the_loop_stays_free(engines):
    async def run():
        task = asyncio.create_task(engines["rapidocr"].read([picture(drawn(SENTENCES[:2]))]))
        ticks = 0
        while not task.done():
            await asyncio.sleep(0.005)
            ticks += 1
        return ticks, await task

    ticks, (words,) = asyncio.run(run())
    assert len(words) == len(TEXT[:10])
    assert ticks > 10


@needs_tesseract
def test_tesseract_checks_program_and_languages(monkeypatch):
    asyncio.run(TesseractOcr().check())
    with pytest.raises(MissingDependencyError, match="tesseract-ocr-xyz"):
        asyncio.run(TesseractOcr(languages="eng+xyz").check())
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingDependencyError, match="apt-get install tesseract-ocr"):
        asyncio.run(TesseractOcr().check())


@needs_tesseract
def test_tesseract_reads_ruled_tables_and_what_lies_in_shade(engines):
    page = drawn()
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(28)
    page = Image.new("RGB", (1240, 900), "white")
    draw = ImageDraw.Draw(page)
    cells = [[f"{row}{column}{row}.{column}" for column in range(1, 7)] for row in range(1, 13)]
    for y, row in enumerate(cells):
        for x, text in enumerate(row):
            left, top = 60 + 180 * x, 60 + 60 * y
            draw.rectangle((left, top, left + 180, top + 60), fill="#b0b0b0" if y % 2 else "white", outline="black")
            draw.text((left + 40, top + 14), text, fill="black", font=font)
    (words,) = read(engines["tesseract"], page)
    found = {word.text for word in words}
    assert sum(text in found for row in cells for text in row) > 65


@needs_tesseract
def test_many_pictures_at_once_keep_their_order(engines):
    answers = read(engines["tesseract"], *(drawn(SENTENCES[i : i + 1]) for i in range(6)), merge="sentence")
    assert [words[0].text for words in answers] == SENTENCES


def test_an_engine_works_again_after_closing(engines):
    asyncio.run(engines["rapidocr"].aclose())
    asyncio.run(engines["rapidocr"].check())
    assert read(engines["rapidocr"], drawn(SENTENCES[:1]))[0]


@pytest.mark.skipif(not TWINS.is_dir(), reason="the shared benchmark files are not here")
@pytest.mark.parametrize("name", ["01030000000021.pdf", "01030000000126.pdf"])
@pytest.mark.parametrize("turns", [0, 2])
def test_long_lines_are_not_taken_to_stand_on_their_head(engines, name, turns):
    with pypdfium2.PdfDocument(TWINS / name) as document:
        image = document[0].render(scale=200 / 72).to_pil().convert("RGB").rotate(90 * turns)
        wanted = document[0].get_textpage().get_text_bounded().split()
    (words,) = read(engines["rapidocr"], image)
    found = {word.text for word in words}
    assert sum(word in found for word in wanted) > 0.8 * len(wanted)
