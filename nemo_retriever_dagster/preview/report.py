"""The preview as one HTML file: it loads nothing, runs one script of its own, and no text of a document acts in it."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING

from nemo_retriever_dagster.model import Kind, Origin
from nemo_retriever_dagster.preview.cards import chunk_card, element_card
from nemo_retriever_dagster.preview.markup import Html, joined, tag
from nemo_retriever_dagster.preview.sheet import sheet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nemo_retriever_dagster.preview.gather import Cut, Look, Piece

_CARDS = 400
"""Of elements, and of chunks, on one page at most."""
_BARS, _FEW = 160, 3
"""Chunks whose sizes are drawn at most, and so few that there is nothing to see."""
_PAGES_NAMED = 12
_PAGE_WORDS = {"pptx": "Slide", "xlsx": "Sheet", "epub": "Chapter"}
_READ_BY = {Origin.OCR: "Text was read by OCR", Origin.PARSE: "Text was read by a page parser",
            Origin.SPEECH: "Speech was recognised"}  # fmt: skip


def report(look: Look) -> str:
    """Return the HTML."""
    style, script = (files(__package__).joinpath(name).read_text("utf-8") for name in ("preview.css", "preview.js"))
    numbers = _numbers(look)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"Preview of {look.document.name}"),
        tag("style", Html(style)),
    )
    body = tag(
        "body",
        tag("a", "Skip to the pages", href="#pages", class_="skip"),
        _header(look),
        tag("main", *(_section(look, page) for page in numbers), id="pages"),
        tag("footer", "Made by nrd preview. This file loads nothing from anywhere."),
        tag("script", Html(script)),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _numbers(look: Look) -> list[int]:
    """Return the pages that are shown; 0 is what belongs to the whole document."""
    first, last = look.pages
    whole = not _paged(look) or any(element.page == 0 for element in look.elements)
    return [*([0] if whole else []), *(range(first, last + 1) if _paged(look) else ())]


def _paged(look: Look) -> bool:
    """Whether anything is known by its page: a book of chapters, say, is one text."""
    return bool(look.pictures) or any(element.page for element in look.elements)


# --- the head ---


def _header(look: Look) -> Html:
    document = look.document
    tokens = [sum(piece.chunk.tokens for piece in cut.pieces) for cut in look.cuts]
    facts = {
        "type": document.format,
        "size": f"{document.size:,} bytes",
        "pages": f"{look.page_count:,}" if look.page_count else "none",
        "elements": f"{len(look.kept):,}",
        "chunks": " / ".join(f"{len(cut.pieces):,}" for cut in look.cuts),
        "tokens": " / ".join(f"{number:,}" for number in tokens),
        "sha256": document.sha256[:12],
    }
    shown = tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()))
    return tag(
        "header",
        tag("h1", document.name, dir="auto"),
        shown,
        _limited(look),
        _warnings(look),
        tag("div", *(_sizes(cut, compared=len(look.cuts) > 1) for cut in look.cuts), class_="sizes"),
        _legend(look),
        _contents(look),
    )


def _limited(look: Look) -> Html | None:
    first, last = look.pages
    if not _paged(look) or (first == 1 and last == look.page_count):
        return None
    shown = f"Page {first:,} of {look.page_count:,} is shown"
    if first < last:
        shown = f"Pages {first:,} to {last:,} of {look.page_count:,} are shown"
    return tag("p", f"{shown}; all were read. Ask for others with --pages.", class_="limited")


def _warnings(look: Look) -> Html | None:
    pages: dict[str, set[int]] = {}
    for i, element in enumerate(look.elements):
        said = list(element.warnings)
        if element.origin in _READ_BY:
            said.append(f"{_READ_BY[element.origin]} ({element.engine or 'engine unknown'}).")
        if i in look.captions:
            said.append(f"Captions were generated ({look.captions[i].source}).")
        for words in said:
            pages.setdefault(words, set()).add(element.page)
    if out := len(look.elements) - len(look.kept):
        pages[f"{out} pictures are left out: repeated, small, or shown as a table or chart."] = set()
    empty = sum(not piece.passage for piece in look.cuts[0].pieces)
    if empty:
        pages[f"{empty} chunks have no text and are not embedded."] = set()
    if not pages:
        return None
    items = (tag("li", words, tag("span", _named(where)) if any(where) else None) for words, where in pages.items())
    return tag("section", tag("h2", "Worth knowing"), tag("ul", *items), class_="warnings")


def _named(pages: set[int]) -> str:
    numbers = sorted(pages - {0})
    more = f" and {len(numbers) - _PAGES_NAMED} more" if len(numbers) > _PAGES_NAMED else ""
    return f" page{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers[:_PAGES_NAMED]))}{more}"


def _sizes(cut: Cut, *, compared: bool) -> Html:
    """Return the chunks' sizes in tokens as bars, with the embedder's limit where it is known."""
    every = [piece.chunk.tokens for piece in cut.pieces]
    mean = sum(every) / max(len(every), 1)
    words = f"{len(every):,} chunks, {mean:,.0f} tokens on average, {max(every, default=0):,} at most"
    words += f"; the embedder reads {cut.longest:,}" if cut.longest else ""
    drawing = _bars(cut, every[:_BARS], words) if len(every) > _FEW else None
    return tag("figure", drawing, tag("figcaption", tag("b", cut.label) if compared else None, " ", words))


def _bars(cut: Cut, sizes: Sequence[int], words: str) -> Html:
    most = max([*sizes, cut.longest, 1])
    step = max(3.0, 640 / max(len(sizes), 1)) if len(sizes) > 40 else 16.0  # noqa: PLR2004 - from there on bars get thin
    bars = [
        tag("rect", x=f"{n * step:.1f}", y=f"{60 - 60 * size / most:.1f}", width=f"{step * 0.72:.1f}",
            height=f"{60 * size / most:.1f}", class_=f"k-{cut.pieces[n].chunk.kind}")
        for n, size in enumerate(sizes)
    ]  # fmt: skip
    width = max(len(sizes) * step, 120.0)
    limit = 60 - 60 * cut.longest / most
    line = tag("line", x1="0", x2=f"{width:.1f}", y1=f"{limit:.1f}", y2=f"{limit:.1f}") if cut.longest else None
    return tag("svg", *bars, line, viewBox=f"0 -2 {width:.1f} 64", role="img", aria_label=words)


def _legend(look: Look) -> Html | None:
    if not any(element.box for element in look.elements):
        return None
    counts = {kind: sum(one.kind is kind and i in look.kept for i, one in enumerate(look.elements)) for kind in Kind}
    boxes = [
        tag("label", tag("input", type="checkbox", id=f"show-{kind}", checked=True), tag("span", kind, class_="kind"),
            f" {number:,}", class_=f"k-{kind}")
        for kind, number in counts.items() if number
    ]  # fmt: skip
    return tag("fieldset", tag("legend", "Boxes shown"), *boxes, class_="legend")


def _contents(look: Look) -> Html | None:
    numbers = [page for page in _numbers(look) if page]
    if len(numbers) < 2:  # noqa: PLR2004 - one page needs no way to it
        return None
    links = (tag("a", page, href=f"#p{page}", aria_label=_name(look, page)) for page in numbers)
    return tag("nav", *links, aria_label="Pages")


# --- the pages ---


def _section(look: Look, page: int) -> Html:
    name = _name(look, page)
    positions = [i for i, element in enumerate(look.elements) if element.page == page]
    figure = sheet(look, page, positions, name)
    elements = _elements(look, positions, thumbnails=page not in look.pictures)
    columns = [_chunks(look, c, page) for c in range(len(look.cuts))]
    if len(columns) > 1:
        folded = tag("details", tag("summary", f"Reading order: {len(positions):,} elements"), elements)
        inside = [tag("div", figure, folded, class_="look"), *columns]
    else:
        inside = [*([tag("div", figure, class_="look")] if figure else []),
                  tag("div", tag("h3", "Reading order"), elements), *columns]  # fmt: skip
    grid = tag("div", *inside, class_=f"columns n{len(inside)}")
    return tag("section", tag("h2", name), grid, id=f"p{page}", class_="page", aria_label=name)


def _name(look: Look, page: int) -> str:
    return f"{_PAGE_WORDS.get(look.document.format, 'Page')} {page}" if page else "The whole document"


def _elements(look: Look, positions: Sequence[int], *, thumbnails: bool) -> Html:
    cards = [element_card(look, i, thumbnail=thumbnails) for i in positions[:_CARDS]]
    return joined(_list(cards, "Nothing was read here."), _rest(len(positions), "elements"))


def _chunks(look: Look, c: int, page: int) -> Html:
    cut = look.cuts[c]
    here = [n for n, piece in enumerate(cut.pieces) if page in _pages(piece)]
    shown = set(_numbers(look))
    cards = []
    for n in here[:_CARDS]:
        begins = next(number for number in _pages(cut.pieces[n]) if number in shown)
        where = "" if begins == page else _name(look, begins).lower()
        cards.append(chunk_card(cut.pieces[n], name=f"{c}-{n}", number=n + 1, longest=cut.longest, begins_on=where))
    title = f"Chunks, {cut.label}" if len(look.cuts) > 1 else "Chunks"
    return tag("div", tag("h3", title), _list(cards, "No chunk."), _rest(len(here), "chunks"))


def _pages(piece: Piece) -> list[int]:
    return piece.pages or [0]


def _list(cards: Sequence[Html], nothing: str) -> Html:
    return tag("ol", *cards, class_="cards") if cards else tag("p", nothing, class_="more")


def _rest(total: int, what: str) -> Html | None:
    return tag("p", f"and {total - _CARDS:,} {what} more", class_="more") if total > _CARDS else None
