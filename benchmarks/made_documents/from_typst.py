"""A document by Typst, which sets pages much as TeX does: kerned, hyphenated text, and paragraphs without gaps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LOOKS = {
    "large": 'size: 1.35em, weight: "bold"',
    "bold": 'size: 1em, weight: "bold"',
    "caps": 'size: 1em, weight: "bold"',
    "colour": 'size: 1.2em, fill: rgb("1f4e79"), weight: "regular"',
    "bold italic": 'size: 1.1em, weight: "bold", style: "italic"',
    "larger": 'size: 1.15em, weight: "regular"',
}


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _text(text: str) -> str:
    return f"#{_string(text)}"


def _flag(value: bool) -> str:  # noqa: FBT001 - a value to be written
    return str(value).lower()


def _page(look: dict[str, Any]) -> str:
    paper = "a4" if look["paper"] == "A4" or look["landscape"] else "us-letter"
    options = [f'"{paper}", flipped: {_flag(look["landscape"])}, margin: 22mm, columns: {look["columns"]}']
    if look["header"]:
        options.append(f"header: align(center, text(size: 8pt, {_string(look['header'])}))")
    if look["page numbers"]:
        options.append('numbering: "1"')
    return f"#set page({', '.join(options)})\n"


def _body(look: dict[str, Any]) -> str:
    font = "New Computer Modern" if look["serif"] else "Liberation Sans"
    indent = ", first-line-indent: 1.2em, spacing: .65em" if look["indent"] else ""
    return (
        f'#set text(font: "{font}", size: {look["size"]}pt, lang: "{look["language"]}", hyphenate: {_hyphens(look)})\n'
        f"#set par(justify: {_flag(look['justify'])}{indent})\n"
    )


def _hyphens(look: dict[str, Any]) -> str:
    return "auto" if look["hyphens"] else "false"


def _headings(look: dict[str, Any]) -> str:
    sizes = ["size: 1.5em", _LOOKS[look["section"]], _LOOKS[look["subsection"]]]
    rules = [f"#show heading.where(level: {level}): set text({size})" for level, size in enumerate(sizes, start=1)]
    if look["section"] == "caps":
        rules.append("#show heading.where(level: 2): upper")
    if look["centred"]:
        rules.append("#show heading.where(level: 2): set align(center)")
    return "\n".join(rules) + "\n"


def _figure(block: dict[str, Any]) -> str:
    drawing = '#rect(width: 100%, height: 30mm, fill: rgb("cde"))'
    return f"{drawing}\n\n#align(center, text(size: .9em)[{_text(block['t'])}])"


_BLOCKS: dict[str, Callable[[dict[str, Any]], str]] = {
    "heading": lambda block: f"{'=' * block['level']} {_text(block['t'])}",
    "paragraph": lambda block: _text(block["t"]),
    "centred": lambda block: f"#align(center)[{_text(block['t'])}]",
    "quote": lambda block: f"#quote(block: true)[{_text(block['t'])}]",
    "figure": _figure,
    "list": lambda block: "\n".join(f"{'+' if block['ordered'] else '-'} {_text(item)}" for item in block["items"]),
    "lines": lambda block: " \\ ".join(map(_text, block["lines"])),
    "code": lambda block: "```\n" + "\n".join(block["lines"]) + "\n```",
    "break": lambda _: "#pagebreak(weak: true)",
}


def source(case: dict[str, Any]) -> str:
    """Return the document as Typst markup."""
    look = case["look"]
    body = "\n\n".join(_BLOCKS[block["kind"]](block) for block in case["blocks"])
    return _page(look) + _body(look) + _headings(look) + body


def typst(cases: list[tuple[dict[str, Any], Path]]) -> None:
    import typst as engine

    for case, out in cases:
        out.write_bytes(engine.compile(source(case).encode()))
