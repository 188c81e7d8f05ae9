"""What each NIM client sends and what it makes of the answers, against the strict server."""

from __future__ import annotations

import asyncio
import base64
import io
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from pydantic import SecretStr

from nemo_retriever_dagster.engines.nim import (
    NimCaptioner,
    NimEmbedder,
    NimEndpoint,
    NimOcr,
    NimPageElements,
    NimPageParser,
    NimReranker,
    NimTranscriber,
    nim_engines,
    wait_ready,
)
from nemo_retriever_dagster.engines.nim.caption import caption_text
from nemo_retriever_dagster.engines.nim.wire import data_url, fitted, rows
from nemo_retriever_dagster.engines.ports import CaptionRequest, EmbedInput, Engines, ParsedBlock, Segment
from nemo_retriever_dagster.errors import (
    EngineReplyError,
    EngineUnavailableError,
    InvalidOptionError,
    MisuseError,
    RejectedInputError,
    RetrieverError,
    UnknownOptionError,
)
from nemo_retriever_dagster.model import Box, Picture
from nemo_retriever_dagster.testing import NimServer
from nemo_retriever_dagster.testing.http_server import Reply, Request, json_reply, serve
from nemo_retriever_dagster.testing.nim_answers import HashEmbedder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator


def picture(width: int = 64, height: int = 48, *, noise: bool = False) -> Picture:
    image = Image.effect_noise((width, height), 90) if noise else Image.new("RGB", (width, height), "teal")
    out = io.BytesIO()
    image.save(out, "PNG")
    return Picture(data=out.getvalue(), width=width, height=height)


class Site:
    """Answers every POST with one reply and keeps the bodies."""

    def __init__(self, reply: Any, status: int = 200) -> None:
        self.reply = reply if isinstance(reply, Reply) else json_reply(reply, status)
        self.bodies: list[Any] = []

    async def answer(self, request: Request) -> Reply:
        form = request.headers.get("content-type", "").startswith("multipart")
        self.bodies.append(request.body if form else request.json())
        return self.reply


def talk(site: Site, work: Callable[[str], Awaitable[Any]]) -> Any:
    async def both() -> Any:
        async with await serve(site.answer) as server:
            return await work(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    return asyncio.run(both())


def using(client: Any, call: Callable[[Any], Awaitable[Any]]) -> Awaitable[Any]:
    async def work() -> Any:
        try:
            return await call(client)
        finally:
            await client.aclose()

    return work()


def chat(content: Any, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": content, **more}}]}


def caption_body(model: str, *, dialect: str = "", context: str = "", **options: str) -> dict[str, Any]:
    site, request = Site(chat("A caption.")), CaptionRequest(picture=picture(), context=context)

    def ask(url: str) -> Awaitable[Any]:
        client = NimCaptioner(NimEndpoint(urls=url, model=model, dialect=dialect))
        return using(client, lambda captioner: captioner.caption(request, **options))

    assert talk(site, ask).text == "A caption."
    body: dict[str, Any] = site.bodies[0]
    return body


def test_caption_request_is_that_of_the_contract() -> None:
    body = caption_body("nvidia/nemotron-nano-12b-v2-vl")
    system, user = body.pop("messages")
    assert body == {
        "model": "nvidia/nemotron-nano-12b-v2-vl",
        "max_tokens": 512,
        "temperature": 1.0,
        "top_p": 1.0,
        "stream": False,
    }
    assert system == {"role": "system", "content": "/no_think"}
    text, image = user["content"]
    assert text == {"type": "text", "text": "Caption the content of this image:"}
    assert image["image_url"]["url"].startswith("data:image/png;base64,iVBOR")


def test_temperature_is_the_pipelines_if_it_names_one() -> None:
    site, request = Site(chat("A caption.")), CaptionRequest(picture=picture(), temperature=0.2)
    talk(site, lambda url: using(NimCaptioner(NimEndpoint(urls=url)), lambda one: one.caption(request)))
    assert site.bodies[0]["temperature"] == 0.2


def test_prompts_of_the_endpoint_are_those_where_the_call_has_none() -> None:
    own = {"prompt": "What is it?", "system_prompt": "/think"}

    def texts(**options: str) -> tuple[str, str]:
        site, request = Site(chat("A caption.")), CaptionRequest(picture=picture())

        def ask(url: str) -> Awaitable[Any]:
            client = NimCaptioner(NimEndpoint(urls=url, **own))
            return using(client, lambda captioner: captioner.caption(request, **options))

        talk(site, ask)
        system, user = site.bodies[0]["messages"]
        return system["content"], user["content"][0]["text"]

    assert texts() == ("/think", "What is it?")
    assert texts(prompt="Why?", system_prompt="/no_think") == ("/no_think", "Why?")
    plain, asking = NimCaptioner(NimEndpoint(urls="http://x")), NimCaptioner(NimEndpoint(urls="http://x", **own))
    assert plain.name == "nim/nvidia/llama-3.1-nemotron-nano-vl-8b-v1"
    assert asking.name != plain.name


def test_reasoning_prompt_and_context() -> None:
    body = caption_body("nvidia/nano", context=" Near. ", prompt="What?", system_prompt="/think")
    assert body["messages"][0]["content"] == "/think"
    assert body["messages"][1]["content"][0]["text"] == "Text near this image:\n---\nNear.\n---\n\nWhat?"
    assert body["max_tokens"] > 512


@pytest.mark.parametrize(("system", "thinking"), [(None, False), ("/no_think", False), ("/think", True)])
def test_omni_is_told_by_template(system: str | None, thinking: bool) -> None:
    options = {"system_prompt": system} if system else {}
    body = caption_body("nvidia/nemotron-3-nano-omni", **options)
    assert body["chat_template_kwargs"] == {"enable_thinking": thinking}
    assert [one["role"] for one in body["messages"]] == ["user"]


def test_other_models_get_no_system_prompt_of_ours() -> None:
    assert [one["role"] for one in caption_body("llava:7b")["messages"]] == ["user"]
    assert caption_body("llava:7b", system_prompt="Be brief.")["messages"][0]["content"] == "Be brief."


@pytest.mark.parametrize(
    ("content", "text"),
    [("  A cat. ", "A cat."), ("<think>Hm.\nA cat?</think>\n\nA cat.", "A cat."), ("See <think>", "See <think>")],
)
def test_thoughts_are_no_caption(content: str, text: str) -> None:
    assert caption_text(chat(content)) == text


@pytest.mark.parametrize(
    "reply",
    [
        chat(""),
        chat(None),
        chat("   \n"),
        chat("<think>all thought</think>"),
        chat("<think>cut off"),
        chat("", reasoning_content="I see."),
        {"choices": []},
        {},
        [],
    ],
)
def test_empty_caption_is_an_error(reply: Any) -> None:
    with pytest.raises(EngineReplyError):
        caption_text(reply)


def embed(reply: Any, count: int = 2, **changes: Any) -> tuple[np.ndarray, list[Any]]:
    site = Site(reply)
    inputs = [EmbedInput(text=f"text {i}") for i in range(count)]

    def ask(url: str) -> Awaitable[Any]:
        options = {"urls": f"{url}/v1", "model": "m", "attempts": 1, **changes}
        return using(NimEmbedder(NimEndpoint(**options)), lambda embedder: embedder.embed(inputs))

    return talk(site, ask), site.bodies


def vectors(*values: Any) -> dict[str, Any]:
    return {"data": [{"index": i, "embedding": value} for i, value in enumerate(values)]}


def packed(*values: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def test_embed_request_of_a_nim_and_of_another_server() -> None:
    _, (body,) = embed(vectors([1.0], [2.0]), model="nvidia/x", dimensions=1)
    assert body == {
        "model": "nvidia/x",
        "encoding_format": "base64",
        "input": ["text 0", "text 1"],
        "input_type": "passage",
        "truncate": "END",
        "dimensions": 1,
    }
    _, (body,) = embed(vectors([1.0], [2.0]), model="all-minilm")
    assert body == {"model": "all-minilm", "encoding_format": "float", "input": ["text 0", "text 1"]}


def test_vectors_as_floats_as_base64_and_out_of_order() -> None:
    assert embed(vectors([1, 2.5], [3.0, 4.0]))[0].tolist() == [[1, 2.5], [3, 4]]
    assert embed(vectors(packed(1, 2.5), packed(3, 4)))[0].tolist() == [[1, 2.5], [3, 4]]
    assert embed({"data": vectors([1.0], [2.0])["data"][::-1]})[0].tolist() == [[1], [2]]


@pytest.mark.parametrize(
    "reply",
    [
        vectors([1.0]),
        vectors([1.0], [1.0, 2.0]),
        vectors([1.0], [float("inf")]),
        vectors([1.0], [True]),
        vectors([1.0], ["1"]),
        vectors([1.0], None),
        vectors([1.0], [1e300]),
        vectors(packed(1), "====not base64===="),
        vectors(packed(1), packed(float("nan"))),
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}]},
        {"data": {"index": 0}},
        {"error": "no"},
        "text",
        Reply(body=b'{"data": [' * 100_000),
    ],
)
def test_wrong_vectors_are_never_returned(reply: Any) -> None:
    with pytest.raises(EngineReplyError):
        embed(reply)


def test_batches_hold_what_the_endpoint_says() -> None:
    found: list[Any] = []

    async def answer(request: Request) -> Reply:
        texts = request.json()["input"]
        found.append(len(texts))
        return json_reply(vectors(*([float(text.split()[1])] for text in texts)))

    async def work() -> np.ndarray:
        async with await serve(answer) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            embedder = NimEmbedder(NimEndpoint(urls=url, model="m", batch=7))
            try:
                return await embedder.embed([EmbedInput(text=f"text {i}") for i in range(1, 46)])
            finally:
                await embedder.aclose()

    assert asyncio.run(work())[:, 0].tolist() == list(range(1, 46))
    assert sorted(found) == [3, *[7] * 6]


def test_empty_input_is_refused_before_it_is_sent() -> None:
    embedder = NimEmbedder(NimEndpoint(urls="http://127.0.0.1:9"))
    with pytest.raises(InvalidOptionError, match="Input 1"):
        asyncio.run(embedder.embed([EmbedInput(text="a"), EmbedInput(text=" ")]))


def test_unknown_models_dimension_is_learned_not_guessed() -> None:
    with NimServer(dimension=96) as server:
        embedder = NimEmbedder(NimEndpoint(urls=server.url("embedder"), model="nvidia/new-model"))
        with pytest.raises(InvalidOptionError, match="not known yet"):
            _ = embedder.dimension
        asyncio.run(using(embedder, lambda one: one.check()))
        assert embedder.dimension == 96


def test_dimensions_are_asked_for_and_part_of_the_name() -> None:
    with NimServer() as server:
        embedder = NimEmbedder(NimEndpoint(urls=server.url("embedder"), dimensions=384))
        found = asyncio.run(using(embedder, lambda one: one.embed([EmbedInput(text="x")])))
    assert found.shape == (1, 384)
    assert np.linalg.norm(found[0]) == pytest.approx(1)
    assert embedder.name.endswith("@384")


def test_pictures_are_embedded_by_modality() -> None:
    inputs = [EmbedInput(text="a cat"), EmbedInput(picture=picture()), EmbedInput(text="b", picture=picture())]
    site = Site(vectors([1.0], [2.0], [3.0]))
    talk(site, lambda url: using(NimEmbedder(NimEndpoint(urls=url, model="m")), lambda one: one.embed(inputs)))
    body = site.bodies[0]
    assert body["modality"] == ["text", "image", "text_image"]
    assert body["input"][1].startswith("data:image/png;base64,")
    assert body["input"][2].startswith("b data:image/png;base64,")
    with NimServer() as server:
        embedder = NimEmbedder(NimEndpoint(urls=server.url("embedder")))
        found = asyncio.run(using(embedder, lambda one: one.embed(inputs)))
        expected = asyncio.run(HashEmbedder().embed(inputs))
    assert np.allclose(found, expected)


def test_a_text_that_speaks_of_data_urls_is_said_to_be_text() -> None:
    told = [EmbedInput(text="It is sent as data:image/png;base64,iVBOR in JSON."), EmbedInput(text="a cat")]
    with NimServer() as server:
        embedder = NimEmbedder(NimEndpoint(urls=server.url("embedder")))
        found = asyncio.run(using(embedder, lambda one: one.embed(told)))
        assert np.allclose(found, asyncio.run(HashEmbedder().embed(told)))
    for model, modality in (("nvidia/x", ["text", "text"]), ("other", None)):
        site = Site(vectors([1.0], [2.0]))
        talk(site, lambda url, m=model: using(NimEmbedder(NimEndpoint(urls=url, model=m)), lambda one: one.embed(told)))
        assert site.bodies[0].get("modality") == modality


@pytest.mark.parametrize("size", [(20_000, 30), (30, 20_000), (9_000, 33)])
def test_a_long_strip_is_made_to_fit_too(size: tuple[int, int]) -> None:
    small = fitted(picture(*size, noise=True))
    assert len(base64.b64encode(small.data)) < 180_000
    with Image.open(io.BytesIO(small.data)) as opened:
        assert opened.size == (small.width, small.height)


def test_images_are_made_small_enough_for_hosted_nims() -> None:
    large = picture(1400, 1000, noise=True)
    assert len(data_url(large)) > 180_000
    small = fitted(large)
    assert len(base64.b64encode(small.data)) < 180_000
    assert small.media_type == "image/jpeg"
    assert small.width / small.height == pytest.approx(1.4, abs=0.01)
    assert fitted(picture()).data == picture().data
    with NimServer(image_chars=180_000) as server:
        endpoint = server.endpoints()["page_elements"]
        with pytest.raises(RejectedInputError, match="180000"):
            asyncio.run(using(NimPageElements(endpoint), lambda one: one.detect([large])))
        asyncio.run(using(NimPageElements(endpoint), lambda one: one.detect([small])))


def test_second_line_of_nims_speaks_the_same() -> None:
    with NimServer() as server:
        detector = NimPageElements(NimEndpoint(urls=server.url("page_elements", line=2)))
        assert asyncio.run(using(detector, lambda one: one.detect([picture()]))) == [[]]
        other = server.url("page_elements").replace("/v1/infer", "/v1/table-structure")
        with pytest.raises(MisuseError, match="Loaded: "):
            asyncio.run(using(NimPageElements(NimEndpoint(urls=other)), lambda one: one.detect([picture()])))


def test_paddle_takes_no_merge_levels() -> None:
    for model, sent in (("baidu/paddleocr", False), ("nvidia/nemotron-ocr-v1", True)):
        site = Site({"data": [{"index": 0, "text_detections": []}]})
        talk(site, lambda url, m=model: using(NimOcr(NimEndpoint(urls=url, model=m)), lambda o: o.read([picture()])))
        assert ("merge_levels" in site.bodies[0]) is sent


@pytest.mark.parametrize("box", [{}, {"points": []}, {"points": [{"x": 5, "y": 0.1}] * 4}, {"points": [1, 2, 3, 4]}])
def test_boxes_outside_the_picture_are_refused(box: Any) -> None:
    detection = {"text_prediction": {"text": "x", "confidence": 1}, "bounding_box": box}
    site = Site({"data": [{"index": 0, "text_detections": [detection]}]})
    with pytest.raises(EngineReplyError):
        talk(site, lambda url: using(NimOcr(NimEndpoint(urls=url, attempts=1)), lambda one: one.read([picture()])))


def test_tool_calls_that_are_no_list_are_refused() -> None:
    site = Site(chat("", tool_calls=5))
    with pytest.raises(EngineReplyError, match="tool_calls"):
        talk(site, lambda url: using(NimPageParser(NimEndpoint(urls=url, attempts=1)), lambda p: p.parse(picture())))


class Blocks:
    name = "blocks"

    async def check(self) -> None: ...
    async def aclose(self) -> None: ...
    async def parse(self, picture: Picture) -> list[ParsedBlock]:
        """See one block: the teal area that the client centred in a white frame."""
        with Image.open(io.BytesIO(picture.data)) as image:
            pixels = np.asarray(image.convert("RGB")).min(axis=2) < 200
        y, x = np.nonzero(pixels)
        box = Box(float(x.min()), float(y.min()), float(x.max() + 1), float(y.max() + 1))
        return [ParsedBlock(label="Inline-formula", text="x = y<tbc>", box=box)]


@pytest.mark.parametrize("model", ["nvidia/nemotron-parse", "nvidia/nemotron-parse-v1.2"])
@pytest.mark.parametrize("size", [(400, 200), (200, 400)])
def test_parsed_boxes_come_back_to_the_picture(model: str, size: tuple[int, int]) -> None:
    with NimServer(Engines(page_parser=Blocks()), models={"page_parser": model}) as server:
        parser = NimPageParser(server.endpoints()["page_parser"])
        (block,) = asyncio.run(using(parser, lambda one: one.parse(picture(*size))))
    assert block.label == "Formula"
    assert block.box == pytest.approx((0, 0, *size), abs=1.0)


def test_parser_that_reads_nothing_returns_nothing() -> None:
    for reply in (chat("", tool_calls=[]), chat("", tool_calls=None), chat("")):
        site = Site(reply)
        assert talk(site, lambda url: using(NimPageParser(NimEndpoint(urls=url)), lambda p: p.parse(picture()))) == []


def test_parsed_text_holds_no_half_of_a_character() -> None:
    box = '{"xmin":0,"ymin":0,"xmax":1,"ymax":1}'
    calls = [{"function": {"arguments": f'[[{{"type":"Text","text":"cut \\ud83d","bbox":{box}}}]]'}}]
    site = Site(chat("", tool_calls=calls))
    (block,) = talk(site, lambda url: using(NimPageParser(NimEndpoint(urls=url)), lambda p: p.parse(picture())))
    assert block.text == "cut \ufffd"


@pytest.mark.parametrize(
    "arguments", ["not json", "{}", '[[{"type": "Text"}]]', '[[{"type":"Text","text":"x","bbox":{"xmin":7}}]]']
)
def test_broken_parse_is_an_error(arguments: str) -> None:
    calls = [{"function": {"name": "markdown_bbox", "arguments": arguments}}]
    site = Site(chat("", tool_calls=calls))
    with pytest.raises(EngineReplyError):
        talk(site, lambda url: using(NimPageParser(NimEndpoint(urls=url, attempts=1)), lambda p: p.parse(picture())))


def test_both_reranking_protocols_give_the_same_scores() -> None:
    passages = ["a dog", "a quick dog", "nothing"]
    with NimServer() as server:
        scores = [
            asyncio.run(
                using(
                    NimReranker(NimEndpoint(urls=server.url("reranker", line=line))),
                    lambda one: one.rank("quick dog", passages),
                )
            )
            for line in (1, 2)
        ]
    assert scores[0] == scores[1] == [0.0, 10.0, -10.0]


def test_more_passages_than_a_request_takes() -> None:
    with NimServer() as server:
        reranker = NimReranker(server.endpoints()["reranker"])
        scores = asyncio.run(using(reranker, lambda one: one.rank("dog", ["dog"] * 700)))
        assert scores == [10.0] * 700
        assert server.count("reranker") == 2


def test_a_transcriber_of_another_language_has_another_name() -> None:
    where = NimEndpoint(urls="http://a/v1/audio/transcriptions")
    assert NimTranscriber(where).name == "nim/parakeet-1-1b-ctc-en-us"
    assert NimTranscriber(replace(where, language="de-DE")).name == "nim/parakeet-1-1b-ctc-en-us@de-DE"


def test_transcription_of_another_server_has_times() -> None:
    reply = {
        "text": "One. Two.",
        "segments": [{"text": " One.", "start": 0, "end": 0.5}, {"text": "Two.", "start": 1, "end": 2}],
    }
    site = Site(reply)
    endpoint = {"model": "whisper-1"}
    found = talk(
        site,
        lambda url: using(
            NimTranscriber(NimEndpoint(urls=f"{url}/v1/audio/transcriptions", **endpoint)),
            lambda one: one.transcribe(b"\0\0" * 100, 16000, segments=True),
        ),
    )
    assert found == [Segment(text="One.", start_ms=0, end_ms=500), Segment(text="Two.", start_ms=1000, end_ms=2000)]
    assert b"verbose_json" in site.bodies[0]
    assert b"RIFF" in site.bodies[0]


def test_items_without_index_keep_their_order() -> None:
    assert rows([{"a": 1}, {"a": 2}], 2) == [{"a": 1}, {"a": 2}]
    assert rows({"predictions": [{"a": 1}]}, 1) == [{"a": 1}]


@pytest.fixture(scope="module")
def locked() -> Iterator[NimServer]:
    with NimServer(api_key="nvapi-right-key") as server:
        yield server


def test_wrong_key_is_known_at_the_first_call(locked: NimServer) -> None:
    endpoints = locked.endpoints(api_key=SecretStr("nvapi-wrong-CANARY"))
    with pytest.raises(MisuseError) as caught:
        asyncio.run(
            using(NimCaptioner(endpoints["captioner"]), lambda one: one.caption(CaptionRequest(picture=picture())))
        )
    assert "CANARY" not in str(caught.value)
    good = locked.endpoints(api_key=SecretStr("nvapi-right-key"))
    asyncio.run(using(NimCaptioner(good["captioner"]), lambda one: one.caption(CaptionRequest(picture=picture()))))


def test_wait_ready_waits_for_no_answer_for_ever() -> None:
    async def answer(request: Request) -> Reply:
        if request.method == "POST":
            await asyncio.Event().wait()
        return json_reply({})

    async def work() -> None:
        async with await serve(answer) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            engines = nim_engines({"embedder": NimEndpoint(urls=url, model="unknown")})
            with pytest.raises(EngineUnavailableError, match="embedder: nim/unknown did not answer"):
                await wait_ready(engines, timeout=0.1, interval=0.02)
            await engines.aclose()

    asyncio.run(work())


def test_wait_ready_names_who_is_not() -> None:
    with NimServer() as server:
        endpoints = {port: server.endpoints()[port] for port in ("embedder", "reranker")}

        async def wait(seconds: float) -> None:
            engines = nim_engines(endpoints)
            try:
                await wait_ready(engines, timeout=seconds, interval=0.05)
            finally:
                await engines.aclose()

        asyncio.run(wait(5))
        endpoints["reranker"] = NimEndpoint(urls="http://127.0.0.1:9/v1/ranking")
        with pytest.raises(EngineUnavailableError, match=r"Not ready after 0.2 s: reranker\.") as caught:
            asyncio.run(wait(0.2))
        assert "127.0.0.1:9" in caught.value.hint
        server.set_ready(False)
        with pytest.raises(EngineUnavailableError, match=r"embedder, reranker"):
            asyncio.run(wait(0.1))


def test_servers_without_health_route_are_probed() -> None:
    async def answer(request: Request) -> Reply:
        return json_reply({}, 404 if request.method == "GET" else 400)

    async def work() -> None:
        async with await serve(answer) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            await using(NimReranker(NimEndpoint(urls=url)), lambda one: one.check())

    asyncio.run(work())


@pytest.mark.parametrize(("models", "ready"), [(200, True), (401, False), (503, False)])
def test_servers_that_break_on_an_empty_body_are_asked_for_their_models(models: int, ready: bool) -> None:
    async def answer(request: Request) -> Reply:
        if request.method == "POST":
            return json_reply({"error": {"message": "'messages' is required"}}, 500)
        return json_reply({}, models if request.path == "/v1/models" else 404)

    async def work() -> None:
        async with await serve(answer) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
            await using(NimCaptioner(NimEndpoint(urls=url, model="llava")), lambda one: one.check())

    if ready:
        asyncio.run(work())
    else:
        with pytest.raises(RetrieverError, match=r"127\.0\.0\.1|busy"):
            asyncio.run(work())


def test_ports_are_checked_by_name() -> None:
    with pytest.raises(UnknownOptionError, match="captioneer") as caught:
        nim_engines({"captioneer": NimEndpoint(urls="x")})
    assert "captioner" in caught.value.hint


def test_fallback_stays_where_no_endpoint_is() -> None:
    local = HashEmbedder()
    engines = nim_engines({"ocr": NimEndpoint(urls="x")}, Engines(embedder=local))
    assert engines.embedder is local
    assert isinstance(engines.ocr, NimOcr)


def test_unknown_dialect_is_refused() -> None:
    with pytest.raises(InvalidOptionError, match="klingon"):
        NimCaptioner(NimEndpoint(urls="x", dialect="klingon"))
