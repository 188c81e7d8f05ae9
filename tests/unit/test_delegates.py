"""The deprecated methods: accepted, announced, run where they are configured, clear where they are not.

The services are played by a real server on the loopback interface that keeps to each one's protocol.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster import Ingestor, Settings
from nemo_retriever_dagster.engines.ports import Engines
from nemo_retriever_dagster.errors import (
    EngineBusyError,
    EngineReplyError,
    EngineUnavailableError,
    InvalidOptionError,
    MisuseError,
    RejectedInputError,
)
from nemo_retriever_dagster.extract import delegates
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.delegates import ADAPTERS, delegate
from nemo_retriever_dagster.extract.delegates_adobe import adobe_pages
from nemo_retriever_dagster.model import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PDF = b"%PDF-1.4 the document"
XHTML = (
    "<html xmlns='http://www.w3.org/1999/xhtml'><head><title>t</title></head><body>"
    "<div class='page'><p>First page.</p><table><tr><th>a</th><th>b</th></tr><tr><td>c</td><td>d</td></tr></table></div>"
    "<div class='page'><h1>Second</h1><p>More &amp; more.</p></div></body></html>"
)
PARTS = [
    {"type": "Title", "text": "Head", "metadata": {"page_number": 1}},
    {"type": "NarrativeText", "text": "Body", "metadata": {"page_number": 1}},
    {"type": "PageBreak", "text": "", "metadata": {}},
    {
        "type": "Table",
        "text": "x y",
        "metadata": {
            "page_number": 2,
            "text_as_html": "<table><tr><th>x</th><th>y</th></tr><tr><td>1</td><td>2</td></tr></table>",
        },
    },
]
ADOBE = [
    {"Path": "//Document/Title", "Text": "Paper ", "Page": 0},
    {"Path": "//Document/Table/TR/TH/P", "Text": "k", "Page": 1},
    {"Path": "//Document/Table/TR/TH[2]/P", "Text": "v", "Page": 1},
    {"Path": "//Document/Table/TR[2]/TD/P", "Text": "a", "Page": 1},
    {"Path": "//Document/Table/TR[2]/TD[2]/P", "Text": "1", "Page": 1},
    {"Path": "//Document/Table/TR[2]/TD[2]/P[2]", "Text": "2", "Page": 1},
    {"Path": "//Document/H2", "Text": "After", "Page": 1},
    {"Path": "//Document/Figure", "Page": 1},
]


class Services(ThreadingHTTPServer):
    """Plays every service. ``status`` is sent instead of a good reply when it is set."""

    daemon_threads = True
    status = 200
    body: bytes | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    server: Services

    def answer(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        route = f"{self.command} {self.path.partition('?')[0]}"
        asked_before = any(seen[0] == route for seen in self.server.seen)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((route, self.path, headers, sent))
        status, more, reply = self.reply(route, asked_before)
        if self.server.status != 200:
            status, reply = self.server.status, "no such luck, Bearer very-secret-token"
        data = self.server.body or (reply if isinstance(reply, str) else json.dumps(reply)).encode()
        self.send_response(status)
        for name, value in {**more, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = answer  # noqa: N815 -- the base class asks for these names

    def reply(self, route: str, asked_before: bool) -> tuple[int, dict[str, str], object]:
        url = self.server.url
        pages = {"pages": [{"page_number": 1, "markdown": "# One\n\ntext"}, {"page_number": 2, "markdown": ""}]}
        waiting = {"job": {"status": "PENDING"}, "status": "in progress"}
        finished = {"job": {"status": "COMPLETED"}, "markdown": pages}
        done = {"status": "done", "content": {"downloadUri": f"{url}/result"}}
        routes: dict[str, tuple[int, dict[str, str], object]] = {
            "PUT /tika": (200, {"Content-Type": "text/html; charset=utf-8"}, XHTML),
            "POST /general/v0/general": (200, {}, PARTS),
            "POST /api/v2/parse/upload": (200, {}, {"id": "j1", "status": "PENDING"}),
            "GET /api/v2/parse/j1": (200, {}, finished if asked_before else waiting),
            "POST /token": (200, {}, {"access_token": "tok"}),
            "POST /assets": (200, {}, {"uploadUri": f"{url}/put", "assetID": "urn:1"}),
            "PUT /put": (200, {}, {}),
            "POST /operation/extractpdf": (201, {"location": f"{url}/job"}, {}),
            "GET /job": (200, {}, done if asked_before else waiting),
            "GET /result": (200, {}, {"elements": ADOBE}),
        }
        return routes.get(route, (404, {}, "no route"))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def services() -> Iterator[Services]:
    server = Services()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def pdf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "TIKA_SERVER_URL",
        "UNSTRUCTURED_URL",
        "UNSTRUCTURED_API_KEY",
        "LLAMA_CLOUD_API_KEY",
        "ADOBE_CLIENT_ID",
        "ADOBE_CLIENT_SECRET",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("nemo_retriever_dagster.extract.delegates_http._POLL_SECONDS", 0.01)
    delegates.announce.cache_clear()
    path = tmp_path / "paper.pdf"
    path.write_bytes(PDF)
    return path


def run(method: str, path: Path, **options: object) -> list[Page]:
    with pytest.warns(DeprecationWarning, match=f"{method}.*pdfium"):
        return list(delegate(method, path, ExtractOptions(format="pdf", **options)))  # type: ignore[arg-type]


def found(pages: list[Page]) -> list[tuple[int, str, str]]:
    return [(page.number, str(element.kind), element.text) for page in pages for element in page.elements]


@pytest.mark.parametrize("method", sorted(ADAPTERS))
def test_without_configuration_the_error_names_what_is_missing(pdf, method, monkeypatch):
    for module in ("unstructured", "haystack"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    named = {
        "adobe": "ADOBE_CLIENT_ID and ADOBE_CLIENT_SECRET",
        "haystack": "pip install haystack-ai",
        "llama_parse": "LLAMA_CLOUD_API_KEY",
        "tika": "TIKA_SERVER_URL",
        "unstructured_io": "UNSTRUCTURED_API_KEY",
        "unstructured_local": r"pip install 'unstructured\[pdf\]'",
    }
    with pytest.raises(MisuseError, match=named[method]):
        run(method, pdf)


def test_unknown_method(pdf):
    with pytest.raises(InvalidOptionError, match="tika"):
        list(delegate("tikka", pdf, ExtractOptions()))


def test_each_method_warns_once(pdf, services, monkeypatch):
    monkeypatch.setenv("TIKA_SERVER_URL", services.url)
    run("tika", pdf)
    assert len(list(delegate("tika", pdf, ExtractOptions()))) == 2  # a second warning would be an error here


def test_tika_gives_pages(pdf, services, monkeypatch):
    monkeypatch.setenv("TIKA_SERVER_URL", f"{services.url}/")
    pages = run("tika", pdf)
    assert [(page.number, page.total) for page in pages] == [(1, 2), (2, 2)]
    assert found(pages)[0] == (1, "text", "First page.")
    assert found(pages)[-1] == (2, "text", "More & more.")
    assert Kind.TABLE in {element.kind for element in pages[0].elements}
    assert {element.engine for page in pages for element in page.elements} == {"tika"}
    ((route, _, headers, sent),) = services.seen
    assert (route, headers["accept"], sent) == ("PUT /tika", "text/html", PDF)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (422, RejectedInputError),
        (415, RejectedInputError),
        (429, EngineBusyError),
        (500, EngineUnavailableError),
        (503, EngineUnavailableError),
        (401, MisuseError),
        (304, EngineReplyError),
    ],
)
def test_refusals_become_typed_errors_without_secrets(pdf, services, monkeypatch, status, error):
    monkeypatch.setenv("TIKA_SERVER_URL", services.url)
    services.status = status
    with pytest.raises(error) as caught:
        run("tika", pdf)
    assert "Tika" in str(caught.value)
    assert "very-secret-token" not in str(caught.value)


def test_a_server_that_is_not_there(pdf, monkeypatch):
    monkeypatch.setenv("TIKA_SERVER_URL", "http://127.0.0.1:9")
    with pytest.raises(EngineUnavailableError, match="Is it running"):
        run("tika", pdf)


def test_unstructured_of_ones_own_needs_no_key(pdf, services, monkeypatch):
    monkeypatch.setenv("UNSTRUCTURED_URL", services.url)
    pages = run("unstructured_io", pdf)
    assert found(pages)[:2] == [(1, "text", "Head"), (1, "text", "Body")]
    assert pages[0].elements[0].heading == 2
    assert [element.kind for element in pages[1].elements] == [Kind.TABLE]
    assert "unstructured-api-key" not in services.seen[0][2]
    assert PDF in services.seen[0][3]
    delegates.announce.cache_clear()
    assert found(run("unstructured_io", pdf, tables=False))[-1] == (2, "text", "x y")


def test_a_reply_that_breaks_the_contract(pdf, services, monkeypatch):
    monkeypatch.setenv("UNSTRUCTURED_URL", services.url)
    monkeypatch.setenv("UNSTRUCTURED_API_KEY", "k")
    for body in (b"<html>", b'[{"type": "Title"}]', b"{}x"):
        services.body = body
        delegates.announce.cache_clear()
        with pytest.raises(EngineReplyError, match="contract"):
            run("unstructured_io", pdf)


def test_llama_parse_waits_for_its_job(pdf, services, monkeypatch):
    monkeypatch.setenv("LLAMA_CLOUD_API_KEY", "key")
    monkeypatch.setenv("LLAMA_CLOUD_BASE_URL", services.url)
    assert found(run("llama_parse", pdf)) == [(1, "text", "# One"), (1, "text", "text")]
    assert [seen[0] for seen in services.seen] == ["POST /api/v2/parse/upload", *["GET /api/v2/parse/j1"] * 2]
    assert services.seen[1][1].endswith("?expand=markdown")
    assert services.seen[0][2]["authorization"] == "Bearer key"


def test_adobe_runs_its_four_steps(pdf, services, monkeypatch):
    for name, value in {"ADOBE_CLIENT_ID": "id", "ADOBE_CLIENT_SECRET": "s", "ADOBE_BASE_URL": services.url}.items():
        monkeypatch.setenv(name, value)
    pages = run("adobe", pdf)
    assert found(pages) == [
        (1, "text", "Paper"),
        (2, "table", "| k | v |\n| --- | --- |\n| a | 1 2 |"),
        (2, "text", "After"),
    ]
    assert [element.heading for page in pages for element in page.elements] == [1, 0, 2]
    uploaded = next(seen for seen in services.seen if seen[0] == "PUT /put")
    assert uploaded[3] == PDF
    assert "authorization" not in uploaded[2], "the token is not for the storage"


def test_adobe_tables_that_are_not_wanted_stay_as_text():
    (_, page) = adobe_pages(ADOBE, ExtractOptions(tables=False))
    assert [element.text for element in page.elements] == ["k", "v", "a", "1", "2", "After"]


def test_the_ingestor_runs_them_beside_the_parsers(pdf, services, monkeypatch, tmp_path):
    monkeypatch.setenv("TIKA_SERVER_URL", services.url)
    note = tmp_path / "note.txt"
    note.write_text("Not for Tika.")
    ingestor = Ingestor(settings=Settings(state_dir=tmp_path / "state"), engines=Engines(), workers=1)
    with pytest.warns(DeprecationWarning, match="tika"):
        ingestor.files([str(pdf), str(note)]).extract(extract_method="tika", text_depth="page")
    first, second = ingestor.ingest()
    assert {element["metadata"]["content_metadata"]["page_number"] for element in first} == {1, 2}
    assert first[0]["metadata"]["content"] == "First page."
    assert {element["metadata"]["custom_content"]["engine"] for element in first} == {"tika"}
    assert [element["metadata"]["content"] for element in second] == ["Not for Tika."]
    assert len(services.seen) == 1


def test_through_the_ingestor_a_method_that_is_not_configured_says_what_to_set(pdf, tmp_path):
    ingestor = Ingestor(settings=Settings(state_dir=tmp_path / "state"), engines=Engines(), workers=1)
    with pytest.warns(DeprecationWarning, match="tika"):
        ingestor.files(str(pdf)).extract(extract_method="tika")
    results, (failure,) = ingestor.ingest(return_failures=True)
    assert results == []
    assert failure.category == "misuse"
    assert "TIKA_SERVER_URL" in failure.hint
