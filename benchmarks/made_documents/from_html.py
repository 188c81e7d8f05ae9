"""A document as HTML, for the producers that print it: Chromium, WeasyPrint, and LibreOffice, which has no columns."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from making.printing import by_chromium, by_libreoffice, by_weasyprint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LOOKS = {
    "large": "font-size:135%",
    "bold": "font-size:100%",
    "caps": "font-size:100%;text-transform:uppercase",
    "colour": "font-size:120%;color:#1f4e79;font-weight:normal",
    "bold italic": "font-size:110%;font-style:italic",
}
_LOOKS_BELOW = {
    "bold": "font-size:100%",
    "bold italic": "font-style:italic;font-size:100%",
    "larger": "font-weight:normal;font-size:115%",
}
_FIXED = """h1,h2,h3{break-after:avoid} .centred{text-align:center} blockquote{margin:.6em 3em;font-style:italic}
.caption{font-size:90%;text-align:center} pre{font:85% 'Liberation Mono'} .break{break-after:page}
ul,ol{margin:.4em 0} .figure{background:#cde;height:30mm;margin:.5em 0}"""


def _page(look: dict[str, Any]) -> str:
    size = "A4 landscape" if look["landscape"] else look["paper"]
    header = f"@top-center{{content:'{look['header']}';font-size:8pt}}" if look["header"] else ""
    footer = "@bottom-center{content:counter(page);font-size:8pt}" if look["page numbers"] else ""
    return f"@page{{size:{size};margin:22mm;{header}{footer}}}"


def _body(look: dict[str, Any]) -> str:
    font = "Liberation Serif" if look["serif"] else "Liberation Sans"
    align = "justify" if look["justify"] else "start"
    gap, indent = ("0", "1.2em") if look["indent"] else ("0 0 .7em 0", "0")
    return (
        f"body{{font:{look['size']}pt '{font}';line-height:1.3;margin:0;hyphens:auto}}"
        f".columns{{column-count:{look['columns']};column-gap:7mm}}"
        f"p{{text-align:{align};margin:{gap};text-indent:{indent}}}"
    )


def _headings(look: dict[str, Any]) -> str:
    align = "center" if look["centred"] else "start"
    return (
        f"h1{{font-size:180%;text-align:{align};margin:0 0 .5em 0}}"
        f"h2{{{_LOOKS[look['section']]};text-align:{align};margin:1em 0 .4em 0}}"
        f"h3{{{_LOOKS_BELOW[look['subsection']]};margin:.8em 0 .3em 0}}"
    )


def _list(block: dict[str, Any]) -> str:
    tag = "ol" if block["ordered"] else "ul"
    return f"<{tag}>{''.join(f'<li>{escape(item)}</li>' for item in block['items'])}</{tag}>"


_BLOCKS: dict[str, Callable[[dict[str, Any]], str]] = {
    "heading": lambda block: f"<h{block['level']}>{escape(block['t'])}</h{block['level']}>",
    "paragraph": lambda block: f"<p>{escape(block['t'])}</p>",
    "centred": lambda block: f"<p class=centred>{escape(block['t'])}</p>",
    "quote": lambda block: f"<blockquote>{escape(block['t'])}</blockquote>",
    "figure": lambda block: f"<div class=figure></div><p class=caption>{escape(block['t'])}</p>",
    "list": _list,
    "lines": lambda block: f"<p>{'<br>'.join(map(escape, block['lines']))}</p>",
    "code": lambda block: f"<pre>{escape(chr(10).join(block['lines']))}</pre>",
    "break": lambda _: "<div class=break></div>",
}


def page(case: dict[str, Any]) -> str:
    """Return the document as a page of HTML."""
    look = case["look"]
    css = _page(look) + _body(look) + _headings(look) + _FIXED
    body = "".join(_BLOCKS[block["kind"]](block) for block in case["blocks"])
    language = look["language"]
    way = "ltr" if language == "en" else "rtl"
    head = f"<!DOCTYPE html><html lang={language} dir={way}><head><meta charset=utf-8><style>{css}</style></head>"
    return f"{head}<body><div class=columns>{body}</div></body></html>"


def weasyprint(cases: list[tuple[dict[str, Any], Path]]) -> None:
    by_weasyprint((page(case), out) for case, out in cases)


def chromium(cases: list[tuple[dict[str, Any], Path]]) -> None:
    by_chromium((page(case), out) for case, out in cases)


def libreoffice(cases: list[tuple[dict[str, Any], Path]]) -> None:
    pages = ((page(case), out) for case, out in cases if case["look"]["columns"] == 1)
    by_libreoffice(pages, ".html", "pdf:writer_web_pdf_Export")
