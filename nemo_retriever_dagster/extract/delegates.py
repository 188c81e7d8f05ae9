"""The deprecated extraction methods: each runs through the service or the library it names, where that is configured.

They run in the calling process, not in the parser's: that one has no network. All of them read PDF. What they return is
marked with the method's name as its engine.
"""

from __future__ import annotations

import importlib
import os
import warnings
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from nemo_retriever_dagster.errors import InvalidOptionError, MisuseError
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.delegates_adobe import adobe_pages
from nemo_retriever_dagster.extract.delegates_http import Service
from nemo_retriever_dagster.extract.html_scan import check_depth
from nemo_retriever_dagster.extract.markdown import markdown_elements
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from pathlib import Path

_REPLACEMENT = "'pdfium', 'pdfium_hybrid' or 'nemotron_parse'"
_UNSTRUCTURED = "https://api.unstructuredapp.io"
_LLAMA = "https://api.cloud.llamaindex.ai"
_ADOBE = "https://pdf-services.adobe.io"
_LLAMA_STATES = {"COMPLETED": "done", "FAILED": "failed", "CANCELLED": "failed"}
_SKIPPED_TYPES = {"PageBreak", "Image"}
_HEADINGS = {"Title": 2}


def delegate(method: str, path: Path, options: ExtractOptions) -> Generator[Page]:
    """Yield the pages that a deprecated method reads from the PDF at ``path``.

    Warns once a process. Raises `MisuseError` naming what to configure where the method is not, and otherwise the
    errors of an engine (`EngineUnavailableError`, `RejectedInputError` ...).
    """
    adapter = ADAPTERS.get(method)
    if adapter is None:
        raise InvalidOptionError(f"extract_method {method!r} is not one of {', '.join(sorted(ADAPTERS))}.")
    announce(method)
    for page in adapter(path, options):
        elements = tuple(replace(element, engine=method, page=page.number) for element in page.elements)
        yield replace(page, elements=elements)


@cache
def announce(method: str) -> None:
    """Warn of a deprecated method, once a process, at the call of what calls the caller."""
    message = f"extract_method={method!r} is deprecated; use {_REPLACEMENT}."
    warnings.warn(message, DeprecationWarning, stacklevel=4)


def _configured(method: str, *names: str) -> list[str]:
    """Return the values of environment variables; raise `MisuseError` where one is missing."""
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        raise MisuseError(
            f"extract_method={method!r} is not configured.",
            hint=f"Set {' and '.join(missing)}, or use {_REPLACEMENT} (no service needed).",
        )
    return [os.environ[name] for name in names]


def _not_installed(method: str, install: str) -> MisuseError:
    hint = f"Install it: {install}; or use {_REPLACEMENT}."
    return MisuseError(f"extract_method={method!r} needs a library that is not installed.", hint=hint)


def _tika(path: Path, options: ExtractOptions) -> Iterator[Page]:
    """Ask an Apache Tika server for XHTML, in which each page is a ``div`` of the class ``page``."""
    from selectolax.lexbor import LexborHTMLParser

    from nemo_retriever_dagster.extract.html import html_elements

    (server,) = _configured("tika", "TIKA_SERVER_URL")
    headers = {"Accept": "text/html", "Content-Type": "application/pdf"}
    with Service("The Tika server", headers=headers) as service:
        text = service.call("PUT", f"{server.rstrip('/')}/tika", content=path.read_bytes()).text
    budget = Budget(limits=Limits())
    check_depth(text, budget)
    pages = [page.html or "" for page in LexborHTMLParser(text).css("div.page")]
    for index, html in enumerate(pages or [text]):
        elements = html_elements(html, options, budget)
        yield Page(number=index + 1 if pages else 0, elements=tuple(elements), total=len(pages))


def _unstructured_io(path: Path, options: ExtractOptions) -> Iterator[Page]:
    """Ask an Unstructured partition endpoint, hosted (a key) or one's own (a URL)."""
    url, key = os.environ.get("UNSTRUCTURED_URL", ""), os.environ.get("UNSTRUCTURED_API_KEY", "")
    if not url:
        (key,) = _configured("unstructured_io", "UNSTRUCTURED_API_KEY")
    headers = {"unstructured-api-key": key} if key else {}
    with Service("The Unstructured API", headers=headers) as service:
        reply = service.call(
            "POST",
            f"{(url or _UNSTRUCTURED).rstrip('/')}/general/v0/general",
            files={"files": (path.name, path.read_bytes(), "application/pdf")},
            data={"strategy": "auto"},
        )
        with service.fields():
            yield from list(_partitioned(reply.json(), options))


def _unstructured_local(path: Path, options: ExtractOptions) -> Iterator[Page]:
    try:
        from unstructured.partition.auto import partition
    except ImportError as error:
        raise _not_installed("unstructured_local", "pip install 'unstructured[pdf]'") from error
    yield from _partitioned([element.to_dict() for element in partition(filename=str(path))], options)


def _partitioned(found: Iterable[Mapping[str, Any]], options: ExtractOptions) -> Iterator[Page]:
    """Turn Unstructured's elements into pages; a table comes as HTML in its metadata."""
    pages: dict[int, list[Element]] = {}
    for item in found:
        if item["type"] in _SKIPPED_TYPES or not item["text"]:
            continue
        number = int(item["metadata"].get("page_number") or 0)
        html = item["metadata"].get("text_as_html") if item["type"] == "Table" and options.tables else None
        heading = _HEADINGS.get(item["type"], 0)
        made = _html_table(html, options) if html else [Element(kind=Kind.TEXT, text=item["text"], heading=heading)]
        pages.setdefault(number, []).extend(made)
    for number in sorted(pages):
        yield Page(number=number, elements=tuple(pages[number]))


def _html_table(html: str, options: ExtractOptions) -> list[Element]:
    from nemo_retriever_dagster.extract.html import html_elements

    budget = Budget(limits=Limits())
    check_depth(html, budget)
    return html_elements(html, options, budget)


def _llama_parse(path: Path, options: ExtractOptions) -> Iterator[Page]:
    """Upload to LlamaParse (version 2 of its API) and wait for the Markdown of each page."""
    (key,) = _configured("llama_parse", "LLAMA_CLOUD_API_KEY")
    base = os.environ.get("LLAMA_CLOUD_BASE_URL", _LLAMA).rstrip("/")
    with Service("LlamaParse", headers={"Authorization": f"Bearer {key}"}) as service, service.fields():
        sent = service.call(
            "POST",
            f"{base}/api/v2/parse/upload",
            files={"file": (path.name, path.read_bytes(), "application/pdf")},
            data={"configuration": '{"tier": "cost_effective", "version": "latest"}'},
        ).json()
        job = f"{base}/api/v2/parse/{sent['id']}"
        answer = service.wait_for(
            lambda: service.call("GET", job, params={"expand": "markdown"}).json(),
            lambda reply: _LLAMA_STATES.get(reply["job"]["status"], "waiting"),
        )
        pages = [(int(page["page_number"]), str(page["markdown"])) for page in answer["markdown"]["pages"]]
    for number, text in pages:
        yield Page(number=number, elements=tuple(markdown_elements(text, options)), total=len(pages))


def _adobe(path: Path, options: ExtractOptions) -> Iterator[Page]:
    """Run Adobe PDF Extract: token, upload, job, result."""
    client_id, secret = _configured("adobe", "ADOBE_CLIENT_ID", "ADOBE_CLIENT_SECRET")
    base = os.environ.get("ADOBE_BASE_URL", _ADOBE).rstrip("/")
    with Service("Adobe PDF Services") as service, service.fields():
        form = {"client_id": client_id, "client_secret": secret}
        token = service.call("POST", f"{base}/token", data=form).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}", "x-api-key": client_id}
        asset = service.call("POST", f"{base}/assets", headers=headers, json={"mediaType": "application/pdf"}).json()
        upload = {"Content-Type": "application/pdf"}
        service.call("PUT", asset["uploadUri"], content=path.read_bytes(), headers=upload)
        order = {"assetID": asset["assetID"], "elementsToExtract": ["text", "tables"]}
        job = service.call("POST", f"{base}/operation/extractpdf", headers=headers, json=order).headers["location"]
        done = service.wait_for(
            lambda: service.call("GET", job, headers=headers).json(),
            lambda reply: str(reply["status"]),
        )
        found = service.call("GET", done["content"]["downloadUri"]).json()["elements"]
        pages = list(adobe_pages(found, options))
    yield from pages


def _haystack(path: Path, _options: ExtractOptions) -> Iterator[Page]:
    """Run Haystack's PDF converter, which parts pages by form feeds."""
    try:
        converters = importlib.import_module("haystack.components.converters")
    except ImportError as error:
        raise _not_installed("haystack", "pip install haystack-ai pypdf") from error
    (document,) = converters.PyPDFToDocument().run(sources=[path])["documents"]
    texts = str(document.content or "").split("\f")
    for index, text in enumerate(texts):
        elements = (Element(kind=Kind.TEXT, text=text.strip()),) if text.strip() else ()
        yield Page(number=index + 1, elements=elements, total=len(texts))


ADAPTERS: dict[str, Callable[[Path, ExtractOptions], Iterator[Page]]] = {
    "adobe": _adobe,
    "haystack": _haystack,
    "llama_parse": _llama_parse,
    "tika": _tika,
    "unstructured_io": _unstructured_io,
    "unstructured_local": _unstructured_local,
}
"""The deprecated values of ``extract_method`` and what runs them."""
