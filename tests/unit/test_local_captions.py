"""Captions without a model: only what is known, and said to be so."""

import asyncio
import io
import random

import pytest
from PIL import Image, ImageDraw

from nemo_retriever_dagster.engines.local.captions import LocalCaptioner
from nemo_retriever_dagster.engines.ports import CaptionRequest
from nemo_retriever_dagster.errors import RejectedInputError
from nemo_retriever_dagster.model import Box, Picture, Word


def picture(image=None):
    stream = io.BytesIO()
    (image or Image.new("RGB", (64, 48), "white")).save(stream, "PNG")
    return Picture(data=stream.getvalue(), width=64, height=48)


def caption(captioner=None, **request):
    given = CaptionRequest(**{"picture": picture(), **request})
    return asyncio.run((captioner or LocalCaptioner()).caption(given))


def test_everything_known_in_order():
    words = [Word(text=text, box=Box(0, 0, 1, 1)) for text in ("Total", "42")]
    made = caption(alt_text="A bar chart", caption="Figure 2.1: Sales\nper year", words=words)
    assert made.source == "local"
    assert made.text == (
        "A bar chart. Figure 2.1: Sales per year. Text in the picture: Total 42. Drawing, 64 x 48 pixels, mostly white."
    )


def test_never_empty():
    assert caption().text == "Drawing, 64 x 48 pixels, mostly white."


def test_colours_are_measured():
    image = Image.new("RGB", (100, 100), "white")
    ImageDraw.Draw(image).rectangle((0, 0, 99, 39), fill=(30, 80, 200))
    assert caption(picture=picture(image)).text.endswith("mostly white and blue.")
    assert caption(picture=picture(Image.new("RGBA", (9, 9), (0, 0, 0, 0)))).text.endswith("mostly white.")


def test_many_colours_make_no_drawing():
    noise = random.Random(1).randbytes(128 * 128 * 3)
    assert caption(picture=picture(Image.frombytes("RGB", (128, 128), noise))).text.startswith("Picture, 128 x 128")


def test_long_text_is_shortened_and_marked():
    words = [Word(text="word", box=Box(0, 0, 1, 1))] * 500
    text = caption(words=words).text
    assert len(text) < 600
    assert "word …" in text


def test_prompts_have_no_effect_and_that_is_said_once(caplog):
    captioner = LocalCaptioner()
    plain = caption(captioner)
    for _ in range(3):
        prompted = asyncio.run(
            captioner.caption(CaptionRequest(picture=picture()), prompt="Be funny", system_prompt="/think")
        )
        assert prompted == plain
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "no effect" in caplog.text


def test_a_damaged_picture_is_refused():
    with pytest.raises(RejectedInputError):
        caption(picture=Picture(data=b"nothing", width=1, height=1))
